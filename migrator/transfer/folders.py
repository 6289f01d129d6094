"""Which folder of the source becomes which folder of the target: prefixes, separators, INBOX, roles, refused names.

A pure function over two listings. It is injective: two source folders never share a target folder. It is stable: what
the ledger knows stays, and the same listings give the same names. Source folders are placed level by level, so that a
renamed folder takes its inner folders along.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from itertools import groupby
from typing import Final, NamedTuple

from migrator.mail import Folder, FolderPath
from migrator.stores.manners import home_of
from migrator.stores.profiles import GENERIC, Profile
from migrator.transfer import roles
from migrator.transfer.names import INBOX, Place, Target

UNSPEAKABLE: Final = b"\r\n\0"  # no string of IMAP can carry them safely (RFC 9051 §4.3)


class Renaming(NamedTuple):
    """A folder that shall have another name on the target, and the folders inside it with it."""

    folder: str
    name: str  # all of it; characters that the target refuses are replaced, and it is numbered where it is taken


@dataclass(frozen=True, slots=True)
class FolderRules:
    """What the operator wants of folder names. Names are spelled as people see them, levels apart by ``/``."""

    strip_prefix: str = ""  # taken off source names that begin with it, as the source spells them
    add_prefix: str = ""  # put before all target names, INBOX too, as the target spells them; roles are then left alone
    skip: tuple[str, ...] = ()  # names or patterns (* and ?); the folders inside a skipped one are not skipped with it
    skip_exactly: frozenset[str] = frozenset()  # names taken at their word, be there a * in them
    skip_roles: frozenset[str] = frozenset()  # "\\Trash", "\\Junk": where the source tells of them
    skip_groupware: bool = False  # calendars, contacts and the like, where the source is known to show them as folders
    renamings: tuple[Renaming, ...] = ()  # win over roles; what the ledger knows wins over them
    only_subscribed: bool = False
    subscribe: bool = True  # what is subscribed at the source, at the target too
    replacement: str = "_"  # for characters the target refuses
    also_forbidden: str = ""  # characters this target refused beyond what its profile tells
    keep_virtual: bool = False  # copy folders that only show messages of others


@dataclass(frozen=True, slots=True)
class FolderPair:
    """A source folder and its target. ``exists``: the target lists it and it can be opened."""

    source: Folder
    target: FolderPath
    exists: bool
    special_use: str | None  # the role that it shall have and no folder of the target has; given when it is created
    renamed: str | None  # why it has another name than prefix and separator explain, as a code


@dataclass(frozen=True, slots=True)
class FolderMap:
    """All pairs, INBOX first and parents before children, and the folders that are not copied, each with a reason."""

    pairs: tuple[FolderPair, ...]
    left_out: tuple[tuple[Folder, str], ...]
    guessed_prefix: str = ""  # taken off the source's names without the server having told it


class Level(NamedTuple):
    """One level of a source name: the whole name up to it (its identity), and its own part for people."""

    key: bytes
    segment: str


@dataclass(slots=True, eq=False)
class Node:
    """A place in the source's tree: a folder to copy, or a mere parent of one."""

    key: bytes
    segments: tuple[str, ...]  # behind the prefix
    parent: Node | None
    is_inbox: bool
    folder: Folder | None = None
    wish: tuple[str, ...] = ()  # the name that a rule gives it, behind the prefix
    place: Place | None = None
    is_known: bool = False  # placed by an earlier pass, which told the change of name
    role: str | None = None  # to give when the folder is created


def map_folders(
    source: Sequence[Folder],
    target: Sequence[Folder],
    *,
    source_prefix: str,
    source_separator: str | None,
    target_prefix: str,
    target_separator: str | None,
    profile: Profile,
    rules: FolderRules,
    known: Mapping[bytes, bytes],
    source_profile: Profile = GENERIC,
) -> FolderMap:
    """Pair every folder of ``source`` with one of the target, there already or to be created.

    Prefixes and separators are those of the personal namespaces, ``profile`` is the target's. ``known`` maps raw
    source names to raw target names as earlier passes had them; they win, and nobody else gets these targets.
    """
    guessed = "" if source_prefix else _guessed_prefix(source)
    spelling = _Spelling(guessed or source_prefix, source_separator, rules.strip_prefix)
    kept, left_out = _sift(source, spelling, rules, source_profile)
    names = Target(
        target,
        target_prefix,
        target_separator,
        profile,
        add_prefix=rules.add_prefix,
        replacement=rules.replacement,
        also_forbidden=rules.also_forbidden,
    )
    nodes = _tree(kept, spelling)
    _note_wishes(nodes, rules.renamings, source_separator)
    _place_known(nodes, known, names)
    if not rules.add_prefix:
        _place_roles(nodes, target, names)
    _place_rest(nodes, names)
    pairs = (_pair(node, node.folder, node.place, names, guessed) for node in nodes if node.folder and node.place)
    if not rules.subscribe:
        pairs = (replace(pair, source=replace(pair.source, subscribed=False)) for pair in pairs)
    return FolderMap(tuple(sorted(pairs, key=_order)), tuple(left_out), guessed)


# The source's names


class _Spelling(NamedTuple):
    """How the source spells names: what comes before the part that counts."""

    prefix: str
    separator: str | None
    strip: str

    def levels(self, path: FolderPath) -> tuple[Level, ...]:
        """Return the levels of a name behind the prefix; never none."""
        whole = _levels(path)
        home = home_of(self.strip)
        if home is not None and path.raw == FolderPath.of((home.inbox,), None).raw:
            return (Level(whole[-1].key, "INBOX"),)
        if self.strip:
            cut = _stripped(whole, self.strip, path.separator or self.separator or "")
            if cut:
                return cut
        separator = self.separator or path.separator
        parts = [part for part in self.prefix.split(separator) if part] if separator else []
        inside = len(whole) > len(parts) and all(
            _same_level(level.segment, part, number)
            for number, (level, part) in enumerate(zip(whole, parts, strict=False))
        )
        return whole[len(parts) :] if inside else whole


def _levels(path: FolderPath) -> tuple[Level, ...]:
    separator = (path.separator or "").encode("ascii")
    parts = path.raw.split(separator) if separator else [path.raw]
    if parts[0].upper() == INBOX:
        parts[0] = INBOX  # "inbox/Sub" is inside INBOX (RFC 9051 §5.1)
    keys = (separator.join(parts[:count]) for count in range(1, len(parts) + 1))
    segments = FolderPath(separator.join(parts), path.separator).segments
    return tuple(Level(key, segment) for key, segment in zip(keys, segments, strict=True))


def _same_level(segment: str, part: str, number: int) -> bool:
    return segment == part or (number == 0 and segment == "INBOX" == part.upper())


def _stripped(levels: tuple[Level, ...], strip: str, separator: str) -> tuple[Level, ...]:
    """Take ``strip`` off the beginning of a name; nothing is left of names that do not begin with it, or end there."""
    for number, (key, segment) in enumerate(levels):
        is_last = number == len(levels) - 1
        if not is_last and strip.startswith(segment + separator):
            strip = strip.removeprefix(segment + separator)
        elif not strip:
            return levels[number:]
        elif segment.startswith(strip) and segment != strip:
            return (Level(key, segment.removeprefix(strip)), *levels[number + 1 :])
        elif segment == strip and not is_last:  # "abc" taken off "abc/mail1"
            return levels[number + 1 :]
        else:
            return ()
    return ()


def _guessed_prefix(source: Sequence[Folder]) -> str:
    """Return ``INBOX.`` when every other folder is inside INBOX: servers without NAMESPACE do not say so themselves."""
    others = [folder.path for folder in source if not folder.path.is_inbox]
    separators = {path.separator for path in others if len(_levels(path)) > 1 and _levels(path)[0].key == INBOX}
    if not others or len(separators) != 1 or not all(_levels(path)[0].key == INBOX for path in others):
        return ""
    return f"INBOX{separators.pop()}"


# What is copied


def _sift(
    source: Sequence[Folder], spelling: _Spelling, rules: FolderRules, profile: Profile
) -> tuple[list[Folder], list[tuple[Folder, str]]]:
    parents = {level.key for folder in source for level in _levels(folder.path)[:-1]}
    kept: dict[bytes, Folder] = {}
    left_out: list[tuple[Folder, str]] = []
    # Where INBOX is listed in two spellings, the usual one stands for both.
    for folder in sorted(source, key=lambda folder: folder.path.is_inbox and folder.path.raw != INBOX):
        key = _levels(folder.path)[-1].key
        reason = _reason_to_leave(folder, spelling, rules, profile, is_parent=key in parents)
        if reason is None and key in kept:
            reason = "listed_twice"
        if reason is None:
            kept[key] = folder
        else:
            left_out.append((folder, reason))
    return list(kept.values()), left_out


def _reason_to_leave(
    folder: Folder, spelling: _Spelling, rules: FolderRules, profile: Profile, *, is_parent: bool
) -> str | None:
    if any(byte in UNSPEAKABLE for byte in folder.path.raw):
        return "skipped" if folder.path.display in rules.skip_exactly else "unspeakable_name"
    if not folder.selectable:
        return "phantom" if folder.subscribed and not is_parent else "name_only"
    if folder.special_use in profile.left_out_roles and not rules.keep_virtual:
        return "virtual"
    if folder.special_use in rules.skip_roles or _is_skipped(folder, spelling, rules):
        return "skipped"
    if rules.skip_groupware and profile.shows_groupware and _is_groupware(folder, spelling):
        return "groupware"
    if rules.only_subscribed and not folder.subscribed and not folder.path.is_inbox:
        return "not_subscribed"
    return None


def _is_groupware(folder: Folder, spelling: _Spelling) -> bool:
    """True for a folder of the first level with such a name, and those inside it: there no other can have the name."""
    return spelling.levels(folder.path)[0].segment.casefold() in roles.GROUPWARE_NAMES


def _is_skipped(folder: Folder, spelling: _Spelling, rules: FolderRules) -> bool:
    if folder.path.is_inbox:
        return any(wish.upper() == "INBOX" for wish in (*rules.skip, *rules.skip_exactly))
    segments = tuple(level.segment for level in spelling.levels(folder.path))
    spellings = _spellings(segments, folder.path)
    is_named = not spellings.isdisjoint(rules.skip_exactly)
    return is_named or any(name == wish or fnmatchcase(name, wish) for name in spellings for wish in rules.skip)


def _spellings(segments: tuple[str, ...], path: FolderPath) -> set[str]:
    """Return how people may write a name: without the prefix, with it, and with the server's own separator."""
    return {"/".join(segments), path.display, (path.separator or "/").join(path.segments)}


# The tree, and its places on the target


def _tree(kept: Sequence[Folder], spelling: _Spelling) -> list[Node]:
    """Return the nodes of all folders and the parents they need, level by level."""
    nodes: dict[bytes, Node] = {}
    for folder in kept:
        parent: Node | None = None
        segments: tuple[str, ...] = ()
        for level in spelling.levels(folder.path):
            segments = (*segments, level.segment)
            is_inbox = level.key == INBOX or (
                bool(spelling.strip) and parent is None and level.segment.upper() == "INBOX"
            )
            parent = nodes.setdefault(level.key, Node(level.key, segments, parent, is_inbox))
        if parent is not None:
            parent.folder = folder
    return sorted(nodes.values(), key=lambda node: (len(node.segments), not node.is_inbox, node.key))


def _note_wishes(nodes: Sequence[Node], renamings: Sequence[Renaming], separator: str | None) -> None:
    wishes = {folder: tuple(name.split("/")) for folder, name in renamings}
    for node in nodes if wishes else ():
        path = node.folder.path if node.folder else FolderPath(node.key, separator)
        spellings = {"INBOX"} if node.is_inbox else _spellings(node.segments, path)
        node.wish = next((wishes[name] for name in sorted(spellings) if name in wishes), ())


def _place_known(nodes: Sequence[Node], known: Mapping[bytes, bytes], names: Target) -> None:
    """Give every folder the target it had, and keep the targets of folders that are gone from anybody else."""
    inbox = next((raw for name, raw in known.items() if name.upper() == INBOX), None)
    for node in nodes:
        own = node.folder.path.raw if node.folder else node.key
        raw = known.get(own) or known.get(node.key) or (inbox if node.key == INBOX else None)
        if raw is not None and names.take(raw):
            node.place = names.fixed(raw)
            node.is_known = True
    for raw in known.values():
        names.take(raw)


def _place_roles(nodes: Sequence[Node], target: Sequence[Folder], names: Target) -> None:
    """Put the source's folder of sent mail into the target's, whatever their names; the same for the other roles."""
    open_nodes = [node for node in nodes if not node.is_inbox and not node.wish]
    by_folder = {id(node.folder): node for node in open_nodes if node.folder}
    candidates = [roles.Candidate(node.folder, node.segments) for node in open_nodes if node.folder]
    there = roles.folders_by_role(target)
    claims = roles.claims(candidates)
    namesakes = {role: folder.path.segments[-1] for role, folder in there.items()}
    for role, candidate in (claims or roles.guesses(candidates, namesakes)).items():
        node = by_folder[id(candidate.folder)]
        if role not in there:
            node.role = role
        elif node.place is None and names.take(there[role].path.raw):
            place = names.fixed(there[role].path.raw)
            is_named_so = _bare(place) == node.segments
            node.place = place if is_named_so else names.fixed(place.raw, "special_use")


def _bare(place: Place) -> tuple[str, ...]:
    return (*(_bare(place.parent) if place.parent else ()), place.segment)


def _place_rest(nodes: Sequence[Node], names: Target) -> None:
    """Place level by level. In a level, names that need no change go first, those that a rule gives last.

    So a made-up name never takes one that somebody had, and the next pass makes up the same ones.
    """
    for _, level in groupby(nodes, key=lambda node: len(node.segments)):
        waiting = [node for node in level if node.place is None]
        for node in waiting:
            node.place = names.inbox() if node.is_inbox and not node.wish else None
        waiting = [node for node in waiting if node.place is None]
        waiting.sort(key=lambda node: _turn(node, names))
        clashing = [node for node in waiting if not _place(node, names, must_fit=True)]
        for node in clashing:
            _place(node, names, must_fit=False)


def _turn(node: Node, names: Target) -> tuple[bool | str, ...]:
    return bool(node.wish), node.folder is None, *names.rank(_around(node, names), _own_name(node))


def _place(node: Node, names: Target, *, must_fit: bool) -> bool:
    wanted = _around(node, names), _own_name(node), node.key
    if must_fit and not names.is_free(*wanted):
        return False
    node.place = names.place(*wanted, holds_mail=node.folder is not None)
    if node.wish and node.place.reason is None:
        node.place = replace(node.place, reason="rule")
    return True


def _around(node: Node, names: Target) -> Place | None:
    if node.wish:
        return names.around(node.wish[:-1])
    return node.parent.place if node.parent else None


def _own_name(node: Node) -> str:
    return (node.wish or node.segments)[-1]


def _pair(node: Node, folder: Folder, place: Place, names: Target, guessed: str) -> FolderPair:
    found = names.find(place.raw)
    exists = found is not None and found.selectable
    reason = place.reason or ("guessed_prefix" if guessed and not node.is_inbox and not node.is_known else None)
    return FolderPair(folder, names.path(place.raw), exists, node.role, reason)


def _order(pair: FolderPair) -> tuple[bool, tuple[str, ...], bytes]:
    return not pair.source.path.is_inbox, pair.target.segments, pair.target.raw
