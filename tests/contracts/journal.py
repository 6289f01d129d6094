"""The contract of journals."""

from __future__ import annotations

from collections.abc import Callable

from migrator.journal import Entry, EntryStatus, Journal, Owner, StepKey, StepKind, owner_by

DISABLE = StepKey(0, StepKind.DISABLE, "ldap of the users", "source")
DELTA = StepKey(1, StepKind.DELTA)
SWITCH = StepKey(2, StepKind.SWITCH, "who")
SAVED = {"before": {"status": ["active", "ä\n"], "none": None, "number": 7, "yes": True}, "after": {"status": []}}


class JournalContract:
    """Subclasses bring the fixture ``reopen``: it returns the journal of one cutover as the next process has it."""

    def test_nothing_is_known_at_first(self, reopen: Callable[[], Journal]) -> None:
        assert reopen().entries() == []

    def test_what_was_saved_comes_back_exactly_in_another_process(self, reopen: Callable[[], Journal]) -> None:
        reopen().begin(DISABLE, SAVED)
        assert reopen().entries() == [Entry(DISABLE, EntryStatus.BEGUN, SAVED)]
        reopen().done(DISABLE)
        assert reopen().entries() == [Entry(DISABLE, EntryStatus.DONE, SAVED)]
        reopen().undone(DISABLE)
        assert reopen().entries() == [Entry(DISABLE, EntryStatus.UNDONE, SAVED)]

    def test_steps_keep_apart_and_in_order(self, reopen: Callable[[], Journal]) -> None:
        journal = reopen()
        journal.begin(DISABLE, SAVED)
        journal.done(DISABLE)
        journal.begin(DELTA, {})
        assert journal.entries() == reopen().entries()
        assert [(entry.key, entry.status) for entry in reopen().entries()] == [
            (DISABLE, EntryStatus.DONE),
            (DELTA, EntryStatus.BEGUN),
        ]

    def test_a_step_that_was_undone_begins_again_with_what_is_saved_then(self, reopen: Callable[[], Journal]) -> None:
        journal = reopen()
        journal.begin(DISABLE, SAVED)
        journal.undone(DISABLE)
        journal.begin(DISABLE, {"before": {}, "after": {}})
        assert reopen().entries() == [Entry(DISABLE, EntryStatus.BEGUN, {"before": {}, "after": {}})]

    def test_the_switch_says_whose_the_mailbox_is(self, reopen: Callable[[], Journal]) -> None:
        journal = reopen()
        journal.begin(SWITCH, SAVED)
        assert owner_by(reopen().entries()) is Owner.UNKNOWN
        journal.undone(SWITCH)
        assert owner_by(reopen().entries()) is Owner.SOURCE
        journal.begin(SWITCH, SAVED)
        journal.done(SWITCH)
        assert owner_by(reopen().entries()) is Owner.TARGET
