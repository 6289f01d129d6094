from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    """Removing migrated mail from the old server: who asked, who approved, and each message that went."""

    dependencies = [("campaigns", "0017_taking_back")]

    operations = [
        migrations.AddField("account", "source_removed_at", models.DateTimeField(null=True)),
        migrations.CreateModel(
            name="Retirement",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("quiet_days", models.PositiveIntegerField()),
                ("quarantine_days", models.PositiveIntegerField()),
                ("reason", models.CharField(max_length=500)),
                ("asked_by", models.CharField(max_length=150)),
                ("asked_at", models.DateTimeField()),
                ("approved_by", models.CharField(blank=True, max_length=150)),
                ("approved_at", models.DateTimeField(null=True)),
                ("begins_at", models.DateTimeField(null=True)),
                ("withdrawn_by", models.CharField(blank=True, max_length=150)),
                ("withdrawn_at", models.DateTimeField(null=True)),
                (
                    "batch",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="retirements",
                        to="campaigns.batch",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        condition=Q(("withdrawn_at__isnull", True)), fields=("batch",), name="retirement_one_open"
                    )
                ]
            },
        ),
        migrations.CreateModel(
            name="RemovedMessage",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("folder", models.BinaryField()),
                ("folder_sha256", models.CharField(max_length=64)),
                ("source_uidvalidity", models.PositiveBigIntegerField()),
                ("uid", models.PositiveBigIntegerField()),
                ("removed_at", models.PositiveBigIntegerField(null=True)),
                (
                    "account",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="campaigns.account",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=Q(("removed_at__isnull", True)), fields=["account"], name="removed_message_intended"
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("account", "folder_sha256", "source_uidvalidity", "uid"), name="removed_message_once"
                    )
                ],
            },
        ),
    ]
