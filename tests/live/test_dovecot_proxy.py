"""A Dovecot in front of two: its table is the route, its sessions are ended, and clients keep the name they know."""

from __future__ import annotations

import contextlib
import imaplib
import poplib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from migrator.directories import DIRECTORIES
from migrator.entries import Json, open_connector
from migrator.errors import MigratorError, Side
from migrator.routes import ROUTES
from migrator.sessions import SESSIONS
from tests.contracts.entries import ANNA, BERT, Place
from tests.contracts.route import RouteContract
from tests.contracts.sessions import Club, SessionsContract, settles_at
from tests.rigs.base import HOST, Account
from tests.rigs.dialogue import Dialogue, Refused
from tests.rigs.dovecot import Dovecot
from tests.rigs.dovecot_proxy import Behind, DovecotProxy
from tests.rigs.governed import SOURCE_HOST

PEOPLE = dict.fromkeys(("anna", "bert", "clara"), "pw")


class Front(NamedTuple):
    """The proxy and the two servers behind it. In each INBOX at the old one is one message, at the new one two."""

    proxy: DovecotProxy
    old: Dovecot
    new: Dovecot


@pytest.fixture(scope="module")
def world() -> Iterator[Front]:
    with Dovecot(PEOPLE, pop3=True) as old, Dovecot(PEOPLE, pop3=True) as new:
        for server, count in ((old, 1), (new, 2)):
            for user in PEOPLE:
                with Dialogue(server.account(user)) as talk:
                    talk.append(b"INBOX", [(b'() "05-Mar-1999 10:00:00 +0000"', b"Subject: x\r\n\r\nx\r\n")] * count)
        with DovecotProxy(PEOPLE, Behind(old.imap, old.pop3), Behind(new.imap, new.pop3)) as proxy:
            yield Front(proxy, old, new)


@pytest.fixture
def front(world: Front) -> Front:
    for user in PEOPLE:
        world.proxy.send_to(user, SOURCE_HOST)
    return world


_opened: list[Any] = []


@pytest.fixture(autouse=True)
def _close() -> Iterator[None]:
    yield
    while _opened:
        _opened.pop().close()


def opened(registry: Any, kind: str, options: dict[str, Json]) -> Any:
    _opened.append(open_connector(registry, kind, options))
    return _opened[-1]


def route(front: Front) -> Any:
    return opened(ROUTES, "dovecot", front.proxy.route_options())


class TestRoute(RouteContract):
    @pytest.fixture
    def place(self, front: Front) -> Place:
        return Place(
            lambda: route(front), lambda address: front.proxy.send_to(address.partition("@")[0], "third.example.test")
        )


class TestSessions(SessionsContract):
    @pytest.fixture
    def club(self, front: Front) -> Iterator[Club]:
        lines = contextlib.ExitStack()

        def sign_in(address: str) -> None:
            line = imaplib.IMAP4(HOST, front.proxy.imap)
            lines.callback(line.shutdown)
            line.login(address.partition("@")[0].upper(), "pw")

        sessions = opened(SESSIONS, "dovecot_proxy", front.proxy.sessions_options())
        yield Club(lambda: sessions, sign_in)
        lines.close()
        for address in (ANNA, BERT):
            assert settles_at(sessions, address, 0)


def seen_by(front: Front, user: str) -> int:
    """How many messages a program sees that knows nothing but the address of the front."""
    with imaplib.IMAP4(HOST, front.proxy.imap) as line:
        line.login(user, "pw")
        return int(line.select("INBOX")[1][0] or b"")


@pytest.mark.req("S-125")
def test_programs_keep_the_name_they_know_and_come_to_the_other_server(front: Front) -> None:
    assert [seen_by(front, user) for user in PEOPLE] == [1, 1, 1]
    door = front.proxy.imap
    with Dialogue(Account(door, "Anna", "pw")) as anna, Dialogue(Account(door, "bert", "pw")) as bert:
        switching = route(front)
        before = switching.find(ANNA)
        switching.replace(ANNA, before, switching.routed(before, Side.TARGET))
        with pytest.raises((Refused, OSError, EOFError)):
            speak_for_ever(anna)
        assert bert.command(b"NOOP") is not None
    assert [seen_by(front, user) for user in PEOPLE] == [2, 1, 1]
    pop = poplib.POP3(HOST, front.proxy.pop3)
    pop.user("anna")
    pop.pass_("pw")
    assert pop.stat()[0] == 2
    pop.quit()
    switching.replace(ANNA, switching.routed(before, Side.TARGET), before)
    assert seen_by(front, "anna") == 1


def speak_for_ever(line: Dialogue) -> None:
    while True:
        line.command(b"NOOP")


def test_who_is_refused_at_the_proxy_is_told_why_and_the_others_come_in(front: Front) -> None:
    people = opened(DIRECTORIES, "sql", front.proxy.directory_options())
    before = people.find(ANNA)
    people.replace(ANNA, before, people.closed(before))
    with pytest.raises(imaplib.IMAP4.error, match="being moved"):
        seen_by(front, "anna")
    assert seen_by(front, "bert") == 1
    people.replace(ANNA, people.closed(before), before)
    assert seen_by(front, "anna") == 1


def test_a_wrong_password_is_refused_by_the_server_behind(front: Front) -> None:
    with imaplib.IMAP4(HOST, front.proxy.imap) as line, pytest.raises(imaplib.IMAP4.error):
        line.login("anna", "wrong")


def refusal(call: Callable[[], object]) -> MigratorError:
    with pytest.raises(MigratorError) as caught:
        call()
    return caught.value


@pytest.mark.parametrize("address", ["10.0.0.1", "*", "an?a"])
def test_a_pattern_is_nobody(front: Front, address: str) -> None:
    sessions = opened(SESSIONS, "dovecot_proxy", front.proxy.sessions_options())
    assert refusal(lambda: sessions.end(address)).code == "address.bad"


def test_a_proxy_that_is_down_has_not_said_that_nobody_is_there(front: Front) -> None:
    with DovecotProxy(PEOPLE, Behind(front.old.imap), Behind(front.new.imap)) as other:
        switching = opened(ROUTES, "dovecot", other.route_options())
        sessions = opened(SESSIONS, "dovecot_proxy", other.sessions_options())
        assert sessions.open(ANNA) == 0
        other.kill()
        assert refusal(lambda: sessions.open(ANNA)).code == "command.failed"
        assert refusal(lambda: switching.find(ANNA)).code == "command.failed"
