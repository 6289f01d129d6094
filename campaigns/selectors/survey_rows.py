"""All that the survey of a batch has found, as a table: a row for each finding of each account."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils.translation import gettext

from campaigns.models import Batch, SurveyedAccount
from campaigns.selectors import words
from campaigns.selectors.csv_cells import Cell
from campaigns.selectors.survey import HEADINGS, details
from migrator.preflight.foreseen import AccountSurvey


def heads() -> list[str]:
    """Return the heads of the columns."""
    return [
        gettext("Account"),
        gettext("What becomes of it"),
        gettext("Server"),
        gettext("Finding"),
        gettext("What to do"),
        gettext("In detail"),
        gettext("Code"),
    ]


def table(batch: Batch) -> Iterator[list[Cell]]:
    """Yield the rows, one account after the other; memory does not grow with them."""
    rows = SurveyedAccount.objects.filter(survey=batch.pk, taken_at__isnull=False).order_by("account__source_login")
    for login, stored in rows.values_list("account__source_login", "found").iterator(chunk_size=500):
        for found in AccountSurvey.from_json(stored).foreseen:
            side = found.side or ""
            yield [
                login,
                str(HEADINGS[found.severity]),
                str(words.SIDES.get(side, "")),
                words.of_server(found.sentence, side),
                words.of_server(found.next_step, side),
                "; ".join(details(found)),
                found.code,
            ]
