"""The key with which this installation signs its proofs of copy."""

from __future__ import annotations

from django.db import models


class ProofKey(models.Model):
    """One row. In the database, sealed, so that a backup keeps it, and opens it only beside the keys of the vault."""

    secret = models.BinaryField(null=True)  # sealed
    public = models.BinaryField()
    made_at = models.DateTimeField(auto_now_add=True)
