"""A hold by the means of the oldest mail servers: the user's .forward leads into a file, which is imported afterwards.

It works where mail for a user passes their .forward before anything else is done with it. What was in the .forward
before is saved whole and comes back whole; while mail is held the user's own forwarding rests, and what comes is in
their new mailbox afterwards. A .forward that somebody else changes meanwhile is left alone.

Nothing sends what waits: it is one more source (:meth:`ForwardFileHold.kept`), copied and compared by the step that
releases it, or it is put back into the old mailbox where that is an mbox of this machine.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Self

from migrator.command import argument
from migrator.entries import Json, Values
from migrator.errors import MigratorError, Side
from migrator.holds.base import HeldMail
from migrator.holds.dot_forward import Forward, Homes
from migrator.holds.held_file import HeldFiles
from migrator.holds.postfix_host import PostfixHost
from migrator.holds.queue import PostfixQueue
from migrator.limits import Limits
from migrator.options import Options
from migrator.secret import Secret
from migrator.stores.file_access import shown
from migrator.stores.mbox import MboxSource

# So long may a delivery take that read the file before it was changed: nobody tells of it, and it is one write.
DELIVERY_SECONDS: Final = 2.0
TOGETHER_SECONDS: Final = 10.0  # for the files of many, of which some may be locked
_ADDRESS: Final = re.compile(r"([A-Za-z0-9_][A-Za-z0-9_.-]{0,63})(?:@[A-Za-z0-9.-]+)?")
_FOLDER: Final = re.compile(r"(/[A-Za-z0-9_.-]+)+")
_NOTE: Final = "# New mail waits in this file while your mailbox is moved. Please do not change this.\n"


class ForwardFileHold:
    """Implements :class:`migrator.holds.base.MailHold`, but for sending: what waits is fetched."""

    def __init__(self, homes: Homes, files: HeldFiles, postfix: PostfixHost | None = None) -> None:
        self._homes = homes
        self._files = files
        self._postfix = postfix
        self._queue = PostfixQueue(postfix) if postfix else None
        self._seen: dict[str, tuple[Forward, float]] = {}  # what stands there, and since when we know

    @classmethod
    def of(cls, options: Mapping[str, Json], secret: Secret | None) -> Self:
        """Return a hold by .forward. Raises ``ValueError`` with a sentence.

        Options: ``homes``, the folder of all homes, each called as its user; ``held``, a folder that only we write to,
        for the mail that waits; ``mailboxes``, the folder of the old mailboxes, mbox files called as their user, for
        mail that must go back. ``postfix`` says that a Postfix delivers, with the options of
        :class:`~migrator.holds.postfix_host.PostfixHost`: then it is asked what is still on its way.
        """
        given = Options(options)
        homes, held = (_folder(given.text(name), name) for name in ("homes", "held"))
        box = given.text("mailboxes", "")
        mailboxes = _folder(box, "mailboxes") if box else None
        postfix = PostfixHost.of(given) if given.flag("postfix", False) else None
        given.end()
        return cls(Homes(homes), HeldFiles(held, mailboxes), postfix)

    def find(self, address: str) -> Values | None:
        user = _user(address)
        found = self._homes.read(user) if user else None
        return None if found is None else {"user": user, "forward": found.text, "mode": found.mode}

    def replace(self, address: str, expected: Values, wanted: Values) -> None:
        user = _user(address)
        if self.find(address) is None:
            raise MigratorError("directory.missing")
        with self._files.alone(user):
            found = self.find(address)
            if found == wanted:
                return
            if found != expected or wanted["user"] != user:
                raise MigratorError("directory.changed", reply=shown(self._homes.folder / user / ".forward"))
            self._seen.pop(user, None)
            if wanted == self.holding(wanted):
                self._prepare(user, _forward(found))
            self._homes.put(user, _forward(wanted))
            if wanted != self.holding(wanted):
                self._files.forget(user)

    def holding(self, values: Values) -> Values:
        text = f"{_NOTE}{self._files.path(str(values['user']))}\n"
        return {"user": values["user"], "forward": text, "mode": 0o600}

    def is_settled(self, address: str) -> bool:
        user = _user(address)
        found = self._homes.read(user)
        if found is None:
            raise MigratorError("directory.missing")
        known = self._seen.get(user)
        if known is None or known[0] != found:
            known = self._seen[user] = found, time.monotonic()
        if time.monotonic() < known[1] + DELIVERY_SECONDS:
            return False
        return self._queue is None or all(one.queue == "deferred" for one in self._queue.waiting(address))

    def held(self, address: str) -> HeldMail:
        user = _user(address)
        found = self._files.held(user) if user else HeldMail(0)
        return replace(found, aside=self._queue.look(address).aside) if self._queue else found

    def held_of(self, addresses: Sequence[str]) -> dict[str, HeldMail]:
        """Return what :meth:`held` does for each of ``addresses``, the queue looked at once for all.

        Whose file cannot be read is left out, and who is not reached in time.
        """
        end = time.monotonic() + TOGETHER_SECONDS
        looks = self._queue.look_at(addresses) if self._queue else {}
        found = {}
        for address in addresses:
            user = _user(address)
            if time.monotonic() >= end:
                break
            with contextlib.suppress(MigratorError):
                look = looks.get(address.lower())
                held = self._files.held(user) if user else HeldMail(0)
                found[address] = replace(held, aside=look.aside if look else 0)
        return found

    def flush(self, address: str, to: Side) -> None:
        """Put what waits back into the old mailbox; to the new one nothing is sent (``hold.kept_in_file``)."""
        user = _user(address)
        if not self.held(address).messages:
            return
        owner = self._homes.owner(user)
        if to is Side.TARGET or owner is None:
            raise MigratorError("hold.kept_in_file", reply=shown(self._files.path(user)))
        self._files.put_back(user, owner)

    def kept(self, address: str, limits: Limits) -> MboxSource:
        """Return what waits for ``address`` as a mailbox; its ``set_aside`` empties the file, and keeps a copy."""
        return self._files.source(_user(address), limits)

    def memory(self, address: str) -> Path:
        """Return the ledger of what was fetched of that already."""
        return self._files.memory(_user(address))

    def forget_memory(self, address: str) -> None:
        """Remove that ledger."""
        self._files.forget_memory(_user(address))

    def trouble(self) -> Iterator[MigratorError]:
        for folder in filter(None, (self._homes.folder, self._files.folder, self._files.mailboxes)):
            if not folder.is_dir():
                yield MigratorError("hold.folder_unfit", reply=f"no folder: {shown(folder)}")
        if self._files.folder.is_dir():
            mode = self._files.folder.stat().st_mode
            if mode & (stat.S_IWGRP | stat.S_IWOTH) or not mode & stat.S_IXOTH:
                yield MigratorError("hold.folder_unfit", reply=f"chmod 711 {shown(self._files.folder)}")
        if os.geteuid() != 0:
            yield MigratorError("hold.folder_unfit", reply="files of others are made by root alone")
        if self._postfix is not None:
            yield from _postfix_trouble(self._postfix, self._homes.folder)

    def close(self) -> None:
        """Nothing is kept open."""

    def _prepare(self, user: str, before: Forward) -> None:
        owner = self._homes.owner(user)
        if owner is None:
            raise MigratorError("directory.missing")
        self._files.make(user, owner)
        self._files.keep(user, before)


def _postfix_trouble(host: PostfixHost, homes: Path) -> Iterator[MigratorError]:
    """Yield why this Postfix would not deliver into the files."""

    def setting(name: str) -> str:
        return host.run("postconf", "-h", name).out.strip()

    allowed, looked_at = setting("allow_mail_to_files"), setting("forward_path")
    if "forward" not in re.split(r"[\s,]+", allowed):
        yield MigratorError("hold.folder_unfit", reply=f"allow_mail_to_files = {allowed}")
    if not any(word.startswith(("$home/.forward", f"{homes}/$")) for word in re.split(r"[\s,]+", looked_at)):
        yield MigratorError("hold.folder_unfit", reply=f"forward_path = {looked_at}")


def _user(address: str) -> str:
    """Return who ``address`` is on their host; empty for what is no user's name. Raises ``address.bad``."""
    found = _ADDRESS.fullmatch(argument(address))
    return found[1] if found else ""


def _forward(values: Values) -> Forward:
    text, mode = values["forward"], values["mode"]
    if not (text is None or isinstance(text, str)) or not (mode is None or isinstance(mode, int)):
        raise MigratorError("directory.changed")
    return Forward(text, mode)


def _folder(text: str, name: str) -> Path:
    path = Path(text)
    if not _FOLDER.fullmatch(text) or ".." in path.parts:
        raise ValueError(f"The option {name} must be the full path of a folder, of letters, digits and . _ - alone.")
    return path
