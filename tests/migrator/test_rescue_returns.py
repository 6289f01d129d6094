"""Rescue of somebody who was on the way back when all else was lost: they come to be where their mail is."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from migrator.cutover import CutoverResult
from migrator.errors import Side
from migrator.journal import EntryStatus, StepKey, StepKind
from migrator.recipes import RECIPES, Recipe, RecipeStep
from migrator.rescue.folder import Account
from migrator.rescue.work import Way
from migrator.testing import FaultKind, FaultPlan, Killed
from migrator.testing.connectors import QUEUES, REGISTERED
from tests.migrator.nights import Faults
from tests.migrator.test_back import WayBack, some
from tests.migrator.test_rescue import SafeNight
from tests.migrator.transfer.scenes import arrivals


@dataclass
class SafeWayBack(WayBack, SafeNight):
    """A way back that keeps a rescue folder."""

    def account(self) -> Account:
        return replace(super().account(), is_returning=self.is_returning)

    def cut_off(self, at: int, kind: FaultKind) -> None:
        """Begin the way back, die at the call ``at``, and lose the database."""
        faults = Faults({at: kind})
        faults.live, faults.check = self.live, self.check
        try:
            self.back(faults)
        except Killed:
            faults.revive()
        self.entries.clear()
        self.check()

    def back(self, faults: FaultPlan) -> CutoverResult:
        known = self.folder().account("17")
        assert known is not None
        self.folder().write_account(replace(known, is_returning=True))  # as the panel does first
        return super().back(faults)


@pytest.fixture(autouse=True)
def _no_rows_of_others():  # type: ignore[no-untyped-def]
    yield
    REGISTERED.clear()
    QUEUES.clear()


def make(path: Path, *, is_shared: bool) -> SafeWayBack:
    path.mkdir()
    way = SafeWayBack(path=path, is_shared=is_shared)
    way.evening()
    return way


@pytest.mark.long
@pytest.mark.parametrize("kind", [FaultKind.KILL, FaultKind.KILL_AFTER])
@pytest.mark.parametrize("is_shared", [True, False])
def test_who_was_on_the_way_back_is_enabled_on_the_one_side_that_has_all_their_mail(
    tmp_path: Path, is_shared: bool, kind: FaultKind
) -> None:
    clean = make(tmp_path / "clean", is_shared=is_shared)
    faults = Faults()
    clean.return_to_the_end(faults)
    ways = set()
    for at in {*some(len(faults.calls)), *(number for number, name in enumerate(faults.calls) if "undone" in name)}:
        way = make(tmp_path / str(at), is_shared=is_shared)
        way.cut_off(at, kind)
        before = arrivals(way.target, "INBOX")
        way.is_returning = False  # from here on the way may lead in either direction
        way._was_switched = False
        rescued = way.rescue()
        assert rescued is not None
        assert rescued.error is None, (at, rescued)
        ways.add(rescued.way)
        (side,) = [side for side in Side if way.admits(side)]
        assert rescued.side is side, at
        assert not way.queue.waiting
        assert not before - arrivals(way.target, "INBOX")
        mailbox = way.target if side is Side.TARGET else way.source
        assert not Counter(way.written_at_target) - arrivals(mailbox, "INBOX"), at
        again = way.rescue()
        assert again is not None
        assert (again.error, again.side) == (None, side)
    assert ways == {Way.FORWARD, Way.BACK, Way.NONE} or ways == {Way.FORWARD, Way.BACK}


def test_an_account_that_was_made_on_the_target_is_never_removed_by_a_rescue_of_who_was_going_back(
    tmp_path: Path,
) -> None:
    way = make(tmp_path / "home", is_shared=True)
    held, *rest = RECIPES["plain"].steps
    # Not first: what makes the account in the night, and not before it, stands in the same journal as the way back.
    steps = (held, RecipeStep(StepKind.POPULATE), *rest)
    folder = way.folder()
    folder.write_batch(replace(way.batch(), recipe=Recipe("made", "made", steps, is_staged=True)))
    account = folder.account("17")
    assert account is not None
    carried = tuple(
        replace(entry, status=EntryStatus.UNDONE, key=entry.key._replace(position=entry.key.position + 1))
        for entry in account.entries
        if entry.key.position > 0
    )
    made = replace(carried[0], key=StepKey(1, StepKind.POPULATE, "accounts"), status=EntryStatus.DONE)
    made = replace(made, saved={"existed": False})
    folder.write_account(replace(account, population="accounts", is_returning=True, entries=(made, *carried)))
    rescued = way.rescue()  # no connector makes or removes accounts here: it would be missed
    assert rescued is not None
    assert (rescued.error, rescued.way) == (None, Way.BACK)
