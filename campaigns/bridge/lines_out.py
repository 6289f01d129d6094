"""Opens a line to a host within a time that holds for all of it: looking up its name, and trying each address.

The system looks names up in its own time, and nothing can end that. So a thread of its own asks, and whoever waits
goes when the time is over. A name is asked for once at a time, however often it is wanted meanwhile.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as OutOfTime
from typing import Any, Final

Found = list[tuple[Any, ...]]  # as socket.getaddrinfo returns it

_asked: Final[dict[tuple[str, int], Future[Found]]] = {}
_guard: Final = threading.Lock()
_LEAST_SECONDS: Final = 0.01  # 0 would mean not to wait at all


def addresses(host: str, port: int, seconds: float) -> Found:
    """Return the addresses of ``host``. Raises ``OSError``: none, or not found within ``seconds``."""
    try:
        return _ask_once(host, port).result(seconds)
    except OutOfTime:
        raise TimeoutError(f"the name {host} was not found within {seconds:g} s") from None
    except UnicodeError as error:
        raise OSError(f"{host} is no name of a host") from error


def _ask_once(host: str, port: int) -> Future[Found]:
    key = (host, port)
    with _guard:
        found = _asked.get(key)
        if found is None:
            found = Future()
            try:
                threading.Thread(target=_ask, args=(key, found), name="names", daemon=True).start()
            except RuntimeError as error:  # no more threads: whoever asks next must not wait for an answer of nobody
                raise OSError(f"the name {host} cannot be looked up now: {error}") from error
            _asked[key] = found  # the thread takes it out again, and waits for that until we have left
        return found


def _ask(key: tuple[str, int], future: Future[Found]) -> None:
    try:
        future.set_result(list(socket.getaddrinfo(*key, type=socket.SOCK_STREAM)))
    except (OSError, UnicodeError) as error:
        future.set_exception(error)
    finally:
        with _guard:
            del _asked[key]


def open_line(host: str, port: int, seconds: float, see: Callable[[socket.socket], None]) -> socket.socket:
    """Return a line to ``host``, which times out after what is left of ``seconds``; half of them are for its name.

    Each address has its share of what is left, so that one that never answers leaves time for the next. ``see`` is
    shown each line before anything is done with it. Raises ``OSError``.
    """
    end = time.monotonic() + seconds
    failed = OSError(f"{host} has no address")
    found = addresses(host, port, seconds / 2)
    for tried, (family, kind, protocol, _, place) in enumerate(found):
        share = (end - time.monotonic()) / (len(found) - tried)
        try:
            line = _connected(socket.socket(family, kind, protocol), place, max(_LEAST_SECONDS, share), see)
        except OSError as error:  # also where the system has no such family
            failed = error
        else:
            line.settimeout(max(_LEAST_SECONDS, end - time.monotonic()))
            return line
    raise failed


def _connected(line: socket.socket, place: Any, seconds: float, see: Callable[[socket.socket], None]) -> socket.socket:
    try:
        line.settimeout(seconds)
        see(line)
        line.connect(place)
    except BaseException:
        line.close()
        raise
    return line
