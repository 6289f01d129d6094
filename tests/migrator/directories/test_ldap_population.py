"""What of new entries needs no server: the pattern, what is made of it, and what is refused at once."""

from __future__ import annotations

import pytest
from ldap3.utils.dn import parse_dn

from migrator.directories.ldap_population import LdapPopulation
from migrator.entries import Json
from migrator.errors import MigratorError
from migrator.secret import Secret

PATTERN = ["objectClass: inetOrgPerson", "uid: {local}", "cn: {local}", "mail: {address}", "mailHost: new.example.org"]
GOOD: dict[str, Json] = {
    "uris": ["ldap://one.example.test"],
    "bind_dn": "cn=migrator",
    "base": "ou=people,o=example",
    "schema": "sims",
    "dn": "uid={local},ou=people,o=example",
    "entry": list(PATTERN),
}


def population(**more: Json) -> LdapPopulation:
    return LdapPopulation.of({**GOOD, **more}, Secret("x"))


def test_an_entry_is_made_of_the_pattern_and_closed() -> None:
    assert population().made_of("anna@example.test") == (
        "uid=anna,ou=people,o=example",
        {
            "objectClass": ("inetOrgPerson",),
            "uid": ("anna",),
            "cn": ("anna",),
            "mail": ("anna@example.test",),
            "mailHost": ("new.example.org",),
            "emailPersonStatus": ("inactive",),
        },
    )


@pytest.mark.parametrize("local", ["a,uid=admin", "a+b", 'a"b', "a\\b", "a;b", "a<b>", "#a", "a=b", "{domain}", "ü"])
def test_a_name_is_never_more_than_one_part_of_the_entrys_name(local: str) -> None:
    dn, attributes = population().made_of(f"{local}@example.test")
    assert len(parse_dn(dn)) == 3
    assert attributes["uid"] == (local,)


@pytest.mark.parametrize("address", ["", "anna\r\nbert", "anna\0", " anna", "@example.test"])
def test_an_unspeakable_address_makes_nothing(address: str) -> None:
    with pytest.raises(MigratorError) as caught:
        population().made_of(address)
    assert caught.value.code == "address.bad"


@pytest.mark.req("S-102", "S-114")
@pytest.mark.parametrize("host", ["new", "192.0.2.1", "new_host.example.org", "-new.example.org"])
def test_a_host_that_is_not_fully_qualified_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match="fully qualified"):
        population(entry=[*PATTERN[:-1], f"mailhost: {host}"])


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"dn": "uid=anna,ou=people,o=example"}, "must hold"),
        ({"dn": "uid={local},o=elsewhere"}, "must end with the base"),
        ({"entry": ["uid {local}"]}, "attribute: value"),
        ({"entry": ["uid: {local}"]}, "objectClass"),
        ({"entry": [*PATTERN, "userPassword: secret"]}, "must not hold passwords"),
        ({"entry": [*PATTERN, "not an attribute: x"]}, "not the name of an attribute"),
        ({"closed": "emailPersonStatus: disabled"}, "returned to its senders"),
        ({"schema": "custom"}, "closed"),
        ({"timeout": 5}, "timeout"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_a_sentence(wrong: dict[str, Json], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        population(**wrong)
