"""Many folders in one conversation: EXAMINE and FETCH of the next ones are sent while one answers.

EXAMINE stands before every FETCH as a barrier: a server may answer two FETCHes of one folder mixed (RFC 3501 §5.5;
Dovecot does), but never across EXAMINE.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from migrator.errors import MigratorError, Radius
from migrator.mail import FolderPath
from migrator.stores import imap_parse, imap_syntax
from migrator.stores.base import ReadRequest, ScanRequest, Trouble
from migrator.stores.imap_parse import Opened
from migrator.stores.imap_session import AHEAD_OCTETS, ImapSession, Reply
from migrator.stores.imap_syntax import Command

Request = TypeVar("Request", bound=ScanRequest | ReadRequest)


@dataclass(frozen=True, slots=True, eq=False)
class Job(Generic[Request]):
    """One EXAMINE and FETCH for ``request``. ``uids``: the part of the request's that this FETCH names."""

    request: Request
    examine: Command
    fetch: bytes
    uids: Sequence[int] = ()

    @property
    def path(self) -> FolderPath:
        return self.request.path


@dataclass(frozen=True, slots=True, eq=False)
class _Sent(Generic[Request]):
    job: Job[Request]
    examine: bytes  # tags
    fetch: bytes
    opened: Opened | MigratorError | None  # set when EXAMINE could not be sent ahead
    octets: int


class Walk(Generic[Request]):
    """Sends jobs ahead and takes their answers in order."""

    def __init__(self, session: ImapSession, jobs: Iterator[Job[Request]], ahead: int) -> None:
        self._session = session
        self._jobs = jobs
        self._ahead = ahead
        self._sent: deque[_Sent[Request]] = deque()
        self._octets = 0
        self._upcoming = next(jobs, None)

    def __iter__(self) -> Iterator[tuple[Job[Request], bytes, Opened | MigratorError]]:
        """Yield each job with the tag of its FETCH, whose answer must be read to its end before the next is taken."""
        while self._send(is_idle=True):
            sent = self._sent.popleft()
            self._octets -= sent.octets
            opened = sent.opened
            if opened is None:
                self._session.entering = sent.job.path.raw
                opened = check_opened(self._session, sent.job.request, self._session.answer(sent.examine))
            self._session.entering = None
            self._send(is_idle=False)
            yield sent.job, sent.fetch, opened

    def _send(self, *, is_idle: bool) -> bool:
        lines: list[bytes] = []
        while self._upcoming is not None and len(self._sent) < self._ahead:
            job = self._upcoming
            octets = sum(map(len, job.examine)) + len(job.fetch)
            must_wait = len(job.examine) > 1 or self._octets + octets > AHEAD_OCTETS
            if must_wait and (self._sent or not is_idle):
                break
            tags = self._session.wire.tag(), self._session.wire.tag()
            opened = None
            if len(job.examine) > 1:
                opened = check_opened(self._session, job.request, self._session.ask(job.examine))
                lines.append(b"%s %s" % (tags[1], job.fetch))
            else:
                lines.append(b"%s %s%s %s" % (tags[0], job.examine[0], tags[1], job.fetch))
            self._sent.append(_Sent(job, *tags, opened, octets))
            self._octets += octets
            self._upcoming = next(self._jobs, None)
        if lines:
            self._session.wire.put(b"".join(lines))
        return bool(self._sent)


def check_opened(session: ImapSession, request: ScanRequest | ReadRequest, reply: Reply) -> Opened | MigratorError:
    """Return what the answer to EXAMINE says, or what is wrong with the folder."""
    if not reply.is_ok:
        # Some servers keep the folder before open now, so that FETCH would hand out that one's messages.
        session.selected = None
        return session.refusal(reply, "EXAMINE")
    session.selected = request.path.raw
    opened = imap_parse.opened(reply.untagged, reply.words)
    opened.uidvalidity = session.numbering(opened.uidvalidity)
    expected = request.uidvalidity
    if expected is not None and opened.uidvalidity not in (None, expected):
        return MigratorError("folder.changed", side=session.side, reply=reply.words)
    return opened


def open_folder(session: ImapSession, request: ReadRequest) -> Opened | MigratorError:
    """Open the folder of ``request`` without touching it."""
    return check_opened(session, request, session.ask(session.examine(request.path, must_last=False)))


def part_writable(session: ImapSession, requests: Sequence[Request]) -> tuple[list[Request], list[Trouble]]:
    """Part the requests from those for folders whose names must not go onto the wire."""
    writable = [request for request in requests if imap_syntax.is_writable(request.path)]
    error = MigratorError("folder.bad_name", side=session.side)
    return writable, [Trouble(r.path, error) for r in requests if not imap_syntax.is_writable(r.path)]


def trouble(path: FolderPath, error: MigratorError) -> Trouble:
    """Wrap what spoils one folder; raise what spoils more."""
    if error.code == "server.fault":
        # A tagged answer, and the line goes on: Dovecot says [SERVERBUG] of one folder with broken indexes.
        error.radius = Radius.FOLDER
    if error.radius not in (Radius.FOLDER, Radius.MESSAGE):
        raise error
    return Trouble(path, error)
