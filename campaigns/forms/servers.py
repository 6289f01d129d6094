"""Servers, the addresses that are allowed, and the account on which a connection is tried."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.conf import settings
from django.utils.translation import gettext, gettext_lazy

from campaigns.bridge import beside, places
from campaigns.bridge.way_in import GOOGLE, MICROSOFT
from campaigns.forms.base import PageForm
from campaigns.models import Server
from campaigns.models.server import Security
from campaigns.services.servers import COLUMNS, MOST_LANES
from migrator.stores.profiles import GENERIC, PROFILES

OTHER: Final = "other"
WAYS_IN: Final = [
    ("authzid", gettext_lazy("Names the person beside itself (SASL PLAIN)")),
    ("{user}*{admin}", gettext_lazy("As person*administrator (Dovecot and others)")),
    ("{user}%{admin}", gettext_lazy("As person%administrator")),
    ("{domain}\\{admin}\\{name}", gettext_lazy("As domain\\administrator\\person (Exchange)")),
    (OTHER, gettext_lazy("Under a name of another form")),
    ("proxyauth", gettext_lazy("Signs in, then becomes the person (PROXYAUTH: Netscape, Sun, Oracle)")),
    (MICROSOFT, gettext_lazy("By tokens of an application (Microsoft 365)")),
    (GOOGLE, gettext_lazy("By tokens of a service account (Google Workspace)")),
]
PRODUCTS: Final = sorted(profile.name for profile in PROFILES.values() if profile is not GENERIC)


def secret_field(label: Any, help_text: Any) -> forms.CharField:
    """Return a field for a password that is never shown again. Blanks at its ends are part of it."""
    widget = forms.PasswordInput(attrs={"autocomplete": "new-password"})
    return forms.CharField(label=label, help_text=help_text, required=False, strip=False, widget=widget)


def _place(label: Any, help_text: Any) -> forms.CharField:
    widget = forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"})
    return forms.CharField(label=label, help_text=help_text, required=False, max_length=255, widget=widget)


_LINE: Final = ("host", "port", "security", "ca_pem", "accepts_any_certificate")
_DOOR: Final = ("admin_login", "admin_secret", "admin_access", "admin_template", "token_endpoint")
_FILES: Final = ("folder", "below")


class ServerForm(PageForm):
    """A mail server: where it is, how the line is protected, who opens mailboxes, how much it bears.

    Of another kind than IMAP it has fewer fields; ``values`` returns what to save in any case.
    """

    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=100,
        help_text=gettext_lazy("As your people call it, for example: Old mail, Zürich."),
    )
    folder = forms.ChoiceField(
        label=gettext_lazy("Folder"),
        help_text=gettext_lazy("Whoever runs this machine allows folders for mail (MAILFERRY_MAIL_FOLDERS)."),
    )
    below = forms.CharField(
        label=gettext_lazy("Below it"),
        max_length=200,
        initial=places.ANY,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "class": "form-control mf-mono"}),
        help_text=gettext_lazy(
            "Where the mail of one person is; * stands for their name at the old server: *, or */Maildir."
        ),
    )
    host = forms.CharField(
        label=gettext_lazy("Host"), max_length=255, help_text=gettext_lazy("Its name or number, without a port.")
    )
    port = forms.IntegerField(
        label=gettext_lazy("Port"),
        min_value=1,
        max_value=65535,
        required=False,
        help_text=gettext_lazy("Empty: 993 for TLS, else 143."),
    )
    security = forms.ChoiceField(
        label=gettext_lazy("Encryption"),
        choices=[
            (Security.TLS, gettext_lazy("TLS from the start")),
            (Security.STARTTLS, gettext_lazy("STARTTLS")),
            (Security.PLAIN, gettext_lazy("None")),
        ],
        initial=Security.TLS,
        help_text=gettext_lazy("None only on a line that nobody else can read."),
    )
    ca_pem = forms.CharField(
        label=gettext_lazy("Authority of its certificate"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false", "class": "form-control mf-mono"}),
        help_text=gettext_lazy(
            "Only for a server whose certificate comes from an authority of your own: paste that in PEM."
        ),
    )
    accepts_any_certificate = forms.BooleanField(
        label=gettext_lazy("Accept any certificate"),
        required=False,
        help_text=gettext_lazy(
            "Dangerous: whoever stands between Mailferry and this server can read passwords and mail, unnoticed."
        ),
    )
    admin_login = forms.CharField(
        label=gettext_lazy("Administrator"),
        max_length=255,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text=gettext_lazy("Opens mailboxes for people whose password is not known, or who are locked out."),
    )
    admin_secret = secret_field(
        gettext_lazy("Administrator's password"),
        gettext_lazy(
            "With tokens: the application's secret, or the whole content of the service account's key file. Stored "
            "encrypted and never shown again."
        ),
    )
    admin_access = forms.ChoiceField(
        label=gettext_lazy("How the administrator gets in"),
        choices=WAYS_IN,
        required=False,
        initial="authzid",
        help_text=gettext_lazy("Each product has its own way; the test of the connection shows whether it works."),
    )
    admin_template = forms.CharField(
        label=gettext_lazy("Form of the name"),
        max_length=255,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text=gettext_lazy(
            "Only for another form: {user}, or {name} and {domain}, is the person, {admin} the administrator."
        ),
    )
    token_endpoint = forms.CharField(
        label=gettext_lazy("Where tokens are asked for"),
        max_length=500,
        required=False,
        widget=forms.URLInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text=gettext_lazy(
            "Only with tokens. Microsoft 365: https://login.microsoftonline.com/TENANT/oauth2/v2.0/token with your "
            "tenant. Google: empty."
        ),
    )
    product = forms.ChoiceField(
        label=gettext_lazy("Product"),
        required=False,
        choices=[("", gettext_lazy("As it says itself")), *((name, name) for name in PRODUCTS)],
        help_text=gettext_lazy("Only if a proxy in front of it, or the server itself, gives a wrong name."),
    )
    sieve_place = _place(
        gettext_lazy("Sieve scripts (ManageSieve)"),
        gettext_lazy("HOST:PORT, where scripts are copied. Empty: port 4190 of the server itself."),
    )
    pop3_place = _place(
        gettext_lazy("POP3"),
        gettext_lazy("HOST:PORT, where POP3 programs shall fetch nothing again. Empty: the usual port of the server."),
    )
    max_lanes = forms.IntegerField(
        label=gettext_lazy("Mailboxes worked on at once"),
        min_value=1,
        max_value=MOST_LANES,
        initial=8,
        help_text=gettext_lazy("Each holds one or two connections to the server."),
    )

    def __init__(self, *args: Any, kind: str = places.IMAP, has_secret: bool = False, **kwargs: Any) -> None:
        initial = dict(kwargs.pop("initial", None) or {})
        self.kind = kind
        if initial.get("path"):
            initial |= _parts(initial["path"])
        if (way := initial.get("admin_access")) and way not in dict(WAYS_IN):
            initial |= {"admin_access": OTHER, "admin_template": way}
        super().__init__(*args, initial=initial, **kwargs)
        self._fit(initial.get("folder", ""))
        if has_secret and "admin_secret" in self.fields:
            self.fields["admin_secret"].help_text = gettext_lazy(
                "One is stored. Left empty, it stays; it is never shown."
            )

    def _fit(self, folder: str) -> None:
        """Take out what a server of this kind has not."""
        row = Server(kind=self.kind)
        without: tuple[str, ...] = (*_LINE, *_DOOR, "product") if places.is_files(row) else _FILES
        if not places.signs_in(row):
            without += (*_DOOR, *beside.COLUMNS, "product")
        elif self.kind != places.IMAP:
            without += ("product", "token_endpoint", "pop3_place")
            usual = [way for way in WAYS_IN if way[0] not in ("proxyauth", MICROSOFT, GOOGLE)]
            self.fields["admin_access"].choices = usual  # type: ignore[attr-defined]
        for name in set(without):
            del self.fields[name]
        if "port" in self.fields and self.kind != places.IMAP:
            self.fields["port"].help_text = gettext("Empty: the usual one.")
        if "folder" in self.fields:
            folders = dict.fromkeys([*map(str, settings.MAIL_FOLDERS), *([folder] if folder else [])])
            self.fields["max_lanes"].help_text = ""
            self.fields["folder"].choices = [(one, one) for one in folders]  # type: ignore[attr-defined]

    def values(self) -> dict[str, Any]:
        """Return all of ``services.servers.COLUMNS``."""
        found = self.cleaned_data
        path = f"{found['folder'].rstrip('/')}/{found['below'].strip().strip('/')}" if "folder" in found else ""
        usual: dict[str, Any] = {"security": Security.PLAIN, "admin_access": "authzid", "port": None}
        usual |= {"accepts_any_certificate": False}
        return {name: found.get(name, usual.get(name, "")) for name in COLUMNS} | {"kind": self.kind, "path": path}

    def clean(self) -> dict[str, Any]:
        """Put the form of a name that is not among the usual ones in the place of the choice."""
        fields: dict[str, Any] = super().clean() or self.cleaned_data
        if "admin_access" not in self.fields:
            return fields
        way = fields.get("admin_access") or "authzid"
        fields["admin_access"] = fields.get("admin_template", "") if way == OTHER else way
        return fields


def _parts(path: str) -> dict[str, str]:
    """Return a stored path as the two fields show it."""
    for folder in sorted(map(str, settings.MAIL_FOLDERS), key=len, reverse=True):
        if path.startswith(f"{folder.rstrip('/')}/"):
            return {"folder": folder, "below": path[len(folder.rstrip("/")) + 1 :]}
    before, _, after = path.partition(f"/{places.ANY}")
    return {"folder": before, "below": f"{places.ANY}{after}"}


class AddressForm(PageForm):
    """One more address that servers and connections may be at."""

    host = forms.CharField(
        label=gettext_lazy("Host or network"),
        max_length=255,
        help_text=gettext_lazy("For example mail.example.org, 192.0.2.7 or 10.1.0.0/16."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )


class ServerTrialForm(PageForm):
    """The account on which a server is tried."""

    login = forms.CharField(
        label=gettext_lazy("Account"),
        max_length=255,
        required=False,
        help_text=gettext_lazy("Somebody whose mailbox is there, as the server calls them. Empty: only the server."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    password = secret_field(
        gettext_lazy("The account's own password"), gettext_lazy("Only if it shall sign in itself, too. Not stored.")
    )

    def __init__(self, *args: Any, server: Server | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if server is not None and not places.signs_in(server):
            del self.fields["password"]


class ToOneselfForm(PageForm):
    """The account that sends a message to itself, and where its mail is handed in."""

    login = forms.CharField(
        label=gettext_lazy("Account for tests"),
        max_length=255,
        help_text=gettext_lazy("As the server calls it. Nobody's mailbox that does not know of it."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    password = secret_field(gettext_lazy("Its own password"), gettext_lazy("Not stored."))
    address = forms.CharField(
        label=gettext_lazy("Its address"),
        max_length=320,
        required=False,
        help_text=gettext_lazy("Empty: as it signs in."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    service = forms.ChoiceField(
        label=gettext_lazy("Mail is handed in"),
        choices=[
            ("submission", gettext_lazy("as by mail programs, with STARTTLS (587)")),
            ("submissions", gettext_lazy("as by mail programs, with TLS (465)")),
            ("smtp", gettext_lazy("as by other servers, without a password (25)")),
        ],
    )
    place = _place(gettext_lazy("Where"), gettext_lazy("Empty: the host of this server, at the usual port. HOST:PORT."))
    is_agreed = forms.BooleanField(
        label=gettext_lazy("Its owner knows of this"),
        required=False,
        help_text=gettext_lazy("Only asked for when the account is on a list of people who move."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, prefix="own", **kwargs)  # it stands beside the form of a test

    def clean(self) -> dict[str, Any]:
        """Want a password wherever somebody signs in, which is always: the mailbox is opened."""
        fields: dict[str, Any] = super().clean() or self.cleaned_data
        if not fields.get("password"):
            self.add_error("password", gettext_lazy("Enter the password of the account: it signs in itself."))
        return fields


class RoomForm(PageForm):
    """What somebody saw of a server's disks."""

    words = forms.CharField(
        label=gettext_lazy("Seen at its machine"),
        max_length=200,
        help_text=gettext_lazy("For example: 1.8 TB free of 4 TB, 90% of the inodes free."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )


class ConnectorTrialForm(PageForm):
    """The account on which a connector is tried."""

    login = forms.CharField(
        label=gettext_lazy("Account"),
        max_length=255,
        help_text=gettext_lazy("Somebody who is there. Nothing is changed."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
