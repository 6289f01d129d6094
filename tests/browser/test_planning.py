"""Planning in Chromium: an empty panel to a started batch by keyboard alone; the pages in both themes, narrow too."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from campaigns.bridge import vault
from campaigns.models import Batch, Campaign
from campaigns.services import lists
from migrator.secret import Secret
from tests.browser.conftest import SignIn
from tests.campaigns import scenes
from tests.campaigns.factories import make_server
from tests.rigs.chromium import NARROW, WIDE, violations

pytestmark = pytest.mark.django_db(transaction=True)
LIST = "Name,Password,FullName\nanna,one-1,Anna Abel\nbert,,Bert Bauer\ncarl,three-3,Carl Cole\n"


@pytest.fixture(autouse=True)
def no_file_stays() -> Any:
    yield
    for path in lists.folder().iterdir():
        path.unlink()


def two_servers() -> None:
    for name in ("Old", "New"):
        server = make_server(name=name)
        server.admin_login, server.admin_secret = "admin", vault.seal(Secret("pw"), server, "admin_secret")
        server.save()


def tab_to(page: Page, words: str) -> None:
    """Press Tab until what is called so has the focus: a field by its label, a link or a button by its text."""
    for _ in range(60):
        page.keyboard.press("Tab")
        told = page.evaluate(
            "() => { const one = document.activeElement; if (one === document.body) return '';"
            " return [one.labels?.[0]?.innerText, one.getAttribute('aria-label'), one.innerText].join('|') }"
        )
        if words in told:
            return
    raise AssertionError(f"Tab never reaches {words}")


def press(page: Page, words: str) -> None:
    """Go to what is called so, and press Enter: another page comes."""
    tab_to(page, words)
    with page.expect_navigation():
        page.keyboard.press("Enter")


def test_an_operator_goes_from_an_empty_panel_to_a_started_batch_by_keyboard(open_as: SignIn) -> None:
    two_servers()
    page = open_as(is_operator=True)
    page.goto("/campaigns")
    press(page, "New campaign")
    tab_to(page, "Name")
    page.keyboard.type("University mail")
    tab_to(page, "Old server")
    page.keyboard.type("Old")
    tab_to(page, "New server")
    page.keyboard.type("New")
    press(page, "Go on to page 2")
    expect(page.get_by_role("radio", name="Plain copy with catch-up")).to_be_checked()
    press(page, "Go on to page 3")
    tab_to(page, "Paste the list")
    page.keyboard.type("anna@x.test\nbert@x.test\n")
    press(page, "Read the list")
    expect(page.locator(".mf-sentence")).to_have_text("2 of 2 rows can be used.")
    press(page, "Start with 2 accounts")
    expect(page.locator(".mf-told")).to_contain_text("University mail has begun.")
    batch = Batch.objects.get()
    assert batch.started_at
    assert batch.accounts.count() == 2


def shown_well(page: Page, address: str) -> None:
    origin = page.evaluate("location.origin")
    for theme in ("light", "dark"):
        page.context.add_cookies([{"name": "mailferry_theme", "value": theme, "url": origin}])
        for viewport in (WIDE, NARROW):
            page.set_viewport_size(viewport)
            page.goto(address)
            expect(page.locator("html")).to_have_attribute("data-bs-theme", theme)
            assert violations(page) == []
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize(
    "address",
    ["/campaigns", "/campaigns/{0}/batches", "/campaigns/{0}/settings", "/batches/{1}/plan", "/campaigns/new"],
)
def test_the_pages_have_no_fault_in_both_themes_and_never_scroll_sideways(open_as: SignIn, address: str) -> None:
    campaign = scenes.platform(20)
    page = open_as(is_operator=True)
    shown_well(page, address.format(campaign.pk, Batch.objects.filter(started_at=None)[0].pk))


def test_the_pages_of_a_list_have_no_fault_before_and_after_it_is_read(open_as: SignIn) -> None:
    campaign = scenes.platform(20)
    Campaign.objects.filter(pk=campaign.pk).update(name="Northfield")
    page = open_as(is_operator=True)
    address = f"/campaigns/{campaign.pk}/list"
    shown_well(page, address)
    page.get_by_label("Paste the list").fill(LIST)
    page.get_by_role("button", name="Read the list").click()
    expect(page.locator(".mf-sentence")).to_contain_text("2 of 3 rows can be used; 1 is refused.")
    shown_well(page, address)


def test_what_is_wrong_is_read_out_and_leads_to_its_field(open_as: SignIn) -> None:
    two_servers()
    page = open_as(is_operator=True)
    page.goto("/campaigns/new")
    page.get_by_label("Name", exact=True).fill("University mail")
    page.get_by_label("Old server").select_option("")  # of two servers both are chosen already
    page.get_by_role("button", name="Go on to page 2").click()
    expect(page.get_by_role("alert")).to_be_focused()
    page.get_by_role("alert").get_by_role("link", name="Old server").click()
    expect(page.get_by_label("Old server")).to_be_focused()
    expect(page.get_by_label("Name", exact=True)).to_have_value("University mail")
    assert violations(page) == []
