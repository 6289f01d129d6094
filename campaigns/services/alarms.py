"""Alarms: raised once for a batch and a cause, told again until somebody has seen them, ended when it is over.

Rows first, sending later: what is due is sent by a thread of the ticker (``deliver_due``), outside of any
transaction, and what could not be sent is tried again. An alarm that nobody acknowledges is told every quarter of an
hour; one whose accounts became more after somebody saw it is told anew.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext, gettext_lazy, ngettext

from campaigns.bridge import messengers, vault
from campaigns.bridge.messengers import Message, NotSent
from campaigns.models import Alarm, AlarmChannel, AlarmSending
from campaigns.services.events import Actor, record
from campaigns.services.refusals import Refused
from migrator.errors import MigratorError
from migrator.secret import Secret

TEST: Final = "test"
LOCKED_OUT: Final = "locked_out"
HELD: Final = "held"
KINDS: Final = {
    LOCKED_OUT: gettext_lazy("Locked out longer than allowed"),
    HELD: gettext_lazy("Mail held longer than allowed"),
    TEST: gettext_lazy("Test alarm"),
}

REPEAT_SECONDS: Final = 900.0
RETRY_SECONDS: Final = (15.0, 60.0, 300.0)  # after the first, the second, each further attempt that failed
MOST_WRONG_CODES: Final = 5
WATCHDOG: Final = "watchdog"
_CLAIM_SECONDS: Final = 60.0  # longer than any sending takes

Send = Callable[[str, dict[str, Any], Secret | None, Message], None]

log = logging.getLogger(__name__)


def raise_alarm(kind: str, batch_id: int, *, accounts: int, since: datetime, now: datetime) -> Alarm:
    """Raise an alarm, or bring the one that is open up to date. Told at once when new, or when it is about more."""
    place = {"kind": kind, "batch_id": batch_id, "ended_at": None}
    with transaction.atomic():
        alarm = Alarm.objects.select_for_update().filter(**place).first()
        if alarm is None:
            return _open(kind, batch_id, accounts, since, now)
        is_more = alarm.acknowledged_at is not None and accounts > alarm.acknowledged_accounts
        alarm.accounts, alarm.since = accounts, since
        # Who was seen and is out again makes no room for others whom nobody has seen.
        alarm.acknowledged_accounts = min(alarm.acknowledged_accounts, accounts)
        if is_more:
            alarm.acknowledged_at, alarm.acknowledged_by = None, ""
            _send_all(alarm, now)
        elif alarm.acknowledged_at is None:
            _send_by_new_channels(alarm, now)
        alarm.save(update_fields=("accounts", "since", "acknowledged_at", "acknowledged_by", "acknowledged_accounts"))
    return alarm


def _open(kind: str, batch_id: int, accounts: int, since: datetime, now: datetime) -> Alarm:
    try:
        with transaction.atomic():
            alarm = Alarm.objects.create(kind=kind, batch_id=batch_id, accounts=accounts, since=since, raised_at=now)
    except IntegrityError:  # another ticker was faster
        return Alarm.objects.get(kind=kind, batch_id=batch_id, ended_at=None)
    _send_all(alarm, now)
    _tell(alarm, "batch.alarm.raised", WATCHDOG)
    return alarm


def _send_all(alarm: Alarm, now: datetime) -> None:
    for channel in AlarmChannel.objects.filter(is_on=True):
        AlarmSending.objects.update_or_create(alarm=alarm, channel=channel, defaults={"due_at": now, "tries": 0})


def _send_by_new_channels(alarm: Alarm, now: datetime) -> None:
    """Let an open alarm leave also by what was set up, or switched on, after it was raised."""
    for channel in AlarmChannel.objects.filter(is_on=True).exclude(sendings__alarm=alarm):
        AlarmSending.objects.get_or_create(alarm=alarm, channel=channel, defaults={"due_at": now})


def end(alarm: Alarm, *, now: datetime) -> None:
    """Note that what an alarm was about is over; whoever was told is told that, too."""
    with transaction.atomic():
        if Alarm.objects.filter(pk=alarm.pk, ended_at=None).update(ended_at=now) != 1:
            return
        sendings = AlarmSending.objects.filter(alarm=alarm)
        sendings.filter(sent_at=None).update(due_at=None)
        sendings.filter(sent_at__isnull=False).update(due_at=now, tries=0)
        _tell(alarm, "batch.alarm.ended", WATCHDOG)


def acknowledge(alarm_id: int, *, actor: Actor) -> None:
    """Note that somebody has seen an alarm: it is told no more, unless it grows. Raises ``Refused``."""
    with transaction.atomic():
        rows = Alarm.objects.filter(pk=alarm_id, acknowledged_at=None, ended_at=None).exclude(kind=TEST)
        if rows.update(**_seen_by(actor), acknowledged_accounts=F("accounts")) != 1:
            raise Refused("alarm.over")
        AlarmSending.objects.filter(alarm=alarm_id).update(due_at=None)
        _tell(Alarm.objects.select_related("batch").get(pk=alarm_id), "batch.alarm.acknowledged", actor)


def _seen_by(actor: Actor) -> dict[str, Any]:
    name = actor if isinstance(actor, str) else actor.get_username()
    return {"acknowledged_at": timezone.now(), "acknowledged_by": name}


def _tell(alarm: Alarm, name: str, actor: Actor, **facts: Any) -> None:
    ids = {"campaign_id": alarm.batch.campaign_id, "batch_id": alarm.batch_id} if alarm.batch else {}
    record(name, actor=actor, **ids, alarm=alarm.pk, kind=alarm.kind, accounts=alarm.accounts, **facts)


# Tests


def test(channel: AlarmChannel, *, actor: Actor) -> Alarm:
    """Send a test alarm by one channel, also by one that is switched off. An earlier one is worth nothing any more."""
    now = timezone.now()
    with transaction.atomic():
        Alarm.objects.filter(kind=TEST, channel=channel, ended_at=None, acknowledged_at=None).update(ended_at=now)
        AlarmSending.objects.filter(alarm__kind=TEST, channel=channel).update(due_at=None)
        code = f"{secrets.randbelow(1_000_000):06}"
        alarm = Alarm.objects.create(kind=TEST, channel=channel, code=code, raised_at=now)
        AlarmSending.objects.create(alarm=alarm, channel=channel, due_at=now)
        _tell(alarm, "alarm.test.sent", actor, called=channel.name)
    return alarm


def acknowledge_test(alarm_id: int, code: str, *, actor: Actor) -> None:
    """Note that a test arrived: its code was read somewhere else than here. Raises ``Refused``.

    After a few wrong codes the test is over: nobody guesses their way past a channel that does not work.
    """
    rows = Alarm.objects.filter(pk=alarm_id, kind=TEST, ended_at=None, acknowledged_at=None)
    alarm = rows.select_related("channel").first()
    if alarm is None:
        raise Refused("alarm.over")
    if not secrets.compare_digest(alarm.code.encode(), code.strip().encode()):
        rows.update(wrong_codes=F("wrong_codes") + 1)
        rows.filter(wrong_codes__gte=MOST_WRONG_CODES).update(ended_at=timezone.now())
        raise Refused("alarm.wrong_code", "code")
    with transaction.atomic():
        if rows.update(**_seen_by(actor)) != 1:
            raise Refused("alarm.over")
        AlarmSending.objects.filter(alarm=alarm).update(due_at=None)
        _tell(alarm, "alarm.test.acknowledged", actor, called=alarm.channel.name if alarm.channel else "")


# Sending


def has_due(now: datetime | None = None) -> bool:
    """True when something waits to be sent."""
    return _due(now or timezone.now()).exists()


def _due(now: datetime) -> QuerySet[AlarmSending]:
    """Return what is to be sent now. By a channel that is switched off nothing leaves but a test."""
    return AlarmSending.objects.filter(Q(channel__is_on=True) | Q(alarm__kind=TEST), due_at__lte=now)


def deliver_due(now: datetime | None = None, *, send: Send = messengers.send) -> int:
    """Send what is due, one after the other; return how many left. Safe beside another one that does the same.

    Each sending is put off before it begins, and settled after it: a process that dies in between sends it again.
    """
    now = now or timezone.now()
    rows = _due(now).select_related("alarm__batch__campaign", "channel")
    return sum(_deliver(sending, now, send) for sending in rows.order_by("tries", "due_at"))


def _deliver(sending: AlarmSending, now: datetime, send: Send) -> bool:
    claimed = AlarmSending.objects.filter(pk=sending.pk, due_at=sending.due_at)
    until = now + timedelta(seconds=_CLAIM_SECONDS)
    # Counted ahead: one that breaks us must not come first again, and keep the others back.
    if claimed.update(due_at=until, tries=F("tries") + 1) != 1:
        return False
    channel = sending.channel
    try:
        send(channel.kind, channel.options, vault.unseal(channel, "secret"), message_of(sending.alarm))
    except (NotSent, MigratorError) as error:
        words = error.words if isinstance(error, NotSent) else error.sentence
        log.warning("alarm %s did not leave by channel %s: %s", sending.alarm_id, channel.pk, words)
        _put_off(sending, until, words)
        return False
    _note_sent(sending, until)
    return True


def _put_off(sending: AlarmSending, until: datetime, words: str) -> None:
    now = timezone.now()
    seconds = RETRY_SECONDS[min(sending.tries, len(RETRY_SECONDS) - 1)]
    again = now + timedelta(seconds=seconds)
    rows = AlarmSending.objects.filter(pk=sending.pk, due_at=until)  # unless it was settled meanwhile
    rows.update(due_at=again)
    AlarmChannel.objects.filter(pk=sending.channel_id).update(failed_at=now, error=words)


def _note_sent(sending: AlarmSending, until: datetime) -> None:
    now, alarm = timezone.now(), sending.alarm
    is_told_again = alarm.kind != TEST and alarm.ended_at is None and alarm.acknowledged_at is None
    again = now + timedelta(seconds=REPEAT_SECONDS) if is_told_again else None
    rows = AlarmSending.objects.filter(pk=sending.pk)
    rows.update(sent_at=now)
    rows.filter(due_at=until).update(due_at=again, tries=0)
    AlarmChannel.objects.filter(pk=sending.channel_id).update(sent_at=now, failed_at=None, error="")


# Words


def message_of(alarm: Alarm) -> Message:
    """Return what an alarm says where it arrives: numbers, times and a link, and nobody's name."""
    if alarm.kind == TEST:
        return _test_message(alarm)
    assert alarm.batch is not None
    batch, campaign = alarm.batch, alarm.batch.campaign
    names = {"batch": batch.name, "campaign": campaign.name}
    numbers = {**names, "n": alarm.accounts, "since": date_format(alarm.since, "H:i e") if alarm.since else "?"}
    link = _link(alarm)
    facts: dict[str, str | int] = {"kind": alarm.kind, "accounts": alarm.accounts, "alarm": alarm.pk, **names}
    facts["state"] = "over" if alarm.ended_at else "open"
    if alarm.ended_at is not None:
        subject = gettext("Over: %(batch)s, %(campaign)s") % names
        return Message(subject, gettext("Nobody is kept waiting longer than allowed any more."), link, facts)
    return Message(_subject(alarm) % numbers, _body(alarm) % numbers, link, facts)


def _link(alarm: Alarm) -> str:
    """Return the page of an alarm, written out: an alarm leaves also when some page of ours cannot be loaded."""
    return f"{settings.URL}/alarms/{alarm.pk}"


def _subject(alarm: Alarm) -> str:
    if alarm.kind == HELD:
        return gettext("Alarm: mail held too long, %(batch)s, %(campaign)s")
    return gettext("Alarm: locked out too long, %(batch)s, %(campaign)s")


def _body(alarm: Alarm) -> str:
    if alarm.kind == HELD:
        return ngettext(
            "New mail of %(n)d user of %(batch)s (%(campaign)s) is held longer than the batch allows, since %(since)s.",
            "New mail of %(n)d users of %(batch)s (%(campaign)s) is held longer than the batch allows; the longest "
            "since %(since)s.",
            alarm.accounts,
        )
    return ngettext(
        "%(n)d user of %(batch)s (%(campaign)s) is locked out longer than the batch allows, since %(since)s.",
        "%(n)d users of %(batch)s (%(campaign)s) are locked out longer than the batch allows; the longest since "
        "%(since)s.",
        alarm.accounts,
    )


def _test_message(alarm: Alarm) -> Message:
    link = _link(alarm)
    text = gettext("This is a test. Nothing is wrong. Type the code %(code)s on the page of this alarm.")
    facts: dict[str, str | int] = {"kind": TEST, "alarm": alarm.pk, "code": alarm.code, "state": "open"}
    return Message(gettext("Test alarm of Mailferry"), text % {"code": alarm.code}, link, facts)
