"""The two servers as the command line names them: URL, trust, and who signs in with which password."""

from __future__ import annotations

import argparse
import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from migrator.cli.prompts import NoPassword, ask_password, is_readable_by_others, read_password
from migrator.cli.terminal import Terminal, printable
from migrator.cli.urls import BadUrl, Security, ServerUrl, parse_mailbox, parse_server
from migrator.errors import Side
from migrator.rosters import tsv
from migrator.rosters.base import BadRoster, Needs, Roster
from migrator.secret import Secret
from migrator.stores import imap_session
from migrator.stores.imap_session import Endpoint

T = TypeVar("T")
_SECURITY: Final[dict[Security, imap_session.Security]] = {
    Security.PLAIN: "plain",
    Security.STARTTLS: "starttls",
    Security.TLS: "tls",
}


class BadInput(ValueError):
    """What the operator gave cannot be used; the text is the sentence that says why. Nothing was started."""


@dataclass(frozen=True, slots=True)
class Door:
    """One server, and how its mailboxes are opened."""

    side: Side
    url: ServerUrl
    ca_file: str | None
    accepts_any_certificate: bool
    administrator: tuple[str, Secret] | None = None  # signs in for every user

    def endpoint(self, user: str, password: Secret | None) -> Endpoint:
        """Return how to sign in to the mailbox of ``user``; ``password`` is None where an administrator does."""
        name, secret = self.administrator or (user, password or Secret(""))
        return Endpoint(
            host=self.url.host,
            port=self.url.port,
            security=_SECURITY[self.url.security],
            username=name,
            password=secret,
            authzid=user if self.administrator else None,
            verify=not self.accepts_any_certificate,
            ca_file=self.ca_file,
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
    _warn_of_clear_lines(doors, terminal)
    opened = [_with_password(door, options, terminal) for door in doors]
    return Pair(opened[0][0], opened[1][0], opened[0][1], opened[1][1])


def servers(options: argparse.Namespace, terminal: Terminal) -> tuple[Door, Door]:
    """Return the two servers of ``move-accounts``; asks for administrators' passwords. Raises ``BadInput``."""
    urls = [_url(options, side, parse_server) for side in Side]
    for side in Side:
        if _of(options, side, "password_file") and not _of(options, side, "admin"):
            raise BadInput(f"--{side}-password-file is for --{side}-admin; the users' passwords stand in the list.")
    doors = [_door(options, side, url) for side, url in zip(Side, urls, strict=True)]
    _warn_of_clear_lines(doors, terminal)
    return _with_administrator(doors[0], options, terminal), _with_administrator(doors[1], options, terminal)


def roster(options: argparse.Namespace, source: ServerUrl, target: ServerUrl, terminal: Terminal) -> Roster:
    """Return the list of ``move-accounts`` with all refusals. Raises ``BadInput`` when it cannot be read as a whole."""
    needs = Needs(not options.source_admin, not options.target_admin)
    try:
        found = tsv.read(options.file, needs).checked(same_server=source.is_same_server(target))
        if any(needs):
            _warn_of_readers(options.file, terminal)
    except BadRoster as refusal:
        raise BadInput(f"{options.file}: {refusal}") from None
    except OSError as error:
        raise BadInput(f"{options.file} cannot be read: {error.strerror}.") from None
    if found.ignored_columns:
        terminal.say(printable(f"Columns of the list that are ignored: {', '.join(found.ignored_columns)}."))
    return found


def _of(options: argparse.Namespace, side: Side, name: str) -> str | Path | None:
    value: str | Path | None = getattr(options, f"{side}_{name}", None)
    return value


def _url(options: argparse.Namespace, side: Side, parse: Callable[[str], ServerUrl]) -> ServerUrl:
    try:
        return parse(getattr(options, side))
    except BadUrl as refusal:
        raise BadInput(f"{side.upper()}: {refusal}") from None


def _door(options: argparse.Namespace, side: Side, url: ServerUrl) -> Door:
    ca_file = _of(options, side, "ca_file")
    any_certificate = bool(_of(options, side, "accept_any_certificate"))
    door = Door(side, url, str(ca_file) if ca_file else None, any_certificate)
    try:
        door.endpoint("", None).context()
    except OSError as error:  # ssl.SSLError too: the file holds no certificate
        raise BadInput(f"{ca_file} holds no certificates that can be read: {error.strerror or error}.") from None
    return door


def _with_password(door: Door, options: argparse.Namespace, terminal: Terminal) -> tuple[Door, Secret | None]:
    password = _password(door, door.url.user or "", options, terminal)
    if door.url.authzid is None:
        return door, password
    return _administered(door, door.url.user or "", password), None


def _with_administrator(door: Door, options: argparse.Namespace, terminal: Terminal) -> Door:
    admin = str(_of(options, door.side, "admin") or "")
    if not admin:
        return door
    if not admin.isprintable():  # what is not UTF-8 on the command line is not printable either
        raise BadInput(f"The name after --{door.side}-admin holds characters that no name has.")
    return _administered(door, admin, _password(door, admin, options, terminal))


def _administered(door: Door, name: str, password: Secret) -> Door:
    return Door(door.side, door.url, door.ca_file, door.accepts_any_certificate, (name, password))


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


def _warn_of_clear_lines(doors: list[Door], terminal: Terminal) -> None:
    for door in doors:
        if door.url.security is Security.PLAIN and not _is_this_machine(door.url.host):
            terminal.say(f"Warning: imap:// is not encrypted; whoever sits on the way to the {door.side} can read all.")


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.casefold() == "localhost"
