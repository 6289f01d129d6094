"""Mail put straight into a Maildir, as a server finds it that was here for years."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from campaigns.demo.mail import Folder, Letter
from migrator.mail import FolderPath

_LETTERS: Final = {"\\Draft": "D", "\\Flagged": "F", "\\Answered": "R", "\\Seen": "S", "\\Trashed": "T"}
_KEYWORD_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"


def write(root: Path, folders: Iterable[Folder]) -> tuple[int, int]:
    """Write a Maildir++ into ``root``; return how many messages and bytes it holds."""
    subscribed, messages, size = [], 0, 0
    for folder in folders:
        name = FolderPath.of(folder.path, ".").raw.decode("ascii")
        place = root if name == "INBOX" else root / f".{name}"
        for part in ("cur", "new", "tmp"):
            (place / part).mkdir(parents=True, exist_ok=True)
        if folder.is_subscribed:
            subscribed.append(name)
        size += _fill(place, folder.letters)
        messages += len(folder.letters)
    (root / "subscriptions").write_text("".join(f"{name}\n" for name in subscribed), encoding="ascii")
    return messages, size


def _fill(place: Path, letters: Iterable[Letter]) -> int:
    keywords: dict[str, str] = {}
    size = 0
    for number, letter in enumerate(letters):
        body = letter.body.replace(b"\r\n", b"\n")
        marks = [_LETTERS[flag] for flag in letter.flags]
        marks += [keywords.setdefault(keyword, _KEYWORD_LETTERS[len(keywords)]) for keyword in letter.keywords]
        seconds = int(letter.date.timestamp())
        name = f"{seconds}.M{number}P1.demo,S={len(body)},W={len(letter.body)}:2,{''.join(sorted(marks))}"
        file = place / "cur" / name
        file.write_bytes(body)
        os.utime(file, (seconds, seconds))  # the server's date of arrival
        size += len(letter.body)
    if keywords:
        named = "".join(f"{at} {keyword}\n" for at, keyword in enumerate(keywords))
        (place / "dovecot-keywords").write_text(named, encoding="ascii")
    return size
