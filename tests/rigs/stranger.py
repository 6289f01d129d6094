"""Mail that plainly belongs to one person: every message is to them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.rigs.corpus import Box, Mail


def letters_of(address: str, count: int, *, size: int = 0) -> list[Box]:
    """Make an inbox of ``count`` messages to ``address``, each with ``size`` octets of text at least."""
    mails = []
    for number in range(count):
        head = f"From: someone{number}@far.example\r\nTo: {address}\r\nSubject: letter {number} to {address}\r\n\r\n"
        text = ("x" * 70 + "\r\n") * (size // 72 + 1)
        mails.append(Mail(f"{head}{text}".encode(), (), datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=number)))
    return [Box(("INBOX",), mails, subscribed=True)]
