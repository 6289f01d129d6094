"""What servers say, row by row of the table, and what only looks like it."""

from __future__ import annotations

import errno
import socket
import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.errors import CATALOGUE, MigratorError, Patience, Radius, Side
from migrator.replies import REPLY_CHARACTERS, classify, classify_exception, clean, wait_seconds

S, T = Side.SOURCE, Side.TARGET


def seen(row: pytest.MarkDecorator, code: str, command: str, line: str, side: Side = T) -> object:
    status, _, text = line.partition(" ")
    return pytest.param(code, command, status, text, side, marks=row, id=f"{row.args[0]} {line[:60]}")


SEEN = [
    # sign-in
    seen(pytest.mark.req("C-1"), "sign_in.refused", "LOGIN", "NO [AUTHENTICATIONFAILED] Authentication failed.", S),
    seen(pytest.mark.req("C-1"), "sign_in.refused", "AUTHENTICATE", "NO [AUTHENTICATIONFAILED] Authentication failed."),
    seen(pytest.mark.req("C-1"), "sign_in.refused", "LOGIN", "NO Login incorrect"),
    seen(pytest.mark.req("C-1"), "sign_in.refused", "LOGIN", "NO Login failed: authentication failure"),
    seen(pytest.mark.req("C-1"), "sign_in.refused", "LOGIN", "NO LOGIN failed"),
    seen(pytest.mark.req("C-1"), "sign_in.refused", "LOGIN", "NO LOGIN failed."),
    seen(pytest.mark.req("C-1"), "sign_in.refused", "LOGIN", "NO Login failed."),
    seen(pytest.mark.req("C-1"), "sign_in.refused", "AUTHENTICATE", "NO AUTHENTICATE failed"),
    seen(
        pytest.mark.req("C-1"),
        "sign_in.refused",
        "LOGIN",
        "NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)",
    ),
    seen(
        pytest.mark.req("C-2"),
        "sign_in.app_password",
        "LOGIN",
        "NO [ALERT] Application-specific password required: https://example.test/ (Failure)",
    ),
    seen(
        pytest.mark.req("C-3"),
        "sign_in.browser",
        "LOGIN",
        "NO [ALERT] Please log in via your web browser: https://example.test/ (Failure)",
    ),
    seen(pytest.mark.req("C-4"), "sign_in.passwords_off", "AUTHENTICATE", "NO AUTHENTICATE failed."),
    seen(pytest.mark.req("C-5"), "sign_in.no_mailbox", "SELECT", "BAD User is authenticated but not connected."),
    seen(pytest.mark.req("C-7"), "sign_in.password_expired", "LOGIN", "NO [EXPIRED] Password expired."),
    seen(
        pytest.mark.req("C-7"),
        "sign_in.password_expired",
        "LOGIN",
        "NO [ALERT] password must be changed before IMAP login permitted",
    ),
    seen(pytest.mark.req("C-8"), "sign_in.not_allowed", "LOGIN", "NO account does not have IMAP access enabled"),
    seen(pytest.mark.req("C-8"), "sign_in.not_allowed", "NAMESPACE", "BYE IMAP access disabled for this account."),
    seen(pytest.mark.req("C-8"), "sign_in.not_allowed", "LOGIN", "NO [AUTHORIZATIONFAILED] Authorization failed"),
    seen(pytest.mark.req("C-8"), "sign_in.not_allowed", "LOGIN", "NO Login failed: authorization failure"),
    seen(pytest.mark.req("C-9"), "sign_in.needs_tls", "LOGIN", "NO cleartext logins disabled"),
    seen(
        pytest.mark.req("C-9"),
        "sign_in.needs_tls",
        "LOGIN",
        "NO [PRIVACYREQUIRED] Cleartext authentication disallowed on non-secure (SSL/TLS) connections.",
    ),
    seen(pytest.mark.req("C-9"), "sign_in.needs_tls", "LOGIN", "NO Login only available under a layer"),
    seen(
        pytest.mark.req("C-9"),
        "sign_in.needs_tls",
        "LOGIN",
        "BYE IMAP access disabled via insecure connection.",
    ),
    seen(pytest.mark.req("C-10"), "server.blocks_us", "LOGIN", "NO [ALERT] LOGIN DENIED -- COUNTRY IS BLACKLISTED", S),
    seen(
        pytest.mark.req("C-11"),
        "sign_in.temporarily_unavailable",
        "LOGIN",
        "NO [UNAVAILABLE] Temporary authentication failure. [host:2026-01-01 00:00:00]",
    ),
    seen(
        pytest.mark.req("C-11"),
        "sign_in.temporarily_unavailable",
        "LOGIN",
        "BYE Temporary problem, please try again later",
    ),
    seen(
        pytest.mark.req("C-12"),
        "sign_in.maintenance",
        "LOGIN",
        "NO [ALERT] account undergoing maintenance; please try again later",
    ),
    seen(
        pytest.mark.req("C-12"),
        "sign_in.maintenance",
        "LOGIN",
        "NO Your mailbox is being moved. Please try again in a few minutes.",
    ),
    seen(
        pytest.mark.req("C-13"),
        "sign_in.elsewhere",
        "LOGIN",
        "NO [REFERRAL imap://u1@host.example.test/] LOGIN failed (wrong host)",
    ),
    seen(pytest.mark.req("C-13"), "folder.elsewhere", "SELECT", "NO Mailbox has been moved to another server"),
    seen(
        pytest.mark.req("C-16"),
        "sign_in.malformed",
        "LOGIN",
        "BAD Error in IMAP command LOGIN: Invalid characters in atom",
    ),
    # connection and throttling
    seen(pytest.mark.req("C-21"), "line.closed", "NOOP", "BYE Disconnected for inactivity."),
    seen(pytest.mark.req("C-21"), "line.closed", "FETCH", "BYE Session expired, please login again"),
    seen(pytest.mark.req("C-21"), "line.closed", "FETCH", "BYE Zimbra IMAP4rev1 server closing connection"),
    seen(pytest.mark.req("C-21"), "line.closed", "APPEND", "BYE Server shutting down."),
    seen(
        pytest.mark.req("C-22"),
        "server.too_many_connections",
        "LOGIN",
        "NO [UNAVAILABLE] Maximum number of connections from user+IP exceeded (mail_max_userip_connections=10)",
    ),
    seen(
        pytest.mark.req("C-22"),
        "server.too_many_connections",
        "LOGIN",
        "NO [LIMIT] Maximum number of connections from user+IP exceeded (mail_max_userip_connections=100)",
    ),
    seen(pytest.mark.req("C-22"), "server.too_many_connections", "LOGIN", "NO Too many open connections"),
    seen(pytest.mark.req("C-22"), "server.too_many_connections", "LOGIN", "NO Too many connections from this user"),
    seen(
        pytest.mark.req("C-22"),
        "server.too_many_connections",
        "LOGIN",
        "NO [ALERT] Too many simultaneous connections. (Failure)",
    ),
    seen(
        pytest.mark.req("C-23"),
        "server.throttled",
        "APPEND",
        "NO [OVERQUOTA] Account exceeded command or bandwidth limits. (Failure)",
    ),
    seen(pytest.mark.req("C-24"), "server.locked_out", "FETCH", "NO Lockdown in sector 4 (Failure)", S),
    seen(
        pytest.mark.req("C-25"),
        "server.throttled",
        "FETCH",
        "BAD Request is throttled. Suggested Backoff Time: 299961 milliseconds",
        S,
    ),
    seen(pytest.mark.req("C-26"), "server.throttled", "UID FETCH", "NO [LIMIT] UID FETCH Rate limit hit.", S),
    seen(
        pytest.mark.req("C-26"),
        "server.throttled",
        "UID FETCH",
        "NO [UNAVAILABLE] UID FETCH Server error while fetching messages",
        S,
    ),
    seen(pytest.mark.req("C-27"), "server.throttled", "FETCH", "NO [THROTTLED] Slow down"),
    seen(pytest.mark.req("C-27"), "server.mailbox_locked", "SELECT", "NO [INUSE] Timeout while waiting for lock"),
    seen(pytest.mark.req("C-27"), "server.mailbox_locked", "SELECT", "NO Mailbox is locked"),
    seen(pytest.mark.req("C-27"), "server.mailbox_locked", "SELECT", "NO Timeout (180s) while waiting for dotlock"),
    seen(pytest.mark.req("C-28"), "server.too_many_errors", "FETCH", "BYE Connection closed. 14", S),
    seen(pytest.mark.req("C-28"), "server.too_many_errors", "FETCH", "BYE Too many invalid IMAP commands."),
    seen(
        pytest.mark.req("C-28"),
        "server.too_many_errors",
        "FETCH",
        "BYE [ALERT] Fatal error: TOO MANY CONSECUTIVE PROTOCOL VIOLATIONS: ",
    ),
    seen(pytest.mark.req("C-29"), "request.too_long", "FETCH", "BAD maximum request size exceeded", S),
    seen(pytest.mark.req("C-29"), "request.too_long", "FETCH", "NO [ALERT] IMAP command too long.", S),
    seen(
        pytest.mark.req("C-29"),
        "request.too_long",
        "FETCH",
        "BAD Error in IMAP command FETCH: Too long argument.",
        S,
    ),
    seen(
        pytest.mark.req("C-29"),
        "request.too_long",
        "STORE",
        "NO [TOOBIG] Command arguments total size exceeds fixed limit",
    ),
    seen(pytest.mark.req("C-29"), "request.too_long", "FETCH", "BAD Command Error. 10", S),
    seen(pytest.mark.req("C-29"), "request.too_long", "FETCH", "BAD command line limit exceeded", S),
    seen(
        pytest.mark.req("C-30"),
        "server.clock",
        "SELECT",
        "BYE Clock skew detected. Check the clock on the file server",
        S,
    ),
    seen(pytest.mark.req("C-31"), "request.bad_state", "FETCH", "BAD Command received in Invalid state.", S),
    # room and size
    seen(
        pytest.mark.req("C-32"),
        "target.full",
        "APPEND",
        "NO [OVERQUOTA] Quota exceeded (mailbox for user is full) (0.001 + 0.000 secs).",
    ),
    seen(pytest.mark.req("C-32"), "target.full", "APPEND", "NO Not enough disk quota"),
    seen(pytest.mark.req("C-32"), "target.full", "APPEND", "NO Over quota"),
    seen(pytest.mark.req("C-32"), "target.full", "CREATE", "NO [OVERQUOTA] Too many folders"),
    seen(pytest.mark.req("C-32"), "target.full", "APPEND", "NO [ALERT] You exceeded your mail quota."),
    seen(pytest.mark.req("C-32"), "target.full", "APPEND", "NO Server Unavailable. 15"),
    seen(pytest.mark.req("C-32"), "target.full", "APPEND", "NO Quota limit will be exceeded"),
    seen(pytest.mark.req("C-33"), "server.full", "APPEND", "NO [OVERQUOTA] Quota exceeded: Inode limit exceeded"),
    seen(pytest.mark.req("C-33"), "server.full", "APPEND", "NO [OVERQUOTA] Blocks limit exceeded"),
    seen(
        pytest.mark.req("C-33"),
        "server.full",
        "APPEND",
        "NO COPY failed - no write permission or out of disk space.",
    ),
    seen(pytest.mark.req("C-33"), "server.full", "APPEND", "NO mail system storage has been exceeded"),
    seen(
        pytest.mark.req("C-34"),
        "message.too_big",
        "APPEND",
        "NO Maximum size of appendable message has been exceeded",
    ),
    seen(pytest.mark.req("C-34"), "message.too_big", "APPEND", "BAD maximum message size exceeded"),
    seen(
        pytest.mark.req("C-34"),
        "message.too_big",
        "APPEND",
        "BAD [TOOBIG] Message too large. https://example.test/answer/6584#limit",
    ),
    seen(pytest.mark.req("C-34"), "message.too_big", "APPEND", "NO Message size exceeds fixed limit"),
    seen(pytest.mark.req("C-34"), "message.too_big", "APPEND", "NO [TOOBIG] Literal size exceeds fixed limit"),
    seen(pytest.mark.req("C-34"), "message.too_big", "APPEND", "BAD literal size too large"),
    seen(pytest.mark.req("C-35"), "message.header_too_long", "APPEND", "NO header limit reached"),
    seen(pytest.mark.req("C-36"), "message.refused_bare", "APPEND", "BAD Command Argument Error. 11"),
    # messages
    seen(pytest.mark.req("C-38"), "message.virus", "APPEND", "NO Message refused because it contains a virus"),
    seen(pytest.mark.req("C-39"), "message.nul", "APPEND", "NO Message contains NUL characters"),
    seen(pytest.mark.req("C-40"), "message.malformed", "APPEND", "NO Message contains bare newlines"),
    seen(pytest.mark.req("C-40"), "message.malformed", "APPEND", "NO Message has no header/body separator"),
    seen(pytest.mark.req("C-40"), "message.malformed", "APPEND", "NO Message contains invalid header"),
    seen(pytest.mark.req("C-40"), "message.malformed", "APPEND", "NO Message contains non-ASCII characters in headers"),
    seen(pytest.mark.req("C-40"), "message.malformed", "APPEND", "BAD Invalid Arguments: Unable to parse message"),
    seen(pytest.mark.req("C-41"), "message.empty", "APPEND", "NO Can't save a zero byte message (0.001 secs)."),
    seen(pytest.mark.req("C-41"), "message.empty", "APPEND", "NO zero-length message"),
    seen(pytest.mark.req("C-41"), "message.empty", "APPEND", "NO Zero-length message literal"),
    seen(
        pytest.mark.req("C-42"),
        "message.bad_date",
        "APPEND",
        "BAD Error in IMAP command APPEND: Invalid internal date.",
    ),
    seen(pytest.mark.req("C-42"), "message.bad_date", "APPEND", "BAD Invalid date-time in Append command"),
    seen(pytest.mark.req("C-43"), "flags.refused", "APPEND", "BAD Invalid system flag \\FORWARDED"),
    seen(pytest.mark.req("C-43"), "flags.refused", "APPEND", "NO APPEND Invalid flag list"),
    seen(pytest.mark.req("C-43"), "flags.refused", "STORE", "NO could not add flags"),
    seen(pytest.mark.req("C-43"), "flags.refused", "STORE", "NO Too many user flags in mailbox"),
    seen(pytest.mark.req("C-43"), "flags.refused", "APPEND", "BAD Keyword length too long"),
    seen(pytest.mark.req("C-43"), "flags.refused", "APPEND", "BAD 8bit characters in keyword"),
    seen(pytest.mark.req("C-43"), "flags.refused", "STORE", "NO Can't create new keywords"),
    seen(pytest.mark.req("C-44"), "message.unreadable", "FETCH", "OK FETCH completed", S),
    seen(
        pytest.mark.req("C-45"),
        "message.vanished",
        "FETCH",
        "NO [EXPUNGEISSUED] Some of the requested messages no longer exist.",
        S,
    ),
    seen(pytest.mark.req("C-45"), "message.vanished", "FETCH", "NO Message 17 no longer exists", S),
    seen(pytest.mark.req("C-48"), "message.refused", "APPEND", "NO Unable to append message to folder (Failure)"),
    seen(pytest.mark.req("C-48"), "message.refused", "APPEND", "NO APPEND failed"),
    seen(pytest.mark.req("C-49"), "message.duplicate", "APPEND", "NO Too many identical emails"),
    # folders
    seen(
        pytest.mark.req("C-50"),
        "folder.prefix",
        "CREATE",
        "NO Client tried to access nonexistent namespace. (Mailbox name should probably be prefixed with: INBOX.)",
    ),
    seen(pytest.mark.req("C-50"), "folder.prefix", "CREATE", "NO Invalid mailbox name: INBOX.Ops/foo/bar"),
    seen(pytest.mark.req("C-50"), "folder.prefix", "APPEND", "NO [NONEXISTENT] Unknown Mailbox: [Gmail] (Failure)"),
    seen(
        pytest.mark.req("C-51"),
        "folder.bad_name",
        "CREATE",
        "NO [CANNOT] Invalid mailbox name: Begins with hierarchy separator",
    ),
    seen(
        pytest.mark.req("C-51"),
        "folder.bad_name",
        "CREATE",
        "NO [CANNOT] Invalid mailbox name: Name must not have '/' characters (0.001 + 0.000 secs).",
    ),
    seen(
        pytest.mark.req("C-51"),
        "folder.bad_name",
        "CREATE",
        "NO [CANNOT] Character not allowed in mailbox name: '.'",
    ),
    seen(pytest.mark.req("C-51"), "folder.bad_name", "CREATE", "NO [CANNOT] Mailbox name too long"),
    seen(pytest.mark.req("C-51"), "folder.bad_name", "CREATE", "NO Not found (0.001 + 0.000 secs)."),
    seen(pytest.mark.req("C-51"), "folder.bad_name", "CREATE", "NO Cannot create this folder."),
    seen(pytest.mark.req("C-51"), "folder.bad_name", "CREATE", "NO Invalid mailbox name."),
    seen(pytest.mark.req("C-51"), "folder.bad_name", "CREATE", "NO Invalid mailbox name"),
    seen(pytest.mark.req("C-51"), "folder.bad_name", "CREATE", "NO Mailbox name is not valid mUTF-7"),
    seen(
        pytest.mark.req("C-51"),
        "folder.bad_name",
        "CREATE",
        "NO [CANNOT] Folder contains excess whitespace (Failure)",
    ),
    seen(pytest.mark.req("C-51"), "folder.bad_name", "CREATE", "NO [CANNOT] Folder name is not allowed. (Failure)"),
    seen(pytest.mark.req("C-51"), "folder.bad_name", "CREATE", "NO Folder name is reserved"),
    seen(
        pytest.mark.req("C-52"),
        "folder.no_children",
        "CREATE",
        "NO [CANNOT] Mailbox doesn't allow inferior mailboxes (0.001 + 0.000 secs).",
    ),
    seen(pytest.mark.req("C-53"), "folder.exists", "CREATE", "NO [ALREADYEXISTS] Mailbox already exists"),
    seen(pytest.mark.req("C-53"), "folder.exists", "CREATE", "NO Mailbox already exists"),
    seen(pytest.mark.req("C-53"), "folder.exists", "CREATE", "NO INBOX already exists!"),
    seen(pytest.mark.req("C-54"), "folder.missing", "APPEND", "NO [TRYCREATE] Must create mailbox before append"),
    seen(pytest.mark.req("C-54"), "folder.missing", "APPEND", "NO [TRYCREATE] APPEND failed: no such mailbox"),
    seen(pytest.mark.req("C-54"), "folder.missing", "APPEND", "NO APPEND [TRYCREATE] failed"),
    seen(pytest.mark.req("C-54"), "folder.missing", "APPEND", "NO [TRYCREATE] Mailbox doesn't exist: Nope"),
    seen(pytest.mark.req("C-55"), "folder.no_permission", "EXAMINE", "NO [NOPERM] Permission denied", S),
    seen(pytest.mark.req("C-55"), "folder.no_permission", "CREATE", "NO Permission denied"),
    seen(pytest.mark.req("C-55"), "folder.no_permission", "SELECT", "NO Access denied for SELECT on INBOX.x", S),
    seen(pytest.mark.req("C-55"), "folder.no_permission", "STORE", "NO Current box is selected READ-ONLY."),
    seen(
        pytest.mark.req("C-55"),
        "folder.no_permission",
        "APPEND",
        "NO This connection is configured for read-only access",
    ),
    seen(pytest.mark.req("C-56"), "folder.phantom", "EXAMINE", "NO [NONEXISTENT] Mailbox doesn't exist: Gone", S),
    seen(pytest.mark.req("C-56"), "folder.phantom", "SELECT", "NO Mailbox does not exist", S),
    seen(pytest.mark.req("C-56"), "folder.phantom", "STATUS", "NO Mailbox doesn't exist: Gone (0.001 secs).", S),
    seen(
        pytest.mark.req("C-57"),
        "folder.shared_unavailable",
        "SELECT",
        "NO Shared folder temporally unavailable",
        S,
    ),
    seen(pytest.mark.req("C-58"), "folder.damaged", "SELECT", "NO [CANNOT] Mailbox isn't a valid mbox file", S),
    seen(pytest.mark.req("C-58"), "folder.damaged", "SELECT", "NO Mailbox format corruption detected", S),
    seen(pytest.mark.req("C-58"), "folder.damaged", "SELECT", "NO Mailbox has an invalid format", S),
    seen(pytest.mark.req("C-58"), "folder.damaged", "FETCH", "NO [ALERT] Cannot open message 123.M1P2", S),
    seen(pytest.mark.req("C-58"), "folder.damaged", "SELECT", "NO SELECT error getting mails in folder", S),
    seen(pytest.mark.req("C-58"), "folder.damaged", "SELECT", "NO cannot convert Mailbox: code 02:46", S),
    seen(pytest.mark.req("C-59"), "folder.role_taken", "CREATE", "NO SPECIAL-USE flag conflict"),
    seen(pytest.mark.req("C-59"), "folder.role_taken", "CREATE", "NO [USEATTR] \\Sent is taken"),
    # the rest
    seen(
        pytest.mark.req("C-60"),
        "server.fault",
        "SELECT",
        "NO [SERVERBUG] Internal error occurred. Refer to server log for more information. [2026-01-01 00:00:00]",
        S,
    ),
    seen(pytest.mark.req("C-60"), "server.fault", "APPEND", "NO System I/O error"),
    seen(pytest.mark.req("C-60"), "server.fault", "FETCH", "NO Internal Error", S),
    seen(
        pytest.mark.req("C-61"),
        "server.legacy_directories",
        "SELECT",
        "NO User is using legacy mailbox directories. Reconstruct user first.",
        S,
    ),
    seen(pytest.mark.req("C-67"), "request.search_refused", "SEARCH", "NO Search taking too long", S),
    seen(pytest.mark.req("C-67"), "request.search_refused", "SEARCH", "BAD whatever", S),
    seen(pytest.mark.req("C-68"), "server.needs_person", "LOGIN", "NO [CONTACTADMIN] Mailbox_is_being_moved"),
    seen(pytest.mark.req("C-68"), "server.needs_person", "SELECT", "NO [ALERT] Ring us up."),
]


@pytest.mark.parametrize(("code", "command", "status", "text", "side"), SEEN)
def test_a_known_reply_becomes_its_error(code: str, command: str, status: str, text: str, side: Side) -> None:
    error = classify(status, text, side=side, command=command, tls=True)
    assert error.code == code
    assert error.side is side
    assert error.reply == " ".join(text.split())


@pytest.mark.parametrize(
    ("code", "command", "line", "side"),
    [
        # The same words, spoken of something else.
        ("unknown", "SELECT", "NO Server Unavailable. 15", T),
        ("unknown", "APPEND", "NO [OVERQUOTA] Quota exceeded", S),
        ("unknown", "SELECT", "NO Command Argument Error. 11", T),
        ("message.refused", "APPEND", "NO Connection closed. 14", T),
        ("message.refused", "APPEND", "BAD Command Error. 10", T),
        ("unknown", "SELECT", "NO Login failed", S),
        ("unknown", "FETCH", "NO Message contains a virus", S),
        ("unknown", "LIST", "NO Permission denied", S),
        ("folder.phantom", "EXAMINE", "NO [TRYCREATE] Mailbox doesn't exist", S),
        ("sign_in.refused", "AUTHENTICATE", "NO AUTHENTICATE failed", T),
        ("message.too_big", "APPEND", "NO [TOOBIG] It is too big", T),
        ("unknown", "FETCH", "NO [TOOBIG] It is too big", S),
        ("server.limit", "CREATE", "NO [LIMIT] Too many folders", T),
        ("folder.bad_name", "CREATE", "NO Invalid mailbox name: a/b", T),
        ("server.unavailable", "SELECT", "NO [UNAVAILABLE] Come back", S),
        ("server.fault", "LOGIN", "NO [UNAVAILABLE] Internal error occurred.", S),
        # A code in the middle of the words is not a response code, unless only the verb stands before it.
        ("unknown", "SELECT", "NO Say [NOPERM] aloud", S),
    ],
)
def test_a_similar_reply_is_not_mistaken(code: str, command: str, line: str, side: Side) -> None:
    status, _, text = line.partition(" ")
    assert classify(status, text, side=side, command=command, tls=True).code == code


@pytest.mark.req("C-60")
@pytest.mark.parametrize("status", ["OK", "NO", "BAD", "BYE"])
@pytest.mark.parametrize("command", ["SELECT", "LIST", "STORE", "NOOP", "STATUS", "SUBSCRIBE"])
def test_words_nobody_knows_are_unknown(status: str, command: str) -> None:
    assert classify(status, "Bitte wählen Sie die 7.", side=S, command=command).code == "unknown"


@given(st.text(), st.sampled_from(["OK", "NO", "BAD", "BYE", "PREAUTH", "", "+"]), st.sampled_from(["LOGIN", "FETCH"]))
def test_any_reply_gets_an_error_of_the_catalogue(text: str, status: str, command: str) -> None:
    error = classify(status, text, side=S, command=command)
    assert error.code in CATALOGUE
    assert len(error.reply) <= REPLY_CHARACTERS
    assert error.reply.isprintable()


@pytest.mark.req("C-60")
def test_an_unknown_reply_spoils_what_it_was_said_of() -> None:
    def radius(status: str, command: str) -> Radius:
        return classify(status, "Hm.", side=T, command=command).radius

    assert radius("NO", "APPEND") is Radius.MESSAGE
    assert radius("NO", "EXAMINE") is Radius.FOLDER
    assert radius("NO", "CREATE") is Radius.FOLDER
    assert radius("NO", "LIST") is Radius.ACCOUNT
    assert radius("BYE", "EXAMINE") is Radius.ACCOUNT


def test_an_unknown_reply_to_a_sign_in_is_not_tried_again() -> None:
    error = classify("NO", "Falsches Kennwort", side=S, command="LOGIN")
    assert (error.code, error.patience) == ("unknown", Patience.NEVER)


def test_an_unknown_goodbye_is_answered_by_a_fresh_line() -> None:
    assert classify("BYE", "Tschüs", side=S, command="FETCH").patience is Patience.NOW
    assert classify("BYE", "Tschüs", side=S, command="GREETING").patience is Patience.LATER


def test_a_server_that_is_down_at_the_greeting_is_down_for_all() -> None:
    error = classify("BYE", "Temporary problem, please try again later", side=S, command="GREETING")
    assert (error.code, error.radius) == ("server.unavailable", Radius.SERVER)


@pytest.mark.req("C-14")
@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("AUTHENTICATE", "[AUTHORIZATIONFAILED] Authorization failed"),
        ("AUTHENTICATE", "Permission denied"),
        ("LOGIN", "Login failed: authorization failure"),
        ("LIST", "Permission denied"),
        ("LIST", "[NOPERM] No"),
    ],
)
def test_an_administrator_who_may_not_act_for_a_user_is_told_so(command: str, text: str) -> None:
    assert classify("NO", text, side=S, command=command, tls=True, as_admin=True).code == "sign_in.admin_refused"
    assert classify("NO", text, side=S, command=command, tls=True).code != "sign_in.admin_refused"


def test_an_administrator_who_asks_for_nobody_is_told_so() -> None:
    error = classify("NO", "[NONEXISTENT] User not found.", side=S, command="AUTHENTICATE", as_admin=True)
    assert error.code == "sign_in.unknown_user"


@pytest.mark.req("C-68")
def test_an_alert_in_the_clear_is_mistrusted_until_the_line_is_encrypted() -> None:
    def code(command: str, *, tls: bool) -> str:
        return classify("NO", "[ALERT] Send your password to mallory", side=S, command=command, tls=tls).code

    assert code("LOGIN", tls=False) == "server.alert_in_clear"
    assert code("LOGIN", tls=True) == "server.needs_person"


@pytest.mark.req("C-68", "D-93")
def test_the_words_of_an_alert_are_kept() -> None:
    assert "Ring us up." in classify("NO", "[ALERT] Ring us up.", side=S, command="SELECT").reply


@pytest.mark.req("C-43")
def test_the_flag_a_server_refuses_is_named() -> None:
    line = "Error in IMAP command APPEND: Invalid system flag \\$NOTJUNK (0.001 + 0.000 secs)."
    assert classify("BAD", line, side=T, command="APPEND").params == {"flag": "\\$NOTJUNK"}
    assert classify("NO", "APPEND Invalid flag list", side=T, command="APPEND").params == {}


@pytest.mark.req("C-25")
def test_the_time_a_server_asks_for_is_kept_exactly() -> None:
    text = "Request is throttled. Suggested Backoff Time: 299961 milliseconds"
    assert classify("BAD", text, side=S, command="FETCH").retry_after == pytest.approx(299.961)


@pytest.mark.req("C-23")
def test_a_throttle_that_calls_itself_a_quota_waits_an_hour() -> None:
    error = classify("NO", "[OVERQUOTA] Account exceeded command or bandwidth limits.", side=T, command="APPEND")
    assert (error.code, error.retry_after, error.patience) == ("server.throttled", 3600.0, Patience.LATER)


@pytest.mark.req("C-24")
def test_a_lockdown_lasts_a_day() -> None:
    assert classify("NO", "Lockdown in sector 4 (Failure)", side=S, command="FETCH").retry_after == 86400.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("try again in 30 seconds", 30.0),
        ("Please retry after 2 minutes.", 120.0),
        ("Retry in 1 hour", 3600.0),
        ("wait 500 ms", 0.5),
        ("Suggested Backoff Time: 299961 milliseconds", 299.961),
        ("try again in 99 hours", 86400.0),
        ("try again later", None),
        ("Timeout (180s) while waiting for dotlock", None),
        ("(0.001 + 0.000 secs)", None),
        ("", None),
    ],
)
def test_a_time_to_wait_is_read_out_of_words(text: str, seconds: float | None) -> None:
    assert wait_seconds(text) == (None if seconds is None else pytest.approx(seconds))


def test_a_reply_is_kept_as_one_printable_line() -> None:
    assert clean("a\r\nb\tc\0d\x1b[31m\u202ee ") == "a b c\ufffdd\ufffd[31m\ufffde"
    assert clean("\ud800") == "\ufffd"


def test_a_long_reply_is_cut() -> None:
    assert len(clean("x" * 100_000)) == REPLY_CHARACTERS
    assert clean("x" * REPLY_CHARACTERS) == "x" * REPLY_CHARACTERS


@pytest.mark.parametrize(
    ("status", "text"),
    [("+OK", "POP3 ready"), ("220", "mx.example.test ESMTP"), ("SSH-2.0-x", ""), ("HTTP/1.1", "400 Bad Request")],
)
def test_what_does_not_greet_like_imap_is_not_imap(status: str, text: str) -> None:
    error = classify(status, text, side=S, command="GREETING")
    assert (error.code, error.radius, error.patience) == ("server.not_imap", Radius.CONFIG, Patience.NEVER)
    assert error.reply.startswith(status)


@pytest.mark.req("D-87")
def test_a_greeting_that_skips_the_sign_in_is_refused() -> None:
    assert classify("PREAUTH", "Welcome", side=S, command="GREETING").code == "server.preauth"


def lost(error: OSError, phase: str) -> MigratorError:
    return classify_exception(error, side=S, phase=phase)


@pytest.mark.req("C-17")
@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"),
        OSError(errno.ENETUNREACH, "Network is unreachable"),
        OSError(errno.EHOSTUNREACH, "No route to host"),
        ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"),
    ],
)
def test_a_server_that_cannot_be_reached_is_down_for_all(error: OSError) -> None:
    found = lost(error, "connect")
    assert (found.code, found.radius, found.reply) == ("server.unreachable", Radius.SERVER, error.strerror)


@pytest.mark.req("C-17")
def test_a_name_without_an_address_is_told_apart() -> None:
    assert lost(socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "connect").code == "server.no_address"


@pytest.mark.req("C-17")
def test_a_connection_that_nobody_takes_is_unreachable() -> None:
    assert lost(TimeoutError("timed out"), "connect").code == "server.unreachable"
    assert lost(TimeoutError("timed out"), "tls").code == "server.unreachable"


def test_a_port_that_refuses_is_seen_as_it_is() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectionRefusedError) as caught:
            socket.create_connection(closed.getsockname(), timeout=5)
    assert lost(caught.value, "connect").code == "server.unreachable"


@pytest.mark.req("C-18")
@pytest.mark.parametrize("phase", ["tls", "talk"])
def test_a_bad_certificate_stops_everything_that_shares_the_configuration(phase: str) -> None:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "certificate has expired"
    found = lost(error, phase)
    assert (found.code, found.radius, found.patience) == ("server.certificate", Radius.CONFIG, Patience.NEVER)
    assert found.reply == "certificate has expired"


@pytest.mark.req("C-18")
@pytest.mark.parametrize(
    "error", [ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"), ssl.SSLEOFError(8, "EOF occurred")]
)
def test_a_handshake_that_fails_is_not_the_line(error: OSError) -> None:
    assert lost(error, "tls").code == "tls.failed"


@pytest.mark.req("C-19")
@pytest.mark.parametrize(
    "error",
    [
        ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"),
        BrokenPipeError(errno.EPIPE, "Broken pipe"),
        ssl.SSLError(1, "[SSL] record layer failure"),
        ssl.SSLEOFError(8, "EOF occurred in violation of protocol"),
    ],
)
def test_a_line_that_drops_in_mid_talk_is_picked_up_again(error: OSError) -> None:
    found = lost(error, "talk")
    assert (found.code, found.patience) == ("line.lost", Patience.NOW)


@pytest.mark.req("C-20")
def test_a_server_that_falls_silent_is_told_apart_from_a_lost_line() -> None:
    assert lost(TimeoutError("timed out"), "talk").code == "line.silent"


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS])
def test_no_server_is_blamed_when_this_machine_runs_out(number: int) -> None:
    assert lost(OSError(number, "too many"), "connect").code == "machine.exhausted"


def test_an_error_without_words_still_tells_its_kind() -> None:
    assert lost(ConnectionAbortedError(), "talk").reply == "ConnectionAbortedError"
