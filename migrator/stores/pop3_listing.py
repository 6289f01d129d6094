"""What a mailbox looks like to programs that read it by POP3: the names (UIDL) by which they know what they have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, NamedTuple

from migrator.errors import Side
from migrator.limits import Limits
from migrator.stores.endpoint import Endpoint
from migrator.stores.pop3_numbering import form_of
from migrator.stores.pop3_session import Pop3Session

PORT: Final = 110
TLS_PORT: Final = 995
SLACK_OCTETS: Final = 512
SLACK_SHARE: Final = 0.05


class PopListing(NamedTuple):
    """The messages of a mailbox by POP3."""

    messages: int
    size_by_name: Mapping[bytes, int] | None  # None: the server gives no names
    form: str  # in Dovecot's spelling (pop3_uidl_format); empty when it is none known


def is_same_size(one: int, other: int) -> bool:
    """True when two sizes may be of one message: servers count line ends differently, and some add header lines."""
    return abs(one - other) <= max(SLACK_OCTETS, SLACK_SHARE * other)


def listing_beside(endpoint: Endpoint, host: str = "", port: int | None = None) -> Endpoint:
    """Return where POP3 is for the mailbox at ``endpoint``: on its host unless another is named, as well protected."""
    usual = TLS_PORT if endpoint.security == "tls" else PORT
    return replace(endpoint, host=host or endpoint.host, port=port or usual)


def pop_listing(endpoint: Endpoint, limits: Limits, side: Side) -> PopListing:
    """Sign in, list, and leave without a word, so that nothing changes. Raises ``MigratorError``."""
    session = Pop3Session(endpoint, limits, side=side)
    try:
        sizes, names = session.listing()
    finally:
        session.drop()
    if names is None:
        return PopListing(len(sizes), None, "")
    by_name = {name: sizes.get(number, 0) for number, name in names.items()}
    return PopListing(len(sizes), by_name, form_of(list(by_name)))
