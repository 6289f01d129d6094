"""Pages that are read, in Chromium: home, people, dashboard, log."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from campaigns.models import Account, Event
from campaigns.states import AccountState
from tests.browser.conftest import SignIn
from tests.campaigns import scenes
from tests.rigs.chromium import NARROW, WIDE, violations

pytestmark = pytest.mark.django_db(transaction=True)

S = AccountState


def look(page: Page, address: str) -> None:
    """See that a page has no fault, wide and light as narrow and dark, and never scrolls sideways."""
    page.goto(address)
    for size, theme in ((WIDE, "light"), (NARROW, "dark")):
        page.set_viewport_size({"width": size["width"], "height": size["height"]})
        page.evaluate("theme => document.documentElement.setAttribute('data-bs-theme', theme)", theme)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (address, theme)
        assert violations(page) == [], (address, theme)


def test_helpdesk_goes_from_the_bare_address_to_an_answer_and_a_note_by_keyboard(open_as: SignIn) -> None:
    scenes.platform(30)
    account = Account.objects.filter(state=S.FAILED).first()
    assert account is not None
    page = open_as(is_helpdesk=True)
    page.goto("/")
    expect(page).to_have_url(re.compile("/people$"))
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    page.keyboard.type(account.source_login.split("@")[0])
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(f"/people/{account.pk}$"))
    expect(page.get_by_role("status")).to_contain_text("on the old server")
    expect(page.get_by_role("heading", name="Say this")).to_be_visible()
    page.get_by_label("In one line").focus()
    page.keyboard.type("Asked for the date.")
    page.keyboard.press("Enter")
    expect(page.locator(".mf-log")).to_contain_text("Asked for the date.")
    assert Event.objects.get(name="account.call.noted").account == account


def test_several_people_are_a_list_one_walks_by_keys(open_as: SignIn) -> None:
    scenes.platform(30)
    page = open_as(is_helpdesk=True)
    page.goto("/people?q=garcia")
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/people/\d+$"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("Garcia")


def test_what_to_say_is_copied_as_text(open_as: SignIn) -> None:
    scenes.platform(12)
    page = open_as(is_helpdesk=True)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"/people/{Account.objects.filter(state=S.DONE).values_list('pk', flat=True)[0]}")
    page.get_by_role("button", name="Copy as text").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert "Your mail has moved to the new server." in page.evaluate("navigator.clipboard.readText()")


def test_what_helpdesk_tells_stands_on_the_operators_home_and_renews_itself(open_as: SignIn) -> None:
    scenes.platform(12)
    account = Account.objects.filter(state=S.HELD).first()
    assert account is not None
    operator = open_as("dana", is_operator=True)
    operator.goto("/")
    expect(operator.get_by_role("heading", name="Helpdesk asks you to look")).to_have_count(0)
    helpdesk = open_as("tanya", is_helpdesk=True)
    helpdesk.goto(f"/people/{account.pk}")
    helpdesk.get_by_role("button", name="Tell the operator").click()
    expect(helpdesk.get_by_role("button", name="Tell the operator")).to_have_count(0)
    operator.evaluate("htmx.trigger(document.querySelector('[data-live]'), 'live')")
    expect(operator.get_by_role("heading", name="Helpdesk asks you to look")).to_be_visible()
    operator.get_by_role("button", name=f"I have looked at {account.source_login}").click()
    expect(operator.get_by_role("heading", name="Helpdesk asks you to look")).to_have_count(0)


def test_the_dashboard_renews_itself_and_keeps_the_focus(open_as: SignIn) -> None:
    campaign = scenes.platform(12)
    page = open_as(is_manager=True)
    page.goto("/")
    expect(page).to_have_url(re.compile(f"/campaigns/{campaign.pk}$"))
    page.locator("#csv").focus()
    batch = campaign.batches.get(number=2)
    batch.counts.filter(state=S.DONE).update(accounts=1234)
    page.evaluate("htmx.trigger(document.querySelector('[data-live]'), 'live')")
    expect(page.get_by_role("status").first).to_contain_text("1,2")
    assert page.evaluate("document.activeElement.id") == "csv"


def test_the_dashboard_prints_on_one_sheet_without_what_is_to_be_pressed(open_as: SignIn) -> None:
    campaign = scenes.platform(12)
    page = open_as(is_manager=True)
    page.goto(f"/campaigns/{campaign.pk}")
    expect(page.get_by_role("button", name="Print")).to_be_visible()
    page.emulate_media(media="print")
    expect(page.get_by_role("button", name="Print")).to_be_hidden()
    expect(page.locator(".mf-top")).to_be_hidden()
    expect(page.locator(".mf-chart[role=img]")).to_be_visible()
    sheets = re.findall(rb"/Type\s*/Page[^s]", page.pdf(prefer_css_page_size=True))
    assert len(sheets) == 1


def test_the_log_is_filtered_and_says_what_is_wrong_with_a_filter(open_as: SignIn) -> None:
    scenes.platform(12)
    page = open_as(is_operator=True)
    page.goto("/log")
    page.get_by_label("What", exact=True).select_option(label="Batches")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.get_by_role("table")).to_contain_text("Batch made.")
    page.get_by_label("Account (address)").fill("nobody")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("No account has this address.")
    expect(page.get_by_label("Account (address)")).to_have_value("nobody")
    expect(page.get_by_label("What", exact=True)).to_have_value("batches")


@pytest.mark.parametrize("state", [S.DONE, S.FAILED, S.HELD, S.STAGING])
def test_the_page_of_a_person_has_no_fault(open_as: SignIn, state: AccountState) -> None:
    scenes.platform(12)
    page = open_as(is_helpdesk=True)
    look(page, f"/people/{Account.objects.filter(state=state).values_list('pk', flat=True)[0]}")


def test_the_pages_of_a_search_have_no_fault(open_as: SignIn) -> None:
    scenes.platform(12)
    page = open_as(is_helpdesk=True)
    for query in ("nobody", "northfield", "a"):
        look(page, f"/people?q={query}")


def test_the_pages_of_an_empty_panel_have_no_fault(open_as: SignIn) -> None:
    page = open_as(is_operator=True, is_manager=True)
    look(page, "/")
    look(page, "/log")


@pytest.mark.parametrize("address", ["/", "/campaigns/{}", "/log", "/log?since=x"])
def test_the_pages_of_operator_and_manager_have_no_fault(open_as: SignIn, address: str) -> None:
    campaign = scenes.platform(12)
    look(open_as(is_operator=True, is_manager=True), address.format(campaign.pk))
