"""Signing in to an IMAP server: with a password, by an administrator in somebody's name, or with a token.

Whatever goes out as a secret is noted in ``wire.secrets`` before: some servers repeat what they refuse.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Final

from migrator.errors import MigratorError
from migrator.replies import clean
from migrator.stores import imap_parse, imap_syntax
from migrator.stores.endpoint import Endpoint
from migrator.stores.imap_access import Way
from migrator.stores.imap_syntax import Command
from migrator.stores.oauth import Token, Tokens

if TYPE_CHECKING:
    from migrator.stores.imap_session import ImapSession, Reply

LONGEST_INITIAL: Final = 4000  # octets of a response that goes along with its command: servers bound their lines


def sign_in(session: ImapSession, endpoint: Endpoint) -> Reply:
    """Sign in and return the server's OK. Raises ``MigratorError``; a refused password is not sent again."""
    if any(mark in endpoint.login + endpoint.mailbox + endpoint.password.reveal() for mark in "\r\n\0"):
        raise MigratorError("sign_in.malformed", side=session.side)
    if endpoint.tokens is not None:
        return _by_token(session, endpoint, endpoint.tokens)
    reply = _by_password(session, endpoint)
    return _become(session, endpoint.mailbox, reply) if _is_proxied(endpoint) else reply


# With a password


def _by_password(session: ImapSession, endpoint: Endpoint) -> Reply:
    session.wire.secrets = _secrets(endpoint)
    must_be_plain = endpoint.authzid is not None and endpoint.access.way is Way.AUTHZID
    if session.has("AUTH=PLAIN") or must_be_plain:
        verb, reply = "AUTHENTICATE", _plain(session, endpoint)
    elif session.has("LOGINDISABLED") and not session.wire.is_encrypted:
        raise MigratorError("sign_in.needs_tls", side=session.side)
    else:
        verb, reply = "LOGIN", session.ask(_login_command(session, endpoint))
    if not reply.is_ok:
        raise session.refusal(reply, verb)
    return reply


def _secrets(endpoint: Endpoint) -> tuple[bytes, ...]:
    """Return the password in every form in which it goes out."""
    plain = endpoint.password.reveal().encode("utf-8")
    escaped = plain.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    return tuple(filter(None, (_plain_response(endpoint), escaped, plain)))


def _plain_response(endpoint: Endpoint) -> bytes:
    """Return the one message of SASL PLAIN (RFC 4616 §2)."""
    identity = endpoint.authzid if endpoint.access.way is Way.AUTHZID else None
    words = "\0".join((identity or "", endpoint.login, endpoint.password.reveal()))
    return base64.b64encode(words.encode("utf-8"))


def _plain(session: ImapSession, endpoint: Endpoint) -> Reply:
    response = _plain_response(endpoint) + b"\r\n"
    if session.has("SASL-IR"):
        return session.ask((b"AUTHENTICATE PLAIN " + response,))
    return session.ask((b"AUTHENTICATE PLAIN\r\n", response))


def _login_command(session: ImapSession, endpoint: Endpoint) -> Command:
    user, password = (session.string(word.encode("utf-8")) for word in (endpoint.login, endpoint.password.reveal()))
    return imap_syntax.command(b"LOGIN ", user, b" ", password)


# As somebody else


def _is_proxied(endpoint: Endpoint) -> bool:
    return endpoint.authzid is not None and endpoint.access.way is Way.PROXYAUTH


def _become(session: ImapSession, user: str, signed_in: Reply) -> Reply:
    """Let the administrator who is signed in become ``user``. What the server could do for the first may change."""
    reply = session.ask(imap_syntax.command(b"PROXYAUTH ", session.string(user.encode("utf-8"))))
    if not reply.is_ok:
        raise session.refusal(reply, "PROXYAUTH")
    return reply if imap_parse.capabilities(reply.words) is not None or reply.untagged else signed_in


# With a token


def _by_token(session: ImapSession, endpoint: Endpoint, tokens: Tokens) -> Reply:
    """Sign in with a token; one that was in use for a while and is refused is made anew, once (RFC 6750 §3.1)."""
    token, is_fresh = tokens.take(endpoint.mailbox, session.side)
    reply = _bear(session, endpoint, token)
    if not reply.is_ok:
        tokens.reject(endpoint.mailbox, token)
        if not is_fresh:
            token, _ = tokens.take(endpoint.mailbox, session.side)
            reply = _bear(session, endpoint, token)
            if not reply.is_ok:
                tokens.reject(endpoint.mailbox, token)
    if not reply.is_ok:
        raise session.refusal(reply, "AUTHENTICATE")
    session.token = token
    return reply


def _bear(session: ImapSession, endpoint: Endpoint, token: Token) -> Reply:
    """Send the token in the form that the server takes: OAUTHBEARER (RFC 7628) or the older XOAUTH2."""
    if not session.wire.is_encrypted and not _is_here(session):
        raise MigratorError("sign_in.needs_tls", side=session.side)
    if session.has("AUTH=OAUTHBEARER"):
        name = endpoint.mailbox.replace("=", "=3D").replace(",", "=2C")
        words = f"n,a={name},\x01host={endpoint.host}\x01port={endpoint.port}\x01"
        return _answer(session, b"OAUTHBEARER", f"{words}auth=Bearer {token.value.reveal()}\x01\x01", token, b"AQ==")
    if session.has("AUTH=XOAUTH2"):
        words = f"user={endpoint.mailbox}\x01"
        return _answer(session, b"XOAUTH2", f"{words}auth=Bearer {token.value.reveal()}\x01\x01", token, b"")
    raise MigratorError("sign_in.no_tokens", side=session.side)


def _is_here(session: ImapSession) -> bool:
    """True when the line does not leave this machine."""
    return str(session.wire.sock.getpeername()[0]) in ("127.0.0.1", "::1")


def _answer(session: ImapSession, mechanism: bytes, words: str, token: Token, farewell: bytes) -> Reply:
    """Go through the exchange; what the server says of a token in its challenge is put before its tagged words."""
    response = base64.b64encode(words.encode("utf-8"))
    wire = session.wire
    wire.secrets = (response, token.value.reveal().encode("utf-8"))
    tag = wire.tag()
    if session.has("SASL-IR") and len(response) <= LONGEST_INITIAL:
        wire.put(b"%s AUTHENTICATE %s %s\r\n" % (tag, mechanism, response))
    else:
        wire.put(b"%s AUTHENTICATE %s\r\n" % (tag, mechanism))
        asked = session.step(tag)
        if asked.status != "+":
            return asked
        wire.put(response + b"\r\n")
    reply = session.step(tag)
    if reply.status != "+":
        return reply
    told = _decoded(reply.words)
    wire.put(farewell + b"\r\n")  # the client must answer before the server may refuse (RFC 7628 §3.2.3)
    final = session.answer(tag)
    return final if final.is_ok or not told else final._replace(words=f"{final.words} {told}".strip())


def _decoded(challenge: str) -> str:
    try:
        octets = base64.b64decode(challenge.strip().encode("ascii", "replace"), validate=True)
    except (binascii.Error, ValueError):
        return ""
    return clean(octets.decode("utf-8", "replace"))
