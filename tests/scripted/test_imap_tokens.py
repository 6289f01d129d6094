"""Signing in with tokens: both mechanisms, tokens that a server does not take, and sessions that outlive one."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Iterator

import pytest

from migrator.errors import MigratorError, Patience, Radius, Side
from migrator.limits import Limits, SystemClock
from migrator.mail import FolderPath, Message
from migrator.secret import Secret
from migrator.stores.base import ReadRequest
from migrator.stores.imap_session import Endpoint, ImapSession
from migrator.stores.imap_source import ImapSource
from migrator.stores.imap_target import ImapTarget
from migrator.stores.oauth import ClientCredentials, Tokens
from tests.rigs.listener import QUICK
from tests.rigs.scripted import Act, Answers, Command, Conversation, Peer, close, then
from tests.rigs.token_endpoint import TokenEndpoint

OLD = "IMAP4rev1 SASL-IR AUTH=PLAIN AUTH=XOAUTH2"
BOTH = "IMAP4rev1 SASL-IR AUTH=XOAUTH2 AUTH=OAUTHBEARER"
INBOX = FolderPath(b"INBOX", "/")


class Hands(SystemClock):
    """A clock that tests turn."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def monotonic(self) -> float:
        return self.ahead


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
def tokens(clock: Hands) -> Iterator[Tokens]:
    with TokenEndpoint() as endpoint:
        endpoint.clients["app"] = "secret"
        yield Tokens(ClientCredentials(endpoint.url, "app", Secret("secret")), clock)


def at(peer: Peer, tokens: Tokens) -> Endpoint:
    return peer.endpoint(user="app", password="", authzid="anna@example.test", tokens=tokens)


def sign_in(peer: Peer, tokens: Tokens) -> ImapSession:
    return ImapSession(at(peer, tokens), Side.SOURCE, QUICK)


def refusal(peer: Peer, tokens: Tokens) -> MigratorError:
    with pytest.raises(MigratorError) as caught:
        sign_in(peer, tokens)
    return caught.value


def sent(peer: Peer) -> list[bytes]:
    return [base64.b64decode(words.split()[2]) for words in peer.said("AUTHENTICATE")]


def current(tokens: Tokens) -> bytes:
    return tokens.take("anna@example.test")[0].value.reveal().encode()


def test_xoauth2_names_the_mailbox_and_no_administrator(tokens: Tokens) -> None:
    with Peer(capabilities=OLD) as peer:
        sign_in(peer, tokens).drop()
        assert sent(peer) == [b"user=anna@example.test\x01auth=Bearer " + current(tokens) + b"\x01\x01"]
        assert len(peer.flights) == 1


def test_oauthbearer_is_taken_where_both_are_offered(tokens: Tokens) -> None:
    with Peer(capabilities=BOTH) as peer:
        sign_in(peer, tokens).drop()
        where = b"host=127.0.0.1\x01port=%d\x01" % peer.port
        bearer = b"auth=Bearer " + current(tokens) + b"\x01\x01"
        assert sent(peer) == [b"n,a=anna@example.test,\x01" + where + bearer]
        assert peer.said("AUTHENTICATE")[0].startswith(b"AUTHENTICATE OAUTHBEARER ")


def test_without_sasl_ir_the_server_is_waited_for(tokens: Tokens) -> None:
    def ask(conversation: Conversation, command: Command) -> None:
        conversation.say("+ ")
        assert base64.b64decode(conversation.read_line()).startswith(b"user=anna@example.test\x01auth=Bearer token-0")
        conversation.say("$ OK [CAPABILITY IMAP4rev1] in", command)

    with Peer({"AUTHENTICATE": ask}, capabilities="IMAP4rev1 AUTH=XOAUTH2") as peer:
        sign_in(peer, tokens).drop()
        assert peer.said("AUTHENTICATE") == [b"AUTHENTICATE XOAUTH2"]


def challenge(words: str, farewell: bytes, end: str) -> Act:
    def answer(conversation: Conversation, command: Command) -> None:
        conversation.say("+ " + base64.b64encode(words.encode()).decode())
        assert conversation.read_line() == farewell + b"\r\n"
        conversation.say(end, command)

    return answer


GMAIL_SAYS = '{"status":"400","schemes":"Bearer","scope":"https://mail.google.com/"}'
BEARER_SAYS = '{"status":"invalid_token","scope":"imap","openid-configuration":"https://login.example.test/"}'


@pytest.mark.req("C-6")
@pytest.mark.parametrize(
    ("capabilities", "answer", "told"),
    [
        (OLD, challenge(GMAIL_SAYS, b"", "$ NO SASL authentication failure"), GMAIL_SAYS),
        (BOTH, challenge(BEARER_SAYS, b"AQ==", "$ NO [AUTHENTICATIONFAILED] no"), BEARER_SAYS),
        (OLD, "$ NO AUTHENTICATE failed.", "AUTHENTICATE failed."),
        (OLD, "$ NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)", "Invalid credentials"),
        (OLD, "$ BAD Session invalidated - AccessTokenExpired", "AccessTokenExpired"),
    ],
)
def test_a_token_made_just_now_that_is_refused_says_that_the_permission_ended(
    tokens: Tokens, capabilities: str, answer: str | Act, told: str
) -> None:
    with Peer({"AUTHENTICATE": answer}, capabilities=capabilities) as peer:
        error = refusal(peer, tokens)
        assert (error.code, error.radius, error.patience) == (
            "sign_in.permission_ended",
            Radius.ACCOUNT,
            Patience.NEVER,
        )
        assert told in error.reply
        assert len(peer.said("AUTHENTICATE")) == 1


@pytest.mark.req("C-6")
def test_a_token_that_was_in_use_and_is_refused_is_made_anew_once(tokens: Tokens) -> None:
    first = current(tokens)
    answers: Answers = {"AUTHENTICATE": ["$ NO AccessTokenExpired", "$ OK [CAPABILITY IMAP4rev1] in"]}
    with Peer(answers, capabilities=OLD) as peer:
        sign_in(peer, tokens).drop()
        one, two = sent(peer)
        assert first in one
        assert first not in two
        assert current(tokens) in two
    with Peer({"AUTHENTICATE": "$ NO AccessTokenExpired"}, capabilities=OLD) as peer:
        assert refusal(peer, tokens).code == "sign_in.permission_ended"
        assert len(peer.said("AUTHENTICATE")) == 2


def test_a_mailbox_that_the_application_may_not_open_is_told_apart(tokens: Tokens) -> None:
    answers: Answers = {"AUTHENTICATE": "$ NO User is authenticated but not connected."}
    with Peer(answers, capabilities=OLD) as peer:
        assert refusal(peer, tokens).code == "sign_in.no_mailbox"


def test_a_server_that_takes_no_tokens_is_sent_none(tokens: Tokens) -> None:
    with Peer(capabilities="IMAP4rev1 AUTH=PLAIN SASL-IR") as peer:
        error = refusal(peer, tokens)
        assert (error.code, error.radius) == ("sign_in.no_tokens", Radius.CONFIG)
        assert peer.commands == []


def echo(conversation: Conversation, command: Command) -> None:
    conversation.say(b"$ NO who are you: " + command.words, command)


def test_a_server_that_repeats_the_sign_in_gives_no_token_away(tokens: Tokens) -> None:
    with Peer({"AUTHENTICATE": echo}, capabilities=OLD) as peer:
        error = refusal(peer, tokens)
        told = f"{error} {error.reply} {error.args}"
        (words,) = peer.said("AUTHENTICATE")
        assert words.split()[2].decode() not in told
        assert "token-0" not in told


@pytest.mark.req("D-92")
def test_a_line_closed_because_the_token_ran_out_is_opened_again_with_a_fresh_one(tokens: Tokens) -> None:
    bye = then("* BYE Session invalidated - AccessTokenExpired", close)
    answers: Answers = {
        "AUTHENTICATE": ["$ OK [CAPABILITY IMAP4rev1] in", "$ NO expired", "$ OK [CAPABILITY IMAP4rev1] in"],
        "EXAMINE": [bye, "* 0 EXISTS\n$ OK done"],
        "UID FETCH": "$ OK done",
    }
    with Peer(answers, capabilities=OLD) as peer, ImapSource(at(peer, tokens), QUICK) as source:
        with pytest.raises(MigratorError) as caught:
            list(source.read([ReadRequest(INBOX, [1])]))
        assert (caught.value.code, caught.value.patience) == ("line.token_expired", Patience.NOW)
        assert list(source.read([ReadRequest(INBOX, [1])])) == []
        before, again, fresh = sent(peer)
        assert before == again
        assert fresh != again


@pytest.mark.req("D-92")
def test_a_session_whose_token_is_nearly_over_gives_way_to_another_before_it_is_used(
    tokens: Tokens, clock: Hands
) -> None:
    answers: Answers = {"EXAMINE": "* 0 EXISTS\n$ OK done", "UID FETCH": "$ OK done"}
    with Peer(answers, capabilities=OLD) as peer, ImapSource(at(peer, tokens), QUICK) as source:
        list(source.read([ReadRequest(INBOX, [1])]))
        clock.ahead = 2879  # of an hour
        list(source.read([ReadRequest(INBOX, [2])]))
        assert peer.connections == 1
        clock.ahead = 2880
        list(source.read([ReadRequest(INBOX, [3])]))
        assert peer.connections == 2
        assert len(set(sent(peer))) == 2


@pytest.mark.req("D-92")
def test_appending_goes_over_to_another_line_when_all_before_is_confirmed(tokens: Tokens, clock: Hands) -> None:
    uids = itertools.count(1)

    def stored(conversation: Conversation, command: Command) -> None:
        conversation.say(f"$ OK [APPENDUID 7 {next(uids)}] stored", command)

    def feed() -> Iterator[Message]:
        for number in range(10):
            if number == 6:
                clock.ahead = 3000
            yield Message(INBOX, number + 1, 7, target=INBOX, whole=b"hello\r\n")

    answers: Answers = {"APPEND": stored, "SELECT": "$ OK done"}
    with Peer(answers, capabilities=f"{OLD} LITERAL+ UIDPLUS") as peer, ImapTarget(at(peer, tokens), QUICK) as target:
        receipts = list(target.append(feed()))
        assert [receipt.target_uids for receipt in receipts] == [[number] for number in range(1, 11)]
        assert [message.uid for receipt in receipts for message in receipt.messages] == list(range(1, 11))
        assert peer.connections == 2
        verbs = [verb for verb in peer.verbs() if verb in ("AUTHENTICATE", "APPEND")]
        assert verbs == ["AUTHENTICATE", *["APPEND"] * 7, "AUTHENTICATE", *["APPEND"] * 3]


@pytest.mark.req("D-92")
def test_reading_goes_over_to_another_line_between_windows(tokens: Tokens, clock: Hands) -> None:
    def bodies(conversation: Conversation, command: Command) -> None:
        uids = command.words.split()[2].decode()
        first, _, last = uids.partition(":")
        for uid in range(int(first), int(last or first) + 1):
            conversation.say(f"* {uid} FETCH (UID {uid} FLAGS () BODY[] {{3}}\nabc)".replace("\n", "\r\n"))
        conversation.say("$ OK done", command)

    answers: Answers = {"EXAMINE": "* 9 EXISTS\n* OK [UIDVALIDITY 7] x\n$ OK done", "UID FETCH": bodies}
    limits = Limits(connect_seconds=10, io_seconds=10, window_messages=4)
    with Peer(answers, capabilities=OLD) as peer, ImapSource(at(peer, tokens), limits) as source:
        found = []
        for message in source.read([ReadRequest(INBOX, [1, 2, 3]), ReadRequest(INBOX, list(range(4, 10)))]):
            assert isinstance(message, Message)
            found.append(message.uid)
            if message.uid == 5:
                clock.ahead = 3000
        assert found == list(range(1, 10))
        assert peer.connections == 2


@pytest.mark.req("D-92")
def test_a_folder_that_failed_is_not_gone_on_with_in_the_next_window(tokens: Tokens) -> None:
    answers: Answers = {"EXAMINE": ["$ NO [CANNOT] damaged", "* 1 EXISTS\n$ OK done"], "UID FETCH": "$ OK done"}
    limits = Limits(connect_seconds=10, io_seconds=10, window_messages=2)
    with Peer(answers, capabilities=OLD) as peer, ImapSource(at(peer, tokens), limits) as source:
        (trouble,) = source.read([ReadRequest(INBOX, [1, 2, 3, 4, 5]), ReadRequest(FolderPath(b"Work"), [1])])
        assert trouble.path == INBOX
        assert peer.said("EXAMINE") == [b'EXAMINE "INBOX"', b'EXAMINE "Work"']
