"""Trying folder options on real accounts: both mailboxes are listed, and paired as the next pass would. Read only.

It has a deadline of its own, so that the page comes back; its event says who had whose folders listed.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as OutOfTime
from dataclasses import dataclass, replace
from threading import BoundedSemaphore
from typing import Any, Final, NamedTuple, cast

from campaigns.bridge import copying
from campaigns.bridge.connect import Approach, World
from campaigns.bridge.copying import CopyOptions
from campaigns.bridge.ledger import StoredLedger
from campaigns.models import Account, Campaign
from campaigns.services import accounts as accounts_service
from campaigns.services import folder_rules
from campaigns.services.events import Actor, record
from campaigns.services.preflights import IMPATIENT
from campaigns.services.refusals import Refused
from migrator.errors import MigratorError, Side
from migrator.mail import Folder
from migrator.stores.base import MessageName, NamingSource, SourceStore, TargetStore
from migrator.stores.imap_files import telltales
from migrator.stores.manners import ALL
from migrator.transfer.folders import FolderMap, FolderPair
from migrator.transfer.ledger import Ledger
from migrator.transfer.listing import map_account

TRIED: Final = "campaign.folders.tried"
MOST_SECONDS: Final = 25.0
MOST_TRIALS: Final = 4  # at once: a quarter of the threads that serve pages
_SEATS = BoundedSemaphore(MOST_TRIALS)


@dataclass(frozen=True, slots=True)
class FolderTrial:
    """What was found of one account; with an ``error``, nothing. ``files``: names that show that these are files."""

    account: Account
    pairs: Sequence[FolderPair] = ()
    left_out: Sequence[tuple[Folder, str]] = ()
    guessed_prefix: str = ""
    files: Sequence[str] = ()
    error: MigratorError | None = None


class _Listed(NamedTuple):
    source: list[Folder]
    target: list[Folder]


def try_folders(
    campaign: Campaign, accounts: Sequence[Account], options: CopyOptions, *, actor: Actor, world: World = IMPATIENT
) -> list[FolderTrial]:
    """Return what becomes of the folders of each account if the campaign had these options, in order.

    Raises ``Refused`` while many try: each keeps a thread of the panel, and people look things up there.
    """
    if not _SEATS.acquire(blocking=False):
        raise Refused("copying.trials_busy")
    try:
        return _try_folders(campaign, accounts, options, actor, world)
    finally:
        _SEATS.release()


def _try_folders(
    campaign: Campaign, accounts: Sequence[Account], options: CopyOptions, actor: Actor, world: World
) -> list[FolderTrial]:
    logins = [account.source_login for account in accounts]
    record(TRIED, actor=actor, campaign_id=campaign.pk, accounts=logins)
    pool = ThreadPoolExecutor(max(1, len(accounts)))
    try:
        found = [_Trial(account, options, world) for account in accounts]
        until = world.clock.monotonic() + MOST_SECONDS  # for all of them: they are looked at side by side
        for one in found:
            one.begin(pool)
        return [one.end(max(0.0, until - world.clock.monotonic())) for one in found]
    finally:
        pool.shutdown(wait=False)


class _Trial:
    """One account. Rows are read by the caller's thread, both servers are spoken to by another."""

    def __init__(self, account: Account, options: CopyOptions, world: World) -> None:
        self._account = account
        self._ledger = StoredLedger(account.pk)
        self._approach = Approach(account, world)
        own = copying.with_exceptions(options, account)
        # Here files are shown and not refused: to see them is what this is for.
        self._approach.options = replace(own, list_pattern=own.list_pattern or ALL)
        self._approach.limits = world.limits  # somebody waits for the answer
        self._rules = copying.rules(account, own, folder_rules.rules_of(account))
        self._error: MigratorError | None = None
        self._source: SourceStore | None = None
        self._target: TargetStore | None = None
        self._listing: Any = None

    def begin(self, pool: ThreadPoolExecutor) -> None:
        """Begin to list both sides."""
        try:
            self._source, self._target = self._approach.source(is_admitted=True), self._approach.target()
            self._require_not_refused()
        except MigratorError as error:
            self._error = error
            return
        names = list(self._ledger.message_names())
        self._listing = pool.submit(_list, self._source, self._target, names)

    def end(self, seconds: float) -> FolderTrial:
        """Return what was found within ``seconds``, or why nothing was. Both lines are closed, whatever happens."""
        if self._error is not None:
            return FolderTrial(self._account, error=self._error)
        assert self._source is not None
        assert self._target is not None
        try:
            listed: _Listed = self._listing.result(seconds)
            mapping = self._map(listed)
        except MigratorError as error:
            if error.side and not self._is_opened_by_admin(error.side):
                accounts_service.remember_refused(self._account, error)
            return FolderTrial(self._account, error=error)
        except OutOfTime:
            self._close()  # a server that keeps us with a word now and then would keep the thread, too
            return FolderTrial(self._account, error=MigratorError("line.silent"))
        finally:
            self._listing.add_done_callback(self._close)
        files = telltales(folder.path.display for folder in listed.source if folder.selectable)
        left = [(folder, reason) for folder, reason in mapping.left_out if folder.selectable]
        return FolderTrial(self._account, mapping.pairs, left, mapping.guessed_prefix, files)

    def _require_not_refused(self) -> None:
        """Raise ``MigratorError`` where a server has refused the very password: servers lock people out for more."""
        for side in Side:
            if self._approach.is_refused(side) and not self._is_opened_by_admin(side):
                raise MigratorError("sign_in.refused", side=side)

    def _is_opened_by_admin(self, side: Side) -> bool:
        return self._approach.is_opened_by_admin(side, is_admitted=side is Side.SOURCE)

    def _close(self, _: object = None) -> None:
        for store in (self._source, self._target):
            if store is not None:
                store.close()

    def _map(self, listed: _Listed) -> FolderMap:
        assert self._source is not None
        assert self._target is not None
        ledger = cast(Ledger, self._ledger)  # it is only read
        return map_account(
            self._source, self._target, listed.source, listed.target, ledger, ledger.states(), self._rules
        )


def _list(source: SourceStore, target: TargetStore, names: Sequence[MessageName]) -> _Listed:
    found = []
    for side, store in ((Side.SOURCE, source), (Side.TARGET, target)):
        try:
            if store.features.names_messages:
                cast(NamingSource, store).recall(names)
            found.append(store.folders())
            store.prefix()
        except MigratorError as error:
            error.side = error.side or side
            raise
    return _Listed(*found)
