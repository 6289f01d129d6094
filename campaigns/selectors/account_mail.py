"""The mail of one account as the ledger knows it: folders on both sides, what stays behind, the sums."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext

from campaigns.models import Account, LedgerFolder, LeftBehindMessage
from campaigns.selectors import words
from campaigns.states import AccountState
from migrator.errors import CATALOGUE
from migrator.mail import FolderPath, Outcome

MOST_FOLDERS: Final = 300
MOST_LEFT: Final = 50
# Messages of these outcomes are in the old mailbox and not in the new one.
_LEFT: Final = (
    Outcome.EMPTY,
    Outcome.TOO_BIG,
    Outcome.REFUSED,
    Outcome.UNREADABLE,
    Outcome.MARKED_DELETED,
    Outcome.UNCONFIRMED,
    Outcome.FILTERED,
)


@dataclass(frozen=True, slots=True)
class FolderRow:
    """A folder with its messages on both sides."""

    name: str
    called: str  # on the new server, where that is another name
    old: int | None  # None: not counted yet
    new: int
    left: int
    is_complete: bool

    @property
    def family(self) -> str:
        """The family whose colour its bar has."""
        if not self.is_complete:
            return "working"
        return "attention" if self.left else "done"


@dataclass(frozen=True, slots=True)
class LeftRow:
    """A message that stays behind: where it is and why. What it says, or its title, nobody reads here."""

    folder: str
    uid: int
    reason: str
    cure: str
    reply: str


@dataclass(frozen=True, slots=True)
class Mail:
    """All of it. Sums are over all folders, also those that are not shown."""

    folders: list[FolderRow]
    hidden_folders: int
    old: int | None
    new: int
    left: list[LeftRow]
    left_count: int
    outcomes: list[tuple[str, int]]  # in words, with how many
    removed: int
    recorded: int
    skipped: int
    is_complete: bool

    @property
    def hidden_left(self) -> int:
        """Messages left behind beyond those that are shown."""
        return self.left_count - len(self.left)

    @property
    def is_balanced(self) -> bool:
        """True when every message of the old mailbox has its outcome."""
        return self.is_complete and self.old is not None and self.recorded - self.removed == self.old

    @property
    def renamed(self) -> int:
        """Folders that have another name on the new server, of those shown."""
        return sum(bool(folder.called) for folder in self.folders)


def mail_of(account: Account) -> Mail:
    """Return what the ledger knows of an account. Three queries; counts only, no leaf is opened."""
    rows = list(LedgerFolder.objects.filter(account=account).only("source", "target", "state").order_by("source"))
    rows = sorted((row for row in rows if row.state), key=lambda row: bytes(row.source).upper() != b"INBOX")
    folders = [_folder(row) for row in rows]
    totals: Counter[Outcome] = Counter()
    for row in rows:
        totals.update(_totals(row.state))
    olds = [folder.old for folder in folders]
    left = LeftBehindMessage.objects.filter(folder__account=account).filter(outcome__in=_LEFT)
    shown = list(left.select_related("folder").order_by("folder__source", "uid")[: MOST_LEFT + 1])
    return Mail(
        folders=folders[:MOST_FOLDERS],
        hidden_folders=max(0, len(folders) - MOST_FOLDERS),
        old=None if None in olds or not olds else sum(old for old in olds if old is not None),
        new=sum(folder.new for folder in folders),
        left=[_left(row) for row in shown[:MOST_LEFT]],
        left_count=len(shown) if len(shown) <= MOST_LEFT else left.count(),
        outcomes=[(_outcome(outcome), totals[outcome]) for outcome in Outcome if totals[outcome]],
        removed=sum(int(row.state.get("removed", 0)) for row in rows),
        recorded=totals.total(),
        skipped=account.messages_skipped,
        is_complete=_is_whole(account) and bool(folders) and all(folder.is_complete for folder in folders),
    )


def _is_whole(account: Account) -> bool:
    """True unless something keeps the copy from its end: a folder that cannot be made is in no ledger."""
    return not account.error_code or account.state == AccountState.DONE


def _totals(state: dict[str, Any]) -> dict[Outcome, int]:
    return {Outcome(int(outcome)): int(count) for outcome, count in state.get("totals", {}).items()}


def _folder(row: LedgerFolder) -> FolderRow:
    state, totals = row.state, _totals(row.state)
    name, called = folder_name(bytes(row.source)), folder_name(bytes(row.target))
    return FolderRow(
        name=words.folder(name),
        called=words.folder(called) if called and _plain(called) != _plain(name) else "",
        old=state.get("source_messages"),
        new=sum(count for outcome, count in totals.items() if outcome.is_on_target or outcome.is_represented),
        left=sum(totals.get(outcome, 0) for outcome in _LEFT),
        is_complete=bool(state.get("is_complete")),
    )


def folder_name(raw: bytes) -> str:
    """Return the name of a folder for people. Its separator is not kept: the first of the usual ones is taken."""
    flat = FolderPath(raw).display
    mark = next((sign for sign in ("/", ".", "\\") if sign in flat), None)
    return FolderPath(raw, mark).display


def _plain(name: str) -> str:
    """Return a name without what differs between servers by habit: where folders hang, and what parts them."""
    first, _, rest = name.partition("/")
    return (rest if rest and first.upper() == "INBOX" else name).casefold()


def _left(row: LeftBehindMessage) -> LeftRow:
    known = CATALOGUE.get(row.code)
    return LeftRow(
        folder=words.folder(folder_name(bytes(row.folder.source))),
        uid=row.uid,
        reason=words.cause(row.code, "target") if known else words.outcome(row.outcome),
        cure=words.cure(row.code, "target") if known else "",
        reply=row.reply,
    )


def _outcome(outcome: Outcome) -> str:
    told = {
        Outcome.COPIED: gettext("copied to the new server"),
        Outcome.ALREADY_THERE: gettext("on the new server already"),
        Outcome.EMPTY: gettext("left behind: empty"),
        Outcome.TOO_BIG: gettext("left behind: too big for the new server"),
        Outcome.REFUSED: gettext("left behind: refused by the new server"),
        Outcome.UNREADABLE: gettext("left behind: the old server cannot hand them out"),
        Outcome.VANISHED: gettext("removed from the old mailbox while they were copied"),
        Outcome.MARKED_DELETED: gettext("left behind: marked as deleted"),
        Outcome.REPAIRED: gettext("copied after a repair"),
        Outcome.FILTERED: gettext("left behind: outside the dates and sizes asked for"),
        Outcome.BY_LABEL: gettext("the same messages as in other folders, counted there"),
        Outcome.DUPLICATE: gettext("equal to others of the same folder, stored once"),
        Outcome.UNCONFIRMED: gettext("sent, and it is not known whether they arrived"),
    }
    return told[outcome]
