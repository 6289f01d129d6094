"""What users will notice of each recipe, and what they notice more where a connection is missing. Words alone.

The answers are to QUESTIONS, in their order. What is promised here the recipe keeps only with the connections that it
is made for: ``missing`` says for each that a campaign lacks what it means for people.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy

from migrator.directories.base import Service
from migrator.journal import StepKind
from migrator.recipes import Recipe

Words = str | Promise

QUESTIONS: Final[tuple[Words, ...]] = (
    gettext_lazy("Can they read mail?"),
    gettext_lazy("Can they send?"),
    gettext_lazy("Does mail bounce?"),
    gettext_lazy("Change in mail program?"),
    gettext_lazy("Order of mail?"),
    gettext_lazy("How long?"),
    gettext_lazy("Way back?"),
)
_AS_IT_WAS: Final = gettext_lazy("As it was")
_NEW_NAME: Final = gettext_lazy("New server name, for everybody, once")

ANSWERS: Final[dict[str, tuple[Words, ...]]] = {
    "sims1": (
        gettext_lazy("Not from the stop of the old server until the new one is started: hours"),
        gettext_lazy("Not in that time"),
        gettext_lazy("It may: no server takes mail meanwhile, so it waits at its senders or comes back to them"),
        _NEW_NAME,
        _AS_IT_WAS,
        gettext_lazy("One night for all, as long as the whole copy takes"),
        gettext_lazy("By starting the old server again, until people are on the new one"),
    ),
    "sims2": (
        gettext_lazy("New mail on the new server from the start; nothing while their own batch is copied"),
        gettext_lazy("Not while their own batch is copied"),
        gettext_lazy("No: what arrives meanwhile is kept, and delivered afterwards"),
        _NEW_NAME,
        gettext_lazy("By date it is right; by arrival new mail stands before the old that follows it"),
        gettext_lazy("A night per 1,000; old mail is there in the morning"),
        gettext_lazy("No: the new server is theirs from the start. Who fails stays locked until somebody decides"),
    ),
    "sims3": (
        gettext_lazy("Not while their own batch is copied"),
        gettext_lazy("Always"),
        gettext_lazy("No: what arrives meanwhile is held, and delivered afterwards"),
        gettext_lazy("None: the name that they know leads to the new server"),
        gettext_lazy("As it was: what was held comes after the old mail"),
        gettext_lazy("A night per 1,000"),
        gettext_lazy("Until each is switched. Who fails stays locked, with the mail held, until somebody decides"),
    ),
    "switching": (
        gettext_lazy("Always, but from the stop of the old server until the new one has its ports"),
        gettext_lazy("Always, but for the same time"),
        gettext_lazy("No: senders try again for days, and what they try in that time comes a little later"),
        gettext_lazy("None: the same name and the same ports"),
        _AS_IT_WAS,
        gettext_lazy("Days in the background, then one night for everybody on that machine"),
        gettext_lazy("By giving the old server its ports again, until people are on the new one"),
    ),
    "secondary": (
        gettext_lazy("Always, but for the short lock at their switch"),
        gettext_lazy("Always, but for the same short lock"),
        gettext_lazy("Not by us. What arrives late on the old server is brought over afterwards"),
        gettext_lazy("New server name, and the whole address as user name"),
        _AS_IT_WAS,
        gettext_lazy("Days in the background, then one night per 1,000"),
        gettext_lazy("Yes, one by one, until each is switched"),
    ),
}

_MISSING: Final[dict[StepKind, Words]] = {
    StepKind.HOLD: gettext_lazy(
        "Nothing holds new mail: what arrives during the move goes to the old mailbox, and is brought over afterwards."
    ),
    StepKind.DISABLE: gettext_lazy(
        "Nobody is locked out: what somebody changes on the old server during the move may stay there."
    ),
    StepKind.SWITCH: gettext_lazy(
        "Nothing leads mail to the new server by itself: until somebody changes that, new mail goes to the old one."
    ),
    StepKind.POPULATE: gettext_lazy("Accounts are not made on the new server: they must be there before the night."),
    StepKind.PUBLISH: gettext_lazy(
        "Servers that keep a copy of the directory are not told: they act on a change when they next read it."
    ),
}
_READING_ONLY: Final = gettext_lazy("Sending stays allowed while somebody is locked out of reading.")


def missing(recipe: Recipe, connections: Collection[StepKind]) -> list[Words]:
    """Return what people notice more because steps of ``recipe`` have no connection: those not in ``connections``."""
    kinds = dict.fromkeys(step.kind for step in recipe.steps)
    return [_MISSING[kind] for kind in kinds if kind in _MISSING and kind not in connections]


def out_of_order(recipe: Recipe) -> bool:
    """True when new mail may stand before old mail: it arrives while the old is still to come."""
    kinds = [step.kind for step in recipe.steps]
    is_held = StepKind.HOLD in kinds and StepKind.RELEASE in kinds
    return recipe.arrive_first or (not is_held and not recipe.is_staged)


def sending_stays(services: Collection[Service]) -> Words | None:
    """Return what to say where DISABLE refuses reading alone; None where sending is refused, too."""
    return None if Service.SENDING in services else _READING_ONLY
