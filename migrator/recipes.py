"""Recipes: the order of a night as data. The engine that carries one out is the same for all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, NamedTuple

from migrator.directories.base import ALL_SERVICES, Service
from migrator.errors import Side
from migrator.journal import StepKind


class OnFailure(StrEnum):
    """What follows a failure before SWITCH. The values are stored."""

    ROLL_BACK = "roll_back"  # the user works on the source as before
    STAY_HELD = "stay_held"  # the user stays locked out until a person decides


class RecipeStep(NamedTuple):
    """One step. ``check`` names what proves a step that only a person can do, "" where their word is enough."""

    kind: StepKind
    side: Side | None = None
    check: str = ""


@dataclass(frozen=True, slots=True)
class Recipe:
    """An ordered list of steps, and the choices beside it. A step whose connector is absent is left out."""

    key: str
    name: str  # a code; pages have the words
    steps: tuple[RecipeStep, ...]
    is_staged: bool  # copied ahead while the user works
    on_failure: OnFailure = OnFailure.ROLL_BACK
    arrive_first: bool = False  # the target is open from the start, its mail follows
    refuses: frozenset[Service] = ALL_SERVICES  # what DISABLE refuses, unless a campaign says otherwise

    def __post_init__(self) -> None:
        flaw = next(iter(flaws(self.steps)), None)
        if flaw is not None:
            raise ValueError(FLAWS[flaw])

    @property
    def made(self) -> int:
        """How many of the first steps make the account: they come before anything else of it is looked at."""
        kinds = (_K.POPULATE, _K.PUBLISH) if self.steps[0].kind is _K.POPULATE else ()
        return next(place for place, step in enumerate(self.steps) if step.kind not in kinds)

    @property
    def early(self) -> int:
        """How many of the first steps come before the copy, outside of the night.

        Who arrives first has crossed by then, and the night that brings the old mail is all the rest.
        """
        if not self.arrive_first:
            return self.made
        rest = range(self._switch() + 1, len(self.steps))
        return next((place for place in rest if self.steps[place].kind in _NIGHT_BEGINS), len(self.steps))

    def home(self, position: int) -> Side:
        """Return the side that serves the user when the step at ``position`` begins, and again when it is undone."""
        return Side.SOURCE if position <= self._switch() else Side.TARGET

    def _switch(self) -> int:
        return next(place for place, step in enumerate(self.steps) if step.kind is StepKind.SWITCH)


FLAWS: Final = {
    "switch": "A recipe switches exactly once.",
    "side": "A step that locks or opens a mailbox names its side.",
    "other_side": "Only steps that lock or open a mailbox name a side.",
    "check": "Only a step of a person has a check.",
    "delta": "A recipe copies exactly once, and compares only after that.",
    "closed": "Whom a step locks a later step must open: at the target, or at the same side.",
    "open": "Nobody is let in at the target before the switch.",
    "held": "What a step holds a later step must release.",
    "unheld": "Only what is held can be released.",
}


def flaws(steps: Sequence[RecipeStep]) -> list[str]:
    """Return what speaks against these steps in this order, as keys of FLAWS; nothing when they make a recipe."""
    found = {
        "switch": _count(steps, _K.SWITCH) != 1,
        "side": any(step.kind in _ON_SIGNING_IN and step.side is None for step in steps),
        "other_side": any(step.kind not in _ON_SIGNING_IN and step.side is not None for step in steps),
        "check": any(step.check and step.kind is not _K.PERSON for step in steps),
        "delta": _count(steps, _K.DELTA) != 1 or _K.VERIFY in _kinds(steps)[: _place(steps, _K.DELTA)],
        "closed": any(not _is_opened(steps, place) for place, step in enumerate(steps) if step.kind is _K.DISABLE),
        "open": RecipeStep(_K.ENABLE, Side.TARGET) in steps[: _place(steps, _K.SWITCH)],
        "held": any(_K.RELEASE not in _kinds(steps)[at:] for at in _places(steps, _K.HOLD)),
        "unheld": any(_K.HOLD not in _kinds(steps)[:at] for at in _places(steps, _K.RELEASE)),
    }
    return [flaw for flaw, is_there in found.items() if is_there]


def _is_opened(steps: Sequence[RecipeStep], place: int) -> bool:
    wanted = (steps[place].side, Side.TARGET)
    return any(step.kind is _K.ENABLE and step.side in wanted for step in steps[place:])


def _kinds(steps: Sequence[RecipeStep]) -> list[StepKind]:
    return [step.kind for step in steps]


def _places(steps: Sequence[RecipeStep], kind: StepKind) -> list[int]:
    return [place for place, step in enumerate(steps) if step.kind is kind]


def _count(steps: Sequence[RecipeStep], kind: StepKind) -> int:
    return len(_places(steps, kind))


def _place(steps: Sequence[RecipeStep], kind: StepKind) -> int:
    return next(iter(_places(steps, kind)), 0)


_K: Final = StepKind
_ON_SIGNING_IN: Final = (_K.DISABLE, _K.ENABLE)
_NIGHT_BEGINS: Final = (_K.HOLD, _K.DISABLE, _K.DELTA)
_NIGHT: Final = (
    RecipeStep(_K.HOLD),
    RecipeStep(_K.DISABLE, Side.SOURCE),
    RecipeStep(_K.DELTA),
    RecipeStep(_K.VERIFY),
    RecipeStep(_K.SWITCH),
    RecipeStep(_K.ENABLE, Side.TARGET),
    RecipeStep(_K.RELEASE),
)

# The old server is brought down for everybody before the first mailbox is copied.
_SIMPLEST: Final = (
    RecipeStep(_K.POPULATE),
    RecipeStep(_K.HOLD),
    RecipeStep(_K.DISABLE, Side.SOURCE),
    RecipeStep(_K.PERSON, check="port_closed"),
    RecipeStep(_K.DELTA),
    RecipeStep(_K.VERIFY),
    RecipeStep(_K.SWITCH),
    RecipeStep(_K.PUBLISH),
    RecipeStep(_K.PERSON, check="ports_open"),
    RecipeStep(_K.ENABLE, Side.TARGET),
    RecipeStep(_K.RELEASE),
)
# Everybody crosses first, to an empty mailbox that takes new mail; their old mail follows, batch by batch.
_CHOKE: Final = (
    RecipeStep(_K.POPULATE),
    RecipeStep(_K.HOLD),
    RecipeStep(_K.DISABLE, Side.SOURCE),
    RecipeStep(_K.SWITCH),
    RecipeStep(_K.PUBLISH),
    RecipeStep(_K.PERSON, check="ports_open"),
    RecipeStep(_K.ENABLE, Side.TARGET),
    RecipeStep(_K.RELEASE),
    RecipeStep(_K.HOLD),
    RecipeStep(_K.DISABLE, Side.TARGET),
    RecipeStep(_K.DELTA),
    RecipeStep(_K.VERIFY),
    RecipeStep(_K.ENABLE, Side.TARGET),
    RecipeStep(_K.RELEASE),
)
# The old host has become a proxy, which keeps its name.
_PROXY: Final = (
    RecipeStep(_K.POPULATE),
    RecipeStep(_K.HOLD),
    RecipeStep(_K.DISABLE, Side.SOURCE),
    RecipeStep(_K.PERSON, check="port_closed"),
    RecipeStep(_K.DELTA),
    RecipeStep(_K.VERIFY),
    RecipeStep(_K.SWITCH),
    RecipeStep(_K.PUBLISH),
    RecipeStep(_K.ENABLE, Side.TARGET),
    RecipeStep(_K.RELEASE),
)
# Both servers on one host: the old one gives up its ports, the new one takes them.
_ONE_HOST: Final = (
    RecipeStep(_K.PERSON, check="both_listen"),
    RecipeStep(_K.HOLD),
    RecipeStep(_K.DISABLE, Side.SOURCE),
    RecipeStep(_K.PERSON, check="port_closed"),
    RecipeStep(_K.DELTA),
    RecipeStep(_K.VERIFY),
    RecipeStep(_K.PERSON, check="no_new_mail"),
    RecipeStep(_K.SWITCH),
    RecipeStep(_K.PERSON, check="ports_open"),
    RecipeStep(_K.ENABLE, Side.TARGET),
    RecipeStep(_K.RELEASE),
)

RECIPES: Final = {
    recipe.key: recipe
    for recipe in (
        Recipe("classic", "recipe.classic", _NIGHT, is_staged=False),
        Recipe("plain", "recipe.plain", _NIGHT, is_staged=True),
        Recipe("sims1", "recipe.sims1", _SIMPLEST, is_staged=False),
        Recipe("sims2", "recipe.sims2", _CHOKE, is_staged=False, on_failure=OnFailure.STAY_HELD, arrive_first=True),
        Recipe(
            "sims3",
            "recipe.sims3",
            _PROXY,
            is_staged=True,
            on_failure=OnFailure.STAY_HELD,
            refuses=frozenset({Service.READING}),
        ),
        Recipe("switching", "recipe.switching", _ONE_HOST, is_staged=True),
        Recipe("secondary", "recipe.secondary", (RecipeStep(_K.POPULATE), *_NIGHT), is_staged=True),
    )
}


def recipe_of(key: str, steps: Sequence[Sequence[str]] = ()) -> Recipe:
    """Return a shipped recipe, with ``steps`` (as :func:`stored` writes them) in place of its own where there are any.

    Raises ``KeyError`` where none is shipped under ``key``, ``ValueError`` for steps that cannot be meant.
    """
    shipped = RECIPES[key]
    return replace(shipped, steps=tuple(_step(*step) for step in steps)) if steps else shipped


def stored(steps: Iterable[RecipeStep]) -> list[list[str]]:
    """Return steps as they are kept: kind, side and check of each, as texts."""
    return [[step.kind.value, step.side.value if step.side else "", step.check] for step in steps]


def _step(kind: str, side: str = "", check: str = "") -> RecipeStep:
    return RecipeStep(StepKind(kind), Side(side) if side else None, check)
