"""Ways out for alarms, and what somebody types who has read one."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.translation import gettext, gettext_lazy

from campaigns.bridge import host_files
from campaigns.forms.base import PageForm
from campaigns.forms.servers import secret_field
from campaigns.models.alarm import AlarmChannel
from campaigns.models.server import Security
from campaigns.services import addresses
from campaigns.services.refusals import Refused

_PLAIN: Final = {"autocomplete": "off", "spellcheck": "false"}
_MOST_RECIPIENTS: Final = 20


class ChannelForm(PageForm):
    """What all channels have. ``channel_options`` is what is stored, once the form is valid."""

    SECRET: Any = gettext_lazy("Password")
    ASKED: tuple[str, ...] = ()

    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=100,
        help_text=gettext_lazy("As your people call it, for example: On-call pager."),
    )
    is_on = forms.BooleanField(
        label=gettext_lazy("Send alarms this way"),
        required=False,
        initial=True,
        help_text=gettext_lazy("Switched off, it can still be tested."),
    )

    def __init__(self, *args: Any, has_secret: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        told = gettext_lazy("Stored encrypted and never shown again. Empty where none is needed.")
        kept = gettext_lazy("One is stored. Left empty, it stays; it is never shown.")
        self.fields["secret"] = secret_field(self.SECRET, kept if has_secret else told)
        self.fields["secret"].widget.attrs.setdefault("class", "form-control")

    @property
    def channel_options(self) -> dict[str, Any]:
        """Return the options as they are stored."""
        return {name: self.cleaned_data[name] for name in self.ASKED}

    def shown(self) -> list[forms.BoundField]:
        """Return the fields in their order, for the page."""
        names = ("name", *self.ASKED, "secret", "is_on")
        return [self[name] for name in names if name in self.fields]


class WebhookForm(ChannelForm):
    """An address that takes JSON by POST."""

    SECRET = gettext_lazy("Token")
    ASKED = ("url",)

    url = forms.CharField(
        label=gettext_lazy("Address"),
        max_length=1000,
        widget=forms.TextInput(attrs={**_PLAIN, "inputmode": "url"}),
        help_text=gettext_lazy(
            "It begins with https://. Alarms are sent there as JSON; redirections are not followed."
        ),
    )

    def clean_url(self) -> str:
        """Refuse what is no address, and one that shows a password."""
        url = str(self.cleaned_data["url"]).strip()
        try:
            parts = urlsplit(url)
            host = addresses.host_checked(parts.hostname or "")
            _ = parts.port
        except (ValueError, Refused):
            raise ValidationError(gettext("Enter a whole address, as https://alarms.example.org/hook.")) from None
        if parts.scheme not in ("http", "https") or not host or not url.isprintable() or " " in url:
            raise ValidationError(gettext("Enter a whole address, as https://alarms.example.org/hook."))
        if parts.username or parts.password:
            raise ValidationError(gettext("No name or password belongs into the address: enter the token below."))
        return url


class ProgramForm(ChannelForm):
    """A program that the administrator of this machine has put where we cannot write."""

    ASKED = ("program",)

    program = forms.ChoiceField(
        label=gettext_lazy("Program"),
        help_text=gettext_lazy(
            "It is run with three words: subject, text and link. The administrator of this machine puts programs into "
            "the folder of MAILFERRY_PROGRAMS."
        ),
    )

    def __init__(self, *args: Any, has_secret: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, has_secret=has_secret, **kwargs)
        del self.fields["secret"]
        program = self.fields["program"]
        assert isinstance(program, forms.ChoiceField)
        found = host_files.names(host_files.PROGRAM)
        program.choices = [("", gettext_lazy("Choose one")), *((name, name) for name in found)]

    @property
    def channel_options(self) -> dict[str, Any]:
        """Return the options as they are stored: by name, never by path."""
        return {"program": {host_files.PROGRAM: self.cleaned_data["program"]}}


class MailForm(ChannelForm):
    """A mail server that is not being moved."""

    ASKED = ("host", "port", "security", "sender", "to", "login")

    host = forms.CharField(
        label=gettext_lazy("Mail server"),
        max_length=255,
        widget=forms.TextInput(attrs=_PLAIN),
        help_text=gettext_lazy("One that is not being moved: mail through the servers of a move may be held with it."),
    )
    port = forms.IntegerField(label=gettext_lazy("Port"), min_value=1, max_value=65535, initial=465)
    security = forms.ChoiceField(
        label=gettext_lazy("Encryption"),
        initial=Security.TLS,
        choices=[
            (Security.TLS, gettext_lazy("TLS from the start (465)")),
            (Security.STARTTLS, gettext_lazy("STARTTLS (587 or 25)")),
            (Security.PLAIN, gettext_lazy("None")),
        ],
    )
    sender = forms.CharField(label=gettext_lazy("From"), max_length=254, widget=forms.TextInput(attrs=_PLAIN))
    to = forms.CharField(
        label=gettext_lazy("To"),
        max_length=2000,
        widget=forms.Textarea(attrs={**_PLAIN, "rows": 2}),
        help_text=gettext_lazy("One address a line. Addresses whose mail is being moved are no good tonight."),
    )
    login = forms.CharField(
        label=gettext_lazy("Name to sign in with"),
        max_length=255,
        required=False,
        widget=forms.TextInput(attrs=_PLAIN),
    )

    def clean_host(self) -> str:
        """Refuse what is no host."""
        try:
            return addresses.host_checked(str(self.cleaned_data["host"]))
        except Refused as refused:
            raise ValidationError(gettext(refused.sentence)) from None

    def clean_sender(self) -> str:
        """Refuse what is no address."""
        return _address(str(self.cleaned_data["sender"]))

    def clean_to(self) -> list[str]:
        """Return the addresses, one a line or with commas between them."""
        given = str(self.cleaned_data["to"]).replace(",", "\n").splitlines()
        found = [_address(one) for one in given if one.strip()]
        if not 1 <= len(found) <= _MOST_RECIPIENTS:
            raise ValidationError(gettext("Enter one to %(n)d addresses.") % {"n": _MOST_RECIPIENTS})
        return list(dict.fromkeys(found))


def _address(text: str) -> str:
    address = text.strip()
    try:
        validate_email(address)
    except ValidationError:
        raise ValidationError(gettext("%(text)s is no mail address.") % {"text": address}) from None
    return address


FORMS: Final[dict[str, type[ChannelForm]]] = {
    AlarmChannel.Kind.WEBHOOK: WebhookForm,
    AlarmChannel.Kind.PROGRAM: ProgramForm,
    AlarmChannel.Kind.MAIL: MailForm,
}


def initial(channel: AlarmChannel) -> dict[str, Any]:
    """Return what the form of a stored channel shows."""
    options = {**channel.options}
    if channel.kind == AlarmChannel.Kind.PROGRAM:
        options["program"] = host_files.reference(options.get("program"))
    if isinstance(options.get("to"), list):
        options["to"] = "\n".join(options["to"])
    return {**options, "name": channel.name, "is_on": channel.is_on}


class CodeForm(PageForm):
    """The code that a test alarm brought."""

    code = forms.CharField(
        label=gettext_lazy("Code in the message"),
        max_length=16,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "inputmode": "numeric"}),
    )
