"""The platform that moves: an old and a new server under one directory, filled with everybody's mail."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from campaigns.demo import directory, dovecot, folder, maildir, pymap
from campaigns.demo.directory import NEW_HOST, OLD_HOST, Entry
from campaigns.demo.mail import REFUSED_FOLDER, Post
from campaigns.demo.people import PROBE, Cast, invent
from campaigns.demo.servers import CannotStart, Plan, Running, free_port

# So much less room has the full mailbox than it has mail: something crosses before it is full.
_ROOM_SHARE: Final = 0.4
_PYMAP_SCALE: Final = 0.25  # of the mail: it is an order of magnitude slower, and holds all of it in memory


@dataclass(frozen=True, slots=True)
class Platform:
    """Two servers that run, and the directory that they obey."""

    cast: Cast
    kind: str  # dovecot or pymap
    remark: str  # what watchers should know of the servers; empty when there is nothing
    old: Running
    new: Running
    admin_password: str
    directory: Path


@contextmanager
def running(panel: Path, *, count: int, seed: int, kind: str = "", scale: float = 1.0) -> Iterator[Platform]:
    """Start both servers with mail for ``count`` people; end them with the block. ``panel`` is the panel's folder.

    ``kind`` insists on one product; "" takes Dovecot where it is and starts, else pymap. Raises ``CannotStart``.
    """
    cast = invent(count, seed)
    post = Post(cast.people, seed, scale)
    with ExitStack() as stack:
        reason = "" if kind == "pymap" else dovecot.why_not()
        platform = None
        if kind != "pymap" and not reason:
            try:
                platform = stack.enter_context(_started(panel, "dovecot", cast, post))
            except CannotStart as error:
                reason = f"Dovecot does not start here ({str(error).splitlines()[-1]})"
        if platform is None and kind == "dovecot":
            raise CannotStart(f"{reason}.")
        if platform is None:
            because = f"{reason}, so both servers are pymap." if reason else "Both servers are pymap."
            post = replace(post, scale=scale * _PYMAP_SCALE)
            platform = stack.enter_context(_started(panel, "pymap", cast, post, f"{because} {pymap.SHORTCOMINGS}"))
        yield platform


@contextmanager
def _started(panel: Path, kind: str, cast: Cast, post: Post, remark: str = "") -> Iterator[Platform]:
    place = folder.make_servers_folder(panel)
    started: list[Running] = []
    try:
        file = place / "directory.sqlite3"
        directory.create(file, _entries(cast, post))
        password = secrets.token_urlsafe(12)
        plans = [_plan(place, file, password, is_new=is_new) for is_new in (False, True)]
        servers = _prepare_dovecots(plans, cast, post) if kind == "dovecot" else _prepare_pymaps(plans, post)
        for server in servers:
            started.append(server)
            server.start()
            folder.record(panel, place, [one.process.pid for one in started if one.process])
        yield Platform(cast, kind, remark, *servers, password, file)
    finally:
        for server in started:
            server.stop()
        folder.remove_servers(panel)


def _plan(place: Path, file: Path, password: str, *, is_new: bool) -> Plan:
    name, host = ("new", NEW_HOST) if is_new else ("old", OLD_HOST)
    (place / name).mkdir()
    return Plan(place / name, free_port(), file, host, is_new, password)


def _entries(cast: Cast, post: Post) -> list[Entry]:
    size = sum(len(letter.body) for folder in post.mailbox(cast.full) for letter in folder.letters)
    rooms = {cast.full.login: int(size * _ROOM_SHARE)}
    people = [Entry(one.login, one.password, new_room_bytes=rooms.get(one.login, 0)) for one in cast.people]
    return [*people, Entry(PROBE, secrets.token_urlsafe(12), status="inactive")]


def _prepare_dovecots(plans: Sequence[Plan], cast: Cast, post: Post) -> tuple[Running, Running]:
    old, new = plans
    rooms = directory.rooms(old.directory)
    servers = dovecot.prepare(old, rooms), dovecot.prepare(new, rooms)
    for person in cast.people:
        also = [REFUSED_FOLDER] if person is cast.oddly_named else []
        maildir.write(dovecot.mailbox(old.folder, person.login), post.mailbox(person, *also))
    for plan in plans:
        dovecot.give(plan.folder)
    return servers


def _prepare_pymaps(plans: Sequence[Plan], post: Post) -> tuple[Running, Running]:
    old, new = plans
    facts = {"count": len(post.people), "seed": post.seed, "scale": post.scale}
    return pymap.prepare(old, facts), pymap.prepare(new, facts)
