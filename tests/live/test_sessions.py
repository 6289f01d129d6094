"""Sessions on a real Dovecot: counted, ended, and nobody else's."""

from __future__ import annotations

import contextlib
import imaplib
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from migrator.entries import Json, open_connector
from migrator.errors import MigratorError
from migrator.sessions import SESSIONS
from tests.contracts.entries import ANNA, BERT
from tests.contracts.sessions import Club, SessionsContract, settles_at
from tests.rigs.base import HOST, users
from tests.rigs.dovecot import ADMIN, ADMIN_PASSWORD, Dovecot
from tests.rigs.governed import Governed, GovernedByLdap, GovernedBySql

US, WEBMAIL, PHONE = HOST, "127.0.0.2", "127.0.0.3"  # where sessions come from


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Dovecot]:
    with Dovecot(dict.fromkeys(("anna", "bert", "hanna", "anna2"), "pw")) as server:
        yield server


class Visitors:
    """Signs in, and leaves all sessions at the end."""

    def __init__(self, server: Dovecot) -> None:
        self._server = server
        self._stack = contextlib.ExitStack()

    def sign_in(self, name: str, place: str = PHONE, *, as_admin: bool = False) -> imaplib.IMAP4:
        line = _From(self._server.imap, place)
        self._stack.callback(line.shutdown)
        line.login(f"{name}*{ADMIN}" if as_admin else name, ADMIN_PASSWORD if as_admin else "pw")
        line.select("INBOX")
        return line

    def leave(self) -> None:
        self._stack.close()


class _From(imaplib.IMAP4):
    """A client at another address of this machine."""

    def __init__(self, port: int, place: str) -> None:
        self._place = place
        super().__init__(HOST, port)

    def _create_socket(self, timeout: float | None) -> Any:
        return socket.create_connection((self.host, self.port), timeout or 30, (self._place, 0))


@pytest.fixture
def visitors(dovecot: Dovecot) -> Iterator[Visitors]:
    visitors = Visitors(dovecot)
    yield visitors
    visitors.leave()
    dovecot_is_empty(dovecot)


def dovecot_is_empty(dovecot: Dovecot) -> None:
    for name in (ANNA, BERT, "anna", "hanna", "anna2"):
        assert settles_at(sessions(dovecot), name, 0)


def sessions(dovecot: Dovecot, **more: Json) -> Any:
    words: list[Json] = ["doveadm", "-c", str(dovecot.dir / "dovecot.conf")]
    return open_connector(SESSIONS, "dovecot", {"doveadm": words, **more})


class TestDovecot(SessionsContract):
    @pytest.fixture
    def club(self, dovecot: Dovecot, visitors: Visitors) -> Club:
        return Club(lambda: sessions(dovecot), visitors.sign_in)


class TestDovecotByCommand(SessionsContract):
    """The same through an operator's own programs."""

    @pytest.fixture
    def club(self, dovecot: Dovecot, visitors: Visitors) -> Club:
        config = str(dovecot.dir / "dovecot.conf")
        count = 'doveadm -c "$0" who -1 | awk -v user="$1" \'NR > 1 && $1 == user\' | wc -l'
        # nobody is called by a pattern; doveadm exits with 68 when it kicked nobody
        end = 'case $1 in *[*?]*) exit 0 ;; esac; doveadm -c "$0" kick "$1" || [ $? = 68 ]'
        options: dict[str, Json] = {
            "count": ["sh", "-c", count, config, "{address}"],
            "end": ["sh", "-c", end, config, "{address}"],
        }
        return Club(lambda: open_connector(SESSIONS, "command", options), visitors.sign_in)


def refusal(call: Callable[[], object]) -> MigratorError:
    with pytest.raises(MigratorError) as caught:
        call()
    return caught.value


def test_a_session_that_was_ended_is_dead(dovecot: Dovecot, visitors: Visitors) -> None:
    line = visitors.sign_in("anna")
    assert settles_at(sessions(dovecot), "anna", 1)
    sessions(dovecot).end("anna")
    with pytest.raises((imaplib.IMAP4.abort, OSError)):
        speak_for_ever(line)


def speak_for_ever(line: imaplib.IMAP4) -> None:
    while True:
        line.noop()


def test_names_that_resemble_each_other_are_different_users(dovecot: Dovecot, visitors: Visitors) -> None:
    for name in ("anna", "anna2", "hanna"):
        visitors.sign_in(name)
        assert settles_at(sessions(dovecot), name, 1)
    sessions(dovecot).end("anna")
    assert settles_at(sessions(dovecot), "anna", 0)
    assert [sessions(dovecot).open(name) for name in ("anna2", "hanna")] == [1, 1]


def test_capitals_do_not_hide_a_session(dovecot: Dovecot, visitors: Visitors) -> None:
    visitors.sign_in("ANNA@Example.Test")
    assert settles_at(sessions(dovecot), ANNA, 1)
    sessions(dovecot).end(ANNA)
    assert settles_at(sessions(dovecot), ANNA, 0)


def test_the_address_of_a_web_mail_is_no_user(dovecot: Dovecot, visitors: Visitors) -> None:
    visitors.sign_in("anna", WEBMAIL)
    assert settles_at(sessions(dovecot), "anna", 1)
    assert refusal(lambda: sessions(dovecot).end(WEBMAIL)).code == "address.bad"
    assert refusal(lambda: sessions(dovecot).open("127.0.0.0/8")).code == "address.bad"
    assert sessions(dovecot).open("anna") == 1


def test_a_session_in_which_we_read_is_neither_counted_nor_ended(dovecot: Dovecot, visitors: Visitors) -> None:
    ours = visitors.sign_in("anna", US, as_admin=True)
    visitors.sign_in("anna", PHONE)
    visitors.sign_in("anna", WEBMAIL)
    seen = sessions(dovecot, our_addresses=[US])
    assert settles_at(sessions(dovecot), "anna", 3)
    assert seen.open("anna") == 2
    seen.end("anna")
    assert settles_at(seen, "anna", 0)
    assert ours.noop()[0] == "OK"


@pytest.mark.parametrize("make", [GovernedByLdap, GovernedBySql])
def test_whoever_governs_sign_ins_sessions_are_found_by_name_and_by_address(make: type[Governed]) -> None:
    with make(users(2)) as governed:
        visitors = Visitors(governed.source)
        visitors.sign_in("u0000")
        visitors.sign_in("U0000")
        seen = open_connector(SESSIONS, "dovecot", governed.sessions_options("source"))
        assert settles_at(seen, "u0000", 2)
        assert (seen.open(governed.address("u0000")), seen.open("u0001")) == (2, 0)
        seen.end(governed.address("u0000"))
        assert settles_at(seen, "u0000", 0)
        visitors.leave()


def test_a_dovecot_that_is_down_has_not_said_that_nobody_is_there(dovecot: Dovecot) -> None:
    with Dovecot({"anna": "pw"}) as other:
        other.kill()
        assert refusal(lambda: sessions(other).open("anna")).code == "command.failed"
        assert refusal(lambda: sessions(other).end("anna")).code == "command.failed"
    assert refusal(lambda: open_connector(SESSIONS, "dovecot", {"doveadm": "/nowhere/doveadm"}).open("anna")).code == (
        "command.missing"
    )
