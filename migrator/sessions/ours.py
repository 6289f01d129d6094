"""Our own sessions among those of a user: they read the mailbox for the move, and are neither counted nor ended."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence


class OurAddresses:
    """The addresses that this program reads mailboxes from. Raises ``ValueError`` for what is none."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses = {ipaddress.ip_address(one) for one in addresses}

    def __bool__(self) -> bool:
        return bool(self._addresses)

    def __contains__(self, ip: str) -> bool:
        try:
            return ipaddress.ip_address(ip) in self._addresses
        except ValueError:  # a server may not know where a session comes from
            return False
