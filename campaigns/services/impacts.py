"""What mail programs will notice, looked up on both servers through one account; the result is an event."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as OutOfTime
from functools import partial
from typing import Any, Final

from campaigns.bridge import by_hand, places
from campaigns.bridge.connect import WORLD, Approach, World
from campaigns.bridge.ledger import storable
from campaigns.models import Account, Campaign, User
from campaigns.services.events import record
from migrator.errors import MigratorError, Side
from migrator.preflight import impact
from migrator.preflight.impact import Difference, Facade
from migrator.preflight.probe import PATIENCE

LOOKED: Final = "campaign.programs.looked"
FAILED: Final = "campaign.programs.failed"
MOST_SECONDS: Final = 25.0
_MOST_TEXT: Final = 200


def look(account: Account, *, actor: User, world: World = WORLD, seconds: float = MOST_SECONDS) -> list[Difference]:
    """Compare both servers as mail programs see them, through the mailboxes of ``account``; note and return it.

    Each side is opened by the account's own password where it is stored, else by the administrator. Changes nothing
    but our events. Raises ``MigratorError`` when a side cannot be opened; that is noted, too.
    """
    try:
        looks = {side: _look(account, side, world) for side in Side}
        sides = _within(seconds, looks)
    except MigratorError as error:
        told: dict[str, Any] = {"code": error.code, "reply": storable(error.reply)}
        told["side"] = error.side.value if error.side else ""
        record(FAILED, actor=actor, campaign_id=account.campaign_id, **told)
        raise
    found = impact.differences(sides[Side.SOURCE], sides[Side.TARGET])
    lines = [{name: storable(value[:_MOST_TEXT]) for name, value in one.as_json().items()} for one in found]
    record(LOOKED, actor=actor, campaign_id=account.campaign_id, account=account.source_login, found=lines)
    return found


def account_to_look_with(campaign: Campaign, login: str = "") -> Account | None:
    """Return an account through which both servers can be looked at: the one that is named, or the first."""
    rows = Account.objects.filter(campaign=campaign).select_related("campaign", "source", "target")
    rows = rows.filter(source_login=login) if login else rows.exclude(state="excluded")
    return rows.order_by("pk").first()


def _look(account: Account, side: Side, world: World) -> Callable[[], Facade]:
    """Return how one side is looked at; all that is asked of the database is asked now. Raises ``MigratorError``."""
    with Approach(account, world) as approach:
        server = approach.server(side)
        if server.kind != places.IMAP:
            raise MigratorError("impact.not_imap", side=side)
        has_own = approach.password(side) is not None and not approach.is_refused(side)
        endpoint = approach.endpoint(side, as_admin=not has_own)
        book = by_hand.place_book(account.campaign)
        column = "old" if side is Side.SOURCE else "new"
        doors = tuple(by_hand.doors(server, book.ports, column))
    return partial(impact.facade, endpoint, doors, PATIENCE)


def _within(seconds: float, looks: dict[Side, Callable[[], Facade]]) -> dict[Side, Facade]:
    """Look at both sides at once, and wait no longer than ``seconds``. Raises ``MigratorError``, with its side."""
    pool = ThreadPoolExecutor(len(looks))
    found: dict[Side, Facade] = {}
    try:
        for side, future in {side: pool.submit(one) for side, one in looks.items()}.items():
            try:
                found[side] = future.result(seconds)
            except OutOfTime:
                raise MigratorError("line.silent", side=side) from None
            except MigratorError as error:
                error.side = side
                raise
    finally:
        pool.shutdown(wait=False)
    return found
