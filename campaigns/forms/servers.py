"""Servers, the addresses that are allowed, and the account on which a connection is tried."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy

from campaigns.forms.base import PageForm
from campaigns.models.server import Security
from campaigns.services.servers import MOST_LANES


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
        gettext_lazy("Administrator's password"), gettext_lazy("Stored encrypted and never shown again.")
    )
    max_lanes = forms.IntegerField(
        label=gettext_lazy("Mailboxes worked on at once"),
        min_value=1,
        max_value=MOST_LANES,
        initial=8,
        help_text=gettext_lazy("Each holds one or two connections to the server."),
    )

    def __init__(self, *args: Any, has_secret: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if has_secret:
            self.fields["admin_secret"].help_text = gettext_lazy(
                "One is stored. Left empty, it stays; it is never shown."
            )


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
