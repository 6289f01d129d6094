"""Who still uses the old server: its logs are read, and who signed in is matched with the list. No line is kept."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from campaigns.bridge.ledger import storable
from campaigns.models import Account, AccountName, Campaign, OldClient
from campaigns.services import campaigns, names
from campaigns.services.events import Actor, record
from campaigns.services.refusals import Refused
from migrator.preflight import old_clients
from migrator.preflight.old_clients import LONGEST_LINE, Client, Days
from migrator.sessions.ours import OurAddresses

READ: Final = "campaign.clients.read"
FORGOTTEN: Final = "campaign.clients.forgotten"
MOST_OURS: Final = 100
GAP: Final = timedelta(days=2)  # without a line: so far a log is held to tell of all that was
_KEPT: Final = ("account", "program", "times", "last_at")
_UNIQUE: Final = ("campaign", "login", "service", "address")

_Use = tuple[str, str, str]  # login, service and address


def read_log(campaign: Campaign, pieces: Iterable[bytes], *, actor: Actor, ours: Sequence[str] = ()) -> int:
    """Read a log in place of what was known of its people; return how many ways of use it tells of. Raises ``Refused``.

    A log that comes again is counted anew: whoever is in it has the figures of this one. But when they came last is the
    latest of all logs, and not known for good where one of them had no date. ``ours``: the numbers from which we read
    mailboxes, which are nobody's sign-ins.
    """
    _check(ours)
    now = timezone.localtime()
    days = Days(now)
    try:
        found = old_clients.clients(_lines(pieces), now, days)
    except old_clients.TooMany:
        raise Refused("clients.many", "file") from None
    if not found:
        raise Refused("clients.none", "file")
    with transaction.atomic():
        Campaign.objects.select_for_update(no_key=True).get(pk=campaign.pk)  # two logs at once: one after the other
        campaigns.require_open(campaign.pk)
        known, before = Known(Account.objects.filter(campaign=campaign)), _last_known(campaign)
        rows = [_row(campaign, client, known, before) for client in found]
        OldClient.objects.bulk_create(
            rows, batch_size=500, update_conflicts=True, update_fields=_KEPT, unique_fields=_UNIQUE
        )
        record(READ, actor=actor, campaign_id=campaign.pk, clients=len(rows), spans=_told(days), ours=[*ours])
    return len(rows)


def forget(campaign: Campaign, *, actor: Actor) -> None:
    """Remove all that logs told."""
    with transaction.atomic():
        count, _ = OldClient.objects.filter(campaign=campaign).delete()
        record(FORGOTTEN, actor=actor, campaign_id=campaign.pk, clients=count)


def _check(ours: Sequence[str]) -> None:
    if len(ours) > MOST_OURS:
        raise Refused("clients.ours", "ours")
    try:
        OurAddresses(ours)
    except ValueError:
        raise Refused("clients.ours", "ours") from None


def _told(days: Days) -> list[list[str]]:
    """Return over which times a log reaches without a gap, nothing where it has no dates."""
    return [[at.isoformat() for at in span] for span in days.spans(GAP)]


def _row(campaign: Campaign, client: Client, known: Known, before: Mapping[_Use, datetime | None]) -> OldClient:
    login = storable(client.login).casefold()[:320]
    earlier = before.get((login, client.service, client.address), client.last_at)
    return OldClient(
        campaign=campaign,
        account_id=known.owner(login),
        login=login,
        service=client.service,
        address=client.address,
        program=storable(client.program),
        times=min(client.times, 2**31 - 1),
        last_at=max(client.last_at, earlier) if client.last_at and earlier else None,
    )


def _last_known(campaign: Campaign) -> dict[_Use, datetime | None]:
    """Return when each was last there by the logs that were read before; None where one had no date."""
    rows = OldClient.objects.filter(campaign=campaign).values_list("login", "service", "address", "last_at")
    return {(login, service, address): at for login, service, address, at in rows.iterator()}


class Known:
    """Whose the names are by which somebody may sign in at the old server: old names first, then other addresses."""

    def __init__(self, accounts: QuerySet[Account]) -> None:
        logins, addresses, by_login, by_address = (defaultdict[str, set[int]](set) for _ in range(4))
        for login, key in accounts.values_list("source_login", "pk").iterator():
            _enter(logins, by_login, login, key)
        others = AccountName.objects.filter(account__in=accounts, kind=names.ADDRESS)
        for address, key in others.values_list("value", "account").iterator():
            _enter(addresses, by_address, address, key)
        self._whole = (logins, addresses)
        self._short = (by_login, by_address)  # without their domains

    def owner(self, login: str) -> int | None:
        """Return whose a name is; None where nobody has it, or several share it."""
        found = next(self._of(login), set())
        return next(iter(found)) if len(found) == 1 else None

    def all_of(self, login: str) -> set[int]:
        """Return everybody whose name it may be."""
        return set[int]().union(*self._of(login))

    def _of(self, login: str) -> Iterator[set[int]]:
        name = names.normalised(names.LOGIN, login)
        yield from (found[name] for found in self._whole if name in found)
        local = name.partition("@")[0]
        yield from (found[local] for found in self._short if local in found)


def _enter(whole: dict[str, set[int]], short: dict[str, set[int]], name: str, key: int) -> None:
    name = names.normalised(names.LOGIN, name)
    whole[name].add(key)
    short[name.partition("@")[0]].add(key)


def _lines(pieces: Iterable[bytes]) -> Iterator[str]:
    """Yield the lines of a log; what follows in one that is endless is dropped."""
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            yield line.decode("utf-8", "replace")
        if len(rest) > LONGEST_LINE:
            rest = rest[: LONGEST_LINE + 1]
    if rest:
        yield rest.decode("utf-8", "replace")
