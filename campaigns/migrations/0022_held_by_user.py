from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """How much mail is held for each user, what nobody can count or release, and what is left after the release."""

    dependencies = [("campaigns", "0021_nights_of_before")]

    operations = [
        migrations.CreateModel(
            "AccountHeld",
            [
                (
                    "account",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="held_mail",
                        serialize=False,
                        to="campaigns.account",
                    ),
                ),
                ("cutover", models.PositiveIntegerField()),
                ("counted_at", models.DateTimeField()),
                ("is_released", models.BooleanField(default=False)),
                ("messages", models.PositiveIntegerField(default=0)),
                ("oldest_at", models.DateTimeField(null=True)),
                ("aside", models.PositiveIntegerField(default=0)),
                ("is_at_senders", models.BooleanField(default=False)),
                ("error_code", models.CharField(blank=True, max_length=64)),
            ],
        ),
        *(
            migrations.AddField("batchheld", name, models.PositiveIntegerField(default=0))
            for name in ("aside", "at_senders", "left", "to_prove")
        ),
    ]
