"""What an operator wants of single folders of one account: left out, or under another name on the target.

A rule names the folder as people see it, levels apart by ``/``. It counts from the next pass on, so after a failure it
is the rule first and the retry then. Messages of a folder that is left out are counted as left behind.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Final

from django.db import transaction

from campaigns.models import Account, LedgerFolder
from campaigns.services.events import Actor, record
from campaigns.services.refusals import Refused
from migrator.mail import FolderPath
from migrator.transfer.folders import FolderRules, Renaming

MOST_CHARACTERS: Final = 1000  # of a name: no server has longer ones
_SEPARATORS: Final = (None, "/", ".", "\\")  # the ledger keeps names without theirs


class Action(StrEnum):
    """What becomes of the folder."""

    SKIP = "skip"  # it is left out; folders inside it are not
    RENAME = "rename"  # it has another name on the target, and the folders inside it go with it


def set_rule(account_id: int, folder: str, action: Action | str, *, actor: Actor, name: str = "") -> None:
    """Set the rule of one folder, in place of the one it had. ``name`` is the target's, for a renaming.

    Raises ``Refused``: a name that is none, INBOX as the other name, a folder that is on the target already.
    """
    action, name = Action(action), name.strip()
    _require_name(folder, "folder_rule.folder")
    rule = {"action": action.value}
    if action is Action.RENAME:
        require_new_name(folder, name)
        _require_not_copied(account_id, folder)
        rule["name"] = name
    with transaction.atomic():
        account = (
            Account.objects.select_for_update(no_key=True).only("campaign", "batch", "folder_rules").get(pk=account_id)
        )
        _store(account, {**account.folder_rules, folder: rule})
        _tell(account, "account.folder_rule.set", actor, folder=folder, action=action.value, target=name)


def clear_rule(account_id: int, folder: str, *, actor: Actor) -> None:
    """Take the rule of one folder away. Raises ``Refused`` where it has none."""
    with transaction.atomic():
        account = (
            Account.objects.select_for_update(no_key=True).only("campaign", "batch", "folder_rules").get(pk=account_id)
        )
        if folder not in account.folder_rules:
            raise Refused("folder_rule.none")
        _store(account, {key: rule for key, rule in account.folder_rules.items() if key != folder})
        _tell(account, "account.folder_rule.cleared", actor, folder=folder)


def rules_of(account: Account) -> FolderRules:
    """Return the rules of an account as the engine takes them."""
    rules = account.folder_rules
    return FolderRules(
        skip_exactly=frozenset(folder for folder, rule in rules.items() if rule["action"] == Action.SKIP),
        renamings=tuple(
            Renaming(folder, rule["name"]) for folder, rule in sorted(rules.items()) if rule["action"] == Action.RENAME
        ),
    )


def _require_name(name: str, code: str) -> None:
    # PostgreSQL keeps no NUL, and neither it nor SQLite a half of a surrogate pair.
    if not name.strip() or len(name) > MOST_CHARACTERS or "\0" in name or not _is_utf8(name):
        raise Refused(code)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def require_new_name(folder: str, name: str) -> None:
    """Raise ``Refused`` for a name that ``folder`` cannot have on the target."""
    _require_name(name, "folder_rule.name")
    if not all(level.strip() for level in name.split("/")):
        raise Refused("folder_rule.name")
    if name.upper() == "INBOX":
        raise Refused("folder_rule.inbox")
    if name == folder:
        raise Refused("folder_rule.same_name")


def _require_not_copied(account_id: int, folder: str) -> None:
    """A folder that a pass has begun to copy keeps its place, whatever a rule says."""
    raw_names: Iterable[bytes | memoryview] = LedgerFolder.objects.filter(account=account_id).values_list(
        "source", flat=True
    )
    if any(FolderPath(bytes(raw), mark).display == folder for raw in raw_names for mark in _SEPARATORS):
        raise Refused("folder_rule.copied")


def _store(account: Account, rules: dict[str, dict[str, str]]) -> None:
    Account.objects.filter(pk=account.pk).update(folder_rules=rules)


def _tell(account: Account, name: str, actor: Actor, **facts: Any) -> None:
    ids = {"campaign_id": account.campaign_id, "batch_id": account.batch_id, "account_id": account.pk}
    record(name, actor=actor, **ids, **facts)
