"""What only a person can do, and how it shows that they did: the old daemon stopped, ports changed, a name moved.

A check looks, each time anew, and says what it saw, the good and the bad; it changes nothing. Nobody is believed for a
step that can be looked at. What cannot be looked at from here is recorded as done by hand, with a name and a reason:
that is the panel's matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from migrator.errors import MigratorError
from migrator.holds.base import HeldMail
from migrator.limits import Limits
from migrator.preflight import name_service, ports
from migrator.preflight.base import Opener
from migrator.preflight.evidence import Evidence
from migrator.preflight.ports import Greeting, Port
from migrator.preflight.probe import PATIENCE

_AT_ONCE: Final = 8  # doors and mailboxes that are looked at side by side


class Queue(Protocol):
    """Mail that an old server has not sent yet."""

    def count(self) -> HeldMail:
        """Return how many messages wait, and since when the oldest does. Raises ``MigratorError``."""
        ...


class Mailbox(NamedTuple):
    """An old mailbox, and the counters of its folders when it was copied last: raw name to UIDVALIDITY and UIDNEXT."""

    name: str
    open: Opener
    known: Mapping[bytes, tuple[int, int | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounds:
    """Where checks look. ``greetings`` are those of the old server while it ran, by ``Port.key``."""

    old: Sequence[Port] = ()
    new_before: Sequence[Port] = ()  # of the new server, while the old one has the usual ports
    new: Sequence[Port] = ()
    greetings: Mapping[str, str] = field(default_factory=dict)
    queue: Queue | None = None
    mailboxes: Iterable[Mailbox] = ()
    names: name_service.Expected | None = None
    resolver: name_service.Resolver | None = None
    limits: Limits = PATIENCE


def both_listen(grounds: Grounds) -> Iterator[Evidence]:
    """Yield whether the old server answers at its ports, and the new one beside it at others."""
    doors = [*grounds.old, *grounds.new_before]
    yield from _nothing_planned(grounds.old, "old")
    yield from _nothing_planned(grounds.new_before, "new_before")
    for port, seen in _greetings(doors, grounds.limits):
        if seen.words:
            yield Evidence("port.greets", True, port.key, seen.words)
        else:
            yield _unanswered(port, seen)


def port_closed(grounds: Grounds) -> Iterator[Evidence]:
    """Yield whether the old server is gone from its ports: nobody answers there, or somebody else does."""
    yield from _nothing_planned(grounds.old, "old")
    for port, seen in _greetings(grounds.old, grounds.limits):
        if not seen.is_open:
            is_known = seen.error is not None and seen.error.code != "server.no_address"
            code = "port.closed" if is_known else "port.no_address"
            yield Evidence(code, is_known, port.key, seen.error.reply if seen.error else "")
            continue
        before = grounds.greetings.get(port.key, "")
        if not before:
            yield Evidence("port.still_open", False, port.key, seen.words)
        elif ports.lasting(before) == ports.lasting(seen.words):
            yield Evidence("port.same_greeting", False, port.key, seen.words, before)
        elif seen.words:
            yield Evidence("port.other_greeting", True, port.key, seen.words, before)
        else:
            yield _unanswered(port, seen)


def ports_open(grounds: Grounds) -> Iterator[Evidence]:
    """Yield whether the new server answers at its ports for good, and lets somebody in."""
    yield from _nothing_planned(grounds.new, "new")
    was_tried = is_refused = False
    for port, seen in _greetings(grounds.new, grounds.limits):
        if not seen.words:
            yield _unanswered(port, seen)
            continue
        yield Evidence("port.greets", True, port.key, seen.words)
        if port.signs_in and not is_refused:  # a wrong password is sent once: servers lock people out
            error = ports.sign_in(port, grounds.limits)
            was_tried, is_refused = True, error is not None and error.code == "sign_in.refused"
            code = error.code if error else "port.signed_in"
            yield Evidence(code, error is None, port.key, error.reply if error else port.endpoint.mailbox)
    if grounds.new and not was_tried:
        yield Evidence("port.nobody_to_sign_in", False)


def queue_empty(grounds: Grounds) -> Iterator[Evidence]:
    """Yield whether the old server has sent all that waited there, and does not use the usual ports any more."""
    if grounds.queue is None:
        yield Evidence("queue.not_known", False)
    else:
        try:
            waiting = grounds.queue.count().messages
            yield Evidence("queue.waits" if waiting else "queue.empty", not waiting, found=str(waiting))
        except MigratorError as error:
            yield Evidence(error.code, False, found=error.reply)
    if grounds.old:
        yield from port_closed(grounds)


def no_new_mail(grounds: Grounds) -> Iterator[Evidence]:
    """Yield whether mail has come to old mailboxes since they were copied last: a line for each in which it has, and
    one that counts those that are as they were. Folders that are not copied are not looked at.
    """
    mailboxes = list(grounds.mailboxes)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = list(pool.map(_news, mailboxes))
    yield from (one for one in found if one is not None)
    still = found.count(None)
    yield Evidence("mailbox.still" if found else "mailbox.none", bool(found), found=f"{still} / {len(found)}")


def _news(mailbox: Mailbox) -> Evidence | None:
    """Return what has changed in a mailbox; None for nothing."""
    if not mailbox.known:
        return Evidence("mailbox.never_copied", False, mailbox.name)
    try:
        with mailbox.open() as store:
            folders = store.folders()
    except MigratorError as error:
        return Evidence(error.code, False, mailbox.name, error.reply)
    for folder in folders:
        known = mailbox.known.get(folder.path.raw)
        if known is not None and known != (folder.uidvalidity, folder.uidnext):
            return Evidence("mailbox.new_mail", False, mailbox.name, folder.path.display)
    return None


def dns_names(grounds: Grounds) -> Iterator[Evidence]:
    """Yield what the name service says of the domains that move, each against what is expected."""
    if grounds.names is None or grounds.resolver is None or not grounds.names.domains:
        yield Evidence("dns.not_planned", False)
        return
    yield from name_service.look(grounds.names, grounds.resolver)


def _greetings(doors: Sequence[Port], limits: Limits) -> list[tuple[Port, Greeting]]:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(zip(doors, pool.map(lambda port: ports.greeting(port, limits), doors), strict=True))


def _nothing_planned(doors: Sequence[Port], which: str) -> Iterator[Evidence]:
    if not doors:
        yield Evidence("port.not_planned", False, which)


def _unanswered(port: Port, seen: Greeting) -> Evidence:
    error = seen.error
    return Evidence(error.code if error else "port.silent", False, port.key, error.reply if error else "")


Check = Callable[[Grounds], Iterator[Evidence]]

CHECKS: Final[Mapping[str, Check]] = {
    "both_listen": both_listen,
    "port_closed": port_closed,
    "ports_open": ports_open,
    "queue_empty": queue_empty,
    "no_new_mail": no_new_mail,
    "dns": dns_names,
}
