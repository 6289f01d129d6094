"""Where checks of steps done by hand look: from the place book and a batch to doors, mailboxes and names."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Final

from django.conf import settings

from campaigns.bridge import host_files, places, vault
from campaigns.bridge.connect import WORLD, Approach, World, endpoint_of, require_allowed
from campaigns.models import Account, Batch, Campaign, Event, LedgerFolder, PlaceBook, Server
from migrator.errors import MigratorError, Side
from migrator.holds.postfix_host import PostfixHost
from migrator.holds.queue import PostfixQueue
from migrator.options import Options
from migrator.preflight.by_hand import Grounds, Mailbox
from migrator.preflight.name_service import Expected, NameService
from migrator.preflight.ports import Port, Service, port_at
from migrator.secret import Secret
from migrator.stores.base import Store
from migrator.stores.beside import place_of
from migrator.stores.endpoint import Endpoint

MOST_MAILBOXES: Final = 200  # of a batch in which a check looks, evenly spread
COLUMNS: Final = ("old", "new_before", "new")
CHANGED: Final = "campaign.places.changed"
VOUCHED: Final = "vouched"
_OF_ADMINISTRATORS: Final = frozenset((Service.IMAP, Service.IMAPS))
_OF_THE_SYSTEM: Final = 1024  # below it only administrators of a machine let a program listen


def place_book(campaign: Campaign) -> PlaceBook:
    """Return the place book of a campaign; an empty one, not stored, where nobody has filled in any."""
    return PlaceBook.objects.filter(campaign=campaign).first() or PlaceBook(campaign=campaign)


def grounds(batch: Batch, check: str) -> Grounds:
    """Return where ``check`` looks for a batch, with its campaign and servers. Raises ``MigratorError``.

    Every host is looked up among the allowed addresses. Nothing is opened yet.
    """
    campaign, book = batch.campaign, place_book(batch.campaign)
    users = _users(batch) if check == "ports_open" else {}
    return Grounds(
        old=tuple(doors(campaign.source, book.ports, "old")),
        new_before=tuple(doors(campaign.target, book.ports, "new_before")),
        new=tuple(doors(campaign.target, book.ports, "new", users, vouched(campaign))),
        greetings=book.greetings,
        queue=queue_of(book) if check == "queue_empty" else None,
        mailboxes=tuple(_mailboxes(batch)) if check == "no_new_mail" else (),
        names=expected(campaign, book) if check == "dns" else None,
        resolver=name_service() if check == "dns" else None,
    )


def vouched(campaign: Campaign) -> frozenset[str]:
    """Return the places for which an administrator vouched who saved the book last."""
    rows = Event.objects.order_by("-pk").of_campaign_alone(campaign.pk, CHANGED)
    return frozenset(next((row.data[VOUCHED] for row in rows if VOUCHED in row.data), ()))


def name_service() -> NameService:
    """Return whom names are asked of: what a setting names, else what this machine asks."""
    if not settings.NAME_SERVER:
        return NameService()
    place = place_of(settings.NAME_SERVER)
    return NameService((place.host,), place.port or 53)


def queue_of(book: PlaceBook, seconds: float = 30.0) -> PostfixQueue | None:
    """Return the old server's queue; None where nobody said how it is seen. Raises ``MigratorError``.

    ``seconds``: how long its program may take for one answer.
    """
    if not book.queue_program:
        return None
    found = host_files.resolved({"through": {host_files.PROGRAM: book.queue_program}})
    return PostfixQueue(PostfixHost(Options(found).texts("through"), seconds))


def expected(campaign: Campaign, book: PlaceBook) -> Expected:
    """Return what the name service should say after the move."""
    return Expected(
        domains=tuple(book.domains),
        mx=tuple(book.mx),
        most_ttl=book.most_ttl,
        spf=tuple(book.spf),
        client_names=tuple(book.client_names),
        new_hosts=_hosts(campaign.target, book, "new"),
        old_hosts=_hosts(campaign.source, book, "old"),
    )


def _hosts(server: Server, book: PlaceBook, column: str) -> tuple[str, ...]:
    named = [place_of(row[column]).host for row in book.ports.values() if row.get(column)]
    return tuple(dict.fromkeys(filter(None, [server.host, *named])))


def doors(
    server: Server,
    rows: Mapping[str, Mapping[str, str]],
    column: str,
    users: Mapping[bool, Endpoint] | None = None,
    trusted: Collection[str] = (),
) -> Iterator[Port]:
    """Yield the doors of one column of a place book.

    ``users``: who signs in at those of ``server`` itself, by whether it is an administrator. ``trusted``: places, as
    they are stored, for which an administrator vouches.
    """
    nobody = endpoint_of(server, "", Secret("")) if places.is_read(server) and server.host else None
    for service in Service:
        text = rows.get(service.value, {}).get(column, "")
        if not text:
            continue
        place = place_of(text)
        host = place.host or server.host
        require_allowed(host)
        # Who fills in the book chooses among all allowed hosts; a password goes only to the server it is stored for.
        is_its_own = host.casefold() == server.host.casefold() and (text in trusted or _is_its_own(server, place.port))
        known = users if users and is_its_own else {}
        found = known.get(False) or (known.get(True) if service in _OF_ADMINISTRATORS else None)
        endpoint = found or nobody or Endpoint(host, 0, "starttls", "", Secret(""))
        yield port_at(service, endpoint, host, place.port or 0)


def _is_its_own(server: Server, port: int | None) -> bool:
    """True when a port of a server's host is the mail server's: at a free one anybody with a login there may listen."""
    if not port or port < _OF_THE_SYSTEM:
        return True
    named = (place_of(text) for text in (server.pop3_place, server.sieve_place) if text)
    hosts = ("", server.host.casefold())
    return port in (server.port, *(place.port for place in named if place.host.casefold() in hosts))


def _users(batch: Batch) -> dict[bool, Endpoint]:
    """Return who can be signed in on the new server: somebody of the batch, and an administrator in their name."""
    found: dict[bool, Endpoint] = {}
    related = ("source", "target", "campaign")
    for account in Account.objects.filter(batch=batch, target_secret__isnull=False).select_related(*related)[:20]:
        if account.target_secret and vault.fingerprint(account.target_secret) != account.refused_secret:
            with Approach(account) as approach:
                found[False] = approach.endpoint(Side.TARGET, as_admin=False)
            break
    first = Account.objects.filter(batch=batch).select_related(*related).order_by("pk").first()
    if first is not None and first.target.admin_login:
        with Approach(first) as approach:
            found[True] = approach.endpoint(Side.TARGET, as_admin=True)
    return found


def _mailboxes(batch: Batch, world: World = WORLD) -> Iterator[Mailbox]:
    """Yield old mailboxes of a batch, evenly spread over it, each with what was known when it was copied last."""
    moving = Account.objects.filter(batch=batch).exclude(state="excluded")
    keys = list(moving.order_by("pk").values_list("pk", flat=True))
    step = max(1, -(-len(keys) // MOST_MAILBOXES))
    connectors = ("source_directory", "target_directory", "route")
    rows = Account.objects.select_related("source", "target", *(f"campaign__{name}" for name in connectors))
    chosen = list(rows.filter(pk__in=keys[::step]).order_by("pk"))
    known = _known(chosen)
    for account in chosen:
        yield Mailbox(account.source_login, _opener(account, world), known.get(account.pk, {}))


def _known(accounts: Iterable[Account]) -> dict[int, dict[bytes, tuple[int, int | None]]]:
    found: dict[int, dict[bytes, tuple[int, int | None]]] = {}
    rows = LedgerFolder.objects.filter(account__in=accounts).values_list("account", "source", "state")
    for account, source, state in rows:
        if state.get("is_complete"):
            found.setdefault(account, {})[bytes(source)] = (state["source_uidvalidity"], state.get("source_uidnext"))
    return found


def _opener(account: Account, world: World) -> Callable[[], Store]:
    """Return what opens the old mailbox from another thread: all that is asked of the database is asked now."""
    try:
        with Approach(account, world) as approach:
            store: Store = approach.source(is_admitted=account.locked_at is None)
    except MigratorError as error:
        return _raiser(error)
    return lambda: store


def _raiser(error: MigratorError) -> Callable[[], Store]:
    def fail() -> Store:
        raise error

    return fail
