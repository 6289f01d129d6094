"""Accounts that come to be in an LDAP directory: one entry each, made from a pattern, closed until the user is let in.

Only entries that we made and nobody changed since are taken away again. Who made an entry, the server itself says
(creatorsName, modifiersName); where it does not, an entry is ours when it holds exactly what the pattern makes. Who
changed it last counts beside its values: a password that somebody set is nothing that we may see.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Self

from migrator.directories.compare import names_of
from migrator.directories.ldap_entries import VERSION, checked_attribute
from migrator.directories.ldap_line import Found, LdapLine, LdapServers, checked_filter, escaped, filled_filter
from migrator.directories.ldap_schemas import HOST, Schema, schema_of
from migrator.directories.status import BOUNCING, PRESETS
from migrator.entries import Json
from migrator.errors import MigratorError
from migrator.options import Options, checked_host
from migrator.secret import Secret

_OF_THE_SERVER: Final = ("creatorsName", "modifiersName", VERSION)
# Characters with a meaning of their own in a name (RFC 4514 §2.4)
_SPECIAL: Final = '"+,;<>\\=#'
Attributes = Mapping[str, tuple[str, ...]]


class LdapPopulation:
    """Implements :class:`migrator.directories.base.Population`. Not thread-safe; connects on first use."""

    @classmethod
    def of(cls, options: Mapping[str, Json], secret: Secret | None) -> Self:
        """Return a population that is not yet connected. Raises ``ValueError`` with a sentence.

        Options: ``dn`` is the name of a new entry and ``entry`` its attributes, one ``attribute: value`` a line, both
        with ``{address}``, ``{local}`` and ``{domain}``; ``closed`` is the line that keeps the user out until ENABLE
        (``emailPersonStatus: inactive``; for a known schema it need not be said). ``schema`` and ``filter`` find
        entries; the rest are those of :class:`~migrator.directories.ldap_line.LdapServers`.
        """
        given = Options(options)
        return cls(given, secret, schema_of(given))

    def __init__(self, options: Options, secret: Secret | None, schema: Schema) -> None:
        servers = LdapServers.of(options, secret)
        self._line = LdapLine(servers)
        self._bind_dn = servers.bind_dn
        self._filter = checked_filter(options.text("filter", schema.filter))
        self._dn = _checked_dn(options.text("dn"), servers.base)
        closed = options.text("closed", _closed(schema) or None)
        self._closed_name = closed.partition(":")[0].strip().lower()
        self._entry = _attributes([*options.texts("entry"), closed])
        options.end()
        _check(self._entry)

    def exists(self, address: str) -> bool:
        """Tell whether there is an entry that has all the pattern's attributes and classes, whatever their values.

        But for what keeps a user out: who was there before may be let in.
        """
        found = self._find(address)
        return found is not None and not self._lacks(found)

    def create(self, address: str) -> None:
        """Make the entry. Raises ``populate.in_the_way`` where another entry of this name or address is not whole."""
        found = self._find(address)
        if found is None:
            dn, attributes = self.made_of(address)
            result = self._line.add(dn, {name: list(values) for name, values in attributes.items()})
            if result not in ("success", "entryAlreadyExists"):
                raise MigratorError("directory.invalid", reply=result)
            found = self._find(address)
        if found is None:  # one has this name, and not this address
            raise MigratorError("populate.in_the_way", reply=self.made_of(address)[0])
        if self._lacks(found):
            raise MigratorError("populate.in_the_way", reply=f"{found.dn} lacks {', '.join(self._lacks(found))}")

    def remove(self, address: str) -> None:
        """Take the entry away if we made it. Raises ``directory.changed`` where somebody changed it since."""
        found = self._find(address)
        if found is None or not self._is_ours(found, address):
            return
        if not self._is_as_made(found, address):
            raise MigratorError("directory.changed")
        version = "".join(_texts(found, VERSION))
        result = self._line.remove(found.dn, f"({VERSION}={escaped(version)})" if version else "(objectClass=*)")
        if result not in ("success", "noSuchObject"):
            raise MigratorError("directory.changed", reply=result)

    def made_of(self, address: str) -> tuple[str, Attributes]:
        """Return the name and the attributes of the entry that :meth:`create` makes. Pure; raises ``address.bad``."""
        names = names_of(address)
        spoken = {name: _in_dn(value) for name, value in names.items()}
        filled = {
            name: tuple(dict.fromkeys(_filled(value, names) for value in values))
            for name, values in self._entry.items()
        }
        return _filled(self._dn, spoken), filled

    def close(self) -> None:
        """Hang up. Never raises."""
        self._line.close()

    def _find(self, address: str) -> Found | None:
        wanted = filled_filter(self._filter, names_of(address))
        found = self._line.search(wanted, ["*", *_OF_THE_SERVER], 2)
        if len(found) > 1:
            raise MigratorError("directory.ambiguous")
        return found[0] if found else None

    def _lacks(self, found: Found) -> list[str]:
        needed = [name for name in self._entry if name.lower() != self._closed_name]
        lacks = [name for name in needed if not found.values.get(name.lower())]
        classes = set(map(str.lower, _texts(found, "objectClass")))
        return lacks + [one for one in self._entry["objectClass"] if one.lower() not in classes]

    def _is_ours(self, found: Found, address: str) -> bool:
        makers = _texts(found, "creatorsName")
        if makers:
            return _same_name(makers[0], self._bind_dn)
        return self._is_as_made(found, address)

    def _is_as_made(self, found: Found, address: str) -> bool:
        changers = _texts(found, "modifiersName")
        if changers and not _same_name(changers[0], self._bind_dn):
            return False
        made = {name.lower(): set(map(str.casefold, values)) for name, values in self.made_of(address)[1].items()}
        held = {name: set(map(str.casefold, _texts(found, name))) for name in found.values}
        ours = {name: values for name, values in held.items() if name not in map(str.lower, _OF_THE_SERVER)}
        # servers add classes above those that were named
        return ours.keys() == made.keys() and all(
            made[name] <= values if name == "objectclass" else made[name] == values for name, values in ours.items()
        )


def _closed(schema: Schema) -> str:
    preset = PRESETS.get(schema.status.lower())
    return f"{schema.status}: {preset.closed}" if preset else ""


def _attributes(lines: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the values by attribute, in the order of the lines. Raises ``ValueError``."""
    found: dict[str, tuple[str, ...]] = {}
    called: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        name, value = name.strip(), value.strip()
        if not colon or not name or not value:
            raise ValueError(f"In the option entry, {line!r} is not of the form attribute: value.")
        name = called.setdefault(checked_attribute(name).lower(), name)
        found[name] = (*found.get(name, ()), value)
    if "objectclass" not in called:
        raise ValueError("The option entry needs lines objectClass: they say what kind of entry it is.")
    return {("objectClass" if name == called["objectclass"] else name): values for name, values in found.items()}


def _check(entry: Attributes) -> None:
    """Refuse hosts that are not fully qualified, stored passwords, and a closing that sends mail back."""
    for name, values in entry.items():
        if name.lower() == HOST.lower():
            for value in values:
                checked_host(value)
        if "password" in name.lower() and not all(value.startswith("{SASL}") for value in values):
            raise ValueError("The option entry must not hold passwords: it is stored for all to read.")
        if name.lower() in PRESETS and any(value.casefold() in BOUNCING for value in values):
            raise ValueError(f"With this {name} the mail of the user is returned to its senders. Use inactive.")


def _checked_dn(template: str, base: str) -> str:
    if "{address}" not in template and "{local}" not in template:
        raise ValueError("The option dn must hold {address} or {local}: it would be one entry for everybody.")
    if not _spelled(template).endswith("," + _spelled(base)):
        raise ValueError("The option dn must end with the base below which people are searched.")
    return template


def _filled(template: str, names: Mapping[str, str]) -> str:
    """Put names in, all at once: what a name holds is never a place for another."""
    pieces = template.split("{")
    filled = [pieces[0]]
    for piece in pieces[1:]:
        name, brace, rest = piece.partition("}")
        filled.append(names[name] + rest if brace and name in names else "{" + piece)
    return "".join(filled)


def _in_dn(value: str) -> str:
    """Return ``value`` as it stands in the name of an entry (RFC 4514 §2.4)."""
    return "".join(f"\\{one}" if one in _SPECIAL else one for one in value)


def _same_name(one: str, other: str) -> bool:
    return _spelled(one) == _spelled(other)


def _spelled(dn: str) -> str:
    return ",".join("=".join(part.strip() for part in piece.split("=")) for piece in dn.casefold().split(","))


def _texts(found: Found, name: str) -> list[str]:
    return [value.decode("utf-8", "replace") for value in found.values.get(name.lower(), ())]
