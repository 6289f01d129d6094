"""Trying rules about folders: the page comes back in time, no line stays open, and few keep the panel busy."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import Any

import pytest
from django.test import Client

from campaigns.bridge.connect import World
from campaigns.bridge.copying import CopyOptions
from campaigns.models import Event
from campaigns.services import folder_trials
from campaigns.services.folder_trials import FolderTrial
from campaigns.services.refusals import Refused
from migrator.errors import MigratorError, Side
from migrator.limits import SystemClock
from tests.campaigns.crossings import give_password
from tests.campaigns.factories import make_user
from tests.campaigns.towns import MailServer, Town

pytestmark = pytest.mark.django_db
PEOPLE = tuple(f"{name}@example.test" for name in ("anna", "bert", "carl", "dora", "emil"))


class Kept:
    """A mailbox whose server keeps us until the line is closed, or does not know us; it counts the lines left open."""

    open: int = 0

    def __init__(self, store: Any, *, keeps: bool) -> None:
        self._store = store
        self._keeps = keeps
        self._closed = threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def folders(self) -> Any:
        Kept.open += 1
        if self._keeps:
            assert self._closed.wait(60)
            raise MigratorError("line.lost", side=Side.SOURCE)
        return self._store.folders()

    def close(self) -> None:
        if not self._closed.is_set():
            self._closed.set()
            Kept.open -= 1
        self._store.close()


def world_of(town: Town, *, keeps: bool) -> World:
    Kept.open, usual = 0, town.world
    kept = lambda endpoint, limits: Kept(usual.source(endpoint, limits), keeps=keeps)  # noqa: E731
    return replace(usual, source=kept, clock=SystemClock())


def try_all(town: Town, world: World) -> list[FolderTrial]:
    accounts = town.move_in(*PEOPLE)
    return folder_trials.try_folders(town.campaign, accounts, CopyOptions(), actor="anna", world=world)


def test_five_accounts_on_a_server_that_keeps_us_take_no_longer_than_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_trials, "MOST_SECONDS", 1.0)
    town = Town(is_governed=False)
    threads, begun = threading.active_count(), time.monotonic()
    found = try_all(town, world_of(town, keeps=True))
    assert time.monotonic() - begun < 4
    assert [trial.error and trial.error.code for trial in found] == ["line.silent"] * 5
    until = time.monotonic() + 20
    while threading.active_count() > threads:  # the closed lines let the threads go
        assert time.monotonic() < until
        time.sleep(0.01)
    assert Kept.open == 0
    (event,) = Event.objects.filter(name=folder_trials.TRIED)
    assert event.data["accounts"] == list(PEOPLE)


def test_lines_are_closed_where_the_other_side_refuses() -> None:
    town = Town(is_governed=False)
    world = world_of(town, keeps=False)
    town.target.error = MigratorError("sign_in.refused", side=Side.TARGET)
    found = try_all(town, world)
    assert [trial.error and trial.error.code for trial in found] == ["sign_in.refused"] * 5
    assert Kept.open == 0


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_password_that_is_refused_is_sent_once_however_often_rules_are_tried(side: str) -> None:
    town = Town(is_governed=False, has_admin=False)
    (account,) = town.move_in(PEOPLE[0])
    give_password(account, "wrong", side)
    server: MailServer = getattr(town, side)
    for _ in range(3):
        account.refresh_from_db()
        (found,) = folder_trials.try_folders(
            town.campaign, [account], CopyOptions(), actor="anna", world=replace(town.world, clock=SystemClock())
        )
        assert found.error is not None
        assert (found.error.code, found.error.side) == ("sign_in.refused", side)
    assert server.tries == [PEOPLE[0]]
    give_password(account, f"of {PEOPLE[0]}", side)  # another password is another matter
    (found,) = folder_trials.try_folders(town.campaign, [account], CopyOptions(), actor="anna", world=town.world)
    assert found.error is None


def test_a_few_trials_at_once_are_enough_and_the_next_is_told_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    town = Town(is_governed=False)
    monkeypatch.setattr(folder_trials, "_SEATS", threading.BoundedSemaphore(1))
    with folder_trials._SEATS:
        with pytest.raises(Refused, match=r"copying\.trials_busy"):
            try_all(town, town.world)
        assert not Event.objects.filter(name=folder_trials.TRIED).exists()
    accounts = list(town.campaign.accounts.all())
    for _ in range(2):  # a seat is given back
        found = folder_trials.try_folders(town.campaign, accounts, CopyOptions(), actor="anna", world=town.world)
        assert [trial.error for trial in found] == [None] * 5


@pytest.mark.parametrize("role", ["is_helpdesk", "is_manager", "is_administrator"])
def test_only_who_plans_sees_the_page_and_tries_or_saves_rules(role: str) -> None:
    town = Town(is_governed=False)
    client = Client(headers={"host": "localhost"})
    client.force_login(make_user(**{role: True}))
    address = f"/campaigns/{town.campaign.pk}/folders"
    answers = [
        client.get(address),
        *(client.post(address, {act: "1", "accounts": PEOPLE[0]}) for act in ("look", "save")),
    ]
    assert [answer.status_code for answer in answers] == [403] * 3
    assert not Event.objects.filter(name=folder_trials.TRIED).exists()
