"""The Folders page on real servers: what it says of folders is what the next pass does, and it changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from campaigns.bridge.copying import CopyOptions
from campaigns.models import Account, Campaign, Event
from campaigns.services import batches, copy_options, imports
from campaigns.services.rosters import Reading
from campaigns.states import AccountState
from tests.campaigns.factories import make_user
from tests.live.test_kinds import set_up
from tests.live.test_runs import work_to_the_end
from tests.rigs import check
from tests.rigs.corpus import Box, Mail, fill, lifelike
from tests.rigs.dovecot import Dovecot

pytestmark = pytest.mark.django_db(transaction=True)
PEOPLE = {"anna": "of anna", "berta": "of berta"}
FOLDERS = (("INBOX",), ("Arbeit",), ("Arbeit", "2019"), ("Spam",), ("Gesendete Objekte",), ("Tmp", "Alt"))


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Dovecot, Dovecot]]:
    with Dovecot(PEOPLE, layout="mdbox", separator="/") as source, Dovecot(PEOPLE) as target:
        for number, name in enumerate(PEOPLE):
            fill(source.account(name), lifelike(number, messages=60, folders=FOLDERS, strict=True))
        yield source, target


@pytest.fixture
def client() -> Client:
    client = Client(headers={"host": "localhost"})
    client.force_login(make_user(is_administrator=True, is_operator=True))
    return client


@pytest.fixture
def campaign(client: Client, servers: tuple[Dovecot, Dovecot], tmp_path: Path) -> Campaign:
    old, new = (
        set_up(client, "imap", name=name, port=str(server.imap))
        for name, server in zip(("old", "new"), servers, strict=True)
    )
    campaign = Campaign.objects.create(name="Town", source=old, target=new)
    rows = ["Name\tPassword", *(f"{name}\t{password}" for name, password in PEOPLE.items())]
    (tmp_path / "list.tsv").write_text("\n".join(rows), encoding="utf-8")
    imports.take_in(campaign, tmp_path / "list.tsv", Reading(), actor="test")
    return campaign


def tried(client: Client, campaign: Campaign, **fields: Any) -> dict[str, dict[str, tuple[str, str, str]]]:
    """Try rules; return for each account what becomes of each folder."""
    page = client.post(f"/campaigns/{campaign.pk}/folders", {"accounts": "anna\nberta", "look": "1", **fields})
    assert page.status_code == 200, page.context["form"].errors
    return {
        tree.account.source_login: {one.above + one.name: (one.becomes, one.fate, one.why) for one in tree.branches}
        for tree in page.context["trees"]
    }


def names(server: Dovecot, user: str) -> set[str]:
    return {name.decode() for name in check.read(server.account(user)).folders}


RULES = {"skip_folders": "Spam\r\nTmp/*", "renamings": "Arbeit = Work", "list_pattern": "*"}


def test_the_page_says_what_becomes_of_each_folder_and_the_pass_does_it(
    client: Client, campaign: Campaign, servers: tuple[Dovecot, Dovecot]
) -> None:
    before = [names(server, user) for server in servers for user in PEOPLE]
    found = tried(client, campaign, **RULES)["anna"]
    assert found["Inbox"] == ("Inbox", "is there already", "")
    assert found["Spam"] == ("", "is left out", "a rule says so")
    assert found["Tmp / Alt"] == ("", "is left out", "a rule says so")
    assert found["Arbeit"] == ("Work", "will be made", "a rule says so")
    assert found["Arbeit / 2019"][:2] == ("Work / 2019", "will be made")
    assert [names(server, user) for server in servers for user in PEOPLE] == before  # nothing was changed
    assert Campaign.objects.get().copy_options == {}  # and nothing saved
    (event,) = Event.objects.filter(name="campaign.folders.tried")
    assert (event.data["accounts"], event.actor is not None) == (["anna", "berta"], True)

    assert client.post(f"/campaigns/{campaign.pk}/folders", {**RULES, "save": "1"}).status_code == 302
    anna = Account.objects.get(source_login="anna")
    copy_options.set_for_account(anna.pk, CopyOptions(since="2037-01-01", skip_folders=("Arbeit*",)), actor="test")
    batch = anna.batch
    batches.start(batch, actor="test")
    work_to_the_end()
    assert set(Account.objects.values_list("state", flat=True)) == {AccountState.READY.value}
    target = servers[1]
    there = names(target, "berta")
    assert {"Work", "Work.2019", "INBOX"} <= there
    assert not there & {"Spam", "Tmp.Alt", "Arbeit", "Arbeit.2019"}
    own = check.read(target.account("anna")).folders  # the account's exceptions: other folders, and no mail that old
    assert {b"Spam", b"Tmp.Alt"} <= own.keys()
    assert not {b"Work", b"Arbeit"} & own.keys()
    assert sum(len(folder.messages) for folder in own.values()) == 0

    again = tried(client, campaign, renamings="Arbeit = Other")["berta"]
    assert again["Arbeit"][:2] == ("Work", "is there already")  # what was copied keeps its name


def test_who_cannot_be_listed_is_told_and_the_others_are_shown(client: Client, campaign: Campaign) -> None:
    Account.objects.filter(source_login="berta").update(source_secret=None)
    page = client.post(f"/campaigns/{campaign.pk}/folders", {"accounts": "anna\nberta", "look": "1"})
    anna, berta = page.context["trees"]
    assert (bool(anna.branches), anna.cause) == (True, "")
    assert not berta.branches
    assert "password" in berta.cause
    nobody = client.post(f"/campaigns/{campaign.pk}/folders", {"accounts": "carla", "look": "1"})
    assert nobody.status_code == 422
    assert "Nobody in this campaign is called carla" in nobody.text


def test_a_list_pattern_that_shows_files_is_told_and_one_that_finds_less_shows_less(
    client: Client, campaign: Campaign, servers: tuple[Dovecot, Dovecot]
) -> None:
    files = [Box((name,), [Mail(b"Subject: x\r\n\r\n", (), _date())], False) for name in ("a.html", "b.pdf", "c.zip")]
    fill(servers[0].account("anna"), files)
    page = client.post(f"/campaigns/{campaign.pk}/folders", {"accounts": "anna", "look": "1"})
    files_told = page.context["trees"][0].files
    assert sorted(files_told.split(", ")) == ["a.html", "b.pdf", "c.zip"]
    assert f"Some are files, not mail ({files_told})" in page.text
    assert set(tried(client, campaign, list_pattern="Arbeit*")["anna"]) == {"Inbox", "Arbeit", "Arbeit / 2019"}


def _date() -> datetime:
    return datetime(2020, 1, 1, tzinfo=UTC)
