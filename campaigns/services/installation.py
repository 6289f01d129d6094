"""The ground of an installation: its private folder, its keys, its tables."""

from __future__ import annotations

import fcntl
import os
import secrets
from contextlib import ExitStack
from pathlib import Path

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from campaigns.services import proofs


class Unfit(CommandError):
    """The installation cannot start; the text is a sentence for whoever started it."""


def prepare() -> None:
    """Make what is missing: folder, keys, tables. Idempotent, quick when all is there. Raises ``Unfit``."""
    make_private(settings.DATA)
    _make_keys()
    call_command("migrate", interactive=False, verbosity=0)
    proofs.make_key()


def make_private(folder: Path) -> None:
    """Make ``folder``, or take the rights of others on it away."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
    except OSError as error:
        raise Unfit(f"The folder {folder} cannot be made or kept private: {error.strerror}.") from error


def hold_alone() -> ExitStack:
    """Hold the data folder until the result is closed: two supervisors on one folder would fight. Raises ``Unfit``."""
    stack = ExitStack()
    path = settings.DATA / "running"
    file = stack.enter_context(path.open("a+"))
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.seek(0)
        pid = file.read().strip()
        stack.close()
        raise Unfit(f"Mailferry is already running on {settings.DATA} (process {pid}).") from error
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    return stack


def has_database() -> bool:
    """True when there are tables of an earlier start. Raises ``Unfit`` when the database cannot be asked."""
    if connection.vendor == "sqlite" and not Path(connection.settings_dict["NAME"]).exists():
        return False
    try:
        return bool(connection.introspection.table_names())
    except DatabaseError as error:
        raise Unfit(f"The database cannot be read: {str(error).strip()}") from error


def missing_keys() -> list[Path]:
    """Return the files of the keys that are neither there nor given by the environment."""
    return [path for path in settings.MISSING_KEYS if not path.is_file()]


def require_keys() -> None:
    """Raise ``Unfit`` where a database is there and a key is not. A new key would never open what is sealed in it."""
    missing = missing_keys()
    if missing and has_database():
        raise Unfit(
            f"There is a database, but its key is missing: {missing[0]}. Put the key back from where you keep it; "
            "Mailferry makes no new key beside an existing database, because passwords in it could never be read again."
        )


def require_ready() -> None:
    """Raise ``Unfit`` unless the keys and all tables are there: for programs that start on their own."""
    require_keys()
    if missing_keys() or not has_database() or not is_ready():
        raise Unfit("This installation is not prepared: run `manage.py prepare` first.")


def is_ready() -> bool:
    """True when the tables are those of this version."""
    executor = MigrationExecutor(connection)
    return not executor.migration_plan(executor.loader.graph.leaf_nodes())


def _make_keys() -> None:
    require_keys()
    for path in missing_keys():
        make_private(path.parent)
        key = Fernet.generate_key().decode() if path == settings.VAULT_KEYS_PATH else secrets.token_urlsafe(50)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(key + "\n")
