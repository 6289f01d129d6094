"""What of holds in LDAP needs no directory: what is decided, and what is refused at once."""

from __future__ import annotations

import pytest

from migrator.entries import Json
from migrator.holds.ldap import LdapHold
from migrator.secret import Secret

LINE: dict[str, Json] = {"uris": ["ldap://one.example.test"], "bind_dn": "cn=migrator", "base": "o=example"}


def hold(**more: Json) -> LdapHold:
    return LdapHold.of({**LINE, "program": ["true"], **more}, Secret("x"))


@pytest.mark.parametrize("before", [[], ["mailbox"], ["autoreply", "forward", "mailbox"], ["hold", "mailbox"]])
def test_hold_stands_alone_while_mail_is_held(before: list[Json]) -> None:
    assert hold().holding({"mailDeliveryOption": before}) == {"mailDeliveryOption": ["hold"]}


def test_who_is_held_already_stays_as_written() -> None:
    assert hold().holding({"mailDeliveryOption": ["Hold"]}) == {"mailDeliveryOption": ["Hold"]}


def test_another_attribute_and_value_may_hold() -> None:
    by_status = hold(attribute="mailUserStatus", value="hold")
    assert by_status.holding({"mailUserStatus": ["active"]}) == {"mailUserStatus": ["hold"]}


def test_a_postfix_needs_no_program_and_opens_no_line() -> None:
    LdapHold.of({**LINE, "server": "postfix", "schema": "iplanet"}, Secret("x")).close()


@pytest.mark.parametrize(
    "wrong",
    [
        {"program": None},
        {"server": "exim"},
        {"server": "postfix"},
        {"attribute": "a b"},
        {"value": " "},
        {"flush": "x"},
    ],
)
def test_options_that_cannot_be_meant_are_refused_with_a_sentence(wrong: dict[str, Json]) -> None:
    with pytest.raises(ValueError, match=r"\.$"):
        hold(**wrong)
