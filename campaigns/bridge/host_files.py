"""What connectors take from the host: programs, SQL statements and database files, in a folder that we cannot write.

Who types in a browser names none of it: no path, no argument, no SQL. The host's administrator lays files into the
folder of the setting MAILFERRY_PROGRAMS, and pages offer their names: a program is a file that may be run, a statement
one that ends in ``.sql``, a database one that ends in ``.sqlite`` (or a link to it), and so a list, which is a file of
another server that we are there to change, one that ends in ``.list``; a folder in which we make files for others is a
link that ends in ``.folder``. Stored is ``{"program": NAME}``,
and what the name stands for is looked up at each use. Folder and files must be out of our own reach, with every folder
above them: else whoever gets hold of the panel could put their own commands there.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from django.conf import settings

from migrator.entries import Json
from migrator.errors import MigratorError

PROGRAM: Final = "program"
STATEMENT: Final = "statement"
DATABASE: Final = "database"
LIST: Final = "list"
FOLDER: Final = "folder"
KINDS: Final = (PROGRAM, STATEMENT, DATABASE, LIST, FOLDER)
OURS: Final = "ours"  # a file of the panel's own that a connector keeps; no form asks for one
GATES: Final = "gates/routes.sqlite"

_SUFFIXES: Final = {STATEMENT: ".sql", DATABASE: ".sqlite", LIST: ".list", FOLDER: ".folder"}
_OURS_TO_CHANGE: Final = (DATABASE, LIST, FOLDER)
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_STATEMENT_BYTES: Final = 64 * 1024


class _Unfit(ValueError):
    """A sentence without its subject: what is wrong with a file or folder."""


def names(kind: str) -> list[str]:
    """Return the names of the files of ``kind`` that may be chosen, in order; none where the folder is unfit."""
    folder = settings.PROGRAMS
    if folder is None:
        return []
    try:
        _require_out_of_reach(folder)
        return sorted(name for name in os.listdir(folder) if _fits(kind, name))  # noqa: PTH208  names, no paths
    except (OSError, _Unfit):
        return []


def trouble() -> str:
    """Return why nothing can be chosen, as a sentence for the host's administrator; empty when all is well."""
    if settings.PROGRAMS is None:
        return "MAILFERRY_PROGRAMS names no folder, so there are no programs and statements to choose from."
    try:
        _require_out_of_reach(settings.PROGRAMS)
    except (OSError, _Unfit) as error:
        return f"MAILFERRY_PROGRAMS: {_why(error)}."
    return ""


def resolved(options: Mapping[str, Json]) -> dict[str, Json]:
    """Return ``options`` with what each name in them stands for: words of a program, SQL, the path of a database.

    Raises ``MigratorError("connector.invalid")`` with a sentence that names the option.
    """
    return dict(_resolved(options))


def reference(value: Json) -> str:
    """Return the name that a stored value holds; empty for a value that is none of ours."""
    if isinstance(value, dict) and len(value) == 1:
        ((kind, name),) = value.items()
        return name if kind in KINDS and isinstance(name, str) else ""
    return ""


def _resolved(options: Mapping[str, Json]) -> Iterator[tuple[str, Json]]:
    for option, value in options.items():
        if value == {OURS: GATES}:
            yield option, str(settings.DATA / GATES)
            continue
        name = reference(value)
        if not name or not isinstance(value, dict):
            yield option, value
            continue
        try:
            yield option, _open(next(iter(value)), name)
        except (OSError, UnicodeError, _Unfit) as error:
            raise MigratorError("connector.invalid", reply=f"The option {option}: {_why(error)}.") from None


def _why(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.filename} cannot be read: {error.strerror}"
    return "the file is not in UTF-8" if isinstance(error, UnicodeError) else str(error)


def _open(kind: str, name: str) -> Json:
    path = _find(kind, name)
    if kind == PROGRAM:
        return [str(path)]
    if kind in _OURS_TO_CHANGE:
        return str(path)
    with path.open("rb") as file:
        text = file.read(_STATEMENT_BYTES + 1)
    if len(text) > _STATEMENT_BYTES:
        raise _Unfit(f"{name} is longer than {_STATEMENT_BYTES} bytes")
    return text.decode().strip()


def _find(kind: str, name: str) -> Path:
    """Return the file that ``name`` stands for. Raises ``OSError``, ``_Unfit``."""
    folder = settings.PROGRAMS
    if folder is None:
        raise _Unfit("MAILFERRY_PROGRAMS names no folder, so nothing can be chosen")
    _require_out_of_reach(folder)
    if not _has_name(kind, name):
        raise _Unfit(f"{name!r} is no name of a {kind}")
    path = (folder / name).resolve(strict=True)
    if not (path.is_dir() if kind == FOLDER else path.is_file()):
        raise _Unfit(f"{name} is no {'folder' if kind == FOLDER else 'file'}")
    if kind not in _OURS_TO_CHANGE:
        _require_out_of_reach(path)
    if kind == PROGRAM and not os.access(path, os.X_OK):
        raise _Unfit(f"{name} may not be run: chmod 755")
    return path


def _fits(kind: str, name: str) -> bool:
    try:
        _find(kind, name)
    except (OSError, _Unfit):
        return False
    return True


def _has_name(kind: str, name: str) -> bool:
    suffix = next((one for one, end in _SUFFIXES.items() if name.endswith(end)), PROGRAM)
    return suffix == kind and _NAME.fullmatch(name) is not None


def _require_out_of_reach(path: Path) -> None:
    """Raise ``_Unfit`` when this program, or anybody but the host's administrators, could change or replace it."""
    real = path.resolve(strict=True)
    for place in (real, *real.parents):
        found = place.stat()
        is_shared = stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX and place != real  # /tmp
        if found.st_mode & 0o022 and not is_shared:
            raise _Unfit(f"{place} can be written by others than its owner: chmod go-w")
        if _is_within_reach(place, found.st_uid, is_shared=bool(is_shared)):
            raise _Unfit(f"{place} can be changed by Mailferry itself or by an ordinary user: chown root")


def _is_within_reach(place: Path, owner: int, *, is_shared: bool) -> bool:
    if os.geteuid() == 0:
        return owner != 0  # whoever owns it decides what the administrator's rights are used for
    return owner == os.geteuid() or (not is_shared and os.access(place, os.W_OK))
