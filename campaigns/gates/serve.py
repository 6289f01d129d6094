"""The lines of the gates: HTTP for nginx, socketmap for Postfix, in one thread that never waits for a database.

The rows of connections are read again every two seconds by another thread; while the database is away, the gates answer
by what they know.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from django.db import Error

from campaigns.gates.desk import Desk
from campaigns.gates.fronts import Gate
from migrator.gates import nginx, socketmap

IDLE_SECONDS: Final = 60.0  # of a line that asks nothing
MOST_LINES: Final = 4096
MOST_UNREAD: Final = 64 * 1024  # octets of answers that the other side does not take
_READ_SECONDS: Final = 2.0

log = logging.getLogger(__name__)


class Lines:
    """All open lines: bounded in number, closed at the end."""

    def __init__(self) -> None:
        self._open: set[asyncio.Transport] = set()

    def add(self, line: asyncio.Transport) -> bool:
        """Count ``line`` in; False where there are too many, and it is gone."""
        if len(self._open) >= MOST_LINES:
            line.abort()
            return False
        self._open.add(line)
        return True

    def remove(self, line: asyncio.Transport) -> None:
        self._open.discard(line)

    def close(self) -> None:
        """End all."""
        for line in list(self._open):
            line.close()


class Line(asyncio.Protocol, ABC):
    """One line. Subclasses take what is whole out of :attr:`buffer` and answer it."""

    def __init__(self, desk: Desk, lines: Lines) -> None:
        self._desk = desk
        self._lines = lines
        self._transport: asyncio.Transport | None = None
        self._end: asyncio.TimerHandle | None = None
        self.buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        if self._lines.add(transport):
            self._transport = transport
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._end is not None:
            self._end.cancel()
        if self._transport is not None:
            self._lines.remove(self._transport)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if self._transport is None or not self.answer_all(self._transport):
            return
        if self._transport.get_write_buffer_size() > MOST_UNREAD:
            self._transport.abort()
        else:
            self._wait()

    @abstractmethod
    def answer_all(self, transport: asyncio.Transport) -> bool:
        """Answer all whole questions; tell whether there was one."""

    def peer(self) -> str:
        """Return who is at the other end."""
        found = self._transport.get_extra_info("peername") if self._transport else None
        return str(found[0]) if found else "nowhere"

    def _wait(self) -> None:
        if self._end is not None:
            self._end.cancel()
        if self._transport is not None:
            self._end = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._transport.abort)


class HttpLine(Line):
    """A line of nginx's."""

    def answer_all(self, transport: asyncio.Transport) -> bool:
        asked = False
        while not transport.is_closing():
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0 and len(self.buffer) < nginx.MOST_OCTETS:
                break
            if end < 0 or end > nginx.MOST_OCTETS:
                transport.write(nginx.BAD)
                transport.close()
                break
            head = bytes(self.buffer[: end + 4])
            del self.buffer[: end + 4]
            answer, keeps_line = self._desk.http(head, self.peer())
            transport.write(answer)
            asked = True
            if not keeps_line:
                transport.close()
        return asked


class SocketmapLine(Line):
    """A line of Postfix's."""

    def answer_all(self, transport: asyncio.Transport) -> bool:
        asked = False
        try:
            while not transport.is_closing() and (request := socketmap.take(self.buffer)) is not None:
                transport.write(self._desk.postfix(request))
                asked = True
        except socketmap.BadRequest:
            log.warning("%s asked what is no question of Postfix's", self.peer())
            transport.abort()
        return asked


async def serve(
    desk: Desk,
    read: Callable[[], Mapping[str, Gate]],
    *,
    http: Sequence[socket.socket],
    postfix: Sequence[socket.socket],
    stop: asyncio.Event,
) -> None:
    """Answer at the sockets, which listen already, until ``stop``. ``read`` returns the gates as rows have them."""
    loop, lines = asyncio.get_running_loop(), Lines()
    reading = loop.create_task(_keep_reading(desk, read))
    servers = [await loop.create_server(lambda: HttpLine(desk, lines), sock=one, backlog=1024) for one in http]
    servers += [await loop.create_server(lambda: SocketmapLine(desk, lines), sock=one) for one in postfix]
    try:
        await stop.wait()
    finally:
        reading.cancel()
        for server in servers:
            server.close()
        lines.close()
        with contextlib.suppress(asyncio.CancelledError):
            await reading


async def _keep_reading(desk: Desk, read: Callable[[], Mapping[str, Gate]]) -> None:
    was_away = False
    while True:
        try:
            desk.gates = await asyncio.to_thread(read)
            if was_away:
                log.warning("the gates were read again")
            was_away = False
        except Error as error:
            if not was_away:
                log.warning("the database did not answer; the gates go by what they know: %s", str(error).strip())
            was_away = True
        except Exception:  # whatever it is: gates that read no more would go by old routes for ever
            if not was_away:
                log.exception("the gates could not be read; they go by what they know")
            was_away = True
        await asyncio.sleep(_READ_SECONDS)
