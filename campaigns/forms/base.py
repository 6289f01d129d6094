"""Forms as the pages draw them: the kit's classes, and what a screen reader must know of a wrong field."""

from __future__ import annotations

from typing import Any

from django import forms


class PageForm(forms.Form):
    """A form whose fields carry the kit's classes, their help and their errors. Draw each by ``parts/_field.html``."""

    use_required_attribute = False  # the page says what is missing; the browser's bubbles are not read by everybody

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", **kwargs})
        for field in self.fields.values():
            style_field(field)

    def full_clean(self) -> None:
        """Check all fields, and mark those that are wrong for whoever hears the page."""
        super().full_clean()
        for name in self.errors if self.is_bound else ():
            if name in self.fields:
                self._mark(name)

    def add_error(self, field: str | None, error: Any) -> None:
        """Put an error beside a field, also one that a service found, and mark the field."""
        super().add_error(field, error)
        if field in self.fields:
            self._mark(field)

    def _mark(self, name: str) -> None:
        attrs = self.fields[name].widget.attrs
        attrs["aria-invalid"] = "true"
        described = f"{self[name].auto_id}_error"
        if self.fields[name].help_text:
            described = f"{self[name].auto_id}_helptext {described}"
        attrs["aria-describedby"] = described


def style_field(field: forms.Field) -> None:
    """Give a field's widget the class of the kit that fits it."""
    widget = field.widget
    if isinstance(widget, forms.CheckboxInput | forms.RadioSelect | forms.CheckboxSelectMultiple):
        widget.attrs.setdefault("class", "form-check-input")
    elif isinstance(widget, forms.Select):
        widget.attrs.setdefault("class", "form-select")
    else:
        widget.attrs.setdefault("class", "form-control")
