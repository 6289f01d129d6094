"""Who was moved, by the rows of accounts: against these a table of routes that was lost is noticed, and made anew.

An empty table sends everybody to the old server, also who was moved long ago. So a gate whose table is gone does not
start while there is anybody to send elsewhere.
"""

from __future__ import annotations

from contextlib import closing

from django.db.models import QuerySet

from campaigns.bridge.connect import open_row
from campaigns.models import Account
from campaigns.states import Owner
from migrator.errors import MigratorError, Side
from migrator.routes import ROUTES


def accounts() -> QuerySet[Account]:
    """Return the accounts that a gate must send to the new server."""
    return Account.objects.filter(owner=Owner.TARGET, campaign__route__kind="nginx")


def refill() -> int:
    """Write into the table that the new server serves them; return how many they are. Raises ``MigratorError``."""
    count = 0
    for account in accounts().select_related("campaign__route").order_by("campaign__route", "pk").iterator():
        assert account.campaign.route
        with closing(open_row(account.campaign.route, ROUTES)) as route:
            before = route.find(account.source_login)
            if before is None:
                raise MigratorError("directory.missing", reply=account.source_login)
            route.replace(account.source_login, before, route.routed(before, Side.TARGET))
        count += 1
    return count
