"""Compare and set: looking settles what a change left open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from migrator.directories.compare import ATTEMPTS, compare_and_set, names_of
from migrator.entries import Values
from migrator.errors import MigratorError, OutcomeUnknown

BEFORE, AFTER, THEIRS = {"status": "active"}, {"status": "inactive"}, {"status": "deleted"}
LOST = MigratorError("directory.lost")
DOWN = MigratorError("directory.unreachable", reply="refused")
BUSY = MigratorError("directory.busy")


@dataclass
class Entry:
    values: Values


@dataclass
class World:
    """An entry, and what goes wrong with each change in turn."""

    entry: Entry | None = field(default_factory=lambda: Entry(BEFORE))
    troubles: list[Callable[[World], MigratorError | None]] = field(default_factory=list)
    looks: list[MigratorError] = field(default_factory=list)
    changes: int = 0

    def look(self) -> Entry | None:
        if self.looks:
            raise self.looks.pop(0)
        return self.entry

    def change(self, entry: Entry) -> MigratorError | None:
        self.changes += 1
        if self.troubles:
            return self.troubles.pop(0)(self)
        entry.values = AFTER
        return None

    def swap(self) -> None:
        compare_and_set(self.look, self.change, BEFORE, AFTER)


def lose_before(world: World) -> None:
    raise LOST


def lose_after(world: World) -> None:
    assert world.entry
    world.entry.values = AFTER
    raise LOST


def somebody_else(world: World) -> MigratorError:
    world.entry = Entry(THEIRS)
    return BUSY


def vanish(world: World) -> MigratorError:
    world.entry = None
    return BUSY


def test_what_is_as_expected_is_changed_once() -> None:
    world = World()
    world.swap()
    assert (world.entry, world.changes) == (Entry(AFTER), 1)


def test_what_is_as_wanted_is_left_alone() -> None:
    world = World(Entry(AFTER))
    world.swap()
    assert world.changes == 0


def test_a_line_lost_before_the_change_is_followed_by_a_look_and_the_change() -> None:
    world = World(troubles=[lose_before])
    world.swap()
    assert (world.entry, world.changes) == (Entry(AFTER), 2)


def test_a_line_lost_after_the_change_is_followed_by_a_look_and_no_second_change() -> None:
    world = World(troubles=[lose_after])
    world.swap()
    assert (world.entry, world.changes) == (Entry(AFTER), 1)


@pytest.mark.parametrize("trouble", [lose_before, lose_after])
def test_a_line_lost_for_good_leaves_the_outcome_unknown(trouble: Callable[[World], None]) -> None:
    world = World(troubles=[trouble])
    with pytest.raises(OutcomeUnknown) as caught:
        compare_and_set(_fails_after_the_first(world), world.change, BEFORE, AFTER)
    assert (caught.value.code, caught.value.reply) == ("directory.lost", "refused")


def _fails_after_the_first(world: World) -> Callable[[], Entry | None]:
    def look() -> Entry | None:
        if world.changes:
            raise DOWN
        return world.look()

    return look


def test_a_directory_that_cannot_be_asked_at_first_was_not_changed() -> None:
    world = World(looks=[DOWN])
    with pytest.raises(MigratorError) as caught:
        world.swap()
    assert caught.value is DOWN
    assert world.changes == 0


@pytest.mark.parametrize(("trouble", "code"), [(somebody_else, "directory.changed"), (vanish, "directory.missing")])
def test_what_others_did_meanwhile_is_told(trouble: Callable[[World], MigratorError], code: str) -> None:
    world = World(troubles=[trouble])
    with pytest.raises(MigratorError) as caught:
        world.swap()
    assert (caught.value.code, world.changes) == (code, 1)


def test_a_change_that_is_refused_again_and_again_is_given_up_with_its_reason() -> None:
    world = World(troubles=[lambda _: BUSY] * (ATTEMPTS + 1))
    with pytest.raises(MigratorError) as caught:
        world.swap()
    assert (caught.value, world.changes, world.entry) == (BUSY, ATTEMPTS, Entry(BEFORE))


def test_an_error_that_is_no_lost_line_is_not_looked_behind() -> None:
    def refuse(_: World) -> MigratorError:
        raise MigratorError("directory.no_permission")

    world = World(troubles=[refuse])
    with pytest.raises(MigratorError) as caught:
        world.swap()
    assert (caught.value.code, world.changes) == ("directory.no_permission", 1)


@pytest.mark.parametrize(
    "address", ["", " ", " anna@b", "anna@b ", "@b", "a\nb@c", "a\r@c", "a\0@c", "a\x85@c", "a\u2028@c", "\udcff@c"]
)
def test_an_address_that_means_nobody_or_everybody_is_refused(address: str) -> None:
    with pytest.raises(MigratorError) as caught:
        names_of(address)
    assert caught.value.code == "address.bad"


@pytest.mark.parametrize(
    ("address", "local", "domain"),
    [
        ("anna@b.test", "anna", "b.test"),
        ("anna", "anna", ""),
        ('"a@x"@b.test', '"a@x"', "b.test"),
        ("müller@b", "müller", "b"),
    ],
)
def test_an_address_has_two_parts(address: str, local: str, domain: str) -> None:
    assert names_of(address) == {"address": address, "local": local, "domain": domain}
