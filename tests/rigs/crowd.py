"""People who read, send and are written to all through a night, and note what they saw: a program of its own.

    python -m tests.rigs.crowd OUTPUT < PLAN

PLAN is the JSON of :class:`Plan`. Readers keep a session by IMAP open and come back at once when it ends; pollers fetch
by POP3 every few seconds; senders hand in mail by SMTP AUTH and file a copy in Sent; strangers send to one, to several
and to lists. Each of these is one line of OUTPUT. SIGTERM ends it. It shares no code with the engine.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import random
import re
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple, Self

from tests.rigs.base import HOST
from tests.rigs.prober import ELSEWHERE

ROOT = Path(__file__).resolve().parents[2]
DOMAIN = "example.test"
STRANGER = "stranger@elsewhere.test"
TITLE = re.compile(r"night (\S+)$")  # the subject of every message of the crowd
_ANSWER_SECONDS = 30.0
_AGAIN_SECONDS = 0.25  # so long a program waits before it tries to sign in again
_SITE = re.compile(rb'"site" "(\w+)"')


@dataclass(frozen=True)
class Plan:
    """Who does what, at which ports of the one address that people know. All passwords are one."""

    imap: int
    pop3: int
    smtp: int  # for strangers
    submission: int
    password: str
    readers: Sequence[str] = ()
    pollers: Sequence[str] = ()
    senders: Sequence[str] = ()
    recipients: Sequence[str] = ()
    lists: Mapping[str, Sequence[str]] = field(default_factory=dict)  # name of a list -> its members
    mails_per_second: float = 5.0  # by strangers
    sent_per_second: float = 1.0  # by senders
    poll_seconds: float = 5.0
    seed: int = 1


class SignIn(NamedTuple):
    """One try to sign in. ``verdict``: admitted, refused, or away (no answer). ``site``: old, new, or not known."""

    user: str
    service: str
    begun: float
    ended: float
    verdict: str
    site: str
    words: str


class Gone(NamedTuple):
    """A session of a reader that ended without their doing."""

    user: str
    at: float
    site: str


class Posted(NamedTuple):
    """One message that was handed in. ``verdict``: accepted, refused, or unknown (no answer to its end)."""

    mark: str
    sender: str
    begun: float
    ended: float
    verdict: str
    users: list[str]  # who must get it, lists resolved
    words: str


class Filed(NamedTuple):
    """A copy that a sender put into Sent. ``is_certain``: the server said that it has it."""

    user: str
    mark: str
    at: float
    is_certain: bool


@dataclass
class Notes:
    """All that a crowd noted."""

    sign_ins: dict[str, list[SignIn]] = field(default_factory=lambda: defaultdict(list))
    gone: dict[str, list[Gone]] = field(default_factory=lambda: defaultdict(list))
    posted: list[Posted] = field(default_factory=list)
    filed: dict[str, list[Filed]] = field(default_factory=lambda: defaultdict(list))


class Crowd:
    """``with Crowd(output, plan) as crowd:`` runs the program; afterwards :meth:`notes` says what was seen."""

    def __init__(self, output: Path, plan: Plan) -> None:
        self._output = output
        self._plan = plan
        self._program: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._output.touch()
        argv = [sys.executable, "-m", "tests.rigs.crowd", str(self._output)]
        self._program = subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE)
        assert self._program.stdin
        self._program.stdin.write(json.dumps(asdict(self._plan)).encode())
        self._program.stdin.close()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._program is not None:
            self._program.send_signal(signal.SIGTERM)
            try:
                self._program.wait(60)
            except subprocess.TimeoutExpired:
                self._program.kill()
                self._program.wait(10)
            self._program = None

    def notes(self) -> Notes:
        """Return what was noted so far."""
        found = Notes()
        for kind, *row in self._rows():
            match kind:
                case "sign_in":
                    found.sign_ins[row[0]].append(SignIn(*row))
                case "gone":
                    found.gone[row[0]].append(Gone(*row))
                case "posted":
                    found.posted.append(Posted(*row))
                case "filed":
                    found.filed[row[0]].append(Filed(*row))
        return found

    def _rows(self) -> Iterator[list[Any]]:
        with self._output.open(encoding="utf-8") as lines:
            for line in lines:
                if line.endswith("\n"):
                    yield json.loads(line)


# The program


class _Line:
    """A line to a server, from the users' address."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int, greeting: bytes) -> _Line:
        async with asyncio.timeout(_ANSWER_SECONDS):
            line = cls(*await asyncio.open_connection(HOST, port, local_addr=(ELSEWHERE, 0)))
        if not (await line.read()).startswith(greeting):
            line.close()
            raise OSError("no greeting")
        return line

    def write(self, text: bytes) -> None:
        self._writer.write(text)

    async def read(self, seconds: float | None = _ANSWER_SECONDS) -> bytes:
        async with asyncio.timeout(seconds):
            text = await self._reader.readline()
        if not text:
            raise OSError("the line is closed")
        return text

    async def ask(self, tag: bytes, text: bytes) -> list[bytes]:
        """IMAP: send a command; return all lines up to its tagged answer, or the word to go on."""
        self.write(tag + b" " + text + b"\r\n")
        lines = []
        while True:
            lines.append(await self.read())
            if lines[-1].startswith(b"* BYE"):
                raise OSError("the server says good-bye")
            if lines[-1].startswith((tag + b" ", b"+")):
                return lines

    async def say(self, text: bytes) -> tuple[int, str]:
        """SMTP: send a line; return code and words of the answer."""
        self.write(text + b"\r\n")
        while (answer := await self.read())[3:4] == b"-":
            pass
        return int(answer[:3]), answer.decode("ascii", "replace").strip()

    def close(self) -> None:
        self._writer.transport.abort()


class _Everybody:
    def __init__(self, plan: Plan, output: IO[str]) -> None:
        self._plan = plan
        self._output = output
        self._dice = random.Random(plan.seed)
        self._count = 0
        self._stop = asyncio.Event()

    async def run(self) -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._stop.set)
        plan = self._plan
        endless = [asyncio.create_task(self._read_for_ever(user)) for user in plan.readers]
        for at, user in enumerate(plan.pollers):
            phase = at / len(plan.pollers) * plan.poll_seconds
            endless.append(asyncio.create_task(self._poll_for_ever(user, phase)))
        posting = [asyncio.create_task(self._post_for_ever(plan.mails_per_second, self._write_as_stranger))]
        if plan.senders:
            posting.append(asyncio.create_task(self._post_for_ever(plan.sent_per_second, self._write_as_user)))
        await self._stop.wait()
        await asyncio.gather(*posting)  # what was begun is ended: a message on its way counts
        for task in endless:
            task.cancel()
        await asyncio.gather(*endless, return_exceptions=True)

    # Reading

    async def _read_for_ever(self, user: str) -> None:
        while True:
            line, site = await self._sign_in(user)
            if line is not None:
                with contextlib.suppress(OSError, TimeoutError):
                    await line.ask(b"s", b"SELECT INBOX")
                    await line.ask(b"i", b"IDLE")
                    while not (await line.read(None)).startswith(b"* BYE"):
                        pass
                line.close()
                self._note("gone", user, time.time(), site)
            else:
                await asyncio.sleep(_AGAIN_SECONDS)

    async def _sign_in(self, user: str) -> tuple[_Line | None, str]:
        """Sign in by IMAP and ask which server this is; note it. Return the line, None where nobody was admitted."""
        begun, verdict, site, words = time.time(), "away", "", ""
        line = None
        try:
            line = await _Line.open(self._plan.imap, b"* OK")
            answer = (await line.ask(b"a", f'LOGIN "{user}" "{self._plan.password}"'.encode()))[-1]
            words = answer.decode("ascii", "replace").strip()
            # a server that cannot ask its directory says so; that is no refusal of the user
            verdict = "admitted" if answer.startswith(b"a OK") else "away" if b"UNAVAILABLE" in answer else "refused"
            if verdict == "admitted":
                named = _SITE.search(b"".join(await line.ask(b"n", b"ID NIL")))
                site = named[1].decode() if named else ""
        except (OSError, TimeoutError) as error:
            words = words or str(error)
        self._note("sign_in", user, "imap", begun, time.time(), verdict, site, words[:200])
        if verdict != "admitted" and line is not None:
            line.close()
        return (line, site) if verdict == "admitted" else (None, "")

    async def _poll_for_ever(self, user: str, phase: float) -> None:
        await asyncio.sleep(phase)
        while True:
            begun, (verdict, words) = time.time(), await self._poll(user)
            self._note("sign_in", user, "pop3", begun, time.time(), verdict, "", words[:200])
            await asyncio.sleep(self._plan.poll_seconds)

    async def _poll(self, user: str) -> tuple[str, str]:
        """Fetch the last message by POP3 and leave it there; return verdict and words."""
        line, verdict, words = None, "away", ""
        try:
            line = await _Line.open(self._plan.pop3, b"+OK")
            line.write(f"USER {user}\r\n".encode())
            await line.read()
            line.write(f"PASS {self._plan.password}\r\n".encode())
            words = (await line.read()).decode("ascii", "replace").strip()
            is_away = "[SYS/TEMP]" in words or "[IN-USE]" in words
            verdict = "admitted" if words.startswith("+OK") else "away" if is_away else "refused"
            if verdict == "admitted":
                await _fetch_last(line)
        except (OSError, TimeoutError, ValueError) as error:
            words = words or str(error)
        finally:
            if line:
                line.close()
        return verdict, words

    # Sending

    async def _post_for_ever(self, a_second: float, write: Callable[[], Any]) -> None:
        going_on: set[asyncio.Task[None]] = set()
        while not self._stop.is_set():
            task = asyncio.create_task(write())
            going_on.add(task)
            task.add_done_callback(going_on.discard)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), self._dice.expovariate(a_second))
        await asyncio.gather(*going_on)

    async def _write_as_stranger(self) -> None:
        addresses, users = self._addressees()
        await self._post(self._mark("s"), STRANGER, None, addresses, users)

    async def _write_as_user(self) -> None:
        user = self._dice.choice(list(self._plan.senders))
        addresses, users = self._addressees()
        mark = self._mark("u")
        if await self._post(mark, f"{user}@{DOMAIN}", user, addresses, users):
            await self._file(user, mark)

    def _mark(self, kind: str) -> str:
        self._count += 1
        return f"{kind}{self._plan.seed}-{self._count}"

    def _addressees(self) -> tuple[list[str], list[str]]:
        """Return to which addresses a message goes, and who must get it: one, several, or the members of a list."""
        chance = self._dice.random()
        if chance < 0.15 and self._plan.lists:
            name = self._dice.choice(sorted(self._plan.lists))
            return [f"{name}@{DOMAIN}"], list(self._plan.lists[name])
        count = 1 if chance < 0.8 else self._dice.randint(2, 8)
        users = self._dice.sample(list(self._plan.recipients), min(count, len(self._plan.recipients)))
        return [f"{user}@{DOMAIN}" for user in users], users

    async def _post(self, mark: str, sender: str, login: str | None, to: list[str], users: list[str]) -> bool:
        """Hand in one message; note it. True when it was accepted."""
        begun, verdict, words = time.time(), "refused", ""
        line = None
        try:
            line = await _Line.open(self._plan.submission if login else self._plan.smtp, b"220")
            await self._introduce(line, login)
            for text in (f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{address}>" for address in to)):
                await _accepted(line, text.encode())
            await _accepted(line, b"DATA", 354)
            line.write(_body(mark, sender, to, self._dice))
            verdict = "unknown"  # from here on it may be theirs
            code, words = await line.say(b".")
            verdict = "accepted" if code == 250 else "refused"
        except (OSError, TimeoutError, ValueError) as error:
            words = str(error)
        finally:
            if line:
                line.close()
        self._note("posted", mark, sender, begun, time.time(), verdict, users, words[:200])
        return verdict == "accepted"

    async def _introduce(self, line: _Line, login: str | None) -> None:
        await _accepted(line, b"EHLO client.elsewhere.test")
        if login:
            word = base64.b64encode(f"\0{login}\0{self._plan.password}".encode())
            await _accepted(line, b"AUTH PLAIN " + word, 235)

    async def _file(self, user: str, mark: str) -> None:
        """Put a copy into Sent, as programs do after sending."""
        line, _ = await self._sign_in(user)
        if line is None:
            return
        is_begun = is_certain = False
        body = f"Subject: night {mark}\r\nX-Copy: sent\r\n\r\nAs it was sent.\r\n".encode()
        try:
            if (await line.ask(b"w", b"APPEND Sent (\\Seen) {%d}" % len(body)))[-1].startswith(b"+"):
                is_begun = True
                line.write(body + b"\r\n")
                while not (answer := await line.read()).startswith((b"w ", b"* BYE")):
                    pass
                is_certain = answer.startswith(b"w OK")
        except (OSError, TimeoutError):
            pass
        finally:
            line.close()
        if is_begun:
            self._note("filed", user, mark, time.time(), is_certain)

    def _note(self, *row: object) -> None:
        self._output.write(json.dumps(row) + "\n")
        self._output.flush()


async def _accepted(line: _Line, text: bytes, wanted: int = 250) -> None:
    code, words = await line.say(text)
    if code != wanted:
        raise ValueError(words)


async def _fetch_last(line: _Line) -> None:
    line.write(b"STAT\r\n")
    count = int((await line.read()).split()[1])
    if count:
        line.write(b"RETR %d\r\n" % count)
        while await line.read() != b".\r\n":
            pass
    line.write(b"QUIT\r\n")
    await line.read()


def _body(mark: str, sender: str, to: Sequence[str], dice: random.Random) -> bytes:
    lines = [
        f"Message-ID: <{mark}@elsewhere.test>",
        f"From: {sender}",
        f"To: {', '.join(to)}",
        "Date: Fri, 6 Nov 2026 21:00:00 +0100",
        f"Subject: night {mark}",
        "",
        *(f"line {number} of {mark} and some more words to fill it" for number in range(dice.randint(1, 80))),
    ]
    return "".join(f"{line}\r\n" for line in lines).encode()


def main() -> None:
    """Run until SIGTERM."""
    plan = Plan(**json.load(sys.stdin))
    with Path(sys.argv[1]).open("a", encoding="utf-8") as output, contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_Everybody(plan, output).run())


if __name__ == "__main__":
    main()
