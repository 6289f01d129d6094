"""The rescue folder: when all else is lost, everybody comes to be enabled on the side that the servers prove."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest
from cryptography.fernet import Fernet, MultiFernet

from migrator.cutover import CutoverOutcome
from migrator.entries import Kind
from migrator.errors import MigratorError, Side
from migrator.journal import EntryStatus, Journal, StepKey, StepKind
from migrator.recipes import RECIPES
from migrator.rescue.folder import Account, Batch, Connection, RescueFolder, Room
from migrator.rescue.journals import FileJournal, PairedJournal, adopt
from migrator.rescue.work import Rescued, Way, rescue
from migrator.secret import Secret
from migrator.testing import FakeClock, FaultPlan, Killed
from migrator.testing.connectors import QUEUES, REGISTERED
from migrator.testing.journals import MemoryJournal
from tests.migrator.nights import ANNA, ROW, Faults, Night, clean_calls

PASSWORD = "directory-manager-password"
REGISTRIES = {
    Room.DIRECTORY: {"memory": Kind("", "migrator.testing.connectors:RegisteredDirectory")},
    Room.ROUTE: {"memory": Kind("", "migrator.testing.connectors:RegisteredRoute")},
    Room.HOLD: {"memory": Kind("", "migrator.testing.connectors:RegisteredHold")},
}
KEYS = MultiFernet([Fernet(Fernet.generate_key())])


@pytest.fixture(autouse=True)
def _no_rows_of_others() -> Iterator[None]:
    yield
    REGISTERED.clear()
    QUEUES.clear()


class FaultyFolder(RescueFolder):
    """A folder whose writes are calls to the world."""

    faults = FaultPlan()

    def write_account(self, account: Account) -> None:
        self.faults.run("rescue.write", lambda: super(FaultyFolder, self).write_account(account))


@dataclass
class SafeNight(Night):
    """A night that keeps a rescue folder."""

    path: Path = Path()

    def __post_init__(self) -> None:
        super().__post_init__()
        Path(self.path / "accounts").mkdir(exist_ok=True)
        self.folder().write_batch(self.batch())

    def batch(self) -> Batch:
        def connection(room: Room, rows: str) -> Connection:
            return Connection(room, "memory", {"rows": rows}, Secret(PASSWORD))

        connections = {
            "one": connection(Room.DIRECTORY, "source"),
            "two": connection(Room.DIRECTORY, "target"),
            "who": connection(Room.ROUTE, "source"),
            "queue": connection(Room.HOLD, "source"),
        }
        return Batch("first thousand", self.recipe, connections)

    def account(self) -> Account:
        return Account(
            "17",
            "1",
            ANNA,
            ANNA,
            ANNA,
            source_directory="one",
            target_directory="one" if self.is_shared else "two",
            route="who" if self.has_route else "",
            hold="queue",
        )

    def folder(self, faults: FaultPlan | None = None) -> RescueFolder:
        folder = FaultyFolder(self.path, KEYS)
        folder.faults = faults or FaultPlan()
        return folder

    def pen(self, faults: FaultPlan) -> Journal:
        return PairedJournal(self.journal(faults), FileJournal(self.folder(faults), self.account()))

    def rescue(self, faults: FaultPlan | None = None) -> Rescued | None:
        REGISTERED["source"] = (self.source_rows, faults, PASSWORD)
        REGISTERED["target"] = (self.target_rows, faults, PASSWORD)
        QUEUES["source"] = self.queue
        return next(iter(rescue(self.folder(faults), registries=REGISTRIES, clock=FakeClock())), None)

    def is_refused(self) -> bool:
        """Tell whether the folder knows more than the journal."""
        try:
            self.pen(FaultPlan()).entries()
        except MigratorError as refusal:
            return refusal.code == "rescue.differs"
        return False

    def proved(self) -> Side:
        """Return the side on which the servers prove Anna to be: where she is routed, else where she is admitted."""
        if self.has_route:
            return self.host()
        return Side.TARGET if self.admits(Side.TARGET) else Side.SOURCE


def plain(path: Path) -> SafeNight:
    return SafeNight(path=path)


def classic(path: Path) -> SafeNight:
    return SafeNight(recipe=RECIPES["classic"], path=path)


def own_directories(path: Path) -> SafeNight:
    return SafeNight(is_shared=False, has_route=False, path=path)


def own_directories_with_a_route(path: Path) -> SafeNight:
    return SafeNight(is_shared=False, path=path)


NIGHTS = (plain, classic, own_directories, own_directories_with_a_route)


def folders(tmp_path: Path) -> Iterator[Path]:
    for number in range(10_000):
        path = tmp_path / str(number)
        path.mkdir()
        yield path


def cutover_calls(make: Callable[[], Night]) -> list[tuple[int, str]]:
    """Return number and name of the calls from the first step on."""
    calls = clean_calls(make)
    begun = calls.index("journal.begin.hold")
    return [(number, name) for number, name in enumerate(calls) if number >= begun]


def assert_one_side(night: SafeNight, side: Side) -> None:
    assert [at for at in Side if night.admits(at)] == [side]
    assert (night.source_rows[ANNA]["status"] == "active") == (side is Side.SOURCE or night.is_shared)
    assert night.source_rows[ANNA]["host"] == (
        "new.example.test" if side is Side.TARGET and night.has_route else "Old.example.test"
    )
    assert night.source_rows[ANNA]["delivery"] == ROW["delivery"]
    assert not night.queue.waiting


@pytest.mark.long
@pytest.mark.parametrize("kind", ["kill", "kill_after"])
@pytest.mark.parametrize("make", NIGHTS, ids=lambda make: make.__name__)
def test_after_the_database_is_lost_at_any_call_one_side_is_enabled(
    make: Callable[[Path], SafeNight], kind: str, tmp_path: Path
) -> None:
    paths = folders(tmp_path)
    ways = set()
    for at, name in cutover_calls(lambda: make(next(paths))):
        night = make(next(paths))
        night.run_until_killed(Faults({at: kind}))
        night.entries.clear()  # the database is gone
        rescued = night.rescue()
        side = night.proved()
        assert_one_side(night, side)
        if rescued is not None:  # else nothing was written, for nothing was done
            assert (rescued.error, rescued.side) == (None, side), (at, name)
            ways.add(rescued.way)
        again = night.rescue()
        assert again is None or again.side is side
        assert_one_side(night, side)
    assert ways >= {Way.BACK, Way.FORWARD}


@pytest.mark.long
@pytest.mark.parametrize("kind", ["kill", "kill_after", "line", "lost_answer"])
def test_a_rescue_that_is_interrupted_at_any_call_goes_on(kind: str, tmp_path: Path) -> None:
    paths = folders(tmp_path)
    for fatal in ("journal.done.disable", "journal.done.switch", "route.replace", "directory.replace"):
        number = {name: number for number, name in cutover_calls(lambda: plain(next(paths)))}[fatal]
        for at in range(12):
            night = plain(next(paths))
            night.run_until_killed(Faults({number: "kill_after"}))
            with contextlib.suppress(Killed):
                night.rescue(FaultPlan(at=at, kind=kind))
            rescued = night.rescue()
            assert rescued is not None
            assert rescued.error is None
            assert_one_side(night, night.host())


def test_a_folder_of_an_account_that_is_done_changes_nothing(tmp_path: Path) -> None:
    night = plain(tmp_path)
    assert night.run_to_the_end(Faults()) == "done"
    calls = FaultPlan()
    assert night.rescue(calls) == Rescued("17", ANNA, Way.FORWARD, Side.TARGET)
    assert not any("replace" in call for call in calls.calls)
    night.assert_ended("done")


def test_a_folder_of_an_account_that_was_rolled_back_changes_nothing(tmp_path: Path) -> None:
    night = SafeNight(path=tmp_path, late_at="journal.done.verify")
    night.deadline = night.clock.now() + 100
    assert night.run_to_the_end(Faults()) == "rolled_back"
    calls = FaultPlan()
    assert night.rescue(calls) == Rescued("17", ANNA, Way.NONE, Side.SOURCE)
    assert calls.calls == []


def killed_at(night: SafeNight, name: str, tmp_path: Path, kind: str = "kill_after") -> None:
    """Let the night die at the call ``name`` for the last time it is made."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    number = {call: number for number, call in cutover_calls(lambda: plain(scratch))}[name]
    night.run_until_killed(Faults({number: kind}))


def home(tmp_path: Path) -> SafeNight:
    path = tmp_path / "home"
    path.mkdir()
    return plain(path)


def test_what_somebody_else_changed_is_named_and_not_touched(tmp_path: Path) -> None:
    night = home(tmp_path)
    killed_at(night, "journal.done.disable", tmp_path)
    night.source_rows[ANNA]["status"] = "suspended"
    rescued = night.rescue()
    assert rescued is not None
    assert (rescued.way, rescued.side, rescued.error.code) == (Way.UNPROVED, None, "directory.changed")
    assert night.source_rows[ANNA]["status"] == "suspended"


def test_a_route_that_contradicts_what_was_written_is_named_and_not_touched(tmp_path: Path) -> None:
    night = home(tmp_path)
    killed_at(night, "journal.done.switch", tmp_path)
    night.folder().write_account(
        replace(
            night.folder().account("17"),
            entries=tuple(
                replace(entry, status=EntryStatus.DONE) if entry.key.kind is StepKind.SWITCH else entry
                for entry in night.folder().account("17").entries
            ),
        )
    )
    night.source_rows[ANNA]["host"] = "Old.example.test"
    before = dict(night.source_rows[ANNA])
    rescued = night.rescue()
    assert (rescued.way, rescued.error.code) == (Way.UNPROVED, "rescue.contradiction")
    assert night.source_rows[ANNA] == before


def test_a_server_that_is_away_leaves_the_account_for_the_next_rescue(tmp_path: Path) -> None:
    night = home(tmp_path)
    killed_at(night, "journal.done.disable", tmp_path)
    rescued = night.rescue(FaultPlan(at=range(1000), kind="line"))
    assert (rescued.way, rescued.error.code) == (Way.UNPROVED, "line.lost")
    assert night.rescue().way is Way.BACK
    assert_one_side(night, Side.SOURCE)


def test_one_damaged_file_does_not_keep_the_others_waiting(tmp_path: Path) -> None:
    night = home(tmp_path)
    killed_at(night, "journal.done.disable", tmp_path)
    (night.path / "accounts/05.json").write_text("{")
    REGISTERED["source"] = (night.source_rows, None, PASSWORD)
    QUEUES["source"] = night.queue
    damaged, fine = rescue(night.folder(), registries=REGISTRIES, clock=FakeClock())
    assert (damaged.name, damaged.way, damaged.error.code) == ("05", Way.UNPROVED, "rescue.damaged")
    assert fine == Rescued("17", ANNA, Way.BACK, Side.SOURCE)


# the folder


def test_nothing_in_the_folder_is_readable_by_others_or_tells_a_secret(tmp_path: Path) -> None:
    path = tmp_path / "rescue" / "first"
    path.parent.mkdir()
    folder = RescueFolder(path, KEYS)
    night = SafeNight(path=tmp_path)
    folder.write_batch(night.batch())
    journal = FileJournal(folder, night.account())
    journal.begin(
        StepKey(0, StepKind.DISABLE, "one", "source"), {"before": {"userPassword": "{CLEAR}hunter2"}, "after": {}}
    )
    files = [file for file in path.rglob("*") if file.is_file()]
    assert sorted(file.name for file in files) == ["17.json", "rescue.json"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert {stat.S_IMODE(at.stat().st_mode) for at in (path, path / "accounts")} == {0o700}
    text = "".join(file.read_text() for file in files)
    assert PASSWORD not in text
    assert "hunter2" not in text


def test_a_folder_is_read_as_it_was_written(tmp_path: Path) -> None:
    night = plain(tmp_path)
    read = night.folder().batch()
    assert (read.name, read.recipe) == ("first thousand", RECIPES["plain"])
    assert {name: (one.room, one.kind, one.options) for name, one in read.connections.items()} == {
        name: (one.room, one.kind, one.options) for name, one in night.batch().connections.items()
    }
    assert [one.secret.reveal() for one in read.connections.values()] == [PASSWORD] * 4


def test_another_key_opens_nothing_and_an_added_one_does(tmp_path: Path) -> None:
    plain(tmp_path)
    other = Fernet(Fernet.generate_key())
    with pytest.raises(MigratorError) as refusal:
        RescueFolder(tmp_path, MultiFernet([other])).batch()
    assert refusal.value.code == "rescue.wrong_key"
    both = MultiFernet([other, *KEYS._fernets])
    assert RescueFolder(tmp_path, both).batch().name == "first thousand"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("{", "rescue.damaged"),
        ("[]", "rescue.damaged"),
        ('{"version": 2}', "rescue.newer"),
        (None, "rescue.not_a_folder"),
    ],
)
def test_what_is_no_rescue_folder_is_refused(tmp_path: Path, content: str | None, code: str) -> None:
    if content is not None:
        (tmp_path / "rescue.json").write_text(content)
    with pytest.raises(MigratorError) as refusal:
        next(rescue(RescueFolder(tmp_path, KEYS)))
    assert refusal.value.code == code
    with pytest.raises(MigratorError) as refusal:
        next(rescue(RescueFolder(tmp_path / "nowhere", KEYS)))
    assert refusal.value.code == "rescue.not_a_folder"


def test_two_rescues_of_one_folder_do_not_run_at_once(tmp_path: Path) -> None:
    night = plain(tmp_path)
    lock = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(MigratorError) as refusal:
            night.rescue()
    finally:
        os.close(lock)
    assert refusal.value.code == "rescue.busy"


@pytest.mark.parametrize("name", ["", "../17", "a/b", ".hidden", "x" * 101])
def test_the_name_of_an_account_cannot_lead_out_of_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="short plain word"):
        plain(tmp_path).folder().account(name)


def test_a_folder_that_cannot_be_written_stops_the_night_before_anything_is_changed(tmp_path: Path) -> None:
    night = classic(tmp_path)
    (tmp_path / "accounts").rmdir()
    before = dict(night.source_rows[ANNA])
    with pytest.raises(MigratorError) as refusal:
        night.carry()
    assert refusal.value.code == "rescue.unwritable"
    assert night.source_rows[ANNA] == before


# a database from a backup


def restored(night: SafeNight, early: int, late: int) -> bool:
    """Back up the database at call ``early``, lose it at ``late``, restore it; tell whether it was behind."""
    night.run_until_killed(Faults({early: "kill"}))
    backup = dict(night.entries)
    with contextlib.suppress(AssertionError):  # the night may be over before
        night.run_until_killed(Faults({late: "kill"}))
    is_behind = night.entries != backup
    night.entries.clear()
    night.entries.update(backup)
    return is_behind


@pytest.mark.long
@pytest.mark.parametrize("make", [plain, own_directories], ids=lambda make: make.__name__)
def test_a_journal_from_a_backup_is_not_trusted_until_it_has_adopted_what_the_folder_knows(
    make: Callable[[Path], SafeNight], tmp_path: Path
) -> None:
    paths = folders(tmp_path)
    refused = 0
    calls = cutover_calls(lambda: make(next(paths)))
    for early in (number for number, name in calls if name.startswith("journal.")):
        for late in range(0, len(calls), 7):
            night = make(next(paths))
            is_behind = restored(night, early, late)
            if night.is_refused():
                refused += 1
                assert is_behind
                adopt(night.folder().account("17"), night.journal())
            assert night.carry().outcome is CutoverOutcome.DONE
            assert_one_side(night, Side.TARGET)
            night.assert_arrived()
    assert refused


def test_adopting_brings_any_journal_to_what_the_folder_says(tmp_path: Path) -> None:
    night = plain(tmp_path)
    night.run_to_the_end(Faults())
    account = night.folder().account("17")
    statuses = (None, *EntryStatus)
    for before in statuses:
        for after in EntryStatus:
            journal = MemoryJournal()
            steps: dict[EntryStatus | None, tuple[str, ...]] = {
                None: (),
                EntryStatus.BEGUN: ("begin",),
                EntryStatus.DONE: ("begin", "done"),
                EntryStatus.UNDONE: ("begin", "undone"),
            }
            entry = replace(account.entries[0], status=after)
            for step in steps[before]:
                partial(getattr(journal, step), entry.key)(*([{}] if step == "begin" else []))
            adopt(replace(account, entries=(entry,)), journal)
            assert [one.status for one in journal.entries()] == [after]
            adopt(replace(account, entries=(entry,)), journal)
            assert [one.status for one in journal.entries()] == [after]


def test_another_run_begins_only_when_the_one_before_is_undone(tmp_path: Path) -> None:
    night = SafeNight(path=tmp_path, late_at="journal.done.verify")
    night.deadline = night.clock.now() + 100
    night.run_to_the_end(Faults())
    second = replace(night.account(), run="2")
    assert FileJournal(night.folder(), second).entries() == []
    written = json.loads((tmp_path / "accounts/17.json").read_text())
    written["steps"][0]["status"] = "begun"
    (tmp_path / "accounts/17.json").write_text(json.dumps(written))
    with pytest.raises(MigratorError) as refusal:
        FileJournal(night.folder(), second).entries()
    assert refusal.value.code == "rescue.differs"
