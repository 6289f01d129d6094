"""Names of servers: fully qualified, told apart, in whatever spelling."""

from __future__ import annotations

import pytest

from migrator.entries import Json
from migrator.errors import Side
from migrator.options import Options
from migrator.routes.hosts import Hosts


def hosts(source: Json = "old.example.test", target: Json = "new.example.test") -> Hosts:
    return Hosts.of(Options({"source": source, "target": target}))


@pytest.mark.parametrize(
    ("value", "side"),
    [
        ("old.example.test", Side.SOURCE),
        ("OLD.Example.test.", Side.SOURCE),
        (" new.example.test ", Side.TARGET),
        ("mail.old.example.test", Side.SOURCE),
        ("third.example.test", None),
        ("", None),
        (None, None),
        (5, None),
    ],
)
def test_a_name_means_its_side(value: Json, side: Side | None) -> None:
    assert hosts(["old.example.test", "mail.old.example.test"]).side(value) is side


def test_the_first_name_is_the_one_that_is_written() -> None:
    several = hosts(["old.example.test", "mail.old.example.test"])
    assert (several.name(Side.SOURCE), several.name(Side.TARGET)) == ("old.example.test", "new.example.test")


@pytest.mark.req("S-102")
@pytest.mark.parametrize(
    "name",
    [
        "new",
        "new..example.test",
        "-new.example.test",
        "new_.example.test",
        "10.0.0.1",
        "new.example.test:993",
        "ä.test",
        "a" * 64 + ".test",
        "imap://new.example.test",
        "a b.test",
    ],
)
def test_a_name_that_is_not_fully_qualified_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="fully qualified"):
        hosts(target=name)


def test_the_two_servers_have_different_names() -> None:
    with pytest.raises(ValueError, match="same name"):
        hosts(["a.test", "b.test"], "B.test.")
