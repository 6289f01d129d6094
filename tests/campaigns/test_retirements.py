"""Removing migrated mail from the old server: only after two people, a waiting time, and a proof of each message."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone

from campaigns.bridge.connect import Approach
from campaigns.bridge.lease import Lease, LeaseKind, LeaseLost, StopReason
from campaigns.bridge.ledger import OrmLedger
from campaigns.bridge.removals import RemovingOrmLedger
from campaigns.models import (
    Account,
    AllowedAddress,
    Batch,
    Campaign,
    Connector,
    Event,
    OldClient,
    RemovedMessage,
    Retirement,
    Run,
)
from campaigns.services import old_clients, retirements, returns, scheduling
from campaigns.services.refusals import Refused
from campaigns.services.sign_ins import SignIns
from campaigns.states import AccountState
from migrator.errors import MigratorError
from migrator.mail import DELETED, FolderPath
from migrator.testing import FaultKind
from migrator.testing.connectors import REGISTERED
from tests.campaigns.crossings import claim
from tests.campaigns.factories import make_user
from tests.campaigns.towns import Town
from tests.migrator.nights import Faults
from tests.migrator.transfer.scenes import body

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]
S = AccountState
ANNA, BERTA = "anna@example.test", "berta@example.test"
DAYS: dict[str, Any] = {"quiet_days": 14, "quarantine_days": 7}


@pytest.fixture(autouse=True)
def _own_data_folder(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "DATA", tmp_path)


def moved(*logins: str, **fields: Any) -> tuple[Town, list[Account]]:
    """A town whose people crossed a month ago, and were looked at since."""
    town = Town(**fields)
    town.accept()
    found = town.move_in(*(logins or (ANNA,)))
    town.work()
    for account in found:
        town.assert_crossed(account)
    Account.objects.update(state_since=timezone.now() - timedelta(days=30))
    return town, found


def approved() -> Retirement:
    """Ask and approve, and let the waiting time pass."""
    retirement = retirements.ask(
        Batch.objects.get(), **DAYS, actor=make_user(is_operator=True), reason="the old machine goes"
    )
    retirements.approve(retirement, actor=make_user(is_manager=True))
    Retirement.objects.update(begins_at=timezone.now() - timedelta(hours=1))
    retirement.refresh_from_db()
    return retirement


def approved_by_log() -> Retirement:
    """As :func:`approved`, of those who do not sign in as logs tell."""
    retirement = approved()
    Retirement.objects.update(is_by_log=True)
    retirement.refresh_from_db()
    return retirement


def bring_log(*signs: tuple[str, int], ours: tuple[str, ...] = ()) -> None:
    """Read a log in which these people signed in so many days ago."""
    lines = (
        f"{timezone.now() - timedelta(days=days):%Y-%m-%dT%H:%M:%S%z} old dovecot: imap-login: Login: user=<{who}>, "
        "method=PLAIN, rip=192.0.2.7, lip=192.0.2.1, TLS\n"
        for who, days in signs
    )
    old_clients.read_log(Campaign.objects.get(), (line.encode() for line in lines), actor="test", ours=ours)


def look(town: Town) -> None:
    """Let the accounts be looked at for late mail, as on the next day."""
    town.faults.live, town.faults.check = town.live, town.check
    Account.objects.filter(state=S.DONE).update(not_before=timezone.now())
    for lease in scheduling.claim_due(10):
        assert lease.kind is LeaseKind.CATCH_UP
        town.take(lease)


def left(town: Town, login: str = ANNA) -> int:
    return sum(len(folder.messages) for folder in town.source.mailboxes[login])


@pytest.mark.req("S-135")
def test_mail_goes_from_the_source_once_all_is_proved_and_stays_on_the_target() -> None:
    town, (account,) = moved()
    kept = town.target.mailboxes[ANNA].contents()
    approved()
    look(town)
    account.refresh_from_db()
    assert left(town) == 0
    assert account.source_removed_at is not None
    assert town.target.mailboxes[ANNA].contents() == kept
    (told,) = Event.objects.filter(name="account.source_mail.removed")
    assert told.data["removed"] == sum(len(messages) for messages in kept.values()) == RemovedMessage.objects.count()
    look(town)
    assert Event.objects.filter(name="account.source_mail.removed").count() == 1
    with pytest.raises(Refused, match="retired"):
        returns.take_back(account.pk, actor="test", reason="too late")


def _unverified(town: Town) -> None:
    Account.objects.update(verified_at=None)


def _too_early(town: Town) -> None:
    Account.objects.update(state_since=timezone.now() - timedelta(days=3))


def _late_mail(town: Town) -> None:
    town.source.mailboxes[ANNA].deliver("INBOX", body("late"))
    look(town)


def _signed_in(town: Town) -> None:
    bring_log((ANNA, 5))


def _signed_in_who_knows_when(town: Town) -> None:
    bring_log((ANNA, 5))
    OldClient.objects.update(last_at=None)


def _postfix_alone(town: Town) -> None:
    route = Campaign.objects.get().route
    assert route is not None
    Connector.objects.filter(pk=route.pk).update(kind="postfix")


def _let_in_by_the_old_server(town: Town) -> None:
    town.source.sign_in = lambda endpoint: None  # type: ignore[method-assign]


def _through_a_front() -> None:
    """People come in by an address that leads to the new server by now."""
    AllowedAddress.objects.create(host="front.example.test")
    route = Campaign.objects.get().route
    assert route is not None
    route.options["uri"] = "imap://front.example.test"
    route.save()


def _let_in_by_the_old_server_beside_a_front(town: Town) -> None:
    _through_a_front()
    _let_in_by_the_old_server(town)


def _password_changed_since(town: Town) -> None:
    town.source.passwords[ANNA] = town.target.passwords[ANNA] = "another"


def _ungoverned(town: Town) -> None:
    Campaign.objects.update(source_directory=None, target_directory=None, route=None)


def _routed_back(town: Town) -> None:
    town.rows[ANNA]["host"] = "old.example.test"


def _waiting(town: Town) -> None:
    Retirement.objects.update(begins_at=timezone.now() + timedelta(days=1))


def _withdrawn(town: Town) -> None:
    retirements.withdraw(Retirement.objects.get(), actor=make_user(is_manager=True))


@pytest.mark.req("S-135")
@pytest.mark.parametrize(
    "meanwhile",
    [
        _unverified,
        _too_early,
        _late_mail,
        _signed_in,
        _signed_in_who_knows_when,
        _postfix_alone,
        _let_in_by_the_old_server,
        _let_in_by_the_old_server_beside_a_front,
        _password_changed_since,
        _ungoverned,
        _routed_back,
        _waiting,
        _withdrawn,
    ],
    ids=lambda one: one.__name__,
)
def test_whoever_is_not_proved_keeps_all_mail_on_the_source(meanwhile: Callable[[Town], None]) -> None:
    town, (account,) = moved()
    approved()
    meanwhile(town)
    before = left(town)
    look(town)
    account.refresh_from_db()
    assert left(town) >= before  # who is let in there again may write
    assert account.source_removed_at is None
    assert not RemovedMessage.objects.exists()


@pytest.mark.req("S-135")
def test_late_mail_counts_also_when_the_look_that_brought_it_ended_in_an_error() -> None:
    town, (account,) = moved()
    approved()
    _late_mail(town)
    Run.objects.filter(kind="catch_up", figures__appended__gt=0).update(outcome="line.lost")
    look(town)
    account.refresh_from_db()
    assert (left(town) > 0, account.source_removed_at) == (True, None)


def test_late_mail_counts_also_when_the_look_that_brings_it_breaks_off() -> None:
    town, (account,) = moved()
    town.source.mailboxes[ANNA].deliver("INBOX", body("late"))
    fail = OrmLedger.commit
    with pytest.MonkeyPatch.context() as patch:

        def commit_then_fail(self: OrmLedger, *args: Any, **more: Any) -> None:
            fail(self, *args, **more)
            if more.get("leaves") or (args and args[0]):
                raise MigratorError("ledger.damaged")

        patch.setattr(OrmLedger, "commit", commit_then_fail)
        look(town)
    run = Run.objects.get(kind="catch_up")
    assert (run.outcome, run.figures["appended"]) == ("ledger.damaged", 1)
    approved()
    look(town)
    account.refresh_from_db()
    assert (left(town) > 0, account.source_removed_at) == (True, None)


@pytest.mark.req("S-135")
def test_where_logs_are_asked_for_they_must_reach_over_all_days_and_show_no_sign_in() -> None:
    town, (account,) = moved()
    approved_by_log()
    look(town)
    assert left(town) > 0, "no log was brought"
    bring_log(*(("somebody", days) for days in range(8, 20)))
    look(town)
    assert left(town) > 0, "the log ends a week ago"
    bring_log(("somebody", 20), ("somebody", 0), ("somebody", -1))
    look(town)
    assert left(town) > 0, "nothing is known of the days between the lines of one log"
    bring_log(*(("somebody", days) for days in range(9)))
    look(town)
    account.refresh_from_db()
    assert (left(town), account.source_removed_at is not None) == (0, True)


@pytest.mark.parametrize("has_password", [True, False])
def test_a_route_alone_is_believed_where_the_old_server_refuses_or_logs_tell(has_password: bool) -> None:
    town, (account,) = moved()
    if not has_password:
        Account.objects.update(source_secret=None)
    approved()
    look(town)
    assert (left(town) == 0) is has_password
    bring_log(*(("somebody", days) for days in range(20)))
    Retirement.objects.update(is_by_log=True)
    look(town)
    account.refresh_from_db()
    assert left(town) == 0


def test_behind_a_front_it_is_the_old_server_that_must_refuse() -> None:
    town, _ = moved()
    _through_a_front()
    approved()
    town.source.tries.clear()
    look(town)
    assert (left(town), ANNA in town.source.tries) == (0, True)


def test_our_own_looks_are_nobodys_sign_ins() -> None:
    _, (account,) = moved()
    bring_log(*((ANNA, days) for days in range(20)))
    account = Account.objects.select_related("campaign__source_sessions").get(pk=account.pk)
    assert SignIns.of_account(account, 14, timezone.now()) == SignIns(frozenset({account.pk}), True, False)
    OldClient.objects.update(address="127.0.0.1")
    account.campaign.source_sessions = Connector(options={"our_addresses": ["127.0.0.1"]})
    assert SignIns.of_account(account, 14, timezone.now()) == SignIns(frozenset(), True, True)
    account.campaign.source_sessions = None
    assert not SignIns.of_account(account, 14, timezone.now()).knows_us
    bring_log((ANNA, 0), ours=("127.0.0.1", "192.0.2.7"))
    assert SignIns.of_account(account, 14, timezone.now()) == SignIns(frozenset(), True, True)
    old_clients.forget(account.campaign, actor="test")
    assert not SignIns.of_account(account, 14, timezone.now()).is_known


def test_where_nobody_said_from_where_we_come_a_sign_in_may_be_our_own_and_the_page_says_so(client: Client) -> None:
    _, (account,) = moved()
    approved()
    bring_log((ANNA, 1))
    client.force_login(make_user(is_operator=True))
    page = f"/batches/{account.batch_id}/after"
    assert "perhaps Mailferry, which looks every day" in client.get(page).text
    bring_log((ANNA, 1), ours=("192.0.2.9",))
    told = client.get(page).text
    assert ("perhaps Mailferry" in told, "still signs in on the old server" in told) == (False, True)


@pytest.mark.req("S-135")
def test_one_unverified_account_keeps_its_mail_and_the_others_go() -> None:
    town, (anna, _) = moved(ANNA, BERTA)
    Account.objects.filter(pk=anna.pk).update(verified_at=None)
    approved()
    look(town)
    assert (left(town, ANNA) > 0, left(town, BERTA)) == (True, 0)


def test_what_the_target_does_not_hold_any_more_stays_on_the_source() -> None:
    town, (account,) = moved()
    town.target.mailboxes[ANNA]["INBOX"].expunge(1)
    approved()
    look(town)
    account.refresh_from_db()
    assert left(town) == 1
    assert (account.source_removed_at, account.error_code) == (None, "retirement.differs")


@pytest.mark.parametrize("kind", [FaultKind.KILL, FaultKind.KILL_AFTER])
def test_a_removal_killed_anywhere_ends_with_every_message_on_the_target(kind: FaultKind) -> None:
    town, (account,) = moved()
    kept = town.target.mailboxes[ANNA].contents()
    approved()
    town.faults = Faults({})
    REGISTERED["town"] = (town.rows, town.faults, "of the directory")
    names = ("source.mark", "source.remove_marked", "source.remove")
    town.hooks = []
    calls: list[int] = []
    live = town.live

    def watch(name: str) -> None:
        if name in names and not calls:
            calls.append(len(town.faults.calls))
            town.faults._kinds = {calls[0]: kind}
            town.faults._at = (calls[0],)
        live(name)

    town.live = watch  # type: ignore[method-assign]
    look(town)
    assert town.faults.fired, "nothing was removed"
    assert RemovedMessage.objects.filter(removed_at=None).exists()
    town.live = live  # type: ignore[method-assign]
    look(town)
    account.refresh_from_db()
    assert left(town) == 0
    assert account.source_removed_at is not None
    assert town.target.mailboxes[ANNA].contents() == kept
    assert not RemovedMessage.objects.filter(removed_at=None).exists()


def test_whose_mail_went_in_part_is_not_taken_back_to_what_is_left() -> None:
    town, (account,) = moved()
    town.target.mailboxes[ANNA]["INBOX"].expunge(1)  # one copy is not proved, so the removal is not through
    approved()
    look(town)
    account.refresh_from_db()
    assert (left(town), account.source_removed_at) == (1, None)
    with pytest.raises(Refused, match="retired"):
        returns.take_back(account.pk, actor="test", reason="the printer does not print")
    account.refresh_from_db()
    assert account.state == S.DONE


def test_who_lost_a_message_by_an_unknown_end_of_a_removal_is_not_taken_back_either() -> None:
    _, (account,) = moved()
    RemovingOrmLedger(claim(account, LeaseKind.CATCH_UP)).intend_removal(b"INBOX", 7, [1])
    account.refresh_from_db()
    assert returns.why_not(account) == "return.retired"


def test_a_withdrawal_ends_a_removal_that_is_under_way() -> None:
    town, (account,) = moved()
    retirement = approved()
    before = left(town)
    manager = make_user(is_manager=True)
    town.hooks = [("source.mark", lambda: retirements.withdraw(retirement, actor=manager))]
    look(town)
    account.refresh_from_db()
    gone = RemovedMessage.objects.count()
    assert not town.hooks, "nothing was removed"
    assert (0 < left(town) < before, gone) == (True, before - left(town))
    assert account.source_removed_at is None


# Two people


def test_who_asked_cannot_approve_and_nothing_is_asked_twice() -> None:
    moved()
    person = make_user(is_operator=True)
    batch = Batch.objects.get()
    retirement = retirements.ask(batch, **DAYS, actor=person, reason="goes")
    with pytest.raises(Refused, match="same_person"):
        retirements.approve(retirement, actor=person)
    with pytest.raises(Refused, match="asked"):
        retirements.ask(batch, **DAYS, actor=person, reason="goes")
    retirements.approve(retirement, actor=make_user(is_manager=True))
    with pytest.raises(Refused, match="not_open"):
        retirements.approve(retirement, actor=make_user(is_manager=True))
    retirements.withdraw(retirement, actor=person)
    with pytest.raises(Refused, match="not_open"):
        retirements.withdraw(retirement, actor=person)
    retirements.ask(batch, **DAYS, actor=person, reason="again")


def test_after_the_approval_accounts_are_looked_at_every_day_until_it_is_done() -> None:
    town, (account,) = moved()
    approved()
    _waiting(town)
    look(town)
    account.refresh_from_db()
    assert account.not_before is not None
    assert timedelta(hours=23) < account.not_before - timezone.now() <= timedelta(days=1)
    assert Run.objects.filter(kind="catch_up").count() == 1


def test_the_page_names_who_keeps_mail_there_and_why_and_asks_two_people(client: Client) -> None:
    _, (anna, _) = moved(ANNA, BERTA)
    Account.objects.filter(pk=anna.pk).update(verified_at=None)
    page = f"/batches/{anna.batch_id}/after"
    client.force_login(make_user(is_operator=True))
    told = client.get(page).content.decode()
    assert "never compared" in told
    assert "Ask for the removal" in told
    assert client.post(f"{page}/ask", {**DAYS, "reason": ""}).status_code == 422
    given = {**DAYS, "reason": "goes", "is_by_log": "on"}
    asked = client.post(f"{page}/ask", given, follow=True).content.decode()
    assert Retirement.objects.get().is_by_log
    assert "as the logs of the old server tell" in asked
    assert "knows logins, not people" in asked
    assert "Approve the removal" not in asked
    shown = {"retirement": str(Retirement.objects.get().pk)}
    assert client.post(f"{page}/approve", shown, follow=True).content.decode().count("Somebody else must approve")
    client.force_login(make_user(is_manager=True))
    assert "Approve the removal" in client.get(page).content.decode()
    assert f'name="retirement" value="{shown["retirement"]}"' in client.get(page).content.decode()
    client.post(f"{page}/approve", shown)
    assert Retirement.objects.get().approved_by
    client.post(f"{page}/withdraw", shown)
    assert Retirement.objects.get().withdrawn_by
    client.force_login(make_user(is_helpdesk=True))
    assert client.get(page).status_code == 403


def test_nobody_approves_another_removal_than_the_one_they_were_shown(client: Client) -> None:
    _, (anna,) = moved()
    page = f"/batches/{anna.batch_id}/after"
    client.force_login(make_user(is_operator=True))
    client.post(f"{page}/ask", {**DAYS, "reason": "the first"})
    shown = {"retirement": str(Retirement.objects.get().pk)}
    client.post(f"{page}/withdraw", shown)
    client.post(f"{page}/ask", {**DAYS, "reason": "another"})
    client.force_login(make_user(is_manager=True))
    told = client.post(f"{page}/approve", shown, follow=True).content.decode()
    assert "asked for anew" in told
    assert not Retirement.objects.filter(approved_at__isnull=False).exists()


# From the moment on that a target is live


@pytest.mark.parametrize(("owner", "is_refused"), [("source", False), ("unknown", True), ("target", True)])
def test_nothing_is_marked_for_removal_on_a_target_that_may_be_live(owner: str, is_refused: bool) -> None:
    town, (account,) = moved()
    account = Account.objects.select_related("campaign", "source", "target").get()
    account.owner = owner
    inbox = FolderPath(b"INBOX")
    with Approach(account, town.world) as approach, approach.target() as target:
        target.folders()
        change = {inbox: {1: frozenset({DELETED})}}
        if is_refused:
            with pytest.raises(MigratorError, match=r"target\.live"):
                target.set_flags(change)
        else:
            target.set_flags(change)
        target.set_flags({inbox: {1: frozenset({"\\Flagged"})}})


@pytest.mark.parametrize("effect", ["mark", "remove_marked"])
def test_whoever_lost_the_account_meanwhile_removes_nothing(effect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    town, _ = moved()
    approved()
    before = left(town)
    removing = RemovingOrmLedger.intend_removal
    lease: list[Lease] = []

    def lost(ledger: RemovingOrmLedger, *words: Any) -> None:
        removing(ledger, *words)
        lease.append(ledger._lease)
        if effect == "mark":
            ledger._lease.stop.ask(StopReason.LOST)

    monkeypatch.setattr(RemovingOrmLedger, "intend_removal", lost)
    if effect == "remove_marked":
        town.hooks = [("source.mark", lambda: lease[-1].stop.ask(StopReason.LOST))]
    town.faults.live, town.faults.check = town.live, town.check
    Account.objects.update(not_before=timezone.now() - timedelta(seconds=1))
    (claimed,) = scheduling.claim_due(10)
    with pytest.raises(LeaseLost):
        town.take(claimed)
    assert left(town) == before


def test_what_is_about_to_be_removed_is_written_down_and_settled() -> None:
    _, (account,) = moved()
    ledger = RemovingOrmLedger(claim(account, LeaseKind.CATCH_UP))
    ledger.intend_removal(b"INBOX", 7, [1, 2, 3])
    ledger.intend_removal(b"A\xff", 8, [5])
    assert {key: list(uids) for key, uids in ledger.intended_removals().items()} == {
        (b"A\xff", 8): [5],
        (b"INBOX", 7): [1, 2, 3],
    }
    ledger.settle_removals(b"INBOX", 7, gone=[1, 3], kept=[2], removed_at=99)
    assert [tuple(one) for one in ledger.removals()] == [
        (b"A\xff", 8, 5, None),
        (b"INBOX", 7, 1, 99),
        (b"INBOX", 7, 3, 99),
    ]
