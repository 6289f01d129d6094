"""The ledger in the database keeps the contract, and writes for nobody whose lease is gone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from campaigns.bridge.lease import LeaseLost, release
from campaigns.bridge.ledger import OrmLedger
from campaigns.models import Account, LedgerFolder, LedgerLeaf, LeftBehindMessage
from migrator.errors import MigratorError
from migrator.transfer.ledger import FIRST_PREVIOUS, FolderState, Leaf
from tests.campaigns.crossings import claim, make_account, make_batch, make_campaign
from tests.contracts.ledger import FOLDER, SOURCE, TARGET, LedgerContract, Reopen, chain, record, row

pytestmark = pytest.mark.django_db


@pytest.fixture
def account() -> Account:
    return make_account(make_batch(make_campaign()))


class TestOrmLedger(LedgerContract):
    @pytest.fixture
    def reopen(self, account: Account) -> Reopen:
        return lambda: OrmLedger(claim(account))


def writes(ledger: OrmLedger) -> list[Callable[[], None]]:
    leaves, state = chain(FOLDER, 1)
    return [
        lambda: ledger.bind(SOURCE, TARGET),
        lambda: ledger.begin([FolderState(FOLDER, FOLDER, 7)]),
        lambda: ledger.commit(leaves=leaves, states=[state], left_behind=[row(5)]),
        lambda: ledger.commit(resolved=[(FOLDER, 7, 5)]),
    ]


def stored() -> list[int]:
    return [model.objects.count() for model in (LedgerFolder, LedgerLeaf, LeftBehindMessage)]


def test_a_worker_whose_lease_went_to_another_writes_nothing(account: Account) -> None:
    zombie = OrmLedger(claim(account))
    OrmLedger(claim(account)).commit(left_behind=[row(5)])
    before = stored()
    for write in writes(zombie):
        with pytest.raises(LeaseLost):
            write()
    assert stored() == before == [1, 0, 1]
    account.refresh_from_db()
    assert (account.ledger_source, account.ledger_target) == ("", "")


def test_a_worker_that_gave_its_lease_back_writes_nothing(account: Account) -> None:
    lease = claim(account)
    release(lease)
    for write in writes(OrmLedger(lease)):
        with pytest.raises(LeaseLost):
            write()
    assert stored() == [0, 0, 0]


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
