"""What is remembered of a cutover: which steps were begun, done and undone, and what each saved before it began.

The journal is written before an effect and after it. A step that was begun and not done is the only unknown there is,
and its cure is to look. The engine asks for a journal and keeps none: the panel's is a table, the rescue folder's a
file, the one of tests a list.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, NamedTuple, Protocol

from migrator.entries import Values
from migrator.errors import MigratorError
from migrator.events import Event


class StepKind(StrEnum):
    """What a step does. The values are stored."""

    HOLD = "hold"  # new mail waits, on neither side
    DISABLE = "disable"  # sign-in is refused, sessions are ended
    DELTA = "delta"  # passes until one finds nothing
    VERIFY = "verify"
    SWITCH = "switch"  # the point of no return
    ENABLE = "enable"
    RELEASE = "release"  # what waited flows to the target
    PERSON = "person"  # somebody says go on
    POPULATE = "populate"  # the account comes to be on the target
    PUBLISH = "publish"  # what was changed in a directory reaches those who read a copy of it


class StepKey(NamedTuple):
    """One step of one cutover. ``connector`` names what it works through, "" where it needs none."""

    position: int
    kind: StepKind
    connector: str = ""
    side: str = ""  # "source", "target" or ""


class EntryStatus(StrEnum):
    """How far a step came. The values are stored."""

    BEGUN = "begun"
    DONE = "done"
    UNDONE = "undone"


class Owner(StrEnum):
    """Which server is the user's. The values are stored."""

    SOURCE = "source"
    TARGET = "target"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Entry:
    """A step that was ever begun. ``saved`` is what it noted then; undoing restores exactly that."""

    key: StepKey
    status: EntryStatus
    saved: Values


class Journal(Protocol):
    """The journal of one cutover of one account. Each write is durable when it returns.

    A write may raise what its keeper raises (the lease was lost): nothing goes out after that.
    """

    def entries(self) -> list[Entry]:
        """Return every step ever begun, as it stands."""
        ...

    def begin(self, key: StepKey, saved: Values) -> None:
        """Note that the effect of ``key`` may happen from now on, and what was before it. Called before the effect.

        A step that was undone may begin again, with what is saved now. One that is done begins again, with what it
        saved, before somebody who had crossed is taken back: from then on its effect may be gone. The begin of SWITCH
        makes the owner *unknown*, in the same transaction.
        """
        ...

    def done(self, key: StepKey) -> None:
        """Note that the effect is proved. The done of SWITCH makes the owner *target*, in the same transaction."""
        ...

    def undone(self, key: StepKey) -> None:
        """Note that what was before is proved again. The undone of SWITCH makes the owner *source* again."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEvent(Event):
    """Base of what is told of a step."""

    step: StepKey


@dataclass(frozen=True, slots=True, kw_only=True)
class StepBegun(StepEvent):
    """The effect may happen from now on."""

    name: ClassVar[str] = "step.begun"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDone(StepEvent):
    """The effect is proved."""

    name: ClassVar[str] = "step.done"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepUndone(StepEvent):
    """What was before is proved again."""

    name: ClassVar[str] = "step.undone"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFailed(StepEvent):
    """A step ended a run. ``is_undo`` tells in which direction it was."""

    name: ClassVar[str] = "step.failed"
    error: MigratorError
    is_undo: bool = False


def owner_by(entries: Iterable[Entry]) -> Owner:
    """Return whose the mailbox is, as far as a journal knows."""
    statuses = {entry.status for entry in entries if entry.key.kind is StepKind.SWITCH}
    if EntryStatus.DONE in statuses:
        return Owner.TARGET
    return Owner.UNKNOWN if EntryStatus.BEGUN in statuses else Owner.SOURCE
