"""What mail programs will notice: the last comparison of the two servers, and what to tell people of the move."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.timezone import localtime
from django.utils.translation import gettext, gettext_lazy

from campaigns.models import Campaign, Event
from campaigns.selectors import stories, words
from campaigns.services import impacts
from migrator.preflight.impact import Difference, Weight

Words = str | Promise

HEADINGS: Final[dict[Weight, Words]] = {
    Weight.SETTINGS: gettext_lazy("People must change something"),
    Weight.RELOAD: gettext_lazy("Programs do something by themselves"),
    Weight.LOOKS: gettext_lazy("It looks different"),
    Weight.LACKS: gettext_lazy("Something is there no more"),
}
FAMILIES: Final = {
    Weight.SETTINGS: "failed",
    Weight.RELOAD: "attention",
    Weight.LOOKS: "working",
    Weight.LACKS: "waiting",
}


@dataclass(frozen=True, slots=True)
class Told:
    """One difference in words, with both sides."""

    sentence: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Section:
    """All differences of one weight."""

    heading: Words
    family: str
    lines: tuple[Told, ...]


@dataclass(frozen=True, slots=True)
class ProgramsPage:
    """The last comparison. Without ``at`` nobody has looked yet; with ``error`` the last look failed."""

    at: datetime | None = None
    actor: str = ""
    account: str = ""
    error: str = ""
    reply: str = ""
    sections: tuple[Section, ...] = ()

    @property
    def count(self) -> int:
        """How many differences there are."""
        return sum(len(section.lines) for section in self.sections)

    @property
    def to_change(self) -> int:
        """How many of them people must do something about."""
        return sum(len(one.lines) for one in self.sections if one.family == FAMILIES[Weight.SETTINGS])


def view(campaign: Campaign) -> ProgramsPage:
    """Return what the last look told. One query: it is an event."""
    rows = Event.objects.filter(account=None, name__in=(impacts.LOOKED, impacts.FAILED)).select_related("actor")
    event = next((row for row in rows.order_by("-pk") if row.campaign_id == campaign.pk), None)
    if event is None:
        return ProgramsPage()
    actor = stories.actor(event)
    if event.name == impacts.FAILED:
        error = words.cause(event.data["code"], event.data.get("side", ""))
        return ProgramsPage(event.at, actor, error=error, reply=event.data.get("reply", ""))
    found = [Difference.from_json(one) for one in event.data.get("found", [])]
    sections = tuple(_section(weight, found) for weight in Weight)
    shown = tuple(one for one in sections if one.lines)
    return ProgramsPage(event.at, actor, event.data.get("account", ""), sections=shown)


def _section(weight: Weight, found: list[Difference]) -> Section:
    lines = tuple(_told(one) for one in found if one.weight is weight)
    return Section(HEADINGS[weight], FAMILIES[weight], lines)


def _told(one: Difference) -> Told:
    nothing = gettext("none")
    return Told(gettext(one.sentence), one.old or nothing, one.new or nothing)


def announcement(campaign: Campaign, page: ProgramsPage, begins_at: datetime | None = None) -> list[str]:
    """Return what to send to the people of a campaign before their night, as paragraphs: ready to copy.

    It promises nothing that was not looked at: without a comparison it names the new server alone.
    """
    told = [gettext("Your mailbox moves to a new server.")]
    if begins_at is not None:
        local = localtime(begins_at)
        when = {"day": date_format(local, "l, F j"), "time": date_format(local, "H:i")}
        told[0] = gettext("Your mailbox moves to a new server on %(day)s, from %(time)s on.") % when
    told.append(gettext("All your mail and folders come along. You need not save or forward anything."))
    if page.at is not None and not page.error:
        told += _to_do(campaign, page)
    told.append(
        gettext("Should something be missing afterwards, tell the helpdesk: the old mailbox is kept meanwhile.")
    )
    return told


def _to_do(campaign: Campaign, page: ProgramsPage) -> list[str]:
    told = []
    if not page.to_change:
        told.append(gettext("You need not change anything in your mail program."))
    else:
        new = {"host": campaign.target.host, "port": campaign.target.port}
        told.append(
            gettext("In your mail program and on your phone, enter the new server after that: %(host)s, port %(port)s.")
            % new
        )
    if any(section.family == FAMILIES[Weight.RELOAD] for section in page.sections):
        told.append(gettext("Your mail program fetches all mail anew once. That may take a while; let it finish."))
    return told
