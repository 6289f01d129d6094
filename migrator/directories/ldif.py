"""LDIF (RFC 2849): how a change of entries looks to people, and to ldapmodify.

Values that were there are taken out by value and the new ones put in, as the connectors themselves do it: so a server
refuses a change when somebody else was faster, and nothing of theirs is overwritten.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from migrator.entries import Json, Values

LINE_OCTETS: Final = 76
# RFC 2849's SAFE-STRING, less what people cannot see: control characters, and a blank at the end
_SAFE: Final = re.compile(r"(?:[!-9;=-~][ -~]*)?(?<! )")


class Line(NamedTuple):
    """One value of an entry: ``sign`` is + where it comes, - where it goes, empty where it stays."""

    sign: str
    name: str
    value: str


def difference(before: Values, after: Values) -> list[Line]:
    """Return every value of both, attribute by attribute: what goes, what stays, what comes."""
    lines: list[Line] = []
    for name in sorted({*before, *after}, key=str.lower):
        old, new = texts(before.get(name)), texts(after.get(name))
        lines += [Line("" if value in new else "-", name, value) for value in old]
        lines += [Line("+", name, value) for value in new if value not in old]
    return lines


def modification(dn: str, before: Values, after: Values) -> str:
    """Return the record that makes the entry ``dn`` hold ``after`` where it holds ``before``; empty for no change."""
    steps: list[str] = []
    for name in sorted(before, key=str.lower):
        old, new = texts(before[name]), texts(after[name])
        if old != new:
            steps += [*_step("delete", name, old), *_step("add", name, new)]
    return "\n".join([attribute("dn", dn), "changetype: modify", *steps, "", ""]) if steps else ""


def addition(dn: str, attributes: Mapping[str, Sequence[str]]) -> str:
    """Return the record that makes a new entry."""
    lines = [attribute(name, value) for name, values in attributes.items() for value in values]
    return "\n".join([attribute("dn", dn), "changetype: add", *lines, "", ""])


def removal(dn: str) -> str:
    """Return the record that takes an entry away."""
    return "\n".join([attribute("dn", dn), "changetype: delete", "", ""])


def attribute(name: str, value: str) -> str:
    """Return one line, in base64 where a plain one could be read as something else, folded."""
    if _SAFE.fullmatch(value):
        return folded(f"{name}: {value}")
    return folded(f"{name}:: {base64.b64encode(value.encode()).decode()}")


def comment(text: str) -> str:
    """Return ``text`` as a comment; what could end it, and what is not ASCII, is a question mark."""
    plain = "".join(one if " " <= one <= "~" else "?" for one in text)
    return "\n".join(f"# {plain[begin : begin + LINE_OCTETS - 2]}" for begin in range(0, len(plain), LINE_OCTETS - 2))


def folded(line: str) -> str:
    """Return an ASCII line in pieces of ``LINE_OCTETS``; the second and later ones begin with a blank."""
    return "\n ".join(_pieces(line))


def texts(value: Json | Sequence[str]) -> list[str]:
    """Return the values of an attribute as connectors keep them."""
    if value is None:
        return []
    return [str(one) for one in value] if isinstance(value, list | tuple) else [str(value)]


def _step(what: str, name: str, values: Sequence[str]) -> list[str]:
    return [f"{what}: {name}", *(attribute(name, value) for value in values), "-"] if values else []


def _pieces(line: str) -> Iterator[str]:
    yield line[:LINE_OCTETS]
    for begin in range(LINE_OCTETS, len(line), LINE_OCTETS - 1):
        yield line[begin : begin + LINE_OCTETS - 1]
