"""CommuniGate Pro as the directory of its own accounts: which services an account may use, by the command line.

There is no command that closes one account. What there is: the setting AccessModes, a list of services. Closed means
that only Mail is left in it, without which the mail of the account would be refused or wait, as the server is set up;
and Relay, where the user may go on sending. The list says nothing to sessions that are open: they are ended after it.

The interface has no compare-and-set. A change looks before and after, so that of two who change one account in the
same moment at most the last wins, and is seen.

Source: the guide's pages CLI and Accounts; seen with a scripted server only.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, Self

from migrator.directories.base import ALL_SERVICES, Service
from migrator.directories.communigate_data import Datum, texts, written
from migrator.directories.communigate_line import CommuniGateLine, CommuniGateServer
from migrator.directories.compare import compare_and_set, names_of
from migrator.entries import Json, Values
from migrator.errors import MigratorError
from migrator.options import Options
from migrator.secret import Secret

MODES: Final = "AccessModes"
DEFAULT: Final = "default"  # as a value it takes the account's own setting away
MAIL: Final = "Mail"
SENDING: Final = frozenset({"Relay"})
# Whoever has one of these can read the mail
READING: Final = frozenset(
    {"POP", "IMAP", "MAPI", "AirSync", "Mobile", "MobilePronto", "WebMail", "XIMSS", "XMedia", "YMedia", "HTTP", "FTP"}
)


@dataclass(frozen=True, slots=True)
class _Account:
    values: Values


class CommuniGateDirectory:
    """Implements :class:`migrator.directories.base.Directory`. Its one value is AccessModes as the account has it."""

    @classmethod
    def of(cls, options: Mapping[str, Json], secret: Secret | None) -> Self:
        """Return a directory that is not yet connected. Raises ``ValueError`` with a sentence.

        Options: those of :class:`~migrator.directories.communigate_line.CommuniGateServer`; ``list_number``, with
        which lists of services of this server begin (26 or 27: look at one).
        """
        given = Options(options)
        number = given.text("list_number", "27")
        server = CommuniGateServer.of(given, secret)
        given.end()
        if not (number.isascii() and number.isdigit()):
            raise ValueError("The option list_number is a number, such as 27.")
        return cls(server, number)

    def __init__(self, server: CommuniGateServer, list_number: str) -> None:
        self._line = CommuniGateLine(server)
        self._number = list_number

    def find(self, address: str) -> Values | None:
        found = self._account(address)
        return found.values if found else None

    def replace(self, address: str, expected: Values, wanted: Values) -> None:
        compare_and_set(lambda: self._account(address), lambda _: self._update(address, wanted), expected, wanted)
        if _refuses(wanted[MODES]):
            # also when the list was as wanted already: whoever wrote it may have been stopped before this
            answer = self._line.change(f"KILLACCOUNTSESSIONS {written(address)}")
            if not answer.is_done:
                raise answer.error()

    def is_disabled(self, address: str) -> bool:
        names_of(address)
        answer, settings = self._line.ask(f"GETACCOUNTEFFECTIVESETTINGS {written(address)}")
        if not answer.is_done or not isinstance(settings, dict):
            raise answer.error()
        return _refuses(_json(settings.get(MODES)))

    def closed(self, values: Values, services: Collection[Service] = ALL_SERVICES) -> Values:
        """See the Protocol. Services that this program does not know are taken away as well: they come back whole."""
        modes = values[MODES]
        if _refuses(modes) or not services:
            return dict(values)
        if Service.READING not in services and isinstance(modes, list):
            return {MODES: [one for one in modes if one not in SENDING]}
        left = [MAIL] if Service.SENDING in services or not _may_send(modes) else [MAIL, *sorted(SENDING)]
        return {MODES: [_number_of(modes) or self._number, *left]}

    def opened(self, values: Values) -> Values:
        return {MODES: None} if _refuses(values[MODES]) else dict(values)

    def close(self) -> None:
        self._line.close()

    def _account(self, address: str) -> _Account | None:
        names_of(address)
        answer, settings = self._line.ask(f"GETACCOUNTSETTINGS {written(address)}")
        if answer.is_missing:
            return None
        if not answer.is_done or not isinstance(settings, dict):
            raise answer.error()
        return _Account({MODES: _json(settings.get(MODES))})

    def _update(self, address: str, wanted: Values) -> MigratorError | None:
        modes = wanted[MODES]
        value: Datum = DEFAULT if modes is None else (_list(modes) if isinstance(modes, list) else str(modes))
        answer = self._line.change(f"UPDATEACCOUNTSETTINGS {written(address)} {written({MODES: value})}")
        if answer.is_missing:
            return MigratorError("directory.missing")
        # Done or not, the account is looked at once more: the interface compares nothing
        return answer.error() if not answer.is_done else MigratorError("directory.busy", reply=answer.text)


def _json(modes: Datum) -> Json:
    """Return a setting as it is kept: absent or default is None."""
    if modes is None or modes == DEFAULT:
        return None
    return list(texts(modes)) if isinstance(modes, list) else str(modes)


def _list(modes: Json) -> list[Datum]:
    return [str(one) for one in modes] if isinstance(modes, list) else []


def _number_of(modes: Json) -> str:
    first = str(modes[0]) if isinstance(modes, list) and modes else ""
    return first if first.lstrip("#").isdigit() else ""


def _may_send(modes: Json) -> bool:
    return not isinstance(modes, list) or bool(SENDING.intersection(map(str, modes)))


def _refuses(modes: Json) -> bool:
    """Tell whether nobody can read by these services. None and All admit."""
    if isinstance(modes, list):
        return not READING.intersection(map(str, modes))
    return modes == "None"
