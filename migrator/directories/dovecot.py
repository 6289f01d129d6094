"""Dovecot's own files as a directory: its passwd-file, or a file of those whom it denies.

Two ways. In the passwd-file a user who is closed gets the extra field ``nologin``, which Dovecot refuses with the
reason beside it; a master user is admitted to the mailbox all the same, unless the passdb of master users says
``result_success = continue``. ``proxy`` would win over ``nologin`` and is taken out with it. Or Dovecot has a passdb
with ``deny = yes`` before all others and a file of names; then the passwd-file is only asked who exists. Which services
that file denies is Dovecot's to say: within ``protocol imap`` and ``protocol pop3`` it leaves sending alone.

``nologin`` holds for whoever's password this file has, and for whom it says ``noauthenticate``: then it goes with them
to the passdb that has the password (PAM). It does not hold for a user whose password here is wrong and right in the
passdb behind: where there is one, the passwd-file needs ``result_failure = return-fail``.

Source: doc.dovecot.org 2.3, Passwd-file, Password database extra fields; seen with 2.3.19.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final, Self

from migrator.command import Command
from migrator.directories.base import ALL_SERVICES, Service
from migrator.directories.dovecot_answers import (
    FIELDS,
    NOLOGIN,
    REASON,
    DovecotAnswers,
    checked_reason,
    extra,
    has_field,
    name_in_file,
)
from migrator.directories.line_file import LineFile
from migrator.entries import Json, Values
from migrator.errors import MigratorError
from migrator.limits import Clock, SystemClock
from migrator.options import Options
from migrator.secret import Secret

DENIED: Final = "denied"
MOVING: Final = "Mailbox_is_being_moved"
_PROXY: Final = frozenset({"proxy", "proxy_maybe"})


class DovecotDirectory:
    """Implements :class:`migrator.directories.base.Directory`."""

    @classmethod
    def of(cls, options: Mapping[str, Json], secret: Secret | None) -> Self:
        """Return a directory; nothing is read yet. Raises ``ValueError`` with a sentence.

        Options: ``users``, the passwd-file; ``deny``, if given, the file of names that Dovecot denies; ``reason``, one
        word that a refused user reads (files of Dovecot have no blanks there); ``doveadm``, the words that run it, and
        ``seconds`` for each call; ``user``: whether names in the files are whole addresses (``address``) or their
        ``local`` parts.
        """
        given = Options(options)
        users = LineFile(given.text("users"))
        deny = given.text("deny", "")
        reason = checked_reason(given.text("reason", MOVING))
        doveadm = Command(given.texts("doveadm", ["doveadm"]), given.seconds("seconds", 30))
        by_local_part = given.choice("user", ("address", "local"), "address") == "local"
        given.end()
        return cls(users, LineFile(deny) if deny else None, reason, doveadm, by_local_part)

    def __init__(
        self,
        users: LineFile,
        denied: LineFile | None,
        reason: str,
        doveadm: Command,
        by_local_part: bool,
        clock: Clock | None = None,
    ) -> None:
        self._users = users
        self._denied = denied
        self._reason = reason
        self._by_local_part = by_local_part
        self._answers = DovecotAnswers(doveadm, users, clock or SystemClock())

    def find(self, address: str) -> Values | None:
        name = self._name(address)
        line = self._users.line(name)
        if line is None:
            return None
        if self._denied is None:
            return {"extra": extra(line)}
        return {DENIED: self._denied.line(name) is not None}

    def replace(self, address: str, expected: Values, wanted: Values) -> None:
        name = self._name(address)
        if self._users.line(name) is None:
            raise MigratorError("directory.missing")
        if self._denied is None:
            self._users.change(name, lambda line: _replaced(line, expected, wanted))
        else:
            self._denied.change(name, lambda line: _denied(name, line, expected, wanted))
        self._answers.settle(name, is_refused=self._refuses(wanted))

    def is_disabled(self, address: str) -> bool:
        name = self._name(address)
        line = self._users.line(name)
        if line is None:
            raise MigratorError("directory.missing")
        is_closed = has_field(extra(line), NOLOGIN) or (
            self._denied is not None and self._denied.line(name) is not None
        )
        # whoever wrote it may have been stopped before Dovecot knew, which goes by its cache until then
        return is_closed and self._answers.is_refused(name) is True

    def closed(self, values: Values, services: Collection[Service] = ALL_SERVICES) -> Values:
        if not services:
            return dict(values)
        if self._denied is not None:
            return {DENIED: True}
        fields = str(values["extra"])
        if has_field(fields, NOLOGIN):
            return dict(values)
        kept = [one for one in fields.split() if one.partition("=")[0] not in _PROXY and not one.startswith(REASON)]
        return {"extra": " ".join([*kept, NOLOGIN, f"{REASON}{self._reason}"])}

    def opened(self, values: Values) -> Values:
        if self._denied is not None:
            return {DENIED: False}
        kept = [one for one in str(values["extra"]).split() if one.partition("=")[0] != NOLOGIN]
        return {"extra": " ".join(one for one in kept if not one.startswith(REASON))}

    def close(self) -> None:
        """Nothing is kept open."""

    def _name(self, address: str) -> str:
        return name_in_file(address, by_local_part=self._by_local_part)

    def _refuses(self, values: Values) -> bool:
        return has_field(str(values["extra"]), NOLOGIN) if self._denied is None else bool(values[DENIED])


def _replaced(line: str | None, expected: Values, wanted: Values) -> str:
    """Return ``line`` with the wanted extra fields; raises ``directory.changed`` when it has neither these nor ours."""
    if line is None:
        raise MigratorError("directory.missing")
    if extra(line) == wanted["extra"]:
        return line
    if extra(line) != expected["extra"]:
        raise MigratorError("directory.changed")
    fields = line.split(":", FIELDS - 1)
    fields += [""] * (FIELDS - len(fields))
    return ":".join([*fields[: FIELDS - 1], str(wanted["extra"])])


def _denied(name: str, line: str | None, expected: Values, wanted: Values) -> str | None:
    """Return what the line of ``name`` must become among those who are denied."""
    found = line is not None
    if found not in (expected[DENIED], wanted[DENIED]):
        raise MigratorError("directory.changed")
    if found is wanted[DENIED]:
        return line
    return f"{name}:" if wanted[DENIED] else None
