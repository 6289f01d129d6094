"""What two people do at the same moment, each in a transaction of their own: run by test_scheduling_postgres."""

from __future__ import annotations

import threading

import pytest
from django.db import connection, transaction

from campaigns.models import Batch, Campaign, Connector, Server, User
from campaigns.services import connectors, go_no_go, servers
from campaigns.states import AccountState
from tests.campaigns.factories import event_names, make_batch, make_user
from tests.campaigns.test_void_goes import OPTIONS, directory
from tests.rigs.panel import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(60)]


def waits() -> bool:
    """True when somebody waits for what another has locked."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])


def move_directory(row: Connector, user: User) -> None:
    options = {**OPTIONS, "open_value": "active"}
    connectors.save(row, room=row.room, kind=row.kind, name=row.name, options=options, secret=None, actor=user)


def move_server(row: Server, user: User) -> None:
    columns = {name: getattr(row, name) for name in servers.COLUMNS}
    servers.save(row, {**columns, "port": 1993}, None, actor=user)


@pytest.mark.parametrize("what", ["directory", "server"])
def test_what_is_changed_while_somebody_says_go_takes_the_go_back(what: str) -> None:
    user, batch, row = make_user(is_administrator=True), make_batch(2, state=AccountState.READY), directory()
    Campaign.objects.filter(pk=batch.campaign_id).update(source_directory=row)
    looked = Batch.objects.select_related("campaign__source", "campaign__target").get(pk=batch.pk)

    def change() -> None:
        try:
            if what == "directory":
                move_directory(row, user)
            else:
                move_server(looked.campaign.target, user)
        finally:
            connection.close()

    thread = threading.Thread(target=change)
    with transaction.atomic():
        go_no_go.go(looked, actor="anna", despite="nobody is woken here")
        thread.start()
        eventually(lambda: waits() or not thread.is_alive(), lambda: "the change neither waits nor ends")
    thread.join(30)
    batch.refresh_from_db()
    assert batch.go_at is None
    assert event_names(batch=batch)[-2:] == ["batch.go", "batch.go_void"]
