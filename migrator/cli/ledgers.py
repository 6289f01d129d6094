"""Where the ledgers of a command live: a file beside the user's data, or for a rehearsal nowhere."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from migrator.transfer.file_ledger import LedgerFile
from migrator.transfer.ledger import Ledger
from migrator.transfer.memory_ledger import MemoryLedger

FILE_NAME: Final = "ledger.sqlite3"


def default_path() -> Path:
    """Return the ledger file for whoever names none (XDG base directories: ``~/.local/share`` unless set)."""
    base = Path(os.environ.get("XDG_DATA_HOME") or "")
    return (base if base.is_absolute() else Path.home() / ".local" / "share") / "mailferry" / FILE_NAME


class FileLedgers:
    """The ledgers of one file, which is created when there is none. A context manager."""

    def __init__(self, path: Path) -> None:
        self._file = LedgerFile(path)
        self._usual_targets: list[str] = []
        usual = default_path()
        if usual.exists() and not usual.samefile(path):
            with LedgerFile(usual) as other:
                self._usual_targets = [target for _, target in other.pairs()]

    def account(self, source: str, target: str) -> AbstractContextManager[Ledger]:
        """See Ledgers."""
        return self._file.account(source, target)

    def targets(self) -> list[str]:
        """See Ledgers: those of this file, and of the usual one where another is named."""
        return [target for _, target in self._file.pairs()] + self._usual_targets

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


class RehearsalLedgers:
    """Ledgers for a run that writes nothing: what the file knows is used, what it does not know is forgotten again."""

    def __init__(self, path: Path) -> None:
        self._file = LedgerFile(path) if path.exists() else None
        self._known = set(self._file.pairs()) if self._file else set()

    def account(self, source: str, target: str) -> AbstractContextManager[Ledger]:
        """See Ledgers."""
        if self._file and (source, target) in self._known:
            return self._file.account(source, target)
        return nullcontext(MemoryLedger())

    def targets(self) -> list[str]:
        """See Ledgers. A rehearsal removes nothing."""
        return []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file:
            self._file.close()
