"""The data syntax of CommuniGate Pro, as its command line and its settings files write it.

Strings, arrays, dictionaries and data blocks are Python's ``str``, ``list``, ``dict`` and ``bytes``; what has a mark of
its own (``#50``, ``#T22-10-2009``, ``#I[10.0.44.55]:25``) stays a text that begins with ``#``. Escapes in strings are
three *decimal* digits: read as octal, they are right below 8 and wrong from there on.

Source: the guide's pages Data and CLI (versions 5.1 to 6.1).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from typing import Final

Datum = str | bytes | list["Datum"] | dict[str, "Datum"] | None

NULL: Final = "#NULL#"
DEPTH: Final = 100  # deeper than any setting, and shallower than Python's stack
_ATOM: Final = re.compile(r"[A-Za-z0-9]+")
_WORD: Final = re.compile(r"[-A-Za-z0-9_.@!#%:\x80-\U0010ffff]+")  # what is read without quotes
_MARKED: Final = re.compile(r"#NULL#|#I\[[^\]]*\](?::[0-9]+)?|#\(([^)]*)\)")
_BLANK: Final = re.compile(r"[ \t\r\n]*")
_PLAIN: Final = re.compile(r'[^"\\\r\n]+')
_ESCAPES: Final = {"\\": "\\", '"': '"', "r": "\r", "n": "\n", "t": "\t", "e": "\n"}
_WRITTEN: Final = {"\\": "\\\\", '"': '\\"', "\r": "\\r", "\n": "\\n", "\t": "\\t"}


def written(datum: Datum) -> str:
    """Return ``datum`` on one line. Raises ``ValueError`` for a zero byte: there is no way to write one."""
    match datum:
        case None:
            return NULL
        case bytes():
            return f"[{base64.b64encode(datum).decode()}]"
        case str():
            return _string(datum)
        case Mapping():
            return "{" + "".join(f"{_string(name)}={written(value)};" for name, value in datum.items()) + "}"
        case _:
            return "(" + ",".join(map(written, datum)) + ")"


def _string(text: str) -> str:
    if _ATOM.fullmatch(text):
        return text
    if "\0" in text:
        raise ValueError("A text for CommuniGate holds no zero byte.")
    return '"' + "".join(_WRITTEN.get(one) or (f"\\{ord(one):03d}" if _is_control(one) else one) for one in text) + '"'


def _is_control(character: str) -> bool:
    return ord(character) < 32 or ord(character) == 127


def read(text: str) -> Datum:
    """Return what ``text`` says. Raises ``ValueError`` with the place when it says nothing, or more than one thing."""
    reader = _Reader(text)
    found = reader.datum()
    reader.end()
    return found


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0

    def datum(self) -> Datum:
        self._depth += 1
        if self._depth > DEPTH:
            raise self._error("is nested too deeply")
        match self._next():
            case "(":
                found: Datum = self._array()
            case "{":
                found = self._dictionary()
            case "[":
                found = self._block()
            case '"':
                found = self._quoted()
            case "#" if mark := _MARKED.match(self._text, self._at):
                self._at = mark.end()
                found = None if mark.group() == NULL else mark.group(1) or mark.group()
            case _:
                found = self._word()
        self._depth -= 1
        return found

    def end(self) -> None:
        if self._next():
            raise self._error("goes on after its end")

    def _next(self) -> str:
        """Skip blanks; return the character there, empty at the end."""
        if blank := _BLANK.match(self._text, self._at):
            self._at = blank.end()
        return self._text[self._at : self._at + 1]

    def _take(self, character: str) -> None:
        if self._next() != character:
            raise self._error(f"lacks {character}")
        self._at += 1

    def _array(self) -> list[Datum]:
        found: list[Datum] = []
        self._take("(")
        if self._next() != ")":
            found.append(self.datum())
            while self._next() == ",":
                self._at += 1
                found.append(self.datum())
        self._take(")")
        return found

    def _dictionary(self) -> dict[str, Datum]:
        found: dict[str, Datum] = {}
        self._take("{")
        while self._next() != "}":
            name = self._quoted() if self._next() == '"' else self._word()
            self._take("=")
            found[name] = self.datum()
            self._take(";")
        self._at += 1
        return found

    def _block(self) -> bytes:
        end = self._text.find("]", self._at)
        if end < 0:
            raise self._error("lacks ]")
        packed = "".join(self._text[self._at + 1 : end].split())
        try:
            found = base64.b64decode(packed, validate=True)
        except binascii.Error:
            raise self._error("holds a broken data block") from None
        self._at = end + 1
        return found

    def _word(self) -> str:
        word = _WORD.match(self._text, self._at)
        if not word:
            raise self._error("holds nothing that can be read")
        self._at = word.end()
        return word.group()

    def _quoted(self) -> str:
        """Return a string; neighbours join."""
        parts: list[str] = []
        while self._next() == '"':
            self._at += 1
            while self._text[self._at : self._at + 1] != '"':
                parts.append(self._piece())
            self._at += 1
        return "".join(parts)

    def _piece(self) -> str:
        if plain := _PLAIN.match(self._text, self._at):
            self._at = plain.end()
            return plain.group()
        if self._text[self._at : self._at + 1] != "\\":
            raise self._error("holds a string without an end")
        mark, digits = self._text[self._at + 1 : self._at + 2], self._text[self._at + 1 : self._at + 4]
        if mark in _ESCAPES and mark:
            self._at += 2
            return _ESCAPES[mark]
        if re.fullmatch("[0-9]{3}", digits, re.ASCII):
            self._at += 4
            return chr(int(digits))  # decimal
        raise self._error("holds an escape that means nothing")

    def _error(self, what: str) -> ValueError:
        return ValueError(f"The answer {what}, at character {self._at + 1}.")


def texts(datum: Datum) -> Sequence[str]:
    """Return the texts of an array; a single one needs no array around it."""
    values = datum if isinstance(datum, list) else [datum]
    return [one for one in values if isinstance(one, str)]
