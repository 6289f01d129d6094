"""Mail as it lies in mailboxes after years, made up from a seed: the same seed, the same mail.

Threads with quotes, newsletters, drafts, attachments with odd names, flags and keywords, folders that people name as
they like. Every address ends in .example, so none is anybody's.
"""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from email.header import Header
from email.utils import encode_rfc2231, format_datetime
from functools import cache, cached_property
from typing import Final, NamedTuple

from campaigns.demo.people import DOMAIN, FIRM, Person

Path = tuple[str, ...]

REFUSED_FOLDER: Final[Path] = ("Orders", "new")
"""The new server keeps its mail in folders called cur, new and tmp, and lets nobody else call theirs so."""

KEYWORDS: Final = ("$Forwarded", "$MDNSent", "NonJunk", "Important")
_USUAL: Final[tuple[Path, ...]] = (("INBOX",), ("Sent",), ("Drafts",), ("Trash",), ("Junk",))
_OWN: Final[tuple[Path, ...]] = (
    ("Archive", "2014"), ("Archive", "2019"), ("Archive", "2023"), ("Projects", "Slipway"), ("Projects", "New cranes"),
    ("Projects", "New cranes", "Quotes & tenders"), ("Invoices",), ("Rechnungen & Belege",), ("Réunions",),
    ("Łódź 2018",), ("Ferry times",), ("to do ☂",), ("100% done?",), ("Family",), ("Zum Lesen / später",), ("空の箱",),
    (" misc",), ("Tides, weather",), ("Staff council",), ("Old \"system\" mails",),
)  # fmt: skip
_ZONES: Final = (0, 60, 120, 60, 0, -300, 330, 540)
_FIRST_YEAR: Final = 2008
_LAST: Final = datetime(2026, 6, 30, tzinfo=UTC)

_TOPICS: Final = (
    "Berth 4 next week", "Tide tables", "Fuel invoice", "Crane inspection", "Minutes of Tuesday", "Night shift swap",
    "Visitors on Friday", "New radio handsets", "Customs forms", "Parking at the quay", "Lost property", "Winter rota",
    "Broken winch", "Quote for paint", "Your leave request", "Lunch?", "Photos of the regatta", "Dredging schedule",
    "Grüße aus Łódź", "Réservation du ferry", "Prüfung der Anlegestelle", "Zaproszenie", "予約の確認",
    "Keys for store 7",
)  # fmt: skip
_SENTENCES: Final = (
    "The pilot boat is back in the water since this morning.", "Could you look at the figures before noon?",
    "Attached is what the yard sent; page two is the one that matters.", "I have moved the meeting to Thursday at ten.",
    "The forecast says gale force from the south-west.", "Please sign and send it back, no hurry.",
    "We have two berths free from the 14th on.", "Das Formular liegt beim Hafenmeister.",
    "Merci pour la réponse rapide.",
    "The second invoice is missing an order number.", "Nobody has seen the blue toolbox since the weekend.",
    "Dziękuję za szybką odpowiedź.", "Let us talk about it at lunch.", "The crane passed its inspection.",
    "I am out of the office until Monday.", "The ferry leaves an hour earlier in winter.",
    "Bitte die Schlüssel am Empfang abgeben.", "That is good news!", "Who has the keys for store 7?",
)  # fmt: skip
_FILES: Final = (
    ("Quote.pdf", "application/pdf"), ("Rota winter.xlsx", "application/vnd.ms-excel"), ("IMG_2041.JPG", "image/jpeg"),
    ("Grüße aus Łódź.jpg", "image/jpeg"), ("minutes (final) FINAL.doc", "application/msword"),
    ("tide table 第2版.pdf", "application/pdf"),
)  # fmt: skip
_OUTSIDE: Final = (
    ("Northquay Chandlers", "orders@northquay.example"), ("Kran & Kette", "service@kran-kette.example"),
    ("Marée Voyages", "bonjour@maree-voyages.example"), ("Weather desk", "forecast@skywatch.example"),
    ("The Tide", "newsletter@the-tide.example"), ("Saltworks Paint", "sales@saltworks.example"),
)  # fmt: skip


class Letter(NamedTuple):
    """One message. Lines end with CR LF."""

    body: bytes
    flags: tuple[str, ...]
    keywords: tuple[str, ...]
    date: datetime


class Folder(NamedTuple):
    """One folder with its mail, oldest first."""

    path: Path
    letters: list[Letter]
    is_subscribed: bool


@dataclass(frozen=True)
class Post:
    """Writes everybody's mail. ``scale`` is how much of it: 1 for some hundred messages a person at most."""

    people: Sequence[Person]
    seed: int
    scale: float = 1.0

    def mailbox(self, person: Person, *also: Path) -> Iterator[Folder]:
        """Yield the folders of one person; ``also`` are folders they have beside those of chance."""
        dice = random.Random(f"{self.seed}/{person.login}")
        count = max(8, int(min(dice.lognormvariate(4.0, 0.9), 900) * self.scale))
        own = dice.sample(_OWN, dice.randint(1, 6))
        paths = [*_USUAL, *own, *(path for path in also if path not in own)]
        weights = [9.0, 4.0, 0.3, 0.8, 0.5, *(dice.random() + 0.2 for _ in paths[len(_USUAL) :])]
        for path, weight in zip(paths, weights, strict=True):
            share = 0 if path == ("空の箱",) else max(1, round(count * weight / sum(weights)))
            yield Folder(path, self._letters(person, path, share, dice), dice.random() < 0.85)

    def _letters(self, person: Person, path: Path, count: int, dice: random.Random) -> list[Letter]:
        span = int((_LAST - datetime(_FIRST_YEAR, 1, 1, tzinfo=UTC)).total_seconds())
        # More of it is recent, and some is very old.
        moments = sorted(_LAST - timedelta(seconds=int(span * dice.random() ** 2)) for _ in range(count))
        return [self._letter(person, path, moment, dice) for moment in moments]

    def _letter(self, person: Person, path: Path, moment: datetime, dice: random.Random) -> Letter:
        moment = moment.replace(microsecond=0).astimezone(timezone(timedelta(minutes=dice.choice(_ZONES))))
        other = self._other(dice)
        is_sent = path[0] in ("Sent", "Drafts")
        sender, recipient = ((person.name, person.login), other) if is_sent else (other, (person.name, person.login))
        body = _head(sender, recipient, moment, dice) + self._content(dice)
        return Letter(body, *_marks(path, dice), moment)

    def _other(self, dice: random.Random) -> tuple[str, str]:
        if dice.random() < 0.3:
            return dice.choice(_OUTSIDE)
        colleague = dice.choice(self.people)
        return colleague.name, colleague.login

    def _content(self, dice: random.Random) -> bytes:
        text = _text(dice)
        if dice.random() > 0.07:
            return b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + text
        size = int(min(dice.lognormvariate(10.3, 0.9), 900_000))
        start = dice.randrange(0, len(self._noise) - 1_300_000) // 78 * 78  # a line with its end
        return _with_attachment(text, self._noise[start : start + size // 57 * 78 + 78], dice)

    @cached_property
    def _noise(self) -> bytes:
        """Lines of base64 of which attachments are slices: every one different, none worth looking into."""
        return base64.encodebytes(random.Random(self.seed).randbytes(2 << 20)).replace(b"\n", b"\r\n")


def _head(sender: tuple[str, str], recipient: tuple[str, str], moment: datetime, dice: random.Random) -> bytes:
    topic = dice.choice(_TOPICS)
    subject = ("Re: " * dice.choice((0, 0, 1, 1, 2))) + topic
    number = dice.getrandbits(64)
    lines = [
        f"Received: from relay{dice.randrange(4)}.{DOMAIN} by mail.{DOMAIN} with ESMTPS; {format_datetime(moment)}",
        f"From: {_named(*sender)}",
        f"To: {_named(*recipient)}",
        f"Date: {format_datetime(moment)}",
        f"Subject: {_encoded(subject)}",
        f"Message-ID: <{number:016x}@{DOMAIN}>",
        "MIME-Version: 1.0",
    ]
    if subject.startswith("Re: "):
        lines.insert(6, f"In-Reply-To: <{number ^ 0xFFFF:016x}@{DOMAIN}>")
    return "".join(f"{line}\r\n" for line in lines).encode()


def _named(name: str, address: str) -> str:
    return f"{_encoded(name) if not name.isascii() else name} <{address}>"


@cache
def _encoded(text: str) -> str:
    return text if text.isascii() else Header(text, "utf-8", maxlinelen=900).encode()


def _text(dice: random.Random) -> bytes:
    lines = ["Hello,", ""]
    for _ in range(dice.randint(1, 5)):
        lines += [" ".join(dice.choices(_SENTENCES, k=dice.randint(1, 4))), ""]
    lines += ["Kind regards", "-- ", f"{FIRM}, {dice.choice(('quay side', 'pilot station', 'gate 2'))}"]
    if dice.random() < 0.5:
        quoted = dice.choices(_SENTENCES, k=dice.randint(1, 12))
        lines += ["", "You wrote:", *(f"> {line}" for line in quoted)]
    return "".join(f"{line}\r\n" for line in lines).encode()


def _with_attachment(text: bytes, lines: bytes, dice: random.Random) -> bytes:
    mark = f"=_{dice.getrandbits(64):016x}".encode()
    name, kind = dice.choice(_FILES)
    named = f'filename="{name}"' if name.isascii() else f"filename*={encode_rfc2231(name, 'utf-8')}"
    parts = (
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + text,
        f"Content-Type: {kind}\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; {named}\r\n\r\n"
        .encode() + lines,
    )  # fmt: skip
    head = b'Content-Type: multipart/mixed; boundary="' + mark + b'"\r\n\r\n'
    return head + b"".join(b"--" + mark + b"\r\n" + part + b"\r\n" for part in parts) + b"--" + mark + b"--\r\n"


def _marks(path: Path, dice: random.Random) -> tuple[tuple[str, ...], tuple[str, ...]]:
    chances = {"\\Seen": 0.85, "\\Answered": 0.2, "\\Flagged": 0.06}
    flags = [flag for flag, chance in chances.items() if dice.random() < chance]
    if path == ("Drafts",):
        flags = ["\\Seen", "\\Draft"]
    keywords = dice.sample(KEYWORDS, 1) if dice.random() < 0.12 else []
    return tuple(flags), tuple(keywords)
