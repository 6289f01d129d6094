"""What is entered on the page of one account: a password, a rule for a folder, a decision."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.utils.translation import gettext_lazy

from campaigns.forms.base import PageForm
from campaigns.services.accounts import Verdict
from campaigns.services.folder_rules import MOST_CHARACTERS, Action
from migrator.errors import Side

_LONGEST_REASON: Final = 500


class PasswordForm(PageForm):
    """Another password for one side or both. What was typed is never shown again, not even when it is refused."""

    prefix = "password"

    sides = forms.ChoiceField(
        label=gettext_lazy("For"),
        choices=[
            ("source", gettext_lazy("The old server")),
            ("target", gettext_lazy("The new server")),
            ("both", gettext_lazy("Both servers")),
        ],
    )
    password = forms.CharField(
        label=gettext_lazy("New password"),
        strip=False,
        max_length=1000,
        widget=forms.PasswordInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text=gettext_lazy("It is stored sealed and tried once."),
        error_messages={"required": gettext_lazy("Enter a password.")},
    )

    @property
    def chosen_sides(self) -> list[Side]:
        """The sides it is for."""
        chosen = self.cleaned_data["sides"]
        return list(Side) if chosen == "both" else [Side(chosen)]


class FolderRuleForm(PageForm):
    """What becomes of one folder of this account."""

    prefix = "rule"

    folder = forms.CharField(
        label=gettext_lazy("Folder on the old server"),
        max_length=MOST_CHARACTERS,
        strip=False,
        help_text=gettext_lazy("Levels apart by a slash: Projects/2024."),
        error_messages={"required": gettext_lazy("Name the folder that the rule is for.")},
    )
    action = forms.ChoiceField(
        label=gettext_lazy("What becomes of it"),
        choices=[
            (Action.RENAME.value, gettext_lazy("Give it another name on the new server")),
            (Action.SKIP.value, gettext_lazy("Leave it out")),
        ],
        widget=forms.RadioSelect,
        initial=Action.RENAME.value,
    )
    name = forms.CharField(
        label=gettext_lazy("Name on the new server"),
        max_length=MOST_CHARACTERS,
        required=False,
        help_text=gettext_lazy("Only for another name. Folders inside it go with it."),
    )

    def clean(self) -> dict[str, Any]:
        """Ask for the other name where one is wanted."""
        cleaned = super().clean() or {}
        if cleaned.get("action") == Action.RENAME and not cleaned.get("name", "").strip():
            self.add_error("name", gettext_lazy("Give the folder its name on the new server."))
        return cleaned


class ResolveForm(PageForm):
    """What becomes of an account that needs a decision. ``can_go_back``: the user is proved to be on the source."""

    prefix = "decision"

    verdict = forms.ChoiceField(label=gettext_lazy("What shall happen"), widget=forms.RadioSelect)
    reason = forms.CharField(
        label=gettext_lazy("Why"),
        max_length=_LONGEST_REASON,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=gettext_lazy("What you have seen, and who said so. It is kept with the account."),
        error_messages={"required": gettext_lazy("A decision needs its reason.")},
    )

    def __init__(self, *args: Any, can_go_back: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [(Verdict.FORWARD.value, gettext_lazy("Look again, then finish the move to the new server"))]
        if can_go_back:
            choices.append((Verdict.BACK.value, gettext_lazy("Let the user back to the old server")))
        choices += [
            (
                Verdict.ON_SOURCE.value,
                gettext_lazy("I have looked: the user works on the old server. Count it as not moved"),
            ),
            (Verdict.ON_TARGET.value, gettext_lazy("I have looked: the user works on the new server, as done")),
        ]
        verdict = self.fields["verdict"]
        assert isinstance(verdict, forms.ChoiceField)
        verdict.choices = choices
        self.initial.setdefault("verdict", Verdict.FORWARD.value)


class ReasonForm(PageForm):
    """Why an account is left out, taken back in or let back."""

    reason = forms.CharField(label=gettext_lazy("Reason"), max_length=_LONGEST_REASON, required=False)
