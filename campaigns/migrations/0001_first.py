from __future__ import annotations

import django.contrib.auth.models
import django.contrib.auth.validators
import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    operations = [
        migrations.CreateModel(
            name="AllowedAddress",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("host", models.CharField(max_length=255, unique=True)),
            ],
        ),
        migrations.CreateModel(
            name="Campaign",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=100, unique=True)),
                ("recipe", models.CharField(default="plain", max_length=32)),
                ("verify_level", models.CharField(default="ledger", max_length=8)),
                ("copies_deleted", models.BooleanField(default=False)),
                ("catch_up_minutes", models.PositiveIntegerField(default=30)),
                ("catch_up_days", models.PositiveIntegerField(default=0)),
                ("refresh_hours", models.PositiveIntegerField(default=24)),
                ("is_paused", models.BooleanField(default=False)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("closed_at", models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name="Connector",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "room",
                    models.CharField(
                        choices=[
                            ("directory", "Directory"),
                            ("route", "Route"),
                            ("sessions", "Sessions"),
                            ("hold", "Hold"),
                        ],
                        max_length=16,
                    ),
                ),
                ("kind", models.CharField(max_length=32)),
                ("name", models.CharField(max_length=100, unique=True)),
                ("options", models.JSONField(default=dict)),
                ("secret", models.BinaryField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name="Server",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=100, unique=True)),
                ("host", models.CharField(max_length=255)),
                ("port", models.PositiveIntegerField()),
                (
                    "security",
                    models.CharField(
                        choices=[("tls", "Tls"), ("starttls", "Starttls"), ("plain", "Plain")],
                        default="tls",
                        max_length=8,
                    ),
                ),
                ("ca_pem", models.TextField(blank=True)),
                ("accepts_any_certificate", models.BooleanField(default=False)),
                ("admin_login", models.CharField(blank=True, max_length=255)),
                ("admin_secret", models.BinaryField(null=True)),
                ("max_lanes", models.PositiveIntegerField(default=8)),
                ("breaker_failures", models.PositiveIntegerField(default=0)),
                ("breaker_until", models.DateTimeField(null=True)),
                ("breaker_code", models.CharField(blank=True, max_length=64)),
                ("breaker_reply", models.CharField(blank=True, max_length=500)),
            ],
        ),
        migrations.CreateModel(
            name="Worker",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=100, unique=True)),
                ("queues", models.CharField(max_length=100)),
                ("pid", models.PositiveIntegerField()),
                ("host", models.CharField(max_length=100)),
                ("beat_at", models.DateTimeField()),
                ("lanes", models.PositiveIntegerField(default=0)),
            ],
        ),
        migrations.CreateModel(
            name="User",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("password", models.CharField(max_length=128, verbose_name="password")),
                ("last_login", models.DateTimeField(blank=True, null=True, verbose_name="last login")),
                (
                    "is_superuser",
                    models.BooleanField(
                        default=False,
                        help_text="Designates that this user has all permissions without explicitly assigning them.",
                        verbose_name="superuser status",
                    ),
                ),
                (
                    "username",
                    models.CharField(
                        error_messages={"unique": "A user with that username already exists."},
                        help_text="Required. 150 characters or fewer. Letters, digits and @/./+/-/_ only.",
                        max_length=150,
                        unique=True,
                        validators=[django.contrib.auth.validators.UnicodeUsernameValidator()],
                        verbose_name="username",
                    ),
                ),
                ("first_name", models.CharField(blank=True, max_length=150, verbose_name="first name")),
                ("last_name", models.CharField(blank=True, max_length=150, verbose_name="last name")),
                ("email", models.EmailField(blank=True, max_length=254, verbose_name="email address")),
                (
                    "is_staff",
                    models.BooleanField(
                        default=False,
                        help_text="Designates whether the user can log into this admin site.",
                        verbose_name="staff status",
                    ),
                ),
                (
                    "is_active",
                    models.BooleanField(
                        default=True,
                        help_text="Designates whether this user should be treated as active. Unselect this instead of deleting accounts.",
                        verbose_name="active",
                    ),
                ),
                ("date_joined", models.DateTimeField(default=django.utils.timezone.now, verbose_name="date joined")),
                ("is_operator", models.BooleanField(default=False)),
                ("is_helpdesk", models.BooleanField(default=False)),
                ("is_manager", models.BooleanField(default=False)),
                ("is_administrator", models.BooleanField(default=False)),
                ("time_zone", models.CharField(blank=True, max_length=64)),
                ("language", models.CharField(blank=True, max_length=16)),
                ("theme", models.CharField(blank=True, max_length=8)),
                (
                    "groups",
                    models.ManyToManyField(
                        blank=True,
                        help_text="The groups this user belongs to. A user will get all permissions granted to each of their groups.",
                        related_name="user_set",
                        related_query_name="user",
                        to="auth.group",
                        verbose_name="groups",
                    ),
                ),
                (
                    "user_permissions",
                    models.ManyToManyField(
                        blank=True,
                        help_text="Specific permissions for this user.",
                        related_name="user_set",
                        related_query_name="user",
                        to="auth.permission",
                        verbose_name="user permissions",
                    ),
                ),
            ],
            options={
                "verbose_name": "user",
                "verbose_name_plural": "users",
                "abstract": False,
            },
            managers=[
                ("objects", django.contrib.auth.models.UserManager()),
            ],
        ),
        migrations.CreateModel(
            name="Batch",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.PositiveIntegerField()),
                ("name", models.CharField(max_length=100)),
                ("starts_at", models.DateTimeField(null=True)),
                ("started_at", models.DateTimeField(null=True)),
                ("window_begins_at", models.DateTimeField(null=True)),
                ("window_ends_at", models.DateTimeField(null=True)),
                ("go_at", models.DateTimeField(null=True)),
                ("is_paused", models.BooleanField(default=False)),
                ("parallel_cutovers", models.PositiveIntegerField(default=8)),
                ("canary", models.PositiveIntegerField(default=0)),
                ("canary_passed_at", models.DateTimeField(null=True)),
                ("cutovers_begun", models.PositiveIntegerField(default=0)),
                ("stop_at_failed_percent", models.PositiveIntegerField(default=10)),
                ("failures_accepted", models.PositiveIntegerField(default=0)),
                ("max_attempts", models.PositiveIntegerField(default=5)),
                ("ready_messages", models.PositiveIntegerField(default=200)),
                ("ready_seconds", models.PositiveIntegerField(default=60)),
                ("cutover_seconds", models.PositiveIntegerField(default=900)),
                ("ended_at", models.DateTimeField(null=True)),
                (
                    "campaign",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="batches",
                        to="campaigns.campaign",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Account",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("source_login", models.CharField(max_length=255)),
                ("target_login", models.CharField(max_length=255)),
                ("source_secret", models.BinaryField(null=True)),
                ("target_secret", models.BinaryField(null=True)),
                ("ledger_source", models.CharField(blank=True, max_length=600)),
                ("ledger_target", models.CharField(blank=True, max_length=600)),
                ("refused_secret", models.CharField(blank=True, max_length=64)),
                ("display_name", models.CharField(blank=True, max_length=255)),
                ("phone", models.CharField(blank=True, max_length=64)),
                ("department", models.CharField(blank=True, max_length=100)),
                ("language", models.CharField(blank=True, max_length=16)),
                ("notice_address", models.CharField(blank=True, max_length=255)),
                ("is_vip", models.BooleanField(default=False)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("new", "new"),
                            ("checking", "checking"),
                            ("staging", "staging"),
                            ("ready", "ready"),
                            ("cutting_over", "cutting_over"),
                            ("done", "done"),
                            ("rolling_back", "rolling_back"),
                            ("held", "held"),
                            ("failed", "failed"),
                            ("attention", "attention"),
                            ("excluded", "excluded"),
                        ],
                        default="new",
                        max_length=16,
                    ),
                ),
                (
                    "owner",
                    models.CharField(
                        choices=[("source", "source"), ("target", "target"), ("unknown", "unknown")],
                        default="source",
                        max_length=8,
                    ),
                ),
                ("step", models.CharField(blank=True, max_length=16)),
                ("resume_state", models.CharField(blank=True, max_length=16)),
                ("state_since", models.DateTimeField(auto_now_add=True)),
                ("not_before", models.DateTimeField(null=True)),
                ("attempts", models.PositiveIntegerField(default=0)),
                ("is_stopped", models.BooleanField(default=False)),
                ("stop_requested", models.BooleanField(default=False)),
                ("waiting_for", models.CharField(blank=True, max_length=16)),
                ("lease_until", models.DateTimeField(null=True)),
                ("lease_epoch", models.PositiveBigIntegerField(default=0)),
                ("lease_holder", models.CharField(blank=True, max_length=100)),
                ("lease_kind", models.CharField(blank=True, max_length=8)),
                ("cutover", models.PositiveIntegerField(default=0)),
                ("messages_total", models.PositiveBigIntegerField(default=0)),
                ("messages_done", models.PositiveBigIntegerField(default=0)),
                ("messages_left", models.PositiveBigIntegerField(default=0)),
                ("bytes_total", models.PositiveBigIntegerField(default=0)),
                ("bytes_done", models.PositiveBigIntegerField(default=0)),
                ("progress_at", models.DateTimeField(null=True)),
                ("locked_at", models.DateTimeField(null=True)),
                ("lockout_seconds", models.FloatField(null=True)),
                ("catch_up_until", models.DateTimeField(null=True)),
                ("error_code", models.CharField(blank=True, max_length=64)),
                ("error_side", models.CharField(blank=True, max_length=8)),
                ("error_reply", models.CharField(blank=True, max_length=500)),
                ("error_at", models.DateTimeField(null=True)),
                (
                    "batch",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="accounts",
                        to="campaigns.batch",
                    ),
                ),
                (
                    "campaign",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="accounts",
                        to="campaigns.campaign",
                    ),
                ),
                (
                    "source",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="campaigns.server"
                    ),
                ),
                (
                    "target",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="campaigns.server",
                    ),
                ),
            ],
        ),
        migrations.AddField(
            model_name="campaign",
            name="route",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="campaigns.connector"
            ),
        ),
        migrations.AddField(
            model_name="campaign",
            name="source_directory",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="campaigns.connector"
            ),
        ),
        migrations.AddField(
            model_name="campaign",
            name="source_sessions",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="campaigns.connector"
            ),
        ),
        migrations.AddField(
            model_name="campaign",
            name="target_directory",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="campaigns.connector"
            ),
        ),
        migrations.CreateModel(
            name="Event",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.DateTimeField(auto_now_add=True)),
                ("name", models.CharField(max_length=100)),
                ("actor_name", models.CharField(max_length=150)),
                ("data", models.JSONField(default=dict)),
                (
                    "account",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="events",
                        to="campaigns.account",
                    ),
                ),
                (
                    "actor",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "batch",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="campaigns.batch",
                    ),
                ),
                (
                    "campaign",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="campaigns.campaign",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="JournalEntry",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("cutover", models.PositiveIntegerField()),
                ("position", models.PositiveIntegerField()),
                ("kind", models.CharField(max_length=16)),
                ("connector", models.CharField(blank=True, max_length=100)),
                ("side", models.CharField(blank=True, max_length=8)),
                ("status", models.CharField(max_length=8)),
                ("saved", models.JSONField(default=dict)),
                ("begun_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(null=True)),
                (
                    "account",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="journal",
                        to="campaigns.account",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="LedgerFolder",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("source", models.BinaryField()),
                ("source_sha256", models.CharField(max_length=64)),
                ("target", models.BinaryField()),
                ("state", models.JSONField()),
                ("leaves", models.PositiveIntegerField(default=0)),
                ("tip", models.BinaryField()),
                (
                    "account",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="ledger_folders",
                        to="campaigns.account",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="LedgerLeaf",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.PositiveIntegerField()),
                ("source_uidvalidity", models.PositiveBigIntegerField()),
                ("target_uidvalidity", models.PositiveBigIntegerField()),
                ("packed", models.BinaryField()),
                ("previous", models.BinaryField()),
                ("digest", models.BinaryField()),
                (
                    "folder",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="leaf_rows",
                        to="campaigns.ledgerfolder",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="LeftBehindMessage",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("source_uidvalidity", models.PositiveBigIntegerField()),
                ("uid", models.PositiveBigIntegerField()),
                ("outcome", models.PositiveSmallIntegerField()),
                ("code", models.CharField(blank=True, max_length=64)),
                ("reply", models.CharField(blank=True, max_length=500)),
                (
                    "folder",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="left_behind",
                        to="campaigns.ledgerfolder",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="OneTimeLink",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("token_sha256", models.CharField(max_length=64, unique=True)),
                ("expires_at", models.DateTimeField()),
                ("used_at", models.DateTimeField(null=True)),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="links", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Run",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(max_length=16)),
                ("lease_epoch", models.PositiveBigIntegerField()),
                ("holder", models.CharField(blank=True, max_length=100)),
                ("started_at", models.DateTimeField(auto_now_add=True)),
                ("ended_at", models.DateTimeField(null=True)),
                ("outcome", models.CharField(blank=True, max_length=32)),
                ("figures", models.JSONField(default=dict)),
                (
                    "account",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="runs",
                        to="campaigns.account",
                    ),
                ),
            ],
        ),
        migrations.AddField(
            model_name="campaign",
            name="source",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="campaigns.server"
            ),
        ),
        migrations.AddField(
            model_name="campaign",
            name="target",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="campaigns.server"
            ),
        ),
        migrations.CreateModel(
            name="AccountName",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(max_length=8)),
                ("value", models.CharField(db_index=True, max_length=255)),
                (
                    "account",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="names",
                        to="campaigns.account",
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("account", "kind", "value"), name="account_name_once")],
            },
        ),
        migrations.CreateModel(
            name="BatchCount",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("new", "new"),
                            ("checking", "checking"),
                            ("staging", "staging"),
                            ("ready", "ready"),
                            ("cutting_over", "cutting_over"),
                            ("done", "done"),
                            ("rolling_back", "rolling_back"),
                            ("held", "held"),
                            ("failed", "failed"),
                            ("attention", "attention"),
                            ("excluded", "excluded"),
                        ],
                        max_length=16,
                    ),
                ),
                ("accounts", models.IntegerField(default=0)),
                (
                    "batch",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="counts",
                        to="campaigns.batch",
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("batch", "state"), name="batch_count_state")],
            },
        ),
        migrations.AddConstraint(
            model_name="batch",
            constraint=models.UniqueConstraint(fields=("campaign", "number"), name="batch_number"),
        ),
        migrations.AddIndex(
            model_name="event",
            index=models.Index(fields=["account", "id"], name="event_account"),
        ),
        migrations.AddIndex(
            model_name="event",
            index=models.Index(fields=["campaign", "id"], name="event_campaign"),
        ),
        migrations.AddIndex(
            model_name="event",
            index=models.Index(fields=["batch", "id"], name="event_batch"),
        ),
        migrations.AddConstraint(
            model_name="journalentry",
            constraint=models.UniqueConstraint(
                fields=("account", "cutover", "position", "kind", "connector", "side"), name="journal_step_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="journalentry",
            constraint=models.CheckConstraint(
                condition=models.Q(("status__in", ("begun", "done", "undone"))), name="journal_status"
            ),
        ),
        migrations.AddConstraint(
            model_name="ledgerfolder",
            constraint=models.UniqueConstraint(fields=("account", "source_sha256"), name="ledger_folder_once"),
        ),
        migrations.AddConstraint(
            model_name="ledgerleaf",
            constraint=models.UniqueConstraint(fields=("folder", "number"), name="ledger_leaf_number"),
        ),
        migrations.AddConstraint(
            model_name="leftbehindmessage",
            constraint=models.UniqueConstraint(fields=("folder", "source_uidvalidity", "uid"), name="left_behind_once"),
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(fields=["account", "id"], name="run_account"),
        ),
        migrations.AddIndex(
            model_name="account",
            index=models.Index(fields=["batch", "state", "id"], name="account_batch_state"),
        ),
        migrations.AddIndex(
            model_name="account",
            index=models.Index(
                condition=models.Q(("is_stopped", False), ("lease_until__isnull", True)),
                fields=["source", "target", "state", "batch", "not_before"],
                name="account_due",
            ),
        ),
        migrations.AddIndex(
            model_name="account",
            index=models.Index(
                condition=models.Q(("not_before__isnull", False)), fields=["state", "not_before"], name="account_later"
            ),
        ),
        migrations.AddIndex(
            model_name="account",
            index=models.Index(
                condition=models.Q(("lease_until__isnull", False)), fields=["lease_until"], name="account_lease"
            ),
        ),
        migrations.AddIndex(
            model_name="account",
            index=models.Index(
                condition=models.Q(("state", "ready")), fields=["batch", "state_since"], name="account_ready_since"
            ),
        ),
        migrations.AddIndex(
            model_name="account",
            index=models.Index(
                condition=models.Q(("error_code", ""), _negated=True),
                fields=["campaign", "error_code"],
                name="account_cause",
            ),
        ),
        migrations.AddConstraint(
            model_name="account",
            constraint=models.UniqueConstraint(fields=("target", "target_login"), name="account_one_per_target"),
        ),
        migrations.AddConstraint(
            model_name="account",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "state__in",
                        [
                            "new",
                            "checking",
                            "staging",
                            "ready",
                            "cutting_over",
                            "done",
                            "rolling_back",
                            "held",
                            "failed",
                            "attention",
                            "excluded",
                        ],
                    )
                ),
                name="account_state",
            ),
        ),
        migrations.AddConstraint(
            model_name="account",
            constraint=models.CheckConstraint(
                condition=models.Q(("owner__in", ["source", "target", "unknown"])), name="account_owner"
            ),
        ),
        migrations.AddConstraint(
            model_name="account",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("state__in", ("new", "checking", "staging", "ready", "held", "failed", "excluded")),
                        _negated=True,
                    ),
                    ("owner", "source"),
                    _connector="OR",
                ),
                name="account_on_source",
            ),
        ),
        migrations.AddConstraint(
            model_name="account",
            constraint=models.CheckConstraint(
                condition=models.Q(models.Q(("state", "done"), _negated=True), ("owner", "target"), _connector="OR"),
                name="account_on_target",
            ),
        ),
        migrations.AddConstraint(
            model_name="account",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("source", models.F("target")), ("source_login", models.F("target_login")), _negated=True
                ),
                name="account_two_mailboxes",
            ),
        ),
    ]
