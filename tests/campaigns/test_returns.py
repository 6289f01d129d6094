"""Taking people back who had crossed: with what came since, the first few before the others, whatever breaks."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone

from campaigns.models import Account, Batch, Campaign, Connector, Event, JournalEntry, Run
from campaigns.services import accounts, campaigns, returns
from campaigns.services.accounts import Verdict
from campaigns.services.refusals import Refused
from campaigns.states import AccountState
from migrator.errors import MigratorError, Side
from migrator.journal import StepKind
from migrator.recipes import RECIPES, Recipe, stored
from migrator.testing import FaultKind
from migrator.testing.connectors import REGISTERED
from tests.campaigns.factories import figures, make_user
from tests.campaigns.towns import Town, afresh, seeded
from tests.migrator.nights import Faults
from tests.migrator.transfer.scenes import arrivals, body

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]
S = AccountState
ANNA, BERTA = "anna@example.test", "berta@example.test"
STAFF = "a person"
SINCE = {"INBOX": [body("came since"), body("came since, too")], "Archive.1999": [body("filed since")]}


@pytest.fixture(autouse=True)
def _own_data_folder(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "DATA", tmp_path)


def moved(*logins: str, **fields: Any) -> tuple[Town, list[Account]]:
    """A town whose people crossed, and got mail since."""
    town = Town(**fields)
    town.accept()
    found = town.move_in(*(logins or (ANNA,)))
    town.work()
    for account in found:
        town.assert_crossed(account)
        for folder, letters in SINCE.items():
            for letter in letters:
                town.target.mailboxes[account.source_login].deliver(folder, letter)
    return town, found


def assert_home(town: Town, account: Account) -> None:
    """Claim that the user works on the source and has all mail there, once; the target keeps what it had."""
    town.assert_back(account, S.READY)
    assert account.is_stopped
    assert account.taken_back_at is not None
    assert (account.return_asked_at, account.locked_at, account.error_code, account.step) == (None, None, "", "")
    login = account.source_login
    source, target = town.source.mailboxes[login], town.target.mailboxes[login]
    for folder, name in (("INBOX", "INBOX"), ("Archive.1999", "Archive/1999")):
        assert not Counter(SINCE[folder]) - arrivals(source, name)
        assert not arrivals(target, folder) - arrivals(source, name)
        assert not Counter(SINCE[folder]) - arrivals(target, folder)
    assert max(arrivals(source, "INBOX").values()) == 1
    statuses = set(JournalEntry.objects.filter(account=account, cutover=1).values_list("status", flat=True))
    assert statuses == {"undone"}


def take_back(account: Account) -> None:
    returns.take_back(account.pk, actor=STAFF, reason="the printer does not print")


def breaks(town: Town, kinds: dict[int, str]) -> None:
    town.faults = Faults(kinds)
    REGISTERED["town"] = (town.rows, town.faults, "of the directory")


def test_who_is_taken_back_has_at_home_what_came_since_and_may_cross_again() -> None:
    town, (account,) = moved()
    take_back(account)
    town.work()
    assert_home(town, account)
    assert account.lockout_seconds is not None
    run = Run.objects.get(kind="rollback")
    assert (run.outcome, run.figures["carried"]) == ("taken_back", 3)
    town.work()  # nobody moves them again by themselves
    assert figures(account.batch) == {"ready": 1}
    accounts.resume(account.pk, actor=STAFF)
    town.work()
    account.refresh_from_db()
    assert (account.state, account.cutover) == (S.DONE, 2)
    source, target = town.source.mailboxes[ANNA], town.target.mailboxes[ANNA]
    assert arrivals(source, "INBOX") == arrivals(target, "INBOX")


def test_who_moved_is_taken_back_by_the_steps_they_moved_by_whatever_the_method_is_since() -> None:
    town, (account,) = moved()
    steps = [step for step in RECIPES["plain"].steps if step.kind is not StepKind.VERIFY]
    campaigns.configure(account.campaign, name="the move", actor=STAFF, steps=stored(steps))
    take_back(account)
    town.work()
    assert_home(town, account)
    accounts.resume(account.pk, actor=STAFF)
    town.campaign.refresh_from_db()
    town.accept()
    Batch.objects.update(go_at=timezone.now())  # the go that was said was for the other steps
    town.work()
    account.refresh_from_db()
    kinds = JournalEntry.objects.filter(account=account, cutover=2).values_list("kind", flat=True)
    assert (account.state, "verify" in kinds) == (S.DONE, False)


def test_the_page_says_that_nothing_ends_sessions_on_the_new_server(client: Client) -> None:
    _, (account,) = moved()
    client.force_login(make_user(is_operator=True))
    page = f"/accounts/{account.pk}/back"
    assert "Nothing ends open sessions on the new server" in client.get(page).content.decode()
    sessions = Connector.objects.create(room="sessions", kind="dovecot", name="new sessions", options={})
    Campaign.objects.update(target_sessions=sessions)
    assert "Nothing ends open sessions" not in client.get(page).content.decode()


def test_a_plain_copy_is_taken_back_without_any_connector() -> None:
    town, (account,) = moved(is_governed=False)
    take_back(account)
    town.work()
    account.refresh_from_db()
    assert (account.state, account.owner) == (S.READY, "source")
    assert not Counter(SINCE["INBOX"]) - arrivals(town.source.mailboxes[ANNA], "INBOX")


@pytest.mark.parametrize("kind", [FaultKind.KILL, FaultKind.KILL_AFTER, FaultKind.LINE, FaultKind.LOST_ANSWER])
def test_a_way_back_broken_anywhere_ends_on_one_side_with_all_mail(kind: FaultKind) -> None:
    town, (account,) = moved()
    take_back(account)
    breaks(town, {})
    town.work()
    calls = len(town.faults.calls)
    for at in seeded(random.randrange(2**32), calls):
        afresh()
        town, (account,) = moved()
        take_back(account)
        breaks(town, {at: kind})
        town.work()
        assert town.faults.fired or kind in (FaultKind.LINE, FaultKind.LOST_ANSWER), at
        account.refresh_from_db()
        print(at, kind, town.faults.fired, account.state)
        if account.state == S.READY:
            assert_home(town, account)
        else:
            assert (account.state, account.owner) == (S.DONE, "target")
            assert town.target.admits(ANNA)
            assert not town.source.admits(ANNA)


def test_whose_mail_the_old_server_does_not_take_stays_on_the_new_one_unnoticed() -> None:
    town, (account,) = moved()
    town.source.mailboxes[ANNA].refuse = lambda message, kept: MigratorError("message.refused", side=Side.TARGET)
    take_back(account)
    seen = []
    town.hooks = [("directory.replace", lambda: seen.append("locked out"))]
    town.work()
    account.refresh_from_db()
    assert (account.state, account.owner) == (S.DONE, "target")
    assert Run.objects.get(kind="rollback").outcome == "back.left_behind"
    assert seen == []
    assert town.target.admits(ANNA)
    assert account.return_asked_at is None


def test_who_cannot_be_let_in_at_home_is_let_in_at_the_new_server_again() -> None:
    town, (account,) = moved()
    take_back(account)

    def change() -> None:
        town.rows[ANNA]["host"] = "third.example.test"

    town.hooks = [("directory.replace", change)]
    town.work()
    account.refresh_from_db()
    assert (account.state, account.error_code) == (S.ATTENTION, "directory.changed")
    assert town.rows[ANNA]["host"] == "third.example.test"
    town.rows[ANNA]["host"] = "new.example.test"
    accounts.resolve(account.pk, Verdict.BACK, actor=STAFF, reason="the route was mended")
    town.work()
    assert_home(town, account)


def test_a_decision_may_also_be_to_stay() -> None:
    town, (account,) = moved()
    take_back(account)
    town.hooks = [("directory.replace", lambda: town.rows[ANNA].update(host="third.example.test"))]
    town.work()
    town.rows[ANNA]["host"] = "new.example.test"
    account.refresh_from_db()
    accounts.resolve(account.pk, Verdict.FORWARD, actor=STAFF, reason="stays")
    town.work()
    account.refresh_from_db()
    assert (account.state, account.owner, account.return_asked_at) == (S.DONE, "target", None)
    assert town.target.admits(ANNA)


def test_mail_that_reached_the_old_server_meanwhile_is_added_to_the_new_one_when_the_way_back_fails() -> None:
    town, (account,) = moved()
    take_back(account)

    def deliver_and_break() -> None:
        town.source.mailboxes[ANNA].deliver("INBOX", body("reached the old server"))
        town.source.mailboxes[ANNA].refuse = lambda message, kept: MigratorError("message.refused", side=Side.TARGET)
        town.target.mailboxes[ANNA].deliver("INBOX", body("at the last moment"))

    town.hooks = [("route.replace", deliver_and_break)]
    town.work()
    account.refresh_from_db()
    assert account.state == S.DONE
    assert Run.objects.get(kind="rollback").outcome == "back.left_behind"
    assert Run.objects.filter(kind="catch_up").count() == 1
    assert arrivals(town.target.mailboxes[ANNA], "INBOX")[body("reached the old server")] == 1


def test_only_who_moved_and_can_be_carried_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    _, (account,) = moved()
    with pytest.raises(Refused, match="reason"):
        returns.take_back(account.pk, actor=STAFF, reason=" ")
    plain = RECIPES["plain"]
    first = Recipe("plain", "plain", plain.steps, is_staged=True, arrive_first=True)
    with monkeypatch.context() as patch:
        patch.setitem(RECIPES, "plain", first)
        with pytest.raises(Refused, match="arrived_first"):
            take_back(account)
    account.source.kind = "pop3"
    account.source.save()
    with pytest.raises(Refused, match="no_imap"):
        take_back(account)
    account.source.kind = "imap"
    account.source.save()
    take_back(account)
    with pytest.raises(Refused, match="not_moved"):
        take_back(account)


# A batch


def test_the_others_of_a_batch_follow_only_when_the_first_few_are_home() -> None:
    people = [f"user{number}@example.test" for number in range(3)]
    town, found = moved(*people)
    batch = Batch.objects.get()
    with pytest.raises(Refused, match="first_few"):
        returns.take_batch_back(batch, first=None, actor=STAFF, reason="all")
    asked = returns.take_batch_back(batch, first=1, actor=STAFF, reason="a try")
    assert asked.accounts == 1
    with pytest.raises(Refused, match="first_few"):
        returns.take_batch_back(batch, first=None, actor=STAFF, reason="all")
    town.work()
    assert returns.standing(batch).back == 1
    returns.take_batch_back(batch, first=None, actor=STAFF, reason="all")
    town.work()
    for account in found:
        assert_home(town, account)
    assert figures(batch) == {"ready": 3}
    with pytest.raises(Refused, match="nobody"):
        returns.take_batch_back(batch, first=None, actor=STAFF, reason="all")


def test_a_first_one_that_stays_keeps_the_others_where_they_are() -> None:
    town, (_, berta) = moved(ANNA, BERTA)
    town.source.mailboxes[ANNA].refuse = lambda message, kept: MigratorError("message.refused", side=Side.TARGET)
    returns.take_batch_back(Batch.objects.get(), first=1, actor=STAFF, reason="a try")
    town.work()
    with pytest.raises(Refused, match="first_few"):
        returns.take_batch_back(Batch.objects.get(), first=None, actor=STAFF, reason="all")
    berta.refresh_from_db()
    assert berta.state == S.DONE
    returns.take_batch_back(Batch.objects.get(), first=1, actor=STAFF, reason="another try")
    town.work()
    assert_home(town, berta)


# What is shown before


def test_a_look_counts_what_came_since_and_changes_nothing() -> None:
    town, (account,) = moved()
    before = town.target.mailboxes[ANNA].contents()
    account = Account.objects.select_related("campaign", "batch", "source", "target").get()
    returns.look(account, actor=STAFF, world=town.world)
    data = Event.objects.get(name=returns.LOOKED).data
    letters = [letter for some in SINCE.values() for letter in some]
    assert data == {"messages": 3, "bytes": sum(map(len, letters))}
    assert town.target.mailboxes[ANNA].contents() == before
    returns.look_at_some(account.batch, actor=STAFF, world=town.world)
    many = Event.objects.get(name=returns.LOOKED_AT_MANY).data
    assert many == {"accounts": 1, "of": 1, "messages": 3, "bytes": sum(map(len, letters))}


def test_the_pages_tell_what_goes_with_them_and_take_back_with_a_reason(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    town, (account, _) = moved(ANNA, BERTA)
    client.force_login(make_user(is_operator=True))
    monkeypatch.setattr(returns.look, "__kwdefaults__", {"world": town.world})
    monkeypatch.setattr(returns.look_at_some, "__kwdefaults__", {"world": town.world})
    page = f"/accounts/{account.pk}/back"
    assert "Look what would go back" in client.get(page).content.decode()
    told = client.post(f"{page}/look", follow=True).content.decode()
    assert "3 messages" in told
    assert client.post(f"{page}/go", {"reason": ""}).status_code == 422
    assert client.post(f"{page}/go", {"reason": "asked for it"}).status_code == 302
    account.refresh_from_db()
    assert account.state == S.ROLLING_BACK
    town.work()
    assert_home(town, account)
    page = f"/batches/{account.batch_id}/back"
    told = client.post(f"{page}/look", follow=True).content.decode()
    assert "3 messages" in told
    assert "Take all the others back" in told
    wrong = client.post(f"{page}/go", {"who": "others", "reason": "x", "typed": "7"})
    assert wrong.status_code == 422
    right = client.post(f"{page}/go", {"who": "others", "reason": "x", "typed": "1"}, follow=True)
    assert "1 person is taken back" in right.content.decode()
    town.work()
    assert figures(account.batch) == {"ready": 2}


def test_who_may_not_say_go_may_not_take_back(client: Client) -> None:
    _, (account,) = moved()
    client.force_login(make_user(is_helpdesk=True, is_manager=True))
    for address in (f"/accounts/{account.pk}/back", f"/batches/{account.batch_id}/back"):
        assert client.get(address).status_code == 403
        assert client.post(f"{address}/go", {"reason": "x", "first": 1}).status_code == 403
