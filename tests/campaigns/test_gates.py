"""The gates: who asks with the right key is answered; a wrong one, a flood and odd names are refused and harmless."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, InterfaceError
from django.test import Client

from campaigns.bridge import host_files
from campaigns.bridge.connect import open_row
from campaigns.gates import desk as desks
from campaigns.gates import fronts
from campaigns.gates.desk import Buckets, Desk
from campaigns.gates.fronts import Gate
from campaigns.gates.serve import serve
from campaigns.models import Connector
from campaigns.services.connectors import REGISTRIES
from campaigns.states import AccountState, Owner
from migrator.errors import Side
from migrator.gates.front import Front
from migrator.gates.table import Row, Table
from migrator.options import Options
from tests.campaigns.factories import make_batch, make_campaign, make_user

KEY = "seven wet stones"
ANNA = "anna@example.org"
FIELDS = {
    "name": "nginx",
    "gate": "front",
    "domains": "example.org",
    "source": "old.example.org",
    "target": "new.example.org",
    "source_doors": "imap 192.0.2.1:143\nsmtp 192.0.2.1:587",
    "target_doors": "imap 192.0.2.2:143",
    "target_nexthop": "lmtp:inet:192.0.2.2:24",
    "secret": KEY,
}


class Clock:
    """Seconds that pass when a test says so."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def gate(keys: tuple[bytes, ...] = (KEY.encode(),)) -> Gate:
    options: dict[str, Any] = {name: FIELDS[name] for name in ("domains", "source", "target", "target_nexthop")}
    doors = {name: FIELDS[name].split("\n") for name in ("source_doors", "target_doors")}
    return Gate(keys, (Front.of(Options(options | doors)),))


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Table]:
    found = Table(tmp_path / "gates" / "routes.sqlite")
    yield found
    found.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def desk(table: Table, clock: Clock) -> Desk:
    found = Desk(table, clock)
    found.gates = {"front": gate()}
    return found


def asked(
    user: str = "anna", key: str = KEY, name: str = "front", protocol: str = "imap", client: str = "::1"
) -> bytes:
    return (
        f"GET /auth/{name} HTTP/1.0\r\nAuth-User: {user}\r\nAuth-Pass: stone%20soup\r\nAuth-Protocol: {protocol}\r\n"
        f"Client-IP: {client}\r\nX-Auth-Key: {key}\r\n\r\n"
    ).encode()


def told(desk: Desk, *args: Any, **more: Any) -> str:
    answer, _ = desk.http(asked(*args, **more), "127.0.0.1")
    return answer.decode("ascii")


def test_a_switch_is_the_next_answer(desk: Desk, table: Table) -> None:
    assert "Auth-Server: 192.0.2.1\r\n" in told(desk)
    table.change("front", ANNA, lambda row: row._replace(backend="new.example.org"))
    assert "Auth-Server: 192.0.2.2\r\n" in told(desk, "Anna@EXAMPLE.org")
    assert "Auth-Server: 192.0.2.1\r\n" in told(desk, "bert")


@pytest.mark.parametrize(
    ("key", "name"), [("", "front"), ("seven wet stone", "front"), (KEY, "other"), (KEY * 2, "front")]
)
def test_without_the_key_nothing_is_told(desk: Desk, caplog: pytest.LogCaptureFixture, key: str, name: str) -> None:
    answer, keeps = desk.http(asked(key=key, name=name), "192.0.2.77")
    assert (answer.startswith(b"HTTP/1.1 403 "), b"Auth-" in answer, keeps) == (True, False, False)
    assert "192.0.2.77 showed no valid key" in caplog.text
    assert "stone" not in caplog.text


def test_a_flood_of_wrong_keys_is_a_line_of_log_now_and_then(
    desk: Desk, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(500):
        told(desk, key="wrong")
    clock.now += 11
    told(desk, key="wrong")
    assert len(caplog.records) == 2
    assert "(499 more since the last line)" in caplog.text
    assert "Auth-Status: OK" in told(desk)


def test_a_flood_of_one_name_is_told_to_wait_and_nobody_else_is(desk: Desk, clock: Clock) -> None:
    answers = [told(desk, client="192.0.2.66") for _ in range(200)]
    assert sum("Auth-Status: OK" in one for one in answers) == desks.NAME_BURST
    assert "Too many attempts" in answers[-1]
    assert "Auth-Status: OK" in told(desk, "bert", client="192.0.2.66")
    assert "Auth-Status: OK" in told(desk, client="192.0.2.5")
    assert "Auth-Error-Code: 454" in told(desk, client="192.0.2.66", protocol="smtp")
    clock.now += 1
    assert "Auth-Status: OK" in told(desk, client="192.0.2.66")


def test_a_flood_of_many_names_from_one_place_is_told_to_wait(desk: Desk) -> None:
    answers = [told(desk, f"user{number}") for number in range(3000)]
    assert sum("Auth-Status: OK" in one for one in answers) == desks.CLIENT_BURST


def test_buckets_forget_the_oldest_and_never_grow_without_end(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    monkeypatch.setattr(desks, "_MOST_KEPT", 10)
    buckets = Buckets(1, 1, clock)
    assert all(buckets.take(number) for number in range(1000))
    assert len(buckets._left) == 10
    assert not buckets.take(999)


@pytest.mark.parametrize(
    "user", ["anna%0d%0aAuth-Status:%20OK", "%00", "anna%0A", "%ff", "anna@elsewhere.org", "*admin"]
)
def test_odd_names_are_refused_and_change_nothing(
    desk: Desk, table: Table, caplog: pytest.LogCaptureFixture, user: str
) -> None:
    answer = told(desk, user)
    assert answer.count("Auth-Status: The name or the password is not accepted.") == 1
    assert "Auth-Server" not in answer
    assert all(record.getMessage().isprintable() for record in caplog.records)
    assert table.rows("front") == []


def test_what_is_no_question_gets_no_answer(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    answer, keeps = desk.http(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "192.0.2.77")
    assert (answer[:13], keeps) == (b"HTTP/1.1 400 ", False)
    assert "192.0.2.77" in caplog.text


def test_in_doubt_it_is_later(desk: Desk, tmp_path: Path) -> None:
    desk.gates = None
    assert told(desk).startswith("HTTP/1.1 503")
    assert "Auth-Status: Mail is not available just now." in told(desk)
    (tmp_path / "broken").write_bytes(b"no database" * 100)
    broken = Desk(Table(tmp_path / "broken"))
    broken.gates = {"front": gate()}
    assert told(broken).startswith("HTTP/1.1 503")
    assert broken.postfix(b"front anna@example.org").startswith(b"71:TEMP ")
    assert Desk(Table(tmp_path / "none")).postfix(b"front anna@example.org") == b"17:TEMP no such gate,"


def test_postfix_is_told_who_is_elsewhere(desk: Desk, table: Table) -> None:
    assert desk.postfix(b"front anna@example.org") == b"9:NOTFOUND ,"
    table.change("front", ANNA, lambda row: row._replace(backend="new.example.org"))
    assert desk.postfix(b"front anna@example.org") == b"25:OK lmtp:inet:192.0.2.2:24,"
    for key in (b"example.org", b"*", b"anna", b"anna@elsewhere.org", b"anna*x@example.org", b"a\r\nb@example.org"):
        assert desk.postfix(b"front " + key) == b"9:NOTFOUND ,"
    table.change("front", ANNA, lambda row: row._replace(backend="third.example.org"))
    assert b"TEMP" in desk.postfix(b"front anna@example.org")


def test_every_key_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append(other)
        return one == other

    monkeypatch.setattr(fronts.hmac, "compare_digest", compare)
    keys = (b"first", b"second", b"third")
    assert gate(keys).knows(b"first")
    assert not gate(keys).knows(b"fourth")
    assert compared == [*keys, *keys]


# What rows say


@pytest.fixture
def admin(db: None) -> Client:
    client = Client(headers={"host": "localhost"})
    client.force_login(make_user(is_administrator=True))
    return client


def make(admin: Client, **fields: str) -> Connector:
    page = admin.post("/connectors/new?kind=route-nginx", FIELDS | fields)
    assert page.status_code == 302, page.text
    return Connector.objects.latest("pk")


def test_a_route_that_is_set_up_is_a_gate_and_what_it_switches_is_answered(admin: Client, settings: Any) -> None:
    row = make(admin)
    route = open_row(row, REGISTRIES[row.room])
    before = route.find(ANNA)
    route.replace(ANNA, before, route.routed(before, Side.TARGET))
    route.close()
    desk = Desk(Table(Path(settings.DATA) / host_files.GATES))
    desk.gates = fronts.read()
    assert "Auth-Server: 192.0.2.2\r\n" in told(desk)
    page = admin.post(f"/connectors/{row.pk}/test", {"login": ANNA}, follow=True).text
    assert "Found, and served by the new server" in page


def test_gates_of_several_routes_know_all_their_keys_and_people(admin: Client) -> None:
    make(admin)
    make(admin, name="second", domains="example.net", secret="another seventeen", source="older.example.net")
    make(admin, name="third", gate="webmail")
    gates = fronts.read()
    assert gates.keys() == {"front", "webmail"}
    assert [gates["front"].knows(key) for key in (KEY.encode(), b"another seventeen", b"x")] == [True, True, False]
    found = gates["front"].front("bert@example.net")
    assert found is not None
    assert found[0].hosts.source == ("older.example.net",)


def test_rows_that_have_not_changed_are_not_opened_again(admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    row = make(admin)
    reader = fronts.Reader()
    before = reader.read()
    monkeypatch.setattr(fronts, "read", dict)
    assert reader.read() is before
    row.delete()
    assert reader.read() == {}


def test_a_route_whose_key_is_lost_is_left_out_and_told(admin: Client, caplog: pytest.LogCaptureFixture) -> None:
    row = make(admin)
    row.secret = b"sealed by another key"
    row.save()
    assert fronts.read() == {}
    assert "the route nginx cannot be used by its gate" in caplog.text


@pytest.mark.django_db
def test_routes_are_printed_for_the_front_server_s_own_files(admin: Client, capsys: pytest.CaptureFixture[str]) -> None:
    row = make(admin)
    route = open_row(row, REGISTRIES[row.room])
    before = route.find("zoe@example.org")
    route.replace("zoe@example.org", before, route.routed(before, Side.TARGET))
    route.close()
    call_command("gates", export="postfix")
    assert "zoe@example.org lmtp:inet:192.0.2.2:24\n" in capsys.readouterr().out
    call_command("gates", export="nginx")
    assert '"\\\\zoe@example.org" "0-target";' in capsys.readouterr().out
    call_command("gates", export="nginx-servers")
    assert "proxy_pass http://127.0.0.1:8025/auth/front;" in capsys.readouterr().out
    with pytest.raises(CommandError, match="no usable route for a gate of the name back"):
        call_command("gates", export="nginx", gate="back")
    with pytest.raises(CommandError, match="MAILFERRY_GATES_PORT"):
        call_command("gates")


def test_gates_whose_table_is_lost_do_not_send_who_was_moved_to_the_old_server(
    admin: Client, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.DATA, settings.GATES_PORT = tmp_path, 1
    monkeypatch.setattr("campaigns.services.installation.require_ready", lambda: None)
    batch = make_batch(2, campaign=make_campaign(route=make(admin)), state=AccountState.DONE)
    batch.accounts.filter(pk=batch.accounts.latest("pk").pk).update(source_login="anna@example.org")
    batch.accounts.exclude(source_login="anna@example.org").update(state=AccountState.READY, owner=Owner.SOURCE)
    with pytest.raises(CommandError, match="--refill"):
        call_command("gates")
    call_command("gates", refill=True)
    assert "serves 1 people" in capsys.readouterr().out
    assert Table(tmp_path / host_files.GATES).rows("front") == [(ANNA, Row("new.example.org"))]


# Lines


class Served:
    """``with Served(desk, read)`` answers at ``http`` and ``postfix``."""

    def __init__(self, desk: Desk, read: Any) -> None:
        self._sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        self.http, self.postfix = (one.getsockname()[1] for one in self._sockets)
        self._desk, self._read = desk, read
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    async def _run(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._ready.set()
        http, postfix = self._sockets
        await serve(self._desk, self._read, http=[http], postfix=[postfix], stop=self._stop)

    def __enter__(self) -> Served:
        self._thread.start()
        self._ready.wait(10)
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End it; a second time is harmless."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(10)
        assert not self._thread.is_alive()


def talk(port: int, octets: bytes) -> bytes:
    """Send ``octets`` and return what comes until the other side closes or is silent."""
    found = b""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as line:
        line.sendall(octets)
        line.settimeout(0.5)
        with contextlib.suppress(TimeoutError, ConnectionResetError):
            while piece := line.recv(4096):
                found += piece
    return found


def eventually(look: Any, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_both_are_answered_over_lines_and_nonsense_ends_only_its_own(table: Table) -> None:
    with Served(Desk(table), lambda: {"front": gate()}) as served:
        eventually(lambda: b"Auth-Status: OK" in talk(served.http, asked()))
        kept = asked().replace(b"HTTP/1.0", b"HTTP/1.1")
        assert talk(served.http, kept * 3).count(b"Auth-Status: OK") == 3
        assert talk(served.http, b"x" * 9000).startswith(b"HTTP/1.1 400 ")
        assert (
            talk(served.postfix, b"22:front anna@example.org,22:front anna@example.org,") == b"9:NOTFOUND ,9:NOTFOUND ,"
        )
        assert talk(served.postfix, b"GET / HTTP/1.0\r\n\r\n") == b""
        assert b"Auth-Status: OK" in talk(served.http, asked())


def test_while_the_database_is_away_the_gates_go_by_what_they_know(
    table: Table, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("campaigns.gates.serve._READ_SECONDS", 0.01)
    looks: list[int] = []

    def read() -> Mapping[str, Gate]:
        looks.append(1)
        if len(looks) > 1:
            raise DatabaseError("gone")
        return {"front": gate()}

    with caplog.at_level(logging.WARNING), Served(Desk(table), read) as served:
        eventually(lambda: len(looks) > 5)
        assert b"Auth-Status: OK" in talk(served.http, asked())
    assert caplog.text.count("the database did not answer") == 1


@pytest.mark.parametrize("error", [InterfaceError("connection already closed"), KeyError("of a program")])
def test_whatever_goes_wrong_gates_are_read_again(
    table: Table, error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("campaigns.gates.serve._READ_SECONDS", 0.01)
    looks: list[int] = []

    def read() -> Mapping[str, Gate]:
        looks.append(1)
        if 1 < len(looks) < 4:
            raise error
        return {"front": gate()} if len(looks) < 4 else {}

    with caplog.at_level(logging.WARNING), Served(Desk(table), read) as served:
        eventually(lambda: len(looks) > 4)
        eventually(lambda: b"Auth-Status: OK" not in talk(served.http, asked()))
    told = [
        record.message for record in caplog.records if "they know" in record.message or "read again" in record.message
    ]
    assert len(told) == 2, told


def test_lines_are_bounded(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("campaigns.gates.serve.MOST_LINES", 3)
    with Served(Desk(table), lambda: {"front": gate()}) as served:
        eventually(lambda: b"Auth-Status: OK" in talk(served.http, asked()))
        idle = [socket.create_connection(("127.0.0.1", served.http), timeout=5) for _ in range(3)]
        eventually(lambda: talk(served.http, asked()) == b"")
        idle.pop().close()
        eventually(lambda: b"Auth-Status: OK" in talk(served.http, asked()))
        for one in idle:
            one.close()


def test_a_line_that_asks_nothing_is_closed(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("campaigns.gates.serve.IDLE_SECONDS", 0.1)
    with Served(Desk(table), dict) as served, socket.create_connection(("127.0.0.1", served.http), 5) as line:
        line.sendall(b"GET /auth/front HTTP/1.0\r\nAuth-User:")
        line.settimeout(5)
        with contextlib.suppress(ConnectionResetError):
            assert line.recv(100) == b""


def ask_deaf(port: int, octets: bytes) -> None:
    """Send ``octets``, and take nothing of what comes."""
    with socket.socket() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.settimeout(60)
        line.connect(("127.0.0.1", port))
        line.sendall(octets)


def test_who_asks_and_asks_and_takes_no_answer_is_cut_off(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("campaigns.gates.serve.MOST_UNREAD", 1024)
    with Served(Desk(table), lambda: {"front": gate()}) as served:
        for one in served._sockets:  # else the system takes megabytes of answers off our hands
            one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        eventually(lambda: b"Auth-Status: OK" in talk(served.http, asked()))
        questions = asked().replace(b"HTTP/1.0", b"HTTP/1.1") * 1000
        for port, octets in ((served.http, questions), (served.postfix, b"22:front anna@example.org," * 1000)):
            with pytest.raises((ConnectionResetError, BrokenPipeError)):
                ask_deaf(port, octets * 200)
        # Somebody else, from elsewhere: such a flood is too much for that address and that name.
        assert b"Auth-Status: OK" in talk(served.http, asked("zoe", client="::2"))
