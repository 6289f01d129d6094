"""Whether what was changed in an LDAP directory has come to those who read a copy of it: asked, and never assumed.

A replica is asked for the entry and must hold what the master holds. A mail server is asked by RCPT whether it would
take mail for the user; that proves something only where it refuses a name that nobody has, so this is asked, too.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Final, Self
from urllib.parse import urlsplit

from migrator.command import Command, argument, run
from migrator.directories.compare import names_of
from migrator.directories.ldap_entries import checked_attribute
from migrator.directories.ldap_line import LdapLine, LdapServers, checked_filter, filled_filter
from migrator.directories.ldap_schemas import HOST, schema_of
from migrator.entries import Json
from migrator.errors import MigratorError, Radius
from migrator.limits import Limits
from migrator.options import Options
from migrator.secret import Secret
from migrator.stores.endpoint import Endpoint
from migrator.stores.smtp_session import SmtpSession

_SMTP_PORT: Final = 25
_NO_RECIPIENT: Final = frozenset('<> "\\()[],;:')
_NOT_KNOWN: Final = frozenset({"sign_in.unknown_user", "delivery.refused"})  # said for good


class LdapPublication:
    """Implements :class:`migrator.directories.base.Publication`."""

    @classmethod
    def of(cls, options: Mapping[str, Json], secret: Secret | None) -> Self:
        """Return a publication that is not yet connected. Raises ``ValueError`` with a sentence.

        Options: ``hosts`` are those who read a copy, ``ldap://``, ``ldaps://`` (replicas) or ``smtp://HOST:PORT`` (mail
        servers); ``program`` brings the copies up to date and gets the address as its last word, in ``seconds``;
        without one they do so by themselves. ``attributes`` are compared on
        replicas (mailHost; the status and the addresses of the ``schema``). The rest are those of
        :class:`~migrator.directories.ldap.LdapDirectory`; ``uris`` name the master.
        """
        given = Options(options)
        return cls(given, secret)

    def __init__(self, options: Options, secret: Secret | None) -> None:
        servers = LdapServers.of(options, secret)
        schema = schema_of(options)
        self._filter = checked_filter(options.text("filter", schema.filter))
        usual = [HOST, *schema.addresses, *([schema.status] if schema.status else [])]
        self._attributes = tuple(map(checked_attribute, options.texts("attributes", usual)))
        self._address_attribute = schema.addresses[0]
        self._master = LdapLine(servers)
        replicas, self._mail_servers = _split(options.texts("hosts"))
        self._replicas = {uri: LdapLine(replace(servers, uris=(uri,))) for uri in replicas}
        self._limits = Limits(connect_seconds=servers.connect_seconds, io_seconds=servers.answer_seconds)
        self._program = _program(options)
        options.end()
        self._nobody = f"mailferry-{secrets.token_hex(8)}"

    def is_published(self, address: str) -> bool:
        """Tell whether every replica holds what the master does, and each mail server knows who is there and no other.

        Raises ``publish.no_proof`` where a mail server takes mail for names that nobody has.
        """
        names = names_of(address)
        entry = self._read(self._master, names)
        if any(self._read(line, names) != entry for line in self._replicas.values()):
            return False
        if not self._mail_servers:
            return True
        recipient = self._recipient(address, entry)
        return all(self._knows(server, recipient) is (entry is not None) for server in self._mail_servers)

    def publish(self, address: str) -> None:
        """Run the program; without one there is nothing to do but to wait."""
        names_of(address)
        if self._program is None:
            return
        answer = run(self._program, [argument(address)])
        if answer.code != 0:
            raise answer.failure()

    def close(self) -> None:
        """Hang up everywhere. Never raises."""
        for line in (self._master, *self._replicas.values()):
            line.close()

    def _read(self, line: LdapLine, names: Mapping[str, str]) -> Mapping[str, Sequence[bytes]] | None:
        found = line.search(filled_filter(self._filter, names), self._attributes, 2)
        if len(found) > 1:
            raise MigratorError("directory.ambiguous")
        if not found:
            return None
        return {name.lower(): sorted(found[0].values.get(name.lower(), ())) for name in self._attributes}

    def _recipient(self, address: str, entry: Mapping[str, Sequence[bytes]] | None) -> str:
        """Return the address of the user, who may sign in by another name. Raises ``address.bad``."""
        mail = (entry or {}).get(self._address_attribute.lower())
        found = mail[0].decode("utf-8", "replace") if "@" not in address and mail else address
        if "@" not in found or not found.isprintable() or set(found) & _NO_RECIPIENT:
            raise MigratorError("address.bad")
        return found

    def _knows(self, server: Endpoint, recipient: str) -> bool:
        """Tell whether ``server`` takes mail for ``recipient``, now or later, while it refuses that for nobody.

        Later (4xx) is what it says of users that are closed for a while.
        """
        nobody = f"{self._nobody}@{recipient.rpartition('@')[2]}"
        try:
            with closing(SmtpSession(server, self._limits, is_local=False)) as session:
                nobodys, answer = session.try_recipient(nobody), session.try_recipient(recipient)
        except MigratorError as error:
            raise _of_this_server(error) from None
        if nobodys is None:
            raise MigratorError("publish.no_proof", reply=f"{server.host}:{server.port}")
        if nobodys.code not in _NOT_KNOWN:
            raise _of_this_server(nobodys)
        return answer is None or answer.code not in _NOT_KNOWN


def _of_this_server(error: MigratorError) -> MigratorError:
    """Return an error of a server that is neither the source nor the target, and must not count against either."""
    found = MigratorError(error.code, reply=error.reply, radius=Radius.ACCOUNT, patience=error.patience)
    found.params = error.params
    return found


def _split(hosts: Sequence[str]) -> tuple[list[str], list[Endpoint]]:
    """Return the addresses of replicas, and the mail servers. Raises ``ValueError``."""
    replicas: list[str] = []
    servers: list[Endpoint] = []
    for uri in hosts:
        parts = urlsplit(uri)
        try:
            port = parts.port or _SMTP_PORT
        except ValueError:
            port = 0
        is_plain = not (parts.path.strip("/") or parts.query or parts.fragment or parts.username or parts.password)
        if not parts.hostname or not is_plain or not port or parts.scheme not in ("ldap", "ldaps", "smtp"):
            raise ValueError(
                "Each of the hosts must be of the form ldap://HOST:PORT, ldaps://HOST:PORT or smtp://HOST:PORT."
            )
        if parts.scheme == "smtp":
            servers.append(Endpoint(parts.hostname, port, "plain", "", Secret("")))
        else:
            replicas.append(uri)
    return replicas, servers


def _program(options: Options) -> Command | None:
    words, seconds = options.texts("program", ()), options.seconds("seconds", 300)
    return Command(words, seconds) if words else None
