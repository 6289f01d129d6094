"""The tables that a Postfix asks where mail for an address goes, and that are ours to write.

There are two columns: ``hold`` goes before ``route``, so that a route can change while mail waits. What neither holds
goes where the rest of Postfix's configuration sends it. Addresses are in small letters: so Postfix asks for them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal, Protocol

from migrator.directories.sql_line import database_of
from migrator.errors import MigratorError
from migrator.holds.postfix_hash import HashTable
from migrator.holds.postfix_host import PostfixHost
from migrator.holds.postfix_sql import SqlTable, checked_relation
from migrator.options import Options
from migrator.secret import Secret

Column = Literal["hold", "route"]
COLUMNS: Final[tuple[Column, ...]] = ("hold", "route")

# Plain addresses only: in a table, others could be a comment, a whole domain, or two words.
_ADDRESS: Final = re.compile(r"[a-z0-9_][a-z0-9_.+=&'/!~^-]{0,63}@(?!-)[a-z0-9-]+(\.[a-z0-9-]+)*")


class Table(Protocol):
    """One column beside addresses. All methods but close raise ``MigratorError``."""

    @property
    def name(self) -> str:
        """How transport_maps names the table; as far as we know it: only its type, where it ends with a colon."""
        ...

    def find(self, address: str) -> str | None:
        """Return what stands there for ``address``, as Postfix reads it."""
        ...

    def replace(self, address: str, expected: str | None, wanted: str | None) -> None:
        """Make it ``wanted`` where it is ``expected``; None means that nothing stands there. Idempotent.

        Raises ``directory.changed`` when it is something else.
        """
        ...

    def close(self) -> None:
        """Let go of the server."""
        ...


def checked_address(address: str) -> str:
    """Return ``address`` in small letters if a table can hold it. Raises ``address.bad``."""
    if not is_address(address):
        raise MigratorError("address.bad")
    return address.lower()


def is_address(address: str) -> bool:
    """Tell whether a table can hold ``address``."""
    return address.isascii() and _ADDRESS.fullmatch(address.lower()) is not None


class Tables:
    """Where both columns are. ``address`` is in small letters everywhere."""

    def __init__(self, columns: Mapping[Column, Table]) -> None:
        self._columns = columns

    @classmethod
    def of(cls, options: Options, secret: Secret | None, host: PostfixHost, needed: Column) -> Tables:
        """Read where the tables are. Raises ``ValueError``.

        Options: ``table`` is "hash" (files that we write, on the machine that Postfix is on) or "postgresql". For
        hash: ``hold_file`` and ``route_file``, full paths of the texts, the one ``needed`` at least; a hold reads its
        own alone. For postgresql: ``relation`` (mailferry_transport), and those of
        :func:`~migrator.directories.sql_line.database_of`.
        """
        if options.choice("table", ("hash", "postgresql")) == "postgresql":
            database = database_of(options, secret, driver="postgresql")
            relation = checked_relation(options.text("relation", "mailferry_transport"))
            return cls({column: SqlTable(database, relation, column) for column in COLUMNS})
        columns: dict[Column, Table] = {needed: HashTable(_file(options.text(f"{needed}_file")), host)}
        if needed == "route" and (hold_file := options.text("hold_file", "")):
            columns["hold"] = HashTable(_file(hold_file), host)
        return cls(columns)

    def has(self, column: Column) -> bool:
        """Tell whether it is known where ``column`` is."""
        return column in self._columns

    def __getitem__(self, column: Column) -> Table:
        return self._columns[column]

    def close(self) -> None:
        """Let go of the servers."""
        for table in self._columns.values():
            table.close()


def _file(text: str) -> Path:
    path = Path(text)
    if not path.is_absolute() or re.search(r"[\s,]", text):
        raise ValueError(f"{text} is not a full path without blanks and commas.")
    return path
