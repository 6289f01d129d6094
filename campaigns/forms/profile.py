"""How pages look to one person."""

from __future__ import annotations

import zoneinfo

from django import forms
from django.conf import settings
from django.utils.translation import gettext, gettext_lazy

from campaigns.forms.base import PageForm


def _zones() -> list[tuple[str, str]]:
    names = sorted(name for name in zoneinfo.available_timezones() if "/" in name or name == "UTC")
    return [("", gettext("As this installation (UTC)")), *((name, name.replace("_", " ")) for name in names)]


class ProfileForm(PageForm):
    """Time zone, theme and language of a person."""

    time_zone = forms.ChoiceField(
        label=gettext_lazy("Time zone"),
        choices=_zones,
        required=False,
        help_text=gettext_lazy("All times on pages are shown in it."),
    )
    theme = forms.ChoiceField(
        label=gettext_lazy("Theme"),
        choices=[
            ("", gettext_lazy("As last chosen on this computer")),
            ("light", gettext_lazy("Light")),
            ("dark", gettext_lazy("Dark")),
        ],
        required=False,
    )
    language = forms.ChoiceField(
        label=gettext_lazy("Language"),
        choices=lambda: [("", gettext_lazy("As this installation (English)")), *settings.LANGUAGES],
        required=False,
    )
