"""For servers that can only be read with RFC822: the mark of a message that was read is taken off again."""

from __future__ import annotations

from migrator.mail import FolderPath
from migrator.stores import imap_parse, imap_syntax
from migrator.stores.imap_session import ImapSession

_SEEN = "\\Seen"


def seen(session: ImapSession, uid: int) -> bool:
    """Return whether the message in the open folder is marked as read; True also where the server does not say."""
    reply = session.ask((b"UID FETCH %d (UID FLAGS)\r\n" % uid,))
    for response in reply.untagged:
        items = imap_parse.fetched(response) or {}
        words = items.get(b"FLAGS")
        if imap_parse.number(items.get(b"UID")) == uid and isinstance(words, list):
            return _SEEN in imap_parse.flags(b" ".join(word for word in words if isinstance(word, bytes)))
    return True


def unsee(session: ImapSession, path: FolderPath, uid: int) -> None:
    """Take the mark off again, which EXAMINE should have kept off. The folder must be opened anew after it."""
    select = session.ask(imap_syntax.command(b"SELECT ", session.string(path.raw)))
    if select.is_ok:
        session.ask((b"UID STORE %d -FLAGS.SILENT (\\Seen)\r\n" % uid,))
    session.selected = None
