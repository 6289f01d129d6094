"""Proofs of copy: the installation's key, and the signed manifests of batches and accounts.

A manifest is made when it is asked for and sent on its way: of a batch, one account after the other, with the leaves of
each hashed again. Who took one stands in the log before the first line leaves.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from django.db import transaction
from django.utils import timezone

from campaigns.bridge import vault
from campaigns.bridge.ledger import StoredLedger
from campaigns.models import Account, Batch, ProofKey, User
from campaigns.services.events import record
from migrator.secret import Secret
from migrator.transfer.manifest import Entry, Manifest, Verified
from migrator.transfer.signing import SigningKey

_ONLY = 1  # the key of the row


def signing_key() -> SigningKey:
    """Return this installation's key, a new one at the first use.

    Raises ``MigratorError`` where no key of the vault opens it: another one is not made then.
    """
    with transaction.atomic():
        row, is_new = ProofKey.objects.get_or_create(pk=_ONLY, defaults={"public": b""})
        if is_new or row.secret is None:
            key = SigningKey.generate()
            row.public = key.public
            row.secret = vault.seal(Secret(base64.b64encode(key.seed).decode()), row, "secret")
            row.save()
            record("proof.key_made", actor="mailferry")
            return key
    text = vault.unseal(row, "secret")
    return SigningKey(base64.b64decode(text.reveal() if text else ""))


def make_key() -> None:
    """Make the key where there is none, so that its fingerprint can be noted before the first proof."""
    if not ProofKey.objects.exists():
        signing_key()


def take_batch(batch: Batch, *, with_records: bool, actor: User) -> Iterator[bytes]:
    """Return the manifest of a batch, line by line; note who took it. Raises ``MigratorError``: no key opens."""
    manifest = _manifest(f"{batch.campaign.name}, {batch.name}", with_records=with_records)
    rows = Account.objects.filter(batch=batch).order_by("pk").defer("source_secret", "target_secret")
    ids = {"campaign_id": batch.campaign_id, "batch_id": batch.pk}
    record("batch.proof.taken", actor=actor, **ids, records=with_records)
    return manifest.lines(_entries(rows.iterator(chunk_size=200)))


def take_account(account: Account, *, actor: User) -> Iterator[bytes]:
    """Return the manifest of one account with every message, as ``take_batch`` does."""
    manifest = _manifest(f"{account.campaign.name}, {account.target_login}", with_records=True)
    ids = {"campaign_id": account.campaign_id, "batch_id": account.batch_id, "account_id": account.pk}
    record("account.proof.taken", actor=actor, **ids, records=True)
    return manifest.lines(_entries([account]))


def _manifest(title: str, *, with_records: bool) -> Manifest:
    made_at = timezone.now().astimezone(UTC).isoformat(timespec="seconds")
    return Manifest(signing_key(), made_at=made_at, title=title, with_records=with_records)


def _entries(accounts: Iterable[Account]) -> Iterator[Entry]:
    for account in accounts:
        pair = (account.ledger_source or account.source_login, account.ledger_target or account.target_login)
        if account.lease_until is not None:
            yield Entry(*pair, None, account.state)
            continue
        yield Entry(
            *pair,
            StoredLedger(account.pk),
            account.state,
            _verified(account.verified_level, account.verified_at),
            _Rest(account),
        )


def _verified(level: str, at: datetime | None) -> Verified | None:
    return Verified(level, at.astimezone(UTC).isoformat(timespec="seconds")) if level and at else None


class _Rest:
    """Whether nobody took an account up since it was read."""

    def __init__(self, account: Account) -> None:
        self._rows = Account.objects.filter(pk=account.pk, lease_epoch=account.lease_epoch, lease_until=None)

    def __call__(self) -> bool:
        return self._rows.exists()
