"""Every journal of the engine keeps the contract."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.fernet import Fernet, MultiFernet

from migrator.journal import Journal
from migrator.rescue.folder import Account, RescueFolder
from migrator.rescue.journals import FileJournal, PairedJournal
from migrator.testing.journals import Entries, MemoryJournal
from tests.contracts.journal import JournalContract


def file_journal(path: Path) -> FileJournal:
    (path / "accounts").mkdir(exist_ok=True)
    keys = MultiFernet([Fernet(b"x" * 43 + b"=")])
    return FileJournal(RescueFolder(path, keys), Account("1", "1", "anna", "anna", "anna"))


class TestMemoryJournal(JournalContract):
    @pytest.fixture
    def reopen(self) -> Callable[[], Journal]:
        rows: Entries = {}
        return lambda: MemoryJournal(rows)


class TestFileJournal(JournalContract):
    @pytest.fixture
    def reopen(self, tmp_path: Path) -> Callable[[], Journal]:
        return lambda: file_journal(tmp_path)


class TestPairedJournal(JournalContract):
    @pytest.fixture
    def reopen(self, tmp_path: Path) -> Callable[[], Journal]:
        rows: Entries = {}
        return lambda: PairedJournal(MemoryJournal(rows), file_journal(tmp_path))
