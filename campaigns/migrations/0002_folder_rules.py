from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("campaigns", "0001_first"),
    ]

    operations = [
        migrations.AddField(
            model_name="account",
            name="folder_rules",
            field=models.JSONField(default=dict),
        ),
        migrations.AddField(
            model_name="account",
            name="messages_skipped",
            field=models.PositiveBigIntegerField(default=0),
        ),
    ]
