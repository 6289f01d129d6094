"""One signed-in POP3 session (RFC 1939, 2449, 2595, 5034, 6856): address, TLS, sign-in, the list, and messages.

It says DELE and QUIT only when it is told to remove: only QUIT lets a server carry out what it does at the end of a
session (RFC 1939 §6), and there are servers that then remove what was only looked at.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Sequence
from typing import Final

from migrator.errors import MigratorError, Side
from migrator.limits import Limits
from migrator.replies import clean
from migrator.stores import pop3_replies
from migrator.stores.endpoint import Endpoint
from migrator.stores.imap_access import Way
from migrator.stores.imap_wire import shown
from migrator.stores.lines import TextLine

AHEAD_COMMANDS: Final = 100  # unanswered RETRs: both ends' socket buffers take that many without anyone reading
MOST_LINES: Final = 2**31 - 1
LONGEST_INITIAL: Final = 240  # an initial response must fit a command line of 255 octets (RFC 2449 §4)
_STAMP: Final = re.compile(rb"<[^<> ]*@[^<> ]*>")
_PAIR: Final = re.compile(rb"(\d{1,10})[ \t]+([^ \t]+)(?:[ \t].*)?$", re.DOTALL)
_LARGEST: Final = 2**63 - 1


class Pop3Session:
    """Constructing it connects and signs in; raises ``MigratorError``. A wrong password is tried once.

    ``signs_in`` False: somebody only looks who answers there.
    """

    def __init__(self, endpoint: Endpoint, limits: Limits, *, side: Side = Side.SOURCE, signs_in: bool = True) -> None:
        self._endpoint = endpoint
        self.side = side
        self.capabilities: dict[str, str] = {}  # name in upper case -> its arguments
        self._knows_capabilities = False
        self._is_signed_in = False  # then mail is on the line: errors quote nothing of it
        self.line = TextLine(endpoint, side, limits)
        try:
            self.greeting = self._greet()
            self.line.be_patient()
            self._begin(signs_in)
        except BaseException:
            self.drop()
            raise

    def has(self, name: str) -> bool:
        """True when the server offers ``name``."""
        return name in self.capabilities

    @property
    def product(self) -> str:
        """What the server says it is."""
        return self.capabilities.get("IMPLEMENTATION") or clean(self.greeting.decode("utf-8", "replace"))

    def listing(self) -> tuple[dict[int, int], dict[int, bytes] | None]:
        """Return the size the server gives for each message, by number, and its name (UIDL), None where there are none.

        A size that makes no sense is 1: there is something.
        """
        ahead = self.has("PIPELINING")
        self.line.put(b"LIST\r\nUIDL\r\n" if ahead else b"LIST\r\n")
        self._must("LIST")
        sizes = {number: min(int(size), _LARGEST) if size.isdigit() else 1 for number, size in self._pairs()}
        if not ahead:
            self.line.put(b"UIDL\r\n")
        is_ok, _ = self.reply()
        return sizes, dict(self._pairs()) if is_ok else None

    def retrieve(self, numbers: Sequence[int], *, quietly: bool) -> Iterator[Iterator[bytes] | None]:
        """Yield each message as pieces, to be taken in full before the next; None for one that is refused.

        Asked for ahead where the server offers it. ``quietly``: by TOP, which marks nothing as read, with more lines
        than any message has.
        """
        command = b"TOP %%d %d\r\n" % MOST_LINES if quietly else b"RETR %d\r\n"
        ahead = AHEAD_COMMANDS if self.has("PIPELINING") else 1
        waiting = asked = 0
        while waiting or asked < len(numbers):
            if waiting <= ahead // 2:
                batch = numbers[asked : asked + ahead - waiting]
                asked += len(batch)
                waiting += len(batch)
                if batch:
                    self.line.put(b"".join(command % number for number in batch))
            waiting -= 1
            is_ok, words = self.reply()
            if not is_ok:
                self._check_refusal(words)
            yield self.line.dotted() if is_ok else None

    def mark(self, numbers: Sequence[int]) -> None:
        """Mark messages for removal, which waits for :meth:`quit`. Raises ``MigratorError`` when one is refused."""
        ahead = AHEAD_COMMANDS if self.has("PIPELINING") else 1
        for begin in range(0, len(numbers), ahead):
            batch = numbers[begin : begin + ahead]
            self.line.put(b"".join(b"DELE %d\r\n" % number for number in batch))
            answers = [self.reply() for _ in batch]
            refused = next((words for is_ok, words in answers if not is_ok), None)
            if refused is not None:
                raise self._refused(refused, "DELE")

    def quit(self) -> None:
        """End the session, whereupon the server removes what is marked. Whether it did, only a new session shows."""
        self.line.put(b"QUIT\r\n")
        is_ok, words = self.reply()
        if not is_ok:
            raise self._refused(words, "QUIT")

    def reply(self) -> tuple[bool, bytes]:
        """Read a status line: whether it is +OK, and the words after it."""
        line = self.line.line()
        status, _, words = line.partition(b" ")
        if status.upper() not in (b"+OK", b"-ERR"):
            raise self.line.nonsense(b"" if self._is_signed_in else line, "not an answer")
        return status.upper() == b"+OK", words

    def drop(self) -> None:
        """Close the line without a word: nothing that was looked at is touched."""
        self.line.close()

    # Connect and sign in

    def _greet(self) -> bytes:
        try:
            line = self.line.line()
        except MigratorError as error:
            if error.code != "server.nonsense":
                raise
            raise MigratorError("server.not_pop", side=self.side, reply=error.reply) from error
        status, _, words = line.partition(b" ")
        if status.upper() == b"-ERR":
            raise self._refused(words, "GREETING")
        if status.upper() != b"+OK":
            raise MigratorError("server.not_pop", side=self.side, reply=shown(line))
        return words

    def _begin(self, signs_in: bool) -> None:
        self._ask_capabilities()
        if self._endpoint.security == "starttls":
            self._start_tls()
        if not signs_in:
            return
        if self.has("UTF8"):
            self.line.put(b"UTF8\r\n")  # else mail with addresses in Unicode comes rewritten, or not at all
            self.reply()
        self._sign_in()
        self.line.secrets = ()
        self._is_signed_in = True

    def _ask_capabilities(self) -> None:
        self.line.put(b"CAPA\r\n")
        is_ok, _ = self.reply()
        self._knows_capabilities = is_ok
        words = [line.decode("ascii", "replace").partition(" ") for line in self.line.listed()] if is_ok else []
        self.capabilities = {name.upper(): arguments.strip() for name, _, arguments in words}

    def _start_tls(self) -> None:
        words = b""
        if self.has("STLS") or not self._knows_capabilities:
            self.line.put(b"STLS\r\n")
            is_ok, words = self.reply()
            if is_ok:
                self.line.encrypt()
                self._ask_capabilities()  # what was told in the clear does not count (RFC 2595 §4)
                return
        raise MigratorError("tls.not_offered", side=self.side, reply=self.line.discreet(words))

    def _sign_in(self) -> None:
        user, password = self._endpoint.login, self._endpoint.password.reveal()
        if any(mark in f"{user}{password}{self._authzid or ''}" for mark in "\r\n\0"):
            raise MigratorError("sign_in.malformed", side=self.side)
        if self._endpoint.tokens is not None or (self._endpoint.authzid is not None and not self._opens_others):
            raise MigratorError("sign_in.no_method", side=self.side)
        if "PLAIN" in self.capabilities.get("SASL", "").upper().split():
            self._sign_in_plain(user, password)
        elif self._authzid is not None:
            raise MigratorError("sign_in.no_method", side=self.side)
        elif self._knows_capabilities and not self.has("USER"):
            self._sign_in_otherwise(user, password)
        else:
            self._sign_in_user(user, password)

    @property
    def _authzid(self) -> str | None:
        """The user whose mailbox it is, where SASL tells the server."""
        return self._endpoint.authzid if self._endpoint.access.way is Way.AUTHZID else None

    @property
    def _opens_others(self) -> bool:
        return self._endpoint.access.way in (Way.AUTHZID, Way.NAME)

    def _sign_in_otherwise(self, user: str, password: str) -> None:
        """Sign in where USER is not offered: by APOP, or by USER all the same where TLS would not change that."""
        stamp = _STAMP.search(self.greeting)
        if stamp is not None:
            self._sign_in_apop(user, password, stamp[0])
        elif self.has("STLS") and not self.line.is_encrypted:
            raise MigratorError("sign_in.needs_tls", side=self.side)
        else:
            self._sign_in_user(user, password)

    def _sign_in_plain(self, user: str, password: str) -> None:
        words = "\0".join((self._authzid or "", user, password)).encode("utf-8")
        response = base64.b64encode(words)
        self.line.secrets = (response, password.encode("utf-8"))
        if len(response) <= LONGEST_INITIAL:
            self.line.put(b"AUTH PLAIN " + response + b"\r\n")
        else:
            self.line.put(b"AUTH PLAIN\r\n")
        line = self.line.line()
        if line.startswith(b"+") and not line.upper().startswith(b"+OK"):  # asks for it, or asks again (RFC 1734)
            self.line.put(response + b"\r\n")
            line = self.line.line()
        self._judge(line, "AUTH")

    def _sign_in_apop(self, user: str, password: str, stamp: bytes) -> None:
        digest = hashlib.md5(stamp + password.encode("utf-8"), usedforsecurity=False).hexdigest()
        self.line.secrets = (digest.encode("ascii"),)
        self.line.put(b"APOP %s %s\r\n" % (user.encode("utf-8"), digest.encode("ascii")))
        self._judge(self.line.line(), "APOP")

    def _sign_in_user(self, user: str, password: str) -> None:
        self.line.secrets = (password.encode("utf-8"),)
        self.line.put(b"USER %s\r\n" % user.encode("utf-8"))
        self._judge(self.line.line(), "USER")
        self.line.put(b"PASS %s\r\n" % password.encode("utf-8"))
        self._judge(self.line.line(), "PASS")

    def _judge(self, line: bytes, verb: str) -> None:
        status, _, words = line.partition(b" ")
        if status.upper() == b"-ERR":
            raise self._refused(words, verb)
        if status.upper() != b"+OK":
            raise self.line.nonsense(line, "not an answer")

    def _refused(self, words: bytes, verb: str) -> MigratorError:
        return pop3_replies.refusal(
            self.line.discreet(words),
            verb,
            side=self.side,
            tls=self.line.is_encrypted,
            as_admin=self._endpoint.authzid is not None,
        )

    # The list

    def _must(self, verb: str) -> None:
        is_ok, words = self.reply()
        if not is_ok:
            raise self._refused(words, verb)

    def _pairs(self) -> Iterator[tuple[int, bytes]]:
        for line in self.line.listed():
            found = _PAIR.match(line)
            if found is None:
                raise self.line.nonsense(b"", "a list that is none")
            yield int(found[1]), found[2]

    def _check_refusal(self, words: bytes) -> None:
        """Raise when a refused RETR is not about its one message."""
        error = self._refused(words, "RETR")
        if error.code in ("server.throttled", "server.too_many_connections", "server.locked_out", "server.blocks_us"):
            raise error
