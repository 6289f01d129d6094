"""The engine's ledger in the database: folders, leaves, messages left behind; names, intents to send, scripts."""

from __future__ import annotations

from django.db import models

from campaigns.models.account import Account


class LedgerFolder(models.Model):
    """migrator.transfer.ledger.FolderState of one source folder."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="ledger_folders", db_index=False)
    source = models.BinaryField()  # raw name
    source_sha256 = models.CharField(max_length=64)  # of the raw name: BinaryField has no index everywhere
    target = models.BinaryField()
    state = models.JSONField()  # the other fields of FolderState
    leaves = models.PositiveIntegerField(default=0)
    tip = models.BinaryField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("account", "source_sha256"), name="ledger_folder_once"),)


class LedgerLeaf(models.Model):
    """A committed bundle of records. Append-only."""

    folder = models.ForeignKey(LedgerFolder, on_delete=models.CASCADE, related_name="leaf_rows", db_index=False)
    number = models.PositiveIntegerField()
    source_uidvalidity = models.PositiveBigIntegerField()
    target_uidvalidity = models.PositiveBigIntegerField()
    packed = models.BinaryField()
    previous = models.BinaryField()
    digest = models.BinaryField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("folder", "number"), name="ledger_leaf_number"),)


class LeftBehindMessage(models.Model):
    """A message that is not on the target, with its reason, for the pages people read."""

    folder = models.ForeignKey(LedgerFolder, on_delete=models.CASCADE, related_name="left_behind", db_index=False)
    source_uidvalidity = models.PositiveBigIntegerField()
    uid = models.PositiveBigIntegerField()
    outcome = models.PositiveSmallIntegerField()  # migrator.mail.Outcome
    code = models.CharField(max_length=64, blank=True)
    reply = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("folder", "source_uidvalidity", "uid"), name="left_behind_once"),
        )


class MessageNames(models.Model):
    """Numbers that messages of a source without numbers were given: a run of them, packed (bridge.message_names)."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="+", db_index=False)
    folder = models.BinaryField()  # raw name
    folder_sha256 = models.CharField(max_length=64)
    uidvalidity = models.PositiveBigIntegerField()
    first_uid = models.PositiveBigIntegerField()  # runs of one folder never overlap
    last_uid = models.PositiveBigIntegerField()
    packed = models.BinaryField()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("account", "folder_sha256", "uidvalidity", "first_uid"), name="message_names_once"
            ),
        )


class SendingMessage(models.Model):
    """A message on its way to a target that cannot be read: until its answer is recorded nobody knows its end."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="+", db_index=False)
    folder = models.BinaryField()  # raw name
    folder_sha256 = models.CharField(max_length=64)
    source_uidvalidity = models.PositiveBigIntegerField()
    uid = models.PositiveBigIntegerField()
    canonical = models.BinaryField()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("account", "folder_sha256", "source_uidvalidity", "uid"), name="sending_message_once"
            ),
        )


class SieveScript(models.Model):
    """migrator.transfer.ledger.ScriptState of one script."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="+", db_index=False)
    name_sha256 = models.CharField(max_length=64)
    state = models.JSONField()  # octets in hexadecimal

    class Meta:
        constraints = (models.UniqueConstraint(fields=("account", "name_sha256"), name="sieve_script_once"),)
