"""The queue in files, between processes that are killed: nothing lost, and doubled only what was being worked on."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from campaigns import broker

ROOT = Path(__file__).parents[2]
MESSAGES = 2100

CONNECT = """
import sys, time
from pathlib import Path
from kombu import Connection, Queue
from campaigns import broker

broker.register()
folder, log = sys.argv[1:3]
line = Connection("files://", transport_options={"folder": folder})
"""

WRITE = """
for number in map(int, sys.argv[3:]):
    line.Producer().publish(number, routing_key="stage")
"""

# What is worked on is noted before it is acknowledged: a kill in between brings the message a second time.
READ = """
queue = Queue("stage")(line.default_channel)
with open(log, "a", buffering=1) as notes:
    while not Path(log + ".enough").exists():
        message = queue.get()
        if message is None:
            time.sleep(0.002)
            continue
        notes.write(f"{message.payload}\\n")
        message.ack()
"""


@pytest.fixture
def started() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def start(stack: ExitStack, script: str, folder: Path, log: Path, *numbers: int) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-c", CONNECT + script, str(folder), str(log), *map(str, numbers)]
    program = stack.enter_context(subprocess.Popen(argv, cwd=ROOT))
    stack.callback(program.kill)
    return program


def noted(folder: Path) -> Counter[int]:
    return Counter(int(line) for log in folder.glob("*.log") for line in log.read_text().splitlines())


def write_all(stack: ExitStack, queue: Path, log: Path) -> list[subprocess.Popen[bytes]]:
    return [start(stack, WRITE, queue, log, *range(n, MESSAGES, 3)) for n in range(3)]


def finish(stack: ExitStack, queue: Path, folder: Path, readers: list[subprocess.Popen[bytes]]) -> None:
    while broker.depth(queue, "stage"):
        assert all(reader.poll() is None for reader in readers)
    for reader in readers:
        while reader.poll() is None:
            for log in folder.glob("*.log"):  # again and again: a reader may only now begin its log
                log.with_name(log.name + ".enough").touch()
            with suppress(subprocess.TimeoutExpired):
                reader.wait(0.1)
    assert [reader.returncode for reader in readers] == [0] * len(readers)


def test_2100_messages_between_seven_processes_arrive_once(started: ExitStack, tmp_path: Path) -> None:
    queue = tmp_path / "queue"
    readers = [start(started, READ, queue, tmp_path / f"{n}.log") for n in range(4)]
    writers = write_all(started, queue, tmp_path / "0.log")
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    finish(started, queue, tmp_path, readers)
    assert noted(tmp_path) == Counter(range(MESSAGES))


def test_killed_readers_lose_nothing_and_double_only_what_they_worked_on(started: ExitStack, tmp_path: Path) -> None:
    seed = random.randrange(10**9)
    print("seed", seed)
    chance = random.Random(seed)
    queue = tmp_path / "queue"
    assert [writer.wait(60) for writer in write_all(started, queue, tmp_path / "none")] == [0, 0, 0]
    kills = sorted(chance.sample(range(1, MESSAGES - 200), 5))
    for number, moment in enumerate(kills):
        reader = start(started, READ, queue, tmp_path / f"killed{number}.log")
        while noted(tmp_path).total() < moment:
            assert reader.poll() is None
        reader.kill()
        reader.wait(10)
    finish(started, queue, tmp_path, [start(started, READ, queue, tmp_path / "last.log")])
    seen = noted(tmp_path)
    assert seen.keys() == set(range(MESSAGES))
    assert seen.total() - MESSAGES <= len(kills)
