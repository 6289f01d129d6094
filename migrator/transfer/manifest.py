"""The signed manifest of a proof: one line of canonical JSON for each thing, written and read as a stream.

The format is told in the README of the engine. Nothing of what messages say is in it: numbers, sizes, dates, hashes and
the names of accounts and folders. What is written is checked on the way; flaws are written down, not passed over.
"""

from __future__ import annotations

import base64
import hashlib
import json
import string
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote_from_bytes

from migrator.mail import Outcome
from migrator.transfer.ledger import RECORD_BYTES, FolderState, Leaf
from migrator.transfer.proof import AccountProof, Balance, FolderCheck, FolderProof, Readable, folders_of
from migrator.transfer.signing import SigningKey

FORMAT: Final = "mailferry-proof"
VERSION: Final = 1
RECORDS_A_LINE: Final = 512
_NAME: Final = "".join(chr(code) for code in range(32, 127) if chr(code) not in "%" + string.ascii_letters)


@dataclass(frozen=True, slots=True)
class Verified:
    """A comparison with the target that found no difference."""

    level: str  # of VerifyLevel
    at: str  # ISO 8601, UTC


@dataclass(frozen=True, slots=True)
class Entry:
    """One account of a manifest. Without a ``ledger`` it is being worked on; ``is_resting`` is asked at its end."""

    source: str
    target: str
    ledger: Readable | None
    state: str = ""  # as the panel calls it
    verified: Verified | None = None
    is_resting: Callable[[], bool] = field(default=lambda: True)


@dataclass(slots=True)
class Totals:
    """What a manifest comes to."""

    accounts: int = 0
    balanced: int = 0
    at_work: int = 0
    unsound: int = 0  # accounts whose ledger is not as it was written
    folders: int = 0
    balance: Balance = field(default_factory=Balance)

    def add(self, proof: AccountProof, *, at_work: bool) -> None:
        """Add one account."""
        self.accounts += 1
        self.at_work += at_work
        self.balanced += proof.is_balanced and not at_work
        self.unsound += not proof.is_sound and not at_work
        self.folders += proof.folders
        self.balance += proof.balance


class Manifest:
    """A manifest on its way out: ``totals`` are those of the lines taken so far."""

    def __init__(self, key: SigningKey, *, made_at: str, title: str = "", with_records: bool = True) -> None:
        self.totals = Totals()
        self._key = key
        self._head = {
            "kind": "head",
            "format": FORMAT,
            "version": VERSION,
            "made_at": made_at,
            "title": title,
            "key": base64.b64encode(key.public).decode(),
            "records": with_records,
        }
        self._with_records = with_records

    def lines(self, entries: Iterable[Entry]) -> Iterator[bytes]:
        """Yield the whole manifest, one account after the other; raises ``MigratorError`` of ledgers."""
        running = hashlib.sha256()
        for thing in self._things(entries):
            text = line(thing)
            running.update(text)
            yield text
        yield line(
            {
                "kind": "seal",
                "sha256": running.hexdigest(),
                "signature": base64.b64encode(self._key.sign(signed_text(running.hexdigest()))).decode(),
            }
        )

    def _things(self, entries: Iterable[Entry]) -> Iterator[Mapping[str, Any]]:
        yield self._head
        for entry in entries:
            yield from self._account(entry)
        yield end_of(self.totals)

    def _account(self, entry: Entry) -> Iterator[Mapping[str, Any]]:
        verified = {"level": entry.verified.level, "at": entry.verified.at} if entry.verified else None
        yield {
            "kind": "account",
            "source": entry.source,
            "target": entry.target,
            "state": entry.state,
            "verified": verified,
        }
        proof = AccountProof()
        for state, rows in folders_of(entry.ledger) if entry.ledger else ():
            yield folder(state)
            check = FolderCheck(state)
            for leaf in entry.ledger.stored_leaves(state.source) if entry.ledger else ():
                check.take(leaf)
                if self._with_records:
                    yield from leaf_lines(leaf)
            checked = check.close(rows)
            yield folder_end(checked)
            proof += checked
        at_work = entry.ledger is None or not entry.is_resting()
        self.totals.add(proof, at_work=at_work)
        yield account_end(proof, at_work=at_work)


def line(thing: Mapping[str, Any]) -> bytes:
    """Return one thing as its line: keys in order, no blanks, ASCII."""
    return json.dumps(thing, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii") + b"\n"


def signed_text(sha256: str) -> bytes:
    """Return what is signed: the sum of all lines before the seal, and what it is the sum of."""
    return f"{FORMAT} {VERSION} sha256:{sha256}\n".encode("ascii")


def name(raw: bytes) -> str:
    """Return the name of a folder as it stands in a manifest: octets that are not printable in percent code."""
    return quote_from_bytes(raw, safe=_NAME)


def folder(state: FolderState) -> dict[str, Any]:
    """Return the line that begins a folder: what its state says."""
    return {
        "kind": "folder",
        "source": name(state.source),
        "target": name(state.target),
        "source_uidvalidity": state.source_uidvalidity,
        "target_uidvalidity": state.target_uidvalidity,
        "complete": state.is_complete,
        "listed": state.source_messages,
        "outcomes": outcomes(state.totals),
        "removed": state.removed,
        "leaves": state.leaves,
        "tip": state.tip.hex(),
    }


def leaf_lines(leaf: Leaf) -> Iterator[dict[str, Any]]:
    """Yield the lines of a leaf: what it says of itself, then its records in pieces."""
    yield {
        "kind": "leaf",
        "number": leaf.number,
        "source_uidvalidity": leaf.source_uidvalidity,
        "target_uidvalidity": leaf.target_uidvalidity,
        "records": len(leaf.packed) // RECORD_BYTES,
        "previous": leaf.previous.hex(),
        "digest": leaf.digest.hex(),
    }
    piece = RECORDS_A_LINE * RECORD_BYTES
    for start in range(0, len(leaf.packed), piece):
        packed = base64.b64encode(leaf.packed[start : start + piece]).decode()
        yield {"kind": "records", "packed": packed}


def folder_end(proof: FolderProof) -> dict[str, Any]:
    """Return the line that ends a folder: what was found by looking."""
    return {
        "kind": "folder-end",
        "records": proof.records,
        "bytes": proof.balance.size_bytes,
        "unplaced": proof.unplaced,
        "foreign": proof.foreign,
        "balanced": proof.is_balanced,
        "flaws": [[found.flaw.value, found.place] for found in proof.flaws],
    }


def account_end(proof: AccountProof, *, at_work: bool) -> dict[str, Any]:
    """Return the line that ends an account: its sums. ``at_work``: somebody wrote to its ledger meanwhile."""
    return {
        "kind": "account-end",
        "folders": proof.folders,
        "at_work": at_work,
        "balanced": proof.is_balanced and not at_work,
        **_sums(proof.balance),
    }


def end_of(totals: Totals) -> dict[str, Any]:
    """Return the line that ends it all: the sums of all accounts."""
    return {
        "kind": "end",
        "accounts": totals.accounts,
        "balanced": totals.balanced,
        "at_work": totals.at_work,
        "folders": totals.folders,
        **_sums(totals.balance),
    }


def _sums(balance: Balance) -> dict[str, Any]:
    return {
        "listed": balance.listed,
        "outcomes": outcomes(balance.outcomes),
        "removed": balance.removed,
        "bytes": balance.size_bytes,
    }


def outcomes(counts: Mapping[Outcome, int]) -> dict[str, int]:
    """Return how many messages ended where, by the names of outcomes."""
    return {outcome.name.lower(): count for outcome, count in counts.items() if count}
