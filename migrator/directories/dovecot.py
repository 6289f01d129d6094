"""Dovecot's own files as a directory: its passwd-file, or a file of those whom it denies.

Two ways. In the passwd-file a user who is closed gets the extra field ``nologin``, which Dovecot refuses with the
reason beside it; a master user is admitted to the mailbox all the same, unless the passdb of master users says
``result_success = continue``. ``proxy`` would win over ``nologin`` and is taken out with it. Or Dovecot has a passdb
with ``deny = yes`` before all others and a file of names; then the passwd-file is only asked who exists. Which services
that file denies is Dovecot's to say: within ``protocol imap`` and ``protocol pop3`` it leaves sending alone.

Dovecot looks at such a file once a second at most, and may keep answers in a cache. So a change is done when
``doveadm`` says that Dovecot acts on it.

Source: doc.dovecot.org 2.3, Passwd-file, Password database extra fields; seen with 2.3.19.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final, Self

from migrator.command import Command, argument, run
from migrator.directories.base import ALL_SERVICES, Service
from migrator.directories.compare import user_of
from migrator.directories.line_file import LineFile
from migrator.entries import Json, Values
from migrator.errors import MigratorError
from migrator.limits import Clock, SystemClock
from migrator.options import Options
from migrator.secret import Secret

DENIED: Final = "denied"
NOLOGIN: Final = "nologin"
FIELDS: Final = 8  # name, password, uid, gid, gecos, home, shell, extra fields
SECONDS: Final = 15.0  # for Dovecot to see a file that changed
_PAUSE: Final = 0.1
_PROXY: Final = frozenset({"proxy", "proxy_maybe"})
_REASON: Final = "reason="
_UNKNOWN_USER: Final = 67  # EX_NOUSER, which doveadm returns for whom no passdb knows or one denies


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
        reason = given.text("reason", "Mailbox_is_being_moved")
        doveadm = Command(given.texts("doveadm", ["doveadm"]), given.seconds("seconds", 30))
        by_local_part = given.choice("user", ("address", "local"), "address") == "local"
        given.end()
        if any(character.isspace() or character == ":" for character in reason):
            raise ValueError("The option reason is one word without a colon: Dovecot's file has no blanks there.")
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
        self._doveadm = doveadm
        self._by_local_part = by_local_part
        self._clock = clock or SystemClock()

    def find(self, address: str) -> Values | None:
        name = self._name(address)
        line = self._users.line(name)
        if line is None:
            return None
        if self._denied is None:
            return {"extra": _extra(line)}
        return {DENIED: self._denied.line(name) is not None}

    def replace(self, address: str, expected: Values, wanted: Values) -> None:
        name = self._name(address)
        if self._users.line(name) is None:
            raise MigratorError("directory.missing")
        if self._denied is None:
            self._users.change(name, lambda line: _replaced(line, expected, wanted))
        else:
            self._denied.change(name, lambda line: _denied(name, line, expected, wanted))
        self._settle(name, is_refused=self._refuses(wanted))

    def is_disabled(self, address: str) -> bool:
        name = self._name(address)
        line = self._users.line(name)
        if line is None:
            raise MigratorError("directory.missing")
        is_closed = _is_nologin(_extra(line)) or (self._denied is not None and self._denied.line(name) is not None)
        # whoever wrote it may have been stopped before Dovecot knew, which goes by its cache until then
        return is_closed and self._is_refused_by_dovecot(name)

    def closed(self, values: Values, services: Collection[Service] = ALL_SERVICES) -> Values:
        if not services:
            return dict(values)
        if self._denied is not None:
            return {DENIED: True}
        extra = str(values["extra"])
        if _is_nologin(extra):
            return dict(values)
        kept = [one for one in extra.split() if one.partition("=")[0] not in _PROXY and not one.startswith(_REASON)]
        return {"extra": " ".join([*kept, NOLOGIN, f"{_REASON}{self._reason}"])}

    def opened(self, values: Values) -> Values:
        if self._denied is not None:
            return {DENIED: False}
        kept = [one for one in str(values["extra"]).split() if one.partition("=")[0] != NOLOGIN]
        return {"extra": " ".join(one for one in kept if not one.startswith(_REASON))}

    def close(self) -> None:
        """Nothing is kept open."""

    def _name(self, address: str) -> str:
        name = user_of(address, by_local_part=self._by_local_part).casefold()
        if ":" in name or "*" in name or "?" in name or name.startswith("#"):
            raise MigratorError("address.bad")
        return argument(name)

    def _refuses(self, values: Values) -> bool:
        return _is_nologin(str(values["extra"])) if self._denied is None else bool(values[DENIED])

    def _settle(self, name: str, *, is_refused: bool) -> None:
        """Return when Dovecot acts on the files as they are. Raises ``directory.busy`` when it does not in time."""
        end = self._clock.monotonic() + SECONDS
        while self._is_refused_by_dovecot(name) is not is_refused:
            if self._clock.monotonic() > end:
                raise MigratorError("directory.busy", reply="Dovecot does not act on its file yet")
            self._clock.wait(_PAUSE)

    def _is_refused_by_dovecot(self, name: str) -> bool:
        run(self._doveadm, ["auth", "cache", "flush", name])  # fails where there is no cache, which is as good
        answer = run(self._doveadm, ["auth", "lookup", "-x", "service=imap", name])
        if answer.code == 0:
            return any(line.strip().partition(":")[0].strip() == NOLOGIN for line in answer.out.splitlines())
        if answer.code == _UNKNOWN_USER:
            return True
        raise answer.failure()


def _extra(line: str) -> str:
    fields = line.split(":", FIELDS - 1)
    return fields[FIELDS - 1].strip() if len(fields) == FIELDS else ""


def _is_nologin(extra: str) -> bool:
    return any(one.partition("=")[0] == NOLOGIN for one in extra.split())


def _replaced(line: str | None, expected: Values, wanted: Values) -> str:
    """Return ``line`` with the wanted extra fields; raises ``directory.changed`` when it has neither these nor ours."""
    if line is None:
        raise MigratorError("directory.missing")
    if _extra(line) == wanted["extra"]:
        return line
    if _extra(line) != expected["extra"]:
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
