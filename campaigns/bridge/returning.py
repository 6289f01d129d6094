"""What carries mail back: both mailboxes of an account turned round, and its ledger mirrored for one run.

The mirror lies in a file of its own that goes with the run: all of it can be made again, and what an earlier run
brought home is found there by its content. So memory stays flat however large the mailbox is.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from campaigns.bridge import places
from campaigns.bridge.connect import Approach
from campaigns.models import Account, Server
from migrator.events import Event, Progress
from migrator.limits import StopSignal
from migrator.mail import Folder
from migrator.steps.back import CarryBack
from migrator.steps.copying import Mail
from migrator.stores.base import ScanRequest, Trouble
from migrator.transfer.file_ledger import LedgerFile
from migrator.transfer.knowledge import Knowledge
from migrator.transfer.ledger import FolderState, Leaf, Ledger
from migrator.transfer.mirror import mirror
from migrator.transfer.plan import CopyPolicy, Mode
from migrator.transfer.uid_map import UidMap

_MIRROR: Final = "mirror"


class Readable(Protocol):
    """What of a ledger is read to see what came since."""

    def states(self) -> list[FolderState]:
        """See Ledger."""
        ...

    def leaves(self, folder: bytes) -> Iterator[Leaf]:
        """See Ledger."""
        ...


def is_carried_between(account: Account) -> bool:
    """True where mail can be carried back: both servers are read and written by IMAP."""
    return all(_speaks_imap(server) for server in (account.source, account.target))


def _speaks_imap(server: Server) -> bool:
    return server.kind == places.IMAP


class Load:
    """How much was carried: an EventSink that counts, and keeps nothing of the figures of the way there."""

    def __init__(self) -> None:
        self.messages = 0
        self.size_bytes = 0

    def emit(self, event: Event) -> None:
        """See EventSink."""
        if isinstance(event, Progress):
            self.messages += event.messages
            self.size_bytes += event.size_bytes


@contextmanager
def carriage(approach: Approach, ledger: Ledger, *, load: Load, stop: StopSignal) -> Iterator[CarryBack]:
    """Yield what carries the account's mail back, for as long as the block runs. Raises ``MigratorError``."""
    with approach.source() as source:
        present = {folder.path.raw for folder in source.folders()}
    with tempfile.TemporaryDirectory(prefix="mailferry-back-") as folder, LedgerFile(Path(folder) / _MIRROR) as file:
        turned = file.account("target", "source")
        mirror(ledger, turned, present)
        mail = Mail(
            open_source=approach.turned_source,
            open_target=approach.turned_target,
            ledger=turned,
            policy=CopyPolicy(Mode.CATCH_UP),
            limits=approach.limits,
            sink=load,
        )
        yield CarryBack(mail, clock=approach.world.clock, stop=stop)


def arrived(approach: Approach, ledger: Readable) -> tuple[int, int]:
    """Return how many messages, and octets, the target holds that no copy brought there. Reads only.

    Raises ``MigratorError``.
    """
    messages = size_bytes = 0
    states = {state.target: state for state in ledger.states() if state.target_uidvalidity}
    with approach.turned_source() as source:
        wanted = {folder.path.raw: folder for folder in source.folders() if folder.selectable and folder.messages}
        claimed = {name: _claimed(ledger, states.get(name), folder) for name, folder in wanted.items()}
        requests = [
            ScanRequest(folder.path, folder.uidvalidity, after_uid=claimed[name].after)
            for name, folder in wanted.items()
            if folder.uidnext is None or folder.uidnext > claimed[name].after + 1
        ]
        for item in source.scan(requests) if requests else ():
            if isinstance(item, Trouble):
                raise item.error
            if item.uid not in claimed[item.path.raw].uids:
                messages, size_bytes = messages + 1, size_bytes + item.size_bytes
    return messages, size_bytes


class _Claimed(NamedTuple):
    """Which messages of a target folder a copy brought: all up to ``after``, and ``uids`` beyond."""

    after: int
    uids: UidMap


def _claimed(ledger: Readable, state: FolderState | None, folder: Folder) -> _Claimed:
    if state is None or state.target_uidvalidity != folder.uidvalidity:
        return _Claimed(0, UidMap())
    known = Knowledge.load(state, ledger.leaves(state.source))
    from_uid = max(state.target_uidnext, 1)
    return _Claimed(from_uid - 1, known.claimed(from_uid))
