"""From a real Dovecot by POP3 into a real Postfix by SMTP, and into a real Dovecot by LMTP."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator

import pytest

from migrator.cli.classic import translate
from migrator.cli.options import parse
from migrator.cli.places import ServerUrl
from migrator.cli.urls import parse_mailbox
from migrator.stores.smtp import MARKER
from tests.live.test_commands import Shell
from tests.live.test_pop3 import inbox
from tests.rigs import check
from tests.rigs.base import HOST, free_port
from tests.rigs.corpus import Box, Mail, fill
from tests.rigs.dialogue import Dialogue
from tests.rigs.dovecot import Dovecot
from tests.rigs.postfix import Postfix

USERS = {"john": "jps#dhj", "big": "pw", "local": "pw", "killed": "pw"}
LMTP_ADDS = {b"Return-Path", b"Delivered-To", b"Received"}
_LMTP = """\
protocols = imap lmtp
service lmtp {{
  inet_listener lmtp {{
    port = {port}
  }}
}}
"""


@pytest.fixture(scope="module")
def source() -> Iterator[Dovecot]:
    with Dovecot(USERS, pop3=True) as server:
        yield server


@pytest.fixture
def shell(tmp_path) -> Shell:
    return Shell(tmp_path)


def password(shell: Shell, user: str) -> list[str]:
    return ["--source-password-file", str(shell.file("password", USERS[user] + "\n"))]


def body_of(stored: bytes) -> bytes:
    """What was sent of a message that Postfix stored: below the lines it put above."""
    marker = MARKER.replace(b"\r\n", b"\n")
    assert stored.count(marker) == 1
    return stored.partition(marker)[2]


@pytest.mark.req("S-43", "S-46")
def test_a_mailbox_goes_by_pop3_and_smtp_into_postfix_octet_by_octet_and_once(source: Dovecot, shell: Shell) -> None:
    mails = inbox(5, 120, strict=True).mails  # to a message without a header Postfix adds the end of one
    senders = [b"" if number % 3 else b"Return-Path: <jim%d@old.test>\r\n" % number for number in range(len(mails))]
    mails = [Mail(head + mail.body, (), mail.date) for head, mail in zip(senders, mails, strict=True)]
    fill(source.account("john"), [Box(("INBOX",), mails, True)])
    with Postfix(["anna"]) as sink:
        urls = [f"pop3://john@{HOST}:{source.pop3}", f"smtp+starttls://anna@example.test@{HOST}:{sink.smtp}"]
        words = ["copy", *urls, *password(shell, "john"), "--target-ca-file", str(sink.certificate), "--json"]
        result = json.loads(shell.run(*words))
        assert (result["appended"], result["balanced"]) == (120, True)
        stored = sink.delivered("anna", 120)
        assert sorted(map(body_of, stored)) == sorted(canonical(mail.body) for mail in mails)
        paths = sorted(message.partition(b"\n")[0] for message in stored)
        assert paths.count(b"Return-Path: <>") == 80
        assert b"Return-Path: <jim3@old.test>" in paths
        assert json.loads(shell.run(*words))["appended"] == 0
        assert sink.is_queue_empty()
        assert len(sink.delivered("anna", 120)) == 120


def canonical(body: bytes) -> bytes:
    """A message as a Maildir holds it: LF, and a last line end."""
    lines = body.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return lines if lines.endswith(b"\n") else lines + b"\n"


def test_what_postfix_refuses_is_named_and_the_rest_arrives(source: Dovecot, shell: Shell) -> None:
    date = inbox(1, 100).mails[0].date
    mails = [Mail(b"Subject: %d\r\n\r\n" % size + b"x" * 70 * size + b"\r\n", (), date) for size in (1, 5000, 2)]
    fill(source.account("big"), [Box(("INBOX",), mails, True)])
    with Postfix(["anna"], size_limit=100_000) as sink:
        urls = [f"pop3://big@{HOST}:{source.pop3}", f"smtp://anna@example.test@{HOST}:{sink.smtp}"]
        result = json.loads(shell.run("copy", *urls, *password(shell, "big"), "--json", exit_code=1))
        assert (result["appended"], result["balanced"]) == (2, True)
        assert len(sink.delivered("anna", 2)) == 2
        nobody = [urls[0], f"smtp://nobody@example.test@{HOST}:{sink.smtp}"]
        refused = json.loads(shell.run("copy", *nobody, *password(shell, "big"), "--json", exit_code=4))
        assert refused["error"]["code"] == "sign_in.unknown_user"
        assert "User unknown" in refused["error"]["reply"]


def test_a_mailbox_goes_by_lmtp_into_dovecot_without_a_marker(source: Dovecot, shell: Shell) -> None:
    box = inbox(9, 60)
    fill(source.account("local"), [box])
    port = free_port()
    with Dovecot({"local": "pw"}, layout="mdbox", separator="/", extra=_LMTP.format(port=port)) as target:
        urls = [f"pop3://local@{HOST}:{source.pop3}", f"lmtp://local@{HOST}:{port}"]
        result = json.loads(shell.run("copy", *urls, *password(shell, "local"), "--json"))
        assert (result["appended"], result["balanced"]) == (60, True)
        with Dialogue(target.account("local")) as talk:
            talk.select(b"INBOX")
            there = [reply.literals[0] for reply in talk.command(b"UID FETCH 1:* (BODY.PEEK[])") if reply.literals]
        assert len(there) == len(box.mails)
        for stored, mail in zip(there, box.mails, strict=True):
            sent = mail.body if mail.body.endswith(b"\r\n") else mail.body + b"\r\n"
            above, _, _ = stored.rpartition(sent)
            assert stored.endswith(sent)
            assert {line.split(b":")[0] for line in above.split(b"\r\n") if line[:1].isalpha()} == LMTP_ADDS
            assert MARKER not in stored


def test_a_run_that_is_killed_sends_nothing_twice_and_names_what_nobody_knows(source: Dovecot, shell: Shell) -> None:
    date = inbox(1, 100).mails[0].date
    mails = [Mail(b"Subject: %d\r\n\r\n%d\r\n" % (number, number), (), date) for number in range(400)]
    fill(source.account("killed"), [Box(("INBOX",), mails, True)])
    with Postfix(["anna"]) as sink:
        urls = [f"pop3://killed@{HOST}:{source.pop3}", f"smtp://anna@example.test@{HOST}:{sink.smtp}"]
        words = ["copy", *urls, *password(shell, "killed"), "--json"]
        kills = 0
        for wanted in (1, 120, 240):
            running = shell.start(*words)
            while running.poll() is None and len(sink.delivered("anna", 0)) < wanted:
                time.sleep(0.01)  # the condition is the mail in the sink
            kills += running.poll() is None
            running.send_signal(signal.SIGKILL)
            running.communicate()
        assert kills
        code = 0 if (last := shell.start(*words)).wait(120) == 0 else 1
        out, err = last.communicate()
        assert last.returncode == code, err
        result = json.loads(out)
        unknown = result["outcomes"].get("unconfirmed", 0)
        assert result["balanced"]
        assert unknown <= kills
        stored = sink.delivered("anna", 400 - unknown)
        assert sink.is_queue_empty()
        assert len(set(map(body_of, stored))) == len(stored)
        assert 400 - unknown <= len(stored) <= 400


# as the guide spells it


@pytest.mark.req("S-44")
@pytest.mark.parametrize(
    "place", [f"{HOST}:{{}}", "localhost:{}", f"pop3://{HOST}:{{}}", f"pop3+starttls://{HOST}:{{}}"]
)
def test_the_pop_server_is_named_with_its_port_and_how_to_encrypt_apart(shell: Shell, place: str) -> None:
    with Dovecot({"john": "jps#dhj"}, pop3=True, tls=True) as old, Postfix(["anna"]) as sink:
        fill(old.account("john"), [Box(("INBOX",), inbox(2, 100).mails[:2], True)])
        secret = shell.file("john", "jps#dhj\n")
        server, trust = place.format(old.pop3), ["--source-ca-file", old.certificate]
        words = ["MovePOPMail", server, "john", secret, f"{HOST}:{sink.smtp}", "anna@example.test"]
        shell.run(*words, *(trust if "starttls" in place else []))
        assert len(sink.delivered("anna", 2)) == 2


@pytest.mark.req("S-44")
@pytest.mark.parametrize(
    ("server", "host", "port"),
    [("h", "h", 110), ("h:1110", "h", 1110), ("[::1]:110", "::1", 110), ("[::1]", "::1", 110), ("pop3s://h", "h", 995)],
)
def test_a_port_that_is_not_named_is_the_usual_one(server: str, host: str, port: int) -> None:
    found = parse_mailbox(translate(parse(["MovePOPMail", server, "john", "-", "h", "a@b"])).source)
    assert isinstance(found, ServerUrl)
    assert (found.kind, found.host, found.port, found.user) == ("pop3", host, port, "john")


@pytest.mark.req("S-72")
def test_a_list_is_moved_by_pop_unless_imap_is_asked_for(shell: Shell) -> None:
    people = {"john": "jps#dhj", "jim": "dud-ee"}
    rows = "".join(f"{user}\t{word}\n" for user, word in people.items())
    listed = shell.file("AccountList", "Name\tPassword\n" + rows)
    with (
        Dovecot(people, pop3=True) as old,
        Dovecot(people, layout="mdbox", separator="/") as new,
        Postfix(list(people), origin="example.test") as sink,
    ):
        for user in people:
            fill(old.account(user), [Box(("INBOX",), inbox(2, 100).mails[:3], True)])
        pop, smtp = f"{HOST}:{old.pop3}", f"{HOST}:{sink.smtp}"
        for way in ([], ["--POP"]):
            result = json.loads(shell.run("MoveAccounts", *way, listed, pop, smtp, "--json"))
            assert result["exit_code"] == 0
        assert [len(sink.delivered(user, 3)) for user in people] == [3, 3]
        by_imap = ["MoveAccounts", "--IMAP", listed, f"{HOST}:{old.imap}", f"{HOST}:{new.imap}", "--json"]
        assert json.loads(shell.run(*by_imap))["exit_code"] == 0
        for user in people:
            assert len(check.read(new.account(user)).folders[b"INBOX"].messages) == 3
