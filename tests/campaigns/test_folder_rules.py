"""Rules for single folders: what they refuse, what they tell, and that the copy does what they say, with its sums."""

from __future__ import annotations

import pytest

from campaigns.models import Account, Event
from campaigns.services import accounts, folder_rules
from campaigns.services.folder_rules import Action
from campaigns.services.refusals import Refused
from campaigns.states import AccountState
from migrator.mail import NO_FLAGS, FolderPath
from migrator.transfer.folders import FolderRules, Renaming
from tests.campaigns.factories import event_names, make_account
from tests.campaigns.towns import Town
from tests.migrator.transfer.scenes import arrivals, body

pytestmark = pytest.mark.django_db(transaction=True)
ANNA, STAFF = "anna@example.test", "a person"


def refuses(code: str) -> object:
    return pytest.raises(Refused, match=f"^{code}$")


def rule(account: Account, folder: str, name: str = "") -> None:
    action = Action.RENAME if name else Action.SKIP
    folder_rules.set_rule(account.pk, folder, action, actor=STAFF, name=name)


def test_a_rule_is_stored_told_replaced_and_taken_away() -> None:
    account = make_account()
    rule(account, "Projects/cur", " Projects/Current ")
    rule(account, "Spam")
    account.refresh_from_db()
    expected = FolderRules(skip_exactly=frozenset({"Spam"}), renamings=(Renaming("Projects/cur", "Projects/Current"),))
    assert folder_rules.rules_of(account) == expected
    rule(account, "Projects/cur")
    folder_rules.clear_rule(account.pk, "Spam", actor=STAFF)
    account.refresh_from_db()
    assert folder_rules.rules_of(account) == FolderRules(skip_exactly=frozenset({"Projects/cur"}))
    assert event_names(account=account)[-4:] == [*["account.folder_rule.set"] * 3, "account.folder_rule.cleared"]
    told = Event.objects.filter(account=account, name="account.folder_rule.set").order_by("pk")[0]
    assert told.actor_name == STAFF
    assert told.data == {"folder": "Projects/cur", "action": "rename", "target": "Projects/Current"}


@pytest.mark.parametrize(
    ("folder", "name", "code"),
    [
        (" ", "x", "folder"),
        ("a\0", "x", "folder"),
        ("\ud800", "x", "folder"),
        ("a", "b//c", "name"),
        ("a", "/b", "name"),
        ("a", "b" * 1001, "name"),
        ("a", "Inbox", "inbox"),
        ("a", "a", "same_name"),
    ],
)
def test_a_name_that_is_none_is_refused(folder: str, name: str, code: str) -> None:
    account = make_account()
    with refuses(f"folder_rule.{code}"):
        rule(account, folder, name)
    with refuses("folder_rule.name"):
        folder_rules.set_rule(account.pk, "a", Action.RENAME, actor=STAFF)
    with refuses("folder_rule.none"):
        folder_rules.clear_rule(account.pk, "a", actor=STAFF)
    account.refresh_from_db()
    assert account.folder_rules == {}


@pytest.mark.parametrize("is_governed", [True, False])
def test_a_folder_that_is_left_out_stays_behind_with_its_messages_counted(is_governed: bool) -> None:
    town = Town(is_governed=is_governed)
    town.accept()
    (account,) = town.move_in(ANNA)
    town.source.mailboxes[ANNA].deliver("Archive/1999/*", body("star"))
    rule(account, "Archive/1999")
    town.work()
    account.refresh_from_db()
    assert account.state == AccountState.DONE
    assert (account.messages_left, account.messages_skipped) == (2, 2)
    assert (
        account.messages_total
        == account.messages_done + 2
        == sum(len(each.messages) for each in town.source.mailboxes[ANNA])
    )
    assert not arrivals(town.target.mailboxes[ANNA], "Archive.1999")
    assert arrivals(town.target.mailboxes[ANNA], "Archive.1999.*").total() == 1


def test_a_folder_lands_under_the_name_that_a_rule_gives_it() -> None:
    town = Town()
    town.accept()
    (account,) = town.move_in(ANNA)
    rule(account, "Archive/1999", "Letters/last century")
    town.work()
    town_target = town.target.mailboxes[ANNA]
    account.refresh_from_db()
    assert (account.state, account.messages_left) == (AccountState.DONE, 0)
    assert arrivals(town_target, "Letters.last century") == arrivals(town.source.mailboxes[ANNA], "Archive/1999")
    assert town_target.find(town_target.path("Archive.1999")) is None
    with refuses("folder_rule.copied"):
        rule(account, "Archive/1999", "Elsewhere")
    rule(account, "Archive/1999")


def test_a_failed_account_goes_on_after_its_rule_was_set() -> None:
    town = Town(is_governed=False)
    town.accept()
    (account,) = town.move_in(ANNA)
    town.source.mailboxes[ANNA].add_folder(FolderPath(b"bad\rname", "/")).add(body("one"), NO_FLAGS, 0, 0)
    town.work()
    account.refresh_from_db()
    assert (account.state, account.error_code) == (AccountState.FAILED, "folder.bad_name")
    rule(account, "bad\rname")
    accounts.retry(account.pk, actor=STAFF)
    town.work()
    account.refresh_from_db()
    assert (account.state, account.messages_skipped) == (AccountState.DONE, 1)
