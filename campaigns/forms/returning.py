"""What people type before somebody is taken back."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy

from campaigns.forms.base import PageForm
from campaigns.services import returns

MOST_REASON = 500


class ReturnForm(PageForm):
    """Why somebody is taken back."""

    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=MOST_REASON,
        help_text=gettext_lazy("It is kept with each account."),
        error_messages={"required": gettext_lazy("Say why. It is kept with each account.")},
    )


class FirstFewForm(ReturnForm):
    """How many are taken back first, and why."""

    first = forms.IntegerField(
        label=gettext_lazy("How many first"),
        min_value=1,
        max_value=returns.MOST_FIRST,
        initial=3,
        help_text=gettext_lazy("The others follow when all is well with these."),
    )
    field_order = ("first", "reason")


class OthersForm(ReturnForm):
    """Why all the others are taken back, with their number typed again."""

    typed = forms.IntegerField(label=gettext_lazy("Type their number to confirm"))

    def __init__(self, *args: object, accounts: int, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self._accounts = accounts

    def clean_typed(self) -> int:
        """Return the number when it is that of the page."""
        typed = int(self.cleaned_data["typed"])
        if typed != self._accounts:
            told = gettext_lazy("It is %(n)s people now. Type that number to confirm.") % {"n": self._accounts}
            raise forms.ValidationError(told)
        return typed
