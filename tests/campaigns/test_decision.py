"""What somebody needs who decides about an account: what is known, what was looked at, what each choice does."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from campaigns.models import Account, Event, JournalEntry
from campaigns.selectors.decision import decision
from campaigns.states import AccountState
from tests.campaigns.factories import make_account, make_user

pytestmark = pytest.mark.django_db

S = AccountState


def undecided(owner: str = "unknown", **fields: object) -> Account:
    return make_account(S.ATTENTION, owner=owner, cutover=1, error_code="directory.lost", error_side="target", **fields)


def step(account: Account, position: int, kind: str, side: str, status: str) -> None:
    place = {"account": account, "cutover": 1, "position": position, "kind": kind, "side": side}
    JournalEntry.objects.create(**place, status=status, begun_at=timezone.now() - timedelta(minutes=5))


def known(account: Account) -> dict[str, str]:
    return {one.told: one.family for one in decision(account).known}


def test_a_switch_that_is_not_proved_is_said_to_be_unknown_with_what_is_proved_beside_it() -> None:
    account = undecided(locked_at=timezone.now())
    for position, (kind, side, status) in enumerate(
        [("hold", "", "done"), ("disable", "source", "done"), ("verify", "", "done"), ("switch", "", "begun")]
    ):
        step(account, position, kind, side, status)
    assert known(account) == {
        "The switch was begun and is not proved: nobody knows which server is live.": "attention",
        "The user is locked out, on both servers.": "attention",
        "Both mailboxes were compared and are alike: no mail is missing.": "done",
        "New mail is held since this step began. None of it bounces.": "attention",
        "Begun, and not proved: Switch.": "attention",
    }


def test_what_was_not_begun_is_proved_to_be_as_it_was() -> None:
    account = undecided("source")
    step(account, 0, "disable", "source", "begun")
    told = known(account)
    assert told["The switch was not begun: the mailbox is live on the old server."] == "done"
    assert told["Whether the user is locked out is not proved."] == "attention"


@pytest.mark.parametrize(
    "fields", [{"arrives_first": True}, {"return_asked_at": timezone.now()}], ids=["first", "back"]
)
def test_who_worked_on_the_new_server_is_not_said_to_have_all_mail_on_the_old_one(fields: dict[str, object]) -> None:
    told = known(undecided(**fields))
    assert "Both mailboxes were not compared yet. Each of them may have mail that the other has not." in told
    assert not any("All mail is on the old server" in one for one in told)


def test_mail_that_was_released_is_not_said_to_be_held() -> None:
    account = undecided("target")
    step(account, 0, "hold", "", "done")
    step(account, 1, "release", "", "done")
    assert not any("held" in told for told in known(account))


def test_looks_of_this_move_are_told_and_those_of_an_earlier_one_are_not() -> None:
    account = undecided()
    error = {"error": {"code": "directory.lost", "side": "target"}}
    Event.objects.create(name="account.cutover.disable.failed", account=account, data=error)
    step(account, 0, "switch", "", "begun")
    JournalEntry.objects.update(begun_at=timezone.now())
    Event.objects.create(name="account.cutover.switch.failed", account=account, data=error)
    (looked,) = decision(account).looked
    assert looked.told.startswith("Switch: did not work.")


def test_to_let_back_is_offered_only_where_the_old_server_is_proved_to_be_live() -> None:
    choices = {choice.title: choice.why_not for choice in decision(undecided()).choices}
    assert choices["Let the user back"].startswith("Not offered")
    assert [choice.why_not for choice in decision(undecided("source")).choices] == ["", "", "", ""]


def test_the_page_shows_it_before_the_form(client: Client) -> None:
    client.force_login(make_user(is_operator=True))
    page = client.get(f"/accounts/{undecided().pk}").content.decode()
    places = [
        page.index(words) for words in ("What is known", "What was looked at", "What each choice does", "Decide<")
    ]
    assert places == sorted(places)
