"""The platform that moves: an old and a new server under one directory, filled with everybody's mail."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from campaigns.demo import directory, dovecot, folder, maildir, pymap
from campaigns.demo.directory import NEW_HOST, OLD_HOST, Entry
from campaigns.demo.mail import REFUSED_FOLDER, Post
from campaigns.demo.people import PROBE, Cast, invent
from campaigns.demo.servers import Plan, Running, free_port

# So much less room has the full mailbox than it has mail: something crosses before it is full.
_ROOM_SHARE: Final = 0.4
_PYMAP_SCALE: Final = 0.25  # of the mail: it is an order of magnitude slower, and holds all of it in memory


@dataclass(frozen=True, slots=True)
class Platform:
    """Two servers that run. ``folder`` is the panel's; what else belongs to the servers lies in a temporary one."""

    cast: Cast
    kind: str  # dovecot or pymap
    why_not_better: str  # a sentence where a poorer kind had to do
    old: Running
    new: Running
    admin_password: str
    directory: Path


@contextmanager
def running(panel: Path, *, count: int, seed: int, kind: str = "", scale: float = 1.0) -> Iterator[Platform]:
    """Start both servers with mail for ``count`` people; end them with the block.

    ``kind`` asks for one product; "" takes the best there is. Raises ``CannotStart``.
    """
    reason = dovecot.why_not() if kind != "pymap" else ""
    chosen = kind or ("pymap" if reason else "dovecot")
    sentence = f"{reason}, so both servers are pymap. {pymap.SHORTCOMINGS}" if chosen == "pymap" and reason else ""
    place = folder.make_servers_folder(panel)
    cast = invent(count, seed)
    post = Post(cast.people, seed, scale * (_PYMAP_SCALE if chosen == "pymap" else 1.0))
    started: list[Running] = []
    try:
        file = place / "directory.sqlite3"
        directory.create(file, _entries(cast, post))
        password = secrets.token_urlsafe(12)
        old, new = (_plan(place, file, password, is_new=is_new) for is_new in (False, True))
        servers = _prepare_dovecots(old, new, cast, post) if chosen == "dovecot" else _prepare_pymaps(old, new, post)
        for server in servers:
            started.append(server)
            server.start()
            folder.record(panel, place, [one.process.pid for one in started if one.process])
        yield Platform(cast, chosen, sentence, servers[0], servers[1], password, file)
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


def _prepare_dovecots(old: Plan, new: Plan, cast: Cast, post: Post) -> list[Running]:
    rooms = directory.rooms(old.directory)
    servers = [dovecot.prepare(plan, rooms) for plan in (old, new)]
    for person in cast.people:
        also = [REFUSED_FOLDER] if person is cast.oddly_named else []
        maildir.write(dovecot.mailbox(old.folder, person.login), post.mailbox(person, *also))
    for plan in (old, new):
        dovecot.give(plan.folder)
    return servers


def _prepare_pymaps(old: Plan, new: Plan, post: Post) -> list[Running]:
    facts = {"count": len(post.people), "seed": post.seed, "scale": post.scale}
    return [pymap.prepare(plan, facts) for plan in (old, new)]
