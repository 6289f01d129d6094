"""A line whose octets are compressed both ways (RFC 4978). Off unless asked for: some servers' own way is broken.

However small the octets that arrive and however much they say, one read takes no more out of them than it asked for.
"""

from __future__ import annotations

import socket
import zlib
from typing import Any, Final

from migrator.errors import MigratorError, Side

READ_BYTES: Final = 64 * 1024
_RAW: Final = -zlib.MAX_WBITS  # without a head and a check sum (RFC 1951)


class DeflatedLine:
    """Offers of a socket what is used of one; all else is the socket's own.

    ``ahead``: compressed octets that were read from the socket already.
    """

    def __init__(self, line: socket.socket, side: Side, ahead: bytes = b"") -> None:
        self._line = line
        self._side = side
        self._squeeze = zlib.compressobj(wbits=_RAW)
        self._swell = zlib.decompressobj(wbits=_RAW)
        self._held = ahead
        self._ready = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._line, name)

    def sendall(self, octets: bytes) -> None:
        """Send all of ``octets``, so that the other end can read all of them now."""
        self._line.sendall(self._squeeze.compress(octets) + self._squeeze.flush(zlib.Z_SYNC_FLUSH))

    def recv(self, size: int) -> bytes:
        """Return at most ``size`` octets; none when the line has ended. Raises ``MigratorError`` for damaged ones."""
        while not self._look(size):
            if self._swell.eof:
                return b""
            self._held = self._line.recv(READ_BYTES)
            if not self._held:
                return b""
        octets, self._ready = self._ready[:size], self._ready[size:]
        return octets

    def pending(self) -> int:
        """Return how many octets at least can be read without the socket."""
        waiting = getattr(self._line, "pending", None)
        return self._look(READ_BYTES) or (waiting() if waiting is not None else 0)

    def _look(self, size: int) -> int:
        """Return how many octets stand ready, after taking at most ``size`` out of what arrived."""
        if not self._ready and not self._swell.eof:
            try:
                self._ready = self._swell.decompress(self._held, size)
            except zlib.error as error:
                raise MigratorError("line.compression", side=self._side, reply=str(error)) from error
            self._held = self._swell.unconsumed_tail
        return len(self._ready)
