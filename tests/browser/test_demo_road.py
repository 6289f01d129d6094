"""The demo as its operator sees it: mail moves on the screen, four accounts explain themselves and are mended there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.rigs.chromium import WIDE
from tests.rigs.demo import Demo

pytestmark = pytest.mark.timeout(400)  # a fifth of it where nothing else runs
COUNT = 8
SOON, END = 15_000, 150_000  # milliseconds: what a page needs, and what the move needs on a busy machine
EXPLAINED = {
    "The name or the password for this mailbox is not accepted.": 2,
    "The new mailbox is full. Mail already copied is safe.": 1,
    "The new server does not allow the name of one folder.": 1,
}


@pytest.fixture
def demo() -> Iterator[Demo]:
    with Demo("dovecot", COUNT) as running:
        yield running


@pytest.fixture
def page(browser: Browser, demo: Demo) -> Iterator[Page]:
    """The page of the operator, who signs in with what the demo has printed."""
    context = browser.new_context(viewport=WIDE, base_url=f"http://localhost:{demo.port}", reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(SOON)
    page.goto("/")
    page.get_by_label("Name").fill("operator")
    page.get_by_label("Password").fill(*demo.printed(r"^    operator +(\S+)$"))
    page.get_by_role("button", name="Sign in").click()
    yield page
    context.close()


def moved(page: Page, count: int) -> None:
    """Wait until the dashboard, which is never loaded again, says that so many have moved."""
    expect(page.get_by_role("status").first).to_contain_text(f"{count} of {COUNT} accounts", timeout=END)


def find(page: Page, login: str) -> None:
    """Go to the page of one account by the search box, without a mouse."""
    page.keyboard.press("/")
    page.keyboard.type(login)
    page.keyboard.press("Enter")
    page.get_by_role("link", name="All about this account").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(login)


def tried_again(page: Page, login: str) -> None:
    expect(page.locator(".mf-told")).to_contain_text(f"{login} is tried again.")


def mend_password(page: Page, login: str, password: str) -> None:
    find(page, login)
    expect(page.locator("#problem")).to_contain_text("The name or the password for this mailbox is not accepted.")
    page.get_by_label("For", exact=True).select_option(label="Both servers")
    page.get_by_label("New password").fill(password)
    page.get_by_role("button", name="Save and retry").click()
    tried_again(page, login)


def mend_room(page: Page, login: str) -> None:
    find(page, login)
    expect(page.locator("#problem")).to_contain_text("The new mailbox is full.")
    page.get_by_role("button", name="Make room on the demo server").click()
    expect(page.locator(".mf-told")).to_contain_text("The new mailbox has room now.")
    page.get_by_role("button", name="Room has been made: retry").click()
    tried_again(page, login)


def mend_folder(page: Page, login: str) -> None:
    find(page, login)
    expect(page.get_by_label("Folder on the old server")).to_have_value("Orders/new")
    page.get_by_label("Name on the new server", exact=True).fill("Orders/New ones")
    page.get_by_role("button", name="Save and retry").click()
    tried_again(page, login)
    # The page tells by itself that the move is over
    expect(page.locator("#sentence")).to_contain_text("Works on the new server", timeout=END)
    expect(page.locator("#mail")).to_contain_text("Orders / New ones")


def test_the_demo_is_watched_explained_and_mended_in_the_browser(demo: Demo, page: Page) -> None:
    page.get_by_role("link", name="Kestrel Harbour moves").click()
    moved(page, COUNT - 4)
    causes = page.locator(".mf-causes")
    for sentence, accounts in EXPLAINED.items():
        expect(causes.locator("li").filter(has_text=sentence).locator(".num")).to_have_text(f"{accounts}", timeout=END)
    for login, password in demo.printed(r"<(\S+)>: the right password is (\S+)"):
        mend_password(page, login, password)
    mend_room(page, *demo.printed(r"<(\S+)>: make room"))
    mend_folder(page, *demo.printed(r"<(\S+)>: a rule for the folder Orders/new"))
    page.goto("/campaigns/1")
    moved(page, COUNT)
    assert demo.states() == {("done", ""): COUNT}
