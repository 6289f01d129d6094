"""A front server as a gate knows it: whose people it serves, and where the two servers behind it are."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Self

from migrator.errors import Side
from migrator.options import Options
from migrator.routes.hosts import Hosts

_GATE: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")
_DOMAIN: Final = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_DOOR: Final = re.compile(r"(?P<protocol>imap|pop3|smtp) \[?(?P<ip>[0-9a-fA-F.:]+?)\]?:(?P<port>[0-9]{1,5})")
_NEXTHOP: Final = re.compile(r"[\x21-\x7e]{1,255}")
MOST_CHARACTERS: Final = 320  # of a name


@dataclass(frozen=True, slots=True)
class People:
    """Whom a gate serves: those of its domains. ``gate`` is its name in the table and in the address that is asked."""

    gate: str
    domains: tuple[str, ...]

    @classmethod
    def of(cls, options: Options) -> Self:
        """Read ``gate`` and ``domains``. Raises ``ValueError`` with a sentence."""
        gate = options.text("gate", "front")
        if not _GATE.fullmatch(gate):
            raise ValueError("The option gate must be a name of small letters, digits and hyphens.")
        domains = tuple(domain.strip().lower() for domain in options.texts("domains"))
        for domain in domains:
            if not _DOMAIN.fullmatch(domain):
                raise ValueError(f"The option domains holds {domain}, which is no domain.")
        return cls(gate, domains)

    def key(self, name: str) -> str | None:
        """Return under which name a user has their row; None for who is not of these domains, or nobody's name.

        ``name`` is what was typed: in any case, without the domain, or with an administrator after an asterisk.
        """
        user = name.partition("*")[0].casefold()
        if not user or len(user) > MOST_CHARACTERS or not user.isprintable() or any(map(str.isspace, user)):
            return None
        local, at, domain = user.rpartition("@")
        if not at:
            return f"{user}@{self.domains[0]}"
        return user if local and domain in self.domains else None


class Door(NamedTuple):
    """Where a server answers."""

    ip: str
    port: int


Doors = Mapping[str, Door]
"""The doors of one server by protocol: imap, pop3, smtp."""


@dataclass(frozen=True, slots=True)
class Front:
    """One front server. ``nexthops`` is where Postfix brings mail for each side, empty where it is not told."""

    people: People
    hosts: Hosts
    doors: Mapping[Side, Doors]
    nexthops: Mapping[Side, str]

    @classmethod
    def of(cls, options: Options) -> Self:
        """Read a front from the options of a route; the caller ends them. Raises ``ValueError`` with a sentence."""
        people, hosts = People.of(options), Hosts.of(options)
        doors = {side: _doors(f"{side}_doors", options.texts(f"{side}_doors")) for side in Side}
        nexthops = {side: _nexthop(f"{side}_nexthop", options.text(f"{side}_nexthop", "")) for side in Side}
        return cls(people, hosts, doors, nexthops)


def _doors(option: str, lines: Sequence[str]) -> Doors:
    doors: dict[str, Door] = {}
    for line in lines:
        found = _DOOR.fullmatch(" ".join(line.split()))
        try:
            if not found or not 0 < int(found["port"]) < 65536:
                raise ValueError
            doors[found["protocol"]] = Door(str(ipaddress.ip_address(found["ip"])), int(found["port"]))
        except ValueError:
            raise ValueError(
                f"The option {option} holds {line}. A line is imap, pop3 or smtp, and a numeric address with a port: "
                "imap 192.0.2.7:143"
            ) from None
    return doors


def _nexthop(option: str, text: str) -> str:
    if text and not _NEXTHOP.fullmatch(text):
        raise ValueError(f"The option {option} must be as in a transport table: lmtp:inet:192.0.2.7:24")
    return text
