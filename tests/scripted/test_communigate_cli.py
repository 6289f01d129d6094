"""CommuniGate Pro as a directory, against a scripted server that does as its guide says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from migrator.directories import DIRECTORIES
from migrator.directories.base import Service
from migrator.entries import Json, open_connector
from migrator.errors import MigratorError
from migrator.secret import Secret
from tests.contracts.directory import DirectoryContract
from tests.contracts.entries import ANNA, BERT, CLARA, NOBODY, Place
from tests.rigs.communigate_cli import PASSWORD, CommuniGateCli
from tests.rigs.panel import eventually
from tests.rigs.text_peer import close, cut, then

CLOSED: dict[str, Json] = {"AccessModes": ["27", "Mail"]}


@pytest.fixture
def peer() -> Iterator[CommuniGateCli]:
    with CommuniGateCli(ANNA, BERT, CLARA) as peer:
        peer.accounts[BERT].settings["AccessModes"] = "All"
        peer.accounts[CLARA].settings["AccessModes"] = ["26", "Mail", "Relay"]
        yield peer


_opened: list[Any] = []


@pytest.fixture(autouse=True)
def _close() -> Iterator[None]:
    yield
    while _opened:
        _opened.pop().close()


def directory(peer: CommuniGateCli, password: str = PASSWORD, **options: Json) -> Any:
    given: dict[str, Json] = {"host": "127.0.0.1", "port": peer.port, "answer_seconds": 5, **options}
    _opened.append(open_connector(DIRECTORIES, "communigate", given, Secret(password)))
    return _opened[-1]


def refusal(call: Any) -> MigratorError:
    with pytest.raises(MigratorError) as caught:
        call()
    return caught.value


class TestCommuniGate(DirectoryContract):
    @pytest.fixture
    def place(self, peer: CommuniGateCli) -> Place:
        return Place(
            lambda: directory(peer),
            lambda address: peer.accounts[address].settings.update(AccessModes=["27", "Mail", "IMAP"]),
        )


def test_the_commands_are_those_of_the_guide_byte_for_byte(peer: CommuniGateCli) -> None:
    cli = directory(peer)
    found = cli.find(ANNA)
    assert found == {"AccessModes": None}
    cli.replace(ANNA, found, cli.closed(found))
    cli.replace(ANNA, CLOSED, found)
    cli.close()
    eventually(lambda: len(peer.commands) == 11, lambda: "no goodbye, for which the program does not wait")
    assert peer.commands == [
        b"APOP postmaster " + peer.commands[0].split()[-1],
        b"INLINE",
        b'GETACCOUNTSETTINGS "anna@example.test"',
        b'GETACCOUNTSETTINGS "anna@example.test"',
        b'UPDATEACCOUNTSETTINGS "anna@example.test" {AccessModes=(27,Mail);}',
        b'GETACCOUNTSETTINGS "anna@example.test"',
        b'KILLACCOUNTSESSIONS "anna@example.test"',
        b'GETACCOUNTSETTINGS "anna@example.test"',
        b'UPDATEACCOUNTSETTINGS "anna@example.test" {AccessModes=default;}',
        b'GETACCOUNTSETTINGS "anna@example.test"',
        b"QUIT",
    ]
    assert "AccessModes" not in peer.accounts[ANNA].settings


def test_who_is_closed_still_gets_mail_and_has_no_session_left(peer: CommuniGateCli) -> None:
    peer.accounts[ANNA].sessions = 3
    cli = directory(peer)
    found = cli.find(ANNA)
    cli.replace(ANNA, found, cli.closed(found))
    assert peer.accounts[ANNA].settings["AccessModes"] == ["27", "Mail"]
    assert peer.accounts[ANNA].sessions == 0


def test_sessions_are_ended_also_when_an_earlier_run_had_closed_the_account(peer: CommuniGateCli) -> None:
    peer.accounts[ANNA].settings["AccessModes"] = ["27", "Mail"]
    peer.accounts[ANNA].sessions = 2
    directory(peer).replace(ANNA, {"AccessModes": None}, CLOSED)
    assert peer.accounts[ANNA].sessions == 0


@pytest.mark.parametrize(
    ("modes", "services", "left"),
    [
        (None, {Service.READING}, ["27", "Mail", "Relay"]),
        ("All", {Service.READING}, ["27", "Mail", "Relay"]),
        (["26", "Mail", "IMAP", "WebMail"], {Service.READING}, ["26", "Mail"]),
        (["26", "Mail", "IMAP", "Relay", "LDAP"], {Service.READING}, ["26", "Mail", "Relay"]),
        (["26", "Mail", "IMAP", "Relay"], set(Service), ["26", "Mail"]),
        (["26", "Mail", "IMAP", "Relay"], {Service.SENDING}, ["26", "Mail", "IMAP"]),
        ("All", {Service.SENDING}, ["27", "Mail"]),  # what is in All cannot be named: refused together
        (["26", "Mail", "IMAP"], set(), ["26", "Mail", "IMAP"]),
        (["26", "Mail"], set(Service), ["26", "Mail"]),
    ],
)
def test_the_services_that_are_left(peer: CommuniGateCli, modes: Json, services: set[Service], left: Json) -> None:
    assert directory(peer).closed({"AccessModes": modes}, services) == {"AccessModes": left}


def test_what_the_domain_allows_decides_where_the_account_says_nothing(peer: CommuniGateCli) -> None:
    peer.defaults["AccessModes"] = ["27", "Mail"]
    assert directory(peer).is_disabled(ANNA)
    assert not directory(peer).is_disabled(BERT)


def test_a_wrong_password_is_tried_once(peer: CommuniGateCli) -> None:
    assert refusal(lambda: directory(peer, "wrong").find(ANNA)).code == "directory.refused"
    assert peer.verbs() == ["APOP"]


def test_a_password_in_clear_is_sent_only_when_that_was_chosen() -> None:
    with CommuniGateCli(ANNA, stamp=False) as peer:
        assert refusal(lambda: directory(peer).find(ANNA)).code == "directory.refused"
        assert peer.verbs() == []
        assert directory(peer, sign_in="plain").find(ANNA) == {"AccessModes": None}
        assert peer.verbs()[:2] == ["USER", "PASS"]


def test_a_server_that_knows_no_inline_is_read_line_by_line() -> None:
    with CommuniGateCli(ANNA, inline=False) as peer:
        peer.accounts[ANNA].settings.update(AccessModes=["26", "Mail", "IMAP"], RealName='say "}"')
        cli = directory(peer)
        assert cli.find(ANNA) == {"AccessModes": ["26", "Mail", "IMAP"]}
        assert cli.find(NOBODY) is None


def test_a_look_is_repeated_on_a_new_line(peer: CommuniGateCli) -> None:
    cli = directory(peer)
    assert cli.find(ANNA)
    peer._answers["GETACCOUNTSETTINGS"] = [close, peer._command]
    assert cli.find(ANNA) == {"AccessModes": None}
    assert peer.connections == 2


def test_a_change_whose_answer_is_lost_is_looked_at_and_not_repeated(peer: CommuniGateCli) -> None:
    def lost(talk: Any, command: bytes) -> None:
        peer._updateaccountsettings([ANNA, "{", "AccessModes", "=", "(", "27", ",", "Mail", ")", ";", "}"])
        cut(talk, command)

    cli = directory(peer)
    found = cli.find(ANNA)
    peer._answers["UPDATEACCOUNTSETTINGS"] = [lost]
    cli.replace(ANNA, found, cli.closed(found))
    assert peer.verbs().count("UPDATEACCOUNTSETTINGS") == 1


def test_no_right_is_told_with_the_words_of_the_server(peer: CommuniGateCli) -> None:
    peer._answers["GETACCOUNTSETTINGS"] = ["501 you have no permission to do this"]
    error = refusal(lambda: directory(peer).find(ANNA))
    assert (error.code, error.reply) == ("directory.no_permission", "501 you have no permission to do this")


@pytest.mark.parametrize("words", ["nonsense", "201 {broken", "201 " + "(" * 500, "201"])
def test_an_answer_that_says_nothing_is_an_error_and_ends_the_line(peer: CommuniGateCli, words: str) -> None:
    peer._answers["GETACCOUNTSETTINGS"] = [words, peer._command]
    cli = directory(peer)
    assert refusal(lambda: cli.find(ANNA)).code == "directory.invalid"
    assert cli.find(ANNA) == {"AccessModes": None}
    assert peer.connections == 2


def test_a_server_that_cannot_be_reached_or_greets_with_something_else_is_named(peer: CommuniGateCli) -> None:
    peer._greeting = then("* OK IMAP4rev1 ready")
    assert refusal(lambda: directory(peer).find(ANNA)).code == "directory.unreachable"


def test_a_setting_that_the_server_ignores_is_no_success(peer: CommuniGateCli) -> None:
    peer._answers["UPDATEACCOUNTSETTINGS"] = ["200 OK"]
    cli = directory(peer)
    found = cli.find(ANNA)
    assert refusal(lambda: cli.replace(ANNA, found, cli.closed(found))).code == "directory.busy"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"host": ""}, "host"),
        ({"port": 0}, "port"),
        ({"sign_in": "cram"}, "sign_in"),
        ({"list_number": "x"}, "list_number"),
        ({"login": "post\nmaster"}, "login"),
        ({"hots": "x"}, "hots"),
    ],
)
def test_options_that_cannot_be_meant_are_refused_with_a_sentence(options: dict[str, Json], sentence: str) -> None:
    given: dict[str, Json] = {"host": "mail.example.test", **options}
    error = refusal(lambda: open_connector(DIRECTORIES, "communigate", given, Secret("x")))
    assert error.code == "connector.invalid"
    assert sentence in error.reply
