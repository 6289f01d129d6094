"""Copies of the database, and the way back from one. No key is ever in a backup: kept apart, neither opens alone."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import F

from campaigns.models import Account, Campaign, Event, Worker
from campaigns.services import beats, installation
from campaigns.services.installation import Unfit

_FORMAT: Final = 1
_MANIFEST: Final = "manifest.json"
_FILES: Final = {"sqlite": "database.sqlite3", "postgresql": "database.dump"}
_STAMP: Final = "%Y%m%dT%H%M%S.%fZ"
_EPOCHS: Final = 1_000_000  # more than were given out since any backup: what comes late from then writes nothing


def backup(folder: Path) -> Path:
    """Copy the database into a new folder below ``folder``, while everything runs, and return that folder.

    It appears under its name when it is whole. Raises ``Unfit``.
    """
    installation.require_ready()
    now = datetime.now(UTC)
    place = folder / f"mailferry-{now:{_STAMP}}"
    partial = folder / f".{place.name}"
    try:
        partial.mkdir(mode=0o700, parents=True)
        _copy_database(partial / _FILES[connection.vendor])
        _write_manifest(partial, now)
        partial.rename(place)
    except OSError as error:
        raise Unfit(f"The backup cannot be written to {folder}: {error.strerror}.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return place


def restore(place: Path, *, replace: bool = False) -> None:
    """Put the database of a backup in the place of the present one, which is kept beside it.

    Every campaign is paused afterwards: the servers have moved on since the backup, and a person must look first.
    ``replace`` is needed where a database is there. Raises ``Unfit`` and has changed nothing then.
    """
    manifest = _checked(place)
    installation.make_private(settings.DATA)
    with installation.hold_alone():
        if _is_something_here():
            _may_replace(replace)
            _set_aside()
        _put_database(place / _FILES[connection.vendor])
        call_command("migrate", interactive=False, verbosity=0)
        shutil.rmtree(settings.QUEUE_FOLDER, ignore_errors=True)
        _distrust(manifest)


def _copy_database(path: Path) -> None:
    if connection.vendor == "postgresql":
        _run_postgresql("pg_dump", "--format=custom", "--no-owner", "--no-acl", f"--file={path}")
        return
    connection.ensure_connection()
    with closing(sqlite3.connect(path)) as copy:
        connection.connection.backup(copy)  # sees one moment of the database, whatever others write meanwhile
        found = copy.execute("PRAGMA integrity_check").fetchone()[0]
    if found != "ok":
        raise Unfit(f"The database is damaged, and so is this copy of it: {found}.")


def _sqlite_path() -> Path:
    return Path(connection.settings_dict["NAME"])


def _is_something_here() -> bool:
    return _sqlite_path().exists() if connection.vendor == "sqlite" else installation.has_database()


def _set_aside() -> None:
    """Keep the present database in the data folder. A SQLite one even when it is damaged: it is not read."""
    kept = settings.DATA / f"replaced-{datetime.now(UTC):{_STAMP}}"
    if connection.vendor == "postgresql":
        backup(kept)
        _drop_tables()
        return
    connection.close()
    installation.make_private(kept)
    for part in ("", "-wal", "-shm"):
        path = Path(f"{_sqlite_path()}{part}")
        if path.exists():
            shutil.move(path, kept / path.name)  # not rename: it may lie on another disk


def _put_database(path: Path) -> None:
    if connection.vendor == "postgresql":
        _run_postgresql("pg_restore", "--single-transaction", "--exit-on-error", "--no-owner", "--no-acl", str(path))
        return
    partial = _sqlite_path().with_suffix(".restored")
    shutil.copyfile(path, partial)
    partial.rename(_sqlite_path())


def _drop_tables() -> None:
    quote = connection.ops.quote_name
    with connection.cursor() as cursor:
        for name in connection.introspection.table_names(cursor):
            cursor.execute(f"DROP TABLE {quote(name)} CASCADE")
    connection.close()


def _run_postgresql(program: str, *options: str) -> None:
    """Run one of PostgreSQL's programs on our database. The password goes by the environment, where ps shows none."""
    database = connection.settings_dict
    words = {"host": database["HOST"], "port": database["PORT"], "user": database["USER"], "dbname": database["NAME"]}
    words |= {name: str(value) for name, value in database["OPTIONS"].items()}
    line = " ".join(f"{name}='{_quoted(value)}'" for name, value in words.items() if value)
    try:
        subprocess.run(
            [program, f"--dbname={line}", *options],
            check=True,
            capture_output=True,
            text=True,
            env=os.environ | {"PGPASSWORD": database["PASSWORD"]},
        )
    except FileNotFoundError as error:
        raise Unfit(f"{program} is not on this machine: install PostgreSQL's client programs.") from error
    except subprocess.CalledProcessError as error:
        raise Unfit(f"{program} failed: {error.stderr.strip()}") from error


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "\\'")


def _write_manifest(folder: Path, now: datetime) -> None:
    file = _FILES[connection.vendor]
    applied = MigrationRecorder(connection).applied_migrations()
    manifest = {
        "format": _FORMAT,
        "made_at": now.isoformat(),
        "database": connection.vendor,
        "sha256": _sha256(folder / file),
        "migrations": sorted(name for app, name in applied if app == "campaigns"),
        "keys": _fingerprints(),
    }
    (folder / _MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def _checked(place: Path) -> dict[str, Any]:
    """Return the manifest of a backup that can be put back here. Raises ``Unfit``."""
    try:
        manifest: dict[str, Any] = json.loads((place / _MANIFEST).read_text(encoding="utf-8"))
        is_whole = _sha256(place / _FILES[manifest["database"]]) == manifest["sha256"]
    except (OSError, ValueError, KeyError) as error:
        raise Unfit(f"{place} holds no backup of Mailferry.") from error
    if not is_whole:
        raise Unfit(f"The backup in {place} is damaged: its sum is not what it was.")
    if manifest["database"] != connection.vendor:
        raise Unfit(f"The backup is of {manifest['database']}, this installation runs on {connection.vendor}.")
    _check_fit(manifest)
    return manifest


def _check_fit(manifest: dict[str, Any]) -> None:
    known = {name for app, name in MigrationLoader(None).disk_migrations if app == "campaigns"}
    if not set(manifest["migrations"]) <= known:
        raise Unfit("The backup was made by a newer Mailferry: install that one first.")
    if installation.missing_keys():
        raise Unfit(f"There are no keys here: put those that belong to the backup into {settings.KEYS} first.")
    if not set(manifest["keys"]) <= set(_fingerprints()):
        raise Unfit("The keys here are not those of the backup: the passwords in it could never be read again.")


def _may_replace(replace: bool) -> None:
    if not replace:
        raise Unfit("There is a database here already. To put the backup in its place, add --replace.")
    try:
        running = [program.name for program in beats.alive()]
    except DatabaseError:  # damaged, or of an earlier version: its programs do not run either
        running = []
    if running:
        raise Unfit(
            f"Stop Mailferry first: {', '.join(running)} still runs. "
            f"If it was killed, wait until nothing was heard of it for {beats.STALE_SECONDS:.0f} seconds."
        )


def _distrust(manifest: dict[str, Any]) -> None:
    """Void every claim of the time after the backup, and let nothing go on before somebody has looked."""
    with transaction.atomic():
        Worker.objects.all().delete()
        no_lease = {"lease_until": None, "lease_holder": "", "lease_kind": ""}
        Account.objects.update(**no_lease, lease_epoch=F("lease_epoch") + _EPOCHS)
        Campaign.objects.filter(closed_at=None).update(is_paused=True)
        Event.objects.create(
            name="installation.restored", actor_name="mailferry", data={"made_at": manifest["made_at"]}
        )


def _fingerprints() -> list[str]:
    return [hashlib.sha256(key.encode()).hexdigest()[:16] for key in settings.VAULT_KEYS]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
