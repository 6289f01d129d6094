"""New entries in a real OpenLDAP: made closed, finished, told from those of others, and taken away again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from migrator.directories.ldap import LdapDirectory
from migrator.directories.ldap_population import LdapPopulation
from migrator.entries import Json
from migrator.errors import MigratorError
from migrator.journal import StepKey, StepKind
from migrator.secret import Secret
from migrator.steps.others import PopulateStep
from tests.rigs.slapd import PEOPLE, READER, READER_PASSWORD, Slapd, person, secret

ANNA = "anna@example.test"
ANNAS = f"uid=anna,{PEOPLE}"
ENTRY: list[Json] = [
    "objectClass: inetOrgPerson",
    "objectClass: mailMigrationUser",
    "uid: {local}",
    "cn: {local}",
    "sn: {local}",
    "mail: {address}",
    "mailHost: new.example.test",
]
MADE = {
    "objectClass: inetOrgPerson",
    "objectClass: mailMigrationUser",
    "uid: anna",
    "cn: anna",
    "sn: anna",
    "mail: anna@example.test",
    "mailHost: new.example.test",
    "emailPersonStatus: inactive",
}

_opened: list[Any] = []


@pytest.fixture(autouse=True)
def _close() -> Iterator[None]:
    yield
    while _opened:
        _opened.pop().close()


@pytest.fixture(scope="module")
def everybody() -> Iterator[Slapd]:
    with Slapd([person("bert@example.test")]) as server:
        yield server


@pytest.fixture
def slapd(everybody: Slapd) -> Slapd:
    """Nobody called Anna is there."""
    population(everybody).remove(ANNA)
    return everybody


def population(slapd: Slapd, password: Secret | None = None, **more: Json) -> LdapPopulation:
    pattern: dict[str, Json] = {"schema": "sims", "dn": f"uid={{local}},{PEOPLE}", "entry": list(ENTRY)}
    _opened.append(LdapPopulation.of({**slapd.options(), **pattern, **more}, password or secret()))
    return _opened[-1]


def refusal(call: Callable[[], object]) -> MigratorError:
    with pytest.raises(MigratorError) as caught:
        call()
    return caught.value


@pytest.mark.req("S-101", "S-114")
def test_an_account_comes_to_be_whole_and_closed_and_goes_again(slapd: Slapd) -> None:
    made = population(slapd)
    assert not made.exists(ANNA)
    made.create(ANNA)
    made.create(ANNA)
    assert made.exists(ANNA)
    assert set(slapd.read(ANNAS)) == MADE
    users = LdapDirectory.of(slapd.options(schema="sims"), secret())
    _opened.append(users)
    assert users.is_disabled(ANNA)
    made.remove(ANNA)
    made.remove(ANNA)
    assert not made.exists(ANNA)


def test_who_was_let_in_and_closed_again_goes_too(slapd: Slapd) -> None:
    made = population(slapd)
    made.create(ANNA)
    users = LdapDirectory.of(slapd.options(schema="sims"), secret())
    _opened.append(users)
    closed = users.find(ANNA)
    assert closed
    opened = users.opened(closed)
    users.replace(ANNA, closed, opened)
    assert refusal(lambda: made.remove(ANNA)).code == "directory.changed"
    users.replace(ANNA, opened, closed)
    made.remove(ANNA)
    assert not made.exists(ANNA)


@pytest.mark.parametrize("change", [{"cn": "Anna Ahn"}, {"userPassword": "learned"}, {"description": "hers"}])
def test_an_entry_that_somebody_changed_stays(slapd: Slapd, change: dict[str, str]) -> None:
    made = population(slapd)
    made.create(ANNA)
    slapd.change(ANNAS, **change)
    assert refusal(lambda: made.remove(ANNA)).code == "directory.changed"
    assert made.exists(ANNA)
    slapd.remove(ANNAS)


def test_an_entry_of_somebody_else_is_neither_completed_nor_taken_away(slapd: Slapd) -> None:
    slapd.add(person(ANNA))  # without a host: not as the new server needs it
    made, before = population(slapd), slapd.read(ANNAS)
    assert not made.exists(ANNA)
    error = refusal(lambda: made.create(ANNA))
    assert (error.code, error.reply) == ("populate.in_the_way", f"{ANNAS} lacks mailHost")
    made.remove(ANNA)
    assert slapd.read(ANNAS) == before
    slapd.remove(ANNAS)


def test_an_account_that_was_there_is_left_as_it_is_through_the_step_and_back(slapd: Slapd) -> None:
    slapd.add(person(ANNA, mailHost="old.example.test"))
    before = slapd.read(ANNAS)
    step = PopulateStep(StepKey(0, StepKind.POPULATE), population(slapd), ANNA)
    saved = step.prepare()
    step.apply(saved)
    assert step.is_done(saved)
    step.undo(saved)
    assert slapd.read(ANNAS) == before
    slapd.remove(ANNAS)


def test_a_step_that_made_an_account_takes_it_away(slapd: Slapd) -> None:
    step = PopulateStep(StepKey(0, StepKind.POPULATE), population(slapd), ANNA)
    saved = step.prepare()
    assert not step.is_done(saved)
    step.apply(saved)
    assert step.is_done(saved)
    step.undo(saved)
    assert not population(slapd).exists(ANNA)


def test_another_entry_of_that_name_is_in_the_way(slapd: Slapd) -> None:
    slapd.add(person("other@example.test", dn=ANNAS, uid="anna"))
    made = population(slapd, filter="(mail={address})")
    assert refusal(lambda: made.create(ANNA)).code == "populate.in_the_way"
    slapd.remove(ANNAS)


def test_who_may_not_write_makes_nothing(slapd: Slapd) -> None:
    reader = population(slapd, Secret(READER_PASSWORD), bind_dn=READER)
    assert refusal(lambda: reader.create(ANNA)).code == "directory.no_permission"
    assert not reader.exists(ANNA)


def test_a_pattern_that_the_server_does_not_take_is_told_in_its_words(slapd: Slapd) -> None:
    wrong = population(slapd, entry=[line for line in ENTRY if not str(line).startswith("sn:")])
    error = refusal(lambda: wrong.create(ANNA))
    assert error.code == "directory.invalid"
    assert "sn" in error.reply
