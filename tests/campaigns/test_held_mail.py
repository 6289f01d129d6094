"""How much mail waits for the users of a batch: asked of the hold, and told as not known where it does not say."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Self

import pytest
from django.test import Client
from django.utils import timezone

from campaigns.bridge.connect import World
from campaigns.models import Account, Batch, BatchHeld, Campaign, Connector, JournalEntry
from campaigns.services import held_mail
from campaigns.states import AccountState
from migrator.entries import Json, Kind
from migrator.errors import MigratorError
from migrator.holds.base import HeldMail
from migrator.secret import Secret
from migrator.testing.connectors import MemoryHold, Queue
from tests.campaigns.factories import make_batch, make_user, put

pytestmark = pytest.mark.django_db

S = AccountState
OLDEST = datetime(2030, 3, 1, 22, 0, tzinfo=UTC)


class Hold(MemoryHold):
    """A hold that tells since when mail waits, and breaks for whom a test says so."""

    queue: ClassVar[Queue]
    breaks: ClassVar[set[str]] = set()
    ages: ClassVar[dict[str, float]] = {}

    @classmethod
    def of(cls, options: Mapping[str, Json], secret: Secret | None) -> Self:
        return cls({}, cls.queue)

    def held(self, address: str) -> HeldMail:
        if address in self.breaks:
            raise MigratorError("directory.lost")
        return HeldMail(super().held(address).messages, self.ages.get(address))


@pytest.fixture
def world() -> World:
    Hold.queue, Hold.breaks, Hold.ages = Queue({}), set(), {}
    return World(holds={"memory": Kind("memory", f"{__name__}:Hold")})


def holding(count: int, **fields: Any) -> Batch:
    batch = make_batch(count, state=S.CUTTING_OVER, go_at=timezone.now(), **fields)
    hold = Connector.objects.create(room="hold", kind="memory", name=f"hold {batch.pk}", options={})
    Campaign.objects.filter(pk=batch.campaign_id).update(hold=hold)
    batch.accounts.update(cutover=1)
    for account in batch.accounts.all():
        step(account, "hold", "done")
    return batch


def step(account: Account, kind: str, status: str) -> None:
    place = {"account": account, "cutover": 1, "position": JournalEntry.objects.count(), "kind": kind}
    JournalEntry.objects.create(**place, status=status, begun_at=timezone.now())


def wait_for(account: Account, messages: int, at: datetime | None = None) -> None:
    Hold.queue.waiting[account.source_login] = [b"mail"] * messages
    if at is not None:
        Hold.ages[account.source_login] = at.timestamp()


def test_what_waits_is_counted_with_the_oldest_and_whose_it_is(world: World) -> None:
    batch = holding(3)
    first, second, _ = batch.accounts.order_by("pk")
    wait_for(first, 2, OLDEST + timedelta(minutes=5))
    wait_for(second, 3, OLDEST)
    assert held_mail.count_due(world=world) == [batch.pk]
    held = BatchHeld.objects.get()
    assert (held.messages, held.accounts, held.unknown) == (5, 2, 0)
    assert (held.oldest_at, held.oldest_account) == (OLDEST, second)


def test_released_and_undone_holds_are_not_asked_about(world: World) -> None:
    batch = holding(3)
    first, second, third = batch.accounts.order_by("pk")
    for account in (first, second, third):
        wait_for(account, 1)
    step(first, "release", "done")
    JournalEntry.objects.filter(account=second).update(status="undone")
    held_mail.count(batch.pk, world=world)
    assert BatchHeld.objects.get().messages == 1


def test_whom_the_hold_does_not_answer_for_is_not_known_and_the_others_are(world: World) -> None:
    batch = holding(2)
    first, second = batch.accounts.order_by("pk")
    wait_for(second, 4)
    Hold.breaks = {first.source_login}
    held_mail.count(batch.pk, world=world)
    held = BatchHeld.objects.get()
    assert (held.messages, held.unknown, held.error_code) == (4, 1, "directory.lost")


def test_a_count_ends_in_time_and_says_for_how_many_it_did_not(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_mail, "MOST_SECONDS", -1.0)
    batch = holding(3)
    held_mail.count(batch.pk, world=world)
    assert BatchHeld.objects.get().unknown == 3


def test_figures_are_fresh_for_a_while_and_go_to_nothing_when_the_night_is_over(world: World) -> None:
    batch = holding(1)
    account = batch.accounts.get()
    wait_for(account, 2)
    held_mail.count_due(world=world)
    now = timezone.now()
    assert held_mail.due(now) == []
    later = now + timedelta(seconds=held_mail.AGAIN_SECONDS + 1)
    assert held_mail.due(later) == [batch.pk]
    put(account, S.DONE)
    assert held_mail.due(later) == [batch.pk]
    held_mail.count(batch.pk, world=world)
    assert held_mail.due(later + timedelta(hours=1)) == []
    assert BatchHeld.objects.get().messages == 0


def test_batches_without_a_hold_are_never_asked_about() -> None:
    make_batch(2, state=S.CUTTING_OVER)
    assert held_mail.due(timezone.now()) == []


def test_the_pages_of_the_batch_and_of_its_night_tell_it(client: Client, world: World) -> None:
    batch = holding(2)
    first = batch.accounts.order_by("pk")[0]
    wait_for(first, 3, OLDEST)
    held_mail.count_due(world=world)
    client.force_login(make_user(is_operator=True))
    batch.accounts.update(locked_at=OLDEST)
    for address in (f"/batches/{batch.pk}/night", f"/batches/{batch.pk}"):
        page = client.get(address).content.decode()
        assert "<strong>3</strong> new messages are held for 1 account" in page
        assert f"({first.source_login})" in page
        assert "<strong>2</strong> users are locked out now" in page
