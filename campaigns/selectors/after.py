"""What is left to do for a batch once its people have moved: late mail, and what lies on the old server still."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Max
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy

from campaigns.models import Account, Batch, Retirement, Run
from campaigns.services import retirements
from campaigns.services.sign_ins import SignIns
from campaigns.states import AccountState

MOST_NAMED: Final = 50
_QUIET_DAYS: Final = 7  # that are told of, where nobody has chosen a number

OBJECTIONS: Final[dict[str, str | Promise]] = {
    "not_moved": gettext_lazy("does not work on the new server"),
    "unverified": gettext_lazy("the two mailboxes were never compared"),
    "may_sign_in": gettext_lazy("nobody keeps the person from signing in on the old server"),
    "not_approved": gettext_lazy("nobody has approved it yet"),
    "quarantine": gettext_lazy("the waiting time is not over"),
    "too_early": gettext_lazy("moved too short a time ago"),
    "late_mail": gettext_lazy("mail still came to the old server"),
    "signed_in": gettext_lazy("still signs in on the old server, as its log tells"),
    "signed_in_or_we": gettext_lazy(
        "somebody signs in as them on the old server, as its log tells: perhaps Mailferry, which looks every day. Say "
        "where its log is read which numbers are Mailferry's"
    ),
    "no_log": gettext_lazy("no log of the old server tells of all these days until now"),
    "not_looked": gettext_lazy("was not looked at for late mail within a day"),
}


@dataclass(frozen=True, slots=True)
class LateMail:
    """What the looks for late mail found."""

    watched: int  # accounts that are looked at by themselves
    until: datetime | None
    last_at: datetime | None
    messages: int  # in the last days
    accounts: int  # that got them
    days: int


@dataclass(frozen=True, slots=True)
class Kept:
    """Accounts whose mail stays on the old server, for one reason."""

    words: str
    accounts: int
    named: list[Account]


@dataclass(frozen=True, slots=True)
class AfterPage:
    """A batch as its page after the move shows it."""

    batch: Batch
    moved: int
    removed: int  # accounts whose mail is gone from the old server
    late: LateMail
    retirement: Retirement | None
    kept: list[Kept]
    clear: int  # accounts that nothing speaks against
    now: datetime


def view(batch: Batch) -> AfterPage:
    """Return what the page of a batch after its move shows."""
    now = timezone.now()
    retirement = retirements.of_batch(batch.pk)
    rows = Account.objects.filter(batch=batch)
    left = rows.filter(source_removed_at=None).select_related("campaign__route")
    waiting = list(left.defer("source_secret", "target_secret").order_by("pk"))
    kept, clear = _kept(waiting, retirement or Retirement(batch=batch, quiet_days=_QUIET_DAYS), now)
    return AfterPage(
        batch=batch,
        moved=rows.filter(state=AccountState.DONE).count(),
        removed=rows.filter(source_removed_at__isnull=False).count(),
        late=_late(batch, retirement.quiet_days if retirement else _QUIET_DAYS, now),
        retirement=retirement,
        kept=kept,
        clear=clear,
        now=now,
    )


def _late(batch: Batch, days: int, now: datetime) -> LateMail:
    watched = Account.objects.filter(batch=batch, state=AccountState.DONE, not_before__isnull=False)
    looks = Run.objects.filter(account__batch=batch, kind="catch_up")
    recent = looks.filter(started_at__gte=now - timedelta(days=days), figures__appended__gt=0)
    counts = list(recent.values_list("account", "figures"))
    return LateMail(
        watched=watched.count(),
        until=watched.aggregate(last=Max("catch_up_until"))["last"],
        last_at=looks.aggregate(last=Max("ended_at"))["last"],
        messages=sum(int(figures["appended"]) for _, figures in counts),
        accounts=len({account for account, _ in counts}),
        days=days,
    )


def _kept(waiting: Iterable[Account], retirement: Retirement, now: datetime) -> tuple[list[Kept], int]:
    """Return why accounts keep their mail on the old server, each counted at its gravest reason."""
    of_late_mail = retirements.LateMail.of_batch(retirement, now)
    signs = SignIns.of_batch(retirement.batch, retirement.quiet_days, now)
    named: dict[str, list[Account]] = {code: [] for code in OBJECTIONS}
    counted, clear = Counter[str](), 0
    for account in waiting:
        found = retirements.objections(account, retirement, now, late=of_late_mail, signs=signs)
        if not found:
            clear += 1
            continue
        counted[found[0]] += 1
        if len(named[found[0]]) < MOST_NAMED:
            named[found[0]].append(account)
    kept = [Kept(str(words), counted[code], named[code]) for code, words in OBJECTIONS.items() if counted[code]]
    return kept, clear
