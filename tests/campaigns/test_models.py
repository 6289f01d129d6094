"""What the database itself refuses, whatever the code above it thinks."""

from __future__ import annotations

import itertools

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from campaigns.models import Account, Batch, Campaign, Event, JournalEntry, Server
from campaigns.states import AccountState, Owner

pytestmark = pytest.mark.django_db

ON_SOURCE = {"new", "checking", "staging", "ready", "held", "failed", "excluded"}


@pytest.fixture
def batch() -> Batch:
    source = Server.objects.create(name="source", host="a.example.org", port=143)
    target = Server.objects.create(name="target", host="b.example.org", port=143)
    campaign = Campaign.objects.create(name="the move", source=source, target=target)
    return Batch.objects.create(campaign=campaign, number=1, name="first")


def account(batch: Batch, **fields: object) -> Account:
    servers = {"source": batch.campaign.source, "target": batch.campaign.target}
    logins = {"source_login": "anna", "target_login": "anna"}
    return Account.objects.create(**{"campaign": batch.campaign, "batch": batch, **servers, **logins, **fields})


def is_refused(batch: Batch, **fields: object) -> bool:
    try:
        with transaction.atomic():
            account(batch, **fields)
    except IntegrityError:
        return True
    return False


def test_the_owner_of_a_mailbox_follows_from_the_state(batch: Batch) -> None:
    for number, (state, owner) in enumerate(itertools.product(AccountState, Owner)):
        wrong = (state in ON_SOURCE and owner != "source") or (state == "done" and owner != "target")
        assert is_refused(batch, state=state, owner=owner, target_login=f"u{number}") == wrong, (state, owner)


def test_a_state_or_an_owner_that_is_none_is_refused(batch: Batch) -> None:
    assert is_refused(batch, state="sleeping")
    assert is_refused(batch, state="cutting_over", owner="nobody")
    assert not is_refused(batch)


def test_two_accounts_never_share_a_target_mailbox(batch: Batch) -> None:
    assert not is_refused(batch, source_login="anna")
    assert is_refused(batch, source_login="berta")


def test_a_mailbox_is_never_copied_onto_itself(batch: Batch) -> None:
    assert is_refused(batch, target=batch.campaign.source)
    assert not is_refused(batch, target=batch.campaign.source, target_login="berta")


def test_a_step_of_a_cutover_is_journalled_once(batch: Batch) -> None:
    row = account(batch)
    step = {
        "account": row,
        "cutover": 1,
        "position": 0,
        "kind": "disable",
        "side": "source",
        "begun_at": timezone.now(),
    }
    JournalEntry.objects.create(**step, status="begun")
    with pytest.raises(IntegrityError), transaction.atomic():
        JournalEntry.objects.create(**step, status="done")
    with pytest.raises(IntegrityError), transaction.atomic():
        JournalEntry.objects.create(**step | {"position": 1}, status="perhaps")


def test_an_event_is_neither_deleted_nor_altered(batch: Batch) -> None:
    event = Event.objects.create(name="batch.started", actor_name="anna", batch=batch)
    with pytest.raises(TypeError):
        event.delete()
    with pytest.raises(TypeError):
        Event.objects.filter(batch=batch).delete()
    with pytest.raises(TypeError):
        Event.objects.update(name="nothing.happened")
    assert Event.objects.get() == event


def test_the_models_and_the_migrations_agree() -> None:
    call_command("makemigrations", "--check", "--dry-run", verbosity=0)


def test_the_promised_indexes_exist() -> None:
    with connection.cursor() as cursor:
        found = {
            tuple(constraint["columns"])
            for table in ("campaigns_account", "campaigns_event")
            for constraint in connection.introspection.get_constraints(cursor, table).values()
            if constraint["index"]
        }
    assert found >= {
        ("batch_id", "state", "id"),
        ("state", "not_before"),
        ("lease_until",),
        ("account_id", "id"),
        ("campaign_id", "id"),
    }
