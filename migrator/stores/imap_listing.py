"""All folders of an account with their counters, in one send where the server can.

Only the personal namespace counts: team folders would be copied once for every member. Where a server has no NAMESPACE,
the prefix is inferred from the names. An operator may name a pattern, or a root below which all folders are.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from migrator.errors import MigratorError, Side
from migrator.mail import Folder, FolderPath
from migrator.stores import imap_files, imap_parse, imap_syntax
from migrator.stores.imap_parse import Counters, Listed, Namespaces
from migrator.stores.imap_session import ImapSession
from migrator.stores.imap_syntax import Command
from migrator.stores.manners import ALL, USUAL, Manners, home_of

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
    manners: Manners = USUAL

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
        """Return the personal namespace's prefix and separator, as announced or as the names suggest.

        Below a shared root nothing is personal: names stand as they are.
        """
        if self.manners.is_shared_root:
            return "", self._separator() or self._told_separator()
        if self.namespaces and self.namespaces.personal:
            raw, separator = self.namespaces.personal[0]
            return imap_parse.text(raw), separator or self._separator()
        separator = self._separator()
        root = _INBOX + (separator or "").encode()
        others = [key for key in self.listed if key != _INBOX]
        # hMailServer, GroupWise: no NAMESPACE, and every folder stands below INBOX
        is_below = bool(separator and others) and all(key.upper().startswith(root) for key in others)
        return (root.decode() if is_below else ""), separator

    def _told_separator(self) -> str | None:
        spaces = [*self.namespaces.others, *self.namespaces.personal] if self.namespaces else []
        return next((separator for _, separator in spaces if separator), None)

    def _separator(self) -> str | None:
        told = [entry.path.separator for entry in self.listed.values() if entry.path.separator]
        return told[0] if told else None

    def folders(self) -> list[Folder]:
        """Return the personal folders in the server's order; INBOX is always among them, unless a root was named."""
        if self.manners.list_root:
            return [self._folder(key, told) for key, told in self._below_root().items()]
        found = [self._folder(key, told) for key, told in self.listed.items() if self.is_personal(told.path)]
        if _INBOX not in self.listed:
            inbox = Listed(FolderPath(_INBOX, self._separator()), frozenset())
            found.insert(0, self._folder(_INBOX, inbox))
        return found

    def of_others(self) -> list[FolderPath]:
        """Return folders that are listed and are not personal: those of other users, and shared ones."""
        if self.manners.list_root:
            return []
        return [told.path for told in self.listed.values()
                if not self.is_personal(told.path) and not told.attributes & _UNSELECTABLE]  # fmt: skip

    def _below_root(self) -> dict[bytes, Listed]:
        """Return what begins with the root; all where a server has its own idea of roots, and shows other names.

        Not all in one case: who opens another's mailbox must never take their own folders for that one's.
        """
        root, home = self.manners.list_root, home_of(self.manners.list_root)
        start, inbox = _raw(root), _raw(home.inbox) if home else None
        below = {key: told for key, told in self.listed.items() if key.startswith(start) or key == inbox}
        return self.listed if not below and home is None and not self.manners.is_shared_root else below

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

    def require_mailbox(self) -> None:
        """Raise ``MigratorError`` where the list is not one of a mailbox.

        Another's mailbox that is not there would be made by its first folder; and some sources show files as folders,
        which counts while nobody said what to list.
        """
        if home_of(self.manners.list_root) and not self._below_root():
            raise MigratorError("sign_in.no_mailbox", side=self.side, reply=self.manners.list_root)
        if self.manners.is_shared_root and self.side is Side.SOURCE and not self._below_root():
            raise MigratorError("folder.no_shared_root", side=self.side, reply=self.manners.list_root)
        if self.side is not Side.SOURCE or self.manners.list_pattern or self.manners.list_root:
            return
        personal = [told.path for told in self.listed.values() if self.is_personal(told.path)]
        if len(personal) > imap_files.MOST_FOLDERS:
            raise MigratorError("folder.too_many", side=self.side, limit=imap_files.MOST_FOLDERS)
        # Where the levels are apart by dots, offer.pdf is a folder inside another.
        found = imap_files.telltales(path.display for path in personal if path.separator != ".")
        if found:
            raise MigratorError("folder.not_mail", side=self.side, reply=imap_files.spelled(found))

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


def list_account(session: ImapSession, manners: Manners = USUAL, avoided: Container[FolderPath] = ()) -> Listing:
    """Ask for everything that is known of the folders; two sends where the server lacks LIST-STATUS.

    The counters of ``avoided`` folders are not asked for. Raises ``MigratorError`` when the server refuses to list, and
    for a list beyond all reason.
    """
    listing = Listing(session.side, manners=manners)
    is_extended = session.has("LIST-EXTENDED") and not session.lists_plainly
    introductions = list(_introductions(session))
    lists = list(_lists(session, listing.manners, is_extended=is_extended))
    reply = list(session.talk([*introductions, *lists], listing.take))[len(introductions)]
    if is_extended and not reply.is_ok:
        # Seen on servers that advertise RETURN and answer it with BAD.
        session.lists_plainly, is_extended = True, False
        plain = _lists(session, listing.manners, is_extended=False)
        reply = next(iter(list(session.talk(plain, listing.take))))
    if not reply.is_ok:
        raise session.refusal(reply, "LIST")
    listing.require_mailbox()
    if not (is_extended and session.has("LIST-STATUS")):
        _ask_counters(session, listing, avoided)
    session.introduce(listing.identity)
    return listing


def _lists(session: ImapSession, manners: Manners, *, is_extended: bool) -> Iterator[Command]:
    """Yield the commands that list; the first is the one that must succeed."""
    after = _return_options(session) if is_extended else b""
    for root, pattern in _searches(manners):
        words = session.string(_raw(root)), b" ", session.string(_raw(pattern))
        yield imap_syntax.command(b"LIST ", *words, after)
        if not is_extended:
            yield imap_syntax.command(b"LSUB ", *words)


def _searches(manners: Manners) -> Iterator[tuple[str, str]]:
    """Yield LIST's two parameters: what was asked for first, then the inbox where that may not find it."""
    root, pattern = manners.list_root, manners.list_pattern or ALL
    yield root, pattern
    home = home_of(root)
    if home is not None:
        yield "", home.inbox
    elif pattern != ALL and not root:
        yield "", "INBOX"


def _raw(text: str) -> bytes:
    return FolderPath.of((text,), None).raw


def _introductions(session: ImapSession) -> Iterator[Command]:
    if session.selected is not None and session.has("UNSELECT"):
        session.selected = None
        yield (b"UNSELECT\r\n",)  # RFC 3501 §6.3.10: no STATUS of the selected folder
    if session.has("ID"):
        yield (_ID,)
    if session.has("NAMESPACE"):
        yield (b"NAMESPACE\r\n",)


def _return_options(session: ImapSession) -> bytes:
    options = [b"SUBSCRIBED"]
    if session.has("SPECIAL-USE"):
        options.append(b"SPECIAL-USE")
    if session.has("LIST-STATUS"):
        options.append(b"STATUS " + _items(session))
    return b" RETURN (%s)" % b" ".join(options)


def _items(session: ImapSession) -> bytes:
    return b"(MESSAGES UIDNEXT UIDVALIDITY%s)" % (b" HIGHESTMODSEQ" if session.has_condstore else b"")


def _ask_counters(session: ImapSession, listing: Listing, avoided: Container[FolderPath]) -> None:
    paths = [folder.path for folder in listing.folders() if folder.selectable and folder.path not in avoided]
    commands = (imap_syntax.command(b"STATUS ", session.string(path.raw), b" ", _items(session)) for path in paths)
    # A folder that refuses keeps counters of None: opening it will show why.
    replies = session.talk(commands, listing.take)
    for path in paths:
        session.entering = path.raw
        next(replies)
    session.entering = None
