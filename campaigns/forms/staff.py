"""Staff logins, and one's own password."""

from __future__ import annotations

from typing import Any

from django import forms
from django.forms.boundfield import BoundWidget
from django.utils.translation import gettext_lazy

from campaigns.forms.base import PageForm
from campaigns.selectors.staff import ROLE_WORDS, ROLES_EXPLAINED


class LoginForm(PageForm):
    """Who somebody is, and what they may."""

    full_name = forms.CharField(
        label=gettext_lazy("Full name"),
        max_length=150,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    roles = forms.MultipleChoiceField(
        label=gettext_lazy("Roles"),
        choices=[*ROLE_WORDS.items()],
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": gettext_lazy("Choose at least one role. To shut somebody out, close the login.")},
    )

    def boxes(self) -> list[tuple[BoundWidget, Any]]:
        """Return the box of each role, with what the role may."""
        return list(zip(self["roles"], ROLES_EXPLAINED.values(), strict=True))


class NewLoginForm(LoginForm):
    """The same, and the name to sign in with."""

    username = forms.CharField(
        label=gettext_lazy("Name to sign in with"),
        max_length=150,
        help_text=gettext_lazy("Letters, digits and @ . + - _; capitals make no difference."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}),
    )
    field_order = ("username", "full_name", "roles")


class PasswordForm(PageForm):
    """Another password for oneself."""

    current = forms.CharField(
        label=gettext_lazy("Your password now"),
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )
    password = forms.CharField(
        label=gettext_lazy("New password"),
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=gettext_lazy("At least eight characters, and nothing that is easily guessed."),
    )
    again = forms.CharField(
        label=gettext_lazy("The new one again"),
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def clean_again(self) -> str:
        """Refuse two passwords that differ."""
        again: str = self.cleaned_data["again"]
        if again != self.cleaned_data.get("password", again):
            raise forms.ValidationError(gettext_lazy("The two passwords differ."))
        return again
