"""Mailboxes read by POP3 from real servers: copied whole and once, and untouched where they were."""

from __future__ import annotations

import hashlib
import json
import poplib
import signal
import time
from collections.abc import Iterator
from typing import Final

import pytest

from migrator.limits import Limits
from migrator.mail import Message
from migrator.secret import Secret
from migrator.stores.base import ReadRequest, ScanRequest
from migrator.stores.endpoint import Endpoint, Security
from migrator.stores.pop3 import INBOX, Pop3Source
from tests.live.test_commands import Shell
from tests.rigs import check
from tests.rigs.base import HOST, Account
from tests.rigs.corpus import Box, Mail, fill, lifelike
from tests.rigs.courier import Courier
from tests.rigs.cyrus import Cyrus
from tests.rigs.dovecot import ADMIN, ADMIN_PASSWORD, Dovecot

HARD: Final = {"john": "jps#dhj", "quoted": 'a"b\\c', "blank": " p w ", "percent": "100%@x/z?", "umlaut": "päßwörd€"}
MESSAGES: Final = 300
poplib._MAXLINE = 1 << 20  # type: ignore[attr-defined]  # a life-like body has longer lines than it takes


def inbox(seed: int, messages: int = MESSAGES, *, strict: bool = False) -> Box:
    """The INBOX of a life-like account, each message with the date of its arrival in its header, as delivery does."""
    mails = lifelike(seed, messages=3 * messages, strict=strict)[0].mails[:messages]
    assert len(mails) == messages
    return Box(("INBOX",), [Mail(_stamp(mail) + mail.body, mail.flags, mail.date) for mail in mails], True)


def _stamp(mail: Mail) -> bytes:
    return f"Received: from a by b; {mail.date:%a, %d %b %Y %H:%M:%S %z}\r\n".encode()


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Dovecot, Dovecot]]:
    with Dovecot(HARD, tls=True, pop3=True) as source, Dovecot(HARD, layout="mdbox", separator="/") as target:
        yield source, target


@pytest.fixture
def shell(tmp_path) -> Shell:
    return Shell(tmp_path)


def numbered(server: Cyrus | Courier, user: str, password: str) -> list[str]:
    """The digests of all messages in the order of their numbers, read by a client that is not ours."""
    client = poplib.POP3(HOST, server.pop3, timeout=30)
    try:
        client.user(user)
        client.pass_(password)
        read = [client.retr(number + 1)[1] for number in range(client.stat()[0])]
        return [hashlib.sha256(check.canonical(b"\r\n".join(lines) + b"\r\n")).hexdigest() for lines in read]
    finally:
        client.close()


def bodies(account: Account) -> list[str]:
    return [seen.digest for seen in check.read(account).folders[b"INBOX"].messages]


@pytest.mark.req("S-45")
@pytest.mark.parametrize("user", HARD)
def test_a_mailbox_crosses_by_pop3_whole_in_order_with_the_dates_of_its_header(
    servers: tuple[Dovecot, Dovecot], shell: Shell, user: str
) -> None:
    source, target = servers
    fill(source.account(user), [inbox(7)])
    before = check.read(source.account(user))
    url = f"pop3://{user}@{HOST}:{source.pop3}"
    words = ["copy", url, target.account(user).url, *shell.passwords(HARD[user], HARD[user]), "--json"]
    first = json.loads(shell.run(*words, "--verify", "digest"))
    assert (first["appended"], first["balanced"], first["verify"]["clean"]) == (MESSAGES, True, True)
    there = check.read(target.account(user)).folders[b"INBOX"].messages
    here = before.folders[b"INBOX"].messages
    assert [(seen.digest, seen.date) for seen in there] == [(seen.digest, seen.date) for seen in here]
    assert check.changes(before, check.read(source.account(user))) == []  # no \Seen, nothing gone
    again = json.loads(shell.run(*words))
    assert (again["appended"], again["balanced"]) == (0, True)


OTHERS: Final = {
    "cyrus": (lambda: Cyrus({"john": "p w#"}), "%v.%u"),
    "courier": (lambda: Courier({"john": "p w#"}, pop3=True), "UID%u-%v"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_cyrus_and_courier_are_read_whole_and_left_as_they_are(shell: Shell, name: str) -> None:
    make, form = OTHERS[name]
    with make() as source, Dovecot({"john": "pw"}, layout="mdbox", separator="/") as target:
        fill(source.account("john"), [inbox(13, 150, strict=True)])
        before = check.read(source.account("john"))
        url = f"pop3://john@{HOST}:{source.pop3}"
        words = ["copy", url, target.account("john").url, *shell.passwords("p w#", "pw"), "--json"]
        running = shell.start(*words, "--verify", "digest")
        out, err = running.communicate(timeout=120)
        assert running.returncode == 0, err
        assert form in err
        first = json.loads(out)
        assert (first["appended"], first["balanced"], first["verify"]["clean"]) == (150, True, True)
        there = check.read(target.account("john")).folders[b"INBOX"].messages
        here = before.folders[b"INBOX"].messages
        assert sorted((seen.digest, seen.date) for seen in there) == sorted((seen.digest, seen.date) for seen in here)
        assert check.changes(before, check.read(source.account("john"))) == []
        assert json.loads(shell.run(*words))["appended"] == 0
        # Not the order of the UIDs: Courier numbers by file names, in which microseconds have no leading zeros.
        assert [seen.digest for seen in there] == numbered(source, "john", "p w#")  # marks what it reads: at the end


def test_a_copy_that_is_killed_goes_on_and_loses_and_doubles_nothing(
    servers: tuple[Dovecot, Dovecot], shell: Shell
) -> None:
    source, target = servers
    source.set_users(HARD | {"killed": "pw"})
    target.set_users(HARD | {"killed": "pw"})
    fill(source.account("killed"), [inbox(11, 3000)])
    url = f"pop3://killed@{HOST}:{source.pop3}"
    words = ["copy", url, target.account("killed").url, *shell.passwords("pw", "pw"), "--json"]
    kills = 0
    for wanted in (1, 1000, 2000):
        running = shell.start(*words)
        while running.poll() is None and count(target) < wanted:
            time.sleep(0.01)  # the condition is the mail on the target
        kills += running.poll() is None
        running.send_signal(signal.SIGKILL)
        running.communicate()
    assert kills
    result = json.loads(shell.run(*words, "--verify", "digest"))
    assert (result["balanced"], result["verify"]["clean"]) == (True, True)
    assert sorted(bodies(target.account("killed"))) == sorted(bodies(source.account("killed")))


def count(target: Dovecot) -> int:
    """How many messages are there: quicker than reading them."""
    told = target.doveadm("mailbox", "status", "-u", "killed", "messages", "INBOX")
    return int(told.rsplit("=", 1)[1])


@pytest.mark.parametrize("security", ["tls", "starttls", "plain"])
def test_tls_stls_and_an_administrator(servers: tuple[Dovecot, Dovecot], security: Security) -> None:
    source, _ = servers
    fill(
        source.account("john"),
        [Box(("INBOX",), [Mail(b"Subject: x\r\n\r\n.\r\n", (), inbox(1, 100).mails[0].date)], True)],
    )
    port = source.pop3s if security == "tls" else source.pop3
    endpoint = Endpoint(HOST, port, security, ADMIN, Secret(ADMIN_PASSWORD), "john", ca_file=str(source.certificate))
    with Pop3Source(endpoint, Limits(io_seconds=20)) as store:
        metas = list(store.scan([ScanRequest(INBOX)]))
        assert store.features.uidl_format == "%08Xu%08Xv"
        (last,) = store.read([ReadRequest(INBOX, [metas[-1].uid])])  # type: ignore[union-attr]
        assert isinstance(last, Message)
        assert last.whole == b"Subject: x\r\n\r\n.\r\n"
