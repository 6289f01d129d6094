"""How an administrator gets into the mailbox of somebody else: what every product calls differently. Pure.

A way is one text, so that it fits into an option or a column: ``authzid``, ``proxyauth``, or a template. A template
with ``{admin}`` makes the name that signs in (``{user}*{admin}``); one without makes the prefix below which the
administrator sees the user's folders (``~{user}/``). In both, ``{user}`` is the whole name of the user, ``{name}`` and
``{domain}`` are the parts before and after its last @.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

MOST_CHARACTERS: Final = 255
_FIELD: Final = re.compile(r"\{(\w*)\}")
_KNOWN: Final = frozenset(("user", "name", "domain", "admin"))


class BadAccess(ValueError):
    """A text that says no way in; its own text is the sentence that says why."""


class Way(StrEnum):
    """What tells the server whose mailbox is meant."""

    AUTHZID = "authzid"  # the authorization identity of SASL (RFC 4616 §2)
    PROXYAUTH = "proxyauth"  # a command after the sign-in: Netscape, iPlanet, Sun, Oracle
    NAME = "name"  # the name that signs in holds both
    FOLDERS = "folders"  # nothing: the administrator signs in, and sees everybody's folders


@dataclass(frozen=True, slots=True)
class Access:
    """One way in. ``template`` for NAME and FOLDERS."""

    way: Way
    template: str = ""

    @classmethod
    def of(cls, text: str) -> Access:
        """Return the way that ``text`` says. Raises ``BadAccess``."""
        if text in (Way.AUTHZID, Way.PROXYAUTH):
            return cls(Way(text))
        _check(text)
        return cls(Way.NAME if "{admin}" in text else Way.FOLDERS, text)

    def __str__(self) -> str:
        return self.template or self.way.value

    def login(self, admin: str, user: str) -> str:
        """Return the name under which ``admin`` signs in to open the mailbox of ``user``."""
        return _filled(self.template, admin, user) if self.way is Way.NAME else admin

    def folder_root(self, user: str) -> str:
        """Return the prefix of the names of the folders of ``user``; empty where they have none."""
        return _filled(self.template, "", user) if self.way is Way.FOLDERS else ""


AUTHZID: Final = Access(Way.AUTHZID)


def _check(text: str) -> None:
    fields = set(_FIELD.findall(text))
    if not fields & {"user", "name"}:
        raise BadAccess("The form of access names no {user}. Write authzid, proxyauth, or a form like {user}*{admin}.")
    if unknown := fields - _KNOWN:
        known = "{user}, {name}, {domain} and {admin}"
        raise BadAccess(f"The form of access takes {known}, not {{{min(unknown)}}}.")
    rest = _FIELD.sub("", text)
    if "{" in rest or "}" in rest or not text.isprintable() or len(text) > MOST_CHARACTERS:
        raise BadAccess("The form of access holds a brace without its other half, or characters that no name has.")


def _filled(template: str, admin: str, user: str) -> str:
    name, _, domain = user.rpartition("@") if "@" in user else (user, "", "")
    values = {"user": user, "name": name, "domain": domain, "admin": admin}
    return _FIELD.sub(lambda field: values[field[1]], template)
