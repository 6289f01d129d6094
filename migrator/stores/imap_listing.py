"""All folders of an account with their counters, in one send where the server can.

Only the personal namespace counts: team folders would be copied once for every member. Where a server has no NAMESPACE,
the prefix is inferred from the names.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from migrator.errors import MigratorError, Side
from migrator.mail import Folder, FolderPath
from migrator.stores import imap_parse, imap_syntax
from migrator.stores.imap_parse import Counters, Listed, Namespaces
from migrator.stores.imap_session import ImapSession
from migrator.stores.imap_syntax import Command

MOST_NAMES: Final = 50_000  # UW lists a whole home directory, a hostile server anything
_INBOX: Final = b"INBOX"
_UNSELECTABLE: Final = frozenset(("\\noselect", "\\nonexistent"))
_ID: Final = b'ID ("name" "Mailferry")\r\n'


@dataclass(slots=True)
class Listing:
    """What the answers to one listing say, folded together."""

    side: Side
    listed: dict[bytes, Listed] = field(default_factory=dict)
    subscribed: set[bytes] = field(default_factory=set)
    counters: dict[bytes, Counters] = field(default_factory=dict)
    namespaces: Namespaces | None = None
    identity: dict[str, str] = field(default_factory=dict)

    def take(self, response: bytes) -> None:
        """Fold in one untagged response, whatever it is."""
        if told := imap_parse.listed(response):
            self._take_name(told, is_subscription=response[2:6].upper() == b"LSUB")
        elif count := imap_parse.counters(response):
            self.counters[_key(count.raw)] = count
        elif spaces := imap_parse.namespaces(response):
            self.namespaces = spaces
        elif fields := imap_parse.identity(response):
            self.identity = fields

    def _take_name(self, told: Listed, *, is_subscription: bool) -> None:
        key = _key(told.path.raw)
        if is_subscription or "\\subscribed" in told.attributes:
            self.subscribed.add(key)
        if not is_subscription:
            self.listed.setdefault(key, told)
        if len(self.listed) + len(self.subscribed) > 2 * MOST_NAMES:
            raise MigratorError("folder.too_many", side=self.side, limit=MOST_NAMES)

    def prefix(self) -> tuple[str, str | None]:
        """Return the personal namespace's prefix and separator, as announced or as the names suggest."""
        if self.namespaces and self.namespaces.personal:
            raw, separator = self.namespaces.personal[0]
            return imap_parse.text(raw), separator or self._separator()
        separator = self._separator()
        root = _INBOX + (separator or "").encode()
        others = [key for key in self.listed if key != _INBOX]
        # hMailServer, GroupWise: no NAMESPACE, and every folder stands below INBOX
        is_below = bool(separator and others) and all(key.upper().startswith(root) for key in others)
        return (root.decode() if is_below else ""), separator

    def _separator(self) -> str | None:
        told = [entry.path.separator for entry in self.listed.values() if entry.path.separator]
        return told[0] if told else None

    def folders(self) -> list[Folder]:
        """Return the personal folders in the server's order; INBOX is always among them."""
        found = [self._folder(key, told) for key, told in self.listed.items() if self.is_personal(told.path)]
        if _INBOX not in self.listed:
            inbox = Listed(FolderPath(_INBOX, self._separator()), frozenset())
            found.insert(0, self._folder(_INBOX, inbox))
        return found

    def _folder(self, key: bytes, told: Listed) -> Folder:
        folder = Folder(
            told.path,
            selectable=not told.attributes & _UNSELECTABLE and imap_syntax.is_writable(told.path),
            subscribed=key in self.subscribed,
            special_use=told.role,
            no_inferiors="\\noinferiors" in told.attributes,
        )
        count = self.counters.get(key)
        if count is None:
            return folder
        _, messages, uidnext, uidvalidity, modseq = count
        return replace(folder, messages=messages, uidnext=uidnext, uidvalidity=uidvalidity, highestmodseq=modseq)

    def is_personal(self, path: FolderPath) -> bool:
        """True unless the name belongs to other users or is shared; the longest prefix that fits decides."""
        if self.namespaces is None or path.is_inbox:
            return True
        name = path.raw + (path.separator or "").encode("latin-1")
        personal = _longest(self.namespaces.personal, name)
        return personal >= _longest(self.namespaces.others, name)


def _longest(spaces: list[tuple[bytes, str | None]], name: bytes) -> int:
    return max((len(prefix) for prefix, _ in spaces if name.startswith(prefix)), default=-1)


def _key(raw: bytes) -> bytes:
    return _INBOX if raw.upper() == _INBOX else raw


def list_account(session: ImapSession) -> Listing:
    """Ask for everything that is known of the folders; two sends where the server lacks LIST-STATUS.

    Raises ``MigratorError`` when the server refuses to list, and for a list beyond all reason.
    """
    listing = Listing(session.side)
    is_extended = session.has("LIST-EXTENDED") and not session.lists_plainly
    lists = [_extended_list(session)] if is_extended else _PLAIN_LISTS
    introductions = list(_introductions(session))
    reply = list(session.talk([*introductions, *lists], listing.take))[len(introductions)]
    if is_extended and not reply.is_ok:
        # Seen on servers that advertise RETURN and answer it with BAD.
        session.lists_plainly, is_extended = True, False
        reply = next(iter(list(session.talk(_PLAIN_LISTS, listing.take))))
    if not reply.is_ok:
        raise session.refusal(reply, "LIST")
    if not (is_extended and session.has("LIST-STATUS")):
        _ask_counters(session, listing)
    session.introduce(listing.identity)
    return listing


_PLAIN_LISTS: Final[list[Command]] = [(b'LIST "" "*"\r\n',), (b'LSUB "" "*"\r\n',)]


def _introductions(session: ImapSession) -> Iterator[Command]:
    if session.selected is not None and session.has("UNSELECT"):
        session.selected = None
        yield (b"UNSELECT\r\n",)  # RFC 3501 §6.3.10: no STATUS of the selected folder
    if session.has("ID"):
        yield (_ID,)
    if session.has("NAMESPACE"):
        yield (b"NAMESPACE\r\n",)


def _extended_list(session: ImapSession) -> Command:
    options = [b"SUBSCRIBED"]
    if session.has("SPECIAL-USE"):
        options.append(b"SPECIAL-USE")
    if session.has("LIST-STATUS"):
        options.append(b"STATUS " + _items(session))
    return (b'LIST "" "*" RETURN (%s)\r\n' % b" ".join(options),)


def _items(session: ImapSession) -> bytes:
    return b"(MESSAGES UIDNEXT UIDVALIDITY%s)" % (b" HIGHESTMODSEQ" if session.has_condstore else b"")


def _ask_counters(session: ImapSession, listing: Listing) -> None:
    paths = [folder.path for folder in listing.folders() if folder.selectable]
    commands = (imap_syntax.command(b"STATUS ", session.string(path.raw), b" ", _items(session)) for path in paths)
    # A folder that refuses keeps counters of None: opening it will show why.
    for _ in session.talk(commands, listing.take):
        pass
