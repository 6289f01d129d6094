"""Removing migrated mail from the old server: the last step, for a batch that was asked for, approved and waited for.

Each account must be proved first, and again at the very moment: whatever is not certain keeps its mail. Only what the
engine proves to be on the target goes (``migrator.transfer.removal``), message by message.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from campaigns.models import Account, Batch, Campaign, Retirement, Run, User
from campaigns.services.campaigns import require_open
from campaigns.services.events import record
from campaigns.services.refusals import Refused
from campaigns.services.sign_ins import SignIns
from campaigns.states import AccountState
from migrator.entries import Trait, has_trait
from migrator.routes import ROUTES

QUIET_DAYS: Final = (1, 365)
QUARANTINE_DAYS: Final = (1, 365)
LOOKED_WITHIN: Final = timedelta(days=1)  # so fresh must the last look for late mail be

_S = AccountState


def ask(
    batch: Batch, *, quiet_days: int, quarantine_days: int, actor: User, reason: str, is_by_log: bool = False
) -> Retirement:
    """Ask that the mail of a batch be removed from the source. Raises ``Refused``.

    ``is_by_log``: only of those who did not sign in there in the quiet days, as the logs of the source tell.
    """
    require_open(batch.campaign_id)
    if not reason.strip():
        raise Refused("retirement.reason", "reason")
    if not QUIET_DAYS[0] <= quiet_days <= QUIET_DAYS[1]:
        raise Refused("retirement.days", "quiet_days")
    if not QUARANTINE_DAYS[0] <= quarantine_days <= QUARANTINE_DAYS[1]:
        raise Refused("retirement.days", "quarantine_days")
    if not Account.objects.filter(batch=batch, state=_S.DONE, source_removed_at=None).exists():
        raise Refused("retirement.nobody")
    try:
        with transaction.atomic():
            asked = Retirement.objects.create(
                batch=batch,
                quiet_days=quiet_days,
                quarantine_days=quarantine_days,
                is_by_log=is_by_log,
                reason=reason.strip(),
                asked_by=actor.get_username(),
                asked_at=timezone.now(),
            )
            days = {"quiet_days": quiet_days, "quarantine_days": quarantine_days, "is_by_log": is_by_log}
            _tell("batch.retirement.asked", batch, actor, reason=reason.strip(), **days)
    except IntegrityError:
        raise Refused("retirement.asked") from None
    return asked


def approve(retirement: Retirement, *, actor: User) -> None:
    """Approve what another person asked for; the waiting begins. Raises ``Refused``."""
    require_open(retirement.batch.campaign_id)
    if retirement.asked_by == actor.get_username():
        raise Refused("retirement.same_person")
    now = timezone.now()
    begins_at = now + timedelta(days=retirement.quarantine_days)
    with transaction.atomic():
        rows = Retirement.objects.filter(pk=retirement.pk, approved_at=None, withdrawn_at=None)
        if rows.update(approved_by=actor.get_username(), approved_at=now, begins_at=begins_at) != 1:
            raise Refused("retirement.not_open")
        # A look for late mail comes first, and every day from then on.
        waiting = Account.objects.filter(batch=retirement.batch_id, state=_S.DONE, source_removed_at=None)
        waiting.filter(Q(not_before=None) | Q(not_before__gt=begins_at)).update(not_before=begins_at)
        _tell("batch.retirement.approved", retirement.batch, actor, begins_at=begins_at.isoformat())
    retirement.refresh_from_db()


def withdraw(retirement: Retirement, *, actor: User) -> None:
    """Remove nothing more. What was removed stays removed. Raises ``Refused``."""
    with transaction.atomic():
        rows = Retirement.objects.filter(pk=retirement.pk, withdrawn_at=None)
        if rows.update(withdrawn_at=timezone.now(), withdrawn_by=actor.get_username()) != 1:
            raise Refused("retirement.not_open")
        _tell("batch.retirement.withdrawn", retirement.batch, actor)
    retirement.refresh_from_db()


def of_batch(batch_id: int) -> Retirement | None:
    """Return what was asked for a batch and not withdrawn."""
    return Retirement.objects.filter(batch=batch_id, withdrawn_at=None).select_related("batch").first()


def is_open(retirement_id: int) -> bool:
    """True while a retirement is not withdrawn."""
    return Retirement.objects.filter(pk=retirement_id, withdrawn_at=None).exists()


def is_awaited(account: Account) -> bool:
    """True while the mail of an account is to be removed from the source, and somebody must go on looking."""
    rows = Retirement.objects.filter(batch=account.batch_id, withdrawn_at=None, approved_at__isnull=False)
    return account.source_removed_at is None and rows.exists()


def is_shut_out(campaign: Campaign) -> bool:
    """True where something may keep those who moved from signing in at the source: a directory of its own, or a route.

    What a Postfix is told leads mail alone: people sign in as before.
    """
    route = campaign.route
    return has_own_directory(campaign) or (route is not None and not has_trait(ROUTES, route.kind, Trait.MAIL_ONLY))


def has_own_directory(campaign: Campaign) -> bool:
    """True where a directory lets people in at the source and has no say at the target."""
    own = campaign.source_directory_id
    return own is not None and own != campaign.target_directory_id


@dataclass(frozen=True, slots=True)
class LateMail:
    """Which accounts of a batch got late mail in the quiet days, and which were looked at within a day."""

    got: frozenset[int]
    looked_at: frozenset[int]

    @classmethod
    def of_batch(cls, retirement: Retirement, now: datetime) -> LateMail:
        """Read it for all accounts of a batch at once."""
        return cls._of(Run.objects.filter(account__batch=retirement.batch_id), retirement, now)

    @classmethod
    def of_account(cls, account: Account, retirement: Retirement, now: datetime) -> LateMail:
        """Read it for one account, which is just being looked at."""
        found = cls._of(Run.objects.filter(account=account), retirement, now)
        return replace(found, looked_at=frozenset({account.pk}))

    @classmethod
    def _of(cls, runs: QuerySet[Run], retirement: Retirement, now: datetime) -> LateMail:
        looks = runs.filter(kind="catch_up")
        since = now - timedelta(days=retirement.quiet_days)
        got = looks.filter(started_at__gte=since, figures__appended__gt=0)  # also by a look that ended in an error
        fresh = looks.filter(started_at__gte=now - LOOKED_WITHIN, outcome="ended")
        return cls(frozenset(got.values_list("account", flat=True)), frozenset(fresh.values_list("account", flat=True)))


def objections(account: Account, retirement: Retirement, now: datetime, *, late: LateMail, signs: SignIns) -> list[str]:
    """Return why the mail of an account is not removed from the source yet: codes, the gravest first.

    ``account`` comes with its campaign and that with its route. What only a look at the servers tells is asked at the
    removal itself.
    """
    said = {
        "not_moved": account.state != _S.DONE or account.return_asked_at is not None,
        "unverified": account.verified_at is None,
        "may_sign_in": not is_shut_out(account.campaign),
        "not_approved": retirement.approved_at is None,
        "late_mail": account.pk in late.got,
        "signed_in": account.pk in signs.of and signs.knows_us,
        "signed_in_or_we": account.pk in signs.of and not signs.knows_us,
        "no_log": retirement.is_by_log and not signs.is_known,
        "too_early": account.state_since > now - timedelta(days=retirement.quiet_days),
        "quarantine": retirement.begins_at is not None and now < retirement.begins_at,
        "not_looked": account.pk not in late.looked_at,
    }
    return [code for code, is_so in said.items() if is_so]


def _tell(name: str, batch: Batch, actor: User, **facts: Any) -> None:
    record(name, actor=actor, campaign_id=batch.campaign_id, batch_id=batch.pk, **facts)
