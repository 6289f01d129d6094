"""Servers that are not there, speak something else, fall silent, cut the line: each gets its sentence and exit code,
no password is sent where it must not go, and nothing is half done."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from tests.migrator.cli.peers import BODY, bodies, mailbox
from tests.rigs.base import free_port, own_certificate
from tests.rigs.scripted import Peer, close, cut, hang, raw, then

SIDES = ["source", "target"]
SPEAKER = {"source": "The old server: ", "target": "The new server: "}


def urls(side: str, bad: int, good: int, scheme: str = "imap") -> list[str]:
    """Return SOURCE and TARGET with the bad port on ``side``."""
    words = {side: f"{scheme}://john@127.0.0.1:{bad}"}
    return [words.get(each, f"imap://john@127.0.0.1:{good}") for each in SIDES]


@pytest.fixture
def good():
    with mailbox() as peer:
        yield peer


def assert_untouched(peer: Peer) -> None:
    assert not {"APPEND", "CREATE", "SUBSCRIBE", "UID STORE"} & set(peer.verbs())


@pytest.mark.req("C-17")
@pytest.mark.parametrize("side", SIDES)
def test_a_server_that_is_not_there(mailferry, passwords, good, side) -> None:
    ended = mailferry("copy", *urls(side, free_port(), good.port), *passwords)
    assert ended.exit_code == 3
    assert f"{SPEAKER[side]}The server cannot be reached." in ended.out
    assert_untouched(good)


@pytest.mark.parametrize("side", SIDES)
def test_a_server_that_speaks_pop(mailferry, passwords, good, side) -> None:
    with Peer(greeting="+OK POP3 ready <1@example.org>") as bad:
        ended = mailferry("copy", *urls(side, bad.port, good.port), *passwords)
        assert ended.exit_code == 4
        assert f"{SPEAKER[side]}What answers at this port does not speak IMAP." in ended.out
        assert bad.commands == []
    assert_untouched(good)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(
    "greeting", ["HTTP/1.1 400 Bad Request", "SSH-2.0-OpenSSH_9.2", b"\x15\x03\x01\x00\x02\x02\x0a" * 9]
)
def test_a_server_that_speaks_something_else_is_not_told_the_password(
    mailferry, passwords, good, side, greeting
) -> None:
    with Peer(greeting=greeting) as bad:
        ended = mailferry("copy", *urls(side, bad.port, good.port), *passwords, "--timeout", 2)
        assert ended.exit_code in (3, 4)
        assert SPEAKER[side] in ended.out
        assert bad.commands == []
    assert_untouched(good)


@pytest.mark.long
@pytest.mark.req("C-20")
def test_a_server_that_falls_silent_after_its_greeting(mailferry, passwords, good) -> None:
    side = "source"
    with Peer({"LOGIN": hang}) as bad:
        ended = mailferry("copy", *urls(side, bad.port, good.port), *passwords, "--timeout", 1)
        assert ended.exit_code == 3
        assert f"{SPEAKER[side]}The server stopped answering." in ended.out
        assert bad.verbs() == ["LOGIN"] * bad.connections
    assert_untouched(good)


@pytest.mark.long
def test_a_server_that_never_greets(mailferry, passwords, good) -> None:
    side = "target"
    with Peer(greeting=b"") as bad:
        ended = mailferry("copy", *urls(side, bad.port, good.port), *passwords, "--timeout", 1)
        assert ended.exit_code == 3
        assert SPEAKER[side] in ended.out
        assert bad.commands == []


@pytest.mark.long
@pytest.mark.req("C-18")
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("scheme", ["imaps", "imap+starttls"])
def test_a_certificate_that_nobody_vouches_for(mailferry, passwords, good, side, scheme, tmp_path) -> None:
    certificate, context = server_certificate(tmp_path)
    with secure_peer(scheme, context) as bad:
        words = ["copy", *urls(side, bad.port, good.port, scheme), *passwords]
        refused = mailferry(*words)
        assert refused.exit_code == 4
        assert "certificate" in refused.out
        assert "LOGIN" not in bad.verbs()
        assert mailferry(*words, f"--{side}-ca-file", certificate).exit_code == 3  # trusted, but its LIST is BAD
        assert bad.verbs().count("LOGIN") == 1
        mailferry(*words, f"--{side}-accept-any-certificate")
        assert bad.verbs().count("LOGIN") == 2


@pytest.mark.req("C-1")
@pytest.mark.parametrize("side", SIDES)
def test_a_wrong_password_is_tried_once(mailferry, passwords, good, side) -> None:
    with Peer({"LOGIN": "$ NO [AUTHENTICATIONFAILED] Authentication failed."}) as bad:
        ended = mailferry("copy", *urls(side, bad.port, good.port), *passwords)
        assert ended.exit_code == 4
        assert f"{SPEAKER[side]}The name or the password for this mailbox is not accepted." in ended.out
        assert "Authentication failed." in ended.out
        assert bad.verbs().count("LOGIN") == 1
    assert_untouched(good)


@pytest.mark.parametrize("side", SIDES)
def test_nonsense_instead_of_an_answer(mailferry, passwords, good, side) -> None:
    with Peer({"LIST": raw(b"\x00\xff{99999999999}\r\n* * * ((((\r\nwhat?\r\n" * 3)}) as bad:
        ended = mailferry("copy", *urls(side, bad.port, good.port), *passwords, "--timeout", 1)
        assert ended.exit_code == 3
        assert SPEAKER[side] in ended.out
        assert "\x00" not in ended.out
    assert_untouched(good)


@pytest.mark.long
@pytest.mark.req("C-19")
def test_a_line_that_drops_in_the_middle_of_a_message_is_taken_up_again(mailferry, passwords) -> None:
    part = then(raw(b"* 1 FETCH (UID 1 BODY[] {%d}\r\n" % len(BODY) + BODY[:10]), cut)
    whole = then(raw(b"* 1 FETCH (UID 1 BODY[] {%d}\r\n%b)\r\n" % (len(BODY), BODY)), "$ OK done")
    with mailbox(1, UID_FETCH=bodies(part, whole)) as source, mailbox(0) as target:
        ended = mailferry("copy", *urls("source", source.port, target.port), *passwords)
        assert (ended.exit_code, ended.out.splitlines()[-1]) == (0, "Done: all there.")
        assert "Connecting again." in ended.err
        assert [BODY.rstrip() in words for words in target.said("APPEND")] == [True]


@pytest.mark.long
@pytest.mark.req("C-46")
def test_a_message_at_which_the_line_always_drops_is_left_behind_at_last(mailferry, passwords) -> None:
    part = then(raw(b"* 1 FETCH (UID 1 BODY[] {%d}\r\n" % len(BODY) + BODY[:10]), close)
    with mailbox(1, UID_FETCH=bodies(part)) as source, mailbox(0) as target:
        ended = mailferry("copy", *urls("source", source.port, target.port), *passwords)
        assert ended.exit_code == 1
        assert "INBOX, UID 1: left behind: the old server cannot hand it out" in ended.out
        assert target.said("APPEND") == []


def server_certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """Return a certificate of our own making for this machine, and the server's side of it."""
    certificate, key = own_certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return certificate, context


def secure_peer(scheme: str, context: ssl.SSLContext) -> Peer:
    """Return a server that offers TLS in the way of ``scheme``, lets everybody in, and can do nothing else."""
    if scheme == "imaps":
        return Peer(tls=context)
    begin = then("$ OK begin", lambda conversation, command: conversation.start_tls(context))
    return Peer({"STARTTLS": begin}, capabilities="IMAP4rev1 STARTTLS")
