"""The pages of set-up in Chromium: without fault in both themes and at 400 px, and by keyboard and pointer."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from campaigns.models import Campaign, Connector, Event, Server, User
from tests.browser.conftest import SignIn
from tests.campaigns import scenes
from tests.rigs.chromium import NARROW, WIDE, violations

pytestmark = pytest.mark.django_db(transaction=True)
FOUND = [
    {"look": "reach", "outcome": "good"},
    {"look": "encryption", "outcome": "warning", "code": "plain"},
    {"look": "admin", "outcome": "bad", "code": "sign_in.admin_refused", "reply": "NO [AUTHENTICATIONFAILED] no"},
]


def settle() -> list[str]:
    """Store servers, a tested one among them, and a directory; return the addresses of the pages of set-up."""
    campaign = scenes.platform(12)
    options = {"driver": "sqlite", "path": "/srv/mail/directory.sqlite", "status": "status", "open_value": "a"}
    people = Connector.objects.create(room="directory", kind="sql", name="People", options=options)
    Campaign.objects.update(source_directory=people, target_directory=people)
    server = Server.objects.order_by("pk")[0]
    Event.objects.create(name="server.tested", actor_name="dana", data={"row": server.pk, "found": FOUND})
    user = User.objects.get()
    return [
        "/servers",
        "/servers/new",
        f"/servers/{server.pk}",
        "/servers/addresses",
        "/connectors/new",
        "/connectors/new?kind=directory-ldap",
        f"/connectors/{people.pk}",
        "/staff",
        "/staff/new",
        f"/staff/{user.pk}",
        "/profile",
        f"/campaigns/{campaign.pk}/prove",
    ]


def faults(page: Page, address: str) -> list[str]:
    """Return what is wrong with a page at both widths."""
    found = []
    for viewport in (WIDE, NARROW):
        page.set_viewport_size(viewport)
        page.goto(address)
        found += [f"{address}: {one}" for one in violations(page)]
        if not page.evaluate("document.documentElement.scrollWidth <= innerWidth"):
            found.append(f"{address} scrolls sideways at {viewport['width']}")
    return found


@pytest.mark.timeout(300)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_page_of_set_up_has_a_fault(open_as: SignIn, theme: str) -> None:
    page = open_as(is_operator=True, is_administrator=True)
    User.objects.update(theme=theme)
    pages = settle()
    assert [fault for address in pages for fault in faults(page, address)] == []
    expect(page.locator("html")).to_have_attribute("data-bs-theme", theme)


def test_a_wrong_form_leads_to_its_field_and_keeps_what_was_typed(open_as: SignIn) -> None:
    page = open_as(is_administrator=True)
    page.goto("/servers/new")
    page.get_by_label("Name", exact=True).fill("Old mail")
    page.get_by_label("Host").fill("https://mail.example.org")
    page.get_by_role("button", name="Save and go on to the test").press("Enter")
    expect(page.get_by_role("alert")).to_be_focused()
    assert violations(page) == []
    page.get_by_role("alert").get_by_role("link", name="Host").press("Enter")
    expect(page.get_by_label("Host")).to_be_focused()
    expect(page.get_by_label("Name", exact=True)).to_have_value("Old mail")
    page.get_by_label("Host").fill("mail.example.org")
    page.get_by_label("Host").press("Enter")
    expect(page).to_have_url(re.compile(r"/servers/\d+#test$"))


def test_a_login_is_made_and_its_link_lets_a_person_in(open_as: SignIn) -> None:
    page = open_as(is_administrator=True)
    page.goto("/staff/new")
    page.get_by_label("Name to sign in with").fill("lars")
    page.get_by_label("Helpdesk").check()
    page.get_by_role("button", name="Make the login").click()
    link = page.locator("#link").inner_text()
    assert violations(page) == []
    page.get_by_role("button", name="Copy the link").click()
    path = re.sub(r"^https?://[^/]*", "", link)
    assert page.context.browser is not None
    stranger = page.context.browser.new_page(base_url=page.url)
    stranger.goto(path)
    stranger.get_by_label("Password").fill("nine green doors 4")
    stranger.get_by_label("The same again").fill("nine green doors 4")
    stranger.get_by_role("button", name="Set the password and sign in").click()
    expect(stranger.get_by_role("link", name="lars")).to_be_visible()
    stranger.close()
