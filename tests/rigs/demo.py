"""The demo of ``./run demo`` with few accounts, in a folder and on a port of its own."""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from typing import Any

from campaigns.demo import folder
from tests.rigs.panel import Panel

_ACCOUNTS = (
    "SELECT source_login, state, error_code, messages_total, messages_done, messages_left FROM campaigns_account"
)


class Demo(Panel):
    """``./run demo`` with few accounts."""

    def __init__(self, kind: str, count: int) -> None:
        super().__init__(patience_seconds=240.0)
        self.command = self.manage("demo", f"--folder={self.folder}", f"--accounts={count}", f"--servers={kind}")

    def __exit__(self, *exc: object) -> None:
        place = folder.servers_folder(self.folder)
        super().__exit__(*exc)
        if place is not None:  # a demo that is killed leaves that to its next start, which there is none of here
            shutil.rmtree(place, ignore_errors=True)

    def accounts(self) -> dict[str, tuple[Any, ...]]:
        """Return state, cause and figures of each account, by login."""
        with closing(sqlite3.connect(self.folder / "mailferry.sqlite3", timeout=10)) as file:
            return {login: tuple(rest) for login, *rest in file.execute(_ACCOUNTS).fetchall()}

    def states(self) -> Counter[tuple[str, str]]:
        """Return how many accounts are in which state, for which cause."""
        return Counter((row[0], row[1]) for row in self.accounts().values())

    def printed(self, pattern: str) -> list[str]:
        """Return what it printed for its watchers."""
        return re.findall(pattern, self.words(), re.MULTILINE)
