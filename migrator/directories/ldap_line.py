"""One line to an LDAP directory: connect, encrypt, sign in, search, modify; taken up again when it was lost.

Every answer that is not a plain success becomes one of our errors here. A search that the server cut short is an
error too: ldap3 hands out what came and calls it a success. Referrals are not followed, they would carry our password
to a server that nobody named.
"""

from __future__ import annotations

import contextlib
import ssl
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import ldap3
from ldap3.core import exceptions
from ldap3.operation.search import compile_filter, parse_filter
from ldap3.utils.asn1 import encode
from pyasn1.error import PyAsn1Error

from migrator.errors import MigratorError
from migrator.options import Options
from migrator.secret import Secret

PAGE_ENTRIES: Final = 500
ASSERTION: Final = "1.3.6.1.1.12"  # RFC 4528
# what ldap3 raises for a peer that does not speak LDAP, beside its own exceptions: it decodes without looking
_NONSENSE: Final = (PyAsn1Error, IndexError, TypeError, KeyError, ValueError, AttributeError)

Changes = Mapping[str, Sequence[tuple[str, Sequence[bytes]]]]


class Found(NamedTuple):
    """One entry: its name as the server writes it, and the values by attribute name in lower case."""

    dn: str
    values: Mapping[str, Sequence[bytes]]


@dataclass(frozen=True, slots=True)
class LdapServers:
    """Where a directory is, and how it is spoken to. The first of ``uris`` that answers is taken."""

    uris: tuple[str, ...]
    bind_dn: str
    password: Secret
    base: str
    starttls: bool
    tls: ssl.SSLContext
    connect_seconds: float
    answer_seconds: float

    @classmethod
    def of(cls, options: Options, secret: Secret | None) -> LdapServers:
        """Read uris, bind_dn, base, starttls, ca_file, connect_seconds, answer_seconds. Raises ``ValueError``.

        An ``ldap://`` line is encrypted by StartTLS (RFC 4511 §4.14) unless ``starttls`` is false. No bind without a
        password: servers take that for an anonymous one and call it a success (RFC 4513 §5.1.2).
        """
        if secret is None or not secret.reveal():
            raise ValueError("A directory needs a password: without one it would let anybody in as nobody.")
        ca_file = options.text("ca_file", "")
        try:
            tls = ssl.create_default_context(cafile=ca_file or None)
        except OSError as error:  # ssl.SSLError too
            raise ValueError(f"{ca_file} holds no certificates that can be read: {error.strerror or error}.") from None
        return cls(
            uris=tuple(map(_checked_uri, options.texts("uris"))),
            bind_dn=options.text("bind_dn"),
            password=secret,
            base=options.text("base"),
            starttls=options.flag("starttls", True),
            tls=tls,
            connect_seconds=options.seconds("connect_seconds", 10),
            answer_seconds=options.seconds("answer_seconds", 30),
        )


def _checked_uri(uri: str) -> str:
    parts = urllib.parse.urlsplit(uri)
    is_plain = not (parts.path.strip("/") or parts.query or parts.fragment or parts.username or parts.password)
    with contextlib.suppress(ValueError):  # a port out of range
        if parts.scheme in ("ldap", "ldaps") and parts.hostname and is_plain and parts.port != 0:
            return uri
    # not repeated: somebody may have written a password into it
    raise ValueError("Each of the uris must be of the form ldap://HOST:PORT or ldaps://HOST:PORT, and nothing behind.")


class _Tls(ldap3.Tls):  # type: ignore[misc]
    """TLS as Python checks it. ldap3's own way checks nothing by default, and knows no addresses in certificates."""

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(validate=ssl.CERT_REQUIRED)
        self._context = context

    def wrap_socket(self, connection: Any, do_handshake: bool = False) -> None:
        connection.socket = self._context.wrap_socket(connection.socket, server_hostname=connection.server.host)


class LdapLine:
    """A connection that is made at the first call. Not thread-safe."""

    def __init__(self, servers: LdapServers) -> None:
        self._servers = servers
        self._connection: Any = None
        self._asserts: bool | None = None

    def search(self, filter_text: str, attributes: Sequence[str], most: int) -> list[Found]:
        """Return up to ``most`` entries below the base. More than that are not told, and no error."""
        answered = self._ask(filter_text, attributes, size_limit=most)
        if len(answered.found) < most:
            _refuse(answered)
        return answered.found

    def pages(self, filter_text: str, attributes: Sequence[str]) -> Iterator[Found]:
        """Yield every entry below the base, page by page (RFC 2696)."""
        cookie: bytes | None = None
        while cookie != b"":
            # only the first page may start on a fresh line: the cookie belongs to the line that gave it
            answered = self._ask(filter_text, attributes, cookie is None, paged_size=PAGE_ENTRIES, paged_cookie=cookie)
            _refuse(answered)
            yield from answered.found
            cookie = answered.cookie

    def modify(self, dn: str, changes: Changes, assertion: str) -> str:
        """Change one entry in one operation, if the filter ``assertion`` fits it (where the server knows assertions).

        Returns the name of the result where it says how things stand: success, or why not. Raises ``directory.lost``
        when the line drops: then it may have happened.
        """
        return self._change(lambda line, controls: line.modify(dn, dict(changes), controls), assertion)

    def add(self, dn: str, attributes: Mapping[str, Sequence[str]]) -> str:
        """Make an entry. Returns and raises as :meth:`modify` does: entryAlreadyExists where one is."""
        values = {name: list(found) for name, found in attributes.items()}
        return self._change(lambda line, controls: line.add(dn, None, values, controls))

    def remove(self, dn: str, assertion: str) -> str:
        """Take an entry away, if the filter ``assertion`` fits it. Returns and raises as :meth:`modify` does."""
        return self._change(lambda line, controls: line.delete(dn, controls), assertion)

    def _change(self, change: Callable[[Any, Any], object], assertion: str = "") -> str:
        controls = [(ASSERTION, True, _encoded(assertion))] if assertion and self.asserts() else None
        connection = self._bound()
        try:
            change(connection, controls)
        except (exceptions.LDAPException, *_NONSENSE, OSError) as error:
            self.close()
            raise MigratorError("directory.lost", reply=_words(error)) from None
        if connection.result["description"] in _STANDINGS:
            return str(connection.result["description"])
        raise _error(connection.result)

    def asserts(self) -> bool:
        """Tell whether the server makes a change depend on what the entry holds (RFC 4528)."""
        if self._asserts is None:
            answered = self._ask("(objectClass=*)", ["supportedControl"], search_base="", search_scope=ldap3.BASE)
            offered = answered.found[0].values.get("supportedcontrol", ()) if answered.found else ()
            self._asserts = ASSERTION.encode() in offered
        return self._asserts

    def close(self) -> None:
        """Hang up. Never raises."""
        connection, self._connection, self._asserts = self._connection, None, None
        if connection is not None:
            _hang_up(connection)

    def _ask(self, filter_text: str, attributes: Sequence[str], may_reconnect: bool = True, **more: Any) -> _Answered:
        """Search once; on a line that died while it was idle, once more."""
        was_idle = self._connection is not None
        connection = self._bound()
        where = {"search_base": self._servers.base, "search_scope": ldap3.SUBTREE} | more
        try:
            connection.search(
                search_filter=filter_text,
                attributes=list(attributes),
                dereference_aliases=ldap3.DEREF_NEVER,  # an alias is not a second user
                auto_escape=False,
                **where,
            )
        except exceptions.LDAPInvalidFilterError as error:
            raise MigratorError("directory.invalid", reply=_words(error)) from None
        except (exceptions.LDAPException, *_NONSENSE, OSError) as error:
            self.close()
            if was_idle and may_reconnect:
                return self._ask(filter_text, attributes, **more)
            raise MigratorError("directory.unreachable", reply=_words(error)) from None
        return _answered(connection)

    def _bound(self) -> Any:
        if self._connection is None:
            self._connection = self._connect()
        return self._connection

    def _connect(self) -> Any:
        error = MigratorError("directory.unreachable")
        for uri in self._servers.uris:
            try:
                return _sign_in(self._servers, uri)
            except MigratorError as refusal:
                if refusal.code != "directory.unreachable":
                    raise  # a password that is refused is tried once
                error = refusal
        raise error


class _Answered(NamedTuple):
    found: list[Found]
    result: Mapping[str, Any]
    cookie: bytes


# Results that tell how an entry stands, against what a change expected. The caller looks again.
_STANDINGS: Final = frozenset(
    {
        "success",
        "assertionFailed",
        "noSuchAttribute",
        "attributeOrValueExists",
        "constraintViolation",  # a second value beside a single one; or a value that is never taken
        "noSuchObject",
        "entryAlreadyExists",
    }
)
_CODES: Final[dict[str, str]] = {
    "insufficientAccessRights": "directory.no_permission",
    "busy": "directory.busy",
    "unavailable": "directory.busy",
    "timeLimitExceeded": "directory.busy",
    "sizeLimitExceeded": "directory.limit",
    "adminLimitExceeded": "directory.limit",
    "invalidCredentials": "directory.refused",
    "inappropriateAuthentication": "directory.refused",
    "unwillingToPerform": "directory.refused",
}


def checked_filter(template: str) -> str:
    """Return a filter template (RFC 4515) in which ``{address}``, ``{local}`` and ``{domain}`` stand for a name.

    Raises ``ValueError`` with a sentence when it names neither the address nor its local part, or is no filter.
    """
    if "{address}" not in template and "{local}" not in template:
        raise ValueError("The filter must hold {address} or {local}: it would find the same entry for everybody.")
    try:
        _parsed(filled_filter(template, {"address": "a@b", "local": "a", "domain": "b"}))
    except exceptions.LDAPException as error:
        raise ValueError(f"The filter {template} cannot be read: {error}.") from None
    return template


def filled_filter(template: str, names: Mapping[str, str]) -> str:
    """Return ``template`` for one user, every octet that could mean something else escaped (RFC 4515 §3)."""
    for name, value in names.items():
        template = template.replace(f"{{{name}}}", escaped(value))
    return template


def escaped(value: str) -> str:
    """Return ``value`` as it stands in a filter: letters, digits and a few marks as they are, all else in octets."""
    plain = "@._-+="
    return "".join(
        one
        if one.isascii() and (one.isalnum() or one in plain)
        else "".join(f"\\{octet:02x}" for octet in one.encode())
        for one in value
    )


def _parsed(filter_text: str) -> Any:
    return parse_filter(filter_text, None, False, None, None, False).elements[0]


def _encoded(filter_text: str) -> bytes:
    return bytes(encode(compile_filter(_parsed(filter_text))))


def _sign_in(servers: LdapServers, uri: str) -> Any:
    connection = _unopened(servers, uri)
    try:
        connection.open(read_server_info=False)
        if servers.starttls and not connection.server.ssl:
            connection.start_tls(read_server_info=False)
        connection.bind(read_server_info=False)
    except (exceptions.LDAPException, *_NONSENSE, OSError) as error:
        _hang_up(connection)
        raise MigratorError(_code_of_opening(error), reply=_words(error)) from None
    if connection.result["description"] != "success":
        _hang_up(connection)
        raise _error(connection.result)
    return connection


def _unopened(servers: LdapServers, uri: str) -> Any:
    parts = urllib.parse.urlsplit(uri)
    use_ssl = parts.scheme == "ldaps"
    server = ldap3.Server(
        parts.hostname,
        port=parts.port or (636 if use_ssl else 389),
        use_ssl=use_ssl,
        tls=_Tls(servers.tls),
        get_info=ldap3.NONE,
        connect_timeout=servers.connect_seconds,
    )
    return ldap3.Connection(
        server,
        user=servers.bind_dn,
        password=servers.password.reveal(),
        check_names=False,  # else ldap3 rewrites odd names of entries on their way
        auto_referrals=False,
        receive_timeout=max(1, round(servers.answer_seconds)),  # whole seconds, or ldap3 fails to pack them
    )


def _hang_up(connection: Any) -> None:
    line, result = connection.socket, connection.result
    with contextlib.suppress(exceptions.LDAPException, *_NONSENSE, OSError):
        connection.unbind()
    connection.result = result
    if line is not None:
        line.close()  # ldap3 leaves a line open that was never connected, or that the other side ended


def _code_of_opening(error: BaseException) -> str:
    words = str(error)
    if "CERTIFICATE_VERIFY_FAILED" in words:
        return "server.certificate"
    if isinstance(error, exceptions.LDAPStartTLSError) or "ssl" in words.lower():
        return "tls.failed"
    return "directory.unreachable"


def _answered(connection: Any) -> _Answered:
    found = [
        Found(entry["dn"], {name.lower(): values for name, values in entry["raw_attributes"].items()})
        for entry in connection.response or ()
        if entry["type"] == "searchResEntry"
    ]
    page = (connection.result.get("controls") or {}).get("1.2.840.113556.1.4.319")
    return _Answered(found, connection.result, page["value"]["cookie"] if page else b"")


def _refuse(answered: _Answered) -> None:
    if answered.result["description"] != "success":
        raise _error(answered.result)


def _error(result: Mapping[str, Any]) -> MigratorError:
    words = f"{result['description']} {result.get('message') or ''}".strip()
    return MigratorError(_CODES.get(result["description"], "directory.invalid"), reply=words)


def _words(error: BaseException) -> str:
    return str(error)[:500] or type(error).__name__
