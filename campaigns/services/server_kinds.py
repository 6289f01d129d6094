"""What a server's row must hold, by the kind of server that it is."""

from __future__ import annotations

from typing import Any, Final

from campaigns.bridge import beside, places, way_in
from campaigns.models import Server
from campaigns.models.server import Security
from campaigns.services import addresses
from campaigns.services.refusals import Refused
from migrator.stores import STORES
from migrator.stores.beside import Place, place_of

PORTS: Final = {
    "imap": {Security.TLS: 993, Security.STARTTLS: 143, Security.PLAIN: 143},
    "pop3": {Security.TLS: 995, Security.STARTTLS: 110, Security.PLAIN: 110},
    "smtp": {Security.TLS: 465, Security.STARTTLS: 25, Security.PLAIN: 25},
    "lmtp": {Security.TLS: 24, Security.STARTTLS: 24, Security.PLAIN: 24},
}
_NOBODY: Final[dict[str, Any]] = {
    "admin_login": "",
    "admin_access": "authzid",
    "token_endpoint": "",
    "product": "",
    **dict.fromkeys(beside.COLUMNS, ""),
}
_NO_LINE: Final[dict[str, Any]] = {
    "host": "",
    "port": 0,
    "security": Security.PLAIN,
    "ca_pem": "",
    "accepts_any_certificate": False,
}


def fitted(columns: dict[str, Any]) -> dict[str, Any]:
    """Return ``columns`` as a row of their kind holds them: what it cannot have is emptied. Raises ``Refused``."""
    probe = Server(kind=columns["kind"], path=columns["path"].strip())
    if probe.kind not in STORES:
        raise Refused("server.kind", "kind")
    if places.is_files(probe):
        return {**columns, **_NO_LINE, **_NOBODY, "path": _path_checked(probe)}
    columns = {**columns, "path": "", "port": columns["port"] or PORTS[probe.kind][Security(columns["security"])]}
    if not places.signs_in(probe):
        return {**columns, **_NOBODY}
    columns |= {name: _place_checked(columns[name], name) for name in beside.COLUMNS if name in columns}
    if probe.kind != places.IMAP:
        if columns["admin_access"] in (*way_in.BY_TOKEN, "proxyauth"):
            raise Refused("server.access_by_imap", "admin_access")
        return {**columns, "product": "", "pop3_place": ""}
    return columns


def _place_checked(text: str, field: str) -> str:
    text = text.strip()
    try:
        place = place_of(text) if text else Place()
    except ValueError:
        raise Refused("server.place", field) from None
    if not place.host:
        return text
    try:
        host = addresses.host_checked(place.host)
    except Refused:
        raise Refused("server.place", field) from None
    shown = f"[{host}]" if ":" in host else host
    return shown if place.port is None else f"{shown}:{place.port}"


def _path_checked(server: Server) -> str:
    if places.ANY not in server.path:
        raise Refused("server.path_of_nobody", "below")
    if not places.is_allowed(server.path) or "\0" in server.path:
        raise Refused("server.path_not_allowed", "below")
    return server.path
