"""Rows for tests of the bridge and the runs: a campaign between two servers, with accounts that are claimed."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from campaigns.bridge import vault
from campaigns.bridge.lease import LEASE_SECONDS, Lease, LeaseKind
from campaigns.models import Account, AllowedAddress, Batch, BatchCount, Campaign, Server
from campaigns.states import AccountState
from migrator.secret import Secret

SOURCE_HOST, TARGET_HOST = "old.example.test", "new.example.test"


def make_server(name: str, host: str, **fields: object) -> Server:
    AllowedAddress.objects.get_or_create(host=host)
    return Server.objects.create(name=name, host=host, port=143, security="plain", **fields)


def make_admin(server: Server, login: str = "admin", password: str = "of the admin") -> None:
    server.admin_login = login
    server.admin_secret = vault.seal(Secret(password), server, "admin_secret")
    server.save(update_fields=["admin_login", "admin_secret"])


def make_campaign(**fields: object) -> Campaign:
    source, target = make_server("source", SOURCE_HOST), make_server("target", TARGET_HOST)
    return Campaign.objects.create(name="the move", source=source, target=target, **fields)


def make_batch(campaign: Campaign, **fields: object) -> Batch:
    now = timezone.now()
    return Batch.objects.create(**{"campaign": campaign, "number": 1, "name": "first", "started_at": now, **fields})


def make_account(batch: Batch, login: str = "anna", password: str | None = "secret", **fields: object) -> Account:
    """Store an account; with ``password`` None an administrator signs in."""
    campaign = batch.campaign
    servers = {"source": campaign.source, "target": campaign.target}
    logins = {"source_login": login, "target_login": login}
    account = Account.objects.create(**{"campaign": campaign, "batch": batch, **servers, **logins, **fields})
    if password is not None:
        give_password(account, password)
    count, _ = BatchCount.objects.get_or_create(batch=batch, state=account.state)
    BatchCount.objects.filter(pk=count.pk).update(accounts=count.accounts + 1)
    return account


def give_password(account: Account, password: str, *sides: str) -> None:
    for side in sides or ("source", "target"):
        field = f"{side}_secret"
        setattr(account, field, vault.seal(Secret(password), account, field))
    account.save(update_fields=["source_secret", "target_secret"])


def claim(account: Account, kind: LeaseKind = LeaseKind.STAGE, state: AccountState | None = None) -> Lease:
    """Give the account to a worker of this test, whoever had it before."""
    account.refresh_from_db()
    columns = {"lease_epoch": account.lease_epoch + 1, "lease_holder": "a test", "lease_kind": kind.value}
    if state is not None:
        columns["state"] = state.value
    until = timezone.now() + timedelta(seconds=LEASE_SECONDS)
    Account.objects.filter(pk=account.pk).update(lease_until=until, **columns)
    return Lease(account.pk, account.lease_epoch + 1, kind, "a test")
