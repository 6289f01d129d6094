"""What a mailbox may hold and holds (RFC 9208): the limits of its inbox, nearly always those of the account."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from migrator.stores import imap_listing, imap_syntax
from migrator.stores.base import Quota
from migrator.stores.imap_parse import Value, number, values
from migrator.stores.imap_session import ImapSession

UNIT_BYTES: Final = {"STORAGE": 1024, "MESSAGE": 1}  # RFC 9208 §5
_QUOTA: Final = b"* QUOTA "
_STATUS: Final = b"* STATUS "
_MOST_FOLDERS: Final = 500  # that are asked, in one send


def read(session: ImapSession) -> list[Quota]:
    """Return the limits of the inbox, the tightest of each resource; none when there are none or nobody tells."""
    reply = session.ask((b'GETQUOTAROOT "INBOX"\r\n',))
    if not reply.is_ok:
        return []
    tightest: dict[str, Quota] = {}
    for response in reply.untagged:
        if response.upper().startswith(_QUOTA):
            for quota in _quotas(response):
                known = tightest.get(quota.resource)
                if known is None or quota.free < known.free:
                    tightest[quota.resource] = quota
    return list(tightest.values())


def held_bytes(session: ImapSession) -> int | None:
    """Return how much the account holds, as STATUS tells it (RFC 8438); None where the server does not count all of it.

    Raises ``MigratorError``.
    """
    if not session.has("STATUS=SIZE"):
        return None
    folders = [folder.path for folder in imap_listing.list_account(session).folders() if folder.selectable]
    if len(folders) > _MOST_FOLDERS or not all(map(imap_syntax.is_writable, folders)):
        return None
    commands = [imap_syntax.command(b"STATUS ", session.string(path.raw), b" (SIZE)") for path in folders]
    replies = list(session.talk(commands))
    if not all(reply.is_ok for reply in replies):
        return None
    return sum(filter(None, (_size(response) for reply in replies for response in reply.untagged)))


def _size(response: bytes) -> int | None:
    if response[: len(_STATUS)].upper() != _STATUS:
        return None
    try:
        parts = values(response, len(_STATUS))
    except ValueError:
        return None
    items = next((part for part in parts if isinstance(part, list)), [])
    found = (number(value) for name, value in zip(items[::2], items[1::2], strict=False) if _word(name) == "SIZE")
    return next(found, None)


def _quotas(response: bytes) -> Iterator[Quota]:
    try:
        parts = values(response, len(_QUOTA))
    except ValueError:
        return
    numbers = next((part for part in parts if isinstance(part, list)), [])
    for name, used, limit in zip(numbers[::3], numbers[1::3], numbers[2::3], strict=False):
        unit = UNIT_BYTES.get(_word(name))
        held, most = number(used), number(limit)
        if unit and held is not None and most is not None:
            yield Quota(_word(name), held * unit, most * unit)


def _word(value: Value) -> str:
    return value.decode("ascii", "replace").upper() if isinstance(value, bytes) else ""
