"""The disabled test accounts on which a campaign's method is proved."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy

from campaigns.forms.base import PageForm, style_field
from migrator.errors import Side

_LABELS = {
    Side.SOURCE: gettext_lazy("Disabled account on the old server"),
    Side.TARGET: gettext_lazy("Disabled account on the new server"),
}


class ProofForm(PageForm):
    """One field for each side that a directory governs."""

    def __init__(self, sides: Iterable[Side], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for side in sides:
            attrs = {"autocomplete": "off", "spellcheck": "false"}
            field = forms.CharField(label=_LABELS[side], max_length=255, widget=forms.TextInput(attrs=attrs))
            style_field(field)
            self.fields[side.value] = field

    def disabled(self) -> dict[Side, str]:
        """Return the account of each side."""
        return {Side(name): login for name, login in self.cleaned_data.items()}
