"""The commands from a POP3 server to a recipient: what is said before, what is refused, and how it ends."""

from __future__ import annotations

import threading

import pytest

from migrator.stores.smtp import MARKER
from tests.rigs.maildrop import Maildrop
from tests.rigs.postbox import Postbox
from tests.rigs.text_peer import TextConversation, TextPeer, close

MAIL = [(b"n%d" % number, b"Subject: %d\r\n\r\nbody\r\n" % number) for number in range(1, 4)]


def urls(source: TextPeer, target: TextPeer, kind: str = "smtp") -> list[str]:
    return [f"pop3://john@127.0.0.1:{source.port}", f"{kind}://anna@new.test@127.0.0.1:{target.port}"]


@pytest.fixture
def password(tmp_path):
    path = tmp_path / "password"
    path.write_text("pw\n")
    path.chmod(0o600)
    return ["--source-password-file", str(path)]


@pytest.mark.parametrize(("kind", "marker"), [("smtp", MARKER), ("lmtp", b"")])
def test_what_delivering_changes_is_said_before_the_first_message_and_a_second_run_sends_nothing(
    mailferry, password, kind: str, marker: bytes
) -> None:
    box = Postbox(is_local=kind == "lmtp")
    with Maildrop(MAIL).server() as source, box.server() as target:
        ended = mailferry("copy", *urls(source, target, kind), *password, "--json")
        assert ended.exit_code == 0, ended.err
        assert ended.answer["appended"] == 3
        again = mailferry("copy", *urls(source, target, kind), *password, "--json")
        assert again.answer["appended"] == 0
    assert [(to, got) for _, to, got in box.mail] == [(b"RCPT TO:<anna@new.test>", marker + body) for _, body in MAIL]
    said = ended.err.replace("\n  ", " ")
    for word in (
        "vacation replies",
        "date of today",
        "cannot be" if kind == "smtp" else "Sieve",
        "--retry-left-behind",
    ):
        assert word in said
    assert (MARKER.decode().strip() in said) == (kind == "smtp")
    assert said.index("anew") < said.index("Both mailboxes are listed")
    assert "pop3_uidl_format" not in said
    assert "names messages of a form that is not known" in said


@pytest.mark.long
def test_a_lost_answer_is_named_and_a_person_lets_it_be_sent_again(mailferry, password) -> None:
    box = Postbox(judge=lambda number, body: close if number == 2 else None)
    with Maildrop(MAIL).server() as source, box.server() as target:
        words = ["copy", *urls(source, target), *password]
        ended = mailferry(*words)
        assert ended.exit_code == 1, ended.err
        assert "nobody knows whether it arrived" in ended.out
        assert "--retry-left-behind" in ended.out + ended.err
        assert mailferry(*words).exit_code == 1
        assert len(box.mail) == 2
        assert mailferry(*words, "--retry-left-behind").exit_code == 0
        assert len(box.mail) == 3


def test_what_cannot_be_compared_is_not_promised(mailferry, password) -> None:
    with Maildrop(MAIL).server() as source, Postbox().server() as target:
        ended = mailferry("copy", *urls(source, target), *password, "--verify", "digest")
        assert ended.exit_code == 2
        assert "cannot be read there and compared" in ended.err
        assert target.connections == 0


@pytest.mark.parametrize("wish", [["--repair", "nul"], ["--repair-ahead", "nul"], ["--fix-long-lines", "998"]])
def test_a_repair_that_would_not_be_made_is_refused(mailferry, password, wish: list[str]) -> None:
    with Maildrop(MAIL).server() as source, Postbox().server() as target:
        ended = mailferry("copy", *urls(source, target), *password, *wish)
    assert ended.exit_code == 2
    assert f"{wish[0]}: mail that is delivered by SMTP goes as it is" in ended.err.replace("\n  ", " ")


@pytest.mark.parametrize(
    ("wish", "why"),
    [(["--newest-first"], "mail is delivered in its own order"), (["--duplicates", "once"], "cannot be found again")],
)
def test_what_delivering_cannot_do_is_refused(mailferry, password, wish: list[str], why: str) -> None:
    with Maildrop(MAIL).server() as source, Postbox().server() as target:
        ended = mailferry("copy", *urls(source, target), *password, *wish)
        assert (ended.exit_code, target.connections) == (2, 0)
        assert why in ended.err


@pytest.mark.long
@pytest.mark.req("S-49")
def test_a_slow_server_is_given_up_or_waited_for_as_it_is_asked(mailferry, password) -> None:

    never = threading.Event()

    def slow(conversation: TextConversation, command: bytes) -> None:
        never.wait(1.6)
        conversation.say("+OK\n.")

    with (
        TextPeer({"CAPA": "-ERR", "USER": "+OK", "PASS": "+OK", "LIST": slow, "UIDL": "+OK\n."}) as source,
        Postbox().server() as target,
    ):
        given_up = mailferry("copy", *urls(source, target), *password, "--timeout", "1")
        assert given_up.exit_code == 3
        assert "stopped answering" in given_up.out + given_up.err
        for patience in ([], ["--slow-server"], ["--timeout", "30"]):
            waited = mailferry("copy", *urls(source, target), *password, *patience)
            assert waited.exit_code == 0, waited.err
