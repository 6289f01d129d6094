"""How much mail waits for the users of a batch: asked of the hold, and told as not known where it does not say."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Self

import pytest
from django.test import Client
from django.utils import timezone

from campaigns.bridge.connect import World
from campaigns.models import Account, AccountHeld, Batch, BatchHeld, Campaign, Connector, JournalEntry
from campaigns.services import acceptance, held_mail
from campaigns.states import AccountState
from migrator.entries import Json, Kind, Trait
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
    beside: ClassVar[dict[str, Any]] = {}  # what it says of everybody's mail besides
    asked: ClassVar[list[str]] = []

    @classmethod
    def of(cls, options: Mapping[str, Json], secret: Secret | None) -> Self:
        return cls({}, cls.queue)

    def held(self, address: str) -> HeldMail:
        self.asked.append(address)
        if address in self.breaks:
            raise MigratorError("directory.lost")
        return HeldMail(super().held(address).messages, self.ages.get(address), **self.beside)


class ListingHold(Hold):
    """One that tells of all at once."""

    def held_of(self, addresses: Sequence[str]) -> dict[str, HeldMail]:
        return {address: super(ListingHold, self).held(address) for address in addresses if address not in self.breaks}


@pytest.fixture
def world() -> World:
    Hold.queue, Hold.breaks, Hold.ages, Hold.beside, Hold.asked = Queue({}), set(), {}, {}, []
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
    ended_at = None if status == "begun" else timezone.now()
    JournalEntry.objects.create(**place, status=status, begun_at=timezone.now(), ended_at=ended_at)


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


def release(account: Account) -> None:
    step(account, "release", "done")
    put(account, S.DONE)


def proof(batch: Batch) -> tuple[str, bool | None]:
    batch.refresh_from_db()
    (found,) = (one for one in acceptance.checks(batch) if one.code.startswith("held"))
    return found.code, found.is_well


@pytest.mark.req("S-124")
def test_a_release_is_proved_when_the_hold_says_that_nothing_of_what_it_held_is_left(world: World) -> None:
    batch = holding(2)
    first, second = batch.accounts.order_by("pk")
    wait_for(first, 2, timezone.now() - timedelta(minutes=5))
    held_mail.count(batch.pk, world=world)
    for account in (first, second):
        release(account)
    Batch.objects.filter(pk=batch.pk).update(ended_at=timezone.now())
    assert proof(batch) == ("held", False)  # as it was counted last
    assert held_mail.count_due(timezone.now(), world=world) == [batch.pk]  # a last time, as soon as it has ended
    held = BatchHeld.objects.get()
    assert (held.messages, held.left, held.to_prove) == (0, 2, 1)
    assert proof(batch) == ("held", False)
    assert held_mail.due(timezone.now()) == []
    later = timezone.now() + timedelta(seconds=held_mail.PROVE_AGAIN_SECONDS + 1)
    Hold.queue.waiting.clear()
    assert held_mail.count_due(later, world=world) == [batch.pk]
    assert proof(batch) == ("held", True)
    assert held_mail.due(later + timedelta(hours=1)) == []
    assert [held_mail.is_proved(row, row.account) for row in AccountHeld.objects.all()] == [True, True]


def test_mail_that_came_after_the_release_was_never_held(world: World) -> None:
    batch = holding(1)
    account = batch.accounts.get()
    release(account)
    wait_for(account, 3, timezone.now() + timedelta(seconds=1))
    held_mail.count(batch.pk, world=world)
    assert BatchHeld.objects.get().left == 0
    assert held_mail.is_proved(AccountHeld.objects.get(), account)


def test_what_comes_late_into_a_file_is_left_for_nothing_sends_it(world: World) -> None:
    world = World(holds={"memory": Kind("memory", f"{__name__}:Hold", frozenset({Trait.KEEPS}))})
    batch = holding(1)
    account = batch.accounts.get()
    release(account)
    wait_for(account, 3, timezone.now() + timedelta(seconds=1))
    held_mail.count(batch.pk, world=world)
    assert BatchHeld.objects.get().left == 3
    assert proof(batch) == ("held", False)


def test_nothing_is_proved_where_the_hold_does_not_say_it(world: World) -> None:
    batch = holding(1)
    release(batch.accounts.get())
    Hold.breaks = {batch.accounts.get().source_login}
    held_mail.count(batch.pk, world=world)
    assert proof(batch) == ("held_unproved", None)
    Batch.objects.filter(pk=batch.pk).update(ended_at=timezone.now() - timedelta(hours=held_mail.PROVE_HOURS + 1))
    assert held_mail.due(timezone.now() + timedelta(hours=1)) == []  # nobody asks for ever


def test_mail_that_is_held_twice_in_one_move_is_counted_the_second_time_too(world: World) -> None:
    batch = holding(1)
    account = batch.accounts.get()
    step(account, "release", "done")
    step(account, "hold", "begun")
    wait_for(account, 4, OLDEST)
    held_mail.count(batch.pk, world=world)
    assert BatchHeld.objects.get().messages == 4
    step(account, "release", "begun")
    held_mail.count(batch.pk, world=world)
    assert BatchHeld.objects.get().messages == 4


def test_who_was_not_asked_for_want_of_time_is_asked_first_the_next_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = holding(3)
    times = iter([0.0, 0.0, 0.0, 99.0] + [0.0] * 9)
    monkeypatch.setattr(held_mail.time, "monotonic", lambda: next(times))
    held_mail.count(batch.pk, world=world)
    assert BatchHeld.objects.get().unknown == 1
    held_mail.count(batch.pk, world=world)
    first, second, third = batch.accounts.order_by("pk").values_list("source_login", flat=True)
    assert Hold.asked == [first, second, third, first, second]
    assert BatchHeld.objects.get().unknown == 0


def test_a_hold_that_tells_of_all_at_once_is_asked_once(world: World) -> None:
    world = World(holds={"memory": Kind("memory", f"{__name__}:ListingHold")})
    batch = holding(3)
    first, second, _ = batch.accounts.order_by("pk")
    wait_for(first, 2, OLDEST)
    Hold.breaks = {second.source_login}
    held_mail.count(batch.pk, world=world)
    held = BatchHeld.objects.get()
    assert (held.messages, held.unknown, held.error_code) == (2, 1, "directory.lost")
    assert len(Hold.asked) == 3  # of the two that it told of, and the one that it left out


def text_of(client: Client, address: str) -> str:
    page = client.get(address)
    assert page.status_code == 200
    return " ".join(re.sub(r"<[^>]+>", " ", page.content.decode()).split())


def test_the_helpdesk_and_the_page_of_the_account_tell_what_waits_for_one_person(client: Client, world: World) -> None:
    batch = holding(1)
    account = batch.accounts.get()
    client.force_login(make_user(is_operator=True, is_helpdesk=True))
    pages = (f"/people/{account.pk}", f"/accounts/{account.pk}")
    held_mail.count(batch.pk, world=world)
    assert all("none has come for them so far" in text_of(client, page) for page in pages)
    wait_for(account, 2, timezone.now() - timedelta(minutes=5))
    Hold.beside = {"aside": 3}
    held_mail.count(batch.pk, world=world)
    for page in pages:
        text = text_of(client, page)
        assert "New mail is held: 2 messages wait for them. The oldest came " in text
        assert "3 more were put on hold by a person or a filter of the mail server" in text
    Hold.breaks = {account.source_login}
    held_mail.count(batch.pk, world=world)
    assert all("How much new mail waits for them is not known" in text_of(client, page) for page in pages)
    Hold.breaks, Hold.beside = set(), {}
    release(account)
    held_mail.count(batch.pk, world=world)
    assert all("New mail was released, and 2 messages were still there" in text_of(client, page) for page in pages)
    Hold.queue.waiting.clear()
    held_mail.count(batch.pk, world=world)
    assert all("none of what was held was left" in text_of(client, page) for page in pages)


def test_what_waits_at_senders_is_told_as_what_nobody_can_count_and_never_as_none(client: Client, world: World) -> None:
    batch = holding(2)
    batch.accounts.update(locked_at=OLDEST)
    Hold.beside = {"is_at_senders": True}
    held_mail.count(batch.pk, world=world)
    client.force_login(make_user(is_operator=True, is_helpdesk=True))
    night = text_of(client, f"/batches/{batch.pk}/night")
    assert "that for 2 accounts waits at its senders, who come again by themselves; how much, nobody can count" in night
    assert "No new mail is held." not in night
    person = text_of(client, f"/people/{batch.accounts.order_by('pk')[0].pk}")
    assert "No new mail waits for them here. Senders are told to come again" in person
    assert "none has come" not in person
    wait_for(batch.accounts.order_by("pk")[0], 1, OLDEST)
    held_mail.count(batch.pk, world=world)
    assert "1 new message is held for 1 account" in (night := text_of(client, f"/batches/{batch.pk}/night"))
    assert "More waits at its senders" in night
    for account in batch.accounts.all():
        release(account)
    Hold.queue.waiting.clear()
    held_mail.count(batch.pk, world=world)
    Batch.objects.filter(pk=batch.pk).update(ended_at=timezone.now())
    assert proof(batch) == ("held_senders", True)
    assert "how much they have nobody can count" in text_of(client, f"/batches/{batch.pk}/night")


def test_a_count_that_is_old_is_said_to_be_so(client: Client, world: World) -> None:
    batch = holding(1)
    account = batch.accounts.get()
    wait_for(account, 2, OLDEST)
    held_mail.count(batch.pk, world=world)
    client.force_login(make_user(is_operator=True, is_helpdesk=True))
    assert "and not since" not in text_of(client, f"/people/{account.pk}")
    AccountHeld.objects.update(counted_at=timezone.now() - timedelta(seconds=held_mail.STALE_SECONDS + 1))
    assert "and not since" in text_of(client, f"/people/{account.pk}")


def test_a_second_release_is_proved_only_by_a_question_that_was_asked_after_it(world: World) -> None:
    batch = holding(1)
    account = batch.accounts.get()
    step(account, "release", "done")
    held_mail.count(batch.pk, world=world)
    assert held_mail.is_proved(AccountHeld.objects.get(), account)
    step(account, "hold", "done")
    release(account)
    wait_for(account, 2, OLDEST - timedelta(days=3650))
    Batch.objects.filter(pk=batch.pk).update(ended_at=timezone.now())
    held_mail.count_due(world=world)
    assert proof(batch) == ("held", False)


def test_of_whoever_went_back_nobody_is_told_that_mail_is_held(client: Client, world: World) -> None:
    batch = holding(1)
    account = batch.accounts.get()
    wait_for(account, 2, OLDEST)
    held_mail.count(batch.pk, world=world)
    JournalEntry.objects.update(status="undone", ended_at=timezone.now())
    put(account, S.READY)
    later = timezone.now() + timedelta(minutes=2)
    wait_for(account, 2, timezone.now() - timedelta(minutes=5))
    held_mail.count_due(later, world=world)
    assert BatchHeld.objects.get().left == 2
    Hold.queue.waiting.clear()
    held_mail.count_due(later, world=world)
    held = BatchHeld.objects.get()
    assert (held.messages, held.left, held.to_prove) == (0, 0, 0)
    client.force_login(make_user(is_operator=True, is_helpdesk=True))
    for page in (f"/people/{account.pk}", f"/accounts/{account.pk}"):
        text = text_of(client, page)
        assert "New mail is held" not in text
        assert "New mail was released; none of what was held was left" in text


def test_what_a_person_put_on_hold_is_told_after_the_proof_too(world: World) -> None:
    batch = holding(1)
    Hold.beside = {"aside": 3}
    release(batch.accounts.get())
    for _ in range(2):
        held_mail.count(batch.pk, world=world)
        assert BatchHeld.objects.get().aside == 3


def test_a_move_so_short_that_nobody_counted_is_proved_too(world: World) -> None:
    batch = holding(1)
    release(batch.accounts.get())
    Batch.objects.filter(pk=batch.pk).update(ended_at=timezone.now())
    assert held_mail.count_due(world=world) == [batch.pk]
    assert proof(batch) == ("held", True)


def test_who_failed_on_arriving_while_their_mail_is_held_is_counted_and_nothing_is_proved(world: World) -> None:
    batch = holding(2)
    first, second = batch.accounts.order_by("pk")
    release(first)
    put(second, S.FAILED, arrives_first=True)
    Batch.objects.filter(pk=batch.pk).update(ended_at=timezone.now())
    held_mail.count_due(world=world)
    assert proof(batch) == ("held_unproved", None)
    wait_for(second, 3, OLDEST)
    held_mail.count(batch.pk, world=world)
    assert proof(batch) == ("held", False)
