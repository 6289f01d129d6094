from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    """Where the old server's queue is seen."""

    dependencies = [("campaigns", "0019_back_and_retired")]

    operations = [
        migrations.AddField(
            "placebook",
            "queue_program",
            models.CharField(blank=True, db_default="", default="", max_length=100),
        ),
    ]
