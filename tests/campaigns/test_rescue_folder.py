"""The rescue folder that nights leave: ahead of every change, for nobody else's eyes, and enough to rescue by."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.apps import apps
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import transaction

from campaigns.bridge import rescue, vault
from campaigns.bridge.vault import Vault, read_keys, write_keys
from campaigns.models import Account, Batch, JournalEntry
from campaigns.services import accounts
from campaigns.services.accounts import Verdict
from campaigns.states import AccountState
from migrator.entries import Kind
from migrator.errors import Side
from migrator.journal import EntryStatus, StepKind
from migrator.rescue.folder import RescueFolder, Room
from migrator.rescue.work import Rescued, Way
from migrator.rescue.work import rescue as put_on_their_sides
from migrator.testing import FaultKind, Killed
from migrator.testing.connectors import REGISTERED
from tests.campaigns.towns import PROBE, SAMPLE, Town, afresh, seeded
from tests.migrator.nights import Faults
from tests.migrator.transfer.scenes import body

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]
S = AccountState
ANNA, BERTA = "anna@example.test", "berta@example.test"
PLACE = "migrator.testing.connectors:Registered"
REGISTRIES = {
    Room.DIRECTORY: {"memory": Kind("Memory", f"{PLACE}Directory")},
    Room.ROUTE: {"memory": Kind("Memory", f"{PLACE}Route")},
    Room.HOLD: {},
}


@pytest.fixture(autouse=True)
def _own_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "DATA", tmp_path)


def make(*logins: str, **fields: Any) -> tuple[Town, list[Account]]:
    town = Town(**fields)
    town.accept()
    return town, town.move_in(*(logins or (ANNA,)))


def folder_of(account: Account) -> RescueFolder:
    return RescueFolder(rescue.path_of(Batch.objects.get(pk=account.batch_id)), vault.vault().fernet())


def steps_of(account: Account) -> dict[str, EntryStatus]:
    found = folder_of(account).account(f"account-{account.pk}")
    return {entry.key.kind.value: entry.status for entry in found.entries} if found else {}


def breaks(town: Town, kinds: dict[int, str]) -> None:
    town.faults = Faults(kinds)
    REGISTERED["town"] = (town.rows, town.faults, "of the directory")


def test_the_folder_knows_of_every_change_before_it_happens() -> None:
    town, (account,) = make()
    seen = []

    def look(step: str) -> None:
        seen.append(steps_of(account).get(step))

    town.hooks = [
        ("directory.replace", lambda: look("disable")),
        ("route.replace", lambda: look("switch")),
        ("directory.replace", lambda: look("enable")),
    ]
    town.work()
    town.assert_crossed(account)
    assert seen == [EntryStatus.BEGUN] * 3
    assert set(steps_of(account).values()) == {EntryStatus.DONE}


def test_nothing_is_changed_while_the_folder_cannot_be_written(tmp_path: Path) -> None:
    town, (account,) = make()
    town.work(until=lambda: Account.objects.get().state == S.READY)
    (tmp_path / "rescue").write_text("in the way")
    town.work(until=lambda: Account.objects.get().error_code != "")
    account.refresh_from_db()
    assert (account.state, account.error_code) == ("cutting_over", "rescue.unwritable")
    assert town.rows[ANNA]["status"] == "active"
    (tmp_path / "rescue").unlink()
    town.work()
    town.assert_crossed(account)


def test_the_folder_is_private_and_holds_no_password_in_clear(tmp_path: Path) -> None:
    town, (account,) = make()
    town.work()
    paths = list((tmp_path / "rescue").rglob("*"))
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths if path.is_file()} == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths if path.is_dir()} == {0o700}
    told = b"".join(path.read_bytes() for path in paths if path.is_file())
    assert b"of the directory" not in told
    assert f"of {ANNA}".encode() not in told
    connections = folder_of(account).batch().connections
    assert {one.room for one in connections.values()} == {Room.DIRECTORY, Room.ROUTE}
    assert {one.secret.reveal() for one in connections.values() if one.secret} == {"of the directory"}


@pytest.mark.parametrize("kind", [FaultKind.KILL, FaultKind.KILL_AFTER])
def test_with_the_database_gone_everybody_is_put_on_the_side_that_the_servers_prove(kind: FaultKind) -> None:
    town, (account,) = make()
    breaks(town, {})
    town.work()
    count = len(town.faults.calls)
    for number in seeded(20304, count, 3 * SAMPLE):
        afresh()
        town, (account,) = make()
        breaks(town, {number: kind})
        died(town)
        town.faults = Faults()
        REGISTERED["town"] = (town.rows, town.faults, "of the directory")
        found = saved_by(account)
        assert all(one.way is not Way.UNPROVED for one in found), (number, found)
        admitted = [server.side for server in (town.source, town.target) if server.admits(ANNA)]
        assert len(admitted) == 1, (number, town.rows[ANNA])
        assert [one.side for one in found] in ([], admitted)
        assert town.rows[ANNA]["status"] == "active"
        assert town.rows[ANNA]["phone"] == "1"


def saved_by(account: Account) -> list[Rescued]:
    """Rescue without a database, if a night had begun."""
    path = rescue.path_of(account.batch)
    if not (path / "rescue.json").exists():
        return []
    return list(put_on_their_sides(RescueFolder(path, vault.vault().fernet()), registries=REGISTRIES))


def test_a_rescue_knows_by_which_steps_each_moved_though_the_batch_has_others_since() -> None:
    town, (anna, _) = make(ANNA, BERTA)
    town.work()
    folder = folder_of(anna)
    batch = folder.batch()
    steps = tuple(step for step in batch.recipe.steps if step.kind is not StepKind.VERIFY)
    folder.write_batch(replace(batch, recipe=replace(batch.recipe, steps=steps)))
    assert [(one.way, one.side) for one in saved_by(anna)] == [(Way.FORWARD, Side.TARGET)] * 2


def died(town: Town) -> None:
    """Work until the process dies, and leave everything as it is then."""

    def leave(self: Town) -> None:
        raise Killed

    town.faults.revive = lambda: leave(town)  # type: ignore[method-assign]
    with pytest.raises(Killed):
        town.work()


ALTERED = ("Batch", "BatchCount", "Account")
MODELS = (*ALTERED, "JournalEntry", "LedgerFolder", "LedgerLeaf", "LeftBehindMessage")


def backup() -> dict[str, list[Any]]:
    return {name: list(apps.get_model("campaigns", name).objects.order_by("pk")) for name in MODELS}


def restore(rows: dict[str, list[Any]]) -> None:
    """Put back what ``backup`` took, as the restore command does: no lease of that time counts."""
    with transaction.atomic():
        for name in ("LedgerLeaf", "LeftBehindMessage", "LedgerFolder", "JournalEntry"):
            apps.get_model("campaigns", name).objects.all().delete()
        for name in (
            "Batch",
            "Account",
            "JournalEntry",
            "LedgerFolder",
            "LedgerLeaf",
            "LeftBehindMessage",
            "BatchCount",
        ):
            for row in rows[name]:
                row.save(force_insert=name not in ("Batch", "Account", "BatchCount"))
        Account.objects.update(lease_until=None, lease_holder="", lease_kind="", lease_epoch=1_000_000)


@pytest.mark.parametrize("recipe", ["plain", "classic"])
def test_a_database_from_a_backup_of_any_moment_believes_the_folder_and_doubles_nothing(recipe: str) -> None:
    town, (account,) = make(recipe=recipe)
    breaks(town, {})
    town.work()
    count = len(town.faults.calls)
    moments = [at for at in town.outside if at < count]
    for place in seeded(20305, len(moments)):
        afresh()
        town, (account,) = make(recipe=recipe)
        breaks(town, {})
        kept: list[dict[str, list[Any]]] = []
        town.faults = Faults(act=lambda kept=kept: kept.append(backup()))
        town.faults._at = (moments[place],)
        REGISTERED["town"] = (town.rows, town.faults, "of the directory")
        town.work()
        town.assert_crossed(account)
        town.target.mailboxes[ANNA].deliver("INBOX", body("written on the target"))
        flagged = town.target.mailboxes[ANNA]["INBOX"]
        flagged.set_flags(1, frozenset({"\\Flagged"}))
        before = town.target.mailboxes[ANNA].contents()
        restore(kept[0])
        breaks(town, {})
        town.work()
        account.refresh_from_db()
        where = (moments[place], account.state, account.error_code)
        assert (account.state, account.owner) == (S.DONE, "target"), where
        assert town.target.mailboxes[ANNA].contents() == before, where
        assert town.rows[ANNA] == {"status": "active", "host": "new.example.test", "phone": "1"}, where


def test_a_backup_of_a_night_that_was_undone_since_is_undone_as_well() -> None:
    town, (account,) = make()
    town.work(until=lambda: Account.objects.get().state == S.READY)
    kept: list[dict[str, list[Any]]] = []
    town.hooks = [
        ("target.folders", lambda: kept.append(backup())),
        ("target.folders", lambda: town.clock.wait(10_000)),
    ]
    town.work(until=lambda: Account.objects.get().error_code == "cutover.late")
    town.assert_back(account, S.READY)
    restore(kept[0])
    town.work()
    town.assert_crossed(account)


def test_a_night_that_a_person_ended_by_hand_does_not_bind_the_next() -> None:
    town, (account,) = make()
    town.work(until=lambda: Account.objects.get().state == S.READY)

    def delete() -> None:
        town.rows[ANNA]["status"] = "deleted"

    town.hooks = [("target.folders", delete)]
    town.target.corrupts = {ANNA}
    type(town.campaign).objects.update(verify_level="digest")
    town.source.mailboxes[ANNA].deliver("INBOX", body("to be corrupted"))
    town.work()
    account.refresh_from_db()
    assert account.state == S.ATTENTION
    town.target.corrupts = set()
    town.target.mailboxes[ANNA].remove_folder("INBOX")
    town.target.mailboxes[ANNA].add_folder("INBOX")
    town.rows[ANNA]["status"] = "active"
    accounts.resolve(account.pk, Verdict.ON_SOURCE, actor="a person", reason="looked at it")
    accounts.retry(account.pk, actor="a person")
    town.work()
    town.assert_crossed(account)
    assert set(steps_of(account).values()) == {EntryStatus.DONE}
    assert JournalEntry.objects.filter(cutover=2, status="done").count() == 5


def test_the_folder_of_a_batch_names_everybody_whose_night_began() -> None:
    town, found = make(ANNA, BERTA)
    town.work()
    folder = folder_of(found[0])
    assert list(folder.names()) == [f"account-{account.pk}" for account in found]
    content = json.loads((folder.path / "accounts" / f"account-{found[0].pk}.json").read_text())
    assert (content["address"], content["owner"]) == (ANNA, "target")
    assert PROBE not in json.dumps(content)


def test_a_rotation_of_keys_takes_the_folders_along_and_waits_for_who_is_locked_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "keys" / "vault_keys"
    write_keys(file, [Fernet.generate_key().decode()])
    mine = Vault(read_keys(file), file)
    monkeypatch.setattr(vault, "vault", lambda: mine)
    town, (anna, berta) = make(ANNA, BERTA)
    town.work()
    Account.objects.filter(pk=berta.pk).update(state=S.ROLLING_BACK)
    call_command("rotate_keys", stdout=StringIO())
    first = RescueFolder(rescue.path_of(anna.batch), mine.first())
    assert first.batch().connections
    assert first.account(f"account-{anna.pk}")
    with pytest.raises(CommandError, match="1 accounts are being cut over"):
        call_command("rotate_keys", "--drop", stdout=StringIO())
    assert len(read_keys(file)) == 2
    Account.objects.filter(pk=berta.pk).update(state=S.DONE)
    call_command("rotate_keys", "--drop", stdout=StringIO())
    assert len(read_keys(file)) == 1
    assert set(steps_of(berta).values()) == {EntryStatus.DONE}
    assert len(saved_by(anna)) == 2
