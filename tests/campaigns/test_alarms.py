"""Alarms leave by every way there is, are told again until somebody has seen them, and prove that they arrive."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from campaigns.bridge import messengers
from campaigns.bridge.messengers import Message, NotSent
from campaigns.management.watching import Watch
from campaigns.models import Alarm, AlarmChannel, AlarmSending, AllowedAddress, Campaign, Event
from campaigns.services import addresses, alarm_channels, alarms, secrets, watchdog
from campaigns.services.refusals import Refused
from campaigns.states import AccountState
from migrator.secret import Secret
from tests.campaigns.factories import at_once, event_names, make_account, make_campaign, make_user, put
from tests.rigs.pager import Pager
from tests.rigs.postbox import Postbox

pytestmark = pytest.mark.django_db(transaction=True)

S = AccountState
LONG_AGO = timedelta(hours=2)
MAIL = {"security": "plain", "sender": "mailferry@example.test", "to": ["night@example.test"], "login": ""}


@pytest.fixture
def pager() -> Iterator[Pager]:
    with Pager() as running:
        yield running


def hook(pager: Pager, **fields: Any) -> AlarmChannel:
    wanted = {"kind": "webhook", "name": "pager", "options": {"url": pager.url}, "secret": None, "is_on": True}
    return alarm_channels.save(None, **{**wanted, **fields}, actor=make_user(is_administrator=True)).channel


def late(accounts: int = 1) -> None:
    """Let so many users wait too long, and raise the alarm."""
    for _ in range(accounts):
        make_account(S.ATTENTION, locked_at=timezone.now() - LONG_AGO, owner="unknown")
    watchdog.look()


def refusal(error: pytest.ExceptionInfo[Refused]) -> str:
    return error.value.code


# Out


def test_an_alarm_leaves_by_webhook_with_numbers_and_a_link_and_nobodys_name(pager: Pager) -> None:
    hook(pager, secret=Secret("a token"))
    late()
    assert alarms.deliver_due() == 1
    (call,) = pager.calls
    alarm = Alarm.objects.get()
    assert (call["path"], call["kind"], call["accounts"], call["state"]) == ("/hook?team=mail", "locked_out", 1, "open")
    assert call["link"] == settings.URL + reverse("alarm", args=[alarm.pk])
    assert "1 user of" in call["text"]
    login = alarm.batch.accounts.get().source_login if alarm.batch else "?"
    assert login not in str(call)
    assert pager.tokens == ["Bearer a token"]


def test_an_alarm_leaves_by_a_second_mail_server() -> None:
    box = Postbox()
    with box.server() as peer:
        AllowedAddress.objects.create(host="127.0.0.1")
        options = {**MAIL, "host": "127.0.0.1", "port": peer.port}
        AlarmChannel.objects.create(name="by mail", kind="mail", options=options, changed_at=timezone.now())
        late()
        assert alarms.deliver_due() == 1
    ((sender, recipient, mail),) = box.mail
    assert (b"mailferry@example.test" in sender, b"night@example.test" in recipient) == (True, True)
    assert b"Auto-Submitted: auto-generated" in mail
    assert b"/alarms/" in mail


@pytest.fixture
def programs(tmp_path: Path, settings: Any) -> Path:
    folder = tmp_path / "programs"
    folder.mkdir(mode=0o755)
    settings.PROGRAMS = folder
    return folder


def program(folder: Path, script: str) -> AlarmChannel:
    path = folder / "page"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    options = {"program": {"program": "page"}}
    return AlarmChannel.objects.create(name="by program", kind="program", options=options, changed_at=timezone.now())


def test_an_alarm_leaves_by_a_program_of_the_host(programs: Path, tmp_path: Path) -> None:
    program(programs, f'printf "%s\\n" "$@" > {tmp_path}/said')
    late()
    assert alarms.deliver_due() == 1
    subject, text, link = (tmp_path / "said").read_text().splitlines()
    assert subject.startswith("Alarm: locked out too long")
    assert "1 user of" in text
    assert "/alarms/" in link


def test_a_program_that_fails_or_hangs_did_not_send(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    channel = program(programs, "echo no paper >&2; exit 3")
    late()
    assert alarms.deliver_due() == 0
    channel.refresh_from_db()
    assert "exit code 3: no paper" in channel.error
    monkeypatch.setattr(messengers, "SECONDS", 0.5)
    channel = program_again(programs, "sleep 60")
    began = time.monotonic()
    assert alarms.deliver_due(timezone.now() + timedelta(hours=1)) == 0
    assert time.monotonic() - began < 20


def program_again(folder: Path, script: str) -> AlarmChannel:
    AlarmChannel.objects.all().delete()
    channel = program(folder, script)
    Alarm.objects.all().delete()
    watchdog.look()
    return channel


def test_a_name_that_looks_like_an_option_is_none(programs: Path, tmp_path: Path) -> None:
    program(programs, f'printf "%s\\n" "$1" > {tmp_path}/said')
    options = AlarmChannel.objects.get().options
    messengers.send("program", options, None, Message("--delete\n all", "t", "l", {}))
    assert (tmp_path / "said").read_text() == "delete  all\n"


def test_it_is_told_again_until_somebody_has_seen_it_and_again_when_it_grows(pager: Pager) -> None:
    hook(pager)
    late()
    alarms.deliver_due()
    assert alarms.deliver_due() == 0
    later = timezone.now() + timedelta(seconds=alarms.REPEAT_SECONDS + 1)
    assert alarms.deliver_due(later) == 1
    alarm = Alarm.objects.get()
    alarms.acknowledge(alarm.pk, actor="anna")
    assert alarms.deliver_due(later + LONG_AGO) == 0
    watchdog.look()  # nothing more of it
    assert not alarms.has_due(later + LONG_AGO)
    batch = alarm.batch
    assert batch is not None
    alarms.raise_alarm("locked_out", batch.pk, accounts=2, since=timezone.now(), now=timezone.now())
    assert alarms.deliver_due() == 1
    assert [call["accounts"] for call in pager.calls] == [1, 1, 2]


def test_others_than_those_who_were_seen_are_told_anew_however_few_they_are(pager: Pager) -> None:
    hook(pager)
    late()
    alarm = Alarm.objects.get()
    batch_id, now = alarm.batch_id, timezone.now()
    assert batch_id is not None
    alarms.raise_alarm("locked_out", batch_id, accounts=40, since=now, now=now)
    alarms.acknowledge(alarm.pk, actor="anna")
    for accounts in (39, 1):
        alarms.raise_alarm("locked_out", batch_id, accounts=accounts, since=now, now=now)
        assert alarms.deliver_due(now + LONG_AGO) == 0
    alarms.raise_alarm("locked_out", batch_id, accounts=2, since=now, now=now)
    assert alarms.deliver_due() == 1
    alarm.refresh_from_db()
    assert alarm.acknowledged_at is None


def test_an_open_alarm_leaves_by_a_way_that_was_set_up_after_it_was_raised(pager: Pager) -> None:
    late()
    assert not alarms.has_due()
    channel = hook(pager)
    watchdog.look()
    watchdog.look()
    assert (alarms.deliver_due(), alarms.deliver_due(), len(pager.calls)) == (1, 0, 1)
    AlarmChannel.objects.filter(pk=channel.pk).update(is_on=False)
    later = timezone.now() + timedelta(seconds=alarms.REPEAT_SECONDS + 1)
    assert (alarms.has_due(later), alarms.deliver_due(later)) == (False, 0)
    AlarmChannel.objects.filter(pk=channel.pk).update(is_on=True)
    assert alarms.deliver_due(later) == 1


def test_who_was_told_is_told_when_it_is_over(pager: Pager) -> None:
    hook(pager)
    late()
    alarms.deliver_due()
    put(make_account_of_alarm(), S.DONE, owner="target", locked_at=None)
    watchdog.look()
    alarms.deliver_due()
    assert [call["state"] for call in pager.calls] == ["open", "over"]
    assert not AlarmSending.objects.filter(due_at__isnull=False).exists()


def make_account_of_alarm() -> Any:
    batch = Alarm.objects.get().batch
    assert batch is not None
    return batch.accounts.get()


def test_nobody_is_told_that_something_is_over_of_which_they_never_heard(pager: Pager) -> None:
    hook(pager)
    late()
    put(make_account_of_alarm(), S.DONE, owner="target", locked_at=None)
    watchdog.look()
    assert alarms.deliver_due() == 0
    assert pager.calls == []


def test_a_way_that_is_switched_off_is_not_used(pager: Pager) -> None:
    hook(pager, is_on=False)
    late()
    assert not alarms.has_due()


def test_what_does_not_leave_is_tried_again_and_the_page_can_say_why(pager: Pager) -> None:
    channel = hook(pager)
    pager.status = 500
    late()
    assert alarms.deliver_due() == 0
    channel.refresh_from_db()
    assert channel.failed_at is not None
    assert "500" in channel.error
    assert not alarms.has_due()
    pager.status = 204
    assert alarms.deliver_due(timezone.now() + timedelta(seconds=alarms.RETRY_SECONDS[0] + 1)) == 1
    channel.refresh_from_db()
    assert (channel.failed_at, channel.error) == (None, "")


def test_one_that_breaks_us_does_not_keep_the_others_back(pager: Pager) -> None:
    hook(pager)
    late()
    late()
    sent: list[str] = []

    def send(kind: str, options: dict[str, Any], secret: Secret | None, message: Message) -> None:
        if not sent:
            sent.append("broke")
            raise RuntimeError("nobody foresaw this")
        sent.append(message.link)

    with pytest.raises(RuntimeError):
        alarms.deliver_due(send=send)
    assert alarms.deliver_due(send=send) == 1
    assert alarms.deliver_due(timezone.now() + timedelta(minutes=2), send=send) == 1
    assert len(set(sent)) == 3


def test_two_who_send_at_the_same_time_send_once(pager: Pager) -> None:
    hook(pager)
    late()
    assert sorted(at_once(alarms.deliver_due, alarms.deliver_due)) == [0, 1]  # type: ignore[type-var]
    assert len(pager.calls) == 1


def test_a_redirection_is_not_followed(pager: Pager) -> None:
    with Pager() as elsewhere:
        pager.status, pager.location = 307, elsewhere.url
        AllowedAddress.objects.create(host="127.0.0.1")
        with pytest.raises(NotSent, match="307"):
            messengers.send("webhook", {"url": pager.url}, None, Message("s", "t", "l", {}))
        assert elsewhere.calls == []


def test_nothing_is_sent_where_no_administrator_allowed_it(pager: Pager) -> None:
    with pytest.raises(NotSent):
        messengers.send("webhook", {"url": pager.url}, None, Message("s", "t", "l", {}))
    assert pager.calls == []


def test_a_server_that_answers_by_single_letters_is_cut_off(pager: Pager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messengers, "SECONDS", 0.5)
    pager.drip = True
    AllowedAddress.objects.create(host="127.0.0.1")
    began = time.monotonic()
    with pytest.raises(NotSent):
        messengers.send("webhook", {"url": pager.url}, None, Message("s", "t", "l", {}))
    assert time.monotonic() - began < 5


def test_a_name_that_nobody_resolves_keeps_nothing_back(monkeypatch: pytest.MonkeyPatch) -> None:
    over, asked = threading.Event(), []

    def slow(*words: Any, **options: Any) -> list[Any]:
        asked.append(words)
        over.wait(20)
        return []

    monkeypatch.setattr(messengers, "SECONDS", 0.4)
    monkeypatch.setattr(socket, "getaddrinfo", slow)  # a resolver that waits for its servers
    options = {"url": "https://pager.example.test/", "host": "pager.example.test", "port": 25, **MAIL}
    AllowedAddress.objects.create(host="pager.example.test")
    began = time.monotonic()
    try:
        for kind in ("webhook", "mail", "webhook"):
            with pytest.raises(
                NotSent, match=r"pager\.example\.test was not found within 0\.2 s|no whole answer within"
            ):
                messengers.send(kind, options, None, Message("s", "t", "l", {}))
        assert time.monotonic() - began < 5
        assert sorted(asked) == [("pager.example.test", 25), ("pager.example.test", 443)], "each name once at a time"
    finally:
        over.set()


def test_a_peer_that_greets_no_tls_is_cut_off(pager: Pager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messengers, "SECONDS", 0.5)
    AllowedAddress.objects.create(host="127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        options = {"url": f"https://127.0.0.1:{silent.getsockname()[1]}/"}
        began = time.monotonic()
        with pytest.raises(NotSent):
            messengers.send("webhook", options, None, Message("s", "t", "l", {}))
        assert time.monotonic() - began < 5


@pytest.mark.parametrize("apart", ["", " ", "-", ", "])
def test_the_code_of_a_test_is_not_told_by_whom_it_was_sent_to(apart: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(options: Any, secret: Secret | None, message: Message) -> None:
        raise NotSent(f"550 5.7.1 no {apart.join(str(message.facts['code']))} here " + "x" * 460 + "123456")

    monkeypatch.setitem(messengers.SENDERS, "webhook", refuse)
    with pytest.raises(NotSent) as error:
        messengers.send("webhook", {}, None, Message("s", "t", "l", {"code": "123456"}))
    assert error.value.words.startswith("550 5.7.1 no *** here x")
    assert "1234" not in error.value.words


def test_a_page_does_not_show_the_code_that_a_webhook_repeats(pager: Pager) -> None:
    channel = hook(pager)
    pager.status, pager.echo = 500, True
    alarm = alarms.test(channel, actor="anna")
    assert alarms.deliver_due() == 0
    channel.refresh_from_db()
    assert "This is a test" in channel.error
    assert alarm.code not in channel.error


def test_a_token_that_a_peer_or_a_library_repeats_is_not_kept(
    pager: Pager, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    channel = hook(pager, secret=Secret("top\nsecret"))  # no header takes it, and the library says which it was
    late()
    assert alarms.deliver_due() == 0

    def refuse(options: Any, secret: Secret | None, message: Message) -> None:
        raise NotSent(f"401 Unauthorized: no such token: {secret.reveal() if secret else ''}")

    monkeypatch.setitem(messengers.SENDERS, "webhook", refuse)
    with pytest.raises(NotSent) as error:
        messengers.send("webhook", {}, Secret("t0psecret"), Message("s", "t", "l", {}))
    assert error.value.words == "401 Unauthorized: no such token: ***"
    channel.refresh_from_db()
    assert "Invalid header value" in channel.error
    assert "secret" not in channel.error + caplog.text


def test_a_line_end_in_a_name_makes_no_header() -> None:
    box = Postbox()
    with box.server() as peer:
        AllowedAddress.objects.create(host="127.0.0.1")
        options = {**MAIL, "host": "127.0.0.1", "port": peer.port}
        messengers.send("mail", options, None, Message("a\r\nBcc: all@example.test", "t", "l", {}))
    ((_, _, mail),) = box.mail
    assert b"Subject: a Bcc: all@example.test\r\n" in mail


# Tests


def code_of(alarm: Alarm) -> str:
    return Alarm.objects.get(pk=alarm.pk).code


def test_a_test_proves_a_way_when_its_code_comes_back(pager: Pager) -> None:
    campaign = make_campaign()
    channel = hook(pager)
    assert alarm_channels.proved(campaign) == []
    sent = alarms.test(channel, actor="anna")
    assert alarms.deliver_due() == 1
    assert alarm_channels.proved(campaign) == []
    alarms.acknowledge_test(sent.pk, f" {pager.calls[0]['code']} ", actor="anna")
    assert alarm_channels.proved(campaign) == [channel]
    assert event_names(name__startswith="alarm.test") == ["alarm.test.sent", "alarm.test.acknowledged"]
    assert not Event.objects.filter(data__icontains=code_of(sent)).exists()


def test_nobody_guesses_their_way_past_a_way_that_does_not_work(pager: Pager) -> None:
    sent = alarms.test(hook(pager), actor="anna")
    wrong = f"{(int(sent.code) + 1) % 1_000_000:06}"
    for _ in range(alarms.MOST_WRONG_CODES):
        with pytest.raises(Refused) as error:
            alarms.acknowledge_test(sent.pk, wrong, actor="anna")
        assert refusal(error) == "alarm.wrong_code"
    with pytest.raises(Refused) as error:
        alarms.acknowledge_test(sent.pk, sent.code, actor="anna")
    assert refusal(error) == "alarm.over"


def test_a_test_is_not_acknowledged_like_an_alarm_without_its_code(pager: Pager) -> None:
    sent = alarms.test(hook(pager), actor="anna")
    with pytest.raises(Refused):
        alarms.acknowledge(sent.pk, actor="anna")


def test_a_later_test_makes_an_earlier_one_worthless(pager: Pager) -> None:
    channel = hook(pager)
    first = alarms.test(channel, actor="anna")
    last = alarms.test(channel, actor="anna")
    with pytest.raises(Refused):
        alarms.acknowledge_test(first.pk, first.code, actor="anna")
    assert alarms.deliver_due() == 1  # the earlier one does not stand in the way of an alarm
    assert [call["code"] for call in pager.calls] == [last.code]


def proved(channel: AlarmChannel) -> None:
    sent = alarms.test(channel, actor="anna")
    alarms.acknowledge_test(sent.pk, sent.code, actor="anna")


def test_a_proof_is_over_after_a_day_after_a_change_and_when_the_way_is_switched_off(pager: Pager) -> None:
    campaign, channel = make_campaign(), hook(pager)
    proved(channel)
    assert alarm_channels.proved(campaign, timezone.now() + timedelta(hours=25)) == []
    actor = make_user(is_administrator=True)
    same = {"kind": "webhook", "name": "renamed", "options": channel.options, "secret": None}
    alarm_channels.save(channel, **same, is_on=False, actor=actor)
    assert alarm_channels.proved(campaign) == []
    alarm_channels.save(channel, **same, is_on=True, actor=actor)
    assert [one.name for one in alarm_channels.proved(campaign)] == ["renamed"]
    alarm_channels.save(channel, **{**same, "options": {"url": pager.url + "&more=1"}}, is_on=True, actor=actor)
    assert alarm_channels.proved(campaign) == []


def test_the_mail_that_is_being_moved_proves_nothing() -> None:
    campaign = make_campaign()
    options = {**MAIL, "host": campaign.target.host.upper(), "port": 25}
    channel = AlarmChannel.objects.create(name="by mail", kind="mail", options=options, changed_at=timezone.now())
    proved(channel)
    assert alarm_channels.proved(campaign) == []
    assert alarm_channels.proved(make_campaign()) == [channel]


# Ways out


def test_what_an_administrator_sets_up_is_allowed_and_stays_so_while_it_is_needed(pager: Pager) -> None:
    actor = make_user(is_administrator=True)
    saved = alarm_channels.save(
        None, kind="webhook", name="pager", options={"url": pager.url}, secret=None, is_on=True, actor=actor
    )
    assert saved.allowed == ["127.0.0.1"]
    with pytest.raises(Refused) as error:
        addresses.remove(AllowedAddress.objects.get(host="127.0.0.1").pk, actor=actor)
    assert refusal(error) == "address.in_use"


def test_a_token_stays_with_its_address(pager: Pager) -> None:
    channel = hook(pager, secret=Secret("a token"))
    actor = make_user(is_administrator=True)
    elsewhere = {"url": "https://elsewhere.example.test/"}
    with pytest.raises(Refused) as error:
        alarm_channels.save(
            channel, kind="webhook", name="pager", options=elsewhere, secret=None, is_on=True, actor=actor
        )
    assert refusal(error) == "connector.password_again"


def test_a_token_is_sealed_and_sealed_anew_with_a_fresh_key(pager: Pager) -> None:
    channel = hook(pager, secret=Secret("a token"))
    assert channel.secret is not None
    assert b"a token" not in bytes(channel.secret)
    assert secrets.rows_that_need_other_keys() == 0


def test_a_name_is_given_once(pager: Pager) -> None:
    hook(pager)
    with pytest.raises(Refused) as error:
        hook(pager)
    assert refusal(error) == "alarm.name_taken"


# The watch in the ticker


def test_the_ticker_looks_and_alarms_leave_beside_it(pager: Pager) -> None:
    hook(pager)
    make_account(S.HELD, locked_at=timezone.now() - LONG_AGO)
    watch = Watch()
    watch()
    watch.sending.wait(10)
    assert len(pager.calls) == 1
    assert Campaign.objects.exists()
    connection.close()


def test_a_pager_that_does_not_answer_does_not_keep_the_clock_from_ticking(
    pager: Pager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messengers, "SECONDS", 2.0)
    pager.drip = True
    hook(pager)
    make_account(S.HELD, locked_at=timezone.now() - LONG_AGO)
    watch = Watch()
    watch()
    began = time.monotonic()
    watch()
    assert time.monotonic() - began < 1
    assert watch.sending.is_going_on
    pager.drip = False
    watch.sending.wait(10)
    assert not watch.sending.is_going_on
