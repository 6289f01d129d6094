"""The pages of the night in Chromium: in every look, with the keyboard alone, and read without scripts."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from campaigns.models import Alarm, Batch, Campaign, Confirmation, Retirement, User
from campaigns.services import connectors
from campaigns.states import AccountState as S
from tests.browser.conftest import SignIn
from tests.campaigns import night_scene
from tests.campaigns.factories import make_batch, make_campaign
from tests.rigs.chromium import NARROW, WIDE, violations
from tests.rigs.slapd import Slapd, person, secret

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]
EVERYTHING = {"is_operator": True, "is_administrator": True, "is_manager": True}


def faults(page: Page, address: str, theme: str) -> list[str]:
    """Return what is wrong with a page as it is shown now."""
    page.goto(address)
    found = [f"{address}: {one}" for one in violations(page)]
    if not page.evaluate("document.documentElement.scrollWidth <= innerWidth"):
        found.append(f"{address} scrolls sideways")
    if page.locator("html").get_attribute("data-bs-theme") != theme:
        found.append(f"{address} is not {theme}")
    return found


@pytest.mark.parametrize(("viewport", "theme"), [(WIDE, "light"), (NARROW, "dark")], ids=["wide light", "narrow dark"])
def test_no_page_of_the_night_has_a_fault(open_as: SignIn, viewport: dict[str, int], theme: str) -> None:
    page = open_as(viewport=viewport, **EVERYTHING)
    User.objects.update(theme=theme)
    assert [fault for address in night_scene.platform() for fault in faults(page, address, theme)] == []


def test_every_page_of_the_night_is_read_without_scripts(open_as: SignIn, browser: Browser) -> None:
    page = open_as(**EVERYTHING)
    addresses = night_scene.platform()
    state = page.context.storage_state()
    context = browser.new_context(java_script_enabled=False, base_url=page.url, storage_state=state, viewport=NARROW)
    reading = context.new_page()
    for address in addresses:
        answer = reading.goto(address)
        assert answer is not None
        assert answer.status == 200, address
        assert reading.locator("main h1").first.is_visible(), address
        shown = reading.locator("main").inner_text()
        assert len(shown.split()) > 12, f"{address} says nothing: {shown}"
    context.close()


def test_what_a_directory_gets_and_what_a_method_is_advised_for_is_read_in_every_look(open_as: SignIn) -> None:
    page = open_as(**EVERYTHING)
    batch = make_batch(2, state=S.READY, campaign=make_campaign())
    logins = list(batch.accounts.values_list("source_login", flat=True))
    written = f"/batches/{batch.pk}/directory"
    advised = f"/campaigns/{batch.campaign_id}/advice?people=4000&downtime=seconds&effort=proxy"
    with Slapd([person(login, mailHost="old.example.test", emailPersonStatus="active") for login in logins]) as slapd:
        directory = connectors.save(
            None, room="directory", kind="ldap", name="Our people", options=slapd.options(schema="sims"),
            secret=secret(), actor=User.objects.get(),
        ).connector  # fmt: skip
        Campaign.objects.update(source_directory=directory, target_directory=directory)
        for viewport, theme in ((WIDE, "dark"), (NARROW, "light")):
            page.set_viewport_size(viewport)
            User.objects.update(theme=theme)
            assert faults(page, written, theme) == []
            assert page.get_by_text("emailPersonStatus").count() >= len(logins)
            assert faults(page, advised, theme) == []
            expect(page.get_by_role("heading", name="Why")).to_be_visible()


def press(page: Page, name: str | re.Pattern[str], role: str = "button") -> None:
    """Walk by Tab to what is named, and press Enter there: what no key reaches fails here."""
    wanted = page.get_by_role(role, name=name).first  # type: ignore[arg-type]
    expect(wanted).to_be_visible()
    for _ in range(250):
        if wanted.evaluate("one => one === document.activeElement"):
            page.keyboard.press("Enter")
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"no key leads to {name}")


def test_a_night_goes_by_keyboard_once_an_alarm_was_read(open_as: SignIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("campaigns.services.preflights.is_accepted", lambda campaign: True)
    page = open_as(**EVERYTHING)
    night_scene.platform()
    batch = Batch.objects.order_by("number")[2]
    page.goto(f"/batches/{batch.pk}/night")
    expect(page.get_by_text("Nobody has read a test alarm")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("go", re.IGNORECASE))).to_have_count(0)
    page.goto(f"/alarms/{Alarm.objects.get(kind='test').pk}")
    page.get_by_role("textbox").first.focus()
    page.keyboard.type("000000")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_be_focused()
    page.get_by_role("textbox").first.fill(Alarm.objects.get(kind="test").code)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/alarms$"))
    page.goto(f"/batches/{batch.pk}/night")
    press(page, re.compile("^Say go"))
    expect(page.get_by_text("You said go.")).to_be_visible()
    batch.refresh_from_db()
    assert batch.go_at is not None
    press(page, "Stop the night")
    expect(page.get_by_role("heading", name="Go or no go")).to_be_visible()
    batch.refresh_from_db()
    assert batch.go_at is None


def test_a_persons_step_is_recorded_and_a_method_changed_by_keyboard(open_as: SignIn) -> None:
    page = open_as(**EVERYTHING)
    night_scene.platform()
    tonight, campaign = Batch.objects.order_by("number")[1], Campaign.objects.get()
    page.goto(f"/batches/{tonight.pk}/by-hand")
    summary = page.locator("details summary").first
    summary.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.type("Seen on the console of the old host.")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Recorded with your name.")).to_be_visible()
    row = Confirmation.objects.get(check_name="port_closed")
    assert (row.confirmed_by, row.reason) == ("dana", "Seen on the console of the old host.")
    page.goto(f"/campaigns/{campaign.pk}/steps")
    page.get_by_label("Leave step 8 out").focus()  # the switch
    page.keyboard.press("Space")
    press(page, "Save the steps")
    expect(page.locator("[role=alert]").first).to_be_visible()
    assert violations(page) == []
    campaign.refresh_from_db()
    assert campaign.steps == []


def test_a_removal_is_approved_by_keyboard(open_as: SignIn) -> None:
    page = open_as(**EVERYTHING)
    night_scene.platform()
    last = Batch.objects.order_by("number")[0]
    page.goto(f"/batches/{last.pk}/after")
    press(page, "Approve the removal")
    expect(page.get_by_text("The waiting time begins now")).to_be_visible()
    assert Retirement.objects.get().approved_by == "dana"
    press(page, "Withdraw")
    expect(page.get_by_text("Nothing more is removed from the old server.")).to_be_visible()
    assert Retirement.objects.get().withdrawn_by == "dana"
