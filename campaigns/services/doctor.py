"""What is well and what is not, in sentences: for the health page, for monitoring, and for a person at night."""

from __future__ import annotations

import os
import shutil
import socket
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import redis
from django.conf import settings
from django.db import DatabaseError, connection

from campaigns.bridge import host_files
from campaigns.models import Worker
from campaigns.services import beats, installation

_REDIS_SECONDS: Final = 2.0
_GATE_SECONDS: Final = 2.0
_LEAST_FREE_BYTES: Final = 500 * 1024 * 1024
_QUEUES: Final = ("control", "stage", "cutover")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. ``sentence`` says what is, and where it is not well, what to do."""

    name: str
    is_well: bool
    sentence: str


def health() -> list[Finding]:
    """Look at what must run: database, broker, ticker, workers. Quick; asked every few seconds."""
    database = look_at_database()
    if not database.is_well:
        return [database, look_at_broker()]
    programs = beats.alive()
    return [database, look_at_broker(), look_at_ticker(programs), look_at_workers(programs)]


def everything() -> Iterator[Finding]:
    """Look at all there is, the slow things too."""
    yield look_at_settings()
    yield look_at_folder()
    yield look_at_keys()
    yield look_at_space()
    if settings.PROGRAMS is not None:
        yield look_at_host_files()
    if settings.GATES_PORT or settings.SOCKETMAP_PORT:
        yield look_at_gates()
    yield from health()


def look_at_host_files() -> Finding:
    """Look whether programs and statements of connections may be used."""
    trouble = host_files.trouble()
    return Finding("host files", not trouble, trouble or f"Programs and statements are taken from {settings.PROGRAMS}.")


def look_at_gates() -> Finding:
    """Look whether front servers are answered on this machine."""
    for port in filter(None, (settings.GATES_PORT, settings.SOCKETMAP_PORT)):
        try:
            socket.create_connection((settings.GATES_BIND, port), _GATE_SECONDS).close()
        except OSError as error:
            told = (
                f"The gates do not answer on port {port} ({error}): front servers go by their own routes. Start them."
            )
            return Finding("gates", False, told)
    return Finding("gates", True, "The gates answer front servers.")


def look_at_database() -> Finding:
    """Look whether the database answers a question."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        where = settings.DATABASES["default"]
        name = "SQLite" if connection.vendor == "sqlite" else f"PostgreSQL on {where['HOST'] or 'this machine'}"
        return Finding("database", True, f"The database answers ({name}).")
    except DatabaseError as error:
        connection.close()
        return Finding("database", False, f"The database does not answer: {str(error).strip()}")


def look_at_broker() -> Finding:
    """Look whether the queue can be written to."""
    return _look_at_redis() if settings.REDIS_URL else _look_at_queue_folder()


def _look_at_redis() -> Finding:
    line = redis.Redis.from_url(
        settings.REDIS_URL, socket_timeout=_REDIS_SECONDS, socket_connect_timeout=_REDIS_SECONDS
    )
    try:
        with line:
            line.ping()
    except (redis.RedisError, OSError) as error:
        return Finding("broker", False, f"Redis does not answer: {error}. Work waits and goes on when it is back.")
    return Finding("broker", True, "The queue answers (Redis).")


def _look_at_queue_folder() -> Finding:
    folder = settings.QUEUE_FOLDER if settings.QUEUE_FOLDER.exists() else settings.DATA
    if os.access(folder, os.W_OK | os.X_OK):
        return Finding("broker", True, "The queue's folder can be written.")
    return Finding("broker", False, f"The queue's folder {folder} cannot be written: mend its owner and its rights.")


def look_at_ticker(programs: Sequence[Worker] | None = None) -> Finding:
    """Look whether the ticker is among the programs that are alive."""
    programs = beats.alive() if programs is None else programs
    if any(program.queues == beats.TICKER for program in programs):
        return Finding("ticker", True, "The ticker is running.")
    return Finding("ticker", False, "The ticker is not running: nothing new is begun until it is. Start it.")


def look_at_workers(programs: Sequence[Worker] | None = None) -> Finding:
    """Look whether each queue has a worker among ``programs``, those that are alive."""
    programs = beats.alive() if programs is None else programs
    idle = [queue for queue in _QUEUES if not beats.lanes(queue, programs)]
    if idle:
        return Finding("workers", False, f"No worker takes from the queue {', '.join(idle)}: start one.")
    lanes = " and ".join(f"{beats.lanes(queue, programs)} for {queue}" for queue in ("stage", "cutover"))
    return Finding("workers", True, f"Workers are running; accounts at once: {lanes}.")


def look_at_this_machine() -> Finding:
    """Whether a program on this machine was heard of lately: what a container asks about itself."""
    host = beats.full_name("").removeprefix("@")
    names = [program.name for program in beats.alive() if program.host == host]
    if names:
        return Finding("programs", True, f"Running here: {', '.join(names)}.")
    return Finding("programs", False, "No program of this machine was heard of lately.")


def look_at_settings() -> Finding:
    """Look whether every variable of the environment that is ours means something."""
    if settings.UNKNOWN_VARIABLES:
        names = ", ".join(settings.UNKNOWN_VARIABLES)
        return Finding("settings", False, f"Not a setting, and without effect: {names}. Misspelt?")
    return Finding("settings", True, "Every variable that is set is a setting.")


def look_at_folder() -> Finding:
    """Look whether the data folder is there, and nobody else's."""
    return _private("folder", settings.DATA, 0o700, f"The folder {settings.DATA} is there, and private.")


def look_at_keys() -> Finding:
    """Look whether the keys are there, fit the database, and are nobody else's."""
    try:
        installation.require_keys()
    except installation.Unfit as error:
        return Finding("keys", False, str(error))
    if installation.missing_keys():
        return Finding("keys", False, "There are no keys yet: the first start makes them.")
    for path in (settings.SECRET_KEY_PATH, settings.VAULT_KEYS_PATH):
        if path.exists() and not (finding := _private("keys", path, 0o600, "")).is_well:
            return finding
    return Finding("keys", True, "The keys are there, and private. Keep a copy of them apart from the backups.")


def _private(name: str, path: Path, mode: int, well: str) -> Finding:
    try:
        found = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        return Finding(name, False, f"{path} cannot be looked at: {error.strerror}.")
    if found & ~mode:
        return Finding(name, False, f"Others can read {path}: chmod {mode:o} it.")
    return Finding(name, True, well)


def look_at_space() -> Finding:
    """Look whether there is room for the database to grow."""
    try:
        free = shutil.disk_usage(settings.DATA).free
    except OSError as error:
        return Finding("space", False, f"{settings.DATA} cannot be looked at: {error.strerror}.")
    sentence = f"{free / 1024**3:.1f} GiB are free for the database."
    return Finding("space", free > _LEAST_FREE_BYTES, sentence + ("" if free > _LEAST_FREE_BYTES else " Make room."))


CHECKS: Final[dict[str, Callable[[], Finding]]] = {
    "settings": look_at_settings,
    "folder": look_at_folder,
    "keys": look_at_keys,
    "space": look_at_space,
    "database": look_at_database,
    "broker": look_at_broker,
    "ticker": look_at_ticker,
    "workers": look_at_workers,
    "programs": look_at_this_machine,
}
