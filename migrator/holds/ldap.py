"""Holds in LDAP: a value of one attribute, usually mailDeliveryOption, makes the mail server keep a user's mail.

What was there before, forwarding and automatic answers among it, is saved whole and comes back whole: never plain
``mailbox``. Which messages wait, only the mail server knows: a Postfix that reads the directory is asked through its
own programs, another server through a program of the operator's that takes the verbs of
:mod:`migrator.holds.command`, all but look, hold and free.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Protocol, Self, cast

from migrator.command import Command
from migrator.directories.ldap_entries import LdapEntries, checked_attribute
from migrator.directories.ldap_schemas import DELIVERY, Schema, schema_of
from migrator.directories.ldif import texts
from migrator.entries import Json, Values
from migrator.errors import MigratorError, Side
from migrator.holds.base import HeldMail
from migrator.holds.command import CommandHold
from migrator.holds.postfix import PARKED, PostfixHold
from migrator.holds.postfix_host import PostfixHost
from migrator.holds.postfix_table import checked_address
from migrator.options import Options
from migrator.secret import Secret

_SERVERS: Final = ("program", "postfix")


class Waits(Protocol):
    """What a mail server tells of waiting mail; each as :class:`migrator.holds.base.MailHold` has it."""

    def forget(self, addresses: Sequence[str]) -> None:
        """Take it that what the server reads of ``addresses`` may change from now on."""
        ...

    def changed(self, addresses: Sequence[str], *, is_held: bool) -> None:
        """Have the server act on what was written of ``addresses`` just now."""
        ...

    def is_settled(self, address: str) -> bool: ...

    def held(self, address: str) -> HeldMail: ...

    def flush(self, address: str, to: Side) -> None: ...

    def trouble(self) -> Iterator[MigratorError]: ...


class LdapHold(LdapEntries):
    """Implements :class:`migrator.holds.base.MailHold`. One entry holds the mail of all its addresses."""

    @classmethod
    def of(cls, options: Mapping[str, Json], secret: Secret | None) -> Self:
        """Return a hold that is not yet connected. Raises ``ValueError`` with a sentence.

        Options: ``attribute`` (mailDeliveryOption) and ``value`` (hold) keep mail waiting. ``server``: "program" (with
        its words in ``program``, and ``seconds`` for each call), or "postfix" with the options of
        :class:`~migrator.holds.postfix_host.PostfixHost`. ``filter`` and the rest are those of
        :class:`~migrator.directories.ldap.LdapDirectory`.
        """
        given = Options(options)
        schema = schema_of(given)
        attribute, value = checked_attribute(given.text("attribute", DELIVERY)), given.text("value", "hold")
        return cls(given, secret, schema, attribute, value, _waits(given))

    def __init__(
        self, options: Options, secret: Secret | None, schema: Schema, attribute: str, value: str, waits: Waits
    ) -> None:
        super().__init__(options, secret, [attribute], schema)
        self._address_attributes = schema.addresses
        self._attribute = attribute
        self._value = value
        self._waits = waits

    def replace(self, address: str, expected: Values, wanted: Values) -> None:
        addresses = self._addresses(address)
        self._waits.forget(addresses)
        super().replace(address, expected, wanted)
        self._waits.changed(addresses, is_held=_is_only(wanted[self._attribute], self._value))

    def holding(self, values: Values) -> Values:
        return dict(values) if _is_only(values[self._attribute], self._value) else {self._attribute: [self._value]}

    def is_settled(self, address: str) -> bool:
        return all(map(self._waits.is_settled, self._addresses(address)))

    def held(self, address: str) -> HeldMail:
        return _summed(list(map(self._waits.held, self._addresses(address))))

    def held_of(self, addresses: Sequence[str]) -> dict[str, HeldMail]:
        """Return what :meth:`held` does for each of ``addresses``, where a Postfix waits: by two of its listings.

        Whose addresses it cannot hold is left out, and where a program is asked, everybody.
        """
        if not isinstance(self._waits, _PostfixWaits):
            return {}
        names = {address: self._addresses(address) for address in addresses}
        found = self._waits.held_of([one for several in names.values() for one in several])
        return {
            address: _summed([found[one] for one in several])
            for address, several in names.items()
            if several and found.keys() >= set(several)
        }

    def flush(self, address: str, to: Side) -> None:
        for one in self._addresses(address):
            self._waits.flush(one, to)

    def trouble(self) -> Iterator[MigratorError]:
        return self._waits.trouble()

    def _addresses(self, address: str) -> list[str]:
        """Return all addresses of the entry that mail may be for. A name to sign in with alone is none."""
        entry = self._entry(address, self._address_attributes)
        listed = [text for values in entry.beside.values() for text in texts(values)] if entry else []
        return list({one.casefold(): one for one in (*listed, address) if "@" in one}.values())


class _ProgramWaits(CommandHold):
    """An operator's program: it is asked anew each time."""

    def forget(self, addresses: Sequence[str]) -> None:
        pass

    def changed(self, addresses: Sequence[str], *, is_held: bool) -> None:
        pass


class _PostfixWaits(PostfixHold):
    """A Postfix whose transport_maps ask the directory: what it remembers of an answer ends with a reload."""

    class _Directory(dict[str, Any]):
        name = "ldap:"

        def close(self) -> None:
            """The directory is not ours to close."""

    def __init__(self, host: PostfixHost) -> None:
        directory = self._Directory()
        directory["hold"] = directory
        super().__init__(host, cast(Any, directory), PARKED)

    def forget(self, addresses: Sequence[str]) -> None:
        for key in map(checked_address, addresses):
            self._reloaded.pop(key, None)
            self._released.pop(key, None)

    def changed(self, addresses: Sequence[str], *, is_held: bool) -> None:
        over = self._host.reload(time.monotonic())
        for key in map(checked_address, addresses):
            self._reloaded[key] = over
            if not is_held:
                self._released[key] = time.time()


def _waits(options: Options) -> Waits:
    if options.choice("server", _SERVERS, "program") == "postfix":
        return _PostfixWaits(PostfixHost.of(options))
    return _ProgramWaits(Command(options.texts("program"), options.seconds("seconds", 30)))


def _summed(found: Sequence[HeldMail]) -> HeldMail:
    oldest = [one.oldest for one in found if one.oldest is not None]
    return HeldMail(
        sum(one.messages for one in found),
        min(oldest, default=None),
        sum(one.aside for one in found),
        any(one.is_at_senders for one in found),
    )


def _is_only(values: Json, value: str) -> bool:
    return isinstance(values, list) and [str(one).casefold() for one in values] == [value.casefold()]
