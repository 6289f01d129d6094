"""What part of the log somebody wants to read."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext, gettext_lazy

from campaigns.forms.base import PageForm
from campaigns.models import Account, AccountName, Batch, Campaign, User
from campaigns.selectors import log
from campaigns.selectors.log import Wanted
from campaigns.services import names

_ANYBODY: Final = [
    ("", gettext_lazy("Anybody")),
    (log.PEOPLE, gettext_lazy("Anybody of the staff")),
    (log.MAILFERRY, gettext_lazy("Mailferry itself")),
]
_LARGEST_KEY: Final = 2**63 - 1


class LogForm(PageForm):
    """The filters of the log: each narrows, none is needed."""

    kind = forms.ChoiceField(label=gettext_lazy("What"), required=False)
    person = forms.ChoiceField(label=gettext_lazy("Who"), required=False)
    account = forms.CharField(label=gettext_lazy("Account (address)"), required=False, max_length=255)
    campaign = forms.ModelChoiceField(
        label=gettext_lazy("Campaign"),
        queryset=Campaign.objects.order_by("-pk"),
        required=False,
        empty_label=gettext_lazy("All"),
    )
    batch = forms.IntegerField(required=False, min_value=1, max_value=_LARGEST_KEY, widget=forms.HiddenInput)
    since = forms.DateField(
        label=gettext_lazy("From"), required=False, widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )
    until = forms.DateField(
        label=gettext_lazy("To"), required=False, widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._choose("kind", [("", gettext("Everything")), *log.KINDS.items()])
        people = User.objects.order_by("username")
        self._choose("person", [*_ANYBODY, *((str(one.pk), one.get_full_name() or one.username) for one in people)])
        for name in ("since", "until"):
            message = gettext("Write a day as 2026-11-18.")
            self.fields[name].error_messages["invalid"] = message
        self.fields["campaign"].label_from_instance = lambda campaign: campaign.name  # type: ignore[attr-defined]

    def _choose(self, name: str, choices: list[tuple[Any, Any]]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        field.choices = choices

    def clean_account(self) -> Account | None:
        """Find the account by a whole login or address, or by its number (for links from other pages)."""
        text = " ".join(str(self.cleaned_data["account"]).replace("\0", "").split())
        if not text:
            return None
        rows = AccountName.objects.filter(value=names.normalised(names.LOGIN, text), kind__in=_WHOLE)
        keys = {*rows.values_list("account_id", flat=True)[:3]}
        if not keys and text.isascii() and text.isdecimal() and int(text) <= _LARGEST_KEY:
            keys = {*Account.objects.filter(pk=int(text)).values_list("pk", flat=True)}
        if len(keys) > 1:
            raise ValidationError(gettext("Several accounts have this name. Open one and follow its link to the log."))
        if not keys:
            raise ValidationError(gettext("No account has this address. Write the whole address or sign-in name."))
        return Account.objects.only("source_login").get(pk=keys.pop())

    def clean_batch(self) -> Batch | None:
        """Find the batch by its number in links."""
        key = self.cleaned_data["batch"]
        if key is None:
            return None
        for batch in Batch.objects.select_related("campaign").filter(pk=key):
            return batch
        raise ValidationError(gettext("There is no such batch."))

    def clean(self) -> dict[str, Any]:
        """See that the days are in order, and of our times."""
        values = super().clean() or self.cleaned_data
        for name in ("since", "until"):
            if values.get(name) and not 1970 <= values[name].year <= 2999:  # near its ends a calendar has no zones
                self.add_error(name, gettext("There is nothing in such a year."))
        since, until = values.get("since"), values.get("until")
        if since and until and since > until:
            self.add_error("until", gettext("The last day comes before the first."))
        return values

    def wanted(self) -> Wanted:
        """Return what a form without faults asks for."""
        values = self.cleaned_data
        keys = {name: values[name].pk if values[name] else None for name in ("account", "batch", "campaign")}
        return Wanted(
            person=values["person"], kind=values["kind"], since=values["since"], until=values["until"], **keys
        )


_WHOLE: Final = (names.LOGIN, names.ADDRESS)
