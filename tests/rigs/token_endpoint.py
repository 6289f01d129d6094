"""A token endpoint on loopback, as RFC 6749 and RFC 7523 describe it: it believes nothing that is not proved.

    with TokenEndpoint() as endpoint:
        endpoint.clients["app"] = "secret"
        endpoint.accounts["robot@example.test"] = public_key

Every token is new; ``tokens`` says whose mailbox each opens (None: all). ``answers`` are given first, one after the
other, in place of what would be right.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Final, NamedTuple, Self
from urllib.parse import parse_qs

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

JWT_BEARER: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
MOST_SKEW_SECONDS: Final = 300


class Answer(NamedTuple):
    """What is said in place of what would be right."""

    status: int
    body: bytes
    headers: Mapping[str, str] = {}


class Refusal(Exception):
    """An error of RFC 6749 §5.2."""

    def __init__(self, code: str, description: str, status: int = 400) -> None:
        super().__init__(code)
        self.code, self.description, self.status = code, description, status


class TokenEndpoint:
    """The server; ``url`` is its address."""

    def __init__(self, *, life: float = 3600.0) -> None:
        self.life = life
        self.clients: dict[str, str] = {}
        self.client_scopes = {"https://outlook.office365.com/.default"}
        self.accounts: dict[str, RSAPublicKey] = {}
        self.account_scopes = {"https://mail.google.com/"}
        self.users: set[str] | None = None  # of the domain; None: everybody
        self.tokens: dict[str, str | None] = {}
        self.answers: list[Answer] = []
        self.asked: list[dict[str, str]] = []
        handler = type("Handler", (_Handler,), {"endpoint": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/token"
        self.introspection = f"http://127.0.0.1:{self._server.server_port}/introspect"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *stopped: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def grant(self, fields: dict[str, str]) -> dict[str, Any]:
        """Return what is granted for a request. Raises ``Refusal``."""
        match fields.get("grant_type"):
            case "client_credentials":
                user = self._of_client(fields)
            case str(kind) if kind == JWT_BEARER:
                user = self._of_account(fields)
            case _:
                raise Refusal("unsupported_grant_type", "that grant is not known")
        token = f"token-{len(self.tokens)}-{base64.urlsafe_b64encode(str(user).encode()).decode()}"
        self.tokens[token] = user
        return {"access_token": token, "token_type": "Bearer", "expires_in": self.life}

    def _of_client(self, fields: dict[str, str]) -> None:
        known = self.clients.get(fields.get("client_id", ""))
        if known is None:
            raise Refusal("unauthorized_client", "AADSTS700016: the application was not found in the directory")
        if fields.get("client_secret") != known:
            raise Refusal("invalid_client", "AADSTS7000215: Invalid client secret provided.", 401)
        if fields.get("scope") not in self.client_scopes:
            raise Refusal("invalid_scope", "AADSTS70011: the scope is not valid")

    def _of_account(self, fields: dict[str, str]) -> str:
        head, claims, signature = fields.get("assertion", "..").split(".")
        header, stated = json.loads(_octets(head)), json.loads(_octets(claims))
        key = self.accounts.get(stated["iss"])
        if header["alg"] != "RS256" or key is None:
            raise Refusal("invalid_grant", "Invalid issuer: Not a valid email.")
        try:
            key.verify(_octets(signature), f"{head}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            raise Refusal("invalid_grant", "Invalid JWT Signature.") from None
        now = time.time()
        if stated["aud"] != self.url or stated["exp"] - stated["iat"] > 3600:
            raise Refusal("invalid_grant", "Invalid JWT: Token must be a short-lived token for this audience")
        if abs(stated["iat"] - now) > MOST_SKEW_SECONDS or stated["exp"] < now:
            raise Refusal("invalid_grant", "Invalid JWT: Check your iat and exp values in the JWT claim.")
        if stated["scope"] not in self.account_scopes:
            raise Refusal("unauthorized_client", "Client is unauthorized to retrieve access tokens using this method.")
        if self.users is not None and stated["sub"] not in self.users:
            raise Refusal("invalid_grant", "Invalid email or User ID")
        return str(stated["sub"])


class _Handler(BaseHTTPRequestHandler):
    endpoint: ClassVar[TokenEndpoint]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        fields = {name: values[0] for name, values in parse_qs(body.decode("ascii"), strict_parsing=True).items()}
        self.endpoint.asked.append(fields)
        if self.headers["Content-Type"] != "application/x-www-form-urlencoded":
            self._say(Answer(400, b'{"error":"invalid_request"}'))
        elif self.endpoint.answers:
            self._say(self.endpoint.answers.pop(0))
        else:
            self._say(self._answer(fields))

    def do_GET(self) -> None:
        """Tell a mail server what a token is good for (RFC 7662), or, at the endpoint itself, that this is no way."""
        if self.path != "/introspect":
            self.endpoint.asked.append({"method": "GET"})
            self._say(Answer(405, b""))
            return
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        is_known = token in self.endpoint.tokens
        told = {"active": is_known, "username": self.endpoint.tokens.get(token)} if is_known else {"active": False}
        self._say(Answer(200, json.dumps(told).encode(), {"Content-Type": "application/json"}))

    def _answer(self, fields: dict[str, str]) -> Answer:
        try:
            return Answer(200, json.dumps(self.endpoint.grant(fields)).encode(), {"Content-Type": "application/json"})
        except Refusal as refusal:
            told = {"error": refusal.code, "error_description": refusal.description}
            return Answer(refusal.status, json.dumps(told).encode(), {"Content-Type": "application/json"})

    def _say(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in {"Cache-Control": "no-store", **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base's signature
        """Say nothing."""


def _octets(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
