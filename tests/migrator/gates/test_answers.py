"""Who is asked for goes to their server, is told to come later, or is nobody; in doubt it is later."""

from __future__ import annotations

from typing import Any

import pytest

from migrator.entries import Json
from migrator.gates import export
from migrator.gates.answers import MOVING, NOT_SERVED, UNSURE, nexthop, sign_in
from migrator.gates.front import Door, Front, People
from migrator.gates.table import Row
from migrator.options import Options

OPTIONS: dict[str, Json] = {
    "domains": ["Example.test", "example.net"],
    "source": ["old.example.test", "imap.example.test"],
    "target": "new.example.test",
    "source_doors": ["imap 192.0.2.1:143", "pop3  192.0.2.1:110", "smtp 192.0.2.9:587"],
    "target_doors": "imap [2001:db8::1]:1143",
    "target_nexthop": "lmtp:inet:192.0.2.7:24",
}


def front(**more: Json) -> Front:
    options = Options(OPTIONS | more)
    found = Front.of(options)
    options.end()
    return found


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("anna@example.test", "anna@example.test"),
        ("Anna@EXAMPLE.net", "anna@example.net"),
        ("anna", "anna@example.test"),
        ("anna@example.test*admin", "anna@example.test"),
        ("anna@bert@example.test", "anna@bert@example.test"),
        ("anna@elsewhere.test", None),
        ("@example.test", None),
        ("*admin", None),
        ("", None),
        ("anna bert", None),
        ("anna\r\nbert@example.test", None),
        ("a" * 321, None),
    ],
)
def test_everybody_has_one_name_however_it_is_typed(name: str, key: str | None) -> None:
    assert front().people.key(name) == key


@pytest.mark.parametrize(
    ("row", "protocol", "answer"),
    [
        (Row(), "imap", Door("192.0.2.1", 143)),
        (Row("IMAP.example.test."), "pop3", Door("192.0.2.1", 110)),
        (Row("new.example.test"), "imap", Door("2001:db8::1", 1143)),
        (Row("new.example.test"), "pop3", NOT_SERVED),
        (Row("third.example.test"), "imap", UNSURE),
        (Row("new.example.test", ("reading",)), "imap", MOVING),
        (Row(None, ("reading",)), "pop3", MOVING),
        (Row(None, ("reading", "sending")), "smtp", MOVING),
        (Row(None, ("sending",)), "imap", Door("192.0.2.1", 143)),
    ],
)
def test_a_row_says_where_somebody_goes(row: Row, protocol: str, answer: object) -> None:
    assert sign_in(front(), row, protocol) == answer


@pytest.mark.req("S-123")
def test_who_may_not_read_may_still_send() -> None:
    row = Row(None, ("reading",))
    assert [sign_in(front(), row, protocol) for protocol in ("imap", "pop3")] == [MOVING, MOVING]
    assert sign_in(front(), row, "smtp") == Door("192.0.2.9", 587)


def test_mail_goes_where_the_row_says_and_nowhere_in_doubt() -> None:
    assert nexthop(front(), Row()) == ""
    assert nexthop(front(), Row("new.example.test")) == "lmtp:inet:192.0.2.7:24"
    assert nexthop(front(), Row("third.example.test")) is UNSURE


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"gate": "Front 1"}, "gate must be"),
        ({"domains": "exa mple"}, "which is no domain"),
        ({"source_doors": "imap mail.example.test:143"}, "numeric address"),
        ({"source_doors": "imap 192.0.2.1:99999"}, "numeric address"),
        ({"source_doors": "imap 192.0.2.999:143"}, "numeric address"),
        ({"target_doors": "ldap 192.0.2.1:389"}, "numeric address"),
        ({"target_nexthop": "lmtp inet"}, "transport table"),
        ({"source": "old"}, "fully qualified"),
        ({"x": 1}, "no option of the name x"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(more: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        front(**more)


ROWS = [
    ("anna@example.test", Row("new.example.test")),
    ("bert@example.net", Row("new.example.test", ("reading",))),
    ("cleo@example.test", Row("old.example.test")),
    ("doro@example.test", Row("third.example.test")),
    ("odd$name@example.test", Row("new.example.test")),
    ("old@gone.test", Row("new.example.test")),
]


def test_the_routes_of_nginx_hold_who_goes_another_way() -> None:
    told = export.nginx([front()], ROWS)
    for line in (
        "Names that cannot be written here: 2.",
        '  default "0-source";',
        '  "\\\\anna@example.test" "0-target";',
        '  "\\\\anna" "0-target";',
        '  "\\\\bert@example.net" "0-target-reading";',
        '  "\\\\doro@example.test" "0-unsure";',
        '  "~*@example\\.net$" "0-source";',
        '  "0-source:imap" "192.0.2.1";',
        '  "0-target:imap" "1143";',
    ):
        assert line in told
    for word in ("cleo", "odd", "gone", '"\\\\bert"', "0-target-reading:imap", "0-unsure:"):
        assert word not in told


def test_the_routes_of_postfix_hold_who_is_elsewhere() -> None:
    rows = [*ROWS, ("two words@example.test", Row("new.example.test"))]
    assert export.postfix([front()], rows) == (
        "anna@example.test lmtp:inet:192.0.2.7:24\nbert@example.net lmtp:inet:192.0.2.7:24\n"
        "odd$name@example.test lmtp:inet:192.0.2.7:24\n"
    )
    assert isinstance(front().people, People)
