"""Compare what is to be copied with what the new mailbox may still hold, before the first message goes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from migrator.stores.base import Quota

# Servers count what nobody sees (deleted mail, indexes) and store line ends that the source did not have.
MARGIN: Final = 10  # percent


class Shortage(NamedTuple):
    """So much of a resource (bytes of STORAGE, or MESSAGE) is needed, margin included, and so much is free."""

    resource: str
    needed: int
    free: int


def shortages(quotas: Iterable[Quota], *, messages: int, size_bytes: int) -> Iterator[Shortage]:
    """Yield what will not suffice for ``messages`` of ``size_bytes`` together."""
    wanted = {"STORAGE": size_bytes, "MESSAGE": messages}
    for quota in quotas:
        needed = -(-wanted.get(quota.resource, 0) * (100 + MARGIN) // 100)
        if needed > quota.free:
            yield Shortage(quota.resource, needed, quota.free)
