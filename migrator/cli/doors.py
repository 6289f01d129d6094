"""The two servers as the command line names them: URL, trust, and who signs in with which password."""

from __future__ import annotations

import argparse
import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from migrator.cli import mbox_options, ways_in, wishes
from migrator.cli.places import BadUrl, FileUrl, Security, ServerUrl, Url
from migrator.cli.prompts import NoPassword, ask_password, is_readable_by_others, read_password
from migrator.cli.terminal import Terminal, printable
from migrator.cli.urls import parse_mailbox, parse_server
from migrator.cli.ways_in import BadWayIn, WayIn
from migrator.errors import Side
from migrator.limits import Limits
from migrator.rosters import reading, sharing, tsv
from migrator.rosters.base import BadRoster, Needs, Refusal, Roster
from migrator.rosters.tsv import Layout
from migrator.secret import Secret
from migrator.stores import STORES, Address, imap_session, load
from migrator.stores.imap_access import AUTHZID
from migrator.stores.imap_session import Endpoint
from migrator.stores.manners import USUAL, Manners, home_of

_SECURITY: Final[dict[Security, imap_session.Security]] = {
    Security.PLAIN: "plain",
    Security.STARTTLS: "starttls",
    Security.TLS: "tls",
}


class BadInput(ValueError):
    """What the operator gave cannot be used; the text is the sentence that says why. Nothing was started."""


@dataclass(frozen=True, slots=True)
class Door:
    """One server, and how its mailboxes are opened; or a place in this machine's files, which needs no key."""

    side: Side
    url: Url
    ca_file: str | None
    accepts_any_certificate: bool
    administrator: tuple[str, Secret] | None = None  # signs in for every user
    manners: Manners = USUAL  # how the server is asked, {user} standing for a name
    way_in: WayIn = ways_in.USUAL

    @property
    def signs_in(self) -> bool:
        """True where somebody must sign in."""
        return self.url.store.address is Address.SIGN_IN

    @property
    def needs_password(self) -> bool:
        """True where somebody must sign in and has no token."""
        return self.signs_in and self.way_in.tokens is None

    def open(self, user: str, password: Secret | None, limits: Limits) -> Callable[[], Any]:
        """Return what makes the store of ``user``'s mailbox for this side; nothing is opened yet."""
        place = getattr(self.url.store, self.side)
        if isinstance(self.url, FileUrl):
            return partial(load(place), self.url.path_of(user), limits, **self.url.options)
        endpoint = self.endpoint(self.url, user, password)
        if self.signs_in:
            return partial(load(place), endpoint, limits)
        return partial(load(place), endpoint, limits, recipient=user)

    def endpoint(self, url: ServerUrl, user: str, password: Secret | None) -> Endpoint:
        """Return how to sign in to the mailbox of ``user``; ``password`` is None where an administrator does."""
        name, secret = self.administrator or (user if self.signs_in else "", password or Secret(""))
        manners = wishes.for_user(self.manners, user)
        opens_by_name = home_of(manners.list_root) is not None  # then the administrator stays who they are
        return Endpoint(
            host=url.host,
            port=url.port,
            security=_SECURITY[url.security],
            username=name,
            password=secret,
            authzid=user if self.administrator and not opens_by_name else None,
            verify=not self.accepts_any_certificate,
            ca_file=self.ca_file,
            manners=manners,
            fingerprint=self.way_in.fingerprint,
            access=self.way_in.access,
            tokens=self.way_in.tokens,
            product=self.way_in.product,
            compresses=self.way_in.compresses,
        )


@dataclass(frozen=True, slots=True)
class Pair:
    """One mailbox on each side, with the passwords of their users where no administrator signs in."""

    source: Door
    target: Door
    source_password: Secret | None
    target_password: Secret | None


def mailboxes(options: argparse.Namespace, terminal: Terminal) -> Pair:
    """Return the two mailboxes of ``copy``; asks for passwords. Raises ``BadInput``."""
    source, target = (_url(options, side, parse_mailbox) for side in Side)
    if source.is_same_server(target) and (source.mailbox or "").casefold() == (target.mailbox or "").casefold():
        raise BadInput("SOURCE and TARGET are one and the same mailbox.")
    doors = [_door(options, side, url) for side, url in ((Side.SOURCE, source), (Side.TARGET, target))]
    _require_sense(options, doors[0])
    _warn_of_clear_lines(doors, terminal)
    opened = [_with_password(door, options, terminal) for door in doors]
    return Pair(opened[0][0], opened[1][0], opened[0][1], opened[1][1])


def mailbox(options: argparse.Namespace, terminal: Terminal) -> tuple[Door, Secret | None]:
    """Return the mailbox of ``folders``, with the password of its user; asks for it. Raises ``BadInput``."""
    door = _door(options, Side.SOURCE, _url(options, Side.SOURCE, parse_mailbox))
    _require_sense(options, door)
    _warn_of_clear_lines([door], terminal)
    return _with_password(door, options, terminal)


def one(options: argparse.Namespace, side: Side, terminal: Terminal, *, is_server: bool) -> tuple[Door, Secret | None]:
    """Return a single side, and its user's password: a mailbox, or a server where an administrator opens them all.

    Raises ``BadInput``.
    """
    door = _door(options, side, _url(options, side, parse_server if is_server else parse_mailbox))
    _warn_of_clear_lines([door], terminal)
    return (
        (_with_administrator(door, options, terminal), None) if is_server else _with_password(door, options, terminal)
    )


def servers(options: argparse.Namespace, terminal: Terminal) -> tuple[Door, Door]:
    """Return the two servers of ``move-accounts``; asks for administrators' passwords. Raises ``BadInput``."""
    doors = [_door(options, side, _url(options, side, parse_server)) for side in Side]
    for door in doors:
        if door.signs_in and _of(options, door.side, "password_file") and not _of(options, door.side, "admin"):
            raise BadInput(
                f"--{door.side}-password-file is for --{door.side}-admin; the users' passwords stand in the list."
            )
    _require_sense(options, doors[0])
    _warn_of_clear_lines(doors, terminal)
    return _with_administrator(doors[0], options, terminal), _with_administrator(doors[1], options, terminal)


def roster(options: argparse.Namespace, source: Door, target: Door, terminal: Terminal) -> Roster:
    """Return the list of ``move-accounts`` with all refusals. Raises ``BadInput`` when it cannot be read as a whole."""
    needs = Needs(*(door.needs_password and not door.administrator for door in (source, target)))
    try:
        found = tsv.read(options.file, needs, Layout(may_have=(*sharing.COLUMNS, reading.COLUMN)))
        found = reading.checked(sharing.checked(found, same_server=source.url.is_same_server(target.url)))
        found = _without_pathless(found, source, target)
        if any(needs):
            _warn_of_readers(options.file, terminal)
    except BadRoster as refusal:
        raise BadInput(f"{options.file}: {refusal}") from None
    except OSError as error:
        raise BadInput(f"{options.file} cannot be read: {error.strerror}.") from None
    if found.ignored_columns:
        terminal.say(printable(f"Columns of the list that are ignored: {', '.join(found.ignored_columns)}."))
    return found


def _without_pathless(roster: Roster, source: Door, target: Door) -> Roster:
    """Refuse rows whose user cannot be the name of a file where files are named after users."""
    refusals = {}
    for row in roster.rows:
        for door, user in ((source, row.source_user), (target, row.target_user)):
            try:
                door.url.identity_of(user)
            except BadUrl as refusal:
                refusals[row.line] = Refusal(row.line, str(refusal))
    rows = [row for row in roster.rows if row.line not in refusals]
    return replace(roster, rows=rows, refusals=sorted([*roster.refusals, *refusals.values()]))


def _of(options: argparse.Namespace, side: Side, name: str) -> str | Path | None:
    value: str | Path | None = getattr(options, f"{side}_{name}", None)
    return value


def _url(options: argparse.Namespace, side: Side, parse: Callable[[str, Side], Url]) -> Url:
    try:
        url = parse(getattr(options, side), side)
    except BadUrl as refusal:
        raise BadInput(f"{side.upper()}: {refusal}") from None
    variant, words = mbox_options.variant(options) if side is Side.SOURCE else ({}, [])
    if not variant:
        return url
    if not isinstance(url, FileUrl) or url.kind != "mbox":
        raise BadInput(f"{words[0]} is for a source of mail files: mbox:PATH.")
    return replace(url, variant=variant)


def _door(options: argparse.Namespace, side: Side, url: Url) -> Door:
    ca_file = _of(options, side, "ca_file")
    any_certificate = bool(_of(options, side, "accept_any_certificate"))
    manners = wishes.manners(options, side) if url.store is STORES["imap"] else USUAL
    door = Door(side, url, str(ca_file) if ca_file else None, any_certificate, manners=manners)
    _refuse_needless(door, options)
    door = replace(door, way_in=_way_in(options, door))
    try:
        if isinstance(url, ServerUrl):
            door.endpoint(url, "", None).context()
    except OSError as error:  # ssl.SSLError too: the file holds no certificate
        raise BadInput(f"{ca_file} holds no certificates that can be read: {error.strerror or error}.") from None
    return door


def _way_in(options: argparse.Namespace, door: Door) -> WayIn:
    try:
        found = ways_in.way_in(options, door.side)
    except BadWayIn as refusal:
        raise BadInput(str(refusal)) from None
    except OSError as error:
        raise BadInput(f"{_of(options, door.side, 'token_file')} cannot be read: {error.strerror}.") from None
    is_administered = bool(_of(options, door.side, "admin")) or (
        isinstance(door.url, ServerUrl) and door.url.authzid is not None
    )
    if found.access != AUTHZID and not is_administered:
        raise BadInput(
            f"--{door.side}-access is for administrators: ADMIN;authzid=USER in the URL, or --{door.side}-admin."
        )
    if found.tokens is not None and (is_administered or door.url.store is not STORES["imap"]):
        raise BadInput(f"--{door.side}-token-file opens IMAP mailboxes by their own names, without an administrator.")
    return found


def _require_sense(options: argparse.Namespace, source: Door) -> None:
    try:
        wishes.require_sense(options, source_lists=source.url.store is STORES["imap"])
    except wishes.BadWish as refusal:
        raise BadInput(str(refusal)) from None


def _refuse_needless(door: Door, options: argparse.Namespace) -> None:
    """A key for a place where nobody signs in is a mistake about the place, not about the key."""
    for name in ("password_file", "admin"):
        if not door.signs_in and _of(options, door.side, name):
            raise BadInput(f"--{door.side}-{name.replace('_', '-')}: nobody signs in to {door.url.store.label}.")


def _with_password(door: Door, options: argparse.Namespace, terminal: Terminal) -> tuple[Door, Secret | None]:
    if not door.needs_password or isinstance(door.url, FileUrl):
        _warn_of_key_readers(door, options, terminal)
        return door, None
    password = _password(door, door.url.user or "", options, terminal)
    if door.url.authzid is None:
        return door, password
    return _administered(door, door.url.user or "", password), None


def _with_administrator(door: Door, options: argparse.Namespace, terminal: Terminal) -> Door:
    admin = str(_of(options, door.side, "admin") or "")
    if not admin:
        _warn_of_key_readers(door, options, terminal)
        return door
    if not admin.isprintable():  # what is not UTF-8 on the command line is not printable either
        raise BadInput(f"The name after --{door.side}-admin holds characters that no name has.")
    return _administered(door, admin, _password(door, admin, options, terminal))


def _administered(door: Door, name: str, password: Secret) -> Door:
    return replace(door, administrator=(name, password))


def _password(door: Door, name: str, options: argparse.Namespace, terminal: Terminal) -> Secret:
    file = _of(options, door.side, "password_file")
    try:
        if file is None:
            return ask_password(printable(f"Password of {name} at the {door.side} {door.url.place}: "))
        password = read_password(Path(file))
        _warn_of_readers(Path(file), terminal)
    except NoPassword as refusal:
        raise BadInput(str(refusal)) from None
    except OSError as error:
        raise BadInput(f"{file} cannot be read: {error.strerror}.") from None
    return password


def _warn_of_readers(file: Path, terminal: Terminal) -> None:
    if is_readable_by_others(file):
        terminal.say(printable(f"Warning: others on this machine can read the passwords in {file}: chmod 600 {file}"))


def _warn_of_key_readers(door: Door, options: argparse.Namespace, terminal: Terminal) -> None:
    if file := _of(options, door.side, "token_file"):
        _warn_of_readers(Path(file), terminal)


def _warn_of_clear_lines(doors: list[Door], terminal: Terminal) -> None:
    for door in doors:
        url = door.url
        if isinstance(url, ServerUrl) and url.security is Security.PLAIN and not _is_this_machine(url.host):
            way = f"Warning: {url.kind}:// is not encrypted"
            terminal.say(f"{way}; whoever sits on the way to the {door.side} can read all.")


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.casefold() == "localhost"
