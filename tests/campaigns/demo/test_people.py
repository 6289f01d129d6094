"""Invented people: each one once, nobody real, and four with something to tell."""

from __future__ import annotations

import re

import pytest

from campaigns.demo.people import DOMAIN, invent, pilot_size


def test_two_hundred_people_have_a_mailbox_of_their_own() -> None:
    people = invent(200, 7).people
    assert len({one.login for one in people}) == len({one.phone for one in people}) == 200
    assert all(re.fullmatch(r"[a-z]+\.[a-z]+@" + re.escape(DOMAIN), one.login) for one in people)
    assert DOMAIN.endswith(".example")


def test_the_same_seed_makes_the_same_people_with_other_passwords() -> None:
    first, second = invent(20, 3).people, invent(20, 3).people
    assert [(one.name, one.login, one.phone) for one in first] == [(one.name, one.login, one.phone) for one in second]
    assert not {one.password for one in first} & {one.password for one in second}
    assert [one.login for one in invent(20, 4).people] != [one.login for one in first]


@pytest.mark.parametrize("count", [8, 10, 200])
def test_four_are_in_trouble_and_everybody_else_has_the_right_password_in_the_list(count: int) -> None:
    cast = invent(count, 7)
    assert len({one.login for one in cast.troubled}) == 4
    assert [one for one in cast.people if one.password != one.listed_password] == list(cast.wrong)
    assert {one.number < pilot_size(count) for one in cast.troubled} == {True, False}
