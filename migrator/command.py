"""Run a program that an administrator has named: a list of words, never a shell.

Connectors reach what has no protocol through such programs. The words come from configuration that only
administrators write; addresses are put in as whole words and are looked at first, because a word that begins with a
hyphen is an option to most programs. No secret goes into words or environment, where others on the machine read them.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from migrator.errors import MigratorError, Patience

OUTPUT_BYTES: Final = 1024 * 1024  # what a program prints beyond that is read and thrown away
REPLY_CHARACTERS: Final = 500
TEMPORARY: Final = 75  # EX_TEMPFAIL of sysexits(3): trying later can help
_TICK_SECONDS: Final = 0.05
_PIECE_BYTES: Final = 64 * 1024
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Command:
    """A program with its first words, the seconds it may take, and what its environment holds beside PATH.

    Raises ``ValueError`` with a sentence for words that cannot be run.
    """

    words: tuple[str, ...]
    timeout_seconds: float = 30.0
    environment: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.words or not self.words[0].strip():
            raise ValueError("A command needs at least the name of a program.")
        if any("\0" in word for word in (*self.words, *self.environment, *self.environment.values())):
            raise ValueError("A command and its environment hold no NUL character.")
        if any(not name or "=" in name for name in self.environment):
            raise ValueError("The name of an environment variable is not empty and holds no equals sign.")
        if not self.timeout_seconds > 0:
            raise ValueError("A command needs time: its seconds are more than zero.")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a program left behind. ``code`` is its exit code, or minus the signal that ended it."""

    code: int
    out: str
    err: str

    @property
    def was_killed(self) -> bool:
        """True when a signal ended the program."""
        return self.code < 0

    @property
    def is_temporary(self) -> bool:
        """True when the program failed for a reason that may pass."""
        return self.was_killed or self.code == TEMPORARY

    def failure(self) -> MigratorError:
        """Return the error that this answer is, with the program's last words.

        A program that a signal ended said nothing about what it was asked: somebody else stopped it, or the machine
        was short of memory. Trying later can help, as when it says so itself.
        """
        words = (self.err.strip() or self.out.strip())[-REPLY_CHARACTERS:]
        if self.was_killed:
            words = f"{words} (ended by signal {-self.code})".lstrip()
        patience = Patience.LATER if self.is_temporary else None
        return MigratorError("command.failed", reply=words, patience=patience, exit_code=self.code)


def argument(text: str) -> str:
    """Return ``text`` when a program takes it as a plain word.

    Raises ``MigratorError("address.bad")`` for an empty word, a leading hyphen (an option), and characters that are
    not printable: a line end may end a command somewhere behind the program.
    """
    if not text or text.startswith("-") or not text.isprintable():
        raise MigratorError("address.bad")
    return text


def run(command: Command, arguments: Sequence[str] = (), *, lines: Callable[[str], None] | None = None) -> Answer:
    """Run ``command`` with further ``arguments`` and return its answer, whatever its exit code.

    ``lines`` is given each line that it prints, without its end, as many as there are; the answer's ``out`` is empty
    then. Without it the answer keeps no more than ``OUTPUT_BYTES``.

    After ``ssh`` they are quoted: it joins its words with blanks, and a shell on the other machine reads them.
    The program finds PATH, LC_ALL=C.UTF-8 and the command's own variables in its environment, and nothing of ours; it
    works in the root folder and reads nothing. Raises ``MigratorError``: command.missing when it cannot be started,
    command.slow when its time is over. Then it was killed with its children, and its effect may have happened or not.
    """
    end = time.monotonic() + command.timeout_seconds
    is_far = Path(command.words[0]).name == "ssh"
    spoken = [shlex.quote(word) for word in arguments] if is_far else arguments
    with _start([*command.words, *spoken], command.environment) as program:
        try:
            out, err = _listen(program, end, lines)
            code = program.wait(max(0.0, end - time.monotonic()))
        except (TimeoutError, subprocess.TimeoutExpired):
            raise MigratorError("command.slow", seconds=round(command.timeout_seconds)) from None
        finally:
            _kill(program)
    return Answer(code, out, err)


def _start(words: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"PATH": os.environ.get("PATH", _PATH), "LC_ALL": "C.UTF-8", **environment},
            cwd="/",
            start_new_session=True,
        )
    except OSError as error:
        raise MigratorError("command.missing", reply=f"{words[0]}: {error.strerror}") from None


def _kill(program: subprocess.Popen[bytes]) -> None:
    if program.poll() is None:  # not yet waited for, so its number cannot be another program's by now
        with contextlib.suppress(ProcessLookupError):
            os.killpg(program.pid, signal.SIGKILL)


def _listen(program: subprocess.Popen[bytes], end: float, lines: Callable[[str], None] | None) -> tuple[str, str]:
    """Return what ``program`` prints until it closes both streams or is gone. Raises ``TimeoutError``."""
    assert program.stdout
    assert program.stderr
    out, err = _Kept(), _Kept()
    heard = _Lines(lines) if lines else out
    with selectors.DefaultSelector() as selector:
        selector.register(program.stdout, selectors.EVENT_READ, heard)
        selector.register(program.stderr, selectors.EVENT_READ, err)
        while selector.get_map():
            if time.monotonic() >= end:
                raise TimeoutError
            is_gone = program.poll() is not None  # asked first: what it printed before it went is then seen
            ready = selector.select(0 if is_gone else _TICK_SECONDS)
            for key, _ in ready:
                if not _keep(key.fd, key.data):
                    selector.unregister(key.fileobj)
            if is_gone and not ready:
                break  # a child that it left in the background holds the streams open
    return _text(out), _text(err)


class _Kept:
    """What a stream brought, up to a limit."""

    def __init__(self) -> None:
        self.octets = bytearray()

    def take(self, piece: bytes) -> None:
        self.octets += piece[: max(0, OUTPUT_BYTES - len(self.octets))]


class _Lines:
    """Hands on what a stream brings, line by line; an empty piece is its end."""

    def __init__(self, hear: Callable[[str], None]) -> None:
        self._hear = hear
        self._rest = b""

    def take(self, piece: bytes) -> None:
        *whole, self._rest = (self._rest + piece).split(b"\n")
        if not piece and self._rest:
            whole, self._rest = [self._rest], b""
        for line in whole:
            self._hear(line.decode("utf-8", "replace"))


def _keep(stream: int, heard: _Kept | _Lines) -> bool:
    """Read once; say whether there may be more."""
    piece = os.read(stream, _PIECE_BYTES)
    heard.take(piece)
    return bool(piece)


def _text(printed: _Kept) -> str:
    return printed.octets.decode("utf-8", "replace")
