"""Where somebody lands who comes in by the front door: at the old server, or at the new one.

No server says so. But each numbers the folders of a mailbox by itself (UIDVALIDITY), and what is seen through the door
is the numbering of the server behind it.
"""

from __future__ import annotations

from migrator.errors import Side
from migrator.mail import FolderPath
from migrator.preflight.base import Opener

Marks = frozenset[tuple[FolderPath, int]]


def marks(opener: Opener) -> Marks:
    """Return how the folders of a mailbox are numbered. Raises ``MigratorError``."""
    with opener() as store:
        return frozenset((one.path, one.uidvalidity) for one in store.folders() if one.uidvalidity is not None)


def lands_at(front: Opener, source: Opener, target: Opener) -> Side | None:
    """Return the side whose mailbox is behind the front door; None where both are numbered alike, or neither is it.

    Signs in three times and reads lists of folders alone. Raises ``MigratorError``.
    """
    seen = marks(front)  # first: a folder that is made meanwhile is then at its server, too
    is_source, is_target = seen <= marks(source), seen <= marks(target)
    if is_source == is_target:
        return None
    return Side.SOURCE if is_source else Side.TARGET
