"""The ledger on disk: who may open it, what it refuses, and what survives kills, full disks and damage."""

from __future__ import annotations

import os
import random
import resource
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import fields
from pathlib import Path

import pytest

from migrator.errors import MigratorError
from migrator.transfer.file_ledger import APPLICATION_ID, FORMAT_VERSION, FileLedger, LedgerFile
from migrator.transfer.ledger import FIRST_PREVIOUS, FolderState, Removal
from tests.contracts.ledger import FOLDER, SOURCE, TARGET, chain, row

ROOT = Path(__file__).parents[3]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger"


def refusal(path: Path) -> str:
    """Return the code with which opening ``path`` as a ledger fails."""
    with pytest.raises(MigratorError) as caught:
        LedgerFile(path)
    assert str(path) in caught.value.reply
    return caught.value.code


def commit_leaves(ledger: FileLedger, count: int, each: int = 3) -> None:
    """Continue the chain of FOLDER by ``count`` commits."""
    last = {state.source: state for state in ledger.states()}.get(FOLDER)
    for number in range(last.leaves if last else 0, (last.leaves if last else 0) + count):
        leaves, last = chain(FOLDER, 1, number, last.tip if last else FIRST_PREVIOUS, each)
        ledger.commit(leaves=leaves, states=[last])


def alter(path: Path, statement: str) -> None:
    """Change the closed ledger behind its back."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


def in_new_process(script: str, *arguments: object) -> subprocess.Popen[str]:
    """Run ``script`` in a fresh interpreter."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


# what it is


def test_only_the_owner_can_read_a_ledger(tmp_path: Path) -> None:
    path = tmp_path / "mail" / "ferry" / "ledger"
    before = os.umask(0)
    try:
        with LedgerFile(path) as file, file.account(SOURCE, TARGET) as ledger:
            commit_leaves(ledger, 1)
            assert {entry.stat().st_mode & 0o777 for entry in path.parent.iterdir()} == {0o600}
            assert path.parent.stat().st_mode & 0o777 == 0o700
    finally:
        os.umask(before)


def test_a_folder_that_is_there_already_keeps_its_rights(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    LedgerFile(tmp_path / "ledger").close()
    assert tmp_path.stat().st_mode & 0o777 == 0o755


def test_nothing_but_the_ledger_and_its_lock_file_stays(path: Path) -> None:
    with LedgerFile(path) as file, file.account(SOURCE, TARGET) as ledger:
        commit_leaves(ledger, 1)
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["ledger", "ledger.lock"]


def test_the_file_says_what_it_is(path: Path) -> None:
    LedgerFile(path).close()
    head = path.read_bytes()[:100]  # offsets of the SQLite file format
    assert int.from_bytes(head[68:72]) == APPLICATION_ID
    assert int.from_bytes(head[60:64]) == FORMAT_VERSION


def test_the_stored_form_of_a_state_is_the_one_of_version_1(path: Path) -> None:
    # A state with another field needs another format version, and a way to read this one.
    LedgerFile(path).close()
    with closing(sqlite3.connect(path)) as connection:
        columns = [name for _, name, *_ in connection.execute("PRAGMA table_info(state)")]
    assert columns == ["account", *(one.name for one in fields(FolderState))]
    assert FORMAT_VERSION == 1


def test_many_accounts_share_a_file_and_do_not_mix(path: Path) -> None:
    with LedgerFile(path) as file:
        with file.account(SOURCE, TARGET) as anna, file.account("imap://bert@a", "imap://bert@b") as bert:
            commit_leaves(anna, 2)
            bert.commit(left_behind=[row(5)])
            assert bert.states() == list(bert.leaves(FOLDER)) == list(anna.left_behind()) == []
        assert file.pairs() == [(SOURCE, TARGET), ("imap://bert@a", "imap://bert@b")]


def test_words_of_a_server_that_are_no_text_are_kept_as_far_as_they_are(path: Path) -> None:
    with LedgerFile(path) as file, file.account(SOURCE, TARGET) as ledger:
        ledger.commit(left_behind=[row(5, reply="NO \udcff refused")])
        assert list(ledger.left_behind()) == [row(5, reply="NO ? refused")]


# what it refuses


def test_an_empty_file_is_not_taken_for_a_new_ledger(path: Path) -> None:
    path.touch()
    assert refusal(path) == "ledger.not_a_ledger"
    assert path.read_bytes() == b""


@pytest.mark.parametrize("content", [b"Name\tPassword\n", b"SQLite format 3\0" + bytes(200), bytes(5000)])
def test_a_file_of_another_kind_is_refused_and_left_as_it_is(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert refusal(path) == "ledger.not_a_ledger"
    assert path.read_bytes() == content


def test_the_database_of_another_program_is_refused_and_left_as_it_is(path: Path) -> None:
    alter(path, "CREATE TABLE account (id INTEGER)")
    before = path.read_bytes()
    assert refusal(path) == "ledger.not_a_ledger"
    assert path.read_bytes() == before


def test_a_folder_or_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert refusal(tmp_path) == "ledger.not_a_ledger"
    assert refusal(tmp_path / "pipe") == "ledger.not_a_ledger"


def test_a_ledger_of_a_newer_version_is_refused(path: Path) -> None:
    LedgerFile(path).close()
    alter(path, f"PRAGMA user_version = {FORMAT_VERSION + 1}")
    assert refusal(path) == "ledger.newer"


def test_a_place_that_cannot_hold_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert refusal(tmp_path / "file" / "ledger") == "ledger.unwritable"


def test_a_ledger_that_was_cut_off_is_damaged(path: Path) -> None:
    with LedgerFile(path) as file, file.account(SOURCE, TARGET) as ledger:
        commit_leaves(ledger, 20, each=50)
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(MigratorError) as caught, LedgerFile(path) as file, file.account(SOURCE, TARGET) as ledger:
        list(ledger.leaves(FOLDER))
    assert caught.value.code == "ledger.damaged"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE leaf SET packed = zeroblob(length(packed)) WHERE number = 1",
        "UPDATE leaf SET target_uidvalidity = 10 WHERE number = 2",
        "DELETE FROM leaf WHERE number = 0",
        "DELETE FROM leaf WHERE number = 2",
        "DELETE FROM leaf",
        "UPDATE state SET tip = zeroblob(32)",
    ],
)
def test_leaves_that_were_altered_or_lost_are_noticed(path: Path, statement: str) -> None:
    with LedgerFile(path) as file, file.account(SOURCE, TARGET) as ledger:
        commit_leaves(ledger, 3)
    alter(path, statement)
    with pytest.raises(MigratorError) as caught, LedgerFile(path) as file, file.account(SOURCE, TARGET) as ledger:
        list(ledger.leaves(FOLDER))
    assert caught.value.code == "ledger.damaged"


# one at a time


@pytest.mark.req("C-64")
def test_an_account_in_work_is_not_given_to_a_second_run(path: Path) -> None:
    with LedgerFile(path) as file, LedgerFile(path) as second:
        with file.account(SOURCE, TARGET):
            for other in (file, second):
                with pytest.raises(MigratorError) as caught:
                    other.account(SOURCE, TARGET)
                assert caught.value.code == "ledger.busy"
        second.account(SOURCE, TARGET).close()


@pytest.mark.req("C-64")
def test_an_account_in_work_is_not_given_to_a_second_process(path: Path) -> None:
    script = """if True:
        import sys
        from migrator.errors import MigratorError
        from migrator.transfer.file_ledger import LedgerFile
        for pair in (("other", "pair"), tuple(sys.argv[2:])):
            try:
                LedgerFile(sys.argv[1]).account(*pair)
                print("free")
            except MigratorError as error:
                print(error.code)
    """
    with LedgerFile(path) as file, file.account(SOURCE, TARGET):
        # Opened, locked and closed once more here: that must not give up the lock above.
        with LedgerFile(path) as second, second.account("a third", "pair"):
            pass
        with in_new_process(script, path, SOURCE, TARGET) as process:
            assert process.communicate()[0].split() == ["free", "ledger.busy"]


def test_closing_the_file_gives_back_its_accounts(path: Path) -> None:
    file = LedgerFile(path)
    file.account(SOURCE, TARGET)
    file.close()
    file.close()
    with LedgerFile(path) as again:
        again.account(SOURCE, TARGET).close()


def test_eight_threads_write_a_hundred_accounts(path: Path) -> None:
    failures: list[BaseException] = []

    def work(file: LedgerFile, worker: int) -> None:
        try:
            for number in range(worker, 100, 8):
                with file.account(f"source {number}", f"target {number}") as ledger:
                    ledger.begin([FolderState(FOLDER, FOLDER, 7)])
                    commit_leaves(ledger, 3)
        except BaseException as error:
            failures.append(error)
            raise

    with LedgerFile(path) as file:
        threads = [threading.Thread(target=work, args=(file, worker)) for worker in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures
        assert len(file.pairs()) == 100
        for source, target in file.pairs():
            with file.account(source, target) as ledger:
                assert len(list(ledger.leaves(FOLDER))) == 3


def test_two_processes_may_create_the_same_ledger_at_once(path: Path) -> None:
    script = """if True:
        import sys
        from migrator.transfer.file_ledger import LedgerFile
        sys.stdin.readline()
        with LedgerFile(sys.argv[1]) as file:
            file.account(sys.argv[2], "target").close()
    """
    processes = [in_new_process(script, path, f"source {number}") for number in range(4)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        with process:
            process.communicate()
        assert process.returncode == 0
    with LedgerFile(path) as file:
        assert sorted(file.pairs()) == [(f"source {number}", "target") for number in range(4)]


# what it survives

COMMITTER = """
import sys
from migrator.transfer.file_ledger import LedgerFile
from tests.migrator.transfer.test_file_ledger import commit_leaves
with LedgerFile(sys.argv[1]) as file, file.account(*sys.argv[2:]) as ledger:
    while True:
        commit_leaves(ledger, 1, each=200)
        print(ledger.states()[0].leaves, flush=True)
"""


@pytest.mark.long
def test_a_killed_process_leaves_everything_it_committed(path: Path) -> None:
    seed = random.randrange(2**32)
    print("seed", seed)
    chance = random.Random(seed)
    for _ in range(6):
        with in_new_process(COMMITTER, path, SOURCE, TARGET) as process:
            assert process.stdout is not None
            for _ in range(chance.randrange(1, 40)):
                confirmed = int(process.stdout.readline())
            process.kill()
        with LedgerFile(path) as file, file.account(SOURCE, TARGET) as ledger:
            (state,) = ledger.states()
            assert state.leaves >= confirmed
            assert len(list(ledger.leaves(FOLDER))) == state.leaves


@contextmanager
def no_file_grows_beyond(size_bytes: int) -> Iterator[None]:
    """Let every write beyond ``size_bytes`` fail, as on a faulty device."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_write_that_fails_is_told_and_undone(path: Path) -> None:
    with LedgerFile(path) as file, file.account(SOURCE, TARGET) as ledger:
        commit_leaves(ledger, 2)
        before = ledger.states(), list(ledger.leaves(FOLDER))
        with no_file_grows_beyond(path.with_name("ledger-wal").stat().st_size), pytest.raises(MigratorError) as caught:
            commit_leaves(ledger, 50, each=50)
        assert caught.value.code == "ledger.unwritable"
        assert (ledger.states(), list(ledger.leaves(FOLDER))) == before
        commit_leaves(ledger, 2)
    with LedgerFile(path) as file, file.account(SOURCE, TARGET) as ledger:
        assert len(list(ledger.leaves(FOLDER))) == 4


def test_a_full_disk_is_told_and_what_is_recorded_stays(path: Path) -> None:
    with LedgerFile(path) as file, file.account(SOURCE, TARGET) as ledger:
        commit_leaves(ledger, 2)
        with file.transaction() as connection:
            connection.execute("PRAGMA max_page_count = 1")  # as few as it has: the next page does not fit
        with pytest.raises(MigratorError) as caught:
            commit_leaves(ledger, 50, each=50)
        assert caught.value.code == "ledger.full"
        with file.transaction() as connection:
            connection.execute("PRAGMA max_page_count = 100000")
        recorded = ledger.states()[0].leaves
        assert recorded >= 2
        commit_leaves(ledger, 1)
        assert len(list(ledger.leaves(FOLDER))) == recorded + 1


def test_a_disk_too_full_for_a_new_ledger_leaves_no_half_one(path: Path) -> None:
    with no_file_grows_beyond(4096):
        assert refusal(path) == "ledger.unwritable"
    assert list(path.parent.iterdir()) == []


def test_removals_outlive_the_process_and_are_settled_in_one_transaction(path: Path) -> None:
    with LedgerFile(path) as file, file.account("a", "b") as ledger:
        ledger.intend_removal(b"INBOX", 7, [2, 3, 5])
        ledger.intend_removal(b"Work", 8, [1])
    with LedgerFile(path) as file, file.account("a", "b") as ledger:
        found = {place: list(uids) for place, uids in ledger.intended_removals().items()}
        assert found == {(b"INBOX", 7): [2, 3, 5], (b"Work", 8): [1]}
        ledger.settle_removals(b"INBOX", 7, gone=[2, 5], kept=[3], removed_at=99)
        state = FolderState(b"Work", b"Work", 8, leaves=4)
        with pytest.raises(ValueError, match="leaves"):
            ledger.settle_removals(b"Work", 8, gone=[1], kept=[], removed_at=99, states=[state])
    with LedgerFile(path) as file, file.account("a", "b") as ledger, file.account("c", "d") as other:
        assert list(ledger.removals()) == [
            Removal(b"INBOX", 7, 2, 99), Removal(b"INBOX", 7, 5, 99), Removal(b"Work", 8, 1, None)
        ]  # fmt: skip
        assert not list(other.removals())
