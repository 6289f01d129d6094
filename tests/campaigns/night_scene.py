"""A platform on the night of its move, for tests of the night's pages and for looking at them: rows only.

Tonight's batch runs by hand-made steps; one goes next; the last night's is to be looked after. Alarms ring.
"""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from campaigns.models import (
    Account,
    Alarm,
    AlarmChannel,
    Batch,
    BatchCount,
    BatchHeld,
    Campaign,
    Confirmation,
    Connector,
    Event,
    PlaceBook,
    Retirement,
    Run,
    Server,
)
from campaigns.services import alarms, watchdog
from campaigns.states import AccountState
from migrator.recipes import RECIPES
from tests.campaigns import scenes

S = AccountState
MORE = ("hold-postfix-hash", "hold-forward-file", "route-nginx", "population-ldap")
_SQL = {"driver": "sqlite", "path": "/srv/mail/directory.sqlite", "status": "status", "open_value": "a"}
_SEEN = [
    {"code": "port.greets", "is_good": True, "place": "imap mail.example.net:143", "found": "* OK ready"},
    {"code": "port.still_open", "is_good": False, "place": "imaps mail.northfield.example:993", "found": "* OK old"},
]  # fmt: skip


def platform(accounts: int = 12) -> list[str]:
    """Store it; return the addresses of the night's pages."""
    campaign = scenes.platform(accounts, name="Northfield")
    last, tonight, following = Batch.objects.order_by("number")
    _connect(campaign)
    _ready(following)
    _hold(tonight)
    _by_hand(tonight)
    _after(last)
    return [*_of_alarms(), *_of_campaign(campaign), *_of_batches(last, tonight, following)]


def _of_campaign(campaign: Campaign) -> list[str]:
    mine = f"/campaigns/{campaign.pk}"
    pages = [f"{mine}/{page}" for page in ("steps", "places", "programs", "old-clients", "advice", "prove", "settings")]
    row = Connector.objects.get(name="The front Postfix")
    return [*pages, *(f"/connectors/new?kind={kind}" for kind in MORE), f"/connectors/{row.pk}"]


def _of_batches(last: Batch, tonight: Batch, following: Batch) -> list[str]:
    moved = Account.objects.filter(batch=last, state=S.DONE).order_by("pk")[0]
    nights = [f"/batches/{batch.pk}/night" for batch in (following, tonight, last)]
    return [
        *nights,
        f"/batches/{tonight.pk}/by-hand",
        f"/batches/{tonight.pk}/directory",
        f"/batches/{tonight.pk}",
        f"/batches/{last.pk}/after",
        f"/batches/{tonight.pk}/after",
        f"/batches/{last.pk}/back",
        f"/accounts/{moved.pk}/back",
    ]


def _connect(campaign: Campaign) -> None:
    people = Connector.objects.create(room="directory", kind="sql", name="People", options=_SQL)
    queue = {"table": "hash", "hold_file": "parked.list", "manner": "parked"}
    hold = Connector.objects.create(room="hold", kind="postfix", name="The front Postfix", options=queue)
    columns = {"source_directory": people, "target_directory": people, "hold": hold, "recipe": "switching"}
    Campaign.objects.filter(pk=campaign.pk).update(**columns)
    ports = {"imap": {"old": "mail.northfield.example:143", "new_before": "mail.example.net:1143"}}
    names = {"domains": ["northfield.example"], "mx": ["mx.example.net"], "client_names": ["mail.northfield.example"]}
    PlaceBook.objects.create(campaign=campaign, ports=ports, **names)
    Server.objects.filter(pk=campaign.source_id).update(breaker_failures=2)


def _ready(batch: Batch) -> None:
    """Everybody is copied ahead, and somebody may say go."""
    there = batch.accounts.count()
    batch.accounts.update(state=S.READY, messages_total=812, messages_done=812, bytes_total=40_000_000)
    BatchCount.objects.filter(batch=batch).update(accounts=0)
    BatchCount.objects.filter(batch=batch, state=S.READY).update(accounts=there)
    Batch.objects.filter(pk=batch.pk).update(started_at=timezone.now() - timedelta(hours=4))
    runs = (Run(account=one, kind="stage", lease_epoch=1, outcome="ended", figures={"last_seconds": 4.0 + one.pk % 5})
            for one in batch.accounts.all())  # fmt: skip
    Run.objects.bulk_create(runs)


def _hold(batch: Batch) -> None:
    account = batch.accounts.filter(locked_at__isnull=False).order_by("locked_at")[0]
    figures = {"messages": 143, "accounts": 21, "unknown": 1}
    now = timezone.now()
    oldest = {"oldest_at": now - timedelta(minutes=14), "oldest_account": account}
    BatchHeld.objects.create(batch=batch, counted_at=now, **figures, **oldest)


def _by_hand(batch: Batch) -> None:
    places = [place for place, step in enumerate(RECIPES["switching"].steps) if step.check]
    now = timezone.now()
    looked = {"batch": batch, "looked_at": now, "looked_by": "dana"}
    first, second, third = places[:3]
    Confirmation.objects.create(
        position=first, check_name="both_listen", evidence=_SEEN[:1], confirmed_at=now, confirmed_by="dana", **looked
    )
    Confirmation.objects.create(position=second, check_name="port_closed", evidence=_SEEN, **looked)
    Confirmation.objects.create(
        position=third, check_name="no_new_mail", confirmed_at=now, confirmed_by="lars", batch=batch,
        reason="The old daemon was taken off the network at 21:40; seen on the console.",
    )  # fmt: skip


def _after(batch: Batch) -> None:
    moved = batch.accounts.filter(state=S.DONE).order_by("pk")
    for account in moved[:3]:
        Run.objects.create(
            account=account, kind="catch_up", lease_epoch=2, outcome="ended", figures={"appended": 2},
            started_at=timezone.now() - timedelta(hours=3), ended_at=timezone.now() - timedelta(hours=3),
        )  # fmt: skip
    Retirement.objects.create(
        batch=batch, quiet_days=7, quarantine_days=14, reason="The old server's lease ends.", asked_by="lars",
        asked_at=timezone.now(),
    )  # fmt: skip
    facts = {"accounts": 9, "of": 9, "messages": 41, "bytes": 1_234_567}
    ids = {"campaign_id": batch.campaign_id, "batch_id": batch.pk}
    Event.objects.create(name="batch.return.looked", actor_name="dana", data=facts, **ids)
    ids["account_id"] = moved[0].pk
    Event.objects.create(name="account.return.looked", actor_name="dana", data={"messages": 4, "bytes": 9000}, **ids)


def _of_alarms() -> list[str]:
    now = timezone.now()
    pager = AlarmChannel.objects.create(
        name="The pager", kind="webhook", options={"url": "https://pager.example.test/hook"}, changed_at=now
    )
    mail = AlarmChannel.objects.create(
        name="Mail by the university's server", kind="mail", changed_at=now, failed_at=now,
        error="450 4.2.0 <night@example.test>: Recipient address rejected: Greylisted",
        options={"host": "relay.example.test", "port": 465, "security": "tls", "login": "",
                 "to": ["night@example.test"], "sender": "mailferry@example.test"},
    )  # fmt: skip
    Account.objects.filter(state=S.CUTTING_OVER).update(locked_at=now - timedelta(hours=2))
    watchdog.look(now)
    test = alarms.test(pager, actor="dana")
    ringing = Alarm.objects.exclude(kind=alarms.TEST).order_by("pk")[0]
    return [
        "/alarms",
        f"/alarms/{ringing.pk}",
        f"/alarms/{test.pk}",
        "/alarms/ways/new",
        "/alarms/ways/new?kind=webhook",
        f"/alarms/ways/{mail.pk}",
    ]
