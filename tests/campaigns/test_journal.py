"""The journal in the database: durable before and after each effect, and what follows from it in the same moment."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import DatabaseError

from campaigns.bridge import journal as journal_module
from campaigns.bridge.journal import OrmJournal
from campaigns.bridge.lease import Lease, LeaseLost, StopReason
from campaigns.models import Account, Event, JournalEntry
from campaigns.states import AccountState
from migrator.journal import Entry, EntryStatus, StepKey, StepKind
from tests.campaigns.crossings import claim, make_account, make_batch, make_campaign

DISABLE = StepKey(0, StepKind.DISABLE, "staff", "source")
SWITCH = StepKey(3, StepKind.SWITCH, "routes")
ENABLE = StepKey(4, StepKind.ENABLE, "staff", "target")
SAVED = {"before": {"status": "active", "hosts": ["a", "b"], "none": None}, "after": {"status": "inactive"}}


@pytest.fixture
def account(transactional_db: None) -> Account:
    return make_account(make_batch(make_campaign()), state="cutting_over")


@pytest.fixture
def lease(account: Account) -> Lease:
    return claim(account)


def owner(account: Account) -> str:
    account.refresh_from_db()
    return account.owner


def test_a_step_is_there_for_the_next_worker_as_it_was_saved(account: Account, lease: Lease) -> None:
    OrmJournal(lease, 1).begin(DISABLE, SAVED)
    assert OrmJournal(claim(account), 1).entries() == [Entry(DISABLE, EntryStatus.BEGUN, SAVED)]
    OrmJournal(claim(account), 1).done(DISABLE)
    assert OrmJournal(claim(account), 1).entries() == [Entry(DISABLE, EntryStatus.DONE, SAVED)]
    account.refresh_from_db()
    assert account.step == "disable"


def test_entries_come_in_the_order_of_the_recipe(lease: Lease) -> None:
    journal = OrmJournal(lease, 1)
    for key in (ENABLE, DISABLE, SWITCH):
        journal.begin(key, {})
    assert [entry.key for entry in journal.entries()] == [DISABLE, SWITCH, ENABLE]


def test_every_cutover_has_a_journal_of_its_own(lease: Lease) -> None:
    OrmJournal(lease, 1).begin(DISABLE, SAVED)
    assert OrmJournal(lease, 2).entries() == []


def test_a_step_that_was_undone_begins_again_with_what_is_saved_now(lease: Lease) -> None:
    journal = OrmJournal(lease, 1)
    journal.begin(DISABLE, SAVED)
    journal.undone(DISABLE)
    journal.begin(DISABLE, {"before": 2})
    assert journal.entries() == [Entry(DISABLE, EntryStatus.BEGUN, {"before": 2})]


def test_the_owner_follows_the_switch_in_the_same_transaction(
    account: Account, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = OrmJournal(lease, 1)
    journal.begin(SWITCH, {})
    assert owner(account) == "unknown"
    journal.undone(SWITCH)
    assert owner(account) == "source"
    journal.begin(SWITCH, {})
    with monkeypatch.context() as patch:
        patch.setattr(journal_module, "take_owner", broken)
        with pytest.raises(DatabaseError):
            journal.done(SWITCH)
    assert owner(account) == "unknown"
    assert journal.entries()[0].status is EntryStatus.BEGUN
    journal.done(SWITCH)
    assert owner(account) == "target"
    assert list(Event.objects.order_by("pk").values_list("name", flat=True)) == [
        "account.owner.unknown",
        "account.owner.source",
        "account.owner.unknown",
        "account.owner.target",
    ]


def broken(*args: object) -> None:
    raise DatabaseError("the disk is full")


def test_the_time_without_mail_is_counted_from_disable_to_enable(account: Account, lease: Lease) -> None:
    journal = OrmJournal(lease, 1)
    journal.begin(DISABLE, SAVED)
    account.refresh_from_db()
    assert account.locked_at is None
    journal.done(DISABLE)
    account.refresh_from_db()
    assert account.locked_at is not None
    journal.begin(ENABLE, {})
    journal.done(ENABLE)
    account.refresh_from_db()
    assert account.locked_at is None
    assert account.lockout_seconds is not None
    assert 0 <= account.lockout_seconds < 60


def test_a_way_back_ends_the_time_without_mail_as_well(account: Account, lease: Lease) -> None:
    journal = OrmJournal(lease, 1)
    journal.begin(DISABLE, SAVED)
    journal.done(DISABLE)
    journal.undone(DISABLE)
    account.refresh_from_db()
    assert account.locked_at is None
    assert account.lockout_seconds is not None


WRITES: list[Callable[[OrmJournal], None]] = [
    lambda journal: journal.begin(ENABLE, {}),
    lambda journal: journal.begin(SWITCH, {}),
    lambda journal: journal.done(DISABLE),
    lambda journal: journal.undone(DISABLE),
]


@pytest.mark.parametrize("write", WRITES)
def test_a_worker_whose_lease_went_to_another_journals_nothing(
    account: Account, lease: Lease, write: Callable[[OrmJournal], None]
) -> None:
    zombie = OrmJournal(lease, 1)
    zombie.begin(DISABLE, SAVED)
    claim(account)
    with pytest.raises(LeaseLost):
        write(zombie)
    assert JournalEntry.objects.get().status == "begun"
    assert owner(account) == "source"


def test_a_worker_that_could_not_renew_begins_nothing_but_may_say_what_is_done(account: Account, lease: Lease) -> None:
    journal = OrmJournal(lease, 1)
    journal.begin(DISABLE, SAVED)
    lease.stop.ask(StopReason.LOST)
    with pytest.raises(LeaseLost):
        journal.begin(SWITCH, {})
    journal.done(DISABLE)
    assert [entry.status for entry in journal.entries()] == [EntryStatus.DONE]


def test_what_was_never_begun_does_not_end(lease: Lease) -> None:
    with pytest.raises(ValueError, match="without having begun"):
        OrmJournal(lease, 1).done(DISABLE)


def test_a_sealed_entry_moved_to_another_account_does_not_open(account: Account, lease: Lease) -> None:
    OrmJournal(lease, 1).begin(DISABLE, SAVED)
    second = claim(make_account(account.batch, "berta", state=AccountState.CUTTING_OVER))
    JournalEntry.objects.update(account=second.account_id)
    with pytest.raises(Exception, match=r"secret\.unreadable"):
        OrmJournal(second, 1).entries()
