from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    """Where Sieve scripts and POP3 are, beside a server's mail."""

    dependencies = [("campaigns", "0011_survey")]

    operations = [
        migrations.AddField("server", "sieve_place", models.CharField(blank=True, max_length=255)),
        migrations.AddField("server", "pop3_place", models.CharField(blank=True, max_length=255)),
    ]
