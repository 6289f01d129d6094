"""How many questions a gate answers, and how soon: the real program, asked as nginx asks, while routes are switched.

    python -m tests.benchmarks.gates [--rate 1500] [--seconds 20]

Each question has a line of its own, as nginx's have. First questions come at a fixed rate, whether answers come or not,
and the time of each is from when it was due: who waits for a slow answer before asking again would hide it. Then as
many as can be are asked, 64 at a time. The asker and 20 switches a second use the same processors. The rates of one
client are lifted: each question comes from an address of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from migrator.entries import Json
from migrator.errors import Side
from migrator.routes.nginx import NginxRoute
from migrator.secret import Secret
from tests.rigs.base import HOST, free_port, temporary_root
from tests.rigs.panel import ROOT, eventually

KEY = "seven wet stones"
PEOPLE = 10_000
SWITCHES_A_SECOND = 20
GOAL_RATE, GOAL_SECONDS = 1500, 0.025
_OPTIONS = (
    '{"table": {"ours": "gates/routes.sqlite"}, "domains": ["example.test"], "source": ["old.example.test"], '
    '"target": ["new.example.test"], "source_doors": ["imap 192.0.2.1:143"], "target_doors": ["imap 192.0.2.2:143"]}'
)
_SETUP = f"""
from campaigns.models import User
from campaigns.services import connectors
from migrator.secret import Secret
connectors.save(None, room="route", kind="nginx", name="nginx", options={_OPTIONS}, secret=Secret("{KEY}"),
    actor=User.objects.create(username="setup"))
"""


@dataclass
class Tally:
    """Seconds of each answer, and how many were none."""

    seconds: list[float] = field(default_factory=list)
    failures: int = 0
    processor: float = 0.0  # seconds of the gate's, for each answer

    def part(self, share: float) -> float:
        """Return the time within which ``share`` of the answers came."""
        return sorted(self.seconds)[min(len(self.seconds) - 1, int(share * len(self.seconds)))]


class Question(asyncio.Protocol):
    """One question on one line."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._seen = b""
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(self._octets)

    def data_received(self, data: bytes) -> None:
        self._seen += data

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.answer.done():
            self.answer.set_result(self._seen)


def octets(number: int) -> bytes:
    """Return question ``number``."""
    client = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    return (
        f"GET /auth/front HTTP/1.0\r\nHost: {HOST}\r\nAuth-Method: plain\r\nAuth-User: u{number % PEOPLE:05d}\r\n"
        f"Auth-Pass: pw\r\nAuth-Protocol: imap\r\nAuth-Login-Attempt: 1\r\nClient-IP: {client}\r\n"
        f"X-Auth-Key: {KEY}\r\n\r\n"
    ).encode()


async def ask(port: int, number: int, due: float, tally: Tally) -> None:
    """Ask once, and count the time since ``due``."""
    try:
        _, line = await asyncio.get_running_loop().create_connection(lambda: Question(octets(number)), HOST, port)
        answer = await asyncio.wait_for(line.answer, 10)
    except (OSError, TimeoutError):
        answer = b""
    if b"Auth-Status: OK\r\nAuth-Server: 192.0.2." in answer:
        tally.seconds.append(time.perf_counter() - due)
    else:
        tally.failures += 1


def is_answered(port: int) -> bool:
    """Tell whether the gate knows its routes."""
    tally = Tally()
    asyncio.run(ask(port, 0, 0.0, tally))
    return not tally.failures


class Gates:
    """``with Gates() as gates`` runs the program alone, with one route, in a folder of its own."""

    def __init__(self) -> None:
        self.port = free_port()

    def __enter__(self) -> Self:
        self._open = contextlib.ExitStack()
        made = tempfile.TemporaryDirectory(prefix="mailferry-gates-", dir=temporary_root())
        self.folder = Path(self._open.enter_context(made))
        variables = {"MAILFERRY_DATA": str(self.folder), "MAILFERRY_GATES_PORT": str(self.port)}
        environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **variables}
        manage = [sys.executable, str(ROOT / "manage.py")]
        for words in (["prepare"], ["shell", "-c", _SETUP]):
            subprocess.run([*manage, *words], env=environment, check=True, stdout=subprocess.DEVNULL)
        self.program = self._open.enter_context(subprocess.Popen([*manage, "gates"], env=environment))
        self._open.callback(self.program.terminate)
        eventually(lambda: is_answered(self.port), lambda: "the gate does not answer")
        return self

    def __exit__(self, *exc: object) -> None:
        self._open.close()


def processor_seconds(gates: Gates) -> float:
    """Return the processor time that the gate has used so far."""
    fields = Path(f"/proc/{gates.program.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def steadily(port: int, rate: int, seconds: float) -> Tally:
    """Ask ``rate`` times a second, come what may."""
    tally, tasks, begun = Tally(), set(), time.perf_counter()
    for number in range(int(rate * seconds)):
        due = begun + number / rate
        if (pause := due - time.perf_counter()) > 0:
            await asyncio.sleep(pause)
        task = asyncio.create_task(ask(port, number, due, tally))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    return tally


async def as_many_as_can_be(port: int, seconds: float, at_once: int = 64) -> float:
    """Return the answers a second that ``at_once`` askers get who do not wait."""
    tally, end, numbers = Tally(), time.perf_counter() + seconds, iter(range(1 << 24))

    async def one() -> None:
        while time.perf_counter() < end:
            await ask(port, next(numbers), time.perf_counter(), tally)

    begun = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(at_once)))
    assert not tally.failures
    return len(tally.seconds) / (time.perf_counter() - begun)


async def switching(gates: Gates) -> None:
    """Move users over and back, as a night does."""
    options: dict[str, Json] = {
        "table": str(gates.folder / "gates/routes.sqlite"),
        "domains": ["example.test"],
        "source": ["old.example.test"],
        "target": ["new.example.test"],
        "source_doors": ["imap 192.0.2.1:143"],
        "target_doors": ["imap 192.0.2.2:143"],
    }
    route, number = NginxRoute.of(options, Secret(KEY)), 0
    while True:
        address = f"u{number % PEOPLE:05d}@example.test"
        before = route.find(address)
        assert before is not None
        to = Side.TARGET if route.current(address) is Side.SOURCE else Side.SOURCE
        route.replace(address, before, route.routed(before, to))
        number += 1
        await asyncio.sleep(1 / SWITCHES_A_SECOND)


async def measure(gates: Gates, rate: int, seconds: float) -> tuple[Tally, float]:
    """Return what came of asking steadily, and the most that can be."""
    night = asyncio.create_task(switching(gates))
    await steadily(gates.port, rate, 1)  # all is warm
    gc.disable()  # the asker's own pauses are not the gate's
    before = processor_seconds(gates)
    steady = await steadily(gates.port, rate, seconds)
    steady.processor = (processor_seconds(gates) - before) / len(steady.seconds)
    most = await as_many_as_can_be(gates.port, seconds / 2)
    night.cancel()
    return steady, most


def main() -> int:
    """Measure, print, and tell whether the goal is met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=GOAL_RATE)
    parser.add_argument("--seconds", type=float, default=20)
    wanted = parser.parse_args()
    with Gates() as gates:
        steady, most = asyncio.run(measure(gates, wanted.rate, wanted.seconds))
    count = len(steady.seconds)
    print(f"{wanted.rate} questions a second for {wanted.seconds:.0f} s: {count} answered, {steady.failures} not")
    print(" ".join(f"{name} {1000 * steady.part(share):.1f} ms" for name, share in _SHARES))
    print(f"processor time of the gate: {1e6 * steady.processor:.0f} microseconds a question")
    print(f"as many as can be, 64 at a time: {most:.0f} a second")
    return 0 if not steady.failures and steady.part(0.99) < GOAL_SECONDS and most >= GOAL_RATE else 1


_SHARES = (("median", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("most", 1.0))

if __name__ == "__main__":
    sys.exit(main())
