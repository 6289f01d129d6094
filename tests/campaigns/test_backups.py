"""A backup is whole and has no keys; the way back needs them, keeps what it replaces, and trusts nothing blindly."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.db import connection

from campaigns.models import Account, Batch, Campaign, Event, ProofKey, Server, User, Worker
from campaigns.services import backups, beats, installation, proofs, staff
from campaigns.services.installation import Unfit

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def own_folder(settings: LazySettings, tmp_path: Path) -> Iterator[Path]:
    settings.DATA = tmp_path / "data"
    settings.QUEUE_FOLDER = settings.DATA / "queue"
    settings.MISSING_KEYS = []
    installation.make_private(settings.DATA)
    return settings.DATA


@pytest.fixture
def account() -> Account:
    source = Server.objects.create(name="source", host="a.example.org", port=143)
    target = Server.objects.create(name="target", host="b.example.org", port=143)
    campaign = Campaign.objects.create(name="the move", source=source, target=target)
    batch = Batch.objects.create(campaign=campaign, number=1)
    return Account.objects.create(
        campaign=campaign,
        batch=batch,
        source=source,
        target=target,
        source_login="anna",
        target_login="anna",
        source_secret=b"\x00\xffsealed",
        lease_epoch=7,
        lease_holder="worker",
        lease_until="2100-01-01T00:00Z",
    )


def contents(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_what_was_there_comes_back_and_nothing_goes_on_by_itself(account: Account, tmp_path: Path) -> None:
    place = backups.backup(tmp_path / "backups")
    Account.objects.update(source_login="somebody else")
    User.objects.create(username="later")
    backups.restore(place, replace=True)
    restored = Account.objects.get()
    assert (restored.source_login, bytes(restored.source_secret or b"")) == ("anna", b"\x00\xffsealed")
    assert not User.objects.exists()
    assert restored.lease_until is None
    assert restored.lease_epoch > 1000
    assert Campaign.objects.get().is_paused
    assert Event.objects.latest("id").name == "installation.restored"


def test_the_replaced_database_is_kept(account: Account, own_folder: Path, tmp_path: Path) -> None:
    place = backups.backup(tmp_path / "backups")
    Account.objects.update(source_login="somebody else")
    backups.restore(place, replace=True)
    kept = next(own_folder.glob("replaced-*"))
    if connection.vendor == "postgresql":  # as a backup, and packed
        backups.restore(next(kept.iterdir()), replace=True)
        assert Account.objects.get().source_login == "somebody else"
    else:
        assert b"somebody else" in contents(kept)


def test_a_backup_holds_no_key_and_is_nobody_elses(account: Account, settings: LazySettings, tmp_path: Path) -> None:
    place = backups.backup(tmp_path / "backups")
    assert place.stat().st_mode & 0o777 == 0o700
    assert settings.VAULT_KEYS[0].encode() not in contents(place)
    assert settings.SECRET_KEY.encode() not in contents(place)


def test_a_backup_keeps_the_key_that_signs_proofs_sealed(account: Account, tmp_path: Path) -> None:
    key = proofs.signing_key()
    place = backups.backup(tmp_path / "backups")
    assert key.seed not in contents(place)
    assert base64.b64encode(key.seed) not in contents(place)
    ProofKey.objects.all().delete()
    backups.restore(place, replace=True)
    assert proofs.signing_key().seed == key.seed


def test_a_backup_is_one_moment_of_a_database_that_is_written_to(account: Account, tmp_path: Path) -> None:
    enough = threading.Event()

    def write() -> None:
        while not enough.is_set():
            Event.objects.bulk_create(Event(name="batch.started", actor_name="anna") for _ in range(10))
        connection.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        places = [backups.backup(tmp_path / str(number)) for number in range(3)]
    finally:
        enough.set()
        writer.join()
    written = Event.objects.count()
    for place in reversed(places):
        backups.restore(place, replace=True)
        events = Event.objects.exclude(name="installation.restored").count()
        assert events % 10 == 0
        assert events <= written


@pytest.mark.parametrize("damage", ["database", "manifest.json", "all"])
def test_a_damaged_backup_changes_nothing(account: Account, tmp_path: Path, damage: str) -> None:
    place = backups.backup(tmp_path / "backups")
    for path in place.iterdir():
        if damage == "all":
            path.unlink()
        elif path.name.startswith(damage):
            path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(Unfit, match=r"holds no backup|is damaged"):
        backups.restore(place, replace=True)
    assert not Event.objects.filter(name="installation.restored").exists()


def test_a_backup_of_other_keys_or_of_a_newer_version_is_refused(
    account: Account, settings: LazySettings, tmp_path: Path
) -> None:
    place = backups.backup(tmp_path / "backups")
    keys, settings.VAULT_KEYS = settings.VAULT_KEYS, ("another",)
    with pytest.raises(Unfit, match="not those of the backup"):
        backups.restore(place, replace=True)
    settings.VAULT_KEYS, settings.MISSING_KEYS = keys, [tmp_path / "gone"]
    with pytest.raises(Unfit, match="no keys here"):
        backups.restore(place, replace=True)
    manifest = json.loads((place / "manifest.json").read_text())
    manifest["migrations"].append("9999_later")
    (place / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(Unfit, match="newer Mailferry"):
        backups.restore(place, replace=True)


def test_a_database_is_replaced_only_when_told_and_when_nothing_runs(account: Account, tmp_path: Path) -> None:
    place = backups.backup(tmp_path / "backups")
    with pytest.raises(Unfit, match="add --replace"):
        backups.restore(place)
    beats.beat("stage-1@here", queues="stage")
    with pytest.raises(Unfit, match=r"Stop Mailferry first: stage-1@here still runs\."):
        backups.restore(place, replace=True)
    Worker.objects.all().delete()
    with installation.hold_alone(), pytest.raises(Unfit, match="already running"):
        backups.restore(place, replace=True)


def test_a_backup_that_cannot_be_written_leaves_nothing_half_made(account: Account, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Unfit, match="cannot be written"):
        backups.backup(tmp_path / "file" / "backups")


def test_messages_of_before_are_gone_with_the_database(
    account: Account, settings: LazySettings, tmp_path: Path
) -> None:
    place = backups.backup(tmp_path / "backups")
    installation.make_private(settings.QUEUE_FOLDER / "stage")
    (settings.QUEUE_FOLDER / "stage/1").touch()
    backups.restore(place, replace=True)
    assert not settings.QUEUE_FOLDER.exists()


def test_a_link_works_in_the_restored_database(account: Account, tmp_path: Path) -> None:
    token = staff.first_link() or ""
    place = backups.backup(tmp_path / "backups")
    User.objects.all().delete()
    backups.restore(place, replace=True)
    assert staff.find_link(token).user.username == "admin"


@pytest.mark.long
def test_the_two_commands_carry_an_installation_to_another_folder(tmp_path: Path) -> None:
    if connection.vendor != "sqlite":  # two folders, two databases: only so with SQLite
        return
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAILFERRY_", "DJANGO_"))}

    def manage(folder: str, *words: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, str(Path(__file__).parents[2] / "manage.py"), *words]
        environment = kept | {"MAILFERRY_DATA": str(tmp_path / folder), "DATABASE_URL": ""}
        return subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60)

    manage("one", "prepare")
    place = manage("one", "backup", str(tmp_path / "backups")).stdout.split()[4].removesuffix(".")
    assert "There are no keys here" in manage("two", "restore", place).stderr
    (tmp_path / "two").mkdir(exist_ok=True)
    (tmp_path / "one/keys").rename(tmp_path / "two/keys")
    assert "paused" in manage("two", "restore", place).stdout
    assert "WRONG" not in manage("two", "doctor", "folder", "keys", "database").stdout
