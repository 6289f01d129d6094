"""The proof of copy in Chromium: its page, and the file that is taken away."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from campaigns.bridge.ledger import OrmLedger
from campaigns.models import Account, Batch, Event
from campaigns.services import proofs
from migrator.transfer.manifest_check import check
from tests.browser.conftest import SignIn
from tests.campaigns import scenes
from tests.campaigns.crossings import claim
from tests.migrator.transfer.scenes import life_like
from tests.rigs.chromium import NARROW, violations

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def account() -> Account:
    """An account that has moved, with a ledger, in a batch of others that have none."""
    scenes.platform(20)
    proofs.make_key()
    account = Batch.objects.get(name="Science 2").accounts.filter(state="done").order_by("pk")[0]
    scene = life_like()
    scene.ledger = OrmLedger(claim(account))  # type: ignore[assignment]
    assert scene.copy().is_balanced
    Account.objects.filter(pk=account.pk).update(lease_until=None, lease_holder="", lease_kind="")
    return account


def taken(page: Page, button: str, folder: Path) -> Path:
    with page.expect_download() as download:
        page.get_by_role("button", name=button, exact=True).click()
    file = folder / download.value.suggested_filename
    download.value.save_as(file)
    return file


def test_a_manager_reads_the_proof_of_a_batch_and_takes_it_away(
    open_as: SignIn, account: Account, tmp_path: Path
) -> None:
    page = open_as(is_manager=True)
    page.goto(f"/batches/{account.batch_id}")
    page.locator("#more-open").click()
    page.get_by_role("link", name="Proof of copy").click()
    expect(page.get_by_role("heading", name="Where every message is")).to_be_visible()
    for viewport in ({"width": 1440, "height": 900}, NARROW):
        page.set_viewport_size(viewport)
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("button", name="Change to the dark theme").click()
    assert violations(page) == []
    with taken(page, "The same, with every message", tmp_path).open("rb") as file:
        found = check(file)
    assert (found.holds, found.totals.balanced, found.totals.accounts) == (True, 1, 20)
    assert Event.objects.filter(name="batch.proof.taken", actor__isnull=False).count() == 1


def test_the_proof_of_one_account_is_taken_from_its_page(open_as: SignIn, account: Account, tmp_path: Path) -> None:
    page = open_as(is_manager=True)
    page.goto(f"/accounts/{account.pk}")
    for viewport in ({"width": 1440, "height": 900}, NARROW):
        page.set_viewport_size(viewport)
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    with taken(page, "Download the signed proof", tmp_path).open("rb") as file:
        assert check(file).holds
