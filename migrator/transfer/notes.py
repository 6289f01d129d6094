"""What is noted on the source's folders (RFC 5464) goes to the target: once, with a folder's first pass.

Roles of folders that the target had already, or makes without a role, are noted there, too (RFC 6154 §5.4): a server
says of them in the same way what it does not keep.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

from migrator.events import EventSink, NoteLost
from migrator.mail import FolderPath, Note
from migrator.stores.base import NotedSource, NotedTarget, SourceStore, TargetStore, Trouble, offers
from migrator.transfer.folder_pass import FolderPass
from migrator.transfer.grants import is_new
from migrator.transfer.terms import PassMemory, Terms

MOST_TRIES: Final = 2
ROLE: Final = "/private/specialuse"


def copy(
    source: SourceStore, target: TargetStore, folders: Sequence[FolderPass], terms: Terms, memory: PassMemory
) -> None:
    """Copy the notes of folders that are met for the first time; tells of those that the target did not get.

    To be called when the target folders are there. Nothing is asked where nobody wants notes. Raises
    ``MigratorError`` when a line is lost; where that happens again and again, the mail goes on without.
    """
    if not terms.policy.copies_notes:
        return
    due = [folder for folder in folders if folder.error is None and is_new(folder, terms.policy)]
    if not due:
        return
    if memory.note_tries >= MOST_TRIES:
        for folder in due:
            terms.sink.emit(NoteLost(folder=folder.source.path.display, entry=""))
        return
    memory.note_tries += 1
    wanted = _wanted(source, target, due, terms.sink)
    if wanted:
        _annotate(target, wanted, terms.sink)
    memory.note_tries = 0


def _wanted(
    source: SourceStore, target: TargetStore, due: Sequence[FolderPass], sink: EventSink
) -> list[tuple[FolderPass, Sequence[Note]]]:
    found = [_role(folder, is_given=target.features.special_use) for folder in due]
    if source.features.metadata and offers(source, "notes"):
        noted = cast(NotedSource, source)
        for place, answer in enumerate(noted.notes([folder.source.path for folder in due])):
            if isinstance(answer, Trouble):
                path = answer.path.display
                sink.emit(NoteLost(folder=path, entry="", reply=answer.error.reply))
            else:
                found[place] += answer
    return [(folder, notes) for folder, notes in zip(due, found, strict=True) if notes]


def _role(folder: FolderPass, *, is_given: bool) -> list[Note]:
    """Return the role that no folder of the target has, and this one shall. ``is_given``: new folders get theirs."""
    if folder.special_use is None or (folder.listed_target is None and is_given):
        return []
    return [Note(ROLE, folder.special_use.encode("ascii", "replace"))]


def _annotate(target: TargetStore, wanted: Sequence[tuple[FolderPass, Sequence[Note]]], sink: EventSink) -> None:
    if not offers(target, "annotate"):
        for folder, notes in wanted:
            for note in notes:
                sink.emit(NoteLost(folder=folder.source.path.display, entry=note.entry))
        return
    requests: list[tuple[FolderPath, Sequence[Note]]] = [(folder.target_path, notes) for folder, notes in wanted]
    for (folder, _), lost in zip(wanted, cast(NotedTarget, target).annotate(requests), strict=True):
        for note, reply, is_taken in lost:
            path = folder.source.path.display
            sink.emit(NoteLost(folder=path, entry=note.entry, is_taken=is_taken, reply=reply))
