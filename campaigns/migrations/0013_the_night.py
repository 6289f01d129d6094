from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models

# As recipes were before they held mail: whose night began by these goes on by them.
FORMER_STEPS = [
    ["disable", "source", ""],
    ["delta", "", ""],
    ["verify", "", ""],
    ["switch", "", ""],
    ["enable", "target", ""],
]
ON_SOURCE = ("new", "checking", "staging", "ready", "held", "failed", "excluded")


def keep_steps(apps, schema_editor):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """Let campaigns in which anybody has moved keep the steps that their journals name by position."""
    begun = apps.get_model("campaigns", "JournalEntry").objects.values("account__campaign")
    apps.get_model("campaigns", "Campaign").objects.filter(pk__in=begun).update(steps=FORMER_STEPS)


def connector() -> models.Field:  # type: ignore[type-arg]
    return models.ForeignKey(
        null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="campaigns.connector"
    )


class Migration(migrations.Migration):
    """What a night holds, makes and publishes; its steps, and how a batch takes them."""

    dependencies = [("campaigns", "0012_services_beside")]

    operations = [
        migrations.AlterField(
            "connector",
            "room",
            models.CharField(
                choices=[
                    ("directory", "Directory"),
                    ("route", "Route"),
                    ("sessions", "Sessions"),
                    ("hold", "Hold"),
                    ("population", "Population"),
                    ("publication", "Publication"),
                ],
                max_length=16,
            ),
        ),
        migrations.AddField("campaign", "hold", connector()),
        migrations.AddField("campaign", "population", connector()),
        migrations.AddField("campaign", "publication", connector()),
        migrations.AddField("campaign", "target_sessions", connector()),
        migrations.AddField("campaign", "steps", models.JSONField(default=list)),
        migrations.AddField("campaign", "services", models.JSONField(default=list)),
        migrations.AddField("account", "arrives_first", models.BooleanField(default=False)),
        migrations.RemoveConstraint("account", "account_on_source"),
        migrations.AddConstraint(
            "account",
            models.CheckConstraint(
                condition=~models.Q(("state__in", ON_SOURCE))
                | models.Q(("owner", "source"), ("arrives_first", True), _connector="OR"),
                name="account_on_source",
            ),
        ),
        migrations.AddField("batch", "is_together", models.BooleanField(default=False)),
        migrations.AddField("batch", "is_stepwise", models.BooleanField(default=False)),
        migrations.AddField("batch", "step_gate", models.PositiveIntegerField(default=0)),
        migrations.RunPython(keep_steps, migrations.RunPython.noop),
    ]
