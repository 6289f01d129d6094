"""Who still uses the old server, with what each of them must change; also as a table for letters to them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import QuerySet
from django.utils.translation import gettext, gettext_lazy

from campaigns.bridge import by_hand
from campaigns.models import Account, Campaign, OldClient, PlaceBook
from campaigns.models.server import Security
from campaigns.selectors import words
from campaigns.selectors.csv_cells import Cell
from migrator.preflight.ports import Service
from migrator.stores.beside import place_of

ROWS: Final = 100
# In which a program finds what it used: the encrypted door first.
_DOORS: Final = {
    "imap": ((Service.IMAPS, "SSL/TLS"), (Service.IMAP, "STARTTLS")),
    "pop3": ((Service.POP3S, "SSL/TLS"), (Service.POP3, "STARTTLS")),
    "smtp": ((Service.SUBMISSIONS, "SSL/TLS"), (Service.SUBMISSION, "STARTTLS")),
    "sieve": ((Service.SIEVE, "STARTTLS"),),
}
_NAMES: Final = {"imap": "IMAP", "pop3": "POP3", "smtp": "SMTP", "sieve": "Sieve"}
_ENCRYPTION: Final = {Security.TLS: "SSL/TLS", Security.STARTTLS: "STARTTLS", Security.PLAIN: gettext_lazy("none")}


@dataclass(frozen=True, slots=True)
class ClientRow:
    """One person at one service."""

    account_id: int | None
    who: str
    login: str
    service: str
    address: str
    program: str
    times: int
    last_at: datetime | None
    state: str  # of their move, in words; empty where nobody of the list is it
    instruction: str


@dataclass(frozen=True, slots=True)
class ClientsPage:
    """A part of them, the latest first. ``moved``: those whose mailbox is on the new server already."""

    rows: tuple[ClientRow, ...]
    total: int
    moved: int
    strangers: int  # ways of use by names that no list has
    page: int
    pages: int


def view(campaign: Campaign, page: int = 1) -> ClientsPage:
    """Return a page of those who still use the old server. A handful of queries, however many there are."""
    rows = _rows(campaign)
    total = rows.count()
    pages = max(1, -(-total // ROWS))
    page = min(max(1, page), pages)
    book = by_hand.place_book(campaign)
    shown = rows[(page - 1) * ROWS : page * ROWS]
    return ClientsPage(
        tuple(_row(book, row) for row in shown),
        total,
        rows.filter(account__state="done").count(),
        rows.filter(account=None).count(),
        page,
        pages,
    )


def heads() -> list[str]:
    """Return the columns of the table."""
    return [
        gettext("Old user name"), gettext("Person"), gettext("Write to"), gettext("Phone"), gettext("Service"),
        gettext("From"), gettext("Program"), gettext("Times"), gettext("Last"), gettext("State"), gettext("What to do"),
    ]  # fmt: skip


def table(campaign: Campaign) -> Iterator[list[Cell]]:
    """Yield a line for each, with what to do, for letters."""
    book = by_hand.place_book(campaign)
    for row in _rows(campaign).iterator(chunk_size=500):
        told, account = _row(book, row), row.account
        yield [
            told.login, told.who, account.notice_address if account else "", account.phone if account else "",
            told.service, told.address, told.program, told.times,
            told.last_at.isoformat() if told.last_at else "", told.state, told.instruction,
        ]  # fmt: skip


def _rows(campaign: Campaign) -> QuerySet[OldClient]:
    rows = OldClient.objects.filter(campaign=campaign).select_related("account__target")
    return rows.defer("account__source_secret", "account__target_secret").order_by("-last_at", "login", "pk")


def _row(book: PlaceBook, row: OldClient) -> ClientRow:
    account = row.account
    return ClientRow(
        account_id=row.account_id,
        who=account.display_name if account else "",
        login=row.login,
        service=_NAMES.get(row.service, row.service),
        address=row.address,
        program=row.program,
        times=row.times,
        last_at=row.last_at,
        state=str(words.state(account.state)) if account else "",
        instruction=instruction(book, account, row.service) if account else "",
    )


def instruction(book: PlaceBook, account: Account, service: str) -> str:
    """Return what one person must enter in a mail program for a service; "" where nobody has said where it is."""
    door = _door(book, service)
    if door is None and service == "imap" and account.target.host:
        encryption = str(_ENCRYPTION[Security(account.target.security)])
        door = (account.target.host, account.target.port, encryption)
    if door is None:
        return ""
    host, port, encryption = door
    return gettext("Server %(host)s, port %(port)s, encryption %(encryption)s, user name %(login)s") % {
        "host": host, "port": port, "encryption": encryption, "login": account.target_login,
    }  # fmt: skip


def _door(book: PlaceBook, service: str) -> tuple[str, int, str] | None:
    for door, encryption in _DOORS.get(service, ()):
        if text := book.ports.get(door.value, {}).get("new", ""):
            place = place_of(text)
            return place.host, place.port or 0, encryption
    return None
