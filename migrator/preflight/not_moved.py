"""What a move between two servers leaves where it is, said before it begins: per pair of servers, by what both can do.

Mail goes by IMAP (or POP3, or files). All else that people keep on a mail server has other roads, or none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from migrator.errors import N_

_GROUPWARE: Final = frozenset(("Exchange", "Gmail", "Zimbra", "Domino", "CommuniGate Pro"))


@dataclass(frozen=True, slots=True)
class SideFacts:
    """What counts of one server. ``profile`` is a name of stores.profiles; ``kind`` of stores.STORES."""

    profile: str
    kind: str = "imap"
    acl: bool = False
    scripts: bool = False  # its rules are Sieve scripts that we can read or store


class NotMoved(NamedTuple):
    """One thing that stays behind. Both sentences are message ids."""

    code: str
    sentence: str
    way: str  # how people get it across all the same


_CALENDARS: Final = NotMoved(
    "calendars",
    N_("Calendars, tasks and invitations that were accepted are not moved: they are no mail."),
    N_("Export them as ICS on the old server and import them on the new one, or let each user do so."),
)
_CONTACTS: Final = NotMoved(
    "contacts",
    N_("Address books and distribution lists are not moved."),
    N_("Export them as VCF or CSV on the old server and import them on the new one."),
)
_RULES: Final = NotMoved(
    "rules",
    N_("Rules, out-of-office replies and forwardings are not moved."),
    N_("Have the users set them up again; switch replies and forwardings off on the old server at the end."),
)
_SETTINGS: Final = NotMoved(
    "settings",
    N_("Signatures, identities and other settings of webmail are not moved."),
    N_("Tell the users to save their signatures before the move."),
)
_PASSWORDS: Final = NotMoved(
    "passwords",
    N_("Passwords of apps and second factors are not moved."),
    N_("Tell the users that programs with a password of their own must be set up again."),
)
_GRANTS: Final = NotMoved(
    "grants",
    N_("Who else may open a folder is not moved: one of the servers has no access lists."),
    N_("List the shared mailboxes before the move, and give the rights on the new server."),
)
_LABELS: Final = NotMoved(
    "labels",
    N_("Colours and the order of labels, stars other than one, and snoozed messages are not moved."),
    N_("Labels themselves become folders. Tell the users."),
)
_CATEGORIES: Final = NotMoved(
    "categories",
    N_("Colour categories, due dates and retention tags are not moved: Exchange does not show them by IMAP."),
    N_("Export mailboxes in which they matter to a PST file first."),
)
_GROUPWARE_FOLDERS: Final = NotMoved(
    "groupware_folders",
    N_("Folders of calendars, contacts, tasks and notes may show as folders of mail; what is copied of them is text."),
    N_("Leave these folders out by a rule, and move them by an export."),
)
_FLAGS: Final = NotMoved(
    "flags",
    N_("Folders and flags (read, answered) are not moved: POP3 shows the inbox alone, without flags."),
    N_("Use IMAP for the old server if it speaks it."),
)
_DATES: Final = NotMoved(
    "dates",
    N_("Flags, folders and the time of arrival are not kept: mail is delivered anew."),
    N_("Use IMAP for the new server if it speaks it."),
)


def not_moved(source: SideFacts, target: SideFacts) -> list[NotMoved]:
    """Return what stays behind when people move from ``source`` to ``target``."""
    found = [_CALENDARS, _CONTACTS] if source.profile in _GROUPWARE or source.kind == "imap" else []
    if source.profile in ("Exchange", "Domino", "Zimbra"):
        found.append(_GROUPWARE_FOLDERS)
    if source.kind == "imap" and not (source.scripts and target.scripts):
        found.append(_RULES)
    if source.profile == "Gmail":
        found.append(_LABELS)
    if source.profile == "Exchange":
        found.append(_CATEGORIES)
    if source.kind == "imap" and not (source.acl and target.acl):
        found.append(_GRANTS)
    if source.kind == "pop3":
        found.append(_FLAGS)
    if target.kind in ("smtp", "lmtp"):
        found.append(_DATES)
    return [*found, _SETTINGS, _PASSWORDS] if source.kind != "mbox" else found
