"""One signed-in ManageSieve session (RFC 5804): address, STARTTLS, sign-in, commands and their answers.

Of our own, because the two libraries there are (sievelib 1.6, managesieve 0.8) hold scripts as text: one rewrites
line ends, the other takes UTF-8 only, and neither can pin a certificate.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from migrator.errors import MigratorError, Side
from migrator.limits import Limits
from migrator.replies import classify, clean
from migrator.stores.endpoint import Endpoint
from migrator.stores.imap_access import Way
from migrator.stores.lines import TextLine
from migrator.stores.manners import home_of

MOST_OCTETS: Final = 16 * 1024 * 1024  # of one script: servers allow some 32 KB to 1 MB
MOST_ROWS: Final = 10_000  # of one answer
LONGEST_QUOTED: Final = 1024  # RFC 5804 §1.6
# Cyrus quotes what stands in a name as it is: then all up to the last quotation mark of the line is the string.
_WORD: Final = re.compile(
    rb' *(?:"(?P<quoted>(?:[^"\\]|\\.)*)"(?=[ )]|$)|"(?P<raw>.*)"(?= ACTIVE$|$)|\{(?P<count>\d{1,10})\+?\}$'
    rb"|(?P<atom>[()]|[^ ()\"{]+)) *",
    re.DOTALL,
)
_PLAIN: Final = re.compile(rb"[ !#-\[\]-~]*")
_STATUS: Final = ("OK", "NO", "BYE")
_FAILED: Final = re.compile(r"authentication (error|failed|failure)", re.IGNORECASE)  # Cyrus; Dovecot says it in a code
_SIGN_IN_CODES: Final = {
    "REFERRAL": "sign_in.elsewhere",
    "AUTH-TOO-WEAK": "sign_in.no_method",
    "ENCRYPT-NEEDED": "sign_in.needs_tls",
    "TRANSITION-NEEDED": "sign_in.no_method",
    "TRYLATER": "sign_in.temporarily_unavailable",
}
Word = bytes | str  # a string, or an atom in upper case


class Answer(NamedTuple):
    """What a command was answered: rows of words, and the status with its code and words."""

    is_ok: bool
    code: str  # ``QUOTA/MAXSIZE``; empty where there is none
    words: str
    rows: Sequence[Sequence[Word]]


class SieveSession:
    """Constructing it connects and signs in; raises ``MigratorError``. A wrong password is tried once."""

    def __init__(self, endpoint: Endpoint, limits: Limits, side: Side) -> None:
        self._endpoint = endpoint
        self.side = side
        self.capabilities: dict[str, str] = {}  # name in upper case -> its value
        self.line = TextLine(endpoint, side, limits)
        try:
            self._greet()
            self.line.be_patient()
            if endpoint.security == "starttls":
                self._start_tls()
            self._sign_in()
            self.line.secrets = ()
        except BaseException:
            self.line.close()
            raise

    def ask(self, *words: bytes) -> Answer:
        """Send one command and read its answer. Raises when the server ends the session, or says nonsense."""
        self.line.put(b" ".join(words) + b"\r\n")
        return self.answer()

    def answer(self) -> Answer:
        """Read the answer to a command that was sent."""
        rows: list[Sequence[Word]] = []
        while len(rows) < MOST_ROWS:
            row = self._row()
            if row and isinstance(row[0], str) and row[0] in _STATUS:
                return self._judged(row, rows)
            if not row or isinstance(row[0], str):
                raise self.line.nonsense(str(row).encode(), "no answer to this command")
            rows.append(row)
        raise self.line.nonsense(b"", "an endless list")

    def refused(self, answer: Answer, code: str) -> MigratorError:
        """Return what a NO means that is not about signing in; ``code`` where its own code says nothing better."""
        if answer.code.startswith("QUOTA"):
            code = "sieve.full"
        elif answer.code == "TRYLATER":
            code = "server.unavailable"
        return MigratorError(code, side=self.side, reply=_shown(answer))

    # Words on the line

    def _row(self) -> list[Word]:
        words: list[Word] = []
        text, position = self.line.line(), 0
        while position < len(text):
            found = _WORD.match(text, position)
            if found is None:
                raise self.line.nonsense(text, "words that are none")
            position = found.end()
            if found["count"] is not None:
                words.append(self._literal(int(found["count"])))
                text, position = self.line.line(), 0
            elif found["atom"] is not None:
                words.append(found["atom"].decode("ascii", "replace").upper())
            else:
                raw: bytes | None = found["raw"]
                words.append(re.sub(rb"\\(.)", rb"\1", found["quoted"], flags=re.DOTALL) if raw is None else raw)
        return words

    def _literal(self, octets: int) -> bytes:
        if octets > MOST_OCTETS:
            raise self.line.nonsense(b"", f"a string of {octets} octets")
        return self.line.octets(octets)

    def _judged(self, row: Sequence[Word], rows: Sequence[Sequence[Word]]) -> Answer:
        rest, code = list(row[1:]), ""
        if rest and rest[0] == "(":
            end = rest.index(")") if ")" in rest else len(rest)
            code = next((word for word in rest[1:end] if isinstance(word, str)), "")
            rest = rest[end + 1 :]
        words = self.line.discreet(b" ".join(word for word in rest if isinstance(word, bytes)))
        answer = Answer(row[0] == "OK", code, words, rows)
        if row[0] == "BYE":
            error = _SIGN_IN_CODES.get(code, "line.closed")
            raise MigratorError(error, side=self.side, reply=_shown(answer))
        return answer

    # Connect and sign in

    def _greet(self) -> None:
        try:
            answer = self.answer()
        except MigratorError as error:
            if error.code != "server.nonsense":
                raise
            raise MigratorError("server.not_sieve", side=self.side, reply=error.reply) from error
        self._note(answer)
        if not answer.is_ok or "SIEVE" not in self.capabilities:
            raise MigratorError("server.not_sieve", side=self.side, reply=_shown(answer))

    def _note(self, answer: Answer) -> None:
        for row in answer.rows:
            name, value = row[0], row[1] if len(row) > 1 else b""
            if isinstance(name, bytes) and isinstance(value, bytes):
                self.capabilities[name.decode("ascii", "replace").upper()] = value.decode("utf-8", "replace")

    def _start_tls(self) -> None:
        answer = self.ask(b"STARTTLS") if "STARTTLS" in self.capabilities else None
        if answer is None or not answer.is_ok:
            raise MigratorError("tls.not_offered", side=self.side, reply=_shown(answer) if answer else "")
        self.line.encrypt()
        self.capabilities = {}  # what was told in the clear does not count (RFC 5804 §2.2)
        self._note(self.answer())

    def _sign_in(self) -> None:
        endpoint = self._endpoint
        identity = endpoint.authzid if endpoint.access.way is Way.AUTHZID else None
        parts = (identity or "", endpoint.login, endpoint.password.reveal())
        if any(mark in part for part in parts for mark in "\r\n\0"):
            raise MigratorError("sign_in.malformed", side=self.side)
        self._require_plain()
        response = base64.b64encode("\0".join(parts).encode("utf-8"))
        self.line.secrets = (response, endpoint.password.reveal().encode("utf-8"))
        self.line.put(b'AUTHENTICATE "PLAIN" ' + string(response) + b"\r\n")
        row = self._row()
        if row and isinstance(row[0], bytes):  # asks for it again
            self.line.put(string(response) + b"\r\n")
            row = self._row()
        if not row or row[0] not in _STATUS:
            raise self.line.nonsense(b"", "not an answer")
        answer = self._judged(row, ())
        if not answer.is_ok:
            raise self._sign_in_refused(answer)

    def _require_plain(self) -> None:
        """Raise where nobody could tell the server whose scripts are meant, or it takes no passwords."""
        endpoint = self._endpoint
        is_administered = endpoint.authzid is not None and endpoint.access.way not in (Way.AUTHZID, Way.NAME)
        if endpoint.tokens is not None or is_administered or home_of(endpoint.manners.list_root) is not None:
            raise MigratorError("sign_in.no_method", side=self.side)
        if "PLAIN" not in self.capabilities.get("SASL", "").upper().split():
            wants_tls = "STARTTLS" in self.capabilities and not self.line.is_encrypted
            raise MigratorError("sign_in.needs_tls" if wants_tls else "sign_in.no_method", side=self.side)

    def _sign_in_refused(self, answer: Answer) -> MigratorError:
        as_admin = self._endpoint.authzid is not None
        if answer.code in _SIGN_IN_CODES:
            return MigratorError(_SIGN_IN_CODES[answer.code], side=self.side, reply=_shown(answer))
        if _FAILED.search(answer.words):
            code = "sign_in.admin_refused" if as_admin else "sign_in.refused"
            return MigratorError(code, side=self.side, reply=_shown(answer))
        code = f"[{answer.code}] " if answer.code else ""
        tls = self.line.is_encrypted
        return classify("NO", code + answer.words, side=self.side, command="AUTHENTICATE", tls=tls, as_admin=as_admin)


def string(octets: bytes) -> bytes:
    """Return ``octets`` as they go onto the line: quoted where that is safe, for Cyrus takes only ASCII so."""
    if len(octets) <= LONGEST_QUOTED and _PLAIN.fullmatch(octets):
        return b'"' + octets + b'"'
    return b"{%d+}\r\n" % len(octets) + octets


def _shown(answer: Answer) -> str:
    return clean(f"({answer.code}) {answer.words}" if answer.code else answer.words)
