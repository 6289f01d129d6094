"""The ledger in the database keeps the contract, and writes for nobody whose lease is gone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from django.db import connection

from campaigns.bridge.lease import LeaseLost, release
from campaigns.bridge.ledger import OrmLedger
from campaigns.models import (
    Account,
    LedgerFolder,
    LedgerLeaf,
    LeftBehindMessage,
    MessageNames,
    SendingMessage,
    SieveScript,
)
from migrator.errors import MigratorError
from migrator.stores.base import MessageName
from migrator.transfer.ledger import FIRST_PREVIOUS, FolderState, Leaf, ScriptState, Sending
from tests.campaigns.crossings import claim, make_account, make_batch, make_campaign
from tests.contracts.ledger import FOLDER, SOURCE, TARGET, FullLedgerContract, ReopenFull, chain, record, row

pytestmark = pytest.mark.django_db


@pytest.fixture
def account() -> Account:
    return make_account(make_batch(make_campaign()))


class TestOrmLedger(FullLedgerContract):
    @pytest.fixture
    def reopen(self, account: Account) -> ReopenFull:
        return lambda: OrmLedger(claim(account))


def writes(ledger: OrmLedger) -> list[Callable[[], None]]:
    leaves, state = chain(FOLDER, 1)
    return [
        lambda: ledger.bind(SOURCE, TARGET),
        lambda: ledger.begin([FolderState(FOLDER, FOLDER, 7)]),
        lambda: ledger.commit(leaves=leaves, states=[state], left_behind=[row(5)]),
        lambda: ledger.commit(resolved=[(FOLDER, 7, 5)]),
        lambda: ledger.note_names([MessageName(FOLDER, 7, 1, b"a")]),
        lambda: ledger.note_scripts([ScriptState(b"a", b"a")]),
        lambda: ledger.note_sending(Sending(FOLDER, 7, 1, bytes(32))),
        lambda: ledger.clear_sending(Sending(FOLDER, 7, 5, bytes(32))),
    ]


def stored() -> list[int]:
    models = (LedgerFolder, LedgerLeaf, LeftBehindMessage, MessageNames, SendingMessage, SieveScript)
    return [model.objects.count() for model in models]


def test_a_worker_whose_lease_went_to_another_writes_nothing(account: Account) -> None:
    zombie = OrmLedger(claim(account))
    current = OrmLedger(claim(account))
    current.commit(left_behind=[row(5)])
    current.note_sending(Sending(FOLDER, 7, 5, bytes(32)))
    before = stored()
    for write in writes(zombie):
        with pytest.raises(LeaseLost):
            write()
    assert stored() == before == [1, 0, 1, 0, 1, 0]
    account.refresh_from_db()
    assert (account.ledger_source, account.ledger_target) == ("", "")


def test_a_worker_that_gave_its_lease_back_writes_nothing(account: Account) -> None:
    lease = claim(account)
    release(lease)
    for write in writes(OrmLedger(lease)):
        with pytest.raises(LeaseLost):
            write()
    assert stored() == [0, 0, 0, 0, 0, 0]


def test_ledgers_of_two_accounts_do_not_mix(account: Account) -> None:
    second = make_account(account.batch, "berta")
    leaves, state = chain(FOLDER, 2)
    OrmLedger(claim(account)).commit(leaves=leaves, states=[state], left_behind=[row(5)])
    other = OrmLedger(claim(second))
    assert other.states() == list(other.leaves(FOLDER)) == list(other.left_behind()) == []
    OrmLedger(claim(second)).commit(leaves=leaves, states=[state], resolved=[(FOLDER, 7, 5)])
    assert len(list(OrmLedger(claim(account)).left_behind())) == 1


@pytest.mark.parametrize("loss", ["the last leaf", "a leaf between", "an altered leaf"])
def test_a_chain_that_does_not_hold_is_told_and_not_read_on(account: Account, loss: str) -> None:
    ledger = OrmLedger(claim(account))
    leaves, state = chain(FOLDER, 30)
    ledger.commit(leaves=leaves, states=[state])
    rows = LedgerLeaf.objects.order_by("number")
    if loss == "an altered leaf":
        rows.filter(number=12).update(packed=leaves[13].packed)
    else:
        rows.filter(number=29 if loss == "the last leaf" else 12).delete()
    with pytest.raises(MigratorError) as caught:
        list(ledger.leaves(FOLDER))
    assert caught.value.code == "ledger.damaged"


def test_words_that_databases_refuse_are_made_storable(account: Account) -> None:
    ledger = OrmLedger(claim(account))
    ledger.commit(left_behind=[row(5, reply="NO \0 \udce4 " + "x" * 1000)])
    (found,) = ledger.left_behind()
    assert found.reply.startswith("NO \ufffd ? xxx")
    assert len(found.reply) == 500


def test_a_commit_of_many_folders_takes_few_statements(
    account: Account, django_assert_max_num_queries: Callable[..., object]
) -> None:
    ledger = OrmLedger(claim(account))
    states = [FolderState(f"folder {number}".encode(), b"t", 7) for number in range(300)]
    with django_assert_max_num_queries(12):  # savepoints of the test included
        ledger.begin(states)
    leaf = Leaf.seal(states[7].source, 7, 9, 0, [record(1)], FIRST_PREVIOUS)
    with django_assert_max_num_queries(12):
        ledger.commit(leaves=[leaf], states=[replace(states[7], leaves=1, tip=leaf.digest)], left_behind=[row(3)])
    assert len(ledger.states()) == 300


def test_numbers_told_again_in_any_order_stand_once_and_in_order(account: Account) -> None:
    ledger = OrmLedger(claim(account))
    ledger.note_names([MessageName(FOLDER, 7, uid, b"first %d" % uid) for uid in range(1, 8_001)])
    ledger.note_names([MessageName(FOLDER, 7, uid, b"again %d" % uid) for uid in (9_000, 4_999, 5_002, 2)])
    found = list(ledger.message_names())
    assert [name.uid for name in found] == [*range(1, 8_001), 9_000]
    assert [name.uid for name in found if name.name.startswith(b"again")] == [2, 4_999, 5_002, 9_000]


@pytest.mark.django_db(transaction=True)
def test_an_intent_to_send_waits_for_the_disk_and_then_all_is_as_before(account: Account) -> None:
    seen: dict[str, str] = {}
    # SQLite: 2 is FULL. PostgreSQL waits for the disk at every commit, unless somebody told it not to.
    asked, full = ("PRAGMA synchronous", "2") if connection.vendor == "sqlite" else ("SHOW synchronous_commit", "on")

    def flushing() -> str:
        assert connection.connection is not None
        (level,) = connection.connection.execute(asked).fetchone()
        return str(level)

    def watch(run: Callable[..., object], sql: str, *rest: object) -> object:
        if sql.startswith("INSERT"):
            seen["during"] = flushing()
        return run(sql, *rest)

    ledger = OrmLedger(claim(account))
    before = flushing()
    with connection.execute_wrapper(watch):
        ledger.note_sending(Sending(FOLDER, 7, 5, bytes(32)))
    assert (before, seen["during"], flushing()) == (before, full, before)
