"""How mail is copied, in Chromium: options are chosen by keyboard, and rules are tried on real folders."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from campaigns.bridge import copying, vault
from campaigns.models import Account, AllowedAddress, Batch, Campaign, Server
from migrator.secret import Secret
from tests.browser.conftest import SignIn
from tests.rigs.base import HOST
from tests.rigs.chromium import NARROW, violations
from tests.rigs.corpus import fill, lifelike
from tests.rigs.dovecot import Dovecot

pytestmark = pytest.mark.django_db(transaction=True)
FOLDERS = (("INBOX",), ("Arbeit",), ("Arbeit", "2019"), ("Spam",))


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Dovecot, Dovecot]]:
    with Dovecot({"anna": "pw"}) as old, Dovecot({"anna": "pw"}, layout="mdbox", separator="/") as new:
        fill(old.account("anna"), lifelike(1, messages=60, folders=FOLDERS, strict=True))
        yield old, new


@pytest.fixture
def campaign(servers: tuple[Dovecot, Dovecot]) -> Campaign:
    AllowedAddress.objects.create(host=HOST)
    old, new = (
        Server.objects.create(name=name, host=HOST, port=running.imap, security="plain")
        for name, running in zip(("Old", "New"), servers, strict=True)
    )
    campaign = Campaign.objects.create(name="Town", source=old, target=new)
    batch = Batch.objects.create(campaign=campaign, number=1, name="First")
    sides = {"source": old, "target": new, "source_login": "anna", "target_login": "anna"}
    account = Account.objects.create(campaign=campaign, batch=batch, **sides)
    for field in ("source_secret", "target_secret"):
        setattr(account, field, vault.seal(Secret("pw"), account, field))
    account.save()
    return campaign


def assert_fit_to_be_seen(page: Page) -> None:
    for viewport in (NARROW, {"width": 1440, "height": 900}):
        page.set_viewport_size(viewport)
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_rules_are_tried_on_a_real_account_and_then_kept_by_keyboard_alone(open_as: SignIn, campaign: Campaign) -> None:
    page = open_as(is_operator=True)
    page.goto(f"/campaigns/{campaign.pk}/settings")
    page.get_by_role("link", name="Folders", exact=True).focus()
    page.keyboard.press("Enter")
    page.get_by_label("Folders to leave out").focus()
    page.keyboard.type("Spam")
    page.get_by_label("Folders with another name on the new server").focus()
    page.keyboard.type("Arbeit = Work")
    page.get_by_role("button", name="Look at their folders").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("row", name="Spam")).to_contain_text("is left out: a rule says so")
    expect(page.get_by_role("row", name="Arbeit / 2019")).to_contain_text("Work / 2019")
    expect(page.locator("h1, .mf-lead").filter(has_text="which are not saved")).to_be_visible()
    assert_fit_to_be_seen(page)
    page.get_by_role("button", name="Save these rules").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Saved. It counts from the next look at each account on.")).to_be_visible()
    assert copying.of_campaign(Campaign.objects.get()).renamings == {"Arbeit": "Work"}
    page.get_by_role("button", name="Change to the dark theme").click()
    page.get_by_role("button", name="Look at their folders").click()
    expect(page.get_by_role("row", name="Spam")).to_be_visible()
    assert_fit_to_be_seen(page)


def test_an_account_is_copied_otherwise_and_its_page_says_so(open_as: SignIn, campaign: Campaign) -> None:
    page = open_as(is_operator=True)
    account = Account.objects.get()
    page.goto(f"/campaigns/{campaign.pk}/copying")
    assert_fit_to_be_seen(page)
    page.goto(f"/accounts/{account.pk}")
    page.get_by_role("link", name="How its mail is copied").click()
    page.get_by_label("Arrived on this day or later").fill("2020-01-01")
    page.get_by_label("Zero bytes").select_option(label="Mend once refused")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="Its exceptions")).to_be_visible()
    expect(page.get_by_text("2020-01-01 (campaign: nothing)")).to_be_visible()
    assert_fit_to_be_seen(page)
    page.goto(f"/campaigns/{campaign.pk}/copying")
    page.get_by_role("button", name="Change to the dark theme").click()
    assert_fit_to_be_seen(page)
    expect(page.get_by_role("row", name="anna")).to_contain_text("arrived since, mended once refused")
