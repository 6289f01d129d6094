"""Dovecot's question who may sign in, answered from the demo's directory (checkpassword; standard library alone).

``python -I -S sign_in.py DIRECTORY HOST REPLY``: name and password come on descriptor 3, each ended by a NUL; whoever
may enter is let in by running REPLY. Dovecot runs a copy of this file, so nothing of the panel is imported.
"""

from __future__ import annotations

import os
import sqlite3
import sys

REFUSED, TRY_LATER = 1, 111  # what checkpassword programs end with


def answer(directory: str, host: str) -> int:
    """Return what to end with; 0 when the user is let in."""
    login, _, rest = _question().partition(b"\0")
    password = rest.partition(b"\0")[0]
    try:
        line = sqlite3.connect(f"file:{directory}?mode=ro", uri=True, timeout=10)
        query = "SELECT password FROM people WHERE login = ? AND mailhost = ? AND status = 'active'"
        row = line.execute(query, (login.decode(errors="replace").casefold(), host)).fetchone()
        line.close()
    except sqlite3.Error:
        return TRY_LATER
    if row is None or row[0].encode() != password:
        return REFUSED
    return 0


def _question() -> bytes:
    parts = []
    while part := os.read(3, 4096):
        parts.append(part)
    return b"".join(parts)


def main(directory: str, host: str, reply: str) -> None:
    """Answer by becoming REPLY, or by the way this program ends."""
    code = answer(directory, host)
    if code:
        sys.exit(code)
    os.execv(reply, [reply])


if __name__ == "__main__":
    main(*sys.argv[1:])
