"""Helpdesk: who is found by which words, and what the page of one person says and does."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from campaigns.models import Account, AccountName, Event
from campaigns.selectors import people
from campaigns.services import batches, names
from campaigns.states import AccountState
from tests.campaigns.factories import event_names, make_account, make_campaign, make_user

pytestmark = pytest.mark.django_db

S = AccountState

PEOPLE = (
    ("m.garcia@x.test", "Maria Garcia", "Physics", "+1 555 2-4417", ("info@x.test",)),
    ("lars@x.test", "Lars Garcia-Lopez", "Law", "2-4418", ()),
    ("s1234@x.test", "Zoë Sørensen", "Physics", "030 123", ()),
    ("obrien@x.test", "Ann O'Brien", "", "", ("lars@y.test",)),
)


@pytest.fixture
def town() -> dict[str, Account]:
    """A campaign of the people above, by login."""
    rows = []
    for login, name, department, phone, _also in PEOPLE:
        facts = {"display_name": name, "department": department, "phone": phone}
        rows.append(Account(source_login=login, target_login=login, **facts))
    batches.cut(make_campaign(), rows, actor="test")
    for account, (*_rest, also) in zip(rows, PEOPLE, strict=True):
        AccountName.objects.bulk_create(names.rows_of(account, also))
    return {account.source_login.partition("@")[0]: account for account in rows}


@pytest.mark.parametrize(
    ("query", "logins"),
    [
        ("garcia", {"lars", "m.garcia"}),
        ("GARC", {"lars", "m.garcia"}),
        ("garcia physics", {"m.garcia"}),
        ("phys gar", {"m.garcia"}),
        ("mar garcia phys", {"m.garcia"}),
        ("garcia library", set()),
        ("m.garcia", {"m.garcia"}),
        ("m.garcia@x.test", {"m.garcia"}),
        ("info@x", {"m.garcia"}),
        ("info", {"m.garcia"}),
        ("garcia-lopez", {"lars"}),
        ("sorensen", {"s1234"}),
        ("Sørensen", {"s1234"}),
        ("zoe", {"s1234"}),
        ("s12", {"s1234"}),
        ("o'brien", {"obrien"}),
        ("brien", {"obrien"}),
        ("2-4417", {"m.garcia"}),
        ("2 4417", {"m.garcia"}),
        ("24417", {"m.garcia"}),
        ("4417", {"m.garcia"}),
        ("+1 (555) 2-4417", {"m.garcia"}),
        ("2-441", {"lars"}),
        ("0030 123", {"s1234"}),
        ("lars@x.test", {"lars"}),
        ("lars@", {"lars", "obrien"}),
        ("garcia 4417", {"m.garcia"}),
        ("714425551", set()),
        ("7144", set()),
        ("%", set()),
        ("_", set()),
        ("gar%", {"lars", "m.garcia"}),
        ("@", set()),
        ("'; --", set()),
        ("\U0010ffff", set()),
        ("", set()),
    ],
)
def test_every_word_must_be_the_beginning_of_a_name(town: dict[str, Account], query: str, logins: set[str]) -> None:
    found = people.find(query)
    assert {account.source_login.partition("@")[0] for account in found.people} == logins
    assert not found.is_more
    assert len(town) == len(PEOPLE)


def test_a_whole_address_finds_its_own_account_alone(town: dict[str, Account]) -> None:
    other = make_account(source_login="lars@x.test.example", target_login="other")
    AccountName.objects.bulk_create(names.rows_of(other, ()))
    assert people.find("Lars@X.test").only == town["lars"]
    assert len(people.find("lars@x.tes").people) == 2


def test_more_people_than_are_shown_are_told(town: dict[str, Account]) -> None:
    found = people.find("garcia", most=1)
    assert (len(found.people), found.is_more, found.only) == (1, True, None)
    assert town


def test_common_words_find_the_same_as_rare_ones(town: dict[str, Account], monkeypatch: pytest.MonkeyPatch) -> None:
    queries = (
        *("garcia physics", "garcia", "gar phy mar", "garcia library", "s12 zoe", "garcia 4417", "lars garcia law"),
        *("g ga gar garcia", "m ma g p", "m g p law", "g ga gar garc garcia l"),
    )
    rare = [people.find(query).people for query in queries]
    for least, look in (
        (0, 500),
        (0, 0),
        (2, 0),
        (1, 1),
    ):  # enough shown at once; sets of all words, or of some of them
        monkeypatch.setattr(people, "_RARE", least)
        monkeypatch.setattr(people, "_LOOK", look)
        assert [people.find(query).people for query in queries] == rare, (least, look)
    assert rare[0] == [town["m.garcia"]]


def test_words_that_are_all_common_find_those_of_whom_each_is_true(
    town: dict[str, Account], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of four words begins twelve names; three of them are true of four people, the fourth of one of these."""
    accounts = list(town.values())
    of = {"aa": accounts * 3, "bb": accounts * 3, "cc": accounts * 3, "dd": [town["lars"]] * 12}
    AccountName.objects.bulk_create(
        AccountName(account=account, kind=names.ADDRESS, value=f"{word}{place}@x.test")
        for word, whose in of.items()
        for place, account in enumerate(whose)
    )
    for rare, look in ((8, 0), (8, 500), (2, 0), (0, 0)):
        monkeypatch.setattr(people, "_RARE", rare)
        monkeypatch.setattr(people, "_LOOK", look)
        assert people.find("aa bb cc dd").people == [town["lars"]], (rare, look)
        assert set(people.find("aa bb cc").people) == set(accounts), (rare, look)
        found = people.find("aa bb cc", most=3)
        assert (len(found.people), found.is_more) == (3, True), (rare, look)


def test_somebody_with_a_great_many_names_hides_nobody(town: dict[str, Account]) -> None:
    many = [AccountName(account=town["lars"], kind=names.ADDRESS, value=f"gar{n:04}@x.test") for n in range(900)]
    AccountName.objects.bulk_create(many)
    assert set(people.find("gar").people) == {town["lars"], town["m.garcia"]}


@pytest.fixture
def helpdesk(client: Client) -> Client:
    client.force_login(make_user(is_helpdesk=True))
    return client


def test_one_result_opens_itself_several_are_a_list_and_none_says_what_to_try(
    helpdesk: Client, town: dict[str, Account]
) -> None:
    alone = helpdesk.get("/people", {"q": "garcia physics"})
    assert (alone.status_code, alone["Location"]) == (302, reverse("person", args=(town["m.garcia"].pk,)))
    several = helpdesk.get("/people", {"q": "garcia"})
    assert b"Maria Garcia" in several.content
    assert b"Lars Garcia-Lopez" in several.content
    none = helpdesk.get("/people", {"q": "nob<b>ody\0"})
    assert b"What to try" in none.content
    assert b"nob&lt;b&gt;ody" in none.content
    assert b"How to find somebody" in helpdesk.get("/people").content


def test_a_search_costs_the_same_however_many_it_finds(
    helpdesk: Client, town: dict[str, Account], django_assert_max_num_queries: object
) -> None:
    with django_assert_max_num_queries(8):  # type: ignore[operator]
        helpdesk.get("/people", {"q": "gar phy x"})
    assert town


def test_the_page_of_a_person_needs_few_questions(helpdesk: Client, django_assert_max_num_queries: object) -> None:
    account = make_account(S.DONE)
    with django_assert_max_num_queries(5):  # type: ignore[operator]
        helpdesk.get(f"/people/{account.pk}")


@pytest.mark.parametrize("state", list(S))
def test_the_page_of_every_state_can_be_read(helpdesk: Client, state: AccountState) -> None:
    account = make_account(state, display_name="Maria Garcia")
    page = helpdesk.get(f"/people/{account.pk}").content.decode()
    assert "Say this" in page
    assert "Do not promise" in page
    assert "None\n" not in page


def test_settings_are_those_of_the_server_where_the_mailbox_is(helpdesk: Client) -> None:
    account = make_account(S.READY)
    assert account.source.host in helpdesk.get(f"/people/{account.pk}").content.decode()
    Account.objects.filter(pk=account.pk).update(state=S.DONE, owner="target")
    page = helpdesk.get(f"/people/{account.pk}").content.decode()
    assert account.target.host in page
    assert account.source.host not in page


def test_no_settings_are_read_out_while_nobody_can_sign_in(helpdesk: Client) -> None:
    account = make_account(S.CUTTING_OVER, locked_at=timezone.now())
    page = helpdesk.get(f"/people/{account.pk}").content.decode()
    assert account.source.host not in page
    assert account.target.host not in page


def test_a_call_is_noted_with_who_took_it(client: Client) -> None:
    user, account = make_user(is_helpdesk=True), make_account(S.DONE)
    client.force_login(user)
    done = client.post(f"/people/{account.pk}/call", {"note": "  Phone asks \n for the password. "}, follow=True)
    assert "Phone asks for the password." in done.content.decode()
    event = Event.objects.get(name="account.call.noted")
    assert (event.actor, event.account, event.data) == (user, account, {"note": "Phone asks for the password."})


@pytest.mark.parametrize("note", ["", "   ", "x" * 201, "\0"])
def test_a_note_that_cannot_be_kept_is_refused_at_its_field(helpdesk: Client, note: str) -> None:
    account = make_account(S.DONE)
    answer = helpdesk.post(f"/people/{account.pk}/call", {"note": note})
    assert answer.status_code == 422
    assert 'aria-invalid="true"' in answer.content.decode()
    assert not Event.objects.filter(name="account.call.noted").exists()


def test_the_operator_is_told_once_and_looks(client: Client) -> None:
    account = make_account(S.HELD)
    client.force_login(make_user(is_helpdesk=True))
    client.post(f"/people/{account.pk}/tell")
    again = client.post(f"/people/{account.pk}/tell", follow=True)
    assert "has been told about this mailbox already" in again.content.decode()
    assert client.post(f"/people/{account.pk}/looked").status_code == 403
    client.force_login(make_user(is_operator=True))
    assert account.source_login in client.get("/").content.decode()
    gone = client.post(f"/people/{account.pk}/looked", {"back": "home"}, follow=True)
    assert gone.redirect_chain == [("/", 302)]
    names_ = event_names(account=account, name__startswith="account.operator.")
    assert names_ == ["account.operator.told", "account.operator.looked"]
    assert "nobody waits" in client.post(f"/people/{account.pk}/looked", follow=True).content.decode().lower()


def test_a_retry_and_a_stop_are_made_and_what_cannot_be_is_told(helpdesk: Client) -> None:
    account = make_account(S.FAILED, resume_state="staging", error_code="line.silent", error_side="source")
    helpdesk.post(f"/people/{account.pk}/retry")
    account.refresh_from_db()
    assert account.state == S.STAGING
    helpdesk.post(f"/people/{account.pk}/stop")
    assert Account.objects.get(pk=account.pk).is_stopped
    helpdesk.post(f"/people/{account.pk}/resume")
    assert not Account.objects.get(pk=account.pk).is_stopped
    refused = helpdesk.post(f"/people/{account.pk}/resume", follow=True)
    assert "This account is not stopped." in refused.content.decode()


@pytest.mark.parametrize("state", [S.CUTTING_OVER, S.HELD, S.ROLLING_BACK, S.ATTENTION])
@pytest.mark.parametrize("act", ["retry", "stop", "resume"])
def test_who_is_locked_out_or_about_to_be_is_not_moved_by_the_helpdesk(
    helpdesk: Client, state: AccountState, act: str
) -> None:
    # A page that was opened before the move began still has its buttons.
    account = make_account(state, not_before=timezone.now() + timedelta(hours=1), is_stopped=act == "resume")
    before = Account.objects.values().get(pk=account.pk)
    answer = helpdesk.post(f"/people/{account.pk}/{act}", follow=True)
    assert "Tell the operator" in answer.content.decode().partition("<main")[2].partition("</ul>")[0]
    assert Account.objects.values().get(pk=account.pk) == before
    assert not Event.objects.filter(account=account).exists()


def test_an_act_that_is_none_is_not_found_and_reading_does_nothing(helpdesk: Client) -> None:
    account = make_account(S.FAILED)
    assert helpdesk.post(f"/people/{account.pk}/burn").status_code == 404
    assert helpdesk.get(f"/people/{account.pk}/retry").status_code == 405
    assert helpdesk.get("/people/999999").status_code == 404


def test_what_the_reader_may_not_do_is_neither_offered_nor_done(client: Client) -> None:
    account = make_account(S.FAILED, resume_state="staging")
    client.force_login(make_user(is_manager=True))
    page = client.get(f"/people/{account.pk}").content.decode()
    assert "<button" not in page.partition("What you can do")[2].partition("</section>")[0]
    for act in ("retry", "stop", "resume", "tell", "looked", "call"):
        assert client.post(f"/people/{account.pk}/{act}", {"note": "x"}).status_code == 403


def test_the_window_is_told_only_while_it_lies_ahead(helpdesk: Client) -> None:
    account = make_account(S.READY)
    begins = timezone.now() + timedelta(days=40)
    batch = account.batch
    type(batch).objects.filter(pk=batch.pk).update(window_begins_at=begins)
    assert "Its move is planned for" in helpdesk.get(f"/people/{account.pk}").content.decode()
    type(batch).objects.filter(pk=batch.pk).update(window_begins_at=begins - timedelta(days=80))
    assert "Its move is planned for" not in helpdesk.get(f"/people/{account.pk}").content.decode()
