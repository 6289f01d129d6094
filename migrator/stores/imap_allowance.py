"""What a folder of a target takes, asked before anything is written there."""

from __future__ import annotations

from typing import Final

from migrator.mail import Folder
from migrator.stores import imap_parse, imap_syntax
from migrator.stores.base import Allowance
from migrator.stores.imap_parse import number, values
from migrator.stores.imap_session import ImapSession

_STATUS: Final = b"* STATUS "


def read(session: ImapSession, folder: Folder) -> Allowance:
    """Return what the server tells of ``folder``; nothing where it refuses.

    Only an empty folder is selected: elsewhere SELECT takes the mark of new mail from messages (RFC 3501 §2.3.2), and
    EXAMINE may tell no PERMANENTFLAGS, for who only looks may change none.
    """
    if not imap_syntax.is_writable(folder.path):
        return Allowance()
    name = session.string(folder.path.raw)
    verb = b"SELECT " if folder.messages == 0 else b"EXAMINE "
    commands = [imap_syntax.command(verb, name)]
    if session.has("APPENDLIMIT"):  # without a number: each folder has its own (RFC 7889)
        commands.insert(0, imap_syntax.command(b"STATUS ", name, b" (APPENDLIMIT)"))
    limit, flags = session.append_limit, None
    for reply in session.talk(commands):
        for response in reply.untagged:
            limit = _limit(response) or limit
        if reply.is_ok:
            flags = imap_parse.opened(reply.untagged, reply.words).permanent_flags or flags
    session.selected = folder.path.raw
    profile = session.profile
    return Allowance(flags, limit, profile.most_keywords, profile.kept_keywords)


def _limit(response: bytes) -> int | None:
    if response[: len(_STATUS)].upper() != _STATUS:
        return None
    try:
        parts = values(response, len(_STATUS))
    except ValueError:
        return None
    items = next((part for part in parts if isinstance(part, list)), [])
    for name, value in zip(items[::2], items[1::2], strict=False):
        if isinstance(name, bytes) and name.upper() == b"APPENDLIMIT":
            return number(value)
    return None
