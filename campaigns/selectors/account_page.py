"""The page of one account: what is going on in one sentence, the move step by step, and what mends what went wrong."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from django.utils import timezone
from django.utils.translation import gettext

from campaigns.models import Account, Campaign, Event, JournalEntry, Run
from campaigns.selectors import account as account_selector
from campaigns.selectors import held_mail, stories, words
from campaigns.selectors.account_mail import Mail, mail_of
from campaigns.selectors.decision import Decision, decision
from campaigns.services import acts, scripts, together
from campaigns.services.accounts import PASSWORD_CODES, STRANGERS
from campaigns.services.acts import Act
from campaigns.services.night_forecast import WALKS
from campaigns.states import AccountState, Owner
from migrator.errors import Side
from migrator.journal import EntryStatus, StepKind
from migrator.recipes import RECIPES, Recipe, recipe_of

_S = AccountState

EVENTS: Final = 40  # that a page shows before it is asked for all
MOST_EVENTS: Final = 2000
MOST_SCRIPTS: Final = 50  # that are named


class Mend(StrEnum):
    """The one thing that mends a cause, beside trying again."""

    RETRY = "retry"
    PASSWORD = "password"  # another one for one side
    ROOM = "room"  # on the new server, then try again
    FOLDER = "folder"  # a rule for one folder
    VOUCH = "vouch"  # both mailboxes are one person's; else the list is wrong
    DECIDE = "decide"  # where it needs a decision
    GO_ON = "go_on"  # where it is held
    WAIT = "wait"  # nothing to do but to wait for what is said


@dataclass(frozen=True, slots=True)
class Problem:
    """What went wrong, and the one right button beside it."""

    sentence: str
    cure: str
    code: str
    side: str
    reply: str  # the server's own words
    at: datetime | None
    mend: Mend
    family: str
    folder: str  # that the error was about, where it is known
    owners: tuple[str, str] | None = None  # whose the old and the new mailbox seem to be, and on what ground


@dataclass(frozen=True, slots=True)
class StepRow:
    """A step of the move. ``state`` is the one whose glyph stands before it."""

    words: str
    state: str
    told: str
    at: datetime | None
    seconds: float | None
    is_current: bool


@dataclass(frozen=True, slots=True)
class Told:
    """An event as the timeline shows it."""

    at: datetime
    story: str
    actor: str


@dataclass(frozen=True, slots=True)
class ScriptLine:
    """What is told of an account's Sieve scripts; ``family`` is "attention" where somebody must look."""

    told: str
    family: str


@dataclass(frozen=True, slots=True)
class AccountPage:
    """An account as its page shows it."""

    account: Account
    waits_for: str
    problem: Problem | None
    decision: Decision | None  # where a person decides: what they need for it
    steps: list[StepRow]
    mail: Mail
    scripts: list[ScriptLine]
    timeline: list[Told]
    events: int
    possible: list[Act]
    lockout_foreseen: float | None  # seconds, by its last copy ahead; of one that waits for its move
    held: tuple[str, ...]  # of new mail that waits for its user
    now: datetime

    @property
    def state(self) -> AccountState:
        """Its state."""
        return AccountState(self.account.state)

    @property
    def state_words(self) -> str:
        """The word for its state."""
        return words.state(self.account.state)

    @property
    def family(self) -> str:
        """The family of its state."""
        return words.family_of(self.account.state).value

    @property
    def owner_words(self) -> str:
        """Which server is live."""
        return str(words.OWNERS[self.account.owner])

    @property
    def waits(self) -> str:
        """What it waits for, in words."""
        return str(words.WAITS_FOR[self.waits_for])

    @property
    def is_worked_on(self) -> bool:
        """True while a worker has it."""
        return self.account.lease_until is not None

    @property
    def is_unknown(self) -> bool:
        """True while it is not known which server is live."""
        return self.account.owner == Owner.UNKNOWN

    @property
    def is_new_mail_only(self) -> bool:
        """True for who works on the new server before their old mail is there, and is not being moved now."""
        resting = self.state not in (_S.DONE, _S.CUTTING_OVER, _S.ROLLING_BACK)
        return self.account.arrives_first and self.account.owner == Owner.TARGET and resting

    @property
    def rules(self) -> list[tuple[str, str, str]]:
        """Its folder rules: the folder as it is stored, as it is shown, and what becomes of it."""
        told = []
        for folder, rule in sorted(self.account.folder_rules.items()):
            new = words.folder(rule.get("name", ""))
            what = gettext("called %(name)s on the new server") % {"name": new} if new else gettext("left out")
            told.append((folder, words.folder(folder), what))
        return told

    @property
    def live_seconds(self) -> int:
        """How often the page looks again; 0 when nothing happens without a person."""
        if self.is_worked_on:
            return 2
        ended = self.state in (_S.DONE, _S.EXCLUDED) and self.account.catch_up_until is None
        return 0 if ended or self.account.campaign.closed_at is not None else 15


def view(account: Account, *, events: int = EVENTS, now: datetime | None = None) -> AccountPage:
    """Return what the page of an account shows. ``account`` comes with its batch, campaign and servers."""
    now = now or timezone.now()
    account.batch.campaign = account.campaign
    rows = Event.objects.filter(account=account).select_related("actor").order_by("-pk")
    history = list(rows[: events + 1])
    count = len(history) if len(history) <= events else rows.count()
    return AccountPage(
        account=account,
        waits_for=account_selector.waits_for(account, now),
        problem=_problem(account),
        decision=decision(account) if account.state == _S.ATTENTION else None,
        steps=_steps(account),
        mail=mail_of(account),
        scripts=_scripts(account),
        timeline=[Told(one.at, stories.story(one), stories.actor(one)) for one in history[:events]],
        events=count,
        possible=acts.possible(account),
        lockout_foreseen=_lockout_foreseen(account),
        held=held_mail.told(account, now),
        now=now,
    )


def _lockout_foreseen(account: Account) -> float | None:
    if account.state != _S.READY or account.campaign.source_directory_id is None:
        return None
    figures = Run.objects.filter(account=account, kind="stage", outcome="ended").order_by("-pk").values_list("figures")
    (last,) = figures.first() or ({},)
    return WALKS * float(last["last_seconds"]) if "last_seconds" in last else None


def _scripts(account: Account) -> list[ScriptLine]:
    """Return how the scripts stood when they were looked through last; nothing where they never were."""
    ends = Event.objects.filter(account=account, name__in=(scripts.COPIED, scripts.ABSENT, scripts.FAILED))
    last = ends.order_by("-pk").first()
    if last is None:
        return []
    before = ends.filter(pk__lt=last.pk).order_by("-pk").values_list("pk", flat=True).first() or 0
    rows = Event.objects.filter(account=account, pk__gt=before, pk__lte=last.pk)
    told = [last, *rows.filter(name__in=(scripts.LEFT_BEHIND, scripts.FOLDER_RENAMED)).order_by("pk")[:MOST_SCRIPTS]]
    calm = (scripts.COPIED, scripts.ABSENT)
    return [ScriptLine(stories.story(one), "done" if one.name in calm else "attention") for one in told]


# What went wrong


def _problem(account: Account) -> Problem | None:
    state = AccountState(account.state)
    needs_person = state in (_S.ATTENTION, _S.HELD, _S.FAILED)
    if not needs_person and not account.error_code:
        return None
    mend = _mend(account, state)
    code, side = account.error_code, account.error_side
    unsaid = gettext("No cause was noted; what happened last stands in the timeline.")
    return Problem(
        sentence=words.cause(code, side) if code else unsaid,
        cure=words.decision() if mend in (Mend.DECIDE, Mend.GO_ON) else (words.cure(code, side) if code else ""),
        code=code,
        side=side,
        reply=account.error_reply,
        at=account.error_at,
        mend=mend,
        family=words.family_of(state).value if needs_person else "working",
        folder=_folder_of_error(account) if mend is Mend.FOLDER else "",
        owners=_owners(account.error_reply) if mend is Mend.VOUCH else None,
    )


def _owners(reply: str) -> tuple[str, str] | None:
    """Take apart what the engine says of two mailboxes of strangers (``migrator.transfer.kinship``)."""
    source, mark, target = reply.removeprefix("source: ").partition("; target: ")
    return (source, target) if mark else None


# The password that is stored, or none, is the cause.
_BY_PASSWORD: Final = PASSWORD_CODES | {
    "sign_in.app_password",
    "sign_in.hash_given",
    "sign_in.malformed",
    "preflight.no_password",
}


def _mend(account: Account, state: AccountState) -> Mend:
    if state is _S.ATTENTION:
        return Mend.DECIDE
    if state is _S.HELD:
        return Mend.GO_ON
    if state is _S.DONE or account.lease_until is not None:
        return Mend.WAIT
    if account.error_code in _BY_PASSWORD:
        return Mend.PASSWORD
    if account.error_code == "target.full":
        return Mend.ROOM
    if account.error_code == STRANGERS and not account.is_one_person:
        return Mend.VOUCH
    if account.error_code.startswith("folder."):
        return Mend.FOLDER
    return Mend.RETRY


def _folder_of_error(account: Account) -> str:
    """Return the folder that failed last, as rules name it; "" where none is known."""
    failed = Event.objects.filter(account=account, name="account.folder.failed").order_by("-pk").first()
    return str(failed.data.get("folder", "")) if failed else ""


# The move, step by step


def _steps(account: Account) -> list[StepRow]:
    state = AccountState(account.state)
    recipe = _recipe(account.campaign)
    entries = {
        entry.position: entry
        for entry in JournalEntry.objects.filter(account=account, cutover=account.cutover).defer("saved")
    }
    before = _before_the_night(account, state, is_staged=recipe.is_staged)
    shown = [
        (place, one.kind, one.side)
        for place, one in enumerate(recipe.steps)
        if together.is_there(account.campaign, one)
    ]
    return before + [_step(account, state, kind, side, entries.get(place)) for place, kind, side in shown]


def _recipe(campaign: Campaign) -> Recipe:
    try:
        return recipe_of(campaign.recipe, campaign.steps)
    except (KeyError, TypeError, ValueError):  # of a newer version: the page is read all the same
        return RECIPES["plain"]


_PAST_STAGING: Final = (_S.READY, _S.CUTTING_OVER, _S.DONE, _S.ROLLING_BACK, _S.HELD, _S.ATTENTION)


def _before_the_night(account: Account, state: AccountState, *, is_staged: bool) -> list[StepRow]:
    names = {f"account.state.{one}": one for one in (_S.CHECKING, _S.STAGING, _S.READY)}
    at: dict[AccountState, datetime] = {}
    rows = Event.objects.filter(account=account, name__in=list(names)).order_by("pk")
    for name, when in rows.values_list("name", "at"):
        at[names[name]] = when
    began, staged, ready = (at.get(one) for one in (_S.CHECKING, _S.STAGING, _S.READY))
    failed_in = account.resume_state if state is _S.FAILED else ""
    is_past = state in _PAST_STAGING or (state is _S.FAILED and failed_in == _S.READY)
    is_checked = is_past or state is _S.STAGING or failed_in == _S.STAGING
    check = _glyph(is_checked, state is _S.CHECKING, failed_in == _S.CHECKING, account)
    rows_ = [StepRow(gettext("Check before copying"), check, "", began, None, state is _S.CHECKING)]
    if is_staged:
        copy = _glyph(is_past, state is _S.STAGING, failed_in == _S.STAGING, account)
        rows_.append(
            StepRow(
                gettext("Copy ahead"),
                copy,
                _copied(account),
                staged,
                (ready - staged).total_seconds() if is_past and ready and staged and ready > staged else None,
                state is _S.STAGING,
            )
        )
    return rows_


def _glyph(is_done: bool, is_now: bool, has_failed: bool, account: Account) -> str:
    if has_failed:
        return _S.FAILED
    if is_done:
        return _S.DONE
    return _S.STAGING if is_now and account.lease_until is not None else _S.NEW


def _copied(account: Account) -> str:
    done, total = account.messages_done, account.messages_total
    if not total:
        return ""
    numbers = {"done": f"{done:,}", "total": f"{total:,}"}
    if done >= total:
        return gettext("%(total)s messages looked after.") % numbers
    return gettext("%(done)s of %(total)s messages.") % numbers


def _step(
    account: Account, state: AccountState, kind: StepKind, side: Side | None, entry: JournalEntry | None
) -> StepRow:
    name = words.step(kind, side or "")
    if entry is None:
        return StepRow(name, _S.NEW, _waiting_told(account, state, kind), None, None, False)
    seconds = (entry.ended_at - entry.begun_at).total_seconds() if entry.ended_at else None
    if entry.status == EntryStatus.DONE:
        return StepRow(name, _S.DONE, _done_told(kind), entry.begun_at, seconds, False)
    if entry.status == EntryStatus.UNDONE:
        return StepRow(name, _S.ROLLING_BACK, gettext("Undone: as it was before."), entry.begun_at, None, False)
    stuck = state in (_S.ATTENTION, _S.HELD)
    told = gettext("Begun, and not confirmed.") if stuck else gettext("Under way.")
    return StepRow(name, _S.ATTENTION if stuck else _S.CUTTING_OVER, told, entry.begun_at, None, not stuck)


def _waiting_told(account: Account, state: AccountState, kind: StepKind) -> str:
    if state in (_S.ATTENTION, _S.HELD) and kind.value != account.step:
        return gettext("Waits for your decision.")
    return ""


def _done_told(kind: StepKind) -> str:
    told = {
        StepKind.DISABLE: gettext("Sign-in is refused there; open sessions are ended."),
        StepKind.DELTA: gettext("Copied until nothing new was found."),
        StepKind.VERIFY: gettext("Both sides agree, but for what stays behind with its reason."),
        StepKind.SWITCH: gettext("The new server is live."),
        StepKind.ENABLE: gettext("Sign-in works there."),
        StepKind.HOLD: gettext("New mail waits, on neither server."),
        StepKind.RELEASE: gettext("Nothing waits any more."),
        StepKind.POPULATE: gettext("The account is there."),
        StepKind.PUBLISH: gettext("All servers act on it."),
    }
    return told.get(kind, "")
