"""Connecting and signing in to servers that are odd, rude, absent or something else."""

from __future__ import annotations

import base64
import socket
import ssl
import subprocess
import threading
from pathlib import Path

import pytest

from migrator.errors import MigratorError, Patience, Side
from migrator.limits import Limits
from migrator.mail import FolderPath
from migrator.secret import Secret
from migrator.stores.base import ScanRequest
from migrator.stores.imap_session import Endpoint, ImapSession
from migrator.stores.imap_source import ImapSource
from migrator.stores.imap_wire import dial
from tests.rigs.listener import QUICK
from tests.rigs.scripted import Act, Answers, Command, Conversation, Peer, close, hang, raw, then

SASL = "IMAP4rev1 SASL-IR AUTH=PLAIN"


def sign_in(peer: Peer, limits: Limits = QUICK, **more: object) -> ImapSession:
    return ImapSession(peer.endpoint(**more), Side.SOURCE, limits)  # type: ignore[arg-type]


def refusal(peer: Peer, limits: Limits = QUICK, **more: object) -> MigratorError:
    with pytest.raises(MigratorError) as caught:
        sign_in(peer, limits, **more)
    return caught.value


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost and 127.0.0.1, its key in the same file."""
    folder = tmp_path_factory.mktemp("tls")
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem")]
    subprocess.run([*make.split(), *names, *files], check=True, capture_output=True)
    both = folder / "both.pem"
    both.write_text((folder / "certificate.pem").read_text() + (folder / "key.pem").read_text())
    return both


@pytest.fixture
def server_context(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


# Signing in


@pytest.mark.req("D-88")
def test_sasl_plain_takes_one_round_trip_and_any_letters() -> None:
    with Peer(capabilities=SASL) as peer:
        sign_in(peer, user="jürgen meier", password='p"ä\\%').drop()
        (words,) = peer.said("AUTHENTICATE")
        assert base64.b64decode(words.split()[2]) == b"\0" + "jürgen meier".encode() + b"\0" + 'p"ä\\%'.encode()
        assert len(peer.flights) == 1


def test_an_administrator_opens_another_mailbox() -> None:
    with Peer(capabilities=SASL) as peer:
        sign_in(peer, user="admin", authzid="u7").drop()
        (words,) = peer.said("AUTHENTICATE")
        assert base64.b64decode(words.split()[2]) == b"u7\0admin\0pw"


def test_without_sasl_ir_the_server_is_waited_for() -> None:
    def ask(conversation: Conversation, command: Command) -> None:
        conversation.say("+ ")
        assert base64.b64decode(conversation.read_line()) == b"\0u1\0pw"
        conversation.say("$ OK [CAPABILITY IMAP4rev1] done", command)

    with Peer({"AUTHENTICATE": ask}, capabilities="IMAP4rev1 AUTH=PLAIN") as peer:
        sign_in(peer).drop()
        assert peer.said("AUTHENTICATE") == [b"AUTHENTICATE PLAIN"]


@pytest.mark.req("D-88")
@pytest.mark.parametrize("capabilities", ["IMAP4rev1", "IMAP4rev1 LITERAL+"])
def test_login_carries_every_letter(capabilities: str) -> None:
    with Peer(capabilities=capabilities) as peer:
        sign_in(peer, user="a b", password='p"\\é').drop()
        (words,) = peer.said("LOGIN")
        plus = b"+" if "LITERAL+" in capabilities else b""
        assert words == b'LOGIN "a b" {5%s}\r\n' % plus + 'p"\\é'.encode()


def test_a_password_with_a_line_end_is_not_sent() -> None:
    with Peer() as peer:
        assert refusal(peer, password="pw\r\nx LOGOUT").code == "sign_in.malformed"
        assert peer.commands == []


@pytest.mark.req("D-88", "C-9")
def test_a_password_is_not_sent_in_the_clear_where_that_is_refused() -> None:
    with Peer(capabilities="IMAP4rev1 STARTTLS LOGINDISABLED") as peer:
        assert refusal(peer).code == "sign_in.needs_tls"
        assert peer.verbs() == []


@pytest.mark.req("C-1")
def test_a_wrong_password_is_tried_once() -> None:
    with Peer({"AUTHENTICATE": "$ NO [AUTHENTICATIONFAILED] Authentication failed."}, capabilities=SASL) as peer:
        error = refusal(peer)
        assert (error.code, error.patience, error.side) == ("sign_in.refused", Patience.NEVER, Side.SOURCE)
        assert error.reply == "[AUTHENTICATIONFAILED] Authentication failed."
        assert peer.verbs() == ["AUTHENTICATE"]
        assert peer.connections == 1


@pytest.mark.req("C-14")
def test_an_administrator_without_rights_is_told_apart_from_a_wrong_password() -> None:
    with Peer({"AUTHENTICATE": "$ NO [AUTHORIZATIONFAILED] no"}, capabilities=SASL) as peer:
        assert refusal(peer, authzid="u7").code == "sign_in.admin_refused"


@pytest.mark.req("D-93", "C-2")
def test_the_words_of_an_alert_are_kept() -> None:
    with Peer({"LOGIN": "$ NO [ALERT] Application-specific password required: see https://example.test"}) as peer:
        error = refusal(peer)
        assert error.code == "sign_in.app_password"
        assert error.reply.endswith("required: see https://example.test")


@pytest.mark.req("C-8")
def test_a_bye_after_the_ok_is_the_answer_to_the_sign_in() -> None:
    # Courier
    bye = then("$ OK LOGIN Ok.\n* BYE IMAP access disabled for this account.", close)
    with Peer({"LOGIN": bye}) as peer:
        assert refusal(peer).code == "sign_in.not_allowed"


def test_a_secret_is_in_no_error_and_no_text() -> None:
    with Peer({"LOGIN": "$ NO Login failed: u1"}) as peer:
        error = refusal(peer, password="tell-nobody")
        assert "tell-nobody" not in f"{error!r} {error} {error.args} {peer.endpoint(password='tell-nobody')!r}"


def echo(before: bytes) -> Act:
    def answer(conversation: Conversation, command: Command) -> None:
        conversation.say(before + command.words, command)
        conversation.close()

    return answer


@pytest.mark.parametrize("before", [b"$ NO Login failed: ", b"$ ", b"* BYE unknown command ", b"$ BAD " + b" " * 390])
@pytest.mark.parametrize("capabilities", ["IMAP4rev1", SASL])
def test_a_server_that_repeats_the_sign_in_gives_no_secret_away(before: bytes, capabilities: str) -> None:
    password = 'tell  "nobody"'
    sent = base64.b64encode(f"\0u1\0{password}".encode()).decode()
    with Peer({"LOGIN": echo(before), "AUTHENTICATE": echo(before)}, capabilities=capabilities) as peer:
        reply = refusal(peer, password=password).reply
        assert reply
        assert "tell" not in reply
        assert sent[:8] not in reply


# Capabilities


@pytest.mark.req("D-87")
def test_capabilities_that_are_volunteered_are_not_asked_for() -> None:
    with Peer({"LOGIN": "$ OK [CAPABILITY IMAP4rev1 MULTIAPPEND] in"}) as peer:
        session = sign_in(peer)
        assert session.has("MULTIAPPEND")
        assert peer.verbs() == ["LOGIN"]
        session.drop()


@pytest.mark.req("D-87")
def test_capabilities_are_asked_for_when_greeting_and_sign_in_are_silent() -> None:
    answers: Answers = {
        "CAPABILITY": ["* CAPABILITY IMAP4rev1 X-BEFORE\n$ OK", "* CAPABILITY IMAP4rev1 LITERAL+\n$ OK"],
        "LOGIN": "$ OK in",
    }
    with Peer(answers, greeting="* OK hello") as peer:
        session = sign_in(peer)
        assert session.literal_plus
        assert not session.has("X-BEFORE")
        assert peer.verbs() == ["CAPABILITY", "LOGIN", "CAPABILITY"]
        session.drop()


@pytest.mark.req("D-87")
def test_untagged_capabilities_before_the_ok_count() -> None:
    with Peer({"LOGIN": "* CAPABILITY IMAP4rev1 ID\n$ OK in"}) as peer:
        session = sign_in(peer)
        assert session.has("ID")
        assert peer.verbs() == ["LOGIN"]
        session.drop()


@pytest.mark.req("D-87")
def test_logindisabled_after_the_sign_in_means_nothing() -> None:
    # Cyrus
    with Peer({"LOGIN": "$ OK [CAPABILITY IMAP4rev1 LOGINDISABLED] in"}) as peer:
        sign_in(peer).drop()


@pytest.mark.req("D-87")
def test_preauth_needs_no_sign_in() -> None:
    with Peer(greeting="* PREAUTH [CAPABILITY IMAP4rev1] welcome") as peer:
        sign_in(peer).drop()
        assert peer.commands == []


# imapclient on the same line


def test_imapclient_and_the_fast_path_share_the_line_and_its_buffer() -> None:
    answers: Answers = {
        "EXAMINE": "* 1 EXISTS\n$ OK done",
        "UID FETCH": '* 1 FETCH (UID 7 FLAGS () INTERNALDATE " 1-Jan-2020 00:00:00 +0000" RFC822.SIZE 3)\n$ OK done',
        "NAMESPACE": '* NAMESPACE (("" "/")) NIL NIL\n$ OK done',
        "GETQUOTAROOT": "* QUOTAROOT INBOX {3}\r\na b\n* QUOTA {3}\r\na b (STORAGE 1 2)\n$ OK done",
    }
    with Peer(answers, capabilities="IMAP4rev1 NAMESPACE QUOTA") as peer, ImapSource(peer.endpoint(), QUICK) as source:
        session = source._connected()
        for _ in range(3):
            assert session.client.namespace().personal == ((b"", "/"),)
            (row,) = source.scan([ScanRequest(FolderPath(b"INBOX"))])
            assert row.uid == 7  # type: ignore[union-attr]
            session.client.noop()
            assert session.client.get_quota_root("INBOX")[1][0].limit == 2
        assert session.client.has_capability("QUOTA")
        assert peer.connections == 1


# Servers that are none


@pytest.mark.parametrize(
    "greeting",
    [
        "+OK POP3 ready",
        "220 mail.example.test ESMTP",
        "SSH-2.0-OpenSSH_9.2",
        "HTTP/1.1 400 Bad Request",
        b"\x15\x03\x01\x00\x02\x02\x46\r\n",
        "* HELLO",
        b"\x00\x00\x00\n",
    ],
)
def test_what_is_no_imap_server_is_said_to_be_none(greeting: str | bytes) -> None:
    with Peer(greeting=greeting) as peer:
        assert refusal(peer).code == "server.not_imap"
        assert peer.commands == []


def test_garbage_without_a_line_end_is_no_imap_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            line, _ = listener.accept()
            line.sendall(b"\x15\x03\x01\x00\x02\x02\x46")
            line.close()

        thread = threading.Thread(target=serve)
        thread.start()
        endpoint = Endpoint("127.0.0.1", listener.getsockname()[1], "plain", "u", Secret("p"))
        with pytest.raises(MigratorError) as caught:
            ImapSession(endpoint, Side.SOURCE, QUICK)
        thread.join()
        assert caught.value.code == "server.not_imap"


@pytest.mark.req("C-22")
def test_a_bye_in_place_of_a_greeting_is_understood() -> None:
    with Peer(greeting="* BYE Too many connections from this host") as peer:
        assert refusal(peer).code == "server.too_many_connections"


@pytest.mark.req("D-89", "C-20")
def test_a_server_that_never_greets_is_given_up() -> None:
    with Peer(greeting=b"") as peer:
        error = refusal(peer, Limits(connect_seconds=0.3, io_seconds=0.3))
        assert (error.code, error.patience) == ("line.silent", Patience.NOW)


@pytest.mark.req("D-89", "C-20")
def test_a_server_that_falls_silent_after_its_greeting_is_given_up() -> None:
    with Peer({"LOGIN": hang}) as peer:
        assert refusal(peer, Limits(connect_seconds=2, io_seconds=0.3)).code == "line.silent"


@pytest.mark.req("D-89", "C-19")
def test_a_line_that_ends_during_the_sign_in_is_lost_not_refused() -> None:
    with Peer({"LOGIN": close}) as peer:
        error = refusal(peer)
        assert (error.code, error.patience) == ("line.lost", Patience.NOW)


@pytest.mark.req("C-17")
def test_nobody_at_the_port_is_said_so() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        endpoint = Endpoint("127.0.0.1", unused.getsockname()[1], "plain", "u", Secret("p"))
        with pytest.raises(MigratorError) as caught:
            ImapSession(endpoint, Side.TARGET, QUICK)
    assert (caught.value.code, caught.value.side) == ("server.unreachable", Side.TARGET)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 70 + ".invalid", "bad..name"])
def test_a_name_that_is_none_is_said_so(host: str) -> None:
    with pytest.raises(MigratorError) as caught:
        ImapSession(Endpoint(host, 143, "plain", "u", Secret("p")), Side.SOURCE, QUICK)
    assert caught.value.code == "server.no_address"


@pytest.mark.req("D-95")
def test_an_address_that_does_not_answer_costs_only_its_share() -> None:
    with socket.socket() as deaf, Peer() as peer:
        # A full queue of connections: the kernel drops every further attempt, as a route into nowhere does.
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        crowd = [socket.socket() for _ in range(4)]
        for line in crowd:
            line.setblocking(False)
            line.connect_ex(deaf.getsockname())
        both = [
            (socket.AF_INET, socket.SOCK_STREAM, 0, "", deaf.getsockname()),
            (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", peer.port)),
        ]
        with dial(both, 1.0, Side.SOURCE) as line:
            assert line.getpeername() == ("127.0.0.1", peer.port)
            assert line.recv(4) == b"* OK"
        for line in crowd:
            line.close()


@pytest.mark.req("D-43")
def test_an_endless_line_ends_in_an_error() -> None:
    def flood(conversation: Conversation, command: Command) -> None:
        while True:
            conversation.send(b"x" * 65536)

    with Peer({"LOGIN": then(raw(b"* OK "), flood)}) as peer:
        assert refusal(peer).code == "server.nonsense"


@pytest.mark.req("D-43")
def test_a_line_of_four_megabytes_is_read() -> None:
    numbers = b" ".join(b"%d" % uid for uid in range(1, 600_000))
    with Peer({"UID SEARCH": then(b"* SEARCH " + numbers, "$ OK done"), "EXAMINE": "$ OK done"}) as peer:
        session = sign_in(peer)
        session.client.select_folder("INBOX", readonly=True)
        assert len(session.client.search()) == 599_999
        session.drop()


def test_an_answer_to_a_question_nobody_asked_is_nonsense() -> None:
    with Peer({"LOGIN": "zz OK you are in"}) as peer:
        assert refusal(peer).code == "server.nonsense"


# TLS


def test_tls_from_the_first_octet(server_context: ssl.SSLContext, certificate: Path) -> None:
    with Peer(tls=server_context) as peer:
        session = sign_in(peer, security="tls", ca_file=str(certificate))
        assert session.wire.is_encrypted
        session.close()


@pytest.mark.req("C-18")
def test_a_certificate_nobody_vouches_for_is_refused(server_context: ssl.SSLContext) -> None:
    with Peer(tls=server_context) as peer:
        assert refusal(peer, security="tls").code == "server.certificate"
        assert peer.commands == []
        sign_in(peer, security="tls", verify=False).drop()


@pytest.mark.req("C-18")
def test_tls_where_none_is_spoken_is_said_so() -> None:
    with Peer() as peer:
        assert refusal(peer, security="tls").code == "tls.failed"


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_authorities_that_cannot_be_read_are_said_so(security: str, tmp_path: Path) -> None:
    with Peer({"STARTTLS": "$ OK go"}, capabilities="IMAP4rev1 STARTTLS") as peer:
        error = refusal(peer, security=security, ca_file=str(tmp_path / "absent.pem"))
        assert error.code == "tls.failed"
        assert "absent.pem" in error.reply


def start_tls(context: ssl.SSLContext, extra: bytes = b"") -> Answers:
    def answer(conversation: Conversation, command: Command) -> None:
        conversation.send(command.tag + b" OK go ahead\r\n" + extra)
        conversation.start_tls(context)

    return {"STARTTLS": answer, "CAPABILITY": "* CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR\n$ OK done"}


@pytest.mark.req("D-87")
def test_what_was_told_before_starttls_does_not_count_after(server_context: ssl.SSLContext, certificate: Path) -> None:
    with Peer(start_tls(server_context), capabilities="IMAP4rev1 STARTTLS LOGINDISABLED") as peer:
        session = sign_in(peer, security="starttls", ca_file=str(certificate))
        assert session.wire.is_encrypted
        assert peer.verbs() == ["STARTTLS", "CAPABILITY", "AUTHENTICATE"]
        session.drop()


def test_words_in_the_clear_behind_starttls_are_an_error(server_context: ssl.SSLContext, certificate: Path) -> None:
    answers = start_tls(server_context, b"* CAPABILITY IMAP4rev1 AUTH=EVIL\r\n")
    with Peer(answers, capabilities="IMAP4rev1 STARTTLS") as peer:
        assert refusal(peer, security="starttls", ca_file=str(certificate)).code == "tls.injected"


@pytest.mark.parametrize(
    ("answers", "capabilities"),
    [
        ({}, "IMAP4rev1"),
        ({"STARTTLS": "$ BAD what"}, "IMAP4rev1 STARTTLS"),
        ({"STARTTLS": "$ NO"}, "IMAP4rev1 STARTTLS"),
    ],
)
def test_without_starttls_no_password_is_sent(answers: Answers, capabilities: str) -> None:
    with Peer(answers, capabilities=capabilities) as peer:
        assert refusal(peer, security="starttls").code == "tls.not_offered"
        assert "LOGIN" not in peer.verbs()


def test_preauth_cannot_keep_a_line_in_the_clear() -> None:
    with Peer(greeting="* PREAUTH [CAPABILITY IMAP4rev1 STARTTLS] hello") as peer:
        assert refusal(peer, security="starttls").code == "server.preauth"


# Leaving


@pytest.mark.req("D-98")
@pytest.mark.parametrize("manners", ["$ OK bye", close, hang])
def test_no_manners_at_logout_are_no_error(manners: str) -> None:
    with Peer({"LOGOUT": manners}) as peer:
        session = sign_in(peer)
        session.close()
    assert peer.verbs()[:1] == ["LOGIN"]


@pytest.mark.req("C-28", "D-91")
def test_a_server_that_hangs_up_after_errors_is_asked_about_the_first_of_them() -> None:
    answers: Answers = {
        "EXAMINE": ["$ NO [CANNOT] first", then("$ NO second\n* BYE Too many invalid IMAP commands.", close)],
    }
    with Peer(answers) as peer:
        session = sign_in(peer)
        for _ in range(2):
            reply = session.ask((b'EXAMINE "x"\r\n',))
            session.refusal(reply, "EXAMINE")
        with pytest.raises(MigratorError) as caught:
            session.ask((b"NOOP\r\n",))
        session.drop()
        assert caught.value.code == "server.too_many_errors"
        assert "[CANNOT] first" in caught.value.reply


@pytest.mark.req("C-21")
def test_a_line_closed_for_inactivity_is_opened_again() -> None:
    answers: Answers = {
        "EXAMINE": [then("* BYE Disconnected for inactivity.", close), "* 0 EXISTS\n$ OK done"],
        "UID FETCH": "$ OK",
    }
    with Peer(answers) as peer, ImapSource(peer.endpoint(), QUICK) as source:
        with pytest.raises(MigratorError) as caught:
            list(source.scan([ScanRequest(FolderPath(b"INBOX"))]))
        assert (caught.value.code, caught.value.patience) == ("line.closed", Patience.NOW)
        assert list(source.scan([ScanRequest(FolderPath(b"INBOX"))])) == []
        assert peer.connections == 2
