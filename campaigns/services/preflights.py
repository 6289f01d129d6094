"""Checks before anything is done: of each account before it is copied, of a campaign before its recipe is believed.

A recipe that locks users out is accepted once an administrator was seen to open the mailbox of somebody disabled, on
each governed side. The proof is an event of the campaign; it holds as long as servers, administrators, connectors and
recipe are what they were then.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from campaigns.bridge import places
from campaigns.bridge.connect import WORLD, Approach, World
from campaigns.models import Account, Campaign, Connector, Event, Server
from campaigns.services.events import Actor, record
from migrator.errors import MigratorError, Side
from migrator.preflight import Door, Failure, Scope, Subject, run_checks
from migrator.preflight.probe import PATIENCE

ACCEPTED: Final = "campaign.recipe.accepted"
REFUSED: Final = "campaign.recipe.refused"
# For somebody who waits for the answer
IMPATIENT: Final = World(limits=PATIENCE)


def check_account(approach: Approach) -> list[Failure]:
    """Look at one account before it is copied; return what is wrong. Changes nothing anywhere.

    Raises ``MigratorError`` for what concerns all accounts: an address that is not allowed, a recipe without proof.
    """
    account = approach.account
    if not is_accepted(account.campaign):
        raise MigratorError("preflight.not_proved")
    return run_checks(subject_of(approach), Scope.STAGE)


def subject_of(approach: Approach) -> Subject:
    """Return an account as checks see it, nothing opened yet. Raises ``MigratorError``."""
    route, hold = approach.route(), approach.hold()
    doors = tuple(_door(approach, side) for side in Side)
    login = approach.account.source_login
    return Subject(doors, login, route.connector if route else None, hold.connector if hold else None)


def accept_recipe(
    campaign: Campaign, disabled: Mapping[Side, str], *, actor: Actor, world: World = WORLD
) -> list[Failure]:
    """Prove that administrators open disabled mailboxes; return what speaks against it, nothing when it is proved.

    ``disabled`` names for each governed side the login of an account that is disabled in its directory: a test
    account, for the source. A campaign that nobody governs needs no proof. Changes nothing anywhere but our events.
    """
    failures = []
    for side in Side:
        login = disabled.get(side)
        if login is None:
            continue
        with Approach(_probe(campaign, login), world) as approach:
            failures += run_checks(Subject((_door(approach, side),), login), Scope.SURVEY)
    missing = [side for side in governed_sides(campaign) if side not in disabled]
    failures += [Failure("disabled_access", MigratorError("preflight.not_proved", side=side)) for side in missing]
    _tell(campaign, failures, actor)
    return failures


def is_accepted(campaign: Campaign) -> bool:
    """True when the campaign, as it is set up now, may lock users out; always where nobody is governed."""
    if not governed_sides(campaign):
        return True
    # Without a condition on the campaign the index begins with the events of no account, which are few.
    rows = Event.objects.filter(account=None, name__in=(ACCEPTED, REFUSED)).order_by("-pk")
    found = (row for row in rows if row.campaign_id == campaign.pk)
    last = next(found, None)
    return last is not None and last.name == ACCEPTED and last.data.get("mark") == _mark(campaign)


def governed_sides(campaign: Campaign) -> list[Side]:
    """Return the sides whose users a directory lets in or refuses, and where somebody signs in to open mailboxes."""
    keys = {Side.SOURCE: campaign.source_directory_id, Side.TARGET: campaign.target_directory_id}
    return [side for side, key in keys.items() if key is not None and places.signs_in(getattr(campaign, side))]


def _door(approach: Approach, side: Side) -> Door:
    # Where an administrator is missing is for the checks to say.
    is_source, is_governed = side is Side.SOURCE, approach.is_governed(side)
    opener = approach.source if is_source else approach.target
    has_admin = bool(approach.server(side).admin_login)
    by_admin = approach.is_opened_by_admin(side, is_admitted=is_source)
    directory = approach.directory(side)
    return Door(
        side=side,
        open=lambda: opener(is_admitted=is_source),
        address=approach.address(side),
        password=None if by_admin else approach.password(side),
        was_refused=approach.is_refused(side),
        open_as_admin=opener if is_governed and has_admin else None,
        directory=directory.connector if directory else None,
        is_governed=is_governed,
    )


def _probe(campaign: Campaign, login: str) -> Account:
    """Return an account that is not stored, to try a server with."""
    servers = {"source": campaign.source, "target": campaign.target}
    return Account(campaign=campaign, source_login=login, target_login=login, **servers)


def _tell(campaign: Campaign, failures: list[Failure], actor: Actor) -> None:
    if not failures:
        record(ACCEPTED, actor=actor, campaign_id=campaign.pk, mark=_mark(campaign), recipe=campaign.recipe)
        return
    told = [[failure.error.side or "", failure.error.code] for failure in failures]
    record(REFUSED, actor=actor, campaign_id=campaign.pk, recipe=campaign.recipe, failures=told)


def _mark(campaign: Campaign) -> str:
    """Return what changes with anything that the proof rests on. Passwords may change."""
    servers = [_server(campaign.source), _server(campaign.target)]
    rows = (campaign.source_directory, campaign.target_directory, campaign.route)
    told: list[Any] = [campaign.recipe, servers, [_connector(row) for row in rows]]
    told += [campaign.steps] if campaign.steps else []
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _server(row: Server) -> list[Any]:
    told = [row.pk, row.host, row.port, row.admin_login, row.admin_access]
    return told if row.kind == places.IMAP else [*told, row.kind, row.path]


def _connector(row: Connector | None) -> list[Any] | None:
    return [row.pk, row.kind, row.options] if row else None
