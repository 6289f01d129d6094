"""Whole roads in Chromium: the operator from nothing, helpdesk to a retry, a manager to paper and to a table."""

from __future__ import annotations

import csv
import re
from collections import Counter
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from campaigns.models import Account, Batch, Event
from campaigns.states import AccountState
from tests.browser.conftest import SignIn
from tests.browser.test_planning import press, tab_to
from tests.campaigns import scenes

pytestmark = pytest.mark.django_db(transaction=True)

S = AccountState
A4_LANDSCAPE = (842, 595)  # points


def type_in(page: Page, label: str, text: str) -> None:
    tab_to(page, label)
    page.keyboard.type(text)


def set_up_a_server(page: Page, name: str) -> None:
    type_in(page, "Name", f"{name} mail")
    type_in(page, "Host", f"{name.lower()}.example.org")
    type_in(page, "Administrator", "root")
    type_in(page, "Administrator's password", "a password")
    press(page, "Save and go on to the test")
    expect(page.get_by_role("heading", level=1)).to_have_text(f"{name} mail")


def test_an_operator_goes_from_an_empty_panel_to_a_started_batch_by_keyboard(open_as: SignIn) -> None:
    page = open_as(is_operator=True, is_administrator=True)
    pages: Counter[str] = Counter()
    page.on("framenavigated", lambda frame: pages.update([frame.url]))
    expect(page.get_by_role("heading", level=1)).to_have_text("Welcome to Mailferry")
    press(page, "Set up the old server")
    set_up_a_server(page, "Old")
    press(page, "Set up the new server")
    set_up_a_server(page, "New")
    press(page, "Make a campaign")
    type_in(page, "Name", "University mail")
    expect(page.get_by_label("Old server").locator("option:checked")).to_have_text("Old mail (old.example.org)")
    expect(page.get_by_label("New server").locator("option:checked")).to_have_text("New mail (new.example.org)")
    press(page, "Go on to page 2")
    press(page, "Go on to page 3")
    type_in(page, "Paste the list", "anna@x.test\nbert@x.test\n")
    press(page, "Read the list")
    press(page, "Start with 2 accounts")
    expect(page.get_by_role("status").first).to_contain_text("University mail has begun.")
    assert Batch.objects.get(started_at__isnull=False).accounts.count() == 2
    assert pages.total() <= 12


def test_helpdesk_goes_from_the_search_to_a_retry(open_as: SignIn) -> None:
    scenes.platform(30)
    account = Account.objects.filter(state=S.FAILED, error_code="sign_in.refused").first()
    assert account is not None
    page = open_as(is_helpdesk=True)
    page.goto("/profile")
    page.keyboard.press("/")
    page.keyboard.type(account.display_name.split()[0] + " " + account.source_login.partition("@")[0])
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(f"/people/{account.pk}$"))
    expect(page.get_by_role("heading", level=1)).to_have_text(account.display_name)
    press(page, "Try again")
    expect(page.locator(".mf-told")).to_contain_text("tried again")
    account.refresh_from_db()
    assert account.state != S.FAILED
    assert Event.objects.filter(account=account, actor__username="dana").exists()


def test_a_manager_goes_from_signing_in_to_paper_and_to_a_table(open_as: SignIn, tmp_path: Path) -> None:
    campaign = scenes.platform(30)
    page = open_as(is_manager=True)
    expect(page).to_have_url(re.compile(f"/campaigns/{campaign.pk}$"))
    expect(page.get_by_role("status").first).to_contain_text("of 90 accounts are on the new server")
    page.emulate_media(media="print")
    expect(page.locator(".mf-top")).to_be_hidden()
    sheet = page.pdf(prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page[^s]", sheet)) == 1
    (box,) = re.findall(rb"/MediaBox\s*\[\s*0\s+0\s+([\d.]+)\s+([\d.]+)", sheet)
    assert tuple(round(float(side)) for side in box) == A4_LANDSCAPE
    page.emulate_media(media="screen")
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    download.value.save_as(tmp_path / "figures.csv")
    with (tmp_path / "figures.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == list(
        campaign.batches.order_by("window_begins_at").values_list("name", flat=True)
    )
