"""The steps of a campaign's night, as somebody puts them in order: what each is, its place, and whether it stays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, cast

from django import forms
from django.forms.formsets import DELETION_FIELD_NAME, ORDERING_FIELD_NAME, BaseFormSet
from django.utils.functional import Promise
from django.utils.translation import gettext, gettext_lazy

from campaigns.forms.base import style_field
from campaigns.selectors import words
from migrator.errors import Side
from migrator.journal import StepKind
from migrator.recipes import RecipeStep, flaws, stored

MOST: Final = 40
_ON_SIGNING_IN: Final = (StepKind.DISABLE, StepKind.ENABLE)

FLAWS: Final[dict[str, str | Promise]] = {
    "switch": gettext_lazy("There must be exactly one switch."),
    "side": gettext_lazy("A step that locks or opens a mailbox must say which."),
    "other_side": gettext_lazy("Only steps that lock or open a mailbox say which."),
    "check": gettext_lazy("Only a step of a person has a check."),
    "delta": gettext_lazy("Mail must be copied exactly once, and both sides be compared only after that."),
    "closed": gettext_lazy("Whom a step locks, a later step must open."),
    "open": gettext_lazy("Nobody may be let in on the new server before the switch."),
    "held": gettext_lazy("What a step holds, a later step must deliver."),
    "unheld": gettext_lazy("Held mail can be delivered only after a step that holds it."),
}


def _kinds() -> Iterator[tuple[str, Any]]:
    for kind in StepKind:
        if kind in _ON_SIGNING_IN:
            yield from ((f"{kind}:{side}:", words.step(kind, side)) for side in Side)
        elif kind is StepKind.PERSON:
            yield from ((f"{kind}::{check}", words.person_step(check)) for check in ("", *words.CHECKS))
        else:
            yield f"{kind}::", words.step(kind)


class StepForm(forms.Form):
    """One step. An empty one at the end is a step to add."""

    what = forms.ChoiceField(label=gettext_lazy("Step"), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = list(_kinds())
        present = self.initial.get("what", "")
        if present and present not in dict(choices):  # of another version
            choices.append((present, present))
        self.fields["what"].choices = [("", gettext("No step")), *choices]  # type: ignore[attr-defined]
        style_field(self.fields["what"])


class StepsFormSet(BaseFormSet):  # type: ignore[type-arg]  # takes none at run time
    """All steps of a method, in the order of their places."""

    def add_fields(self, form: StepForm, index: int | None) -> None:
        """Name the place and the end of a step in the words of pages."""
        super().add_fields(form, index)
        place, gone = form.fields[ORDERING_FIELD_NAME], form.fields[DELETION_FIELD_NAME]
        place.label, gone.label = gettext("Place"), gettext("Leave out")
        style_field(place)
        style_field(gone)

    def clean(self) -> None:
        """Refuse what makes no method, with a sentence for each reason."""
        if any(self.errors):
            return
        found = flaws(self.steps())
        if found:
            raise forms.ValidationError([str(FLAWS[flaw]) for flaw in found])

    def steps(self) -> list[RecipeStep]:
        """Return the steps in their new order. Those that were added without a place come last."""
        kept = [form.cleaned_data for form in self.forms if form.cleaned_data.get("what")]
        kept = [one for one in kept if not one.get(DELETION_FIELD_NAME)]
        kept.sort(key=lambda one: MOST if one.get(ORDERING_FIELD_NAME) is None else one[ORDERING_FIELD_NAME])
        return [_step(one["what"]) for one in kept]

    def stored(self) -> list[list[str]]:
        """Return the steps as a campaign keeps them."""
        return stored(self.steps())


def _step(what: str) -> RecipeStep:
    kind, side, check = what.split(":")
    return RecipeStep(StepKind(kind), Side(side) if side else None, check)


_Steps: Final = forms.formset_factory(
    StepForm, formset=StepsFormSet, extra=2, can_order=True, can_delete=True, max_num=MOST, validate_max=True
)


def form_of(steps: tuple[RecipeStep, ...], data: Any = None) -> StepsFormSet:
    """Return the form for ``steps``, or what was sent of it."""
    initial = [{"what": ":".join(one)} for one in stored(steps)]
    return cast(StepsFormSet, _Steps(data, initial=initial, prefix="steps"))
