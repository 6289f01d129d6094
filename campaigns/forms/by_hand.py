"""What is typed about a night: names and ports, the reason of a step done by hand, a log of the old server."""

from __future__ import annotations

from typing import Any, Final, NamedTuple, cast

from django import forms
from django.utils.functional import Promise
from django.utils.translation import gettext, gettext_lazy

from campaigns.bridge import host_files
from campaigns.bridge.by_hand import COLUMNS
from campaigns.forms.base import PageForm, style_field
from campaigns.models import PlaceBook
from campaigns.selectors.adviser import DOWNTIMES, EFFORTS, Downtime, Effort
from campaigns.services import confirmations, lists, place_books
from campaigns.services.place_books import Places
from migrator.preflight.ports import USUAL_PORTS, Service

SERVICES: Final = {
    Service.SMTP: gettext_lazy("Mail from other servers (SMTP)"),
    Service.SUBMISSION: gettext_lazy("Sending (STARTTLS)"),
    Service.SUBMISSIONS: gettext_lazy("Sending (SSL/TLS)"),
    Service.IMAP: gettext_lazy("Reading by IMAP (STARTTLS)"),
    Service.IMAPS: gettext_lazy("Reading by IMAP (SSL/TLS)"),
    Service.POP3: gettext_lazy("Reading by POP3 (STARTTLS)"),
    Service.POP3S: gettext_lazy("Reading by POP3 (SSL/TLS)"),
    Service.SIEVE: gettext_lazy("Rules (ManageSieve)"),
}
COLUMN_WORDS: Final = {
    "old": gettext_lazy("Old server"),
    "new_before": gettext_lazy("New server, before"),
    "new": gettext_lazy("New server, after"),
}


class _Lines(forms.CharField):
    """Names, one a line."""

    def __init__(self, **kwargs: Any) -> None:
        widget = forms.Textarea(attrs={"rows": 3, "spellcheck": "false", "autocomplete": "off"})
        super().__init__(required=False, max_length=20_000, widget=widget, **kwargs)


class PortRow(NamedTuple):
    """One service with its three fields."""

    label: str | Promise
    usual: int
    cells: list[tuple[str | Promise, forms.BoundField]]  # what the column is called, and its field


class PlacesForm(PageForm):
    """The place book of a campaign. Fields for ports are called SERVICE_COLUMN."""

    LISTS: Final = ("domains", "mx", "spf", "client_names")

    domains = _Lines(label=gettext_lazy("Domains that move"), help_text=gettext_lazy("One a line, as example.org."))
    mx = _Lines(
        label=gettext_lazy("Who takes their mail afterwards (MX)"),
        help_text=gettext_lazy("All host names that shall be there, one a line. Empty: not looked at."),
    )
    most_ttl = forms.IntegerField(
        label=gettext_lazy("Others may remember that for (seconds)"),
        min_value=1,
        max_value=place_books.MOST_TTL,
        initial=300,
        help_text=gettext_lazy("Shorten it some days before the night; 300 is usual."),
    )
    spf = _Lines(
        label=gettext_lazy("Who may send for them (SPF)"),
        help_text=gettext_lazy("Terms that must be there, one a line, as ip4:192.0.2.7. Empty: not looked at."),
    )
    client_names = _Lines(
        label=gettext_lazy("Names that stand in mail programs"),
        help_text=gettext_lazy("They must lead to the new server afterwards. One a line, as imap.example.org."),
    )

    queue_program = forms.ChoiceField(
        label=gettext_lazy("Program that sees the old server's queue"),
        required=False,
        help_text=gettext_lazy(
            "If it is a Postfix: it runs postqueue -j there, as its words say. An administrator of this machine puts "
            "it into the folder of MAILFERRY_PROGRAMS, and an administrator of Mailferry chooses it."
        ),
    )

    def __init__(self, *args: Any, book: PlaceBook, **kwargs: Any) -> None:
        initial: dict[str, Any] = {name: "\n".join(getattr(book, name)) for name in self.LISTS}
        initial |= {"most_ttl": book.most_ttl, "queue_program": book.queue_program}
        for service, row in book.ports.items():
            initial |= {f"{service}_{column}": text for column, text in row.items()}
        super().__init__(*args, initial=initial, **kwargs)
        known = sorted({*host_files.names(host_files.PROGRAM), *filter(None, [book.queue_program])})
        none = ("", gettext("None: its queue is looked at by hand"))
        cast(forms.ChoiceField, self.fields["queue_program"]).choices = [none, *((name, name) for name in known)]
        for service, label in SERVICES.items():
            for column in COLUMNS:
                field = forms.CharField(
                    label=gettext("%(service)s: %(column)s") % {"service": label, "column": COLUMN_WORDS[column]},
                    required=False,
                    max_length=270,
                    widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
                )
                style_field(field)
                self.fields[f"{service.value}_{column}"] = field

    @property
    def port_rows(self) -> list[PortRow]:
        """The fields for ports, service by service."""
        return [
            PortRow(
                label, USUAL_PORTS[service], [(COLUMN_WORDS[one], self[f"{service.value}_{one}"]) for one in COLUMNS]
            )
            for service, label in SERVICES.items()
        ]

    @property
    def columns(self) -> list[str | Promise]:
        """What the columns are called."""
        return [COLUMN_WORDS[column] for column in COLUMNS]

    def places(self) -> Places:
        """Return what was planned."""
        found = self.cleaned_data
        ports = {
            service.value: {column: found[f"{service.value}_{column}"] for column in COLUMNS} for service in SERVICES
        }
        lines = {name: tuple(found[name].splitlines()) for name in self.LISTS}
        program = found["queue_program"]
        return Places(ports=ports, most_ttl=found["most_ttl"], queue_program=program, **lines)


class ByHandForm(PageForm):
    """Why a step counts as done."""

    reason = forms.CharField(
        label=gettext_lazy("What was done, and how you know"),
        max_length=confirmations.MOST_REASON,
        help_text=gettext_lazy("It is kept with your name."),
        error_messages={"required": gettext_lazy("Write down what was done.")},
    )


class LookForm(PageForm):
    """Through whose mailbox the servers are compared."""

    login = forms.CharField(
        label=gettext_lazy("Account to look with"),
        required=False,
        max_length=255,
        help_text=gettext_lazy("The old user name of somebody on the list. Empty: the first one. Nothing is changed."),
    )


class LogForm(PageForm):
    """A log of the old server."""

    file = forms.FileField(
        label=gettext_lazy("Log of the old server"),
        allow_empty_file=True,
        help_text=gettext_lazy(
            "Of Dovecot, Cyrus, Courier, UW-imapd or Postfix, up to 32 MB, not compressed. Only who signed in is kept."
        ),
        error_messages={"required": gettext_lazy("Choose a file.")},
    )
    ours = _Lines(
        label=gettext_lazy("Numbers from which Mailferry reads mailboxes"),
        help_text=gettext_lazy(
            "As this log shows them, one a line. Sign-ins from there count for nobody: no person may come from there."
        ),
    )

    def __init__(self, *args: Any, was_too_long: bool = False, **kwargs: Any) -> None:
        self._was_too_long = was_too_long
        super().__init__(*args, **kwargs)

    def clean(self) -> dict[str, Any]:
        found = super().clean() or {}
        if self._was_too_long:
            most = lists.MOST_OCTETS >> 20
            self.errors.pop("file", None)
            self.add_error("file", gettext("The file is larger than %(n)d MB. Take its last days only.") % {"n": most})
        return found


class AdviceForm(PageForm):
    """The three questions."""

    people = forms.IntegerField(label=gettext_lazy("How many people?"), min_value=1, max_value=10_000_000)
    downtime = forms.ChoiceField(
        label=gettext_lazy("How long may somebody be without mail?"),
        choices=[(key.value, told) for key, told in DOWNTIMES.items()],
        initial=Downtime.SECONDS.value,
    )
    effort = forms.ChoiceField(
        label=gettext_lazy("What may be set up for it?"),
        choices=[(key.value, told) for key, told in EFFORTS.items()],
        initial=Effort.LOCKS.value,
    )
