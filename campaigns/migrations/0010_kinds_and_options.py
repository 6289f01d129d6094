from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """Kinds of servers, options of copying, and what a ledger keeps of sources and targets other than IMAP."""

    dependencies = [
        ("campaigns", "0009_proof"),
    ]

    operations = [
        migrations.AddField(
            model_name="account",
            name="copy_options",
            field=models.JSONField(default=dict),
        ),
        migrations.AddField(
            model_name="campaign",
            name="copy_options",
            field=models.JSONField(default=dict),
        ),
        migrations.AddField(
            model_name="server",
            name="kind",
            field=models.CharField(default="imap", max_length=16),
        ),
        migrations.AddField(
            model_name="server",
            name="path",
            field=models.CharField(blank=True, max_length=500),
        ),
        migrations.AlterField(
            model_name="server",
            name="host",
            field=models.CharField(blank=True, max_length=255),
        ),
        migrations.CreateModel(
            name="MessageNames",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("folder", models.BinaryField()),
                ("folder_sha256", models.CharField(max_length=64)),
                ("uidvalidity", models.PositiveBigIntegerField()),
                ("first_uid", models.PositiveBigIntegerField()),
                ("last_uid", models.PositiveBigIntegerField()),
                ("packed", models.BinaryField()),
                (
                    "account",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="campaigns.account",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("account", "folder_sha256", "uidvalidity", "first_uid"), name="message_names_once"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="SendingMessage",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("folder", models.BinaryField()),
                ("folder_sha256", models.CharField(max_length=64)),
                ("source_uidvalidity", models.PositiveBigIntegerField()),
                ("uid", models.PositiveBigIntegerField()),
                ("canonical", models.BinaryField()),
                (
                    "account",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="campaigns.account",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("account", "folder_sha256", "source_uidvalidity", "uid"), name="sending_message_once"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="SieveScript",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name_sha256", models.CharField(max_length=64)),
                ("state", models.JSONField()),
                (
                    "account",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="campaigns.account",
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("account", "name_sha256"), name="sieve_script_once")],
            },
        ),
    ]
