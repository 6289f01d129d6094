"""The queue in files: nothing lost, nothing doubled, whoever reads, writes, dies or clears the folder."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from kombu import Connection, Queue
from kombu.message import Message

from campaigns import broker

broker.register()
QUEUE = Queue("stage")


def connect(folder: Path) -> Connection:
    return Connection("files://", transport_options={"folder": str(folder), "polling_interval": 0.005})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "queue"


@pytest.fixture
def line(folder: Path) -> Iterator[Connection]:
    with connect(folder) as line:
        yield line


def send(line: Connection, *bodies: object) -> None:
    for body in bodies:
        line.Producer().publish(body, routing_key="stage")


def receive(line: Connection) -> Message | None:
    return QUEUE(line.default_channel).get()


def waiting(folder: Path) -> list[Path]:
    return sorted((folder / "stage").iterdir())


def test_messages_arrive_in_the_order_they_were_sent(line: Connection) -> None:
    send(line, *range(20))
    assert [receive(line).payload for _ in range(20)] == list(range(20))
    assert receive(line) is None


def test_a_message_goes_when_it_is_acknowledged(line: Connection, folder: Path) -> None:
    send(line, "one")
    message = receive(line)
    assert broker.depth(folder, "stage") == 1
    message.ack()
    assert broker.depth(folder, "stage") == 0
    assert waiting(folder) == []


def test_a_message_that_is_taken_is_nobody_elses(line: Connection, folder: Path) -> None:
    send(line, "one")
    taken = receive(line)
    with connect(folder) as second:
        assert receive(second) is None
        taken.requeue()
        assert receive(second).payload == "one"


def test_what_was_taken_and_not_begun_is_there_again_when_the_line_closes(folder: Path) -> None:
    with connect(folder) as first:
        send(first, "one", "two")
        assert receive(first).payload == "one"
        receive(first).ack()
    with connect(folder) as second:
        assert receive(second).payload == "one"
        assert receive(second) is None


def test_a_rejected_message_does_not_return(line: Connection, folder: Path) -> None:
    send(line, "one")
    receive(line).reject()
    assert waiting(folder) == []


def test_the_queue_outlives_its_folder(line: Connection, folder: Path) -> None:
    send(line, "one", "two")
    receive(line)
    for path in waiting(folder):
        path.unlink()
    (folder / "stage").rmdir()
    folder.rmdir()
    assert receive(line) is None
    send(line, "three")
    assert receive(line).payload == "three"


def test_nobody_else_on_the_machine_reads_the_queue(line: Connection, folder: Path) -> None:
    before = os.umask(0)
    try:
        send(line, "one")
    finally:
        os.umask(before)
    places = (folder, folder / "stage", waiting(folder)[0])
    assert [stat.S_IMODE(path.stat().st_mode) for path in places] == [0o700, 0o700, 0o600]


def test_a_message_cut_short_by_a_power_failure_is_dropped(line: Connection, folder: Path) -> None:
    send(line, "one", "two")
    os.truncate(waiting(folder)[0], 30)
    assert receive(line).payload == "two"
    assert len(waiting(folder)) == 1


def test_what_a_killed_writer_left_is_swept_and_what_is_being_written_stays(line: Connection, folder: Path) -> None:
    send(line, "one")
    for name, age in ((".killed", 3600), (".writing", 0)):
        (folder / "stage" / name).touch()
        os.utime(folder / "stage" / name, (time.time() - age,) * 2)
    with connect(folder) as second:
        QUEUE(second.default_channel).declare()
    assert [path.name for path in waiting(folder) if path.name.startswith(".")] == [".writing"]


def test_a_purged_queue_is_empty(line: Connection) -> None:
    send(line, "one", "two")
    assert QUEUE(line.default_channel).purge() == 2
    assert receive(line) is None


@pytest.mark.long
def test_nothing_is_lost_or_doubled_by_many_writers_and_readers(folder: Path) -> None:
    writers, each = 7, 300

    def write(number: int) -> None:
        with connect(folder) as line:
            send(line, *(number * each + n for n in range(each)))

    seen: list[int] = []

    def read() -> None:
        with connect(folder) as line:
            while len(seen) < writers * each:
                message = receive(line)
                if message:
                    seen.append(message.payload)
                    message.ack()

    with ThreadPoolExecutor(writers + 4) as pool:
        done = [pool.submit(write, n) for n in range(writers)] + [pool.submit(read) for _ in range(4)]
    assert [future.result() for future in done] == [None] * len(done)
    assert sorted(seen) == list(range(writers * each))
    assert waiting(folder) == []
