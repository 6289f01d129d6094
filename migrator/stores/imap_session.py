"""One signed-in connection to an IMAP server: address, TLS, sign-in, capabilities, and dialogues that are sent ahead.

imapclient is the base: its client owns the connection (``Wire``), so everything imapclient can ask works on the same
line and the same buffer. What it would do in several round trips, or with passwords in its memory, is done here.
"""

from __future__ import annotations

import ssl
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Final, NamedTuple

from imapclient import IMAPClient, SocketTimeout

from migrator.errors import MigratorError, Side
from migrator.limits import Limits
from migrator.mail import FolderPath
from migrator.replies import classify
from migrator.stores import imap_auth, imap_parse, imap_syntax, profiles
from migrator.stores.endpoint import Endpoint, Security
from migrator.stores.imap_syntax import Command
from migrator.stores.imap_wire import Address, Wire
from migrator.stores.oauth import Token

__all__ = ["Endpoint", "ImapSession", "Reply", "Security"]

AHEAD_OCTETS: Final = 24 * 1024  # unanswered commands: both ends' socket buffers take that much without anyone reading
AHEAD_COMMANDS: Final = 512
MOST_RESPONSES: Final = 200_000  # to one command
MOST_OCTETS: Final = 32 * 1024 * 1024
LOGOUT_SECONDS: Final = 1.0


def _context(endpoint: Endpoint, side: Side) -> ssl.SSLContext:
    try:
        return endpoint.context()
    except OSError as error:
        raise MigratorError("tls.failed", side=side, reply=f"{endpoint.ca_file}: {error}") from error


class Reply(NamedTuple):
    """The answer to one command."""

    status: str  # OK, NO or BAD
    words: str
    untagged: list[bytes]

    @property
    def is_ok(self) -> bool:
        return self.status == "OK"


class _Client(IMAPClient):  # type: ignore[misc]
    """imapclient on our connection."""

    def __init__(self, endpoint: Endpoint, side: Side, limits: Limits, first: Address | None) -> None:
        self._wanted = (endpoint, side, limits, first)
        timeout = SocketTimeout(limits.connect_seconds, limits.io_seconds)
        super().__init__(endpoint.host, endpoint.port, ssl=endpoint.security == "tls", timeout=timeout)
        # imapclient forces 5: every literal would be turned into text twice, and mail into debug logs.
        self._imap.debug = 0
        self.folder_encode = False  # one name that does not decode would lose the whole list
        self.normalise_times = False  # naive local times lose the instant

    def _create_IMAP4(self) -> Wire:
        endpoint, side, limits, first = self._wanted
        context = _context(endpoint, side) if endpoint.security == "tls" else None
        return Wire(endpoint.host, endpoint.port, side, limits, context, first)

    def tell_capabilities(self, names: Iterable[str]) -> None:
        """Let imapclient's own methods know what the server can do."""
        self._cached_capabilities = tuple(name.encode("ascii", "replace") for name in names)


class ImapSession:
    """A session past its sign-in. Constructing it connects; raises ``MigratorError``. Not thread-safe.

    ``signs_in`` false: it stays before the door, and is good for nothing but looking at what greets there. ``first`` is
    the address that is tried before the others of the server's name.
    """

    def __init__(
        self, endpoint: Endpoint, side: Side, limits: Limits, *, signs_in: bool = True, first: Address | None = None
    ) -> None:
        self.side = side
        self._signs_in = signs_in
        self._endpoint = endpoint
        self._known: frozenset[str] | None = None
        self.lists_plainly = False  # LIST with RETURN was advertised and refused
        self.selected: bytes | None = None  # the folder that is open, if any
        self.entering: bytes | None = None  # the folder that the next answer is about, until it is open
        self.product = ""
        self.token: Token | None = None  # what the session lives on
        self._refusals = 0
        self._own_numbering = time.time_ns() // 1000
        self.client = _Client(endpoint, side, limits, first)
        self.wire: Wire = self.client._imap
        try:
            self._begin()
        except BaseException:
            self.drop()
            raise

    @property
    def greeting(self) -> str:
        """The words of the server's greeting."""
        return imap_parse.text(self.wire.welcome[2:])

    @property
    def capabilities(self) -> frozenset[str]:
        """What the server can do now, in upper case; asks when it did not tell by itself."""
        if self._known is None:
            reply = self.ask((b"CAPABILITY\r\n",))
            self._note_capabilities(reply)
        return self._known or frozenset()

    def has(self, name: str) -> bool:
        """True when the server offers ``name``."""
        return name in self.capabilities

    @property
    def asks_labels(self) -> bool:
        """True when labels are to be read as keywords."""
        return self._endpoint.manners.labels_as_keywords and self.has("X-GM-EXT-1")

    @property
    def literal_plus(self) -> bool:
        """True when literals need no leave, whatever their size (RFC 7888)."""
        return self.has("LITERAL+")

    @property
    def has_condstore(self) -> bool:
        """True when the server counts changes (RFC 7162)."""
        return self.has("CONDSTORE") or self.has("QRESYNC")

    @property
    def append_limit(self) -> int | None:
        """The biggest message the server takes, where one number holds for all folders (RFC 7889)."""
        limits = [name.removeprefix("APPENDLIMIT=") for name in self.capabilities if name.startswith("APPENDLIMIT=")]
        return int(limits[0]) if limits and limits[0].isdigit() and len(limits[0]) < 20 else None

    def introduce(self, fields: dict[str, str]) -> None:
        """Note what the server said of itself in its ID response, and choose the profile by it."""
        given = profiles.named(self._endpoint.product)
        self.profile = given or profiles.choose(self.greeting, fields, self.capabilities)
        said = " ".join(filter(None, (fields.get("name"), fields.get("version"))))
        self.product = given.name if given else said or self.product

    def numbering(self, told: int | None) -> int | None:
        """Return the UIDVALIDITY that holds: one of this session alone, where the server's UIDs mean nothing later."""
        return told if self.profile.lasting_numbers else self._own_numbering

    def examine(self, path: FolderPath, *, must_last: bool) -> Command:
        """Return the command that opens ``path`` without touching it. Raises ``Unwritable``.

        ``must_last``: the UIDVALIDITY told is going to be remembered. Courier forgets what it told to EXAMINE.
        """
        verb = b"SELECT " if must_last and self.profile.examine_loses_uidvalidity else b"EXAMINE "
        return imap_syntax.command(verb, self.string(path.raw))

    def string(self, raw: bytes) -> Command:
        """Return ``raw`` as this server takes it: quoted or literal. Raises ``Unwritable``."""
        return imap_syntax.string(raw, literal_plus=self.literal_plus)

    def drop(self) -> None:
        """Close the line without a word."""
        self.wire.shutdown()

    def close(self) -> None:
        """Sign off without waiting for an answer, which some servers never give. Never raises."""
        with suppress(OSError):
            self.wire.sock.settimeout(LOGOUT_SECONDS)
            self.wire.sock.sendall(self.wire.tag() + b" LOGOUT\r\n")
        self.drop()

    # Dialogues

    def ask(self, command: Command, take: Callable[[bytes], None] | None = None) -> Reply:
        """Send one command and return its answer."""
        return next(self.talk([command], take))

    def talk(self, commands: Iterable[Command], take: Callable[[bytes], None] | None = None) -> Iterator[Reply]:
        """Send commands ahead of their answers, and yield the answers in order.

        Untagged responses go to ``take`` when it is given, else into the reply that ends them. A command that has to
        wait for the server's leave is sent when everything before it is answered.
        """
        waiting: deque[tuple[bytes, int]] = deque()
        octets = 0
        feed = iter(commands)
        upcoming = next(feed, None)
        while upcoming is not None or waiting:
            batch = []
            while upcoming is not None and len(upcoming) == 1 and len(waiting) < AHEAD_COMMANDS:
                tag = self.wire.tag()
                line = tag + b" " + upcoming[0]
                if waiting and octets + len(line) > AHEAD_OCTETS:
                    break
                batch.append(line)
                waiting.append((tag, len(line)))
                octets += len(line)
                upcoming = next(feed, None)
            if batch:
                self.wire.put(b"".join(batch))
            if waiting:
                tag, length = waiting.popleft()
                octets -= length
                yield self.answer(tag, take)
            elif upcoming is not None:
                yield self._ask_in_steps(upcoming, take)
                upcoming = next(feed, None)

    def _ask_in_steps(self, command: Command, take: Callable[[bytes], None] | None) -> Reply:
        tag = self.wire.tag()
        self.wire.put(tag + b" " + command[0])
        for segment in command[1:]:
            refusal = self.leave(tag, take)
            if refusal is not None:
                return refusal
            self.wire.put(segment)
        return self.answer(tag, take)

    def leave(self, tag: bytes, take: Callable[[bytes], None] | None = None) -> Reply | None:
        """Wait for the ``+`` that lets ``tag`` go on; return the answer when the server gives that instead."""
        reply = self._collect(tag, take, stop_at_leave=True)
        return None if reply.status == "+" else reply

    def step(self, tag: bytes) -> Reply:
        """Read up to the answer to ``tag``, or to a ``+`` before it, which is a reply of that status."""
        return self._collect(tag, None, stop_at_leave=True)

    def answer(self, tag: bytes, take: Callable[[bytes], None] | None = None) -> Reply:
        """Read up to the answer to ``tag``."""
        return self._collect(tag, take, stop_at_leave=False)

    def _collect(self, tag: bytes, take: Callable[[bytes], None] | None, *, stop_at_leave: bool) -> Reply:
        kept: list[bytes] = []
        responses = octets = 0
        while True:
            response = self.wire.gather()
            if response.startswith(b"* "):
                responses += 1
                octets += len(response)
                if responses > MOST_RESPONSES or octets > MOST_OCTETS:
                    raise self.wire.nonsense(response, "an endless answer")
                (take or kept.append)(response)
            elif response.startswith(b"+"):
                if stop_at_leave:
                    return Reply("+", imap_parse.text(response[2:]), kept)
            elif response:
                status, words = self.tagged(response, tag)
                return Reply(status, words, kept)

    def tagged(self, response: bytes, tag: bytes) -> tuple[str, str]:
        """Take apart the tagged ``response`` to ``tag``. Raises when it answers something else."""
        found, _, rest = response.partition(b" ")
        status, _, words = rest.partition(b" ")
        status = status.upper()
        if found != tag or status not in (b"OK", b"NO", b"BAD"):
            raise self.wire.nonsense(response)
        if status == b"OK":
            self.wire.refusal = None
        return status.decode("ascii"), imap_parse.text(words)

    def refusal(self, reply: Reply, command: str) -> MigratorError:
        """Return what a NO or BAD to ``command`` means, and remember it as the reason should the server now hang up."""
        error = self.passing_refusal(reply, command)
        self.wire.refusal = self.wire.refusal or error
        return error

    def passing_refusal(self, reply: Reply, command: str) -> MigratorError:
        """Return what a NO or BAD to ``command`` means, where nothing depends on it."""
        error = classify(
            reply.status,
            reply.words,
            side=self.side,
            command=command,
            tls=self.wire.is_encrypted,
            as_admin=self._endpoint.authzid is not None,
            by_token=self._endpoint.tokens is not None,
        )
        error.say(self.wire.discreet(reply.words) or error.reply)
        self._refusals += 1
        return error

    @property
    def is_worn(self) -> bool:
        """True when the server would soon hang up because of the errors in this session."""
        return self.profile.max_errors is not None and self._refusals >= self.profile.max_errors

    @property
    def is_spent(self) -> bool:
        """True when the token that signed in is near its end: a server may hang up when it has run out."""
        tokens = self._endpoint.tokens
        return self.token is not None and tokens is not None and tokens.is_spent(self.token)

    # Connect and sign in

    def _begin(self) -> None:
        self._known = imap_parse.capabilities(self._greeting_words())
        if self._endpoint.security == "starttls":
            self._start_tls()
        if self.wire.state != "AUTH" and self._signs_in:
            self._sign_in()
            self.wire.state = "AUTH"
            self._compress()
        self.client.tell_capabilities(self.capabilities)
        self.product = imap_parse.without_code(self._greeting_words())
        self.introduce({})

    def _compress(self) -> None:
        """Have the line compressed where that is wanted and offered; a server that then refuses goes on as it was."""
        if self._endpoint.compresses and self.has("COMPRESS=DEFLATE") and self.ask((b"COMPRESS DEFLATE\r\n",)).is_ok:
            self.wire.compress()

    def _greeting_words(self) -> str:
        return self.greeting.partition(" ")[2]

    def _start_tls(self) -> None:
        if self.wire.state == "AUTH":
            # Whoever sits on the line could greet with PREAUTH to keep it in the clear (RFC 9051 §11.1).
            raise MigratorError("server.preauth", side=self.side, reply=self.greeting)
        reply = self.ask((b"STARTTLS\r\n",)) if self._known is None or "STARTTLS" in self._known else None
        if reply is None or not reply.is_ok:
            raise MigratorError("tls.not_offered", side=self.side, reply=reply.words if reply else "")
        self.wire.encrypt(_context(self._endpoint, self.side))
        self._known = None  # what was told in the clear does not count (RFC 9051 §6.2.1)

    def _sign_in(self) -> None:
        reply = imap_auth.sign_in(self, self._endpoint)
        self.wire.secrets = ()
        self._known = None
        self._note_capabilities(reply)

    def _note_capabilities(self, reply: Reply) -> None:
        told = imap_parse.capabilities(reply.words)
        for response in reply.untagged:
            told = imap_parse.capabilities(imap_parse.text(response[2:])) or told
        if told is not None:
            self._known = told
