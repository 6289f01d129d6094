"""The words of list pages: what a column means, what is wrong with a row and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext, gettext_lazy

from campaigns.selectors import words
from campaigns.services.rosters import Fate
from campaigns.states import Family

FIELDS: Final[dict[str, Promise]] = {
    "source_login": gettext_lazy("Old sign-in name"),
    "source_password": gettext_lazy("Old password"),
    "target_login": gettext_lazy("New sign-in name"),
    "target_password": gettext_lazy("New password"),
    "display_name": gettext_lazy("Full name"),
    "phone": gettext_lazy("Phone"),
    "department": gettext_lazy("Department"),
    "language": gettext_lazy("Language"),
    "notice_address": gettext_lazy("Address for notices"),
    "addresses": gettext_lazy("Other addresses"),
    "is_vip": gettext_lazy("VIP (yes or no)"),
    "source_server": gettext_lazy("Old server"),
    "target_server": gettext_lazy("New server"),
}
SEPARATORS: Final = {"\t": gettext_lazy("tabs"), ",": gettext_lazy("commas"), ";": gettext_lazy("semicolons")}

FATES: Final = {
    "refused": (Family.FAILED, gettext_lazy("Refused")),
    "warned": (Family.ATTENTION, gettext_lazy("Warned")),
    "left_alone": (Family.WAITING, gettext_lazy("Left alone")),
    "changed": (Family.WORKING, gettext_lazy("Changed")),
    "gone": (Family.WAITING, gettext_lazy("Not in this list")),
    Fate.ADDED.value: (Family.DONE, gettext_lazy("Added")),
    Fate.SAME.value: (Family.WAITING, gettext_lazy("As it was")),
}

_REMARKS: Final[dict[str, Promise]] = {
    "list.unclear": gettext_lazy("%(sentence)s"),
    "list.too_long": gettext_lazy("“%(column)s” holds more than %(most)s characters. Shorten it."),
    "list.control": gettext_lazy("“%(column)s” holds a control character. Type it anew."),
    "list.wrong_kind": gettext_lazy("%(name)s is a server of a kind that cannot be this side."),
    "list.no_file_name": gettext_lazy("%(name)s cannot be the name of a file, so it does not lead to anybody's mail."),
    "list.no_server": gettext_lazy("There is no server of the name %(name)s. Write it as it stands under Servers."),
    "list.no_password": gettext_lazy(
        "No password for the %(side)s, and no administrator signs in there. Add the password, or let an administrator "
        "give that server an administrator login."
    ),
    "list.no_passwords": gettext_lazy(
        "No password, and no administrator signs in on either server. Add the password, or let an administrator give "
        "the servers administrator logins."
    ),
    "list.not_yes_or_no": gettext_lazy("“%(column)s” must say yes or no."),
    "list.no_language": gettext_lazy("%(text)s is no language. Write it as en or pt-BR."),
    "list.no_address": gettext_lazy("%(text)s is no mail address. Write it as name@domain."),
    "list.one_source": gettext_lazy("%(lines)s name the same old mailbox, %(login)s. Keep one of them."),
    "list.one_target": gettext_lazy(
        "%(lines)s lead to the same new mailbox, %(login)s: their mail would be mixed. Give each its own."
    ),
    "list.one_mailbox": gettext_lazy("Old and new are the same mailbox, %(login)s. Name another new one."),
    "list.filled": gettext_lazy("%(lines)s: %(login)s is filled by one row and copied by the other. Take one out."),
    "list.target_taken": gettext_lazy(
        "The new mailbox %(login)s belongs to %(other)s in the campaign %(campaign)s. Name another one."
    ),
    "list.copied": gettext_lazy("Mail was copied to %(login)s already: this account cannot lead elsewhere now."),
    "list.busy": gettext_lazy("Somebody works on this account just now. Stop it, then import the list again."),
    "list.moved": gettext_lazy("Has moved, or is on the way: nothing is altered."),
    "list.hash": gettext_lazy("The password for the %(side)s is encrypted (%(scheme)s) and opens nothing."),
    "list.hash_perhaps": gettext_lazy("The password for the %(side)s may be encrypted (%(scheme)s)."),
    "list.blank": gettext_lazy("The password for the %(side)s begins or ends with a blank, and is taken so."),
}


def reason(remarks: Sequence[tuple[str, Mapping[str, str]]]) -> str:
    """Return what is wrong with a row, and what to do. What one sentence says is not said twice."""
    told = list(remarks)
    codes = [code for code, _ in told]
    if codes.count("list.no_password") > 1:
        told = [("list.no_passwords", {}), *(one for one in told if one[0] != "list.no_password")]
    if "list.one_source" in codes:
        told = [one for one in told if one[0] != "list.one_target"]
    return " ".join(_sentence(code, facts) for code, facts in told)


def _sentence(code: str, facts: Mapping[str, str]) -> str:
    shown = dict(facts)
    if "side" in shown:
        shown["side"] = str(words.SIDES.get(shown["side"], shown["side"]))
    if "column" in shown:
        shown["column"] = str(FIELDS.get(shown["column"], shown["column"]))
    if "lines" in shown:  # pages speak of rows
        shown["lines"] = shown["lines"].replace("Lines ", gettext("Rows") + " ", 1)
    return gettext(str(_REMARKS[code])) % shown


def changes(names: list[str]) -> str:
    """Return what a list changes of an account, as a list of words."""
    known = {"source": FIELDS["source_server"], "target": FIELDS["target_server"]}
    return ", ".join(str(FIELDS.get(name) or known.get(name) or name) for name in names)
