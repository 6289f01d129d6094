"""A target that holds mail already: begun by another tool, by us before, or delivered since. Nothing doubles."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from migrator.mail import Outcome
from migrator.transfer.memory_ledger import MemoryLedger
from migrator.transfer.plan import CopyPolicy, Mode
from tests.live.crossing import Crossing
from tests.rigs import check, mbsync
from tests.rigs.base import Account, users
from tests.rigs.corpus import FOLDERS, Box, fill, lifelike
from tests.rigs.dialogue import Dialogue
from tests.rigs.dovecot import Dovecot

SEED = 7
MARKS = ("X-TUID",)
TERMS = check.Terms(skip_flagged="\\deleted")
WITH_OWN_MAIL = check.Terms(skip_flagged="\\deleted", target_may_hold_more=True)
OWN = [f"Subject: delivered {number}\r\n\r\nfor the target only\r\n".encode() for number in range(6)]


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Dovecot, Dovecot]]:
    with Dovecot(users(20)) as source, Dovecot(users(20), layout="mdbox", separator="/") as target:
        yield source, target


@pytest.fixture
def crossing(servers: tuple[Dovecot, Dovecot], request: pytest.FixtureRequest) -> Crossing:
    """A pair of empty mailboxes that no other test has."""
    source, target = servers
    number = sorted(name for name in globals() if name.startswith("test_")).index(request.function.__name__)
    return Crossing(source.account(f"u{number:04d}"), target.account(f"u{number:04d}"))


def boxes(messages: int) -> list[Box]:
    return lifelike(SEED, messages=messages, folders=FOLDERS)


def halves(whole: list[Box]) -> tuple[list[Box], list[Box]]:
    """The first and the second half of every folder."""
    cut = [(box, len(box.mails) // 2) for box in whole]
    return (
        [box._replace(mails=box.mails[:middle]) for box, middle in cut],
        [box._replace(mails=box.mails[middle:]) for box, middle in cut],
    )


def deliver(account: Account, bodies: list[bytes]) -> None:
    with Dialogue(account) as talk:
        talk.append(b"INBOX", [(b'() "01-Feb-2024 10:00:00 +0100"', body) for body in bodies])


def titles(account: Account, folder: bytes = b"INBOX") -> list[str]:
    return [seen.title for seen in check.read(account).folders[folder].messages]


@pytest.mark.req("D-56")
def test_what_mbsync_copied_half_is_finished_and_nothing_doubles(crossing: Crossing) -> None:
    first, second = halves(boxes(400))
    fill(crossing.source, first)
    began = [b"INBOX", b"Sent", b"NIL"]
    mbsync.copy(crossing.source, crossing.target, [name.decode() for name in began])
    by_mbsync = sum(len(check.read(crossing.target).folders[name].messages) for name in began)
    fill(crossing.source, second)
    result = crossing.run()
    assert result.error is None
    assert result.is_balanced
    assert result.totals[Outcome.ALREADY_THERE] >= by_mbsync * 0.95  # those marked \Deleted are not looked for
    assert crossing.differences(without_headers=MARKS) == []
    assert crossing.run().appended == 0


def test_a_copy_whose_ledger_is_lost_finds_everything_there(crossing: Crossing) -> None:
    fill(crossing.source, boxes(300))
    copied = crossing.run().totals[Outcome.COPIED]
    before = check.read(crossing.target)
    crossing.ledger = MemoryLedger()
    result = crossing.run()
    assert (result.appended, result.totals[Outcome.ALREADY_THERE], result.is_balanced) == (0, copied, True)
    assert check.changes(before, check.read(crossing.target)) == []


def test_mail_delivered_to_the_target_stays_and_the_source_comes_whole(crossing: Crossing) -> None:
    fill(crossing.source, boxes(300))
    deliver(crossing.target, OWN[:3])
    assert crossing.run().is_balanced
    deliver(crossing.target, OWN[3:])
    deliver(crossing.source, [b"Subject: late\r\n\r\nlate\r\n"])
    result = crossing.run()
    assert (result.appended, result.is_balanced) == (1, True)
    assert crossing.differences(WITH_OWN_MAIL) == []
    inbox = titles(crossing.target)
    assert [inbox.count(f"delivered {number}") for number in range(6)] == [1] * 6
    assert crossing.run().appended == 0


def test_a_message_that_was_delivered_to_both_sides_is_there_once(crossing: Crossing) -> None:
    deliver(crossing.source, OWN)
    assert crossing.run().appended == 6
    both = b"Subject: to both\r\n\r\nby the gateway\r\n"
    deliver(crossing.target, [both])
    deliver(crossing.source, [both, b"Subject: next\r\n\r\nnext\r\n"])
    result = crossing.run()
    assert (result.appended, result.totals[Outcome.ALREADY_THERE]) == (1, 1)
    assert crossing.differences() == []


def test_two_equal_messages_of_which_the_target_holds_one_end_as_two(crossing: Crossing) -> None:
    deliver(crossing.source, [OWN[0], OWN[1], OWN[0]])
    deliver(crossing.target, [OWN[0]])
    result = crossing.run()
    assert (result.appended, result.totals[Outcome.ALREADY_THERE], result.is_balanced) == (2, 1, True)
    assert sorted(titles(crossing.target)) == ["delivered 0", "delivered 0", "delivered 1"]
    assert crossing.run().appended == 0


@pytest.mark.req("D-40", "D-108")
def test_a_user_who_works_in_the_source_between_passes_is_followed(crossing: Crossing) -> None:
    fill(crossing.source, boxes(300))
    assert crossing.run().is_balanced
    with Dialogue(crossing.source) as talk:
        talk.select(b"Sent")
        talk.command(b"STORE 1:5 FLAGS (\\Flagged $Label1)")
        talk.command(b"STORE 6 +FLAGS (\\Deleted)")
        talk.command(b"EXPUNGE")
        talk.command(b"CREATE Neues")
        talk.append(b"Neues", [(b'(\\Seen) "01-Feb-2024 10:00:00 +0100"', OWN[0])])
    result = crossing.run()
    assert (result.error, result.appended, result.is_balanced) == (None, 1, True)
    assert result.flag_changes == 5
    # what is gone at the source is not taken away at the target
    source, target = check.read(crossing.source), check.read(crossing.target)
    assert len(target.folders[b"Sent"].messages) >= len(source.folders[b"Sent"].messages)
    assert check.compare(source, target, WITH_OWN_MAIL) == []


@pytest.mark.req("D-82")
def test_a_catch_up_adds_and_touches_no_flag_of_a_live_target(crossing: Crossing) -> None:
    fill(crossing.source, boxes(200))
    assert crossing.run().is_balanced
    for account, flags in ((crossing.source, b"\\Answered"), (crossing.target, b"\\Flagged")):
        with Dialogue(account) as talk:
            talk.select(b"INBOX")
            talk.command(b"STORE 1:9 FLAGS (" + flags + b")")
    deliver(crossing.source, [OWN[0]])
    result = crossing.run(CopyPolicy(mode=Mode.CATCH_UP))
    assert (result.appended, result.flag_changes, result.is_balanced) == (1, 0, True)
    inbox = check.read(crossing.target).folders[b"INBOX"].messages
    assert [seen.flags for seen in inbox[:9]] == [{"\\flagged"}] * 9
    assert inbox[-1].title == "delivered 0"


@pytest.mark.req("D-17")
def test_a_parent_that_comes_to_be_after_its_child_is_copied_too(crossing: Crossing) -> None:
    letter = (b'() "01-Feb-2024 10:00:00 +0100"', b"Subject: in the parent\r\n\r\nmail\r\n")
    with Dialogue(crossing.source) as talk:
        talk.command(b"CREATE Work.2019.Offers")
        talk.append(b"Work.2019.Offers", [letter])
        assert crossing.run().is_balanced
        talk.command(b"CREATE Work.2019")
        talk.append(b"Work.2019", [letter])
    result = crossing.run()
    assert result.is_balanced
    assert result.appended == 1
    assert not list(check.compare(check.read(crossing.source), check.read(crossing.target), TERMS))
