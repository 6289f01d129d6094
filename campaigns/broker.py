"""The queue of an installation that runs no Redis: one folder a queue, one file a message.

kombu's own file transport loses messages, because a file can be read before it is written and two readers can take
one. Here a message appears by rename, whole, and is taken by a lock on its file; the file goes when the message is
acknowledged. A process that dies releases its locks, so what it had taken and not begun is there for the next one.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import time
import uuid
from collections import deque
from pathlib import Path
from queue import Empty
from typing import Any, BinaryIO, Final

from kombu.transport import TRANSPORT_ALIASES, virtual
from kombu.utils.json import dumps, loads

ALIAS: Final = "files"
_LEFTOVER_SECONDS: Final = 60.0  # a file that was being written so long ago lost its writer

_LONGEST_WAIT_SECONDS: Final = 0.5

log = logging.getLogger(__name__)


def register() -> None:
    """Make ``files://`` a broker address. kombu refuses dotted paths of transports there."""
    TRANSPORT_ALIASES[ALIAS] = f"{__name__}:Transport"


def depth(folder: Path, queue: str) -> int:
    """Return how many messages of ``queue`` are waiting or taken and not begun."""
    return len(_names(folder / queue))


def _names(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in os.scandir(folder) if not entry.name.startswith("."))
    except FileNotFoundError:  # nothing was ever sent, or somebody cleared the folder
        return []


def _make(folder: Path) -> None:
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # parents=True does not give its mode to parents
    folder.mkdir(mode=0o700, exist_ok=True)


def _write(folder: Path, text: bytes) -> None:
    """Let a message appear in ``folder``, whole. Names sort by time."""
    name = f"{time.time_ns():020d}-{uuid.uuid4().hex}"
    hidden = folder / f".{name}"
    with os.fdopen(os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(text)
    hidden.rename(folder / name)


def _take(path: Path) -> BinaryIO | None:
    """Open and lock the message at ``path``; None when another reader has it or had it."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    if os.fstat(file.fileno()).st_nlink:
        return file
    file.close()  # it was acknowledged between our opening and our locking
    return None


class Receipts(virtual.QoS):
    """What this channel has delivered and nobody has acknowledged yet."""

    def ack(self, delivery_tag: str) -> None:
        self.channel.settle(delivery_tag)
        super().ack(delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        if not requeue:
            self.channel.settle(delivery_tag)
        super().reject(delivery_tag, requeue=requeue)


class Channel(virtual.Channel):
    """One reader and writer of the queue folder. Acknowledgements may come from any thread."""

    QoS = Receipts

    def __init__(self, connection: Any, **kwargs: Any) -> None:
        super().__init__(connection, **kwargs)
        self._folder = Path(connection.client.transport_options["folder"])
        self._listed: dict[str, deque[str]] = {}
        self._taken: dict[str, tuple[Path, BinaryIO]] = {}

    def _new_queue(self, queue: str, **kwargs: Any) -> None:
        _make(self._folder / queue)
        oldest = time.time() - _LEFTOVER_SECONDS
        for path in (self._folder / queue).glob(".*"):
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < oldest:
                    path.unlink()

    def _put(self, queue: str, message: dict[str, Any], **kwargs: Any) -> None:
        text = dumps(message).encode()
        try:
            _write(self._folder / queue, text)
        except FileNotFoundError:  # somebody cleared the folder while we ran
            _make(self._folder / queue)
            _write(self._folder / queue, text)

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        # One listing serves until it is used up: listing at every message makes a long queue quadratic.
        listed = self._listed.get(queue) or deque(_names(self._folder / queue))
        self._listed[queue] = listed
        while listed:
            path = self._folder / queue / listed.popleft()
            file = _take(path)
            message = file and self._read(path, file)
            if message:
                return message
        raise Empty

    def _read(self, path: Path, file: BinaryIO) -> Any:
        try:
            message = loads(file.read().decode())
            self._taken[message["properties"]["delivery_tag"]] = (path, file)
        except (ValueError, KeyError, TypeError):  # cut short by a power failure; its row is still due
            log.warning("a message of the queue cannot be read and is dropped: %s", path.name)
            path.unlink(missing_ok=True)
            file.close()
            return None
        return message

    def settle(self, delivery_tag: str) -> None:
        """Remove an acknowledged message for good. The file goes before its lock."""
        path, file = self._taken.pop(delivery_tag)
        path.unlink(missing_ok=True)
        file.close()

    def _restore(self, message: virtual.Message) -> None:
        _, file = self._taken.pop(message.delivery_tag)
        file.close()

    def _size(self, queue: str) -> int:
        return depth(self._folder, queue)

    def _purge(self, queue: str) -> int:
        names = _names(self._folder / queue)
        for name in names:
            (self._folder / queue / name).unlink(missing_ok=True)
        return len(names)


class Transport(virtual.Transport):
    """``files://``, with the option ``folder``. Direct exchanges only: Mailferry names its queues itself."""

    Channel = Channel
    driver_type = driver_name = ALIAS
    implements = virtual.Transport.implements.extend(exchange_type=frozenset(["direct"]))

    def driver_version(self) -> str:
        return "1"

    def drain_events(self, connection: Any, timeout: float | None = None) -> None:
        # A worker looks whether it should end between two calls only, and asks for 2 s each.
        super().drain_events(connection, timeout=timeout and min(timeout, _LONGEST_WAIT_SECONDS))
