"""What is known of each server product, as data: chosen once per connection by what the server says of itself.

A fact stands here only when it was seen on such a server, or read in its source or its maker's documents, and no
capability tells it. Everything else is asked for. A profile without facts says that nothing more is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

NOTHING_MORE: Final[Mapping[str, str]] = MappingProxyType({})
VIRTUAL_ROLES: Final = frozenset(("\\All", "\\Flagged", "\\Important"))  # RFC 6154 §2, RFC 8457 §2


@dataclass(frozen=True, slots=True)
class Profile:
    """Facts of one product. The defaults hold for a server that is not known: careful where care costs little."""

    name: str
    case_insensitive_names: bool = True  # "sent" and "Sent" are one folder
    basic_plane_only: bool = False  # refuses names with characters beyond U+FFFF
    forbidden: str = ""  # characters refused anywhere in a folder's name; its separator goes without saying
    forbidden_by_separator: Mapping[str, str] = field(
        default_factory=lambda: NOTHING_MORE
    )  # more of them, on servers with that separator
    forbidden_first: str = ""  # characters refused at the beginning of a name, behind the prefix
    trimmed: str = ""  # characters refused at either end of a level
    reserved_endings: tuple[str, ...] = ()  # of a level, in lower case: what begins them is replaced
    reserved: frozenset[str] = frozenset()  # names of the first level that are refused, in lower case
    max_segment_bytes: int = 240  # of one level, in modified UTF-7 and in UTF-8; file systems end at 255
    max_name_bytes: int = 400  # of the whole name behind the prefix
    max_errors: int | None = None  # BAD answers in one session before the server hangs up
    examine_loses_uidvalidity: bool = False  # only SELECT makes the server remember the UIDVALIDITY it told
    loses_flagged_on_append: bool = False  # \Flagged given with APPEND must be set again by STORE
    keeps_dates: bool = False  # the date given with APPEND, seen to be so
    shows_groupware: bool = False  # calendars, contacts and the like, as folders of odd messages
    lasting_numbers: bool = True  # UIDs mean the same messages in the next session
    merges_equal: bool = False  # a second APPEND of a message makes no second one in a folder
    left_out_roles: frozenset[str] = VIRTUAL_ROLES  # these folders show messages that live in others
    group_sign: str = ""  # before the name of a group in access control lists; empty: not known
    most_keywords: int | None = None  # different ones in one folder
    kept_keywords: int | None = None  # of these, so many are kept with the messages; the others only in an index
    bytes_a_day: int | None = None  # of one mailbox, handed out by IMAP
    substitutes: tuple[bytes, ...] = ()  # texts it hands out in place of a message it cannot read


GENERIC: Final = Profile("generic", trimmed=" \t")

# Seen on 2.3.19. With the separator "/" a Maildir refuses "." as well, and dbox does not: only trying tells.
DOVECOT: Final = Profile(
    "Dovecot",
    case_insensitive_names=False,
    keeps_dates=True,
    forbidden_by_separator=MappingProxyType({".": "/"}),  # "Name must not have '/' characters"
    forbidden_first="~",  # "Begins with '~'"
    reserved=frozenset(("dbox-mails",)),  # "Contains reserved name", dbox
    max_segment_bytes=254,
    max_name_bytes=254,  # "Not found": a Maildir keeps the whole name as one file name
    max_errors=20,
    kept_keywords=26,  # in the file names of a Maildir, a to z
    group_sign="$",
)

# Seen on 3.6.1: "Invalid mailbox name", with and without the alternative namespace.
CYRUS: Final = Profile(
    "Cyrus",
    case_insensitive_names=False,
    keeps_dates=True,
    forbidden='!"%;<>\\`{|}',
    forbidden_by_separator=MappingProxyType({".": "/", "/": "^"}),
    max_segment_bytes=400,
    max_name_bytes=400,  # 490 with the name of the user
    most_keywords=128,  # "Too many user flags in mailbox"
    group_sign="group:",
)

# Seen on 5.0.13.
COURIER: Final = Profile(
    "Courier",
    case_insensitive_names=False,
    keeps_dates=True,
    basic_plane_only=True,  # "Error in IMAP command received by server."
    forbidden="/",  # "Invalid mailbox name."
    max_segment_bytes=254,
    max_name_bytes=254,  # "Cannot create this folder.": one file name, as in Dovecot
    max_errors=9,  # after about ten: "TOO MANY CONSECUTIVE PROTOCOL VIOLATIONS"
    examine_loses_uidvalidity=True,
)

# Seen on 0.36.7.
PYMAP: Final = Profile(
    "pymap",
    case_insensitive_names=False,
    keeps_dates=True,
)

GMAIL: Final = Profile(
    "Gmail",
    trimmed=" \t",  # "Folder contains excess whitespace"
    reserved=frozenset(("[gmail]", "[google mail]", "muted", "updates")),
    bytes_a_day=2_500_000_000,  # by its documents
    merges_equal=True,
)

EXCHANGE: Final = Profile(
    "Exchange",
    trimmed=" \t",  # 2007: a name that ends with a blank cannot be selected again
    reserved=frozenset(("files",)),  # "Folder name is reserved"
    max_errors=9,  # "BYE Connection closed. 14" after about ten
    loses_flagged_on_append=True,
    shows_groupware=True,
    substitutes=(b"Retrieval using the IMAP4 protocol failed for the following message",),
)

# By its guide: how the server names the files of its own folders.
COMMUNIGATE: Final = Profile(
    "CommuniGate Pro", trimmed=" \t", reserved_endings=(".mbox", ".mdir"), shows_groupware=True
)

# By its source: imap_max_consecutive_error is 5 (LC); names hold neither of these nor control characters, have at most
# 128 characters, and lose blanks at their end (MailItem.validateItemName).
ZIMBRA: Final = Profile(
    "Zimbra", trimmed=" \t", forbidden=':"', max_segment_bytes=128, max_errors=4, shows_groupware=True
)

# By its naming.txt: # begins a namespace, { another server's mailbox. ~ and / lead out of the home directory, as always
# where names are files.
UW: Final = Profile("UW IMAP", case_insensitive_names=False, forbidden_first="#{~/")

# Its name in the greeting is all that is certain of it. What its users report (new Message-IDs, SEARCH by dates,
# dates of zero) is met on every server alike.
DOMINO: Final = Profile("Domino", trimmed=" \t", shows_groupware=True)

# By its greetings and answers as reported: the inbox is called Inbox, SEARCH ends at 1,000 hits,
# "[LIMIT] ... Rate limit hit". All this is met on every server alike.
YAHOO: Final = Profile("Yahoo", trimmed=" \t")

# Programs on the owner's own machine that show another kind of mailbox by IMAP, and number it themselves.
PROTON: Final = Profile("Proton Mail Bridge", trimmed=" \t", lasting_numbers=False)
DAVMAIL: Final = Profile("DavMail", trimmed=" \t", lasting_numbers=False)

# What a product calls itself in ID (RFC 2971) or in its greeting; the ID is asked first, because proxies greet as well.
SIGNS: Final[tuple[tuple[str, Profile], ...]] = (
    ("dovecot", DOVECOT),
    ("cyrus", CYRUS),
    ("courier", COURIER),
    ("communigate", COMMUNIGATE),
    ("zimbra", ZIMBRA),
    ("imap4rev1 200", UW),  # "host IMAP4rev1 2007f.404 at ..."
    ("gimap", GMAIL),
    ("domino imap4 server", DOMINO),  # "Domino IMAP4 Server Release 10.0.1FP3 ready"
    ("imapgate", YAHOO),  # "IMAP4rev1 imapgate-1.8.1_01.20166 imap1015.mail.ir2.yahoo.com"
    ("proton mail bridge", PROTON),  # "Proton Mail Bridge 03.08.01 - gluon session ID 3"
    ("protonmailbridge", PROTON),
    ("davmail", DAVMAIL),  # "IMAP4rev1 DavMail server ready"
    ("microsoft exchange", EXCHANGE),
    ("microsoft.exchange", EXCHANGE),
)


PROFILES: Final = {
    profile.name.casefold(): profile
    for profile in (GENERIC, DOVECOT, CYRUS, COURIER, PYMAP, GMAIL, EXCHANGE, COMMUNIGATE, ZIMBRA, UW,
                    DOMINO, YAHOO, PROTON, DAVMAIL)
}  # fmt: skip


def named(name: str) -> Profile | None:
    """Return the profile of that name, in any case; None where there is none."""
    return PROFILES.get(name.casefold())


def choose(greeting: str, id_fields: Mapping[str, str], capabilities: frozenset[str]) -> Profile:
    """Return the profile of the server that greets with ``greeting`` and names itself in ``id_fields`` (RFC 2971).

    Any of the three may be empty; a server that no sign is known of is GENERIC. A profile's name is one, too.
    """
    if known := named(greeting):
        return known
    if "X-GM-EXT-1" in capabilities:
        return GMAIL
    if "XYMHIGHESTMODSEQ" in capabilities:
        return YAHOO
    if "] server ready " in greeting.casefold() and "APPENDLIMIT=1000000000" in capabilities:
        return PYMAP  # has neither a name in its greeting nor an ID
    for words in (_named(id_fields), greeting.casefold()):
        for sign, profile in SIGNS:
            if sign in words:
                return profile
    return GENERIC


def _named(id_fields: Mapping[str, str]) -> str:
    fields = {key.casefold(): value for key, value in id_fields.items()}
    return f"{fields.get('name', '')} {fields.get('vendor', '')}".casefold()
