"""Is the copy the same mail? Both sides are read over IMAP by the benchmark's own client, and compared one by one."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from datetime import datetime
from typing import Final, NamedTuple

from tests.benchmarks.wire import Copy, Dialogue
from tests.rigs.base import Account

_FLAGS: Final = re.compile(rb"FLAGS \(([^)]*)\)")
_DATE: Final = re.compile(rb'INTERNALDATE "([^"]+)"')


class Seen(NamedTuple):
    """What must be the same on both sides."""

    body: bytes  # SHA-256
    flags: frozenset[bytes]
    internal_date: float


class Census(NamedTuple):
    """One account: its folders with their messages in order, and its subscriptions."""

    folders: dict[str, list[Seen]]
    subscriptions: list[str]


def census(account: Account) -> Census:
    """Read a whole account; bodies are hashed and dropped."""
    line = Dialogue(account)
    folders = {name: [_seen(copy) for copy in line.messages(name)] for name in line.folders()}
    subscriptions = line.folders(b'LSUB "" *')
    line.close()
    return Census(folders, subscriptions)


def _seen(copy: Copy) -> Seen:
    flags, date = _FLAGS.search(copy.attributes), _DATE.search(copy.attributes)
    if flags is None or date is None:
        raise RuntimeError(f"no flags or date in {copy.attributes!r}")
    moment = datetime.strptime(date[1].decode().strip(), "%d-%b-%Y %H:%M:%S %z")
    kept = frozenset(flags[1].split()) - {b"\\Recent"}
    return Seen(hashlib.sha256(copy.body).digest(), kept, moment.timestamp())


def differences(source: Census, target: Census) -> Counter[str]:
    """Count what differs, by kind; empty when the copy is the same mail."""
    found: Counter[str] = Counter()
    found["subscriptions"] = len(set(source.subscriptions) - set(target.subscriptions))
    for name, messages in source.folders.items():
        found += _folder_differences(messages, target.folders.get(name, []))
    return +found


def _folder_differences(source: list[Seen], target: list[Seen]) -> Counter[str]:
    ours, its = Counter(seen.body for seen in source), Counter(seen.body for seen in target)
    found = Counter(missing=(ours - its).total(), surplus=(its - ours).total())
    if found["missing"] and len(source) == len(target):
        return Counter({"changed bodies": found["missing"]})
    if found.total() == 0:
        pairs = list(zip(source, target, strict=True))
        found["order"] = sum(one.body != other.body for one, other in pairs)
        found["flags"] = sum(one.flags != other.flags for one, other in pairs)
        found["dates"] = sum(one.internal_date != other.internal_date for one, other in pairs)
    return +found


def verdict(found: Counter[str]) -> str:
    """Say it in one phrase."""
    return ", ".join(f"{count} {kind}" for kind, count in found.items()) or "identical"
