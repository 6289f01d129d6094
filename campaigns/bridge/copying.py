"""How mail is copied, beyond the usual: what a campaign says, what an account says otherwise, what the engine takes.

Rows keep only what differs: a campaign from the usual, an account from its campaign. What is stored here was checked by
``services.copy_options``; what cannot apply to a kind of server (a list pattern to files, a repair to mail that is
delivered) is left out when the engine is told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime
from typing import Any, Final

from campaigns.bridge import places
from campaigns.models import Account, AccountName, Campaign, Server
from migrator.limits import Limits
from migrator.rosters.base import mailbox_key
from migrator.stores.manners import USUAL, Manners
from migrator.transfer.folders import FolderRules, Renaming
from migrator.transfer.plan import ALL_MESSAGES, CopyPolicy, DuplicatePolicy, LabelPolicy, MessageFilter
from migrator.transfer.repairs import LONGEST_LINE, Repair

USER: Final = "{user}"  # in the prefix of the new server: the person's name there
SLOW_SECONDS: Final = 3600.0
SLOW_CONNECT_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True)
class CopyOptions:
    """All options of one copy. The defaults are the usual."""

    list_pattern: str = ""
    source_prefix: str = ""
    target_prefix: str = ""
    skip_folders: tuple[str, ...] = ()
    skip_roles: tuple[str, ...] = ()  # sent, trash ...
    renamings: Mapping[str, str] | None = None  # folder -> its name on the new server, levels apart by /
    only_subscribed: bool = False
    no_subscription: bool = False
    fetch_rfc822: bool = False
    by_one: bool = False
    copies_deleted: bool = False  # of a campaign a column of its own
    since: str = ""  # YYYY-MM-DD, in UTC
    before: str = ""
    min_bytes: int = 0
    max_bytes: int | None = None
    newest_days: int | None = None
    gmail_labels: str = LabelPolicy.FOLDERS.value
    duplicates: str = DuplicatePolicy.KEEP.value
    repairs: tuple[str, ...] = ()
    repairs_ahead: tuple[str, ...] = ()
    long_line_bytes: int | None = None
    no_acl: bool = False
    identifiers: Mapping[str, str] | None = None  # who is called how on the new server; empty: nobody there
    copies_notes: bool = False  # what is noted on folders (METADATA), and roles of folders that are there
    copies_classes: bool = False  # classes of folders, by CommuniGate's command line
    copies_scripts: bool = False  # Sieve scripts, by ManageSieve
    keeps_pop_names: bool = False  # messages of INBOX tell by which names POP3 programs know them
    same_person: bool = False
    timeout_seconds: int | None = None
    is_slow: bool = False

    def as_stored(self, usual: CopyOptions) -> dict[str, Any]:
        """Return what differs from ``usual``, as rows keep it."""
        pairs = ((one.name, getattr(self, one.name), getattr(usual, one.name)) for one in fields(self))
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value, before in pairs if value != before
        }


USUAL_OPTIONS: Final = CopyOptions()
NAMES: Final = tuple(one.name for one in fields(CopyOptions))


def of_campaign(campaign: Campaign) -> CopyOptions:
    """Return the options of a campaign."""
    return _with(CopyOptions(copies_deleted=campaign.copies_deleted), campaign.copy_options)


def of_account(account: Account) -> CopyOptions:
    """Return the options of an account: its campaign's, but for its exceptions."""
    return with_exceptions(of_campaign(account.campaign), account)


def with_exceptions(options: CopyOptions, account: Account) -> CopyOptions:
    """Return ``options`` as the account has them, if they were its campaign's."""
    return _with(options, account.copy_options)


def _with(options: CopyOptions, stored: Mapping[str, Any]) -> CopyOptions:
    known = {name: value for name, value in stored.items() if name in NAMES}
    given: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in known.items()}
    return replace(options, **given)


# For the engine


def manners(account: Account, options: CopyOptions) -> Manners:
    """Return how the old server is asked."""
    if account.source.kind != places.IMAP:
        return USUAL
    return Manners(
        list_pattern=options.list_pattern,
        list_root=options.source_prefix,
        fetches_rfc822=options.fetch_rfc822,
        reads_one_by_one=options.by_one,
        labels_as_keywords=options.gmail_labels == LabelPolicy.KEYWORDS,
    )


def limits(usual: Limits, options: CopyOptions) -> Limits:
    """Return how patient the engine is."""
    if options.is_slow:
        return replace(usual, connect_seconds=SLOW_CONNECT_SECONDS, io_seconds=SLOW_SECONDS)
    if options.timeout_seconds:
        connect = min(usual.connect_seconds, options.timeout_seconds)
        return replace(usual, connect_seconds=connect, io_seconds=options.timeout_seconds)
    return usual


def target_prefix(account: Account, options: CopyOptions) -> str:
    """Return what stands before all names on the new server; another prefix is another mailbox for the ledger."""
    if not places.is_read(account.target):
        return ""
    return options.target_prefix.replace(USER, account.target_login)


def rules(account: Account, options: CopyOptions, single: FolderRules) -> FolderRules:
    """Return what becomes of folders; ``single``: the rules of single folders of the account, which win."""
    own = {renaming.folder for renaming in single.renamings} | single.skip_exactly
    usual = (Renaming(old, new) for old, new in sorted((options.renamings or {}).items()) if old not in own)
    return replace(
        single,
        renamings=(*single.renamings, *usual),
        strip_prefix=options.source_prefix if account.source.kind == places.IMAP else "",
        add_prefix=target_prefix(account, options),
        skip=options.skip_folders,
        skip_roles=frozenset(f"\\{role.capitalize()}" for role in options.skip_roles),
        only_subscribed=options.only_subscribed,
        subscribe=not options.no_subscription,
    )


def wanted(options: CopyOptions) -> MessageFilter:
    """Return which messages are copied."""
    chosen = MessageFilter(_instant(options.since), _instant(options.before), options.min_bytes, options.max_bytes)
    return ALL_MESSAGES if chosen == ALL_MESSAGES else chosen


def policy(account: Account, options: CopyOptions, base: CopyPolicy) -> CopyPolicy:
    """Return ``base`` with what the options say."""
    mends = places.is_read(account.target)  # what is delivered goes as it is, each message
    ahead = {*options.repairs_ahead, *([Repair.LONG_LINES] if options.long_line_bytes else [])} if mends else ()
    return replace(
        base,
        copy_deleted=options.copies_deleted,
        name_of=None if options.no_acl else name_of(account, options),
        kin=None if options.same_person else base.kin,
        wanted=wanted(options),
        labels=LabelPolicy(options.gmail_labels),
        duplicates=DuplicatePolicy(options.duplicates) if mends else DuplicatePolicy.KEEP,
        newest_days=options.newest_days,
        copies_notes=options.copies_notes and both_by_imap(account.source, account.target),
        repairs=frozenset(map(Repair, options.repairs if mends else ())),
        repairs_ahead=frozenset(map(Repair, ahead)),
        longest_line=options.long_line_bytes or LONGEST_LINE,
    )


def copies_classes(account: Account, options: CopyOptions) -> bool:
    """True where classes of folders go, too, and both servers are spoken to by IMAP."""
    return options.copies_classes and both_by_imap(account.source, account.target)


def copies_scripts(account: Account, options: CopyOptions) -> bool:
    """True where Sieve scripts go, too, and somebody signs in on both sides."""
    return options.copies_scripts and both_sign_in(account.source, account.target)


def keeps_pop_names(account: Account, options: CopyOptions) -> bool:
    """True where messages are to tell by which names POP3 programs know them, on the same ground."""
    return options.keeps_pop_names and both_sign_in(account.source, account.target)


def both_sign_in(source: Server, target: Server) -> bool:
    """True where a mailbox is opened by signing in, on both sides."""
    return places.signs_in(source) and places.signs_in(target)


def both_by_imap(source: Server, target: Server) -> bool:
    """True where both servers are spoken to by IMAP."""
    return source.kind == target.kind == places.IMAP


def name_of(account: Account, options: CopyOptions) -> Callable[[str], str | None]:
    """Return what tells how others of the old server are called on the new one, None for nobody there.

    Who is in the map is called so; who moves in the campaign is called as its list says; somebody else keeps the name,
    with the new domain where nothing but the domain of this account changes, unless that is somebody else's name there.
    """
    mapped = {mailbox_key(old): new for old, new in (options.identifiers or {}).items()}

    def found(name: str) -> str | None:
        key = mailbox_key(name)
        if key in mapped:
            return mapped[key] or None
        moving = _moving(account, key)
        for old, new in moving:
            if mailbox_key(old) == key:
                return new
        kept = _with_new_domain(account, name)
        return None if any(mailbox_key(new) == mailbox_key(kept) for _, new in _moving(account, kept)) else kept

    return found


def _moving(account: Account, name: str) -> list[tuple[str, str]]:
    rows = AccountName.objects.filter(kind="login", value=mailbox_key(name), account__campaign=account.campaign_id)
    return list(rows.values_list("account__source_login", "account__target_login")[:20])


def _with_new_domain(account: Account, name: str) -> str:
    old_local, _, old_domain = account.source_login.rpartition("@")
    new_local, _, new_domain = account.target_login.rpartition("@")
    local, _, domain = name.rpartition("@")
    is_only_domain = old_local and mailbox_key(old_local) == mailbox_key(new_local)
    return f"{local}@{new_domain}" if local and is_only_domain and domain.casefold() == old_domain.casefold() else name


def _instant(day: str) -> int | None:
    if not day:
        return None
    at = date.fromisoformat(day)
    return int(datetime(at.year, at.month, at.day, tzinfo=UTC).timestamp())
