"""Mail held by an attribute in a real OpenLDAP, which a real Postfix reads, before two servers."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import pytest

from migrator.entries import Json, Values, open_connector
from migrator.errors import Side
from migrator.holds import HOLDS
from migrator.holds.base import HeldMail, MailHold
from migrator.routes import ROUTES
from tests.contracts.entries import ANNA, BERT, CLARA
from tests.contracts.hold import HoldContract, PostOffice, settles, waits_for
from tests.rigs.base import HOST
from tests.rigs.panel import eventually
from tests.rigs.postbox import Postbox
from tests.rigs.postfix import Exchanger
from tests.rigs.slapd import PEOPLE, Slapd, group, person, secret

LIST = "all@example.test"
ANNAS, LISTS = f"uid=anna,{PEOPLE}", f"cn=all,{PEOPLE}"
BODY = b"Subject: x\r\n\r\nx\r\n"
OLD, NEW = "old.example.test", "new.example.test"
AS_BEFORE = ["autoreply", "forward", "mailbox"]
# Tables as migrator/README.md tells of them
_TABLE = """\
server_host = {uri}
version = 3
search_base = {base}
bind = no
domain = example.test
query_filter = (&(mail=%s)({attribute}={value}))
result_attribute = {attribute}
result_format = {transport}
"""


# counts one message, has it settled, and notes what it was asked
PROGRAM = """
import json, sys
with open(sys.argv[1], "a") as note:
    note.write(json.dumps(sys.argv[2:]) + "\\n")
print({"count": "1 1732800000", "settled": "yes"}.get(sys.argv[2], ""), end="")
"""


class Exchange:
    """A Postfix whose tables are in ``slapd``, and the two servers behind it, which keep what they are given."""

    def __init__(self, slapd: Slapd) -> None:
        self.slapd = slapd
        self.boxes = {side: Postbox(is_local=True) for side in Side}
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        ports = {side: self._stack.enter_context(box.server()).port for side, box in self.boxes.items()}
        source, target = (f"lmtp:inet:{HOST}:{ports[side]}" for side in Side)
        tables = [
            self._table("hold", "mailDeliveryOption", "hold", "parked:unix:/nonexistent"),
            self._table("route", "mailHost", NEW, target),
        ]
        more = f"transport_maps = {', '.join(tables)}\n"
        self.mx = self._stack.enter_context(Exchanger(source, aliases={"all": ["anna", "bert"]}, more=more))
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def open(self, registry: Any, **more: Json) -> Any:
        connector = open_connector(registry, "ldap", self.slapd.options(**more), secret())
        self._stack.callback(connector.close)
        return connector

    def hold(self) -> MailHold:
        opened: MailHold = self.open(HOLDS, schema="sims", server="postfix", through=[str(self.mx.dir / "through")])
        return opened

    def route(self) -> Any:
        return self.open(ROUTES, schema="sims", source=OLD, target=NEW)

    def arrived(self, address: str, side: Side) -> int:
        """How many messages for ``address`` the server of ``side`` has got."""
        return sum(f"<{address}>".encode() in recipient for _, recipient, _ in self.boxes[side].mail)

    def brings(self, address: str, side: Side, messages: int) -> None:
        """Wait until so many messages have arrived."""
        eventually(lambda: self.arrived(address, side) == messages, self.mx.last_words, 30)

    def put(self, hold: MailHold, addresses: Sequence[str]) -> dict[str, Values]:
        """Hold mail for ``addresses``, and return what was there before."""
        found = {address: hold.find(address) or {} for address in addresses}
        for address, before in found.items():
            hold.replace(address, before, hold.holding(before))
            assert settles(hold, address)
        return found

    def _table(self, name: str, attribute: str, value: str, transport: str) -> str:
        file = self.slapd.dir / f"{name}.cf"
        file.write_text(
            _TABLE.format(uri=self.slapd.uri, base=PEOPLE, attribute=attribute, value=value, transport=transport)
        )
        return f"ldap:{file}"


@pytest.fixture(scope="module")
def exchange() -> Iterator[Exchange]:
    people = [person(address, mailHost=OLD, mailDeliveryOption=AS_BEFORE) for address in (ANNA, BERT, CLARA)]
    everybody = group(LIST, ["anna", "bert"], mailHost=OLD, mailDeliveryOption=["file", "members"])
    with Slapd([*people, everybody]) as slapd, Exchange(slapd) as made:
        yield made


@pytest.fixture
def clean(exchange: Exchange) -> Exchange:
    """Nobody is held, nothing waits, and nothing has arrived."""
    for name in ("anna", "bert", "clara"):
        exchange.slapd.change(f"uid={name},{PEOPLE}", mailHost=OLD, mailDeliveryOption=AS_BEFORE)
    exchange.mx.run("postfix", "reload")
    exchange.mx.run("postsuper", "-d", "ALL")
    for box in exchange.boxes.values():
        box.mail.clear()
    return exchange


class TestLdapAndPostfix(HoldContract):
    @pytest.fixture
    def place(self, clean: Exchange) -> PostOffice:
        def deliver(address: str, body: bytes) -> None:
            clean.mx.send([address], body)

        return PostOffice(
            clean.hold,
            lambda address: clean.slapd.change(f"uid={address.partition('@')[0]},{PEOPLE}", mailDeliveryOption="file"),
            deliver,
            clean.arrived,
        )

    def release(self, place: PostOffice, address: str, held: Values, before: Values, side: Side) -> None:
        if side is Side.TARGET:
            self.switch(address)
        super().release(place, address, held, before, side)

    @pytest.fixture(autouse=True)
    def _switch(self, clean: Exchange) -> None:
        self.switch: Callable[[str], None] = lambda address: clean.slapd.change(
            f"uid={address.partition('@')[0]},{PEOPLE}", mailHost=NEW
        )


@pytest.mark.req("S-130", "S-133")
def test_people_and_groups_are_held_without_a_bounce_and_get_back_all_their_ways_of_delivery(clean: Exchange) -> None:
    hold, route = clean.hold(), clean.route()
    whole = {dn: clean.slapd.read(dn) for dn in (ANNAS, LISTS)}
    before = clean.put(hold, [ANNA, LIST])
    assert clean.slapd.read(LISTS, "mailDeliveryOption") == ["mailDeliveryOption: hold"]
    clean.mx.send([LIST], BODY)
    clean.mx.send([ANNA, BERT], BODY)
    assert waits_for(hold, ANNA, 2)
    clean.brings(BERT, Side.SOURCE, 2)
    assert clean.arrived(ANNA, Side.SOURCE) == 0
    for address in (ANNA, LIST):
        found = route.find(address)
        route.replace(address, found, route.routed(found, Side.TARGET))
    for address, saved in before.items():
        hold.replace(address, hold.holding(saved), saved)
        assert settles(hold, address)
        hold.flush(address, Side.TARGET)
    clean.brings(ANNA, Side.TARGET, 2)
    assert waits_for(hold, ANNA, 0)
    for dn, lines in whole.items():
        assert clean.slapd.read(dn) == sorted(line.replace(OLD, NEW) for line in lines)
    assert "status=bounced" not in clean.mx.log_text()
    clean.slapd.change(LISTS, mailHost=OLD)


def test_all_addresses_of_a_person_are_held_and_released_by_whatever_name_they_sign_in(clean: Exchange) -> None:
    hold, other = clean.hold(), "a.ahn@example.test"
    clean.slapd.change(ANNAS, mail=[ANNA, other])
    reloads = clean.mx.log_text().count("reload --")
    before = clean.put(hold, ["anna"])
    assert clean.mx.log_text().count("reload --") == reloads + 1
    clean.mx.send([ANNA], BODY)
    clean.mx.send([other], BODY)
    assert waits_for(hold, "anna", 2)
    assert hold.held(ANNA).oldest
    assert hold.held_of(["anna", BERT, "nobody at all"]) == {"anna": hold.held("anna"), BERT: hold.held(BERT)}
    hold.replace("anna", hold.holding(before["anna"]), before["anna"])
    assert settles(hold, "anna")
    hold.flush("anna", Side.SOURCE)
    clean.brings(ANNA, Side.SOURCE, 1)
    clean.brings(other, Side.SOURCE, 1)
    assert waits_for(hold, "anna", 0)
    clean.slapd.change(ANNAS, mail=ANNA)


def test_of_another_server_a_program_tells_what_waits(clean: Exchange, tmp_path: Path) -> None:
    note = tmp_path / "note"
    hold = clean.open(HOLDS, schema="sims", program=[sys.executable, "-c", PROGRAM, str(note)])
    before = clean.put(hold, [ANNA])[ANNA]
    assert hold.held(ANNA) == HeldMail(1, 1732800000.0)
    assert hold.held_of([ANNA]) == {}  # each is asked about alone
    hold.replace(ANNA, hold.holding(before), before)
    hold.flush(ANNA, Side.TARGET)
    assert list(hold.trouble()) == []
    asked = list(map(json.loads, note.read_text().splitlines()))
    assert asked == [["settled", ANNA], ["count", ANNA], ["flush", ANNA, "target"], ["check"]]
