"""GNU Mailutils imap4d, a poor server, is read like any other.

As a target it is not used: it answers OK to APPEND while the folder is open, and keeps one message of many.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from migrator.mail import Outcome
from migrator.transfer.verify import VerifyLevel
from tests.contracts.store import Letter
from tests.live.crossing import Crossing
from tests.rigs import check
from tests.rigs.base import users
from tests.rigs.corpus import FOLDERS, Box, folder_name, lifelike
from tests.rigs.dialogue import Dialogue, quoted
from tests.rigs.dovecot import Dovecot
from tests.rigs.mailfiles import write_mbox_tree
from tests.rigs.mailutils import Mailutils

MESSAGES = 400
# a file has nothing below it
FLAT = tuple(path for path in FOLDERS if path not in {("Projekte", "2019"), ("INBOX", "INBOX-Ablage")})


@pytest.fixture(scope="module")
def crossing() -> Iterator[Crossing]:
    """A filled source that was read by IMAP before: until then it numbers its files anew each time it opens them."""
    # not the empty folder: this server numbers it anew each second
    boxes = [box for box in lifelike(1998, messages=MESSAGES, folders=FLAT, strict=True) if box.mails]
    with Mailutils(users(1)) as source, Dovecot(users(1), layout="mdbox", separator="/") as target:
        write_mbox_tree(source.home("u0000"), {box.path: letters(box) for box in boxes})
        source.give(source.home("u0000"))
        account = source.account("u0000")
        with Dialogue(account) as talk:
            for box in boxes:
                if box.subscribed:
                    talk.command(b"SUBSCRIBE " + quoted(folder_name(box.path, b"", b"/")))
        for _ in range(2):
            check.read(account)
        yield Crossing(account, target.account("u0000"))


def letters(box: Box) -> list[Letter]:
    """In a file, an empty line must part two messages, else this server takes them for one."""
    return [
        Letter(mail.body.removesuffix(b"\r\n") + b"\r\n", frozenset(mail.flags), int(mail.date.timestamp()), 0)
        for mail in box.mails
    ]


def test_an_account_crosses_whole_and_the_source_stays_as_it_was(crossing: Crossing) -> None:
    before = check.read(crossing.source)
    assert sum(len(folder.messages) for folder in before.folders.values()) == MESSAGES
    result = crossing.run()
    assert (result.error, [folder.error for folder in result.folders if folder.error]) == (None, [])
    assert result.is_balanced
    assert set(result.totals) <= {Outcome.COPIED, Outcome.MARKED_DELETED}
    assert crossing.differences() == []
    assert check.changes(before, check.read(crossing.source)) == []


def test_a_second_pass_copies_nothing(crossing: Crossing) -> None:
    crossing.run()
    result = crossing.run()
    assert (result.error, result.appended, result.flag_changes, result.is_balanced) == (None, 0, 0, True)


@pytest.mark.parametrize("level", VerifyLevel)
def test_verify_agrees_at_every_level(crossing: Crossing, level: VerifyLevel) -> None:
    crossing.run()
    report = crossing.verify(level)
    assert report.is_clean, report.differences[:10]
