"""What people ask for, and what follows from errors: stop, go on, again, out, in, back, and decide."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from campaigns.bridge import vault
from campaigns.bridge.lease import release
from campaigns.models import Account, Batch, Campaign, Event, JournalEntry, Server
from campaigns.services import accounts, secrets
from campaigns.services.accounts import Verdict
from campaigns.services.refusals import Refused
from campaigns.states import TRANSITIONS, AccountState, Owner
from migrator.errors import MigratorError, Side
from migrator.secret import Secret
from tests.campaigns.factories import (
    claim,
    event_names,
    figures,
    make_account,
    make_batch,
    make_user,
    put,
)

S = AccountState
pytestmark = pytest.mark.django_db


def fresh(account: Account) -> Account:
    return Account.objects.get(pk=account.pk)


def refuses(code: str) -> object:
    return pytest.raises(Refused, match=f"^{code}$")


def wrong_password() -> MigratorError:
    return MigratorError("sign_in.refused", side=Side.SOURCE, reply="NO [AUTHENTICATIONFAILED] no")


def seal(account: Account, password: str) -> None:
    secrets.set_account_password(fresh(account), Side.SOURCE, Secret(password), actor=make_user())


# Errors


def test_an_error_that_passes_by_itself_waits_longer_each_time_and_at_last_fails() -> None:
    account = make_account(S.STAGING)
    Batch.objects.update(max_attempts=4)
    now = timezone.now()
    pauses = []
    for _ in range(3):
        assert accounts.settle(claim(account), MigratorError("server.fault"), state=S.STAGING, now=now)
        pauses.append((fresh(account).not_before - now).total_seconds())
        assert (fresh(account).state, fresh(account).error_code) == (S.STAGING, "server.fault")
    assert pauses == [pytest.approx(expected, rel=0.1) for expected in (30, 120, 480)]
    assert not accounts.settle(claim(account), MigratorError("server.fault"), state=S.STAGING, now=now)
    assert (fresh(account).state, fresh(account).resume_state) == (S.FAILED, S.STAGING)


def test_no_pause_is_longer_than_an_hour_unless_the_server_says_so() -> None:
    assert accounts.back_off_seconds(50) <= 3600 * 1.1
    account, now = make_account(S.STAGING), timezone.now()
    error = MigratorError("server.locked_out", retry_after=86_400.0)
    assert accounts.settle(claim(account), error, state=S.STAGING, now=now)
    assert fresh(account).not_before == now + timedelta(days=1)


def test_what_a_person_must_mend_fails_at_once() -> None:
    account = make_account(S.CHECKING)
    error = MigratorError("sign_in.unknown_user", side=Side.TARGET, reply="NO who is that")
    assert not accounts.settle(claim(account), error, state=S.CHECKING)
    row = fresh(account)
    assert (row.state, row.error_code, row.error_side, row.error_reply) == (
        S.FAILED,
        "sign_in.unknown_user",
        "target",
        "NO who is that",
    )
    assert event_names(name__startswith="account.state") == ["account.state.failed"]


def test_a_server_that_is_down_uses_up_no_attempt_and_tells_once() -> None:
    batch = make_batch(20, state=S.STAGING)
    error = MigratorError("server.unreachable", side=Side.TARGET, reply="refused")
    for account in batch.accounts.all():
        assert accounts.settle(claim(account), error, state=S.STAGING)
    assert set(batch.accounts.values_list("attempts", "waiting_for", "state")) == {(0, "breaker", S.STAGING)}
    assert event_names(name__startswith="server.") == ["server.breaker.opened"]
    assert Server.objects.get(breaker_failures__gt=0) == batch.campaign.target


def test_an_error_that_all_share_pauses_the_campaign_once_and_fails_nobody() -> None:
    batch = make_batch(3, state=S.CHECKING)
    for account in batch.accounts.all():
        assert accounts.settle(claim(account), MigratorError("server.certificate", side=Side.SOURCE), state=S.CHECKING)
    assert Campaign.objects.get().is_paused
    assert event_names(name__startswith="campaign.paused") == ["campaign.paused"]
    assert set(batch.accounts.values_list("state", "attempts")) == {(S.CHECKING, 0)}


@pytest.mark.req("C-10")
def test_a_server_that_blocks_us_is_not_knocked_at_again_before_a_person_has_looked() -> None:
    account = make_account(S.CHECKING)
    error = MigratorError("server.blocks_us", side=Side.SOURCE)
    assert accounts.settle(claim(account), error, state=S.CHECKING)
    assert Campaign.objects.get().is_paused
    assert Server.objects.get(breaker_failures=1).breaker_code == "server.blocks_us"


def test_after_a_rollback_an_account_waits_as_ready_or_fails() -> None:
    later, never = make_account(S.ROLLING_BACK), make_account(S.ROLLING_BACK)
    assert accounts.settle(claim(later), MigratorError("server.fault"), state=S.ROLLING_BACK, wait_in=S.READY)
    assert not accounts.settle(claim(never), MigratorError("sign_in.no_mailbox"), state=S.ROLLING_BACK, wait_in=S.READY)
    assert (fresh(later).state, fresh(later).attempts, fresh(later).step) == (S.READY, 1, "")
    assert fresh(later).not_before > timezone.now()
    assert (fresh(never).state, fresh(never).resume_state) == (S.FAILED, S.READY)


def test_after_the_switch_it_goes_forward_until_a_person_is_needed() -> None:
    account = make_account(S.CUTTING_OVER, owner=Owner.TARGET)
    Batch.objects.update(max_attempts=2)
    error = MigratorError("server.fault", side=Side.TARGET)
    assert accounts.settle(claim(account), error, state=S.CUTTING_OVER, give_up=S.ATTENTION)
    assert fresh(account).state == S.CUTTING_OVER
    assert not accounts.settle(claim(account), error, state=S.CUTTING_OVER, give_up=S.ATTENTION)
    assert (fresh(account).state, fresh(account).waiting_for) == (S.ATTENTION, "person")


def test_success_forgets_the_errors_before_it() -> None:
    account = make_account(S.STAGING)
    accounts.settle(claim(account), MigratorError("server.fault"), state=S.STAGING)
    accounts.transition(account.pk, expect=S.STAGING, to=S.READY, lease=claim(account), actor="worker")
    row = fresh(account)
    assert (row.attempts, row.not_before, row.error_code, row.error_at) == (0, None, "", None)


# Again


@pytest.mark.parametrize("resume_state", [S.CHECKING, S.STAGING, S.READY])
def test_a_retry_goes_on_where_it_failed(resume_state: AccountState) -> None:
    account = make_account(S.FAILED, resume_state=resume_state, attempts=5, error_code="server.fault")
    accounts.retry(account.pk, actor="anna")
    row = fresh(account)
    assert (row.state, row.attempts, row.error_code, row.not_before) == (resume_state, 0, "", None)
    assert figures(row.batch) == {resume_state: 1}


def test_a_held_account_goes_on_with_its_cutover() -> None:
    account = make_account(S.HELD)
    accounts.retry(account.pk, actor="anna")
    assert fresh(account).state == S.CUTTING_OVER


def test_a_retry_ends_the_pause_of_an_account_that_waits() -> None:
    account = make_account(S.STAGING, not_before=timezone.now() + timedelta(hours=1), attempts=3)
    accounts.retry(account.pk, actor="anna")
    assert (fresh(account).not_before, fresh(account).attempts, fresh(account).state) == (None, 0, S.STAGING)
    assert event_names(account=account) == ["account.retried"]


@pytest.mark.parametrize("state", [S.NEW, S.STAGING, S.DONE, S.EXCLUDED, S.ATTENTION])
def test_where_nothing_failed_there_is_nothing_to_retry(state: AccountState) -> None:
    account = make_account(state)
    with refuses("account.nothing_to_retry"):
        accounts.retry(account.pk, actor="anna")


@pytest.mark.req("C-1")
def test_a_wrong_password_is_tried_once_per_password() -> None:
    account = make_account(S.CHECKING)
    seal(account, "wrong")
    assert not accounts.settle(claim(account), wrong_password(), state=S.CHECKING)
    release(claim(account))
    with refuses("account.same_password"):
        accounts.retry(account.pk, actor="anna")
    seal(account, "wrong")  # the same one, entered again
    with refuses("account.same_password"):
        accounts.retry(account.pk, actor="anna")
    assert fresh(account).state == S.FAILED
    seal(account, "right")
    accounts.retry(account.pk, actor="anna")
    assert fresh(account).state == S.CHECKING


def test_the_mark_of_a_refused_password_does_not_tell_it() -> None:
    account = make_account(S.CHECKING)
    seal(account, "wrong")
    accounts.settle(claim(account), wrong_password(), state=S.CHECKING)
    row = fresh(account)
    assert row.refused_secret == secrets.fingerprint(bytes(row.source_secret))
    assert vault.unseal(row, "source_secret").reveal() == "wrong"


def test_all_of_one_cause_are_retried_and_the_others_left() -> None:
    batch = make_batch(5, state=S.FAILED)
    ids = list(batch.accounts.values_list("pk", flat=True))
    Account.objects.update(resume_state=S.STAGING)
    Account.objects.filter(pk__in=ids[:3]).update(error_code="target.full")
    Account.objects.filter(pk__in=ids[3:]).update(error_code="sign_in.unknown_user")
    put(Account.objects.get(pk=ids[0]), S.STAGING, not_before=timezone.now() + timedelta(hours=1))
    retried = accounts.retry_cause(batch.campaign_id, "target.full", actor="anna")
    assert (retried.accounts, retried.refused) == (3, {})
    assert figures(batch) == {S.STAGING: 3, S.FAILED: 2}


def test_what_one_account_refuses_does_not_keep_the_others_back() -> None:
    first, second = make_account(S.FAILED), make_account(S.DONE)
    retried = accounts.retry_many([second.pk, first.pk], actor="anna")
    assert (retried.accounts, retried.refused) == (1, Counter({"account.nothing_to_retry": 1}))
    assert fresh(first).state == S.CHECKING


# Stop and go on


@pytest.mark.parametrize("state", [S.NEW, S.CHECKING, S.STAGING, S.READY])
def test_an_account_that_nobody_works_on_stops_at_once_and_goes_on_when_asked(state: AccountState) -> None:
    account = make_account(state)
    accounts.request_stop(account.pk, actor="anna")
    assert (fresh(account).is_stopped, fresh(account).state) == (True, state)
    accounts.resume(account.pk, actor="anna")
    assert not fresh(account).is_stopped
    assert event_names(account=account) == ["account.stop_requested", "account.resumed"]
    with refuses("account.not_stopped"):
        accounts.resume(account.pk, actor="anna")


def test_a_worker_is_asked_to_stop_and_the_account_rests_when_it_gives_it_back() -> None:
    account = make_account(S.STAGING)
    lease = claim(account)
    accounts.request_stop(account.pk, actor="anna")
    assert (fresh(account).is_stopped, fresh(account).stop_requested) == (False, True)
    release(lease)
    assert (fresh(account).is_stopped, fresh(account).stop_requested) == (True, False)


@pytest.mark.parametrize("state", [S.CUTTING_OVER, S.ROLLING_BACK])
def test_a_worker_that_dies_while_somebody_is_locked_out_never_leaves_the_account_stopped(state: AccountState) -> None:
    account = make_account(state)
    lease = claim(account)
    Account.objects.update(stop_requested=True)
    release(lease)
    assert (fresh(account).is_stopped, fresh(account).stop_requested) == (False, True)


def test_a_stop_during_a_cutover_takes_effect_when_the_user_is_back() -> None:
    account = make_account(S.CUTTING_OVER)
    accounts.request_stop(account.pk, actor="anna")
    lease = claim(account)
    for start, end in ((S.CUTTING_OVER, S.ROLLING_BACK), (S.ROLLING_BACK, S.READY)):
        accounts.transition(account.pk, expect=start, to=end, lease=lease, actor="worker", reason="stopped")
    release(lease)
    assert (fresh(account).state, fresh(account).is_stopped, fresh(account).stop_requested) == (S.READY, True, False)


def test_a_stop_that_came_too_late_leaves_no_trace_on_a_user_who_has_moved() -> None:
    account = make_account(S.CUTTING_OVER)
    lease = claim(account)
    accounts.request_stop(account.pk, actor="anna")
    put(account, S.DONE)
    release(lease)
    assert (fresh(account).is_stopped, fresh(account).stop_requested) == (False, False)


@pytest.mark.parametrize("state", [S.ROLLING_BACK, S.HELD, S.FAILED, S.ATTENTION, S.EXCLUDED])
def test_what_cannot_stop_says_so(state: AccountState) -> None:
    account = make_account(state)
    with refuses("account.cannot_stop"):
        accounts.request_stop(account.pk, actor="anna")
    assert not Event.objects.filter(account=account).exists()


@pytest.mark.parametrize("owner", [Owner.UNKNOWN, Owner.TARGET])
def test_past_the_switch_there_is_no_stop_and_no_way_back(owner: Owner) -> None:
    account = make_account(S.CUTTING_OVER, owner=owner)
    with refuses("account.past_switch"):
        accounts.request_stop(account.pk, actor="anna")
    with refuses("account.past_switch"):
        accounts.roll_back(account.pk, actor="anna")


# Out and in


@pytest.mark.parametrize("state", list(S))
def test_only_accounts_with_nothing_disabled_are_excluded_and_come_back_as_new(state: AccountState) -> None:
    account = make_account(state, is_stopped=True)
    if state not in (S.NEW, S.READY, S.FAILED):
        with refuses("account.cannot_exclude"):
            accounts.exclude(account.pk, actor="anna")
        return
    accounts.exclude(account.pk, actor="anna", reason="left the company")
    assert (fresh(account).state, fresh(account).is_stopped) == (S.EXCLUDED, False)
    assert Event.objects.latest("pk").data["reason"] == "left the company"
    accounts.take_in(account.pk, actor="anna")
    assert fresh(account).state == S.NEW


def test_an_account_that_is_worked_on_is_not_excluded() -> None:
    account = make_account(S.READY)
    claim(account)
    with refuses("account.busy"):
        accounts.exclude(account.pk, actor="anna")


def test_only_excluded_accounts_are_taken_in() -> None:
    with refuses("account.not_excluded"):
        accounts.take_in(make_account(S.FAILED).pk, actor="anna")


# Back, and decide


@pytest.mark.parametrize("state", [S.HELD, S.CUTTING_OVER])
def test_the_operator_lets_a_user_back_before_the_switch(state: AccountState) -> None:
    account = make_account(state)
    accounts.roll_back(account.pk, actor="anna")
    assert fresh(account).state == S.ROLLING_BACK


def test_a_worker_at_its_cutover_is_asked_to_go_back() -> None:
    account = make_account(S.CUTTING_OVER)
    claim(account)
    accounts.roll_back(account.pk, actor="anna")
    assert (fresh(account).state, fresh(account).stop_requested) == (S.CUTTING_OVER, True)


def test_nobody_is_rolled_back_who_was_not_touched_or_has_moved() -> None:
    with refuses("account.nothing_to_undo"):
        accounts.roll_back(make_account(S.READY).pk, actor="anna")
    with refuses("account.past_switch"):
        accounts.roll_back(make_account(S.DONE).pk, actor="anna")


@pytest.mark.parametrize(
    ("owner", "verdict", "state", "owner_after"),
    [
        (Owner.UNKNOWN, Verdict.FORWARD, S.CUTTING_OVER, Owner.UNKNOWN),
        (Owner.SOURCE, Verdict.FORWARD, S.CUTTING_OVER, Owner.SOURCE),
        (Owner.SOURCE, Verdict.BACK, S.ROLLING_BACK, Owner.SOURCE),
        (Owner.UNKNOWN, Verdict.ON_SOURCE, S.FAILED, Owner.SOURCE),
        (Owner.UNKNOWN, Verdict.ON_TARGET, S.DONE, Owner.TARGET),
        (Owner.TARGET, Verdict.ON_TARGET, S.DONE, Owner.TARGET),
    ],
)
def test_a_person_decides_what_looking_did_not_settle(
    owner: Owner, verdict: Verdict, state: AccountState, owner_after: Owner
) -> None:
    account = make_account(S.ATTENTION, owner=owner)
    accounts.resolve(account.pk, verdict, actor="anna", reason="looked with telnet")
    assert (fresh(account).state, fresh(account).owner) == (state, owner_after)
    event = Event.objects.get(name="account.resolved")
    assert (event.actor_name, event.data["reason"]) == ("anna", "looked with telnet")
    assert (S.ATTENTION, state) in TRANSITIONS


@pytest.mark.parametrize("owner", [Owner.UNKNOWN, Owner.TARGET])
def test_nobody_is_rolled_back_who_may_be_on_the_target(owner: Owner) -> None:
    account = make_account(S.ATTENTION, owner=owner)
    with refuses("account.owner_not_source"):
        accounts.resolve(account.pk, Verdict.BACK, actor="anna", reason="I think so")
    assert fresh(account).state == S.ATTENTION


@pytest.mark.parametrize("verdict", [Verdict.ON_SOURCE, Verdict.ON_TARGET])
def test_nobody_is_declared_settled_by_hand_whose_mail_is_still_held(verdict: Verdict) -> None:
    account = make_account(S.ATTENTION, owner=Owner.UNKNOWN)
    step = {"account": account, "cutover": account.cutover, "begun_at": timezone.now()}
    held = JournalEntry.objects.create(**step, position=0, kind="hold", connector="postfix", status="begun")
    with refuses("account.mail_held"):
        accounts.resolve(account.pk, verdict, actor="anna", reason="looked with telnet")
    JournalEntry.objects.filter(pk=held.pk).update(status="done")
    with refuses("account.mail_held"):
        accounts.resolve(account.pk, verdict, actor="anna", reason="looked with telnet")
    JournalEntry.objects.create(**step, position=6, kind="release", connector="postfix", status="done")
    accounts.resolve(account.pk, verdict, actor="anna", reason="looked with telnet")
    assert fresh(account).state != S.ATTENTION


def test_a_decision_needs_its_reason_and_something_to_decide() -> None:
    with refuses("account.reason_missing"):
        accounts.resolve(make_account(S.ATTENTION).pk, Verdict.FORWARD, actor="anna", reason="  ")
    with refuses("account.no_decision_needed"):
        accounts.resolve(make_account(S.FAILED).pk, Verdict.FORWARD, actor="anna", reason="why not")


def test_catch_up_is_planned_when_an_account_arrives() -> None:
    account = make_account(S.CUTTING_OVER, owner=Owner.TARGET)
    Campaign.objects.update(catch_up_days=3, catch_up_minutes=20)
    before: datetime = timezone.now()
    accounts.transition(account.pk, expect=S.CUTTING_OVER, to=S.DONE, lease=claim(account), actor="worker")
    row = fresh(account)
    assert row.not_before >= before + timedelta(minutes=20)
    assert row.catch_up_until - row.not_before == timedelta(days=3) - timedelta(minutes=20)
