"""Sessions: who is signed in now, and how they are ended. Kinds by name."""

from __future__ import annotations

from typing import Final

from migrator.entries import Kind

SESSIONS: Final[dict[str, Kind]] = {
    "dovecot": Kind("Dovecot", "migrator.sessions.dovecot:DovecotSessions"),
    "command": Kind("Your own programs", "migrator.sessions.command:CommandSessions"),
}
