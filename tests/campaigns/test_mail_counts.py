"""Where every message is: each in one box, all together what the ledger has recorded; counted a batch at a time."""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta

import pytest
from django.utils import timezone

from campaigns.models import Batch, BatchMail, Campaign
from campaigns.services import mail_counts
from campaigns.states import AccountState
from migrator.mail import Outcome
from migrator.transfer.ledger import FolderState
from tests.campaigns.factories import make_batch

S = AccountState


def folder(removed: int = 0, **totals: int) -> FolderState:
    counted = {Outcome[name.upper()]: count for name, count in totals.items()}
    return FolderState(b"INBOX", b"INBOX", 1, totals=counted, removed=removed)


def test_each_outcome_has_its_box() -> None:
    states = [folder(copied=10, already_there=4, too_big=1, refused=2), folder(unreadable=3, empty=5, marked_deleted=6)]
    columns = mail_counts.columns(states, skipped=7)
    assert columns["messages_done"] == 14
    assert columns["messages_left"] == 17 + 7
    boxes = mail_counts.boxes_of(S.READY, 14, 0, 7, columns["outcomes"])
    assert +boxes == Counter(ahead=10, already=4, left=6, empty=5, flagged=6, skipped=7)
    assert +mail_counts.boxes_of(S.DONE, 14, 0, 7, columns["outcomes"]) == Counter(
        moved=10, already=4, left=6, empty=5, flagged=6, skipped=7
    )


def test_a_message_that_vanished_is_removed_once_however_often_a_pass_looked() -> None:
    before = mail_counts.columns([folder(copied=10, vanished=1)], 0)["outcomes"]
    after = mail_counts.columns([folder(copied=10, vanished=1, removed=3)], 0)["outcomes"]
    assert (before["there"], before["removed"]) == (10, 1)
    assert (after["there"], after["removed"]) == (8, 3)


def test_the_boxes_make_up_all_that_was_recorded_skipped_and_planned() -> None:
    seed = random.randrange(10**6)
    print("seed", seed)
    chance = random.Random(seed)
    for _ in range(300):
        totals = {outcome.name.lower(): chance.randrange(20) for outcome in Outcome}
        recorded = sum(totals.values())
        removed = totals["vanished"] + chance.randrange(totals["copied"] + totals["already_there"] + 1)
        skipped, pending, since = chance.randrange(9), chance.randrange(9), chance.randrange(9)
        columns = mail_counts.columns([folder(removed, **totals)], skipped)
        done = columns["messages_done"] + since
        boxes = mail_counts.boxes_of(chance.choice(list(S)), done, pending, skipped, columns["outcomes"])
        assert boxes.total() == recorded + skipped + pending + since
        assert min(boxes.values()) >= 0
        assert set(boxes) <= set(mail_counts.BOXES)


def test_before_the_first_pass_has_ended_what_is_copied_counts_as_copied() -> None:
    assert +mail_counts.boxes_of(S.STAGING, 30, 70, 0, {}) == Counter(ahead=30, pending=70)


@pytest.mark.django_db
def test_a_batch_adds_up_the_accounts_that_were_looked_at() -> None:
    batch = make_batch(4, state=S.READY)
    now = timezone.now()
    three = batch.accounts.order_by("pk")[1:]
    batch.accounts.filter(pk__in=[account.pk for account in three]).update(
        progress_at=now, messages_done=5, messages_pending=2, bytes_total=100, bytes_done=60
    )
    last = batch.accounts.order_by("pk").last()
    assert last is not None
    batch.accounts.filter(pk=last.pk).update(state=S.DONE, owner="target")
    mail_counts.count(batch.pk, now)
    mail = BatchMail.objects.get(batch=batch)
    assert (mail.counted_accounts, mail.ahead, mail.moved, mail.pending) == (3, 10, 5, 6)
    assert (mail.bytes_total, mail.bytes_done, mail.bytes_moved) == (300, 180, 60)


@pytest.mark.django_db
def test_the_batch_that_was_counted_longest_ago_is_next_and_none_more_often_than_needed() -> None:
    now = timezone.now()
    first, second = make_batch(1, state=S.STAGING), make_batch(1, state=S.STAGING)
    make_batch(1, started=False)
    ended = make_batch(1, state=S.DONE, ended_at=now)
    closed = make_batch(1, state=S.STAGING)
    Campaign.objects.filter(pk=closed.campaign_id).update(closed_at=now)
    turns = [mail_counts.count_next(now + timedelta(seconds=n)) for n in range(5)]
    assert turns == [first.pk, second.pk, ended.pk, None, None]
    later = [mail_counts.count_next(now + timedelta(seconds=n)) for n in range(20, 24)]
    assert later == [first.pk, second.pk, None, None]
    Batch.objects.filter(pk=first.pk).update(ended_at=now + timedelta(seconds=25))
    assert mail_counts.count_next(now + timedelta(seconds=40)) in (first.pk, second.pk)
    assert mail_counts.count_next(now + timedelta(seconds=41)) in (first.pk, second.pk)
    assert mail_counts.count_next(now + timedelta(seconds=55)) == second.pk
    assert mail_counts.count_next(now + timedelta(hours=2)) == ended.pk
