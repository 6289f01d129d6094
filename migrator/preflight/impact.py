"""What mail programs will notice: the two servers compared as a program sees them that is told nothing but a name.

Not what is moved, but what stands in people's set-ups and caches: names, ports, encryption, ways to sign in, how
folders are separated and called, and whether what a program has stored of the mailbox is valid any more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Final, Self

from migrator.errors import N_, Side
from migrator.limits import Limits
from migrator.preflight import ports
from migrator.preflight.ports import Port
from migrator.preflight.probe import PATIENCE
from migrator.stores import imap_listing
from migrator.stores.endpoint import Endpoint
from migrator.stores.imap_session import ImapSession

ROLES: Final = ("\\Sent", "\\Drafts", "\\Trash", "\\Junk", "\\Archive")
_INBOX: Final = b"INBOX"


@dataclass(frozen=True, slots=True)
class Facade:
    """One server as a mail program sees it, through one mailbox."""

    host: str
    port: int
    security: str
    login: str
    ways: tuple[str, ...] = ()  # to sign in, once the line is as the program is set up for it
    abilities: tuple[str, ...] = ()  # that programs use where they are there
    separator: str = ""
    prefix: str = ""
    roles: Mapping[str, str] = field(default_factory=dict)  # special folders by role
    uidvalidity: int | None = None  # of the inbox
    services: Mapping[str, str] = field(default_factory=dict)  # that answer, by name: what they greet with


class Weight(StrEnum):
    """What a difference means for whoever has a mail program."""

    SETTINGS = "settings"  # somebody must change them
    RELOAD = "reload"  # the program does it by itself, and takes its time
    LOOKS = "looks"  # folders are called or placed otherwise
    LACKS = "lacks"  # something is there no more


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference. ``code`` is one of SENTENCES; ``old`` and ``new`` are shown beside each other."""

    code: str
    old: str
    new: str

    @property
    def weight(self) -> Weight:
        """What it means."""
        return SENTENCES[self.code][0]

    @property
    def sentence(self) -> str:
        """What will be noticed (a message id)."""
        return SENTENCES[self.code][1]

    def as_json(self) -> dict[str, Any]:
        """Return it for storing."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Return what ``as_json`` made."""
        return cls(**stored)


SENTENCES: Final[Mapping[str, tuple[Weight, str]]] = {
    "host": (Weight.SETTINGS, N_("Mail programs must be told another server name, unless the old name leads there.")),
    "port": (Weight.SETTINGS, N_("Mail programs must be told another port.")),
    "security": (Weight.SETTINGS, N_("Mail programs must be told another encryption.")),
    "login": (Weight.SETTINGS, N_("People sign in with another user name.")),
    "ways": (
        Weight.SETTINGS,
        N_("Programs that sign in in a way which the new server does not offer must be set to another one."),
    ),
    "service": (
        Weight.SETTINGS,
        N_("Answers at the old server and not at the new one: whoever uses it is cut off, or needs other settings."),
    ),
    "prefix": (
        Weight.SETTINGS,
        N_("Folders stand below another prefix. Programs in which one is typed in must be told the new one."),
    ),
    "separator": (
        Weight.LOOKS,
        N_("Levels of folders are separated otherwise. Programs see it by themselves; rules with folders may not."),
    ),
    "role": (
        Weight.LOOKS,
        N_("This special folder has another name. Programs that do not ask for it make a second one beside it."),
    ),
    "uidvalidity": (
        Weight.RELOAD,
        N_("What programs have stored is not valid any more: they fetch all mail anew. Count on a heavy first day."),
    ),
    "ability": (Weight.LACKS, N_("The new server cannot do this. Programs that use it do without, or more slowly.")),
}
# What programs notice when it is gone.
_ABILITIES: Final = tuple("IDLE CONDSTORE QRESYNC MOVE SPECIAL-USE QUOTA ACL METADATA SORT NOTIFY".split())


def facade(endpoint: Endpoint, doors: Sequence[Port] = (), limits: Limits = PATIENCE) -> Facade:
    """Look at a server through the mailbox that ``endpoint`` opens; ``doors`` are those people may use.

    Changes nothing. Raises ``MigratorError`` when the mailbox cannot be opened.
    """
    with closing(ImapSession(endpoint, Side.SOURCE, limits, signs_in=False)) as session:
        before = session.capabilities
    with closing(ImapSession(endpoint, Side.SOURCE, limits)) as session:
        listing = imap_listing.list_account(session)
        abilities = tuple(name for name in _ABILITIES if session.has(name))
    prefix, separator = listing.prefix()
    folders = listing.folders()
    inbox = next((one for one in folders if one.path.raw.upper() == _INBOX), None)
    with ThreadPoolExecutor(max(1, len(doors))) as pool:
        greetings = list(pool.map(lambda door: ports.greeting(door, limits), doors))
    places = {one.special_use: one.path.display for one in folders if one.special_use in ROLES}
    return Facade(
        host=endpoint.host,
        port=endpoint.port,
        security=endpoint.security,
        login=endpoint.mailbox,
        ways=tuple(sorted(_ways(before))),
        abilities=abilities,
        separator=separator or "",
        prefix=prefix,
        roles={role: _below(name, prefix, separator) for role, name in places.items()},
        uidvalidity=inbox.uidvalidity if inbox else None,
        services={door.service.value: seen.words for door, seen in zip(doors, greetings, strict=True) if seen.words},
    )


def _below(name: str, prefix: str, separator: str | None) -> str:
    """Return a folder's name without the prefix of all of them, which is told for itself."""
    levels = [level for level in prefix.split(separator or "\0") if level]
    return name.removeprefix("".join(f"{level}/" for level in levels))


def _ways(capabilities: frozenset[str]) -> Iterator[str]:
    yield from (name for name in capabilities if name.startswith("AUTH="))
    if "LOGINDISABLED" not in capabilities:
        yield "LOGIN"


def differences(old: Facade, new: Facade) -> list[Difference]:
    """Return what programs will notice, what people must change first."""
    found = [*_settings(old, new), *_mailbox(old, new), *_abilities(old, new)]
    order = list(Weight)
    return sorted(found, key=lambda one: order.index(one.weight))


def _settings(old: Facade, new: Facade) -> Iterator[Difference]:
    for code in ("host", "port", "security", "login"):
        before, after = str(getattr(old, code)), str(getattr(new, code))
        if before != after:
            yield Difference(code, before, after)
    if missing := [way for way in old.ways if way not in new.ways]:
        yield Difference("ways", " ".join(missing), " ".join(new.ways))
    for service in old.services:
        if service not in new.services:
            yield Difference("service", service, "")


def _mailbox(old: Facade, new: Facade) -> Iterator[Difference]:
    if old.prefix != new.prefix:
        yield Difference("prefix", old.prefix, new.prefix)
    if old.separator != new.separator:
        yield Difference("separator", old.separator, new.separator)
    for role in ROLES:
        before, after = old.roles.get(role, ""), new.roles.get(role, "")
        if before != after and before and after:
            yield Difference("role", before, after)
    if old.uidvalidity != new.uidvalidity:
        yield Difference("uidvalidity", str(old.uidvalidity or ""), str(new.uidvalidity or ""))


def _abilities(old: Facade, new: Facade) -> Iterator[Difference]:
    for name in old.abilities:
        if name not in new.abilities:
            yield Difference("ability", name, "")
