"""People's .forward files: read whole, replaced whole, in a home that its owner may change under our hands.

Whoever does this has the rights of many, so each home is opened once and all names are looked up in it, no link is
followed, and what is no plain file of one name is left alone.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from migrator.errors import MigratorError
from migrator.stores.file_access import shown

NAME: Final = ".forward"
DRAFT: Final = ".forward.mailferry"
MOST_BYTES: Final = 64 * 1024
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_MAKE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Owner(NamedTuple):
    """Whose a home is."""

    uid: int
    gid: int


class Forward(NamedTuple):
    """What a .forward says; None where there is none. Its octets are kept one for one, as Latin-1."""

    text: str | None = None
    mode: int | None = None


class Homes:
    """The homes below one folder, by the name of their user. All methods raise ``MigratorError``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def owner(self, user: str) -> Owner | None:
        """Return whose the home of ``user`` is; None where there is none."""
        with self._home(user) as home:
            if home is None:
                return None
            found = os.fstat(home)
            return Owner(found.st_uid, found.st_gid)

    def read(self, user: str) -> Forward | None:
        """Return what the .forward of ``user`` says; None where they have no home. Raises ``hold.forward_unfit``."""
        with self._home(user) as home:
            return None if home is None else self._read(home, user)

    def put(self, user: str, forward: Forward) -> None:
        """Make the .forward of ``user`` what is given, whole or not at all, as a file of the owner of their home.

        Raises ``directory.missing`` where they have no home.
        """
        with self._home(user) as home:
            if home is None:
                raise MigratorError("directory.missing")
            with suppress(FileNotFoundError):
                os.unlink(DRAFT if forward.text is not None else NAME, dir_fd=home)
            if forward.text is not None:
                self._write(home, forward)
            os.fsync(home)

    @contextmanager
    def _home(self, user: str) -> Iterator[int | None]:
        try:
            home = os.open(self.folder / user, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            yield None
            return
        except OSError as error:
            raise self._refused(error, user) from error
        try:
            yield home
        except OSError as error:
            raise self._refused(error, user) from error
        finally:
            os.close(home)

    def _read(self, home: int, user: str) -> Forward:
        try:
            file = os.open(NAME, _READ, dir_fd=home)
        except FileNotFoundError:
            return Forward()
        try:
            found = os.fstat(file)
            if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1 or found.st_size > MOST_BYTES:
                raise MigratorError("hold.forward_unfit", reply=shown(self.folder / user / NAME))
            octets = os.read(file, MOST_BYTES + 1)
        finally:
            os.close(file)
        if b"\0" in octets:
            raise MigratorError("hold.forward_unfit", reply=shown(self.folder / user / NAME))
        return Forward(octets.decode("latin-1"), stat.S_IMODE(found.st_mode))

    def _write(self, home: int, forward: Forward) -> None:
        assert forward.text is not None
        owner = os.fstat(home)
        with open(os.open(DRAFT, _MAKE, 0o600, dir_fd=home), "wb") as file:  # noqa: PTH123  by its descriptor
            file.write(forward.text.encode("latin-1"))
            file.flush()
            os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
            os.fchmod(file.fileno(), forward.mode if forward.mode is not None else 0o600)
            os.fsync(file.fileno())
        os.rename(DRAFT, NAME, src_dir_fd=home, dst_dir_fd=home)

    def _refused(self, error: OSError, user: str) -> MigratorError:
        words = f"{error.strerror or error}: {shown(self.folder / user / NAME)}"
        if isinstance(error, PermissionError):
            return MigratorError("directory.no_permission", reply=words)
        return MigratorError("hold.forward_unfit", reply=words)
