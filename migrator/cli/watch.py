"""Listeners of a copy: events become a progress bar, lines for people, and notes for the summary at the end."""

from __future__ import annotations

import threading
from typing import Final

from migrator.cli.accounts import Account, AccountResult, Exit, VerifyBegun
from migrator.cli.classes import FATES as CLASS_FATES
from migrator.cli.scripts import FATES
from migrator.cli.terminal import Amount, Meter, Terminal, counted, describe, duration, printable, size
from migrator.errors import MigratorError
from migrator.events import (
    ClassesAbsent,
    ClassesCopied,
    ClassLeftBehind,
    CountsDiffer,
    DatesFromHeaders,
    DatesNotKept,
    Event,
    FieldsMissing,
    FileSkipped,
    FlagsLost,
    FlagsRenamed,
    FolderFailed,
    FolderLeftOut,
    FolderRenamed,
    GrantLost,
    LabelsHidden,
    LabelsUnseen,
    MailRemoved,
    MessageAltered,
    MessageLeftBehind,
    MessageRepaired,
    NoteLost,
    OrderMixed,
    PassPlanned,
    PopReaders,
    PopReadersUnknown,
    Progress,
    RecentCopied,
    Reconnecting,
    RoomShort,
    ScriptFolderRenamed,
    ScriptLeftBehind,
    ScriptRenamed,
    ScriptsAbsent,
    ScriptsCopied,
    StoreExposed,
    UidlFormat,
)
from migrator.limits import Clock
from migrator.mail import Outcome

OUTCOMES: Final = {
    Outcome.COPIED: "copied",
    Outcome.ALREADY_THERE: "already there",
    Outcome.EMPTY: "left behind: empty, there is nothing to copy",
    Outcome.TOO_BIG: "left behind: bigger than the new server allows",
    Outcome.REFUSED: "left behind: refused by the new server",
    Outcome.UNREADABLE: "left behind: the old server cannot hand it out",
    Outcome.VANISHED: "removed from the old mailbox while it was copied",
    Outcome.MARKED_DELETED: "left behind: marked as deleted in the old mailbox",
    Outcome.REPAIRED: "copied, repaired",
    Outcome.FILTERED: "left behind: outside the dates and sizes asked for",
    Outcome.BY_LABEL: "the same message as one that is counted in another folder",
    Outcome.DUPLICATE: "equal to another one of the same folder, stored once",
    Outcome.UNCONFIRMED: "sent, and the answer was lost: nobody knows whether it arrived, and it is not sent again",
}
RENAMINGS: Final = {
    "separator": "its name holds the character that parts folders there",
    "forbidden": "its name holds characters that are not allowed there",
    "blank": "its name begins or ends with a blank",
    "too_long": "its name is too long or too deep",
    "flattened": "folders cannot stand inside that folder there",
    "reserved": "its name is reserved there",
    "case": "another folder differs only in capitals",
    "collision": "another folder has that name there",
    "parent": "the folder around it is renamed",
    "rule": "a rule says so",
    "renamed_since": "it got another name on the old server after it was copied",
    "guessed_prefix": "the prefix that all folders share is left off",
}


LEFT_OUT: Final = {
    "unspeakable_name": "its name holds characters that no mail program can name",
    "virtual": "it only shows messages of other folders",
    "skipped": "a rule says so",
    "groupware": "it holds no mail but calendars, contacts or the like",
    "not_subscribed": "only subscribed folders are copied",
    "listed_twice": "the old server lists it under another name, too",
}


# Of accounts of a list, too: a person must act.
_OF_SCRIPTS: Final = ScriptLeftBehind | ScriptRenamed | ScriptFolderRenamed | ScriptsAbsent
_OF_CLASSES: Final = ClassLeftBehind | ClassesAbsent
# Told without being asked: what somebody may miss, and why it takes so long.
_TOLD: Final = (
    FolderLeftOut
    | CountsDiffer
    | OrderMixed
    | RoomShort
    | PassPlanned
    | VerifyBegun
    | RecentCopied
    | FolderFailed
    | Reconnecting
    | UidlFormat
    | LabelsUnseen
    | LabelsHidden
    | DatesNotKept
    | DatesFromHeaders
    | NoteLost
    | FieldsMissing
    | FileSkipped
    | StoreExposed
    | ScriptsCopied
    | _OF_SCRIPTS
    | ClassesCopied
    | _OF_CLASSES
    | PopReaders
    | PopReadersUnknown
)


class AccountWatch:
    """The listener of one account: keeps what the summary tells, and shows the rest as it comes."""

    def __init__(self, terminal: Terminal, clock: Clock, *, verbose: bool) -> None:
        self._terminal = terminal
        self._verbose = verbose
        self._meter = Meter(clock)
        self._clock = clock
        self.renamed: dict[str, tuple[str, str]] = {}  # folder -> its name on the target, and why
        self.lost_flags: dict[tuple[str, str], int] = {}  # folder and flag -> messages
        self.lost_grants: dict[GrantLost, None] = {}  # in their order, each once: a lost line tells them again

    def emit(self, event: Event) -> None:
        """Take one event."""
        match event:
            case PassPlanned():
                self._plan(Amount(event.messages, event.size_bytes))
            case VerifyBegun():
                self._meter = Meter(self._clock)
                self._plan(Amount(event.messages, 0))
            case Progress():
                self._progress(event)
            case FolderRenamed():
                self.renamed[event.folder] = (event.target, RENAMINGS.get(event.reason, event.reason))
            case FlagsLost():
                self.lost_flags[event.folder, event.flag] = event.messages
            case GrantLost():
                self.lost_grants[event] = None
        if self._verbose or isinstance(event, _TOLD):
            self._say(event)

    def _say(self, event: Event) -> None:
        sentence = sentence_of(event)
        if sentence:
            self._terminal.say(printable(sentence))

    def _plan(self, planned: Amount) -> None:
        done = self._meter.done
        if not done.messages:
            self._meter = Meter(self._clock)  # the rate is that of the copying, without connecting and listing
        # after a lost line the rest is planned anew: what is done stays done
        self._meter.total = Amount(done.messages + planned.messages, done.size_bytes + planned.size_bytes)

    def _progress(self, event: Progress) -> None:
        done = self._meter.done
        self._meter.reach(Amount(done.messages + event.messages, done.size_bytes + event.size_bytes))
        self._terminal.progress(self._meter.share(), describe(self._meter))


class Board:
    """The listener of many accounts: how many are done, and a line for each that is not as it should be."""

    def __init__(self, terminal: Terminal, clock: Clock, *, accounts: int, verbose: bool) -> None:
        self._terminal = terminal
        self._verbose = verbose
        self._accounts = accounts
        self._clock = clock
        self._begun = clock.monotonic()
        self._meter = Meter(clock)
        self._done = 0
        self._lock = threading.Lock()

    def listen(self, account: Account) -> _Listener:
        """Return the listener of one account."""
        return _Listener(self, account)

    def take(self, account: Account, event: Event) -> None:
        """Take an event of one account, from its lane."""
        if isinstance(event, Progress):
            with self._lock:
                done = self._meter.done
                self._meter.reach(Amount(done.messages + event.messages, done.size_bytes + event.size_bytes))
                self._show()
        elif (self._verbose or isinstance(event, CountsDiffer | GrantLost | NoteLost | _OF_SCRIPTS | _OF_CLASSES)) and (
            sentence := sentence_of(event)
        ):
            self._terminal.say(printable(f"{title(account)}: {sentence}"))

    def tell(self, result: AccountResult) -> None:
        """Take the result of one account, from its lane."""
        with self._lock:
            self._done += 1
            if self._verbose or result.exit_code > Exit.LEFT_BEHIND:
                self._terminal.say(printable(f"{title(result.account)}: {verdict(result)}"))
            self._show()

    def _show(self) -> None:
        rate, done = self._meter.rate(), self._meter.done
        share = self._done / self._accounts
        text = (
            f"{self._done:,} of {counted(self._accounts, 'account')}, {counted(done.messages, 'message')}, "
            f"{size(done.size_bytes)}, {rate.messages:,}/s, {size(rate.size_bytes)}/s"
        )
        if self._done:
            passed = self._clock.monotonic() - self._begun
            text += f", {duration(passed / share - passed)} left"
        self._terminal.progress(share, text)


class _Listener:
    """Puts the account beside each of its events."""

    def __init__(self, board: Board, account: Account) -> None:
        self._board = board
        self._account = account

    def emit(self, event: Event) -> None:
        self._board.take(self._account, event)


def title(account: Account) -> str:
    """Return how an account of a list is called: its line and its names."""
    names = account.source_name
    if account.target_name != names:
        names += f" -> {account.target_name}"
    return f"line {account.line}, {names}"


def verdict(result: AccountResult) -> str:
    """Return in a few words how an account ended."""
    if not result.is_started:
        return "not started"
    if result.error:
        return f"not done: {sentence_of_error(result.error)}"
    if result.folder_errors:
        folder, error = result.folder_errors[0]
        more = (
            f" (and {counted(len(result.folder_errors) - 1, 'folder')} more)" if len(result.folder_errors) > 1 else ""
        )
        return f"not done: folder {folder}{more}: {error.sentence}"
    if result.scripts is not None and result.scripts.error:
        return f"mail done, Sieve scripts not: {sentence_of_error(result.scripts.error)}"
    if result.classes is not None and result.classes.error:
        return f"mail done, classes of folders not: {sentence_of_error(result.classes.error)}"
    match result.exit_code:
        case Exit.ALL_THERE:
            return "all there"
        case Exit.LEFT_BEHIND:
            missed = (
                (result.sums.missed, "message", ""),
                (len(result.scripts.missed) if result.scripts else 0, "Sieve script", ""),
                (len(result.classes.missed) if result.classes else 0, "class of a folder", "classes of folders"),
            )
            left = [counted(*one) for one in missed if one[0]]
            return f"done, {' and '.join(left)} left behind"
        case Exit.STOPPED:
            return "stopped"
        case Exit.PERSON:
            return "not as it should be: the check found differences"
    return "not done: not every message has an outcome yet"


def sentence_of_error(error: MigratorError) -> str:
    """Return side and sentence of an error: ``the old server: ...``."""
    side = {"source": "The old server: ", "target": "The new server: "}.get(error.side or "", "")
    return f"{side}{error.sentence}"


def sentence_of(event: Event) -> str | None:
    """Return what an event tells a person; None for one that only moves a bar."""
    if isinstance(event, ClassesCopied | _OF_CLASSES):
        return _sentence_of_class(event)
    return _sentence_of_script(event) if isinstance(event, ScriptsCopied | _OF_SCRIPTS) else _sentence_of_mail(event)


def _sentence_of_mail(event: Event) -> str | None:
    match event:
        case PassPlanned() | VerifyBegun() | RecentCopied():
            return _sentence_of_progress(event)
        case FolderRenamed() | FolderLeftOut() | FolderFailed() | MailRemoved():
            return _sentence_of_folder(event)
        case MessageLeftBehind() | MessageAltered() | MessageRepaired():
            return _sentence_of_message(event)
        case FlagsLost() | FlagsRenamed() | GrantLost() | NoteLost() | DatesFromHeaders() | UidlFormat():
            return _sentence_of_fidelity(event)
        case LabelsUnseen() | LabelsHidden() | CountsDiffer() | DatesNotKept() | OrderMixed():
            return _sentence_of_counts(event)
        case FieldsMissing() | StoreExposed() | FileSkipped():
            return _sentence_of_files(event)
        case RoomShort():
            return _sentence_of_room(event)
        case PopReaders() | PopReadersUnknown():
            return _sentence_of_readers(event)
        case Reconnecting():
            return f"{_with_reply(event.error)} Connecting again."
    return None


def _sentence_of_script(
    event: ScriptsCopied | ScriptsAbsent | ScriptLeftBehind | ScriptRenamed | ScriptFolderRenamed,
) -> str:
    """Return what became of Sieve scripts."""
    match event:
        case ScriptsCopied():
            active = f"; {event.active} is active" if event.active else ""
            done = "would be copied" if event.is_rehearsal else "copied by this run"
            return f"{counted(event.scripts, 'Sieve script')}, {event.copied:,} {done}{active}."
        case ScriptsAbsent():
            return f"No Sieve scripts are copied. {_with_reply(event.error)}"
        case ScriptRenamed():
            return f"Sieve script {event.script} is called {event.target} on the new server."
        case ScriptFolderRenamed():
            return (
                f"Sieve script {event.script} files into {event.folder}, which is called {event.target} on the new "
                "server. It was copied as it is: its owner must change it."
            )
        case ScriptLeftBehind():
            active = " (the active one)" if event.is_active else ""
            missing = f" It needs what is not offered there: {event.missing}." if event.missing else ""
            return f"Sieve script {event.script}{active}: {FATES[event.reason]}.{missing}{_why_left(event)}"


def _sentence_of_class(event: ClassesCopied | ClassesAbsent | ClassLeftBehind) -> str:
    """Return what became of the classes of folders."""
    match event:
        case ClassesCopied():
            done = "would be set" if event.is_rehearsal else "set by this run"
            return f"{counted(event.folders, 'folder')} with a class (calendar, contacts), {event.copied:,} {done}."
        case ClassesAbsent():
            return f"No classes of folders are copied. {_with_reply(event.error)}"
        case ClassLeftBehind():
            there = f" ({event.there})" if event.there else ""
            why = f" {_with_reply(event.error)}" if event.error else ""
            return f"Class {event.kind} of folder {event.folder}: {CLASS_FATES[event.reason]}{there}.{why}"


def _why_left(event: ScriptLeftBehind) -> str:
    """Return what the server said; our own sentence only where it says more than the reason does."""
    if event.error is None:
        return ""
    is_said = event.error.code in ("sieve.refused", "sieve.unreadable", "sieve.not_activated")
    return f" [{event.error.reply}]" if is_said and event.error.reply else f" {_with_reply(event.error)}"


def _sentence_of_progress(event: PassPlanned | VerifyBegun | RecentCopied) -> str:
    if isinstance(event, VerifyBegun):
        return f"Comparing {counted(event.messages, 'message')}."
    if isinstance(event, RecentCopied):
        messages = counted(event.messages, "message")
        return f"The mail of the last {counted(event.days, 'day')} is there ({messages}); older mail follows."
    changes = f", {counted(event.flag_changes, 'change')} of flags" if event.flag_changes else ""
    return (
        f"Both mailboxes are listed: {counted(event.messages, 'message')} to copy, {size(event.size_bytes)}, "
        f"in {counted(event.folders, 'folder')}{changes}."
    )


def _sentence_of_room(event: RoomShort) -> str:
    told = size if event.resource == "STORAGE" else "{:,} messages".format
    return (
        f"The new mailbox may become full: what waits needs {told(event.needed)} with a margin, "
        f"{told(event.free)} are free."
    )


def _sentence_of_counts(event: LabelsUnseen | LabelsHidden | CountsDiffer | DatesNotKept | OrderMixed) -> str:
    """Return what the old server does not show, and the new one does not keep."""
    if isinstance(event, DatesNotKept):
        return (
            f"Folder {event.folder}: the new server keeps another date for messages than they came with. Programs "
            "that sort by arrival show them as new; those that sort by the Date line do not."
        )
    if isinstance(event, OrderMixed):
        return (
            f"Folder {event.folder}: {counted(event.messages, 'message')} came to the new server before the old mail. "
            "In order of arrival they stand before it; by date everything is in its place."
        )
    if isinstance(event, CountsDiffer):
        return f"Folder {event.folder}: the server counts {event.counted:,} messages and lists {event.listed:,}."
    if isinstance(event, LabelsUnseen):
        return (
            f"The old server shows no folder for the label {event.label}: what lies under it alone is copied as "
            f"archived ({counted(event.messages, 'message')}). To keep the label, let its owner choose Show in IMAP in "
            "the settings."
        )
    if event.messages:
        return (
            f"The biggest folder shows exactly {event.messages:,} messages: the owner's settings seem to limit the "
            "size of folders by IMAP. What is beyond is not seen; take the limit off, and repeat."
        )
    return (
        "The old server does not show the folder of all mail: archived mail without a label is not seen. Let the owner "
        "choose Show in IMAP for it in the settings of labels, and repeat."
    )


def _sentence_of_message(event: MessageLeftBehind | MessageAltered | MessageRepaired) -> str:
    place = f"Folder {event.folder}, UID {event.uid}"
    if isinstance(event, MessageLeftBehind):
        reason = f" {_with_reply(event.error)}" if event.error else ""
        return f"{place}: {OUTCOMES[event.outcome]}.{reason}"
    if isinstance(event, MessageRepaired):
        reason = f" The new server had refused it: {_with_reply(event.error)}" if event.error else ""
        return f"{place}: copied after repair ({event.repairs}).{reason}"
    return f"{place}: copied, but its {event.what} could not be kept."


def _sentence_of_fidelity(
    event: FlagsLost | FlagsRenamed | GrantLost | NoteLost | DatesFromHeaders | UidlFormat,
) -> str:
    """Return what cannot be as it was."""
    match event:
        case FlagsLost():
            return f"Folder {event.folder}: the flag {event.flag} of {counted(event.messages, 'message')} is not kept."
        case FlagsRenamed():
            marked = counted(event.messages, "message")
            return f"Folder {event.folder}: the flag {event.flag} of {marked} is called {event.target} there."
        case GrantLost():
            return f"Folder {sentence_of_grant(event)}"
        case NoteLost():
            return _sentence_of_note(event)
        case DatesFromHeaders():
            return _sentence_of_dates(event)
        case UidlFormat():
            return _sentence_of_uidl(event)


def _sentence_of_readers(event: PopReaders | PopReadersUnknown) -> str:
    if isinstance(event, PopReadersUnknown):
        return f"Whether programs that read by POP3 will fetch mail again is not known. {_with_reply(event.error)}"
    told = "Programs that read by POP3 know all messages that are on the new server, and fetch none again."
    if not event.messages:
        told = (
            "By POP3 the new mailbox is empty: what programs that read so will fetch again is seen when mail is there."
        )
    if event.again:
        old, new = (form or "in a form that is not known" for form in (event.form, event.target_form))
        told = (
            f"Programs that read by POP3 fetch {event.again:,} of {counted(event.messages, 'message')} again: the old "
            f"server names them {old}, the new one {new}."
        )
    if event.mixed:
        told += (
            f" They take {counted(event.mixed, 'message')} for others that they have, and do not fetch them: let the "
            "new server name messages in another form."
        )
    return told


def _sentence_of_note(event: NoteLost) -> str:
    reply = f" [{event.reply}]" if event.reply else ""
    if not event.entry:
        return f"Folder {event.folder}: the old server does not tell what is noted on it.{reply}"
    if event.is_taken:
        return f"Folder {event.folder}: the new server has another note {event.entry}, which stays."
    return f"Folder {event.folder}: the note {event.entry} is not set on the new server.{reply}"


def _sentence_of_files(event: FieldsMissing | StoreExposed | FileSkipped) -> str:
    """Return what is to be known of files that mail is read from."""
    match event:
        case FieldsMissing():
            count = counted(event.messages, "message")
            return f"Folder {event.folder}: nothing says of {count} whether they were read; they count as unread."
        case StoreExposed():
            what = "read and change" if event.is_writable else "read"
            return f"Warning: everybody on this machine may {what} the mail in {event.path}."
        case FileSkipped():
            return f"{event.path} is left out. {_with_reply(event.error)}"


def _sentence_of_dates(event: DatesFromHeaders) -> str:
    parts = (
        (event.received, "the last Received line"),
        (event.date, "the Date line (when it was sent)"),
        (event.now, "this copy, for the header tells none"),
    )
    told = "; ".join(f"{counted(number, 'message')} with that of {origin}" for number, origin in parts if number)
    return f"Folder {event.folder}: the source keeps no dates of arrival. Stored: {told}."


def _sentence_of_uidl(event: UidlFormat) -> str:
    form = f"of the form {event.form} (in Dovecot: pop3_uidl_format)" if event.form else "of a form that is not known"
    return (
        f"The source names messages {form}. Programs that read by POP3 fetch all mail again from the new server, "
        "unless it gives the same names."
    )


def sentence_of_grant(event: GrantLost) -> str:
    """Return what became of somebody's way into a folder, beginning with the folder's name."""
    reply = f" [{event.reply}]" if event.reply else ""
    if not event.who:
        return f"{event.folder}: the old server does not tell who else may open it.{reply}"
    may = f"may not ({event.rights})" if event.is_denial else f"may ({event.rights})"
    return f"{event.folder}: what {event.who} {may} in the old mailbox is not set on the new server.{reply}"


def _sentence_of_folder(event: FolderRenamed | FolderLeftOut | FolderFailed | MailRemoved) -> str:
    match event:
        case FolderRenamed():
            reason = RENAMINGS.get(event.reason, event.reason)
            return f"Folder {event.folder} is called {event.target} on the new server: {reason}."
        case FolderLeftOut():
            held = "" if event.messages is None else f" ({counted(event.messages, 'message')})"
            return f"Folder {event.folder}{held} is left out: {LEFT_OUT.get(event.reason, event.reason)}."
        case MailRemoved():
            return f"Folder {event.folder}: {counted(event.messages, 'message')} removed from the old mailbox."
        case FolderFailed():
            return f"Folder {event.folder} is not finished. {_with_reply(event.error)}"


def _with_reply(error: MigratorError) -> str:
    reply = f" [{error.reply}]" if error.reply else ""
    return f"{sentence_of_error(error)}{reply}"
