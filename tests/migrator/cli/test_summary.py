"""The lines and the object at the end: what they say of folders, flags, differences and failures."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from migrator.cli import objects, summary
from migrator.cli.accounts import Account, AccountResult, Exit, LeftMessage, Sums
from migrator.cli.terminal import Terminal
from migrator.cli.watch import AccountWatch, verdict
from migrator.errors import CATALOGUE, Side
from migrator.events import FlagsLost, FolderRenamed, GrantLost
from migrator.mail import FolderPath, Outcome
from migrator.testing import FakeClock
from migrator.transfer.verify import Difference, Finding, VerifyLevel, VerifyReport
from tests.migrator.cli.worlds import error, world

SUMS = Sums(folders=2, listed=10, outcomes={Outcome.COPIED: 7, Outcome.REFUSED: 3}, appended=7, appended_bytes=7000)
ACCOUNT = world("john", line=5).account


def result(exit_code: Exit = Exit.ALL_THERE, *, account: Account = ACCOUNT, **parts) -> AccountResult:
    return AccountResult(account, exit_code, **{"sums": SUMS, "is_balanced": True, **parts})


@pytest.fixture
def watch() -> AccountWatch:
    return AccountWatch(Terminal(sys.stderr), FakeClock(), verbose=False)


def lines(it: AccountResult, watch: AccountWatch, *, verbose: bool = False) -> str:
    return "\n".join(summary.of_copy(it, watch, verbose=verbose, is_dry_run=False))


def test_renamed_folders_are_told_with_both_names_and_the_reason(watch) -> None:
    watch.emit(FolderRenamed(folder="A/B", target="A_B", reason="separator"))
    watch.emit(FolderRenamed(folder="A/B", target="A_B", reason="separator"))  # told again after a lost line
    assert lines(result(), watch).count("A/B -> A_B (its name holds the character that parts folders there)") == 1


def test_flags_that_are_not_kept_are_told(watch) -> None:
    watch.emit(FlagsLost(folder="INBOX", flag="$Work", messages=2000))
    assert "INBOX: $Work, on 2,000 messages" in lines(result(), watch)


def test_who_may_not_open_a_folder_any_more_is_told_once(watch) -> None:
    for _ in range(2):  # told again after a lost line
        watch.emit(GrantLost(folder="Team", who="user anna", rights="lrs", reply="Unknown user"))
    watch.emit(GrantLost(folder="Team", who="user bert", rights="lr", is_denial=True))
    watch.emit(GrantLost(folder="INBOX", who="", rights=""))
    told = lines(result(), watch)
    assert told.count("Team: what user anna may (lrs) in the old mailbox is not set on the new server.") == 1
    assert "[Unknown user]" in told
    assert "Team: what user bert may not (lr) in the old mailbox" in told
    assert "INBOX: the old server does not tell who else may open it." in told
    assert objects.copy_object(result(), watch)["lost_grants"][0] == {
        "folder": "Team", "who": "user anna", "rights": "lrs", "denial": False, "reply": "Unknown user"
    }  # fmt: skip


def test_messages_left_behind_are_told_with_the_reason_and_the_servers_words(watch) -> None:
    rows = [LeftMessage("INBOX", uid, Outcome.REFUSED, "message.virus", "virus\x1b[2J") for uid in range(1, 31)]
    sums = replace(SUMS, outcomes={Outcome.REFUSED: 30})
    told = lines(result(Exit.LEFT_BEHIND, sums=sums, left_behind=rows), watch)
    assert f"INBOX, UID 1: left behind: refused by the new server. {CATALOGUE['message.virus'].sentence}" in told
    assert "[virus\\x1b[2J]" in told
    assert "UID 20:" in told
    assert "UID 21:" not in told
    assert "and 10 more" in told
    assert "UID 30:" in lines(result(Exit.LEFT_BEHIND, sums=sums, left_behind=rows), watch, verbose=True)


def test_every_difference_of_a_check_has_its_words(watch) -> None:
    findings = [Finding(FolderPath(b"INBOX"), 1, difference) for difference in Difference]
    told = lines(result(Exit.PERSON, report=VerifyReport(VerifyLevel.DIGEST, 1, 10, findings)), watch)
    assert f"{len(findings)} differences" in told
    assert all(words in told for words in summary.DIFFERENCES.values())


def test_every_outcome_has_its_words() -> None:
    assert summary.OUTCOMES.keys() == set(Outcome)


def test_a_failure_is_told_with_its_next_step_and_the_servers_words(watch) -> None:
    failed = result(Exit.PERSON, error=error("target.full", Side.TARGET, "Quota exceeded"), is_balanced=False)
    told = lines(failed, watch)
    assert "The new server: The new mailbox is full. Mail already copied is safe." in told
    assert "The server's words: Quota exceeded" in told
    assert f"What to do: {CATALOGUE['target.full'].next_step}" in told
    assert told.splitlines()[-1].startswith("Not done: a person is needed.")


def test_a_line_that_dropped_too_often_is_not_told_as_nothing_to_do(watch) -> None:
    told = lines(result(Exit.AGAIN, error=error("line.lost"), is_balanced=False), watch)
    assert "tried again several times" in told
    assert "Nothing to do" not in told


def test_a_folder_that_failed_is_named(watch) -> None:
    failed = result(Exit.PERSON, folder_errors=[("Shared", error("folder.no_permission"))], is_balanced=False)
    assert "Folder Shared. The old server: " in lines(failed, watch)
    assert verdict(failed).startswith("not done: folder Shared: ")


def test_what_is_marked_as_deleted_is_not_told_as_there(watch) -> None:
    marked = replace(SUMS, outcomes={Outcome.COPIED: 9, Outcome.MARKED_DELETED: 1})
    assert (
        lines(result(sums=marked), watch).splitlines()[-1].startswith("Done: all there but what is marked as deleted;")
    )
    assert lines(result(), watch).splitlines()[-1] == "Done: all there."


def test_sums_that_do_not_balance_say_that_it_is_not_done(watch) -> None:
    told = lines(result(Exit.AGAIN, sums=replace(SUMS, listed=12), is_balanced=False), watch)
    assert "Not done: 2 messages without an outcome yet." in told
    assert "balance" not in told


def test_messages_that_the_source_no_longer_has_are_subtracted(watch) -> None:
    told = lines(result(sums=replace(SUMS, listed=8, removed=2)), watch)
    assert "         -2  removed from the old mailbox since" in told


def test_a_thousand_equal_failures_are_one_paragraph() -> None:
    failed = [
        result(
            Exit.PERSON, account=replace(ACCOUNT, line=line), error=error("sign_in.refused", reply="no"), sums=Sums()
        )
        for line in range(2, 1002)
    ]
    told = "\n".join(summary.of_accounts(failed, is_dry_run=False, seconds=3.0)).partition("1,000 accounts in 3.0 s:")[
        2
    ]
    assert told.count("What to do:") == 1
    assert "(1,000 accounts)" in told
    assert "and 980 more" in told


def test_the_object_of_an_account_holds_codes_and_sums(watch) -> None:
    watch.emit(FolderRenamed(folder="A/B", target="A_B", reason="separator"))
    watch.emit(FlagsLost(folder="INBOX", flag="$Work", messages=2))
    row = LeftMessage("INBOX", 3, Outcome.REFUSED, "message.virus", "virus")
    report = VerifyReport(VerifyLevel.COUNTS, 2, 0, [Finding(FolderPath(b"INBOX"), 0, Difference.TOO_FEW)])
    made = objects.copy_object(
        result(Exit.PERSON, error=error("target.full", Side.TARGET, "full"), left_behind=[row], report=report), watch
    )
    assert (made["exit_code"], made["messages"], made["outcomes"]["refused"]) == (4, 10, 3)
    assert (made["error"]["code"], made["error"]["side"], made["error"]["reply"]) == ("target.full", "target", "full")
    assert made["left_behind"] == [
        {"folder": "INBOX", "uid": 3, "outcome": "refused", "code": "message.virus", "reply": "virus"}
    ]
    assert made["verify"]["differences"] == [{"folder": "INBOX", "uid": 0, "difference": "too_few"}]
    assert made["renamed_folders"][0]["target"] == "A_B"
    assert made["lost_flags"][0]["messages"] == 2


def test_local_readers_are_named_with_the_warning() -> None:
    plain = result()
    reader = replace(plain, account=replace(plain.account, reads_files=True, source_name="anna"))
    text = "\n".join(summary.of_accounts([plain, reader], is_dry_run=False, seconds=1))
    assert "1 local reader: anna." in text
    assert "can destroy mail" in text
    assert objects.account_object(reader)["local_reader"] is True
    assert "local reader" not in "\n".join(summary.of_accounts([plain], is_dry_run=False, seconds=1))
