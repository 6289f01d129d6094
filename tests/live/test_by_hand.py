"""Checks of a night on real servers: what programs notice, doors that let somebody in, mail that arrives too late."""

from __future__ import annotations

import imaplib
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from django.test import Client

from campaigns.bridge import vault
from campaigns.bridge.lease import LeaseKind
from campaigns.models import Account, AllowedAddress, Batch, Campaign, Event, Server
from campaigns.selectors import notices
from campaigns.services import batches, campaigns, confirmations, impacts, place_books, runs
from campaigns.services.place_books import Places
from campaigns.states import AccountState
from migrator.errors import MigratorError
from migrator.secret import Secret
from tests.campaigns.crossings import claim, give_password
from tests.campaigns.factories import make_user
from tests.rigs.base import HOST
from tests.rigs.dovecot import ADMIN, ADMIN_PASSWORD, Dovecot

pytestmark = pytest.mark.django_db
USERS = {"anna": "of anna, 5 stones", "bert": "of bert, 7 stones"}
# The old server hides SPECIAL-USE's name for sent mail behind another one, and cannot tell news.
_OLD_NAMES = """
namespace inbox {
  mailbox Gesendet {
    special_use = \\Sent
    auto = subscribe
  }
  mailbox Sent {
    special_use =
    auto = no
  }
}
"""


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Dovecot, Dovecot]]:
    with ExitStack() as running:
        old = Dovecot(USERS, separator=".", prefix="INBOX.", pop3=True, tls=True, extra=_OLD_NAMES)
        new = Dovecot(
            USERS, separator="/", layout="mdbox", pop3=True, tls=True, sieve=True, extra="auth_mechanisms = plain\n"
        )
        yield running.enter_context(old), running.enter_context(new)


def row_of(name: str, server: Dovecot, **fields: object) -> Server:
    row = Server.objects.create(name=name, host=HOST, admin_login=ADMIN, **fields)
    row.admin_secret = vault.seal(Secret(ADMIN_PASSWORD), row, "admin_secret")
    row.ca_pem = server.certificate.read_text() if server.certificate else ""
    row.save()
    return row


@pytest.fixture
def batch(servers: tuple[Dovecot, Dovecot]) -> Batch:
    AllowedAddress.objects.create(host=HOST)
    old, new = servers
    source = row_of("old", old, port=old.imap, security="plain")
    target = row_of("new", new, port=new.imaps, security="tls")
    campaign = campaigns.create("the move", source=source, target=target, actor="test")
    people = [Account(source_login=user, target_login=user) for user in USERS]
    (batch,) = batches.cut(campaign, people, actor="test")
    for account in batch.accounts.all():
        give_password(account, USERS[account.source_login])
    checks = ("both_listen", "ports_open", "no_new_mail")
    steps = [*(["person", "", check] for check in checks), ["delta", "", ""], ["switch", "", ""]]
    Campaign.objects.update(steps=steps)
    return Batch.objects.select_related("campaign__source", "campaign__target").get(pk=batch.pk)


@pytest.mark.req("S-4")
def test_the_known_differences_of_two_real_servers_are_named_each_once(
    batch: Batch, servers: tuple[Dovecot, Dovecot]
) -> None:
    old, new = servers
    ports = {
        "pop3": {"old": f"{HOST}:{old.pop3}"},
        "imaps": {"old": f"{HOST}:{old.imaps}", "new": f"{HOST}:{new.imaps}"},
    }
    operator = make_user(is_operator=True)
    place_books.save(batch.campaign, Places(ports=ports), actor=operator)
    account = impacts.account_to_look_with(batch.campaign, "bert")
    assert account is not None
    found = impacts.look(account, actor=operator)
    told = {(one.code, one.old, one.new) for one in found if one.code != "uidvalidity"}
    assert told == {
        ("port", str(old.imap), str(new.imaps)),
        ("security", "plain", "tls"),
        ("ways", "AUTH=LOGIN", "AUTH=PLAIN LOGIN"),
        ("service", "pop3", ""),
        ("prefix", "INBOX.", ""),
        ("separator", ".", "/"),
        ("role", "Gesendet", "Sent"),
    }
    assert [one.code for one in found].count("uidvalidity") == 1
    client = Client(headers={"host": "localhost"})
    client.force_login(operator)
    page = client.get(f"/campaigns/{batch.campaign_id}/programs").text
    assert "Gesendet" in page
    assert all(password not in page + str(list(Event.objects.values())) for password in USERS.values())


def test_a_mailbox_that_does_not_open_is_told_and_noted(batch: Batch) -> None:
    account = batch.accounts.get(source_login="anna")
    give_password(account, "wrong", "target")
    operator = make_user(is_operator=True)
    account = Account.objects.select_related("campaign", "source", "target").get(pk=account.pk)
    with pytest.raises(MigratorError, match=r"sign_in\.refused"):
        impacts.look(account, actor=operator)
    assert Event.objects.get(name="campaign.programs.failed").data["side"] == "target"


@pytest.mark.req("S-90")
def test_the_new_server_has_its_ports_when_somebody_gets_in_at_each(
    batch: Batch, servers: tuple[Dovecot, Dovecot]
) -> None:
    _, new = servers
    operator = make_user(is_operator=True, is_administrator=True)
    ports = {"imap": new.imap, "imaps": new.imaps, "pop3": new.pop3, "pop3s": new.pop3s, "sieve": new.sieve}
    plan = {service: {"new": f"{HOST}:{port}"} for service, port in ports.items()}
    place_books.save(batch.campaign, Places(ports=plan), actor=operator)
    row = confirmations.look(batch, 1, actor=operator)
    told = [(one["code"], one["place"].partition(" ")[0]) for one in row.evidence]
    assert told == [(code, service) for service in ports for code in ("port.greets", "port.signed_in")]
    assert row.confirmed_at is not None


def test_a_password_that_is_refused_at_one_door_is_not_tried_at_the_next(
    batch: Batch, servers: tuple[Dovecot, Dovecot]
) -> None:
    _, new = servers
    for account in batch.accounts.all():
        give_password(account, "wrong")
    operator = make_user(is_operator=True, is_administrator=True)
    plan = {"pop3": {"new": f"{HOST}:{new.pop3}"}, "pop3s": {"new": f"{HOST}:{new.pop3s}"}}
    place_books.save(batch.campaign, Places(ports=plan), actor=operator)
    row = confirmations.look(batch, 1, actor=operator)
    assert row.confirmed_at is None
    assert [one["code"] for one in row.evidence if one["code"].startswith("sign_in")] == ["sign_in.refused"]


def copied(batch: Batch) -> None:
    """Copy everybody ahead, as a worker does."""
    for account in batch.accounts.all():
        runs.run_stage(claim(account, LeaseKind.STAGE, AccountState.STAGING))
        account.refresh_from_db()
        assert (account.state, account.error_code) == (AccountState.READY, "")


@pytest.mark.req("S-89")
def test_mail_that_comes_after_the_copy_is_seen_and_brought_by_the_next_pass(
    batch: Batch, servers: tuple[Dovecot, Dovecot]
) -> None:
    old, new = servers
    deliver(old, "anna", "before")
    operator = make_user(is_operator=True)
    assert confirmations.look_at(batch, "no_new_mail")[0].code == "mailbox.never_copied"
    copied(batch)
    row = confirmations.look(batch, 2, actor=operator)
    assert ([one["code"] for one in row.evidence], row.confirmed_at is not None) == (["mailbox.still"], True)
    deliver(old, "anna", "late")
    found = confirmations.look_at(batch, "no_new_mail")
    assert [(one.code, one.is_good, one.place) for one in found] == [
        ("mailbox.new_mail", False, "anna"), ("mailbox.still", True, ""),
    ]  # fmt: skip
    copied(batch)
    assert [one.code for one in confirmations.look_at(batch, "no_new_mail")] == ["mailbox.still"]
    with imaplib.IMAP4(HOST, new.imap) as session:
        session.login("anna", USERS["anna"])
        session.select("INBOX", readonly=True)
        assert session.search(None, "SUBJECT", "late")[1] != [b""]


@pytest.mark.req("S-111", "D-86")
def test_mail_that_arrives_before_the_old_follows_stands_first_by_arrival_and_right_by_date(
    batch: Batch, servers: tuple[Dovecot, Dovecot]
) -> None:
    old, new = servers
    deliver(old, "bert", "older", at=1_600_000_000)
    deliver(new, "bert", "newer", at=1_700_000_000)
    copied(batch)
    with imaplib.IMAP4(HOST, new.imap) as session:
        session.login("bert", USERS["bert"])
        session.select("INBOX", readonly=True)
        assert session.uid("SEARCH", "SUBJECT", "newer")[1][0] < session.uid("SEARCH", "SUBJECT", "older")[1][0]
        by_date = session.uid("SORT", "(ARRIVAL)", "UTF-8", "ALL")[1][0].split()
        assert by_date == [b"2", b"1"], "the time of arrival is kept, so programs that sort by it are right"
    told = dict(zip(map(str, notices.QUESTIONS), map(str, notices.ANSWERS["sims2"]), strict=True))
    assert told["Order of mail?"].startswith("By date it is right; by arrival new mail stands before the old")
    held = dict(zip(map(str, notices.QUESTIONS), map(str, notices.ANSWERS["sims3"]), strict=True))
    assert held["Order of mail?"].startswith("As it was: what was held comes after the old mail")
    account = batch.accounts.get(source_login="bert")
    (event,) = Event.objects.filter(account=account, name="account.folder.order_mixed")
    assert event.data["messages"] == 1


def deliver(server: Dovecot, user: str, subject: str, at: int = 1_700_000_000) -> None:
    with imaplib.IMAP4(HOST, server.imap) as session:
        session.login(user, USERS[user])
        text = f"From: x@example.test\r\nTo: {user}@example.test\r\nSubject: {subject}\r\n\r\n{subject}\r\n"
        assert session.append("INBOX", "", imaplib.Time2Internaldate(at), text.encode())[0] == "OK"
