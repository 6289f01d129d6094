"""The classes of a CommuniGate Pro's folders (calendar, contacts, tasks, notes), by its command line.

IMAP tells nothing of them. Who signs in asks as the owner of the mailbox, or as an administrator for somebody else's.

Source: the guide's pages CLI (LISTMAILBOXES, SETMAILBOXCLASS; versions 5.1 to 6.1) and MoveIMAPMail; seen with a
scripted server only. How the class is called in what LISTMAILBOXES tells of a folder the guide does not say.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Final, Self

from migrator.directories.communigate_data import Datum, written
from migrator.directories.communigate_line import PORT, CommuniGateLine, CommuniGateServer, Reply
from migrator.errors import MigratorError, Side
from migrator.limits import Limits
from migrator.stores.endpoint import Endpoint

OWN: Final = "*"  # the account that signs in, as the guide writes it
HIDES: Final = "IMAPSeesNonMail"
_NAMES: Final = ("class", "mailboxclass")
_CODES: Final = {"directory.unreachable": "classes.unreachable", "directory.lost": "classes.lost"}


def server_beside(endpoint: Endpoint, host: str, port: int | None, limits: Limits, side: Side) -> CommuniGateServer:
    """Return the command line beside a mailbox: whoever opens that signs in here, too.

    The line is never encrypted, so a password crosses it in clear only where it does so for the mail; else by its
    digest (APOP). Raises ``MigratorError`` where no password is known, or it cannot be said on a line.
    """
    password = endpoint.password.reveal()
    if endpoint.tokens is not None or not password:
        raise MigratorError("sign_in.no_method", side=side)
    if not endpoint.username.isprintable() or "\r" in password or "\n" in password:
        raise MigratorError("address.bad", side=side)
    return CommuniGateServer(
        host=host or endpoint.host,
        port=port or PORT,
        login=endpoint.username,
        password=endpoint.password,
        sign_in="plain" if endpoint.security == "plain" else "apop",
        connect_seconds=limits.connect_seconds,
        answer_seconds=limits.io_seconds,
    )


class CommuniGateClasses:
    """Implements :class:`migrator.transfer.folder_classes.ClassStore`. A context manager; connects on first use."""

    def __init__(self, server: CommuniGateServer, side: Side, owner: str | None = None) -> None:
        """``owner``: whose mailbox it is, when an administrator signs in."""
        self._line = CommuniGateLine(server)
        self._side = side
        self._has_answered = False
        self.owner = owner or OWN

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._line.close()

    def classes(self, owner: str) -> Mapping[str, str]:
        """See ClassStore."""
        found = self._ask(f"LISTMAILBOXES {_account(owner)}")
        return {name: _class_of(told) for name, told in found.items() if _told(told) is not None}

    def hides_classes(self, owner: str) -> bool:
        """See ClassStore. A server that does not know the setting shows all folders."""
        return self._ask(f"GETACCOUNTEFFECTIVESETTINGS {_account(owner)}").get(HIDES) == "NO"

    def set_class(self, owner: str, folder: str, kind: str) -> MigratorError | None:
        """See ClassStore."""
        command = f"SETMAILBOXCLASS {_account(owner)} MAILBOX {written(folder)} CLASS {written(kind)}"
        try:
            answer = self._line.change(command)
        except MigratorError as error:
            raise self._named(error) from None
        return None if answer.is_done else self._refused(answer)

    def _ask(self, command: str) -> dict[str, Datum]:
        try:
            answer, found = self._line.ask(command)
        except MigratorError as error:
            raise self._named(error) from None
        if not answer.is_done or not isinstance(found, dict):
            raise self._refused(answer)
        self._has_answered = True
        return found

    def _named(self, error: MigratorError) -> MigratorError:
        """Return what happened in words of classes: nobody has heard of a directory here."""
        code = _CODES.get(error.code, "classes.refused")
        if code == "classes.unreachable" and self._has_answered:  # it is there, and hung up
            code = "classes.lost"
        return MigratorError(code, reply=error.reply, side=self._side)

    def _refused(self, answer: Reply) -> MigratorError:
        return MigratorError("classes.refused", reply=f"{answer.code} {answer.text}"[:200], side=self._side)


def _account(owner: str) -> str:
    return OWN if owner == OWN else written(owner)


def _told(told: Datum) -> dict[str, Datum] | None:
    """Return what is told of a folder that holds messages; None for one that only holds others.

    One that does both is told in an array around it.
    """
    if isinstance(told, list):
        told = told[0] if told else None
    return told if isinstance(told, dict) else None


def _class_of(told: Datum) -> str:
    for name, value in (_told(told) or {}).items():
        if name.casefold() in _NAMES and isinstance(value, str):
            return value
    return ""
