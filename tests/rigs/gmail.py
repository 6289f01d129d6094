"""A scripted server that does as Gmail does over IMAP: labels are folders, and one message lies in many of them.

By Google's document of its extensions (X-GM-EXT-1): CAPABILITY, LIST with special uses, X-GM-MSGID and X-GM-LABELS in
FETCH, system labels with a backslash. By reports of those who copied from it and into it: a second APPEND of an equal
message makes no second message, and limits have the words that are in migrator/replies.py. Not Gmail itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Self

from tests.rigs.communigate import _uids, _words
from tests.rigs.scripted import Command, Conversation, Peer

CAPABILITIES: Final = (
    "IMAP4rev1 UNSELECT IDLE NAMESPACE QUOTA ID XLIST CHILDREN X-GM-EXT-1 UIDPLUS ENABLE MOVE CONDSTORE ESEARCH "
    "UTF8=ACCEPT LIST-EXTENDED LIST-STATUS LITERAL- SPECIAL-USE APPENDLIMIT=35651584"
)
ALL_MAIL: Final = "[Gmail]/All Mail"
_ROLES: Final = {
    ALL_MAIL: "\\All",
    "[Gmail]/Drafts": "\\Drafts",
    "[Gmail]/Important": "\\Important",
    "[Gmail]/Sent Mail": "\\Sent",
    "[Gmail]/Spam": "\\Junk",
    "[Gmail]/Starred": "\\Flagged",
    "[Gmail]/Trash": "\\Trash",
}
# The labels of the system, as X-GM-LABELS spells them.
_SPELLED: Final = {
    "INBOX": "\\Inbox",
    "[Gmail]/Sent Mail": "\\Sent",
    "[Gmail]/Drafts": "\\Draft",
    "[Gmail]/Starred": "\\Starred",
    "[Gmail]/Important": "\\Important",
}
_APART: Final = ("[Gmail]/Spam", "[Gmail]/Trash")  # what lies there is not in the folder of all mail
UIDVALIDITY: Final = 7
_APPEND: Final = re.compile(rb'(?: \(([^()]*)\))?(?: ("[ \d]\d-[^"]+"))? \{(\d+)\+?\}\r\n')


@dataclass(eq=False)
class Letter:
    """One message, whatever folders it lies in."""

    identity: int
    body: bytes
    flags: set[str] = field(default_factory=set)
    hidden: tuple[str, ...] = ()  # labels without a folder
    date: bytes = b'"01-Jan-2020 00:00:00 +0000"'


@dataclass(eq=False)
class Box:
    """A label: UIDs ascend, and stay free when a message loses the label."""

    letters: dict[int, Letter] = field(default_factory=dict)
    uidnext: int = 1

    def add(self, letter: Letter) -> int:
        """Put a message under the label, once; return its UID there."""
        for uid, other in self.letters.items():
            if other is letter:
                return uid
        self.letters[self.uidnext] = letter
        self.uidnext += 1
        return self.uidnext - 1

    def remove(self, letter: Letter) -> None:
        """Take the label off."""
        self.letters = {uid: other for uid, other in self.letters.items() if other is not letter}


class Gmail:
    """A context manager; ``put`` fills it."""

    def __init__(self, *, all_mail: bool = True) -> None:
        roles = dict(_ROLES)
        if not all_mail:
            del roles[ALL_MAIL]
        self.boxes = {name: Box() for name in ("INBOX", *roles)}
        self._roles = roles
        self._letters: dict[bytes, Letter] = {}
        self._open: dict[Conversation, str] = {}
        verbs = ("NAMESPACE", "LIST", "LSUB", "STATUS", "EXAMINE", "SELECT", "UID FETCH", "UID STORE", "CREATE",
                 "SUBSCRIBE", "APPEND", "UNSELECT", "GETQUOTAROOT")  # fmt: skip
        answers = {verb: getattr(self, verb.lower().replace(" ", "_")) for verb in verbs}
        answers["ID"] = '* ID ("name" "GImap" "vendor" "Google, Inc.")\n$ OK Success'
        self.peer = Peer(
            answers, capabilities=CAPABILITIES, greeting="* OK Gimap ready for requests from 127.0.0.1 a1mb1"
        )

    def put(self, body: bytes, *labels: str, flags: tuple[str, ...] = (), hidden: tuple[str, ...] = ()) -> Letter:
        """Store a message under labels; without one it is archived. A new label becomes a folder."""
        letter = self._letters.setdefault(self.key_of(body), Letter(1278455344230334865 + len(self._letters), body))
        letter.flags |= set(flags)
        letter.hidden += hidden
        for label in labels:
            self.boxes.setdefault(label, Box()).add(letter)
        if ALL_MAIL in self.boxes and not set(labels) & set(_APART):
            self.boxes[ALL_MAIL].add(letter)
        return letter

    def key_of(self, body: bytes) -> bytes:
        """Return what two messages share that become one: their Message-ID, else all of them."""
        found = re.search(rb"(?im)^message-id:[ \t]*(\S+)", body)
        return found[1] if found else body

    def holds(self) -> dict[str, list[bytes]]:
        """Return the folders that hold messages, but for that of all mail."""
        return {
            name: [letter.body for letter in box.letters.values()]
            for name, box in self.boxes.items()
            if box.letters and name != ALL_MAIL
        }

    def __enter__(self) -> Self:
        self.peer.__enter__()
        return self

    def __exit__(self, *stopped: object) -> None:
        self.peer.__exit__(*stopped)

    # what it answers

    def namespace(self, talk: Conversation, command: Command) -> None:
        talk.say('* NAMESPACE (("" "/")) NIL NIL\n$ OK Success', command)

    def getquotaroot(self, talk: Conversation, command: Command) -> None:
        talk.say('* QUOTAROOT "INBOX" ""\n* QUOTA "" (STORAGE 100 15728640)\n$ OK Success', command)

    def list(self, talk: Conversation, command: Command) -> None:
        talk.say('* LIST (\\HasChildren \\Noselect) "/" "[Gmail]"')
        for name, box in self.boxes.items():
            role = f" {self._roles[name]}" if name in self._roles else ""
            talk.say(f'* LIST (\\HasNoChildren{role}) "/" "{name}"')
            if b"STATUS" in command.words:
                talk.say(self._counters(name, box))
        talk.say("$ OK Success", command)

    def lsub(self, talk: Conversation, command: Command) -> None:
        talk.say("$ OK Success", command)

    def status(self, talk: Conversation, command: Command) -> None:
        name = _words(command)[0]
        talk.say(f"{self._counters(name, self.boxes[name])}\n$ OK Success", command)

    def _counters(self, name: str, box: Box) -> str:
        return (
            f'* STATUS "{name}" (MESSAGES {len(box.letters)} UIDNEXT {box.uidnext} UIDVALIDITY {UIDVALIDITY} '
            f"HIGHESTMODSEQ {100 + box.uidnext * 1000 + len(box.letters)})"
        )

    def examine(self, talk: Conversation, command: Command) -> None:
        name = _words(command)[0]
        box = self.boxes.get(name)
        if box is None:
            talk.say(f"$ NO [NONEXISTENT] Unknown Mailbox: {name} (Failure)", command)
            return
        self._open[talk] = name
        talk.say(
            f"* FLAGS (\\Answered \\Flagged \\Draft \\Deleted \\Seen)\n* {len(box.letters)} EXISTS\n"
            f"* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Draft \\Deleted \\Seen \\*)] Flags permitted.\n"
            f"* OK [UIDVALIDITY {UIDVALIDITY}] -\n* OK [UIDNEXT {box.uidnext}] -\n$ OK done",
            command,
        )

    select = examine

    def unselect(self, talk: Conversation, command: Command) -> None:
        talk.say("$ OK done", command)

    def uid_fetch(self, talk: Conversation, command: Command) -> None:
        name = self._open[talk]
        box = self.boxes[name]
        chosen = set(_uids(command.words.split()[2].decode(), box.uidnext - 1))
        for number, (uid, letter) in enumerate(list(box.letters.items()), 1):
            if uid in chosen:
                talk.send(b"* %d FETCH (%b)\r\n" % (number, b" ".join(self._items(name, uid, letter, command.words))))
        talk.say("$ OK Success", command)

    def _items(self, name: str, uid: int, letter: Letter, words: bytes) -> Iterator[bytes]:
        if b"X-GM-MSGID" in words:
            yield b"X-GM-MSGID %d" % letter.identity
        if b"X-GM-LABELS" in words:
            yield b"X-GM-LABELS (%b)" % " ".join(self._labels(name, letter)).encode()
        yield b"UID %d" % uid
        if b"FLAGS" in words:
            yield b"FLAGS (%b)" % " ".join(sorted(letter.flags)).encode()
        if b"INTERNALDATE" in words:
            yield b"INTERNALDATE " + letter.date
            yield b"RFC822.SIZE %d" % len(letter.body)
        if b"BODY" in words:
            yield b"BODY[] {%d}\r\n%b" % (len(letter.body), letter.body)

    def _labels(self, opened: str, letter: Letter) -> Iterator[str]:
        for name, box in self.boxes.items():
            if name not in (opened, ALL_MAIL) and letter in box.letters.values():
                spelled = _SPELLED.get(name, name).replace("\\", "\\\\")
                yield f'"{spelled}"' if " " in spelled or "\\" in spelled else spelled
        yield from letter.hidden

    def uid_store(self, talk: Conversation, command: Command) -> None:
        talk.say("$ OK Success", command)

    def create(self, talk: Conversation, command: Command) -> None:
        name = _words(command)[0]
        if name.startswith("[Gmail]"):
            talk.say("$ NO [CANNOT] Folder name is not allowed. (Failure)", command)
        elif name in self.boxes:
            talk.say(f"$ NO [ALREADYEXISTS] Duplicate folder name {name} (Failure)", command)
        else:
            self.boxes[name] = Box()
            talk.say("$ OK Success", command)

    def subscribe(self, talk: Conversation, command: Command) -> None:
        talk.say("$ OK Success", command)

    def append(self, talk: Conversation, command: Command) -> None:
        found = _APPEND.search(command.words)
        assert found is not None
        flags, date, size = found.groups()
        name = _words(command)[0]
        if name not in self.boxes:
            talk.say(f"$ NO [TRYCREATE] No folder {name} (Failure)", command)
            return
        body = command.words[found.end() : found.end() + int(size)]
        letter = self.put(body, name, flags=tuple((flags or b"").decode().split()))
        letter.date = date or letter.date
        uid = self.boxes[name].add(letter)
        talk.say(f"$ OK [APPENDUID {UIDVALIDITY} {uid}] (Success)", command)
