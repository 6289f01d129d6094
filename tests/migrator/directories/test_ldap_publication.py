"""What of publishing needs no server: who is to be asked, and what is refused at once."""

from __future__ import annotations

import pytest

from migrator.directories.ldap_publication import LdapPublication
from migrator.entries import Json
from migrator.secret import Secret

GOOD: dict[str, Json] = {
    "uris": ["ldap://one.example.test"],
    "bind_dn": "cn=migrator",
    "base": "o=example",
    "hosts": ["ldaps://two.example.test", "smtp://mx.example.test:2525", "smtp://mx2.example.test"],
}


def test_options_that_can_be_meant_open_no_line() -> None:
    LdapPublication.of({**GOOD, "program": ["/usr/local/bin/dirsync"], "schema": "iplanet"}, Secret("x")).close()


@pytest.mark.parametrize(
    "wrong",
    [
        {"hosts": None},
        {"hosts": []},
        {"hosts": ["mx.example.test"]},
        {"hosts": ["http://mx.example.test"]},
        {"hosts": ["smtp://user:pw@mx.example.test"]},
        {"hosts": ["smtp://mx.example.test:99999"]},
        {"hosts": ["ldap://two.example.test/o=other"]},
        {"program": [" "]},
        {"attributes": ["mail)(x"]},
        {"filter": "(mail=*)"},
        {"timeout": 5},
    ],
)
def test_options_that_cannot_be_meant_are_refused_with_a_sentence(wrong: dict[str, Json]) -> None:
    with pytest.raises(ValueError, match=r"\.$") as caught:
        LdapPublication.of({**GOOD, **wrong}, Secret("x"))
    assert "pw" not in str(caught.value)
