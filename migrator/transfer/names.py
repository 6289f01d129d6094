"""The names of the target: which there are, which are taken, and how a name must change to be allowed there.

Every change is told as a code, because users look for their folders by name: ``separator`` and ``forbidden`` (a
character replaced), ``control``, ``blank``, ``reserved``, ``too_long``, ``flattened`` (no folders inside folders
there), ``collision`` (two names would be one) and ``case`` (the target has it in other letters).
"""

from __future__ import annotations

import hashlib
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from migrator.mail import Folder, FolderPath
from migrator.stores.manners import home_of
from migrator.stores.profiles import Profile

INBOX: Final = b"INBOX"
UNPRINTABLE: Final = frozenset(("Cc", "Cs", "Zl", "Zp"))  # control characters, lone surrogates, line separators
LEAST_BYTES: Final = 24  # a name is not cut shorter than this; it moves up a level instead
CAUTIOUS: Final = "!\"#$%&'()*+,./:;<=>?@[\\]^`{|}~"
"""What some server somewhere refuses: ``also_forbidden`` for names that a target refused without saying why."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a folder is on the target: its raw name, the folder around it, and its own part of the name."""

    raw: bytes
    segment: str
    parent: Place | None = None
    reason: str | None = None  # why its own part differs from the source's, or ``parent`` when only that does
    is_closed: bool = False  # allows no folders inside


class _Wish(NamedTuple):
    """The first choice for a folder: where, under which name, in how many bytes, and why not its own."""

    around: Place | None
    name: str
    room: int
    reason: str | None


class Target:
    """Hands out names, each once."""

    def __init__(
        self,
        folders: Iterable[Folder],
        prefix: str,
        separator: str | None,
        profile: Profile,
        *,
        add_prefix: str = "",
        replacement: str = "_",
        also_forbidden: str = "",
    ) -> None:
        listed = list(folders)
        # A server may tell no separator for INBOX and have one for the rest (RFC 9051 §6.3.9).
        self.separator = separator or next((f.path.separator for f in listed if f.path.separator), None)
        self.profile = profile
        self.prefix = _encoded(prefix)
        self.root = self.prefix + self._added(prefix, add_prefix)
        self.has_own_root = bool(add_prefix)
        home = home_of(add_prefix)
        self._inbox = INBOX if not add_prefix else _encoded(home.inbox) if home else self.root + INBOX
        by_separator = profile.forbidden_by_separator.get(self.separator or "", "")
        self._banned = frozenset(profile.forbidden + by_separator + also_forbidden)
        self._filler = self._allowed_filler(replacement)
        self._dash = self._allowed_filler("-")  # what CommuniGate's own movers write
        self._listed = {_canonical(folder.path): folder for folder in listed}
        self._by_key = {self._key(folder.path): folder for folder in reversed(listed)}
        self._taken: set[str] = set()
        rest = [f for f in listed if f.selectable and not f.path.is_inbox]
        # mbox servers: what holds mail has no room for folders, so all their folders are listed as closed.
        self._closes_all = bool(rest) and all(folder.no_inferiors for folder in rest)

    def find(self, raw: bytes) -> Folder | None:
        """Return the listed folder of that name."""
        return self._listed.get(_canonical(self._path(raw)))

    def path(self, raw: bytes) -> FolderPath:
        """Return ``raw`` as the target spells it, with its separator."""
        found = self.find(raw)
        return found.path if found else self._path(raw)

    def inbox(self) -> Place | None:
        """Take INBOX and return its place; None when it was taken before."""
        return self.fixed(self._inbox) if self.take(self._inbox) else None

    def take(self, raw: bytes) -> bool:
        """Take a name given elsewhere; False when it was taken before."""
        key = self._key(self._path(raw))
        fresh = key not in self._taken
        self._taken.add(key)
        return fresh

    def fixed(self, raw: bytes, reason: str | None = None) -> Place:
        """Return the place of a name given elsewhere, with the folders around it."""
        found = self.find(raw)
        if raw == self._inbox != INBOX:
            return Place(raw, "INBOX", None, reason, is_closed=bool(found and found.no_inferiors))
        bare = raw.removeprefix(self.root)
        head, mark, tail = bare.rpartition(self._mark) if self._mark else (b"", b"", bare)
        around = self.fixed(raw[: len(raw) - len(tail) - len(mark)]) if head else None
        return Place(raw, FolderPath(tail).segments[0], around, reason, is_closed=bool(found and found.no_inferiors))

    def around(self, segments: Iterable[str]) -> Place | None:
        """Return the place of folders that a rule puts another one into; takes none. None: beside INBOX."""
        place = None
        for segment in segments:
            name, _ = self._clean(segment, is_first=place is None)
            is_inbox = place is None and name.upper() == "INBOX" and not self.has_own_root
            raw = INBOX if is_inbox else self._join(place, name)
            found = self.find(raw)
            place = Place(raw, name, place, is_closed=bool(found and found.no_inferiors))
        return place

    def rank(self, parent: Place | None, segment: str) -> tuple[bool, bool, str]:
        """Rank a wish: names that need no change come first, of these the ones that are there already."""
        name, reason = self._clean(segment, is_first=parent is None)
        return reason is not None, self.find(self._join(parent, name)) is None, segment

    def is_free(self, parent: Place | None, segment: str, source: bytes) -> bool:
        """Say whether :meth:`place` would need no number to tell the name from another one."""
        wish = self._wish(parent, segment, source)
        reserved = wish.around is None and self._is_reserved(wish.name)
        return not reserved and self._key(self._path(self._join(wish.around, wish.name))) not in self._taken

    def place(self, parent: Place | None, segment: str, source: bytes, *, holds_mail: bool) -> Place:
        """Find a free, allowed name as near as can be to ``segment`` inside ``parent``, and take it.

        ``source`` is the raw source name: shortened names carry a piece of its digest.
        """
        wish = self._wish(parent, segment, source)
        raw, name, clash = self._free(wish, source)
        reason = clash or wish.reason or ("parent" if parent and parent.reason else None)
        found = self.find(raw)
        return Place(raw, name, wish.around, reason, is_closed=self._is_closed(found, holds_mail=holds_mail))

    def _wish(self, parent: Place | None, segment: str, source: bytes) -> _Wish:
        around, whole, moved = self._open_parent(parent, segment)
        name, reason = self._clean(whole, is_first=around is None)
        around, room, lifted = self._room(around)
        if _size(name) > room:
            name, reason = _shortened(name, room, source), "too_long"
        return _Wish(around, name, room, moved or lifted or reason)

    def _open_parent(self, parent: Place | None, segment: str) -> tuple[Place | None, str, str | None]:
        """Go up to a folder that allows folders inside; the names on the way become part of the name."""
        moved = None
        while parent is not None and (parent.is_closed or self.separator is None):
            segment, moved = f"{parent.segment}{self._filler}{segment}", "flattened"
            parent = parent.parent
        return (None if self._is_root(parent) else parent), segment, moved

    def _is_root(self, place: Place | None) -> bool:
        """Where the prefix is ``INBOX.``, what is inside INBOX and what is beside it is the same."""
        return (
            place is not None
            and place.raw.upper() == INBOX
            and not self.has_own_root
            and self.prefix.upper() == INBOX + self._mark
        )

    def _room(self, around: Place | None) -> tuple[Place | None, int, str | None]:
        """Return the folder around that leaves room for a name, and the room in bytes. Deep trees end flat."""
        lifted = None
        while True:
            used = _size(self._path(self._join(around, "")).display) - len(self.prefix)
            room = min(self.profile.max_segment_bytes, self.profile.max_name_bytes - used)
            if room >= LEAST_BYTES or around is None:
                return around, max(room, LEAST_BYTES), lifted
            around, lifted = around.parent, "too_long"

    def _free(self, wish: _Wish, source: bytes) -> tuple[bytes, str, str | None]:
        """Return the first free name of ``name``, ``name (2)`` ...; an existing one that differs in case counts."""
        around, name, room, _ = wish
        clash, number = None, 1
        if around is None and self._is_reserved(name):
            clash, number = "reserved", 2
        while True:
            tried = name if number == 1 else self._numbered(name, number, room, source)
            raw = self._join(around, tried)
            key = self._key(self._path(raw))
            if key not in self._taken:
                self._taken.add(key)
                listed = self._by_key.get(key)
                if listed is not None and self.find(raw) is None:
                    return listed.path.raw, tried, clash or "case"
                return raw, tried, clash
            clash, number = clash or "collision", number + 1

    def _is_reserved(self, name: str) -> bool:
        if name.casefold() == "inbox":
            return True
        found = self.find(self._join(None, name))
        return name.casefold() in self.profile.reserved and not (found and found.selectable)

    def _numbered(self, name: str, number: int, room: int, source: bytes) -> str:
        suffix = f" ({number})" if self._banned.isdisjoint(" ()") else f"{self._filler}{number}"
        if _size(name + suffix) > room:
            name = _shortened(name, room - len(suffix), source)
        return name + suffix

    def _clean(self, segment: str, *, is_first: bool) -> tuple[str, str | None]:
        """Return the segment with every character that is refused replaced, and why."""
        reason = None
        letters = []
        for letter in segment:
            fault = self._fault(letter)
            letters.append(self._filler if fault else letter)
            reason = reason or fault
        name = "".join(letters)
        if is_first and name[:1] and name[0] in self.profile.forbidden_first:
            name, reason = self._filler + name[1:], reason or "forbidden"
        if name.casefold().endswith(self.profile.reserved_endings):
            place = name.rindex(".")
            name, reason = f"{name[:place]}{self._dash}{name[place + 1 :]}", reason or "forbidden"
        if name in (".", ".."):  # the file system's own names
            name, reason = self._filler * len(name), reason or "forbidden"
        trimmed = name.strip(self.profile.trimmed) if self.profile.trimmed else name
        if trimmed != name or not trimmed:
            name, reason = trimmed or self._filler, reason or "blank"
        return name, reason

    def _fault(self, letter: str) -> str | None:
        if letter == self.separator:
            return "separator"
        if letter in self._banned or (self.profile.basic_plane_only and ord(letter) > 0xFFFF):
            return "forbidden"
        return "control" if unicodedata.category(letter) in UNPRINTABLE else None

    def _allowed_filler(self, wish: str) -> str:
        refused = self._banned | {self.separator}
        return next(letter for letter in wish[:1] + "_-x" if letter not in refused)

    def _is_closed(self, found: Folder | None, *, holds_mail: bool) -> bool:
        return found.no_inferiors if found else holds_mail and self._closes_all

    def _added(self, prefix: str, add_prefix: str) -> bytes:
        bare = add_prefix.removeprefix(prefix) if prefix else add_prefix
        if self.separator and self.separator not in bare:
            bare = bare.replace("/", self.separator)
        return _encoded(bare)

    @property
    def _mark(self) -> bytes:
        return (self.separator or "").encode("ascii")

    def _join(self, around: Place | None, segment: str) -> bytes:
        return (self.root if around is None else around.raw + self._mark) + _encoded(segment)

    def _path(self, raw: bytes) -> FolderPath:
        return FolderPath(raw, self.separator)

    def _key(self, path: FolderPath) -> str:
        """Return what two names have in common when this target takes them for one, or people do."""
        segments = FolderPath(_canonical(path), path.separator).segments
        text = unicodedata.normalize("NFC", "\0".join(segments))
        return text.casefold() if self.profile.case_insensitive_names else text


def _canonical(path: FolderPath) -> bytes:
    """INBOX is the only name, and the only first level, whose case means nothing (RFC 9051 §5.1)."""
    mark = (path.separator or "").encode("ascii")
    head = path.raw.partition(mark)[0] if mark else path.raw
    return INBOX + path.raw[len(head) :] if head.upper() == INBOX else path.raw


def _encoded(text: str) -> bytes:
    return FolderPath.of((text,), None).raw


def _size(text: str) -> int:
    """Return the bytes of a name, on the wire or in UTF-8: some servers store the one, some the other (Courier)."""
    return max(len(_encoded(text)), len(text.encode("utf-8", "replace")))


def _shortened(name: str, room: int, source: bytes) -> str:
    """Cut ``name`` to ``room`` bytes, with eight digits of the digest of ``source`` at its end."""
    tail = "-" + hashlib.sha256(source).hexdigest()[:8]
    lengths = range(1, min(len(name), room) + 1)
    letters = bisect_right(lengths, room, key=lambda length: _size(name[:length].rstrip() + tail))
    return name[:letters].rstrip() + tail
