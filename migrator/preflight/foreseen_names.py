"""What a survey foresees of folders: which get other names, which are not copied."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from migrator.entries import Json
from migrator.errors import Side
from migrator.mail import Folder, FolderPath
from migrator.preflight.foreseen import EXAMPLES, Foreseen, Severity
from migrator.stores.profiles import Profile
from migrator.transfer.folders import FolderMap
from migrator.transfer.listing import UNSPEAKABLE_NAME
from migrator.transfer.roles import GROUPWARE_NAMES


def of_names(mapping: FolderMap) -> Iterator[Foreseen]:
    """Yield what becomes of names, and which folders stay behind."""
    renamed: dict[str, list[str]] = {}
    for pair in mapping.pairs:
        if pair.renamed:
            renamed.setdefault(pair.renamed, []).append(f"{pair.source.path.display} -> {pair.target.display}")
    for reason, names in renamed.items():
        is_harmless = reason in _HARMLESS
        code = "folder.role_guessed" if reason == "special_use" and not _is_told(mapping) else "folder.renamed"
        severity = Severity.NOTES if is_harmless else Severity.CHANGES
        yield Foreseen(code, severity, Side.TARGET, len(names), tuple(names[:EXAMPLES]), {"reason": reason})
    left: dict[str, list[Folder]] = {}
    for folder, reason in mapping.left_out:
        if folder.selectable:
            left.setdefault(reason, []).append(folder)
    for reason, folders in left.items():
        yield _left_out(reason, folders)


def sent_by_guess(mapping: FolderMap, target_folders: Sequence[Folder]) -> list[FolderPath]:
    """Return the source folders that are taken for sent mail by their name alone."""
    if _is_told(mapping):
        return []
    roles = {folder.path.raw: folder.special_use for folder in target_folders}
    sent = [pair for pair in mapping.pairs if "\\Sent" in (pair.special_use, roles.get(pair.target.raw))]
    return [pair.source.path for pair in sent if pair.renamed == "special_use"]


def of_writers(found: Sequence[tuple[FolderPath, int, int]]) -> Iterator[Foreseen]:
    """Yield that folders are taken for sent mail whose owner wrote few of their messages: (path, by owner, read)."""
    for path, by_owner, read in found:
        facts: dict[str, Json] = {"by_owner": by_owner, "read": read}
        yield Foreseen("folder.role_doubtful", Severity.CHANGES, Side.SOURCE, 1, (path.display,), facts)


_HARMLESS: Final = frozenset(("special_use", "guessed_prefix", "rule"))
_WANTED: Final = frozenset(
    ("skipped", "not_subscribed", "virtual", "groupware", "listed_twice")
)  # by rules, or for they hold none


def _is_told(mapping: FolderMap) -> bool:
    return any(pair.source.special_use for pair in mapping.pairs)


def _left_out(reason: str, folders: Sequence[Folder]) -> Foreseen:
    messages = sum(folder.messages or 0 for folder in folders)
    names = tuple(folder.path.display for folder in folders[:EXAMPLES])
    facts: dict[str, Json] = {"reason": reason, "messages": messages}
    if reason == UNSPEAKABLE_NAME:  # a pass ends with an error in such a folder
        return Foreseen("folder.bad_name", Severity.STOPS, Side.SOURCE, len(folders), names, facts)
    severity = Severity.NOTES if reason in _WANTED or not messages else Severity.LOSES
    return Foreseen("folder.left_out", severity, Side.SOURCE, len(folders), names, facts)


def of_groupware(mapping: FolderMap, profile: Profile) -> Iterator[Foreseen]:
    """Yield which folders of a source with ``profile`` are known to hold no mail."""
    if not profile.shows_groupware:
        return
    found = [p.source for p in mapping.pairs if p.source.path.segments[0].casefold() in GROUPWARE_NAMES]
    if found:
        names = tuple(folder.path.display for folder in found[:EXAMPLES])
        facts: dict[str, Json] = {"messages": sum(folder.messages or 0 for folder in found)}
        yield Foreseen("folder.groupware", Severity.NOTES, Side.SOURCE, len(found), names, facts)


def of_others(paths: Sequence[FolderPath]) -> Iterator[Foreseen]:
    """Yield that folders of others are seen, and stay where they are."""
    if paths:
        names = tuple(path.display for path in paths[:EXAMPLES])
        yield Foreseen("folder.of_others", Severity.NOTES, Side.SOURCE, len(paths), names)
