"""The pages of alarms: what is open, the ways out, and the code that proves one of them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from campaigns.models import Alarm, AlarmChannel
from campaigns.services import watchdog
from campaigns.states import AccountState
from tests.campaigns.factories import make_account, make_user

pytestmark = pytest.mark.django_db

HOOK = {"name": "pager", "url": "https://pager.example.test/hook?key=k", "is_on": "on"}
MAIL = {
    "name": "by mail", "host": "relay.example.test", "port": "465", "security": "tls", "login": "",
    "sender": "mailferry@example.test", "to": "a@example.test\nb@example.test", "is_on": "on",
}  # fmt: skip


@pytest.fixture
def administrator(client: Client) -> Client:
    client.force_login(make_user(is_administrator=True, is_operator=True))
    return client


def test_a_webhook_is_set_up_tested_and_proved(administrator: Client) -> None:
    assert "Webhook" in administrator.get("/alarms/ways/new").content.decode()
    page = administrator.post("/alarms/ways/new?kind=webhook", {**HOOK, "secret": "token"}, follow=True)
    assert "pager is saved." in page.content.decode()
    assert "Nobody has read a test yet." in page.content.decode()
    channel = AlarmChannel.objects.get()
    answer = administrator.post(f"/alarms/ways/{channel.pk}/test")
    alarm = Alarm.objects.get()
    assert answer["Location"] == f"/alarms/{alarm.pk}"
    assert alarm.code not in administrator.get(f"/alarms/{alarm.pk}").content.decode()
    wrong = administrator.post(f"/alarms/{alarm.pk}", {"code": "x"})
    assert wrong.status_code == 422
    assert "not the code" in wrong.content.decode()
    page = administrator.post(f"/alarms/{alarm.pk}", {"code": alarm.code}, follow=True)
    assert "No alarm is open, and one would be read." in page.content.decode()


def test_the_key_in_an_address_is_not_shown_in_the_list(administrator: Client) -> None:
    administrator.post("/alarms/ways/new?kind=webhook", HOOK)
    page = administrator.get("/alarms").content.decode()
    assert "pager.example.test" in page
    assert "key=k" not in page


def test_a_stored_token_is_never_shown(administrator: Client) -> None:
    administrator.post("/alarms/ways/new?kind=webhook", {**HOOK, "secret": "sesame"})
    channel = AlarmChannel.objects.get()
    page = administrator.get(f"/alarms/ways/{channel.pk}").content.decode()
    assert "sesame" not in page
    assert "One is stored." in page
    administrator.post(f"/alarms/ways/{channel.pk}", {**HOOK, "name": "another"})
    channel.refresh_from_db()
    assert (channel.name, channel.secret is not None) == ("another", True)


@pytest.mark.parametrize(
    ("kind", "fields", "told"),
    [
        ("webhook", {"url": "pager.example.test"}, "Enter a whole address"),
        ("webhook", {"url": "file:///etc/passwd"}, "Enter a whole address"),
        ("webhook", {"url": "https://a b/"}, "Enter a whole address"),
        ("webhook", {"url": "https://anna:pw@pager.example.test/"}, "No name or password belongs"),
        ("webhook", {"url": "https://pager.example.test:99999/"}, "Enter a whole address"),
        ("mail", {"to": "nobody"}, "is no mail address"),
        ("mail", {"to": "\n"}, "This field is required"),
        ("mail", {"sender": "a@example.test\r\nBcc: b@example.test"}, "is no mail address"),
        ("mail", {"host": "https://relay.example.test"}, "Enter the name of a host"),
    ],
)
def test_what_cannot_be_meant_is_told_at_its_field(
    administrator: Client, kind: str, fields: dict[str, str], told: str
) -> None:
    given = {**(HOOK if kind == "webhook" else MAIL), **fields}
    answer = administrator.post(f"/alarms/ways/new?kind={kind}", given)
    assert answer.status_code == 422
    assert told in answer.content.decode()
    assert not AlarmChannel.objects.exists()


def test_mail_by_another_server_is_set_up_and_taken_away(administrator: Client) -> None:
    administrator.post("/alarms/ways/new?kind=mail", MAIL)
    channel = AlarmChannel.objects.get()
    assert channel.options["to"] == ["a@example.test", "b@example.test"]
    page = administrator.get(f"/alarms/ways/{channel.pk}").content.decode()
    assert "a@example.test\nb@example.test" in page
    assert "is gone." in administrator.post(f"/alarms/ways/{channel.pk}/remove", follow=True).content.decode()


def test_a_program_is_chosen_by_its_name_and_no_other_is_taken(
    administrator: Client, tmp_path: Path, settings: Any
) -> None:
    settings.PROGRAMS = tmp_path / "programs"
    settings.PROGRAMS.mkdir(mode=0o755)
    (settings.PROGRAMS / "page").write_text("#!/bin/sh\n")
    (settings.PROGRAMS / "page").chmod(0o755)
    given = {"name": "by program", "is_on": "on"}
    assert administrator.post("/alarms/ways/new?kind=program", {**given, "program": "/bin/sh"}).status_code == 422
    administrator.post("/alarms/ways/new?kind=program", {**given, "program": "page"})
    channel = AlarmChannel.objects.get()
    assert channel.options == {"program": {"program": "page"}}
    assert 'value="page" selected' in administrator.get(f"/alarms/ways/{channel.pk}").content.decode()
    assert "page" in administrator.get("/alarms").content.decode()


def test_an_open_alarm_is_seen_and_stays_open(administrator: Client) -> None:
    account = make_account(AccountState.HELD, locked_at=timezone.now() - timedelta(hours=1))
    watchdog.look()
    alarm = Alarm.objects.get()
    assert "One alarm is open." in administrator.get("/alarms").content.decode()
    page = administrator.get(f"/alarms/{alarm.pk}").content.decode()
    assert "1 user is locked out longer than the batch allows." in page
    assert account.source_login not in page
    assert "Noted." in administrator.post(f"/alarms/{alarm.pk}", follow=True).content.decode()
    again = administrator.post(f"/alarms/{alarm.pk}", follow=True).content.decode()
    assert "somebody has seen it already" in again
    alarm.refresh_from_db()
    assert (alarm.ended_at, bool(alarm.acknowledged_by)) == (None, True)
