"""Cyrus IMAP's list of users who are denied its services (``cyr_deny``), as a directory.

Who is denied is refused, and mail is delivered all the while. An administrator who signs in *for* them (SASL
authorization identity) is let in and thrown out at the first command, as they are. So either we read as an
administrator in our own name, or ``cyrus.conf`` has a service for us alone, and the others are denied by name.

``cyr_deny`` has no compare-and-set: a change looks before and after it.

Source: cyr_deny(8), mbpath(8); seen with 3.6.1.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, Self

from migrator.command import Command, argument, run
from migrator.directories.base import ALL_SERVICES, Service
from migrator.directories.compare import compare_and_set, user_of
from migrator.entries import Json, Values
from migrator.errors import MigratorError
from migrator.options import Options
from migrator.secret import Secret

EVERY_SERVICE: Final = "*"
NO_MAILBOX: Final = 65  # what mbpath exits with for a name that nobody has (EX_DATAERR)
# what the list shows where no message was given (imap/cyr_deny.c)
USUAL_MESSAGE: Final = "Access to this service has been blocked"
_HEADING: Final = ["Username", "Service(s)", "Message"]


@dataclass(frozen=True, slots=True)
class _User:
    values: Values


class CyrusDirectory:
    """Implements :class:`migrator.directories.base.Directory`.

    Its values are the ``services`` that are denied, None where none is, and the ``message`` to the user.
    """

    @classmethod
    def of(cls, options: Mapping[str, Json], secret: Secret | None) -> Self:
        """Return a directory; nothing is run yet. Raises ``ValueError`` with a sentence.

        Options: ``cyr_deny`` and ``mbpath``, the words that run these programs as Cyrus's user ("cyr_deny", "-C",
        "FILE", or with "ssh", "HOST" before them), and ``seconds`` for each call; ``services`` that are denied, by
        their names in cyrus.conf with commas between, or * for all; ``message`` for who is refused; ``mailbox``, what
        stands before a name in an internal mailbox name; ``user``: whether Cyrus knows users by their whole
        ``address`` or by the ``local`` part.
        """
        given = Options(options)
        seconds = given.seconds("seconds", 30)
        deny, find = (Command(given.texts(name, [name]), seconds) for name in ("cyr_deny", "mbpath"))
        services = given.text("services", EVERY_SERVICE)
        message = given.text("message", "Your mailbox is being moved")
        mailbox = given.text("mailbox", "user.")
        by_local_part = given.choice("user", ("address", "local"), "local") == "local"
        given.end()
        if not message.isprintable() or message.startswith("-"):
            raise ValueError("The option message is one line and does not begin with a hyphen.")
        if any(character.isspace() for character in services) or services.startswith("-"):
            raise ValueError("The option services is names with commas between, and no blanks.")
        return cls(deny, find, services, message, mailbox, by_local_part)

    def __init__(
        self, deny: Command, find: Command, services: str, message: str, mailbox: str, by_local_part: bool
    ) -> None:
        self._deny = deny
        self._find = find
        self._services = services
        self._message = message
        self._mailbox = mailbox
        self._by_local_part = by_local_part

    def find(self, address: str) -> Values | None:
        found = self._user(self._name(address))
        return found.values if found else None

    def replace(self, address: str, expected: Values, wanted: Values) -> None:
        name = self._name(address)
        compare_and_set(lambda: self._user(name), lambda _: self._change(name, wanted), expected, wanted)

    def is_disabled(self, address: str) -> bool:
        values = self.find(address)
        if values is None:
            raise MigratorError("directory.missing")
        return _refuses(values)

    def closed(self, values: Values, services: Collection[Service] = ALL_SERVICES) -> Values:
        if _refuses(values) or not services:
            return dict(values)
        return {"services": self._services, "message": self._message}

    def opened(self, values: Values) -> Values:
        return {"services": None, "message": None} if _refuses(values) else dict(values)

    def close(self) -> None:
        """Nothing is kept open."""

    def _name(self, address: str) -> str:
        name = user_of(address, by_local_part=self._by_local_part)
        if any(character.isspace() or character in "*%?/" for character in name):
            raise MigratorError("address.bad")
        return argument(name)

    def _user(self, name: str) -> _User | None:
        found_at = run(self._find, [f"{self._mailbox}{self._internal(name)}"])
        if found_at.code == NO_MAILBOX:
            return None
        if found_at.code != 0:
            raise found_at.failure()
        answer = run(self._deny, ["-l"])
        if answer.code != 0:
            raise answer.failure()
        rows = [line.split(None, 2) for line in answer.out.splitlines()]
        if not rows or rows[0] != _HEADING:
            raise MigratorError("directory.invalid", reply=answer.out[:200])
        found = [row for row in rows[1:] if row and row[0] == name]
        if not found:
            return _User({"services": None, "message": None})
        message = found[0][2].rstrip() if len(found[0]) > 2 else USUAL_MESSAGE
        return _User({"services": found[0][1], "message": message})

    def _internal(self, name: str) -> str:
        # the internal form has dots between levels, so one within a name is written ^ (Cyrus: namespaces)
        return name.replace(".", "^") if self._mailbox.endswith(".") else name

    def _change(self, name: str, wanted: Values) -> MigratorError | None:
        services, message = wanted["services"], wanted["message"]
        words = ["-a", name]
        if services is not None:
            said = [] if message == USUAL_MESSAGE else ["-m", str(message)]
            words = ["-s", str(services), *said, name]
        answer = run(self._deny, words)
        if answer.code != 0:
            return answer.failure()
        return MigratorError("directory.busy")  # not compared: looked at once more


def _refuses(values: Values) -> bool:
    """Tell whether reading is refused: all services, or one of those that hand out mail."""
    services = str(values["services"] or "").split(",")
    return any(one.strip() == EVERY_SERVICE or one.strip().startswith(("imap", "pop")) for one in services)
