"""A POP3 server in memory on loopback that keeps the rules; what it holds, offers and breaks is the test's choice."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from tests.rigs.text_peer import Answer, TextConversation, TextPeer, cut

WITH_NAMES: Final = "UIDL\nTOP\nUSER\nPIPELINING"


@dataclass
class Maildrop:
    """``mail``: lasting name and body of each message, in the server's order. ``server`` may be opened many times."""

    mail: list[tuple[bytes, bytes]]
    names: bool = True  # answers UIDL
    cut_before: set[int] = field(default_factory=set)  # RETRs of all sessions, counted from 1, at which the line dies
    retrieved: int = 0

    def server(self) -> TextPeer:
        """Return a server of this mail."""
        answers: dict[str, Answer] = {
            "CAPA": f"+OK\n{WITH_NAMES}\n.",
            "USER": "+OK",
            "PASS": "+OK",
            "LIST": self._list,
            "UIDL": self._uidl if self.names else "-ERR not here",
            "RETR": self._retr,
        }
        return TextPeer(answers)

    def _list(self, conversation: TextConversation, command: bytes) -> None:
        rows = [b"%d %d\r\n" % (number, len(body)) for number, (_, body) in enumerate(self.mail, 1)]
        conversation.say(b"+OK\r\n" + b"".join(rows) + b".\r\n")

    def _uidl(self, conversation: TextConversation, command: bytes) -> None:
        rows = [b"%d %b\r\n" % (number, name) for number, (name, _) in enumerate(self.mail, 1)]
        conversation.say(b"+OK\r\n" + b"".join(rows) + b".\r\n")

    def _retr(self, conversation: TextConversation, command: bytes) -> None:
        self.retrieved += 1
        if self.retrieved in self.cut_before:
            cut(conversation, command)
        _, body = self.mail[int(command.split()[1]) - 1]
        stuffed = (b"\r\n" + body).replace(b"\r\n.", b"\r\n..")[2:]
        conversation.say(b"+OK\r\n" + stuffed + b".\r\n")
