"""Mend a message on its way: which repairs are tried, in what order, and the body in the meantime.

What came whole is mended in memory. What is streamed waits in a file without a name, mapped, so that it is never held.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from mmap import ACCESS_READ, mmap
from typing import IO, Final, NamedTuple

from migrator.errors import MigratorError
from migrator.mail import Digest, Message
from migrator.transfer.digest import RunningDigest, digest_whole
from migrator.transfer.repairs import Body, Repair, named, repaired, repairs_for

PIECE_BYTES: Final = 64 * 1024
NAMES_CHARACTERS: Final = 60


class Mended(NamedTuple):
    """What was done to a message before the target took it."""

    repairs: tuple[Repair, ...]
    size_bytes: int  # of the source literal
    refusal: MigratorError | None  # of the form before; None: mended ahead, because the operator asked for it

    @property
    def names(self) -> str:
        """The repairs in their order, joined by ``+``; as many as a row of the ledger has room for."""
        names = ""
        for repair in self.repairs:
            longer = f"{names}+{repair}" if names else str(repair)
            if len(longer) > NAMES_CHARACTERS:
                return f"{names}+..."
            names = longer
        return names


@dataclass(slots=True)
class Course:
    """The way of one refused message through its repairs."""

    error: MigratorError  # the last refusal
    is_again: bool = False  # once more as it is
    waiting: list[Repair] = field(default_factory=list)  # to try next, until one changes something
    tried: set[Repair] = field(default_factory=set)
    done: list[Repair] = field(default_factory=list)  # those of them that changed something

    def take_refusal(self, error: MigratorError, allowed: Collection[Repair]) -> bool:
        """Note one more refusal; True when there is something left to try."""
        self.error = error
        self.waiting = [repair for repair in repairs_for(error, allowed) if repair not in self.tried]
        return bool(self.waiting)

    def mend(self, piece: Workpiece, longest_line: int) -> bool:
        """Do the next repair that changes ``piece``; False when there is none, or it goes again as it is."""
        while self.waiting:
            repair = self.waiting.pop(0)
            self.tried.add(repair)
            if piece.mend(repair, longest_line):
                self.done.append(repair)
                return True
        return False


def begin_course(error: MigratorError, allowed: Collection[Repair]) -> Course | None:
    """Return how a message that was refused as it is may go on, None when it may not."""
    course = Course(error)
    if error.code == "message.refused_bare":  # Exchange says it of its own troubles too
        course.is_again = True
        return course
    return course if course.take_refusal(error, allowed) else None


class Workpiece:
    """A message's body between source and target. ``original`` is the digest of what the source gave."""

    def __init__(self, message: Message) -> None:
        self.size_bytes = message.size_bytes
        self._file: IO[bytes] | None = None
        self._body: Body
        if message.whole is not None:
            self._body = message.whole
            self.original = digest_whole(message.whole)
        else:
            running = RunningDigest()
            self._spool(_watched(message.stream or iter(()), running))
            self.original = running.finish()

    def mend(self, repair: Repair, longest_line: int) -> bool:
        """Apply ``repair``; False, and nothing changed, when the message does not have that fault."""
        pieces = repaired(repair, self._body, longest_line)
        if pieces is None:
            return False
        if self._file is None:
            self._body = b"".join(pieces)
        else:
            self._spool(pieces)
        return True

    def name(self, name: bytes) -> bool:
        """Put the name by which POP3 programs know the message on top; False when it stands there already."""
        pieces = named(self._body, name)
        if pieces is None:
            return False
        if self._file is None:
            self._body = b"".join(pieces)
        else:
            self._spool(pieces)
        return True

    def give_to(self, message: Message) -> None:
        """Put the body into ``message``, with its length, and the digests of what came and of what goes."""
        message.size_bytes = len(self._body)
        if isinstance(self._body, bytes):
            mended = digest_whole(self._body)
            message.whole, message.stream = self._body, None
        else:
            running = RunningDigest()
            for piece in _pieces(self._body):
                running.update(piece)
            mended = running.finish()
            message.whole, message.stream = None, self._hand_out()
        message.digest = Digest(self.original.source, mended.canonical, mended.canonical_bytes)

    def take_back(self, message: Message) -> None:
        """``message`` goes nowhere: leave nothing in it to be read, and let go of the file."""
        message.whole = message.stream = None
        self.close()

    def close(self) -> None:
        """Let go of the file, if there is one."""
        if isinstance(self._body, mmap):
            self._body.close()
        if self._file is not None:
            self._file.close()

    def _spool(self, pieces: Iterator[bytes]) -> None:
        file = tempfile.TemporaryFile()  # noqa: SIM115  # closed by close(), or by the next repair
        for piece in pieces:
            file.write(piece)
        file.flush()
        if self._file is not None:
            self.close()
        self._file = file
        self._body = mmap(file.fileno(), 0, access=ACCESS_READ) if file.tell() else b""

    def _hand_out(self) -> Iterator[bytes]:
        try:
            yield from _pieces(self._body)
        finally:
            self.close()


def _pieces(body: Body) -> Iterator[bytes]:
    for at in range(0, len(body), PIECE_BYTES):
        yield body[at : at + PIECE_BYTES]


def _watched(pieces: Iterator[bytes], running: RunningDigest) -> Iterator[bytes]:
    for piece in pieces:
        running.update(piece)
        yield piece
