"""A mailbox that mail is delivered to by SMTP, as MovePOPMail did: message by message, to one recipient.

Nothing can be listed or read there, flags and dates are not kept, and the server acts on each message as on new mail.
So that a loop can be told and rules can be written, each message gets one line above its header: ``MARKER``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Final

from migrator.errors import MigratorError, Side
from migrator.limits import Limits
from migrator.mail import NO_FLAGS, Flags, Folder, FolderPath, Message, MessageMeta, NewFolder
from migrator.stores.base import Closing, Features, ReadRequest, Receipt, ScanRequest, Trouble
from migrator.stores.endpoint import Endpoint
from migrator.stores.smtp_session import Envelope, SmtpSession, return_path

INBOX: Final = FolderPath(b"INBOX")
MARKER: Final = b"X-Mailferry-Resent: yes\r\n"
BEGINNING_OCTETS: Final = 64 * 1024
_ADDRESS: Final = re.compile(r"[^\s<>\x00-\x20\x7f]{1,320}")


class SmtpTarget(Closing):
    """The ``TargetStore`` of SMTP. Connects on first use, and anew after an error that ended the session."""

    is_local = False
    marker = MARKER

    def __init__(self, endpoint: Endpoint, limits: Limits | None = None, *, recipient: str) -> None:
        self._endpoint = endpoint
        self._limits = limits or Limits()
        self._recipient = recipient
        self._session: SmtpSession | None = None

    @property
    def features(self) -> Features:
        """What this server can do; connects when it has not yet."""
        session = self._connected()
        limit = session.size_limit
        return Features(
            append_limit_bytes=None if limit is None else max(1, limit - len(self.marker)),
            keeps_internal_date=False,
            product=session.greeting,
            has_flags=False,
            has_dates=False,
            reads_back=False,
        )

    def folders(self) -> list[Folder]:
        """Return INBOX, of which nothing is known. Connects, so that a server that is not there is told early."""
        self._connected()
        return [_inbox()]

    def prefix(self) -> tuple[str, str | None]:
        """Return no prefix and no separator."""
        return "", None

    def scan(self, requests: Sequence[ScanRequest]) -> Iterator[MessageMeta | Trouble]:
        """Tell of no message: nothing can be listed here."""
        return iter(())

    def read(self, requests: Sequence[ReadRequest]) -> Iterator[Message | Trouble]:
        """Hand out no message: nothing can be read here."""
        return iter(())

    def ensure_folders(self, folders: Sequence[NewFolder]) -> list[Folder | Trouble]:
        """Return INBOX; any other folder is trouble."""
        return [
            _inbox()
            if folder.path.is_inbox
            else Trouble(folder.path, MigratorError("folder.only_inbox", side=Side.TARGET))
            for folder in folders
        ]

    def set_flags(self, changes: Mapping[FolderPath, Mapping[int, Flags]]) -> list[Trouble]:
        """Set nothing: nobody sees flags here."""
        return []

    def append(self, messages: Iterable[Message], *, bundle_messages: int | None = None) -> Iterator[Receipt]:
        """Deliver message by message, each answered before the next is asked for.

        Raises ``OutcomeUnknown`` for one whose answer was lost; any other error stored nothing of what it was fed.
        """
        for message in messages:
            assert message.target is not None, "a message to append names its target"
            error = self._deliver(message)
            message.whole = message.stream = None
            yield Receipt(message.target, [message], None, error)

    def _deliver(self, message: Message) -> MigratorError | None:
        if not message.target or not message.target.is_inbox:
            return MigratorError("folder.only_inbox", side=Side.TARGET)
        recipient = self._checked_recipient()
        session = self._connected()
        beginning, pieces = _beginning(message)
        envelope = Envelope(return_path(beginning[:BEGINNING_OCTETS]), recipient, message.size_bytes + len(self.marker))
        try:
            return self._hand_over(session, envelope, chain((self.marker,), (beginning,), pieces))
        except BaseException:
            self.drop()
            raise

    def _hand_over(self, session: SmtpSession, envelope: Envelope, pieces: Iterable[bytes]) -> MigratorError | None:
        unread = iter(pieces)
        error = session.send(envelope, unread)
        if error is not None and error.code == "message.sender_refused" and envelope.sender:
            error = session.send(envelope._replace(sender=""), unread)  # not a word of the message went out yet
        if error is not None:
            for _ in unread:  # the source's line goes on behind this message
                pass
            if session.is_over or error.reply.startswith("421"):
                self.drop()
        return error

    def _checked_recipient(self) -> str:
        if not _ADDRESS.fullmatch(self._recipient):
            raise MigratorError("address.bad", side=Side.TARGET, reply=repr(self._recipient))
        return self._recipient

    def drop(self) -> None:
        """Forget the connection without manners; the next call connects anew."""
        session, self._session = self._session, None
        if session is not None:
            session.drop()

    def close(self) -> None:
        """Sign off politely."""
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def _connected(self) -> SmtpSession:
        if self._session is None:
            self._session = SmtpSession(self._endpoint, self._limits, is_local=self.is_local)
        return self._session


def _inbox() -> Folder:
    return Folder(INBOX, uidvalidity=1, messages=0, permanent_flags=NO_FLAGS)


def _beginning(message: Message) -> tuple[bytes, Iterator[bytes]]:
    """Return the first octets of a body, enough for its Return-Path, and the pieces after them."""
    if message.whole is not None:
        return message.whole, iter(())
    pieces = iter(message.stream or ())
    head = b""
    for piece in pieces:
        head += piece
        if len(head) >= BEGINNING_OCTETS:
            break
    return head, pieces
