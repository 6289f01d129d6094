from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    """By which method a night began, to be undone by it; and whether logs must show that nobody signs in any more."""

    dependencies = [("campaigns", "0018_retirement")]

    operations = [
        migrations.AddField("account", "night_recipe", models.CharField(blank=True, max_length=32)),
        migrations.AddField("account", "night_steps", models.JSONField(default=list)),
        migrations.AddField("retirement", "is_by_log", models.BooleanField(default=False)),
    ]
