"""An account on an IMAP server that mail is read from: EXAMINE and PEEK only, so that nothing changes there.

What is removed, when somebody asks for that, goes by its numbers alone (UIDPLUS, RFC 4315): EXPUNGE and CLOSE would
take along what others have marked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from migrator.errors import MigratorError, Side
from migrator.limits import Limits
from migrator.mail import FolderPath, Grant, Note
from migrator.stores import imap_acl, imap_labels, imap_metadata, imap_parse, imap_search, imap_syntax
from migrator.stores.base import Features, Found, Identity, Removing, ScanRequest, Trouble
from migrator.stores.imap_reader import ImapReader
from migrator.stores.imap_session import Endpoint
from migrator.stores.manners import home_of


class ImapSource(ImapReader):
    """The ``SourceStore`` of IMAP."""

    def __init__(self, endpoint: Endpoint, limits: Limits | None = None) -> None:
        super().__init__(endpoint, limits or Limits(), Side.SOURCE)

    def grants(self, paths: Sequence[FolderPath]) -> list[Sequence[Grant] | Trouble]:
        """Ask what others may do in these folders, in one send."""
        if not paths:
            return []
        name = self._endpoint.authzid or self._endpoint.username
        # anna*admin and anna%admin are Dovecot's and Cyrus' ways for an administrator to be anna
        owners = {name.casefold(), re.split(r"[*%]", name.casefold())[0]}
        if home := home_of(self._root):
            owners = {home.owner.casefold(), home.owner.casefold().partition("@")[0]}
        elif self._root:
            owners = set()  # shared folders are nobody's own: who reads them is one of their readers
        with self._exclusive() as session:
            return imap_acl.read(session, paths, frozenset(owners))

    def notes(self, paths: Sequence[FolderPath]) -> list[Sequence[Note] | Trouble]:
        """Ask what is noted on these folders, in one send; below an administrator's prefix only what all share."""
        if not paths:
            return []
        with self._exclusive() as session:
            return imap_metadata.read(session, paths, may_be_private=not self._root)

    def search(self, requests: Sequence[ScanRequest], keys: str) -> Iterator[Found | Trouble]:
        """Yield which messages the keys hit."""
        if requests:
            with self._exclusive() as session:
                yield from imap_search.search(session, requests, keys)

    def identities(self, requests: Sequence[ScanRequest]) -> Iterator[Identity | Trouble]:
        """Yield what each message is, where the server has labels; nothing where it has none."""
        if not requests:
            return
        with self._exclusive() as session:
            if session.has(imap_labels.LABELS):
                yield from imap_labels.read(session, requests)

    @property
    def features(self) -> Features:
        """What this server can do; connects when it has not yet."""
        features = super().features
        # Where folders are labels, what goes from one may stay in the others, or go from all of them.
        is_plain = features.uidplus and not features.has_labels
        return replace(features, removing=Removing.AT_ONCE if is_plain else None)

    def mark(self, path: FolderPath, uids: Sequence[int], uidvalidity: int) -> None:
        """See ``RemovingSource``."""
        self._change(path, uids, uidvalidity, "STORE", b"UID STORE %s +FLAGS.SILENT (\\Deleted)\r\n")

    def unmark(self, path: FolderPath, uids: Sequence[int], uidvalidity: int) -> None:
        """See ``RemovingSource``."""
        self._change(path, uids, uidvalidity, "STORE", b"UID STORE %s -FLAGS.SILENT (\\Deleted)\r\n")

    def remove_marked(self, path: FolderPath, uids: Sequence[int], uidvalidity: int) -> None:
        """See ``RemovingSource``."""
        self._change(path, uids, uidvalidity, "EXPUNGE", b"UID EXPUNGE %s\r\n")

    def _change(self, path: FolderPath, uids: Sequence[int], uidvalidity: int, verb: str, line: bytes) -> None:
        """Open the folder for writing, look at its numbering, and only then send ``line`` for all of ``uids``."""
        with self._exclusive() as session:
            session.selected = None
            opened = session.ask(imap_syntax.command(b"SELECT ", session.string(path.raw)))
            if not opened.is_ok:
                raise session.refusal(opened, "SELECT")
            if imap_parse.opened(opened.untagged, opened.words).uidvalidity != uidvalidity:
                raise MigratorError("folder.changed", side=self._side, reply=opened.words)
            for part, _, _ in imap_syntax.uid_sets(uids):
                reply = session.ask((line % part,))
                if not reply.is_ok:
                    raise session.refusal(reply, verb)
