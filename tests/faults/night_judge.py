"""Judges a night by what people saw and by what lies in their mailboxes; it shares no code with the engine.

Every function is pure and returns sentences on what is wrong; none means that all is well.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from tests.rigs.check import Contents, Seen
from tests.rigs.crowd import TITLE, Notes, SignIn

INBOX, SENT = b"INBOX", b"Sent"


class Count(NamedTuple):
    """How often a message must be there, at least and at most."""

    least: int
    most: int


Period = tuple[float, float]  # from, to; seconds since the epoch
Wanted = dict[str, dict[str, Count]]  # user -> mark -> how often


def wanted_mail(notes: Notes) -> Wanted:
    """Return what must be in whose INBOX. What was refused must not; where nobody knows, it may be there once."""
    found: Wanted = defaultdict(dict)
    counts = {"accepted": Count(1, 1), "unknown": Count(0, 1), "refused": Count(0, 0)}
    for one in notes.posted:
        for user in one.users:
            found[user][one.mark] = counts[one.verdict]
    return found


def wanted_copies(notes: Notes) -> Wanted:
    """Return what must be in whose Sent."""
    return {
        user: {one.mark: Count(1 if one.is_certain else 0, 1) for one in filed} for user, filed in notes.filed.items()
    }


def missing(user: str, right: Contents, wanted: Mapping[str, Count], folder: bytes = INBOX) -> list[str]:
    """Return which messages are not often enough in ``folder`` of the server that ``user`` is on now."""
    found = marks(right, folder)
    return [
        f"{user}: the message {mark} is {found[mark]} times in {folder.decode()}, and not {count.least}"
        for mark, count in wanted.items()
        if found[mark] < count.least
    ]


def surplus(
    user: str,
    right: Contents,
    wanted: Mapping[str, Count],
    folder: bytes = INBOX,
    *,
    may_redeliver: bool = False,
) -> list[str]:
    """Return which messages are there too often, or are nobody's here.

    ``may_redeliver``: a server was killed that may have taken a message and lost the answer. Then the sender delivers
    it again, as it must (RFC 5321 §4.5.4.1); two deliveries differ in what the server writes into them, and two copies
    of one do not.
    """
    nothing = Count(0, 0)
    there = right.folders.get(folder)
    found = Counter(
        (one[1], seen.digest if may_redeliver else "")
        for seen in (there.messages if there else ())
        if (one := TITLE.search(seen.title))
    )
    return [
        f"{user}: the message {mark} is {count} times in {folder.decode()}, and not {wanted.get(mark, nothing).most}"
        for (mark, _), count in found.items()
        if count > wanted.get(mark, nothing).most
    ]


def redelivered(right: Contents, wanted: Mapping[str, Count]) -> int:
    """Return how many messages in INBOX were delivered more than once."""
    return sum(count > 1 and mark in wanted for mark, count in marks(right, INBOX).items())


def elsewhere(user: str, right: Contents) -> list[str]:
    """Return which messages of the crowd lie in a folder where nobody puts any."""
    return [
        f"{user}: {sum(marks(right, name).values())} messages of the night are in {name.decode()}"
        for name in right.folders
        if name not in (INBOX, SENT) and marks(right, name)
    ]


def astray(user: str, wrong: Contents) -> list[str]:
    """Return what came for ``user`` to the server that they are not on, and never were."""
    return [
        f"{user}: {sum(marks(wrong, name).values())} messages went astray"
        for name in wrong.folders
        if marks(wrong, name)
    ]


def order(user: str, source: Contents, target: Contents) -> list[str]:
    """Return whether INBOX at the target does not begin with all of INBOX at the source, in the same order.

    That is promised where new mail waited while the old was copied.
    """
    before = [one.digest for one in _kept(source)]
    after = [one.digest for one in _kept(target)]
    if after[: len(before)] == before:
        return []
    place = next((at for at, (one, two) in enumerate(zip(before, after, strict=False)) if one != two), len(after))
    return [f"{user}: the order of INBOX differs from message {place + 1} of {len(before)} on"]


def marks(contents: Contents, folder: bytes) -> Counter[str]:
    """Return how often each message of the crowd is in ``folder``."""
    there = contents.folders.get(folder)
    found = (TITLE.search(one.title) for one in (there.messages if there else ()))
    return Counter(one[1] for one in found if one)


def _kept(contents: Contents) -> list[Seen]:
    there = contents.folders.get(INBOX)
    return [one for one in (there.messages if there else []) if "\\deleted" not in one.flags]


# What people saw


def outsiders(
    notes: Notes, names: Collection[str], most_seconds: float, forgiven: Sequence[Period] = ()
) -> Iterator[str]:
    """Yield what people noticed who were not moved: a refusal, no answer, a session that ended, a slow sign-in.

    What touches a period of ``forgiven`` is no fault of the move: a server was away that everybody needs.
    """
    for name in names:
        for one in notes.sign_ins[name]:
            if (wrong := _noticed(one, most_seconds)) and not is_within(forgiven, one.begun, one.ended):
                yield f"{name}, who stays, {wrong} at {one.begun:.3f} by {one.service}"
        for gone in notes.gone[name]:
            if not is_within(forgiven, gone.at, gone.at):
                yield f"{name}, who stays, lost their session at {gone.at:.3f}"


def _noticed(one: SignIn, most_seconds: float) -> str:
    if one.verdict != "admitted":
        return f"was {one.verdict} ({one.words})"
    if one.site == "new":
        return "was led to the new server"
    return f"waited {one.ended - one.begun:.1f} s to sign in" if one.ended - one.begun > most_seconds else ""


def is_within(periods: Sequence[Period], begun: float, ended: float) -> bool:
    """True when what lasted from ``begun`` to ``ended`` touches one of ``periods``."""
    return any(begun <= period[1] and ended >= period[0] for period in periods)


def one_way(notes: Notes, user: str) -> Iterator[str]:
    """Yield what contradicts the one way of ``user`` from the old server to the new one."""
    tries = [one for one in notes.sign_ins[user] if one.service == "imap"]
    came = arrival(tries)
    if came is None:
        yield f"{user}: never led to the new server"
        return
    yield from strays(tries, user, came, left="old", what="came to the new server")


def strays(tries: Sequence[SignIn], user: str, came: float, *, left: str, what: str) -> Iterator[str]:
    """Yield where ``user`` was refused, or led to the server ``left``, after they ``what`` at the time ``came``."""
    for one in tries:
        if one.begun > came and one.verdict == "refused":
            yield f"{user}: refused {one.begun - came:.3f} s after they {what}: {one.words}"
        if one.begun > came and one.site == left:
            yield f"{user}: led to the {left} server {one.begun - came:.3f} s after they {what}"


def arrival(tries: Sequence[SignIn]) -> float | None:
    """Return when somebody was first on the new server."""
    return min((one.ended for one in tries if one.site == "new" and one.verdict == "admitted"), default=None)


def lockout_seconds(notes: Notes, user: str) -> float | None:
    """Return how long a reader was on neither server: from the end of their session to the first one on the new."""
    came = arrival(notes.sign_ins[user])
    left = max((one.at for one in notes.gone[user] if one.site == "old"), default=None)
    return came - left if came is not None and left is not None else None
