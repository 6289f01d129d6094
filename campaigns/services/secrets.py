"""Passwords of accounts, servers and connectors: stored sealed, never shown again, and sealed anew with a fresh key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from django.apps import apps
from django.db import transaction
from django.db.models import Model

from campaigns.bridge import journal, rescue, vault
from campaigns.models import Account, Connector, Event, JournalEntry, Server, User
from migrator.errors import MigratorError, Side
from migrator.secret import Secret

ROWS_AT_ONCE: Final = 500


@dataclass(slots=True)
class Rotation:
    """How a rotation of keys went."""

    resealed: int = 0
    unreadable: int = 0  # no key opens these; they were left as they are
    busy: int = 0  # accounts whose rescue file is their worker's at the moment


def set_account_password(account: Account, side: Side, secret: Secret | None, *, actor: User) -> bool:
    """Store the password of an account on one side; None takes it away. False when it is the one that is there.

    A password that a server refused and that is entered again is still the refused one: it is not tried a second time.
    """
    return _put(account, f"{side}_secret", secret, actor, "account.password.changed", account=account)


def set_admin_password(server: Server, secret: Secret | None, *, actor: User) -> bool:
    """Store the administrator's password of a server; None takes it away. False when it is the one that is there."""
    return _put(server, "admin_secret", secret, actor, "server.password.changed")


def set_connector_password(connector: Connector, secret: Secret | None, *, actor: User) -> bool:
    """Store the password of a connector's own sign-in; None takes it away. False when it is the one that is there."""
    return _put(connector, "secret", secret, actor, "connector.password.changed")


def fill_in(accounts: Iterable[tuple[Account, Side, Secret]]) -> list[Account]:
    """Seal passwords into rows that are stored already, without storing them: for lists, which write in bulk.

    Returns the rows that changed, each once. The fields are ``source_secret`` and ``target_secret``.
    """
    changed: dict[int, Account] = {}
    for account, side, secret in accounts:
        field = f"{side}_secret"
        if not _is_the_same(account, field, secret):
            setattr(account, field, vault.seal(secret, account, field))
            changed[account.pk] = account
    return list(changed.values())


def fingerprint(sealed: bytes | memoryview) -> str:
    """Return what ``refused_secret`` holds for a stored password. It tells nothing of the password itself."""
    return vault.fingerprint(sealed)


def rotate() -> Rotation:
    """Seal everything anew with the first key. Safe to repeat, and beside running workers. Raises ``MigratorError``."""
    folders = rescue.reseal()
    done = Rotation(unreadable=folders.unreadable, busy=folders.busy)
    for model_name, field in vault.SEALED_COLUMNS:
        for row in _rows_with(apps.get_model("campaigns", model_name), field):
            _reseal(row, field, done)
    for entry in _in_pieces(JournalEntry.objects.all()):
        _reseal_entry(entry, done)
    return done


def rows_that_need_other_keys() -> int:
    """Return how many sealed values the first key alone does not open."""
    first = vault.vault().is_sealed_with_first_key
    columns = sum(
        not first(bytes(getattr(row, field)))
        for model_name, field in vault.SEALED_COLUMNS
        for row in _rows_with(apps.get_model("campaigns", model_name), field)
    )
    sealed = filter(None, map(journal.sealed_part, _in_pieces(JournalEntry.objects.all())))
    return columns + sum(not first(token) for token in sealed)


def _put(row: Model, field: str, secret: Secret | None, actor: User, event: str, **about: Any) -> bool:
    if _is_the_same(row, field, secret):
        return False
    setattr(row, field, None if secret is None else vault.seal(secret, row, field))
    with transaction.atomic():
        row.save(update_fields=[field])
        data = {"row": row.pk, "field": field, "is_there": secret is not None}
        Event.objects.create(name=event, actor=actor, actor_name=actor.username, data=data, **about)
    return True


def _is_the_same(row: Model, field: str, secret: Secret | None) -> bool:
    try:
        present = vault.unseal(row, field)
    except MigratorError:
        return False  # what cannot be opened is replaced
    if present is None or secret is None:
        return present is secret
    return present.reveal() == secret.reveal()


def _rows_with(model: type[Model], field: str) -> Iterator[Any]:
    return _in_pieces(model._default_manager.exclude(**{field: None}))


def _in_pieces(rows: Any) -> Iterator[Any]:
    """Yield rows in the order of their keys, without holding a query open while they are written."""
    after = 0
    while some := list(rows.filter(pk__gt=after).order_by("pk")[:ROWS_AT_ONCE]):
        yield from some
        after = some[-1].pk


def _reseal(row: Any, field: str, done: Rotation) -> None:
    sealed = bytes(getattr(row, field))
    fresh = _resealed(sealed, done)
    if fresh is None:
        return
    columns: dict[str, object] = {field: fresh}
    if isinstance(row, Account) and row.refused_secret == fingerprint(sealed):
        columns["refused_secret"] = fingerprint(fresh)
    # Only if nobody entered another one meanwhile.
    done.resealed += type(row)._default_manager.filter(**{"pk": row.pk, field: sealed}).update(**columns)


def _reseal_entry(entry: JournalEntry, done: Rotation) -> None:
    sealed = journal.sealed_part(entry)
    fresh = _resealed(sealed, done) if sealed else None
    if fresh is not None:
        rows = JournalEntry.objects.filter(pk=entry.pk, saved=entry.saved)
        done.resealed += rows.update(saved=journal.with_sealed_part(fresh))


def _resealed(sealed: bytes, done: Rotation) -> bytes | None:
    """Return ``sealed`` anew; None when the first key sealed it already, or no key opens it."""
    if vault.vault().is_sealed_with_first_key(sealed):
        return None
    try:
        return vault.vault().reseal(sealed)
    except MigratorError:
        done.unreadable += 1
        return None
