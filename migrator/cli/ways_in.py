"""The options about whom we take for a server, and how we get in: fingerprint, form of access, tokens, product."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from migrator.errors import Side
from migrator.secret import Secret
from migrator.stores import oauth, token_endpoint, trust
from migrator.stores.imap_access import AUTHZID, Access, BadAccess, Way
from migrator.stores.oauth import BadKey, ClientCredentials, Grant, ServiceAccount, Tokens
from migrator.stores.profiles import PROFILES, named
from migrator.stores.token_endpoint import BadEndpoint
from migrator.stores.trust import BadFingerprint

MOST_FILE_OCTETS: Final = 64 * 1024


class BadWayIn(ValueError):
    """Options that let nobody in; the text is the sentence for the operator."""


@dataclass(frozen=True, slots=True)
class WayIn:
    """What the options of one side say."""

    fingerprint: str | None = None
    access: Access = AUTHZID
    tokens: Tokens | None = None
    product: str = ""
    compresses: bool = False


USUAL: Final = WayIn()


def way_in(options: argparse.Namespace, side: Side) -> WayIn:
    """Return what the options of ``side`` say. Raises ``BadWayIn``, and ``OSError`` for a file that is not read."""
    given = {name: getattr(options, f"{side}_{name}", None) for name in ("fingerprint", "access", "product")}
    file: Path | None = getattr(options, f"{side}_token_file", None)
    try:
        return WayIn(
            fingerprint=trust.parse_fingerprint(given["fingerprint"]) if given["fingerprint"] else None,
            access=_access(given["access"]) if given["access"] else AUTHZID,
            tokens=oauth.shared(_grant(file.read_bytes())) if file else None,
            product=_product(given["product"]) if given["product"] else "",
            compresses=bool(getattr(options, f"{side}_compress", False)),
        )
    except BadFingerprint as error:
        raise BadWayIn(f"--{side}-fingerprint: {error}") from None
    except BadAccess as error:
        raise BadWayIn(f"--{side}-access: {error}") from None
    except (BadKey, BadEndpoint) as error:
        raise BadWayIn(f"{file}: {error}") from None


def add_options(signing_in: argparse._ArgumentGroup, trusting: argparse._MutuallyExclusiveGroup, side: str) -> None:
    """Add the options of one side."""
    trusting.add_argument(
        f"--{side}-fingerprint",
        metavar="SHA256",
        help=f"accept exactly the certificate with this SHA-256 fingerprint at the {side}, whoever signed it",
    )
    signing_in.add_argument(
        f"--{side}-access",
        metavar="FORM",
        help=f"how an administrator opens mailboxes at the {side}: authzid (the default), proxyauth, or the name that "
        "signs in, for example '{user}*{admin}'; {name} and {domain} are the parts of {user}",
    )
    signing_in.add_argument(
        f"--{side}-token-file",
        metavar="FILE",
        type=Path,
        help=f"sign in at the {side} with tokens instead of passwords: FILE is the key file of a Google service "
        "account, or JSON with token_uri, client_id and client_secret of an application (Microsoft 365)",
    )
    signing_in.add_argument(
        f"--{side}-compress",
        action="store_true",
        help=f"compress the line to the {side} where it offers that (COMPRESS); for slow lines",
    )
    signing_in.add_argument(
        f"--{side}-product",
        metavar="NAME",
        help=f"treat the {side} as this product, whatever it calls itself: {', '.join(sorted(PROFILES))}",
    )


def _access(text: str) -> Access:
    access = Access.of(text)
    if access.way is Way.FOLDERS:
        raise BadAccess("Where folders show whose they are, name their beginning: --source-prefix, --target-prefix.")
    return access


def _product(name: str) -> str:
    profile = named(name)
    if profile is None:
        raise BadWayIn(f"There is no product {name!r} among those that are known: {', '.join(sorted(PROFILES))}.")
    return profile.name


def _grant(octets: bytes) -> Grant:
    """Return the grant in a file of JSON: of a service account, or of an application."""
    try:
        fields = json.loads(octets) if len(octets) <= MOST_FILE_OCTETS else None
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise BadKey("This is no key file: it holds no JSON.")
    if "private_key" in fields:
        grant: Grant = ServiceAccount(
            _text(fields, "token_uri", oauth.GOOGLE_ENDPOINT),
            _text(fields, "client_email"),
            Secret(json.dumps(fields)),
            _text(fields, "scope", oauth.GOOGLE_SCOPE),
        )
        oauth.private_key(Secret(json.dumps(fields)))
    else:
        grant = ClientCredentials(
            _text(fields, "token_uri"),
            _text(fields, "client_id"),
            Secret(_text(fields, "client_secret")),
            _text(fields, "scope", oauth.MICROSOFT_SCOPE),
        )
    token_endpoint.check(grant.endpoint)
    return grant


def _text(fields: dict[str, object], name: str, usual: str = "") -> str:
    value = fields.get(name, usual)
    if not isinstance(value, str) or not value:
        raise BadKey(f"The key file names no {name}.")
    return value
