"""Accounts in a Dovecot's passwd-file, made closed: a line each, with what is special to it as extra fields.

An External INBOX is a mailbox file of the operating system, such as /var/mail/NAME: the account's own mail location
(``userdb_mail``) puts INBOX there, so that Dovecot delivers into that file and shows what local programs deliver to it.
So the passwd-file must be a userdb of Dovecot's, too. An OS password is the one of the operating system's user of the
same name: the line says ``noauthenticate``, and the passdb behind this one (PAM, or a file in the form of shadow) is
asked; what the line says beside holds all the same, ``nologin`` among it.

Whoever has no OS password gets one here that nothing matches, for an empty one would let everybody in. So that the
passdb behind does not answer for them, the passwd-file needs ``result_failure = return-fail``.

Source: doc.dovecot.org 2.3, Passwd-file, Password database extra fields, mbox; seen with 2.3.19.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Self

from migrator.command import Command
from migrator.directories.chosen import Chosen
from migrator.directories.compare import names_of
from migrator.directories.dovecot import MOVING
from migrator.directories.dovecot_answers import (
    NOAUTHENTICATE,
    NOLOGIN,
    REASON,
    DovecotAnswers,
    checked_reason,
    extra,
    name_in_file,
)
from migrator.directories.line_file import LineFile
from migrator.entries import Json
from migrator.errors import MigratorError
from migrator.limits import SystemClock
from migrator.options import Options
from migrator.secret import Secret

NO_PASSWORD: Final = "{CRYPT}!"
FOLDERS: Final = "~/mail"
_STAR: Final = "*"
_INBOX: Final = ":INBOX="
# Of a path that becomes a part of a line, and of a variable of Dovecot's: no blank, colon or percent sign.
_PATH: Final = re.compile(r"(?:/[A-Za-z0-9_.+*-]+)+")
_HOME_PATH: Final = re.compile(r"~(?:/[A-Za-z0-9_.+-]+)+")
_FILE: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,63}")


class DovecotPopulation:
    """Implements :class:`migrator.directories.base.Population`."""

    @classmethod
    def of(cls, options: Mapping[str, Json], secret: Secret | None) -> Self:
        """Return a population; nothing is read yet. Raises ``ValueError`` with a sentence.

        Options: ``users``, ``reason``, ``doveadm``, ``seconds`` and ``user`` as for
        :class:`~migrator.directories.dovecot.DovecotDirectory`. ``external_inbox``: where mailbox files of the system
        are, a path with ``*`` for the part before the @, or a folder of such files; ``external_folders``: where the
        other folders of such an account are; ``external_accounts``: who has one, by address (all, where nobody is
        named). ``os_password``: whether accounts have the OS password, and ``os_accounts`` which, in the same way.
        """
        given = Options(options)
        users = LineFile(given.text("users"))
        reason = checked_reason(given.text("reason", MOVING))
        doveadm = Command(given.texts("doveadm", ["doveadm"]), given.seconds("seconds", 30))
        by_local_part = given.choice("user", ("address", "local"), "address") == "local"
        inbox = _pattern(given.text("external_inbox", ""))
        folders = given.text("external_folders", FOLDERS)
        external = Chosen.of(given, "external_accounts", is_on=bool(inbox))
        os_password = Chosen.of(given, "os_accounts", is_on=given.flag("os_password", False))
        given.end()
        if not _HOME_PATH.fullmatch(folders) or "/.." in folders:
            raise ValueError("The option external_folders is a folder in the home, such as ~/mail.")
        location = f"mbox:{folders}{_INBOX}{inbox}"
        return cls(
            users, reason, DovecotAnswers(doveadm, users, SystemClock()), by_local_part, location, external, os_password
        )

    def __init__(
        self,
        users: LineFile,
        reason: str,
        answers: DovecotAnswers,
        by_local_part: bool,
        location: str,
        external: Chosen,
        os_password: Chosen,
    ) -> None:
        self._users = users
        self._reason = reason
        self._answers = answers
        self._by_local_part = by_local_part
        self._location = location
        self._external = external
        self._os_password = os_password

    def exists(self, address: str) -> bool:
        """Tell whether the file has a line of ``address``, whoever wrote it."""
        return self._users.line(self._name(address)) is not None

    def create(self, address: str) -> None:
        """Write the line, and return when Dovecot acts on it. A line that is there stays as it is.

        Raises ``populate.in_the_way`` where the mailbox file is another account's INBOX, as that of the same name in
        another domain: each would read the other's mail.
        """
        name, made = self._name(address), self.line_of(address)

        def written(line: str | None) -> str:
            if line is None:
                self._require_own_inbox(made)
            return made if line is None else line

        self._users.change(name, written)
        if self._users.line(name) == made:
            self._answers.settle(name, is_refused=True, is_new=True)

    def remove(self, address: str) -> None:
        """Take the line away if it is as it was made; one that somebody changed since stays."""
        made = self.line_of(address)
        self._users.change(self._name(address), lambda line: None if line == made else line)

    def line_of(self, address: str) -> str:
        """Return the line that :meth:`create` writes. Pure; raises ``address.bad``."""
        fields = [NOAUTHENTICATE] if self._os_password.holds_for(address) else []
        if self._external.holds_for(address):
            fields.append(f"userdb_mail={self._location.replace(_STAR, _file(address))}")
        fields += [NOLOGIN, f"{REASON}{self._reason}"]
        return f"{self._name(address)}:{NO_PASSWORD}::::::{' '.join(fields)}"

    def close(self) -> None:
        """Nothing is kept open."""

    def _require_own_inbox(self, made: str) -> None:
        inbox = _inbox(made)
        for line in self._users.lines() if inbox else ():
            if _inbox(line) == inbox:
                raise MigratorError("populate.in_the_way", reply=f"{inbox} is the INBOX of {line.partition(':')[0]}")

    def _name(self, address: str) -> str:
        return name_in_file(address, by_local_part=self._by_local_part)


def _pattern(given: str) -> str:
    """Return where mailbox files are, with a star for the user's name. Raises ``ValueError``."""
    if not given:
        return ""
    path = given if _STAR in given else f"{given.rstrip('/')}/{_STAR}"
    if not _PATH.fullmatch(path) or "/.." in path or path.count(_STAR) != 1:
        raise ValueError("The option external_inbox is a full path with one * for the user, such as /var/mail/*.")
    return path


def _inbox(line: str) -> str:
    """Return the file in which a line has INBOX, if it names one."""
    places = (one.partition(_INBOX)[2] for one in extra(line).split() if one.startswith("userdb_mail="))
    return next((place.partition(":")[0] for place in places if place), "")


def _file(address: str) -> str:
    """Return how the system calls the user of ``address``. Raises ``address.bad`` for what is no name of a file."""
    local = names_of(address)["local"].casefold()
    if not _FILE.fullmatch(local):
        raise MigratorError("address.bad")
    return local
