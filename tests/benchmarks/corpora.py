"""The mail that is copied: accounts of known shape, written straight into Maildirs as Dovecot itself would write them.

Nothing is delivered through a server, so making 200 MB takes a second, and each run of the benchmark finds the same
messages, dates, flags and keywords: everything random comes from a seed made of the corpus' name.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

KEYWORDS: Final = ("$Forwarded", "NonJunk", "$Label1", "Urgent")
OLDEST: Final = 788918400  # 1 January 1995
NEWEST: Final = 1735689600  # 1 January 2025
LINE: Final = 76
TYPICAL_FOLDERS: Final = (
    "INBOX", "Sent", "Drafts", "Trash", "Junk", "Archive", "Archive.2023", "Archive.2024", "Projects",
    "Projects.Alpha", "Projects.Beta", "Entw&APw-rfe",
)  # fmt: skip
TYPICAL_SHARES: Final = (0.30, 0.16, 0.01, 0.03, 0.02, 0.10, 0.11, 0.10, 0.05, 0.06, 0.05, 0.01)


class Stored(NamedTuple):
    """One message in a Maildir."""

    file: Path
    flags: str  # as APPEND takes them, without brackets
    internal_date: int


@dataclass(frozen=True, slots=True)
class Corpus:
    """A shape of mail. ``sizes`` draws the wire sizes of one account's messages; ``accounts`` share the shape."""

    name: str
    messages: int
    folders: tuple[str, ...]
    shares: tuple[float, ...]
    sizes: Callable[[random.Random, int], list[int]]
    accounts: int = 1

    def cut(self, scale: float) -> Corpus:
        """Return the corpus with ``scale`` of its messages (for many: of its accounts); folders stay as they are."""
        if scale == 1:
            return self
        name = f"{self.name}/{round(1 / scale, 2):g}"
        if self.accounts > 1:
            return Corpus(name, self.messages, self.folders, self.shares, self.sizes,
                          max(1, round(self.accounts * scale)))  # fmt: skip
        return Corpus(name, max(1, round(self.messages * scale)), self.folders, self.shares, self.sizes)

    @property
    def users(self) -> list[str]:
        """The accounts' names on the source."""
        plain = self.name.replace("/", "-").replace(".", "-")
        return [f"{plain}-{number:03}" for number in range(self.accounts)]


def _exactly(total: int, drawn: list[float]) -> list[int]:
    factor = total / sum(drawn)
    return [max(700, round(size * factor)) for size in drawn]


def _lognormal(mean_bytes: int) -> Callable[[random.Random, int], list[int]]:
    # median 12 kB with 0.6 % of 1-5 MB beside it, as mailboxes of offices look
    def sizes(rng: random.Random, count: int) -> list[int]:
        small = [min(rng.lognormvariate(9.39, 1.156), 9e5) for _ in range(count - round(count * 0.006))]
        big = [rng.uniform(1e6, 5e6) for _ in range(count - len(small))]
        drawn = small + big
        rng.shuffle(drawn)
        return _exactly(mean_bytes * count, drawn)

    return sizes


def _equal(size_bytes: int) -> Callable[[random.Random, int], list[int]]:
    return lambda _rng, count: [size_bytes] * count


CORPORA: Final = {
    corpus.name: corpus
    for corpus in (
        Corpus("typical", 5000, TYPICAL_FOLDERS, TYPICAL_SHARES, _lognormal(41_340)),
        Corpus("small", 20_000, ("INBOX", "Sent", "Archive"), (0.5, 0.2, 0.3), _equal(3000)),
        Corpus("large", 200, ("INBOX", "Sent", "Archive"), (0.5, 0.2, 0.3), _equal(5_000_000)),
        Corpus("many", 150, ("INBOX", "Sent", "Archive", "Trash"), (0.6, 0.2, 0.15, 0.05), _equal(8200), 200),
        Corpus("huge", 1, ("INBOX",), (1.0,), _equal(200_000_000)),
    )
}


def named(name: str) -> Corpus:
    """Return the corpus of a name as :meth:`Corpus.cut` makes them: ``small``, ``small/20``."""
    whole, _, parts = name.partition("/")
    return CORPORA[whole].cut(1 / float(parts)) if parts else CORPORA[whole]


def write(corpus: Corpus, mail: Path) -> None:
    """Write every account of ``corpus`` as ``mail/USER/Maildir``."""
    for user in corpus.users:
        _write_account(corpus, user, mail / user / "Maildir")


def _write_account(corpus: Corpus, user: str, maildir: Path) -> None:
    rng = random.Random(f"{corpus.name} {user}")
    sizes = corpus.sizes(rng, corpus.messages)
    first = 0
    for number, (folder, share) in enumerate(zip(corpus.folders, corpus.shares, strict=True)):
        last = len(sizes) if folder == corpus.folders[-1] else min(len(sizes), first + round(corpus.messages * share))
        _write_folder(rng, folder_of(maildir, folder), number + 1, sizes[first:last], f"{user}-{number}")
        first = last
    (maildir / "subscriptions").write_text("".join(f"{folder}\n" for folder in corpus.folders))


def folder_of(maildir: Path, folder: str) -> Path:
    """Return where Maildir++ keeps ``folder``."""
    return maildir if folder == "INBOX" else maildir / f".{folder}"


def _write_folder(rng: random.Random, folder: Path, number: int, sizes: list[int], mark: str) -> None:
    for part in ("cur", "new", "tmp"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    listed = [f"3 V{1_600_000_000 + number} N{len(sizes) + 1} G{rng.randbytes(16).hex()}\n"]
    for uid, (size, date) in enumerate(zip(sizes, _dates(rng, len(sizes)), strict=True), 1):
        text = _message(rng, size, date, f"{mark}-{uid}")
        # S= and W= are the sizes with LF and with CRLF: without them Dovecot reads each file before it can tell a size
        on_the_wire = len(text) + text.count(b"\n")
        base = f"{date}.M{uid}P1.bench,S={len(text)},W={on_the_wire}"
        file = folder / "cur" / f"{base}:2,{_flag_letters(rng)}"
        file.write_bytes(text)
        os.utime(file, (date, date))
        listed.append(f"{uid} :{base}\n")
    (folder / "dovecot-uidlist").write_text("".join(listed))
    (folder / "dovecot-keywords").write_text("".join(f"{i} {word}\n" for i, word in enumerate(KEYWORDS)))


def _dates(rng: random.Random, count: int) -> list[int]:
    """Return dates as mail arrives: ascending, ever more of it, and here and there one filed late."""
    dates = sorted(OLDEST + int((NEWEST - OLDEST) * rng.random() ** 0.3) for _ in range(count))
    return [rng.randrange(OLDEST, date + 1) if rng.random() < 0.02 else date for date in dates]


def _flag_letters(rng: random.Random) -> str:
    flags = "".join(letter for letter, share in (("F", 0.05), ("R", 0.15), ("S", 0.75)) if rng.random() < share)
    return flags + (rng.choice("abcd"[: len(KEYWORDS)]) if rng.random() < 0.1 else "")


def _message(rng: random.Random, size: int, date: int, mark: str) -> bytes:
    """Return a message with LF line ends that is ``size`` bytes long with CRLF ones."""
    sent = time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime(date))
    head = (
        f"Return-Path: <sender{rng.randrange(500)}@example.org>\n"
        f"Received: from relay.example.org (relay.example.org [192.0.2.{rng.randrange(256)}])\n"
        f"\tby mx.example.net with ESMTP id {rng.randbytes(6).hex()}; {sent}\n"
        f"From: Sender {rng.randrange(500)} <sender{rng.randrange(500)}@example.org>\n"
        f"To: Somebody <somebody@example.net>\nSubject: About the matter {rng.randbytes(4).hex()}\n"
        f"Date: {sent}\nMessage-ID: <{mark}.{rng.randbytes(6).hex()}@example.org>\n"
        "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\n"
    ).encode()
    lines, rest = divmod(max(0, size - len(head) - head.count(b"\n")), LINE + 2)
    text = _text()
    start = rng.randrange(len(text) // (LINE + 1) // 2) * (LINE + 1)
    half = len(text) // 2
    body = bytearray()
    while (missing := lines * (LINE + 1) - len(body)) > 0:
        body += text[start : start + min(missing, half)]
    return head + body + (b"x" * (rest - 2) + b"\n" if rest > 2 else b"")


@cache
def _text() -> bytes:
    rng = random.Random("text")
    words = ["".join(rng.choices("abcdefghilmnoprstuvwz", k=rng.randrange(2, 11))) for _ in range(3000)]
    lines = (" ".join(rng.choices(words, k=16))[:LINE].ljust(LINE, ".") for _ in range(27_000))
    return "".join(f"{line}\n" for line in lines).encode()


def stored(maildir: Path, folder: str) -> Iterator[Stored]:
    """Yield the messages of a folder that :func:`write` made, in the order of their UIDs."""
    where = folder_of(maildir, folder)
    letters = {name.split(":2,")[0]: name for name in sorted(file.name for file in (where / "cur").iterdir())}
    for line in (where / "dovecot-uidlist").read_text().splitlines()[1:]:
        base = line.split(" :", 1)[1]
        name = letters[base]
        yield Stored(where / "cur" / name, _flags(name.partition(":2,")[2]), int(base.split(".", 1)[0]))


def _flags(letters: str) -> str:
    known = {"D": "\\Draft", "F": "\\Flagged", "R": "\\Answered", "S": "\\Seen", "T": "\\Deleted"}
    known |= dict(zip("abcd", KEYWORDS, strict=True))
    return " ".join(known[letter] for letter in letters)
