from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """What is found of the accounts of a batch before they are copied."""

    dependencies = [("campaigns", "0010_kinds_and_options")]

    operations = [
        migrations.CreateModel(
            name="BatchSurvey",
            fields=[
                (
                    "batch",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="survey",
                        serialize=False,
                        to="campaigns.batch",
                    ),
                ),
                ("asked_at", models.DateTimeField()),
                ("asked_by", models.CharField(max_length=150)),
                ("rung_at", models.DateTimeField(null=True)),
                ("ended_at", models.DateTimeField(null=True)),
                ("error_code", models.CharField(blank=True, max_length=64)),
                ("error_side", models.CharField(blank=True, max_length=8)),
                ("error_reply", models.TextField(blank=True)),
            ],
        ),
        migrations.CreateModel(
            name="SurveyedAccount",
            fields=[
                (
                    "account",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="survey",
                        serialize=False,
                        to="campaigns.account",
                    ),
                ),
                ("is_sampled", models.BooleanField(default=False)),
                ("claimed_until", models.DateTimeField(null=True)),
                ("tries", models.PositiveSmallIntegerField(default=0)),
                ("taken_at", models.DateTimeField(null=True)),
                ("found", models.JSONField(default=dict)),
                (
                    "survey",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="accounts",
                        to="campaigns.batchsurvey",
                    ),
                ),
            ],
        ),
    ]
