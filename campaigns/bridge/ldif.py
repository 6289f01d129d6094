"""What the night of a batch will write into LDAP, account by account, before anything is written.

Entries are read now, over one line for all accounts. A directory that does not answer ends it, told once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import Final, NamedTuple, cast

from campaigns.bridge.connect import WORLD, Approach, World
from campaigns.models import Account, Campaign, Connector
from migrator.errors import MigratorError, Radius, Side
from migrator.routes.ldap import LdapRoute
from migrator.steps.kit import Access, Kit
from migrator.steps.writes import Write, writes_of

LDAP: Final = "ldap"
# Somebody waits for the answer.
_PATIENCE: Final = {"connect_seconds": 5, "answer_seconds": 8}


class Planned(NamedTuple):
    """What will be written for one user or group, or why that cannot be told. ``key``: its account's, 0 for a group."""

    key: int
    address: str
    writes: tuple[Write, ...]
    error: MigratorError | None = None


def connectors(campaign: Campaign) -> list[Connector]:
    """Return the connectors of a campaign that write into LDAP."""
    rows = (
        campaign.source_directory,
        campaign.target_directory,
        campaign.route,
        campaign.hold,
        campaign.population,
    )
    return [row for row in dict.fromkeys(rows) if row is not None and row.kind == LDAP]


def is_of_all(error: MigratorError | None) -> bool:
    """True for an error that every other account would meet, too."""
    return error is not None and error.radius in (Radius.SERVER, Radius.CONFIG)


def planned(accounts: Iterable[Account], world: World = WORLD) -> Iterator[Planned]:
    """Yield what will be written for each of ``accounts``, all of one campaign."""
    with ExitStack() as stack:
        approach: Approach | None = None
        for account in accounts:
            if approach is None:
                _hurry(account.campaign)
                approach = stack.enter_context(Approach(account, world))
            approach.account = account  # connectors are the campaign's, and stay open
            found = _told(account.pk, account.source_login, approach, _kit)
            yield found
            if is_of_all(found.error):
                return


def planned_groups(account: Account, world: World = WORLD) -> Iterator[Planned]:
    """Yield what moves each group that the old server serves, where a route in LDAP says who serves whom.

    ``account`` is any of the campaign: it opens the campaign's connectors.
    """
    _hurry(account.campaign)
    with Approach(account, world) as approach:
        try:
            route = approach.route() if _is_ldap(account.campaign.route) else None
            if route is None:
                return
            listed = cast(LdapRoute, route.connector).addresses(groups_only=True)
            for address in listed:
                if route.connector.current(address) is Side.SOURCE:
                    yield _told(0, address, approach, _group_kit(approach, address))
        except MigratorError as error:
            yield Planned(0, "", (), error)


def _told(key: int, address: str, approach: Approach, kit: Callable[[Approach], Kit]) -> Planned:
    try:
        return Planned(key, address, tuple(writes_of(approach.recipe, kit(approach))))
    except MigratorError as error:
        return Planned(key, address, (), error)


def _kit(approach: Approach) -> Kit:
    """Return what the steps that write into directories work with."""
    source, target = (Access(approach.address(side), approach.directory(side)) for side in (Side.SOURCE, Side.TARGET))
    return Kit(
        address=approach.account.source_login,
        source=source,
        target=target,
        route=approach.route(),
        hold=approach.hold(),
        population=approach.population(),
        services=approach.services,
    )


def _group_kit(approach: Approach, address: str) -> Callable[[Approach], Kit]:
    return lambda _: Kit(
        address=address, source=Access(address), target=Access(address), route=approach.route(), hold=approach.hold()
    )


def _hurry(campaign: Campaign) -> None:
    """Let its connectors wait for no longer than a reader does. Nothing is stored."""
    for row in connectors(campaign):
        row.options = {**row.options, **{name: _less(row, name) for name in _PATIENCE}}


def _less(row: Connector, name: str) -> float:
    asked = row.options.get(name)
    return min(asked, _PATIENCE[name]) if isinstance(asked, int | float) else _PATIENCE[name]


def _is_ldap(row: Connector | None) -> bool:
    return row is not None and row.kind == LDAP
