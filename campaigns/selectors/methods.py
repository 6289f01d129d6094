"""The methods by which people move, told by what they will notice: a recipe, with or without a directory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy

from campaigns.models import Campaign
from campaigns.selectors.notices import ANSWERS, QUESTIONS

Words = str | Promise


@dataclass(frozen=True, slots=True)
class Method:
    """One method: ``answers`` are to QUESTIONS, in their order."""

    key: str
    recipe: str
    is_governed: bool  # locks people through a directory
    title: Words
    lead: Words
    answers: tuple[Words, ...]

    @property
    def told(self) -> list[tuple[Words, Words]]:
        """Each question with its answer."""
        return list(zip(QUESTIONS, self.answers, strict=True))


_AS_IT_WAS: Final = gettext_lazy("As it was")
METHODS: Final = (
    Method(
        "ahead",
        "plain",
        True,
        gettext_lazy("Copy ahead, switch at night"),
        gettext_lazy("Best for most. Mail is copied while people work; only the last changes wait for the switch."),
        (
            gettext_lazy("Always, but for the short lock at their switch"),
            gettext_lazy("Always, but for the same short lock"),
            gettext_lazy("Not by us. What arrives late on the old server is brought over afterwards"),
            gettext_lazy("New server name, once, unless a route leads them there"),
            _AS_IT_WAS,
            gettext_lazy("Days in the background, then one night per 1,000"),
            gettext_lazy("Yes, one by one, until each is switched"),
        ),
    ),
    Method(
        "locked",
        "classic",
        True,
        gettext_lazy("Lock, copy, open"),
        gettext_lazy("The classic way: nobody changes anything while their mail is copied."),
        (
            gettext_lazy("Not while their own mailbox is copied: minutes to hours"),
            gettext_lazy("Not in that time"),
            gettext_lazy("Not if the old server takes mail for locked mailboxes; ask before the night"),
            gettext_lazy("New server name, once, unless a route leads them there"),
            _AS_IT_WAS,
            gettext_lazy("One long night per 1,000"),
            gettext_lazy("Yes, one by one, until each is switched"),
        ),
    ),
    Method(
        "plain",
        "plain",
        False,
        gettext_lazy("Plain copy with catch-up"),
        gettext_lazy("Two servers and a list, nothing else. You tell people when to change over."),
        (
            gettext_lazy("Always, on the server they look at"),
            gettext_lazy("Always"),
            gettext_lazy("Never by us"),
            gettext_lazy("New server name, when you tell them"),
            _AS_IT_WAS,
            gettext_lazy("As long as you like: new mail follows for the days you choose"),
            gettext_lazy("Not needed. The old mailbox is never touched"),
        ),
    ),
    Method(
        "once",
        "classic",
        False,
        gettext_lazy("One copy, in the window"),
        gettext_lazy("Nothing is copied before you say go; then each mailbox once, as it is at that moment."),
        (
            gettext_lazy("Always, on the server they look at"),
            gettext_lazy("Always"),
            gettext_lazy("Never by us"),
            gettext_lazy("New server name, when you tell them"),
            _AS_IT_WAS,
            gettext_lazy("One long night per 1,000"),
            gettext_lazy("Not needed. The old mailbox is never touched"),
        ),
    ),
    Method(
        "sims1",
        "sims1",
        False,
        gettext_lazy("Stop, copy, start"),
        gettext_lazy("The simplest way from files of mail: the old server is stopped for everybody, then copied."),
        ANSWERS["sims1"],
    ),
    Method(
        "sims2",
        "sims2",
        True,
        gettext_lazy("New server first, old mail follows"),
        gettext_lazy("Everybody crosses first and gets new mail there; old mail follows, batch by batch."),
        ANSWERS["sims2"],
    ),
    Method(
        "sims3",
        "sims3",
        True,
        gettext_lazy("A server in front, mail held"),
        gettext_lazy("The old name leads each person to the right server; mail is held while a batch is copied."),
        ANSWERS["sims3"],
    ),
    Method(
        "switching",
        "switching",
        False,
        gettext_lazy("Two servers on one machine"),
        gettext_lazy("The new server stands beside the old one, and takes its ports in the night."),
        ANSWERS["switching"],
    ),
    Method(
        "secondary",
        "secondary",
        True,
        gettext_lazy("To a second domain"),
        gettext_lazy("People become members of another domain of the new server, under their whole address."),
        ANSWERS["secondary"],
    ),
)


def method(recipe: str, is_governed: bool) -> Method:
    """Return the method of a recipe; one that has no page of its own is told as the nearest."""
    of_recipe = [one for one in METHODS if one.recipe == recipe]
    exact = next((one for one in of_recipe if one.is_governed == is_governed), None)
    return exact or next(iter(of_recipe), METHODS[2])


def method_of(campaign: Campaign) -> Method:
    """Return the method of a campaign."""
    return method(campaign.recipe, bool(campaign.source_directory_id or campaign.target_directory_id))
