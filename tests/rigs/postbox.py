"""An SMTP or LMTP server in memory on loopback that keeps the rules and what it was given; tests say its refusals."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from tests.rigs.text_peer import Answer, TextConversation, TextPeer, close

OFFERS: Final = ("PIPELINING", "SIZE 1000000", "8BITMIME", "ENHANCEDSTATUSCODES")


@dataclass
class Postbox:
    """``mail`` holds envelope and message of all that was accepted, in order; ``server`` may be opened many times."""

    offers: tuple[str, ...] = OFFERS
    is_local: bool = False
    # what to say to a message that came whole, None to accept it; may close the line instead
    judge: Callable[[int, bytes], Answer | None] = lambda number, message: None
    answers: dict[str, Answer | list[Answer]] = field(default_factory=dict)
    mail: list[tuple[bytes, bytes, bytes]] = field(default_factory=list)
    received: int = 0

    def server(self) -> TextPeer:
        """Return a server of this postbox."""
        hello = "\n".join(f"250-{words}" for words in ("box", *self.offers)) + "\n250 HELP"
        usual: dict[str, Answer | list[Answer]] = {
            "LHLO" if self.is_local else "EHLO": hello,
            "MAIL": "250 2.1.0 ok",
            "RCPT": "250 2.1.5 ok",
            "RSET": "250 ok",
            "DATA": self._data,
            "QUIT": close,
        }
        return TextPeer(usual | self.answers, greeting="220 box ready", unknown="500 5.5.1 not in the script")

    def _data(self, conversation: TextConversation, command: bytes) -> None:
        conversation.say("354 go on")
        message = conversation.read_message()
        self.received += 1
        answer = self.judge(self.received, message)
        if answer is None:
            envelope = [line for line in conversation.commands if line[:4].upper() in (b"MAIL", b"RCPT")][-2:]
            self.mail.append((envelope[0], envelope[1], message))
            answer = "250 2.0.0 taken"
        with contextlib.suppress(OSError):
            conversation.say(answer) if isinstance(answer, str | bytes) else answer(conversation, command)
