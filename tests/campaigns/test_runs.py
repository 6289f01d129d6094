"""What workers do with accounts, from the first check to the last look: whole, interrupted, refused, stopped."""

from __future__ import annotations

import logging
import random
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.utils import timezone

from campaigns.bridge.lease import Lease, LeaseKind, LeaseLost, StopReason
from campaigns.models import Account, Batch, Campaign, Event, JournalEntry, LedgerFolder, Run, Server
from campaigns.services import accounts, one_run, runs, scheduling, secrets
from campaigns.services.accounts import Verdict
from campaigns.services.refusals import Refused
from campaigns.states import AccountState
from migrator.errors import MigratorError, Side
from migrator.recipes import RECIPES, OnFailure
from migrator.secret import Secret
from migrator.testing import FakeClock, FaultKind
from migrator.testing.connectors import REGISTERED, RegisteredRoute
from tests.campaigns.crossings import claim
from tests.campaigns.factories import make_user
from tests.campaigns.towns import SAMPLE, WORK, Town, afresh, seeded
from tests.migrator.nights import Faults
from tests.migrator.transfer.scenes import body

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]
S = AccountState
ANNA, BERTA = "anna@example.test", "berta@example.test"
STAFF = "a person"


def make(*logins: str, **fields: Any) -> tuple[Town, list[Account]]:
    town = Town(**fields)
    town.accept()
    return town, town.move_in(*(logins or (ANNA,)))


def breaks(town: Town, kinds: dict[int, str]) -> None:
    """Let the calls of workers break from now on."""
    town.faults = Faults(kinds)
    REGISTERED["town"] = (town.rows, town.faults, "of the directory")


def names(**about: object) -> list[str]:
    return list(Event.objects.filter(**about).order_by("pk").values_list("name", flat=True))


def now_at(account: Account) -> tuple[str, str, str]:
    account.refresh_from_db()
    return account.state, account.owner, account.error_code


# The whole road


@pytest.mark.parametrize("recipe", ["plain", "classic"])
def test_accounts_cross_whole_and_a_second_run_finds_nothing_to_do(recipe: str) -> None:
    town, found = make(ANNA, BERTA, recipe=recipe)
    town.work()
    for account in found:
        town.assert_crossed(account)
        assert account.lockout_seconds is not None
        assert (account.step, account.locked_at, account.error_code, account.lease_until) == ("", None, "", None)
    assert Counter(Run.objects.values_list("kind", "outcome")) == {("stage", "ended"): 2, ("cutover", "done"): 2}
    calls = len(town.faults.calls)
    town.work()
    assert not [call for call in town.faults.calls[calls:] if not call.startswith("sql.")]


@pytest.mark.parametrize(("recipe", "is_copied"), [("plain", True), ("classic", False)])
def test_only_a_staged_account_is_copied_while_its_user_works(recipe: str, is_copied: bool) -> None:
    town = Town(recipe=recipe)
    town.batch_fields["go_at"] = None
    town.accept()
    (account,) = town.move_in(ANNA)
    town.work()
    account.refresh_from_db()
    assert account.state == S.READY
    assert bool(account.messages_done) == is_copied
    assert town.rows[ANNA]["status"] == "active"


@pytest.mark.parametrize("has_admin", [True, False])
def test_a_plain_copy_needs_no_connector_and_catches_up_by_adding_only(has_admin: bool) -> None:
    town = Town(is_governed=False, has_admin=has_admin, catch_up_days=1, catch_up_minutes=30)
    town.accept()
    (account,) = town.move_in(ANNA, has_password=not has_admin)
    town.work()
    town.assert_crossed(account)
    assert {entry.kind for entry in JournalEntry.objects.all()} == {"delta", "switch"}
    source, target = town.source.mailboxes[ANNA]["INBOX"], town.target.mailboxes[ANNA]["INBOX"]
    town.source.mailboxes[ANNA].deliver("INBOX", body("came late"))
    source.set_flags(1, frozenset({"\\Flagged"}))
    source.expunge(2)
    target.set_flags(3, frozenset({"\\Answered"}))
    kept = {uid: (message.body, message.flags) for uid, message in target.messages.items()}
    for _ in range(2):
        Account.objects.update(not_before=timezone.now())
        (lease,) = scheduling.claim_due(1)
        assert lease.kind is LeaseKind.CATCH_UP
        town.take(lease)
    assert [message.body for message in target.messages.values()][len(kept) :] == [body("came late")]
    assert {uid: (target.messages[uid].body, target.messages[uid].flags) for uid in kept} == kept
    account.refresh_from_db()
    assert account.state == S.DONE
    assert account.not_before is not None
    assert account.not_before > timezone.now() + timedelta(minutes=29)
    Account.objects.update(catch_up_until=timezone.now(), not_before=timezone.now())
    town.take(scheduling.claim_due(1)[0])
    account.refresh_from_db()
    assert account.not_before is None


def test_where_only_the_source_is_governed_the_time_without_mail_ends_with_the_night() -> None:
    town, (account,) = make()
    Campaign.objects.update(target_directory=None)
    town.campaign.refresh_from_db()
    town.accept()
    town.work()
    account.refresh_from_db()
    assert (account.state, account.owner, account.locked_at) == (S.DONE, "target", None)
    assert account.lockout_seconds is not None
    assert town.rows[ANNA]["status"] == "inactive"


def test_no_secret_and_no_content_of_mail_is_in_any_row_or_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    town, (account, _) = make(ANNA, BERTA)
    town.source.mailboxes[BERTA].deliver("INBOX", b"")
    town.work()
    town.assert_crossed(account)
    rows = [row for model in apps.get_app_config("campaigns").get_models() for row in model.objects.values()]
    told = repr(rows) + caplog.text
    assert "DISABLE" in told.upper()
    for secret in (f"of {ANNA}", "of the admin", "of the directory", "Subject", "twice", "writes", "Old.example"):
        assert secret not in told


# Interruptions


def length(recipe: str) -> int:
    """How many calls to the world and the database a whole road takes."""
    town, (account,) = make(recipe=recipe)
    breaks(town, {})
    town.work()
    town.assert_crossed(account)
    return len(town.faults.calls)


@pytest.mark.parametrize("recipe", ["plain", "classic"])
@pytest.mark.parametrize("kind", list(FaultKind))
def test_a_worker_that_dies_or_loses_its_line_at_any_call_is_followed_by_one_that_ends_it(
    recipe: str, kind: FaultKind
) -> None:
    count = length(recipe)
    for number in seeded(20301, count):
        afresh()
        town, (account,) = make(recipe=recipe)
        breaks(town, {number: kind})
        town.work()
        account.refresh_from_db()
        assert account.state == S.DONE, (number, town.faults.fired)
        town.assert_crossed(account)


@pytest.mark.parametrize("recipe", ["plain", "classic"])
def test_two_interruptions_on_one_road_are_no_worse_than_one(recipe: str) -> None:
    count = length(recipe)
    chance = random.Random(20302)
    print("seed 20302")
    for _ in range(SAMPLE):
        afresh()
        town, (account,) = make(recipe=recipe)
        first = chance.randrange(count)
        kinds = [chance.choice(list(FaultKind)) for _ in range(2)]
        breaks(town, {first: kinds[0], first + 1 + chance.randrange(120): kinds[1]})
        town.work()
        account.refresh_from_db()
        assert account.state == S.DONE, (town.faults.fired, account.error_code)
        town.assert_crossed(account)


@pytest.mark.parametrize("recipe", ["plain", "classic"])
def test_a_zombie_that_wakes_up_after_another_has_finished_changes_nothing(recipe: str) -> None:
    rehearsal, _ = make(recipe=recipe)
    breaks(rehearsal, {})
    rehearsal.work()
    # What is on its way to a server as a lane falls asleep arrives all the same: see the next test.
    calls = rehearsal.faults.calls
    places = [at for at in rehearsal.outside if calls[at] != "target.store" and not calls[at].endswith(".replace")]
    for place in seeded(20303, len(places)):
        number = places[place]
        afresh()
        town, (account,) = make(recipe=recipe)
        sleeper = Sleeper(town)
        town.faults = sleeper.faults(number)
        REGISTERED["town"] = (town.rows, town.faults, "of the directory")
        sleeper.work()
        assert sleeper.left is not None, "nobody overtook"
        assert everything(town) == sleeper.left, (number, town.faults.calls[number])
        town.assert_crossed(account)


def test_a_change_that_may_have_arrived_too_late_is_told() -> None:
    rehearsal, _ = make()
    breaks(rehearsal, {})
    rehearsal.work()
    number = rehearsal.faults.calls.index("directory.replace")
    afresh()
    town, (account,) = make()
    sleeper = Sleeper(town)
    town.faults = sleeper.faults(number)
    REGISTERED["town"] = (town.rows, town.faults, "of the directory")
    sleeper.work()
    assert names(name="account.changed_late", account=account) == ["account.changed_late"]


class Sleeper:
    """A worker that lies still at one call, so long that its lease runs out and another does all there is to do."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.left: object = None  # the world as the other left it
        self._lease: Lease | None = None

    def faults(self, number: int) -> Faults:
        faults = Faults(act=self._sleep)
        faults._at = (number,)
        return faults

    def work(self) -> None:
        """Work like ``Town.work``, until the lease is lost."""
        self.town.faults.live, self.town.faults.check = self.town.live, self.town.check
        while self.left is None and (leases := scheduling.claim_due(1)):
            with self.town.interrupted():
                self._lease = scheduling.take_up(leases[0].account_id, leases[0].epoch, "a sleeper")
                if self._lease is None:
                    continue
                try:
                    WORK[self._lease.kind](self._lease, world=self.town.world)
                except LeaseLost:
                    return
                scheduling.release(self._lease)

    def _sleep(self) -> None:
        if self._lease:
            self._lease.stop.trust(0)
        mine = self.town.faults
        breaks(self.town, {})
        Account.objects.filter(lease_until__isnull=False).update(lease_until=timezone.now() - timedelta(seconds=1))
        scheduling.reap_expired()
        self.town.work()
        self.left = everything(self.town)
        self.town.faults = mine


def everything(town: Town) -> object:
    """All that is true of the world and stands in the database, but the runs, which say how they ended."""
    models = [model for model in apps.get_app_config("campaigns").get_models() if model is not Run]
    rows = {model.__name__: list(model.objects.order_by("pk").values()) for model in models}
    mail = {login: mailbox.contents() for login, mailbox in town.target.mailboxes.items()}
    return repr((rows, mail, town.rows))


def test_a_lease_that_is_gone_is_not_worked_on() -> None:
    town, (account,) = make()
    stale = claim(account)
    claim(account)
    for work in (runs.run_stage, runs.run_cutover, runs.run_rollback, runs.run_catch_up):
        with pytest.raises(LeaseLost):
            work(stale, world=town.world)
    assert Run.objects.count() == 0
    assert town.source.tries == []


def test_a_slice_ends_between_bundles_and_the_next_goes_on_there(monkeypatch: pytest.MonkeyPatch) -> None:
    class Ticking(FakeClock):
        def monotonic(self) -> float:
            self.wait(1.0)
            return super().monotonic()

    monkeypatch.setattr(one_run, "SLICE_SECONDS", 12.0)
    town = Town(is_governed=False)
    town.clock = Ticking(timezone.now().timestamp())
    town.batch_fields |= {"ready_seconds": 3600, "cutover_seconds": 10**6}
    town.accept()
    (account,) = town.move_in(ANNA)
    for number in range(30):
        town.source.mailboxes[ANNA].deliver("INBOX", body(f"more {number}"))
    town.work()
    town.assert_crossed(account)
    outcomes = list(Run.objects.filter(kind="stage").values_list("outcome", flat=True))
    assert len(outcomes) > 2
    assert set(outcomes[:-1]) == {"slice_over"}
    assert sum(Run.objects.filter(kind="stage").values_list("figures__appended", flat=True)) == 35


# Errors before the night


def test_a_wrong_password_is_tried_once_for_each_password() -> None:
    town, (account,) = make()
    town.source.passwords[ANNA] = "another"
    town.work()
    assert now_at(account) == ("failed", "source", "sign_in.refused")
    assert (account.error_side, account.error_reply) == ("source", "NO [AUTHENTICATIONFAILED] wrong")
    assert town.source.tries == [ANNA]
    with pytest.raises(Refused):
        accounts.retry(account.pk, actor=STAFF)
    accounts.transition(account.pk, expect=S.FAILED, to=S.CHECKING, lease=None, actor=STAFF)
    town.work()
    assert now_at(account) == ("failed", "source", "sign_in.refused")
    assert town.source.tries == [ANNA]
    secrets.set_account_password(account, Side.SOURCE, Secret("another"), actor=make_user())
    accounts.retry(account.pk, actor=STAFF)
    town.work()
    town.assert_crossed(account)


def test_a_refused_account_does_not_keep_the_others_back() -> None:
    town, (anna, berta) = make(ANNA, BERTA)
    town.source.passwords[ANNA] = "another"
    town.work()
    assert now_at(anna)[0] == S.FAILED
    town.assert_crossed(berta)


def test_a_full_target_waits_for_room_and_goes_on_where_it_was() -> None:
    town, (account,) = make()
    town.target.mailboxes[ANNA].quota_bytes = 200
    claimed = scheduling.claim_due(1)
    town.take(claimed[0])
    assert now_at(account) == ("staging", "source", "target.full")
    assert account.waiting_for == "room"
    assert account.attempts == 1
    assert account.not_before is not None
    town.target.mailboxes[ANNA].quota_bytes = None
    town.work()
    town.assert_crossed(account)


def test_attempts_that_are_used_up_call_a_person_and_the_retry_after_mending_works() -> None:
    town = Town()
    town.batch_fields["max_attempts"] = 3
    town.accept()
    (account,) = town.move_in(ANNA)
    town.target.mailboxes[ANNA].quota_bytes = 200
    town.work()
    assert now_at(account) == ("failed", "source", "target.full")
    assert Run.objects.filter(outcome="target.full").count() == 3
    town.target.mailboxes[ANNA].quota_bytes = None
    accounts.retry(account.pk, actor=STAFF)
    town.work()
    town.assert_crossed(account)


def test_a_server_that_is_away_opens_its_breaker_once_and_uses_up_no_attempt() -> None:
    town, found = make(ANNA, BERTA)
    town.source.error = MigratorError("server.unreachable", side=Side.SOURCE)
    for lease in scheduling.claim_due(5):
        town.take(lease)
    assert scheduling.claim_due(5) == []
    assert names(name="server.breaker.opened") == ["server.breaker.opened"]
    assert {now_at(account) for account in found} == {("checking", "source", "server.unreachable")}
    assert {account.attempts for account in found} == {0}
    town.source.error = None
    town.work()
    for account in found:
        town.assert_crossed(account)
    assert Server.objects.filter(breaker_failures__gt=0).count() == 0


@pytest.mark.parametrize("cause", ["no_proof", "no_admin", "address"])
def test_what_concerns_all_accounts_pauses_the_campaign_and_locks_nobody_out(cause: str) -> None:
    town = Town(has_admin=cause != "no_admin")
    if cause == "address":
        town.accept()
        apps.get_model("campaigns", "AllowedAddress").objects.filter(host="old.example.test").delete()
    (account,) = town.move_in(ANNA)
    if cause == "no_admin":
        failures = runs.preflights.accept_recipe(town.campaign, {}, actor="test", world=town.world)
        assert {failure.error.code for failure in failures} == {"preflight.not_proved"}
    town.work()
    codes = {"no_proof": "preflight.not_proved", "no_admin": "preflight.not_proved", "address": "address.not_allowed"}
    assert now_at(account) == ("checking", "source", codes[cause])
    assert Campaign.objects.get().is_paused
    assert town.rows[ANNA]["status"] == "active"
    assert town.source.tries == []


def test_what_is_set_up_anew_after_the_check_locks_nobody_out_before_it_is_proved_again() -> None:
    town, (account,) = make()
    until_ready(town, account)
    Server.objects.filter(pk=town.campaign.target_id).update(admin_login="somebody else")
    changes = [call for call in town.faults.calls if "replace" in call]
    town.work(rounds=5)
    town.assert_back(account, S.READY)
    assert (account.error_code, account.locked_at) == ("preflight.not_proved", None)
    assert [call for call in town.faults.calls if "replace" in call] == changes
    assert Campaign.objects.get().is_paused
    assert not JournalEntry.objects.exists()
    Server.objects.filter(pk=town.campaign.target_id).update(admin_login="admin")
    Campaign.objects.update(is_paused=False)
    town.work()
    town.assert_crossed(account)


def test_a_user_who_is_faster_than_the_copy_is_tried_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    town = Town()
    town.batch_fields["ready_messages"] = 0
    town.accept()
    (account,) = town.move_in(ANNA)
    lease = scheduling.claim_due(1)[0]
    town.faults.live = town.live
    town.take(lease)
    account.refresh_from_db()
    assert account.state == S.STAGING
    assert account.not_before is not None
    assert account.not_before > timezone.now() + timedelta(seconds=runs.RESTLESS_SECONDS - 10)
    assert account.attempts == 0


# Errors at night


def until_ready(town: Town, account: Account) -> None:
    town.work(until=lambda: Account.objects.get(pk=account.pk).state == S.READY)


def test_a_night_that_is_late_lets_the_user_back_and_is_tried_again_after_a_pause() -> None:
    town, (account,) = make()
    until_ready(town, account)
    Batch.objects.update(cutover_seconds=0)
    town.take(scheduling.claim_due(1)[0])
    town.assert_back(account, S.READY)
    assert account.error_code == "cutover.late"
    assert account.attempts == 1
    assert account.not_before is not None
    Batch.objects.update(cutover_seconds=900)
    town.work()
    town.assert_crossed(account)
    assert account.cutover == 2


def test_a_difference_found_before_the_switch_fails_the_account_and_lets_its_user_back() -> None:
    town = Town(verify_level="digest", recipe="classic")
    town.accept()
    anna, berta = town.move_in(ANNA, BERTA)
    town.target.corrupts = {ANNA}
    town.work()
    town.assert_back(anna, S.FAILED)
    assert anna.error_code == "cutover.differs"
    town.assert_crossed(berta)


@pytest.mark.req("S-120")
def test_a_recipe_that_stays_held_keeps_the_user_locked_out_until_somebody_decides(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held = replace(RECIPES["classic"], on_failure=OnFailure.STAY_HELD)
    monkeypatch.setitem(RECIPES, "classic", held)
    town = Town(verify_level="digest", recipe="classic")
    town.accept()
    anna, berta, clara = town.move_in(ANNA, BERTA, "clara@example.test")
    town.target.corrupts = {ANNA, BERTA}
    town.work()
    town.assert_crossed(clara)
    for account in (anna, berta):
        assert now_at(account) == ("held", "source", "cutover.differs")
        assert account.waiting_for == "person"
        assert town.rows[account.source_login]["status"] == "inactive"
    town.target.corrupts = set()
    for login in (ANNA, BERTA):
        town.target.mailboxes[login].remove_folder("INBOX")
        town.target.mailboxes[login].remove_folder("Archive.1999")
        town.target.mailboxes[login].add_folder("INBOX")
    accounts.retry(anna.pk, actor=STAFF)
    accounts.roll_back(berta.pk, actor=STAFF)
    town.work()
    town.assert_crossed(anna)
    town.assert_back(berta, S.FAILED)


@pytest.mark.req("S-120")
@pytest.mark.parametrize("goes_on", [True, False])
def test_who_stays_held_because_the_switch_was_refused_may_go_on_or_back(
    monkeypatch: pytest.MonkeyPatch, goes_on: bool
) -> None:
    monkeypatch.setitem(RECIPES, "classic", replace(RECIPES["classic"], on_failure=OnFailure.STAY_HELD))
    town = Town(verify_level="digest", recipe="classic")
    town.accept()
    (account,) = town.move_in(ANNA)

    def refused(*words: object) -> None:
        raise MigratorError("directory.changed")

    with monkeypatch.context() as patched:
        patched.setattr(RegisteredRoute, "replace", refused)
        town.work()
    assert now_at(account) == ("held", "source", "directory.changed")
    town.source.mailboxes[ANNA].deliver("INBOX", body("came while they were held"))
    if goes_on:
        accounts.retry(account.pk, actor=STAFF)
        town.work()
        town.assert_crossed(account)
    else:
        accounts.roll_back(account.pk, actor=STAFF)
        town.work()
        town.assert_back(account, S.FAILED)


def test_a_person_who_stops_a_night_gets_the_user_back_and_the_account_rests() -> None:
    town, (account,) = make()
    until_ready(town, account)
    (lease,) = scheduling.claim_due(1)
    taken = scheduling.take_up(lease.account_id, lease.epoch, "a worker")
    assert taken is not None
    accounts.request_stop(account.pk, actor=STAFF)
    runs.run_cutover(taken, world=town.world)
    scheduling.release(taken)
    town.assert_back(account, S.READY)
    assert account.is_stopped
    assert account.error_code == ""
    accounts.resume(account.pk, actor=STAFF)
    town.work()
    town.assert_crossed(account)


@pytest.mark.parametrize("call", ["target.folders", "directory.replace"])
def test_a_worker_that_is_told_to_end_leaves_the_night_to_the_next(call: str) -> None:
    town, (account,) = make()
    until_ready(town, account)
    (lease,) = scheduling.claim_due(1)
    taken = scheduling.take_up(lease.account_id, lease.epoch, "a worker")
    assert taken is not None
    town.hooks = [(call, lambda: taken.stop.ask(StopReason.SHUTDOWN))]
    town.faults.live = town.live
    runs.run_cutover(taken, world=town.world)
    scheduling.release(taken)
    assert now_at(account) == ("cutting_over", "source", "")
    assert not account.is_stopped
    town.work()
    town.assert_crossed(account)
    assert account.cutover == 1


def delete(town: Town) -> None:
    """Somebody else is at work in the directory."""
    town.rows[ANNA]["status"] = "deleted"


def test_whoever_changes_a_user_in_mid_night_is_not_overruled() -> None:
    town, (account,) = make()
    until_ready(town, account)
    town.hooks = [("target.folders", lambda: delete(town))]
    town.target.corrupts = {ANNA}
    Campaign.objects.update(verify_level="digest")
    town.source.mailboxes[ANNA].deliver("INBOX", body("to be corrupted"))
    town.work()
    assert now_at(account) == ("attention", "source", "directory.changed")
    assert account.waiting_for == "person"
    assert town.rows[ANNA]["status"] == "deleted"
    town.rows[ANNA]["status"] = "inactive"
    accounts.resolve(account.pk, Verdict.BACK, actor=STAFF, reason="set it back by hand")
    town.work()
    account.refresh_from_db()
    assert account.owner == "source"
    assert town.rows[ANNA]["status"] == "active"


def test_after_the_switch_there_is_only_forward() -> None:
    town, (account,) = make()
    until_ready(town, account)
    town.hooks = [
        ("route.replace", lambda: None),
        ("directory.replace", lambda: town.rows[ANNA].update(status="deleted")),
    ]
    town.work()
    assert now_at(account) == ("attention", "target", "directory.changed")
    assert town.rows[ANNA]["host"] == "new.example.test"
    with pytest.raises(Refused):
        accounts.resolve(account.pk, Verdict.BACK, actor=STAFF, reason="never mind")
    town.rows[ANNA]["status"] = "inactive"
    accounts.resolve(account.pk, Verdict.FORWARD, actor=STAFF, reason="mended")
    town.work()
    town.assert_crossed(account)


def test_an_account_that_was_switched_by_hand_is_told_before_anything_is_copied() -> None:
    town, (account,) = make()
    town.rows[ANNA]["host"] = "new.example.test"
    town.work()
    assert now_at(account) == ("failed", "source", "preflight.switched_already")
    assert LedgerFolder.objects.count() == 0


def test_a_look_for_late_mail_that_fails_is_told_once_and_given_up_when_a_person_must_mend_it() -> None:
    town = Town(is_governed=False, has_admin=False, catch_up_days=1)
    town.accept()
    (account,) = town.move_in(ANNA)
    town.work()
    for error, looks in (("server.mailbox_locked", 3), ("sign_in.refused", 1)):
        town.source.error = MigratorError(error, side=Side.SOURCE)
        for _ in range(looks):
            Account.objects.update(not_before=timezone.now())
            town.take(scheduling.claim_due(1)[0])
        account.refresh_from_db()
        assert (account.state, account.error_code) == ("done", error)
        assert (account.not_before is None) == (error == "sign_in.refused")
    assert names(name="account.catch_up.failed") == ["account.catch_up.failed"] * 2


def test_what_each_run_did_stands_in_its_row() -> None:
    town, (account,) = make()
    town.work()
    stage, night = Run.objects.order_by("pk")
    assert (stage.kind, stage.account, stage.holder) == ("stage", account, "a worker")
    assert stage.figures["appended"] >= 5
    assert stage.lease_epoch < night.lease_epoch
    assert all(run.ended_at is not None for run in (stage, night))
