"""Tokens for mailboxes, from a token endpoint (RFC 6749), renewed before they run out.

Two ways to earn one are known, both without the users: an application's own credentials (Microsoft 365), and a service
account that acts for a user of its domain, proved by a signed statement (Google; RFC 7523). The address of the endpoint
comes from an administrator; nothing that it answers sends us elsewhere.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from migrator.errors import MigratorError, Side
from migrator.limits import Clock, SystemClock
from migrator.secret import Secret
from migrator.stores import token_endpoint

MICROSOFT_ENDPOINT: Final = "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token"
MICROSOFT_SCOPE: Final = "https://outlook.office365.com/.default"
GOOGLE_ENDPOINT: Final = "https://oauth2.googleapis.com/token"
GOOGLE_SCOPE: Final = "https://mail.google.com/"
RENEWED_AT: Final = 0.8  # of a token's life
SHORTEST_LIFE: Final = 60.0  # seconds: an endpoint that promises less would be asked at every breath
USUAL_LIFE: Final = 3600.0  # where the endpoint promises nothing
LONGEST_LIFE: Final = 86_400.0
STATEMENT_SECONDS: Final = 3600  # Google takes no longer ones
MOST_TOKENS: Final = 5000  # of one server: one for every user with a service account
MOST_SERVERS: Final = 64
_PEM: Final = re.compile(r"-----BEGIN ([A-Z ]+)-----(.*?)-----END \1-----", re.DOTALL)


class BadKey(ValueError):
    """What shall be a private key is none; the text is the sentence that says so."""


class Grant(Protocol):
    """One way to earn tokens from one endpoint."""

    @property
    def endpoint(self) -> str:
        """Where it is earned."""
        ...

    def is_per_user(self) -> bool:
        """Say whether each user has a token of their own, or one serves all."""
        ...

    def parameters(self, user: str, now: float) -> Mapping[str, str]:
        """Return what the endpoint is sent; secrets are among it. Raises ``BadKey``."""
        ...

    def identity(self) -> str:
        """Return what tells this grant from others; it gives no secret away."""
        ...


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """An application signs in for itself (RFC 6749 §4.4), and the server lets it into the mailboxes."""

    endpoint: str
    client_id: str
    secret: Secret
    scope: str = MICROSOFT_SCOPE

    def is_per_user(self) -> bool:
        return False

    def parameters(self, user: str, now: float) -> Mapping[str, str]:
        return {
            "grant_type": "client_credentials",
            "client_id": self.client_id,
            "client_secret": self.secret.reveal(),
            "scope": self.scope,
        }

    def identity(self) -> str:
        return _identity(self.endpoint, self.client_id, self.scope, self.secret)


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """A service account states that it acts for a user, and signs that (RFC 7523 §2.1).

    ``key``: its private key (RSA) in PEM, or the whole key file in JSON that holds one.
    """

    endpoint: str
    email: str
    key: Secret
    scope: str = GOOGLE_SCOPE

    def is_per_user(self) -> bool:
        return True

    def parameters(self, user: str, now: float) -> Mapping[str, str]:
        key_id, key = private_key(self.key)
        header = {"alg": "RS256", "typ": "JWT"} | ({"kid": key_id} if key_id else {})
        issued = int(now)
        claims = {
            "iss": self.email,
            "sub": user,
            "scope": self.scope,
            "aud": self.endpoint,
            "iat": issued,
            "exp": issued + STATEMENT_SECONDS,
        }
        stated = b".".join(map(_base64url, (_json(header), _json(claims))))
        signature = key.sign(stated, padding.PKCS1v15(), hashes.SHA256())
        statement = b".".join((stated, _base64url(signature))).decode("ascii")
        return {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": statement}

    def identity(self) -> str:
        return _identity(self.endpoint, self.email, self.scope, self.key)


def private_key(secret: Secret) -> tuple[str, RSAPrivateKey]:
    """Return the key in ``secret`` with its id, which a key file in JSON names. Raises ``BadKey``."""
    text, key_id = secret.reveal().strip(), ""
    if text.startswith("{"):
        try:
            file = json.loads(text)
            text, key_id = str(file["private_key"]), str(file.get("private_key_id", ""))
        except (ValueError, KeyError):
            raise BadKey("The key file of the service account is damaged, or another kind of file.") from None
    found = _PEM.search(text)
    if found is None:
        raise BadKey("There is no private key: a key file begins with { or with -----BEGIN PRIVATE KEY-----.")
    # One line in place of many is what a field of a form makes of a pasted key.
    lines = re.findall(r".{1,64}", re.sub(r"\s", "", found[2]))
    pem = "\n".join((f"-----BEGIN {found[1]}-----", *lines, f"-----END {found[1]}-----", ""))
    try:
        key = serialization.load_pem_private_key(pem.encode("ascii", "replace"), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise BadKey("The private key of the service account cannot be read.") from None
    if not isinstance(key, RSAPrivateKey):
        raise BadKey("The private key of the service account is not an RSA key.")
    return key_id, key


@dataclass(frozen=True, slots=True, eq=False)
class Token:
    """What opens a mailbox for a while. ``renew_at`` is on the monotonic clock."""

    value: Secret
    renew_at: float


class Tokens:
    """The tokens of one server. Thread-safe: lanes share it, and nobody asks for what another is asking for."""

    def __init__(self, grant: Grant, clock: Clock | None = None) -> None:
        self._grant = grant
        self._clock = clock or SystemClock()
        self._guard = threading.Lock()
        self._held: OrderedDict[str, Token] = OrderedDict()
        self._asking: dict[str, threading.Lock] = {}

    def take(self, user: str, side: Side | None = None) -> tuple[Token, bool]:
        """Return a token for the mailbox of ``user``, and whether it was made just now. Raises ``MigratorError``."""
        name = user if self._grant.is_per_user() else ""
        with self._guard:
            asking = self._asking.setdefault(name, threading.Lock())
        with asking:
            held = self._held.get(name)
            if held is not None and not self.is_spent(held):
                return held, False
            fresh = self._ask(user, side)
            with self._guard:
                self._held[name] = fresh
                while len(self._held) > MOST_TOKENS:
                    gone, _ = self._held.popitem(last=False)
                    self._asking.pop(gone, None)
            return fresh, True

    def is_spent(self, token: Token) -> bool:
        """True when another one should take the place of ``token``: most of its life is over."""
        return self._clock.monotonic() >= token.renew_at

    def reject(self, user: str, token: Token) -> None:
        """Forget ``token``, which a server refused."""
        name = user if self._grant.is_per_user() else ""
        with self._guard:
            if self._held.get(name) is token:
                del self._held[name]

    def _ask(self, user: str, side: Side | None) -> Token:
        asked_at = self._clock.monotonic()
        try:
            parameters = self._grant.parameters(user, self._clock.now())
        except BadKey as error:
            raise MigratorError("token.bad_key", side=side, reply=str(error)) from None
        answer = token_endpoint.ask(self._grant.endpoint, parameters, side)
        life = USUAL_LIFE if answer.seconds is None else min(max(answer.seconds, SHORTEST_LIFE), LONGEST_LIFE)
        return Token(answer.token, asked_at + RENEWED_AT * life)


_shared: OrderedDict[str, Tokens] = OrderedDict()
_shared_guard: Final = threading.Lock()


def shared(grant: Grant) -> Tokens:
    """Return the tokens of ``grant`` that this process holds: all accounts of a server use them."""
    identity = grant.identity()
    with _shared_guard:
        tokens = _shared.setdefault(identity, Tokens(grant))
        _shared.move_to_end(identity)
        while len(_shared) > MOST_SERVERS:
            _shared.popitem(last=False)
        return tokens


def _identity(endpoint: str, name: str, scope: str, secret: Secret) -> str:
    return hashlib.sha256("\0".join((endpoint, name, scope, secret.reveal())).encode("utf-8")).hexdigest()


def _json(value: Mapping[str, object]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode("utf-8")


def _base64url(octets: bytes) -> bytes:
    return base64.urlsafe_b64encode(octets).rstrip(b"=")
