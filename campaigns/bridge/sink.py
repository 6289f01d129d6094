"""What the engine tells, kept: durable events become rows, progress becomes counters of the account.

Rows of the account's history hold codes, numbers and names of folders, never what a message says. Steps and errors are
written at once. Single messages that stay behind, and progress, wait for the next beat: at most one write in
``BEAT_SECONDS``, which carries the epoch. Whoever lost the lease is stopped by whatever it tells next.
"""

from __future__ import annotations

import json
from dataclasses import fields
from enum import Enum
from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from campaigns.bridge.lease import Lease, hold, write
from campaigns.models import Account
from campaigns.models import Event as EventRow
from migrator.errors import MigratorError
from migrator.events import (
    ClassesAbsent,
    ClassesCopied,
    ClassLeftBehind,
    CountsDiffer,
    DatesNotKept,
    Event,
    FieldsMissing,
    FileSkipped,
    FlagsLost,
    FlagsRenamed,
    FolderLeftOut,
    FolderRenamed,
    GrantLost,
    LabelsHidden,
    LabelsUnseen,
    MessageAltered,
    MessageLeftBehind,
    MessageRepaired,
    NoteLost,
    PassPlanned,
    Progress,
    RoomShort,
    StoreExposed,
    UidlFormat,
)
from migrator.journal import StepBegun, StepEvent, StepKind
from migrator.limits import Clock, SystemClock

BEAT_SECONDS: Final = 2.0
SHORTEST_SECONDS: Final = 1.0  # of which a pace is made
MOST_WAITING: Final = 200
PREFIX: Final = "account."
SKIPPED: Final = "skipped"  # the engine's reason for folders that a rule leaves out; others show what is elsewhere, too
# Every pass finds these anew; a history tells each once.
_REPEATED: Final = (
    FolderRenamed,
    FolderLeftOut,
    CountsDiffer,
    FlagsLost,
    FlagsRenamed,
    GrantLost,
    NoteLost,
    ClassLeftBehind,
    ClassesAbsent,
    ClassesCopied,
    RoomShort,
    UidlFormat,
    LabelsUnseen,
    LabelsHidden,
    DatesNotKept,
    FieldsMissing,
    FileSkipped,
    StoreExposed,
)


class Pace:
    """How fast the copying is, measured from beat to beat; the newest counts half, lest it jumps or lags."""

    def __init__(self, clock: Clock, messages: int) -> None:
        self._clock = clock
        self._at, self._messages = clock.monotonic(), messages
        self._rate: float | None = None

    def after(self, messages: int) -> float | None:
        """Take notice of how many messages are copied by now. Returns messages a second; None before a second is over.

        What follows sooner than a second after the last is measured together with what comes next.
        """
        now = self._clock.monotonic()
        if now - self._at >= SHORTEST_SECONDS:
            newest = (messages - self._messages) / (now - self._at)
            self._rate = newest if self._rate is None else (self._rate + newest) / 2
            self._at, self._messages = now, messages
        return self._rate


class OrmSink:
    """Implements :class:`migrator.events.EventSink` for the account of ``lease``. Call :meth:`flush` at the end.

    ``in_run`` goes into every row, so that an attempt's history can be read apart. Raises ``LeaseLost``.
    """

    def __init__(self, lease: Lease, account: Account, in_run: int | None = None, clock: Clock | None = None) -> None:
        self._lease = lease
        self._account = account
        self._in_run = in_run
        self._clock = clock or SystemClock()
        self._waiting: list[EventRow] = []
        self._told: set[str] | None = None
        self._is_copying = True
        self._messages = account.messages_done
        self._bytes = account.bytes_done
        self._pending = account.messages_pending
        self._skipped: int | None = None
        self._counters: dict[str, object] = {}
        self._last = self._clock.monotonic()
        self._pace = Pace(self._clock, self._messages)

    def emit(self, event: Event) -> None:
        """See EventSink."""
        if isinstance(event, Progress):
            self._count(event)
        elif isinstance(event, PassPlanned):
            self._plan(event)
        elif isinstance(event, FolderLeftOut):
            self._leave_out(event)
        elif isinstance(event, StepBegun):
            self._is_copying = event.step.kind is not StepKind.VERIFY
        if event.durable and self._is_news(event):
            self._waiting.append(self._row(event))
        may_wait = not event.durable or isinstance(event, MessageLeftBehind | MessageAltered | MessageRepaired)
        if not may_wait or len(self._waiting) >= MOST_WAITING or self._is_due():
            self.flush()

    def skipped_messages(self, before: int) -> int:
        """Return how many messages are in folders that a rule leaves out; ``before`` when no pass has looked since."""
        return before if self._skipped is None else self._skipped

    def flush(self) -> None:
        """Write what waits. Raises ``LeaseLost`` when the account is not ours any more; nothing is written then."""
        rows, counters = self._waiting, self._counters
        self._last = self._clock.monotonic()
        if not rows and not counters:
            return
        if "messages_done" in counters:
            counters["messages_per_second"] = self._pace.after(self._messages)
        self._waiting, self._counters = [], {}
        with transaction.atomic():
            if counters:
                write(self._lease, **counters)
            else:
                hold(self._lease)
            EventRow.objects.bulk_create(rows)

    def _is_news(self, event: Event) -> bool:
        if isinstance(event, PassPlanned):
            return bool(event.messages or event.flag_changes)  # late mail is looked for all day
        if not isinstance(event, _REPEATED):
            return True
        if self._told is None:
            names = [PREFIX + kind.name for kind in _REPEATED]
            rows = EventRow.objects.filter(account=self._account, name__in=names)
            self._told = {_mark(name, data) for name, data in rows.values_list("name", "data")}
        mark = _mark(PREFIX + event.name, _data(event))
        is_news = mark not in self._told
        self._told.add(mark)
        return is_news

    def _count(self, event: Progress) -> None:
        if not self._is_copying:
            return
        self._messages += event.messages
        self._bytes += event.size_bytes
        self._pending = max(0, self._pending - event.messages)
        self._counters |= {
            "messages_done": self._messages,
            "messages_pending": self._pending,
            "bytes_done": self._bytes,
            "progress_at": timezone.now(),
        }

    def _plan(self, event: PassPlanned) -> None:
        """Take the totals: what is there, and what this pass will move. Folders left out are told after it."""
        self._skipped = 0
        self._pending = event.messages
        self._counters |= {
            "messages_pending": self._pending,
            "messages_total": self._messages + event.messages,
            "bytes_total": self._bytes + event.size_bytes,
            "progress_at": timezone.now(),
        }

    def _leave_out(self, event: FolderLeftOut) -> None:
        if event.reason == SKIPPED and event.messages:
            self._skipped = (self._skipped or 0) + event.messages

    def _is_due(self) -> bool:
        return self._clock.monotonic() - self._last >= BEAT_SECONDS

    def _row(self, event: Event) -> EventRow:
        data = _data(event)
        return EventRow(
            name=PREFIX + _name(event),
            actor_name=self._lease.holder or "worker",
            campaign_id=self._account.campaign_id,
            batch_id=self._account.batch_id,
            account_id=self._account.pk,
            data=data if self._in_run is None else {**data, "run": self._in_run},
        )


def _name(event: Event) -> str:
    """Return ``cutover.switch.done`` for a step, and an event's own name otherwise."""
    if isinstance(event, StepEvent):
        return f"cutover.{event.step.kind}.{event.name.rpartition('.')[2]}"
    return event.name


def _data(event: Event) -> dict[str, Any]:
    return {field.name: told(getattr(event, field.name)) for field in fields(event)}


def _mark(name: str, data: dict[str, Any]) -> str:
    return json.dumps([name, {key: value for key, value in data.items() if key != "run"}], sort_keys=True)


def told(value: object) -> Any:
    """Return a value of an event as a row keeps it: JSON, and of an error its code and side, not the server's words."""
    if isinstance(value, MigratorError):
        return {"code": value.code, "side": value.side.value if value.side else None}
    if isinstance(value, Enum):
        return value.name.lower() if isinstance(value.value, int) else value.value
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: told(part) for name, part in value._asdict().items()}
    if isinstance(value, str):
        return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")
    return value if value is None or isinstance(value, bool | int | float) else str(value)
