"""The options of copying, of a campaign and of single accounts: checked, written down with who changed what, and kept.

They count from the next pass on: a pass that runs goes on as it began. What tells the ledgers of accounts apart (the
prefix on the new server) stays once mail was copied.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import date
from hashlib import sha256
from typing import Any, Final

from django.db import transaction

from campaigns.bridge import copying
from campaigns.bridge.copying import USER, CopyOptions
from campaigns.models import Account, Campaign, Event
from campaigns.services import folder_rules
from campaigns.services.campaigns import require_open
from campaigns.services.events import Actor, record
from campaigns.services.refusals import Refused
from migrator.stores.manners import home_of
from migrator.transfer.plan import DuplicatePolicy, LabelPolicy
from migrator.transfer.repairs import SHORTEST_LIMIT, Repair

OF_CAMPAIGN: Final = "campaign.copying.changed"
OF_ACCOUNT: Final = "account.copying.changed"
MEANWHILE: Final = "copying.meanwhile"
ROLES: Final = ("all", "archive", "drafts", "flagged", "junk", "sent", "trash")
REPAIRS: Final = tuple(repair.value for repair in Repair if repair is not Repair.POP_NAME)  # that one is no repair
MOST_CHARACTERS: Final = 500
MOST_NAMES: Final = 200
MOST_IDENTIFIERS: Final = 5000
MOST_SECONDS: Final = 86_400
MOST_DAYS: Final = 99_999
MOST_BYTES: Final = 10**15
_COLUMN: Final = "copies_deleted"  # a campaign's own, beside copy_options


def set_for_campaign(campaign_id: int, wanted: CopyOptions, *, actor: Actor, seen: str = "") -> list[str]:
    """Set all options of a campaign; return the names of those that changed. Raises ``Refused``, with the field.

    ``seen``: the ``mark`` of the options that the actor was shown; whoever saw others does not undo what they changed.
    """
    require_sound(wanted)
    with transaction.atomic():
        require_open(campaign_id)
        campaign = Campaign.objects.select_for_update(no_key=True).get(pk=campaign_id)
        before = copying.of_campaign(campaign)
        _require_seen(before, seen)
        changed = _changed(before, wanted)
        if "target_prefix" in changed:
            _require_nothing_copied(Account.objects.filter(campaign=campaign))
        stored = wanted.as_stored(copying.USUAL_OPTIONS)
        stored.pop(_COLUMN, None)
        Campaign.objects.filter(pk=campaign_id).update(copy_options=stored, copies_deleted=wanted.copies_deleted)
        if changed:
            _tell(OF_CAMPAIGN, before, wanted, changed, actor, campaign_id=campaign_id)
    return changed


def set_for_account(account_id: int, wanted: CopyOptions, *, actor: Actor, seen: str = "") -> list[str]:
    """Set all options of one account; those that differ from its campaign's become its exceptions.

    ``seen`` is as for a campaign. Returns the names of those that changed. Raises ``Refused``, with the field.
    """
    require_sound(wanted)
    with transaction.atomic():
        rows = Account.objects.select_for_update(no_key=True, of=("self",)).select_related("campaign")
        account = rows.get(pk=account_id)
        require_open(account.campaign_id)
        before = copying.of_account(account)
        _require_seen(before, seen)
        changed = _changed(before, wanted)
        if "target_prefix" in changed:
            _require_nothing_copied(Account.objects.filter(pk=account_id))
        stored = wanted.as_stored(copying.of_campaign(account.campaign))
        Account.objects.filter(pk=account_id).update(copy_options=stored)
        if changed:
            ids = {"campaign_id": account.campaign_id, "batch_id": account.batch_id, "account_id": account_id}
            _tell(OF_ACCOUNT, before, wanted, changed, actor, **ids)
    return changed


def mark(options: CopyOptions) -> str:
    """Return what tells these options from any others: a page that shows them brings it back."""
    return sha256(json.dumps(asdict(options), sort_keys=True).encode()).hexdigest()[:16]


def _require_seen(now: CopyOptions, seen: str) -> None:
    if seen and seen != mark(now):
        raise Refused(MEANWHILE)


def _changed(before: CopyOptions, wanted: CopyOptions) -> list[str]:
    return sorted(name for name in copying.NAMES if getattr(before, name) != getattr(wanted, name))


def _tell(
    name: str, before: CopyOptions, wanted: CopyOptions, changed: Iterable[str], actor: Actor, **ids: int
) -> None:
    """Write down who changed what from what to what, and the how-manieth set of options this is."""
    told = {"account": ids["account_id"]} if "account_id" in ids else {"campaign": ids["campaign_id"]}
    version = Event.objects.filter(name=name, **told).count() + 1
    was = {one: _told(getattr(before, one)) for one in changed}
    now = {one: _told(getattr(wanted, one)) for one in changed}
    record(name, actor=actor, **ids, version=version, fields=list(changed), was=was, now=now)


def _told(value: object) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _require_nothing_copied(accounts: Any) -> None:
    """A prefix on the new server is a part of the ledger's name for a mailbox. Rows are held against a fresh lease."""
    rows = accounts.order_by("pk").select_for_update(no_key=True).values_list("ledger_source", "lease_until")
    if any(bound or leased for bound, leased in rows.iterator()):
        raise Refused("copying.copied", "target_prefix")


def require_sound(options: CopyOptions) -> None:
    """Raise ``Refused``, with the field, for options that cannot be meant."""
    for name in ("list_pattern", "source_prefix", "target_prefix"):
        _require_text(getattr(options, name), name)
    for name in ("source_prefix", "target_prefix"):
        if home_of(getattr(options, name).replace(USER, "user")) is not None:
            raise Refused("copying.home", name)
    if "{" in options.target_prefix.replace(USER, "") or "{" in options.source_prefix:
        raise Refused("copying.braces", "source_prefix" if "{" in options.source_prefix else "target_prefix")
    if len(options.skip_folders) > MOST_NAMES:
        raise Refused("copying.many", "skip_folders")
    for folder in options.skip_folders:
        _require_text(folder, "skip_folders")
    _require_renamings(options.renamings or {})
    _require_known(options.skip_roles, ROLES, "skip_roles")
    _require_known([options.gmail_labels], [policy.value for policy in LabelPolicy], "gmail_labels")
    _require_known([options.duplicates], [policy.value for policy in DuplicatePolicy], "duplicates")
    _require_messages(options)
    for name in ("repairs", "repairs_ahead"):
        _require_known(getattr(options, name), REPAIRS, name)
    _require_number(options.long_line_bytes, SHORTEST_LIMIT, 998, "long_line_bytes")
    _require_number(options.timeout_seconds, 1, MOST_SECONDS, "timeout_seconds")
    if options.timeout_seconds and options.is_slow:
        raise Refused("copying.two_patiences", "timeout_seconds")
    _require_identifiers(options.identifiers)


def _require_renamings(renamings: Mapping[str, str]) -> None:
    if len(renamings) > MOST_NAMES:
        raise Refused("copying.many", "renamings")
    for old, new in renamings.items():
        _require_text(f"{old}{new}", "renamings")
        try:
            folder_rules.require_new_name(old, new)
        except Refused as refused:
            raise Refused(refused.code, "renamings") from None


def _require_messages(options: CopyOptions) -> None:
    for name in ("since", "before"):
        _require_day(getattr(options, name), name)
    if options.since and options.before and options.since >= options.before:
        raise Refused("copying.days", "before")
    _require_number(options.min_bytes, 0, MOST_BYTES, "min_bytes")
    _require_number(options.max_bytes, 1, MOST_BYTES, "max_bytes")
    if options.max_bytes is not None and options.min_bytes > options.max_bytes:
        raise Refused("copying.sizes", "max_bytes")
    _require_number(options.newest_days, 1, MOST_DAYS, "newest_days")


def _require_text(text: str, field: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Refused("copying.text", field) from None
    if len(text) > MOST_CHARACTERS or any(not mark.isprintable() for mark in text):
        raise Refused("copying.text", field)


def _require_known(given: Iterable[str], known: Iterable[str], field: str) -> None:
    if set(given) - set(known):
        raise Refused("copying.unknown", field)


def _require_number(value: int | None, least: int, most: int, field: str) -> None:
    if value is not None and not least <= value <= most:
        raise Refused("copying.number", field)


def _require_day(text: str, field: str) -> None:
    try:
        if text and date.fromisoformat(text).isoformat() != text:
            raise ValueError
    except ValueError:
        raise Refused("copying.day", field) from None


def _require_identifiers(identifiers: Mapping[str, str] | None) -> None:
    if len(identifiers or {}) > MOST_IDENTIFIERS:
        raise Refused("copying.many", "identifiers")
    for old, new in (identifiers or {}).items():
        _require_text(f"{old}{new}", "identifiers")
        if not old:
            raise Refused("copying.text", "identifiers")
