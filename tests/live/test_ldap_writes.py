"""What a night writes into a real OpenLDAP, told before: applied by ldapmodify it is what the steps do, and back."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from migrator.directories.ldap import LdapDirectory
from migrator.directories.ldap_population import LdapPopulation
from migrator.entries import Json
from migrator.errors import MigratorError, Side
from migrator.holds.ldap import LdapHold
from migrator.journal import StepKind
from migrator.recipes import Recipe, RecipeStep
from migrator.routes.ldap import LdapRoute
from migrator.steps.kit import Access, Kit, Named
from migrator.steps.writes import writes_of
from tests.rigs.slapd import PEOPLE, Slapd, group, person, secret

K = StepKind
NIGHT = Recipe(
    "test",
    "recipe.test",
    (
        RecipeStep(K.POPULATE),
        RecipeStep(K.HOLD),
        RecipeStep(K.DISABLE, Side.SOURCE),
        RecipeStep(K.DELTA),
        RecipeStep(K.SWITCH),
        RecipeStep(K.ENABLE, Side.TARGET),
        RecipeStep(K.RELEASE),
    ),
    is_staged=True,
)
ANNA, STAFF = "anna@example.test", "staff@example.test"
ANNAS, STAFFS = f"uid=anna,{PEOPLE}", f"cn=staff,{PEOPLE}"
HOSTS: dict[str, Json] = {"source": "old.example.test", "target": "new.example.test"}
AS_BEFORE = {
    "mailHost": "old.example.test",
    "emailPersonStatus": "active",
    "mailDeliveryOption": ["mailbox", "forward", "autoreply"],
    "mailForwardingAddress": "anna@elsewhere.test",
}

_opened: list[Any] = []


@pytest.fixture(autouse=True)
def _close() -> Iterator[None]:
    yield
    while _opened:
        _opened.pop().close()


@pytest.fixture(scope="module")
def everybody() -> Iterator[Slapd]:
    staff = group(STAFF, ["anna"], mailHost="old.example.test", mailDeliveryOption=["members", "file"])
    elsewhere = group("others@example.test", ["anna"], mailHost="third.example.test")
    with Slapd([person(ANNA, **AS_BEFORE), staff, elsewhere]) as server:
        yield server


@pytest.fixture
def slapd(everybody: Slapd) -> Slapd:
    everybody.change(ANNAS, **AS_BEFORE)
    everybody.change(STAFFS, mailHost="old.example.test", mailDeliveryOption=["members", "file"])
    return everybody


def opened(connector: Any) -> Any:
    _opened.append(connector)
    return connector


def kit(slapd: Slapd, address: str, *, is_person: bool = True) -> Kit:
    users = Named("directory-1", opened(LdapDirectory.of(slapd.options(schema="sims"), secret())))
    access = Access(address, users if is_person else None)
    classes: list[Json] = ["objectClass: inetOrgPerson", "objectClass: mailMigrationUser"]
    entry: list[Json] = [*classes, "uid: {local}", "cn: {local}", "sn: {local}", "mail: {address}"]
    made = LdapPopulation.of(slapd.options(schema="sims", dn=f"uid={{local}},{PEOPLE}", entry=entry), secret())
    return Kit(
        address=address,
        source=access,
        target=access,
        route=Named("route-2", opened(LdapRoute.of(slapd.options(schema="sims", **HOSTS), secret()))),
        hold=Named("hold-3", opened(LdapHold.of(slapd.options(schema="sims", program=["true"]), secret()))),
        population=Named("population-4", opened(made)) if is_person else None,
    )


@pytest.mark.req("S-102")
def test_each_step_is_told_in_order_and_what_was_held_comes_back_whole(slapd: Slapd) -> None:
    told = [(write.kind, write.before, write.after) for write in writes_of(NIGHT, kit(slapd, ANNA))]
    options = ["autoreply", "forward", "mailbox"]
    assert told == [
        (K.HOLD, {"mailDeliveryOption": options}, {"mailDeliveryOption": ["hold"]}),
        (K.DISABLE, {"emailPersonStatus": ["active"]}, {"emailPersonStatus": ["inactive"]}),
        (K.SWITCH, {"mailHost": ["old.example.test"]}, {"mailHost": ["new.example.test"]}),
        (K.ENABLE, {"emailPersonStatus": ["inactive"]}, {"emailPersonStatus": ["active"]}),
        (K.RELEASE, {"mailDeliveryOption": ["hold"]}, {"mailDeliveryOption": options}),
    ]


@pytest.mark.req("S-129")
@pytest.mark.parametrize(("address", "dn"), [(ANNA, ANNAS), (STAFF, STAFFS)], ids=["person", "group"])
def test_applied_by_ldapmodify_each_is_what_is_foreseen_and_undone_all_is_as_before(
    slapd: Slapd, address: str, dn: str
) -> None:
    whole = slapd.read(dn)
    with_hands = kit(slapd, address, is_person=address == ANNA)
    writes = list(writes_of(NIGHT, with_hands))
    for write in writes:
        slapd.apply(write.forth())
        assert slapd.read(dn, *write.after) == sorted(
            f"{name}: {value}" for name, values in write.after.items() for value in values
        )
    assert with_hands.route is not None
    assert with_hands.route.connector.current(address) is Side.TARGET
    assert [line for line in slapd.read(dn) if "mailHost" not in line] == [
        line for line in whole if "mailHost" not in line
    ]
    for write in reversed(writes):
        slapd.apply(write.back())
    assert slapd.read(dn) == whole


def test_telling_changes_nothing_and_is_the_same_each_time(slapd: Slapd) -> None:
    whole, tools = slapd.read(ANNAS), kit(slapd, ANNA)
    assert list(writes_of(NIGHT, tools)) == list(writes_of(NIGHT, tools))
    assert slapd.read(ANNAS) == whole


def test_where_somebody_was_faster_the_server_refuses_it_and_theirs_stays(slapd: Slapd) -> None:
    switch = next(write for write in writes_of(NIGHT, kit(slapd, ANNA)) if write.kind is K.SWITCH)
    slapd.change(ANNAS, mailHost="third.example.test")
    with pytest.raises(subprocess.CalledProcessError):
        slapd.apply(switch.forth())
    assert slapd.read(ANNAS, "mailHost") == ["mailHost: third.example.test"]


@pytest.mark.req("S-101")
def test_a_person_who_is_not_there_is_made_by_ldapmodify_and_taken_away(slapd: Slapd) -> None:
    new = "new@example.test"
    tools = replace(kit(slapd, new), source=Access(new))  # the old server has its users elsewhere
    assert tools.population is not None
    made, *later = writes_of(NIGHT, tools)
    assert [(write.kind, write.dn) for write in later] == [
        (kind, f"uid=new,{PEOPLE}") for kind in (K.HOLD, K.SWITCH, K.ENABLE, K.RELEASE)
    ]
    slapd.apply(made.forth())
    assert tools.population.connector.exists(new)
    assert "emailPersonStatus: inactive" in slapd.read(f"uid=new,{PEOPLE}")
    slapd.apply(made.back())
    assert not slapd.holds(f"uid=new,{PEOPLE}")
    with pytest.raises(MigratorError) as caught:
        list(writes_of(NIGHT, kit(slapd, "nobody@example.test", is_person=False)))
    assert caught.value.code == "directory.missing"


@pytest.mark.req("S-129")
def test_groups_are_listed_apart_from_people(slapd: Slapd) -> None:
    route = opened(LdapRoute.of(slapd.options(schema="sims", **HOSTS), secret()))
    assert sorted(route.addresses(groups_only=True)) == ["others@example.test", STAFF]
    assert ANNA in list(route.addresses())
    assert [name for name in route.addresses(groups_only=True) if route.current(name) is Side.SOURCE] == [STAFF]
