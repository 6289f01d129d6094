"""What IMAP source and target have in common: a session on demand, and the read side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from migrator.errors import MigratorError, Side
from migrator.limits import Limits
from migrator.mail import Folder, FolderPath, Message, MessageMeta
from migrator.stores import imap_labels, imap_listing, imap_quota
from migrator.stores.base import Closing, Features, Quota, ReadRequest, ScanRequest, Trouble
from migrator.stores.imap_bodies import BodyReader
from migrator.stores.imap_deadly import Deadly
from migrator.stores.imap_otherwise import read_otherwise
from migrator.stores.imap_scan import Scanner
from migrator.stores.imap_session import Endpoint, ImapSession
from migrator.stores.imap_ways import Ways
from migrator.stores.imap_wire import Address
from migrator.stores.manners import home_of


class ImapReader(Closing):
    """One account on an IMAP server. Connects on first use, and anew after an error that ended the session."""

    def __init__(self, endpoint: Endpoint, limits: Limits, side: Side) -> None:
        self._endpoint = endpoint
        self._limits = limits
        self._side = side
        self._session: ImapSession | None = None
        self._is_busy = False
        self._prefix: tuple[str, str | None] | None = None
        self._others: list[FolderPath] = []
        self._ways = Ways(endpoint.manners)
        self._deadly = Deadly()
        self._address: Address | None = None  # of a name with several: replicas differ, so all sessions go to one

    @property
    def features(self) -> Features:
        """What this server can do; connects when it has not yet."""
        session = self._connected()
        profile = session.profile
        return Features(
            condstore=session.has_condstore,
            uidplus=session.has("UIDPLUS"),
            append_limit_bytes=session.append_limit,
            waits_for_each=not (session.has("LITERAL+") or session.has("LITERAL-")),
            special_use=session.has("CREATE-SPECIAL-USE"),
            keeps_internal_date=profile.keeps_dates,
            merges_equal=profile.merges_equal,
            loses_flagged_on_append=profile.loses_flagged_on_append,
            has_quota=session.has("QUOTA"),
            reads_otherwise=True,
            acl=session.has("ACL"),
            lists_others=True,
            metadata=session.has("METADATA"),
            case_insensitive_names=profile.case_insensitive_names,
            root=self._root,
            product=session.product,
            searches=True,
            has_labels=session.has(imap_labels.LABELS),
        )

    @property
    def _root(self) -> str:
        manners = self._endpoint.asked_so
        return manners.list_root if manners.is_shared_root or home_of(manners.list_root) else ""

    def stay_with(self, other: object) -> None:
        """See ``ReplicatedStore``."""
        if isinstance(other, ImapReader):
            self._address = other._address

    def folders(self) -> list[Folder]:
        """List the personal namespace."""
        with self._exclusive() as session:
            listing = imap_listing.list_account(session, self._endpoint.asked_so, self._deadly)
        self._prefix = listing.prefix()
        self._others = listing.of_others()
        if session.profile.lasting_numbers:
            return listing.folders()
        return [replace(folder, uidvalidity=session.numbering(None)) for folder in listing.folders()]

    def folders_of_others(self) -> list[FolderPath]:
        """Return what the last listing showed of others."""
        return list(self._others)

    def prefix(self) -> tuple[str, str | None]:
        """Return the personal namespace's prefix and separator; lists the folders when that was not done yet."""
        if self._prefix is None:
            self.folders()
        return self._prefix or ("", None)

    def quotas(self) -> list[Quota]:
        """Return what the account may hold and holds."""
        with self._exclusive() as session:
            return imap_quota.read(session)

    def scan(self, requests: Sequence[ScanRequest]) -> Iterator[MessageMeta | Trouble]:
        """Yield metadata folder by folder."""
        if not requests:
            return
        avoided = [request for request in requests if request.path in self._deadly]
        for request in avoided:
            yield Trouble(request.path, MigratorError("folder.ends_session", side=self._side))
        with self._exclusive() as session:
            yield from Scanner(session).scan([request for request in requests if request not in avoided])

    def read(self, requests: Sequence[ReadRequest]) -> Iterator[Message | Trouble]:
        """Yield bodies folder by folder."""
        wanted = [request for request in requests if request.uids]
        if not wanted:
            return
        if wanted[0].otherwise:
            yield from self._read_otherwise(wanted)
            return
        failed: set[FolderPath] = set()
        for window in self._windows(wanted):
            rest = [request for request in window if request.path not in failed]
            if not rest:
                continue
            with self._exclusive() as session:
                for item in BodyReader(session, self._limits.whole_bytes, self._ways).read(rest):
                    if isinstance(item, Trouble):
                        failed.add(item.path)
                    yield item

    def _read_otherwise(self, requests: Sequence[ReadRequest]) -> Iterator[Message | Trouble]:
        for request in requests:
            came = 0
            with self._exclusive() as session:
                for message in read_otherwise(session, request):
                    came += 1
                    yield message
            if not came:
                self.close()  # a session of its own is the last way
                yield from self.read([request._replace(otherwise=False)])

    def _windows(self, requests: list[ReadRequest]) -> Iterator[list[ReadRequest]]:
        """Part requests where the line may be made anew: a session that lives on a token should not outlive it."""
        if self._endpoint.tokens is None:
            yield requests
            return
        window: list[ReadRequest] = []
        room = most = self._limits.window_messages
        for request in requests:
            for start in range(0, len(request.uids), most):
                part = request._replace(uids=request.uids[start : start + most])
                if window and len(part.uids) > room:
                    yield window
                    window, room = [], most
                window.append(part)
                room -= len(part.uids)
        yield window

    def drop(self) -> None:
        """Forget the connection without manners."""
        session, self._session = self._session, None
        self._is_busy = False
        if session is not None:
            session.drop()

    def close(self) -> None:
        """Sign off politely when idle, else drop."""
        session, self._session = self._session, None
        if session is not None and not self._is_busy:
            session.close()
        elif session is not None:
            session.drop()
        self._is_busy = False

    def _connected(self) -> ImapSession:
        session = self._session
        if session is not None and not self._is_busy and (session.is_worn or session.is_spent):
            self.close()
        if self._session is None:
            self._session = ImapSession(self._endpoint, self._side, self._limits, first=self._address)
            self._address = self._session.wire.address
        return self._session

    @contextmanager
    def _exclusive(self) -> Iterator[ImapSession]:
        """Lend the session for one conversation. If it is left in the middle, nobody can go on with that line."""
        if self._is_busy:
            self.drop()
        session = self._connected()
        self._is_busy = True
        try:
            yield session
        except BaseException as error:
            if isinstance(error, MigratorError) and session.entering is not None:
                self._deadly.note(session.entering, error)
            if self._session is session:
                self.drop()
            raise
        if self._session is session:
            self._is_busy = False
