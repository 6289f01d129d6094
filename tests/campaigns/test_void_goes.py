"""A go is for the night that was looked at: what changes that night takes it back, and nothing else does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from campaigns.models import Batch, Campaign, Connector, User
from campaigns.services import campaigns, connectors, go_no_go, preflights, servers
from campaigns.services.refusals import Refused
from campaigns.states import AccountState
from tests.campaigns.factories import event_names, make_batch, make_campaign, make_user

pytestmark = pytest.mark.django_db

S = AccountState
OPTIONS = {
    "driver": "sqlite", "path": "/srv/directory.sqlite", "status": "status", "open_value": "a", "closed_value": "x",
    "find": "SELECT status FROM people WHERE login = :address",
    "replace": "UPDATE people SET status = :wanted_status WHERE login = :address AND status = :expected_status",
}  # fmt: skip


def directory(name: str = "people", room: str = "directory") -> Connector:
    return Connector.objects.create(room=room, kind="sql", name=name, options=OPTIONS)


@pytest.fixture
def batch() -> Batch:
    """A batch that goes, of a campaign without any connection."""
    return make_batch(2, state=S.READY, go_at=timezone.now())


def goes(batch: Batch) -> bool:
    batch.refresh_from_db()
    return batch.go_at is not None


def configure(batch: Batch, **options: Any) -> None:
    campaigns.configure(batch.campaign, name=options.pop("name", batch.campaign.name), actor="anna", **options)


@pytest.mark.parametrize(
    "options",
    [
        lambda: {"source_directory": directory(), "target_directory": directory("others")},
        lambda: {"route": directory(room="route")},
        lambda: {"hold": directory(room="hold")},
        lambda: {"recipe": "switching"},
        lambda: {"services": ["reading"]},
        lambda: {"steps": [["hold", "", ""], ["delta", "", ""], ["switch", "", ""], ["release", "", ""]]},
    ],
)
def test_another_method_or_connection_takes_the_go_back(batch: Batch, options: Callable[[], dict[str, Any]]) -> None:
    configure(batch, **options())
    assert not goes(batch)
    assert event_names(batch=batch)[-1] == "batch.go_void"


def test_what_is_not_of_the_night_leaves_the_go(batch: Batch) -> None:
    other = make_batch(1, state=S.READY, campaign=make_campaign(), go_at=timezone.now())
    configure(batch, name="another name", catch_up_days=3, verify_level="full")
    assert goes(batch)
    configure(batch, recipe="switching")
    assert goes(other), "another campaign's night is its own"


def test_a_batch_that_has_ended_keeps_what_was_said(batch: Batch) -> None:
    Batch.objects.update(ended_at=timezone.now())
    configure(batch, recipe="switching")
    assert goes(batch)


def save(row: Connector, user: User, **changes: Any) -> None:
    wanted: dict[str, Any] = {"room": row.room, "kind": row.kind, "name": row.name, "options": row.options}
    connectors.save(row, **{**wanted, **changes}, secret=None, actor=user)


@pytest.mark.parametrize("place", ["source_directory", "target_directory"])
def test_a_connection_that_leads_elsewhere_takes_back_the_goes_of_its_campaigns(batch: Batch, place: str) -> None:
    user, row = make_user(is_administrator=True), directory()
    Campaign.objects.filter(pk=batch.campaign_id).update(**{place: row})
    save(row, user, name="another name")
    assert goes(batch)
    save(row, user, options={**OPTIONS, "open_value": "active"})
    assert not goes(batch)


def test_a_server_that_is_elsewhere_takes_back_the_goes_of_its_campaigns(batch: Batch) -> None:
    user, row = make_user(is_administrator=True), batch.campaign.target
    columns = {name: getattr(row, name) for name in servers.COLUMNS}
    servers.save(row, {**columns, "max_lanes": columns["max_lanes"] + 1}, None, actor=user)
    assert goes(batch)
    servers.save(row, {**columns, "port": 1993}, None, actor=user)
    assert not goes(batch)


def test_what_changes_between_look_and_go_is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = make_batch(2, state=S.READY)
    looked = go_no_go.look

    def look(*words: Any) -> Any:
        seen = looked(*words)
        configure(batch, source_directory=directory())  # somebody else's page was faster
        return seen

    monkeypatch.setattr(go_no_go, "look", look)
    monkeypatch.setattr(preflights, "is_accepted", lambda campaign: True)
    with pytest.raises(Refused, match=r"batch\.no_go"):
        go_no_go.go(Batch.objects.select_related("campaign").get(pk=batch.pk), actor="anna")
    assert not goes(batch)
