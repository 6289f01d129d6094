"""What servers say, and what it means: one table from a reply (code, words, context) to an error of the catalogue.

Servers word the same fault in many ways, and different faults alike; the order of the table settles which is meant,
so narrow rows stand above wide ones. Words that no row knows are ``unknown``, never success.
"""

from __future__ import annotations

import errno
import re
import socket
import ssl
from dataclasses import dataclass
from typing import Final, Literal

from migrator.errors import MigratorError, Patience, Radius, Side

REPLY_CHARACTERS: Final = 500
MINUTE: Final = 60.0
HOUR: Final = 3600.0
DAY: Final = 24 * HOUR

SIGN_IN: Final = ("LOGIN", "AUTHENTICATE", "PROXYAUTH")
OPENING: Final = ("SELECT", "EXAMINE", "STATUS")
NAMING: Final = ("CREATE", "SUBSCRIBE", "RENAME")
FOLDER: Final = (*OPENING, *NAMING, "SEARCH", "STORE", "FETCH", "EXPUNGE")
FLAGGING: Final = ("APPEND", "STORE")


@dataclass(frozen=True, slots=True)
class Row:
    """One row: ``error`` is meant when every condition that is set holds. Fragments are regular expressions."""

    error: str
    words: tuple[str, ...] = ()  # one of them occurs, in any case
    tag: str = ""  # response codes, separated by blanks
    status: str = ""  # OK, NO, BAD, BYE, separated by blanks
    commands: tuple[str, ...] = ()
    side: Side | None = None
    as_admin: bool | None = None
    by_token: bool | None = None
    tls: bool | None = None
    radius: Radius | None = None
    patience: Patience | None = None
    retry_after: float | None = None  # seconds to wait when the server names none

    def fits(self, reply: Reply) -> bool:
        """Say whether every condition that is set holds for ``reply``."""
        return (
            (not self.tag or reply.tag in self.tag.split())
            and (not self.status or reply.status in self.status.split())
            and (not self.commands or reply.command in self.commands)
            and self.side in (None, reply.side)
            and self.as_admin in (None, reply.as_admin)
            and self.by_token in (None, reply.by_token)
            and self.tls in (None, reply.tls)
            and (not self.words or any(re.search(word, reply.words, re.IGNORECASE) for word in self.words))
        )


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply and the context it was given in. ``tag`` is the response code (RFC 9051 §7.1), without its arguments."""

    status: str
    tag: str
    words: str
    side: Side
    command: str
    tls: bool
    as_admin: bool
    by_token: bool


# The comment of a row names the servers its words were seen on.
ROWS: Final[tuple[Row, ...]] = (
    # --- not an IMAP server, or not one that can be spoken to
    Row("server.preauth", status="PREAUTH"),
    # --- throttling, above quota and sign-in, because it borrows their codes
    Row("server.throttled", (r"command or bandwidth limits",), retry_after=HOUR),  # Gmail, tagged [OVERQUOTA]
    Row("server.locked_out", (r"lockdown in sector",), retry_after=DAY),  # Gmail
    Row("server.throttled", (r"request is throttled", r"suggested backoff time")),  # Exchange
    Row(
        "server.throttled", (r"rate limit hit", r"server error while fetching messages"), retry_after=10 * MINUTE
    ),  # Yahoo
    Row(
        "server.too_many_connections",
        (
            r"maximum number of connections",  # Dovecot, tagged [UNAVAILABLE] or [LIMIT]
            r"too many open connections",
            r"too many connections from",  # Cyrus
            r"too many simultaneous connections",  # Gmail
        ),
    ),
    Row("server.blocks_us", (r"\b(is|are|been) (blacklisted|banned|blocked)\b",), commands=(*SIGN_IN, "GREETING")),
    Row("server.throttled", tag="THROTTLED", retry_after=MINUTE),
    # --- sign-in
    Row("line.token_expired", (r"access ?token ?(has )?expired",), status="BYE"),  # Exchange
    Row("sign_in.no_mailbox", (r"user is authenticated but not connected",)),  # Exchange
    Row("sign_in.app_password", (r"application-specific password required",)),  # Gmail
    Row(
        "sign_in.browser", (r"log in via your web browser", r"log in with your web browser"), commands=SIGN_IN
    ),  # Gmail
    Row("sign_in.password_expired", tag="EXPIRED"),
    Row(
        "sign_in.password_expired",
        (r"password must be changed before", r"password (has |is )?expired"),  # Zimbra
        commands=SIGN_IN,
    ),
    Row("sign_in.needs_tls", tag="PRIVACYREQUIRED"),
    Row(
        "sign_in.needs_tls",
        (
            r"cleartext logins disabled",  # Zimbra
            r"(cleartext|plaintext) authentication (is )?(disallowed|disabled)",  # Dovecot
            r"only available under a layer",  # Cyrus
            r"access disabled via insecure connection",  # Courier
        ),
    ),
    Row("sign_in.maintenance", (r"(account|mailbox) (is )?(undergoing|under) maintenance",)),  # Zimbra
    Row("sign_in.maintenance", (r"\bmailbox is being moved\b",), commands=SIGN_IN),  # our own gate
    Row("sign_in.elsewhere", tag="REFERRAL", status="NO BYE", commands=SIGN_IN),  # Zimbra, Dovecot
    Row("sign_in.elsewhere", (r"\(wrong host\)", r"moved to another server"), commands=SIGN_IN),
    Row("folder.elsewhere", (r"mailbox has been moved to another server",)),  # Cyrus
    Row("folder.elsewhere", tag="REFERRAL", status="NO"),
    Row(
        "sign_in.not_allowed",
        (
            r"does not have imap access enabled",  # Zimbra
            r"imap access disabled for this account",  # Courier, after its OK to LOGIN
        ),
    ),
    Row("sign_in.admin_refused", tag="AUTHORIZATIONFAILED", as_admin=True),
    Row("sign_in.not_allowed", tag="AUTHORIZATIONFAILED"),
    Row("sign_in.admin_refused", (r"permission denied", r"authorization failure"), commands=SIGN_IN, as_admin=True),
    Row("sign_in.not_allowed", (r"permission denied", r"authorization failure"), commands=SIGN_IN),  # Cyrus: cyr_deny
    # Right after the sign-in: the administrator got in and finds nothing he may open.
    Row("sign_in.admin_refused", (r"permission denied",), commands=("LIST", "NAMESPACE"), as_admin=True),
    Row("sign_in.admin_refused", tag="NOPERM", commands=("LIST", "NAMESPACE"), as_admin=True),
    Row("server.fault", (r"internal (server )?error",), tag="UNAVAILABLE"),  # Dovecot: admin into an unknown user
    Row(
        "sign_in.temporarily_unavailable",
        (r"temporary auth\w* failure", r"temporary (problem|failure|error)"),  # Dovecot, Courier
        commands=SIGN_IN,
    ),
    Row("sign_in.temporarily_unavailable", tag="UNAVAILABLE", commands=SIGN_IN),
    Row("sign_in.unknown_user", tag="NONEXISTENT", commands=SIGN_IN),  # pymap, to an administrator
    Row("sign_in.malformed", (r"invalid characters in atom",), status="BAD", commands=SIGN_IN),  # Dovecot
    # After all that has words of its own: the token was taken for no good, and one made just now would be, too.
    Row(
        "sign_in.permission_ended",
        (
            r"access ?token ?(has )?expired",
            r"\b(invalid_grant|unauthorized_client|invalid_token|insufficient_scope)\b",
            r"auth(entication|enticate)? (failed|failure|rejected)",  # Exchange, Dovecot
            r"(invalid|bad) credentials",  # Gmail
            r'"status": ?"40[0-3]"',  # Gmail, in the challenge before its NO
        ),
        commands=("AUTHENTICATE",),
        by_token=True,
    ),
    Row("sign_in.permission_ended", tag="AUTHENTICATIONFAILED", commands=("AUTHENTICATE",), by_token=True),
    Row("sign_in.passwords_off", (r"^authenticate failed\.$",), status="NO", commands=("AUTHENTICATE",)),  # Exchange
    Row("sign_in.admin_refused", status="NO", commands=("PROXYAUTH",)),
    Row("sign_in.no_proxyauth", status="BAD", commands=("PROXYAUTH",)),
    Row("sign_in.refused", tag="AUTHENTICATIONFAILED"),
    Row(
        "sign_in.refused",
        (
            r"log(in|on) (failed|failure|incorrect|rejected|denied|invalid)",  # Cyrus, Zimbra, Exchange, Courier
            r"auth(entication|enticate)? (failed|failure|rejected)",
            r"(invalid|incorrect|wrong|bad|unknown) (credentials|login|user|username|password|user ?name)\b",
        ),
        status="NO BYE",
        commands=SIGN_IN,
    ),
    # --- the server or its connection
    Row("server.clock", (r"clock skew detected",)),  # Courier
    Row(
        "server.too_many_errors",
        (
            r"^connection closed\. 14\b",  # Exchange
            r"too many invalid imap commands",  # Dovecot
            r"too many consecutive protocol violations",  # Courier
        ),
        status="BYE",
    ),
    Row("server.unavailable", (r"temporary problem",), status="BYE", commands=("GREETING",), radius=Radius.SERVER),
    Row("server.unavailable", (r"temporary (problem|failure|error)",), status="BYE"),  # Courier
    Row(
        "line.closed",
        (
            r"disconnected for inactivity",  # Dovecot, Courier
            r"session expired",  # Gmail
            r"server (closing connection|shutting down|terminating connection)",  # Zimbra, Dovecot
            r"(auto-?logout|idle (for )?too long)",  # RFC 9051 §7.1.5
        ),
        status="BYE",
    ),
    Row("request.bad_state", (r"command received in invalid state",)),  # Exchange
    Row("server.mailbox_locked", tag="INUSE"),  # Dovecot
    Row(
        "server.mailbox_locked",
        (r"mailbox is locked", r"while waiting for (lock|dotlock)"),  # Cyrus, Dovecot
    ),
    Row("server.legacy_directories", (r"legacy mailbox directories",)),  # Cyrus
    # --- the size of the request, above the size of the message: both are tagged [TOOBIG]
    Row(
        "request.too_long",
        (
            r"maximum request size exceeded",  # Zimbra
            r"imap command too long",  # Courier
            r"too long argument",  # Dovecot
            r"command arguments total size exceeds",  # Cyrus
            r"command line limit exceeded",  # Exchange
        ),
    ),
    Row(
        "request.too_long", (r"^command error\. 10\b",), status="BAD", commands=("FETCH", "STORE", "SEARCH")
    ),  # Exchange
    Row("request.search_refused", (r"search taking too long",)),  # Cyrus
    Row("request.search_refused", status="BAD", commands=("SEARCH",)),
    # --- room, the server's above the mailbox's: both are tagged [OVERQUOTA]
    Row(
        "server.full",
        (
            r"(inode|blocks) limit exceeded",
            r"out of disk space",  # Courier
            r"no space left on device",
            r"mail system storage has been exceeded",  # Cyrus
        ),
        side=Side.TARGET,
    ),
    Row("target.full", tag="OVERQUOTA", side=Side.TARGET),
    Row(
        "target.full",
        (
            r"quota exceeded",
            r"not enough disk quota",  # Dovecot
            r"^over quota",  # Cyrus
            r"exceeded your mail quota",  # Courier
            r"quota limit will be exceeded",
        ),
        side=Side.TARGET,
    ),
    Row("target.full", (r"^server unavailable\. 15\b",), commands=("APPEND",), side=Side.TARGET),  # Exchange
    # --- one message
    Row(
        "message.too_big",
        (
            r"maximum size of appendable message",
            r"maximum message size exceeded",  # Exchange
            r"message too large",  # Gmail
            r"(message|literal) size exceeds fixed limit",  # Cyrus
            r"literal size too large",  # grommunio
        ),
        commands=("APPEND",),
    ),
    Row("message.too_big", tag="TOOBIG", commands=("APPEND",)),
    Row("message.header_too_long", (r"header limit reached",), commands=("APPEND",)),
    Row("message.refused_bare", (r"^command argument error\. 11\b",), commands=("APPEND",)),  # Exchange
    Row("message.virus", (r"contains a virus",), commands=("APPEND",)),
    Row("message.nul", (r"contains nul characters",), commands=("APPEND",)),  # Cyrus
    Row(
        "message.malformed",
        (
            r"contains bare newlines",
            r"has no header/body separator",
            r"contains invalid header",  # Cyrus
            r"contains non-ascii characters in headers",  # Cyrus
            r"unable to parse message",  # Gmail
        ),
        commands=("APPEND",),
    ),
    Row(
        "message.empty",
        (r"can't save a zero byte message", r"zero-length message"),  # Dovecot; Zimbra, Cyrus
        commands=("APPEND",),
    ),
    Row(
        "message.bad_date",
        (r"invalid internal ?date", r"invalid date-time"),  # Dovecot; Cyrus
        commands=("APPEND",),
    ),
    Row("message.duplicate", (r"too many identical emails",), commands=("APPEND",)),  # Cyrus
    Row(
        "flags.refused",
        (
            r"invalid system flag",
            r"invalid flag list",
            r"could not add flags",
            r"too many user flags",
            r"keyword length too long",
            r"8bit characters in keyword",  # Cyrus
            r"can't create new keywords",  # Dovecot
        ),
        commands=FLAGGING,
    ),
    Row("message.vanished", tag="EXPUNGEISSUED"),
    Row("message.vanished", (r"\bmessages? (\d+ )?no longer exists?",), commands=("FETCH", "STORE")),  # Cyrus, Dovecot
    # --- folders
    Row(
        "folder.prefix",
        (
            r"nonexistent namespace",
            r"should probably be prefixed",  # Dovecot
            r"invalid mailbox name: inbox[./]",  # Dovecot
            r"unknown mailbox: \[gmail\]",  # Gmail
        ),
    ),
    Row("folder.no_children", (r"doesn't allow inferior mailboxes",)),  # Dovecot on mbox
    Row("folder.role_taken", (r"special-use flag conflict",)),  # Cyrus
    Row("folder.role_taken", tag="USEATTR"),  # RFC 6154 §3
    Row("folder.exists", tag="ALREADYEXISTS"),
    Row("folder.exists", (r"(mailbox|folder|inbox) already exists",), commands=("CREATE", "RENAME")),  # Cyrus, Courier
    Row(
        "folder.damaged",
        (
            r"isn't a valid mbox file",  # Dovecot, tagged [CANNOT]
            r"mailbox format corruption",
            r"mailbox has an invalid format",  # Cyrus
            r"cannot open message",  # Courier
            r"error getting mails in folder",  # Zarafa
            r"cannot convert mailbox",  # Domino
        ),
    ),
    Row("folder.damaged", tag="CORRUPTION", commands=FOLDER),  # RFC 5530 §3
    Row(
        "folder.bad_name",
        (
            r"begins with (hierarchy separator|'~')",  # Dovecot
            r"mailbox name (is )?too long",
            r"not valid mutf-7",
            r"name must not have",  # Dovecot
            r"invalid mailbox name",  # Courier, Cyrus
            r"folder contains excess whitespace",
            r"folder name is not allowed",  # Gmail
            r"folder name is reserved",  # Exchange
        ),
    ),
    Row(
        "folder.bad_name",
        (
            r"^not found",  # Dovecot, of a name too long for a Maildir
            r"cannot create this folder",  # Courier, of a name too long, and of one that is there
        ),
        commands=("CREATE",),
    ),
    Row("folder.bad_name", tag="CANNOT", commands=NAMING),
    Row("folder.shared_unavailable", (r"shared folder tempor\w+ unavailable",)),  # Zimbra writes "temporally"
    Row("folder.missing", tag="TRYCREATE", side=Side.TARGET),
    Row("folder.missing", (r"(mailbox|folder) does(n't| not) exist",), commands=("APPEND",), side=Side.TARGET),
    Row("folder.phantom", tag="NONEXISTENT TRYCREATE", commands=FOLDER),
    Row("folder.phantom", (r"(mailbox|folder) does(n't| not) exist", r"unknown mailbox"), commands=FOLDER),
    Row("folder.no_permission", tag="NOPERM"),
    Row(
        "folder.no_permission",
        (
            r"permission denied",
            r"configured for read-only access",  # Cyrus
            r"^access denied for",
            r"selected read-only",  # Courier
        ),
        commands=(*FOLDER, "APPEND"),
    ),
    # --- the wide rows: a response code without known words, then the context alone
    Row("server.throttled", tag="LIMIT", commands=("FETCH",), retry_after=10 * MINUTE),  # Yahoo
    Row("server.limit", tag="LIMIT"),
    Row("server.fault", tag="SERVERBUG"),
    Row("server.fault", (r"internal (server )?error", r"system i/o error")),  # Dovecot, Cyrus, nginx
    Row("server.unavailable", tag="UNAVAILABLE"),
    Row("server.needs_person", tag="CONTACTADMIN"),
    Row("server.alert_in_clear", tag="ALERT", tls=False, commands=(*SIGN_IN, "GREETING")),
    Row("server.needs_person", tag="ALERT"),
    Row("message.unreadable", status="OK", commands=("FETCH",)),  # Exchange: completed, and gave nothing
    Row("message.refused", status="NO BAD", commands=("APPEND",), side=Side.TARGET),
    # A word for "wrong password" that is not known here must not be tried again and lock the user out.
    Row("unknown", commands=SIGN_IN, patience=Patience.NEVER),
    Row("unknown", commands=("GREETING",)),
    Row("unknown", status="BYE", patience=Patience.NOW),
    Row("unknown", status="NO BAD OK", commands=FOLDER, radius=Radius.FOLDER),
    Row("unknown"),
)

STATUSES: Final = frozenset(("OK", "NO", "BAD", "BYE", "PREAUTH"))
# Mailutils puts its verb before the code: "NO APPEND [TRYCREATE] failed".
TAG: Final = re.compile(r"\s*(?:(?P<verb>[A-Z]+) )?\[(?P<tag>[A-Z][A-Z0-9-]*)(?:[ \t][^\]]*)?\]\s*", re.IGNORECASE)
FLAG: Final = re.compile(r"invalid system flag (\\?[^\s\"]+)", re.IGNORECASE)
WAIT: Final = re.compile(
    r"(?:backoff time|(?:try|retry)(?: again)? (?:in|after)|wait)\W{0,3}(\d{1,9}) ?"
    r"(milliseconds?|msecs?|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|h)\b",
    re.IGNORECASE,
)
UNIT_SECONDS: Final = {"s": 1.0, "m": MINUTE, "h": HOUR}


def classify(
    status: str,
    text: str,
    *,
    side: Side,
    command: str,
    tls: bool = False,
    as_admin: bool = False,
    by_token: bool = False,
) -> MigratorError:
    """Return the error a reply means.

    ``status`` is OK, NO, BAD, BYE or PREAUTH (or, in a greeting, whatever the other end said first), ``text`` what
    follows it with its ``[CODE]``, ``command`` the verb, or GREETING; ``tls`` whether the line is encrypted, and
    ``as_admin`` whether the sign-in is an administrator's into somebody's mailbox, ``by_token`` whether a token stood
    in for the password.
    """
    verb = command.upper().removeprefix("UID ").strip()
    if status.upper() not in STATUSES and verb == "GREETING":
        return MigratorError("server.not_imap", reply=clean(f"{status} {text}"), side=side)
    found = TAG.match(text)
    if found and (found["verb"] or verb).upper() != verb:
        found = None
    reply = Reply(
        status=status.upper(),
        tag=found["tag"].upper() if found else "",
        words=clean(text[found.end() :] if found else text),
        side=side,
        command=verb,
        tls=tls,
        as_admin=as_admin,
        by_token=by_token,
    )
    return _error(next(row for row in ROWS if row.fits(reply)), reply, text)


def _error(row: Row, reply: Reply, text: str) -> MigratorError:
    flag = FLAG.search(reply.words) if row.error == "flags.refused" else None
    return MigratorError(
        row.error,
        reply=clean(text),
        side=reply.side,
        radius=row.radius,
        patience=row.patience,
        retry_after=wait_seconds(text) or row.retry_after,
        **({"flag": flag[1]} if flag else {}),
    )


def clean(text: str) -> str:
    """Return a server's words as one line of printable characters, at most REPLY_CHARACTERS long."""
    line = " ".join(text[: 4 * REPLY_CHARACTERS].split())
    shown = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in line)
    return shown if len(shown) <= REPLY_CHARACTERS else shown[: REPLY_CHARACTERS - 1] + "\N{HORIZONTAL ELLIPSIS}"


def wait_seconds(text: str) -> float | None:
    """Return the seconds a server asks to wait ("Suggested Backoff Time: 299961 milliseconds"), at most a day."""
    found = WAIT.search(text)
    if found is None:
        return None
    unit = found[2].lower()
    step = 0.001 if unit.startswith(("ms", "mil")) else UNIT_SECONDS[unit[0]]
    return min(int(found[1]) * step, DAY)


class CertificateChanged(ssl.SSLError):
    """A server shows another certificate than the one that was accepted; both as fingerprints for people."""

    def __init__(self, *, accepted: str, shown: str) -> None:
        super().__init__(f"accepted: {accepted}; shown now: {shown}")
        self.accepted = accepted
        self.shown = shown


Phase = Literal["connect", "tls", "talk"]

# Our own machine ran out of something: no server is to blame, and none must be marked as down for it.
OURS: Final = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EADDRNOTAVAIL)


def classify_exception(error: OSError, *, side: Side, phase: Phase) -> MigratorError:
    """Return the error a failure of the line means.

    ``error`` is what the socket raised (timeouts, name resolution and TLS included, they are all OSErrors), ``phase``
    what was going on: opening the line, its TLS handshake, or talk.
    """
    if isinstance(error, CertificateChanged):
        words = clean(error.args[0])
        return MigratorError(
            "server.certificate_changed", reply=words, side=side, accepted=error.accepted, shown=error.shown
        )
    return MigratorError(_line_code(error, phase), reply=clean(_words(error)), side=side)


def _line_code(error: OSError, phase: Phase) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return "server.certificate"
    if error.errno in OURS and not isinstance(error, (ssl.SSLError, socket.gaierror)):
        return "machine.exhausted"
    if phase == "connect":
        return "server.no_address" if isinstance(error, socket.gaierror) else "server.unreachable"
    if isinstance(error, TimeoutError):
        return "line.silent" if phase == "talk" else "server.unreachable"
    return "line.lost" if phase == "talk" else "tls.failed"


def _words(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message or str(error)
    return error.strerror or str(error) or type(error).__name__
