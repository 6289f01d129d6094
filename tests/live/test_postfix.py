"""Mail held and routed by a real Postfix before two servers, its tables in hash files or in PostgreSQL."""

from __future__ import annotations

import contextlib
import json
import re
import smtplib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

import pytest

from migrator.entries import Json, Values, open_connector
from migrator.errors import MigratorError, Side
from migrator.holds import HOLDS, postfix, postfix_host
from migrator.holds.base import HeldMail
from migrator.holds.postfix_host import PostfixHost
from migrator.holds.queue import PostfixQueue
from migrator.routes import ROUTES
from tests.contracts.entries import ANNA, BERT, CLARA, Place
from tests.contracts.hold import HoldContract, PostOffice, settles, waits_for
from tests.contracts.open_table import OpenTable
from tests.contracts.route import RouteContract
from tests.rigs.base import HOST
from tests.rigs.postbox import Postbox
from tests.rigs.postfix import Exchanger
from tests.rigs.postgres import Postgres

LIST = "all@example.test"
BODY = b"Subject: x\r\n\r\nx\r\n"


class Exchange:
    """An exchanger and the two servers behind it, which keep what they are given."""

    def __init__(self, database: str = "", more: str = "") -> None:
        self.boxes = {side: Postbox(is_local=True) for side in Side}
        self._servers = {side: box.server() for side, box in self.boxes.items()}
        self._stack = contextlib.ExitStack()
        self._database, self._more = database, more
        self._opened: list[Any] = []

    def __enter__(self) -> Self:
        for server in self._servers.values():
            self._stack.enter_context(server)
        source, self.target = (f"lmtp:inet:{HOST}:{self._servers[side].port}" for side in (Side.SOURCE, Side.TARGET))
        lists = {"all": ["anna", "bert"]}
        self.mx = self._stack.enter_context(Exchanger(source, database=self._database, aliases=lists, more=self._more))
        return self

    def __exit__(self, *error: object) -> None:
        for one in self._opened:
            one.close()
        self._stack.close()

    def clear(self) -> None:
        """Make it as it was at first: nothing in the queue, nothing in the tables, and nothing arrived."""
        while self._opened:
            self._opened.pop().close()
        for box in self.boxes.values():
            box.judge = lambda number, message: None
        self.mx.clear()
        for box in self.boxes.values():
            box.mail.clear()
            box.received = 0

    def hold(self, **more: Json) -> Any:
        return self._open(HOLDS, {**self.mx.options("hold"), **more})

    def route(self, **more: Json) -> Any:
        return self._open(ROUTES, {**self.mx.options("hold", "route"), "target": self.target, **more})

    def _open(self, registry: Any, options: Mapping[str, Json]) -> Any:
        self._opened.append(open_connector(registry, "postfix", options))
        return self._opened[-1]

    def arrived(self, address: str, side: Side) -> int:
        """How many messages for ``address`` the server of ``side`` has got."""
        return sum(f"<{address}>".encode() in recipient for _, recipient, _ in self.boxes[side].mail)

    def brings(self, address: str, side: Side, messages: int) -> bool:
        """Tell whether so many messages come to arrive."""
        return comes(lambda: self.arrived(address, side) == messages)

    def reloads(self) -> int:
        """How often it was told to reload."""
        return len(re.findall(r"postfix/master\[\d+\]: reload --", self.mx.log_text()))

    def put(self, hold: Any, address: str, value: Values | None = None) -> Values:
        """Hold mail for ``address``, and return what was there before."""
        before: Values = hold.find(address)
        hold.replace(address, before, value or hold.holding(before))
        assert settles(hold, address)
        return before


def comes(is_so: Callable[[], bool], seconds: float = 30.0) -> bool:
    end = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


@pytest.fixture(scope="module", params=["hash", "postgresql"])
def shared(request: pytest.FixtureRequest) -> Iterator[Exchange]:
    database = request.getfixturevalue("postgres").url if request.param == "postgresql" else ""
    with Exchange(database) as found:
        yield found


@pytest.fixture
def exchange(shared: Exchange) -> Iterator[Exchange]:
    yield shared
    shared.clear()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postfix_host, "MOST_PAUSE_SECONDS", 0.0)  # nobody else's mail waits for these servers


class TestHold(OpenTable, HoldContract):
    @pytest.fixture
    def place(self, exchange: Exchange) -> PostOffice:
        return PostOffice(
            exchange.hold,
            lambda address: exchange.mx.meddle("hold", address, "smtp:[third.example.test]"),
            lambda address, body: exchange.mx.send([address], body),
            exchange.arrived,
        )

    @pytest.fixture(autouse=True)
    def _routes(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def release(self, place: PostOffice, address: str, held: Values, before: Values, side: Side) -> None:
        route = self._exchange.route()  # the table of routes says where released mail flows
        route.replace(address, found := route.find(address), route.routed(found, side))
        super().release(place, address, held, before, side)


class TestRoute(OpenTable, RouteContract):
    @pytest.fixture
    def place(self, exchange: Exchange) -> Place:
        return Place(exchange.route, lambda address: exchange.mx.meddle("route", address, "smtp:[third.example.test]"))


# what a hold must hold


@pytest.mark.req("S-124")
def test_a_hold_is_true_at_once_for_the_address_that_postfix_resolved_last(exchange: Exchange) -> None:
    hold = exchange.hold()
    for number in range(1, 4):
        exchange.mx.send([ANNA], BODY)
        assert exchange.brings(ANNA, Side.SOURCE, number)
        before = exchange.put(hold, ANNA)
        exchange.mx.send([ANNA], BODY)
        assert waits_for(hold, ANNA, 1)
        assert exchange.arrived(ANNA, Side.SOURCE) == number
        hold.replace(ANNA, hold.holding(before), before)
        exchange.boxes[Side.SOURCE].mail.clear()
        hold.flush(ANNA, Side.SOURCE)
        assert exchange.brings(ANNA, Side.SOURCE, 1)
        exchange.boxes[Side.SOURCE].mail.extend([(b"", f"<{ANNA}>".encode(), b"")] * (number - 1))


def test_only_the_held_recipient_waits_however_the_mail_came(exchange: Exchange) -> None:
    hold = exchange.hold()
    exchange.put(hold, ANNA)
    exchange.mx.send([ANNA], BODY)
    exchange.mx.send([ANNA, BERT], BODY)
    exchange.mx.send([LIST], BODY)
    exchange.mx.send(["anna+news@example.test"], BODY)
    sendmail = ["sendmail", "-C", str(exchange.mx.dir / "conf"), "-i", "-f", BERT, ANNA]
    subprocess.run(sendmail, input=BODY, check=True)
    assert waits_for(hold, ANNA, 5)
    assert exchange.brings(BERT, Side.SOURCE, 2)
    assert exchange.arrived(ANNA, Side.SOURCE) == 0
    assert hold.held(BERT).messages == 0
    assert time.time() - 60 < hold.held(ANNA).oldest <= time.time()


def test_mail_that_was_in_the_queue_before_is_held_too(exchange: Exchange) -> None:
    box = exchange.boxes[Side.SOURCE]
    box.judge = lambda number, message: "451 4.2.0 not now"
    exchange.mx.send([ANNA], BODY)
    assert comes(lambda: box.received == 1)
    hold = exchange.hold()
    assert waits_for(hold, ANNA, 1)
    before = exchange.put(hold, ANNA)
    box.judge = lambda number, message: None
    exchange.mx.run("postqueue", "-f")
    route = exchange.route()
    route.replace(ANNA, route.find(ANNA), route.routed(route.find(ANNA), Side.TARGET))
    hold.replace(ANNA, hold.holding(before), before)
    hold.flush(ANNA, Side.TARGET)
    assert exchange.brings(ANNA, Side.TARGET, 1)
    assert exchange.arrived(ANNA, Side.SOURCE) == 0
    assert waits_for(hold, ANNA, 0)


def test_who_has_the_whole_queue_tried_gets_no_held_mail_out(exchange: Exchange) -> None:
    hold = exchange.hold()
    exchange.put(hold, ANNA)
    exchange.mx.send([ANNA], BODY)
    assert waits_for(hold, ANNA, 1)

    def is_tried() -> bool:
        exchange.mx.run("postqueue", "-f")
        return "nonexistent" in exchange.mx.run("postqueue", "-j")

    assert comes(is_tried)
    assert hold.held(ANNA).messages == 1
    assert exchange.arrived(ANNA, Side.SOURCE) == 0


def test_a_hold_settles_when_a_delivery_that_had_begun_is_over(exchange: Exchange) -> None:
    go_on = threading.Event()
    box = exchange.boxes[Side.SOURCE]
    box.judge = lambda number, message: None if go_on.wait(30) else "451 4.2.0 nobody let it go on"
    exchange.mx.send([ANNA], BODY)
    assert comes(lambda: box.received == 1)
    hold = exchange.hold()
    before = hold.find(ANNA)
    hold.replace(ANNA, before, hold.holding(before))
    end = time.monotonic() + 3
    while time.monotonic() < end:
        assert not hold.is_settled(ANNA)
    assert settles(hold, BERT)
    assert not hold.is_settled(ANNA)
    go_on.set()
    assert settles(hold, ANNA)
    assert hold.held(ANNA).messages == 0
    assert exchange.arrived(ANNA, Side.SOURCE) == box.received == 1


def test_mail_of_others_that_a_reload_had_passed_over_is_not_late_for_it(exchange: Exchange) -> None:
    go_on = threading.Event()
    box = exchange.boxes[Side.SOURCE]
    waited: list[bool] = []

    def judge(number: int, message: bytes) -> str | None:
        if number > 1:
            return None
        waited.append(go_on.wait(30))
        return "451 4.2.0 the delivery that the reload found under way comes to nothing"

    box.judge = judge
    exchange.mx.send([BERT], BODY)
    assert comes(lambda: box.received == 1)
    hold = exchange.hold()
    before = exchange.put(hold, ANNA)
    go_on.set()
    assert comes(lambda: exchange.mx.log_text().count("skipped, still being delivered") > 0)
    hold.replace(ANNA, hold.holding(before), before)
    hold.flush(ANNA, Side.SOURCE)
    assert exchange.brings(BERT, Side.SOURCE, 1)  # and not after minimal_backoff_time, 300 s
    assert waited == [True]


def test_another_program_sees_that_a_hold_that_it_did_not_write_is_true(exchange: Exchange) -> None:
    exchange.mx.send([ANNA], BODY)
    assert exchange.brings(ANNA, Side.SOURCE, 1)
    exchange.mx.meddle("hold", ANNA, "parked:unix:/nonexistent")  # written, and then the writer was killed
    hold = exchange.hold()
    assert settles(hold, ANNA)
    exchange.mx.send([ANNA], BODY)
    assert waits_for(hold, ANNA, 1)
    assert exchange.arrived(ANNA, Side.SOURCE) == 1


# the way through a night


@pytest.mark.req("S-109", "S-121")
def test_all_that_was_held_arrives_at_the_new_server_once_and_nothing_is_returned(exchange: Exchange) -> None:
    logged = len(exchange.mx.log_text())
    people = [f"u{number:02d}@example.test" for number in range(20)]
    bodies = [b"Subject: %d\r\n\r\n%d\r\n" % (number, number) for number in range(10)]

    def hold(address: str) -> Values:
        return exchange.put(exchange.hold(), address)

    def release(address: str, before: Values) -> bool:
        holds, routes = exchange.hold(), exchange.route()
        assert waits_for(holds, address, len(bodies))
        route = routes.find(address)
        routes.replace(address, route, routes.routed(route, Side.TARGET))
        holds.replace(address, holds.holding(before), before)
        holds.flush(address, Side.TARGET)
        return waits_for(holds, address, 0)

    with ThreadPoolExecutor(len(people)) as lanes:
        before = list(lanes.map(hold, people))
        for body in bodies:
            exchange.mx.send(people, body)
        assert all(lanes.map(release, people, before))
    box = exchange.boxes[Side.TARGET]
    got = sorted((recipient, body[body.index(b"\r\n\r\n") :]) for _, recipient, body in box.mail)
    wanted = [
        (f"RCPT TO:<{address}>".encode(), b"\r\n\r\n%d\r\n" % number) for address in people for number in range(10)
    ]
    assert got == sorted(wanted)
    assert exchange.boxes[Side.SOURCE].mail == []
    assert comes(exchange.mx.is_queue_empty)
    log = exchange.mx.log_text()[logged:]
    assert not re.search(r"status=bounced|reject: RCPT|sender non-delivery", log)


@pytest.mark.req("S-112")
def test_choked_mail_waits_at_its_sender_and_is_taken_after_the_release(exchange: Exchange) -> None:
    hold = exchange.hold(manner="choked")
    assert list(hold.trouble()) == []
    assert not exchange.hold().held(ANNA).is_at_senders
    before = exchange.put(hold, ANNA)
    with smtplib.SMTP(HOST, exchange.mx.smtp, timeout=30) as line:
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            line.sendmail("outside@example.org", [ANNA], BODY)
        assert refused.value.recipients[ANNA][0] == 450
        line.sendmail("outside@example.org", [BERT], BODY)
    assert exchange.brings(BERT, Side.SOURCE, 1)
    assert hold.held(ANNA) == HeldMail(0, is_at_senders=True)  # none in the queue; who could say what senders have?
    route = exchange.route()
    route.replace(ANNA, route.find(ANNA), route.routed(route.find(ANNA), Side.TARGET))
    hold.replace(ANNA, hold.holding(before), before)
    assert settles(hold, ANNA)
    exchange.mx.send([ANNA], BODY)  # the sender comes again
    assert exchange.brings(ANNA, Side.TARGET, 1)
    assert exchange.arrived(ANNA, Side.SOURCE) == 0


def test_mail_that_comes_while_nobody_holds_it_is_no_mail_that_waits(exchange: Exchange) -> None:
    hold = exchange.hold()
    before = exchange.put(hold, ANNA)
    hold.replace(ANNA, hold.holding(before), before)
    time.sleep(1.1)  # Postfix tells arrivals in whole seconds
    exchange.boxes[Side.SOURCE].judge = lambda number, message: "451 4.2.0 not now"
    exchange.mx.send([ANNA], BODY)
    assert comes(lambda: exchange.boxes[Side.SOURCE].received == 1)
    assert hold.held(ANNA).messages == 0
    assert exchange.hold().held(ANNA).messages == 1


@pytest.mark.req("S-124")
def test_mail_of_a_domain_that_is_held_whole_is_counted_by_user_and_no_release_is_done_before_it_flows(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postfix, "FLUSH_SECONDS", 1.0)
    exchange.mx.meddle("hold", "example.test", "parked:unix:/nonexistent")  # as an operator holds everybody at once
    exchange.mx.run("postfix", "reload")
    hold, route = exchange.hold(), exchange.route()
    for recipients in ([ANNA], [ANNA], [ANNA, BERT]):
        exchange.mx.send(recipients, BODY)
    assert waits_for(hold, ANNA, 3)
    assert waits_for(hold, BERT, 1)
    assert time.time() - 60 < hold.held(ANNA).oldest <= time.time()
    before = exchange.put(hold, ANNA)
    hold.replace(ANNA, hold.holding(before), before)
    hold.flush(ANNA, Side.TARGET)
    assert hold.held(ANNA).messages == 3  # our entry holds nothing any more, and that of the domain does
    time.sleep(1.1)  # Postfix tells arrivals in whole seconds
    exchange.mx.send([ANNA], BODY)
    assert waits_for(hold, ANNA, 4)  # nor is what came since the release forgotten
    route.replace(ANNA, found := route.find(ANNA), route.routed(found, Side.TARGET))
    exchange.mx.run("postfix", "reload")
    hold.flush(ANNA, Side.TARGET)
    assert waits_for(hold, ANNA, 0)
    assert exchange.brings(ANNA, Side.TARGET, 4)
    assert hold.held(BERT).messages == 1


def test_what_an_administrator_put_on_hold_is_told_beside_what_a_release_sends(exchange: Exchange) -> None:
    hold = exchange.hold()
    before = exchange.put(hold, ANNA)
    exchange.mx.send([ANNA], BODY)
    assert waits_for(hold, ANNA, 1)
    exchange.mx.run("postsuper", "-h", "ALL")
    exchange.mx.send([ANNA], BODY)
    assert comes(lambda: (hold.held(ANNA).messages, hold.held(ANNA).aside) == (1, 1))
    hold.replace(ANNA, hold.holding(before), before)
    hold.flush(ANNA, Side.SOURCE)
    assert waits_for(hold, ANNA, 0)
    assert hold.held(ANNA).aside == 1
    assert exchange.arrived(ANNA, Side.SOURCE) == 1


# reloads


def test_lanes_and_programs_share_reloads(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    before = exchange.reloads()
    people = [f"u{number:02d}@example.test" for number in range(24)]
    hold = exchange.hold()

    def put(address: str) -> None:
        mine = exchange.hold()
        mine.replace(address, mine.find(address), mine.holding({}))

    other = (
        "import json,sys\nfrom migrator.entries import open_connector\nfrom migrator.holds import HOLDS\n"
        "hold = open_connector(HOLDS, 'postfix', json.loads(sys.argv[1]))\n"
        "for one in sys.argv[2:]: hold.replace(one, hold.find(one), hold.holding({}))"
    )
    words = [sys.executable, "-c", other, json.dumps(exchange.mx.options("hold")), *people[20:22]]
    with subprocess.Popen(words) as program, ThreadPoolExecutor(20) as lanes:
        list(lanes.map(put, people[:20]))
        assert program.wait(60) == 0
    assert {hold.find(address)["hold"] for address in people[:22]} == {"parked:unix:/nonexistent"}
    assert 1 <= exchange.reloads() - before <= 6


def test_a_switch_while_mail_is_held_needs_no_reload(exchange: Exchange) -> None:
    exchange.put(exchange.hold(), ANNA)
    before = exchange.reloads()
    route = exchange.route()
    route.replace(ANNA, route.find(ANNA), {"route": exchange.target})
    assert exchange.reloads() == before
    route.replace(BERT, route.find(BERT), {"route": exchange.target})
    assert comes(lambda: exchange.reloads() == before + 1)


def test_a_route_alone_is_true_at_once_for_the_address_that_was_resolved_last(exchange: Exchange) -> None:
    exchange.mx.send([ANNA], BODY)
    assert exchange.brings(ANNA, Side.SOURCE, 1)
    route = exchange.route()
    route.replace(ANNA, route.find(ANNA), {"route": exchange.target})
    time.sleep(0.5)  # the old queue manager may go on for a moment
    exchange.mx.send([ANNA], BODY)
    assert exchange.brings(ANNA, Side.TARGET, 1)
    assert exchange.arrived(ANNA, Side.SOURCE) == 1


# when something is down


def test_what_a_killed_writer_left_is_no_table() -> None:
    with Exchange() as exchange:
        left = exchange.mx.dir / "tables/mailferry-hold.new"
        left.write_text(f"{ANNA} parked:unix:/nonexistent\n{BERT} par")
        left.with_name("mailferry-hold.new.db").write_bytes(b"\0" * 100)
        hold = exchange.hold()
        assert hold.find(ANNA) == {"hold": None}
        hold.replace(CLARA, {"hold": None}, hold.holding({}))
        assert (hold.find(ANNA), hold.find(CLARA)) == ({"hold": None}, hold.holding({}))


def test_a_table_that_is_not_there_is_an_error_and_nobody_is_taken_for_not_held() -> None:
    with Exchange() as exchange:
        (exchange.mx.dir / "tables/mailferry-hold.db").unlink()
        hold = exchange.hold()
        for attempt in (lambda: hold.find(ANNA), lambda: hold.replace(ANNA, {"hold": None}, hold.holding({}))):
            with pytest.raises(MigratorError) as refusal:
                attempt()
            assert refusal.value.code == "connector.invalid"
            assert "No such file" in (refusal.value.reply or "")


def test_while_the_database_is_down_mail_waits_and_nothing_is_returned(postgres: Postgres) -> None:
    with Exchange(postgres.url) as exchange:
        hold = exchange.hold()
        before = exchange.put(hold, ANNA)
        exchange.mx.send([ANNA], BODY)
        assert waits_for(hold, ANNA, 1)
        postgres.stop()
        try:
            exchange.mx.run("postqueue", "-f")
            with pytest.raises(MigratorError) as refusal:
                exchange.hold().find(ANNA)
            assert refusal.value.code == "directory.unreachable"
            with (
                smtplib.SMTP(HOST, exchange.mx.smtp, timeout=30) as line,
                pytest.raises(smtplib.SMTPRecipientsRefused) as refused,
            ):
                line.sendmail("outside@example.org", [BERT], BODY)
            assert refused.value.recipients[BERT][0] in (450, 451)
        finally:
            postgres.start()
        hold.replace(ANNA, hold.holding(before), before)
        hold.flush(ANNA, Side.SOURCE)
        assert exchange.brings(ANNA, Side.SOURCE, 1)
        assert "status=bounced" not in exchange.mx.log_text()


def test_a_postfix_that_is_restarted_holds_on(exchange: Exchange) -> None:
    hold = exchange.hold()
    before = exchange.put(hold, ANNA)
    exchange.mx.send([ANNA], BODY)
    assert waits_for(hold, ANNA, 1)
    exchange.mx.restart()
    exchange.mx.send([ANNA], BODY)
    assert waits_for(hold, ANNA, 2)
    assert exchange.arrived(ANNA, Side.SOURCE) == 0
    hold.replace(ANNA, hold.holding(before), before)
    hold.flush(ANNA, Side.SOURCE)
    assert exchange.brings(ANNA, Side.SOURCE, 2)


# before the night


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ("maximal_queue_lifetime = 4d", "hold.short_lived"),
        ("bounce_queue_lifetime = 1h", "hold.short_lived"),
        ("delay_warning_time = 4h", "hold.warns"),
        ("defer_transports =", "hold.not_parked"),
        ("defer_transports = parked\ntransport_maps = static:", "hold.not_asked"),
    ],
)
def test_a_postfix_that_would_not_keep_held_mail_is_told_before(settings: str, code: str) -> None:
    with Exchange(more=settings + "\n") as exchange:
        hold = exchange.hold()
        (found,) = hold.trouble()
        assert found.code == code
        assert settings.rpartition("\n")[2].partition(" =")[0] in found.reply


def test_the_queue_of_a_server_is_watched_until_it_is_empty() -> None:
    with Exchange() as exchange:
        queue = PostfixQueue(PostfixHost([str(exchange.mx.dir / "through")]))
        box = exchange.boxes[Side.SOURCE]
        box.judge = lambda number, message: "451 4.2.0 not now"
        for address in (ANNA, BERT):
            exchange.mx.send([address], BODY)
        assert comes(lambda: box.received == 2)
        assert comes(lambda: queue.count().messages == 2)
        assert time.time() - 60 < (queue.count().oldest or 0) <= time.time()
        box.judge = lambda number, message: None
        exchange.mx.run("postqueue", "-f")
        assert comes(lambda: queue.count() == type(queue.count())(0, None))


def _options(**more: Json) -> Mapping[str, Json]:
    return {"table": "hash", "hold_file": "/x/mailferry-hold", **more}


def _routed(**more: Json) -> Mapping[str, Json]:
    return {"table": "hash", "route_file": "/x/mailferry-route", **more}


@pytest.mark.parametrize(
    ("registry", "options", "words"),
    [
        (HOLDS, {"table": "hash", "hold_file": "mailferry"}, "full path"),
        (HOLDS, {"table": "hash", "hold_file": "/x/a, b"}, "blanks"),
        (HOLDS, _options(manner="bounced"), "parked, choked"),
        (HOLDS, _options(relation="x"), "no option of the name relation"),
        (HOLDS, {"table": "postgresql", "host": "x", "database": "x", "user": "x", "relation": "x; DROP"}, "table"),
        (ROUTES, _routed(target="discard:all"), "not a transport to a server"),
        (ROUTES, _routed(target="new.example.test"), "not a transport to a server"),
        (ROUTES, _routed(target="smtp:a b"), "not a transport to a server"),
        (ROUTES, _routed(target="smtp:[a]", source=["smtp:[a]"]), "same transport"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(registry: Any, options: Mapping[str, Json], words: str) -> None:
    with pytest.raises(MigratorError) as refusal:
        open_connector(registry, "postfix", options)
    assert words in (refusal.value.reply or "")
