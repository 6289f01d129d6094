"""What a form asks of a connector, and how: the words in which the tables of connectors are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from campaigns.bridge import host_files
from migrator.entries import Json

# How an option is typed: a line, several, a number, a box to tick, a value of a column or several; or which file of
# the host is chosen. Nobody types a path, a program, its arguments or SQL.
TEXT: Final = "text"
LINES: Final = "lines"
PORT: Final = "port"
SECONDS: Final = "seconds"
FLAG: Final = "flag"
SCALAR: Final = "scalar"
SCALARS: Final = "scalars"
PROGRAM: Final = host_files.PROGRAM
STATEMENT: Final = host_files.STATEMENT
DATABASE: Final = host_files.DATABASE
LIST: Final = host_files.LIST
FOLDER: Final = host_files.FOLDER


@dataclass(frozen=True, slots=True)
class Option:
    """One option: how it is called, asked for and read. ``default`` is the connector's own, for the form to show.

    ``unchosen`` is what it means to choose no file of the host, where that may be.
    """

    name: str
    shape: str
    label: Any
    help_text: Any = ""
    is_needed: bool = False
    default: Json = None
    choices: tuple[tuple[str, Any], ...] = ()
    unchosen: Any = ""


@dataclass(frozen=True, slots=True)
class Part:
    """Options that belong together, under a heading. ``is_more``: folded away, for few."""

    heading: Any
    options: tuple[Option, ...]
    is_more: bool = False


@dataclass(frozen=True, slots=True)
class Variant:
    """What somebody can choose to set up: a kind, with the options that are fixed by the choice."""

    key: str
    room: str
    kind: str
    label: Any
    explained: Any
    parts: tuple[Part, ...]
    fixed: Mapping[str, Json] = field(default_factory=dict)
    has_secret: bool = True
    has_typed_values: bool = False  # whether values may be numbers, or true and false

    def options(self) -> list[Option]:
        """Return all options that the form asks for."""
        return [option for part in self.parts for option in part.options]
