"""An account on a POP3 server that mail is read from: one folder, INBOX, without flags and without dates of its own.

Nothing changes there: no QUIT (see pop3_session), no DELE unless somebody asks to remove what is proved to be on the
target, and no RETR as long as TOP gives all of a message, for RETR marks it as read. Messages come whole up to a limit,
bigger ones by way of a temporary file: POP3 does not tell their exact size before the end, and whoever stores a message
must know it before.
"""

from __future__ import annotations

import tempfile
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import IO, Final, Self

from migrator.errors import MigratorError, Patience, Side
from migrator.limits import Limits
from migrator.mail import NO_FLAGS, Folder, FolderPath, Grant, Message, MessageMeta
from migrator.stores.base import Closing, Features, MessageName, ReadRequest, Removing, ScanRequest, Trouble
from migrator.stores.endpoint import Endpoint
from migrator.stores.header_dates import HEADER_OCTETS, arrival
from migrator.stores.imap_wire import READ_BYTES
from migrator.stores.pop3_numbering import Numbering, form_of
from migrator.stores.pop3_session import Pop3Session

INBOX: Final = FolderPath(b"INBOX")
MOST_MISFITS: Final = 3  # of TOP in a session


class _Mailbox:
    """What one session lists: it does not change until the session ends (RFC 1939 §4)."""

    def __init__(self, session: Pop3Session) -> None:
        self.session = session
        self._sizes, names = session.listing()
        self._numbers = sorted(self._sizes)
        is_named = names is not None and set(self._numbers) <= names.keys()
        self._names = [names[number] for number in self._numbers] if names is not None and is_named else None
        self.form = form_of(self._names or ())
        self.has_lasting_names = self._names is not None and len(set(self._names)) == len(self._names)
        self.has_read_quietly = False
        self._loud: set[int] = set()  # UIDs that do not come whole by TOP
        self.marked: set[int] = set()  # UIDs that go at the end of the session
        self.uidvalidity = self.uidnext = 0
        self.number_by_uid: dict[int, int] = {}
        self.size_by_uid: dict[int, int] = {}

    def number(self, numbering: Numbering) -> None:
        """Give the messages their UIDs, once."""
        if self.uidvalidity:
            return
        uids = numbering.count(len(self._numbers)) if self._names is None else numbering.assign(self._names)
        self.uidvalidity, self.uidnext = numbering.uidvalidity, numbering.uidnext
        self.number_by_uid = dict(sorted(zip(uids, self._numbers, strict=True)))
        self.size_by_uid = {uid: self._sizes[number] for uid, number in self.number_by_uid.items()}

    def name_of(self, uid: int) -> bytes | None:
        """Return the server's name of a message."""
        number = self.number_by_uid.get(uid)
        return None if number is None or self._names is None else self._names[bisect_left(self._numbers, number)]

    def forget_numbers(self) -> None:
        """Be numbered anew."""
        self.uidvalidity = 0
        self._loud.clear()

    def reads_quietly(self, uid: int | None) -> bool:
        """True when a message (None: any) is read by TOP: a few may fail, then it is not tried any more."""
        return self.session.has("TOP") and len(self._loud) < MOST_MISFITS and uid not in self._loud

    def is_whole(self, uid: int, body: _Body) -> bool:
        """True when TOP gave all of a message: as much as LIST says, and a last line end where there was none.

        The line between header and body does not count as such: some servers add it to a message that has no body.
        """
        added = (body.size or 0) - self.size_by_uid[uid]
        may_end_a_line = added == 2 and (not body.ends_blank or b"\r\n\r\n" in body.beginning[:-2])
        is_whole = body.size is not None and (added == 0 or may_end_a_line)
        if is_whole:
            self.has_read_quietly = True
        else:
            self._loud.add(uid)
        return is_whole


class Pop3Source(Closing):
    """The ``SourceStore`` of POP3. Connects on first use, and anew after an error that ended the session."""

    def __init__(self, endpoint: Endpoint, limits: Limits | None = None) -> None:
        self._endpoint = endpoint
        self._limits = limits or Limits()
        self._numbering = Numbering(INBOX.raw)
        self._mailbox: _Mailbox | None = None
        self._is_busy = False
        self._has_dropped = False

    @property
    def features(self) -> Features:
        """What this server can do; connects when it has not yet."""
        mailbox = self._connected()
        return Features(
            product=mailbox.session.product,
            has_flags=False,
            has_dates=False,
            names_messages=True,
            uidl_format=mailbox.form,
            removing=Removing.AT_END if mailbox.has_lasting_names else None,
        )

    def folders(self) -> list[Folder]:
        """Return INBOX, with its counters."""
        mailbox = self._open()
        return [
            Folder(
                INBOX,
                uidvalidity=mailbox.uidvalidity,
                uidnext=mailbox.uidnext,
                messages=len(mailbox.number_by_uid),
            )
        ]

    def prefix(self) -> tuple[str, str | None]:
        """Return no prefix and no separator."""
        return "", None

    def recall(self, names: Iterable[MessageName]) -> None:
        """See ``NamingSource``. A mailbox that is open already is numbered anew, by what is remembered now."""
        self._numbering = Numbering(INBOX.raw)
        self._numbering.recall(names)
        if self._mailbox is not None:
            self._mailbox.forget_numbers()

    def pop_name_of(self, uidvalidity: int, uid: int, size_bytes: int) -> bytes | None:
        """Return the server's name of a message that this session lists, None where it has none that lasts."""
        mailbox = self._mailbox
        if mailbox is None or not mailbox.has_lasting_names or uidvalidity != mailbox.uidvalidity:
            return None
        return mailbox.name_of(uid)

    def take_fresh_names(self) -> list[MessageName]:
        """See ``NamingSource``."""
        return self._numbering.take_fresh()

    def grants(self, paths: Sequence[FolderPath]) -> list[Sequence[Grant] | Trouble]:
        """Nobody else can open a mailbox by POP3."""
        return [() for _ in paths]

    def scan(self, requests: Sequence[ScanRequest]) -> Iterator[MessageMeta | Trouble]:
        """Yield metadata; sizes are the server's hints, dates come with the messages."""
        for request in requests:
            mailbox = self._open()
            trouble = self._trouble(request, mailbox)
            if trouble is not None:
                yield trouble
                continue
            for uid, size in mailbox.size_by_uid.items():
                if uid > request.after_uid:
                    yield MessageMeta(request.path, uid, size, None, 0, NO_FLAGS)
                    self._check_still(mailbox)

    def read(self, requests: Sequence[ReadRequest]) -> Iterator[Message | Trouble]:
        """Yield messages, each with the date of its arrival as its header tells it."""
        for request in requests:
            if not request.uids:
                continue
            with self._exclusive() as mailbox:
                trouble = self._trouble(request, mailbox)
                if trouble is not None:
                    yield trouble
                else:
                    yield from self._read(request, mailbox)

    def _read(self, request: ReadRequest, mailbox: _Mailbox) -> Iterator[Message]:
        """Read in parts: quietly while what comes is as long as the server says; else by RETR, which is made for it."""
        uids = [uid for uid in request.uids if uid in mailbox.number_by_uid]
        while uids:
            quietly = mailbox.reads_quietly(uids[0])
            # the first that is read quietly goes alone, it shows whether that works here; so does one that failed
            is_one = quietly != mailbox.reads_quietly(None) or (quietly and not mailbox.has_read_quietly)
            taken = 0
            for item in self._read_part(request.path, uids[:1] if is_one else uids, mailbox, quietly=quietly):
                taken += 1
                if item is not None:
                    yield item
                    self._check_still(mailbox)
            uids = uids[taken:]

    def _read_part(
        self, path: FolderPath, uids: Sequence[int], mailbox: _Mailbox, *, quietly: bool
    ) -> Iterator[Message | None]:
        """Yield each message, None for one that is refused; ends early before one that did not come as it should."""
        found = mailbox.session.retrieve([mailbox.number_by_uid[uid] for uid in uids], quietly=quietly)
        for uid in uids:
            with _Body(next(found), self._limits.whole_bytes) as body:
                if quietly and not mailbox.is_whole(uid, body):
                    break
                yield self._dated(body.message(path, uid), body.beginning) if body.size is not None else None
        for pieces in found:  # what was asked for ahead is taken off the line
            deque(pieces or (), maxlen=0)

    def _dated(self, message: Message, beginning: bytes) -> Message:
        message.internal_date, message.zone_minutes, message.date_origin = arrival(beginning, time.time())
        return message

    def mark(self, path: FolderPath, uids: Sequence[int], uidvalidity: int) -> None:
        """See ``RemovingSource``: the marks hold as long as this session."""
        with self._exclusive() as mailbox:
            if trouble := self._trouble(ReadRequest(path, uids, uidvalidity), mailbox):
                raise trouble.error
            mailbox.session.mark([mailbox.number_by_uid[uid] for uid in uids if uid in mailbox.number_by_uid])
            mailbox.marked.update(uids)

    def unmark(self, path: FolderPath, uids: Sequence[int], uidvalidity: int) -> None:
        """See ``RemovingSource``: without QUIT nothing was removed."""
        self.drop()

    def remove_marked(self, path: FolderPath, uids: Sequence[int], uidvalidity: int) -> None:
        """See ``RemovingSource``: ends the session. Where a line was lost since the marking, nothing is marked."""
        mailbox = self._mailbox
        if mailbox is None or mailbox.marked != set(uids):
            self.drop()
            raise MigratorError("line.lost", side=Side.SOURCE)
        self._numbering.expect_gone(mailbox.marked)
        try:
            mailbox.session.quit()
        finally:
            self.drop()

    def drop(self) -> None:
        """Forget the connection; the next call connects anew."""
        mailbox, self._mailbox = self._mailbox, None
        self._is_busy = False
        if mailbox is not None:
            self._has_dropped = True
            mailbox.session.drop()

    def close(self) -> None:
        """End the session. There are no manners for that: QUIT may change the mailbox."""
        self.drop()

    def _connected(self) -> _Mailbox:
        if self._mailbox is None:
            self._mailbox = self._connect()
        return self._mailbox

    def _open(self) -> _Mailbox:
        mailbox = self._connected()
        mailbox.number(self._numbering)
        return mailbox

    def _connect(self) -> _Mailbox:
        try:
            session = Pop3Session(self._endpoint, self._limits)
        except MigratorError as error:
            if error.code == "server.mailbox_locked" and self._has_dropped:
                error.patience = Patience.NOW  # by our own session, which the server has not missed yet
            raise
        try:
            return _Mailbox(session)
        except BaseException:
            session.drop()
            raise

    def _trouble(self, request: ScanRequest | ReadRequest, mailbox: _Mailbox) -> Trouble | None:
        code = None
        if not request.path.is_inbox:
            code = "folder.phantom"
        elif request.uidvalidity is not None and request.uidvalidity != mailbox.uidvalidity:
            code = "folder.changed"
        return Trouble(request.path, MigratorError(code, side=Side.SOURCE)) if code else None

    def _check_still(self, mailbox: _Mailbox) -> None:
        """Raise when the line was dropped while something was coming over it."""
        if self._mailbox is not mailbox:
            raise MigratorError("line.lost", side=Side.SOURCE)

    @contextmanager
    def _exclusive(self) -> Iterator[_Mailbox]:
        """Lend the session for one conversation. If it is left in the middle, nobody can go on with that line."""
        if self._is_busy:
            self.drop()
        mailbox = self._open()
        self._is_busy = True
        try:
            yield mailbox
        except BaseException:
            if self._mailbox is mailbox:
                self.drop()
            raise
        if self._mailbox is mailbox:
            self._is_busy = False


class _Body:
    """A message taken off the line, in memory or in a file that goes when it is left. ``size`` None: none came."""

    def __init__(self, pieces: Iterator[bytes] | None, whole_bytes: int) -> None:
        self.size: int | None = None
        self.beginning = b""
        self.ends_blank = False  # with an empty line
        self._spool: IO[bytes] | None = None
        if pieces is None:
            return
        head: list[bytes] = []
        self.size = 0
        for piece in pieces:
            head.append(piece)
            self.size += len(piece)
            if self.size > whole_bytes:
                break
        self.beginning = b"".join(head)
        self.ends_blank = self.beginning.endswith(b"\r\n\r\n")
        if self.size > whole_bytes:
            self._take_rest(pieces)

    def _take_rest(self, pieces: Iterator[bytes]) -> None:
        try:
            self._spool = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__
            self.size = self._spool.write(self.beginning)
            for piece in pieces:
                self.size += self._spool.write(piece)
        except OSError as error:
            raise MigratorError("machine.exhausted", side=Side.SOURCE, reply=str(error.strerror)) from error
        self.beginning = self.beginning[:HEADER_OCTETS]

    def message(self, path: FolderPath, uid: int) -> Message:
        """Return it as a message of the store."""
        assert self.size is not None
        if self._spool is None:
            return Message(path, uid, self.size, whole=self.beginning)
        self._spool.seek(0)
        return Message(path, uid, self.size, stream=_read_back(self._spool))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._spool is not None:
            self._spool.close()


def _read_back(spool: IO[bytes]) -> Iterator[bytes]:
    while piece := spool.read(READ_BYTES):
        yield piece
