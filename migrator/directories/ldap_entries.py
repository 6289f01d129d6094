"""Entries kept in LDAP: found by a filter, changed by compare-and-set in one MODIFY.

The MODIFY deletes the values that were found, by value, and adds the wanted ones: a server refuses it when somebody
changed one of them meanwhile. Where the server knows assertions (RFC 4528) the change depends on the version of the
whole entry as well, so that a value added by somebody else is noticed before and not after.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import ldap3

from migrator.directories.compare import compare_and_set, names_of
from migrator.directories.ldap_line import (
    Changes,
    Found,
    LdapLine,
    LdapServers,
    checked_filter,
    escaped,
    filled_filter,
)
from migrator.directories.ldap_schemas import GROUP_FILTER, Schema, schema_of
from migrator.entries import Json, Values
from migrator.errors import MigratorError
from migrator.options import Options
from migrator.secret import Secret

# OpenLDAP's version of an entry. Another server has none, and its values are asserted one by one.
VERSION: Final = "entryCSN"


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry as it was found: its name, its governed values, its version where the server tells it.

    ``beside`` are values of attributes that were asked for, too, and are not governed.
    """

    dn: str
    values: Values
    version: str
    beside: Values


class LdapEntries:
    """The values of ``attributes`` beside addresses. Implements :class:`migrator.entries.Entries`.

    Values are lists of texts, sorted; an attribute that is absent has an empty list.
    """

    def __init__(
        self, options: Options, secret: Secret | None, attributes: Sequence[str], schema: Schema | None = None
    ) -> None:
        """Read the options that find an entry; ``schema`` where the caller has read it already."""
        self._line = LdapLine(LdapServers.of(options, secret))
        schema = schema or schema_of(options)
        self._filter = checked_filter(options.text("filter", schema.filter))
        self._address_attribute = checked_attribute(options.text("address_attribute", schema.addresses[0]))
        self._attributes = tuple(map(checked_attribute, attributes))
        options.end()

    @property
    def attributes(self) -> tuple[str, ...]:
        """The names of the governed values."""
        return self._attributes

    def find(self, address: str) -> Values | None:
        entry = self._entry(address)
        return entry.values if entry else None

    def replace(self, address: str, expected: Values, wanted: Values) -> None:
        compare_and_set(lambda: self._entry(address), lambda entry: self._change(entry, wanted), expected, wanted)

    def entry(self, address: str) -> Entry | None:
        """Return the entry of ``address`` with its name, None when it has none. Raises as :meth:`find` does."""
        return self._entry(address)

    def addresses(self, *, groups_only: bool = False) -> Iterator[str]:
        """Yield the address of every entry that has one below the base; paged, in the server's order.

        ``groups_only``: of groups.
        """
        has_one = f"({self._address_attribute}=*)"
        wanted = f"(&{has_one}{GROUP_FILTER})" if groups_only else has_one
        for found in self._line.pages(wanted, [self._address_attribute]):
            yield from _texts(found, self._address_attribute)[:1]

    def close(self) -> None:
        self._line.close()

    def _entry(self, address: str, beside: Sequence[str] = ()) -> Entry | None:
        wanted = filled_filter(self._filter, names_of(address))
        found = self._line.search(wanted, [*self._attributes, *beside, VERSION], 2)
        if len(found) > 1:
            raise MigratorError("directory.ambiguous")
        if not found:
            return None
        version = _texts(found[0], VERSION)
        return Entry(
            dn=found[0].dn,
            values=_values(found[0], self._attributes),
            version=version[0] if version else "",
            beside=_values(found[0], beside),
        )

    def _change(self, entry: Entry, wanted: Values) -> MigratorError | None:
        changes: Changes = {name: _swap(entry.values[name], wanted[name]) for name in self._attributes}
        changes = {name: steps for name, steps in changes.items() if steps}
        result = self._line.modify(entry.dn, changes, self._assertion(entry))
        if result == "success" and entry.version and self._line.asserts():
            return None
        # where no version was asserted, a value that somebody else added may be there beside ours: look
        return MigratorError(_REFUSALS.get(result, "directory.invalid"), reply=result)

    def _assertion(self, entry: Entry) -> str:
        if entry.version:
            return f"({VERSION}={escaped(entry.version)})"
        return f"(&{''.join(_holds(name, entry.values[name]) for name in self._attributes)})"


# What a refused MODIFY is when the entry, looked at again, still holds what was expected.
_REFUSALS: Final[dict[str, str]] = {
    "success": "directory.busy",
    "assertionFailed": "directory.busy",  # others keep changing the entry elsewhere
    "noSuchAttribute": "directory.busy",
    "attributeOrValueExists": "directory.busy",
    "noSuchObject": "directory.missing",
}


def checked_attribute(name: str) -> str:
    """Return ``name`` if an attribute may be called so (RFC 4512 §1.4). Raises ``ValueError`` with a sentence."""
    if not name.isascii() or not name.replace("-", "").isalnum() or not name[0].isalpha():
        raise ValueError(f"{name} is not the name of an attribute.")
    return name


def _swap(before: Json, after: Json) -> list[tuple[str, Sequence[bytes]]]:
    """Return the steps from one list of values to another. What stays is taken out and put in, too: so it is tested."""
    steps = [(ldap3.MODIFY_DELETE, _octets(before)), (ldap3.MODIFY_ADD, _octets(after))]
    return [(step, values) for step, values in steps if values]


def _holds(name: str, values: Json) -> str:
    texts = values if isinstance(values, list) else []
    return "".join(f"({name}={escaped(str(text))})" for text in texts) or f"(!({name}=*))"


def _octets(values: Json) -> list[bytes]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise MigratorError("directory.changed")  # saved by another kind of connector
    return [str(value).encode() for value in values]


def _values(found: Found, names: Sequence[str]) -> dict[str, Json]:
    return {name: [*_texts(found, name)] for name in names}


def _texts(found: Found, name: str) -> list[str]:
    try:
        return sorted(value.decode() for value in found.values.get(name.lower(), ()))
    except UnicodeDecodeError:
        raise MigratorError("directory.invalid", reply=f"a value of {name} that is not UTF-8 text") from None
