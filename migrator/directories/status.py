"""The value that admits or refuses a user: which values mean what, and what an entry becomes when it is closed.

The trap is among the refusals. Of a user who is *inactive*, servers of the SIMS family say to senders: later. Of one
who is *disabled*, *deleted* or *removed* they say: never, and the mail bounces.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from migrator.directories.base import Service
from migrator.entries import Json, Values
from migrator.options import Options

BOUNCING: Final = frozenset({"disabled", "deleted", "removed"})


@dataclass(frozen=True, slots=True)
class Preset:
    """What is known of an attribute by its name. ``beside``: others that refuse the same user on their own."""

    admitting: tuple[str, ...] = ("active",)
    closed: str = "inactive"
    beside: tuple[str, ...] = ()


# A missing value means active, and one that is not known means inactive (Messaging Server 6.3 administration).
# mailUserStatus=overquota refuses mail, not its owner.
PRESETS: Final[dict[str, Preset]] = {  # by name in lower case: names of attributes have no case
    "emailpersonstatus": Preset(),
    "mailuserstatus": Preset(("active", "overquota"), beside=("inetUserStatus",)),
    "inetuserstatus": Preset(beside=("mailUserStatus",)),
}


@dataclass(frozen=True, slots=True)
class Status:
    """One governed value called ``name``. ``is_list``: it is kept as a list of values, as LDAP does."""

    name: str
    open_value: Json
    closed_value: Json
    admitting: frozenset[Json]
    absent_admits: bool
    is_list: bool
    reading_value: Json = None  # refuses reading and lets send; None where the directory does not tell these apart

    @classmethod
    def of(cls, options: Options, name: str, *, is_list: bool) -> Status:
        """Read open_value, closed_value, reading_value, admitting_values and absent_admits. Raises ``ValueError``.

        For an attribute of PRESETS all have defaults; for another, open_value and closed_value must be given.
        """
        preset = PRESETS.get(name.lower())
        opened = options.scalar("open_value", preset.admitting[0] if preset else None)
        closed = options.scalar("closed_value", preset.closed if preset else None)
        admitting = options.scalars("admitting_values", preset.admitting if preset else [opened])
        status = cls(
            name=name,
            open_value=opened,
            closed_value=closed,
            admitting=frozenset(map(_spelled, [*admitting, opened])),
            absent_admits=options.flag("absent_admits", True),
            is_list=is_list,
            reading_value=options.scalar("reading_value"),
        )
        status._check()
        return status

    def beside(self) -> list[Status]:
        """Return the statuses that refuse the same user on their own."""
        preset = PRESETS.get(self.name.lower(), Preset())
        return [Status.of(Options({}), name, is_list=self.is_list) for name in preset.beside]

    def refuses(self, values: Values) -> bool:
        """Tell whether an entry with ``values`` is refused at sign-in. One refusing value of several is enough."""
        found = _listed(values[self.name])
        if not found:
            return not self.absent_admits
        return not all(_spelled(value) in self.admitting for value in found)

    def closed(self, values: Values, services: Collection[Service]) -> Values:
        """Return ``values`` closed. Without a reading_value all services are refused together."""
        if self.refuses(values) or not services:
            return dict(values)
        lets_send = self.reading_value is not None and Service.SENDING not in services
        return self._with(values, self.reading_value if lets_send else self.closed_value)

    def opened(self, values: Values) -> Values:
        """Return ``values`` opened."""
        return self._with(values, self.open_value) if self.refuses(values) else dict(values)

    def _with(self, values: Values, value: Json) -> Values:
        return {**values, self.name: [value] if self.is_list else value}

    def _check(self) -> None:
        if self.open_value is None or self.closed_value is None:
            raise ValueError(f"Say what admits and what refuses a user: open_value and closed_value of {self.name}.")
        if self.is_list and not (isinstance(self.open_value, str) and isinstance(self.closed_value, str)):
            raise ValueError("The options open_value and closed_value must be texts.")
        if self.is_list and not isinstance(self.reading_value, str | None):
            raise ValueError("The option reading_value must be a text.")
        self._check_refusing("closed_value", self.closed_value)
        if self.reading_value is not None:
            self._check_refusing("reading_value", self.reading_value)

    def _check_refusing(self, option: str, value: Json) -> None:
        if _spelled(value) in self.admitting:
            raise ValueError(f"The {option} {value} admits the user.")
        if self.name.lower() in PRESETS and _spelled(value) in BOUNCING:
            raise ValueError(
                f"With {self.name} {value} the mail of the user is returned to its senders. "
                "Use inactive: it makes them wait."
            )


def _listed(value: Json) -> list[Json]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _spelled(value: Json) -> Json:
    """Return texts as directories compare them; True is not 1 here."""
    if isinstance(value, bool):
        return f"{value!r} "  # no text ends with a blank once it is stripped
    return value.strip().casefold() if isinstance(value, str) else value
