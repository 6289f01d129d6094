"""One question to a token endpoint over HTTPS, and what its answer means. Follows nobody, keeps nothing."""

from __future__ import annotations

import http.client
import ipaddress
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode, urlsplit

from migrator.errors import MigratorError, Radius, Side
from migrator.replies import clean
from migrator.secret import Secret

SECONDS: Final = 20.0
MOST_OCTETS: Final = 64 * 1024
MOST_WAIT_SECONDS: Final = 3600.0
_SECRETS: Final = ("client_secret", "assertion")
# RFC 6749 §5.2. Only what a single user is to blame for concerns a single user.
_OF_ONE_USER: Final = frozenset(("invalid_grant",))
_OF_PERMISSION: Final = frozenset(
    (
        "invalid_grant",
        "unauthorized_client",
        "invalid_scope",
        "access_denied",
        "consent_required",
        "interaction_required",
    )
)
_BUSY: Final = frozenset(("temporarily_unavailable", "server_error", "slow_down"))


class BadEndpoint(ValueError):
    """An address at which no token is asked for; the text is the sentence that says why."""


class Answer(NamedTuple):
    """A token, and how long it lives, where that was told."""

    token: Secret
    seconds: float | None


class _Stays(urllib.request.HTTPRedirectHandler):
    """Follows nobody: whoever redirects us would be sent the secrets."""

    def redirect_request(self, *arguments: Any, **options: Any) -> None:
        return None


def check(endpoint: str) -> str:
    """Return the host of ``endpoint``. Raises ``BadEndpoint`` unless it is HTTPS, or this machine."""
    try:
        parts = urlsplit(endpoint)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise BadEndpoint("The address of the token endpoint cannot be read.") from None
    if parts.scheme not in ("https", "http") or not host or parts.username is not None or parts.fragment:
        raise BadEndpoint("The token endpoint is an address like https://login.example.org/token, without a user.")
    if parts.scheme == "http" and not _is_this_machine(host):
        raise BadEndpoint("The token endpoint must be reached by https: secrets are sent there.")
    return host


def ask(endpoint: str, parameters: Mapping[str, str], side: Side | None = None, seconds: float = SECONDS) -> Answer:
    """Return the token that ``endpoint`` gives for ``parameters``.

    Raises ``MigratorError``: token.unreachable, token.unavailable, token.refused, token.nonsense, token.address,
    sign_in.permission_ended.
    """
    try:
        host = check(endpoint)
    except BadEndpoint as error:
        raise MigratorError("token.address", side=side, reply=str(error)) from None
    request = urllib.request.Request(
        endpoint, urlencode(parameters).encode("ascii"), {"Accept": "application/json", "Connection": "close"}
    )
    try:
        with _opener(host).open(request, timeout=seconds) as response:
            body = response.read(MOST_OCTETS + 1)
    except urllib.error.HTTPError as error:
        with error:
            raise _refused(error, error.read(MOST_OCTETS), parameters, side) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise MigratorError("token.unreachable", side=side, reply=clean(f"{host}: {reason}")) from None
    return _taken(body, side)


def _opener(host: str) -> urllib.request.OpenerDirector:
    handlers: list[urllib.request.BaseHandler] = [
        _Stays(),
        urllib.request.HTTPSHandler(context=ssl.create_default_context()),
    ]
    if _is_this_machine(host):
        handlers.append(urllib.request.ProxyHandler({}))
    return urllib.request.build_opener(*handlers)


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.casefold() == "localhost"


def _taken(body: bytes, side: Side | None) -> Answer:
    fields = _fields(body)
    token, kind, life = (fields.get(name) for name in ("access_token", "token_type", "expires_in"))
    is_usable = isinstance(token, str) and token and token.isascii() and token.isprintable() and " " not in token
    if not is_usable or (kind is not None and str(kind).casefold() != "bearer"):
        raise MigratorError("token.nonsense", side=side)
    try:
        seconds = float(life) if isinstance(life, str | int | float) else None
    except ValueError:
        seconds = None
    return Answer(Secret(str(token)), seconds if seconds is not None and seconds == seconds else None)


def _fields(body: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(body) if len(body) <= MOST_OCTETS else None
    except (ValueError, RecursionError):
        fields = None
    return fields if isinstance(fields, dict) else {}


def _refused(
    error: urllib.error.HTTPError, body: bytes, parameters: Mapping[str, str], side: Side | None
) -> MigratorError:
    fields = _fields(body)
    code = str(fields.get("error", ""))
    words = clean(_discreet(f"{error.code} {code} {fields.get('error_description', '')}", parameters))
    if error.code == 429 or error.code >= 500 or code in _BUSY:
        return MigratorError(
            "token.unavailable", side=side, reply=words, retry_after=_wait(error.headers.get("Retry-After", ""))
        )
    if code in _OF_PERMISSION:
        radius = Radius.ACCOUNT if code in _OF_ONE_USER else Radius.CONFIG
        return MigratorError("sign_in.permission_ended", side=side, reply=words, radius=radius)
    return MigratorError("token.refused", side=side, reply=words)


def _discreet(words: str, parameters: Mapping[str, str]) -> str:
    for name in _SECRETS:
        if secret := parameters.get(name):
            words = words.replace(secret, "***")
    return words


def _wait(told: str) -> float | None:
    return min(float(told), MOST_WAIT_SECONDS) if told.isdigit() and len(told) < 10 else None
