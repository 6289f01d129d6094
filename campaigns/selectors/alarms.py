"""Alarms as pages show them: what is open, by which ways they leave, and which of these are proved."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy

from campaigns.bridge import host_files
from campaigns.models import Alarm, AlarmChannel, AlarmSending
from campaigns.services import addresses, alarm_channels, alarms
from campaigns.services.alarm_channels import FRESH

KIND_WORDS: Final = {
    AlarmChannel.Kind.WEBHOOK: gettext_lazy("Webhook"),
    AlarmChannel.Kind.PROGRAM: gettext_lazy("Program"),
    AlarmChannel.Kind.MAIL: gettext_lazy("Mail by another server"),
}
KINDS_EXPLAINED: Final = {
    AlarmChannel.Kind.WEBHOOK: gettext_lazy("A pager service, a chat, your own program: whatever takes JSON by HTTPS."),
    AlarmChannel.Kind.PROGRAM: gettext_lazy("A program on this machine, for whatever else can wake somebody."),
    AlarmChannel.Kind.MAIL: gettext_lazy("Mail through a server that is not being moved, to addresses that are not."),
}
_LATEST: Final = 20


@dataclass(frozen=True, slots=True)
class ChannelRow:
    """A channel, where it leads, and what its last test says of it."""

    channel: AlarmChannel
    kind: str
    where: str
    family: str
    told: str
    at: datetime | None  # of the test that proves it
    asked: Alarm | None  # a test whose code is waited for


@dataclass(frozen=True, slots=True)
class AlarmRow:
    """An alarm, and whether it left."""

    alarm: Alarm
    words: str
    family: str
    left_by: list[str]  # channels by which it has left
    stuck_at: list[str]  # channels by which it has not


@dataclass(frozen=True, slots=True)
class AlarmsPage:
    """All of it."""

    open: list[AlarmRow]
    over: list[AlarmRow]
    channels: list[ChannelRow]

    @property
    def is_proved(self) -> bool:
        """True when at least one way out is proved."""
        return any(row.at for row in self.channels)


def page(now: datetime | None = None) -> AlarmsPage:
    """Return alarms and channels. Five queries and two for each channel, of which there are few."""
    now = now or timezone.now()
    channels = [channel_row(channel, now) for channel in AlarmChannel.objects.order_by("name")]
    rows = Alarm.objects.exclude(kind=alarms.TEST).select_related("batch__campaign")
    live = list(rows.filter(ended_at=None).order_by("raised_at"))
    over = list(rows.filter(ended_at__isnull=False).order_by("-ended_at")[:_LATEST])
    sendings: dict[int, list[AlarmSending]] = {}
    for sending in AlarmSending.objects.filter(alarm__in=[*live, *over]).select_related("channel").order_by("pk"):
        sendings.setdefault(sending.alarm_id, []).append(sending)
    return AlarmsPage(
        open=[_alarm_row(alarm, sendings.get(alarm.pk, [])) for alarm in live],
        over=[_alarm_row(alarm, sendings.get(alarm.pk, [])) for alarm in over],
        channels=channels,
    )


def _alarm_row(alarm: Alarm, sendings: list[AlarmSending]) -> AlarmRow:
    left = [sending.channel.name for sending in sendings if sending.sent_at]
    stuck = [sending.channel.name for sending in sendings if sending.sent_at is None and sending.tries]
    family = "done" if alarm.ended_at else ("working" if alarm.acknowledged_at else "attention")
    return AlarmRow(alarm, str(alarms.KINDS.get(alarm.kind, alarm.kind)), family, left, stuck)


def channel_row(channel: AlarmChannel, now: datetime) -> ChannelRow:
    """Return one channel as pages show it."""
    proof = alarm_channels.last_proof(channel)
    tests = Alarm.objects.filter(kind=alarms.TEST, channel=channel, ended_at=None, acknowledged_at=None)
    asked = tests.order_by("-raised_at").first()
    is_fresh = proof is not None and proof.acknowledged_at is not None and proof.acknowledged_at >= now - FRESH
    return ChannelRow(
        channel=channel,
        kind=str(KIND_WORDS[AlarmChannel.Kind(channel.kind)]),
        where=_where(channel),
        family=_family(channel, is_fresh),
        told=_told(channel, proof, is_fresh),
        at=proof.acknowledged_at if proof and is_fresh and channel.is_on else None,
        asked=asked,
    )


def _family(channel: AlarmChannel, is_fresh: bool) -> str:
    if channel.failed_at is not None:
        return "failed"
    if not channel.is_on:
        return "waiting"
    return "done" if is_fresh else "attention"


def _told(channel: AlarmChannel, proof: Alarm | None, is_fresh: bool) -> str:
    if channel.failed_at is not None:
        return gettext("The last message did not leave.")
    if not channel.is_on:
        return gettext("Switched off.")
    if proof is None:
        return gettext("Nobody has read a test yet.")
    if not is_fresh:
        return gettext("Its last test is more than a day old.")
    return gettext("%(name)s read its test.") % {"name": proof.acknowledged_by}


def _where(channel: AlarmChannel) -> str:
    if channel.kind == AlarmChannel.Kind.WEBHOOK:
        return next(addresses.hosts_of_channel(channel))  # the rest of an address may be as good as a password
    if channel.kind == AlarmChannel.Kind.MAIL:
        return ", ".join(channel.options.get("to", []))
    return host_files.reference(channel.options.get("program"))
