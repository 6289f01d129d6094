"""What a batch will write into the directory: for people, step by step, and as files that ldapmodify reads."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.utils.translation import gettext

from campaigns.bridge import ldif as bridge
from campaigns.bridge.connect import WORLD, World
from campaigns.bridge.ldif import Planned
from campaigns.models import Account, Batch
from campaigns.selectors import words
from campaigns.states import AccountState
from migrator.directories.ldif import Line, comment, difference
from migrator.journal import StepKind
from migrator.recipes import recipe_of
from migrator.steps.writes import Write

PAGE_ACCOUNTS: Final = 25
MOST_SECONDS: Final = 8.0  # so long somebody waits for the page
MOST_GROUPS: Final = 25
_WRITING: Final = (
    StepKind.HOLD,
    StepKind.DISABLE,
    StepKind.SWITCH,
    StepKind.ENABLE,
    StepKind.RELEASE,
    StepKind.POPULATE,
)
_OF_GROUPS: Final = (StepKind.HOLD, StepKind.SWITCH, StepKind.RELEASE)
_NOT_TO_COME: Final = (AccountState.DONE, AccountState.EXCLUDED)


@dataclass(frozen=True, slots=True)
class Change:
    """One write of one step, line by line."""

    step: str
    dn: str
    lines: list[Line]


@dataclass(frozen=True, slots=True)
class Row:
    """One account or group; ``error`` is why nothing can be told of it. ``dn``: of its entry, where it is one."""

    key: int
    address: str
    dn: str
    changes: list[Change]
    error: str = ""
    reply: str = ""


@dataclass(frozen=True, slots=True)
class StepFile:
    """A step that writes into the directory: what is downloaded apart."""

    position: int
    name: str
    is_for_groups: bool  # groups have no sign-in, and are made by hand


@dataclass(frozen=True, slots=True)
class View:
    """One page of accounts that are still to move, and the steps that write."""

    connectors: list[str]
    steps: list[StepFile]
    rows: list[Row]
    groups: list[Row]
    accounts: int
    number: int
    pages: int
    is_cut: bool  # the directory was too slow for the rest of this page
    has_more_groups: bool

    @property
    def before(self) -> int:
        """The page before."""
        return self.number - 1

    @property
    def after(self) -> int:
        """The page after."""
        return self.number + 1


def view(batch: Batch, number: str, world: World = WORLD) -> View:
    """Return page ``number`` of what will be written, read from the directory now."""
    pages = Paginator(_accounts(batch), PAGE_ACCOUNTS)
    page = pages.get_page(number)
    end = time.monotonic() + MOST_SECONDS
    names = [row.name for row in bridge.connectors(batch.campaign)]
    people, groups = _people_and_groups(batch, page.object_list, world, end) if names else ([], [])
    return View(
        connectors=names,
        steps=steps(batch) if names else [],
        rows=list(map(_row, people)),
        groups=list(map(_row, groups[:MOST_GROUPS])),
        accounts=pages.count,
        number=page.number,
        pages=pages.num_pages,
        is_cut=bool(names) and len(people) < len(page.object_list),
        has_more_groups=len(groups) > MOST_GROUPS,
    )


def steps(batch: Batch) -> list[StepFile]:
    """Return the steps of the batch's recipe that write into LDAP, in order."""
    campaign = batch.campaign
    has = {
        StepKind.HOLD: campaign.hold,
        StepKind.RELEASE: campaign.hold,
        StepKind.SWITCH: campaign.route,
        StepKind.POPULATE: campaign.population,
    }
    found = []
    for position, step in enumerate(recipe_of(campaign.recipe, campaign.steps).steps):
        if step.kind in (StepKind.DISABLE, StepKind.ENABLE):
            row = campaign.source_directory if step.side == "source" else campaign.target_directory
        else:
            row = has.get(step.kind)
        if step.kind in _WRITING and row is not None and row.kind == bridge.LDAP:
            name = words.step(step.kind, step.side or "")
            found.append(StepFile(position, name, step.kind in _OF_GROUPS and _has_route(batch)))
    return found


def file(batch: Batch, position: int, *, is_back: bool, world: World = WORLD) -> Iterator[str]:
    """Yield what ldapmodify reads to take the step at ``position`` for every account to move, or to undo it.

    Who cannot be told of is named in a comment; the last line says whether all are in it.
    """
    accounts = _accounts(batch)
    yield _head(batch, position, is_back=is_back)
    yield from _records(bridge.planned(accounts.iterator(chunk_size=500), world), position, accounts.count(), is_back)


def group_file(batch: Batch, position: int, *, is_back: bool, world: World = WORLD) -> Iterator[str]:
    """Yield what ldapmodify reads to take the step at ``position`` for every group that the old server serves."""
    yield _head(batch, position, is_back=is_back)
    some = _any_account(batch)
    if some is not None:
        yield from _records(bridge.planned_groups(some, world), position, None, is_back)


def _records(found: Iterator[Planned], position: int, expected: int | None, is_back: bool) -> Iterator[str]:
    told = failed = 0
    for one in found:
        if one.error is not None:
            failed += 1
            yield comment(f"NOT IN HERE: {one.address or 'the rest'}: {one.error.sentence} {one.error.reply}") + "\n\n"
            continue
        told += 1
        for write in one.writes:
            if write.position == position:
                yield write.back() if is_back else write.forth()
    missing = failed if expected is None else expected - told
    yield (
        comment(f"End: {told} looked at." if not missing else f"NOT COMPLETE: {told} looked at, {missing} not.") + "\n"
    )


def _head(batch: Batch, position: int, *, is_back: bool) -> str:
    step = next((one.name for one in steps(batch) if one.position == position), "")
    way = "undoes" if is_back else "does"
    return (
        comment(f"Mailferry: {batch.campaign.name}, {batch.name}. This {way} the step: {step}.")
        + "\n"
        + comment("A server refuses a change when a value is no longer the one that is named here as deleted.")
        + "\n\n"
    )


def _has_route(batch: Batch) -> bool:
    return batch.campaign.route is not None and batch.campaign.route.kind == bridge.LDAP


def _accounts(batch: Batch) -> QuerySet[Account]:
    rows = batch.accounts.exclude(state__in=_NOT_TO_COME).order_by("source_login")
    related = [f"campaign__{name}" for name in ("source_directory", "target_directory", "route", "hold", "population")]
    return rows.select_related(*related).defer("source_secret", "target_secret")


def _any_account(batch: Batch) -> Account | None:
    return batch.accounts.select_related("campaign").defer("source_secret", "target_secret").first()


def _people_and_groups(
    batch: Batch, accounts: Iterable[Account], world: World, end: float
) -> tuple[list[Planned], list[Planned]]:
    people = _until(end, bridge.planned(accounts, world), PAGE_ACCOUNTS)
    some = _any_account(batch)
    if some is None or any(bridge.is_of_all(one.error) for one in people):
        return people, []
    return people, _until(end, bridge.planned_groups(some, world), MOST_GROUPS + 1)


def _until(end: float, found: Iterator[Planned], most: int) -> list[Planned]:
    told: list[Planned] = []
    for one in found:
        told.append(one)
        if len(told) == most or time.monotonic() > end:
            break
    return told


def _row(one: Planned) -> Row:
    if one.error is not None:
        return Row(one.key, one.address, "", [], gettext(one.error.sentence), one.error.reply)
    names = {write.dn for write in one.writes}
    return Row(one.key, one.address, names.pop() if len(names) == 1 else "", [_change(write) for write in one.writes])


def _change(write: Write) -> Change:
    return Change(words.step(write.kind, write.side or ""), write.dn, difference(write.before or {}, write.after))
