from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """How much mail is held for the users of a batch."""

    dependencies = [("campaigns", "0014_alarms")]

    operations = [
        migrations.CreateModel(
            "BatchHeld",
            [
                (
                    "batch",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="held",
                        serialize=False,
                        to="campaigns.batch",
                    ),
                ),
                ("counted_at", models.DateTimeField()),
                ("messages", models.PositiveIntegerField(default=0)),
                ("accounts", models.PositiveIntegerField(default=0)),
                ("unknown", models.PositiveIntegerField(default=0)),
                ("oldest_at", models.DateTimeField(null=True)),
                ("error_code", models.CharField(blank=True, max_length=64)),
                (
                    "oldest_account",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="campaigns.account",
                    ),
                ),
            ],
        ),
    ]
