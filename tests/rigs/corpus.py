"""Mail as in life, from a seed: odd folder names, flags, keywords, dates from 1995 on in odd zones, odd messages.

The same seed makes the same mail, byte for byte. Nothing here is anybody's.
"""

from __future__ import annotations

import base64
import random
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Final, NamedTuple

from tests.rigs.base import Account
from tests.rigs.dialogue import Dialogue, Refused, quoted

Path = tuple[str, ...]

FOLDERS: Final[tuple[Path, ...]] = (
    ("INBOX",), ("Sent",), ("Trash",), ("Entwürfe & Pläne",), ('Wer "das" liest',), ("back\\slash",), (" vorn",),
    ("hinten ",), ("100% sicher",), ("😀 Grüße",), ("Projekte", "2019", "Kunde", "Müller", "Angebote"),
    ("Projekte", "2019"), ("NIL",), ("INBOX", "INBOX-Ablage"), ("空の箱",),
)  # fmt: skip
"""Fifteen folders. The last stays empty; ``Projekte`` and two more levels are only names."""
CYRUS_FOLDERS: Final = tuple(tuple(level.translate(str.maketrans('"\\%', "'#+")) for level in path) for path in FOLDERS)
"""The same without the letters that Cyrus refuses in a name."""
COURIER_FOLDERS: Final = tuple(tuple(level.replace("😀", "☺") for level in path) for path in FOLDERS)
"""The same without letters beyond 16 bits, which Courier refuses."""

KEYWORDS: Final = ("$Forwarded", "NonJunk", "Junk", "$MDNSent", "$Label1", "Projekt-A", "receipt-handled")
ZONES: Final = (0, 60, 120, -300, -480, 330, 345, -210, 765, -720, 840, -90)  # minutes east of Greenwich

_FIRST: Final = datetime(1995, 3, 1, tzinfo=UTC)
_LAST: Final = datetime(2025, 12, 31, tzinfo=UTC)  # servers store a date of their future as the present
_WORDS: Final = (
    "der die das und nicht Angebot Rechnung morgen bitte Termin Anlage danke Grüße Straße naïve façade 東京 Ελλάδα "
    "the of and meeting invoice attached tomorrow please regards budget draft review deadline question answer"
).split()


@dataclass(frozen=True, slots=True)
class Mail:
    """One message as it is put on a server."""

    body: bytes
    flags: tuple[str, ...]
    date: datetime  # aware, in the zone the server is given

    @property
    def options(self) -> bytes:
        """Flags and date as APPEND takes them."""
        months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
        when = f"{self.date.day:02d}-{months[self.date.month - 1]}-{self.date:%Y %H:%M:%S %z}"
        return f'({" ".join(self.flags)}) "{when}"'.encode()


class Box(NamedTuple):
    """One folder and what is in it."""

    path: Path
    mails: list[Mail]
    subscribed: bool


def lifelike(seed: int, *, messages: int = 2000, folders: Sequence[Path] = FOLDERS, strict: bool = False) -> list[Box]:
    """Make an account of ``messages`` messages.

    ``strict`` leaves out what Cyrus refuses or alters: raw 8-bit octets in headers, and messages without a header.
    The last folder stays empty, INBOX is the biggest.
    """
    writer = _Writer(random.Random(seed), strict)
    shares = [8.0, 3.0, *(1.0 / (1 + n / 4) for n in range(len(folders) - 3))]
    counts = [max(3, int(messages * share / sum(shares))) for share in shares] + [0]
    counts[0] += messages - sum(counts)
    return [
        Box(path, writer.folder(path, count), subscribed=number % 4 != 2)
        for number, (path, count) in enumerate(zip(folders, counts, strict=True))
    ]


def fill(account: Account, boxes: Iterable[Box]) -> None:
    """Put ``boxes`` on the server over IMAP, under its own prefix and separator."""
    with Dialogue(account) as talk:
        prefix, separator = talk.namespace()
        for box in boxes:
            name = folder_name(box.path, prefix, separator)
            _make(talk, name, box.subscribed)
            talk.append(name, [(mail.options, mail.body) for mail in box.mails])


def folder_name(path: Path, prefix: bytes, separator: bytes) -> bytes:
    """The name of ``path`` on a server with this personal namespace, in modified UTF-7."""
    if path == ("INBOX",):
        return b"INBOX"
    return prefix + separator.join(encode(level) for level in path)


def encode(text: str) -> bytes:
    """Modified UTF-7 (RFC 3501 §5.1.3)."""
    out, run = b"", ""
    for letter in [*text, ""]:
        if letter and not " " <= letter <= "~":
            run += letter
            continue
        if run:
            packed = base64.b64encode(run.encode("utf-16-be")).rstrip(b"=").replace(b"/", b",")
            out, run = out + b"&" + packed + b"-", ""
        out += b"&-" if letter == "&" else letter.encode()
    return out


def _make(talk: Dialogue, name: bytes, subscribed: bool) -> None:
    if name != b"INBOX" and name not in {row.name for row in talk.listed() if "\\noselect" not in row.attributes}:
        talk.command(b"CREATE " + quoted(name))
    try:
        talk.command((b"SUBSCRIBE " if subscribed else b"UNSUBSCRIBE ") + quoted(name))
    except Refused:
        if subscribed:  # some servers refuse to unsubscribe what is not subscribed
            raise


class _Writer:
    def __init__(self, dice: random.Random, strict: bool) -> None:
        self._dice = dice
        self._strict = strict
        self._number = 0
        pool = base64.b64encode(dice.randbytes(4 << 20))  # attachments are slices of it
        self._pool = b"\r\n".join(pool[at : at + 76] for at in range(0, len(pool), 76))
        words = " ".join(dice.choice(_WORDS) for _ in range(200_000))
        self._text = "\r\n".join(textwrap.wrap(words, 72)).encode()

    def folder(self, path: Path, count: int) -> list[Mail]:
        mails: list[Mail] = []
        for _ in range(count):
            mails.append(self._mail(path))
            if self._dice.random() < 0.02:  # the very same message again: two are two
                mails.append(self._dice.choice(mails[-20:]))
        return mails[:count]

    def _mail(self, path: Path) -> Mail:
        self._number += 1
        date = _FIRST + timedelta(seconds=self._dice.randrange(int((_LAST - _FIRST).total_seconds())))
        date = date.astimezone(timezone(timedelta(minutes=self._dice.choice(ZONES))))
        return Mail(self._body(date), self._flags(path), date)

    def _flags(self, path: Path) -> tuple[str, ...]:
        chances = (("\\Seen", 0.7), ("\\Answered", 0.12), ("\\Flagged", 0.06), ("\\Draft", 0.02), ("\\Deleted", 0.01))
        flags = [flag for flag, chance in chances if self._dice.random() < chance]
        if path == ("Sent",):
            flags = ["\\Seen"]
        if self._dice.random() < 0.2:
            flags += self._dice.sample(KEYWORDS, self._dice.choice((1, 1, 1, 2, 3)))
        return tuple(flags)

    def _body(self, date: datetime) -> bytes:
        if not self._strict and self._number % 97 == 0:
            return self._slice(self._text, 300)  # no header at all
        size = int(self._dice.lognormvariate(8.5, 1.3))
        if self._number % 400 == 0:
            size = self._dice.randrange(1 << 20, 4 << 20)
        shape = self._dice.choice((self._plain, self._plain, self._multipart, self._eight_bit, self._long_line))
        head = self._head(date)
        return head + shape(size)

    def _head(self, date: datetime) -> bytes:
        dice = self._dice
        name = dice.choice(("Jörg Müller", "Ann O'Hara", "=?utf-8?B?5p2x5Lqs?=", "plain"))
        if self._strict:  # Cyrus puts an X for every octet
            name = name.encode("ascii", "ignore").decode()
        lines = [
            f"Received: from mx{dice.randrange(9)}.example.net by mail.example.org;\r\n\t{format_datetime(date)}",
            f"From: {name} <sender{dice.randrange(500)}@example.net>",
            "To: someone@example.org",
            f"Date: {format_datetime(date)}",
        ]
        kind = dice.randrange(20)
        if kind == 0:
            lines.append("Subject: ")
        elif kind > 1:
            lines.append(
                f"Subject: {'Re: ' * (kind % 3)}{self._number} =?iso-8859-1?Q?Gr=FC=DFe?= {dice.choice(KEYWORDS)}"
            )
        if kind != 2:
            lines.append(f"Message-ID: <{self._number}.{dice.getrandbits(48):x}@example.net>")
        lines.append("MIME-Version: 1.0")
        return "".join(f"{line}\r\n" for line in lines).encode()

    def _plain(self, size: int) -> bytes:
        text = self._slice(self._text, size)
        return b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + text + b"\r\n"

    def _eight_bit(self, size: int) -> bytes:
        text = self._slice(self._text, size).decode("utf-8", "ignore").encode("latin-1", "replace")
        # no newline at the end
        return b"Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + text + b"."

    def _long_line(self, size: int) -> bytes:
        line = self._slice(self._pool, size).replace(b"\r\n", b"").rstrip(b"\r\n")
        return b"Content-Type: text/html; charset=us-ascii\r\n\r\n<html><body>" + line + b"</body></html>\r\n"

    def _multipart(self, size: int) -> bytes:
        mark = b"=_%x" % self._dice.getrandbits(60)
        parts = [
            b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
            + self._slice(self._text, min(size, 2000)),
            b'Content-Type: application/octet-stream; name="Anlage 1.bin"\r\nContent-Transfer-Encoding: base64\r\n'
            b"Content-Disposition: attachment\r\n\r\n" + self._slice(self._pool, size),
            b"Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ninner text",
        ]
        head = b'Content-Type: multipart/mixed; boundary="' + mark + b'"\r\n\r\nThis is a message in MIME format.\r\n'
        return head + b"".join(b"--" + mark + b"\r\n" + part + b"\r\n" for part in parts) + b"--" + mark + b"--\r\n"

    def _slice(self, pool: bytes, size: int) -> bytes:
        start = self._dice.randrange(max(1, len(pool) - size))
        piece = pool[start : start + size]
        text = piece.decode("utf-8", "ignore").encode()  # no half letter, and below: no half line end
        return text.strip(b"\r\n")
