from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    """Who is to be taken back from the target, and who was."""

    dependencies = [("campaigns", "0016_by_hand")]

    operations = [
        migrations.AddField("account", "return_asked_at", models.DateTimeField(null=True)),
        migrations.AddField("account", "taken_back_at", models.DateTimeField(null=True)),
    ]
