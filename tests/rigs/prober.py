"""Users who sign in all the time, on both sides, and note who was admitted where and when: a program of its own.

    python -m tests.rigs.prober OUTPUT < PLAN

PLAN is JSON: ``{"seconds": 0.2, "from": "127.0.0.2", "doors": [[SIDE, PORT, USER, LOGIN, PASSWORD], ...],
"writers": [[PORT, USER, LOGIN, PASSWORD], ...]}``. Every door is tried every ``seconds``; each try is one line of
OUTPUT. A writer keeps one session open at the source and puts messages into INBOX until it is ended, and tries to come
back; each message is one line, too. SIGTERM ends it. It shares no code with the engine.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple, Self

from tests.rigs.base import HOST, Account

ROOT = Path(__file__).resolve().parents[2]
ELSEWHERE = "127.0.0.2"  # users sit at another address than the engine
_ANSWER_SECONDS = 20.0
_MOST_AT_ONCE = 10  # tries of one user at one side that wait for an answer


class Try(NamedTuple):
    """One try to sign in. Times are seconds since the epoch. ``verdict``: admitted, refused, or away (no answer)."""

    user: str
    side: str
    begun: float
    ended: float
    verdict: str


class Written(NamedTuple):
    """One message that a user put into their INBOX. ``is_certain``: the server said that it has it."""

    user: str
    mark: str
    at: float
    is_certain: bool


class Prober:
    """``with Prober(doors, writers) as prober:`` runs the program; afterwards :meth:`tries` and :meth:`written`."""

    def __init__(
        self,
        output: Path,
        doors: Iterable[tuple[str, Account, str]],
        writers: Iterable[tuple[Account, str]] = (),
        seconds: float = 0.2,
    ) -> None:
        """``doors``: (side, how to sign in, the user's name here)."""
        self._output = output
        self._plan = {
            "seconds": seconds,
            "from": ELSEWHERE,
            "doors": [[side, door.port, user, door.user, door.password] for side, door, user in doors],
            "writers": [[door.port, user, door.user, door.password] for door, user in writers],
        }
        self._program: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._output.touch()
        argv = [sys.executable, "-m", "tests.rigs.prober", str(self._output)]
        self._program = subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE)
        assert self._program.stdin
        self._program.stdin.write(json.dumps(self._plan).encode())
        self._program.stdin.close()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._program is not None:
            self._program.send_signal(signal.SIGTERM)
            try:
                self._program.wait(30)
            except subprocess.TimeoutExpired:
                self._program.kill()
                self._program.wait(10)
            self._program = None

    def tries(self) -> dict[str, list[Try]]:
        """Return all tries by user, in the order of their ends."""
        found: dict[str, list[Try]] = defaultdict(list)
        for row in self._rows("try"):
            found[row[0]].append(Try(*row))
        return found

    def written(self) -> dict[str, list[Written]]:
        """Return all messages that users wrote, by user."""
        found: dict[str, list[Written]] = defaultdict(list)
        for row in self._rows("written"):
            found[row[0]].append(Written(*row))
        return found

    def _rows(self, kind: str) -> Iterable[list[Any]]:
        with self._output.open(encoding="utf-8") as lines:
            for line in lines:
                if line.endswith("\n"):
                    found = json.loads(line)
                    if found[0] == kind:
                        yield found[1:]


class Night(NamedTuple):
    """What the journal says of one user's last cutover, in seconds since the epoch; None: not come to it."""

    disable_begun: float | None
    disable_done: float | None
    enable_begun: float | None
    enable_done: float | None


def judge(user: str, tries: Sequence[Try], night: Night) -> list[str]:
    """Return every try that contradicts the journal, as sentences; none means that the user was never on both sides.

    Refused at the source from DISABLE on for good, refused at the target until ENABLE begins, admitted there from
    ENABLE on. What ran across a border belongs to neither side of it.
    """
    found = []
    for one in tries:
        if wrong := _wrong(one, night):
            found.append(f"{user}: {wrong} ({one.side}, {one.begun:.3f} to {one.ended:.3f}; {night})")
    found += wrong_order(user, tries)
    if night.enable_done is not None and not any(_is_admitted(one, "target") for one in tries):
        found.append(f"{user}: never admitted at the target")
    return found


def wrong_order(user: str, tries: Sequence[Try]) -> list[str]:
    """Return what contradicts a user's one way from the source to the target, whatever any journal says."""
    found = []
    left = max((one.begun for one in tries if _is_admitted(one, "source")), default=None)
    came = min((one.ended for one in tries if _is_admitted(one, "target")), default=None)
    if left is not None and came is not None and came < left:
        found.append(f"{user}: admitted at the source {left - came:.3f} s after they were admitted at the target")
    refused = [one for one in tries if one.side == "target" and one.verdict == "refused" and _is_after(one.begun, came)]
    if refused:
        found.append(f"{user}: refused at the target after they were admitted there ({refused[0]})")
    return found


def _is_admitted(one: Try, side: str) -> bool:
    return one.side == side and one.verdict == "admitted"


def lockout_seconds(tries: Sequence[Try]) -> float | None:
    """Return how long a user was on neither side: from their last admission at the source to the first after it."""
    left = max((one.ended for one in tries if one.side == "source" and one.verdict == "admitted"), default=None)
    came = min((one.ended for one in tries if one.side == "target" and one.verdict == "admitted"), default=None)
    return came - left if left is not None and came is not None else None


def _wrong(one: Try, night: Night) -> str:
    if one.side == "source":
        if one.verdict == "admitted" and _is_after(one.begun, night.disable_done):
            return "admitted at the source after DISABLE"
        if one.verdict == "refused" and (night.disable_begun is None or one.ended < night.disable_begun):
            return "refused at the source before DISABLE"
    else:
        if one.verdict == "admitted" and (night.enable_begun is None or one.ended < night.enable_begun):
            return "admitted at the target before ENABLE"
        if one.verdict == "refused" and _is_after(one.begun, night.enable_done):
            return "refused at the target after ENABLE"
    return ""


def _is_after(moment: float, border: float | None) -> bool:
    return border is not None and moment > border


# The program


class _Line:
    """A line to a server, from the users' address."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int, place: str) -> _Line:
        reader, writer = await asyncio.open_connection(HOST, port, local_addr=(place, 0))
        line = cls(reader, writer)
        if not (await line.read()).startswith(b"* OK"):
            raise OSError("no greeting")
        return line

    async def read(self) -> bytes:
        text = await asyncio.wait_for(self._reader.readline(), _ANSWER_SECONDS)
        if not text:
            raise OSError("the line is closed")
        return text

    async def ask(self, tag: bytes, text: bytes) -> bytes:
        """Send a command; return its tagged answer, or the word to go on."""
        self._writer.write(tag + b" " + text + b"\r\n")
        while True:
            answer = await self.read()
            if answer.startswith((tag + b" ", b"+")):
                return answer
            if answer.startswith(b"* BYE"):
                raise OSError("the server says good-bye")

    async def sign_in(self, login: str, password: str) -> str:
        answer = await self.ask(b"a", f'LOGIN "{login}" "{password}"'.encode())
        if answer.startswith(b"a OK"):
            return "admitted"
        # a server that cannot ask its directory says so; that is no refusal of the user
        return "away" if b"UNAVAILABLE" in answer else "refused"

    async def append(self, body: bytes) -> bool:
        """Put a message into INBOX; True when the server said that it has it."""
        if not (await self.ask(b"w", b"APPEND INBOX (\\Seen) {%d}" % len(body))).startswith(b"+"):
            return False
        self._writer.write(body + b"\r\n")
        while not (answer := await self.read()).startswith((b"w ", b"* BYE")):
            pass
        return answer.startswith(b"w OK")

    def close(self) -> None:
        self._writer.transport.abort()


class _Crowd:
    def __init__(self, plan: dict[str, Any], output: IO[str]) -> None:
        self._seconds: float = plan["seconds"]
        self._place: str = plan["from"]
        self._plan = plan
        self._output = output

    async def run(self) -> None:
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        doors = self._plan["doors"]
        tasks = [asyncio.create_task(self._try_for_ever(at / len(doors), *door)) for at, door in enumerate(doors)]
        tasks += [asyncio.create_task(self._write_for_ever(*writer)) for writer in self._plan["writers"]]
        await stop.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _try_for_ever(self, phase: float, side: str, port: int, user: str, login: str, password: str) -> None:
        """Try on a grid of its own: a server takes its time to refuse, and the next try does not wait for that."""
        await asyncio.sleep(phase * self._seconds)
        going_on: set[asyncio.Task[None]] = set()
        while True:
            if len(going_on) < _MOST_AT_ONCE:
                task = asyncio.create_task(self._try_and_note(side, port, user, login, password))
                going_on.add(task)
                task.add_done_callback(going_on.discard)
            await asyncio.sleep(self._seconds)

    async def _try_and_note(self, side: str, port: int, user: str, login: str, password: str) -> None:
        begun = time.time()
        verdict = await self._try(port, login, password)
        self._note("try", user, side, begun, time.time(), verdict)

    async def _try(self, port: int, login: str, password: str) -> str:
        line = None
        try:
            line = await _Line.open(port, self._place)
            verdict = await line.sign_in(login, password)
            if verdict == "admitted":
                with contextlib.suppress(OSError, TimeoutError):  # it was let in, whatever comes then
                    await line.ask(b"b", b"LOGOUT")
            return verdict
        except (OSError, TimeoutError):
            return "away"
        finally:
            if line:
                line.close()

    async def _write_for_ever(self, port: int, user: str, login: str, password: str) -> None:
        number = 0
        while True:
            line = None
            try:
                line = await _Line.open(port, self._place)
                if await line.sign_in(login, password) == "admitted":
                    while True:
                        number += 1
                        await self._write(line, user, f"{user}-{number}")
            except (OSError, TimeoutError):
                pass
            finally:
                if line:
                    line.close()
            await asyncio.sleep(self._seconds)

    async def _write(self, line: _Line, user: str, mark: str) -> None:
        body = f"Subject: written {mark}\r\nX-Mark: {mark}\r\n\r\nWritten while moving.\r\n".encode()
        is_certain = False
        try:
            is_certain = await line.append(body)
        finally:
            self._note("written", user, mark, time.time(), is_certain)
        await asyncio.sleep(self._seconds / 2)

    def _note(self, *row: object) -> None:
        self._output.write(json.dumps(row) + "\n")
        self._output.flush()


def main() -> None:
    """Run until SIGTERM."""
    plan = json.load(sys.stdin)
    with Path(sys.argv[1]).open("a", encoding="utf-8") as output, contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_Crowd(plan, output).run())


if __name__ == "__main__":
    main()
