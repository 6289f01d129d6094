"""``python -m tests.benchmarks.memory``: the most memory one lane takes over what it holds before its first connection.

Half a million messages in one folder, and one message of 2 GB. Each step is a process of its own, so that nothing an
earlier one held counts; a step is named by what it finds, and goes on where the one before ended.
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from migrator.limits import Limits
from migrator.secret import Secret
from migrator.stores.base import SourceStore
from migrator.stores.imap_session import Endpoint
from migrator.stores.imap_source import ImapSource
from migrator.stores.imap_target import ImapTarget
from migrator.stores.maildir import MaildirSource
from migrator.stores.mbox import MboxSource
from migrator.transfer.copy import run_pass
from migrator.transfer.file_ledger import LedgerFile
from migrator.transfer.manifest import Entry, Manifest
from migrator.transfer.plan import CopyPolicy
from migrator.transfer.signing import SigningKey
from migrator.transfer.verify import VerifyLevel, verify
from tests.benchmarks.lane import status
from tests.benchmarks.servers import PLAIN
from tests.benchmarks.wire import Dialogue
from tests.rigs.base import Account, temporary_root
from tests.rigs.dovecot import Dovecot

GOAL: Final = 32 * 1024 * 1024
CHANGED: Final = 1000
FIRST_DATE: Final = 1_100_000_000
LINE: Final = b"The minutes of the meeting are attached, please read them before Thursday.\r\n"
STEPS: Final = ("mbox", "maildir", "first", "unchanged", "delta", "every-flag", "digest", "proof", "filled", "huge")


@dataclass(frozen=True, slots=True)
class Side:
    """A mailbox as a step finds it: an account, or files."""

    account: Account | None = None
    mbox: Path | None = None
    maildir: Path | None = None

    def source(self) -> SourceStore:
        if self.mbox is not None:
            return MboxSource(self.mbox)
        if self.maildir is not None:
            return MaildirSource(self.maildir)
        return ImapSource(self._endpoint(), Limits())

    def target(self) -> ImapTarget:
        return ImapTarget(self._endpoint(), Limits())

    def _endpoint(self) -> Endpoint:
        assert self.account is not None
        return Endpoint(self.account.host, self.account.port, "plain", self.account.user, Secret(self.account.password))


# What a step does, in a process of its own


def copy(source: Side, target: Side, ledger: Path, appended: int, *, policy: CopyPolicy | None = None) -> str:
    """Run one pass and hold its result against what it should have appended."""
    with LedgerFile(ledger) as file, source.source() as reader, target.target() as writer:
        book = file.account(repr(source), repr(target))
        result = run_pass(reader, writer, book, policy=policy or CopyPolicy())
    if result.error is not None or not result.is_balanced or result.appended != appended:
        raise RuntimeError(f"{result.error} {result.totals} of {result.listed}, {result.appended} appended")
    return f"{result.appended:,} appended, {result.flag_changes:,} flags changed"


def check(source: Side, target: Side, ledger: Path) -> str:
    """Verify every byte."""
    with LedgerFile(ledger) as file, source.source() as reader, target.target() as writer:
        report = verify(reader, writer, file.account(repr(source), repr(target)), level=VerifyLevel.DIGEST)
    if not report.is_clean:
        raise RuntimeError(f"{len(report.differences)} differences, {report.differences[0]}")
    return f"{report.checked:,} messages read again"


def prove(source: Side, target: Side, ledger: Path) -> str:
    """Write the manifest."""
    octets = 0
    with LedgerFile(ledger) as file, file.account(repr(source), repr(target)) as book:
        manifest = Manifest(
            SigningKey(bytes(32)), made_at="2030-03-01T22:00:00+00:00", title="memory", with_records=True
        )
        for line in manifest.lines([Entry("source", "target", book)]):
            octets += len(line)
    return f"a manifest of {octets:,} octets"


def _measured(answer: Connection, work: Callable[..., str], *arguments: object, **named: object) -> None:
    gc.collect()
    idle = status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark begins anew, proc(5)
    begun = time.monotonic()
    done = work(*arguments, **named)
    seconds, used = time.monotonic() - begun, resource.getrusage(resource.RUSAGE_SELF)
    answer.send((seconds, used.ru_utime + used.ru_stime, status("VmHWM") - idle, done))


def measure(name: str, work: Callable[..., str], *arguments: object, **named: object) -> bool:
    """Do ``work`` apart and print what it took; False when it took more than the goal."""
    answers, answer = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("spawn").Process(
        target=_measured, args=(answer, work, *arguments), kwargs=named
    )
    child.start()
    answer.close()
    try:
        seconds, cpu, over_idle, done = answers.recv()
    except EOFError:
        raise RuntimeError(f"{name}: the lane ended without an answer") from None
    finally:
        child.join()
    mark = "met   " if over_idle <= GOAL else "MISSED"
    print(
        f"{mark}  {name:<11} {over_idle / 2**20:6.1f} MiB over idle  {seconds:7.1f} s, {cpu:6.1f} s CPU: {done}",
        flush=True,
    )
    return over_idle <= GOAL


# The mail


def _message(number: int) -> bytes:
    return (
        b"From: anna%d@example.org\r\nTo: crowd@example.org\r\nSubject: letter %d\r\nMessage-ID: <%d@example.org>\r\n"
        b"\r\n" % (number % 97, number, number)
    ) + LINE * (number % 4)


def write_mbox(path: Path, messages: int) -> Path:
    """Write one mbox of many small messages."""
    with path.open("wb") as file:
        for number in range(messages):
            when = time.strftime("%a %b %d %H:%M:%S %Y", time.gmtime(FIRST_DATE + number * 60)).encode()
            state = (b"Status: RO\nX-Status: %s\n" % (b"A" if number % 7 else b"")) if number % 3 else b"Status: O\n"
            head, body = _message(number).replace(b"\r\n", b"\n").split(b"\n\n", 1)
            file.write(b"From anna@example.org %s\n%s\n%s\n%s\n" % (when, head, state, body))
    return path


def write_maildir(path: Path, messages: int) -> Path:
    """Write one Maildir of many small messages."""
    for part in ("cur", "new", "tmp"):
        (path / part).mkdir(parents=True)
    for number in range(messages):
        date = FIRST_DATE + number * 60
        file = path / "cur" / f"{date}.M{number}P1.old-server.example:2,{'S' if number % 3 else ''}"
        file.write_bytes(_message(number).replace(b"\r\n", b"\n"))
        os.utime(file, (date, date))
    return path


def write_huge(maildir: Path, octets: int) -> None:
    """Write one message of ``octets``."""
    block = LINE.replace(b"\r\n", b"\n") * 10_000
    with (maildir / "cur" / "1100000000.M1P1.huge:2,S").open("wb") as file:
        file.write(b"From: anna@example.org\nSubject: everything\n\n")
        while file.tell() < octets:
            file.write(block)


# The steps


@contextmanager
def servers() -> Iterator[tuple[Dovecot, Dovecot]]:
    """Two servers that keep many messages in few files."""
    users = dict.fromkeys(("crowd", "again", "files", "huge"), "pw")
    extra = PLAIN + "mdbox_rotate_size = 100M\n"
    with Dovecot(users, layout="mdbox", extra=extra) as source, Dovecot(users, layout="mdbox", extra=extra) as target:
        yield source, target


def change(account: Account) -> None:
    """Add messages to the source and change the flags of as many."""
    line = Dialogue(account)
    for number in range(CHANGED):
        letter = _message(-1 - number)
        line.ask(b"APPEND INBOX {%d+}\r\n%s" % (len(letter), letter))
    line.ask(b"SELECT INBOX")
    line.ask(b"STORE 1:%d FLAGS.SILENT (\\Flagged)" % CHANGED)
    line.close()


class Run:
    """The steps, one after the other, on the same two servers."""

    def __init__(self, messages: int, huge_bytes: int, folder: Path, stack: ExitStack) -> None:
        self._messages, self._huge_bytes, self._folder, self._stack = messages, huge_bytes, folder, stack
        self._server, self._target = stack.enter_context(servers())
        self._crowd, self._copied = Side(self._server.account("crowd")), Side(self._target.account("crowd"))
        self._ledger = folder / "ledger"

    def step(self, name: str) -> bool:
        """Do one step and print it; False when it missed the goal."""
        works: dict[str, Callable[[], bool]] = {
            "mbox": self._mbox,
            "maildir": self._maildir,
            "first": lambda: self._copy("first", self._messages),
            "unchanged": lambda: self._copy("unchanged", 0),
            "delta": self._delta,
            "every-flag": lambda: self._copy("every-flag", 0, policy=CopyPolicy(compare_all_flags=True)),
            "digest": lambda: measure("digest", check, self._crowd, self._copied, self._ledger),
            "proof": lambda: measure("proof", prove, self._crowd, self._copied, self._ledger),
            "filled": self._filled,
            "huge": self._huge,
        }
        return works[name]()

    def _copy(self, name: str, appended: int, *, policy: CopyPolicy | None = None) -> bool:
        return measure(name, copy, self._crowd, self._copied, self._ledger, appended, policy=policy)

    def _mbox(self) -> bool:
        """Fill the source of the other steps."""
        file = write_mbox(self._folder / "crowd.mbox", self._messages)
        is_met = measure("mbox", copy, Side(mbox=file), self._crowd, self._folder / "ledger-mbox", self._messages)
        file.unlink()
        return is_met

    def _maildir(self) -> bool:
        maildir = Side(maildir=write_maildir(self._folder / "Maildir", self._messages))
        files = Side(self._target.account("files"))
        return measure("maildir", copy, maildir, files, self._folder / "ledger-maildir", self._messages)

    def _delta(self) -> bool:
        assert self._crowd.account is not None
        change(self._crowd.account)
        self._messages += CHANGED
        return self._copy("delta", CHANGED)

    def _filled(self) -> bool:
        self._ledger = self._folder / "ledger-new"
        return self._copy("filled", 0)

    def _huge(self) -> bool:
        source = self._stack.enter_context(Dovecot({"huge": "pw"}, extra=PLAIN))
        maildir = source.maildir("huge")
        write_huge(maildir, self._huge_bytes)
        source.give(maildir)
        sides = Side(source.account("huge")), Side(self._target.account("huge"))
        return measure("huge", copy, *sides, self._folder / "ledger-huge", 1)


def main(arguments: Sequence[str]) -> int:
    """Measure and print; return 1 when a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.memory", description=__doc__)
    parser.add_argument("--messages", type=int, default=500_000)
    parser.add_argument("--huge-bytes", type=int, default=2_200_000_000)
    parser.add_argument("--steps", type=lambda text: text.split(","), default=list(STEPS), help=", ".join(STEPS))
    chosen = parser.parse_args(arguments)
    if unknown := set(chosen.steps) - set(STEPS):
        parser.error(f"no such step: {', '.join(sorted(unknown))}")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=temporary_root())))
        run = Run(chosen.messages, chosen.huge_bytes, folder, stack)
        missed = [name for name in chosen.steps if not run.step(name)]
        return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
