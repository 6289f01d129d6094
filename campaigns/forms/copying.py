"""How mail is copied, for a campaign or one account: every option with the name that the classic commands gave it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext, gettext_lazy

from campaigns.bridge import copying, places
from campaigns.bridge.copying import CopyOptions
from campaigns.forms.base import PageForm, style_field
from campaigns.models import Server
from campaigns.services import copy_options
from migrator.stores import STORES
from migrator.transfer.plan import DuplicatePolicy, LabelPolicy
from migrator.transfer.repairs import SHORTEST_LIMIT, Repair

_PLAIN: Final = {"autocomplete": "off", "spellcheck": "false"}
_REPAIR: Final = "repair_"
_LEAVE, _AFTER, _AHEAD = "", "after", "ahead"
# MoveIMAPMail's name of an option, where it had one.
CLASSIC: Final = {
    "list_pattern": "-list",
    "source_prefix": "-source",
    "target_prefix": "-target",
    "skip_folders": "-skip",
    "only_subscribed": "-subscribed",
    "no_subscription": "-nosubscription",
    "fetch_rfc822": "-fetchRFC822",
    "by_one": "-byOne",
    "no_acl": "-noACL",
    "long_line_bytes": "-fixLongLines",
    "copies_classes": "-copyMailboxClass",
    "is_slow": "-notimeout",
}
ROLES: Final = {
    "all": gettext_lazy("All mail"),
    "archive": gettext_lazy("Archive"),
    "drafts": gettext_lazy("Drafts"),
    "flagged": gettext_lazy("Flagged"),
    "junk": gettext_lazy("Junk"),
    "sent": gettext_lazy("Sent"),
    "trash": gettext_lazy("Trash"),
}
REPAIRS: Final[dict[Repair, Any]] = {
    Repair.NUL: gettext_lazy("Zero bytes"),
    Repair.LINE_ENDS: gettext_lazy("Bare line ends"),
    Repair.MBOX_LINE: gettext_lazy("A first line “From …”"),
    Repair.SEPARATOR: gettext_lazy("No blank line after the header"),
    Repair.HEADER_LINE: gettext_lazy("Header lines that are none"),
    Repair.HEADER_8BIT: gettext_lazy("Raw letters in the header"),
    Repair.LONG_LINES: gettext_lazy("Lines that are too long"),
    Repair.LONG_LINES_SIGNED: gettext_lazy("The same in signed parts: signatures break"),
    Repair.READ_RECEIPT: gettext_lazy("Asks for a read receipt"),
}
# Options that need a server that is spoken to by IMAP, or one on which mail can be looked at.
_OF_IMAP_SOURCE: Final = ("list_pattern", "source_prefix", "fetch_rfc822", "by_one", "only_subscribed", "gmail_labels")
_OF_READ_TARGET: Final = (
    "target_prefix",
    "no_subscription",
    "no_acl",
    "identifiers",
    "long_line_bytes",
    "same_person",
    "duplicates",
)


def _text(label: Any, help_text: Any) -> forms.CharField:
    widget = forms.TextInput(attrs=_PLAIN)
    return forms.CharField(label=label, help_text=help_text, required=False, strip=False, max_length=500, widget=widget)


def _lines(label: Any, help_text: Any) -> forms.CharField:
    widget = forms.Textarea(attrs={"rows": 4, **_PLAIN, "class": "form-control mf-mono"})
    return forms.CharField(label=label, help_text=help_text, required=False, widget=widget)


def _number(label: Any, help_text: Any, least: int, most: int) -> forms.IntegerField:
    return forms.IntegerField(label=label, help_text=help_text, required=False, min_value=least, max_value=most)


def _check(label: Any, help_text: Any = "") -> forms.BooleanField:
    return forms.BooleanField(label=label, help_text=help_text, required=False)


def _day(label: Any, help_text: Any) -> forms.DateField:
    widget = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    wrong = {"invalid": gettext_lazy("Enter a day, as 2024-12-31.")}
    return forms.DateField(label=label, help_text=help_text, required=False, widget=widget, error_messages=wrong)


class CopyingForm(PageForm):
    """All options of copying. ``options`` returns them; what cannot apply between the two servers is not asked."""

    list_pattern = _text(
        gettext_lazy("List pattern"),
        gettext_lazy("Only folders that the old server lists with this pattern, and the inbox. Empty: all."),
    )
    source_prefix = _text(
        gettext_lazy("Only below, on the old server"),
        gettext_lazy("Only folders whose names begin so; it is taken off: with abc/, abc/mail becomes mail."),
    )
    target_prefix = _text(
        gettext_lazy("Put before all names on the new server"),
        gettext_lazy("The inbox, too. {user} stands for the person's name there. It stays once mail was copied."),
    )
    skip_folders = _lines(
        gettext_lazy("Folders to leave out"),
        gettext_lazy("One a line: names, or patterns with * and ?. Folders inside go on unless a pattern fits them."),
    )
    renamings = _lines(
        gettext_lazy("Folders with another name on the new server"),
        gettext_lazy("One a line: old = new, levels apart by /. What is on the new server already keeps its name."),
    )
    skip_roles = forms.MultipleChoiceField(
        label=gettext_lazy("Leave out what the old server calls"),
        required=False,
        choices=list(ROLES.items()),
        widget=forms.CheckboxSelectMultiple,
    )
    only_subscribed = _check(gettext_lazy("Only folders that people have subscribed to, and the inbox"))
    no_subscription = _check(gettext_lazy("Subscribe to nothing on the new server"))
    fetch_rfc822 = _check(
        gettext_lazy("Ask for messages in the oldest way"), gettext_lazy("Without it this is found out by itself.")
    )
    by_one = _check(
        gettext_lazy("Ask for one message at a time"), gettext_lazy("Slow. Without it this is found out by itself.")
    )
    copies_deleted = _check(
        gettext_lazy("Copy messages that are marked as deleted"),
        gettext_lazy("Else they are counted and stay behind."),
    )
    since = _day(gettext_lazy("Arrived on this day or later"), gettext_lazy("In UTC. Older messages stay behind."))
    before = _day(gettext_lazy("Arrived before this day"), gettext_lazy("In UTC. Newer messages stay behind."))
    min_bytes = _number(gettext_lazy("At least so many bytes"), "", 0, copy_options.MOST_BYTES)
    max_bytes = _number(gettext_lazy("At most so many bytes"), "", 1, copy_options.MOST_BYTES)
    newest_days = _number(
        gettext_lazy("First the mail of the last (days)"),
        gettext_lazy("Then older mail. Programs that sort by arrival show older mail after recent mail then."),
        1,
        copy_options.MOST_DAYS,
    )
    gmail_labels = forms.ChoiceField(
        label=gettext_lazy("A message under several labels of Gmail"),
        choices=[
            (LabelPolicy.FOLDERS.value, gettext_lazy("A copy in each folder")),
            (LabelPolicy.FIRST.value, gettext_lazy("One copy, in the first folder")),
            (LabelPolicy.KEYWORDS.value, gettext_lazy("One copy, the other labels as keywords")),
        ],
    )
    duplicates = forms.ChoiceField(
        label=gettext_lazy("Equal messages in one folder"),
        choices=[
            (DuplicatePolicy.KEEP.value, gettext_lazy("As many on the new server")),
            (DuplicatePolicy.ONCE.value, gettext_lazy("Only the first; the others are counted")),
        ],
    )
    long_line_bytes = _number(
        gettext_lazy("Encode anew, ahead, parts with lines longer than (bytes)"),
        gettext_lazy("Signed parts stay as they are. Empty: nothing is encoded ahead."),
        SHORTEST_LIMIT,
        998,
    )
    copies_notes = _check(
        gettext_lazy("Copy what is noted on folders"),
        gettext_lazy(
            "Comments and the like (METADATA), and the roles of folders that are there already. "
            "What the new server has of its own stays."
        ),
    )
    copies_classes = _check(
        gettext_lazy("Copy the classes of folders"),
        gettext_lazy(
            "Which one is the calendar and which holds contacts, between two CommuniGate Pro servers, by their command "
            "line. A class that a folder of the new server has stays."
        ),
    )
    copies_scripts = _check(
        gettext_lazy("Copy Sieve scripts"),
        gettext_lazy(
            "Filters and out-of-office replies that people keep on the server, as they are, and the same one is made "
            "active. Needs ManageSieve on both sides; where it is, the page of the server says."
        ),
    )
    keeps_pop_names = _check(
        gettext_lazy("Programs that read by POP3 fetch nothing again"),
        gettext_lazy(
            "Each message of the inbox gets the line X-UIDL, for a new server that takes names from it (Dovecot: "
            "pop3_reuse_xuidl = yes). The old server is asked by POP3, too; without an answer nothing is copied."
        ),
    )
    no_acl = _check(
        gettext_lazy("Open folders to nobody else"),
        gettext_lazy("Else who may open a folder on the old server may do so on the new one."),
    )
    identifiers = _lines(
        gettext_lazy("Who is called how on the new server"),
        gettext_lazy(
            "One a line: old = new; nothing after the = for nobody there. Who moves in this campaign is known already."
        ),
    )
    same_person = _check(
        gettext_lazy("Do not ask whose mail the new mailbox holds"),
        gettext_lazy("Else an account stops, before anything is written, where it holds another person's mail."),
    )
    timeout_seconds = _number(
        gettext_lazy("A server silent for so long is taken for gone (seconds)"),
        gettext_lazy("Empty: 120."),
        1,
        copy_options.MOST_SECONDS,
    )
    is_slow = _check(
        gettext_lazy("Wait up to an hour for each answer"), gettext_lazy("For servers that are very slow.")
    )

    def __init__(self, *args: Any, source: Server, target: Server, options: CopyOptions, **kwargs: Any) -> None:
        self._options = options
        super().__init__(*args, initial=_shown(options), **kwargs)
        for repair, label in REPAIRS.items():
            self.fields[f"{_REPAIR}{repair.value}"] = forms.ChoiceField(
                label=label,
                required=False,
                choices=[
                    (_LEAVE, gettext("Leave it")),
                    (_AFTER, gettext("Mend once refused")),
                    (_AHEAD, gettext("Mend ahead")),
                ],
            )
            style_field(self.fields[f"{_REPAIR}{repair.value}"])
        self._fit(source, target)
        for name, classic in CLASSIC.items():
            if name in self.fields:
                told = {"help": self.fields[name].help_text, "name": classic}
                self.fields[name].help_text = (gettext("%(help)s MoveIMAPMail: %(name)s.") % told).strip()

    def _fit(self, source: Server, target: Server) -> None:
        without = list(_OF_IMAP_SOURCE) if source.kind != places.IMAP else []
        if not places.is_read(target):
            without += [*_OF_READ_TARGET, *(name for name in self.fields if name.startswith(_REPAIR))]
        is_signed_in = copying.both_sign_in(source, target)
        without += [] if is_signed_in else ["copies_scripts", "keeps_pop_names"]
        without += [] if copying.both_by_imap(source, target) else ["copies_notes", "copies_classes"]
        self.left_out = [STORES[server.kind].label for server in (source, target) if server.kind != places.IMAP]
        for name in without:
            del self.fields[name]

    def repairs(self) -> list[Any]:
        """Return the fields of repairs."""
        return [self[name] for name in self.fields if name.startswith(_REPAIR)]

    def clean_identifiers(self) -> dict[str, str] | None:
        """Read the map of names of others."""
        return self._map("identifiers")

    def clean_renamings(self) -> dict[str, str] | None:
        """Read the map of names of folders."""
        return self._map("renamings")

    def _map(self, field: str) -> dict[str, str] | None:
        found: dict[str, str] = {}
        for number, line in enumerate(self.cleaned_data[field].splitlines(), 1):
            old, sign, new = (part.strip() for part in line.partition("="))
            if not line.strip():
                continue
            if not sign or not old:
                raise ValidationError(gettext("Line %(n)d: write it as old = new.") % {"n": number})
            if old in found:
                raise ValidationError(gettext("Line %(n)d: %(old)s stands twice.") % {"n": number, "old": old})
            found[old] = new
        return found or None

    def options(self) -> CopyOptions:
        """Return the options as they were typed; those that were not asked are as they were."""
        found = self.cleaned_data
        chosen: dict[str, Any] = {name: found[name] for name in copying.NAMES if name in found}
        if "skip_folders" in chosen:
            names = (line.strip() for line in chosen["skip_folders"].splitlines())
            chosen["skip_folders"] = tuple(dict.fromkeys(name for name in names if name))
        chosen["skip_roles"] = tuple(sorted(chosen["skip_roles"]))
        if "min_bytes" in chosen:
            chosen["min_bytes"] = chosen["min_bytes"] or 0
        for name in {"since", "before"} & chosen.keys():
            chosen[name] = chosen[name].isoformat() if chosen[name] else ""
        if any(name.startswith(_REPAIR) for name in self.fields):
            for name, way in (("repairs", _AFTER), ("repairs_ahead", _AHEAD)):
                chosen[name] = tuple(one.value for one in REPAIRS if found[f"{_REPAIR}{one.value}"] == way)
        return replace(self._options, **chosen)


_OF_FOLDERS: Final = (
    "list_pattern",
    "source_prefix",
    "target_prefix",
    "skip_folders",
    "renamings",
    "skip_roles",
    "only_subscribed",
)
MOST_LOOKED_AT: Final = 5


class FolderForm(CopyingForm):
    """The options about folders alone, and the accounts on which they are tried."""

    accounts = _lines(
        gettext_lazy("Try them on these accounts"),
        gettext_lazy("One a line, as the old server calls them; five at most. Their folders are listed, nothing more."),
    )

    def __init__(self, *args: Any, accounts: Iterable[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in [name for name in self.fields if name not in (*_OF_FOLDERS, "accounts")]:
            del self.fields[name]
        self.initial["accounts"] = "\n".join(accounts)

    def clean_accounts(self) -> list[str]:
        """Return the logins, each once."""
        lines = (line.strip() for line in self.cleaned_data["accounts"].splitlines())
        found = list(dict.fromkeys(line for line in lines if line))
        if len(found) > MOST_LOOKED_AT:
            raise ValidationError(gettext("Five accounts at once are enough."))
        return found


def _shown(options: CopyOptions) -> dict[str, Any]:
    """Return options as the form's fields show them."""
    told: dict[str, Any] = {name: getattr(options, name) for name in copying.NAMES}
    told["skip_folders"] = "\n".join(options.skip_folders)
    told["skip_roles"] = list(options.skip_roles)
    told["min_bytes"] = options.min_bytes or None
    for name in ("identifiers", "renamings"):
        told[name] = "\n".join(f"{old} = {new}".rstrip() for old, new in (told[name] or {}).items())
    for name in ("since", "before"):
        told[name] = date.fromisoformat(told[name]) if told[name] else None
    told |= {f"{_REPAIR}{one}": _AFTER for one in options.repairs}
    return told | {f"{_REPAIR}{one}": _AHEAD for one in options.repairs_ahead}
