"""What the two pages that take a list share: a campaign's, and the third one of a campaign being planned."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest, StreamingHttpResponse
from django.utils.translation import gettext

from campaigns.forms.lists import ListForm, ReadingForm
from campaigns.forms.planning import CuttingForm, refused
from campaigns.models import Campaign, CampaignDraft, UploadedList, User
from campaigns.selectors import lists as list_selector
from campaigns.selectors.csv_cells import rows_to_csv
from campaigns.services import lists
from campaigns.services.events import record
from campaigns.services.imports import ChangedMeanwhile, Cutting
from campaigns.services.lists import ListGone
from campaigns.views.uploads import was_too_long
from migrator.rosters.base import BadRoster

GONE: Final = "The list is not kept any more: lists are removed after a day. Bring it once more."


def take(request: HttpRequest, owner: User, campaign: Campaign | CampaignDraft) -> ListForm:
    """Take the list that was sent. The form has errors where it is none."""
    form = ListForm(request.POST, request.FILES, was_too_long=was_too_long(request))
    if form.is_valid():
        found = form.cleaned_data
        try:
            lists.take(form.pieces(), owner=owner, campaign=campaign, file_name=form.file_name, domains=form.domains)
        except BadRoster as error:
            refused(form, str(error), "file" if found["file"] else "text")
    return form


def mark_of(uploaded: UploadedList) -> str:
    """Return a mark of a list as its page shows it; another list, another reading or another draft has another."""
    draft = uploaded.draft
    facts = (uploaded.pk, uploaded.reading, uploaded.report["figures"], draft and draft.changed_at.timestamp())
    return f"{zlib.crc32(json.dumps(facts, sort_keys=True).encode()):08x}"


def is_another(request: HttpRequest, uploaded: UploadedList) -> bool:
    """Say that what is there is not what the page showed whose button was pressed. False when it is."""
    if request.POST.get("seen", mark_of(uploaded)) == mark_of(uploaded):
        return False
    messages.error(request, gettext("This was changed meanwhile, on another page. Nothing was done: look at it first."))
    return True


def read_anew(request: HttpRequest, uploaded: UploadedList) -> ReadingForm:
    """Read a list as was said. The form has errors where that is no way to read it."""
    shape = uploaded.reading["shape"]
    form = ReadingForm(request.POST, names=shape["names"])
    if not form.is_valid():
        return form
    try:
        if form.cleaned_data["has_heading"] != shape["has_heading"]:
            lists.take_heading(uploaded, form.cleaned_data["has_heading"])
            messages.info(request, gettext("The columns were looked at anew. Check what they mean."))
        else:
            lists.read_anew(uploaded, columns=form.columns(), domains=form.domains)
    except (BadRoster, ListGone) as error:
        refused(form, str(error) or gettext(GONE))
    return form


def context_of(request: HttpRequest, uploaded: UploadedList, reading: ReadingForm | None = None) -> dict[str, Any]:
    """Return what the parts of a page that show a list need."""
    sample = list_selector.sample(uploaded)
    if reading is None or not reading.errors:
        reading = _reading_form(uploaded)
    return {
        "seen": mark_of(uploaded),
        "view": list_selector.view(uploaded, request.GET.get("r", "")),
        "sample": sample,
        "columns": list(zip(reading.meanings, sample.columns, strict=True)),
        "reading": reading,
    }


def _reading_form(uploaded: UploadedList) -> ReadingForm:
    stored = uploaded.reading
    meanings = {name: field for field, name in stored["columns"].items()}
    initial = {f"m{place}": meanings.get(name, "") for place, name in enumerate(stored["shape"]["names"])}
    initial |= {name: stored[name] for name in ("source_domain", "target_domain")}
    return ReadingForm(
        names=stored["shape"]["names"], initial={**initial, "has_heading": stored["shape"]["has_heading"]}
    )


def refused_rows(user: User, uploaded: UploadedList | None) -> StreamingHttpResponse | None:
    """Return the refused rows as a file to mend, None where there is no list. Who has brought it gets it alone."""
    if uploaded is None:
        return None
    try:
        header, rows = list_selector.refused_table(uploaded)
    except (BadRoster, ListGone):
        return None
    record("list.refused_exported", actor=user, campaign_id=uploaded.campaign_id, rows=len(rows))
    response = StreamingHttpResponse(_with_mark(rows_to_csv(header, rows)), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="refused-rows.csv"'
    response["Cache-Control"] = "no-store"
    return response


def _with_mark(pieces: Iterator[str]) -> Iterator[str]:
    yield "\ufeff"  # without it some spreadsheets read other letters than were written
    yield from pieces


def cutting_of(form: CuttingForm) -> Cutting:
    """Return how accounts are cut into batches."""
    found = form.cleaned_data
    return Cutting(found["size"], form.timetable(), {"canary": found["canary"]}, found["is_by_domain"])


def changed_meanwhile(form: CuttingForm, uploaded: UploadedList, error: ChangedMeanwhile | BadRoster) -> bool:
    """Count a list anew after the campaign has changed under it, and say so. False when the list is gone, too."""
    if isinstance(error, ChangedMeanwhile):
        try:
            lists.refresh(uploaded)
        except ListGone:  # imported by a second press of the button, most likely
            return False
        told = gettext("Accounts were changed meanwhile, so nothing was imported. Look at the new result, then go on.")
        refused(form, told)
    else:
        refused(form, str(error))
    return True


def response_status(*forms: Any) -> int:
    """Return 422 when something is to be mended."""
    return 422 if any(form is not None and form.errors for form in forms) else 200
