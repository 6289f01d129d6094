"""Where nothing can be looked up, nothing is ever sent a second time without a person, whatever ends the first."""

from __future__ import annotations

import itertools
import os
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from migrator.errors import MigratorError
from migrator.limits import Limits
from migrator.mail import Message, Outcome
from migrator.stores.base import Receipt
from migrator.stores.pop3 import Pop3Source
from migrator.stores.smtp import MARKER, SmtpTarget
from migrator.transfer.copy import PassResult, run_pass
from migrator.transfer.file_ledger import LedgerFile
from migrator.transfer.ledger import Ledger
from migrator.transfer.memory_ledger import MemoryLedger
from migrator.transfer.plan import CopyPolicy
from migrator.transfer.proof import prove
from tests.rigs.maildrop import Maildrop
from tests.rigs.postbox import Postbox
from tests.rigs.text_peer import Act, close, cut, then

LIMITS = Limits(whole_bytes=2000, io_seconds=10, quiet_seconds=0, quiet_patience_seconds=0, reconnects=5)
RETRY = CopyPolicy(retry_left_behind=True)


def letter(number: int) -> tuple[bytes, bytes]:
    """Make a message and its lasting name; every fifth is too big to be held."""
    lines = b".%d and more\r\n" % number * (400 if number % 5 == 0 else 1)
    return b"n%d" % number, b"Subject: %d\r\n\r\n" % number + lines


def sent(
    drop: Maildrop,
    box: Postbox,
    ledger: Ledger,
    policy: CopyPolicy | None = None,
    *,
    target: Callable[..., SmtpTarget] = SmtpTarget,
) -> PassResult:
    """Run one pass from a mailbox read by POP3 to one that is delivered to."""
    with (
        drop.server() as peer,
        box.server() as other,
        Pop3Source(peer.endpoint(), LIMITS) as source,
        target(other.endpoint(), LIMITS, recipient="anna@new.test") as store,
    ):
        return run_pass(source, store, ledger, limits=LIMITS, policy=policy, clock=Still())


class Still:
    """A clock in which waiting takes no time."""

    def __init__(self) -> None:
        self._now = 1_790_000_000.0

    def now(self) -> float:
        return self._now

    monotonic = now

    def wait(self, seconds: float) -> None:
        self._now += seconds


def arrived(box: Postbox) -> Counter[bytes]:
    return Counter(got.removeprefix(MARKER) for _, _, got in box.mail)


def mail(*numbers: int) -> Counter[bytes]:
    return Counter(letter(number)[1] for number in numbers)


def test_a_mailbox_is_sent_in_order_and_a_second_pass_sends_nothing() -> None:
    drop, box, ledger = Maildrop([letter(n) for n in range(1, 13)]), Postbox(), MemoryLedger()
    result = sent(drop, box, ledger)
    assert (result.error, result.totals, result.is_balanced) == (None, {Outcome.COPIED: 12}, True)
    assert [got for _, _, got in box.mail] == [MARKER + letter(n)[1] for n in range(1, 13)]
    drop.mail.append(letter(20))
    again = sent(drop, box, ledger)
    assert (again.appended, again.is_balanced) == (1, True)
    assert arrived(box) == mail(*range(1, 13), 20)
    assert ledger.sending() == []


LOST: dict[str, Act] = {"closed": close, "reset": cut, "nonsense": then("yes", close)}


@pytest.mark.parametrize("number", [3, 5])
@pytest.mark.parametrize("end", LOST.values(), ids=LOST)
def test_a_message_whose_answer_is_lost_is_named_and_sent_again_by_a_person_only(end: Act, number: int) -> None:
    box = Postbox(judge=lambda count, body: end if count == number else None)
    drop, ledger = Maildrop([letter(n) for n in range(1, 9)]), MemoryLedger()
    result = sent(drop, box, ledger)
    assert (result.error, result.is_balanced) == (None, True)
    assert result.totals == {Outcome.COPIED: 7, Outcome.UNCONFIRMED: 1}
    assert [(row.uid, row.outcome, row.code) for row in ledger.left_behind()] == [
        (number, Outcome.UNCONFIRMED, "message.unconfirmed")
    ]
    others = [n for n in range(1, 9) if n != number]
    assert arrived(box) == mail(*others)
    for _ in range(2):
        again = sent(drop, box, ledger)
        assert (again.appended, again.totals) == (0, result.totals)
    asked = sent(drop, box, ledger, RETRY)
    assert (asked.appended, asked.totals, asked.is_balanced) == (1, {Outcome.COPIED: 8}, True)
    assert arrived(box) == mail(*others, number)
    assert list(ledger.left_behind()) == []


def test_even_when_a_person_asks_a_message_is_sent_once_a_pass() -> None:
    box = Postbox(judge=lambda count, body: close if letter(3)[1] in body else None)
    drop, ledger = Maildrop([letter(n) for n in range(1, 6)]), MemoryLedger()
    sent(drop, box, ledger)
    before = box.received
    result = sent(drop, box, ledger, RETRY)
    assert box.received == before + 1
    assert result.totals == {Outcome.COPIED: 4, Outcome.UNCONFIRMED: 1}


class Killed(BaseException):
    """The process ends here."""


def dying(at: int, *, before: bool) -> Callable[..., SmtpTarget]:
    """A target whose process dies before or after its ``at``-th message is handed over."""
    count = itertools.count(1)

    class Dying(SmtpTarget):
        def _deliver(self, message: Message) -> MigratorError | None:
            number = next(count)
            if number == at and before:
                raise Killed
            error = super()._deliver(message)
            if number == at:
                raise Killed
            return error

    return Dying


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("at", [1, 4, 5])
def test_after_a_kill_the_one_message_on_its_way_is_of_unknown_outcome(tmp_path: Path, at: int, before: bool) -> None:
    drop, box = Maildrop([letter(n) for n in range(1, 9)]), Postbox()
    with LedgerFile(tmp_path / "ledger") as file, pytest.raises(Killed):
        sent(drop, box, file.account("a", "b"), target=dying(at, before=before))
    with LedgerFile(tmp_path / "ledger") as file, file.account("a", "b") as ledger:
        result = sent(drop, box, ledger)
        assert result.totals == {Outcome.COPIED: 7, Outcome.UNCONFIRMED: 1}
        assert result.is_balanced
        assert prove(ledger).is_balanced
        assert ledger.sending() == []
        assert [row.uid for row in ledger.left_behind()] == [at]
    expected = mail(*range(1, 9))
    if before:
        expected -= mail(at)
    assert arrived(box) == expected


@pytest.mark.parametrize("names", [True, False])
def test_what_was_sent_is_not_sent_again_when_the_source_numbers_it_anew(names: bool) -> None:
    numbers = [1, 2, 5, 10, 2]  # one of them twice, two of them big
    drop, box, ledger = Maildrop([letter(n) for n in numbers], names=names), Postbox(), MemoryLedger()
    drop.mail[-1] = (b"twin", drop.mail[-1][1])
    assert sent(drop, box, ledger).appended == 5
    for count in range(3):
        drop.mail = [(b"%d-" % count + name, body) for name, body in reversed(drop.mail)]
        result = sent(drop, box, ledger)
        assert (result.error, result.appended, result.is_balanced) == (None, 0, True)
    drop.mail = [(b"again-" + name, body) for name, body in drop.mail]
    drop.mail.append((b"third", letter(2)[1]))
    result = sent(drop, box, ledger)
    assert (result.appended, result.is_balanced) == (1, True)
    proof = prove(ledger)
    assert (proof.is_sound, proof.is_balanced) == (True, True)
    assert arrived(box) == Counter({letter(n)[1]: count for n, count in ((1, 1), (2, 3), (5, 1), (10, 1))})


@pytest.mark.parametrize("number", [3, 5])
def test_an_unknown_outcome_stays_one_when_the_source_numbers_its_mail_anew(number: int) -> None:
    box = Postbox(judge=lambda count, body: close if count == number else None)
    drop, ledger = Maildrop([letter(n) for n in range(1, 7)], names=False), MemoryLedger()
    for _ in range(3):
        result = sent(drop, box, ledger)
        assert result.totals[Outcome.UNCONFIRMED] == 1
        assert result.is_balanced
        assert arrived(box) == mail(*range(1, 7)) - mail(number)
    asked = sent(drop, box, ledger, RETRY)
    assert (asked.appended, asked.is_balanced) == (1, True)
    assert arrived(box) == mail(*range(1, 7))
    assert sent(drop, box, ledger).appended == 0


def test_what_a_kill_left_without_a_digest_waits_for_a_person_when_the_source_is_renumbered() -> None:
    drop, box, ledger = Maildrop([letter(n) for n in range(1, 7)], names=False), Postbox(), MemoryLedger()
    with pytest.raises(Killed):
        sent(drop, box, ledger, target=dying(5, before=False))  # the fifth is big: it is not known before it is sent
    result = sent(drop, box, ledger)
    (folder,) = result.folders
    assert folder.error is not None
    assert folder.error.code == "folder.renumbered_unsent"
    assert arrived(box) == mail(*range(1, 6))
    asked = sent(drop, box, ledger, RETRY)
    assert (asked.appended, asked.is_balanced) == (2, True)
    assert sent(drop, box, ledger).appended == 0


def test_refusals_are_no_unknown_outcomes() -> None:
    box = Postbox(judge=lambda count, body: "554 5.6.0 no" if count == 2 else None)
    drop, ledger = Maildrop([letter(n) for n in range(1, 5)]), MemoryLedger()
    result = sent(drop, box, ledger)
    assert result.totals == {Outcome.COPIED: 3, Outcome.REFUSED: 1}
    assert ledger.sending() == []
    later = Postbox(answers={"RCPT": "450 4.2.0 Greylisted"})
    ledger = MemoryLedger()
    result = sent(drop, later, ledger)
    assert result.error is not None
    assert (result.error.code, result.appended, ledger.sending()) == ("server.throttled", 0, [])
    assert sent(drop, box, ledger).totals == {Outcome.COPIED: 4}


def test_lines_of_both_sides_that_die_anywhere_double_nothing_and_lose_nothing_unnamed() -> None:
    seed = int.from_bytes(os.urandom(4))
    print("seed", seed)
    dice = random.Random(seed)
    for _ in range(8):
        drop = Maildrop([letter(n) for n in range(1, 16)], names=dice.random() < 0.7)
        drop.cut_before = {dice.randrange(1, 60) for _ in range(3)}
        bad = {dice.randrange(1, 25) for _ in range(3)}
        box = Postbox(judge=lambda count, body, bad=bad: dice.choice([close, cut]) if count in bad else None)  # type: ignore[misc]
        ledger = MemoryLedger()
        for _ in range(8):
            result = sent(drop, box, ledger)
            if result.is_balanced:
                break
        assert result.is_balanced, (seed, result.error)
        there = arrived(box)
        assert max(there.values()) == 1, seed
        unknown = result.totals.get(Outcome.UNCONFIRMED, 0)
        assert len(there) + unknown == 15, (seed, result.totals)


def test_a_receipt_names_no_place() -> None:
    with Postbox().server() as peer, SmtpTarget(peer.endpoint(), LIMITS, recipient="a@b") as target:
        folder = target.folders()[0]
        item = Message(folder.path, 1, 3, b"x\r\n", None, folder.path)
        receipts: list[Receipt] = list(target.append([item]))
        assert (receipts[0].target_uids, receipts[0].messages, item.whole) == (None, [item], None)
