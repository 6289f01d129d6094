"""What a Sieve script needs, and which folders it names: read for people to be told, never to change it. Pure.

Words are taken apart as RFC 5228 §2 does. What is no Sieve gives what can be seen of it: the target judges scripts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

_WORD: Final = re.compile(
    rb"[ \t\r\n]+|#[^\n]*|/\*.*?\*/|(?P<text>text:[ \t]*(?:#[^\n]*)?\r?\n.*?\n\.\r?\n)"
    rb'|"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<name>:?[A-Za-z_][A-Za-z0-9_]*)|(?P<mark>.)',
    re.DOTALL | re.IGNORECASE,
)
# what every server knows without a word of it (RFC 5228 §2.7.3, §6.1)
_BUILT_IN: Final = frozenset(("comparator-i;octet", "comparator-i;ascii-casemap"))
_FILING: Final = ("fileinto", ":fcc")


class Word(NamedTuple):
    """A word of a script: a string, or else a name or mark, in lower case."""

    text: str
    is_string: bool


def words(script: bytes) -> Iterator[Word]:
    """Yield the words of ``script`` without comments and blanks."""
    for found in _WORD.finditer(script):
        if found["quoted"] is not None:
            plain = re.sub(rb"\\(.)", rb"\1", found["quoted"], flags=re.DOTALL)
            yield Word(plain.decode("utf-8", "replace"), is_string=True)
        elif found["text"] is not None:
            yield Word("", is_string=True)
        elif word := found["name"] or found["mark"]:
            yield Word(word.decode("latin-1").lower(), is_string=False)


def required(script: bytes) -> frozenset[str]:
    """Return the extensions that ``script`` requires, but for those that every server has."""
    needed, is_requiring = set(), False
    for word in words(script):
        if word.is_string:
            needed |= {word.text} if is_requiring else set()
        elif word.text == "require":
            is_requiring = True
        elif word.text not in "[,]":
            is_requiring = False
    return frozenset(needed) - _BUILT_IN


def folders(script: bytes) -> list[str]:
    """Return the folders that ``script`` files into, in their order, each once, as it names them."""
    named: dict[str, None] = {}
    filing, last = "", None
    for word in words(script):
        if word.is_string:
            last = word.text
            if filing == ":fcc":
                named[word.text], filing = None, ""
        elif word.text in _FILING:
            filing, last = word.text, None
        elif word.text in (";", "{", "}"):
            if filing == "fileinto" and last is not None:
                named[last] = None  # its options come before the folder
            filing = ""
    return list(named)
