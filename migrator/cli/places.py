"""Where a mailbox of the command line is: a server and who signs in there, or a path of this machine."""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from migrator.stores import STORES, StoreKind


class Security(StrEnum):
    """How a connection is protected."""

    PLAIN = "plain"
    TLS = "tls"
    STARTTLS = "starttls"


class Scheme(NamedTuple):
    """What the first word of a server's URL says."""

    kind: str
    security: Security
    port: int


# Of kinds that are registered: a scheme without its store is no way to connect.
SCHEMES: Final = {
    "imap": Scheme("imap", Security.PLAIN, 143),
    "imaps": Scheme("imap", Security.TLS, 993),
    "imap+starttls": Scheme("imap", Security.STARTTLS, 143),
    "pop3": Scheme("pop3", Security.PLAIN, 110),
    "pop3s": Scheme("pop3", Security.TLS, 995),
    "pop3+starttls": Scheme("pop3", Security.STARTTLS, 110),
    "smtp": Scheme("smtp", Security.PLAIN, 25),
    "smtps": Scheme("smtp", Security.TLS, 465),
    "smtp+starttls": Scheme("smtp", Security.STARTTLS, 25),
    "lmtp": Scheme("lmtp", Security.PLAIN, 24),
}
_USUAL_PORTS: Final = {scheme.port for scheme in SCHEMES.values()}


_PLACE: Final = re.compile(r"\*|\{user\}|\{local\}|\{domain\}")
_HOME: Final = re.compile(r"~(\*|\{user\}|\{local\})(?=/)")


class BadUrl(ValueError):
    """A URL that cannot be used; the text is the sentence for the operator. It never repeats what may be a password."""


@dataclass(frozen=True, slots=True)
class ServerUrl:
    """A server, and who signs in there. ``user`` is None for a server alone; ``authzid`` None without admin access."""

    security: Security
    host: str
    port: int
    user: str | None = None
    authzid: str | None = None
    kind: str = "imap"

    @property
    def store(self) -> StoreKind:
        """What this kind of store can do."""
        return STORES[self.kind]

    @property
    def mailbox(self) -> str | None:
        """Whose mail is meant: the user that an administrator opens, else who signs in."""
        return self.authzid or self.user

    def identity_of(self, user: str) -> str:
        """A mailbox of this server as a ledger knows it, whichever way in is taken: ``imap://john%40a@host:143``."""
        return f"{self.kind}://{quote(user, safe='')}@{self.place}"

    @property
    def place(self) -> str:
        """``host:port``, the host in lower case and IPv6 in brackets."""
        host = self.host.casefold()
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    def is_same_server(self, other: Url) -> bool:
        """True for one host and port, or the usual ports of one host: 110, 143 and 993 are doors of one house."""
        if isinstance(other, FileUrl):
            return False
        same_door = self.port == other.port or {self.port, other.port} <= _USUAL_PORTS
        return self.host.casefold() == other.host.casefold() and same_door


def _at_home(path: str, names: Mapping[str, str]) -> str:
    """Return ``path`` with the home directory it begins with, if any, as this machine knows it. Raises ``BadUrl``."""
    found = _HOME.match(path)
    if found is None:
        return path
    try:
        home = pwd.getpwnam(names[found[1]]).pw_dir
    except (KeyError, ValueError, UnicodeError):
        raise BadUrl(f"This machine knows no user {names[found[1]]!r}, so {path} leads to no home directory.") from None
    return home + path[found.end() :]


@dataclass(frozen=True, slots=True)
class FileUrl:
    """Mail in a file or folder of this machine. In ``path`` of a list, ``*`` or ``{user}`` stands for the user's name,
    ``{local}`` and ``{domain}`` for its parts, and ``~{user}`` for the home directory of that user of this machine.
    """

    kind: str
    path: str
    variant: Mapping[str, Any] = field(default_factory=dict, compare=False)  # of an mbox: words of MboxSource

    @property
    def store(self) -> StoreKind:
        """What this kind of store can do."""
        return STORES[self.kind]

    @property
    def mailbox(self) -> str:
        """Whose mail is meant: the path names it."""
        return self.path

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return self.path

    def path_of(self, user: str) -> Path:
        """Return where the mail of ``user`` is. Raises ``BadUrl`` for a name that leads elsewhere."""
        local, _, domain = user.partition("@")
        names = {"*": user, "{user}": user, "{local}": local, "{domain}": domain}
        for name in (names[mark] for mark in names if mark in self.path):
            if name in ("", ".", "..") or "/" in name or "\0" in name:
                raise BadUrl(f"{user!r} cannot be the name of a file, so {self.kind}:{self.path} does not lead to it.")
        path = _PLACE.sub(lambda found: names[found[0]], _at_home(self.path, names))
        return Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links

    @property
    def is_pattern(self) -> bool:
        """True when the path is one of many, with the user's name in it."""
        return _PLACE.search(self.path) is not None

    @property
    def options(self) -> dict[str, Any]:
        """What the store must know: in ``mbox:/var/mail/*``, a user without a file has never got mail."""
        names_file = _PLACE.search(os.path.basename(self.path)) or self.path.startswith("~")  # noqa: PTH119
        known: dict[str, Any] = (
            {"may_be_missing": True} if self.kind == "mbox" and names_file and self.is_pattern else {}
        )
        return {**known, **self.variant}

    def identity_of(self, user: str) -> str:
        """A mailbox as a ledger knows it: ``mbox:/var/mail/john``."""
        return f"{self.kind}:{self.path_of(user)}"

    def is_same_server(self, other: Url) -> bool:
        """True for the same pattern of paths."""
        return self == other


Url = ServerUrl | FileUrl
