"""What an account list means for a campaign: each of its rows judged beside the accounts that are there already.

Reads only. A row is refused rather than guessed at; what is odd and yet clear is accepted with a remark. Whoever has
moved, or is on the way, stays as they are whatever a later list says.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, NamedTuple

from django.db.models import Model

from campaigns.bridge import places, vault
from campaigns.models import Account, AccountName, Campaign, Server
from campaigns.services import names
from campaigns.states import AccountState, Owner
from migrator import passwords
from migrator.errors import N_, MigratorError, Side
from migrator.rosters import tsv
from migrator.rosters.base import Needs, RosterRow, mailbox_key, named_lines
from migrator.secret import Secret

# What a column of a list may be. The first four have the titles of MoveAccounts lists unless others are named.
LOGINS_AND_PASSWORDS: Final = {
    "source_login": "name",
    "source_password": "password",
    "target_login": "newname",
    "target_password": "newpassword",
}
PERSONAL: Final = ("display_name", "phone", "department", "language", "notice_address")
FIELDS: Final = (*LOGINS_AND_PASSWORDS, *PERSONAL, "addresses", "is_vip", "source_server", "target_server")

# What makes another mailbox of an account: never while a worker is on its way to the one it was read with.
DETOURS: Final = frozenset({"source", "target", "target_login"})
# In these a list may still alter an account; in all others its user has moved, is on the way, or waits for a decision.
ALTERABLE: Final = (
    AccountState.NEW,
    AccountState.CHECKING,
    AccountState.STAGING,
    AccountState.READY,
    AccountState.FAILED,
    AccountState.EXCLUDED,
)

REMARKS: Final = {
    "list.unclear": N_("{sentence}"),
    "list.too_long": N_("The column {column} holds more than {most} characters."),
    "list.control": N_("The column {column} holds a control character."),
    "list.no_server": N_("There is no server of the name {name}."),
    "list.no_password": N_("There is no password for the {side}, and no administrator signs in there."),
    "list.not_yes_or_no": N_("The column {column} must say yes or no."),
    "list.no_language": N_("{text} is no language, as de or pt-BR is."),
    "list.no_address": N_("{text} is no mail address."),
    "list.one_source": N_("{lines} name one source mailbox, {login}."),
    "list.one_target": N_("{lines} lead to one target mailbox, {login}: their mail would be mixed."),
    "list.one_mailbox": N_("The source and the target are one mailbox, {login}."),
    "list.filled": N_("{lines}: {login} is filled by one row and copied by the other."),
    "list.target_taken": N_("The target mailbox {login} is that of {other} in the campaign {campaign}."),
    "list.copied": N_("Mail of this account was copied to {login}: it cannot lead elsewhere now."),
    "list.busy": N_("Somebody works on this account just now: its mailboxes cannot be changed."),
    "list.moved": N_("The user has moved, or is on the way: nothing is altered."),
    "list.wrong_kind": N_("{name} is of a kind that cannot be the {side}."),
    "list.no_file_name": N_("{name} cannot be the name of a file, so it does not lead to anybody's mail."),
    "list.hash": N_("The password for the {side} is a hash ({scheme}): it opens nothing."),
    "list.hash_perhaps": N_("The password for the {side} may be a hash ({scheme})."),
    "list.blank": N_("The password for the {side} begins or ends with a blank, and is taken so."),
}

_LONGEST: Final[dict[str, int]] = {
    name: Account._meta.get_field(name).max_length  # type: ignore[union-attr,misc]
    for name in ("source_login", "target_login", *PERSONAL)
}
_USUAL_PORTS: Final = (110, 143, 993, 995)
_YES: Final = frozenset({"yes", "y", "true", "1", "x", "vip"})
_NO: Final = frozenset({"", "no", "n", "false", "0"})
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*")
_ADDRESS: Final = re.compile(r"[^\s@,;<>]+@[^\s@,;<>]+")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


class NoSuchField(ValueError):
    """A column is mapped to what no account has."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How a list is read.

    ``columns``: which column holds what, by FIELDS; a field without a column stays as it is. The domains are appended
    to the logins that have none. ``shape``: what the list was found to be like, where somebody has looked at it.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    source_domain: str = ""
    target_domain: str = ""
    shape: tsv.Shape | None = None

    def __post_init__(self) -> None:
        unknown = sorted(set(self.columns) - set(FIELDS))
        if unknown:
            raise NoSuchField(f"No account has {', '.join(unknown)}: it may be one of {', '.join(FIELDS)}.")

    def layout(self) -> tsv.Layout:
        """Return what the reader of the list needs to know."""
        titles = {key: self.columns[name] for name, key in LOGINS_AND_PASSWORDS.items() if name in self.columns}
        also = dict.fromkeys(title for name, title in self.columns.items() if name not in LOGINS_AND_PASSWORDS)
        return tsv.Layout(titles, tuple(also), lacks_passwords=True, shape=self.shape)


class Fate(StrEnum):
    """What becomes of a row."""

    ADDED = "added"
    CHANGED = "changed"
    SAME = "same"
    LEFT_ALONE = "left_alone"
    REFUSED = "refused"


class Remark(NamedTuple):
    """Something to say about a row: a key of REMARKS and what stands in its sentence. Never a password."""

    code: str
    facts: Mapping[str, str]

    @property
    def sentence(self) -> str:
        return REMARKS[self.code].format(**self.facts)


@dataclass(slots=True, eq=False)
class Row:
    """One row, judged. ``account`` is the one that is there, or the one to be stored, not yet altered."""

    line: int
    source_login: str = ""
    target_login: str = ""
    fate: Fate = Fate.ADDED
    remarks: list[Remark] = field(default_factory=list)
    columns: dict[str, Any] = field(default_factory=dict)  # of the account, as the list wants them
    addresses: list[str] | None = None  # None: the list does not say
    secrets: dict[Side, Secret] = field(default_factory=dict)
    changes: list[str] = field(default_factory=list)  # columns, addresses and passwords that are to change
    account: Account | None = None

    def refuse(self, code: str, **facts: str) -> None:
        """Note why the row is not carried out."""
        self.fate = Fate.REFUSED
        self.remarks.append(Remark(code, facts))

    def warn(self, code: str, **facts: str) -> None:
        """Note what is odd."""
        self.remarks.append(Remark(code, facts))

    @property
    def source(self) -> Server:
        return self.columns["source"]  # type: ignore[no-any-return]

    @property
    def target(self) -> Server:
        return self.columns["target"]  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A whole list beside a campaign. ``gone``: accounts of the campaign that are not in the list."""

    rows: Sequence[Row]
    gone: Sequence[Account]
    ignored_columns: Sequence[str]

    def with_fate(self, fate: Fate) -> list[Row]:
        """Return the rows of one fate, by line."""
        return [row for row in self.rows if row.fate is fate]

    @property
    def figures(self) -> dict[str, int]:
        """How many rows have which fate, how many of them have a remark, and how many accounts are gone."""
        fates = Counter(row.fate.value for row in self.rows)
        warned = sum(bool(row.remarks) and row.fate not in (Fate.REFUSED, Fate.LEFT_ALONE) for row in self.rows)
        return {**{fate.value: fates[fate.value] for fate in Fate}, "warned": warned, "gone": len(self.gone)}


def compare(campaign: Campaign, path: Path, reading: Reading) -> Comparison:
    """Read a list and judge each row of it, for a campaign that may not be stored yet.

    Raises ``BadRoster`` for a list that cannot be read, ``OSError``.
    """
    roster = tsv.read(path, Needs(), reading.layout())
    there = {_source_key(account): account for account in _accounts(campaign)}
    judge = _Judge(campaign, there.values(), reading)
    rows = [judge.row(row) for row in roster.rows]
    _refuse_meetings(rows)
    _compare_with(there, rows)
    _refuse_taken(rows)
    named = {_row_key(row) for row in rows if row.source_login}
    unclear = [Row(line, fate=Fate.REFUSED, remarks=[_unclear(text)]) for line, text in roster.refusals]
    gone = [account for key, account in there.items() if key not in named]
    return Comparison(sorted([*rows, *unclear], key=lambda row: row.line), gone, roster.ignored_columns)


def _unclear(sentence: str) -> Remark:
    return Remark("list.unclear", {"sentence": sentence})


def _accounts(campaign: Campaign) -> Iterable[Account]:
    if campaign._state.adding:  # it is still being planned
        return ()
    return Account.objects.filter(campaign=campaign).select_related("source", "target").order_by("pk")


# One row for itself


class _Judge:
    """Judges rows, each for itself, with what all of them share."""

    def __init__(self, campaign: Campaign, there: Iterable[Account], reading: Reading) -> None:
        self._campaign = campaign
        self._reading = reading
        self._servers = {server.name.strip().casefold(): server for server in Server.objects.all()}
        self._there: dict[str, list[Account]] = defaultdict(list)
        for account in there:
            self._there[mailbox_key(account.source_login)].append(account)

    def row(self, given: RosterRow) -> Row:
        """Return the row, refused where it cannot be carried out by what itself says."""
        reading = self._reading
        source_login = _with_domain(given.source_user, reading.source_domain)
        # A row without a login of its own at the target has the one of the source, which may have its domain by now.
        target_login = _with_domain(given.target_user, reading.target_domain or reading.source_domain)
        row = Row(given.line, source_login, target_login)
        row.columns = {"source_login": source_login, "target_login": target_login}
        row.columns["source"] = self._server(row, given, "source")
        row.columns["target"] = self._server(row, given, "target")
        _take_passwords(row, given)
        if places.is_files(row.source) and not places.names_a_file(source_login):
            row.refuse("list.no_file_name", name=source_login)
        _take_personal(row, given, reading)
        _refuse_long(row)
        return row

    def _server(self, row: Row, given: RosterRow, side: str) -> Server:
        name = f"{side}_server"
        wanted = _text(given, name, self._reading)
        if wanted:
            found = self._servers.get(wanted.casefold())
            if found is None:
                row.refuse("list.no_server", name=wanted)
            elif not places.serves(found, side):
                row.refuse("list.wrong_kind", name=wanted, side=side)
            return found or getattr(self._campaign, side)
        known = self._there[mailbox_key(row.source_login)] if name not in self._reading.columns else []
        server: Server = getattr(known[0] if len(known) == 1 else self._campaign, side)
        return server


def _with_domain(login: str, domain: str) -> str:
    domain = domain.strip().removeprefix("@")
    return f"{login}@{domain}" if domain and "@" not in login else login


def _text(given: RosterRow, name: str, reading: Reading) -> str:
    title = reading.columns.get(name)
    return given.others[title].strip() if title else ""


def _take_passwords(row: Row, given: RosterRow) -> None:
    for side, server, secret in (
        (Side.SOURCE, row.source, given.source_password),
        (Side.TARGET, row.target, given.target_password),
    ):
        if secret is not None:
            row.secrets[side] = secret
            _remark_on(row, side, secret.reveal())
        elif places.signs_in(server) and not (server.admin_login and server.admin_secret):
            row.refuse("list.no_password", side=side.value)


def _remark_on(row: Row, side: Side, password: str) -> None:
    found = passwords.recognise(password)
    if found is not None:
        code = "list.hash" if found.is_certain else "list.hash_perhaps"
        row.warn(code, side=side.value, scheme=found.scheme.value)
    if password != password.strip():
        row.warn("list.blank", side=side.value)


def _take_personal(row: Row, given: RosterRow, reading: Reading) -> None:
    for name in (*PERSONAL, "addresses", "is_vip"):
        if name in reading.columns:
            text = _text(given, name, reading)
            if _CONTROL.search(text):
                row.refuse("list.control", column=reading.columns[name])
            _take(row, name, text, reading.columns[name])


def _take(row: Row, name: str, text: str, title: str) -> None:
    if name == "is_vip":
        if text.casefold() not in _YES | _NO:
            row.refuse("list.not_yes_or_no", column=title)
        row.columns[name] = text.casefold() in _YES
        return
    if name == "addresses":
        row.addresses = [part for part in re.split(r"[\s,;|]+", text) if part]
    elif name == "language" and text and not _LANGUAGE.fullmatch(text):
        row.refuse("list.no_language", text=text)
    addresses = [text] if name == "notice_address" and text else row.addresses if name == "addresses" else None
    for address in addresses or ():
        if not _ADDRESS.fullmatch(address):
            row.refuse("list.no_address", text=address)
    if name != "addresses":
        row.columns[name] = text


def _refuse_long(row: Row) -> None:
    for name, most in _LONGEST.items():
        if len(row.columns.get(name, "")) > most:
            row.refuse("list.too_long", column=name, most=str(most))
    if any(len(address) > names.LONGEST for address in row.addresses or ()):
        row.refuse("list.too_long", column="addresses", most=str(names.LONGEST))


# Rows beside one another


class _Mailbox(NamedTuple):
    server: str
    login: str


def _mailbox(server: Server, login: str) -> _Mailbox:
    return _Mailbox(_place(server), mailbox_key(login))


def _place(server: Server) -> str:
    """Return what two rows of one mail server have in common: its host. Behind other ports are other servers."""
    if places.is_files(server):
        return server.path
    host = server.host.casefold()
    return host if server.port in _USUAL_PORTS else f"{host}:{server.port}"


def _row_key(row: Row) -> _Mailbox:
    return _mailbox(row.source, row.source_login)


def _source_key(account: Account) -> _Mailbox:
    return _mailbox(account.source, account.source_login)


def _refuse_meetings(rows: Sequence[Row]) -> None:
    """Refuse rows that name one mailbox twice: each would find the other's mail."""
    sources, targets = defaultdict(list), defaultdict(list)
    for row in rows:
        sources[_row_key(row)].append(row)
        targets[_mailbox(row.target, row.target_login)].append(row)
    for group in sources.values():
        _refuse_group(group, "list.one_source", group[0].source_login)
    for group in targets.values():
        _refuse_group(group, "list.one_target", group[0].target_login)
    for key, fillers in targets.items():
        for copied in sources.get(key, ()):
            _refuse_loop(copied, fillers)


def _refuse_group(group: Sequence[Row], code: str, login: str) -> None:
    if len(group) > 1:
        lines = named_lines(_numbered(group))
        for row in group:
            row.refuse(code, lines=lines, login=login)


def _refuse_loop(copied: Row, fillers: Sequence[Row]) -> None:
    if any(row is copied for row in fillers):
        copied.refuse("list.one_mailbox", login=copied.source_login)
        return
    group = [*fillers, copied]
    for row in group:
        row.refuse("list.filled", lines=named_lines(_numbered(group)), login=copied.source_login)


def _numbered(rows: Sequence[Row]) -> Iterator[RosterRow]:
    return (RosterRow(row.line, "", "", None, None) for row in rows)


# Rows beside the accounts that are there


def _compare_with(there: Mapping[_Mailbox, Account], rows: Sequence[Row]) -> None:
    met = [(row, there[_row_key(row)]) for row in rows if _row_key(row) in there]
    addresses = _addresses_of([account for _, account in met])
    for row, account in met:
        row.account = account
        if account.state not in ALTERABLE or account.owner != Owner.SOURCE:
            if row.fate is not Fate.REFUSED:
                row.fate, row.remarks = Fate.LEFT_ALONE, [Remark("list.moved", {})]
            continue
        row.changes = _changes(row, account, addresses.get(account.pk, set()))
        _refuse_detour(row, account)
        if row.fate is not Fate.REFUSED:
            row.fate = Fate.CHANGED if row.changes else Fate.SAME


def _addresses_of(accounts: Sequence[Account]) -> dict[int, set[str]]:
    found: dict[int, set[str]] = defaultdict(set)
    wanted = {account.pk for account in accounts}
    if accounts:
        campaign = accounts[0].campaign_id
        rows = AccountName.objects.filter(account__campaign=campaign, kind=names.ADDRESS)
        for account_id, value in rows.values_list("account_id", "value"):
            if account_id in wanted:
                found[account_id].add(value)
    return found


def _changes(row: Row, account: Account, addresses: set[str]) -> list[str]:
    # A login in other capitals is the same login, and stays as it is.
    for name in ("source_login", "target_login"):
        if mailbox_key(row.columns[name]) == mailbox_key(getattr(account, name)):
            row.columns[name] = getattr(account, name)
    changes = [name for name, value in row.columns.items() if getattr(account, name) != value]
    if row.addresses is not None and {names.normalised(names.ADDRESS, one) for one in row.addresses} != addresses:
        changes.append("addresses")
    changes += [f"{side}_password" for side, secret in row.secrets.items() if _is_other(account, side, secret)]
    return changes


def _is_other(account: Model, side: Side, secret: Secret) -> bool:
    try:
        present = vault.unseal(account, f"{side}_secret")
    except MigratorError:
        return True  # what cannot be opened is replaced
    return present is None or present.reveal() != secret.reveal()


def _refuse_detour(row: Row, account: Account) -> None:
    """Refuse another mailbox for an account whose mail has been copied, or is just now."""
    if not DETOURS & set(row.changes):
        return
    if account.ledger_target:
        row.refuse("list.copied", login=account.target_login)
    elif account.lease_until is not None:
        row.refuse("list.busy")


def _refuse_taken(rows: Sequence[Row]) -> None:
    """Refuse target mailboxes that are those of other accounts, in whatever campaign."""
    places = {_place(row.target) for row in rows}
    servers = {server.pk: server for server in Server.objects.all() if _place(server) in places}
    wanted = defaultdict(list)
    for row in rows:
        if row.fate in (Fate.ADDED, Fate.CHANGED):
            wanted[_mailbox(row.target, row.target_login)].append(row)
    columns = ("pk", "target_id", "target_login", "source_login", "campaign__name")
    for pk, server, login, other, campaign in Account.objects.filter(target__in=servers).values_list(*columns):
        for row in wanted.get(_mailbox(servers[server], login), ()):
            if row.account is None or row.account.pk != pk:
                row.refuse("list.target_taken", login=login, other=other, campaign=campaign)
