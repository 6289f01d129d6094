"""The independent judge: reads both accounts over IMAP and compares them. It shares no code with the engine.

What is compared, folder by folder: how many messages, in which order, their bytes in canonical form, flags, internal
dates as instants, subscriptions. Every difference is a sentence.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from tests.rigs.base import Account
from tests.rigs.dialogue import Dialogue, Reply

_ITEM = re.compile(rb'UID (\d+)|FLAGS \(([^)]*)\)|INTERNALDATE "([^"]+)"')
_SYSTEM = frozenset({"\\seen", "\\answered", "\\flagged", "\\draft", "\\deleted"})


class Seen(NamedTuple):
    """One message as it was found."""

    uid: int
    digest: str  # of the canonical form
    flags: frozenset[str]  # lower case, without \\recent
    date: float  # seconds since the epoch
    title: str  # for people: the subject


@dataclass(slots=True)
class Read:
    """One folder as it was found."""

    messages: list[Seen] = field(default_factory=list)
    permanent: frozenset[str] = frozenset()
    subscribed: bool = False


class Contents(NamedTuple):
    """One account as it was found: folders that can be opened, by their name on the wire."""

    prefix: bytes
    separator: bytes
    folders: dict[bytes, Read]


def read(account: Account, *, without_headers: Collection[str] = (), munged: bool = False) -> Contents:
    """Read everything in ``account``; it stays as it was.

    Lines of ``without_headers`` are left out of the digest; ``munged`` takes every 8-bit octet of a header for an X, as
    Cyrus stores it.
    """
    with Dialogue(account) as talk:
        prefix, separator = talk.namespace()
        subscribed = {row.name for row in talk.listed(b"LSUB")}
        folders = {}
        for row in talk.listed():
            if row.attributes.isdisjoint({"\\noselect", "\\nonexistent"}):
                folder = Read([], talk.select(row.name), row.name in subscribed)
                fetched = talk.command(b"UID FETCH 1:* (UID FLAGS INTERNALDATE BODY.PEEK[])")
                folder.messages = sorted(_messages(fetched, without_headers, munged), key=lambda seen: seen.uid)
                folders[row.name] = folder
        return Contents(prefix, separator, folders)


def canonical(body: bytes) -> bytes:
    """The form in which servers may be compared: CRLF line ends, the last one too, and NUL as Dovecot stores it."""
    lines = re.sub(rb"\r\n|\r|\n", b"\r\n", body).replace(b"\0", b"\x80")
    return lines if lines.endswith(b"\r\n") else lines + b"\r\n"


def counterpart(name: bytes, source: Contents, target: Contents) -> bytes:
    """Where a folder belongs by the simple rule: below the other prefix, with the other separator."""
    if name.upper() == b"INBOX":
        return b"INBOX"
    levels = name.removeprefix(source.prefix)
    if source.separator:
        levels = levels.replace(source.separator, target.separator)
    return target.prefix + levels


@dataclass(frozen=True, slots=True)
class Terms:
    """What a comparison forgives."""

    folders: Mapping[bytes, bytes] = field(
        default_factory=dict
    )  # source name to target name, where the rule is not enough
    target_may_hold_more: bool = False  # it had mail of its own; then order is not compared
    ignored_flags: frozenset[str] = frozenset()
    skip_flagged: str | None = None  # messages with this flag stay behind
    dates: bool = True
    kept_flags: frozenset[str] | None = None  # None: as the target's PERMANENTFLAGS say


def compare(source: Contents, target: Contents, terms: Terms | None = None) -> list[str]:
    """Return every difference of ``target`` from what it should hold, as sentences; none means the copy is whole."""
    terms = terms or Terms()
    found: list[str] = []
    mapped = {name: terms.folders.get(name) or counterpart(name, source, target) for name in source.folders}
    for name, there in mapped.items():
        if there not in target.folders:
            found.append(f"{_text(name)}: there is no folder {_text(there)} on the target.")
            continue
        found += [f"{_text(name)}: {text}" for text in _folder(source.folders[name], target.folders[there], terms)]
    if not terms.target_may_hold_more:
        for name in target.folders.keys() - set(mapped.values()):
            if count := len(target.folders[name].messages):
                found.append(f"The target holds {_many(count)} in {_text(name)}, which is no folder of the source.")
    return found


def changes(before: Contents, after: Contents) -> list[str]:
    """Return what happened to one account between two readings; a source must show nothing."""
    found = []
    for name in before.folders.keys() | after.folders.keys():
        one, two = before.folders.get(name), after.folders.get(name)
        if one is None or two is None:
            found.append(f"{_text(name)} {'appeared' if one is None else 'is gone'}.")
        elif one.messages != two.messages or one.subscribed != two.subscribed:
            found.append(f"{_text(name)} was changed.")
    return found


def _folder(source: Read, target: Read, terms: Terms) -> Iterator[str]:
    wanted = [m for m in source.messages if terms.skip_flagged is None or terms.skip_flagged not in m.flags]
    surplus = len(target.messages) - len(wanted)
    if surplus < 0 or (surplus and not terms.target_may_hold_more):
        yield f"{_many(len(wanted))} on the source, {len(target.messages)} on the target."
    yield from _whole(wanted, target.messages, terms)
    if not terms.target_may_hold_more:
        yield from _ordered(wanted, target.messages)
    for here, there in _pairs(wanted, target.messages):
        yield from _same(here, there, target.permanent, terms)
    if source.subscribed and not target.subscribed:
        yield "it is subscribed on the source, and not on the target."


def _whole(wanted: Sequence[Seen], present: Sequence[Seen], terms: Terms) -> Iterator[str]:
    titles = {seen.digest: f"the message {seen.title!r} (UID {seen.uid})" for seen in (*present, *wanted)}
    here, there = Counter(seen.digest for seen in wanted), Counter(seen.digest for seen in present)
    for digest in here.keys() | there.keys():
        if there[digest] < here[digest]:
            lacking = here[digest] - there[digest]
            yield f"{titles[digest]} is missing" + (f" {lacking} times." if lacking > 1 else ".")
        elif there[digest] > here[digest] and (here[digest] or not terms.target_may_hold_more):
            yield f"{titles[digest]} is on the target {there[digest]} times, on the source {here[digest]} times."


def _ordered(wanted: Sequence[Seen], present: Sequence[Seen]) -> Iterator[str]:
    if Counter(seen.digest for seen in wanted) != Counter(seen.digest for seen in present):
        return  # said already
    for place, (here, there) in enumerate(zip(wanted, present, strict=True), 1):
        if here.digest != there.digest:
            yield f"the order differs from message {place} on: {here.title!r}, on the target {there.title!r}."
            return


def _pairs(wanted: Sequence[Seen], present: Sequence[Seen]) -> Iterator[tuple[Seen, Seen]]:
    """Pair equal messages in their order, the first with the first."""
    waiting: dict[str, list[Seen]] = defaultdict(list)
    for seen in reversed(present):
        waiting[seen.digest].append(seen)
    for seen in wanted:
        if waiting[seen.digest]:
            yield seen, waiting[seen.digest].pop()


def _same(here: Seen, there: Seen, permanent: frozenset[str], terms: Terms) -> Iterator[str]:
    kept = permanent if terms.kept_flags is None else terms.kept_flags
    expected = here.flags if "\\*" in kept else here.flags & kept
    expected, actual = expected - terms.ignored_flags, there.flags - terms.ignored_flags
    if not expected <= actual <= here.flags | expected:  # pymap keeps keywords that it says it will not
        yield f"{here.title!r} (UID {here.uid}) has {_flags(expected)} on the source, {_flags(actual)} on the target."
    if terms.dates and here.date != there.date:
        yield f"{here.title!r} (UID {here.uid}) is dated {here.date:.0f} on the source, {there.date:.0f} on the target."


def _messages(replies: Sequence[Reply], without_headers: Collection[str], munged: bool) -> Iterator[Seen]:
    for reply in replies:
        values = {found.lastindex: found.group(found.lastindex or 0) for found in _ITEM.finditer(reply.text)}
        if 1 in values and reply.literals:
            flags = frozenset(values[2].decode("utf-8", "replace").lower().split()) - {"\\recent"}
            body = _stripped(reply.literals[0], without_headers)
            if munged:
                head, gap, rest = body.partition(b"\r\n\r\n")
                body = re.sub(rb"[\x80-\xff]", b"X", head) + gap + rest
            digest = hashlib.sha256(canonical(body)).hexdigest()
            yield Seen(int(values[1]), digest, flags, _instant(values[3].decode()), _title(body))


def _stripped(body: bytes, names: Collection[str]) -> bytes:
    head, gap, rest = body.partition(b"\r\n\r\n")
    for name in names:
        head = re.sub(rb"(?im)^" + name.encode() + rb":.*\r\n|\r\n" + name.encode() + rb":.*\Z", b"", head)
    return head + gap + rest


def _instant(text: str) -> float:
    return datetime.strptime(text.strip(), "%d-%b-%Y %H:%M:%S %z").timestamp()


def _title(body: bytes) -> str:
    found = re.search(rb"(?im)^subject:[ \t]*(.*?)\r?$", body.partition(b"\r\n\r\n")[0])
    return found.group(1).decode("utf-8", "replace")[:60] if found else ""


def _flags(flags: frozenset[str]) -> str:
    return " ".join(sorted(flags)) or "no flags"


def _many(count: int) -> str:
    return f"{count} message" + "s" * (count != 1)


def _text(name: bytes) -> str:
    return name.decode("utf-8", "replace")
