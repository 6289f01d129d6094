"""Batches move from POP3 servers and from files into a real Dovecot, and by LMTP, wholly by what the panel offers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.test import Client
from django.utils import timezone

from campaigns.models import Account, Batch, Campaign, MessageNames, SendingMessage, Server
from campaigns.services import batches, imports
from campaigns.services.rosters import Reading
from campaigns.states import AccountState
from tests.campaigns.factories import make_user
from tests.live.test_delivering import _LMTP
from tests.live.test_files import expected, letters
from tests.live.test_pop3 import inbox
from tests.live.test_runs import work_to_the_end
from tests.rigs import check
from tests.rigs.base import HOST, free_port, users
from tests.rigs.corpus import fill, lifelike
from tests.rigs.dovecot import Dovecot
from tests.rigs.mailfiles import write_mbox_tree

pytestmark = pytest.mark.django_db(transaction=True)
PEOPLE = users(4)
_USUAL = {"gmail_labels": "folders", "duplicates": "keep"}
FOLDERS = (("INBOX",), ("Archiv",), ("Projekte", "2019"))


@pytest.fixture(scope="module")
def target() -> Iterator[Dovecot]:
    with Dovecot({**PEOPLE, **{f"m{name}": password for name, password in PEOPLE.items()}}, layout="mdbox") as running:
        yield running


@pytest.fixture
def admin() -> Client:
    client = Client(headers={"host": "localhost"})
    client.force_login(make_user(is_administrator=True, is_operator=True))
    return client


def set_up(admin: Client, kind: str, **fields: Any) -> Server:
    """Set a server up on its page."""
    form = {
        "name": kind,
        "max_lanes": "8",
        **({} if "below" in fields else {"host": HOST, "security": "plain"}),
        **fields,
    }
    page = admin.post(f"/servers/new?kind={kind}", form)
    assert page.status_code == 302, page.context["form"].errors
    return Server.objects.get(name=form["name"])


def tried(admin: Client, server: Server, login: str, password: str = "") -> dict[str, tuple[str, str]]:
    """Test the connection; return how each look went and its sentence."""
    page = admin.post(f"/servers/{server.pk}/test", {"login": login, "password": password}, follow=True)
    lines = page.context["server"].trial.lines
    return {line.label: (line.family.value, line.sentence) for line in lines}


def move(admin: Client, old: Server, new: Server, rows: list[str], folder: Path, **copying: Any) -> list[Account]:
    """Plan a campaign on its pages, bring a list of accounts, start its batch, and work until nothing is due.

    ``copying``: how mail is copied, as its page sends it.
    """
    started = admin.post("/campaigns/new", {"name": f"{old.name} to {new.name}", "source": old.pk, "target": new.pk})
    draft = started.url.split("/")[3]
    method = {"method": "plain", "verify_level": "digest", "catch_up_days": "0", "catch_up_minutes": "30"}
    assert (
        admin.post(
            f"/campaigns/new/{draft}/method", method | {"refresh_hours": "24", "copies_deleted": "on"}
        ).status_code
        == 302
    )
    assert admin.post(f"/campaigns/new/{draft}/start", {"without_list": "1"}).status_code == 302
    campaign = Campaign.objects.get()
    if copying:
        page = admin.post(f"/campaigns/{campaign.pk}/copying", _USUAL | copying)
        assert page.status_code == 302, page.context["form"].errors
    list_file = folder / "list.tsv"
    list_file.write_text("\n".join(rows), encoding="utf-8")
    (batch,) = imports.take_in(campaign, list_file, Reading(), actor="test").batches
    batches.start(batch, actor="test")
    Batch.objects.filter(pk=batch.pk).update(go_at=timezone.now())
    work_to_the_end()
    return list(Account.objects.order_by("pk"))


def assert_moved(accounts: list[Account]) -> None:
    told = [(account.state, account.error_code, account.error_reply) for account in accounts]
    assert told == [(AccountState.DONE, "", "")] * len(accounts)


@pytest.mark.req("S-45")
def test_a_batch_moves_by_pop3_whole_and_once(admin: Client, target: Dovecot, tmp_path: Path) -> None:
    with Dovecot(PEOPLE, pop3=True) as source:
        boxes = {name: inbox(number, 80) for number, name in enumerate(PEOPLE)}
        for name, box in boxes.items():
            fill(source.account(name), [box])
        old = set_up(admin, "pop3", port=str(source.pop3))
        new = set_up(admin, "imap", port=str(target.imap))
        user, password = next(iter(PEOPLE.items()))
        found = tried(admin, old, user, password)
        assert found["Sign-in"] == ("done", "The account signs in itself: 80 messages.")
        assert {family for family, _ in found.values()} == {"done", "attention"}  # it is not encrypted
        accounts = move(admin, old, new, ["Name\tPassword", *(f"{n}\t{p}" for n, p in PEOPLE.items())], tmp_path)
        assert_moved(accounts)
        assert sum(1 for _ in MessageNames.objects.all()) == len(PEOPLE)  # a mailbox is one packed row
        for name, box in boxes.items():
            there = [seen.digest for seen in check.read(target.account(name)).folders[b"INBOX"].messages]
            here = [seen.digest for seen in check.read(source.account(name)).folders[b"INBOX"].messages]
            assert len(there) == len(box.mails)
            assert there == here
        for account in accounts:  # whoever looks again brings nothing twice
            Account.objects.filter(pk=account.pk).update(
                not_before=timezone.now(), catch_up_until=timezone.now() + timedelta(hours=1)
            )
        work_to_the_end()
        assert len(check.read(target.account(user)).folders[b"INBOX"].messages) == 80


@pytest.mark.req("S-44")
def test_a_batch_moves_out_of_files_of_this_machine(
    admin: Client, target: Dovecot, tmp_path: Path, settings: LazySettings
) -> None:
    settings.MAIL_FOLDERS = (tmp_path / "homes",)
    lives = {f"m{name}": lifelike(at, messages=90, folders=FOLDERS, strict=True) for at, name in enumerate(PEOPLE)}
    for name, boxes in lives.items():
        write_mbox_tree(tmp_path / "homes" / name / "mail", {box.path: letters(box) for box in boxes})
    old = set_up(admin, "mbox", folder=str(tmp_path / "homes"), below="*/mail")
    new = set_up(admin, "imap", port=str(target.imap))
    found = tried(admin, old, next(iter(lives)))
    assert found["Reachable"] == ("done", "The folder is there.")
    assert found["The account"][1].startswith("Its mail can be read: ")
    rows = ["Name\tNewPassword", *(f"m{name}\t{password}" for name, password in PEOPLE.items())]
    assert_moved(move(admin, old, new, rows, tmp_path))
    for name, boxes in lives.items():
        there = check.read(target.account(name))
        assert check.compare(expected(boxes, there.separator), there) == []


@pytest.mark.req("S-47")
def test_a_batch_is_delivered_by_lmtp_and_nothing_is_delivered_twice(admin: Client, tmp_path: Path) -> None:
    port = free_port()
    delivered = dict.fromkeys(PEOPLE, "pw")
    with (
        Dovecot(PEOPLE, pop3=True) as source,
        Dovecot(delivered, layout="mdbox", separator="/", extra=_LMTP.format(port=port)) as target,
    ):
        for number, name in enumerate(PEOPLE):
            fill(source.account(name), [inbox(number, 30)])
        old = set_up(admin, "pop3", port=str(source.pop3))
        new = set_up(admin, "lmtp", port=str(port))
        assert tried(admin, new, next(iter(PEOPLE)))["The account"] == ("done", "Mail for it is taken.")
        assert tried(admin, new, "nobody-here")["The account"][0] == "failed"
        rows = ["Name\tPassword", *(f"{name}\t{password}" for name, password in PEOPLE.items())]
        assert_moved(move(admin, old, new, rows, tmp_path))
        assert not SendingMessage.objects.exists()
        for name in PEOPLE:
            assert len(check.read(target.account(name)).folders[b"INBOX"].messages) == 30
