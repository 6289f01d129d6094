"""One person's mailbox on its way from one server to the other."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from campaigns.models.campaign import Batch, Campaign
from campaigns.models.server import Server
from campaigns.states import AccountState, Owner

# In these states the user works on the source: nothing was switched, or all of it was undone.
_ON_SOURCE = ("new", "checking", "staging", "ready", "held", "failed", "excluded")


class Account(models.Model):
    """The row is the truth. State, owner and lease are written by services with compare-and-set only."""

    # db_index=False, here and in other models: a wider index or constraint below begins with the same column
    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, related_name="accounts", db_index=False)
    batch = models.ForeignKey(Batch, on_delete=models.PROTECT, related_name="accounts", db_index=False)
    source = models.ForeignKey(Server, on_delete=models.PROTECT, related_name="+")
    target = models.ForeignKey(Server, on_delete=models.PROTECT, related_name="+", db_index=False)
    source_login = models.CharField(max_length=255)
    target_login = models.CharField(max_length=255)
    source_secret = models.BinaryField(null=True)  # sealed
    target_secret = models.BinaryField(null=True)
    ledger_source = models.CharField(max_length=600, blank=True)  # the pair of mailboxes its ledger is bound to
    ledger_target = models.CharField(max_length=600, blank=True)
    refused_secret = models.CharField(max_length=64, blank=True)  # SHA-256 of the sealed one a server refused

    display_name = models.CharField(max_length=255, blank=True)
    phone = models.CharField(max_length=64, blank=True)
    department = models.CharField(max_length=100, blank=True)
    language = models.CharField(max_length=16, blank=True)
    notice_address = models.CharField(max_length=255, blank=True)
    is_vip = models.BooleanField(default=False)
    is_one_person = models.BooleanField(default=False)  # somebody says so of its two mailboxes, whatever they hold
    folder_rules = models.JSONField(default=dict)  # folder -> {"action": "skip"} or {"action": "rename", "name": ...}

    copy_options = models.JSONField(default=dict)  # what differs from its campaign's (bridge.copying)

    state = models.CharField(max_length=16, choices=[(s.value, s.value) for s in AccountState], default="new")
    owner = models.CharField(max_length=8, choices=[(o.value, o.value) for o in Owner], default="source")
    step = models.CharField(max_length=16, blank=True)  # of the recipe, while cutting over or rolling back
    resume_state = models.CharField(max_length=16, blank=True)  # where a retry goes on
    state_since = models.DateTimeField(auto_now_add=True)
    not_before = models.DateTimeField(null=True)
    attempts = models.PositiveIntegerField(default=0)
    is_stopped = models.BooleanField(default=False)
    stop_requested = models.BooleanField(default=False)
    waiting_for = models.CharField(max_length=16, blank=True)  # slot, room, window, person, breaker
    lease_until = models.DateTimeField(null=True)
    lease_epoch = models.PositiveBigIntegerField(default=0)
    lease_holder = models.CharField(max_length=100, blank=True)  # empty while it waits in the queue
    lease_kind = models.CharField(max_length=8, blank=True)  # stage, cutover, rollback, catch_up
    cutover = models.PositiveIntegerField(default=0)  # cutovers begun: the key of its journal
    night_recipe = models.CharField(max_length=32, blank=True)  # method and steps of the last one, as it began
    night_steps = models.JSONField(default=list)
    arrives_first = models.BooleanField(default=False)  # comes to the target before its old mail does

    messages_total = models.PositiveBigIntegerField(default=0)
    messages_done = models.PositiveBigIntegerField(default=0)
    messages_left = models.PositiveBigIntegerField(default=0)  # left behind, each with its reason
    messages_skipped = models.PositiveBigIntegerField(default=0)  # of these: in folders that a rule leaves out
    messages_pending = models.PositiveBigIntegerField(default=0)  # of the pass that was planned last: not copied yet
    outcomes = models.JSONField(default=dict)  # where messages ended, as the ledger said last (services.mail_counts)
    bytes_total = models.PositiveBigIntegerField(default=0)
    bytes_done = models.PositiveBigIntegerField(default=0)
    progress_at = models.DateTimeField(null=True)
    messages_per_second = models.FloatField(null=True)  # measured over its last beats; old news without a lease
    verified_level = models.CharField(max_length=8, blank=True)  # how both sides were compared at its move
    verified_at = models.DateTimeField(null=True)  # and found alike
    locked_at = models.DateTimeField(null=True)  # sign-in refused since
    lockout_seconds = models.FloatField(null=True)  # from DISABLE to ENABLE
    catch_up_until = models.DateTimeField(null=True)
    return_asked_at = models.DateTimeField(null=True)  # is to be taken back from the target; empty once that ended
    taken_back_at = models.DateTimeField(null=True)
    source_removed_at = models.DateTimeField(null=True)  # what is on the target was removed from the source
    told_at = models.DateTimeField(null=True)  # helpdesk asked the operator to look; empty when somebody has

    error_code = models.CharField(max_length=64, blank=True)
    error_side = models.CharField(max_length=8, blank=True)
    error_reply = models.CharField(max_length=500, blank=True)
    error_at = models.DateTimeField(null=True)

    class Meta:
        indexes = (
            models.Index(fields=("batch", "state", "id"), name="account_batch_state"),
            # What a tick reads: none of these grows with the accounts that have nothing to do.
            models.Index(
                fields=("source", "target", "state", "batch", "not_before"),
                name="account_due",
                condition=Q(is_stopped=False, lease_until__isnull=True),
            ),
            models.Index(fields=("state", "not_before"), name="account_later", condition=Q(not_before__isnull=False)),
            models.Index(fields=("lease_until",), name="account_lease", condition=Q(lease_until__isnull=False)),
            models.Index(fields=("batch", "state_since"), name="account_ready_since", condition=Q(state="ready")),
            models.Index(fields=("campaign", "error_code"), name="account_cause", condition=~Q(error_code="")),
            models.Index(
                fields=("campaign", "lockout_seconds"),
                name="account_lockout",
                condition=Q(lockout_seconds__isnull=False),
            ),
            models.Index(fields=("told_at",), name="account_told", condition=Q(told_at__isnull=False)),
        )
        constraints = (
            models.UniqueConstraint(fields=("target", "target_login"), name="account_one_per_target"),
            models.CheckConstraint(condition=Q(state__in=[s.value for s in AccountState]), name="account_state"),
            models.CheckConstraint(condition=Q(owner__in=[o.value for o in Owner]), name="account_owner"),
            # Who owns the mailbox follows from the state; only on the way between the two it is a matter of the step.
            models.CheckConstraint(
                condition=~Q(state__in=_ON_SOURCE) | Q(owner="source") | Q(arrives_first=True),
                name="account_on_source",
            ),
            models.CheckConstraint(condition=~Q(state="done") | Q(owner="target"), name="account_on_target"),
            models.CheckConstraint(
                condition=~(Q(source=F("target")) & Q(source_login=F("target_login"))), name="account_two_mailboxes"
            ),
        )


class AccountName(models.Model):
    """A name people search by, normalised: logins, addresses, display name, phone, and the single words of them."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="names", db_index=False)
    kind = models.CharField(max_length=8)  # of services.names
    value = models.CharField(max_length=255)  # casefolded; digits only for phones

    class Meta:
        indexes = (
            # Holds all that a search reads. The operator classes let PostgreSQL find beginnings in any collation.
            models.Index(
                fields=("value", "kind", "account"),
                name="account_name_beginning",
                opclasses=("varchar_pattern_ops", "varchar_pattern_ops", "int8_ops"),
            ),
        )
        constraints = (models.UniqueConstraint(fields=("account", "kind", "value"), name="account_name_once"),)
