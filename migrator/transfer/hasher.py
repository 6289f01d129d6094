"""Hash big bodies beside the thread that copies them.

Hashing costs as much as moving: 0.8 ms/MB. While one thread waits for a socket the other can hash, for SHA-256 does not
hold the interpreter's lock. Small bodies are hashed on the spot: handing them over would cost more.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from queue import SimpleQueue
from typing import Final

from migrator.mail import Message
from migrator.transfer.digest import RunningDigest, digest_whole

BESIDE_BYTES: Final = 24 * 1024  # bodies of this size and more are handed over
AHEAD_BYTES: Final = 8 * 1024 * 1024  # handed over without a look at how far the hashing is
Task = Callable[[], None]


class Hasher:
    """Gives messages their digests, at the latest when :meth:`wait` returns. A thread starts with the first big one."""

    def __init__(self) -> None:
        self._tasks: SimpleQueue[Task | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._ahead_bytes = 0
        self._failures: list[BaseException] = []

    def take(self, message: Message) -> None:
        """Hash a message that is held whole, now or later."""
        body = message.whole
        assert body is not None
        if len(body) < BESIDE_BYTES:
            message.digest = digest_whole(body)
        else:
            self._give(partial(_digest, message, body), len(body))

    def pass_on(self, message: Message, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Yield ``pieces`` and hash them; the digest follows when they ended."""
        running = RunningDigest()
        for piece in pieces:
            self._give(partial(running.update, piece), len(piece))
            yield piece
        self._give(partial(_finish, message, running), 0)

    def wait(self, messages: Iterable[Message]) -> None:
        """Return when all of ``messages``, whose bodies were passed on in full, have their digests.

        Raises what kept the thread from hashing: a machine without memory must not look like a slow one.
        """
        if any(message.digest is None for message in messages):
            self._drain()

    def close(self) -> None:
        """End the thread. What waits is not hashed any more."""
        if self._thread is not None:
            self._tasks.put(None)
            self._thread = None

    def _give(self, task: Task, size_bytes: int) -> None:
        if self._thread is None:
            self._thread = threading.Thread(
                target=_work, args=(self._tasks, self._failures), name="hasher", daemon=True
            )
            self._thread.start()
        self._tasks.put(task)
        self._ahead_bytes += size_bytes
        if self._ahead_bytes > AHEAD_BYTES:
            self._drain()

    def _drain(self) -> None:
        reached = threading.Event()
        self._tasks.put(reached.set)
        reached.wait()
        self._ahead_bytes = 0
        if self._failures:
            raise self._failures[0]


def _work(tasks: SimpleQueue[Task | None], failures: list[BaseException]) -> None:
    kept = _Kept(failures)
    while (task := tasks.get()) is not None:
        with kept:
            task()


class _Kept:
    """Keeps what a task raises for whoever waits: a dead thread would keep them waiting for ever."""

    def __init__(self, failures: list[BaseException]) -> None:
        self._failures = failures

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, failure: BaseException | None, trace: object) -> bool:
        if failure is not None:
            self._failures.append(failure)
        return True


def _digest(message: Message, body: bytes) -> None:
    message.digest = digest_whole(body)


def _finish(message: Message, running: RunningDigest) -> None:
    message.digest = running.finish()
