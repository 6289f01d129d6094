"""The night of a batch: whether it may go and what is foreseen, who is where while it runs, and how it came out.

One page, from the look before to the look back, of a dozen queries or two, however many accounts the batch has.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import Count, Max, Min, Q
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext, gettext_lazy, ngettext

from campaigns.models import Account, Batch, Event, GoSaid, Run
from campaigns.selectors import batch_page, stories, words
from campaigns.selectors.batch_page import BatchPage
from campaigns.services import acceptance, go_no_go, watchdog
from campaigns.services.go_no_go import Finding
from campaigns.services.night_forecast import Forecast, slowest_tenth
from campaigns.states import AccountState, Owner

_S = AccountState

LONGEST: Final = 8  # accounts of those locked out longest
EVENTS: Final = 20

# What each finding is called, what it says when it is well, and when it is not.
SENTENCES: Final[dict[str, tuple[Any, Any, Any]]] = {
    "alarm": (
        gettext_lazy("Alarms"),
        gettext_lazy("Somebody read a test within a day: %(channels)s."),
        gettext_lazy(
            "Nobody has read a test alarm within a day that came by a way which is not being moved. Send one, and "
            "type its code."
        ),
    ),
    "alarm_demo": (gettext_lazy("Alarms"), gettext_lazy("The demo goes without."), ""),
    "method": (
        gettext_lazy("Method"),
        gettext_lazy("Proved on a test account, as it is set up now."),
        gettext_lazy("Not proved on a test account as it is set up now: every move would fail at once."),
    ),
    "opened": (
        gettext_lazy("New accounts"),
        gettext_lazy("Are made closed, and opened with the move."),
        gettext_lazy(
            "Are made closed on the new server, and nothing opens them: nobody who is made could sign in after the "
            "move. Choose a connection for who may sign in on the new server; with a Dovecot, one that changes its "
            "passwd-file and not the file of those whom it denies."
        ),
    ),
    "flow": (
        gettext_lazy("Held mail"),
        gettext_lazy("Flows to the new server once its owner is there."),
        gettext_lazy(
            "No route here leads mail to the new server. Unless your mail server knows by other means who has moved, "
            "what is held flows to the old one, as does all mail that comes later. Days for which it is fetched from "
            "there: %(days)s."
        ),
    ),
    "flow_away": (
        gettext_lazy("Held mail"),
        gettext_lazy("Flows to the new server once its owner is there."),
        gettext_lazy(
            "No route here leads mail to the new server. Unless your mail server knows by other means who has moved, "
            "what is held flows to the old one, as does all mail that comes later, and nobody fetches it from there. "
            "Add what leads mail to the new server, or let late mail be fetched."
        ),
    ),
    "later": (
        gettext_lazy("Later mail"),
        gettext_lazy("Goes to the new server once its owner is there."),
        gettext_lazy(
            "What is held is brought to the new server, but no route here leads mail there. Unless your mail server "
            "knows by other means who has moved, what comes later goes to the old one. Days for which it is fetched "
            "from there: %(days)s."
        ),
    ),
    "later_away": (
        gettext_lazy("Later mail"),
        gettext_lazy("Goes to the new server once its owner is there."),
        gettext_lazy(
            "What is held is brought to the new server, but no route here leads mail there. Unless your mail server "
            "knows by other means who has moved, what comes later goes to the old one, and nobody fetches it from "
            "there. Add what leads mail to the new server, or let late mail be fetched."
        ),
    ),
    "ready": (
        gettext_lazy("Copied ahead"),
        gettext_lazy("All %(ready)s accounts."),
        gettext_lazy("%(ready)s accounts; %(others)s are not yet, and move when they are."),
    ),
    "fresh": (
        gettext_lazy("Last copied"),
        gettext_lazy("All within %(hours)s h."),
        gettext_lazy("The oldest copy is from %(hours)s h ago: more is left for the night than was measured."),
    ),
    "window": (
        gettext_lazy("Window"),
        gettext_lazy("There is time enough in it."),
        gettext_lazy("It may be too short; who is not through then stays on the old server."),
    ),
    "window_over": (
        gettext_lazy("Window"),
        "",
        gettext_lazy("It is over: nobody moves before the batch has another one."),
    ),
    "addresses": (
        gettext_lazy("Addresses"),
        gettext_lazy("Nobody has another address than the one in the list, as far as the list says."),
        gettext_lazy(
            "Mail is held and sent on by the address in the list alone. People of this batch have %(addresses)s more, "
            "such as %(named)s. Postfix must turn these into that one (virtual_alias_maps); else mail to them is not "
            "held, and goes to the old server after the move."
        ),
    ),
    "servers": (
        gettext_lazy("Both servers"),
        gettext_lazy("No fault is known."),
        gettext_lazy("At fault lately: %(servers)s."),
    ),
    "programs": (gettext_lazy("Programs"), gettext_lazy("All run."), gettext_lazy("%(told)s")),
    "undecided": (
        gettext_lazy("Decisions"),
        gettext_lazy("Nobody of this batch waits for one."),
        gettext_lazy("Accounts of this batch that wait for one: %(accounts)s."),
    ),
    "overdue": (
        gettext_lazy("Locked out"),
        gettext_lazy("Nobody is locked out longer than allowed, in any campaign."),
        gettext_lazy("Longer than allowed, in all campaigns: %(accounts)s."),
    ),
}


# After the night: what each check is called, what it says when it is well, when it is not, when nobody has looked.
CHECKED: Final[dict[str, tuple[Any, Any, Any, Any]]] = {
    "moved": (
        gettext_lazy("Moved"),
        gettext_lazy("All %(done)s accounts."),
        gettext_lazy("%(done)s of %(accounts)s accounts."),
        "",
    ),
    "compared": (
        gettext_lazy("Compared"),
        gettext_lazy("Both mailboxes of every account that moved were alike."),
        gettext_lazy("Accounts that moved and were not compared: %(accounts)s."),
        "",
    ),
    "locked": (
        gettext_lazy("Locked out"),
        gettext_lazy("Nobody."),
        gettext_lazy("Users who are locked out still: %(accounts)s."),
        "",
    ),
    "held": (
        gettext_lazy("Mail held"),
        gettext_lazy("None is left. Accounts of which the hold was asked after the release: %(accounts)s."),
        gettext_lazy("Messages that are held still: %(messages)s."),
        gettext_lazy("Not known."),
    ),
    "held_senders": (
        gettext_lazy("Mail held"),
        gettext_lazy(
            "None is left here. Accounts of which the hold was asked after the release: %(accounts)s. Senders who "
            "were told to come again do so by themselves, within minutes or hours; how much they have nobody can count."
        ),
        "",
        "",
    ),
    "held_unproved": (
        gettext_lazy("Mail held"),
        "",
        "",
        gettext_lazy("Accounts of which the hold has not said, since the release, that none is left: %(accounts)s."),
    ),
    "signed_in": (
        gettext_lazy("Sign-in"),
        gettext_lazy("Tried as %(tried)s users: they get in and see all their mail."),
        gettext_lazy("Tried as %(tried)s users; not well: %(failed)s."),
        gettext_lazy("Nobody has tried yet."),
    ),
    "arrives": (
        gettext_lazy("Mail arrives"),
        gettext_lazy("%(account)s sent a message to itself on the new server, and it came."),
        gettext_lazy("%(account)s was to send a message to itself; not all was well. Look at the new server's page."),
        gettext_lazy("Nobody has tried since the go. An administrator does it on the page of the new server."),
    ),
    "queue": (
        gettext_lazy("Old queue"),
        gettext_lazy("Nothing waits to be sent on the old server."),
        gettext_lazy("Messages that wait to be sent on the old server: %(messages)s."),
        gettext_lazy("Not known: nobody has looked since the night, or it could not be seen."),
    ),
}


@dataclass(frozen=True, slots=True)
class Line:
    """A finding as the page shows it. ``family``: done, attention (a person weighs it), failed (nobody can say go)."""

    code: str
    family: str
    heading: str
    told: str


@dataclass(frozen=True, slots=True)
class Now:
    """Who is in the middle of their move."""

    can_go_back: int  # of those that move: before the switch
    only_forward: int


@dataclass(frozen=True, slots=True)
class Stage:
    """A step, and how many accounts are in it."""

    words: str
    accounts: int
    is_point: bool  # of no return


@dataclass(frozen=True, slots=True)
class Reality:
    """How it came out, as far as it has come. Seconds."""

    moved: int
    begun_at: datetime | None
    ended_at: datetime | None
    lockout: float | None
    lockout_worst: float | None
    slowest: float | None
    measured: int  # accounts that were locked out at all

    @property
    def seconds(self) -> float | None:
        """From the first that began to the last that came through."""
        if self.begun_at is None or self.ended_at is None:
            return None
        return max(0.0, (self.ended_at - self.begun_at).total_seconds())


@dataclass(frozen=True, slots=True)
class Told:
    """Something that happened."""

    at: datetime
    story: str
    who: str
    account: Account | None


@dataclass(frozen=True, slots=True)
class NightPage:
    """All of it. ``lines`` and ``forecast`` before somebody said go; ``said`` and ``reality`` since."""

    page: BatchPage
    locks_out: bool
    may_go: bool
    lines: list[Line]
    forecast: Forecast | None
    announcement: str  # for users, to be sent by whoever runs this; "" once somebody said go
    said: GoSaid | None
    foreseen: Forecast | None  # when somebody said go
    reality: Reality
    now: Now
    stages: list[Stage]
    longest: list[Account]
    late: frozenset[int]  # of these: longer than allowed
    log: list[Told]
    accepted: list[Line]  # once the batch has ended
    can_try: bool  # to sign in as somebody

    @property
    def can_see_queue(self) -> bool:
        """True when the old server's queue can be looked at."""
        return any(line.code == "queue" for line in self.accepted)

    @property
    def can_send(self) -> bool:
        """True when an account for tests can send a message to itself on the new server."""
        return any(line.code == "arrives" for line in self.accepted)

    @property
    def is_before(self) -> bool:
        """True until somebody has said go."""
        return self.page.batch.go_at is None

    @property
    def moving(self) -> int:
        """Accounts in the middle of their move."""
        return self.page.figures.states[_S.CUTTING_OVER]

    @property
    def going_back(self) -> int:
        """Accounts that are let back just now."""
        return self.page.figures.states[_S.ROLLING_BACK]

    @property
    def live_seconds(self) -> int:
        """How often the page looks again."""
        return self.page.live_seconds if self.page.is_open else 0

    @property
    def wants_number(self) -> bool:
        """True when the number of accounts must be typed to say go."""
        return self.page.to_move > MANY


MANY: Final = 50


def view(batch: Batch, now: datetime | None = None) -> NightPage:
    """Return the night of a batch, which comes with its campaign and its servers."""
    now = now or timezone.now()
    page = batch_page.view(batch, now)
    seen = go_no_go.look(batch, now) if batch.go_at is None and page.is_open and page.to_move else None
    said = GoSaid.objects.filter(batch=batch).order_by("-pk").first()
    return NightPage(
        page=page,
        locks_out=go_no_go.locks_out(batch),
        may_go=seen is not None and seen.may_go,
        lines=[_line(finding) for finding in seen.findings] if seen else [],
        forecast=seen.forecast if seen else None,
        announcement=announcement(batch, seen.forecast) if seen else "",
        said=said,
        foreseen=Forecast.of(said.forecast) if said else None,
        reality=_reality(batch, said.said_at if said else batch.go_at),
        now=_now(batch),
        stages=_stages(batch),
        longest=_longest(batch),
        late=frozenset(one.account_id for one in watchdog.overdue(now) if one.batch_id == batch.pk),
        log=_log(batch),
        accepted=[_checked(check) for check in acceptance.checks(batch)] if batch.ended_at and batch.go_at else [],
        can_try=bool(batch.ended_at) and bool(acceptance.candidates(batch, 1)),
    )


def needed(batch: Batch) -> list[Line]:
    """Return what keeps everybody from saying go now."""
    return [_line(finding) for finding in go_no_go.look(batch).findings if finding.blocks]


def announcement(batch: Batch, forecast: Forecast | None) -> str:
    """Return what users may be told before their night: only what is set up, and at most what is foreseen."""
    return " ".join(filter(None, (_when_told(batch), _lockout_told(batch, forecast), _mail_told(batch), _rest_told())))


def _when_told(batch: Batch) -> str:
    begins, ends = batch.window_begins_at, batch.window_ends_at
    if begins is None or ends is None:
        return gettext("Your mailbox moves to a new mail server.")
    told = {
        "day": date_format(timezone.localtime(begins), "l, F j"),
        "begins": date_format(timezone.localtime(begins), "H:i"),
        "ends": date_format(timezone.localtime(ends), "H:i T"),
    }
    return gettext("On %(day)s, between %(begins)s and %(ends)s, your mailbox moves to a new mail server.") % told


def _lockout_told(batch: Batch, forecast: Forecast | None) -> str:
    if not go_no_go.locks_out(batch):
        return gettext("You can read your mail all the time.")
    if forecast is None:
        return gettext("You cannot sign in for a while during that time.")
    minutes = max(1, math.ceil(forecast.lockout_worst / 60))
    form = ngettext(
        "For about %(n)d minute of it you cannot sign in.", "For about %(n)d minutes of it you cannot sign in.", minutes
    )
    return form % {"n": minutes}


def _mail_told(batch: Batch) -> str:
    if getattr(batch.campaign, "hold_id", None) is None:
        return ""
    return gettext("Mail that is sent to you meanwhile waits, and is in your mailbox afterwards.")


def _rest_told() -> str:
    return gettext(
        "You need not do anything. If your mail does not open afterwards, close your mail program and open it again."
    )


def _line(finding: Finding) -> Line:
    heading, well, not_well = SENTENCES[finding.code]
    form = str(well if finding.is_well else not_well)
    facts = {name: f"{fact:,}" if isinstance(fact, int) else fact for name, fact in finding.facts.items()}
    family = "done" if finding.is_well else ("failed" if finding.is_needed else "attention")
    return Line(finding.code, family, str(heading), form % facts if facts else form)


def _checked(check: acceptance.Check) -> Line:
    heading, well, not_well, unknown = CHECKED[check.code]
    form = str(unknown if check.is_well is None else (well if check.is_well else not_well))
    facts = {name: f"{fact:,}" if isinstance(fact, int) else fact for name, fact in check.facts.items()}
    family = {None: "waiting", True: "done", False: "attention"}[check.is_well]
    return Line(check.code, family, str(heading), form % facts if facts else form)


def _now(batch: Batch) -> Now:
    found = Account.objects.filter(batch=batch, state__in=watchdog.BETWEEN).aggregate(
        back=Count("pk", filter=Q(state=_S.CUTTING_OVER, owner=Owner.SOURCE)),
        forward=Count("pk", filter=Q(state=_S.CUTTING_OVER) & ~Q(owner=Owner.SOURCE)),
    )
    return Now(found["back"], found["forward"])


_ORDER: Final = tuple(words.STEPS)


def _stages(batch: Batch) -> list[Stage]:
    rows = Account.objects.filter(batch=batch, state=_S.CUTTING_OVER).values_list("step")
    counted = {step: accounts for step, accounts in rows.annotate(Count("pk")) if step}
    return [Stage(words.step(step), counted[step], step == "switch") for step in _ORDER if step in counted]


def _longest(batch: Batch) -> list[Account]:
    rows = Account.objects.filter(batch=batch, state__in=watchdog.WATCHED, locked_at__isnull=False)
    return list(rows.defer("source_secret", "target_secret").order_by("locked_at", "pk")[:LONGEST])


def _reality(batch: Batch, since: datetime | None) -> Reality:
    if since is None:
        return Reality(0, None, None, None, None, None, 0)
    done = Account.objects.filter(batch=batch, state=_S.DONE)
    lockouts = sorted(one for one in done.values_list("lockout_seconds", flat=True) if one is not None)
    runs = Run.objects.filter(account__batch=batch, kind="cutover", started_at__gte=since)
    ends = done.aggregate(moved=Count("pk"), last=Max("state_since"))
    return Reality(
        moved=ends["moved"],
        begun_at=runs.aggregate(first=Min("started_at"))["first"],
        ended_at=ends["last"],
        lockout=lockouts[len(lockouts) // 2] if lockouts else None,
        lockout_worst=slowest_tenth(lockouts) if lockouts else None,
        slowest=lockouts[-1] if lockouts else None,
        measured=len(lockouts),
    )


# What happened that belongs on a wall: decisions and what went wrong, not every step of every account.
_LOGGED: Final = Q(name__startswith="batch.") | Q(
    name__in=[f"account.state.{state}" for state in (_S.ROLLING_BACK, _S.HELD, _S.ATTENTION, _S.FAILED)]
)


def _log(batch: Batch) -> list[Told]:
    rows = Event.objects.filter(_LOGGED, batch=batch).select_related("actor", "account")
    only = rows.only("at", "name", "data", "actor_name", "actor", "account__source_login", "account__batch_id")
    return [
        Told(event.at, stories.story(event), stories.actor(event), event.account)
        for event in only.order_by("-pk")[:EVENTS]
    ]
