"""Recipes: the order of a night as data. The engine that carries one out is the same for all."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from migrator.errors import Side
from migrator.journal import StepKind


class OnFailure(StrEnum):
    """What follows a failure before SWITCH. The values are stored."""

    ROLL_BACK = "roll_back"  # the user works on the source as before
    STAY_HELD = "stay_held"  # the user stays locked out until a person decides


@dataclass(frozen=True, slots=True)
class Recipe:
    """An ordered list of steps, and the choices beside it. A step whose connector is absent is left out."""

    key: str
    name: str  # a code; pages have the words
    steps: tuple[tuple[StepKind, Side | None], ...]
    is_staged: bool  # copied ahead while the user works
    on_failure: OnFailure = OnFailure.ROLL_BACK
    arrive_first: bool = False  # the target is open from the start, its mail follows

    def __post_init__(self) -> None:
        if sum(kind is StepKind.SWITCH for kind, _ in self.steps) != 1:
            raise ValueError("A recipe switches exactly once.")


_NIGHT: Final = (
    (StepKind.DISABLE, Side.SOURCE),
    (StepKind.DELTA, None),
    (StepKind.VERIFY, None),
    (StepKind.SWITCH, None),
    (StepKind.ENABLE, Side.TARGET),
)

RECIPES: Final = {
    recipe.key: recipe
    for recipe in (
        Recipe("classic", "recipe.classic", _NIGHT, is_staged=False),
        Recipe("plain", "recipe.plain", _NIGHT, is_staged=True),
    )
}
