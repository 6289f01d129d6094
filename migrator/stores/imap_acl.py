"""Who else may open a folder (RFC 4314, RFC 2086): read from one server in words that mean the same on another.

Rights of the owner are not moved: whoever owns the target mailbox has them there. Letters that are no standard, and
identifiers that only the server itself understands, are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from migrator.errors import MigratorError
from migrator.mail import FolderPath, Grant, Grantee, LostGrant
from migrator.stores import imap_parse, imap_syntax
from migrator.stores.base import Trouble
from migrator.stores.imap_session import ImapSession
from migrator.stores.imap_syntax import Command, Unwritable
from migrator.stores.profiles import Profile

RIGHTS: Final = "lrswipkxtea"  # RFC 4314 §2.1
# RFC 4314 §2.1.1: what the letters of RFC 2086 stand for; "d" covers x on some servers, and is not taken for it
_FROM_OLD: Final = {"c": "k", "d": "te"}
_TO_OLD: Final = {"k": "c", "te": "d"}
_ACL: Final = re.compile(rb"\* ACL ", re.IGNORECASE)
_OWNERS: Final = frozenset(("owner", "administrators"))  # Courier's, and Dovecot's for some namespaces
_EVERYBODY: Final = {str(one): one for one in (Grantee.ANYONE, Grantee.AUTHENTICATED, Grantee.ANONYMOUS)}


def read(session: ImapSession, paths: Sequence[FolderPath], owners: frozenset[str]) -> list[Sequence[Grant] | Trouble]:
    """Ask for the grants of all folders in one send. ``owners``: what the server may call the owner, in lower case."""
    asked = [path for path in paths if imap_syntax.is_writable(path)]
    commands = (imap_syntax.command(b"GETACL ", session.string(path.raw)) for path in asked)
    found: dict[FolderPath, Sequence[Grant] | Trouble] = {}
    for path, reply in zip(asked, session.talk(commands), strict=True):
        if reply.is_ok:
            pairs = [pair for response in reply.untagged for pair in _pairs(response)]
            found[path] = list(_grants(pairs, owners, session.profile))
        else:
            found[path] = Trouble(path, session.passing_refusal(reply, "GETACL"))
    unspeakable = MigratorError("folder.bad_name", side=session.side)
    return [found.get(path, Trouble(path, unspeakable)) for path in paths]


def _pairs(response: bytes) -> Iterator[tuple[str, str]]:
    """Yield identifiers with their rights. A response that cannot be read gives none."""
    head = _ACL.match(response)
    try:
        words = imap_parse.values(response, head.end())[1:] if head else []
    except imap_parse.Malformed:
        return
    for identifier, rights in zip(words[::2], words[1::2], strict=False):
        if isinstance(identifier, bytes) and isinstance(rights, bytes):
            yield imap_parse.text(identifier), imap_parse.text(rights)


def _grants(pairs: Iterable[tuple[str, str]], owners: frozenset[str], profile: Profile) -> Iterator[Grant]:
    for identifier, letters in pairs:
        is_denial = identifier.startswith("-")
        bare = identifier.removeprefix("-")
        rights = standard(letters)
        if bare and rights and bare.casefold() not in owners | _OWNERS:
            yield Grant(*_grantee(bare, profile), rights, is_denial)


def _grantee(identifier: str, profile: Profile) -> tuple[Grantee, str]:
    if identifier in _EVERYBODY:
        return _EVERYBODY[identifier], ""
    sign = profile.group_sign
    if sign and identifier.startswith(sign):
        return Grantee.GROUP, identifier.removeprefix(sign)
    return Grantee.USER, identifier


def standard(letters: str) -> str:
    """Return the standard letters that ``letters`` mean; those of RFC 2086 count where no newer one says it better."""
    meant = set(letters)
    for old, new in _FROM_OLD.items():
        if old in meant and not meant & set(new):
            meant |= set(new)
    return "".join(letter for letter in RIGHTS if letter in meant)


def spelled(rights: str, *, is_old: bool) -> tuple[str, str]:
    """Return the letters to send for standard ``rights``, and those that a server of RFC 2086 has no letter for.

    Never more than ``rights``: an old letter stands for all that it covers, or is not sent.
    """
    if not is_old:
        return rights, ""
    sent, lost = "".join(letter for letter in rights if letter not in "kxte"), set(rights) & set("kxte")
    for new, old in _TO_OLD.items():
        if set(new) <= lost:
            sent += old
            lost -= set(new)
    return sent, "".join(letter for letter in RIGHTS if letter in lost)


def write(
    session: ImapSession, wanted: Sequence[tuple[FolderPath, Sequence[Grant]]]
) -> dict[FolderPath, list[LostGrant]]:
    """Give ``wanted`` to the folders; return what each did not get. One send, and one before it for denials."""
    lost: dict[FolderPath, list[LostGrant]] = {path: [] for path, _ in wanted}
    if not session.has("ACL"):
        return {path: [LostGrant(grant) for grant in grants] for path, grants in wanted}
    denials = [(path, grant) for path, grants in wanted for grant in grants if grant.is_denial]
    _set(session, denials, lost)
    # who is not kept out must not be let in by what everybody else may
    unsafe = {path for path in lost if lost[path]}
    for path, grants in wanted:
        if path in unsafe:
            lost[path] += [LostGrant(grant) for grant in grants if not grant.is_denial]
    _set(session, [(p, g) for p, grants in wanted if p not in unsafe for g in grants if not g.is_denial], lost)
    return lost


def _set(
    session: ImapSession, wanted: Sequence[tuple[FolderPath, Grant]], lost: dict[FolderPath, list[LostGrant]]
) -> None:
    sent: list[tuple[FolderPath, Grant, Command]] = []
    is_old = not any(name.startswith("RIGHTS=") for name in session.capabilities)
    for path, grant in wanted:
        identifier = _identifier(grant, session.profile)
        letters, missing = spelled(grant.rights, is_old=is_old)
        if identifier is None or not letters:
            lost[path].append(LostGrant(grant))
            continue
        if missing:
            lost[path].append(LostGrant(grant._replace(rights=missing)))
        try:
            words = (b"SETACL ", session.string(path.raw), b" ", session.string(identifier.encode("utf-8")))
            sent.append((path, grant, imap_syntax.command(*words, b" " + letters.encode("ascii"))))
        except Unwritable:
            lost[path].append(LostGrant(grant))
    for (path, grant, _), reply in zip(sent, session.talk(command for _, _, command in sent), strict=True):
        if not reply.is_ok:
            lost[path].append(LostGrant(grant, session.passing_refusal(reply, "SETACL").reply))


def _identifier(grant: Grant, profile: Profile) -> str | None:
    """Return how the server of ``profile`` calls the grantee; None where that is not known, or means another."""
    sign = "-" if grant.is_denial else ""
    if grant.grantee is Grantee.GROUP:
        return f"{sign}{profile.group_sign}{grant.name}" if profile.group_sign else None
    if grant.grantee is not Grantee.USER:
        return f"{sign}{grant.grantee}"
    is_user = _grantee(grant.name, profile) == (Grantee.USER, grant.name) and grant.name[0] not in "-#!"
    return f"{sign}{grant.name}" if is_user and grant.name.casefold() not in _OWNERS else None
