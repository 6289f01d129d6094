"""Writes files of mail as the programs of their time did: mbox and Maildir, by hand, without the engine."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Protocol

from tests.rigs.corpus import encode

_STATUS = {"\\Answered": "A", "\\Flagged": "F", "\\Draft": "T", "\\Deleted": "D"}
_LETTERS = {"\\Draft": "D", "\\Flagged": "F", "\\Answered": "R", "\\Seen": "S", "\\Deleted": "T"}


class AnyLetter(Protocol):
    """What a message must tell to be written."""

    @property
    def body(self) -> bytes: ...
    @property
    def flags(self) -> Iterable[str]: ...
    @property
    def internal_date(self) -> int: ...
    @property
    def zone_minutes(self) -> int: ...


def from_line(when: int, zone_minutes: int = 0, sender: str = "anna@example.test") -> bytes:
    """A separator with a numeric zone."""
    date = datetime.fromtimestamp(when, UTC).astimezone(timezone(timedelta(minutes=zone_minutes)))
    text = date.strftime("%a %b %d %H:%M:%S %z %Y")
    return f"From {sender} {text}\n".encode()


def mbox_message(letter: AnyLetter, *, extra: bytes = b"") -> bytes:
    """One message of an mbox, with the fields of its state behind the other fields of its header."""
    head, gap, body = letter.body.replace(b"\r\n", b"\n").partition(b"\n\n")
    flags = set(letter.flags)
    state = b"Status: %sO\n" % (b"R" if "\\Seen" in flags else b"")
    state += b"X-Status: %s\n" % "".join(_STATUS[flag] for flag in sorted(flags & _STATUS.keys())).encode()
    keywords = sorted(flag for flag in flags if not flag.startswith("\\"))
    state += b"X-Keywords: %s\n" % " ".join(keywords).encode() if keywords else b""
    return from_line(letter.internal_date, letter.zone_minutes) + head + b"\n" + state + extra + gap[1:] + body + b"\n"


def write_mbox(file: Path, letters: Sequence[AnyLetter]) -> None:
    """Append letters to a file. The first of a new file carries the keywords of all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    keywords = sorted({flag for one in letters for flag in one.flags if not flag.startswith("\\")})
    base = b"X-IMAPbase: 1234567890 0000000000 %s\n" % " ".join(keywords).encode() if keywords else b""
    with file.open("ab") as out:
        for number, one in enumerate(letters):
            out.write(mbox_message(one, extra=b"" if number else base))
    file.chmod(0o600)


def write_mbox_tree(root: Path, folders: Mapping[tuple[str, ...], Sequence[AnyLetter]]) -> None:
    """Write each folder as one file below ``root``, with names as IMAP servers write them."""
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path, letters in folders.items():
        write_mbox(root.joinpath(*(encode(level).decode() for level in path)), letters)


def maildir_folder(root: Path, path: tuple[str, ...]) -> Path:
    """Where a folder of a Maildir++ is, made when it is not there."""
    folder = root if path == ("INBOX",) else root / ("." + ".".join(encode(level).decode() for level in path))
    for part in ("cur", "new", "tmp"):
        (folder / part).mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def write_maildir(root: Path, folders: Mapping[tuple[str, ...], Sequence[AnyLetter]], *, crlf: bool = True) -> None:
    """Write each folder of a Maildir++, every keyword with its letter in ``dovecot-keywords``."""
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path, letters in folders.items():
        folder = maildir_folder(root, path)
        keywords = sorted({flag for one in letters for flag in one.flags if not flag.startswith("\\")})
        if keywords:
            rows = "".join(f"{number} {name}\n" for number, name in enumerate(keywords))
            (folder / "dovecot-keywords").write_text(rows)
        names = _LETTERS | {name: chr(ord("a") + number) for number, name in enumerate(keywords)}
        for number, one in enumerate(letters):
            info = "".join(sorted(names[flag] for flag in one.flags))
            body = one.body if crlf else one.body.replace(b"\r\n", b"\n")
            deliver(folder, body, one.internal_date, number, info if one.flags else None)


def deliver(folder: Path, body: bytes, when: int, number: int = 0, info: str | None = None) -> Path:
    """Put one message into a folder of a Maildir: into ``new`` without ``info``, else into ``cur``."""
    name = f"{time.time_ns() // 1000}{number:06d}.M{number}P{os.getpid()}.host"
    (folder / "tmp" / name).write_bytes(body)
    os.utime(folder / "tmp" / name, (when, when))
    place = folder / "new" / name if info is None else folder / "cur" / f"{name}:2,{info}"
    (folder / "tmp" / name).rename(place)
    return place
