"""The reader's own pages in Chromium: sign-in, profile, theme, help."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect
from pytest_django.live_server_helper import LiveServer

from tests.browser.conftest import SignIn
from tests.rigs.chromium import NARROW, violations

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_stranger_meets_a_sign_in_page_without_fault(browser: Browser, live_server: LiveServer) -> None:
    page = browser.new_page(base_url=live_server.url)
    page.goto("/help/signs")
    expect(page).to_have_url(f"{live_server.url}/sign-in?next=/help/signs")
    assert violations(page) == []
    page.get_by_label("Name").fill("nobody")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.get_by_label("Name")).to_have_value("nobody")
    page.close()


def test_the_theme_is_changed_by_one_button_and_stays(open_as: SignIn) -> None:
    page = open_as(is_operator=True)
    page.goto("/help/signs")
    page.get_by_role("button", name="Change to the dark theme").click()
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    assert violations(page) == []
    page.goto("/profile")
    expect(page.get_by_label("Theme", exact=True)).to_have_value("dark")


@pytest.mark.parametrize("address", ["/profile", "/help/signs", "/help/keys"])
def test_the_readers_pages_have_no_fault_and_never_scroll_sideways(open_as: SignIn, address: str) -> None:
    page = open_as(is_operator=True, is_administrator=True)
    for viewport in ({"width": 1440, "height": 900}, NARROW):
        page.set_viewport_size(viewport)
        page.goto(address)
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_no_page_asks_another_host_or_breaks_its_own_policy(open_as: SignIn) -> None:
    page = open_as(is_operator=True)
    asked, told = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: told.append(message.text))
    page.goto("/profile")
    assert all(url.startswith((page.url.rsplit("/profile", 1)[0], "data:")) for url in asked)
    assert told == []
