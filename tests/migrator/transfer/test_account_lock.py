"""Locks on accounts: against threads, other processes, and what a dead process leaves behind."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from migrator.transfer.account_lock import AccountLock

ROOT = Path(__file__).parents[3]
HOLDER = """
import sys
from pathlib import Path
from migrator.transfer.account_lock import AccountLock
print(AccountLock(Path(sys.argv[1]), int(sys.argv[2])).take(), flush=True)
sys.stdin.read()
"""


@contextmanager
def another_process(path: Path, account: int) -> Iterator[tuple[subprocess.Popen[str], bool]]:
    """Run a process that tries to lock ``account`` and stays; yield it, and whether it got the lock."""
    command = [sys.executable, "-c", HOLDER, str(path), str(account)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline() == "True\n"
        finally:
            process.kill()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.lock"


def test_an_account_is_locked_once(path: Path) -> None:
    first, second = AccountLock(path, 1), AccountLock(path, 1)
    assert first.take()
    assert not second.take()
    first.release()
    first.release()
    assert second.take()
    second.release()


def test_accounts_are_locked_each_for_itself(path: Path) -> None:
    locks = [AccountLock(path, account) for account in range(1, 2001)]
    assert all(lock.take() for lock in locks)
    locks[7].release()
    again = AccountLock(path, 8)
    assert again.take()
    for lock in [*locks, again]:
        lock.release()


def test_another_process_gets_only_what_is_free(path: Path) -> None:
    mine = AccountLock(path, 1)
    assert mine.take()
    with another_process(path, 1) as (_, got_first), another_process(path, 2) as (_, got_second):
        assert (got_first, got_second) == (False, True)
        assert not AccountLock(path, 2).take()
    mine.release()


def test_a_refused_lock_does_not_give_up_the_ones_held(path: Path) -> None:
    mine, other = AccountLock(path, 1), AccountLock(path, 2)
    assert mine.take()
    assert not AccountLock(path, 1).take()
    assert other.take()
    other.release()
    with another_process(path, 1) as (_, got):
        assert not got
    mine.release()


def test_the_lock_of_a_killed_process_is_free(path: Path) -> None:
    with another_process(path, 1) as (process, got):
        assert got
        assert not AccountLock(path, 1).take()
        process.kill()
        process.wait()
        mine = AccountLock(path, 1)
        assert mine.take()
        mine.release()


def test_one_file_under_two_names_is_one_file(path: Path) -> None:
    mine = AccountLock(path, 1)
    assert mine.take()
    alias = path.with_name("alias")
    alias.symlink_to(path)
    assert not AccountLock(alias, 1).take()
    with another_process(alias, 1) as (_, got):
        assert not got
    mine.release()
