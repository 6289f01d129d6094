"""The form of a connector, made from its variant: what was typed becomes a JSON object, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django import forms
from django.utils.text import format_lazy
from django.utils.translation import gettext, gettext_lazy

from campaigns.bridge import host_files
from campaigns.forms.base import PageForm, style_field
from campaigns.forms.servers import secret_field
from campaigns.forms.variant import (
    FLAG,
    LINES,
    PORT,
    SCALAR,
    SCALARS,
    SECONDS,
    Option,
    Part,
    Variant,
)
from migrator.entries import Json

_TYPES: Final = (
    ("text", gettext_lazy("Texts")),
    ("number", gettext_lazy("Whole numbers")),
    ("flag", gettext_lazy("True and false")),
)
_NO_FILES: Final = {
    host_files.PROGRAM: gettext_lazy(
        "There is none yet: the administrator of this machine puts programs into the folder of MAILFERRY_PROGRAMS."
    ),
    host_files.STATEMENT: gettext_lazy(
        "There is none yet: the administrator of this machine puts files NAME.sql into the folder of "
        "MAILFERRY_PROGRAMS."
    ),
    host_files.DATABASE: gettext_lazy(
        "There is none yet: the administrator of this machine puts a link NAME.sqlite into the folder of "
        "MAILFERRY_PROGRAMS."
    ),
    host_files.LIST: gettext_lazy(
        "There is none yet: the administrator of this machine puts a link NAME.list into the folder of "
        "MAILFERRY_PROGRAMS, to the file that the server reads."
    ),
    host_files.FOLDER: gettext_lazy(
        "There is none yet: the administrator of this machine puts a link NAME.folder into the folder of "
        "MAILFERRY_PROGRAMS."
    ),
}


class ConnectorForm(PageForm):
    """A connector of one variant. ``connector_options`` is what is stored, once the form is valid."""

    def __init__(self, chosen: Variant, *args: Any, has_secret: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.variant = chosen
        self.fields = _fields(chosen, has_secret)
        for one in self.fields.values():
            style_field(one)

    @property
    def connector_options(self) -> dict[str, Json]:
        """Return the options as a JSON object. What is left at its default is left out."""
        found: dict[str, Json] = dict(self.variant.fixed)
        for option in self.variant.options():
            value = self.cleaned_data[option.name]
            if value not in (None, "", []) and value != option.default:
                found[option.name] = value
        return found

    def clean(self) -> dict[str, Any]:
        """Turn what was typed into the values that options have."""
        cleaned = super().clean() or self.cleaned_data
        for option in self.variant.options():
            if option.name in cleaned:
                try:
                    cleaned[option.name] = _read(option, cleaned[option.name], cleaned.get("value_type", "text"))
                except ValueError as error:
                    self.add_error(option.name, str(error))
        return cleaned

    def parts(self) -> list[tuple[Part, list[forms.BoundField]]]:
        """Return the fields by part, for the page."""
        return [(part, [self[name] for name in self._names(part)]) for part in self.variant.parts]

    def _names(self, part: Part) -> list[str]:
        names = [option.name for option in part.options]
        if self.variant.has_typed_values and "open_value" in names:
            names.insert(names.index("open_value"), "value_type")
        return names


def initial(chosen: Variant, name: str, options: Mapping[str, Json]) -> dict[str, Any]:
    """Return what the form shows of a stored connector."""
    found: dict[str, Any] = {"name": name, "value_type": _type_of(options.get("open_value"))}
    for option in chosen.options():
        found[option.name] = _typed(option, options.get(option.name, option.default))
    return found


def _fields(chosen: Variant, has_secret: bool) -> dict[str, forms.Field]:
    fields: dict[str, forms.Field] = {
        "name": forms.CharField(
            label=gettext_lazy("Name"), max_length=100, help_text=gettext_lazy("As your people call it.")
        )
    }
    if chosen.has_typed_values:
        fields["value_type"] = forms.ChoiceField(label=gettext_lazy("Its values are"), choices=_TYPES)
    for option in chosen.options():
        fields[option.name] = _field(option)
    if chosen.has_secret:
        told = gettext_lazy("Stored encrypted and never shown again.")
        kept = gettext_lazy("One is stored. Left empty, it stays; it is never shown.")
        fields["secret"] = secret_field(gettext_lazy("Password"), kept if has_secret else told)
    return fields


def _field(option: Option) -> forms.Field:
    told = {"label": option.label, "help_text": option.help_text, "required": option.is_needed}
    shown = {"initial": _typed(option, option.default)} if option.default is not None else {}
    plain = {"autocomplete": "off", "spellcheck": "false"}
    if option.shape in host_files.KINDS:
        return _file_field(option)
    if option.choices:
        return forms.ChoiceField(choices=option.choices, **told, **shown)
    if option.shape == FLAG:
        return forms.BooleanField(**{**told, "required": False}, **shown)
    if option.shape == PORT:
        return forms.IntegerField(min_value=1, max_value=65535, **told, **shown)
    if option.shape == SECONDS:
        return forms.FloatField(min_value=0.1, max_value=3599, **told, **shown)
    if option.shape in (LINES, SCALARS):
        attrs = {**plain, "rows": 2, "class": "form-control mf-mono"}
        return forms.CharField(widget=forms.Textarea(attrs=attrs), **told, **shown)
    return forms.CharField(widget=forms.TextInput(attrs=plain), max_length=1000, **told, **shown)


def _file_field(option: Option) -> forms.Field:
    """Return a choice among the files of the host. Where there are none, it says how they come there."""
    found = host_files.names(option.shape)
    told = option.help_text
    if not found:
        told = format_lazy("{} {}", told, _NO_FILES[option.shape])
    choices = [("", option.unchosen or gettext_lazy("Choose one")), *((name, name) for name in found)]
    return forms.ChoiceField(choices=choices, label=option.label, help_text=told, required=option.is_needed)


def _read(option: Option, given: Any, value_type: str) -> Json:
    if option.shape in (LINES, SCALARS):
        lines = [line.strip() for line in str(given).splitlines() if line.strip()]
        return [_scalar(line, value_type) for line in lines] if option.shape == SCALARS else list(lines)
    if option.shape in host_files.KINDS:
        return {option.shape: str(given)} if given else None
    if option.shape == SCALAR:
        return _scalar(given, value_type) if given else None
    if option.shape == SECONDS and isinstance(given, float) and given.is_integer():
        return int(given)
    read: Json = given
    return read


def _scalar(text: str, value_type: str) -> Json:
    if value_type == "number":
        if not text.lstrip("-").isdecimal():
            raise ValueError(gettext("This is no whole number."))
        return int(text)
    if value_type == "flag":
        if text.casefold() not in ("true", "false"):
            raise ValueError(gettext("Enter true or false."))
        return text.casefold() == "true"
    return text


def _type_of(value: Json) -> str:
    if isinstance(value, bool):
        return "flag"
    return "number" if isinstance(value, int) else "text"


def _typed(option: Option, value: Json) -> Any:
    """Return a value as it stands in its field."""
    if option.shape in host_files.KINDS:
        return host_files.reference(value)
    if option.shape in (LINES, SCALARS):
        return "\n".join(map(_text, value)) if isinstance(value, list) else _text(value)
    return _text(value) if option.shape == SCALAR else value


def _text(value: Json) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
