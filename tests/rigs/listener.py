"""The listening half of a scripted server on loopback: it accepts, keeps its lines, and leaves no thread behind."""

from __future__ import annotations

import abc
import contextlib
import socket
import threading
from typing import Final, Self

from migrator.limits import Limits
from migrator.secret import Secret
from migrator.stores.endpoint import Endpoint, Security

HOST: Final = "127.0.0.1"
PATIENCE_SECONDS: Final = 20.0
QUICK: Final = Limits(connect_seconds=10.0, io_seconds=10.0)


class Gone(Exception):
    """The other side closed the line."""


class Listener(abc.ABC):
    """Gives every connection a thread of its own. What goes wrong there is raised by whoever leaves the ``with``."""

    def __init__(self, host: str = HOST) -> None:
        self.connections = 0
        self.flights: list[bytes] = []  # every piece in which the client's octets arrived
        self._failures: list[BaseException] = []
        self._listener = socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.port = int(self._listener.getsockname()[1])
        self._lines: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._acceptor = threading.Thread(target=self._accept, daemon=True)

    @abc.abstractmethod
    def converse(self, line: socket.socket) -> None:
        """Talk until the other side is gone, then close the line. ``Gone`` and ``OSError`` are such an end."""

    def endpoint(
        self, *, security: Security = "plain", user: str = "u1", password: str = "pw", **more: object
    ) -> Endpoint:
        """How a client reaches this server."""
        return Endpoint(HOST, self.port, security, user, Secret(password), **more)  # type: ignore[arg-type]

    def __enter__(self) -> Self:
        self._acceptor.start()
        return self

    def __exit__(self, *stopped: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._acceptor.join(PATIENCE_SECONDS)
        for line in self._lines:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS)
        if self._failures and stopped[0] is None:
            raise self._failures[0]

    def _accept(self) -> None:
        while True:
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            line.settimeout(PATIENCE_SECONDS)
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._lines.append(line)
            thread = threading.Thread(target=self._serve, args=(line,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, line: socket.socket) -> None:
        try:
            self.converse(line)
        except (Gone, OSError):
            pass
        except BaseException as error:
            self._failures.append(error)
            raise
