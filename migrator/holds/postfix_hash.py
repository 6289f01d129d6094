"""A table in a hash file that we write whole and put in its place: readers see the one before or the one after.

Postfix notices a file that was replaced even within one second, since the one it has open has no name any more
(dict_changed()); changed in place it would not. What Postfix reads is what counts: the text beside it is for people.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from migrator.command import Answer
from migrator.disk import sync
from migrator.errors import MigratorError
from migrator.holds.postfix_host import PostfixHost
from migrator.holds.together import Request, Together, shared

_HEAD: Final = "# Written by Mailferry, which replaces this file. What others write here is lost.\n"


class _Change(NamedTuple):
    address: str
    expected: str | None
    wanted: str | None


class HashTable:
    """Implements :class:`~migrator.holds.postfix_table.Table`. ``path`` is that of the text; both files are there."""

    def __init__(self, path: Path, host: PostfixHost) -> None:
        self._path = path
        self._db = path.with_name(f"{path.name}.db")
        self._host = host
        self.name = f"hash:{path}"
        self._changes: Together[_Change, bool] = shared(("hash", host.key, str(path)), lambda: Together(self._change))

    def find(self, address: str) -> str | None:
        answer = self._host.ask("postmap", "-q", address, self.name)
        if answer.code == 1 and "fatal:" not in answer.err and "error:" not in answer.err:
            return None
        if answer.code != 0:
            raise _unreadable(answer)
        return answer.out.removesuffix("\n")

    def replace(self, address: str, expected: str | None, wanted: str | None) -> None:
        self._changes.ask(_Change(address, expected, wanted))

    def close(self) -> None:
        """Nothing is kept open."""

    def _change(self, requests: Sequence[Request[_Change, bool]]) -> None:
        lock = os.open(self._path.with_name(f"{self._path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            before = self._rows()
            rows = dict(before)
            for request in requests:
                _apply(request, rows)
            if rows != before:
                self._write(rows)
            for request in requests:
                if not request.is_served:
                    request.serve(True)
        except OSError as error:
            raise MigratorError("connector.invalid", reply=f"{error.filename}: {error.strerror}") from None
        finally:
            os.close(lock)

    def _rows(self) -> dict[str, str]:
        rows: dict[str, str] = {}

        def take(line: str) -> None:
            address, _, value = line.partition("\t")
            rows[address] = value

        answer = self._host.ask("postmap", "-s", self.name, lines=take)
        if answer.code != 0:
            raise _unreadable(answer)
        return rows

    def _write(self, rows: Mapping[str, str]) -> None:
        new = self._path.with_name(f"{self._path.name}.new")
        new_db = new.with_name(f"{new.name}.db")
        new.write_text(_HEAD + "".join(f"{address}\t{value}\n" for address, value in sorted(rows.items())))
        new.chmod(0o644)
        self._host.run("postmap", f"hash:{new}")
        for file in (new, new_db):
            sync(file)
        new_db.replace(self._db)
        new.replace(self._path)
        sync(self._path.parent)


def _unreadable(answer: Answer) -> MigratorError:
    """Return why the table could not be read: its settings are wrong, unless the program was kept from reading it."""
    failure = answer.failure()
    return failure if answer.is_temporary else MigratorError("connector.invalid", reply=failure.reply)


def _apply(request: Request[_Change, bool], rows: dict[str, str]) -> None:
    """Make the change in ``rows``, or serve it with the reason why not."""
    address, expected, wanted = request.item
    found = rows.get(address)
    if found not in (expected, wanted):
        request.serve(error=MigratorError("directory.changed"))
    elif wanted is None:
        rows.pop(address, None)
    else:
        rows[address] = wanted
