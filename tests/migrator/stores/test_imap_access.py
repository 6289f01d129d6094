"""How an administrator gets into somebody else's mailbox, as a text that people write."""

from __future__ import annotations

import pytest

from migrator.stores.imap_access import AUTHZID, Access, BadAccess, Way

NAMES = [
    ("{user}*{admin}", "anna@example.test*boss"),
    ("{user}%{admin}", "anna@example.test%boss"),
    ("{domain}\\{admin}\\{user}", "example.test\\boss\\anna@example.test"),
    ("CORP\\{admin}\\{name}", "CORP\\boss\\anna"),
    ("{admin}/{name}", "boss/anna"),
]


@pytest.mark.parametrize(("template", "login"), NAMES)
def test_a_template_with_both_makes_the_name_that_signs_in(template: str, login: str) -> None:
    access = Access.of(template)
    assert access.way is Way.NAME
    assert access.login("boss", "anna@example.test") == login
    assert access.folder_root("anna@example.test") == ""
    assert Access.of(str(access)) == access


@pytest.mark.parametrize(("template", "root"), [("~{user}/", "~anna/"), ("user.{name}.", "user.anna.")])
def test_a_template_without_the_administrator_is_where_the_users_folders_are(template: str, root: str) -> None:
    access = Access.of(template)
    assert access.way is Way.FOLDERS
    assert access.folder_root("anna") == root
    assert access.login("postmaster", "anna") == "postmaster"


@pytest.mark.parametrize("way", [Way.AUTHZID, Way.PROXYAUTH])
def test_where_the_server_is_told_otherwise_the_administrator_signs_in_plainly(way: Way) -> None:
    access = Access.of(way.value)
    assert (access.way, access.login("boss", "anna"), access.folder_root("anna")) == (way, "boss", "")
    assert str(access) == way
    assert Access.of("authzid") == AUTHZID


def test_a_user_whose_name_looks_like_a_field_is_not_filled_in_again() -> None:
    assert Access.of("{user}*{admin}").login("boss", "{admin}") == "{admin}*boss"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "names no {user}"),
        ("{admin}", "names no {user}"),
        ("AUTHZID", "names no {user}"),
        ("{user}{host}", "not {host}"),
        ("{user", "names no {user}"),
        ("{user}}", "without its other half"),
        ("{user}\r\n", "no name has"),
        ("{user}" * 60, "no name has"),
    ],
)
def test_what_says_no_way_in_is_refused_with_its_reason(text: str, words: str) -> None:
    with pytest.raises(BadAccess, match=r"The form of access") as caught:
        Access.of(text)
    assert words in str(caught.value)
