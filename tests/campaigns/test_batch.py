"""The page of a batch through Django's client: what it shows, what it asks, what it does and what it refuses."""

from __future__ import annotations

import gzip
import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from campaigns.models import Account, AccountName, Batch, Event
from campaigns.selectors.batch_rows import Filter
from campaigns.states import AccountState as S
from campaigns.states import Owner
from tests.campaigns import scenes
from tests.campaigns.factories import event_names, figures, make_batch, make_campaign, make_user, put

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(make_user(is_operator=True))
    return client


def text_of(html: bytes) -> str:
    """What a page says, in one line."""
    return " ".join(re.sub(r"<[^>]*>", " ", re.sub(r"</?strong>", "", html.decode())).split())


def sentence_of(client: Client, batch: Batch) -> str:
    html = client.get(f"/batches/{batch.pk}").content
    (found,) = re.findall(rb'<span id="sentence" role="status">(.*?)</span>', html, re.DOTALL)
    return text_of(found)


def read(client: Client, batch: Batch, query: str = "") -> str:
    answer = client.get(f"/batches/{batch.pk}{query}")
    assert answer.status_code == 200
    return text_of(answer.content)


def act(client: Client, batch: Batch, **fields: object) -> str:
    """Press a button, and return what the page after it says."""
    answer = client.post(f"/batches/{batch.pk}/act", fields, follow=True)
    return text_of(answer.content)


def mixed(accounts: int = 40) -> Batch:
    """Tonight's batch of the scene: some of every state."""
    scenes.platform(accounts)
    return Batch.objects.get(name="Science 3")


def failed(count: int = 3, code: str = "target.full", side: str = "target") -> Batch:
    batch = make_batch(count, state=S.FAILED)
    batch.accounts.update(error_code=code, error_side=side, resume_state="staging")
    return batch


# What it says


def test_the_sentence_counts_who_moved_and_who_needs_the_reader(operator: Client) -> None:
    batch = make_batch(10, state=S.DONE, go_at=timezone.now())
    for account in batch.accounts.all()[:2]:
        put(account, S.ATTENTION)
    assert sentence_of(operator, batch) == "8 of 10 are on the new server, 2 need you."


def test_the_title_begins_with_the_number_that_needs_the_reader(operator: Client) -> None:
    batch = make_batch(3, state=S.READY)
    put(batch.accounts.first(), S.ATTENTION)  # type: ignore[arg-type]
    assert f"<title>1 needs you: {batch.name} ·" in operator.get(f"/batches/{batch.pk}").content.decode()


def test_a_batch_that_has_not_begun_waits_for_its_start(operator: Client) -> None:
    page = read(operator, make_batch(4, started=False))
    assert "4 accounts wait for their start" in page
    assert "Nothing has been read or written yet." in page


def test_an_empty_batch_says_what_belongs_into_it(operator: Client) -> None:
    batch = Batch.objects.create(campaign=make_campaign(), number=1, name="Empty")
    assert sentence_of(operator, batch) == "There is no account in this batch."
    assert "No account has come into this batch yet." in read(operator, batch)


def test_time_left_is_told_from_the_measured_pace_only_after_a_hundredth(operator: Client) -> None:
    now = timezone.now()
    batch = make_batch(20, state=S.READY, go_at=now)
    assert "left" not in sentence_of(operator, batch)
    for place, account in enumerate(batch.accounts.order_by("pk")[:10]):
        put(account, S.DONE, state_since=now - timedelta(minutes=10 - place))
    assert sentence_of(operator, batch) == "10 of 20 are on the new server, about 10 min left."


def test_a_paused_batch_promises_no_time(operator: Client) -> None:
    now = timezone.now()
    batch = make_batch(20, state=S.READY, go_at=now, is_paused=True)
    for account in batch.accounts.order_by("pk")[:10]:
        put(account, S.DONE, state_since=now - timedelta(minutes=5))
    assert "left" not in sentence_of(operator, batch)
    assert "Paused: nothing more begins" in read(operator, batch)


def test_a_brake_says_that_it_was_one(operator: Client) -> None:
    from campaigns.services import batches

    batch = make_batch(3, state=S.FAILED)
    batches.pause(batch, actor="ticker", reason="failures")
    assert "Too many accounts did not move" in read(operator, batch)


def test_problems_stand_by_cause_with_what_to_do(operator: Client) -> None:
    batch = failed(3)
    one = batch.accounts.first()
    assert one is not None
    put(one, S.ATTENTION, owner=Owner.UNKNOWN, error_code="directory.lost")
    page = read(operator, batch)
    assert "3 accounts, 2 causes" in page
    assert page.index("The line to the directory dropped") < page.index("The new mailbox is full.")
    assert "Retry these 2" in page


def test_what_tries_again_by_itself_is_a_problem_too(operator: Client) -> None:
    batch = make_batch(2, state=S.STAGING)
    batch.accounts.update(error_code="target.full", error_side="target", not_before=timezone.now())
    assert "Tries again by itself." in read(operator, batch)
    assert "Retry these 2" in read(operator, batch)


def test_password_causes_lead_to_a_new_list_and_others_do_not(operator: Client) -> None:
    assert "batch/needs" not in read(operator, failed(2))
    from campaigns.selectors import batch_page

    (problem,) = batch_page.view(failed(2, "sign_in.refused", "source")).problems
    assert problem.wants_list
    (other,) = batch_page.view(failed(2)).problems
    assert not other.wants_list


# The one next action


@pytest.mark.parametrize(
    ("fields", "state", "button"),
    [
        ({}, S.READY, "Say go"),
        ({"is_paused": True}, S.READY, "Resume"),
        ({}, S.FAILED, "Retry the 3 not moved"),
        ({"is_paused": True}, S.ATTENTION, "Resume"),
        ({}, S.ATTENTION, "Decide about 3 accounts"),
        ({"canary": 1, "cutovers_begun": 1, "go_at": timezone.now()}, S.READY, "Approve the first few"),
    ],
)
def test_there_is_one_primary_button_and_it_fits(
    operator: Client, fields: dict[str, object], state: S, button: str
) -> None:
    batch = make_batch(3, state=state, **fields)
    html = operator.get(f"/batches/{batch.pk}").content.decode()
    (found,) = re.findall(r"<(?:a|button)[^>]*btn-primary[^>]*>(.*?)</(?:a|button)>", html, re.DOTALL)
    assert button in text_of(found.encode())


def test_a_batch_that_waits_offers_its_start(operator: Client) -> None:
    batch = make_batch(3, started=False)
    assert "Started." in act(operator, batch, act="start")
    batch.refresh_from_db()
    assert batch.started_at is not None


def test_whoever_only_reads_is_offered_nothing(client: Client) -> None:
    client.force_login(make_user(is_manager=True))
    batch = failed(2)
    html = client.get(f"/batches/{batch.pk}").content.decode()
    assert "btn-primary" not in html
    assert 'name="a"' not in html
    assert client.post(f"/batches/{batch.pk}/act", {"act": "retry_failed"}).status_code == 403
    assert event_names(account__isnull=False, name="account.state.staging") == []


def test_the_helpdesk_has_no_batches(client: Client) -> None:
    client.force_login(make_user(is_helpdesk=True))
    assert client.get(f"/batches/{make_batch(1).pk}").status_code == 403


def test_a_closed_campaign_is_only_read(operator: Client) -> None:
    batch = failed(2)
    batch.campaign.closed_at = timezone.now()
    batch.campaign.save()
    assert "btn-primary" not in operator.get(f"/batches/{batch.pk}").content.decode()
    assert operator.post(f"/batches/{batch.pk}/act", {"act": "pause"}).status_code == 403


# The table


def test_a_hundred_rows_a_page_problems_first(operator: Client) -> None:
    batch = make_batch(130, state=S.READY)
    last = batch.accounts.order_by("-pk").first()
    assert last is not None
    put(last, S.FAILED)
    html = operator.get(f"/batches/{batch.pk}").content.decode()
    rows = re.findall(r'<tr id="row-(\d+)"', html)
    assert len(rows) == 100
    assert rows[0] == str(last.pk)
    assert "1 to 100 of 130" in text_of(html.encode())
    second = operator.get(f"/batches/{batch.pk}?page=2").content.decode()
    assert len(set(re.findall(r'<tr id="row-(\d+)"', second)) - set(rows)) == 30


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?state=failed", {"user-b", "user-c"}),
        ("?state=done", {"user-a"}),
        ("?state=nonsense", {"user-a", "user-b", "user-c", "user-d"}),
        ("?cause=target.full", {"user-b"}),
        ("?cause=target.full&side=source", set()),
        ("?q=Ingrid", {"user-d"}),
        ("?q=555 01", {"user-d"}),
        ("?q=USER-A", {"user-a"}),
        ("?q=100%25", set()),
        ("?page=99999999", {"user-a", "user-b", "user-c", "user-d"}),
        ("?page=-1&order=bogus", {"user-a", "user-b", "user-c", "user-d"}),
    ],
)
def test_filters_find_what_they_name(operator: Client, query: str, expected: set[str]) -> None:
    batch = make_batch(4)
    states = {"user-a": S.DONE, "user-b": S.FAILED, "user-c": S.FAILED, "user-d": S.NEW}
    for account, (login, state) in zip(batch.accounts.order_by("pk"), states.items(), strict=True):
        code = "target.full" if login == "user-b" else ""
        put(account, state, source_login=login, error_code=code, error_side="target" if code else "")
        AccountName.objects.create(account=account, kind="login", value=login)
        if login == "user-d":
            AccountName.objects.create(account=account, kind="name", value="ingrid wei")
            AccountName.objects.create(account=account, kind="phone", value="55501")
    html = operator.get(f"/batches/{batch.pk}{query}").content.decode()
    assert set(re.findall(r"user-[abcd]", text_of(html.encode()))) == expected


@pytest.mark.parametrize(
    ("order", "first"), [("address", "user-a"), ("size", "user-c"), ("change", "user-b"), ("problems", "user-d")]
)
def test_the_order_stands_in_the_address(operator: Client, order: str, first: str) -> None:
    batch = make_batch(4, state=S.READY)
    now = timezone.now()
    for account, login in zip(batch.accounts.order_by("-pk"), ("user-d", "user-c", "user-b", "user-a"), strict=True):
        since = now - (timedelta() if login == "user-b" else timedelta(hours=1))
        size = 10**9 if login == "user-c" else 5
        state = S.HELD if login == "user-d" else S.READY
        put(account, state, source_login=login, bytes_total=size, state_since=since)
    html = operator.get(f"/batches/{batch.pk}?order={order}").content
    assert re.findall(r"user-[abcd]", text_of(html))[0] == first


def test_a_row_says_how_fast_it_is_while_that_is_fresh(operator: Client) -> None:
    batch = make_batch(2, state=S.STAGING)
    now = timezone.now()
    ids = list(batch.accounts.values_list("pk", flat=True))
    columns = {"lease_until": now + timedelta(minutes=1), "messages_per_second": 41.4, "messages_total": 9000}
    Account.objects.filter(pk=ids[0]).update(**columns, progress_at=now)
    Account.objects.filter(pk=ids[1]).update(**columns, progress_at=now - timedelta(minutes=2))
    assert read(operator, batch).count("41 messages/s") == 1


def test_why_somebody_was_left_out_stands_in_the_row(operator: Client) -> None:
    from campaigns.services import accounts

    batch = make_batch(1)
    account = batch.accounts.get()
    accounts.exclude(account.pk, actor="dana", reason="Left in May.")
    assert "Left in May." in read(operator, batch)


def test_the_list_is_downloaded_as_it_is_filtered_and_no_cell_is_a_formula(client: Client) -> None:
    client.force_login(make_user(is_manager=True))
    batch = make_batch(2, state=S.READY)
    first, second = batch.accounts.order_by("pk")
    put(first, S.FAILED, display_name="=cmd|' /C calc'!A0", source_login="mallory")
    answer = client.get(f"/batches/{batch.pk}/list.csv?state=failed")
    table = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]
    assert "mallory" in table
    assert second.source_login not in table
    assert "'=cmd" in table


def test_an_administrator_who_is_nothing_else_downloads_no_list(client: Client) -> None:
    client.force_login(make_user(is_administrator=True))
    batch = make_batch(1)
    assert client.get(f"/batches/{batch.pk}").status_code == 200
    assert client.get(f"/batches/{batch.pk}/list.csv").status_code == 403


# The cost


def test_the_page_costs_the_same_queries_for_five_accounts_and_for_a_hundred(
    operator: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for batch in (make_batch(5, state=S.FAILED), make_batch(120, state=S.FAILED)):
        with django_assert_num_queries(8):
            operator.get(f"/batches/{batch.pk}")


@pytest.mark.long
def test_news_cost_the_same_queries_too(operator: Client, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    batch = mixed(110)
    rows = ",".join(str(pk) for pk in batch.accounts.values_list("pk", flat=True)[:100])
    with django_assert_num_queries(8):
        operator.get(f"/batches/{batch.pk}/live?rows={rows}")


@pytest.mark.long
def test_a_page_of_a_hundred_rows_is_small_on_the_wire(operator: Client) -> None:
    batch = mixed(110)
    html = operator.get(f"/batches/{batch.pk}").content
    assert html.count(b'<tr id="row-') == 100
    assert len(gzip.compress(html)) < 60 * 1024


# News


def live_address(client: Client, batch: Batch) -> tuple[str, str]:
    html = client.get(f"/batches/{batch.pk}").content.decode()
    address = re.search(r'hx-get="([^"]+)"', html)
    seen = re.search(r'"seen": "([0-9a-f]+)"', html)
    assert address is not None
    assert seen is not None
    return address[1], seen[1]


def test_nothing_new_is_204_with_the_pace_of_looking(operator: Client) -> None:
    batch = make_batch(3, state=S.READY)
    address, seen = live_address(operator, batch)
    answer = operator.get(address, {"seen": seen, "rows": address.rpartition("=")[2]})
    assert answer.status_code == 204
    assert answer["X-Live-Seconds"] == "15"
    assert answer["X-Live-Seen"] == seen


@pytest.mark.parametrize(("state", "changes"), [(S.NEW, {}), (S.READY, {"go_at": timezone.now()})])
def test_who_has_just_started_a_batch_or_said_go_sees_it_begin(
    operator: Client, state: S, changes: dict[str, object]
) -> None:
    batch = make_batch(3, state=state, **changes)
    address, seen = live_address(operator, batch)
    assert operator.get(address, {"seen": seen})["X-Live-Seconds"] == "2"


def test_only_what_changed_is_sent(operator: Client) -> None:
    batch = make_batch(3, state=S.READY, go_at=timezone.now())
    address, seen = live_address(operator, batch)
    one = batch.accounts.order_by("pk")[1]
    put(one, S.DONE)
    html = operator.get(f"{address}&seen={seen}").content.decode()
    assert re.findall(r'<tr id="row-(\d+)" hx-swap-oob="true"', html) == [str(one.pk)]
    assert 'id="sentence"' in html
    assert 'id="bar"' in html
    assert 'id="needs"' not in html
    operator.get(f"{address}&seen={seen}")
    again = operator.get(f"{address}&seen={operator.get(f'{address}&seen={seen}')['X-Live-Seen']}")
    assert again.status_code == 204


def test_a_row_that_is_not_of_the_batch_is_never_sent(operator: Client) -> None:
    batch, other = make_batch(1), make_batch(1)
    stranger = other.accounts.get()
    html = operator.get(f"/batches/{batch.pk}/live?rows={stranger.pk},x,-1").content.decode()
    assert f"row-{stranger.pk}" not in html


def test_a_batch_that_works_is_looked_at_every_two_seconds_and_one_that_has_ended_never(operator: Client) -> None:
    batch = make_batch(2, state=S.STAGING)
    assert 'data-live="2"' in operator.get(f"/batches/{batch.pk}").content.decode()
    ended = make_batch(2, state=S.DONE, ended_at=timezone.now())
    assert "data-live=" not in operator.get(f"/batches/{ended.pk}").content.decode()
    assert operator.get(f"/batches/{ended.pk}/live")["X-Live-Seconds"] == "0"


# Acts for the batch


@pytest.mark.parametrize(
    ("fields", "press", "told", "name"),
    [
        ({}, "pause", "Paused.", "batch.paused"),
        ({"is_paused": True}, "resume", "The batch goes on.", "batch.resumed"),
        ({"go_at": timezone.now()}, "withdraw", "The go is withdrawn.", "batch.go_withdrawn"),
    ],
)
def test_what_nobody_notices_is_done_at_once(
    operator: Client, fields: dict[str, object], press: str, told: str, name: str
) -> None:
    batch = make_batch(2, state=S.READY, **fields)
    assert told in act(operator, batch, act=press)
    assert event_names(batch=batch, name=name) == [name]


def test_to_say_go_leads_to_the_page_of_the_night_which_names_what_users_notice(operator: Client) -> None:
    batch = make_batch(3, state=S.READY)
    page = act(operator, batch, act="go")
    assert "Say go for 3 accounts" in page
    assert "locked out for a short while" in page
    assert "withdraw the go" in page
    batch.refresh_from_db()
    assert batch.go_at is None
    assert operator.get(f"/batches/{batch.pk}/confirm?act=go")["Location"] == f"/batches/{batch.pk}/night"
    told = operator.post(f"/batches/{batch.pk}/night", {"number": "3"}, follow=True).content.decode()
    assert "You said go." in told
    batch.refresh_from_db()
    assert batch.go_at is not None


def test_what_the_service_refuses_is_told(operator: Client) -> None:
    batch = make_batch(2, state=S.READY, go_at=timezone.now())
    answer = operator.post(f"/batches/{batch.pk}/night", {"number": "2"})
    assert answer.status_code == 422
    assert "Somebody has said go already." in answer.content.decode()
    page = act(operator, batch, act="approve", sure="1", number="2")
    assert "This batch does not wait for its first accounts." in page


def test_the_first_few_are_approved(operator: Client) -> None:
    batch = make_batch(3, state=S.READY, canary=1, cutovers_begun=1, go_at=timezone.now())
    assert "Let the other 3 accounts follow?" in act(operator, batch, act="approve")
    assert "The others follow." in act(operator, batch, act="approve", sure="1", number="3")


def test_more_than_fifty_need_the_number_typed(operator: Client) -> None:
    batch = make_batch(60, state=S.READY, canary=1, cutovers_begun=1, go_at=timezone.now())
    assert "Type 60 to confirm" in act(operator, batch, act="approve")
    answer = operator.post(f"/batches/{batch.pk}/act", {"act": "approve", "sure": "1", "number": "60", "typed": "6"})
    assert answer.status_code == 422
    assert 'value="6"' in answer.content.decode()
    batch.refresh_from_db()
    assert batch.canary_passed_at is None
    assert "The others follow." in act(operator, batch, act="approve", sure="1", number="60", typed="60")


# Acts for accounts


def test_chosen_accounts_are_asked_about_and_then_retried(operator: Client) -> None:
    batch = failed(3)
    ids = list(batch.accounts.order_by("pk").values_list("pk", flat=True))[:2]
    page = act(operator, batch, act="retry", a=ids)
    assert "Retry 2 accounts?" in page
    assert figures(batch) == {"failed": 3}
    assert "2 retried." in act(operator, batch, act="retry", a=ids, sure="1", number="2")
    assert figures(batch) == {"failed": 1, "staging": 2}


def test_all_that_match_are_found_anew_by_the_filter(operator: Client) -> None:
    batch = make_batch(120, state=S.FAILED)
    batch.accounts.update(error_code="line.silent", resume_state="staging")
    for account in batch.accounts.order_by("pk")[:20]:
        put(account, S.DONE)
    page = act(operator, batch, act="retry", all="1", state="failed")
    assert "Retry 100 accounts?" in page
    assert "100 retried." in act(operator, batch, act="retry", all="1", state="failed", sure="1", number="100")
    assert figures(batch) == {"done": 20, "staging": 100}


def test_all_of_a_cause_are_retried_by_its_button_and_no_other(operator: Client) -> None:
    batch = failed(5)
    for account in batch.accounts.order_by("pk")[:2]:
        Account.objects.filter(pk=account.pk).update(error_code="line.silent")
    html = operator.get(f"/batches/{batch.pk}").content.decode()
    form = next(one for one in re.findall(r"<form.*?</form>", html, re.DOTALL) if "Retry these 3" in one)
    fields = dict(re.findall(r'type="hidden" name="(?!csrf)(\w+)" value="([^"]*)"', form))
    assert "3 retried." in act(operator, batch, act="retry", **fields)
    assert set(batch.accounts.filter(state=S.FAILED).values_list("error_code", flat=True)) == {"line.silent"}


def test_a_number_that_is_no_longer_true_asks_again(operator: Client) -> None:
    batch = failed(3)
    answer = operator.post(
        f"/batches/{batch.pk}/act", {"act": "retry", "all": "1", "state": "failed", "sure": "1", "number": "2"}
    )
    assert answer.status_code == 422
    assert "Meanwhile it is 3 accounts." in text_of(answer.content)
    assert figures(batch) == {"failed": 3}


def test_what_single_accounts_refuse_is_told_with_its_reason(operator: Client) -> None:
    from campaigns.bridge import vault
    from campaigns.services import secrets
    from migrator.secret import Secret

    batch = failed(3, "sign_in.refused", "source")
    one = batch.accounts.order_by("pk").first()
    assert one is not None
    one.source_secret = vault.seal(Secret("wrong"), one, "source_secret")
    one.refused_secret = secrets.fingerprint(one.source_secret)
    one.save()
    page = act(operator, batch, act="retry_failed", sure="1", number="3")
    assert "2 retried; 1 refused: The server has refused this password." in page
    assert figures(batch) == {"failed": 1, "staging": 2}


def test_nothing_that_postgresql_cannot_keep_goes_from_a_form_or_an_address_to_the_database(operator: Client) -> None:
    assert Filter.of({"cause": "line\0.silent", "q": "an\0na"}) == Filter(cause="line.silent", q="anna")
    batch = make_batch(1, state=S.READY)
    ids = list(batch.accounts.values_list("pk", flat=True))
    assert "1 left out." in act(operator, batch, act="leave_out", a=ids, sure="1", number="1", reason="Re\0tired")
    assert Event.objects.get(account=ids[0], name="account.state.excluded").data["reason"] == "Re tired"


def test_accounts_are_left_out_with_a_reason_and_taken_back_in(operator: Client) -> None:
    batch = make_batch(2, state=S.READY)
    ids = list(batch.accounts.values_list("pk", flat=True))
    page = act(operator, batch, act="leave_out", a=ids)
    assert "Nothing is removed, on either server." in page
    assert "2 left out." in act(operator, batch, act="leave_out", a=ids, sure="1", number="2", reason="Retired")
    assert figures(batch) == {"excluded": 2}
    assert "2 taken back in." in act(operator, batch, act="take_in", a=ids, sure="1", number="2")
    assert figures(batch) == {"new": 2}


def test_users_who_are_held_are_let_back_before_the_switch(operator: Client) -> None:
    batch = make_batch(2, state=S.HELD)
    assert "Let 2 users back to the old server?" in act(operator, batch, act="let_all_back")
    assert "2 let back" in act(operator, batch, act="let_back", all="1", sure="1", number="2")
    assert figures(batch) == {"rolling_back": 2}


def test_accounts_stop_and_go_on(operator: Client) -> None:
    batch = make_batch(2, state=S.STAGING)
    ids = list(batch.accounts.values_list("pk", flat=True))
    assert "2 asked to stop." in act(operator, batch, act="stop", a=ids, sure="1", number="2")
    assert batch.accounts.filter(is_stopped=True).count() == 2
    assert "2 go on." in act(operator, batch, act="go_on", a=ids, sure="1", number="2")
    assert batch.accounts.filter(is_stopped=True).count() == 0


def test_a_decision_for_many_needs_its_reason(operator: Client) -> None:
    batch = make_batch(2, state=S.ATTENTION)
    fields = {"act": "finish", "all": "1", "state": "attention", "sure": "1", "number": "2"}
    answer = operator.post(f"/batches/{batch.pk}/act", fields)
    assert answer.status_code == 422
    assert "A decision needs its reason." in text_of(answer.content)
    assert "2 go on to the new server." in act(operator, batch, **fields, reason="The directory is back.")
    assert figures(batch) == {"cutting_over": 2}


def test_those_it_makes_no_sense_for_stay_as_they_are(operator: Client) -> None:
    batch = failed(3)
    one = batch.accounts.first()
    assert one is not None
    put(one, S.DONE)
    page = act(operator, batch, act="retry", all="1")
    assert "Retry 2 accounts?" in page
    assert "1 other account is not in a state for it" in page
    nothing = act(operator, batch, act="take_in", all="1")
    assert "There is nothing to do" in nothing


def test_nothing_chosen_and_no_such_act_do_nothing(operator: Client) -> None:
    batch = failed(2)
    assert "Choose at least one account." in act(operator, batch, act="retry")
    assert "There is no such action." in act(operator, batch, act="explode", a=[1])
    assert figures(batch) == {"failed": 2}


def test_accounts_of_another_batch_cannot_be_chosen(operator: Client) -> None:
    batch, other = failed(1), failed(1)
    stranger = other.accounts.get()
    act(operator, batch, act="retry", a=[stranger.pk], sure="1", number="1")
    assert figures(other) == {"failed": 1}


def test_the_filter_is_kept_after_an_act(operator: Client) -> None:
    batch = failed(2)
    answer = operator.post(
        f"/batches/{batch.pk}/act", {"act": "pause", "state": "failed", "order": "size", "q": "user"}
    )
    assert answer["Location"] == f"/batches/{batch.pk}?state=failed&q=user&order=size"


def test_no_act_by_get(operator: Client) -> None:
    batch = make_batch(1, state=S.READY, campaign=make_campaign())
    assert operator.get(f"/batches/{batch.pk}/act", {"act": "pause"}).status_code == 405
