"""A mailbox that is read by POP3 is copied once, whatever its server does to its names, its order and the line."""

from __future__ import annotations

import os
import random

import pytest

from migrator.errors import MigratorError
from migrator.events import DatesFromHeaders, Event, UidlFormat
from migrator.limits import Limits
from migrator.mail import FolderPath, Outcome
from migrator.stores.pop3 import Pop3Source
from migrator.testing.mailboxes import MemoryMailbox
from migrator.testing.stores import MemoryTarget
from migrator.transfer.copy import PassResult, run_pass
from migrator.transfer.ledger import Ledger
from migrator.transfer.memory_ledger import MemoryLedger
from migrator.transfer.proof import prove
from migrator.transfer.verify import VerifyLevel, verify
from tests.rigs.maildrop import Maildrop

LIMITS = Limits(
    bundle_messages=3, window_messages=6, whole_bytes=2000, io_seconds=10, quiet_seconds=0, quiet_patience_seconds=0
)
INBOX = FolderPath(b"INBOX", "/")


class Log:
    """A sink that keeps everything it is told."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def emit(self, event: Event) -> None:
        self.events.append(event)


def letter(number: int) -> tuple[bytes, bytes]:
    """Make a message and its lasting name; every fifth is big, some have dots."""
    head = b"Received: by x; Mon, %02d Jun 2020 12:00:00 +0200\r\n" % (number % 28 + 1) if number % 3 else b""
    lines = b".%d\r\n..\r\n" % number * (1000 if number % 5 == 0 else 1)
    return b"%08X%08X" % (number, 7), head + b"Subject: %d\r\n\r\n" % number + lines


def copied(drop: Maildrop, mailbox: MemoryMailbox, ledger: Ledger, log: Log | None = None) -> PassResult:
    """Run one pass."""
    with (
        drop.server() as peer,
        Pop3Source(peer.endpoint(), LIMITS) as source,
        MemoryTarget(mailbox, limits=LIMITS) as target,
    ):
        return run_pass(source, target, ledger, limits=LIMITS, sink=log)


def bodies(mailbox: MemoryMailbox) -> list[bytes]:
    folder = mailbox.find(INBOX)
    assert folder is not None
    return [message.body for message in folder.messages.values()]


def test_a_mailbox_is_copied_in_order_and_a_second_pass_reads_nothing() -> None:
    drop, mailbox, ledger, log = Maildrop([letter(n) for n in range(1, 21)]), MemoryMailbox(), MemoryLedger(), Log()
    result = copied(drop, mailbox, ledger, log)
    assert (result.error, result.totals, result.is_balanced) == (None, {Outcome.COPIED: 20}, True)
    assert bodies(mailbox) == [body for _, body in drop.mail]
    (dates,) = [event for event in log.events if isinstance(event, DatesFromHeaders)]
    assert (dates.received, dates.date, dates.now) == (14, 0, 6)
    assert [event.form for event in log.events if isinstance(event, UidlFormat)] == ["%08Xu%08Xv"]
    folder = mailbox.find(INBOX)
    assert folder is not None
    assert (folder.messages[1].internal_date, folder.messages[1].zone_minutes) == (1591092000, 120)
    drop.retrieved = 0
    again = copied(drop, mailbox, ledger)
    assert (again.appended, again.is_balanced, drop.retrieved) == (0, True, 0)


@pytest.mark.req("D-103")
def test_what_comes_goes_and_changes_its_place_is_followed_by_name() -> None:
    drop, mailbox, ledger = Maildrop([letter(n) for n in range(1, 9)]), MemoryMailbox(), MemoryLedger()
    assert copied(drop, mailbox, ledger).is_balanced
    kept = drop.mail[2:]
    random.Random(5).shuffle(kept)
    drop.mail = [letter(100), *kept, letter(101)]
    result = copied(drop, mailbox, ledger)
    assert (result.appended, result.removed, result.is_balanced) == (2, 2, True)
    assert bodies(mailbox)[8:] == [letter(100)[1], letter(101)[1]]


def test_flags_that_the_owner_set_on_the_target_stay() -> None:
    drop, mailbox, ledger = Maildrop([letter(n) for n in range(1, 5)]), MemoryMailbox(), MemoryLedger()
    copied(drop, mailbox, ledger)
    folder = mailbox.find(INBOX)
    assert folder is not None
    folder.set_flags(2, frozenset({"\\Seen"}))
    drop.mail.append(letter(9))
    result = copied(drop, mailbox, ledger)
    assert (result.appended, result.flag_changes) == (1, 0)
    assert folder.messages[2].flags == {"\\Seen"}


def test_a_server_that_names_everything_anew_doubles_nothing() -> None:
    drop, mailbox, ledger = Maildrop([letter(n) for n in range(1, 9)]), MemoryMailbox(), MemoryLedger()
    copied(drop, mailbox, ledger)
    drop.mail = [(b"other-" + name, body) for name, body in drop.mail] + [letter(50)]
    result = copied(drop, mailbox, ledger)
    assert (result.error, result.appended, result.is_balanced) == (None, 1, True)
    assert len(bodies(mailbox)) == 9


@pytest.mark.req("D-103")
def test_without_names_messages_are_known_by_their_content() -> None:
    twins = [(b"", letter(7)[1])] * 2
    drop = Maildrop([*(letter(n) for n in range(1, 9)), *twins], names=False)
    mailbox, ledger = MemoryMailbox(), MemoryLedger()
    assert copied(drop, mailbox, ledger).appended == 10
    drop.mail = [*reversed(drop.mail[1:]), letter(30)]
    result = copied(drop, mailbox, ledger)
    assert (result.error, result.appended, result.is_balanced) == (None, 1, True)
    assert prove(ledger).is_balanced
    assert len(bodies(mailbox)) == 11


@pytest.mark.parametrize("names", [True, False])
def test_lines_that_die_again_and_again_lose_and_double_nothing(names: bool) -> None:
    seed = int.from_bytes(os.urandom(4))
    print("seed", seed)
    dice = random.Random(seed)
    drop = Maildrop([letter(n) for n in range(1, 41)], names=names)
    drop.cut_before = {dice.randrange(1, 120) for _ in range(3)}
    mailbox, ledger = MemoryMailbox(), MemoryLedger()
    for _ in range(6):
        result = copied(drop, mailbox, ledger)
        if result.is_balanced:
            break
    assert result.is_balanced, (seed, result.error)
    assert sorted(bodies(mailbox)) == sorted(body for _, body in drop.mail)


def test_verify_reads_the_target_and_finds_all_as_it_was() -> None:
    drop, mailbox, ledger = Maildrop([letter(n) for n in range(1, 21)]), MemoryMailbox(), MemoryLedger()
    copied(drop, mailbox, ledger)
    with drop.server() as peer, Pop3Source(peer.endpoint(), LIMITS) as source, MemoryTarget(mailbox) as target:
        report = verify(source, target, ledger, level=VerifyLevel.DIGEST)
    assert report.is_clean, report.differences
    assert report.checked == 20


def test_a_ledger_that_keeps_no_names_is_refused_before_anything_is_copied() -> None:
    class Forgetful:
        """A ledger that keeps no names: as much of one as is asked before."""

    mailbox = MemoryMailbox()
    with pytest.raises(MigratorError, match=r"ledger\.keeps_no_names"):
        copied(Maildrop([letter(1)]), mailbox, Forgetful())  # type: ignore[arg-type]
    assert next(iter(mailbox)).messages == {}
