"""Mail held by a real Exim before two servers: by the program and the configuration that the engine's README gives.

The panel finds the program in the folder of its host, by name, as it does an operator's.
"""

from __future__ import annotations

import re
import smtplib
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from campaigns.bridge import host_files
from migrator.entries import Values, open_connector
from migrator.errors import MigratorError, Side
from migrator.holds import HOLDS
from tests.contracts.entries import ANNA, BERT, CLARA
from tests.contracts.hold import HoldContract, PostOffice, settles, waits_for
from tests.live.test_postfix import comes
from tests.rigs.base import HOST
from tests.rigs.exim import Exim
from tests.rigs.postbox import Postbox

LIST = "all@example.test"
BODY = b"Subject: x\r\n\r\nx\r\n"
PEOPLE = ("anna", "bert", "clara", "dora", "-d")


class Office:
    """An Exim and the two servers behind it, which keep what they are given; the programs of the panel's host."""

    def __init__(self, folder: Path, more: str = "") -> None:
        self.boxes = {side: Postbox(is_local=True) for side in Side}
        self.servers = {side: box.server() for side, box in self.boxes.items()}
        self.folder, self._more = folder, more

    def __enter__(self) -> Office:
        for server in self.servers.values():
            server.__enter__()
        ports = [self.servers[side].port for side in (Side.SOURCE, Side.TARGET)]
        self.mx = Exim(
            *ports, PEOPLE, aliases={"all": "anna, bert", "post": "anna", "deep": "all, clara"}, more=self._more
        )
        self.mx.__enter__()
        self.folder.chmod(0o755)
        subprocess.run([self.mx.install(self.folder), "check"], check=True)  # which makes the file
        return self

    def __exit__(self, *error: Any) -> None:
        self.mx.__exit__(*error)
        for server in self.servers.values():
            server.__exit__(*error)

    def clear(self) -> None:
        for box in self.boxes.values():
            box.judge = lambda number, message: None
        self.mx.clear()
        for box in self.boxes.values():
            box.mail.clear()
            box.received = 0

    def hold(self, **more: Any) -> Any:
        """Open the hold by the name of its program."""
        return open_connector(HOLDS, "command", host_files.resolved({"program": {"program": "exim-hold"}, **more}))

    def put(self, hold: Any, address: str) -> Values:
        """Hold mail for ``address``, and return what was there before."""
        before: Values = hold.find(address)
        hold.replace(address, before, hold.holding(before))
        assert settles(hold, address)
        return before

    def arrived(self, address: str, side: Side) -> int:
        """How many messages for ``address`` the server of ``side`` has got."""
        return sum(f"<{address}>".encode() in recipient for _, recipient, _ in self.boxes[side].mail)

    def brings(self, address: str, side: Side, messages: int) -> bool:
        """Tell whether so many messages come to arrive."""
        return comes(lambda: self.arrived(address, side) == messages)

    def meddle(self, address: str) -> None:
        """Write into the file as somebody else would."""
        self.mx.held.write_text(f"mailferry@invalid: held\n{address}: on holiday\n")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with Office(tmp_path_factory.mktemp("programs")) as found:
        yield found


@pytest.fixture
def office(shared: Office, settings: Any) -> Iterator[Office]:
    settings.PROGRAMS = shared.folder
    yield shared
    shared.clear()


class TestHold(HoldContract):
    @pytest.fixture
    def place(self, office: Office) -> PostOffice:
        self._office = office
        return PostOffice(
            office.hold, office.meddle, lambda address, body: office.mx.send([address], body), office.arrived
        )

    def release(self, place: PostOffice, address: str, held: Values, before: Values, side: Side) -> None:
        if side is Side.TARGET:
            self._office.mx.move(address)  # the route says where released mail flows
        super().release(place, address, held, before, side)


@pytest.mark.req("S-124")
def test_what_was_held_comes_to_the_new_server_whole_in_its_order_and_nothing_is_returned(office: Office) -> None:
    logged = len(office.mx.log_text())
    hold = office.hold()
    before = office.put(hold, ANNA)
    begun = time.time()
    bodies = [b"Subject: %d\r\n\r\n%d\r\n" % (number, number) for number in range(12)]
    for body in bodies:
        office.mx.send([ANNA, BERT], body)
    assert waits_for(hold, ANNA, len(bodies))
    assert begun - 1 <= hold.held(ANNA).oldest <= time.time()
    assert office.brings(BERT, Side.SOURCE, len(bodies))
    assert office.arrived(ANNA, Side.SOURCE) == hold.held(BERT).messages == 0
    office.mx.move(ANNA)
    hold.replace(ANNA, hold.holding(before), before)
    assert settles(hold, ANNA)
    hold.flush(ANNA, Side.TARGET)
    assert hold.held(ANNA).messages == 0
    got = [message[message.index(b"\r\n\r\n") :] for _, _, message in office.boxes[Side.TARGET].mail]
    assert got == [body[body.index(b"\r\n\r\n") :] for body in bodies]
    office.mx.send([ANNA], BODY)  # what comes later is neither held nor late
    assert office.brings(ANNA, Side.TARGET, len(bodies) + 1)
    assert office.arrived(ANNA, Side.SOURCE) == 0
    assert comes(lambda: not office.mx.run("-bp").strip())
    assert not re.search(r" \*\* |rejected|<= <>|retry timeout", office.mx.log_text()[logged:])


def test_only_the_held_recipient_waits_however_the_mail_came(office: Office) -> None:
    hold = office.hold()
    office.put(hold, ANNA)
    for recipients in ([ANNA], [ANNA, BERT], [LIST], ["Anna+news@example.test"], ["deep@example.test"]):
        office.mx.send(recipients, BODY)
    assert waits_for(hold, ANNA, 5)
    assert office.brings(BERT, Side.SOURCE, 3)
    assert office.brings(CLARA, Side.SOURCE, 1)
    assert office.arrived(ANNA, Side.SOURCE) == 0
    assert hold.held(BERT).messages == 0


def test_a_name_with_a_capital_d_is_counted_like_any_other(office: Office) -> None:
    """The queue's listing marks with a D whom a message has reached."""
    hold = office.hold()
    office.put(hold, "dora@example.test")
    office.mx.send(["Dora@example.test"], BODY)
    office.mx.send(["dora@example.test"], BODY)
    assert waits_for(hold, "dora@example.test", 2)


def test_nobody_is_told_that_an_address_with_an_extension_is_held(office: Office) -> None:
    """The router takes the extension off: an entry with one would hold nothing."""
    with pytest.raises(MigratorError, match=r"only anna@example\.test can be held"):
        office.hold().find("anna+news@example.test")
    with pytest.raises(MigratorError, match=r"only anna@example\.test can be held"):
        office.hold().replace("anna+news@example.test", {"state": "free"}, {"state": "held"})


def test_mail_to_one_extension_waits_though_that_to_another_in_the_same_message_has_arrived(office: Office) -> None:
    box = office.boxes[Side.SOURCE]
    box.judge = lambda number, message: "451 4.2.0 not now" if number == 2 else None
    office.mx.send(["anna+a@example.test", "anna+b@example.test"], BODY)
    assert comes(lambda: box.received == 2)
    assert comes(lambda: re.search(r"^ +D anna\+.@", office.mx.run("-bpa"), re.MULTILINE) is not None)
    assert office.hold().held(ANNA).messages == 1


def test_a_recipient_that_looks_like_an_option_hides_nobodys_mail(office: Office) -> None:
    office.boxes[Side.SOURCE].judge = lambda number, message: "451 4.2.0 not now"
    office.mx.send(["-d@example.test"], BODY)
    office.mx.send([LIST], BODY)
    assert waits_for(office.hold(), ANNA, 1)


@pytest.mark.req("S-124")
def test_a_release_that_is_ended_for_want_of_time_doubles_nothing(office: Office) -> None:
    hold = office.hold(seconds=3)
    before = office.put(hold, ANNA)
    office.mx.send([ANNA], BODY)
    assert waits_for(hold, ANNA, 1)
    go_on = threading.Event()
    box = office.boxes[Side.TARGET]
    box.judge = lambda number, message: None if go_on.wait(30) else "451 4.2.0 nobody let it go on"
    office.mx.move(ANNA)
    hold.replace(ANNA, hold.holding(before), before)
    with pytest.raises(MigratorError, match=r"command\.slow"):
        hold.flush(ANNA, Side.TARGET)
    assert box.received == 1
    go_on.set()
    assert waits_for(hold, ANNA, 0)
    hold.flush(ANNA, Side.TARGET)
    assert office.arrived(ANNA, Side.TARGET) == box.received == 1


def test_a_sender_whose_recipient_is_verified_is_not_sent_away(office: Office) -> None:
    office.put(office.hold(), ANNA)
    with smtplib.SMTP(HOST, office.mx.smtp, timeout=30) as line:
        line.ehlo()
        line.mail("outside@example.org")
        assert line.rcpt(ANNA)[0] == 250
        assert line.rcpt("nobody@example.test")[0] == 550


def test_mail_that_was_in_the_queue_before_is_held_too_and_no_run_of_the_queue_gets_it_out(office: Office) -> None:
    office.boxes[Side.SOURCE].judge = lambda number, message: "451 4.2.0 not now"
    office.mx.send([ANNA], BODY)
    hold = office.hold()
    assert comes(lambda: office.boxes[Side.SOURCE].received == 1)
    assert waits_for(hold, ANNA, 1)
    before = office.put(hold, ANNA)
    office.boxes[Side.SOURCE].judge = lambda number, message: None
    office.mx.run("-qff")
    assert hold.held(ANNA).messages == 1
    assert office.arrived(ANNA, Side.SOURCE) == 0
    office.mx.move(ANNA)
    hold.replace(ANNA, hold.holding(before), before)
    hold.flush(ANNA, Side.TARGET)
    assert office.brings(ANNA, Side.TARGET, 1)
    assert waits_for(hold, ANNA, 0)


def test_a_hold_settles_when_a_delivery_that_had_begun_is_over(office: Office) -> None:
    go_on = threading.Event()
    box = office.boxes[Side.SOURCE]
    box.judge = lambda number, message: None if go_on.wait(30) else "451 4.2.0 nobody let it go on"
    office.mx.send(["post@example.test"], BODY)  # on its way by an alias
    assert comes(lambda: box.received == 1)
    hold = office.hold()
    before = hold.find(ANNA)
    hold.replace(ANNA, before, hold.holding(before))
    for _ in range(3):
        assert not hold.is_settled(ANNA)
    assert hold.is_settled(CLARA)
    go_on.set()
    assert settles(hold, ANNA)
    assert hold.held(ANNA).messages == 0
    assert office.arrived(ANNA, Side.SOURCE) == 1


def test_a_frozen_message_is_counted_beside_and_no_release_sends_it(office: Office) -> None:
    hold = office.hold()
    before = office.put(hold, ANNA)
    office.mx.send([ANNA], BODY)
    assert waits_for(hold, ANNA, 1)
    name = office.mx.run("-bp").split()[2]
    assert comes(lambda: "is now frozen" in office.mx.run("-Mf", name))  # as soon as no delivery has it
    office.mx.send([ANNA], BODY)
    assert waits_for(hold, ANNA, 1)
    assert hold.held(ANNA).aside == 1
    hold.replace(ANNA, hold.holding(before), before)
    hold.flush(ANNA, Side.SOURCE)
    assert (hold.held(ANNA).messages, hold.held(ANNA).aside) == (0, 1)
    assert office.arrived(ANNA, Side.SOURCE) == 1


def test_many_lanes_hold_at_once_and_each_is_written_down(office: Office) -> None:
    people = [f"u{number:02d}@example.test" for number in range(16)]
    with ThreadPoolExecutor(8) as lanes:
        list(lanes.map(lambda address: office.hold()._ask("hold", address), people))
    kept = office.mx.held.read_text()
    assert all(f"{address}: held\n" in kept for address in people)


def test_an_exim_that_is_restarted_holds_on(office: Office) -> None:
    hold = office.hold()
    office.put(hold, ANNA)
    office.mx.send([ANNA], BODY)
    assert waits_for(hold, ANNA, 1)
    office.mx.restart()
    office.mx.send([ANNA], BODY)
    assert waits_for(hold, ANNA, 2)
    assert office.arrived(ANNA, Side.SOURCE) == 0


@pytest.mark.parametrize(
    ("lack", "instead", "told"),
    [
        ("delay_warning =", "delay_warning = 4h", "Senders are told of a delay: delay_warning = 4h"),
        ("F,60d,15m", "F,4d,15m", "go on for 5 days at least"),
        ("  allow_defer", "  allow_defer\n  condition = false", "is not there or not the first"),
    ],
)
def test_an_exim_that_would_not_keep_held_mail_is_told_before(
    office: Office, lack: str, instead: str, told: str
) -> None:
    config = office.mx.dir / "exim.conf"
    whole = config.read_text()
    assert lack in whole
    config.write_text(whole.replace(lack, instead))
    try:
        (found,) = office.hold().trouble()
    finally:
        config.write_text(whole)
    assert found.code == "hold.unfit"
    assert told in found.reply
