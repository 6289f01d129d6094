"""The table of a batch: which accounts match what the reader asks for, in which order, a page at a time.

A filter lives in the address of the page. Whatever is done to "all that match" finds them by the same filter again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlencode

from django.db.models import Case, Exists, IntegerField, OuterRef, Q, QuerySet, Value, When
from django.db.models.functions import Coalesce, Greatest
from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy

from campaigns.models import Account, AccountName, Batch, Event
from campaigns.selectors import account as account_selector
from campaigns.selectors import words
from campaigns.selectors.csv_cells import Cell
from campaigns.services import accounts, acts, names
from campaigns.services.acts import Act
from campaigns.states import FAMILY, AccountState, Family

_S = AccountState

PAGE: Final = 100
ORDERS: Final = {
    "problems": gettext_lazy("Problems first"),
    "address": gettext_lazy("Address"),
    "size": gettext_lazy("Size"),
    "change": gettext_lazy("Last change"),
}
_FIRST: Final = (
    _S.ATTENTION,
    _S.HELD,
    _S.FAILED,
    _S.ROLLING_BACK,
    _S.CUTTING_OVER,
    _S.CHECKING,
    _S.STAGING,
    _S.READY,
    _S.NEW,
    _S.DONE,
    _S.EXCLUDED,
)
_BY_STATE: Final = Case(
    *(When(state=state, then=Value(place)) for place, state in enumerate(_FIRST)), output_field=IntegerField()
)
_ORDERINGS: Final = {
    "problems": ("rank", "-state_since", "pk"),
    "address": ("source_login", "pk"),
    "size": ("-size_bytes", "pk"),
    "change": ("-changed_at", "pk"),
}
# Somebody looks at these as at a problem: what has a cause and is at rest, for good or for a while.
PROBLEMS: Final = Q(state__in=(_S.ATTENTION, _S.HELD, _S.FAILED)) | Q(
    state__in=accounts.UNFINISHED, not_before__isnull=False, error_code__gt=""
)
_COLUMNS: Final = (
    "batch",
    "campaign",
    "source_login",
    "target_login",
    "state",
    "owner",
    "arrives_first",
    "step",
    "state_since",
    "not_before",
    "is_stopped",
    "stop_requested",
    "waiting_for",
    "lease_until",
    "cutover",
    "messages_total",
    "messages_done",
    "bytes_total",
    "bytes_done",
    "messages_per_second",
    "progress_at",
    "error_code",
    "error_side",
)
_FRESH: Final = timedelta(seconds=15)  # a pace that was measured longer ago is none


@dataclass(frozen=True, slots=True)
class Filter:
    """What a reader of a batch asks for. Made by ``Filter.of``, which leaves out what makes no sense."""

    state: str = ""  # a family or a state
    cause: str = ""
    side: str = ""  # of the cause
    q: str = ""
    order: str = "problems"
    page: int = 1

    @classmethod
    def of(cls, asked: Mapping[str, str]) -> Filter:
        """Read the parameters of a page's address."""
        state, order, page = asked.get("state", ""), asked.get("order", ""), asked.get("page", "")
        side = asked.get("side", "")
        return cls(
            state=state if state in {*AccountState, *Family} else "",
            cause=asked.get("cause", "")[:64].replace("\0", ""),  # PostgreSQL keeps none
            side=side if side in ("source", "target") else "",
            q=asked.get("q", "").strip()[:200].replace("\0", ""),
            order=order if order in ORDERS else "problems",
            page=int(page) if page.isascii() and page.isdigit() and len(page) < 9 else 1,
        )

    @property
    def is_everything(self) -> bool:
        """True when no account is left out."""
        return not (self.state or self.cause or self.q)

    @property
    def states(self) -> list[AccountState]:
        """The states that are asked for; none for all."""
        if self.state in list(Family):
            return [state for state in AccountState if FAMILY[state] == self.state]
        return [AccountState(self.state)] if self.state else []

    def pairs(self, **changes: object) -> dict[str, str]:
        """Return the parameters of this filter with ``changes``, those left out that are as without them."""
        plain, wanted = Filter(), replace(self, **{"page": 1, **changes})  # type: ignore[arg-type]
        fields = ("state", "cause", "side", "q", "order", "page")
        return {name: str(getattr(wanted, name)) for name in fields if getattr(wanted, name) != getattr(plain, name)}

    def query(self, **changes: object) -> str:
        """Return the parameters as they stand in an address: ``?state=failed``, or nothing. The page begins anew."""
        pairs = self.pairs(**changes)
        return f"?{urlencode(pairs)}" if pairs else ""

    @property
    def here(self) -> str:
        """The parameters of the very page."""
        return self.query(page=self.page)


def matching(batch: Batch, asked: Filter) -> QuerySet[Account]:
    """Return the accounts of a batch that a filter asks for, in no order."""
    rows = Account.objects.filter(batch=batch)
    if states := asked.states:
        rows = rows.filter(state__in=states)
    if asked.cause:
        rows = rows.filter(PROBLEMS, error_code="" if asked.cause == "none" else asked.cause)
        if asked.side:
            rows = rows.filter(error_side=asked.side)
    if asked.q:
        rows = rows.filter(_is_called(asked.q))
    return rows


def _is_called(text: str) -> Exists:
    """Return the condition that one of an account's names holds ``text``; of numbers, that its phone does."""
    found = Q(value__contains=names.normalised(names.NAME, text)) & ~Q(kind=names.PHONE)
    digits = names.normalised(names.PHONE, text)
    if len(digits) > 2 and not any(sign.isalpha() for sign in text):
        found |= Q(kind=names.PHONE, value__contains=digits)
    return Exists(AccountName.objects.filter(found, account=OuterRef("pk")))


@dataclass(frozen=True, slots=True)
class RowAct:
    """The button of a row."""

    act: Act
    words: str


@dataclass(frozen=True, slots=True)
class Row:
    """An account as a row of the table shows it. Two that are equal look alike."""

    pk: int
    address: str
    state: str
    family: str
    done: int
    total: int  # 0: not known yet
    is_counting: bool
    size_bytes: int | None
    last: str
    changed_at: datetime | None  # where ``last`` is how long ago that was
    error: str
    act: RowAct | None
    needs_decision: bool


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the table."""

    rows: list[Row]
    total: int
    number: int
    pages: int

    @property
    def first(self) -> int:
        """The place of its first row, from 1."""
        return (self.number - 1) * PAGE + 1

    @property
    def last(self) -> int:
        """The place of its last row."""
        return self.first + len(self.rows) - 1

    @property
    def numbers(self) -> list[int | None]:
        """The pages to link to, with None for what is left out between them."""
        near = sorted({1, self.pages, *range(max(1, self.number - 2), min(self.pages, self.number + 2) + 1)})
        told: list[int | None] = []
        for number in near:
            if told and number - (told[-1] or 0) > 1:
                told.append(None)
            told.append(number)
        return told


def page(batch: Batch, asked: Filter, now: datetime | None = None) -> Page:
    """Return the page of the table that a filter asks for; the last one where it asks for one beyond."""
    found = matching(batch, asked)
    total = found.count()
    pages = max(1, -(-total // PAGE))
    number = min(max(1, asked.page), pages)
    ordered = _ordered(found, asked.order)
    some = ordered.only(*_COLUMNS)[(number - 1) * PAGE : number * PAGE]
    return Page(_rows(batch, list(some), now or timezone.now()), total, number, pages)


def _ordered(rows: QuerySet[Account], order: str) -> QuerySet[Account]:
    return rows.annotate(
        rank=_BY_STATE,
        size_bytes=Greatest("bytes_total", "bytes_done"),
        changed_at=Greatest("state_since", Coalesce("progress_at", "state_since")),
    ).order_by(*_ORDERINGS[order])


def some_rows(batch: Batch, account_ids: list[int], now: datetime | None = None) -> list[Row]:
    """Return the rows of certain accounts of a batch, in the order of ``account_ids``, for a page that shows them."""
    found = {account.pk: account for account in Account.objects.filter(batch=batch, pk__in=account_ids).only(*_COLUMNS)}
    there = [found[account_id] for account_id in account_ids if account_id in found]
    return _rows(batch, there, now or timezone.now())


def _rows(batch: Batch, found: list[Account], now: datetime) -> list[Row]:
    reasons = _reasons([account.pk for account in found if account.state == _S.EXCLUDED])
    for account in found:
        account.batch, account.campaign = batch, batch.campaign  # what is asked of them costs no further query
    return [_row(account, now, reasons.get(account.pk, "")) for account in found]


def _reasons(account_ids: list[int]) -> dict[int, str]:
    """Return why accounts were left out, where somebody said it."""
    if not account_ids:
        return {}
    left_out = Event.objects.filter(account__in=account_ids, name=f"account.state.{_S.EXCLUDED}").order_by("pk")
    return {account: str(data.get("reason", "")) for account, data in left_out.values_list("account", "data")}


def _row(account: Account, now: datetime, reason: str) -> Row:
    state = AccountState(account.state)
    waits = account_selector.waits_for(account, now)
    last, changed_at = _last(account, now)
    size = max(account.bytes_total, account.bytes_done)
    return Row(
        pk=account.pk,
        address=account.source_login,
        state=state.value,
        family=FAMILY[state].value,
        done=account.messages_done,
        total=account.messages_total,
        is_counting=state is _S.STAGING and account.lease_until is not None and not account.messages_total,
        size_bytes=size or None,
        last=last,
        changed_at=changed_at,
        error=reason if state is _S.EXCLUDED else _trouble(account, waits),
        act=_act(account),
        needs_decision=state in (_S.ATTENTION, _S.HELD),
    )


def _last(account: Account, now: datetime) -> tuple[str, datetime | None]:
    """Return how fast it is, what it does or when it goes on; else when it changed last."""
    if account.lease_until is not None:
        if account.state in (_S.CUTTING_OVER, _S.ROLLING_BACK) and account.step:
            return words.step(account.step), None
        is_fresh = account.progress_at is not None and now - account.progress_at < _FRESH
        if is_fresh and account.messages_per_second:
            return gettext("%(n)s messages/s") % {"n": _number(account.messages_per_second)}, None
    if account.is_stopped:
        return gettext("stopped"), None
    if account.not_before is not None and account.not_before > now and account.state != _S.DONE:
        minutes = -(-int((account.not_before - now).total_seconds()) // 60)
        return gettext("again in %(n)d min") % {"n": max(1, minutes)}, None
    is_new = account.state == _S.NEW
    return "", None if is_new else account.state_since


def _number(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}"


def _trouble(account: Account, waits: str) -> str:
    """Return in one line what is wrong, or what keeps an account waiting that others do not wait for."""
    if account.error_code and account.state != _S.DONE:
        return words.cause(account.error_code, account.error_side)
    return str(words.WAITS_FOR[waits]).capitalize() if waits in ("room", "breaker", "pause") else ""


# The button of a row: the first of these that is possible.
_BUTTONS: Final = (
    (Act.RETRY, gettext_lazy("Retry")),
    (Act.GO_ON, gettext_lazy("Go on")),
    (Act.TAKE_IN, gettext_lazy("Take back in")),
    (Act.STOP, gettext_lazy("Stop")),
)
_STOPS: Final = (_S.CHECKING, _S.STAGING, _S.CUTTING_OVER)  # a row offers to stop what runs


def _act(account: Account) -> RowAct | None:
    if account.state in (_S.ATTENTION, _S.HELD):
        return None  # decided on its own page
    for act, told in _BUTTONS:
        if act is Act.STOP and account.state not in _STOPS:
            continue
        if acts.is_possible(act, account):
            return RowAct(act, str(told))
    return None


def table(batch: Batch, asked: Filter) -> Iterator[tuple[Cell, ...]]:
    """Yield the accounts that a filter asks for as rows of a file, in the order of the page."""
    rows = _ordered(matching(batch, asked), asked.order)
    for account in rows.defer("source_secret", "target_secret").iterator(chunk_size=500):
        yield (
            account.source_login,
            account.target_login,
            account.display_name,
            account.department,
            words.state(account.state),
            str(words.OWNERS[account.owner]),
            account.messages_total,
            account.messages_done,
            account.messages_left,
            max(account.bytes_total, account.bytes_done),
            words.cause(account.error_code, account.error_side) if account.error_code else "",
            account.error_code,
            timezone.localtime(account.state_since),
        )


def heads() -> list[str]:
    """Return the titles of the columns of ``table``."""
    return [
        gettext("On the old server"),
        gettext("On the new server"),
        gettext("Name"),
        gettext("Department"),
        gettext("State"),
        gettext("Live on"),
        gettext("Messages"),
        gettext("Copied"),
        gettext("Left behind"),
        gettext("Octets"),
        gettext("What went wrong"),
        gettext("Code"),
        gettext("In this state since"),
    ]
