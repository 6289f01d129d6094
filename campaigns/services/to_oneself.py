"""An account sends a message to itself and sees it arrive, where an administrator says so: before a move, and after it.

Only an administrator may, for one account at a time, with its own password, typed for this once and not stored. Who is
on a list of people who move is somebody: then the administrator also says that they know of it. What was sent is noted
before it is sent, so that a message which came too late is removed by the next try.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from django.db.models import Q

from campaigns.bridge import places
from campaigns.bridge.connect import endpoint_of, require_allowed
from campaigns.models import Account, Event, Server, User
from campaigns.services.events import record
from campaigns.services.place_books import place_checked
from campaigns.services.refusals import Refused
from campaigns.services.trials import MOST_SECONDS, stored, within
from migrator.errors import MigratorError
from migrator.preflight.ports import USUAL_PORTS, Service, port_at
from migrator.preflight.probe import PATIENCE, Finding, Look, Outcome
from migrator.preflight.to_oneself import Probe, new_token, try_to_oneself
from migrator.secret import Secret
from migrator.stores import load
from migrator.stores.beside import place_of

SENT: Final = "server.probe.sent"
ENDED: Final = "server.probe.ended"
ROOM_SEEN: Final = "server.room.seen"
SERVICES: Final = (Service.SUBMISSION, Service.SUBMISSIONS, Service.SMTP)
MOST_WORDS: Final = 200
_MOST_EARLIER: Final = 20


@dataclass(frozen=True, slots=True)
class Wish:
    """Whom to try, and where its mail is handed in: ``place`` is HOST:PORT, either may be left out."""

    login: str
    password: Secret
    address: str
    service: Service = Service.SUBMISSION
    place: str = ""
    is_agreed: bool = False  # whose account it is knows of this


def try_server(server: Server, wish: Wish, *, actor: User, seconds: float = MOST_SECONDS) -> list[Finding]:
    """Have an account of ``server`` send a message to itself, and return how each step went.

    Raises ``Refused``: no administrator, no IMAP, somebody's account, no place.
    """
    if not actor.is_administrator:
        raise Refused("probe.of_administrators")
    if server.kind != places.IMAP:
        raise Refused("probe.only_imap")
    if not wish.is_agreed and _is_somebodys(server, wish):
        raise Refused("probe.somebodys", "login")
    usual = USUAL_PORTS[wish.service]
    place = place_of(place_checked(wish.place or f":{usual}", server.host, usual, "place"))
    endpoint = endpoint_of(server, wish.login, wish.password)
    sender = endpoint_of(server, "", Secret("")) if wish.service is Service.SMTP else endpoint
    door = port_at(wish.service, sender, place.host, place.port or usual)
    token = new_token()
    opener = partial(load(str(places.kind_of(server).source)), endpoint, PATIENCE)
    storing = partial(load(str(places.kind_of(server).target)), endpoint, PATIENCE)
    probe = Probe(opener, door, wish.address, token, storing, _earlier(server, wish.login))
    try:
        require_allowed(server.host)
    except MigratorError as error:
        found = [Finding(Look.USER, Outcome.BAD, error.code, error.reply)]
    else:
        record(SENT, actor=actor, row=server.pk, called=server.name, account=wish.login, token=token)
        found = within(seconds, partial(try_to_oneself, probe))
    facts: dict[str, Any] = {
        "row": server.pk,
        "called": server.name,
        "account": wish.login,
        "token": token,
        "is_well": _is_well(found),
    }
    record(ENDED, actor=actor, **facts, gone=_is_gone(found), found=stored(found))
    return found


def note_room(server: Server, words: str, *, actor: User) -> None:
    """Note what an administrator saw of a server's disks, which no protocol tells. Raises ``Refused``."""
    if not words.strip() or len(words) > MOST_WORDS or not words.isprintable():
        raise Refused("room.words", "words")
    record(ROOM_SEEN, actor=actor, row=server.pk, called=server.name, words=words.strip())


def _is_somebodys(server: Server, wish: Wish) -> bool:
    """True for a login or address of a list, with its domain or without: many servers take both for one account."""
    names = {wish.login.casefold(), wish.address.casefold()}
    on_target = Q(target=server) & _is_one_of("target_login", names)
    on_source = Q(source=server) & _is_one_of("source_login", names)
    return Account.objects.filter(on_target | on_source | Q(names__kind="address", names__value__in=names)).exists()


def _is_one_of(column: str, names: Collection[str]) -> Q:
    found = Q()
    for name in names:
        local, _, domain = name.partition("@")
        found |= Q(**{f"{column}__iexact": name})
        found |= Q(**{f"{column}__iexact": local}) if domain else Q(**{f"{column}__istartswith": f"{name}@"})
    return found


def _is_well(found: list[Finding]) -> bool:
    """True when the message came to INBOX and nothing else went wrong: in another folder, few people look for mail."""
    looks = {one.look: one.outcome for one in found}
    return looks.get(Look.ARRIVAL) is Outcome.GOOD and all(one.outcome is not Outcome.BAD for one in found)


def _is_gone(found: list[Finding]) -> bool:
    """True when no message of this try can come any more, or be left."""
    looks = {one.look: one.outcome for one in found}
    if looks.get(Look.REMOVAL) is Outcome.GOOD:
        # What was stored and not seen may turn up yet: filters take their time, and so does a server whose line broke.
        return looks.get(Look.STORED) in (Outcome.GOOD, Outcome.WARNING) and Look.TIME not in looks
    return looks.get(Look.SUBMISSION, Outcome.BAD) is Outcome.BAD and Look.TIME not in looks


def _earlier(server: Server, login: str) -> list[str]:
    """Return the marks of tries before whose message was not seen to go."""
    rows = Event.objects.filter(account=None, data__row=server.pk, data__account=login).order_by("-pk")
    sent = [row.data["token"] for row in rows.filter(name=SENT)[:_MOST_EARLIER]]
    gone = {row.data["token"] for row in rows.filter(name=ENDED)[:_MOST_EARLIER] if row.data.get("gone")}
    return [token for token in sent if token not in gone]
