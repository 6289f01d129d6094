"""What of LDAP needs no server: filters, names, and options that are refused before any line is opened."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ldap3.operation.search import compile_filter, parse_filter

from migrator.directories import DIRECTORIES
from migrator.directories.ldap_entries import checked_attribute
from migrator.directories.ldap_line import checked_filter, escaped, filled_filter
from migrator.entries import Json, open_connector
from migrator.errors import MigratorError
from migrator.routes import ROUTES
from migrator.secret import Secret

GOOD: dict[str, Json] = {
    "uris": ["ldap://one.example.test", "ldaps://two.example.test:1636/"],
    "bind_dn": "cn=migrator",
    "base": "o=example",
    "status": "emailPersonStatus",
}
ROUTE = {key: value for key, value in GOOD.items() if key != "status"}


def asserted(filter_text: str) -> bytes:
    """The value that a server is asked for by an equality filter, as ldap3 sends it."""
    parsed = parse_filter(filter_text, None, False, None, None, False).elements[0]
    return bytes(compile_filter(parsed)["equalityMatch"]["assertionValue"])


@given(st.text(min_size=1))
def test_whatever_a_name_holds_it_is_asked_for_as_it_is(name: str) -> None:
    name = name.encode("utf-8", "ignore").decode() or "x"
    assert asserted(f"(mail={escaped(name)})") == name.encode()


def test_a_filter_is_filled_with_names_and_they_stay_names() -> None:
    names = {"address": "a*(x)\\{local}@b", "local": "a*(x)\\{local}", "domain": "b"}
    filled = filled_filter("(&(mail={address})(uid={local})(o={domain}))", names)
    assert filled == r"(&(mail=a\2a\28x\29\5c\7blocal\7d@b)(uid=a\2a\28x\29\5c\7blocal\7d)(o=b))"


@pytest.mark.parametrize(
    "template", ["(mail={address})", "(|(mail={address})(rfc822Mailbox={address}))", "(uid={local})"]
)
def test_a_filter_that_names_one_user_is_taken(template: str) -> None:
    assert checked_filter(template) == template


@pytest.mark.parametrize(
    "template", ["(mail=*)", "mail={address", "(mail={address}", "((", "{address}", "(o={domain})"]
)
def test_a_filter_that_cannot_be_meant_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match=r"\."):
        checked_filter(template)


@pytest.mark.parametrize("name", ["", "mail host", "mail)(uid=*", "1mail", "mäil", "mail;x", "*"])
def test_what_is_no_attribute_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not the name of an attribute"):
        checked_attribute(name)


def test_options_that_can_be_meant_open_no_line() -> None:
    open_connector(DIRECTORIES, "ldap", GOOD, Secret("x")).close()
    hosts: dict[str, Json] = {"source": ["old.example.test", "imap.old.example.test"], "target": "new.example.test"}
    open_connector(ROUTES, "ldap", {**ROUTE, **hosts}, Secret("x")).close()


@pytest.mark.parametrize(
    "wrong",
    [
        {"uris": []},
        {"uris": ["http://one.example.test"]},
        {"uris": ["ldap://"]},
        {"uris": ["ldap://user:pw@one.example.test"]},
        {"uris": ["ldap://one.example.test/dc=x??sub"]},
        {"uris": ["ldap://one.example.test:0"]},
        {"uris": ["ldap://one.example.test:99999"]},
        {"bind_dn": None},
        {"base": ""},
        {"status": None},
        {"status": "accountStatus"},
        {"status": "mail)(x"},
        {"filter": "(mail=*)"},
        {"ca_file": "/nowhere/ca.pem"},
        {"closed_value": "disabled"},
        {"timeout": 5},
        {"connect_seconds": 0},
    ],
)
def test_options_that_cannot_be_meant_are_refused_with_a_sentence(wrong: dict[str, Json]) -> None:
    with pytest.raises(MigratorError) as caught:
        open_connector(DIRECTORIES, "ldap", {**GOOD, **wrong}, Secret("x"))
    assert caught.value.code == "connector.invalid"
    assert caught.value.reply.endswith(".")
    assert "pw" not in caught.value.reply


@pytest.mark.parametrize("secret", [None, Secret("")])
def test_nobody_signs_in_without_a_password(secret: Secret | None) -> None:
    with pytest.raises(MigratorError) as caught:
        open_connector(DIRECTORIES, "ldap", GOOD, secret)
    assert "needs a password" in caught.value.reply
