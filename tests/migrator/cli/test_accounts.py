"""One account as a command copies it: what is copied, what the shell is told, and what stands in the result."""

from __future__ import annotations

from dataclasses import replace

import pytest

from migrator.cli.accounts import AccountResult, Choices, Exit, Sums, VerifyBegun, carry
from migrator.errors import Side
from migrator.events import PassPlanned
from migrator.limits import Limits, NeverStop
from migrator.mail import Outcome
from migrator.testing import RecordingSink
from migrator.transfer.plan import CopyPolicy
from migrator.transfer.verify import VerifyLevel
from tests.migrator.cli.worlds import CHOICES, MemoryLedgers, World, error, refusing, world


class Stop:
    """A stop signal that is given when the pass is planned."""

    def __init__(self) -> None:
        self.is_given = False

    def is_set(self) -> bool:
        return self.is_given

    def emit(self, event: object) -> None:
        self.is_given |= isinstance(event, PassPlanned)


def carried(it: World, choices: Choices = CHOICES, ledgers: MemoryLedgers | None = None) -> AccountResult:
    return carry(it.account, ledgers or MemoryLedgers(), choices, RecordingSink(), NeverStop())


@pytest.mark.req("S-50")
def test_a_copy_ends_with_all_there_and_a_second_one_copies_nothing() -> None:
    it, ledgers = world("john"), MemoryLedgers()
    first, second = carried(it, ledgers=ledgers), carried(it, ledgers=ledgers)
    assert (first.exit_code, first.is_balanced, first.sums.appended) == (Exit.ALL_THERE, True, 3)
    assert (second.exit_code, second.is_balanced, second.sums.appended) == (Exit.ALL_THERE, True, 0)
    assert second.sums.outcomes == {Outcome.COPIED: 3}
    assert it.target.contents() == it.source.contents()


def test_a_refused_message_is_named_and_told_to_the_shell() -> None:
    it = world("john")
    it.target.refuse = refusing(b"john 1")
    result = carried(it)
    assert result.exit_code is Exit.LEFT_BEHIND
    assert result.sums.missed == 1
    assert [(row.folder, row.uid, row.outcome, row.code) for row in result.left_behind] == [
        ("INBOX", 2, Outcome.REFUSED, "message.virus")
    ]


def test_messages_marked_as_deleted_are_counted_and_not_missed() -> None:
    it = world("john")
    it.source.deliver("INBOX", b"Subject: x\r\n\r\n", ["\\Deleted"])
    result = carried(it)
    assert (result.exit_code, result.is_balanced) == (Exit.ALL_THERE, True)
    assert result.sums.outcomes == {Outcome.COPIED: 3, Outcome.MARKED_DELETED: 1}
    assert result.left_behind == []
    named = carried(it, replace(CHOICES, named=frozenset(Outcome)))
    assert [row.outcome for row in named.left_behind] == [Outcome.MARKED_DELETED]


def test_no_more_messages_are_named_than_asked_for() -> None:
    it = world("john", messages=9)
    it.target.refuse = refusing(b"john")
    result = carried(it, replace(CHOICES, most_named=4))
    assert (result.sums.missed, len(result.left_behind)) == (9, 4)


@pytest.mark.req("C-1")
@pytest.mark.parametrize("side", list(Side))
def test_a_wrong_password_is_tried_once(side) -> None:
    refusals = [error("sign_in.refused", side)] * 5
    it = world("john", **{f"{side}_fails": refusals})
    result = carried(it)
    assert (result.exit_code, result.error and result.error.code) == (Exit.PERSON, "sign_in.refused")
    assert (it.source_door if side is Side.SOURCE else it.target_door).tries == 1


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [
        ("server.unreachable", Exit.AGAIN),
        ("server.throttled", Exit.AGAIN),
        ("server.not_imap", Exit.PERSON),
        ("server.certificate", Exit.PERSON),
        ("unknown", Exit.AGAIN),
    ],
)
def test_the_shell_is_told_whether_to_try_again_or_to_call_a_person(code, exit_code) -> None:
    assert carried(world("john", source_fails=[error(code)])).exit_code is exit_code


@pytest.mark.long
@pytest.mark.req("C-32")
def test_a_full_mailbox_needs_a_person_and_a_second_run_goes_on() -> None:
    it, ledgers = world("john", messages=5), MemoryLedgers()
    it.target.quota_bytes = 70
    first = carried(it, ledgers=ledgers)
    assert (first.exit_code, first.error and first.error.code) == (Exit.PERSON, "target.full")
    it.target.quota_bytes = None
    assert carried(it, ledgers=ledgers).exit_code is Exit.ALL_THERE
    assert it.target.contents() == it.source.contents()


@pytest.mark.long
def test_a_stop_is_told_as_a_stop_and_the_next_run_goes_on() -> None:
    it, ledgers, stop = world("john"), MemoryLedgers(), Stop()
    result = carry(it.account, ledgers, CHOICES, stop, stop)
    assert (result.exit_code, result.is_balanced) == (Exit.STOPPED, False)
    assert carried(it, ledgers=ledgers).exit_code is Exit.ALL_THERE
    assert it.target.contents() == it.source.contents()


def test_a_dry_run_plans_and_writes_nothing() -> None:
    it = world("john")
    result = carried(it, replace(CHOICES, policy=CopyPolicy(dry_run=True)))
    assert (result.exit_code, result.sums.planned, result.sums.appended) == (Exit.ALL_THERE, 3, 0)
    assert it.target.contents() == {"INBOX": []}


@pytest.mark.parametrize("level", list(VerifyLevel))
def test_a_check_after_the_copy_is_clean(level) -> None:
    sink = RecordingSink()
    result = carry(world("john").account, MemoryLedgers(), replace(CHOICES, verify=level), sink, NeverStop())
    assert result.exit_code is Exit.ALL_THERE
    assert result.report is not None
    assert result.report.is_clean
    assert [event.messages for event in sink.of(VerifyBegun)] == [3]


def test_a_folder_left_out_with_a_reason_is_no_difference() -> None:
    it = world("john")
    it.source.add_folder("Everything", special_use="\\All")
    result = carried(it, replace(CHOICES, verify=VerifyLevel.LEDGER))
    assert [folder.reason for folder in result.left_out] == ["virtual"]
    assert result.exit_code is Exit.ALL_THERE


def test_a_difference_that_the_check_finds_needs_a_person() -> None:
    it, ledgers = world("john"), MemoryLedgers()
    carried(it, ledgers=ledgers)
    it.target["INBOX"].expunge(2)
    result = carried(it, replace(CHOICES, verify=VerifyLevel.LEDGER), ledgers)
    assert result.exit_code is Exit.PERSON
    assert result.report is not None
    assert not result.report.is_clean


def test_an_account_that_is_not_finished_is_not_checked() -> None:
    it = world("john", source_fails=[error("server.unreachable")])
    assert carried(it, replace(CHOICES, verify=VerifyLevel.COUNTS)).report is None


def test_sums_add_up() -> None:
    one = carried(world("john")).sums
    it = world("jim", messages=2)
    it.target.refuse = refusing(b"jim 0")
    both = one + carried(it, Choices(CopyPolicy(), Limits())).sums
    assert both.outcomes == {Outcome.COPIED: 4, Outcome.REFUSED: 1}
    assert (both.listed, both.appended, both.missed, both.folders) == (5, 4, 1, 2)
    assert sum([one, both], Sums()).listed == 8
