"""Sessions: who is signed in now, and how they are ended. Kinds by name."""

from __future__ import annotations

from typing import Final

from migrator.entries import Kind

SESSIONS: Final[dict[str, Kind]] = {
    "cyrus": Kind("Cyrus IMAP", "migrator.sessions.cyrus:CyrusSessions"),
    "dovecot": Kind("Dovecot", "migrator.sessions.dovecot:DovecotSessions"),
    "dovecot_proxy": Kind("Dovecot proxy", "migrator.sessions.dovecot_proxy:DovecotProxySessions"),
    "command": Kind("Your own programs", "migrator.sessions.command:CommandSessions"),
}
