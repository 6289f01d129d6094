"""What connectors keep of a user elsewhere: values that are read whole, saved whole, and replaced by compare-and-set.

A directory, a route and a hold are all a handful of values beside an address. Whoever changes them notes first what
they were and what they shall be; from then on either can be reached from the other, and anything else found there is
somebody else's change, which is left alone. Connectors are opened by kind, from a registry that each room has.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from migrator.errors import MigratorError
from migrator.secret import Secret

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
Values = Mapping[str, Json]
"""The governed values of one entry. Equal when ``==``; survives JSON. Several values of one name are a list, in order
of their text where the server keeps none; a name without a value is there, with None or an empty list."""


class Entries(Protocol):
    """Values beside addresses. Not thread-safe; connects on first use; a lost line is taken up by the next call.

    All methods raise ``MigratorError``; the address is refused (``address.bad``) before it can mean anything else.
    """

    def find(self, address: str) -> Values | None:
        """Return every value that this connector may ever change for ``address``, exactly; None when it has no entry.

        Reads only; repeatable. Raises ``directory.ambiguous`` when more than one entry answers.
        """
        ...

    def replace(self, address: str, expected: Values, wanted: Values) -> None:
        """Make the entry hold ``wanted`` if it holds ``expected``: one atomic compare-and-set on the server.

        Both hold exactly the names that :meth:`find` returned. Idempotent: an entry that holds ``wanted`` already is
        success. Returns when the server has confirmed. Raises ``directory.changed`` when the entry holds something
        else, and changes nothing then; ``directory.missing`` when there is none. After a lost line
        (patience *now* or *later*) it may have happened: find out with :meth:`find`, or simply repeat it.
        """
        ...

    def close(self) -> None:
        """Let go of the server. Idempotent; never raises; a later call connects anew."""
        ...


class Trait(StrEnum):
    """What a kind of route or hold does, by its nature and whatever its options say."""

    MAIL_ONLY = "mail_only"  # a route by which mail goes, and nobody signs in
    SIGN_INS_ONLY = "sign_ins_only"  # a route by which people reach their mailbox, and no mail unless it is asked, too
    BY_ADDRESS = "by_address"  # it knows the address in the list alone, and none of the person's others
    KEEPS = "keeps"  # a hold that sends nothing: what waits is fetched from it


class Kind(NamedTuple):
    """One kind of connector in a registry.

    ``place`` is ``module:Class``; the class has ``of(options, secret)`` as a classmethod, where ``options`` is what a
    JSON object says and ``secret`` the password of the connector's own sign-in, if it has one. It raises
    ``ValueError`` with a sentence for options that cannot be meant, and opens no line. ``traits``: what no option
    changes.
    """

    label: str
    place: str
    traits: frozenset[Trait] = frozenset()


def has_trait(registry: Mapping[str, Kind], kind: str, trait: Trait) -> bool:
    """Tell whether a kind has a trait; a kind that nobody knows has none."""
    return kind in registry and trait in registry[kind].traits


def open_connector(
    registry: Mapping[str, Kind], kind: str, options: Mapping[str, Json], secret: Secret | None = None
) -> Any:
    """Return the connector of ``kind``, not yet connected. Raises ``MigratorError("connector.invalid")``."""
    if kind not in registry:
        raise MigratorError("connector.invalid", reply=f"there is no kind {kind!r}")
    module, _, name = registry[kind].place.partition(":")
    try:
        return getattr(importlib.import_module(module), name).of(options, secret)
    except ValueError as error:
        raise MigratorError("connector.invalid", reply=str(error)) from None
