"""The folders of tried accounts as a page shows them: a tree, what becomes of each folder, and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from django.utils.translation import gettext

from campaigns.models import Account, Campaign
from campaigns.selectors import stories, words
from campaigns.services.folder_trials import FolderTrial
from campaigns.states import Family
from migrator.mail import Folder
from migrator.transfer.folders import FolderPair

SUGGESTED: Final = 3
DEEPEST: Final = 6  # shown apart; deeper ones stand below each other
_WANTED: Final = frozenset(("skipped", "not_subscribed", "virtual", "listed_twice"))
_HARMLESS: Final = frozenset(("special_use", "guessed_prefix", "rule", "parent"))


@dataclass(frozen=True, slots=True)
class Branch:
    """One folder: where it stands in the tree, and what becomes of it."""

    above: str  # the names of the folders around it
    name: str
    depth: int
    messages: int | None
    family: Family
    becomes: str  # its name on the new server, "" when it is left out
    fate: str
    why: str


@dataclass(frozen=True, slots=True)
class Tree:
    """What was found of one account."""

    account: Account
    branches: Sequence[Branch]
    sentence: str
    files: str
    cause: str = ""
    cure: str = ""
    reply: str = ""


def suggested(campaign: Campaign) -> list[str]:
    """Return some accounts to try options on: those that were listed first."""
    rows = Account.objects.filter(campaign=campaign).order_by("pk")
    return list(rows.values_list("source_login", flat=True)[:SUGGESTED])


def named(campaign: Campaign, logins: Sequence[str]) -> tuple[list[Account], list[str]]:
    """Return the accounts of these names at the old server, in order, and the names of nobody."""
    rows = Account.objects.filter(campaign=campaign, source_login__in=logins)
    found = {row.source_login: row for row in rows.select_related("campaign", "batch", "source", "target")}
    return [found[one] for one in logins if one in found], [one for one in logins if one not in found]


def trees(trials: Iterable[FolderTrial]) -> list[Tree]:
    """Word what was found."""
    return [_tree(trial) for trial in trials]


def _tree(trial: FolderTrial) -> Tree:
    error = trial.error
    if error is not None:
        side = error.side.value if error.side else ""
        told = (words.cause(error.code, side), words.cure(error.code, side), error.reply)
        return Tree(trial.account, (), gettext("Nothing could be listed."), "", *told)
    found = [(pair.source, _copied(pair)) for pair in trial.pairs]
    found += [(folder, _left(folder, reason)) for folder, reason in trial.left_out]
    branches = [branch for _, branch in sorted(found, key=lambda each: _order(each[0]))]
    return Tree(trial.account, branches, _sentence(trial), ", ".join(trial.files))


def _order(folder: Folder) -> tuple[bool, tuple[str, ...]]:
    segments = folder.path.segments
    return (segments[0].upper() != "INBOX", tuple(part.casefold() for part in segments))


def _copied(pair: FolderPair) -> Branch:
    if pair.exists:
        fate, family = gettext("is there already"), Family.DONE
    else:
        fate, family = gettext("will be made"), Family.WAITING
    if pair.renamed and pair.renamed not in _HARMLESS:
        family = Family.ATTENTION
    why = stories.folder_reason(pair.renamed) if pair.renamed else ""
    return _branch(pair.source, family, words.folder(pair.target.display), fate, why)


def _left(folder: Folder, reason: str) -> Branch:
    is_missed = bool(folder.messages) and reason not in _WANTED
    family = Family.FAILED if is_missed else Family.WAITING
    why = stories.folder_reason(reason)
    return _branch(folder, family, "", gettext("is left out"), why)


def _branch(folder: Folder, family: Family, becomes: str, fate: str, why: str) -> Branch:
    *above, name = (words.folder(part) for part in folder.path.segments)
    depth = min(len(above), DEEPEST)
    return Branch("".join(f"{part} / " for part in above), name, depth, folder.messages, family, becomes, fate, why)


def _sentence(trial: FolderTrial) -> str:
    messages = sum(pair.source.messages or 0 for pair in trial.pairs)
    facts = {"found": f"{len(trial.pairs) + len(trial.left_out):,}", "copied": f"{len(trial.pairs):,}"}
    facts["messages"] = f"{messages:,}"
    return gettext("%(found)s folders found, %(copied)s of them with %(messages)s messages are copied.") % facts
