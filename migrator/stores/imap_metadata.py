"""What people and programs noted on folders (RFC 5464): read from one server, and set where the other takes it.

What a server keeps for itself in the same place (counters, its own switches) means nothing elsewhere and is left out;
so is the role of a folder, which is moved as a role.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from migrator.errors import MigratorError
from migrator.mail import FolderPath, LostNote, Note
from migrator.stores import imap_parse, imap_syntax
from migrator.stores.base import Trouble
from migrator.stores.imap_session import ImapSession, Reply
from migrator.stores.imap_syntax import Command, Unwritable

_METADATA: Final = re.compile(rb"\* METADATA ", re.IGNORECASE)
_ENTRY: Final = re.compile(r"/(?i:shared|private)(?:/[!#$&'+-.0-\[\]-z|~]+)+")  # RFC 5464 §5, as an atom
_OWN: Final = re.compile(
    r"/(?:shared|private)(?:/vendor/(?:cmu/|vendor\.dovecot/).*|/specialuse|/check|/checkperiod|/sort|/thread)?",
    re.IGNORECASE,
)


def read(session: ImapSession, paths: Sequence[FolderPath], *, may_be_private: bool) -> list[Sequence[Note] | Trouble]:
    """Ask for all notes of all folders in one send. Without ``may_be_private`` only those that all users share:
    the private ones would be those of whoever signed in.
    """
    kinds = b"(/private /shared)" if may_be_private else b"(/shared)"
    asked = [path for path in paths if imap_syntax.is_writable(path)]
    commands = [_question(session, path, kinds) for path in asked]
    found: dict[FolderPath, Sequence[Note] | Trouble] = {}
    for path, reply in zip(asked, session.talk(commands), strict=True):
        if reply.is_ok:
            found[path] = [note for note in _notes(reply) if not _OWN.fullmatch(note.entry)]
        else:
            found[path] = Trouble(path, session.passing_refusal(reply, "GETMETADATA"))
    unspeakable = MigratorError("folder.bad_name", side=session.side)
    return [found.get(path, Trouble(path, unspeakable)) for path in paths]


def _question(session: ImapSession, path: FolderPath, kinds: bytes) -> Command:
    return imap_syntax.command(b"GETMETADATA (DEPTH infinity) ", session.string(path.raw), b" " + kinds)


def _notes(reply: Reply) -> Iterator[Note]:
    """Yield what is noted. A response that cannot be read gives nothing."""
    for response in reply.untagged:
        head = _METADATA.match(response)
        try:
            words = imap_parse.values(response, head.end()) if head else []
        except imap_parse.Malformed:
            continue
        pairs = words[1] if len(words) > 1 and isinstance(words[1], list) else []
        for entry, value in zip(pairs[::2], pairs[1::2], strict=False):
            if isinstance(entry, bytes) and isinstance(value, bytes):
                yield Note(imap_parse.text(entry), value)


def write(session: ImapSession, wanted: Sequence[tuple[FolderPath, Sequence[Note]]]) -> list[list[LostNote]]:
    """Set notes that are not there; return for each folder those that are not set. What is there stays: one look,
    and one send.
    """
    if not session.has("METADATA"):
        return [[LostNote(note) for note in notes] for _, notes in wanted]
    lost: list[list[LostNote]] = [[] for _ in wanted]
    sent: list[tuple[int, Note, Command]] = []
    for place, note in _missing(session, wanted, lost):
        try:
            if not _ENTRY.fullmatch(note.entry):
                raise Unwritable("an entry that is none")
            value = imap_syntax.literal(note.value, literal_plus=session.literal_plus)
            words = (b"SETMETADATA ", session.string(wanted[place][0].raw), b" (", note.entry.encode("ascii"), b" ")
            sent.append((place, note, imap_syntax.command(*words, value, b")")))
        except Unwritable:
            lost[place].append(LostNote(note))
    for (place, note, _), reply in zip(sent, session.talk(command for _, _, command in sent), strict=True):
        if not reply.is_ok:
            lost[place].append(LostNote(note, session.passing_refusal(reply, "SETMETADATA").reply))
    return lost


def _missing(
    session: ImapSession, wanted: Sequence[tuple[FolderPath, Sequence[Note]]], lost: list[list[LostNote]]
) -> Iterable[tuple[int, Note]]:
    replies = list(session.talk(_question(session, path, b"(/private /shared)") for path, _ in wanted))
    for place, ((_, notes), reply) in enumerate(zip(wanted, replies, strict=True)):
        there = {note.entry.casefold(): note.value for note in _notes(reply)} if reply.is_ok else {}
        for note in notes:
            held = there.get(note.entry.casefold())
            if held is None:
                yield place, note
            elif held != note.value:
                lost[place].append(LostNote(note, is_taken=True))
