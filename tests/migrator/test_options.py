"""Options are read by name and type, and what is not understood is refused with a sentence."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from migrator.entries import Json
from migrator.options import Options


def test_options_are_what_was_given() -> None:
    given = Options({"a": "x", "b": ["y", "z"], "c": "w", "d": 1.5, "e": 993, "f": True, "g": "ldap", "h": 0, "i": [1]})
    assert (given.text("a"), given.texts("b"), given.texts("c")) == ("x", ("y", "z"), ("w",))
    assert (given.seconds("d", 9), given.port("e", 1), given.flag("f", False)) == (1.5, 993, True)
    assert (given.choice("g", ["ldap", "sql"]), given.scalar("h", 5), given.scalars("i", [2])) == ("ldap", 0, (1,))
    given.end()


def test_a_text_may_have_lines_as_browsers_send_them() -> None:
    assert Options({"a": "SELECT x\r\nFROM y\tz"}).text("a") == "SELECT x\nFROM y\tz"


def test_what_is_not_given_has_its_default() -> None:
    given = Options({"a": None})
    assert (given.text("a", "x"), given.texts("b", ["y"]), given.texts("c", [])) == ("x", ("y",), ())
    assert (given.seconds("d", 9), given.port("e", 1), given.flag("f", False)) == (9.0, 1, False)
    assert (given.scalar("h"), given.scalars("i", [2]), given.text("j", "")) == (None, (2,), "")


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (lambda given: given.text("x"), None),
        (lambda given: given.text("x"), " "),
        (lambda given: given.text("x"), 5),
        (lambda given: given.text("x"), "a\0b"),
        (lambda given: given.text("x"), "a\rb"),
        (lambda given: given.text("x", ""), "  "),
        (lambda given: given.texts("x"), None),
        (lambda given: given.texts("x"), []),
        (lambda given: given.texts("x"), ["a", 5]),
        (lambda given: given.texts("x"), ["a", ""]),
        (lambda given: given.texts("x"), {"a": "b"}),
        (lambda given: given.seconds("x", 1), 0),
        (lambda given: given.seconds("x", 1), -1),
        (lambda given: given.seconds("x", 1), True),
        (lambda given: given.seconds("x", 1), "5"),
        (lambda given: given.seconds("x", 1), float("nan")),
        (lambda given: given.seconds("x", 1), 3600),
        (lambda given: given.port("x", 1), 0),
        (lambda given: given.port("x", 1), 65536),
        (lambda given: given.port("x", 1), True),
        (lambda given: given.flag("x", True), "no"),
        (lambda given: given.choice("x", ["a", "b"]), "c"),
        (lambda given: given.scalar("x"), ["a"]),
        (lambda given: given.scalars("x", []), [["a"]]),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_name(read: Callable[[Options], object], value: Json) -> None:
    with pytest.raises(ValueError, match=r"The option x .*\."):
        read(Options({"x": value}))


def test_a_name_that_nothing_reads_is_refused() -> None:
    given = Options({"starttls": True, "startls": False})
    given.flag("starttls", True)
    with pytest.raises(ValueError, match="no option of the name startls"):
        given.end()
