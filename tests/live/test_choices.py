"""What an operator may choose of the messages themselves, between real servers: order, equal ones, a search."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import pytest

from migrator.events import RecentCopied
from migrator.mail import Outcome
from migrator.transfer.plan import CopyPolicy, DuplicatePolicy
from migrator.transfer.proof import prove
from migrator.transfer.verify import VerifyLevel
from tests.live.crossing import Crossing
from tests.rigs import check
from tests.rigs.base import Account, users
from tests.rigs.corpus import fill, lifelike
from tests.rigs.cyrus import Cyrus
from tests.rigs.dialogue import Dialogue
from tests.rigs.dovecot import Dovecot

SEED = 20
NAMES = ("u0000", "u0001", "u0002")
UNORDERED = check.Terms(skip_flagged="\\deleted", target_may_hold_more=True)
INBOX = b"INBOX"


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Dovecot, Cyrus]]:
    with Dovecot(users(3)) as source, Cyrus(users(3)) as target:
        yield source, target


def deliver(account: Account, *bodies: bytes) -> None:
    with Dialogue(account) as talk:
        talk.append(INBOX, [(b'() "01-Feb-2024 10:00:00 +0100"', body) for body in bodies])


def letter(title: str) -> bytes:
    return f"From: a@example.org\r\nSubject: {title}\r\n\r\n{title}\r\n".encode()


def titles(account: Account) -> list[str]:
    return [seen.title for seen in check.read(account).folders[INBOX].messages]


def _part(age_seconds: float) -> int:
    """Return with which part a message goes: 30 days, 60 before, 120 before, at most eight parts."""
    return min(int(age_seconds / 86_400 / 30 + 1).bit_length() - 1, 7)


def test_recent_mail_is_there_before_older_mail_and_all_is_there_in_the_end(servers: tuple[Dovecot, Cyrus]) -> None:
    crossing = Crossing(*(server.account(NAMES[0]) for server in servers))
    boxes = lifelike(SEED, messages=400, folders=(("INBOX",), ("Sent",), ("Work",)), strict=True)
    fill(crossing.source, boxes)
    dates = [mail.date for box in boxes for mail in box.mails if "\\Deleted" not in mail.flags]
    newest = max(dates)
    result = crossing.run(CopyPolicy(newest_days=30))
    assert (result.error, result.is_balanced) == (None, True)
    recent = sum(newest - date < timedelta(days=30) for date in dates)
    (told,) = [event for event in crossing.log.events if isinstance(event, RecentCopied)]
    assert told.messages == recent
    assert crossing.differences(UNORDERED) == []
    held, old = check.read(crossing.target), check.read(crossing.source)
    for name, folder in old.folders.items():
        copied = [seen for seen in folder.messages if "\\deleted" not in seen.flags]
        by_age = sorted(
            copied, key=lambda seen: _part(newest.timestamp() - seen.date)
        )  # stable: their own order inside
        there = held.folders[name if name == INBOX else b"INBOX." + name]
        assert [seen.digest for seen in there.messages] == [seen.digest for seen in by_age]
    assert crossing.run(CopyPolicy(newest_days=30)).appended == 0
    assert crossing.verify(VerifyLevel.DIGEST).is_clean


def test_equal_messages_are_stored_once_and_the_sum_says_so(servers: tuple[Dovecot, Cyrus]) -> None:
    crossing = Crossing(*(server.account(NAMES[1]) for server in servers))
    deliver(crossing.source, *(letter(f"letter {number % 40}") for number in range(100)))
    once = CopyPolicy(duplicates=DuplicatePolicy.ONCE)
    result = crossing.run(once)
    assert (result.error, result.totals) == (None, {Outcome.COPIED: 40, Outcome.DUPLICATE: 60})
    deliver(crossing.source, letter("letter 7"), letter("letter 41"))
    again = crossing.run(once)
    assert (again.appended, again.totals) == (1, {Outcome.COPIED: 41, Outcome.DUPLICATE: 61})
    assert set(Counter(titles(crossing.target)).values()) == {1}
    assert crossing.verify(VerifyLevel.DIGEST).is_clean
    assert prove(crossing.ledger).is_balanced


def test_a_search_chooses_what_is_copied(servers: tuple[Dovecot, Cyrus]) -> None:
    crossing = Crossing(*(server.account(NAMES[2]) for server in servers))
    deliver(crossing.source, *(letter(f"{colour} {number}") for number in range(50) for colour in ("red", "blue")))
    result = crossing.run(CopyPolicy(search='SUBJECT "red"'))
    assert (result.error, result.totals) == (None, {Outcome.COPIED: 50, Outcome.FILTERED: 50})
    assert titles(crossing.target) == [f"red {number}" for number in range(50)]
    assert crossing.run(CopyPolicy(search='SUBJECT "red"')).appended == 0
    whole = crossing.run()
    assert (whole.appended, whole.is_balanced) == (50, True)
    deliver(crossing.source, letter("red 51"))
    refused = crossing.run(CopyPolicy(search="NO-SUCH-KEY 1"))
    assert refused.error is not None
    assert (refused.error.code, refused.appended) == ("filter.refused", 0)
