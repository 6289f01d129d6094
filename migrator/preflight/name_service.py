"""What the name service says of a domain that moves, against what is expected: who takes its mail, for how long others
remember that, who may send for it, and where mail programs are led that find their settings themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

import dns.exception
import dns.name
import dns.rdatatype
import dns.resolver

from migrator.preflight.evidence import Evidence

_SECONDS: Final = 5.0  # for one question
_SRV: Final = tuple(f"_{name}._tcp" for name in "imaps imap submissions submission pop3s autodiscover".split())
_HOSTS: Final = ("autoconfig", "autodiscover")


@dataclass(frozen=True, slots=True)
class Expected:
    """What is expected after the move. Host names without a dot at their end; all lists may be empty."""

    domains: tuple[str, ...]
    mx: tuple[str, ...] = ()
    most_ttl: int = 300
    spf: tuple[str, ...] = ()  # terms that the policy must hold, as ``include:_spf.example.org`` or ``ip4:192.0.2.7``
    client_names: tuple[str, ...] = ()  # the names that stand in mail programs
    new_hosts: tuple[str, ...] = ()  # the new server's names and numbers
    old_hosts: tuple[str, ...] = ()


class Answer(NamedTuple):
    """The records of one question, as text, and for how many seconds others may remember them."""

    records: tuple[str, ...]
    ttl: int


class Resolver(Protocol):
    """Asks the name service."""

    def ask(self, name: str, kind: str) -> Answer | None:
        """Return the answer to one question, None when there is no such record. Raises ``NoAnswer``."""
        ...


class NoAnswer(Exception):
    """The name service could not be asked, or could not say."""


class NameService:
    """The name service of this machine, or the servers that are named (each HOST, and one port)."""

    def __init__(self, servers: tuple[str, ...] = (), port: int = 53) -> None:
        self._resolver = dns.resolver.Resolver(configure=not servers)
        if servers:
            self._resolver.nameservers = list(servers)
            self._resolver.port = port
        self._resolver.lifetime = _SECONDS

    def ask(self, name: str, kind: str) -> Answer | None:
        try:
            found = self._resolver.resolve(dns.name.from_text(name), kind, search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return None
        except (dns.exception.DNSException, OSError, ValueError) as error:
            raise NoAnswer(str(error)) from None
        return Answer(tuple(sorted(_text(kind, record) for record in found)), found.rrset.ttl if found.rrset else 0)


def _text(kind: str, record: object) -> str:
    match kind:
        case "MX":
            return f"{record.preference} {_host(record.exchange)}"  # type: ignore[attr-defined]
        case "SRV":
            return f"{_host(record.target)}:{record.port}"  # type: ignore[attr-defined]
        case "TXT":
            return b"".join(record.strings).decode("utf-8", "replace")  # type: ignore[attr-defined]
        case "CNAME":
            return _host(record.target)  # type: ignore[attr-defined]
    return str(record)


def _host(name: object) -> str:
    return str(name).removesuffix(".").casefold()


def look(expected: Expected, resolver: Resolver) -> Iterator[Evidence]:
    """Yield for each domain and name what was found. A question without an answer is told and not good."""
    for domain in expected.domains:
        for question in (_mx, _spf, _programs):
            yield from _guarded(domain, question, expected, resolver)
    for name in expected.client_names:
        yield from _guarded(name, _client_name, expected, resolver)


Question = Callable[[str, Expected, Resolver], Iterator[Evidence]]


def _guarded(name: str, question: Question, expected: Expected, resolver: Resolver) -> Iterator[Evidence]:
    try:
        yield from question(name, expected, resolver)
    except NoAnswer as error:
        yield Evidence("dns.no_answer", False, name, str(error)[:200])


def _mx(domain: str, expected: Expected, resolver: Resolver) -> Iterator[Evidence]:
    if not expected.mx:
        return
    found = resolver.ask(domain, "MX")
    hosts = {record.partition(" ")[2] for record in found.records} if found else set()
    is_right = hosts == set(expected.mx)
    told = ", ".join(found.records) if found else ""
    place = f"MX {domain}"
    yield Evidence("dns.mx" if is_right else "dns.mx_other", is_right, place, told, ", ".join(expected.mx))
    if found:
        is_short = found.ttl <= expected.most_ttl
        code = "dns.mx_ttl" if is_short else "dns.mx_ttl_long"
        yield Evidence(code, is_short, place, f"{found.ttl} s", f"{expected.most_ttl} s")


def _spf(domain: str, expected: Expected, resolver: Resolver) -> Iterator[Evidence]:
    if not expected.spf:
        return
    found = resolver.ask(domain, "TXT")
    policies = [text for text in (found.records if found else ()) if text.split(" ")[0].casefold() == "v=spf1"]
    terms = {term.removeprefix("+").casefold() for term in policies[0].split()[1:]} if len(policies) == 1 else set()
    is_right = all(term.casefold() in terms for term in expected.spf)
    code = "dns.spf" if is_right else "dns.spf_other"
    yield Evidence(code, is_right, f"SPF {domain}", " | ".join(policies), " ".join(expected.spf))


def _programs(domain: str, expected: Expected, resolver: Resolver) -> Iterator[Evidence]:
    """Yield where programs are led that find their settings below the domain: none may be led to the old server."""
    old, new = set(expected.old_hosts), ", ".join(expected.new_hosts)
    for label in _SRV:
        found = resolver.ask(f"{label}.{domain}", "SRV")
        for record in found.records if found else ():
            yield _led(f"{label}.{domain}", record, record.rpartition(":")[0] in old, new)
    for label in _HOSTS:
        name = f"{label}.{domain}"
        addresses = _addresses(name, resolver)
        if addresses:
            is_old = bool(addresses & _all_addresses(expected.old_hosts, resolver))
            yield _led(name, ", ".join(sorted(addresses)), is_old, new)


def _led(place: str, found: str, is_old: bool, new: str) -> Evidence:
    return Evidence("dns.program_old" if is_old else "dns.program", not is_old, place, found, new)


def _client_name(name: str, expected: Expected, resolver: Resolver) -> Iterator[Evidence]:
    addresses = _addresses(name, resolver)
    is_right = bool(addresses) and addresses <= _all_addresses(expected.new_hosts, resolver)
    code = "dns.client_name" if is_right else "dns.client_name_other"
    yield Evidence(code, is_right, name, ", ".join(sorted(addresses)), ", ".join(expected.new_hosts))


def _all_addresses(hosts: tuple[str, ...], resolver: Resolver) -> set[str]:
    return set().union(*(_addresses(host, resolver) for host in hosts)) if hosts else set()


def _addresses(name: str, resolver: Resolver) -> set[str]:
    """Return the numbers of a host; a number is its own."""
    if _is_number(name):
        return {name}
    found = [resolver.ask(name, kind) for kind in ("A", "AAAA")]
    return {record for answer in found if answer for record in answer.records}


def _is_number(name: str) -> bool:
    return ":" in name or name.replace(".", "").isdigit()
