"""What a person needs who decides about an account: what is known, what was looked at, and what each choice does."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.utils.translation import gettext

from campaigns.models import Account, Event, JournalEntry
from campaigns.selectors import stories, words
from campaigns.states import Owner
from migrator.journal import EntryStatus, StepKind

LOOKS: Final = 6
_BEGINS: Final = "account.cutover."


@dataclass(frozen=True, slots=True)
class Known:
    """One thing that is known, or known not to be known. ``family``: done where it is proved, else attention."""

    family: str
    told: str


@dataclass(frozen=True, slots=True)
class Looked:
    """One look, and what was seen."""

    at: datetime
    told: str


@dataclass(frozen=True, slots=True)
class Choice:
    """What a verdict does. ``why_not``: why it is not offered; "" where it is."""

    title: str
    effect: str
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """All of it."""

    known: list[Known]
    looked: list[Looked]
    choices: list[Choice]


def decision(account: Account) -> Decision:
    """Return what is known of an account that needs a decision. Two queries."""
    rows = JournalEntry.objects.filter(account=account, cutover=account.cutover).defer("saved")
    entries = list(rows.order_by("position", "pk"))
    return Decision([*_known(account, entries)], _looked(account, entries), _choices(account))


def _known(account: Account, entries: list[JournalEntry]) -> list[Known]:
    known = [_owner_known(account), _lock_known(account, entries)]
    if any(entry.kind == StepKind.VERIFY and entry.status == EntryStatus.DONE for entry in entries):
        known.append(Known("done", gettext("Both mailboxes were compared and are alike: no mail is missing.")))
    else:
        known.append(Known("attention", _not_compared(account)))
    hold = _last(entries, StepKind.HOLD)
    if hold is not None and hold.status != EntryStatus.UNDONE and not _is_done(entries, StepKind.RELEASE):
        known.append(Known("attention", gettext("New mail is held since this step began. None of it bounces.")))
    open_ends = [words.step(entry.kind, entry.side) for entry in entries if entry.status == EntryStatus.BEGUN]
    if open_ends:
        told = gettext("Begun, and not proved: %(steps)s.") % {"steps": ", ".join(open_ends)}
        known.append(Known("attention", told))
    return known


def _not_compared(account: Account) -> str:
    """Say where mail is while nothing is proved: who has worked on the new server may have mail there alone."""
    if account.arrives_first or account.return_asked_at is not None:
        return gettext("Both mailboxes were not compared yet. Each of them may have mail that the other has not.")
    return gettext("Both mailboxes were not compared yet. All mail is on the old server.")


def _owner_known(account: Account) -> Known:
    told = {
        Owner.SOURCE: Known("done", gettext("The switch was not begun: the mailbox is live on the old server.")),
        Owner.TARGET: Known("done", gettext("The switch is proved: the mailbox is live on the new server.")),
        Owner.UNKNOWN: Known(
            "attention", gettext("The switch was begun and is not proved: nobody knows which server is live.")
        ),
    }
    return told[Owner(account.owner)]


def _lock_known(account: Account, entries: list[JournalEntry]) -> Known:
    if account.locked_at is not None:
        return Known("attention", gettext("The user is locked out, on both servers."))
    begun = _last(entries, StepKind.DISABLE)
    if begun is not None and begun.status == EntryStatus.BEGUN:
        return Known("attention", gettext("Whether the user is locked out is not proved."))
    return Known("done", gettext("The user is not locked out by Mailferry."))


def _last(entries: list[JournalEntry], kind: StepKind) -> JournalEntry | None:
    return next((entry for entry in reversed(entries) if entry.kind == kind), None)


def _is_done(entries: list[JournalEntry], kind: StepKind) -> bool:
    return any(entry.kind == kind and entry.status == EntryStatus.DONE for entry in entries)


def _looked(account: Account, entries: list[JournalEntry]) -> list[Looked]:
    """Return what failed in this move, and what came of looking, the latest last."""
    rows = Event.objects.filter(account=account, name__startswith=_BEGINS, name__endswith=".failed")
    if entries:
        rows = rows.filter(at__gte=min(entry.begun_at for entry in entries))
    return [Looked(event.at, stories.story(event)) for event in reversed(rows.order_by("-pk")[:LOOKS])]


def _choices(account: Account) -> list[Choice]:
    is_source = account.owner == Owner.SOURCE
    back = "" if is_source else gettext("Not offered: it is not proved that the mailbox is live on the old server.")
    return [
        Choice(
            gettext("Look again, then finish"),
            gettext(
                "What was begun is looked at again; what is proved is not repeated. The user ends on the new server."
            ),
        ),
        Choice(
            gettext("Let the user back"),
            gettext("Everything is put back as it was. The user works on the old server, and mail is delivered there."),
            back,
        ),
        Choice(
            gettext("I have looked: old server"),
            gettext("Nothing is done any more: only after you have seen the user sign in on the old server yourself."),
        ),
        Choice(
            gettext("I have looked: new server"),
            gettext("Nothing is done any more: only after you have seen the user sign in on the new server yourself."),
        ),
    ]
