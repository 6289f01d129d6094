"""Campaigns and batches as those see them who plan: each with its sentence, how far it is, who needs a person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext, ngettext

from campaigns.bridge import places
from campaigns.models import Batch, Campaign, CampaignDraft, Connector, Server, User
from campaigns.selectors import overview
from campaigns.selectors.batch import BatchView, views_of
from campaigns.selectors.figures import Figures
from campaigns.states import AccountState, Family

# Nothing happens to accounts in these unless a person does something.
_NEED_PERSON: Final = (AccountState.FAILED, AccountState.HELD, AccountState.ATTENTION)


@dataclass(frozen=True, slots=True)
class CampaignLine:
    """One campaign in the list of all."""

    campaign: Campaign
    families: dict[Family, int]
    accounts: int
    batches: int
    need_person: int
    sentence: str


@dataclass(frozen=True, slots=True)
class BatchLine:
    """One batch in the table of a campaign's."""

    batch: Batch
    families: dict[Family, int]
    accounts: int
    need_person: int
    waits: str
    act: str  # start, resume, go: what would let it go on; "" for nothing, or for what takes a look first
    can_split: bool


@dataclass(frozen=True, slots=True)
class Ground:
    """What administrators have set up, that campaigns are planned with."""

    servers: int
    directories: int
    sessions: int
    routes: int

    @property
    def suffices(self) -> bool:
        return self.servers > 1


def ground() -> Ground:
    """Return what there is to plan with."""
    rooms = list(Connector.objects.values_list("room", flat=True))
    room = Connector.Room
    counts = (rooms.count(one) for one in (room.DIRECTORY, room.SESSIONS, room.ROUTE))
    return Ground(Server.objects.count(), *counts)


def only_servers() -> dict[str, Server]:
    """Return the two servers as old and new, the one set up first as the old one; nothing where there are others."""
    found = list(Server.objects.order_by("pk")[:3])
    is_pair = len(found) == 2 and places.serves(found[0], "source") and places.serves(found[1], "target")
    return {"source": found[0], "target": found[1]} if is_pair else {}


def only_connectors() -> dict[str, int]:
    """Return the connector of each room that has just one: nobody needs to choose it."""
    room = Connector.Room
    places = {room.DIRECTORY: ("source_directory", "target_directory"), room.SESSIONS: ("source_sessions",)}
    places[room.ROUTE] = ("route",)
    found = list(Connector.objects.values_list("room", "pk"))
    keys = {one: [pk for place, pk in found if place == one] for one in places}
    return {name: keys[one][0] for one, names in places.items() if len(keys[one]) == 1 for name in names}


def drafts(owner: User) -> list[CampaignDraft]:
    """Return the campaigns that somebody has begun to plan, the latest first."""
    return list(CampaignDraft.objects.filter(owner=owner).select_related("source", "target").order_by("-changed_at"))


def campaigns() -> list[CampaignLine]:
    """Return all campaigns, those that are open first, the latest first."""
    lines = [_campaign_line(view) for view in overview.campaigns()]
    return sorted(lines, key=lambda line: line.campaign.closed_at is not None)


def _campaign_line(view: overview.CampaignView) -> CampaignLine:
    figures, batches = view.figures, len(view.batches)
    return CampaignLine(
        view.campaign,
        dict(figures.families),
        figures.accounts,
        batches,
        need_person(figures),
        campaign_sentence(view.campaign, figures),
    )


def all_sentence(lines: Sequence[CampaignLine]) -> str:
    """Return how all campaigns stand together, in one sentence."""
    under_way = sum(line.campaign.closed_at is None for line in lines)
    told = ngettext("One campaign is open", "%(n)s campaigns are open", under_way) % {"n": f"{under_way:,}"}
    if needing := sum(line.need_person for line in lines):
        more = ngettext("%(n)s account needs a person", "%(n)s accounts need a person", needing)
        return f"{told}; {more % {'n': f'{needing:,}'}}."
    return f"{told}."


def need_person(figures: Figures) -> int:
    """Return how many accounts wait for a person."""
    return sum(figures.states[state] for state in _NEED_PERSON)


def campaign_sentence(campaign: Campaign, figures: Figures) -> str:
    """Return how a campaign stands, in one sentence."""
    if not figures.accounts:
        return gettext("No list yet.")
    told = progress_sentence(figures)
    if campaign.closed_at:
        return gettext("Closed on %(day)s. %(told)s") % {"day": _day(campaign.closed_at), "told": told}
    return gettext("Paused. %(told)s") % {"told": told} if campaign.is_paused else told


def progress_sentence(figures: Figures) -> str:
    """Return how many have moved, and how many need somebody."""
    counts = {"done": f"{figures.states[AccountState.DONE]:,}", "all": f"{figures.accounts:,}"}
    told = gettext("%(done)s of %(all)s are on the new server") % counts
    if needing := need_person(figures):
        told += ", " + ngettext("%(n)s needs you", "%(n)s need you", needing) % {"n": f"{needing:,}"}
    return f"{told}."


def _day(at: datetime) -> str:
    return date_format(timezone.localtime(at), "M j, Y")


def batches(campaign: Campaign) -> list[BatchLine]:
    """Return the batches of a campaign, by number."""
    return [_batch_line(view) for view in views_of(campaign)]


def _batch_line(view: BatchView) -> BatchLine:
    batch, figures = view.batch, view.figures
    is_open = batch.campaign.closed_at is None
    return BatchLine(
        batch=batch,
        families=dict(figures.families),
        accounts=figures.accounts,
        need_person=need_person(figures),
        waits=_waits(view),
        act=_act(view) if is_open and figures.accounts else "",
        can_split=is_open and batch.started_at is None and figures.accounts > 1,
    )


def _waits(view: BatchView) -> str:
    batch = view.batch
    if view.has_ended:
        return gettext("Ended")
    if view.waits_for == "start" and batch.starts_at:
        return gettext("Its start time")
    known = {
        "start": gettext("Somebody to start it"),
        "resume": gettext("Paused"),
        "go": gettext("Somebody to say go"),
        "window": gettext("Its window"),
        "canary": gettext("Approval of the first few"),
    }
    return known.get(view.waits_for, gettext("Nothing, it is under way"))


def _act(view: BatchView) -> str:
    if view.waits_for == "resume":
        return "resume" if view.batch.is_paused else ""
    return view.waits_for if view.waits_for in ("start", "go") else ""


def account_words(accounts: int) -> str:
    """Return a number of accounts, in words."""
    return ngettext("%(n)s account", "%(n)s accounts", accounts) % {"n": f"{accounts:,}"}
