"""Servers, the addresses that are allowed, and the account on which a connection is tried."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.utils.translation import gettext_lazy

from campaigns.bridge.way_in import GOOGLE, MICROSOFT
from campaigns.forms.base import PageForm
from campaigns.models.server import Security
from campaigns.services.servers import MOST_LANES
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


class ServerForm(PageForm):
    """A mail server: where it is, how the line is protected, who opens mailboxes, how much it bears."""

    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=100,
        help_text=gettext_lazy("As your people call it, for example: Old mail, Zürich."),
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
    max_lanes = forms.IntegerField(
        label=gettext_lazy("Mailboxes worked on at once"),
        min_value=1,
        max_value=MOST_LANES,
        initial=8,
        help_text=gettext_lazy("Each holds one or two connections to the server."),
    )

    def __init__(self, *args: Any, has_secret: bool = False, **kwargs: Any) -> None:
        initial = dict(kwargs.pop("initial", None) or {})
        if (way := initial.get("admin_access")) and way not in dict(WAYS_IN):
            initial |= {"admin_access": OTHER, "admin_template": way}
        super().__init__(*args, initial=initial, **kwargs)
        if has_secret:
            self.fields["admin_secret"].help_text = gettext_lazy(
                "One is stored. Left empty, it stays; it is never shown."
            )

    def clean(self) -> dict[str, Any]:
        """Put the form of a name that is not among the usual ones in the place of the choice."""
        fields: dict[str, Any] = super().clean() or self.cleaned_data
        way = fields.get("admin_access") or "authzid"
        fields["admin_access"] = fields.get("admin_template", "") if way == OTHER else way
        return fields


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


class ConnectorTrialForm(PageForm):
    """The account on which a connector is tried."""

    login = forms.CharField(
        label=gettext_lazy("Account"),
        max_length=255,
        help_text=gettext_lazy("Somebody who is there. Nothing is changed."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
