"""Room is made in the demo alone, by operators alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.test import Client

from campaigns.demo import directory, dovecot, folder, room
from campaigns.demo.directory import Entry
from campaigns.models import Account
from campaigns.services.refusals import Refused
from tests.campaigns.factories import event_names, make_account, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def account() -> Account:
    return make_account(error_code="target.full")


@pytest.fixture
def servers(settings, tmp_path: Path, account: Account) -> Path:
    """The folder of a demo's servers, with a Dovecot that grants 1000 octets."""
    settings.DEMO, settings.DATA = True, tmp_path / "panel"
    folder.begin_anew(settings.DATA)
    place = tmp_path / "servers"
    (place / "new").mkdir(parents=True)
    (place / "new" / "dovecot.conf").touch()
    folder.record(settings.DATA, place, [])
    directory.create(place / "directory.sqlite3", [Entry(account.target_login, "pw", new_room_bytes=1000)])
    dovecot.set_rooms(place / "new", directory.rooms(place / "directory.sqlite3"))
    return place


def granted(servers: Path) -> tuple[list[int], str]:
    return [*directory.rooms(servers / "directory.sqlite3").values()], (servers / "new" / "mailboxes").read_text()


def test_room_is_made_in_the_directory_and_on_the_server(servers: Path, account: Account) -> None:
    assert granted(servers) == ([1000], f"{account.target_login}:::::::userdb_quota_rule=*:storage=1000B\n")
    assert room.is_full(account)
    room.make(account.pk, actor="test")
    assert granted(servers) == ([0], f"{account.target_login}:::::::\n")
    assert event_names(account=account)[-1] == "demo.room.made"


def test_nothing_is_made_outside_of_the_demo(servers: Path, account: Account, settings) -> None:
    settings.DEMO = False
    with pytest.raises(Refused, match=r"^demo\.not_running$"):
        room.make(account.pk, actor="test")
    assert granted(servers)[0] == [1000]
    assert not room.is_full(account)


@pytest.mark.parametrize(
    ("role", "is_demo", "status"),
    [("is_operator", True, 302), ("is_operator", False, 404), ("is_helpdesk", True, 403), ("is_manager", True, 403)],
)
def test_only_operators_reach_it_and_only_in_the_demo(
    servers: Path, account: Account, client: Client, settings, role: str, is_demo: bool, status: int
) -> None:
    settings.DEMO = is_demo
    client.force_login(make_user(**{role: True}))
    answer = client.post(f"/demo/room/{account.pk}", {"next": "/profile"})
    assert answer.status_code == status
    assert granted(servers)[0] == ([0] if status == 302 else [1000])
    assert answer.headers.get("Location", "/profile") == "/profile"
    assert client.get(f"/demo/room/{account.pk}").status_code == 405


def test_the_way_back_leads_nowhere_else(servers: Path, account: Account, client: Client) -> None:
    client.force_login(make_user(is_operator=True))
    assert (
        client.post(f"/demo/room/{account.pk}", {"next": "https://elsewhere.example/"}).headers["Location"]
        == f"/accounts/{account.pk}"
    )
