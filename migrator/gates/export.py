"""The routes of a gate as files of the front servers themselves, for when nobody answers: nginx and Postfix.

They hold who goes another way than everybody, so they are short in the beginning and grow with each batch. Who is being
moved at that moment is told to come later.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from migrator.errors import Side
from migrator.gates import answers
from migrator.gates.answers import UNSURE, WAIT_SECONDS
from migrator.gates.front import Door, Front
from migrator.gates.nginx import PROTOCOLS
from migrator.gates.table import Row

Rows = Sequence[tuple[str, Row]]
_PLAIN: Final = re.compile(r"[\x21-\x7e]+")
_MEANT_OTHERWISE: Final = re.compile(r'["\\{};$]')


class _Way(NamedTuple):
    """Where somebody goes, as nginx's map calls it, and the row that says so."""

    name: str
    front: Front
    row: Row


def nginx(fronts: Sequence[Front], rows: Rows) -> str:
    """Return maps for the ``http`` block of an nginx: $mailferry_status, $mailferry_server, $mailferry_port and
    $mailferry_wait, made of $http_auth_user and $http_auth_protocol.

    Names that cannot be written there go the way of everybody, and are counted in a comment.
    """
    ways = {name: _way(fronts, front, row) for front, names, row in _known(fronts, rows) for name in names}
    usual = [_way(fronts, front, Row()) for front in fronts]
    fitting = {name: way for name, way in ways.items() if _fits(name) and way not in usual}
    lost = sum(not _fits(name) and way not in usual for name, way in ways.items())
    return "".join(
        f"{line}\n"
        for line in (
            f"# The routes of a gate of Mailferry. Names that cannot be written here: {lost}.",
            *_map("$http_auth_user", "$mailferry_route", _users(fronts, usual, fitting), usual[0].name),
            *_places({way.name: way for way in (*usual, *fitting.values())}),
            *_map("$mailferry_server", "$mailferry_status", {'""': UNSURE.words}, "OK"),
            *_map("$mailferry_server", "$mailferry_wait", {'""': str(WAIT_SECONDS)}, ""),
        )
    )


def nginx_servers(gate: str, asked: str, *, listen: str, routes: str) -> str:
    """Return the ``http`` server by way of which nginx asks ``gate`` at ``asked`` (HOST:PORT).

    It listens at ``listen`` for nginx itself (``auth_http``), and goes by the file ``routes``, which :func:`nginx`
    writes, when the gate does not answer.
    """
    return _SERVERS % {"gate": gate, "asked": asked, "listen": listen, "routes": routes}


_SERVERS: Final = """\
include %(routes)s;
server {
  listen %(listen)s;
  access_log off;
  location = /auth {
    proxy_pass http://%(asked)s/auth/%(gate)s;
    proxy_connect_timeout 1s;
    proxy_read_timeout 2s;
    proxy_intercept_errors on;
    error_page 502 503 504 = @known;
  }
  location @known {
    add_header Auth-Status $mailferry_status;
    add_header Auth-Server $mailferry_server;
    add_header Auth-Port $mailferry_port;
    add_header Auth-Wait $mailferry_wait;
    return 200;
  }
}
"""


def postfix(fronts: Sequence[Front], rows: Rows) -> str:
    """Return a transport table; it tells nothing of who goes the way of everybody."""
    lines = []
    for front, (address, *_), row in _known(fronts, rows):
        nexthop = answers.nexthop(front, row) if row.backend else ""
        if isinstance(nexthop, str) and nexthop and _PLAIN.fullmatch(address):
            lines.append(f"{address} {nexthop}\n")
    return "".join(lines)


FORMATS: Final[Mapping[str, Callable[[Sequence[Front], Rows], str]]] = {"nginx": nginx, "postfix": postfix}


def _known(fronts: Sequence[Front], rows: Rows) -> Iterator[tuple[Front, list[str], Row]]:
    """Yield whose rows these are, with all names by which they sign in."""
    for address, row in rows:
        for front in fronts:
            if front.people.key(address) is not None:
                local, _, domain = address.rpartition("@")
                yield front, [address] + [local] * (domain == fronts[0].people.domains[0]), row
                break


def _way(fronts: Sequence[Front], front: Front, row: Row) -> _Way:
    side = front.hosts.side(row.backend or front.hosts.source[0])
    name = f"{fronts.index(front)}-{side.value if side else 'unsure'}"
    return _Way(
        "-".join((name, *row.refused)), front, Row(row.backend if side is not Side.SOURCE else None, row.refused)
    )


def _users(fronts: Sequence[Front], usual: Sequence[_Way], ways: Mapping[str, _Way]) -> dict[str, str]:
    # the backslash keeps a name from being one of the map's own words; whole names go before patterns
    found = {f'"\\\\{name}"': way.name for name, way in ways.items()}
    for front, way in zip(fronts, usual, strict=True):
        found |= {f'"~*@{re.escape(domain)}$"': way.name for domain in front.people.domains}
    return found


def _places(ways: Mapping[str, _Way]) -> Iterator[str]:
    doors = {
        f'"{name}:{protocol}"': door
        for name, way in sorted(ways.items())
        for protocol in PROTOCOLS
        if isinstance(door := answers.sign_in(way.front, way.row, protocol), Door)
    }
    asked = '"$mailferry_route:$http_auth_protocol"'
    yield from _map(asked, "$mailferry_server", {key: door.ip for key, door in doors.items()}, "")
    yield from _map(asked, "$mailferry_port", {key: str(door.port) for key, door in doors.items()}, "")


def _map(source: str, variable: str, values: Mapping[str, str], default: str) -> Iterator[str]:
    yield f"map {source} {variable} {{"
    yield f'  default "{default}";'
    yield from (f'  {key} "{value}";' for key, value in values.items())
    yield "}"


def _fits(name: str) -> bool:
    return _PLAIN.fullmatch(name) is not None and _MEANT_OTHERWISE.search(name) is None
