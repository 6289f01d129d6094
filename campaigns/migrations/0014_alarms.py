from __future__ import annotations

from typing import Any

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Q

_KEY = ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"))
_KINDS = [("webhook", "Webhook"), ("program", "Program"), ("mail", "Mail")]


def _to(model: str, related_name: str, **options: Any) -> models.ForeignKey[Any, Any]:
    return models.ForeignKey(
        on_delete=django.db.models.deletion.CASCADE, related_name=related_name, to=f"campaigns.{model}", **options
    )


class Migration(migrations.Migration):
    """Alarms and their ways out; what was foreseen when somebody said go."""

    dependencies = [("campaigns", "0013_the_night")]

    operations = [
        migrations.CreateModel(
            "AlarmChannel",
            [
                _KEY,
                ("name", models.CharField(max_length=100, unique=True)),
                ("kind", models.CharField(choices=_KINDS, max_length=16)),
                ("options", models.JSONField(default=dict)),
                ("secret", models.BinaryField(null=True)),
                ("is_on", models.BooleanField(default=True)),
                ("changed_at", models.DateTimeField()),
                ("sent_at", models.DateTimeField(null=True)),
                ("failed_at", models.DateTimeField(null=True)),
                ("error", models.CharField(blank=True, max_length=500)),
            ],
        ),
        migrations.CreateModel(
            "Alarm",
            [
                _KEY,
                ("kind", models.CharField(max_length=32)),
                ("code", models.CharField(blank=True, max_length=16)),
                ("wrong_codes", models.PositiveSmallIntegerField(default=0)),
                ("accounts", models.PositiveIntegerField(default=0)),
                ("since", models.DateTimeField(null=True)),
                ("raised_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(null=True)),
                ("acknowledged_at", models.DateTimeField(null=True)),
                ("acknowledged_by", models.CharField(blank=True, max_length=150)),
                ("acknowledged_accounts", models.PositiveIntegerField(default=0)),
                ("batch", _to("batch", "alarms", null=True)),
                ("channel", _to("alarmchannel", "tests", null=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("kind", "batch"),
                        condition=Q(ended_at=None, batch__isnull=False),
                        name="alarm_open_once",
                    )
                ]
            },
        ),
        migrations.CreateModel(
            "AlarmSending",
            [
                _KEY,
                ("due_at", models.DateTimeField(null=True)),
                ("tries", models.PositiveIntegerField(default=0)),
                ("sent_at", models.DateTimeField(null=True)),
                ("alarm", _to("alarm", "sendings", db_index=False)),
                ("channel", _to("alarmchannel", "sendings")),
            ],
            options={
                "indexes": [models.Index(fields=("due_at",), name="alarm_due", condition=Q(due_at__isnull=False))],
                "constraints": [models.UniqueConstraint(fields=("alarm", "channel"), name="alarm_sending_once")],
            },
        ),
        migrations.CreateModel(
            "GoSaid",
            [
                _KEY,
                ("said_at", models.DateTimeField()),
                ("said_by", models.CharField(max_length=150)),
                ("findings", models.JSONField(default=list)),
                ("forecast", models.JSONField(default=dict)),
                ("batch", _to("batch", "goes")),
            ],
        ),
    ]
