"""A scripted server that does as CommuniGate Pro's guide says: the postmaster sees others' folders below ``~user/``.

Enough of IMAP to be copied from and into, kept in memory. Not CommuniGate itself, which cannot be had: what its guide
leaves open is done as RFC 3501 says.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Self

from tests.rigs.scripted import Command, Conversation, Peer

POSTMASTER = "postmaster"
_RESERVED = (".mbox", ".mdir")
_WORD = re.compile(rb'"((?:[^"\\]|\\.)*)"|\{(\d+)\+?\}\r\n|([^\s()]+)')


@dataclass
class Box:
    """One folder."""

    messages: list[bytes] = field(default_factory=list)
    subscribers: set[str] = field(default_factory=set)


class CommuniGate:
    """``boxes``: account and folder to its messages. A context manager; ``url`` is what to copy from or into.

    ``domain`` is the secondary domain that its address is assigned to: a name without one signs in there.
    """

    def __init__(self, *accounts: str, domain: str = "") -> None:
        self._domain = domain
        self.boxes: dict[tuple[str, str], Box] = {(account, "INBOX"): Box() for account in (*accounts, POSTMASTER)}
        verbs = ("LOGIN", "LIST", "LSUB", "STATUS", "EXAMINE", "SELECT", "UID FETCH", "CREATE", "SUBSCRIBE", "APPEND")
        greeting = "* OK CommuniGate Pro IMAP Server 6.0 at example.org ready"
        self.peer = Peer({verb: getattr(self, verb.lower().replace(" ", "_")) for verb in verbs}, greeting=greeting)
        self._users: dict[Conversation, str] = {}
        self._open: dict[Conversation, Box] = {}

    def url(self, user: str) -> str:
        """The way in for ``user``."""
        return f"imap://{user}@127.0.0.1:{self.peer.port}"

    def put(self, account: str, folder: str, *messages: bytes, subscribed: bool = False) -> None:
        """Fill a folder."""
        box = self.boxes.setdefault((account, folder), Box())
        box.messages += messages
        box.subscribers |= {account} if subscribed else set()

    def holds(self, account: str) -> dict[str, list[bytes]]:
        """Return the folders of an account that hold messages."""
        return {name: box.messages for (owner, name), box in self.boxes.items() if owner == account and box.messages}

    def __enter__(self) -> Self:
        self.peer.__enter__()
        return self

    def __exit__(self, *stopped: object) -> None:
        self.peer.__exit__(*stopped)

    # what it answers

    def login(self, talk: Conversation, command: Command) -> None:
        user = _words(command)[0]
        is_elsewhere = not self._domain or "@" in user or user == POSTMASTER
        self._users[talk] = user if is_elsewhere else f"{user}@{self._domain}"
        talk.say("$ OK [CAPABILITY IMAP4rev1 LITERAL+] completed", command)

    def list(self, talk: Conversation, command: Command) -> None:
        pattern = "".join(_words(command)[:2])
        for name, _ in self._names(talk, pattern):
            talk.say(f'* LIST () "/" "{name}"')
        talk.say("$ OK completed", command)

    def lsub(self, talk: Conversation, command: Command) -> None:
        pattern = "".join(_words(command)[:2])
        for name, box in self._names(talk, pattern):
            if self._users[talk] in box.subscribers:
                talk.say(f'* LSUB () "/" "{name}"')
        talk.say("$ OK completed", command)

    def _names(self, talk: Conversation, pattern: str) -> Iterator[tuple[str, Box]]:
        for (account, folder), box in list(self.boxes.items()):  # other conversations make folders meanwhile
            name = f"~{account}/{folder}" if pattern.startswith("~") else folder
            is_seen = account == self._users[talk] or (pattern.startswith("~") and self._users[talk] == POSTMASTER)
            if is_seen and fnmatch.fnmatchcase(name, pattern):
                yield name, box

    def _key(self, talk: Conversation, name: str) -> tuple[str, str] | None:
        """Return whose folder a name means; None where this user may not go."""
        user = self._users[talk]
        if not name.startswith("~"):
            return user, "INBOX" if name.upper() == "INBOX" else name
        account, _, folder = name[1:].partition("/")
        is_allowed = user in (POSTMASTER, account) and (account, "INBOX") in self.boxes
        return (account, folder) if is_allowed else None

    def status(self, talk: Conversation, command: Command) -> None:
        name = _words(command)[0]
        box = self.boxes.get(self._key(talk, name) or ("", ""))
        if box is None:
            talk.say("$ NO mailbox does not exist", command)
            return
        count = len(box.messages)
        talk.say(f'* STATUS "{name}" (MESSAGES {count} UIDNEXT {count + 1} UIDVALIDITY 7)\n$ OK completed', command)

    def examine(self, talk: Conversation, command: Command) -> None:
        box = self.boxes.get(self._key(talk, _words(command)[0]) or ("", ""))
        if box is None:
            talk.say("$ NO mailbox does not exist", command)
            return
        self._open[talk] = box
        count = len(box.messages)
        talk.say(
            f"* FLAGS (\\Seen)\n* {count} EXISTS\n* OK [UIDVALIDITY 7] -\n* OK [UIDNEXT {count + 1}] -\n"
            "* OK [PERMANENTFLAGS (\\Seen \\*)] -\n$ OK completed",
            command,
        )

    select = examine

    def uid_fetch(self, talk: Conversation, command: Command) -> None:
        box = self._open[talk]
        for uid in _uids(command.words.split()[2].decode(), len(box.messages)):
            body = box.messages[uid - 1]
            if b"BODY" in command.words:
                talk.send(b"* %d FETCH (UID %d BODY[] {%d}\r\n%b)\r\n" % (uid, uid, len(body), body))
            else:
                date = b'"01-Jan-2020 00:00:00 +0000"'
                size = len(body)
                talk.send(b"* %d FETCH (UID %d FLAGS () INTERNALDATE %b RFC822.SIZE %d)\r\n" % (uid, uid, date, size))
        talk.say("$ OK completed", command)

    def create(self, talk: Conversation, command: Command) -> None:
        key = self._key(talk, _words(command)[0])
        if key is None or key[1].lower().endswith(_RESERVED):
            talk.say("$ NO incorrect mailbox name", command)
        elif key in self.boxes:
            talk.say("$ NO mailbox already exists", command)
        else:
            self.boxes[key] = Box()
            talk.say("$ OK completed", command)

    def subscribe(self, talk: Conversation, command: Command) -> None:
        box = self.boxes.get(self._key(talk, _words(command)[0]) or ("", ""))
        if box is not None:
            box.subscribers.add(self._users[talk])
        talk.say("$ OK completed", command)

    def append(self, talk: Conversation, command: Command) -> None:
        key = self._key(talk, _words(command)[0])
        found = re.search(rb"\{(\d+)\+?\}\r\n", command.words)
        assert found is not None
        body = command.words[found.end() : found.end() + int(found[1])]
        if key not in self.boxes:
            talk.say("$ NO [TRYCREATE] mailbox does not exist", command)
            return
        self.boxes[key].messages.append(body)
        talk.say("$ OK completed", command)


def _words(command: Command) -> list[str]:
    """Return the strings behind the verb; a body is not looked into."""
    line = command.words.partition(b" ")[2]
    return [(quoted or atom).decode() for quoted, _, atom in _WORD.findall(line[:2000])]


def _uids(words: str, last: int) -> Iterable[int]:
    for part in words.split(","):
        first, _, end = part.partition(":")
        yield from range(int(first), min(last, last if end == "*" else int(end or first)) + 1)
