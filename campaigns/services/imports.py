"""Account lists, taken into a campaign whole or not at all: batches of fresh accounts, and changes to those that wait.

A list that comes again changes what it says anew, adds what is new, and only tells who is gone from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from campaigns.models import Account, AccountName, Batch, Campaign, Event, User
from campaigns.services import batches, names, rosters, secrets
from campaigns.services.campaigns import require_open
from campaigns.services.events import Actor, record
from campaigns.services.rosters import ALTERABLE, DETOURS, Comparison, Fate, Reading, Row
from campaigns.states import Owner
from migrator.errors import N_

_ROWS_AT_ONCE: Final = 500
# Columns of which the names are made that people search by.
_NAMING: Final = frozenset({"addresses", "display_name", "department", "phone", "target_login"})
_NAME: Final = f"INSERT INTO {AccountName._meta.db_table} (account_id, kind, value) VALUES (%s, %s, %s)"
_SEAL: Final = f"UPDATE {Account._meta.db_table} SET source_secret = %s, target_secret = %s WHERE id = %s"


class NotImported(Exception):
    """Nothing of the list was taken in. ``comparison`` says row by row why."""

    SENTENCE: Final = N_("Some rows cannot be carried out, so nothing was imported.")

    def __init__(self, comparison: Comparison) -> None:
        super().__init__(self.SENTENCE)
        self.comparison = comparison


class ChangedMeanwhile(Exception):
    """Somebody changed accounts of the list while it was read. Nothing was imported; read it again."""

    SENTENCE: Final = N_("Accounts of this list were changed meanwhile, so nothing was imported. Import it again.")

    def __init__(self) -> None:
        super().__init__(self.SENTENCE)


@dataclass(frozen=True, slots=True)
class Cutting:
    """How fresh accounts are cut into batches. ``limits`` are those of ``batches.LIMITS``."""

    size: int = batches.SIZE
    timetable: batches.Timetable | None = None
    limits: Mapping[str, int] | None = None
    is_by_domain: bool = False


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did: the list row by row, and the batches that it made."""

    comparison: Comparison
    batches: Sequence[Batch]


def take_in(
    campaign: Campaign,
    path: Path,
    reading: Reading,
    *,
    actor: Actor,
    cutting: Cutting | None = None,
    without_refused: bool = False,
    expected: Mapping[str, int] | None = None,
) -> Imported:
    """Import a list in one transaction. Fresh accounts come into batches of their own, in the order of the list.

    ``without_refused``: leave refused rows out; otherwise a single one keeps the whole list out. ``expected``: the
    figures that somebody has agreed to; nothing is imported when they are others by now. Raises ``NotImported``,
    ``ChangedMeanwhile``, ``Refused``, ``BadRoster``, ``OSError``.
    """
    comparison = rosters.compare(campaign, path, reading)
    if comparison.with_fate(Fate.REFUSED) and not without_refused:
        raise NotImported(comparison)
    if expected is not None and comparison.figures != dict(expected):
        raise ChangedMeanwhile
    return carry_out(campaign, comparison, actor=actor, cutting=cutting)


def carry_out(campaign: Campaign, comparison: Comparison, *, actor: Actor, cutting: Cutting | None = None) -> Imported:
    """Do what a list was found to mean, in one transaction, without its refused rows.

    Raises ``ChangedMeanwhile`` where accounts are not as they were then, and ``Refused``.
    """
    try:
        with transaction.atomic():
            require_open(campaign.pk)
            made = _add(campaign, comparison.with_fate(Fate.ADDED), actor, cutting or Cutting())
            _change(comparison.with_fate(Fate.CHANGED), actor)
            figures = {name: count for name, count in comparison.figures.items() if count}
            record("campaign.list_imported", actor=actor, campaign_id=campaign.pk, **figures)
    except IntegrityError as error:
        raise ChangedMeanwhile from error
    return Imported(comparison, made)


def _add(campaign: Campaign, rows: Sequence[Row], actor: Actor, cutting: Cutting) -> list[Batch]:
    if not rows:
        return []
    for row in rows:
        row.account = Account(**row.columns)
    fresh = [row.account for row in rows if row.account]
    made = batches.cut(
        campaign,
        fresh,
        actor=actor,
        size=cutting.size,
        timetable=cutting.timetable,
        is_by_domain=cutting.is_by_domain,
        **cutting.limits or {},
    )
    _seal(rows)
    _write_names(rows)
    return made


def _change(rows: Sequence[Row], actor: Actor) -> None:
    """Alter accounts that wait. Raises ``ChangedMeanwhile`` when one of them does not any more."""
    if not rows:
        return
    _lock(rows)
    columns = sorted({name for row in rows for name in row.changes if name in row.columns})
    for row in rows:
        for name in columns:
            if row.account and name in row.changes:
                setattr(row.account, name, row.columns[name])
    if columns:
        Account.objects.bulk_update(_accounts(rows), columns, batch_size=_ROWS_AT_ONCE)
    _seal(rows)
    named = [
        row for row in rows if {"addresses", "display_name", "department", "phone", "target_login"} & set(row.changes)
    ]
    _write_names(named)
    Event.objects.bulk_create((_event(row, actor) for row in rows if row.account), batch_size=_ROWS_AT_ONCE)


def _lock(rows: Sequence[Row]) -> None:
    """Hold the accounts as they were read, until the transaction ends."""
    ledgers = {account.pk: account.ledger_target for account in _accounts(rows)}
    detours = {account.pk for row in rows if DETOURS & set(row.changes) for account in _accounts([row])}
    for some in _pieces(sorted(ledgers)):
        waiting = Account.objects.filter(pk__in=some, state__in=ALTERABLE, owner=Owner.SOURCE)
        found = waiting.select_for_update(no_key=True).order_by("pk").values_list("pk", "ledger_target", "lease_until")
        held = [pk for pk, ledger, until in found if ledger == ledgers[pk] and (until is None or pk not in detours)]
        if held != some:
            raise ChangedMeanwhile


def _accounts(rows: Iterable[Row]) -> list[Account]:
    return [row.account for row in rows if row.account]


def _pieces(keys: list[int]) -> Iterable[list[int]]:
    return (keys[at : at + _ROWS_AT_ONCE] for at in range(0, len(keys), _ROWS_AT_ONCE))


def _seal(rows: Iterable[Row]) -> None:
    given = ((row.account, side, secret) for row in rows if row.account for side, secret in row.secrets.items())
    changed = secrets.fill_in(given)
    sealed: list[tuple[Any, ...]] = [(one.source_secret, one.target_secret, one.pk) for one in changed]
    with connection.cursor() as cursor:  # bulk_update() takes ten times as long for what has no expressions
        cursor.executemany(_SEAL, sealed)


def _write_names(rows: Sequence[Row]) -> None:
    """Write the names people search by; addresses that the list does not speak of stay."""
    for some in _pieces([account.pk for account in _accounts(rows)]):
        present = AccountName.objects.filter(account__in=some)
        present.exclude(kind__in=names.OF_ADDRESSES).delete()
    spoken = [account.pk for row in rows if row.addresses is not None for account in _accounts([row])]
    for some in _pieces(spoken):
        AccountName.objects.filter(account__in=some, kind__in=names.OF_ADDRESSES).delete()
    with connection.cursor() as cursor:  # a dozen names an account: bulk_create() takes several times as long
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            cursor.executemany(_NAME, [*_names_of(rows[start : start + _ROWS_AT_ONCE])])


def _names_of(rows: Iterable[Row]) -> Iterator[tuple[int, str, str]]:
    for row in rows:
        if row.account:
            for kind, value in names.pairs_of(row.account, row.addresses or ()):
                yield row.account.pk, kind, value


def _event(row: Row, actor: Actor) -> Event:
    assert row.account is not None
    return Event(
        at=timezone.now(),
        name="account.changed",
        actor=actor if isinstance(actor, User) else None,
        actor_name=actor.get_username() if isinstance(actor, User) else actor,
        campaign_id=row.account.campaign_id,
        batch_id=row.account.batch_id,
        account_id=row.account.pk,
        data={"fields": row.changes},
    )
