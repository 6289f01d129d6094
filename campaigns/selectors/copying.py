"""Options of copying as pages tell of them: what differs from the usual, who changed what, which accounts differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import QuerySet
from django.utils.functional import Promise
from django.utils.translation import gettext, gettext_lazy

from campaigns.bridge import copying
from campaigns.models import Account, Campaign, Event
from campaigns.services import copy_options

LABELS: Final[dict[str, str | Promise]] = {
    "list_pattern": gettext_lazy("list pattern"),
    "source_prefix": gettext_lazy("only below, on the old server"),
    "target_prefix": gettext_lazy("put before all names"),
    "skip_folders": gettext_lazy("folders left out"),
    "skip_roles": gettext_lazy("kinds of folders left out"),
    "renamings": gettext_lazy("other names of folders"),
    "only_subscribed": gettext_lazy("only subscribed folders"),
    "no_subscription": gettext_lazy("no subscriptions"),
    "fetch_rfc822": gettext_lazy("the oldest way to ask"),
    "by_one": gettext_lazy("one message at a time"),
    "copies_deleted": gettext_lazy("messages marked as deleted"),
    "since": gettext_lazy("arrived since"),
    "before": gettext_lazy("arrived before"),
    "min_bytes": gettext_lazy("smallest size"),
    "max_bytes": gettext_lazy("biggest size"),
    "newest_days": gettext_lazy("recent mail first"),
    "gmail_labels": gettext_lazy("labels of Gmail"),
    "duplicates": gettext_lazy("equal messages"),
    "repairs": gettext_lazy("mended once refused"),
    "repairs_ahead": gettext_lazy("mended ahead"),
    "long_line_bytes": gettext_lazy("long lines encoded ahead"),
    "no_acl": gettext_lazy("folders opened to nobody else"),
    "identifiers": gettext_lazy("names of others"),
    "copies_notes": gettext_lazy("what is noted on folders"),
    "copies_classes": gettext_lazy("classes of folders"),
    "copies_scripts": gettext_lazy("Sieve scripts"),
    "keeps_pop_names": gettext_lazy("names for programs that read by POP3"),
    "same_person": gettext_lazy("not asked whose mail it is"),
    "timeout_seconds": gettext_lazy("patience"),
    "is_slow": gettext_lazy("an hour for each answer"),
}
MOST_ACCOUNTS: Final = 50
MOST_VERSIONS: Final = 20
MOST_TOLD: Final = 12  # of a list of names; a map may hold thousands


@dataclass(frozen=True, slots=True)
class Change:
    """One option that was changed: what it is, and was."""

    label: str
    was: str
    now: str


@dataclass(frozen=True, slots=True)
class Version:
    """One set of options: who made it when, and what changed with it."""

    number: int
    at: datetime
    actor: str
    changes: Sequence[Change]


@dataclass(frozen=True, slots=True)
class AccountLine:
    """An account with exceptions, and which."""

    id: int
    login: str
    told: str


def history(of: Campaign | Account) -> list[Version]:
    """Return the sets of options there were, the latest first."""
    is_account = isinstance(of, Account)
    place = {"account": of} if is_account else {"campaign": of, "account": None}
    name = copy_options.OF_ACCOUNT if is_account else copy_options.OF_CAMPAIGN
    rows = Event.objects.filter(name=name, **place).order_by("-pk")[:MOST_VERSIONS]
    return [Version(int(row.data.get("version", 0)), row.at, row.actor_name, _changes(row.data)) for row in rows]


def exceptions(account: Account) -> list[Change]:
    """Return what an account does otherwise than its campaign."""
    usual, own = copying.of_campaign(account.campaign), copying.of_account(account)
    pairs = ((name, getattr(usual, name), getattr(own, name)) for name in copying.NAMES)
    return [Change(str(LABELS[name]), told(was), told(now)) for name, was, now in pairs if was != now]


def accounts_with_exceptions(campaign: Campaign) -> list[AccountLine]:
    """Return the accounts of a campaign that do something otherwise, the first of them."""
    found = _with_exceptions(campaign).order_by("source_login").values_list("pk", "source_login", "copy_options")
    return [AccountLine(pk, login, _labels(stored)) for pk, login, stored in found[:MOST_ACCOUNTS]]


def more_with_exceptions(campaign: Campaign) -> int:
    """Return how many accounts beyond those do something otherwise."""
    return max(0, _with_exceptions(campaign).count() - MOST_ACCOUNTS)


def _with_exceptions(campaign: Campaign) -> QuerySet[Account]:
    return Account.objects.filter(campaign=campaign).exclude(copy_options={})


def _labels(names: Iterable[str]) -> str:
    return ", ".join(str(LABELS[name]) for name in names if name in LABELS)


def changed_fields(data: Mapping[str, Any]) -> str:
    """Return which options an event says were changed."""
    return _labels(data.get("fields", ()))


def told(value: object) -> str:
    """Return a value of an option as people read it."""
    if value is None or value in ("", [], ()):
        return gettext("nothing")
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    if isinstance(value, Mapping):
        return _listed([f"{old} = {new}".rstrip() for old, new in value.items()])
    if isinstance(value, list | tuple):
        return _listed([*map(str, value)])
    return f"{value:,}" if isinstance(value, int) else str(value)


def _listed(parts: Sequence[str]) -> str:
    first, more = ", ".join(parts[:MOST_TOLD]), len(parts) - MOST_TOLD
    return gettext("%(first)s and %(n)s more") % {"first": first, "n": f"{more:,}"} if more > 0 else first


def _changes(data: Mapping[str, Any]) -> list[Change]:
    was, now = data.get("was", {}), data.get("now", {})
    names = [name for name in data.get("fields", ()) if name in LABELS]
    return [Change(str(LABELS[name]), told(was.get(name)), told(now.get(name))) for name in names]
