"""An account on an IMAP server that mail is read from: EXAMINE and PEEK only, so that nothing changes there."""

from __future__ import annotations

from migrator.errors import Side
from migrator.limits import Limits
from migrator.stores.imap_reader import ImapReader
from migrator.stores.imap_session import Endpoint


class ImapSource(ImapReader):
    """The ``SourceStore`` of IMAP."""

    def __init__(self, endpoint: Endpoint, limits: Limits | None = None) -> None:
        super().__init__(endpoint, limits or Limits(), Side.SOURCE)
