"""A pager service on loopback: it takes JSON by POST, keeps what it was given, and says what a test wants it to say."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Self


class Pager:
    """The server; ``url`` is its address. ``status`` is its answer; ``drip`` lets it answer letter by letter, ``echo``
    repeat what it was given.
    """

    def __init__(self) -> None:
        self.status = 204
        self.location = ""  # of a redirection
        self.drip = False
        self.echo = False
        self.calls: list[dict[str, Any]] = []
        self.tokens: list[str] = []
        self._over = threading.Event()
        handler = type("Handler", (_Handler,), {"pager": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}/hook?team=mail"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *stopped: object) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def wait(self, seconds: float) -> None:
        """Wait, but not longer than the server lives."""
        self._over.wait(seconds)

    @property
    def is_over(self) -> bool:
        return self._over.is_set()


class _Handler(BaseHTTPRequestHandler):
    pager: ClassVar[Pager]

    def do_POST(self) -> None:
        pager = self.pager
        body: bytes = self.rfile.read(int(self.headers["Content-Length"]))
        pager.calls.append({"path": self.path, **json.loads(body)})
        pager.tokens.append(self.headers.get("Authorization", ""))
        if pager.drip:
            self._drip()
            return
        self.send_response(pager.status)
        if pager.location:
            self.send_header("Location", pager.location)
        said = body if pager.echo else b""
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def _drip(self) -> None:
        end = time.monotonic() + 30
        try:
            while time.monotonic() < end and not self.pager.is_over:
                self.wfile.write(b"H")
                self.wfile.flush()
                self.pager.wait(0.05)
        except OSError:  # the other side has had enough
            return

    def log_message(self, *words: object) -> None:
        """Say nothing."""
