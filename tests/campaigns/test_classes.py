"""Classes of folders go with an account's mail, by the campaign's connections to the accounts of both servers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from django.test import Client

from campaigns.bridge import beside, vault
from campaigns.bridge.connect import Approach
from campaigns.bridge.lease import Lease, LeaseLost, StopReason
from campaigns.bridge.ledger import OrmLedger
from campaigns.bridge.sink import OrmSink
from campaigns.models import Account, AllowedAddress, Campaign, Connector, Event
from campaigns.selectors import stories
from campaigns.services import classes, copy_options
from migrator.directories import communigate_classes
from migrator.directories.communigate_classes import CommuniGateClasses, server_beside
from migrator.errors import MigratorError, Side
from migrator.limits import Limits
from migrator.secret import Secret
from migrator.transfer.ledger import FolderState
from tests.campaigns.crossings import claim, make_account, make_batch, make_campaign
from tests.campaigns.factories import make_user
from tests.campaigns.towns import Town
from tests.rigs.base import HOST, free_port
from tests.rigs.communigate_cli import ADMINISTRATOR, PASSWORD, CommuniGateCli

pytestmark = pytest.mark.django_db
CALENDAR = "IPF.Appointment"
WHO = "anna@example.test"


class Scene:
    """An account between two CommuniGates, whose calendar was copied."""

    def __init__(self, old: CommuniGateCli, new: CommuniGateCli) -> None:
        self.old, self.new = old, new
        old.accounts["anna"].classes.update({"INBOX": "", "Termine": CALENDAR})
        new.accounts["anna"].classes.update({"INBOX": "", "Termine": ""})
        AllowedAddress.objects.create(host=HOST)
        self.account = make_account(make_batch(make_campaign()))
        copy_options.set_for_campaign(
            self.account.campaign_id, copy_options.CopyOptions(copies_classes=True), actor="test"
        )

    def connect(self, column: str, peer: CommuniGateCli) -> Connector:
        room = "population" if column == "population" else "directory"
        options = {"host": HOST, "port": peer.port, "list_number": "27"}
        row = Connector.objects.create(room=room, kind="communigate", name=column, options=options)
        row.secret = vault.seal(Secret(PASSWORD), row, "secret")
        row.save()
        Campaign.objects.update(**{column: row})
        return row

    def approach(self) -> Approach:
        rows = Account.objects.select_related("campaign", "source", "target")
        return Approach(rows.get(pk=self.account.pk))

    def run(self, *, in_the_night: bool = False, lease: Lease | None = None) -> list[str]:
        """Copy the classes; return what is told of them for the first time, as people read it."""
        before = set(Event.objects.values_list("pk", flat=True))
        lease = lease or claim(self.account)
        ledger = OrmLedger(lease)
        if not list(ledger.states()):
            ledger.begin([FolderState(b"INBOX", b"INBOX", 1, 1), FolderState(b"Termine", b"Termine", 1, 1)])
        sink = OrmSink(lease, self.account)
        with self.approach() as approach:
            walk = classes.copy_in_the_night if in_the_night else classes.copy_ahead
            walk(lease, approach, ledger, sink)
        sink.flush()
        rows = Event.objects.filter(name__startswith="account.class").exclude(pk__in=before).order_by("pk")
        return [stories.story(row) for row in rows]

    def kind(self) -> str:
        return self.new.accounts["anna"].classes["Termine"]


@pytest.fixture
def scene() -> Iterator[Scene]:
    with CommuniGateCli("anna") as old, CommuniGateCli("anna") as new:
        yield Scene(old, new)


@pytest.mark.req("S-67")
@pytest.mark.parametrize("column", ["target_directory", "population"])
def test_the_class_of_a_folder_is_set_by_the_connections_of_the_campaign(scene: Scene, column: str) -> None:
    scene.connect("source_directory", scene.old)
    scene.connect(column, scene.new)
    assert scene.run() == ["1 folder has a class, as a calendar has; 1 was set on the new server."]
    assert scene.kind() == CALENDAR
    assert scene.run(in_the_night=True) == ["1 folder has a class, as a calendar has; 0 was set on the new server."]
    assert scene.run(in_the_night=True) == []  # a history tells each once
    assert scene.new.verbs().count("SETMAILBOXCLASS") == 1


def test_who_did_not_ask_for_it_gets_none(scene: Scene) -> None:
    scene.connect("source_directory", scene.old)
    scene.connect("target_directory", scene.new)
    copy_options.set_for_campaign(scene.account.campaign_id, copy_options.CopyOptions(), actor="test")
    assert scene.run() == scene.run(in_the_night=True) == []
    assert scene.old.connections == scene.new.connections == 0


def test_without_a_connection_the_mailbox_s_own_password_opens_the_usual_port_of_its_server(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(communigate_classes, "PORT", scene.old.port)
    scene.old.passwords["anna"] = "secret"
    type(scene.account.source).objects.update(host=HOST)
    with scene.approach() as approach, beside.classes(approach, Side.SOURCE, Limits(), is_admitted=True) as store:
        assert (store.owner, store.classes(store.owner)["Termine"]) == ("*", CALENDAR)
    assert "LISTMAILBOXES *" in scene.old.said


def test_a_server_without_a_command_line_is_told_once_and_not_asked_again_in_the_night(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(communigate_classes, "PORT", free_port())
    type(scene.account.source).objects.update(host=HOST)
    (told,) = scene.run()
    assert told.startswith("No classes of folders are copied. ")
    assert scene.run(in_the_night=True) == []
    assert scene.kind() == ""


def test_a_connection_that_fails_is_told_and_keeps_nobody_back(scene: Scene) -> None:
    scene.connect("source_directory", scene.old)
    row = scene.connect("target_directory", scene.new)
    Connector.objects.filter(pk=row.pk).update(options=row.options | {"port": free_port()})
    (told,) = scene.run()
    assert told.startswith("The classes of folders did not come to their end. ")
    assert "CommuniGate's command line cannot be reached" in told


def test_a_class_that_is_left_behind_is_named_with_its_reason(scene: Scene) -> None:
    scene.connect("source_directory", scene.old)
    scene.connect("target_directory", scene.new)
    scene.new.accounts["anna"].classes["Termine"] = "IPF.Task"
    first, _ = scene.run()
    assert first == (
        "The class IPF.Appointment of the folder Termine: the folder has another class on the new server, which stays "
        "(IPF.Task)."
    )


def test_nobody_signs_in_where_the_host_of_a_connection_is_not_allowed(scene: Scene) -> None:
    row = scene.connect("source_directory", scene.old)
    Connector.objects.filter(pk=row.pk).update(options=row.options | {"host": "elsewhere.example.test"})
    with scene.approach() as approach, pytest.raises(MigratorError, match=r"address\.not_allowed"):
        beside.classes(approach, Side.SOURCE, Limits(), is_admitted=True)


def test_whoever_lost_the_lease_sets_nothing(scene: Scene) -> None:
    scene.connect("source_directory", scene.old)
    scene.connect("target_directory", scene.new)
    lease = claim(scene.account)
    scene.run(lease=lease)
    scene.new.accounts["anna"].classes["Termine"] = ""
    said = scene.new.verbs().count("SETMAILBOXCLASS")
    lease.stop.ask(StopReason.LOST)
    with pytest.raises(LeaseLost):
        scene.run(lease=lease)
    assert scene.new.verbs().count("SETMAILBOXCLASS") == said


def test_the_option_stands_with_those_of_copying(scene: Scene) -> None:
    client = Client(headers={"host": "localhost"})
    client.force_login(make_user(is_operator=True))
    page = client.get(f"/campaigns/{scene.account.campaign_id}/copying")
    field: Any = page.context["form"]["copies_classes"]
    assert field.value() is True
    assert "MoveIMAPMail: -copyMailboxClass." in page.text


@pytest.mark.long
@pytest.mark.django_db(transaction=True)
def test_a_whole_move_sets_classes_ahead_and_looks_again_before_the_switch(monkeypatch: pytest.MonkeyPatch) -> None:
    town = Town()
    with CommuniGateCli(WHO) as old, CommuniGateCli(WHO) as new:
        peers = {Side.SOURCE: old, Side.TARGET: new}

        def of(approach: Approach, side: Side, limits: Limits, *, is_admitted: bool) -> CommuniGateClasses:
            endpoint = approach.endpoint(side, is_admitted=is_admitted)
            endpoint = replace(endpoint, username=ADMINISTRATOR, password=Secret(PASSWORD), authzid=WHO)
            return CommuniGateClasses(server_beside(endpoint, HOST, peers[side].port, limits, side), side, WHO)

        monkeypatch.setattr(beside, "classes", of)
        old.accounts[WHO].classes.update({"INBOX": "IPF.Note"})
        new.accounts[WHO].classes.update({"INBOX": ""})
        copy_options.set_for_campaign(town.campaign.pk, copy_options.CopyOptions(copies_classes=True), actor="test")
        town.campaign.refresh_from_db()
        town.accept()
        (account,) = town.move_in(WHO)
        town.work()
        town.assert_crossed(account)
        assert new.accounts[WHO].classes == {"INBOX": "IPF.Note"}
    told = Event.objects.filter(account=account, name=classes.COPIED).order_by("pk")
    assert [(row.data["folders"], row.data["copied"]) for row in told] == [(1, 1), (1, 0)]
