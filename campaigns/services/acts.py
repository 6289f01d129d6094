"""What a person may ask for accounts, one or many: each act by its name, when it makes sense, and what right it needs.

Pages offer what is possible here and carry it out here, so that a button never promises what a service refuses on
principle. What has changed meanwhile the services still refuse, account by account.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from campaigns.bridge.lease import STOPPABLE
from campaigns.models import Account
from campaigns.permissions import Verb
from campaigns.services import accounts
from campaigns.services.events import Actor
from campaigns.services.refusals import Refused
from campaigns.states import AccountState

_S = AccountState


class Act(StrEnum):
    """Something that is asked for an account."""

    RETRY = "retry"
    STOP = "stop"
    GO_ON = "go_on"
    LEAVE_OUT = "leave_out"
    TAKE_IN = "take_in"
    LET_BACK = "let_back"  # to the old server, before the switch
    VOUCH = "vouch"  # both mailboxes are one person's
    FINISH = "finish"  # look again at what needs a decision, and go forward


def is_possible(act: Act, account: Account) -> bool:
    """True when ``act`` makes sense for an account as it stands."""
    return _POSSIBLE[act](account)


def possible(account: Account) -> list[Act]:
    """Return all that may be asked for an account as it stands."""
    return [act for act in Act if _POSSIBLE[act](account)]


def verb(act: Act, account: Account) -> Verb:
    """Return the right that ``act`` needs. Whoever is locked out, or about to be, is not for the helpdesk."""
    if act in (Act.RETRY, Act.STOP, Act.GO_ON) and account.state in _NIGHTLY:
        return Verb.CUT_OVER
    return VERBS[act]


# Rights, for accounts that are not in the middle of their move; for many at once RUN comes on top.
VERBS: Final = {
    Act.RETRY: Verb.RETRY_ACCOUNT,
    Act.STOP: Verb.STOP_ACCOUNT,
    Act.GO_ON: Verb.STOP_ACCOUNT,
    Act.LEAVE_OUT: Verb.RUN,
    Act.TAKE_IN: Verb.RUN,
    Act.LET_BACK: Verb.CUT_OVER,
    Act.VOUCH: Verb.RUN,
    Act.FINISH: Verb.RESOLVE,
}
_NIGHTLY: Final = (_S.CUTTING_OVER, _S.ROLLING_BACK, _S.HELD, _S.ATTENTION)


def _may_retry(account: Account) -> bool:
    if account.state in (_S.FAILED, _S.HELD):
        return True
    is_paused = account.not_before is not None and account.lease_until is None
    return account.state in accounts.UNFINISHED and is_paused and not account.is_stopped


def _may_stop(account: Account) -> bool:
    is_there = accounts.is_home(account) and account.state in (*STOPPABLE, _S.CUTTING_OVER)
    return is_there and not account.is_stopped and not account.stop_requested


def _may_leave_out(account: Account) -> bool:
    return account.state in (_S.NEW, _S.READY, _S.FAILED) and account.lease_until is None


def _may_let_back(account: Account) -> bool:
    return account.state in (_S.CUTTING_OVER, _S.HELD) and accounts.is_home(account)


def _may_vouch(account: Account) -> bool:
    return account.error_code == accounts.STRANGERS and not account.is_one_person and _may_retry(account)


_POSSIBLE: Final[dict[Act, Callable[[Account], bool]]] = {
    Act.RETRY: _may_retry,
    Act.STOP: _may_stop,
    Act.GO_ON: lambda account: account.is_stopped,
    Act.LEAVE_OUT: _may_leave_out,
    Act.TAKE_IN: lambda account: account.state == _S.EXCLUDED,
    Act.LET_BACK: _may_let_back,
    Act.VOUCH: _may_vouch,
    Act.FINISH: lambda account: account.state == _S.ATTENTION,
}


def carry_out(act: Act, account_id: int, *, actor: Actor, reason: str = "") -> None:
    """Do ``act`` for one account. ``reason`` is kept where the act keeps one. Raises ``Refused``."""
    match act:
        case Act.RETRY:
            accounts.retry(account_id, actor=actor)
        case Act.STOP:
            accounts.request_stop(account_id, actor=actor)
        case Act.GO_ON:
            accounts.resume(account_id, actor=actor)
        case Act.LEAVE_OUT:
            accounts.exclude(account_id, actor=actor, reason=reason)
        case Act.TAKE_IN:
            accounts.take_in(account_id, actor=actor, reason=reason)
        case Act.LET_BACK:
            accounts.roll_back(account_id, actor=actor, reason=reason)
        case Act.VOUCH:
            accounts.vouch(account_id, actor=actor)
        case Act.FINISH:
            accounts.resolve(account_id, accounts.Verdict.FORWARD, actor=actor, reason=reason)


@dataclass(frozen=True, slots=True)
class Carried:
    """How an act for many went."""

    accounts: int
    refused: Counter[str] = field(default_factory=Counter)  # code of the refusal -> accounts


def carry_out_many(act: Act, account_ids: Iterable[int], *, actor: Actor, reason: str = "") -> Carried:
    """Do ``act`` for each account by itself: what one refuses does not keep the others back."""
    done, refused = 0, Counter[str]()
    for account_id in account_ids:
        try:
            carry_out(act, account_id, actor=actor, reason=reason)
            done += 1
        except Refused as refusal:
            refused[refusal.code] += 1
    return Carried(done, refused)
