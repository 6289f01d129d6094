"""Kinds of servers in the words of pages: what each is, on which side it can stand, and what moving by it changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.conf import settings
from django.utils.functional import Promise
from django.utils.translation import gettext, gettext_lazy

from campaigns.bridge import places
from campaigns.models import Campaign, Server
from migrator.stores import STORES

Text = str | Promise
_INBOX_ONLY: Final = gettext_lazy("Only the inbox is read: the protocol shows no other folder, and not which is read.")
_AS_NEW: Final = gettext_lazy(
    "The new server takes each message for new mail: its rules, forwarding and vacation replies act on it. Have them "
    "switched off first, or strangers get answers to mail of years ago."
)
_NOT_KEPT: Final = gettext_lazy(
    "Each message arrives with the date of today; folders, and what was read or flagged, are not kept."
)
_NOT_READ_BACK: Final = gettext_lazy(
    "Nothing can be looked up there: what was delivered is not compared at the end, and mail that is there already is "
    "not recognised."
)
_LOST_ANSWERS: Final = gettext_lazy(
    "A message whose answer is lost is named, and not sent again before somebody asks for it."
)


@dataclass(frozen=True, slots=True)
class KindWords:
    """One kind: its name, what it is for, and what moving by it changes, a sentence each."""

    key: str
    label: Text
    explained: Text
    changes: Sequence[Text] = ()

    @property
    def is_files(self) -> bool:
        """True where mail is in files of this machine."""
        return places.is_files(Server(kind=self.key))

    @property
    def signs_in(self) -> bool:
        """True where somebody signs in."""
        return places.signs_in(Server(kind=self.key))

    @property
    def sides(self) -> str:
        """On which side of a move it can stand."""
        kind = STORES[self.key]
        if kind.source and kind.target:
            return gettext("Old or new server.")
        return gettext("Only as the old server.") if kind.source else gettext("Only as the new server.")


KINDS: Final = {
    kind.key: kind
    for kind in (
        KindWords("imap", gettext_lazy("IMAP"), gettext_lazy("The usual one: all folders, flags and dates.")),
        KindWords(
            "pop3",
            gettext_lazy("POP3"),
            gettext_lazy("An old server that offers nothing better."),
            (
                _INBOX_ONLY,
                gettext_lazy("Dates are taken from the topmost Received line of each message: the server tells none."),
                gettext_lazy("Nothing is removed there, and nothing marked as read where the server can avoid it."),
            ),
        ),
        KindWords(
            "mbox",
            gettext_lazy("mbox files"),
            gettext_lazy("Mail in files of this machine, one file a folder: a spool, or a tree of files."),
            (
                gettext_lazy("The files are read and never changed. Mail may be delivered to them meanwhile."),
                gettext_lazy("Where nothing in a file says which messages were read, they count as unread."),
            ),
        ),
        KindWords(
            "maildir",
            gettext_lazy("Maildir"),
            gettext_lazy("Mail in files of this machine, one file a message."),
            (gettext_lazy("The files are read and never changed. Mail may be delivered to them meanwhile."),),
        ),
        KindWords(
            "smtp",
            gettext_lazy("SMTP"),
            gettext_lazy("A new server to which mail can only be sent anew."),
            (
                _AS_NEW,
                _NOT_KEPT,
                gettext_lazy(
                    "Each message gets one line above its header, for rules to tell it by: X-Mailferry-Resent: yes."
                ),
                gettext_lazy("What cannot be delivered later goes back to those who sent it, or to nobody."),
                _NOT_READ_BACK,
                _LOST_ANSWERS,
            ),
        ),
        KindWords(
            "lmtp",
            gettext_lazy("LMTP"),
            gettext_lazy("A new mail store to which mail is delivered, without a queue in between."),
            (_AS_NEW, _NOT_KEPT, _NOT_READ_BACK, _LOST_ANSWERS),
        ),
    )
}


def offered() -> list[KindWords]:
    """Return the kinds that can be set up here: files only where their folders are allowed."""
    return [kind for kind in KINDS.values() if settings.MAIL_FOLDERS or not kind.is_files]


def changes(source: Server, target: Server) -> list[Text]:
    """Return what a move between these two changes, beyond what every move does."""
    told: list[Text] = []
    for server in (source, target):
        told += [text for text in KINDS[server.kind].changes if text not in told]
    return told


def changes_of(campaign: Campaign) -> list[Text]:
    """Return what the move of a campaign changes."""
    return changes(campaign.source, campaign.target)
