"""An account on an IMAP server that mail is read from: EXAMINE and PEEK only, so that nothing changes there."""

from __future__ import annotations

import re
from collections.abc import Sequence

from migrator.errors import Side
from migrator.limits import Limits
from migrator.mail import FolderPath, Grant
from migrator.stores import imap_acl
from migrator.stores.base import Trouble
from migrator.stores.imap_reader import ImapReader
from migrator.stores.imap_session import Endpoint
from migrator.stores.manners import home_of


class ImapSource(ImapReader):
    """The ``SourceStore`` of IMAP."""

    def __init__(self, endpoint: Endpoint, limits: Limits | None = None) -> None:
        super().__init__(endpoint, limits or Limits(), Side.SOURCE)

    def grants(self, paths: Sequence[FolderPath]) -> list[Sequence[Grant] | Trouble]:
        """Ask what others may do in these folders, in one send."""
        if not paths:
            return []
        name = self._endpoint.authzid or self._endpoint.username
        # anna*admin and anna%admin are Dovecot's and Cyrus' ways for an administrator to be anna
        owners = {name.casefold(), re.split(r"[*%]", name.casefold())[0]}
        if home := home_of(self._root):
            owners = {home.owner.casefold(), home.owner.casefold().partition("@")[0]}
        with self._exclusive() as session:
            return imap_acl.read(session, paths, frozenset(owners))
