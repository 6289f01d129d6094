"""What a survey foresees of one account, each with how bad it is; and what it counted. Values that survive JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any, Final, Self

from migrator.entries import Json
from migrator.errors import CATALOGUE, N_, MigratorError, Patience, Side

EXAMPLES: Final = 5  # names that stand for all with the same finding


class Severity(StrEnum):
    """What becomes of the account if nobody does anything."""

    STOPS = "stops"  # it is not moved
    LOSES = "loses"  # it is moved, and something that its owner may miss is not
    CHANGES = "changes"  # all is moved, and something is not called or placed as it was
    NOTES = "notes"  # nothing happens; somebody should know


# What the catalogue says of in the past tense is still to come.
_AHEAD: Final = {
    "target.full": (
        N_("The new mailbox will be full before all is copied."),
        N_("Give it more room before the move."),
    ),
    "message.too_big": (
        N_("Messages are bigger than the new server allows; they will stay behind."),
        N_("Raise the limit on the new server before the move, or tell the owner."),
    ),
    "pair.strangers": (
        N_("The new mailbox holds mail of somebody else. Nothing will be written into it."),
        N_("Compare the two names in the list. If it is one person under two names, say so before the move."),
    ),
}


@dataclass(frozen=True, slots=True)
class Foreseen:
    """One thing that will happen. ``code`` is one of errors.CATALOGUE; ``count`` of what, the code says.

    ``examples`` are names of folders, flags and the like, never content. ``facts`` are figures by name.
    """

    code: str
    severity: Severity
    side: Side | None = None
    count: int = 0
    examples: tuple[str, ...] = ()
    facts: Mapping[str, Json] = field(default_factory=dict)
    reply: str = ""  # the server's own words

    @classmethod
    def of(cls, error: MigratorError, severity: Severity = Severity.STOPS, **more: Any) -> Self:
        """Return what an error that was met means for the account."""
        return cls(error.code, severity, error.side, reply=error.reply, **more)

    @property
    def sentence(self) -> str:
        """What will happen, in plain words (a message id)."""
        return _AHEAD[self.code][0] if self.code in _AHEAD else CATALOGUE[self.code].sentence

    @property
    def next_step(self) -> str:
        """What to do about it (a message id)."""
        return _AHEAD[self.code][1] if self.code in _AHEAD else CATALOGUE[self.code].next_step

    @property
    def passes_by_itself(self) -> bool:
        """True when it stops the account today, and not for a reason that a person must mend."""
        return CATALOGUE[self.code].patience is not Patience.NEVER and self.code not in ("target.full", "server.full")


@dataclass(frozen=True, slots=True)
class Sample:
    """Messages that were read to measure how fast the old server hands them out."""

    messages: int = 0
    size_bytes: int = 0
    seconds: float = 0.0


NOT_SAMPLED: Final = Sample()


@dataclass(frozen=True, slots=True)
class AccountSurvey:
    """One account as it was found. Counts are of what would be copied."""

    folders: int = 0
    messages: int = 0
    size_bytes: int = 0
    biggest_bytes: int = 0
    target_messages: int = 0  # that the new mailbox holds
    products: tuple[str, str] = ("", "")
    has_access_lists: tuple[bool, bool] = (False, False)
    opening_seconds: float = 0.0  # to sign in and list, both sides at once
    sample: Sample = NOT_SAMPLED
    foreseen: tuple[Foreseen, ...] = ()

    @property
    def stops(self) -> bool:
        """True when the account will not be moved unless something is done."""
        return any(one.severity is Severity.STOPS for one in self.foreseen)

    @property
    def worst(self) -> Severity | None:
        """The gravest severity; None when nothing was found."""
        return self.foreseen[0].severity if self.foreseen else None

    def with_more(self, found: Iterable[Foreseen]) -> Self:
        """Return the same with what somebody else found."""
        return replace(self, foreseen=gravest_first([*self.foreseen, *found]))

    def as_json(self) -> dict[str, Any]:
        """Return it for programs and for storing."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Return what ``as_json`` made, after it went through JSON."""
        foreseen = tuple(
            Foreseen(
                **one
                | {
                    "severity": Severity(one["severity"]),
                    "side": Side(one["side"]) if one["side"] else None,
                    "examples": tuple(one["examples"]),
                }
            )
            for one in stored["foreseen"]
        )
        pairs = {name: tuple(stored[name]) for name in ("products", "has_access_lists")}
        more = {"foreseen": foreseen, **pairs, "sample": Sample(**stored["sample"])}
        return cls(**{**stored, **more})


_ORDER: Final = list(Severity)


def gravest_first(found: Iterable[Foreseen]) -> tuple[Foreseen, ...]:
    """Return what was foreseen in the order in which a person should read it."""
    return tuple(sorted(found, key=lambda one: (_ORDER.index(one.severity), one.code, one.side or "")))
