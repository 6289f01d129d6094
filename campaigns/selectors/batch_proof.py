"""The proof of a batch in plain words: how many messages the old server had, where each ended, how it was compared.

From figures that passes and the ticker keep: five queries, however many accounts and messages there are. The records
themselves are checked when somebody takes the manifest.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import Count, Max, Min, Q
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from campaigns.models import Account, Batch, BatchMail, ProofKey
from campaigns.selectors.balance import Balance, balance
from campaigns.states import AccountState
from migrator.transfer.signing import fingerprint, to_pem
from migrator.transfer.verify import VerifyLevel

_LEVELS: Final[dict[str, Promise]] = {
    VerifyLevel.COUNTS: _("by the number of messages in each folder"),
    VerifyLevel.LEDGER: _("message by message: each one is there, with its date and its flags"),
    VerifyLevel.DIGEST: _("message by message, every octet read again"),
}


@dataclass(frozen=True, slots=True)
class Compared:
    """Accounts that were compared in one way when they moved, and found alike."""

    how: str
    accounts: int
    first: datetime | None
    last: datetime | None


@dataclass(frozen=True, slots=True)
class Key:
    """The key that signs: what people compare, and what programs read."""

    fingerprint: str
    pem: str


@dataclass(frozen=True, slots=True)
class BatchProof:
    """All of it."""

    balance: Balance
    accounts: int
    moved: int
    excluded: int
    compared: list[Compared]
    uncompared: int  # moved, and never compared
    uncounted: int
    key: Key | None

    @property
    def is_whole(self) -> bool:
        """True when all that shall move has moved and is counted."""
        return self.moved > 0 and self.moved + self.excluded == self.accounts and not self.uncounted

    @property
    def pending(self) -> int:
        """Messages that are not on the new server yet and will be."""
        return sum(box.messages for box in self.balance.boxes if box.name == "pending")


def view(batch: Batch) -> BatchProof:
    """Return how the proof of a batch stands."""
    rows = Account.objects.filter(batch=batch)
    counts = rows.aggregate(
        accounts=Count("pk"),
        moved=Count("pk", filter=Q(state=AccountState.DONE)),
        excluded=Count("pk", filter=Q(state=AccountState.EXCLUDED)),
        compared=Count("pk", filter=Q(state=AccountState.DONE, verified_at__isnull=False)),
        uncounted=Count("pk", filter=Q(progress_at=None) & ~Q(state=AccountState.EXCLUDED)),
    )
    return BatchProof(
        balance=balance(BatchMail.objects.filter(batch=batch)),
        accounts=counts["accounts"],
        moved=counts["moved"],
        excluded=counts["excluded"],
        compared=_compared(batch),
        uncompared=counts["moved"] - counts["compared"],
        uncounted=counts["uncounted"],
        key=key(),
    )


def _compared(batch: Batch) -> list[Compared]:
    rows = Account.objects.filter(batch=batch, state=AccountState.DONE, verified_at__isnull=False)
    found = rows.values("verified_level").annotate(
        accounts=Count("pk"), first=Min("verified_at"), last=Max("verified_at")
    )
    return [
        Compared(str(_LEVELS.get(row["verified_level"], "")), row["accounts"], row["first"], row["last"])
        for row in sorted(found, key=lambda row: -row["accounts"])
    ]


def key() -> Key | None:
    """Return the public half of the key that signs; None before the first manifest."""
    row = ProofKey.objects.exclude(public=b"").only("public").first()
    return Key(fingerprint(bytes(row.public)), to_pem(bytes(row.public))) if row else None
