"""Who still uses the old server: a log becomes a list with what each must do, and a table for letters."""

from __future__ import annotations

import csv
from collections.abc import Iterator

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import StreamingHttpResponse
from django.test import Client
from django.utils import timezone

from campaigns.models import Account, AccountName, Batch, OldClient, PlaceBook
from campaigns.services import old_clients, sign_ins
from campaigns.services.refusals import Refused
from campaigns.services.sign_ins import SignIns
from campaigns.states import AccountState
from tests.campaigns.factories import NIGHT, make_batch, make_user

pytestmark = pytest.mark.django_db
LOGIN = "{at} old dovecot: {service}-login: Login: user=<{user}>, method=PLAIN, rip={ip}, lip=192.0.2.1, TLS\n"


def line(user: str, at: str = "2030-03-01 22:00:00", service: str = "imap", ip: str = "192.0.2.7") -> str:
    return LOGIN.format(user=user, at=at, service=service, ip=ip)


@pytest.fixture
def batch() -> Batch:
    batch = make_batch(2)
    for account, name in zip(batch.accounts.order_by("pk"), ("anna@old.test", "bert@old.test"), strict=True):
        columns = {"source_login": name, "target_login": name.replace("old", "new"), "notice_address": f"x{name}"}
        Account.objects.filter(pk=account.pk).update(**columns)
    return batch


@pytest.fixture
def client_of() -> Client:
    client = Client(headers={"host": "localhost"})
    client.force_login(make_user(is_operator=True))
    return client


def read(batch: Batch, *lines: str) -> int:
    return old_clients.read_log(batch.campaign, iter([piece.encode() for piece in lines]), actor="test")


@pytest.mark.req("S-106", "S-110", "S-119")
def test_who_still_connects_is_matched_with_the_list_and_told_what_to_enter(batch: Batch, client_of: Client) -> None:
    PlaceBook.objects.create(
        campaign=batch.campaign,
        ports={"imaps": {"new": "mail.new.test:993"}, "submission": {"new": "mail.new.test:587"}},
    )
    log = line("anna") + "nonsense\n" + line("BERT@old.test", service="pop3") + line("stranger@else.test")
    url = f"/campaigns/{batch.campaign_id}/old-clients"
    answer = client_of.post(url, {"file": SimpleUploadedFile("mail.log", log.encode())}, follow=True)
    assert "3 ways of use were found." in answer.text
    assert "not on the list" in answer.text
    told = "Server mail.new.test, port 993, encryption SSL/TLS, user name anna@new.test"
    assert told in answer.text
    letters = client_of.get(f"{url}.csv")
    assert isinstance(letters, StreamingHttpResponse)
    rows = list(csv.reader(letters.getvalue().decode("utf-8-sig").splitlines()))
    by_login = {row[0]: row for row in rows[1:]}
    assert by_login["anna"][2] == "xanna@old.test"
    assert by_login["anna"][-1] == told
    assert by_login["bert@old.test"][-1] == "", "nobody has said where POP3 is"
    assert len(by_login) == 3


def test_a_log_in_pieces_is_read_as_one_and_a_second_one_counts_anew(batch: Batch) -> None:
    whole = line("anna") * 3
    assert read(batch, whole[:10], whole[10:100], whole[100:]) == 1
    assert OldClient.objects.get().times == 3
    assert read(batch, line("Anna", at="2030-03-02 08:00:00")) == 1
    row = OldClient.objects.get()
    assert (row.times, row.last_at and row.last_at.day) == (1, 2)


def test_an_older_log_read_after_a_newer_one_hides_no_sign_in(batch: Batch) -> None:
    read(batch, line("anna", at="2030-03-09 08:00:00"))
    read(batch, line("anna", at="2030-03-02 08:00:00") * 2)
    row = OldClient.objects.get()
    assert (row.times, row.last_at and row.last_at.day) == (2, 9)
    OldClient.objects.update(last_at=None)
    read(batch, line("anna"))
    assert OldClient.objects.get().last_at is None, "the day of one line is not known: it may be today"
    OldClient.objects.update(last_at=NIGHT)
    read(batch, line("anna").partition("old ")[2])
    assert OldClient.objects.get().last_at is None


def test_a_line_without_an_end_is_dropped_in_flat_memory(batch: Batch) -> None:
    def pieces() -> Iterator[bytes]:
        yield line("anna").encode()
        for _ in range(200):
            yield b"x" * 65_536
        yield b"\n" + line("bert").encode()

    assert old_clients.read_log(batch.campaign, pieces(), actor="test") == 2


def test_a_log_in_which_nobody_signs_in_is_refused(batch: Batch, client_of: Client) -> None:
    with pytest.raises(Refused, match=r"clients\.none"):
        read(batch, "nonsense\n")
    url = f"/campaigns/{batch.campaign_id}/old-clients"
    answer = client_of.post(url, {"file": SimpleUploadedFile("mail.log", b"")})
    assert (answer.status_code, "Nobody signs in in this log." in answer.text) == (422, True)


def test_a_log_comes_with_the_numbers_from_which_we_read(batch: Batch, client_of: Client) -> None:
    url = f"/campaigns/{batch.campaign_id}/old-clients"

    def send(ours: str) -> tuple[int, str]:
        log = SimpleUploadedFile("mail.log", line("anna").encode())
        answer = client_of.post(url, {"file": log, "ours": ours}, follow=True)
        return answer.status_code, answer.text

    status, page = send("mail.example.test")
    assert (status, "Write numbers of machines, one a line" in page) == (422, True)
    assert not OldClient.objects.exists()
    status, page = send("192.0.2.7\n2001:db8::7\n")
    assert (status, sign_ins.our_addresses(batch.campaign)) == (200, ["192.0.2.7", "2001:db8::7"])
    assert "192.0.2.7\n2001:db8::7</textarea>" in page, "the next log needs no typing"


def test_a_short_name_that_two_people_share_is_nobody(batch: Batch) -> None:
    Account.objects.filter(source_login="bert@old.test").update(source_login="anna@other.test")
    read(batch, line("anna"), line("anna@other.test"))
    assert {row.login: bool(row.account_id) for row in OldClient.objects.all()} == {
        "anna": False, "anna@other.test": True,
    }  # fmt: skip


def test_people_are_known_by_their_other_addresses_too(batch: Batch) -> None:
    anna, bert = batch.accounts.order_by("pk")
    for account, address in ((anna, "a.smith@old.test"), (bert, "info@old.test"), (anna, "bert@alias.test")):
        AccountName.objects.create(account=account, kind="address", value=address)
    read(batch, line("A.Smith@old.test"), line("info"), line("bert"), line("c.jones"))
    found = {row.login: row.account_id for row in OldClient.objects.all()}
    assert found == {"a.smith@old.test": anna.pk, "info": bert.pk, "bert": bert.pk, "c.jones": None}


def test_a_sign_in_by_a_name_that_several_share_counts_against_each_of_them(batch: Batch) -> None:
    now = timezone.now()
    anna, other = batch.accounts.order_by("pk")
    Account.objects.filter(pk=other.pk).update(source_login="anna@other.test")
    read(batch, line("anna", at=f"{now:%Y-%m-%dT%H:%M:%SZ}"))
    assert OldClient.objects.get().account_id is None
    signs = [SignIns.of_account(account, 7, now).of for account in (anna, other)]
    assert signs == [{anna.pk}, {other.pk}]
    assert SignIns.of_batch(batch, 7, now).of == {anna.pk, other.pk}
    old_clients.forget(batch.campaign, actor="test")
    read(batch, line("anna@other.test", at=f"{now:%Y-%m-%dT%H:%M:%SZ}"))
    assert SignIns.of_batch(batch, 7, now).of == {other.pk}


def test_people_who_have_moved_and_still_come_are_counted_first(
    batch: Batch, client_of: Client, django_assert_max_num_queries: object
) -> None:
    read(batch, line("anna"), line("bert"))
    Account.objects.filter(source_login="anna@old.test").update(state=AccountState.DONE, owner="target")
    with django_assert_max_num_queries(14):  # type: ignore[operator]
        page = client_of.get(f"/campaigns/{batch.campaign_id}/old-clients").text
    assert "1 way of use is by somebody who has moved." in page
    client_of.post(f"/campaigns/{batch.campaign_id}/old-clients/forget")
    assert not OldClient.objects.exists()
