"""What helpdesk writes down of a call."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy

from campaigns.forms.base import PageForm
from campaigns.services import calls


class NoteForm(PageForm):
    """A call, in one line."""

    note = forms.CharField(
        label=gettext_lazy("In one line"),
        max_length=calls.LONGEST,
        error_messages={"required": gettext_lazy("Write in one line what the call was about.")},
    )
