"""Before something is done to many: how many, what their users notice, and whether it can be undone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from django.utils.translation import gettext, ngettext

from campaigns.models import Account, Batch
from campaigns.permissions import Verb
from campaigns.selectors import batch_page
from campaigns.selectors.batch_rows import Filter, matching
from campaigns.services import acts, stopping
from campaigns.services.acts import Act
from campaigns.states import AccountState

_S = AccountState

MANY: Final = 50  # where more users than this are affected, the number must be typed
_LOCKED: Final = (_S.CUTTING_OVER, _S.HELD, _S.ATTENTION)


class Whole(StrEnum):
    """Something that is asked for a batch as a whole."""

    START = "start"
    GO = "go"
    WITHDRAW = "withdraw"
    APPROVE = "approve"
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop_batch"
    NEXT_STEP = "next_step"


WHOLE_VERBS: Final = {
    Whole.START: Verb.RUN,
    Whole.GO: Verb.CUT_OVER,
    Whole.WITHDRAW: Verb.CUT_OVER,
    Whole.APPROVE: Verb.CUT_OVER,
    Whole.PAUSE: Verb.RUN,
    Whole.RESUME: Verb.RUN,
    Whole.STOP: Verb.CUT_OVER,
    Whole.NEXT_STEP: Verb.CUT_OVER,
}
# Users notice these: nobody does them by one press of a button.
_CONFIRMED: Final = (Whole.GO, Whole.APPROVE, Whole.STOP)
# Buttons that stand for an act and all accounts that it is for.
_SHORT: Final = {
    "retry_failed": (Act.RETRY, Filter(state="failed")),
    "let_all_back": (Act.LET_BACK, Filter()),
}


@dataclass(frozen=True, slots=True)
class Choice:
    """What somebody pressed: an act, and the accounts they chose for it."""

    act: Act | Whole | None  # None: no such thing
    account_ids: tuple[int, ...] = ()
    is_everything: bool = False  # all that match
    asked: Filter = field(default_factory=Filter)

    @classmethod
    def of(cls, act: str, account_ids: Sequence[str], is_everything: bool, asked: Filter) -> Choice:
        """Read what a form sent."""
        if act in _SHORT:
            return cls(_SHORT[act][0], (), True, _SHORT[act][1])
        if act in list(Whole):
            return cls(Whole(act), asked=asked)
        ids = () if is_everything else tuple(dict.fromkeys(int(one) for one in account_ids if _is_number(one)))
        return cls(Act(act) if act in list(Act) else None, ids, is_everything, asked)

    @property
    def verbs(self) -> tuple[Verb, ...]:
        """The rights it needs, all of them."""
        if isinstance(self.act, Whole):
            return (WHOLE_VERBS[self.act],)
        return (Verb.RUN, acts.VERBS[self.act]) if self.act else (Verb.RUN,)

    @property
    def is_nothing(self) -> bool:
        """True when no account was chosen for an act that needs some."""
        return isinstance(self.act, Act) and not (self.account_ids or self.is_everything)

    @property
    def is_done_at_once(self) -> bool:
        """True for what asks nobody twice."""
        return isinstance(self.act, Whole) and self.act not in _CONFIRMED


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What the page before the deed says."""

    choice: Choice
    account_ids: tuple[int, ...]  # those it makes sense for
    accounts: int
    others: int  # chosen, but it makes no sense for them
    affected: int  # users who notice
    title: str
    button: str
    effects: list[str]
    undo: str
    wants_reason: bool
    needs_reason: bool

    @property
    def wants_number(self) -> bool:
        """True when the number of accounts must be typed."""
        return self.affected > MANY


def ask(batch: Batch, choice: Choice) -> Confirmation:
    """Look what ``choice`` would do to accounts of ``batch`` as they are now. It must name an act."""
    if isinstance(choice.act, Whole):
        return _ask_whole(batch, choice, choice.act)
    assert choice.act is not None
    rows = matching(batch, choice.asked) if choice.is_everything else Account.objects.filter(batch=batch)
    if not choice.is_everything:
        rows = rows.filter(pk__in=choice.account_ids)
    columns = ("state", "owner", "is_stopped", "stop_requested", "lease_until", "not_before")
    found = list(rows.only(*columns).order_by("pk"))
    chosen = [account for account in found if acts.is_possible(choice.act, account)]
    words_ = _ACTS[choice.act](len(chosen), sum(account.state in _LOCKED for account in chosen))
    return Confirmation(
        choice=choice,
        account_ids=tuple(account.pk for account in chosen),
        accounts=len(chosen),
        others=len(found) - len(chosen),
        affected=words_.affected,
        title=words_.title,
        button=words_.button,
        effects=words_.effects,
        undo=words_.undo,
        wants_reason=choice.act in (Act.LEAVE_OUT, Act.TAKE_IN, Act.LET_BACK, Act.FINISH),
        needs_reason=choice.act is Act.FINISH,
    )


@dataclass(frozen=True, slots=True)
class _Words:
    title: str
    button: str
    effects: list[str]
    undo: str
    affected: int = 0


def _counted(one: str, many: str, accounts: int) -> str:
    return ngettext(one, many, accounts) % {"n": f"{accounts:,}"}


def _retry(accounts: int, locked: int) -> _Words:
    effects = [gettext("Where the user works on the old server, they go on working there and notice nothing.")]
    if locked:
        effects.append(
            _counted(
                "%(n)s user is locked out now: their move goes on from where it stopped.",
                "%(n)s users are locked out now: their moves go on from where they stopped.",
                locked,
            )
        )
    effects.append(gettext("A password that a server refused is not tried again; those stay as they are."))
    return _Words(
        title=_counted("Retry %(n)s account?", "Retry %(n)s accounts?", accounts),
        button=_counted("Retry %(n)s", "Retry %(n)s", accounts),
        effects=effects,
        undo=gettext("Nothing needs to be undone: mail that is copied already is not copied twice. You can stop them."),
        affected=locked,
    )


def _stop(accounts: int, locked: int) -> _Words:
    effects = [gettext("What is copied stays copied. Users go on working on the old server.")]
    if locked:
        effects.append(
            _counted(
                "%(n)s user is being moved just now: they go back to the old server first.",
                "%(n)s users are being moved just now: they go back to the old server first.",
                locked,
            )
        )
    return _Words(
        title=_counted("Stop %(n)s account?", "Stop %(n)s accounts?", accounts),
        button=_counted("Stop %(n)s", "Stop %(n)s", accounts),
        effects=effects,
        undo=gettext("Yes: let them go on, and they continue from where they stopped."),
        affected=locked,
    )


def _resume(accounts: int, _locked: int) -> _Words:
    return _Words(
        title=_counted("Let %(n)s account go on?", "Let %(n)s accounts go on?", accounts),
        button=_counted("Let %(n)s go on", "Let %(n)s go on", accounts),
        effects=[gettext("They go on from where they stopped, and are moved with their batch.")],
        undo=gettext("Yes: stop them again."),
    )


def _leave_out(accounts: int, _locked: int) -> _Words:
    return _Words(
        title=_counted("Leave %(n)s account out?", "Leave %(n)s accounts out?", accounts),
        button=_counted("Leave %(n)s out", "Leave %(n)s out", accounts),
        effects=[gettext("These users stay on the old server. Nothing is removed, on either server.")],
        undo=gettext("Yes: take them back in. They begin with the check before copying; what is copied counts."),
    )


def _take_in(accounts: int, _locked: int) -> _Words:
    return _Words(
        title=_counted("Take %(n)s account back in?", "Take %(n)s accounts back in?", accounts),
        button=_counted("Take %(n)s back in", "Take %(n)s back in", accounts),
        effects=[gettext("They are checked, copied ahead and moved with their batch. Users notice nothing yet.")],
        undo=gettext("Yes: leave them out again, before they are moved."),
    )


def _let_back(accounts: int, _locked: int) -> _Words:
    return _Words(
        title=_counted("Let %(n)s user back to the old server?", "Let %(n)s users back to the old server?", accounts),
        button=_counted("Let %(n)s back", "Let %(n)s back", accounts),
        effects=[
            gettext("Sign-in opens again on the old server, where all their mail is. Waiting mail is delivered there."),
            gettext("Whoever is switched to the new server meanwhile stays there."),
        ],
        undo=gettext("They can be moved later: what is copied stays copied."),
        affected=accounts,
    )


def _finish(accounts: int, _locked: int) -> _Words:
    return _Words(
        title=_counted(
            "Look again, and finish the move of %(n)s account?",
            "Look again, and finish the moves of %(n)s accounts?",
            accounts,
        ),
        button=_counted("Finish %(n)s", "Finish %(n)s", accounts),
        effects=[
            gettext("What was begun is looked at before anything is repeated. Then the steps that are left are taken."),
            gettext("Their users end on the new server."),
        ],
        undo=gettext("No: from the switch on there is only the way forward."),
        affected=accounts,
    )


_ACTS: Final[Mapping[Act, Callable[[int, int], _Words]]] = {
    Act.RETRY: _retry,
    Act.STOP: _stop,
    Act.GO_ON: _resume,
    Act.LEAVE_OUT: _leave_out,
    Act.TAKE_IN: _take_in,
    Act.LET_BACK: _let_back,
    Act.FINISH: _finish,
}


def _ask_whole(batch: Batch, choice: Choice, act: Whole) -> Confirmation:
    if act is Whole.STOP:
        return _ask_stop(batch, choice)
    page = batch_page.view(batch)
    accounts = page.to_move
    is_go = act is Whole.GO
    title = _counted("Say go for %(n)s account?", "Say go for %(n)s accounts?", accounts)
    if not is_go:
        title = _counted("Let the other %(n)s account follow?", "Let the other %(n)s accounts follow?", accounts)
    return Confirmation(
        choice=choice,
        account_ids=(),
        accounts=accounts,
        others=0,
        affected=accounts,
        title=title,
        button=gettext("Say go") if is_go else gettext("Approve the first few"),
        effects=_effects_of_go(batch, is_go),
        undo=gettext(
            "You can withdraw the go: no more moves begin then. Whoever is on the new server by then stays there."
        ),
        wants_reason=False,
        needs_reason=False,
    )


def _ask_stop(batch: Batch, choice: Choice) -> Confirmation:
    found = stopping.effect(batch)
    return Confirmation(
        choice=choice,
        account_ids=(),
        accounts=found.back,
        others=0,
        affected=found.back,
        title=gettext("Stop this batch?"),
        button=gettext("Stop the batch"),
        effects=_effects_of_stop(found),
        undo=gettext(
            "You can let it go on. Whoever goes back now rests until you let them go on; what is copied stays copied."
        ),
        wants_reason=False,
        needs_reason=False,
    )


def _effects_of_stop(found: stopping.Effect) -> list[str]:
    return [
        _counted(
            "No new starts: %(n)s account stays where it is.",
            "No new starts: %(n)s accounts stay where they are.",
            found.waiting,
        ),
        _counted(
            "%(n)s user is being moved and goes back, to sign in as before.",
            "%(n)s users are being moved and go back, to sign in as before.",
            found.back,
        ),
        _counted(
            "%(n)s user is switched already, or may be: their move is finished.",
            "%(n)s users are switched already, or may be: their moves are finished.",
            found.finishing,
        ),
    ]


def _effects_of_go(batch: Batch, is_go: bool) -> list[str]:
    form = gettext("Accounts that are copied ahead are moved to the new server, %(n)s at a time.")
    if batch.is_together:
        form = gettext("All move together: each step is taken by all, %(n)s at a time, before the next begins.")
    effects = [form % {"n": batch.parallel_cutovers}]
    if batch.is_stepwise:
        effects.append(gettext("The batch waits for your word before each step."))
    median = batch_page.median_lockout(batch)
    if median is None:
        effects.append(gettext("Each user is locked out for a short while. How long is measured from the first on."))
    else:
        seconds = max(1, round(median))
        form = ngettext(
            "Each user is locked out for a short while; so far that was %(n)d second in the middle.",
            "Each user is locked out for a short while; so far that was %(n)d seconds in the middle.",
            seconds,
        )
        effects.append(form % {"n": seconds})
    if is_go and batch.canary and batch.canary_passed_at is None:
        form = gettext("Only the first %(n)s are moved. The others wait until you approve these.")
        effects.append(form % {"n": f"{batch.canary:,}"})
    if batch.window_begins_at is None:
        effects.append(gettext("This batch has no window: it begins at once."))
    return effects


# What is told afterwards


def told(act: Act, accounts: int) -> str:
    """Return what was done, as a part of a sentence: "34 retried"."""
    forms = {
        Act.RETRY: gettext("%(n)s retried"),
        Act.STOP: gettext("%(n)s asked to stop"),
        Act.GO_ON: gettext("%(n)s go on"),
        Act.LEAVE_OUT: gettext("%(n)s left out"),
        Act.TAKE_IN: gettext("%(n)s taken back in"),
        Act.LET_BACK: gettext("%(n)s let back to the old server"),
        Act.FINISH: gettext("%(n)s go on to the new server"),
    }
    return forms[act] % {"n": f"{accounts:,}"}
