"""What is typed or uploaded to bring a list, and what its columns mean."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext, gettext_lazy

from campaigns.forms.base import PageForm, style_field
from campaigns.selectors.list_words import FIELDS
from campaigns.services import lists

_OLD_DOMAIN: Final = {
    "label": gettext_lazy("Append to old names"),
    "help_text": gettext_lazy("A domain, as example.org, for names without an @. Empty: as they stand."),
}
_NEW_DOMAIN: Final = {
    "label": gettext_lazy("Append to new names"),
    "help_text": gettext_lazy("Empty: the same as for old names."),
}


class _DomainField(forms.RegexField):
    def __init__(self, **kwargs: Any) -> None:
        wrong = {"invalid": gettext_lazy("This is no domain. Write it as example.org.")}
        super().__init__(
            r"@?[^\s@,;<>\"']+\.[^\s@,;<>\"'.]+", required=False, max_length=190, error_messages=wrong, **kwargs
        )


class ListForm(PageForm):
    """A list, pasted or as a file."""

    text = forms.CharField(
        label=gettext_lazy("Paste the list"),
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 8, "spellcheck": "false", "autocomplete": "off", "wrap": "off"}),
        help_text=gettext_lazy(
            "One account a line: addresses alone, or columns with a heading, apart by tabs, commas or semicolons."
        ),
    )
    source_domain = _DomainField(**_OLD_DOMAIN)
    target_domain = _DomainField(**_NEW_DOMAIN)
    # The last one: of a file that is too long nothing that follows it is read.
    file = forms.FileField(
        label=gettext_lazy("… or choose a file"),
        required=False,
        allow_empty_file=True,
        help_text=gettext_lazy("Text or CSV, up to 32 MB. It is kept private, and removed with the import."),
    )

    def __init__(self, *args: Any, was_too_long: bool = False, **kwargs: Any) -> None:
        self._was_too_long = was_too_long
        super().__init__(*args, **kwargs)

    def clean(self) -> dict[str, Any]:
        found = super().clean() or {}
        file, text = found.get("file"), found.get("text", "")
        if self._was_too_long or (file and (file.size or 0) > lists.MOST_OCTETS):
            most = lists.MOST_OCTETS >> 20
            self.add_error("file", gettext("The file is larger than %(n)d MB. Split it.") % {"n": most})
        elif not file and not text.strip():
            self.add_error("text", gettext("Paste a list, or choose a file."))
        elif file and text.strip():
            self.add_error("file", gettext("There are two lists: a pasted one and a file. Leave one out."))
        return found

    def pieces(self) -> Iterable[bytes]:
        """Return the octets of the list, piece by piece."""
        file: UploadedFile[Any] | None = self.cleaned_data["file"]
        return file.chunks() if file else self._text()

    def _text(self) -> Iterator[bytes]:
        yield self.cleaned_data["text"].replace("\r\n", "\n").encode()

    @property
    def file_name(self) -> str:
        """What the file was called; empty where the list was pasted."""
        file: UploadedFile[Any] | None = self.cleaned_data["file"]
        return (file.name or "") if file else ""

    @property
    def domains(self) -> tuple[str, str]:
        """Return what is appended on either side."""
        return self.cleaned_data["source_domain"], self.cleaned_data["target_domain"]


class ReadingForm(PageForm):
    """What each column means. Its fields for columns are called m0, m1 and so on."""

    has_heading = forms.BooleanField(label=gettext_lazy("The first line names the columns"), required=False)
    source_domain = _DomainField(**_OLD_DOMAIN)
    target_domain = _DomainField(**_NEW_DOMAIN)

    def __init__(self, *args: Any, names: Sequence[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.names = list(names)
        for place, name in enumerate(names):
            field = forms.ChoiceField(
                label=name, required=False, choices=[("", gettext_lazy("Left out")), *FIELDS.items()]
            )
            style_field(field)
            self.fields[f"m{place}"] = field

    @property
    def meanings(self) -> list[forms.BoundField]:
        """The field of each column, in their order."""
        return [self[f"m{place}"] for place in range(len(self.names))]

    def clean(self) -> dict[str, Any]:
        found = super().clean() or {}
        places: dict[str, int] = {}
        for place in range(len(self.names)):
            field = found.get(f"m{place}")
            if field and field in places:
                first = self.names[places[field]]
                told = gettext("“%(column)s” means the same already. Choose another meaning for one of them.")
                self.add_error(f"m{place}", told % {"column": first})
            elif field:
                places[field] = place
        if self.names and "source_login" not in places and not self.errors:
            told = gettext("No column is the old sign-in name. Say which one it is.")
            self.add_error("m0", told)
        return found

    def columns(self) -> dict[str, str]:
        """Return the column of each field that has one."""
        meanings = (self.cleaned_data.get(f"m{place}") for place in range(len(self.names)))
        return {field: name for field, name in zip(meanings, self.names, strict=True) if field}

    @property
    def domains(self) -> tuple[str, str]:
        """Return what is appended on either side."""
        return self.cleaned_data["source_domain"], self.cleaned_data["target_domain"]
