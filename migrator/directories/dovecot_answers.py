"""What a Dovecot makes of its passwd-file: lines and their extra fields, and whether it acts on them yet.

Dovecot looks at such a file once a second at most, and may keep answers in a cache. So a change is done when
``doveadm`` says that Dovecot acts on it. Where the password of a user is another passdb's, which can only be tried
(PAM), doveadm cannot look the user up; then the age of the file tells: a line that stood there for two seconds, with
nothing of the user cached, is what the next sign-in is decided by.

Source: doc.dovecot.org 2.3, Passwd-file, Password database extra fields; seen with 2.3.19.
"""

from __future__ import annotations

from typing import Final

from migrator.command import Answer, Command, argument, run
from migrator.directories.compare import user_of
from migrator.directories.line_file import LineFile
from migrator.errors import MigratorError
from migrator.limits import Clock

NOLOGIN: Final = "nologin"
NOAUTHENTICATE: Final = "noauthenticate"  # another passdb knows the password; the fields of this line hold all the same
REASON: Final = "reason="
FIELDS: Final = 8  # name, password, uid, gid, gecos, home, shell, extra fields
SECONDS: Final = 15.0  # for Dovecot to see a file that changed
READ_SECONDS: Final = 2.0  # after which it has: it looks once a second at most
_PAUSE: Final = 0.1
_UNKNOWN_USER: Final = 67  # EX_NOUSER, which doveadm returns for whom no passdb knows or one denies
_ONLY_TRIED: Final = "credentials lookups"  # in what doveadm says of passdbs that only take a password to try


class DovecotAnswers:
    """Asks a Dovecot about users of its passwd-file ``users``."""

    def __init__(self, doveadm: Command, users: LineFile, clock: Clock) -> None:
        self._doveadm = doveadm
        self._users = users
        self._clock = clock

    def settle(self, name: str, *, is_refused: bool, is_new: bool = False) -> None:
        """Return when Dovecot acts on the files as they are. Raises ``directory.busy`` when it does not in time.

        ``is_new``: the line was just made. A Dovecot that has not read it refuses its user, too, and an administrator
        who opens the mailbox.
        """
        end = self._clock.monotonic() + SECONDS
        while self.is_refused(name, is_new=is_new) is not is_refused:
            if self._clock.monotonic() > end:
                raise MigratorError("directory.busy", reply="Dovecot does not act on its file yet")
            self._clock.wait(_PAUSE)

    def is_refused(self, name: str, *, is_new: bool = False) -> bool | None:
        """Tell whether Dovecot refuses ``name``; None where it may go by an older file still. Raises.

        Of a line that ``is_new`` it may say that it knows nobody of that name, until it has read the file.
        """
        run(self._doveadm, ["auth", "cache", "flush", name])  # fails where there is no cache, which is as good
        answer = run(self._doveadm, ["auth", "lookup", "-x", "service=imap", name])
        if answer.code == 0:
            return any(line.strip().partition(":")[0].strip() == NOLOGIN for line in answer.out.splitlines())
        if answer.code == _UNKNOWN_USER:
            return None if is_new and self._users.age_seconds() < READ_SECONDS else True
        return self._is_refused_by_line(name, answer)

    def _is_refused_by_line(self, name: str, answer: Answer) -> bool | None:
        line = self._users.line(name) if _ONLY_TRIED in answer.err else None
        if line is None or not has_field(extra(line), NOAUTHENTICATE):
            raise answer.failure()
        return has_field(extra(line), NOLOGIN) if self._users.age_seconds() >= READ_SECONDS else None


def name_in_file(address: str, *, by_local_part: bool) -> str:
    """Return how a passwd-file calls a user. Raises ``address.bad``."""
    name = user_of(address, by_local_part=by_local_part).casefold()
    if ":" in name or "*" in name or "?" in name or name.startswith("#"):
        raise MigratorError("address.bad")
    return argument(name)


def checked_reason(reason: str) -> str:
    """Return what a refused user reads. Raises ``ValueError``."""
    if any(character.isspace() or character == ":" for character in reason):
        raise ValueError("The option reason is one word without a colon: Dovecot's file has no blanks there.")
    return reason


def extra(line: str) -> str:
    """Return the extra fields of a line."""
    fields = line.split(":", FIELDS - 1)
    return fields[FIELDS - 1].strip() if len(fields) == FIELDS else ""


def has_field(fields: str, name: str) -> bool:
    """Tell whether extra fields have one of that name."""
    return any(one.partition("=")[0] == name for one in fields.split())
