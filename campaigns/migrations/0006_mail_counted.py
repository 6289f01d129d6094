from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

import django.db.models.deletion
from django.db import migrations, models


def note_hours(apps: Any, _schema_editor: Any) -> None:
    """Put the accounts that have moved already into the hour in which they did."""
    accounts, hours = apps.get_model("campaigns", "Account"), apps.get_model("campaigns", "MovedHour")
    moved: Counter[tuple[int, datetime]] = Counter()
    for batch, at in accounts.objects.filter(state="done").values_list("batch_id", "state_since").iterator():
        moved[batch, at.replace(minute=0, second=0, microsecond=0)] += 1
    hours.objects.bulk_create(
        hours(batch_id=batch, hour=hour, accounts=count) for (batch, hour), count in moved.items()
    )


class Migration(migrations.Migration):
    dependencies = [
        ("campaigns", "0005_account_pace"),
    ]

    operations = [
        migrations.CreateModel(
            name="BatchMail",
            fields=[
                (
                    "batch",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="mail",
                        serialize=False,
                        to="campaigns.batch",
                    ),
                ),
                ("counted_at", models.DateTimeField()),
                ("counted_accounts", models.PositiveIntegerField(default=0)),
                ("moved", models.PositiveBigIntegerField(default=0)),
                ("ahead", models.PositiveBigIntegerField(default=0)),
                ("pending", models.PositiveBigIntegerField(default=0)),
                ("already", models.PositiveBigIntegerField(default=0)),
                ("skipped", models.PositiveBigIntegerField(default=0)),
                ("removed", models.PositiveBigIntegerField(default=0)),
                ("flagged", models.PositiveBigIntegerField(default=0)),
                ("empty", models.PositiveBigIntegerField(default=0)),
                ("left", models.PositiveBigIntegerField(default=0)),
                ("bytes_total", models.PositiveBigIntegerField(default=0)),
                ("bytes_done", models.PositiveBigIntegerField(default=0)),
                ("bytes_moved", models.PositiveBigIntegerField(default=0)),
                ("bytes_per_second", models.FloatField(default=0.0)),
                ("mark_at", models.DateTimeField()),
                ("mark_bytes", models.PositiveBigIntegerField(default=0)),
            ],
        ),
        migrations.CreateModel(
            name="MovedHour",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("hour", models.DateTimeField()),
                ("accounts", models.IntegerField(default=0)),
            ],
        ),
        migrations.AddField(
            model_name="account",
            name="messages_pending",
            field=models.PositiveBigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="account",
            name="outcomes",
            field=models.JSONField(default=dict),
        ),
        migrations.AddIndex(
            model_name="account",
            index=models.Index(
                condition=models.Q(("lockout_seconds__isnull", False)),
                fields=["campaign", "lockout_seconds"],
                name="account_lockout",
            ),
        ),
        migrations.AddField(
            model_name="movedhour",
            name="batch",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="moved_hours",
                to="campaigns.batch",
            ),
        ),
        migrations.AddConstraint(
            model_name="movedhour",
            constraint=models.UniqueConstraint(fields=("batch", "hour"), name="moved_hour_once"),
        ),
        migrations.RunPython(note_hours, migrations.RunPython.noop),
    ]
