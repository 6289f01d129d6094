"""ManageSieve servers of every kind: how they sign in, how they refuse, and how they break the rules."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Final

import pytest

from migrator.errors import MigratorError, Side
from migrator.stores.imap_access import Access
from migrator.stores.manners import Manners
from migrator.stores.scripts import ScriptName
from migrator.stores.sieve import SieveScripts
from tests.rigs.listener import QUICK
from tests.rigs.text_peer import Act, Answer, Answers, TextConversation, TextPeer, close, then

GREETING: Final = '"IMPLEMENTATION" "x"\n"SASL" "LOGIN PLAIN"\n"SIEVE" "fileinto vacation"\n"VERSION" "1.0"\nOK "ready"'
SCRIPT: Final = b'require "fileinto";\r\nfileinto "\xff\x00";\nkeep;'
OK: Final = 'OK "done"'


def taking(answer: Answer) -> Act:
    """Read the strings that the command holds, then answer."""

    def act(conversation: TextConversation, command: bytes) -> None:
        while found := re.search(rb"\{(\d+)\+\}$", command):
            octets, wanted = conversation.received, int(found[1])
            while len(octets) < wanted:
                conversation._receive()
            conversation.peer.messages.append(bytes(octets[:wanted]))
            del octets[:wanted]
            command = conversation.read_line()
        then(answer)(conversation, command)

    return act


def peer(*, greeting: str | bytes = GREETING, **answers: Answer | list[Answer]) -> TextPeer:
    usual: Answers = {"AUTHENTICATE": OK, "HAVESPACE": taking(OK), "PUTSCRIPT": taking(OK), "LOGOUT": close}
    return TextPeer({**usual, **answers}, greeting=greeting, unknown='NO "not in the script"')


OPENED: Final[list[SieveScripts]] = []


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while OPENED:
        OPENED.pop().close()


def scripts(server: TextPeer, **endpoint: object) -> SieveScripts:
    OPENED.append(SieveScripts(server.endpoint(**endpoint), QUICK, Side.TARGET))  # type: ignore[arg-type]
    return OPENED[-1]


def refusal(server: TextPeer, **endpoint: object) -> MigratorError:
    """Return what the first question to ``server`` comes to."""
    with pytest.raises(MigratorError) as caught:
        scripts(server, **endpoint).scripts()
    return caught.value


def test_scripts_are_listed_read_and_stored_octet_for_octet() -> None:
    listing = b'"a" ACTIVE\r\n{5}\r\nb\r\n"c\r\n"d \\"e\\\\"\r\n"f"g"\r\n"h\\"\r\nOK\r\n'
    script = b"{%d}\r\n%s\r\nOK\r\n" % (len(SCRIPT), SCRIPT)
    with peer(LISTSCRIPTS=listing, GETSCRIPT=[script, b'""\r\nOK\r\n', 'NO (NONEXISTENT) "gone"']) as server:
        store = scripts(server)
        assert store.extensions == {"fileinto", "vacation"}
        names = [ScriptName("a", True), *map(ScriptName, ('b\r\n"c', 'd "e\\', 'f"g', "h\\"))]
        assert store.scripts() == names
        first, second, third = store.read(["a", "b", "c"])
        assert (first, second) == (SCRIPT, b"")
        assert isinstance(third, MigratorError)
        assert (third.code, third.reply) == ("sieve.unreadable", "(NONEXISTENT) gone")
        assert store.put("Ünï", SCRIPT) is None
        assert server.messages == ["Ünï".encode(), "Ünï".encode(), SCRIPT]


def test_what_the_server_says_of_a_script_is_kept_whole_and_the_line_is_begun_anew() -> None:
    words = b'line 1: unknown "foo"\r\nNO luck\r\n'
    refused = taking(b"NO {%d}\r\n%s\r\n" % (len(words), words))
    with peer(PUTSCRIPT=[refused, taking(OK)]) as server:
        store = scripts(server)
        error = store.put("a", b'require "foo";')
        assert error is not None
        assert (error.code, error.reply) == ("sieve.refused", 'line 1: unknown "foo" NO luck')
        assert store.put("b", b"keep;") is None
        assert server.connections == 2


def test_a_script_for_which_there_is_no_room_is_never_sent() -> None:
    with peer(HAVESPACE='NO (QUOTA/MAXSIZE) "32 KB"') as server:
        error = scripts(server).put("a", SCRIPT)
        assert error is not None
        assert (error.code, error.reply) == ("sieve.full", "(QUOTA/MAXSIZE) 32 KB")
        assert "PUTSCRIPT" not in server.verbs()


@pytest.mark.parametrize(
    ("endpoint", "words"),
    [
        ({"user": "ü"}, "\0ü\0pw"),
        ({"user": "admin", "authzid": "anna"}, "anna\0admin\0pw"),
        ({"user": "admin", "authzid": "anna", "access": Access.of("{user}*{admin}")}, "\0anna*admin\0pw"),
    ],
)
def test_an_administrator_signs_in_as_to_the_mail(endpoint: dict[str, object], words: str) -> None:
    with peer(LISTSCRIPTS=OK) as server:
        assert scripts(server, **endpoint).scripts() == []
        sent = server.commands[0].split(b'"')[3]
        assert base64.b64decode(sent).decode() == words


@pytest.mark.parametrize(
    "endpoint",
    [
        {"authzid": "anna", "access": Access.of("proxyauth")},
        {"authzid": "anna", "access": Access.of("~{user}/")},
        {"manners": Manners(list_root="~anna/")},
    ],
)
def test_nobody_is_given_the_scripts_of_the_administrator(endpoint: dict[str, object]) -> None:
    with peer() as server:
        assert refusal(server, **endpoint).code == "sign_in.no_method"
        assert server.commands == []


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ('NO "Authentication Error"', "sign_in.refused"),
        ("NO", "unknown"),
        ('NO (AUTH-TOO-WEAK) "no"', "sign_in.no_method"),
        ('NO (ENCRYPT-NEEDED) "no"', "sign_in.needs_tls"),
        ('NO (TRYLATER) "later"', "sign_in.temporarily_unavailable"),
        ('BYE (REFERRAL "sieve://other") "go"', "sign_in.elsewhere"),
        ('BYE "Too many"', "line.closed"),
        ("PERHAPS", "server.nonsense"),
        (close, "line.lost"),
    ],
)
def test_a_refused_sign_in_is_told_by_its_reason(answer: Answer, code: str) -> None:
    with peer(AUTHENTICATE=answer) as server:
        assert refusal(server).code == code
        assert server.verbs() == ["AUTHENTICATE"]


def test_a_server_that_repeats_the_password_does_not_get_it_shown() -> None:
    def echo(conversation: TextConversation, command: bytes) -> None:
        conversation.say(b'NO "Authentication failed for pw-1: %s"\r\n' % command.split(b'"')[3])

    with peer(AUTHENTICATE=echo) as server:
        error = refusal(server, password="pw-1")
        assert (error.code, error.reply) == ("sign_in.refused", "Authentication failed for ***: ***")


def test_a_server_that_asks_for_the_response_again_gets_it() -> None:
    again = {f'"{base64.b64encode(b"%(nul)cu1%(nul)cpw" % {b"nul": 0}).decode()}"': OK}
    with peer(AUTHENTICATE='""', LISTSCRIPTS=OK, **again) as server:  # type: ignore[arg-type]
        server._answers = {key.upper(): value for key, value in server._answers.items()}
        assert scripts(server).scripts() == []


@pytest.mark.parametrize(
    ("greeting", "code"),
    [
        ("* OK IMAP4rev1 ready", "server.not_sieve"),
        ("220 smtp", "server.not_sieve"),
        ('BYE "too busy"', "line.closed"),
        ('NO "no"', "server.not_sieve"),
        (OK, "server.not_sieve"),
        (b'"SIEVE" {18446744073709551616}\r\n', "server.not_sieve"),
        (b'"SIEVE" {4000000000}\r\n', "server.not_sieve"),
        (b'"SIEVE" "\r\n', "server.not_sieve"),
        (b"\r\n", "server.not_sieve"),
        (b'"SIEVE" "x"\n', "server.not_sieve"),
        ('"SIEVE" ""\n"SASL" "GSSAPI"\nOK', "sign_in.no_method"),
        ('"SIEVE" ""\n"SASL" ""\n"STARTTLS"\nOK', "sign_in.needs_tls"),
    ],
)
def test_what_is_no_server_for_scripts_is_told_at_once(greeting: str | bytes, code: str) -> None:
    with peer(greeting=greeting) as server:
        assert refusal(server).code == code
        assert server.commands == []


def test_a_list_without_an_end_is_not_read_to_its_end() -> None:
    def endless(conversation: TextConversation, command: bytes) -> None:
        while True:
            conversation.say(b'"a"\r\n' * 1000)

    with peer(LISTSCRIPTS=endless) as server:
        assert refusal(server).code == "server.nonsense"


def test_without_starttls_no_password_goes_out() -> None:
    with peer() as server:
        assert refusal(server, security="starttls").code == "tls.not_offered"
        assert server.commands == []


@pytest.mark.parametrize(
    ("answer", "code"),
    [('NO "no"', "tls.not_offered"), (OK + '\n"SIEVE" "evil"\nOK', "tls.injected")],
)
def test_starttls_that_is_refused_or_spoken_into_ends_the_session(answer: str, code: str) -> None:
    with peer(greeting='"STARTTLS"\n' + GREETING, STARTTLS=answer) as server:
        assert refusal(server, security="starttls").code == code
        assert server.verbs() == ["STARTTLS"]


def test_a_line_that_drops_while_a_script_goes_out_is_told_as_lost() -> None:
    with peer(PUTSCRIPT=taking(close)) as server, pytest.raises(MigratorError, match=r"line\.lost"):
        scripts(server).put("a", SCRIPT)
