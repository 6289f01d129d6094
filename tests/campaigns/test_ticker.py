"""The ticker rings for what was claimed, and outlives whatever is away for a while."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable

import pytest
from django.db import OperationalError
from django.utils import timezone
from kombu.exceptions import OperationalError as QueueAway

from campaigns.bridge.lease import Lease, LeaseKind
from campaigns.celery import app
from campaigns.management.commands.ticker import Ticker
from campaigns.models import Account, Batch, Campaign, Server, UploadedList, Worker
from campaigns.services import beats, lists
from campaigns.services.scheduling import TickReport
from campaigns.tasks import _TASKS as TASKS
from tests.campaigns.factories import make_campaign, make_user

pytestmark = pytest.mark.django_db


def claimed(*leases: Lease) -> Callable[[], TickReport]:
    return lambda: TickReport(claimed=list(leases))


def test_a_tick_rings_for_each_account_and_shows_that_it_lives() -> None:
    rung: list[Lease] = []
    leases = [Lease(1, 5), Lease(2, 7, LeaseKind.CUTOVER)]
    Ticker(claimed(*leases), rung.append).turn()
    assert rung == leases
    assert Worker.objects.get().name == beats.full_name(beats.TICKER)


def test_lists_that_nobody_imported_are_swept_away() -> None:
    uploaded = lists.take([b"Name,Password\nanna,pw\n"], owner=make_user(is_operator=True), campaign=make_campaign())
    path = lists.path_of(uploaded)
    Ticker(claimed(), lambda lease: None).turn()
    assert path.is_file()
    UploadedList.objects.update(uploaded_at=timezone.now() - lists.KEPT)
    os.utime(path, (0, 0))
    Ticker(claimed(), lambda lease: None).turn()
    assert not path.exists()
    assert not UploadedList.objects.exists()


def test_each_kind_of_work_goes_to_its_queue() -> None:
    queues = {kind: app.amqp.router.route({}, TASKS[kind.queue].name, args=(1, 1))["queue"].name for kind in LeaseKind}
    assert queues == {
        LeaseKind.STAGE: "stage",
        LeaseKind.CATCH_UP: "stage",
        LeaseKind.CUTOVER: "cutover",
        LeaseKind.ROLLBACK: "cutover",
    }


def test_a_database_that_is_away_does_not_end_the_ticker(caplog: pytest.LogCaptureFixture) -> None:
    answers: list[Callable[[], TickReport]] = [claimed(Lease(1, 1)), _fail]
    rung: list[Lease] = []
    ticker = Ticker(lambda: answers.pop()(), rung.append)
    with caplog.at_level(logging.WARNING):
        ticker.turn()
        ticker.turn()
    assert rung == [Lease(1, 1)]
    assert "the database did not answer" in caplog.text


def _fail() -> TickReport:
    raise OperationalError("server closed the connection")


def test_accounts_for_which_nobody_could_be_rung_are_due_again(caplog: pytest.LogCaptureFixture) -> None:
    leases = [lease_of(login) for login in ("anna", "berta", "carla")]
    rung: list[Lease] = []

    def ring(lease: Lease) -> None:
        if rung:
            raise QueueAway("connection refused")
        rung.append(lease)

    Ticker(claimed(*leases), ring).turn()
    assert list(Account.objects.filter(lease_until=None).values_list("source_login", flat=True)) == ["berta", "carla"]
    assert "the queue did not answer" in caplog.text


def lease_of(login: str) -> Lease:
    source = Server.objects.get_or_create(name="source", host="a.example.org", port=143)[0]
    target = Server.objects.get_or_create(name="target", host="b.example.org", port=143)[0]
    campaign = Campaign.objects.get_or_create(name="the move", source=source, target=target)[0]
    batch = Batch.objects.get_or_create(campaign=campaign, number=1)[0]
    account = Account.objects.create(
        campaign=campaign,
        batch=batch,
        source=source,
        target=target,
        source_login=login,
        target_login=login,
        lease_until="2100-01-01T00:00Z",
        lease_epoch=1,
    )
    return Lease(account.pk, 1)


def test_a_ticker_that_is_told_to_stop_ends_after_its_tick() -> None:
    ticks: list[int] = []
    ticker = Ticker(lambda: ticks.append(1) or ticker.stop() or TickReport(), lambda lease: None)  # type: ignore[func-returns-value]
    done = threading.Event()
    ticker.run()
    done.set()
    assert (ticks, done.is_set()) == ([1], True)
