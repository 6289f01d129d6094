"""Reading what an IMAP server says. Pure: bytes in, values out.

Servers differ in every detail that the standard leaves open and in some that it does not, so a response is taken apart
into tokens first and understood afterwards. A response here is the whole of it: its lines with their literals in place
and without the last CRLF.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

from migrator.mail import NO_FLAGS, RECENT, SYSTEM_FLAGS, Flags, FolderPath

LITERAL_END: Final = re.compile(rb"\{(\d{1,19})\+?\}\Z")
"""The end of a line, without its CRLF, that announces a literal."""

_TOKEN: Final = re.compile(
    rb' *(?:(\()|(\))|"([^"\\\r\n]*(?:\\.[^"\\\r\n]*)*)"|~?\{(\d{1,19})\+?\}\r?\n|'
    # the name of a body section may hold blanks and parentheses: BODY[HEADER.FIELDS (DATE)]
    rb'((?i:BODY|BINARY)[.A-Za-z]*\[[^\]\r\n]*\][^\s()"]*|[^\s()"]+))',
    re.DOTALL,
)
_LISTED: Final = re.compile(
    rb"\* (?:LIST|LSUB|XLIST) \(([^()\r\n]*)\) (?:NIL|\"(?:\\?(.))?\"|\{1\+?\}\r?\n(.)|\{0\+?\}\r?\n) ",
    re.DOTALL | re.IGNORECASE,
)
_BARE_STATUS: Final = re.compile(rb'([^"{\r\n][^\r\n]*) \(([^()\r\n]*)\)\Z')  # Mailutils: blanks, unquoted
_QUOTED: Final = re.compile(rb'"([^"\\]*(?:\\.[^"\\]*)*)"', re.DOTALL)
_LITERAL: Final = re.compile(rb"~?\{(\d{1,19})\+?\}\r?\n")
_ESCAPED: Final = re.compile(rb"\\(.)", re.DOTALL)
_CODE: Final = re.compile(r"\A\s*\[([A-Za-z][A-Za-z0-9/_.-]*)(?: ([^\]]*))?\]")
_APPENDUID: Final = re.compile(r"\[APPENDUID (\d{1,19}) ([\d:,]+)\]", re.IGNORECASE)
_UID_RANGE: Final = re.compile(r"(\d{1,19})(?::(\d{1,19}))?")
_ROLES: Final = {
    role.casefold(): role
    for role in ("\\All", "\\Archive", "\\Drafts", "\\Flagged", "\\Important", "\\Junk", "\\Sent", "\\Trash")
}


class Malformed(ValueError):
    """A response that cannot be taken apart."""


class Atom(bytes):
    """An unquoted word. NIL is never an atom but None."""

    __slots__ = ()


Value = bytes | list["Value"] | None


def values(response: bytes, start: int = 0) -> list[Value]:
    """Take apart ``response`` from ``start``: atoms, strings, lists, None for NIL.

    Lists that are not closed end with the response, so that the beginning of a response can be read too.
    Raises ``Malformed``.
    """
    top: list[Value] = []
    stack = [top]
    position, end = start, len(response.rstrip())
    while position < end:
        found = _TOKEN.match(response, position)
        if found is None:
            raise Malformed(f"no token at octet {position}")
        position = found.end()
        if found[1]:
            inner: list[Value] = []
            stack[-1].append(inner)
            stack.append(inner)
        elif found[2]:
            if len(stack) == 1:
                raise Malformed(f"a list ends at octet {position} that never began")
            stack.pop()
        elif found[4]:
            size = int(found[4])
            stack[-1].append(response[position : position + size])
            position += size
        else:
            stack[-1].append(_word(found))
    return top


def _word(found: re.Match[bytes]) -> Value:
    if found[3] is not None:
        return _unescaped(found[3])
    return None if found[5].upper() == b"NIL" else Atom(found[5])


def _unescaped(text: bytes) -> bytes:
    return _ESCAPED.sub(rb"\1", text) if b"\\" in text else text


class Listed(NamedTuple):
    """One LIST or LSUB response."""

    path: FolderPath
    attributes: frozenset[str]  # in lower case

    @property
    def role(self) -> str | None:
        """The special use (RFC 6154 §2), in the spelling of the standard."""
        return next((_ROLES[name] for name in sorted(self.attributes) if name in _ROLES), None)


def listed(response: bytes) -> Listed | None:
    """Understand a LIST or LSUB response (RFC 3501 §7.2.2); None when it is none or makes no sense."""
    found = _LISTED.match(response)
    if found is None:
        return None
    name = _listed_name(response, found.end())
    if not name:
        return None
    attributes = frozenset(found[1].decode("latin-1").casefold().split())
    return Listed(FolderPath(name, _separator(found[2] or found[3])), attributes)


def _separator(told: Value) -> str | None:
    """Return the hierarchy separator; a flat name where it is none (RFC 3501 §9, QUOTED-CHAR), so that it counts."""
    return told.decode("ascii") if isinstance(told, bytes) and len(told) == 1 and b" " <= told <= b"~" else None


def _listed_name(response: bytes, start: int) -> bytes:
    if found := _QUOTED.match(response, start):
        return _unescaped(found[1])
    if found := _LITERAL.match(response, start):
        return response[found.end() : found.end() + int(found[1])]
    # An atom ends at a blank, but servers send names with blanks unquoted; only an extension's list can follow.
    return response[start:].split(b" (", 1)[0].rstrip()


class Counters(NamedTuple):
    """One STATUS response; None for what it does not tell."""

    raw: bytes
    messages: int | None
    uidnext: int | None
    uidvalidity: int | None
    highestmodseq: int | None


def counters(response: bytes) -> Counters | None:
    """Understand a STATUS response (RFC 3501 §7.2.4); None when it is none or makes no sense."""
    if response[:9].upper() != b"* STATUS ":
        return None
    found = _BARE_STATUS.match(response, 9)
    name: Value
    pairs: Value
    try:
        name, pairs, *_ = (found[1], [*found[2].split()]) if found else values(response, 9)
    except ValueError:
        return None
    if not isinstance(pairs, list) or isinstance(name, list):
        return None
    told = _numbers(pairs)
    modseq = told.get(b"HIGHESTMODSEQ")  # 0 says the same as NOMODSEQ (RFC 7162 §3.1.2.2)
    return Counters(
        name or b"NIL", told.get(b"MESSAGES"), told.get(b"UIDNEXT"), told.get(b"UIDVALIDITY"), modseq or None
    )


def _numbers(pairs: list[Value]) -> dict[bytes, int]:
    told = {}
    for key, value in zip(pairs[::2], pairs[1::2], strict=False):
        if isinstance(key, bytes) and isinstance(value, bytes) and value.isdigit() and len(value) < 20:
            told[key.upper()] = int(value)
    return told


class Namespaces(NamedTuple):
    """Prefix and separator of every namespace (RFC 2342 §5), raw."""

    personal: list[tuple[bytes, str | None]]
    others: list[tuple[bytes, str | None]]  # other users' and shared ones


def namespaces(response: bytes) -> Namespaces | None:
    """Understand a NAMESPACE response; None when it is none or makes no sense."""
    if response[:12].upper() != b"* NAMESPACE ":
        return None
    try:
        groups = [_spaces(group) for group in values(response, 12)]
    except ValueError:
        return None
    return Namespaces(groups[0], [space for group in groups[1:3] for space in group]) if groups else None


def _spaces(group: Value) -> list[tuple[bytes, str | None]]:
    found = []
    for space in group if isinstance(group, list) else []:
        if isinstance(space, list) and len(space) >= 2 and not isinstance(space[0], list):
            found.append((space[0] or b"", _separator(space[1])))
    return found


def identity(response: bytes) -> dict[str, str] | None:
    """Understand an ID response (RFC 2971 §3.2), field names in lower case; None when it is none."""
    if response[:5].upper() != b"* ID ":
        return None
    try:
        fields = values(response, 5)
    except ValueError:
        return {}
    pairs = fields[0] if fields and isinstance(fields[0], list) else []
    return {
        text(key).casefold(): text(value)
        for key, value in zip(pairs[::2], pairs[1::2], strict=False)
        if isinstance(key, bytes) and isinstance(value, bytes)
    }


def text(raw: bytes) -> str:
    """Decode words of a server for people; never fails."""
    return raw.decode("utf-8", "replace")


def response_code(words: str) -> tuple[str, str]:
    """Return name, in upper case, and arguments of the response code that ``words`` begin with; empty without one."""
    found = _CODE.match(words)
    return (found[1].upper(), found[2] or "") if found else ("", "")


def without_code(words: str) -> str:
    """Return what ``words`` say to people, without a response code before."""
    return _CODE.sub("", words, count=1).strip()


def capabilities(words: str) -> frozenset[str] | None:
    """Return the capabilities, in upper case, of ``CAPABILITY ...`` or of a response code with them, else None."""
    if words[:11].upper() == "CAPABILITY ":
        return frozenset(words[11:].upper().split())
    name, arguments = response_code(words)
    return frozenset(arguments.upper().split()) if name == "CAPABILITY" else None


@dataclass(slots=True)
class Opened:
    """What a server says of a folder while it opens it (RFC 3501 §6.3.1)."""

    messages: int = 0
    uidvalidity: int | None = None
    uidnext: int | None = None
    highestmodseq: int | None = None
    permanent_flags: Flags | None = None


_EXISTS: Final = re.compile(rb"\* (\d{1,19}) EXISTS", re.IGNORECASE)
_PERMANENT: Final = re.compile(rb"\* OK \[PERMANENTFLAGS \(([^)\r\n]*)\)", re.IGNORECASE)  # a flag may hold a bracket


def opened(responses: Iterable[bytes], tagged: str = "") -> Opened:
    """Understand the untagged responses to SELECT or EXAMINE, and the words of the tagged one."""
    state = Opened()
    for response in responses:
        if found := _EXISTS.match(response):
            state.messages = int(found[1])
        elif found := _PERMANENT.match(response):
            state.permanent_flags = flags(found[1])
        elif response[:5].upper() == b"* OK ":
            _note_code(state, text(response[5:]))
    _note_code(state, tagged)
    return state


def _note_code(state: Opened, words: str) -> None:
    name, arguments = response_code(words)
    if not arguments.isdigit() or len(arguments) > 19:
        return
    if name == "UIDVALIDITY":
        state.uidvalidity = int(arguments)
    elif name == "UIDNEXT":
        state.uidnext = int(arguments)
    elif name == "HIGHESTMODSEQ":
        state.highestmodseq = int(arguments) or None


def flags(words: bytes) -> Flags:
    r"""Read flags parted by blanks: system flags in canonical case, ``\Recent`` left out."""
    found = frozenset(_flag(word) for word in words.split())
    return frozenset(found - {""}) if found else NO_FLAGS


def _flag(word: bytes) -> str:
    name = text(word)
    folded = name.casefold()
    return "" if folded == RECENT else SYSTEM_FLAGS.get(folded, name)


def appended(words: str, count: int) -> tuple[int | None, list[int] | None]:
    """Return UIDVALIDITY and the ``count`` UIDs of an APPENDUID response code (RFC 4315 §3), in the messages' order.

    The UIDs are None when the code is not there, when their number differs, or when they do not ascend: then it is not
    certain which one belongs to which message (DavMail turns them round).
    """
    found = _APPENDUID.search(words)
    if found is None:
        return None, None
    uids: list[int] = []
    for part in found[2].split(","):
        written = _UID_RANGE.fullmatch(part)
        ends = [int(end) for end in written.groups() if end] if written else []
        # RFC 9051 §9: 2:4 and 4:2 are the same set
        if not ends or max(ends) - min(ends) + len(uids) >= count:
            return int(found[1]), None
        uids.extend(range(min(ends), max(ends) + 1))
    ascending = all(a < b for a, b in pairwise(uids))
    return int(found[1]), uids if len(uids) == count and ascending and uids[0] > 0 else None


_FETCH: Final = re.compile(rb"\* \d{1,19} FETCH ", re.IGNORECASE)


def fetched(response: bytes) -> dict[bytes, Value] | None:
    """Return the items of a FETCH response by name in upper case; None when it is none or cannot be taken apart."""
    head = _FETCH.match(response)
    if head is None:
        return None
    try:
        top = values(response, head.end())
    except ValueError:
        return None
    pairs = top[0] if top and isinstance(top[0], list) else []
    keys = (key.upper() if isinstance(key, bytes) else b"" for key in pairs[::2])
    return dict(zip(keys, pairs[1::2], strict=False))


def number(value: Value) -> int | None:
    """Return the number that an atom spells, None for anything else."""
    return int(value) if isinstance(value, bytes) and value.isdigit() and len(value) < 19 else None
