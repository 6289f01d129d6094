"""The check before copying in Chromium: asked for, followed while it goes on, and read, in both themes and widths."""

from __future__ import annotations

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from campaigns.models import Account, Batch, SurveyedAccount
from campaigns.services import surveys
from migrator.errors import Side
from migrator.preflight.foreseen import AccountSurvey, Foreseen, Sample, Severity, gravest_first
from tests.browser.conftest import SignIn
from tests.campaigns.factories import make_batch
from tests.rigs.chromium import NARROW, violations

pytestmark = pytest.mark.django_db(transaction=True)
ACCOUNTS = 1000

REFUSED = Foreseen(
    "sign_in.refused", Severity.STOPS, Side.SOURCE, reply="[AUTHENTICATIONFAILED] Authentication failed."
)
FULL = Foreseen(
    "target.full",
    Severity.STOPS,
    Side.TARGET,
    facts={"resource": "STORAGE", "needed": 2_400_000_000, "free": 1_000_000_000, "limit": 1_000_000_000},
)
BIG = Foreseen(
    "message.too_big", Severity.LOSES, Side.TARGET, 3, ("Sent",), {"limit": 20_000_000, "biggest": 48_000_000}
)
RENAMED = Foreseen(
    "folder.renamed", Severity.CHANGES, Side.TARGET, 1, ("Offers 2019/20 -> Offers 2019_20",), {"reason": "separator"}
)
DELETED = Foreseen("message.marked_deleted", Severity.NOTES, Side.SOURCE, 7)
FOUND = ((0, REFUSED), (1, FULL), (2, BIG), (3, BIG), *((at, RENAMED) for at in range(10, 60)))


@pytest.fixture
def batch() -> Batch:
    return make_batch(ACCOUNTS, started=False)


def look_at(batch: Batch, count: int) -> None:
    """Do what workers do, without servers."""
    rows = SurveyedAccount.objects.filter(survey=batch.pk, taken_at=None).order_by("pk")[:count]
    met = {at: [found for place, found in FOUND if place == at] for at, _ in FOUND}
    first = Account.objects.filter(batch=batch).order_by("pk").values_list("pk", flat=True)[0]
    for row in rows:
        found = AccountSurvey(
            folders=12,
            messages=2_000,
            size_bytes=240_000_000,
            biggest_bytes=48_000_000,
            products=("Dovecot", "Cyrus IMAP 3.6.1"),
            opening_seconds=0.1,
            sample=Sample(40, 400_000, 0.2),
            foreseen=gravest_first([*met.get(row.pk - first, []), DELETED]),
        )
        row.found, row.taken_at = found.as_json(), timezone.now()
    SurveyedAccount.objects.bulk_update(rows, ["found", "taken_at"])


def assert_sound(page: Page) -> None:
    for viewport in (NARROW, {"width": 1440, "height": 900}):
        page.set_viewport_size(viewport)
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_an_operator_sees_who_would_fail_before_anything_is_copied(open_as: SignIn, batch: Batch) -> None:
    page = open_as(is_operator=True)
    page.goto(f"/batches/{batch.pk}")
    page.get_by_role("link", name="See first who would fail").click()
    expect(page.get_by_text("Nobody has looked yet")).to_be_visible()
    assert_sound(page)
    page.get_by_role("button", name="Check now").press("Enter")
    expect(page.get_by_text("Looking: 0 of 1,000 accounts.")).to_be_visible()
    look_at(batch, 400)
    expect(page.get_by_text("Looking: 400 of 1,000 accounts.")).to_be_visible()
    look_at(batch, ACCOUNTS)
    surveys.due()
    expect(page.get_by_text("2 of 1,000 accounts will not be moved")).to_be_visible()
    assert page.get_by_role("heading", level=2).all_inner_texts() == [
        "Will not be moved",
        "Moved, but something stays behind",
        "Moved, and looks different",
        "To know",
        "How long it takes",
        "Not moved between these two servers",
    ]
    page.get_by_text("Which 50 accounts").click()
    expect(page.get_by_text("Offers 2019/20 -> Offers 2019_20").first).to_be_visible()
    expect(page.get_by_text("and 30 more")).to_be_visible()
    assert_sound(page)
    page.get_by_role("button", name="Change to the dark theme").click()
    assert_sound(page)


def test_a_manager_reads_it_and_cannot_ask_for_it(open_as: SignIn, batch: Batch) -> None:
    surveys.ask(batch, actor="dana")
    look_at(batch, ACCOUNTS)
    surveys.due()
    page = open_as(is_manager=True)
    page.goto(f"/batches/{batch.pk}/survey")
    expect(page.get_by_text("2 of 1,000 accounts will not be moved")).to_be_visible()
    expect(page.get_by_role("button", name="Check again")).to_have_count(0)
