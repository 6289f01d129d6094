"""The address that people's programs know: where somebody comes in, whichever of the two servers serves them."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from migrator.options import Options
from migrator.stores.endpoint import Security

_URI: Final = re.compile(
    r"(?P<scheme>imap|imaps|imap\+starttls)://(?P<host>\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+)(:(?P<port>[0-9]{1,5}))?/?"
)
_SECURITY: Final[dict[str, Security]] = {"imap": "plain", "imaps": "tls", "imap+starttls": "starttls"}


class FrontDoor(NamedTuple):
    """Where the front server answers by IMAP."""

    host: str
    port: int
    security: Security


def front_door(options: Options) -> FrontDoor | None:
    """Read ``uri``, ``imaps://HOST:PORT`` or the like; None where it is not given. Raises ``ValueError``."""
    uri = options.text("uri", "")
    if not uri:
        return None
    found = _URI.fullmatch(uri)
    port = int(found["port"] or (993 if found["scheme"] == "imaps" else 143)) if found else 0
    if found is None or not 0 < port < 65536:
        raise ValueError("The option uri must be of the form imaps://HOST:PORT, imap+starttls://HOST or imap://HOST.")
    return FrontDoor(found["host"].strip("[]"), port, _SECURITY[found["scheme"]])
