"""Roles and what they may, as a table that people can read."""

from __future__ import annotations

from itertools import product

import pytest
from django.contrib.auth.models import AnonymousUser
from django.utils import timezone

from campaigns.models import Campaign, User
from campaigns.permissions import READING, Verb, may

# verb: operator, helpdesk, manager, administrator
TABLE = """
look_up          yes  yes  yes  yes
read             yes  -    yes  yes
export           yes  -    yes  -
retry_account    yes  yes  -    -
stop_account     yes  yes  -    -
ask_password     yes  yes  -    -
note_call        yes  yes  -    -
plan             yes  -    -    -
run              yes  -    -    -
cut_over         yes  -    -    -
resolve          yes  -    -    -
approve          yes  -    yes  -
manage_servers   -    -    -    yes
manage_staff     -    -    -    yes
manage_settings  -    -    -    yes
manage_keys      -    -    -    yes
"""
ROLES = ("operator", "helpdesk", "manager", "administrator")
ALLOWED = {line.split()[0]: dict(zip(ROLES, line.split()[1:], strict=True)) for line in TABLE.strip().splitlines()}


def person(*roles: str, **fields: object) -> User:
    return User(username="anna", **{f"is_{role}": True for role in roles}, **fields)


def test_the_table_names_every_verb() -> None:
    assert ALLOWED.keys() == set(Verb)


@pytest.mark.parametrize(("role", "verb"), list(product(ROLES, Verb)))
def test_a_role_may_what_the_table_says(role: str, verb: Verb) -> None:
    assert may(person(role), verb) == (ALLOWED[verb][role] == "yes")


@pytest.mark.parametrize("verb", Verb)
def test_roles_add_up(verb: Verb) -> None:
    assert may(person(*ROLES), verb)
    assert may(person("helpdesk", "manager"), verb) == ("yes" in (ALLOWED[verb]["helpdesk"], ALLOWED[verb]["manager"]))


@pytest.mark.parametrize("verb", Verb)
def test_who_has_no_role_or_left_or_is_nobody_may_nothing(verb: Verb) -> None:
    assert not may(person(), verb)
    assert not may(person(is_superuser=True, is_staff=True), verb)
    assert not may(person(*ROLES, is_active=False), verb)
    assert not may(AnonymousUser(), verb)


@pytest.mark.parametrize("verb", Verb)
def test_a_closed_campaign_is_only_read(verb: Verb) -> None:
    assert may(person(*ROLES), verb, Campaign())
    assert may(person(*ROLES), verb, Campaign(closed_at=timezone.now())) == (verb in READING)
