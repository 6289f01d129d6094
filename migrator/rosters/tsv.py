"""The MoveAccounts list: a text file whose first line names its columns, separated by tabs, commas or semicolons.

``Name`` and ``Password`` sign in at the source, ``NewName`` and ``NewPassword`` at the target; where these two are
missing or empty the first two serve both sides. Every other column is ignored, so that the file may be the one the
accounts were imported from, unless somebody asks for it by its title. Between tabs every character stands for itself,
a ``"`` too; between commas or semicolons a field may be quoted as spreadsheets do (RFC 4180 §2), within one line.
Passwords are taken as they stand.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from migrator.rosters import cells
from migrator.rosters.base import BadRoster, Needs, Refusal, Roster, RosterRow
from migrator.secret import Secret

LINE_BYTES: Final = 64 * 1024
UTF16_BYTES: Final = 16 * 1024 * 1024  # decoded as a whole
ROWS: Final = 200_000
COLUMNS: Final = 200
SEPARATORS: Final = {"\t": "tab", ",": "comma", ";": "semicolon"}
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_TITLES: Final = {"name": "Name", "password": "Password", "newname": "NewName", "newpassword": "NewPassword"}


@dataclass(frozen=True, slots=True)
class Shape:
    """What somebody has looked at and settled: where fields end, and what the columns are called, each differently.

    ``has_heading``: the first line is no account. ``is_harmless``: its cells were made harmless for spreadsheets.
    """

    separator: str
    names: Sequence[str]
    has_heading: bool = True
    is_harmless: bool = False

    def fields(self, line: str) -> list[str]:
        """Return the fields of a line as they were meant; none where a quote is not closed."""
        found = _split(line, self.separator)
        return [cells.original(cell) for cell in found] if self.is_harmless else found


class Look(NamedTuple):
    """The beginning of a list, before anybody has said what it means."""

    separator: str
    rows: list[list[str]]  # fields of the first lines that can be read, a heading too if there is one


@dataclass(frozen=True, slots=True)
class Layout:
    """How a list is read where it is not as MoveAccounts has it.

    With a ``shape`` columns go by its names, and only those in ``titles`` and ``also`` are read. ``titles`` replaces
    the titles of the four columns, by their keys name, password, newname and newpassword. ``also``: further columns,
    by title, handed on in :attr:`RosterRow.others`. ``lacks_passwords``: a password that is not there is no fault of
    the row; who reads it knows which rows need one.
    """

    titles: Mapping[str, str] = field(default_factory=dict)
    also: Sequence[str] = ()
    may_have: Sequence[str] = ()  # as ``also``, where the list has them
    lacks_passwords: bool = False
    shape: Shape | None = None

    def title(self, key: str) -> str:
        """Return the title of one of the four columns."""
        return self.titles.get(key) or _TITLES[key]

    def keys(self) -> dict[str, str]:
        """Return the four keys, by their titles as they are compared."""
        known = self.titles if self.shape else _TITLES
        return {self.title(key).strip().casefold(): key for key in known}


_USUAL: Final = Layout()


class _Line(NamedTuple):
    number: int
    text: str | None  # None: the bytes are not UTF-8


class _Columns(NamedTuple):
    """Where each wanted field stands in a row."""

    separator: str
    width: int
    places: dict[str, int]  # only what the list has
    others: dict[str, int]  # by title, as they were asked for
    ignored: list[str]


def read(path: Path, needs: Needs, layout: Layout = _USUAL) -> Roster:
    """Read a list. Raises ``BadRoster`` when it cannot be read as a whole, ``OSError`` when not at all.

    The memory taken does not depend on the length of a line. Rows that meet in one mailbox are found by
    :meth:`Roster.checked`, which knows whether both sides are one server.
    """
    rows: list[RosterRow] = []
    refusals: list[Refusal] = []
    with path.open("rb") as file:
        lines = (line for line in _lines(file) if line.text is None or line.text.strip())
        first = next(lines, None)
        columns = _columns(first, needs, layout)
        for line in lines if first is None or _has_heading(layout) else chain([first], lines):
            made = _row(line, columns, needs, layout)
            if isinstance(made, RosterRow):
                rows.append(made)
            elif made:
                refusals.append(made)
            if len(rows) + len(refusals) > ROWS:
                raise BadRoster(f"The list has more than {ROWS:,} rows. Split it.")
    if not rows and not refusals:
        raise BadRoster("The list names its columns, but no account follows.")
    return Roster(rows, refusals, columns.ignored)


def look(path: Path, lines: int = 11) -> Look:
    """Return how a list begins. Raises ``BadRoster`` where it cannot be one, ``OSError``."""
    with path.open("rb") as file:
        found = (line for line in _lines(file) if line.text is None or line.text.strip())
        first = next(found, None)
        texts = [_header_text(first, _USUAL)]
        texts += [line.text for line, _ in zip(found, range(lines - 1), strict=False) if line.text is not None]
    separator = max(SEPARATORS, key=lambda mark: _regularity(texts, mark))
    rows = [fields for text in texts if (fields := _split(text, separator))]
    if max(map(len, rows), default=0) > COLUMNS:
        raise BadRoster(f"The list has more than {COLUMNS} columns: this is not a list of accounts.")
    return Look(separator, rows)


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Return each line with its number, as ``read`` counts them; one that is no text is empty."""
    with path.open("rb") as file:
        yield from ((line.number, line.text or "") for line in _lines(file))


def _regularity(texts: list[str], separator: str) -> tuple[bool, int]:
    widths = [len(_split(text, separator)) for text in texts]
    return min(widths) == max(widths) > 1, widths[0]


def _has_heading(layout: Layout) -> bool:
    return layout.shape is None or layout.shape.has_heading


def _lines(file: BinaryIO) -> Iterator[_Line]:
    head = file.readline(LINE_BYTES + 1)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        yield from _utf16_lines(head + file.read(UTF16_BYTES + 1 - len(head)))
        return
    number = 1
    line = head.removeprefix(codecs.BOM_UTF8)
    while line:
        _refuse_long(len(line), number)
        yield _Line(number, _utf8(line))
        line = file.readline(LINE_BYTES + 1)
        number += 1


def _utf16_lines(content: bytes) -> Iterator[_Line]:
    # what spreadsheets call "Unicode text"; the byte order mark says which of the two it is
    if len(content) > UTF16_BYTES:
        raise BadRoster(f"The list is UTF-16 and larger than {UTF16_BYTES >> 20} MB. Save it as UTF-8.")
    try:
        text = content.decode("utf-16")
    except UnicodeDecodeError as error:
        number = content[: error.start].decode("utf-16", "replace").count("\n") + 1
        raise BadRoster(f"Line {number:,}: the list begins as UTF-16 and is not. Save it as UTF-8.") from None
    for number, line in enumerate(text.split("\n"), start=1):
        _refuse_long(len(line), number)
        yield _Line(number, line.removesuffix("\r"))


def _refuse_long(length: int, number: int) -> None:
    if length > LINE_BYTES:
        raise BadRoster(f"Line {number:,} is longer than {LINE_BYTES:,} characters: this is not a list of accounts.")


def _utf8(line: bytes) -> str | None:
    try:
        return line.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8")
    except UnicodeDecodeError:
        return None


def _columns(header: _Line | None, needs: Needs, layout: Layout) -> _Columns:
    text = _header_text(header, layout)
    keys = layout.keys()
    shape = layout.shape
    separator = shape.separator if shape else max(SEPARATORS, key=lambda mark: len(_wanted(text, mark, layout)))
    fields = [*shape.names] if shape else _split(text, separator)
    names = [field.strip().casefold() for field in fields]
    for name in (*keys, *(title.strip().casefold() for title in (*layout.also, *layout.may_have))):
        if names.count(name) > 1:
            raise BadRoster(f"The first line names the column {fields[names.index(name)].strip()} more than once.")
    places = {key: names.index(name) for name, key in keys.items() if name in names}
    _refuse_missing(places, needs, layout)
    others = _others(names, layout)
    used = {places[key] for key in _used(needs) & places.keys()} | set(others.values())
    ignored = [_title(field, at + 1) for at, field in enumerate(fields) if at not in used]
    return _Columns(separator, len(fields), places, others, ignored)


def _others(names: list[str], layout: Layout) -> dict[str, int]:
    """Find the further columns that were asked for."""
    missing = [title for title in layout.also if title.strip().casefold() not in names]
    if missing:
        raise BadRoster(f"The first line does not name the column {' and the column '.join(missing)}.")
    known = [*layout.also, *(title for title in layout.may_have if title.casefold() in names)]
    return {title: names.index(title.strip().casefold()) for title in known}


def _header_text(header: _Line | None, layout: Layout) -> str:
    if header is None:
        least = f"{layout.title('name')} and {layout.title('password')}"
        raise BadRoster(f"The list is empty. Its first line must name the columns: {least} at least.")
    if header.text is None:
        raise BadRoster("The first line is not UTF-8 text. Save the list as UTF-8.")
    if "\0" in header.text:
        raise BadRoster(
            "The first line holds NUL characters: this is no text, or UTF-16 without its mark. Save the list as UTF-8."
        )
    if "\r" in header.text:
        raise BadRoster("The list ends its lines with CR alone, as very old Macs did. Save it with usual line ends.")
    return header.text


def _wanted(text: str, separator: str, layout: Layout) -> set[str]:
    titles = {*layout.keys(), *(title.strip().casefold() for title in layout.also)}
    return {field.strip().casefold() for field in _split(text, separator)} & titles


def _refuse_missing(places: dict[str, int], needs: Needs, layout: Layout) -> None:
    missing = [] if "name" in places else [layout.title("name")]
    target_only = "newpassword" in places and not needs.source_password
    if "password" not in places and any(needs) and not target_only and not layout.lacks_passwords:
        missing.append(layout.title("password"))
    missing += [layout.titles[key] for key in layout.titles if key not in places and layout.titles[key] not in missing]
    if missing:
        # the columns found are not repeated: where the line of names is missing they are somebody's password
        name, password, target_name, target_password = map(layout.title, _TITLES)
        raise BadRoster(
            f"The first line does not name the column {' and the column '.join(missing)}. It must name all columns, "
            f"separated by tabs, commas or semicolons: {name} and {password}, and if wanted {target_name} and "
            f"{target_password}."
        )


def _used(needs: Needs) -> set[str]:
    used = {"name", "newname"}
    if any(needs):
        used.add("password")
    if needs.target_password:
        used.add("newpassword")
    return used


def _title(field: str, at: int) -> str:
    return field.strip() or f"column {at} (without a name)"


def _split(text: str, separator: str) -> list[str]:
    if separator == "\t":
        return text.split("\t")
    # strict: a quote left open or followed by more text is an error instead of a guess
    try:
        return next(csv.reader([text], delimiter=separator, strict=True), [])
    except csv.Error:
        return []


def _row(line: _Line, columns: _Columns, needs: Needs, layout: Layout) -> RosterRow | Refusal | None:
    if line.text is None:
        return Refusal(line.number, "The line is not UTF-8 text. Save the list as UTF-8.")
    if "\0" in line.text:
        return Refusal(line.number, "The line holds a NUL character, which no name and no password can have.")
    shape = layout.shape
    fields = shape.fields(line.text) if shape else _split(line.text, columns.separator)
    if not fields:
        return Refusal(line.number, 'A quoted field is not closed, or goes on after its quote. Inside quotes write "".')
    if len(fields) != columns.width:
        mark = SEPARATORS[columns.separator]
        told = f"The first line {'names' if _has_heading(layout) else 'has'} {columns.width} columns ({mark})"
        return Refusal(line.number, f"{told}, this line has {len(fields)}.")
    # spreadsheets leave rows of nothing but separators behind
    return _account(line.number, fields, columns, needs, layout) if any(fields) else None


def _account(number: int, fields: list[str], columns: _Columns, needs: Needs, layout: Layout) -> RosterRow | Refusal:
    given = {key: fields[at] for key, at in columns.places.items()}
    source_user, source_password = given["name"], given.get("password", "")
    target_user = given.get("newname") or source_user
    target_password = given.get("newpassword") or source_password
    complaint = (
        _name_complaint(source_user, layout.title("name"))
        or _name_complaint(target_user, layout.title("newname"))
        or (_password_complaint(source_password, "password", layout) if needs.source_password else "")
        or (_password_complaint(target_password, "newpassword", layout) if needs.target_password else "")
    )
    if complaint:
        return Refusal(number, complaint)
    source_secret = Secret(source_password) if needs.source_password and source_password else None
    target_secret = Secret(target_password) if needs.target_password and target_password else None
    others = {title: fields[at] for title, at in columns.others.items()}
    return RosterRow(number, source_user, target_user, source_secret, target_secret, others)


def _name_complaint(name: str, column: str) -> str:
    if not name.strip():
        return f"The field {column} is empty."
    if name != name.strip():
        return f"The field {column} begins or ends with a blank."
    if _CONTROL.search(name):
        return f"The field {column} holds a control character."
    return ""


def _password_complaint(password: str, key: str, layout: Layout) -> str:
    if not password:
        return "" if layout.lacks_passwords else f"The field {layout.title(key)} is empty."
    # a CR inside a line is a broken line end, never part of what a person typed
    return f"The field {layout.title(key)} holds a line break." if "\r" in password else ""
