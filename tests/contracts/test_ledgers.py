"""Both ledgers keep the contract."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from migrator.transfer.file_ledger import LedgerFile
from migrator.transfer.ledger import Ledger
from migrator.transfer.memory_ledger import MemoryLedger
from tests.contracts.ledger import SOURCE, TARGET, FullLedgerContract, Reopen


class TestMemoryLedger(FullLedgerContract):
    @pytest.fixture
    def reopen(self) -> Reopen:
        ledger = MemoryLedger()
        return lambda: ledger


class TestFileLedger(FullLedgerContract):
    @pytest.fixture
    def reopen(self, tmp_path: Path) -> Iterator[Reopen]:
        opened: list[LedgerFile] = []

        def open_again() -> Ledger:
            while opened:
                opened.pop().close()
            opened.append(LedgerFile(tmp_path / "ledger"))
            return opened[0].account(SOURCE, TARGET)

        yield open_again
        opened.pop().close()
