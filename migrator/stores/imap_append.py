"""The fast path of writing: messages go out as they come in, many unanswered, in the best form the server offers.

MULTIAPPEND with LITERAL+ sends bundles (RFC 3502, RFC 7888), else single APPENDs follow each other without waiting;
with LITERAL- only small ones do; without either the server must ask for each message, one round trip each. Bodies of
any size pass in pieces. The ``+`` of a literal is never sent unless offered: servers without it run mail as commands.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from migrator.errors import MigratorError, Side, Stopped
from migrator.limits import Limits
from migrator.mail import Flags, FolderPath, Message
from migrator.stores import imap_parse, imap_syntax
from migrator.stores.base import Receipt
from migrator.stores.imap_dates import DateWriter
from migrator.stores.imap_session import ImapSession, Reply

WRITE_BYTES: Final = 128 * 1024
SINGLES_MESSAGES: Final = 200  # unanswered, without MULTIAPPEND
SINGLES_BYTES: Final = 8 * 1024 * 1024
LITERAL_MINUS_OCTETS: Final = 4096  # RFC 7888 §5
KEPT_SPELLINGS: Final = 10_000
ASKED_BYTES: Final = 32 * 1024 * 1024  # from here on a refusal should come before the body is sent


@dataclass(slots=True, eq=False)
class Bundle:
    """One APPEND command on its way."""

    tag: bytes
    target: FolderPath
    messages: list[Message] = field(default_factory=list)
    octets: int = 0


class Appender:
    """Writes one stream of messages and takes the answers."""

    def __init__(self, session: ImapSession, limits: Limits, bundle_messages: int | None) -> None:
        self._session = session
        self._wire = session.wire
        session.selected = None  # a folder opened by EXAMINE takes no mail: Courier says so, others forget it
        self._is_bundling = session.has("MULTIAPPEND")
        self._bundle_messages = min(limits.bundle_messages, bundle_messages or limits.bundle_messages)
        self._bundle_bytes = limits.bundle_bytes
        if not self._is_bundling:
            self._bundle_messages = 1
        self._window_messages = (
            limits.window_messages if self._is_bundling else min(limits.window_messages, SINGLES_MESSAGES)
        )
        self._window_bytes = limits.window_bytes if self._is_bundling else min(limits.window_bytes, SINGLES_BYTES)
        self._free_octets = _free_octets(session)
        self._open: Bundle | None = None
        self._sent: deque[Bundle] = deque()
        self._sent_messages = self._sent_octets = 0  # of what is in _sent, as far as written
        self._selects: set[bytes] = set()
        self._out: list[bytes] = []
        self._out_octets = 0
        self._flags: dict[Flags, bytes] = {}
        self._dates = DateWriter()

    def run(self, messages: Iterable[Message]) -> Iterator[Receipt]:
        """Send everything and yield the receipts, in the order sent."""
        feed = iter(messages)
        while True:
            try:
                message = next(feed, None)
            except (MigratorError, Stopped):
                # The source failed between two bodies: what was sent whole can still be confirmed.
                yield from self._finish()
                raise
            try:
                if message is None:
                    yield from self._finish()
                    return
                bundle = self._open
                if bundle is not None and self._fits(bundle, message):
                    self._count(bundle, message)
                    self._write_head(message, b"+")
                    self._write_body(message)
                else:
                    yield from self._turn(message)
            except MigratorError as error:
                if error.side is self._session.side:
                    yield from self._salvage()
                raise

    def _fits(self, bundle: Bundle, message: Message) -> bool:
        """True when ``message`` can go on in the open bundle."""
        return (
            (message.target is bundle.target or message.target == bundle.target)
            and len(bundle.messages) < self._bundle_messages
            and bundle.octets + message.size_bytes <= self._bundle_bytes
            and message.size_bytes <= self._free_octets
        )

    def _turn(self, message: Message) -> Iterator[Receipt]:
        """End the open bundle, take answers, begin the next with ``message``."""
        self._close()
        while self._sent and self._wire.is_readable():
            yield from self._take(self._wire.gather())
        while self._sent and not self._has_room(message.size_bytes):
            yield from self._wait()
        bundle = self._begin(message)
        must_ask = message.size_bytes > self._free_octets
        may_go_on = yield from self._write_name(bundle)
        if may_go_on:
            self._write_head(message, b"" if must_ask else b"+")
            if must_ask:
                may_go_on = yield from self._await_leave(bundle)
        if may_go_on:
            self._write_body(message)
        else:
            # NO in place of +: the body must not follow, the server would read it as commands.
            message.whole = message.stream = self._open = None

    def _has_room(self, octets: int) -> bool:
        messages = self._sent_messages + self._bundle_messages
        return messages <= self._window_messages and self._sent_octets + octets <= self._window_bytes

    def _begin(self, message: Message) -> Bundle:
        if message.target is None:
            raise ValueError("a message without a target cannot be appended")
        bundle = self._open = Bundle(self._wire.tag(), message.target)
        self._sent.append(bundle)
        self._count(bundle, message)
        return bundle

    def _count(self, bundle: Bundle, message: Message) -> None:
        bundle.messages.append(message)
        bundle.octets += message.size_bytes
        self._sent_messages += 1
        self._sent_octets += message.size_bytes

    def _write_name(self, bundle: Bundle) -> Generator[Receipt, None, bool]:
        name = self._session.string(bundle.target.raw)
        if not self._is_bundling and bundle.target.raw != self._session.selected and len(name) == 1:
            # Single messages go into an open folder three times as fast (Dovecot); bundles do not care.
            # Whether it opens is for APPEND to say.
            self._session.selected = bundle.target.raw
            select = self._wire.tag()
            self._selects.add(select)
            self._put(b"%s SELECT %s\r\n" % (select, name[0]))
        self._put(bundle.tag + b" APPEND " + name[0])
        for segment in name[1:]:
            may_go_on = yield from self._await_leave(bundle)
            if not may_go_on:
                return False
            self._put(segment)
        return True

    def _await_leave(self, bundle: Bundle) -> Generator[Receipt, None, bool]:
        """Wait for ``+``; False when the server answers the command instead."""
        self._flush()
        while bundle in self._sent:
            response = self._wire.gather()
            if response.startswith(b"+"):
                return True
            yield from self._take(response)
        return False

    def _write_head(self, message: Message, mark: bytes) -> None:
        flags, instant = message.flags, message.internal_date
        words = self._flags.get(flags)
        if words is None:
            words = self._spell(flags)
        date = self._dates.write(instant, message.zone_minutes) if instant is not None else None
        size = message.size_bytes
        if date is None:
            self._put(b"%s {%d%s}\r\n" % (words, size, mark))
        else:
            self._put(b"%s %s {%d%s}\r\n" % (words, date, size, mark))

    def _spell(self, flags: Flags) -> bytes:
        if len(self._flags) >= KEPT_SPELLINGS:
            self._flags.clear()
        return self._flags.setdefault(flags, b" " + imap_syntax.flag_list(flags) if flags else b"")

    def _write_body(self, message: Message) -> None:
        size, whole, stream = message.size_bytes, message.whole, message.stream
        message.whole = message.stream = None
        if whole is not None:
            if len(whole) != size:
                raise ValueError("a body is not as long as it says")
            self._put(whole)
        else:
            self._pass_on(stream or iter(()), size)

    def _pass_on(self, stream: Iterator[bytes], size: int) -> None:
        self._flush()
        for piece in stream:
            size -= len(piece)
            if size < 0:
                break
            self._wire.put(piece)
        if size:
            # The command cannot be ended any more: whoever called drops the line. Nothing is padded, nothing cut.
            raise MigratorError("message.unreadable", side=Side.SOURCE)

    def _put(self, octets: bytes) -> None:
        self._out.append(octets)
        self._out_octets += len(octets)
        if self._out_octets >= WRITE_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._out:
            octets = b"".join(self._out)
            self._out.clear()
            self._out_octets = 0
            self._wire.put(octets)

    def _close(self) -> None:
        if self._open is None:
            return
        self._put(b"\r\n")
        if len(self._open.messages) > 1:
            self._flush()  # a slow source must not keep a whole bundle from its answer
        self._open = None

    def _finish(self) -> Iterator[Receipt]:
        self._close()
        while self._sent:
            yield from self._wait()

    def _wait(self) -> Iterator[Receipt]:
        self._flush()
        yield from self._take(self._wire.gather())

    def _salvage(self) -> Iterator[Receipt]:
        """After the line broke: hand out the answers that had arrived."""
        while self._sent and b"\n" in self._wire.buffer[self._wire.position :]:
            try:
                response = self._wire.gather()
                receipts = list(self._take(response))
            except MigratorError:
                return
            yield from receipts

    def _take(self, response: bytes) -> Iterator[Receipt]:
        """Take one response; the answer to a bundle becomes its receipt."""
        if response.startswith((b"* ", b"+")) or not response:
            return
        tag = response.partition(b" ")[0]
        if tag in self._selects:
            self._selects.discard(tag)
            return
        bundle = self._sent[0] if self._sent else None
        if bundle is None:
            raise self._wire.nonsense(response)
        status, words = self._session.tagged(response, bundle.tag)
        self._sent.popleft()
        self._sent_messages -= len(bundle.messages)
        self._sent_octets -= bundle.octets
        yield self._receipt(bundle, Reply(status, words, []))

    def _receipt(self, bundle: Bundle, reply: Reply) -> Receipt:
        if not reply.is_ok:
            return Receipt(bundle.target, bundle.messages, None, self._session.refusal(reply, "APPEND"))
        uidvalidity, uids = imap_parse.appended(reply.words, len(bundle.messages))
        return Receipt(bundle.target, bundle.messages, uids, None, uidvalidity)


def _free_octets(session: ImapSession) -> int:
    """Return the size up to which a message is sent without asking."""
    if session.has("LITERAL+"):
        # RFC 7888 §4: a server must read a whole literal before it may refuse it.
        return 2**63 if session.append_limit is not None else ASKED_BYTES - 1
    return LITERAL_MINUS_OCTETS if session.has("LITERAL-") else -1
