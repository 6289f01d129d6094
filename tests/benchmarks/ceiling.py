"""What the servers can do alone: the source's FETCH thrown away and the target fed with ready-made MULTIAPPENDs.

Both run at once, each in a process of its own with one connection per account at work: no engine that moves the same
bytes through one connection on either side can be faster. The time is from connecting to the last answer.
"""

from __future__ import annotations

import mmap
import multiprocessing
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Final, NamedTuple

from tests.benchmarks import corpora, wire
from tests.benchmarks.corpora import Corpus, Stored
from tests.rigs.base import Account

BUNDLE_MESSAGES: Final = 500
BUNDLE_BYTES: Final = 8 * 1024 * 1024
ROUND_TRIPS: Final = 5  # connect, sign in, list and metadata, fetch, the last answer
LANES: Final = 8
Work = Callable[[], None]
Make = Callable[[Account, Corpus, Path], Work]
Dial = Callable[[Account], socket.socket]


class Ceiling(NamedTuple):
    """Seconds of the servers alone."""

    source: float
    target: float

    @property
    def seconds(self) -> float:
        """The slower side's."""
        return max(self.source, self.target)


def prepare(corpus: Corpus, mail: Path, ready: Path, bundled: bool = True) -> None:
    """Write what the target will be fed with into ``ready``, a file for each account whose Maildir is below ``mail``.

    ``bundled``: with MULTIAPPEND, else with an APPEND for each message, which nobody waits for.
    Made once and mapped, not held: a gigabyte that is allocated anew for each run costs more than the servers do.
    """
    ready.mkdir(exist_ok=True)
    for user in corpus.users:
        with (ready / user).open("wb") as file:
            for folder in corpus.folders:
                name = wire.quoted(folder)
                file.write(b"c CREATE " + name + b"\r\ns SELECT " + name + b"\r\n")
                for bundle in _bundles(
                    corpora.stored(mail / user / "Maildir", folder), BUNDLE_MESSAGES if bundled else 1
                ):
                    file.writelines(_append(name, bundle))


def measure(corpus: Corpus, ready: Path, pairs: list[tuple[Account, Account]], *, tls: bool = False) -> Ceiling:
    """Run both servers at once over ``corpus``, which is prepared in ``ready``."""
    dial = partial(wire.dial, tls=tls)
    fork = multiprocessing.get_context("fork")
    start, times = fork.Barrier(2), fork.SimpleQueue()
    runners = [
        fork.Process(
            target=_run, args=(name, partial(make, dial), [pair[side] for pair in pairs], corpus, ready, start, times)
        )
        for side, (name, make) in enumerate((("source", _draining), ("target", _feeding)))
    ]
    for runner in runners:
        runner.start()
    for runner in runners:
        runner.join()
    if any(runner.exitcode for runner in runners):
        raise RuntimeError("the servers' own limit could not be measured")
    return Ceiling(**dict(times.get() for _ in runners))


def _run(
    name: str,
    make: Make,
    accounts: list[Account],
    corpus: Corpus,
    ready: Path,
    start: Barrier,
    times: SimpleQueue[tuple[str, float]],
) -> None:
    work = [make(account, corpus, ready / user) for account, user in zip(accounts, corpus.users, strict=True)]
    with ThreadPoolExecutor(min(LANES, len(work))) as pool:
        start.wait()
        begun = time.monotonic()
        for done in [pool.submit(each) for each in work]:
            done.result()
        times.put((name, time.monotonic() - begun))


def _draining(dial: Dial, account: Account, corpus: Corpus, ready: Path) -> Work:
    dialogue = wire.fetch_all(account, corpus.folders)
    least = ready.stat().st_size * 0.9  # what an APPEND says beside the body is about as long as what a FETCH does

    def work() -> None:
        with dial(account) as line:
            line.sendall(dialogue)
            if (came := wire.drink(line)) < least:
                raise RuntimeError(f"{account.user}: the source sent {came} bytes")

    return work


def _feeding(dial: Dial, account: Account, corpus: Corpus, ready: Path) -> Work:
    with ready.open("rb") as file:
        dialogue = mmap.mmap(file.fileno(), 0, flags=mmap.MAP_SHARED | mmap.MAP_POPULATE, prot=mmap.PROT_READ)

    def work() -> None:
        with dial(account) as line:
            line.sendall(wire.login(account))
            line.sendall(dialogue)
            line.sendall(b"l LOGOUT\r\n")
            _expect(line, corpus.messages)

    return work


def _expect(line: socket.socket, messages: int) -> None:
    with line.makefile("rb") as reader:
        stored = sum(_count(answer) for answer in reader)
    if stored != messages:
        raise RuntimeError(f"the target stored {stored} of {messages} messages")


def _count(answer: bytes) -> int:
    """Return how many messages a tagged answer to APPEND confirms: ``a OK [APPENDUID 9 1:500] ...``."""
    if not answer.startswith(b"a OK [APPENDUID "):
        return 0
    first, _, last = answer.split(b"]")[0].split()[-1].partition(b":")
    return int(last or first) - int(first) + 1


def _bundles(messages: Iterator[Stored], most: int) -> Iterator[list[tuple[Stored, bytes]]]:
    bundle: list[tuple[Stored, bytes]] = []
    size = 0
    for message in messages:
        body = message.file.read_bytes().replace(b"\n", b"\r\n")
        if bundle and (len(bundle) == most or size + len(body) > BUNDLE_BYTES):
            yield bundle
            bundle, size = [], 0
        bundle.append((message, body))
        size += len(body)
    if bundle:
        yield bundle


def _append(name: bytes, messages: list[tuple[Stored, bytes]]) -> Iterator[bytes]:
    yield b"a APPEND " + name
    for message, body in messages:
        date = time.strftime("%d-%b-%Y %H:%M:%S +0000", time.gmtime(message.internal_date))
        yield f' ({message.flags}) "{date}" {{{len(body)}+}}\r\n'.encode()
        yield body
    yield b"\r\n"
