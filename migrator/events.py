"""What the engine tells while it works. Codes and numbers only: people's words are made where they are shown.

``durable`` events belong into a log that is kept; the others only move a progress bar.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

from migrator.errors import MigratorError
from migrator.mail import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of all events."""

    name: ClassVar[str] = "event"
    durable: ClassVar[bool] = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PassPlanned(Event):
    """Both sides are listed and compared: the exact totals of what this pass will move."""

    name: ClassVar[str] = "pass.planned"
    folders: int
    messages: int
    size_bytes: int
    flag_changes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress(Event):
    """So much of the plan is confirmed by the target."""

    name: ClassVar[str] = "pass.progress"
    durable: ClassVar[bool] = False
    messages: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RecentCopied(Event):
    """Recent mail goes first, and is there now, but for single messages that need a second chance."""

    name: ClassVar[str] = "pass.recent_copied"
    days: int
    messages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderRenamed(Event):
    """A folder gets another name on the target than a mere change of separator explains."""

    name: ClassVar[str] = "folder.renamed"
    folder: str
    target: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderLeftOut(Event):
    """A folder that is not copied: by a rule, or because it only shows messages of others."""

    name: ClassVar[str] = "folder.left_out"
    folder: str
    reason: str
    messages: int | None  # None: the server did not tell


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderFailed(Event):
    """One folder could not be finished; the others go on."""

    name: ClassVar[str] = "folder.failed"
    folder: str
    error: MigratorError


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageLeftBehind(Event):
    """A message that is not on the target, with its outcome and, where a server spoke, the error. Never its content."""

    name: ClassVar[str] = "message.left_behind"
    folder: str
    uid: int
    outcome: Outcome
    error: MigratorError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagsLost(Event):
    """Flags that the target folder does not keep (PERMANENTFLAGS), and on how many messages they stood."""

    name: ClassVar[str] = "flags.lost"
    folder: str
    flag: str
    messages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DatesFromHeaders(Event):
    """The source keeps no dates of arrival: how many messages were stored with which date instead."""

    name: ClassVar[str] = "dates.from_headers"
    folder: str
    received: int  # of the topmost Received line
    date: int  # of the Date line: when it was sent
    now: int  # of the copy: the header tells none


@dataclass(frozen=True, slots=True, kw_only=True)
class DatesNotKept(Event):
    """The target gave a message another date than it came with: seen by one message after the first copy."""

    name: ClassVar[str] = "target.dates_not_kept"
    folder: str
    given: int  # seconds since the epoch
    kept: int | None  # None: a date that makes no sense


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelsUnseen(Event):
    """Messages under a label that the source does not show as a folder: they are copied as archived ones."""

    name: ClassVar[str] = "labels.unseen"
    label: str
    messages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelsHidden(Event):
    """The source seems to hide mail: the folder of all mail (0), or all beyond so many messages of each folder."""

    name: ClassVar[str] = "labels.hidden"
    messages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UidlFormat(Event):
    """A POP3 source. Its programs fetch all mail again by POP3 unless the target names messages in the same form."""

    name: ClassVar[str] = "source.uidl_format"
    form: str  # as Dovecot's pop3_uidl_format spells it; empty when it is not known


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagsRenamed(Event):
    """Flags that no target keeps as they are spelled, and that got their usual spelling there."""

    name: ClassVar[str] = "flags.renamed"
    folder: str
    flag: str
    target: str
    messages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantLost(Event):
    """Somebody could open this folder at the source and cannot at the target; ``rights`` as RFC 4314 spells them.

    Without ``who``: the source does not tell whom the folder is open to.
    """

    name: ClassVar[str] = "grant.lost"
    folder: str
    who: str
    rights: str
    is_denial: bool = False
    reply: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteLost(Event):
    """Something noted on a source folder (METADATA) that the target folder did not get; never what it says.

    Without ``entry``: the source does not tell what is noted there. ``is_taken``: the target has another, which stays.
    """

    name: ClassVar[str] = "note.lost"
    folder: str
    entry: str
    is_taken: bool = False
    reply: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageAltered(Event):
    """A message is on the target, but something beside its body differs by necessity: ``what`` is flags or date."""

    name: ClassVar[str] = "message.altered"
    folder: str
    uid: int
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRepaired(Event):
    """A message is on the target in a mended form. ``repairs`` by name, in the order they were done, joined by ``+``.

    ``error`` is the refusal of the form before; None when it was mended ahead, because the operator asked for it.
    """

    name: ClassVar[str] = "message.repaired"
    folder: str
    uid: int
    repairs: str
    error: MigratorError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomShort(Event):
    """The new mailbox will be full before all is copied: ``resource`` is STORAGE (bytes) or MESSAGE (RFC 9208).

    ``needed`` has a margin in it. Mail that the target holds already is not known yet, and counted.
    """

    name: ClassVar[str] = "target.room_short"
    resource: str
    needed: int
    free: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CountsDiffer(Event):
    """A source folder's own count and the list of its messages disagree; the list is what was copied."""

    name: ClassVar[str] = "folder.counts_differ"
    folder: str
    counted: int
    listed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderMixed(Event):
    """So many messages were in a target folder before its old mail came: in order of arrival they stand before it."""

    name: ClassVar[str] = "folder.order_mixed"
    folder: str
    messages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldsMissing(Event):
    """Messages of a file of mail carry no field that says whether they were read: they go over as unread.

    Told once for a folder, with their number; it falls as old mail goes.
    """

    name: ClassVar[str] = "folder.fields_missing"
    folder: str
    messages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreExposed(Event):
    """Others on this machine than the owner may read the mail in ``path``, or change it."""

    name: ClassVar[str] = "store.exposed"
    path: str
    is_writable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSkipped(Event):
    """A file or folder where mail is kept that is not read as mail; ``error`` says why."""

    name: ClassVar[str] = "file.skipped"
    path: str
    error: MigratorError


@dataclass(frozen=True, slots=True, kw_only=True)
class PopReaders(Event):
    """What programs that read by POP3, and have all mail of the source, will make of the messages on the target."""

    name: ClassVar[str] = "pop.readers"
    messages: int  # on the target
    kept: int  # have the name they had, and are not fetched again
    again: int  # have other names, and are fetched again
    mixed: int  # have the name of another message, and are not fetched though they are new to the program
    form: str  # how the source names messages, as Dovecot's pop3_uidl_format spells it; empty when it is not known
    target_form: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PopReadersUnknown(Event):
    """One side could not be asked by POP3; ``error`` says which, and why."""

    name: ClassVar[str] = "pop.readers_unknown"
    error: MigratorError


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptsCopied(Event):
    """The Sieve scripts of the account are looked through: so many there are, so many this pass stored."""

    name: ClassVar[str] = "scripts.copied"
    scripts: int
    copied: int  # in a rehearsal: that would be
    is_rehearsal: bool = False
    active: str  # the one that is active on the target as on the source; empty for none


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptsAbsent(Event):
    """One side has no server for Sieve scripts where one was looked for: none are copied."""

    name: ClassVar[str] = "scripts.absent"
    side: str
    error: MigratorError


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptLeftBehind(Event):
    """A Sieve script that is not on the target as it is on the source. ``reason`` is a ScriptFate."""

    name: ClassVar[str] = "script.left_behind"
    script: str
    reason: str
    is_active: bool  # on the source
    missing: str = ""  # extensions that it requires and the target does not name
    error: MigratorError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptRenamed(Event):
    """The target writes the name of a Sieve script in another way."""

    name: ClassVar[str] = "script.renamed"
    script: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptFolderRenamed(Event):
    """A Sieve script files mail into a folder that has another name on the target. The script was copied as it is."""

    name: ClassVar[str] = "script.folder_renamed"
    script: str
    folder: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassesCopied(Event):
    """The classes of folders are looked through: so many have one at the source, so many this pass set."""

    name: ClassVar[str] = "classes.copied"
    folders: int
    copied: int  # in a rehearsal: that would be
    is_rehearsal: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassesAbsent(Event):
    """One side has no command line of CommuniGate where one was looked for: no classes of folders are copied."""

    name: ClassVar[str] = "classes.absent"
    side: str
    error: MigratorError


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassLeftBehind(Event):
    """A folder that has not the class on the target that it has at the source. ``reason`` is a ClassFate."""

    name: ClassVar[str] = "class.left_behind"
    folder: str
    kind: str
    reason: str
    there: str = ""  # the class that the target has instead
    error: MigratorError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconnecting(Event):
    """A line was lost; the pass goes on from its ledger after looking at the target."""

    name: ClassVar[str] = "pass.reconnecting"
    error: MigratorError
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MailRemoved(Event):
    """Messages are gone from a folder of the source: each was proved to be on the target just before."""

    name: ClassVar[str] = "mail.removed"
    folder: str
    messages: int


class EventSink(Protocol):
    """Takes events. Never raises for want of space or listeners; may raise to stop a caller that lost its right."""

    def emit(self, event: Event) -> None: ...


class Silence:
    """The sink of callers that do not listen."""

    def emit(self, event: Event) -> None:
        pass
