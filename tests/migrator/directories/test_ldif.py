"""LDIF: what is written is what a reader of RFC 2849 gets back, whatever the values hold."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.directories.ldif import (
    LINE_OCTETS,
    Line,
    addition,
    attribute,
    comment,
    difference,
    modification,
    removal,
)

DN = "uid=joe,ou=people,o=acme.com"


def read(text: str) -> tuple[str, str]:
    """One line as RFC 2849 reads it: unfolded, and out of base64."""
    name, _, value = text.replace("\n ", "").partition(":")
    if value.startswith(":"):
        return name, base64.b64decode(value[1:].strip()).decode()
    return name, value.removeprefix(" ")


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_value_is_read_back_as_it_was_and_no_line_is_longer_than_76(value: str) -> None:
    text = attribute("description", value)
    assert text.isascii()
    assert all(len(line) <= LINE_OCTETS for line in text.split("\n"))
    assert all(line.startswith(" ") for line in text.split("\n")[1:])
    assert read(text) == ("description", value)


@pytest.mark.parametrize("value", [" blank", "blank ", ":colon", "<file:///etc/passwd", "ü", "a\nb: c", "a\rb", "\0"])
def test_what_could_be_read_as_something_else_is_in_base64(value: str) -> None:
    assert attribute("cn", value).startswith("cn:: ")


def test_a_change_takes_out_what_was_and_puts_in_what_comes() -> None:
    before = {"mailDeliveryOption": ["forward", "mailbox"], "mailHost": ["old.acme.com"]}
    after = {"mailDeliveryOption": ["hold"], "mailHost": ["old.acme.com"]}
    assert modification(DN, before, after) == (
        f"dn: {DN}\nchangetype: modify\n"
        "delete: mailDeliveryOption\nmailDeliveryOption: forward\nmailDeliveryOption: mailbox\n-\n"
        "add: mailDeliveryOption\nmailDeliveryOption: hold\n-\n\n"
    )


def test_a_value_that_was_absent_is_only_put_in_and_only_taken_out_again() -> None:
    absent, there = {"emailPersonStatus": []}, {"emailPersonStatus": ["inactive"]}
    assert "delete" not in modification(DN, absent, there).replace("changetype: modify", "")
    assert "add" not in modification(DN, there, absent)


def test_no_change_is_no_record() -> None:
    assert modification(DN, {"mailHost": ["x"]}, {"mailHost": ["x"]}) == ""


def test_entries_come_and_go() -> None:
    assert addition(DN, {"objectClass": ["top", "person"], "cn": ["Joe"]}) == (
        f"dn: {DN}\nchangetype: add\nobjectClass: top\nobjectClass: person\ncn: Joe\n\n"
    )
    assert removal(DN) == f"dn: {DN}\nchangetype: delete\n\n"


def test_a_difference_names_what_goes_what_stays_and_what_comes() -> None:
    assert difference({"mailDeliveryOption": ["forward", "mailbox"]}, {"mailDeliveryOption": ["hold", "mailbox"]}) == [
        Line("-", "mailDeliveryOption", "forward"),
        Line("", "mailDeliveryOption", "mailbox"),
        Line("+", "mailDeliveryOption", "hold"),
    ]
    assert difference({}, {"cn": ["Joe"]}) == [Line("+", "cn", "Joe")]


@given(st.text())
def test_a_comment_is_never_more_than_a_comment(text: str) -> None:
    written = comment(text)
    assert written.isascii()
    assert all(line.startswith("# ") and len(line) <= LINE_OCTETS for line in written.split("\n") if text)
