"""Files in which new mail waits, one mbox a user, in a folder where nobody but us makes names.

Each is there, empty and its user's own, before any .forward leads to it, and stays when it is emptied: a delivery agent
may have it open. What is taken out of it is noted first, so that a process that dies here neither loses nor doubles it.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from migrator.disk import sync
from migrator.errors import MigratorError
from migrator.holds.base import HeldMail
from migrator.holds.dot_forward import Forward, Owner
from migrator.holds.put_back import put_back
from migrator.limits import Clock, Limits, SystemClock
from migrator.stores.file_access import opened, refusal, shown
from migrator.stores.mbox import MboxSource
from migrator.stores.mbox_index import NO_DATE, read_as_mail
from migrator.stores.mbox_lock import Lock, locked
from migrator.stores.mbox_syntax import Variant

LOCK_SECONDS: Final = 30.0
LOCAL_TIME: Final = Path("/etc/localtime")
_OF_LEDGER: Final = ("-wal", "-shm", ".lock", "")  # itself goes last: a new one must not find what belonged to it
_CHANGE: Final = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_MAKE: Final = _CHANGE | os.O_CREAT | os.O_EXCL


class HeldFiles:
    """The held files below ``folder``; what goes back goes into the mbox of the same name below ``mailboxes``.

    ``zone`` is that of the clock by which mail is delivered into them; None: this machine's.
    """

    def __init__(
        self, folder: Path, mailboxes: Path | None = None, clock: Clock | None = None, zone: tzinfo | None = None
    ) -> None:
        self.folder = folder
        self.mailboxes = mailboxes
        self._clock = clock or SystemClock()
        self._zone = zone or machine_zone()

    def path(self, user: str) -> Path:
        """Return where mail for ``user`` waits."""
        return self.folder / user

    @contextmanager
    def alone(self, user: str) -> Iterator[None]:
        """Keep all others of us from what is held for ``user`` until the end of the block."""
        with _told(self.path(user)), (self.folder / f".{user}.alone").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def make(self, user: str, owner: Owner) -> None:
        """Have an empty file of ``owner`` there; one that is there already stays as it is."""
        with _told(self.path(user)), _open(self.path(user), owner) as file:
            if not os.fstat(file).st_size:
                # What is noted is of mail that has left: whoever emptied the file died before they removed it.
                self.forget_memory(user)
                self._note(user).unlink(missing_ok=True)

    def keep(self, user: str, forward: Forward) -> None:
        """Keep a copy of a .forward beside the held mail, for people who have nothing else; none is kept of none."""
        if forward.text is None:
            return
        kept = self.folder / f"{user}.forward"
        draft = self.folder / f".{user}.forward"
        with _told(kept):
            draft.unlink(missing_ok=True)
            with open(os.open(draft, _MAKE, 0o600), "wb") as file:  # noqa: PTH123  by its descriptor
                file.write(forward.text.encode("latin-1"))
                file.flush()
                os.fsync(file.fileno())
            draft.rename(kept)
            sync(self.folder)

    def forget(self, user: str) -> None:
        """Remove the copy: the .forward is as it was."""
        with _told(self.path(user)):
            (self.folder / f"{user}.forward").unlink(missing_ok=True)

    def held(self, user: str) -> HeldMail:
        """Return what waits for ``user``."""
        path = self.path(user)
        try:
            with opened(path, self._root()) as descriptor:
                if not os.fstat(descriptor).st_size:
                    return HeldMail(0)
                with locked(path, descriptor, seconds=LOCK_SECONDS, clock=self._clock) as lock:
                    found = read_as_mail(descriptor, Variant(self._zone), lock)
        except MigratorError as error:
            if error.code == "file.missing":
                return HeldMail(0)
            raise
        dates = [date for date in found.dates if date != NO_DATE]
        return HeldMail(len(found), float(min(dates)) if dates else None)

    def source(self, user: str, limits: Limits | None = None) -> MboxSource:
        """Return what waits for ``user`` as a mailbox to copy from. Its ``set_aside`` empties it, and keeps a copy."""
        return MboxSource(self.path(user), limits, zone=self._zone, has_marks=False)

    def memory(self, user: str) -> Path:
        """Return where it is written down what of that was copied already: a ledger, as long as that goes on."""
        return self.folder / f".{user}.import"

    def forget_memory(self, user: str) -> None:
        """Remove that ledger, which nobody has open."""
        memory = self.memory(user)
        with _told(memory):
            for name in _OF_LEDGER:
                memory.with_name(memory.name + name).unlink(missing_ok=True)

    def put_back(self, user: str, owner: Owner) -> None:
        """Append what waits to the user's old mailbox, and empty the file. Safe to repeat after any end.

        Raises ``hold.kept_in_file`` where nobody said where old mailboxes are, ``hold.file_in_the_way`` where another's
        file is in its place, ``hold.half_put_back`` when somebody changed the mailbox in the middle of it.
        """
        if self.mailboxes is None:
            raise MigratorError("hold.kept_in_file", reply=shown(self.path(user)))
        box = self.mailboxes / user
        with (
            self.alone(user),
            _told(box),
            _open(self.path(user)) as held,
            _open(box, owner) as there,
            self._locked(box, there),
            self._locked(self.path(user), held),
        ):
            put_back(held, there, self._note(user))

    def _note(self, user: str) -> Path:
        return self.folder / f".{user}.back"

    def _locked(self, path: Path, descriptor: int) -> AbstractContextManager[Lock]:
        real = Path(os.path.realpath(path))
        return locked(real, descriptor, seconds=LOCK_SECONDS, clock=self._clock, to_write=True)

    def _root(self) -> Path:
        return Path(os.path.realpath(self.folder))


def machine_zone(local_time: Path | None = None) -> tzinfo:
    """Return the zone of this machine, by which its delivery agents date what they write; a process may have another.

    Of a machine without one it is UTC.
    """
    try:
        with (local_time or LOCAL_TIME).open("rb") as file:
            return ZoneInfo.from_file(file)
    except (OSError, ValueError):
        return UTC


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise refusal(error, path) from error


@contextmanager
def _open(path: Path, owner: Owner | None = None) -> Iterator[int]:
    """Yield a plain file of one name, open for changes; with ``owner`` it is theirs, made if there is none."""
    try:
        descriptor = os.open(path, _CHANGE)
    except FileNotFoundError:
        if owner is None:
            raise
        _make(path, owner)
        descriptor = os.open(path, _CHANGE)
    try:
        found = os.fstat(descriptor)
        is_plain = stat.S_ISREG(found.st_mode) and found.st_nlink == 1
        if owner is not None and is_plain and _is_unfinished(found):
            os.fchown(descriptor, *owner)
            found = os.fstat(descriptor)
        # In a spool where everybody makes names, a mailbox is whose it is, and not whose name it bears.
        if not is_plain or (owner is not None and found.st_uid != owner.uid):
            raise MigratorError("hold.file_in_the_way", reply=shown(path))
        yield descriptor
    finally:
        os.close(descriptor)


def _is_unfinished(found: os.stat_result) -> bool:
    """True for a file as :func:`_make` leaves it that died before it gave it away."""
    return found.st_uid == os.geteuid() and not found.st_size and stat.S_IMODE(found.st_mode) == 0o600


def _make(path: Path, owner: Owner) -> None:
    made = os.open(path, _MAKE, 0o600)
    try:
        if (os.geteuid(), os.getegid()) != owner:
            os.fchown(made, *owner)
    finally:
        os.close(made)
    sync(path.parent)
