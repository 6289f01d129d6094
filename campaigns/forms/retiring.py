"""What is typed before mail is removed from the old server."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy

from campaigns.forms.base import PageForm
from campaigns.services import retirements


class RetirementForm(PageForm):
    """Which waiting times must be over, and why the mail is to go."""

    quiet_days = forms.IntegerField(
        label=gettext_lazy("Days without mail on the old server"),
        min_value=retirements.QUIET_DAYS[0],
        max_value=retirements.QUIET_DAYS[1],
        initial=14,
        help_text=gettext_lazy("Whoever got mail there within these days keeps everything on the old server."),
    )
    quarantine_days = forms.IntegerField(
        label=gettext_lazy("Days between approval and removal"),
        min_value=retirements.QUARANTINE_DAYS[0],
        max_value=retirements.QUARANTINE_DAYS[1],
        initial=14,
        help_text=gettext_lazy("Until then nothing is removed, and it can be withdrawn."),
    )
    is_by_log = forms.BooleanField(
        label=gettext_lazy("Logs of the old server must show that nobody signed in there in these days"),
        required=False,
        initial=True,
        help_text=gettext_lazy(
            "Bring the logs on the page of who still uses the old server, up to the last day. Without them nothing "
            "measures sign-ins; then only mail that comes late speaks against an account, and what refuses people "
            "there is tried once more before anything is removed."
        ),
    )
    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=500,
        error_messages={"required": gettext_lazy("Say why the mail is to be removed from the old server.")},
    )
