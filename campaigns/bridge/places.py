"""What a server's row stands for when it is not IMAP: POP3, files of this machine, or where mail is only delivered.

Who types in a browser reads no file with that. Folders of mail are allowed by the setting MAILFERRY_MAIL_FOLDERS, which
only the host's administrator sets; a row says where below one of them each person's mail is, ``*`` for their name. What
is opened is looked up at that moment: a link may lead on only before the person's own part of the path, where no
person makes links, and never out of the allowed folder.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from django.conf import settings

from campaigns.models import Server
from migrator.errors import MigratorError, Side
from migrator.limits import Limits
from migrator.stores import STORES, Address, StoreKind, load
from migrator.stores.endpoint import Endpoint
from migrator.stores.file_access import refusal

IMAP: Final = "imap"
ANY: Final = "*"  # in a path: the person's name


def kind_of(server: Server) -> StoreKind:
    """Return what the kind of ``server`` can do."""
    return STORES[server.kind]


def signs_in(server: Server) -> bool:
    """True where somebody signs in to open a mailbox."""
    return kind_of(server).address is Address.SIGN_IN


def is_files(server: Server) -> bool:
    """True where mail is in files of this machine."""
    return kind_of(server).address is Address.FILE


def is_read(server: Server) -> bool:
    """True where what was stored can be looked at; by SMTP and LMTP mail is handed over for good."""
    return kind_of(server).address is not Address.RECIPIENT


def serves(server: Server, side: Side | str) -> bool:
    """True when mail can be read from (``source``) or brought to (``target``) such a server."""
    return getattr(kind_of(server), str(side)) is not None


def shown(server: Server) -> str:
    """Return where a server is, for people."""
    return server.path if is_files(server) else f"{server.host}:{server.port}"


def identity(server: Server, quoted: str) -> str:
    """Return how the ledger calls a mailbox; ``quoted`` is the name as it stands in a URL."""
    if is_files(server):
        return f"{server.kind}:{server.path.replace(ANY, quoted)}"
    return f"{server.kind}://{quoted}@{server.host.casefold()}"


def open_files(server: Server, side: Side, user: str, limits: Limits) -> Any:
    """Return the mailbox of ``user`` in files, not yet opened. Raises ``MigratorError``."""
    # in mbox:/var/mail/*, who has no file has never got mail
    has_own_file = server.kind == "mbox" and ANY in os.path.basename(server.path)  # noqa: PTH119
    options = {"may_be_missing": True} if has_own_file else {}
    return load(str(getattr(kind_of(server), side)))(path_of(server, user), limits, **options)


def open_line(server: Server, side: Side, endpoint: Endpoint, user: str, limits: Limits) -> Any:
    """Return the mailbox of ``user`` at a server, not yet connected."""
    recipient = {} if signs_in(server) else {"recipient": user}
    return load(str(getattr(kind_of(server), side)))(endpoint, limits, **recipient)


def path_of(server: Server, user: str) -> Path:
    """Return where the mail of ``user`` really is. Raises ``MigratorError``: file.not_allowed, file.escapes."""
    if not names_a_file(user):
        raise MigratorError("address.bad", side=Side.SOURCE)
    above, parts = _above(server), Path(server.path).parts
    own = above.joinpath(*(part.replace(ANY, user) for part in parts[_level(parts) :]))
    if Path(os.path.realpath(own)) != own:
        raise MigratorError("file.escapes", side=Side.SOURCE, reply=str(own))
    return own


def _above(server: Server) -> Path:
    """Return the folder, with links followed, below which each person has a part. Raises ``MigratorError``."""
    parts = Path(server.path).parts
    if ANY not in server.path or not is_allowed(server.path):
        raise MigratorError("file.not_allowed", side=Side.SOURCE, reply=server.path)
    above = Path(os.path.realpath(Path(*parts[: _level(parts)])))
    if not _is_below(above, _real(settings.MAIL_FOLDERS)):
        raise MigratorError("file.not_allowed", side=Side.SOURCE, reply=str(above))
    return above


def _level(parts: Sequence[str]) -> int:
    return next(level for level, part in enumerate(parts) if ANY in part)


def require_readable(server: Server) -> None:
    """Raise ``MigratorError`` when the folder that holds everybody's mail cannot be read: file.*."""
    above = _above(server)
    try:
        is_readable = stat.S_ISDIR(above.stat().st_mode) and os.access(above, os.X_OK)
    except OSError as error:
        raise refusal(error, above) from None
    if not is_readable:
        raise MigratorError("file.no_permission", side=Side.SOURCE, reply=str(above))


def names_a_file(user: str) -> bool:
    """True for a name of a person that stays in one folder when it stands in a path."""
    return user not in ("", ".", "..") and "/" not in user and "\0" not in user


def is_allowed(path: str) -> bool:
    """True when a path, as it is written, is one of the allowed folders or below one."""
    named = Path(path)
    return named.is_absolute() and ".." not in named.parts and _is_below(named, settings.MAIL_FOLDERS)


def _real(folders: Sequence[Path]) -> list[Path]:
    return [Path(os.path.realpath(folder)) for folder in folders]


def _is_below(path: Path, folders: Sequence[Path]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)
