from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("campaigns", "0004_plans"),
    ]

    operations = [
        migrations.AddField(
            model_name="account",
            name="messages_per_second",
            field=models.FloatField(null=True),
        ),
    ]
