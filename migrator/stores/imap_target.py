"""An account on an IMAP server that mail is written to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain

from migrator.errors import MigratorError, Side
from migrator.limits import Limits
from migrator.mail import Flags, Folder, FolderPath, LostNote, Message, NewFolder, Note
from migrator.stores import imap_acl, imap_allowance, imap_metadata, imap_parse, imap_syntax
from migrator.stores.base import Allowance, Features, Receipt, Trouble
from migrator.stores.imap_append import Appender
from migrator.stores.imap_reader import ImapReader
from migrator.stores.imap_session import Endpoint, ImapSession, Reply
from migrator.stores.imap_syntax import Command
from migrator.stores.imap_walk import trouble


class ImapTarget(ImapReader):
    """The ``TargetStore`` of IMAP."""

    def __init__(self, endpoint: Endpoint, limits: Limits | None = None) -> None:
        super().__init__(endpoint, limits or Limits(), Side.TARGET)

    @property
    def features(self) -> Features:
        """What this server can do; connects when it has not yet."""
        return replace(super().features, tells_allowance=True)

    def allowance(self, folder: Folder) -> Allowance:
        """Ask what a folder takes; one send."""
        with self._exclusive() as session:
            return imap_allowance.read(session, folder)

    def append(self, messages: Iterable[Message], *, bundle_messages: int | None = None) -> Iterator[Receipt]:
        """Store what it is fed; without messages nothing is sent, not even a sign-in."""
        feed = iter(messages)
        while (first := next(feed, None)) is not None:
            with self._exclusive() as session:
                shift = chain((first,), _while_good(session, feed))
                yield from Appender(session, self._limits, bundle_messages).run(shift)

    def ensure_folders(self, folders: Sequence[NewFolder]) -> list[Folder | Trouble]:
        """Create, subscribe and open all of them in one send; one more when a role is taken already."""
        if not folders:
            return []
        with self._exclusive() as session:
            results = _ensure(session, folders)
            roleless = [
                place
                for place, (folder, result) in enumerate(zip(folders, results, strict=True))
                if isinstance(result, Trouble) and folder.create and folder.special_use
            ]
            if roleless:
                again = _ensure(session, [folders[place]._replace(special_use=None) for place in roleless])
                for place, result in zip(roleless, again, strict=True):
                    results[place] = result
            _give(session, folders, results)
            return [trouble(*result) if isinstance(result, Trouble) else result for result in results]

    def annotate(self, wanted: Sequence[tuple[FolderPath, Sequence[Note]]]) -> list[list[LostNote]]:
        """Set notes that are not there yet."""
        if not wanted:
            return []
        with self._exclusive() as session:
            return imap_metadata.write(session, wanted)

    def set_flags(self, changes: Mapping[FolderPath, Mapping[int, Flags]]) -> list[Trouble]:
        """Replace flags, grouped so that messages with the same flags share a command."""
        wanted = {path: flags for path, flags in changes.items() if flags and imap_syntax.is_writable(path)}
        if not wanted:
            return []
        with self._exclusive() as session:
            openable, troubles = _try_to_open(session, list(wanted))
            steps = [(path, step) for path in openable for step in _store_steps(session, path, wanted[path])]
            replies = session.talk(command for _, (_, command) in steps)
            for (path, (verb, _)), reply in zip(steps, replies, strict=True):
                if not reply.is_ok and path not in troubles:
                    troubles[path] = session.refusal(reply, verb)
            session.selected = None
            return [trouble(path, error) for path, error in troubles.items()]


def _while_good(session: ImapSession, feed: Iterator[Message]) -> Iterator[Message]:
    """Pass messages on until the token that signed in is nearly over; then all that was sent is confirmed."""
    while not session.is_spent and (message := next(feed, None)) is not None:
        yield message


Step = tuple[str, Command]


def _ensure(session: ImapSession, folders: Sequence[NewFolder]) -> list[Folder | Trouble]:
    steps = [list(_ensure_steps(session, folder)) for folder in folders]
    replies = session.talk(command for step in steps for _, command in step)
    results = [
        _opened(session, folder, {verb: next(replies) for verb, _ in step})
        for folder, step in zip(folders, steps, strict=True)
    ]
    session.selected = None
    return _with_uidnext(session, results)


def _give(session: ImapSession, folders: Sequence[NewFolder], results: list[Folder | Trouble]) -> None:
    """Let others in as ``folders`` say, where the folder is there; what they did not get stands in the result."""
    opened = [(one.path, new.grants) for new, one in zip(folders, results, strict=True) if isinstance(one, Folder)]
    wanted = [(path, grants) for path, grants in opened if grants]
    lost = imap_acl.write(session, wanted) if wanted else {}
    for place, result in enumerate(results):
        if isinstance(result, Folder) and lost.get(result.path):
            results[place] = replace(result, lost_grants=tuple(lost[result.path]))


def _with_uidnext(session: ImapSession, results: list[Folder | Trouble]) -> list[Folder | Trouble]:
    """Ask for the UIDNEXT of folders that were opened without a word of it (Courier); one more send for all of them."""
    silent = [one.path for one in results if isinstance(one, Folder) and one.uidnext is None]
    commands = (imap_syntax.command(b"STATUS ", session.string(path.raw), b" (UIDNEXT)") for path in silent)
    told: dict[FolderPath, int | None] = {}
    for path, reply in zip(silent, session.talk(commands), strict=True):
        for count in filter(None, map(imap_parse.counters, reply.untagged)):
            told[path] = count.uidnext
    return [
        replace(one, uidnext=told[one.path]) if isinstance(one, Folder) and one.path in told else one for one in results
    ]


def _ensure_steps(session: ImapSession, folder: NewFolder) -> Iterator[Step]:
    if not imap_syntax.is_writable(folder.path):
        return
    name = session.string(folder.path.raw)
    if folder.create:
        # RFC 6154 §3: a role can only be given while creating
        has_role = folder.special_use is not None and session.has("CREATE-SPECIAL-USE")
        role = f" (USE ({folder.special_use}))".encode("ascii") if has_role else b""
        yield "CREATE", imap_syntax.command(b"CREATE ", name, role)
    if folder.subscribe:
        yield "SUBSCRIBE", imap_syntax.command(b"SUBSCRIBE ", name)
    yield "SELECT", imap_syntax.command(b"SELECT ", name)


def _opened(session: ImapSession, folder: NewFolder, replies: Mapping[str, Reply]) -> Folder | Trouble:
    """A folder that opens is there, whatever CREATE said: mostly that it had been there before."""
    select = replies.get("SELECT")
    if select is None:
        return Trouble(folder.path, MigratorError("folder.bad_name", side=session.side))
    if select.is_ok:
        state = imap_parse.opened(select.untagged, select.words)
        return Folder(
            folder.path,
            subscribed=folder.subscribe,
            special_use=folder.special_use,
            uidvalidity=session.numbering(state.uidvalidity),
            uidnext=state.uidnext,
            messages=state.messages,
            highestmodseq=state.highestmodseq,
            permanent_flags=state.permanent_flags,
        )
    create = replies.get("CREATE")
    if create is not None and not create.is_ok:
        error = session.refusal(create, "CREATE")
        if error.code != "folder.exists":
            return Trouble(folder.path, error)
    return Trouble(folder.path, session.refusal(select, "SELECT"))


def _try_to_open(
    session: ImapSession, paths: Sequence[FolderPath]
) -> tuple[list[FolderPath], dict[FolderPath, MigratorError]]:
    """Say which folders open. Some servers keep the folder before open when SELECT fails: STORE would hit that one."""
    troubles = {}
    commands = (imap_syntax.command(b"EXAMINE ", session.string(path.raw)) for path in paths)
    for path, reply in zip(paths, session.talk(commands), strict=True):
        if not reply.is_ok:
            troubles[path] = session.refusal(reply, "EXAMINE")
    return [path for path in paths if path not in troubles], troubles


def _store_steps(session: ImapSession, path: FolderPath, flags: Mapping[int, Flags]) -> Iterator[Step]:
    yield "SELECT", imap_syntax.command(b"SELECT ", session.string(path.raw))
    by_flags: dict[Flags, list[int]] = {}
    for uid in sorted(flags):
        by_flags.setdefault(flags[uid], []).append(uid)
    for wanted, uids in by_flags.items():
        for part, _, _ in imap_syntax.uid_sets(uids):
            yield "STORE", (b"UID STORE %s FLAGS.SILENT %s\r\n" % (part, imap_syntax.flag_list(wanted)),)
