from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    """The key that signs proofs, and how an account was compared when it moved."""

    dependencies = [("campaigns", "0008_sign_in_and_trust")]

    operations = [
        migrations.CreateModel(
            name="ProofKey",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("secret", models.BinaryField(null=True)),
                ("public", models.BinaryField()),
                ("made_at", models.DateTimeField(auto_now_add=True)),
            ],
        ),
        migrations.AddField("account", "verified_at", models.DateTimeField(null=True)),
        migrations.AddField("account", "verified_level", models.CharField(blank=True, max_length=8)),
    ]
