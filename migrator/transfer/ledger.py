"""The memory of one account's copy: leaves of records, the state of each folder, intents.

Records are stored as leaves: one packed array per committed bundle, chained by SHA-256 per folder and never altered.
The state of a folder is what the next pass starts from. An intent is noted in it before anything is appended: it says
from which target UID on there may be messages of ours that no leaf knows. Whoever finds an intent looks there first.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol, runtime_checkable

from migrator.mail import Outcome
from migrator.stores.base import MessageName

LEAF_VERSION: Final = 1
_RECORD: Final = struct.Struct("<QQQqB32s32s")
_NUMBERS: Final = struct.Struct("<QQQqB64x")  # the same without its hashes
RECORD_BYTES: Final = _RECORD.size
_LEAF_HEAD: Final = struct.Struct("<BQQQ")
_NO_DATE: Final = -(2**63)
FIRST_PREVIOUS: Final = bytes(32)
FOREIGN_UID: Final = 0  # UIDs start at 1 (RFC 3501 §2.3.1.1): 0 marks a target message that is not from the source


class Record(NamedTuple):
    """One message's end. With ``uid`` FOREIGN_UID: a message found on the target that no source message claims yet."""

    uid: int
    target_uid: int  # 0: not on the target, or the server did not tell
    size_bytes: int  # of the source literal
    internal_date: int | None
    outcome: Outcome | None  # None for a foreign one
    source: bytes  # SHA-256, zeros when the body was never read
    canonical: bytes

    def pack(self) -> bytes:
        """Return the record as leaves hold it."""
        uid, target_uid, size, date, outcome, source, canonical = self
        return _RECORD.pack(uid, target_uid, size, _NO_DATE if date is None else date, outcome or 0, source, canonical)

    @classmethod
    def unpack(cls, packed: bytes) -> Record:
        """Return the record that was packed."""
        return cls._of(_RECORD.unpack(packed))

    @classmethod
    def _of(cls, fields: tuple[int, int, int, int, int, bytes, bytes]) -> Record:
        uid, target_uid, size, date, outcome, source, canonical = fields
        known = Outcome(outcome) if outcome else None
        return cls(uid, target_uid, size, None if date == _NO_DATE else date, known, source, canonical)


@dataclass(frozen=True, slots=True)
class Leaf:
    """A committed part of the ledger of one folder."""

    folder: bytes  # source name, raw
    source_uidvalidity: int
    target_uidvalidity: int
    number: int  # 0, 1, 2 ... per folder
    packed: bytes
    previous: bytes  # digest of the leaf before, zeros for the first
    digest: bytes

    @classmethod
    def seal(
        cls,
        folder: bytes,
        source_uidvalidity: int,
        target_uidvalidity: int,
        number: int,
        records: Iterable[Record],
        previous: bytes,
    ) -> Leaf:
        """Pack ``records`` and chain them to the leaf before."""
        packed = b"".join(map(Record.pack, records))
        digest = _leaf_digest(folder, source_uidvalidity, target_uidvalidity, number, packed, previous)
        return cls(folder, source_uidvalidity, target_uidvalidity, number, packed, previous, digest)

    def records(self) -> Iterator[Record]:
        """Unpack the records in the order they were sealed."""
        return map(Record._of, _RECORD.iter_unpack(self.packed))

    def columns(self) -> tuple[Sequence[int], ...]:
        """Return the first five fields of all records as columns, outcomes as stored: a third of the time of records.

        They are (uid, target_uid, size_bytes, internal_date, outcome).
        """
        return tuple(zip(*_NUMBERS.iter_unpack(self.packed), strict=True)) or ((), (), (), (), ())

    def is_intact(self) -> bool:
        """True when the contents still hash to ``digest``."""
        return self.digest == _leaf_digest(
            self.folder, self.source_uidvalidity, self.target_uidvalidity, self.number, self.packed, self.previous
        )


def _leaf_digest(
    folder: bytes, source_uidvalidity: int, target_uidvalidity: int, number: int, packed: bytes, previous: bytes
) -> bytes:
    head = _LEAF_HEAD.pack(LEAF_VERSION, source_uidvalidity, target_uidvalidity, number)
    return hashlib.sha256(previous + head + len(folder).to_bytes(4, "little") + folder + packed).digest()


@dataclass(frozen=True, slots=True)
class FolderState:
    """What is known of one folder pair after the last commit. Replaced, never altered in place."""

    source: bytes  # raw name, the key
    target: bytes  # raw name
    source_uidvalidity: int
    target_uidvalidity: int = 0  # 0: the target folder was not opened yet
    watermark: int = 0  # every source UID up to here has a record
    target_uidnext: int = 0  # every target UID below has a record (of ours or foreign)
    intent_uidnext: int | None = None  # appends were begun: UIDs from here on may lack a record
    ours_from: int | None = None  # what is found from this UID on was stored by us, not by others before
    source_uidnext: int | None = None  # the counters as listed when the last complete pass began
    source_messages: int | None = None
    source_modseq: int | None = None
    is_complete: bool = False  # the last pass over this folder ran to its end
    totals: Mapping[Outcome, int] = field(default_factory=dict)  # every recorded UID of this UIDVALIDITY once
    removed: int = 0  # recorded UIDs that the source does not list any more
    leaves: int = 0  # how many leaves the chain has
    tip: bytes = FIRST_PREVIOUS  # digest of the last


class LeftBehind(NamedTuple):
    """A message that is not on the target, or not as it was: a row of its own, for the pages people read.

    Replaced with its outcome. Of a repaired message ``code`` names the repairs, ``reply`` is the refusal before them.
    """

    folder: bytes
    source_uidvalidity: int
    uid: int
    outcome: Outcome
    code: str  # of the error, "" when no server spoke
    reply: str


class Ledger(Protocol):
    """The ledger of one account. All writes of one call are one transaction."""

    def bind(self, source: str, target: str) -> None:
        """Tie the ledger to a pair of mailboxes (``imap://user@host:port`` each); the first call decides.

        Raises ``MigratorError("ledger.other_pair")`` when it is tied to another pair. Idempotent.
        """
        ...

    def states(self) -> list[FolderState]:
        """Return the state of every folder ever begun."""
        ...

    def begin(self, states: Sequence[FolderState]) -> None:
        """Journal intents: write these states so that a killed process leaves them behind. Always before the effect."""
        ...

    def commit(
        self,
        *,
        leaves: Sequence[Leaf] = (),
        states: Sequence[FolderState] = (),
        left_behind: Sequence[LeftBehind] = (),
        resolved: Sequence[tuple[bytes, int, int]] = (),
    ) -> None:
        """Add leaves, replace states, put rows of messages left behind, remove ``resolved`` ones
        (folder, source_uidvalidity, uid), in one transaction.

        Raises ``ValueError`` when a leaf does not continue its chain (number and previous).
        """
        ...

    def leaves(self, folder: bytes) -> Iterator[Leaf]:
        """Yield the leaves of one folder, oldest first; flat memory."""
        ...

    def stored_leaves(self, folder: bytes) -> Iterator[Leaf]:
        """Yield the leaves of one folder by number as they are stored, checked by nobody: for whoever looks for damage.

        Flat memory. Leaves beyond the end that the folder's state names come out, too.
        """
        ...

    def left_behind(self) -> Iterator[LeftBehind]:
        """Yield the rows of messages left behind, by folder and UID."""
        ...


@runtime_checkable
class NamingLedger(Ledger, Protocol):
    """A ledger that also keeps the numbers of messages for sources that have names instead (NamingSource)."""

    def message_names(self) -> Iterator[MessageName]:
        """Yield the numbers that messages were given by name, of sources that have no numbers of their own."""
        ...

    def note_names(self, names: Sequence[MessageName]) -> None:
        """Keep numbers that messages were given, in one transaction; those of an earlier numbering go.

        Always before a record is made under them.
        """
        ...


class Removal(NamedTuple):
    """A message that was removed from the source, or is about to be: a record of its own, beside that of its copy."""

    folder: bytes
    source_uidvalidity: int
    uid: int
    removed_at: int | None  # seconds since the epoch; None: intended, and nobody has looked yet whether it is gone


@runtime_checkable
class RemovingLedger(Ledger, Protocol):
    """A ledger that also keeps what was removed from the source because a copy of it was proved."""

    def intend_removal(self, folder: bytes, source_uidvalidity: int, uids: Sequence[int]) -> None:
        """Journal that these messages are about to be removed, so that it outlives a power failure."""
        ...

    def removals(self) -> Iterator[Removal]:
        """Yield what was removed or is intended, by folder, UIDVALIDITY and UID; flat memory."""
        ...

    def intended_removals(self) -> Mapping[tuple[bytes, int], Sequence[int]]:
        """Return the UIDs, ascending, whose end nobody has looked at yet, by folder and UIDVALIDITY."""
        ...

    def settle_removals(
        self,
        folder: bytes,
        source_uidvalidity: int,
        *,
        gone: Sequence[int],
        kept: Sequence[int],
        removed_at: int,
        states: Sequence[FolderState] = (),
    ) -> None:
        """Record that ``gone`` were removed, forget the intents of ``kept``, replace ``states``: one transaction."""
        ...


class Sending(NamedTuple):
    """A message that is being handed to a target where nothing can be looked up: until its answer is recorded nobody
    knows whether it is there.
    """

    folder: bytes
    source_uidvalidity: int
    uid: int
    canonical: bytes  # digest; zeros when it was not known before the message was sent


@runtime_checkable
class SendingLedger(Ledger, Protocol):
    """A ledger that also keeps intents to send, for targets that cannot be read (Features.reads_back)."""

    def sending(self) -> list[Sending]:
        """Return the intents that have no answer yet."""
        ...

    def note_sending(self, sending: Sending) -> None:
        """Journal an intent, so that it outlives a power failure. Always before the effect."""
        ...

    def clear_sending(self, sending: Sending) -> None:
        """Forget an intent: its end is recorded, or it is certain that nothing was stored. Idempotent."""
        ...


class ScriptState(NamedTuple):
    """What is known of one Sieve script: what we stored on the target, so that its owner's changes are told from ours.

    Digests are SHA-256, empty where there is none. ``activation``: 0 not by us, 1 about to be, 2 made active by us.
    """

    name: bytes  # at the source
    target: bytes  # its name there: servers may write it in another way
    source_digest: bytes = b""  # of the script when it was stored last
    target_digest: bytes = b""  # of what the target then held
    intent: bytes = b""  # of what is being stored: until it was looked at nobody knows whether it is there
    activation: int = 0


@runtime_checkable
class ScriptLedger(Ledger, Protocol):
    """A ledger that also remembers Sieve scripts."""

    def script_states(self) -> list[ScriptState]:
        """Return what is known of every script ever begun, by name."""
        ...

    def note_scripts(self, states: Sequence[ScriptState]) -> None:
        """Put the states of scripts, so that they outlive a power failure. Always before the effect, and after it."""
        ...
