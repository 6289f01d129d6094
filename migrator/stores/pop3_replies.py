"""What POP3 servers say with -ERR, and what it means: response codes (RFC 2449 §8, RFC 3206) above words, and words
that are the same as in IMAP are looked up there.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from migrator.errors import MigratorError, Side
from migrator.replies import MINUTE, classify, clean, wait_seconds

SIGN_IN: Final = ("USER", "PASS", "APOP", "AUTH")
_CODE: Final = re.compile(r"\s*\[([A-Z0-9/-]+)\]\s*", re.IGNORECASE)


class Row(NamedTuple):
    """``error`` is meant when the code is the reply's, or one of ``words`` occurs in it."""

    error: str
    code: str = ""
    words: str = ""
    retry_after: float | None = None


# The comment of a row names the servers its words were seen on.
ROWS: Final[tuple[Row, ...]] = (
    Row("server.mailbox_locked", code="IN-USE"),
    Row("server.throttled", code="LOGIN-DELAY", retry_after=MINUTE),
    Row(
        "server.mailbox_locked",
        words=r"lock busy|is already locked|mailbox (is )?(locked|in use)|can'?t (get|obtain) (a )?lock"
        r"|unable to lock|another (session|pop3? session)|already in use",  # Qpopper, UW, Dovecot, Cyrus
    ),
    Row(
        "sign_in.not_allowed",
        words=r"pop3? (access|service)? ?(is )?(disabled|not (enabled|allowed|available))",  # Courier, Zimbra
    ),
    Row("sign_in.refused", code="AUTH"),
)
SIGN_IN_ROWS: Final[tuple[Row, ...]] = (
    Row("sign_in.temporarily_unavailable", code="SYS/TEMP"),
    Row(
        "sign_in.refused",
        # Cyrus, CommuniGate, qmail-pop3d, popa3d, Mailutils
        words=r"invalid login|authori[sz]ation failed|(bad|incorrect|invalid|wrong) (login|password|user)"
        r"|password (is )?(incorrect|wrong|invalid)|account or password|(log-?in|sign-?on|auth\w*) (failed|failure)",
    ),
)
OTHER_ROWS: Final[tuple[Row, ...]] = (
    Row("server.unavailable", code="SYS/TEMP"),
    Row("server.needs_person", code="SYS/PERM"),
)


def refusal(words: str, verb: str, *, side: Side, tls: bool, as_admin: bool) -> MigratorError:
    """Return what ``-ERR words`` to the command ``verb`` (or GREETING) means; unknown words stay unknown."""
    is_sign_in = verb in SIGN_IN
    found = _CODE.match(words)
    code = found[1].upper() if found else ""
    for row in (*ROWS, *(SIGN_IN_ROWS if is_sign_in else OTHER_ROWS)):
        if (code and code == row.code) or (row.words and re.search(row.words, words, re.IGNORECASE)):
            error = "sign_in.admin_refused" if as_admin and row.error == "sign_in.not_allowed" else row.error
            wait = wait_seconds(words) or row.retry_after
            return MigratorError(error, reply=clean(words), side=side, retry_after=wait)
    status, command = ("BYE", "GREETING") if verb == "GREETING" else ("NO", "LOGIN" if is_sign_in else verb)
    return classify(status, words, side=side, command=command, tls=tls, as_admin=as_admin)
