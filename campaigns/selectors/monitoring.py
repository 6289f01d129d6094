"""Figures for monitoring, computed from the rows at every scrape: right whatever number of programs runs."""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import Count, F, Q, Sum
from django.utils import timezone
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from campaigns.models import Account, BatchCount, Server, Worker


class Rows(Collector):
    """Asks the database. No figure carries the name of a person or of a mailbox."""

    def collect(self) -> Iterator[Metric]:
        yield _accounts()
        yield from _mail()
        yield _leases()
        yield _breakers()
        yield from _programs()


def exposition() -> bytes:
    """Return all figures in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(Rows())
    return generate_latest(registry)


def _accounts() -> Metric:
    metric = GaugeMetricFamily(
        "mailferry_accounts", "Accounts by batch and state.", labels=("campaign", "batch", "state")
    )
    rows = BatchCount.objects.filter(accounts__gt=0).values_list(
        "batch__campaign__name", "batch__number", "state", "accounts"
    )
    for campaign, batch, state, accounts in rows.order_by("batch", "state"):
        metric.add_metric((campaign, str(batch), state), accounts)
    return metric


def _mail() -> Iterator[Metric]:
    names = ("campaign",)
    messages = CounterMetricFamily("mailferry_messages_done", "Messages on their targets.", labels=names)
    size = CounterMetricFamily("mailferry_bytes_done", "Bytes on their targets.", labels=names)
    left = GaugeMetricFamily("mailferry_messages_left_behind", "Messages with a reason not to be.", labels=names)
    rows = Account.objects.values_list(F("campaign__name")).order_by("campaign__name")
    sums = rows.annotate(Sum("messages_done"), Sum("bytes_done"), Sum("messages_left"))
    for campaign, messages_done, bytes_done, messages_left in sums:
        messages.add_metric((campaign,), messages_done)
        size.add_metric((campaign,), bytes_done)
        left.add_metric((campaign,), messages_left)
    yield from (messages, size, left)


def _leases() -> Metric:
    metric = GaugeMetricFamily("mailferry_accounts_worked_on", "Accounts that a worker holds now.")
    metric.add_metric((), Account.objects.filter(lease_until__gt=timezone.now()).count())
    return metric


def _breakers() -> Metric:
    metric = GaugeMetricFamily("mailferry_servers_avoided", "Servers that get no new work for a while.")
    counts = Server.objects.aggregate(avoided=Count("id", filter=Q(breaker_until__gt=timezone.now())))
    metric.add_metric((), counts["avoided"])
    return metric


def _programs() -> Iterator[Metric]:
    age = GaugeMetricFamily("mailferry_beat_age_seconds", "Since a program was heard of.", labels=("program",))
    lanes = GaugeMetricFamily("mailferry_lanes", "Accounts a program works on at once.", labels=("program",))
    for worker in Worker.objects.order_by("name"):
        age.add_metric((worker.name,), (timezone.now() - worker.beat_at).total_seconds())
        lanes.add_metric((worker.name,), worker.lanes)
    yield from (age, lanes)
