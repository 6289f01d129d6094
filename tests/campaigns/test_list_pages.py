"""Lists by way of the pages: brought, looked at, corrected, imported; hostile ones; what never leaves or stays."""

from __future__ import annotations

import csv
import io
import re
import stat
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from campaigns.bridge import vault
from campaigns.models import (
    Account,
    AccountName,
    Batch,
    Campaign,
    CampaignDraft,
    Connector,
    Event,
    Server,
    UploadedList,
)
from campaigns.services import batches, imports, lists
from campaigns.services.imports import ChangedMeanwhile
from campaigns.states import AccountState
from migrator.secret import Secret
from tests.campaigns.factories import make_batch, make_campaign, make_server, make_user, put

pytestmark = pytest.mark.django_db
S = AccountState
TIMES = {"size": "1000", "begin": "by_hand", "every_days": "0", "canary": "0"}
THREE = "Name,Password,FullName\nanna,one-1,Anna Abel\nbert,two-2,Bert Bauer\ncarl,three-3,Carl Cole\n"


class Operator:
    """Somebody at the pages of one campaign's list."""

    def __init__(self, client: Client, campaign: Campaign) -> None:
        self.user = make_user(is_operator=True)
        client.force_login(self.user)
        self.client, self.campaign = client, campaign
        self.address = f"/campaigns/{campaign.pk}/list"

    def bring(self, text: str | bytes, **more: Any) -> Any:
        if isinstance(text, bytes):
            return self.client.post(self.address, {"file": SimpleUploadedFile("people.csv", text), **more})
        return self.client.post(self.address, {"text": text, **more})

    def page(self, query: str = "") -> str:
        return self.client.get(self.address + query).content.decode()

    def take_in(self, **changed: Any) -> Any:
        return self.client.post(f"{self.address}/import", TIMES | changed)

    def refused(self) -> list[list[str]]:
        answer = self.client.get(f"{self.address}/refused.csv")
        assert answer.status_code == 200
        return list(csv.reader(io.StringIO(b"".join(answer.streaming_content).decode("utf-8-sig"))))


@pytest.fixture
def operator(client: Client) -> Operator:
    return Operator(client, make_campaign())


def give_admins() -> None:
    for server in Server.objects.all():
        server.admin_login, server.admin_secret = "admin", vault.seal(Secret("pw"), server, "admin_secret")
        server.save()


def files() -> list[Any]:
    return list(lists.folder().iterdir())


@pytest.fixture(autouse=True)
def no_file_stays_from_test_to_test() -> Any:
    yield
    for path in files():
        path.unlink()


# --- the usual way


def test_a_list_is_brought_looked_at_and_imported(operator: Operator) -> None:
    assert operator.bring(THREE).status_code == 302
    assert not Account.objects.exists()
    page = operator.page()
    assert "3 of 3 rows can be used." in page
    assert "Use these 3 accounts" in page
    assert "Anna Abel" in page
    answer = operator.take_in(size="2", canary="1")
    assert answer["Location"] == f"/campaigns/{operator.campaign.pk}/batches"
    assert [batch.accounts.count() for batch in Batch.objects.order_by("number")] == [2, 1]
    assert {batch.canary for batch in Batch.objects.all()} == {1}
    assert not Batch.objects.filter(started_at__isnull=False).exists()
    assert AccountName.objects.filter(value="anna abel").exists()
    assert Event.objects.get(name="campaign.list_imported").actor == operator.user
    assert not UploadedList.objects.exists()
    assert files() == []


def test_batches_begin_at_once_or_at_their_times(operator: Operator) -> None:
    operator.bring(THREE)
    operator.take_in(begin="now", size="1", every_days="2", window_begins_at="2030-03-01T22:00")
    first, second, third = Batch.objects.order_by("number")
    assert first.started_at
    assert (second.started_at, third.started_at) == (None, None)
    assert third.starts_at - second.starts_at == timedelta(days=2)
    assert second.window_begins_at - first.window_begins_at == timedelta(days=2)


def test_addresses_alone_are_a_list_where_administrators_sign_in(operator: Operator) -> None:
    give_admins()
    operator.bring("anna@x.test\nbert@x.test\n")
    assert "2 of 2 rows can be used." in operator.page()
    operator.take_in()
    assert set(Account.objects.values_list("source_login", flat=True)) == {"anna@x.test", "bert@x.test"}


def test_a_domain_is_appended(operator: Operator) -> None:
    operator.bring(THREE, source_domain="old.test", target_domain="@new.test")
    operator.take_in()
    anna = Account.objects.get(source_login="anna@old.test")
    assert anna.target_login == "anna@new.test"


@pytest.mark.parametrize("separator", ["\t", ",", ";"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_files_of_every_usual_kind_are_read(operator: Operator, separator: str, encoding: str) -> None:
    operator.bring(THREE.replace(",", separator).replace("Cole", "Zoë").encode(encoding))
    assert "3 of 3 rows can be used." in operator.page()
    operator.take_in()
    assert Account.objects.get(source_login="carl").display_name == "Carl Zoë"


def test_columns_are_guessed_and_corrected(operator: Operator) -> None:
    operator.bring("Konto;Geheim;Wer\nanna;one-1;Anna\nbert;two-2;Bert\n")
    page = operator.page()
    assert "2 are refused" in page
    answer = operator.client.post(
        f"{operator.address}/reading", {"has_heading": "on", "m0": "source_login", "m1": "source_password", "m2": ""}
    )
    assert answer.status_code == 302
    assert "2 of 2 rows can be used." in operator.page()
    operator.take_in()
    anna = Account.objects.get(source_login="anna")
    secret = vault.unseal(anna, "source_secret")
    assert secret
    assert (secret.reveal(), anna.display_name) == ("one-1", "")


def test_a_sign_in_name_beside_an_address_is_the_login_and_people_are_found_by_both(operator: Operator) -> None:
    operator.bring("mail;login;pw\nanna@x.test;aabel;one-1\n")
    operator.take_in()
    account = Account.objects.get()
    assert account.source_login == "aabel"
    assert {("login", "aabel"), ("address", "anna@x.test")} <= {*account.names.values_list("kind", "value")}


def test_a_heading_that_is_none_becomes_an_account_and_back(operator: Operator) -> None:
    give_admins()
    operator.bring("wer\nanna\nbert\n")
    assert "3 of 3 rows" in operator.page()
    operator.client.post(f"{operator.address}/reading", {"has_heading": "on", "m0": "source_login"})
    assert "No column" not in operator.page()
    operator.client.post(f"{operator.address}/reading", {"has_heading": "on", "m0": "source_login"})
    assert "2 of 2 rows" in operator.page()
    operator.client.post(f"{operator.address}/reading", {"m0": "source_login"})
    assert "3 of 3 rows" in operator.page()


@pytest.mark.parametrize(
    ("meanings", "told"),
    [
        ({"m0": "", "m1": "source_password"}, "No column is the old sign-in name"),
        ({"m0": "source_login", "m1": "source_login"}, "means the same already"),
        ({"m0": "source_login", "source_domain": "no domain"}, "This is no domain"),
        ({"m0": "shoe_size"}, "Select a valid choice"),
    ],
)
def test_a_wrong_meaning_is_told_at_its_column_and_on_top(
    operator: Operator, meanings: dict[str, str], told: str
) -> None:
    operator.bring(THREE)
    answer = operator.client.post(f"{operator.address}/reading", {"has_heading": "on", **meanings})
    assert answer.status_code == 422
    assert answer.content.decode().count(told) == 2
    assert "3 of 3 rows can be used." in operator.page()


# --- what is refused


def test_each_refused_row_has_its_number_its_reason_and_what_to_do(operator: Operator) -> None:
    operator.bring("Name,Password\nanna,pw-1\nbert,\ncarl,pw,more\nanna,pw-2\ndora,pw-3\n")
    page = operator.page()
    assert "1 of 5 rows can be used; 4 are refused." in page
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))
    assert re.search(
        r"Refused 3 bert No password, and no administrator signs in on either server. Add the password", text
    )
    assert re.search(r"Refused 4 The first line names 2 columns \(comma\), this line has 3", text)
    assert re.search(r"Refused 5 anna Rows 2 and 5 name the same old mailbox, anna. Keep one", text)
    operator.take_in()
    assert [account.source_login for account in Account.objects.all()] == ["dora"]


def test_refused_rows_are_mended_in_a_spreadsheet_and_brought_again(operator: Operator) -> None:
    operator.bring("user;pw;FullName;=x\nanna;=1+1;Anna;a\nbert;;=HYPERLINK(1);-b\ncarl;+2;@Carl;c;d\n")
    table = operator.refused()
    assert table[0] == ["source_login", "source_password", "display_name", "'=x", "Mailferry: what is wrong"]
    assert table[1][:4] == ["bert", "", "'=HYPERLINK(1)", "'-b"]
    assert table[1][4].startswith("Row 3: No password, and no administrator")
    assert table[2][:3] == ["carl", "'+2", "'@Carl"]
    operator.take_in()
    anna = vault.unseal(Account.objects.get(), "source_secret")
    assert anna
    assert anna.reveal() == "=1+1"
    mended = [table[0], ["bert", "'=secret", *table[1][2:]], [*table[2][:4], table[2][-1]]]
    out = io.StringIO()
    csv.writer(out).writerows(mended)
    operator.bring(out.getvalue().encode())
    assert "2 of 2 rows can be used" in operator.page()
    operator.take_in()
    bert, carl = (Account.objects.get(source_login=name) for name in ("bert", "carl"))
    secrets = [vault.unseal(one, "source_secret") for one in (bert, carl)]
    assert [one and one.reveal() for one in secrets] == ["=secret", "+2"]
    assert (bert.display_name, carl.display_name) == ("=HYPERLINK(1)", "@Carl")


def test_a_download_of_refused_rows_is_an_event_and_is_not_kept_by_browsers(operator: Operator) -> None:
    operator.bring("Name,Password\nanna,\n")
    answer = operator.client.get(f"{operator.address}/refused.csv")
    assert answer["Cache-Control"] == "no-store"
    assert Event.objects.get(name="list.refused_exported").actor == operator.user


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "The list is empty"),
        (b"\n \n", "The list is empty"),
        (b"\0\0\0\0", "NUL characters"),
        (b"N\0a\0m\0e\0\n\0", "NUL characters"),
        (b"\xff\xfe\x00", "begins as UTF-16 and is not"),
        (b"\x89PNG\r\n\x1a\n\xff\xfe", "not UTF-8"),
        (b"Name\rPassword\ranna", "CR alone"),
        (b"x" * 70_000, "longer than"),
        (b"," * 300 + b"\n", "more than 200 columns"),
        (b"Name,Password\n", "no account follows"),
    ],
)
def test_what_is_no_list_gets_a_sentence_and_nothing_is_kept(operator: Operator, content: bytes, told: str) -> None:
    answer = operator.bring(content, source_domain="kept.test")
    page = answer.content.decode()
    assert answer.status_code == 422
    assert page.count(told) == 2
    assert 'value="kept.test"' in page
    assert not UploadedList.objects.exists()
    assert files() == []


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ({}, "Paste a list, or choose a file."),
        ({"text": " \n"}, "Paste a list, or choose a file."),
        ({"text": "anna", "source_domain": "a b"}, "This is no domain."),
        ({"text": "anna", "file": SimpleUploadedFile("a.csv", b"bert")}, "There are two lists"),
    ],
)
def test_a_form_without_a_list_is_told_at_its_field_and_on_top(
    operator: Operator, sent: dict[str, Any], told: str
) -> None:
    answer = operator.client.post(operator.address, sent)
    assert answer.status_code == 422
    assert answer.content.decode().count(told) == 2


def test_a_nul_in_a_row_refuses_that_row(operator: Operator) -> None:
    operator.bring(b"Name,Password\nan\0na,pw\nbert,pw-2\n\xff\xff,pw\n")
    page = operator.page()
    assert "1 of 3 rows can be used; 2 are refused." in page
    assert "holds a NUL character" in page
    assert len(operator.refused()) == 3


def test_markup_in_a_list_is_text_on_the_page(operator: Operator) -> None:
    operator.bring("Name,Password,<script>x\n<script>alert(1)</script>,pw,y\n<b>,,y\n")
    page = operator.page()
    assert "<script>alert" not in page
    assert "<b>," not in page


def test_a_file_beyond_the_limit_gets_a_sentence(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "MOST_OCTETS", 3 * 1024 * 1024)
    answer = operator.bring(b"Name,Password\n" + b"anna,pw\n" * 500_000)
    assert answer.status_code == 422
    assert answer.content.decode().count("larger than 3 MB. Split it.") == 2
    assert files() == []


def test_more_than_can_be_pasted_gets_a_sentence(operator: Operator) -> None:
    answer = operator.bring("anna@x.test\n" * 600_000)
    assert answer.status_code == 413
    assert "Save the list as a file" in answer.content.decode()


# --- what never leaves, what never stays


def test_no_password_and_nothing_that_may_be_one_is_on_a_page_or_in_a_row(operator: Operator) -> None:
    operator.bring("Name,Password,Other\nanna,Secret-1,Secret-2\nbert,Secret-3 ,Secret-4\ncarl,,Secret-5\n")
    pages = [operator.page(query) for query in ("", "?r=warned", "?r=refused")]
    pages.append(operator.take_in(size="none").content.decode())
    operator.bring("anna,Secret-1\nbert,Secret-2\n")  # without a heading: its first line is an account
    pages.append(operator.page())
    pages += [str(row) for row in UploadedList.objects.values()]
    assert "Secret" not in "".join(pages)


def test_the_file_is_private_and_its_owner_sees_it_alone(operator: Operator) -> None:
    operator.bring(THREE)
    (path,) = files()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    other = Client()
    other.force_login(make_user(is_operator=True))
    assert "Use these" not in other.get(operator.address).content.decode()
    assert other.get(f"{operator.address}/refused.csv")["Location"] == operator.address


def test_another_list_takes_the_place_of_the_one_before_and_one_that_is_none_does_not(operator: Operator) -> None:
    operator.bring(THREE)
    operator.bring(b"\0")
    assert "3 of 3 rows" in operator.page()
    operator.bring("Name,Password\nanna,pw-1\n")
    assert "1 of 1 row can" in operator.page()
    assert len(files()) == 1
    operator.client.post(f"{operator.address}/discard")
    assert files() == []
    assert "Paste the list" in operator.page()


def test_lists_are_forgotten_after_a_day(operator: Operator) -> None:
    operator.bring(THREE)
    assert lists.discard_old() == 0
    assert len(files()) == 1
    lists.discard_old(timezone.now() + timedelta(days=1, minutes=1))
    assert files() == []
    answer = operator.take_in()
    assert answer["Location"] == operator.address
    assert "not kept any more" in operator.page()


# --- a list that comes again


def test_a_later_list_shows_its_difference_and_alters_nobody_who_has_moved(operator: Operator) -> None:
    operator.bring("Name,Password\nanna,p-1\nbert,p-2\ncarl,p-3\ndora,p-4\n")
    operator.take_in()
    put(Account.objects.get(source_login="bert"), S.DONE)
    before = Account.objects.filter(source_login="bert").values().get()
    operator.bring("Name,Password\nanna,p-1\nbert,other\ncarl,other\nemil,p-5\n")
    page = operator.page()
    assert "Add 1, change 1" in page
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))
    assert "Changed 4 carl New: Old password, New password." in text
    assert "Left alone 3 bert Has moved, or is on the way" in text
    assert "Not in this list dora Stays in the campaign" in text
    assert Account.objects.count() == 4
    operator.take_in()
    assert Account.objects.count() == 5
    assert Account.objects.filter(source_login="bert").values().get() == before


def test_what_has_changed_since_it_was_looked_at_is_looked_at_again(operator: Operator) -> None:
    operator.bring(THREE)
    other = make_batch(1, campaign=operator.campaign)
    other.accounts.update(source_login="anna", target_login="anna")
    answer = operator.take_in()
    assert answer.status_code == 422
    assert "changed meanwhile" in answer.content.decode()
    assert Account.objects.count() == 1
    assert "2" in operator.page()
    assert operator.take_in().status_code == 302
    assert Account.objects.count() == 3


def seen_on(page: str) -> str:
    (found,) = re.findall(r'name="seen" value="([0-9a-f]{8})"', page)
    return str(found)


def test_a_button_of_an_old_page_imports_no_other_list(operator: Operator) -> None:
    operator.bring(THREE)
    seen = seen_on(operator.page())
    operator.bring(THREE.replace("anna", "dora"))
    answer = operator.client.post(f"{operator.address}/import", TIMES | {"seen": seen}, follow=True)
    assert "changed meanwhile, on another page" in answer.content.decode()
    assert not Account.objects.exists()
    assert operator.take_in(seen=seen_on(operator.page())).status_code == 302
    assert set(Account.objects.values_list("source_login", flat=True)) == {"dora", "bert", "carl"}


def test_a_list_that_a_second_press_has_imported_is_told_to_be_gone(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator.bring(THREE)

    def too_late(*_: Any, **__: Any) -> None:
        lists.discard(UploadedList.objects.get())
        raise ChangedMeanwhile

    monkeypatch.setattr(imports, "take_in", too_late)
    answer = operator.client.post(f"{operator.address}/import", TIMES, follow=True)
    assert answer.redirect_chain == [(operator.address, 302)]
    assert "not kept any more" in answer.content.decode()


def test_a_batch_that_the_ticker_has_started_first_is_no_error(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator.bring(THREE)
    take_in = imports.take_in

    def and_tick(*given: Any, **more: Any) -> imports.Imported:
        done = take_in(*given, **more)
        batches.start(Batch.objects.get(pk=done.batches[0].pk), actor="ticker")
        return done

    monkeypatch.setattr(imports, "take_in", and_tick)
    answer = operator.take_in(begin="now", size="2", every_days="1")
    assert answer.status_code == 302
    assert [bool(batch.started_at) for batch in Batch.objects.order_by("number")] == [True, False]


def test_wrong_times_are_told_and_nothing_is_imported(operator: Operator) -> None:
    operator.bring(THREE)
    answer = operator.take_in(size="0", begin="at", window_begins_at="2030-03-01T22:00")
    page = answer.content.decode()
    assert answer.status_code == 422
    assert page.count("Enter the time at which the first batch begins.") == 2
    assert "2 things to mend" in page
    assert 'value="2030-03-01T22:00"' in page
    assert not Account.objects.exists()


@pytest.mark.parametrize("year", ["0001", "9999"])
def test_a_year_at_the_end_of_the_calendar_is_refused_at_its_field(operator: Operator, year: str) -> None:
    type(operator.user).objects.update(time_zone="Pacific/Auckland")
    operator.bring(THREE)
    answer = operator.take_in(begin="at", starts_at=f"{year}-01-01T00:00", window_begins_at=f"{year}-01-01T00:00")
    assert answer.status_code == 422
    assert answer.content.decode().count("Enter a day and a time") >= 2


def test_a_closed_campaign_takes_no_list(operator: Operator) -> None:
    Campaign.objects.update(closed_at=timezone.now())
    assert operator.bring(THREE).status_code == 403


# --- a campaign in three pages


class Planner:
    """Somebody who plans a campaign, page by page."""

    def __init__(self, client: Client) -> None:
        client.force_login(make_user(is_operator=True))
        self.client = client
        self.old, self.new = make_server(name="Old"), make_server(name="New")

    def servers(self, **changed: Any) -> Any:
        sent = {"name": "Move", "source": self.old.pk, "target": self.new.pk}
        return self.client.post("/campaigns/new", sent | changed)

    def method(self, **changed: Any) -> Any:
        sent = {"method": "plain", "verify_level": "ledger", "catch_up_days": "7", "catch_up_minutes": "30"}
        return self.client.post(f"{self.draft}/method", sent | {"refresh_hours": "24"} | changed)

    @property
    def draft(self) -> str:
        return f"/campaigns/new/{CampaignDraft.objects.get().pk}"


@pytest.fixture
def planner(client: Client) -> Planner:
    return Planner(client)


def test_two_servers_and_a_list_suffice(planner: Planner) -> None:
    assert planner.servers()["Location"] == f"{planner.draft}/method"
    assert planner.method()["Location"] == f"{planner.draft}/list"
    planner.client.post(f"{planner.draft}/list", {"text": THREE})
    page = planner.client.get(f"{planner.draft}/list").content.decode()
    assert "Start with 3 accounts" in page
    assert not Campaign.objects.exists()
    planner.client.post(f"{planner.draft}/start", TIMES | {"begin": "now"})
    campaign = Campaign.objects.get()
    assert (campaign.name, campaign.recipe, campaign.catch_up_days) == ("Move", "plain", 7)
    assert campaign.batches.get().started_at
    assert campaign.accounts.count() == 3
    assert not CampaignDraft.objects.exists()
    assert files() == []


def test_pages_are_left_and_resumed(planner: Planner) -> None:
    planner.servers()
    assert "Go on with Move" in planner.client.get("/campaigns").content.decode()
    planner.method(method="once", catch_up_days="3")
    page = planner.client.get(f"{planner.draft}/method").content.decode()
    assert re.search(r'value="once" checked', page)
    assert 'value="3"' in page
    assert 'value="Move"' in planner.client.get(planner.draft).content.decode()
    planner.client.post(f"{planner.draft}/list", {"text": THREE})
    planner.client.post(f"{planner.draft}/discard")
    assert files() == []
    assert not Campaign.objects.exists()


def test_a_campaign_is_made_without_a_list(planner: Planner) -> None:
    planner.servers()
    answer = planner.client.post(f"{planner.draft}/start", {"without_list": "1"})
    campaign = Campaign.objects.get()
    assert answer["Location"] == f"/campaigns/{campaign.pk}/batches"
    assert not campaign.batches.exists()


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"name": ""}, "Give the campaign a name."),
        ({"name": "Taken"}, "There is a campaign of this name already."),
        ({"target": ""}, "Choose the new server."),
        ({"target": "old"}, "Old and new are the same server."),
        ({"source": "9999"}, "Select a valid choice"),
    ],
)
def test_a_wrong_first_page_is_told_at_the_field_and_on_top(
    planner: Planner, changed: dict[str, str], told: str
) -> None:
    Campaign.objects.filter(pk=make_campaign().pk).update(name="Taken")
    answer = planner.servers(**{key: planner.old.pk if value == "old" else value for key, value in changed.items()})
    page = answer.content.decode()
    assert answer.status_code == 422
    assert page.count(told) == 2
    assert not CampaignDraft.objects.exists()


def test_a_name_that_is_taken_meanwhile_keeps_the_draft_and_its_list(planner: Planner) -> None:
    planner.servers()
    planner.client.post(f"{planner.draft}/list", {"text": THREE})
    Campaign.objects.filter(pk=make_campaign().pk).update(name="Move")
    answer = planner.client.post(f"{planner.draft}/start", TIMES)
    assert answer.status_code == 422
    assert "There is a campaign of this name already." in answer.content.decode()
    assert Campaign.objects.count() == 1
    assert not Account.objects.exists()
    assert len(files()) == 1


def test_a_method_that_locks_waits_for_its_proof(planner: Planner) -> None:
    directory = Connector.objects.create(room="directory", kind="sql", name="People")
    planner.servers()
    page = planner.client.get(f"{planner.draft}/method").content.decode()
    assert re.search(r'value="ahead" checked', page)  # there is one directory: nobody need choose it
    planner.method(method="ahead", source_directory=directory.pk, target_directory=directory.pk)
    planner.client.post(f"{planner.draft}/list", {"text": THREE})
    assert "not proved yet" in planner.client.get(f"{planner.draft}/list").content.decode()
    planner.client.post(f"{planner.draft}/start", TIMES | {"begin": "now"})
    batch = Batch.objects.get()
    assert (batch.started_at, batch.campaign.source_directory) == (None, directory)
    assert not CampaignDraft.objects.exists()


def test_a_page_of_a_list_asks_as_much_for_many_rows_as_for_few(
    operator: Operator, django_assert_num_queries: Any
) -> None:
    operator.bring(THREE)
    operator.page()
    with django_assert_num_queries(4):
        operator.page()
    operator.bring("Name,Password\n" + "".join(f"u{n},\n" for n in range(3000)))
    with django_assert_num_queries(4):
        assert len(operator.page("?r=refused")) < 200_000
