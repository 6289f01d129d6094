"""A scripted server that does as CommuniGate Pro's guide says of its command line: accounts and their settings.

Not CommuniGate itself, which cannot be had. It reads with a parser of its own: what it shares with the engine's would
prove nothing.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import Any, Final

from tests.rigs.text_peer import TextConversation, TextPeer

ADMINISTRATOR, PASSWORD = "postmaster", "secret word"
STAMP: Final = "<753.1213987978@mail.example.test>"
GREETING: Final = f"200 CommuniGate Pro at mail.example.test PWD Server 5.3 ready {STAMP}"
_TOKEN: Final = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[-A-Za-z0-9_.@!#%:*]+|[(){}=;,])')
_ESCAPE: Final = re.compile(r"\\(\d{3}|.)")
_SHORT: Final = {"r": "\r", "n": "\n", "e": "\n", "t": "\t"}


@dataclass
class Held:
    """One account: what is set for itself, how many sessions it has, and what it was made with."""

    settings: dict[str, Any] = field(default_factory=dict)
    sessions: int = 0
    made_with: tuple[str, ...] = ()
    classes: dict[str, str] = field(default_factory=dict)  # by mailbox; empty for none


class CommuniGateCli(TextPeer):
    """``accounts`` by address; ``defaults`` hold for what an account does not set. ``said``: commands after sign-in."""

    def __init__(self, *addresses: str, inline: bool = True, stamp: bool = True) -> None:
        verbs: dict[str, Any] = {
            "USER": "300 please send the PASS",
            "PASS": self._pass,
            "APOP": self._apop,
            "INLINE": self._inline if inline else "500 unknown command",
            "QUIT": "200 CommuniGate Pro PWD connection closed",
        }
        commands = (
            "GETACCOUNTSETTINGS",
            "GETACCOUNTEFFECTIVESETTINGS",
            "UPDATEACCOUNTSETTINGS",
            "KILLACCOUNTSESSIONS",
            "CREATEACCOUNT",
            "LISTMAILBOXES",
            "SETMAILBOXCLASS",
        )
        greeting = GREETING if stamp else GREETING.replace(STAMP, "").strip()
        super().__init__(
            {**verbs, **dict.fromkeys(commands, self._command)}, greeting=greeting, unknown="500 unknown command"
        )
        self.accounts = {address: Held() for address in addresses}
        self.defaults: dict[str, Any] = {"AccessModes": "All"}
        self.passwords = {ADMINISTRATOR: PASSWORD}
        self.said: list[str] = []
        self._signed_in: dict[int, str] = {}
        self._inlined: set[int] = set()

    def _pass(self, talk: TextConversation, command: bytes) -> None:
        user = next((said.partition(b" ")[2].decode() for said in talk.commands if said.startswith(b"USER ")), "")
        self._sign_in(talk, user, is_right=command == f"PASS {self.passwords.get(user)}".encode())

    def _apop(self, talk: TextConversation, command: bytes) -> None:
        user = command.split()[1].decode()
        secret = (STAMP + self.passwords.get(user, "")).encode()
        digest = hashlib.md5(secret, usedforsecurity=False).hexdigest()
        self._sign_in(talk, user, is_right=user in self.passwords and command == f"APOP {user} {digest}".encode())

    def _sign_in(self, talk: TextConversation, user: str, *, is_right: bool) -> None:
        if is_right:
            self._signed_in[id(talk)] = user
        talk.say("200 login OK" if is_right else "515 incorrect password")

    def _inline(self, talk: TextConversation, command: bytes) -> None:
        self._inlined.add(id(talk))
        talk.say("200 OK")

    def _command(self, talk: TextConversation, command: bytes) -> None:
        text = command.decode()
        self.said.append(text)
        if id(talk) not in self._signed_in:
            talk.say("501 you have no right to do this")
            return
        verb, *arguments = _tokens(text)
        user = self._signed_in[id(talk)]
        arguments[:1] = [user if arguments[0] == "*" else arguments[0]]
        if user not in (ADMINISTRATOR, arguments[0]):
            talk.say("501 you have no right to do this")
            return
        answer = getattr(self, f"_{verb.lower()}")(arguments)
        if isinstance(answer, str):
            talk.say(answer)
        elif id(talk) in self._inlined:
            talk.say(f"201 {_spelled(answer)}")
        else:
            talk.say("200 data follow\n" + _spelled(answer).replace(";", ";\n"))

    def _createaccount(self, words: list[str]) -> str:
        address, *more = words
        if address in self.accounts:
            return "520 Account with this name already exists"
        end = more.index("{") if "{" in more else len(more)
        settings = _datum(more[end:])[0] if end < len(more) else {}
        self.accounts[address] = Held(settings, made_with=tuple(more[:end]))
        return "200 OK"

    def _getaccountsettings(self, words: list[str]) -> Any:
        held = self.accounts.get(words[0])
        return held.settings if held else "513 unknown user account"

    def _getaccounteffectivesettings(self, words: list[str]) -> Any:
        held = self.accounts.get(words[0])
        return self.defaults | held.settings if held else "513 unknown user account"

    def _updateaccountsettings(self, words: list[str]) -> str:
        held = self.accounts.get(words[0])
        if not held:
            return "513 unknown user account"
        for name, value in _datum(words[1:])[0].items():
            held.settings.pop(name, None)
            if value != "default":
                held.settings[name] = value
        return "200 OK"

    def _killaccountsessions(self, words: list[str]) -> str:
        if words[0] not in self.accounts:
            return "513 unknown user account"
        self.accounts[words[0]].sessions = 0
        return "200 OK"

    def _listmailboxes(self, words: list[str]) -> Any:
        held = self.accounts.get(words[0])
        if not held:
            return "513 unknown user account"
        found: dict[str, Any] = {name: {"Class": kind} if kind else {} for name, kind in held.classes.items()}
        # What holds others, too, is told in an array; what holds nothing else in an empty one.
        for outer in {name.rpartition("/")[0] for name in found if "/" in name}:
            found[outer] = [found[outer]] if outer in found else []
        return found

    def _setmailboxclass(self, words: list[str]) -> str:
        address, _, mailbox, _, kind = words
        held = self.accounts.get(address)
        if not held or mailbox not in held.classes:
            return "513 unknown user account" if not held else "501 mailbox does not exist"
        held.classes[mailbox] = kind
        return "200 OK"


def _tokens(text: str) -> list[str]:
    """Return the words and marks of a command; strings without their quotes. A mark within quotes keeps one."""
    found, at = [], 0
    while text[at:].strip():
        token = _TOKEN.match(text, at)
        if token is None:
            raise AssertionError(f"the program sent what the guide does not know: {text}")
        at = token.end()
        word = token.group(1)
        found.append(_ESCAPE.sub(_unescaped, word[1:-1]) if word.startswith('"') else word)
    return found


def _unescaped(escape: re.Match[str]) -> str:
    mark = escape.group(1)
    return chr(int(mark)) if mark.isdigit() and len(mark) == 3 else _SHORT.get(mark, mark)


def _datum(words: list[str]) -> tuple[Any, list[str]]:
    """Return the first thing that ``words`` say, and the words after it."""
    first, *rest = words
    if first == "{":
        found: dict[str, Any] = {}
        while rest[0] != "}":
            name, _, *rest = rest
            found[name], (_, *rest) = _datum(rest)
        return found, rest[1:]
    if first == "(":
        items: list[Any] = []
        while rest[0] != ")":
            item, rest = _datum(rest)
            items.append(item)
            rest = rest[1:] if rest[0] == "," else rest
        return items, rest[1:]
    return first, rest


def _spelled(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + "".join(f"{_quoted(name)}={_spelled(one)};" for name, one in value.items()) + "}"
    if isinstance(value, list):
        return "(" + ",".join(map(_spelled, value)) + ")"
    return _quoted(str(value))


def _quoted(text: str) -> str:
    return text if re.fullmatch("[A-Za-z0-9]+", text) else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
