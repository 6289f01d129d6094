"""Accounts on a CommuniGate Pro, made by its command line: closed, and with the settings their mail needs.

An External INBOX (in later versions a Legacy one) is a mailbox file of the operating system, such as /var/mail/NAME,
whose place the domain's settings give; an account with it shows what local programs deliver there. An OS password is
the one of the operating system's user of the same name.

What was made is never deleted here: mail may have been delivered to it, and the interface does not tell. Undone means
that it stays, and stays closed.

Source: the guide's pages CLI and Accounts; seen with a scripted server only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Self

from migrator.directories.chosen import Chosen
from migrator.directories.communigate import MAIL, MODES
from migrator.directories.communigate_data import Datum, written
from migrator.directories.communigate_line import CommuniGateLine, CommuniGateServer
from migrator.directories.compare import names_of
from migrator.entries import Json
from migrator.options import Options
from migrator.secret import Secret

_OS_PASSWORD: Final[dict[str, Datum]] = {"UseSysPassword": "YES", "OSUserName": "*"}
KINDS: Final = ("MultiMailbox", "TextMailbox", "MailDirMailbox", "SlicedMailbox")


class CommuniGatePopulation:
    """Implements :class:`migrator.directories.base.Population`."""

    @classmethod
    def of(cls, options: Mapping[str, Json], secret: Secret | None) -> Self:
        """Return a population that is not yet connected. Raises ``ValueError`` with a sentence.

        Options: ``account_type``, one of KINDS; ``external_inbox`` and ``os_password``, whether accounts are made with
        them, and ``external_accounts`` and ``os_accounts`` which, by address (all, where nobody is named);
        ``list_number`` as for the directory; and those of
        :class:`~migrator.directories.communigate_line.CommuniGateServer`.
        """
        given = Options(options)
        number = given.text("list_number", "27")
        settings: dict[str, Datum] = {MODES: [number, MAIL]}
        kind = given.choice("account_type", KINDS, KINDS[0])
        external = Chosen.of(given, "external_accounts", is_on=given.flag("external_inbox", False))
        os_password = Chosen.of(given, "os_accounts", is_on=given.flag("os_password", False))
        server = CommuniGateServer.of(given, secret)
        given.end()
        if not (number.isascii() and number.isdigit()):
            raise ValueError("The option list_number is a number, such as 27.")
        return cls(server, kind, settings, external, os_password)

    def __init__(
        self,
        server: CommuniGateServer,
        kind: str,
        settings: Mapping[str, Datum],
        external: Chosen,
        os_password: Chosen,
    ) -> None:
        self._line = CommuniGateLine(server)
        self._kind = kind
        self._settings = dict(settings)
        self._external = external
        self._os_password = os_password

    def exists(self, address: str) -> bool:
        names_of(address)
        answer, _ = self._line.ask(f"GETACCOUNTSETTINGS {written(address)}")
        if not answer.is_done and not answer.is_missing:
            raise answer.error()
        return answer.is_done

    def create(self, address: str) -> None:
        names_of(address)
        settings = self._settings | (_OS_PASSWORD if self._os_password.holds_for(address) else {})
        words = [self._kind, *(["LEGACY"] if self._external.holds_for(address) else []), written(settings)]
        answer = self._line.change(f"CREATEACCOUNT {written(address)} {' '.join(words)}")
        if not answer.is_done and not answer.exists:
            raise answer.error()

    def remove(self, address: str) -> None:
        """Leave the account, closed as it was made."""
        names_of(address)

    def close(self) -> None:
        """Let go of the line. Idempotent."""
        self._line.close()
