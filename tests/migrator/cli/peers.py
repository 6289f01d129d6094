"""Scripted servers with one mailbox: enough of IMAP to be listed and read, for what goes wrong afterwards."""

from __future__ import annotations

from tests.rigs.scripted import Act, Answer, Answers, Command, Conversation, Peer, then

BODY = b"Subject: hello\r\n\r\nbody\r\n"
_META = f'* 1 FETCH (UID 1 FLAGS () INTERNALDATE "01-Jan-2020 00:00:00 +0000" RFC822.SIZE {len(BODY)})\n$ OK done'


def mailbox(messages: int = 0, **answers: Answer | list[Answer]) -> Peer:
    """Return a server whose INBOX holds ``messages`` (0 or 1). A blank in a verb is written ``_``."""
    counters = f"MESSAGES {messages} UIDNEXT {messages + 1} UIDVALIDITY 7"
    opened = f"* FLAGS (\\Seen)\n* {messages} EXISTS\n* OK [UIDVALIDITY 7] -\n* OK [UIDNEXT {messages + 1}] -\n"
    usual: Answers = {
        "NAMESPACE": '* NAMESPACE (("" "/")) NIL NIL\n$ OK done',
        "LIST": '* LIST (\\HasNoChildren) "/" INBOX\n$ OK done',
        "LSUB": '* LSUB () "/" INBOX\n$ OK done',
        "STATUS": f"* STATUS INBOX ({counters})\n$ OK done",
        "EXAMINE": f"{opened}$ OK [READ-ONLY] done",
        "SELECT": f"{opened}* OK [PERMANENTFLAGS (\\Seen \\*)] -\n$ OK [READ-WRITE] done",
        "UID FETCH": _META if messages else "$ OK done",
        "APPEND": "$ OK done",
    }
    return Peer({**usual, **{verb.replace("_", " "): answer for verb, answer in answers.items()}})


def bodies(*answers: Answer) -> Act:
    """Return the answer to UID FETCH that lists the message, and gives ``answers`` in turn when its body is asked for.

    The last one is given again and again.
    """
    waiting = list(answers)

    def answer(conversation: Conversation, command: Command) -> None:
        if b"BODY" not in command.words:
            conversation.say(_META, command)
        else:
            then(waiting.pop(0) if len(waiting) > 1 else waiting[0])(conversation, command)

    return answer
