"""The pages of a batch and of an account in Chromium: alive without moving anything, by keyboard, in every look."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from campaigns.models import Account, Batch
from campaigns.services import watchdog
from campaigns.states import AccountState as S
from tests.browser.conftest import SignIn
from tests.campaigns.factories import make_batch, put
from tests.rigs.chromium import NARROW, WIDE, violations

pytestmark = pytest.mark.django_db(transaction=True)


def batch_of(count: int = 4, state: S = S.STAGING) -> Batch:
    batch = make_batch(count, state=state)
    batch.accounts.update(lease_until=timezone.now() + timedelta(minutes=5), messages_total=100)
    return batch


def a_failed_one(batch: Batch) -> Account:
    account = batch.accounts.order_by("pk").first()
    assert account is not None
    put(account, S.FAILED, error_code="line.silent", error_side="source", resume_state="staging", lease_until=None)
    return account


def look_in_every_way(page: Page, address: str) -> None:
    """Open a page wide and narrow, light and dark: no fault, no scrolling sideways."""
    for theme in ("light", "dark"):
        page.context.add_cookies([{"name": "mailferry_theme", "value": theme, "url": page.evaluate("location.origin")}])
        for viewport in (WIDE, NARROW):
            page.set_viewport_size(viewport)
            page.goto(address)
            expect(page.locator("html")).to_have_attribute("data-bs-theme", theme)
            assert violations(page) == []
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_batch_is_without_fault_in_every_look(open_as: SignIn) -> None:
    batch = batch_of()
    a_failed_one(batch)
    look_in_every_way(open_as(is_operator=True), f"/batches/{batch.pk}")


def test_the_account_is_without_fault_in_every_look(open_as: SignIn) -> None:
    account = a_failed_one(batch_of())
    Account.objects.filter(pk=account.pk).update(error_code="sign_in.refused")
    look_in_every_way(open_as(is_operator=True), f"/accounts/{account.pk}")


def test_the_page_before_a_deed_is_without_fault_in_every_look(open_as: SignIn) -> None:
    batch = make_batch(60, state=S.READY)
    look_in_every_way(open_as(is_operator=True), f"/batches/{batch.pk}/night")


def test_news_come_by_themselves_and_move_neither_focus_nor_boxes_nor_rows(open_as: SignIn) -> None:
    batch = batch_of(4)
    first, second, third, _ = batch.accounts.order_by("pk")
    page = open_as(is_operator=True)
    page.goto(f"/batches/{batch.pk}")
    rows = page.locator("[data-rows] > tr")
    before = rows.evaluate_all("rows => rows.map((row) => row.id)")
    page.locator(f"#c{second.pk}").check()
    page.locator(f"#a{second.pk}").focus()
    page.locator("#chosen-more > summary").evaluate("part => part.parentElement.open = true")
    Account.objects.filter(pk=second.pk).update(messages_done=42)
    put(third, S.FAILED, error_code="line.silent", error_side="source", resume_state="staging", lease_until=None)
    expect(page.locator(f"#row-{second.pk}")).to_contain_text("42 of 100")
    expect(page.locator(f"#row-{third.pk}")).to_contain_text("Not moved")
    expect(page.locator("#sentence")).to_contain_text("1 did not move")
    expect(page).to_have_title(re.compile("^1 not moved"))
    expect(page.locator("#needs")).to_contain_text("The old server stopped answering.")
    expect(page.locator(f"#c{second.pk}")).to_be_checked()
    expect(page.locator(f"#c{first.pk}")).not_to_be_checked()
    expect(page.locator(f"#a{second.pk}")).to_be_focused()
    expect(page.locator("#chosen-more")).to_have_attribute("open", "")
    assert rows.evaluate_all("rows => rows.map((row) => row.id)") == before
    assert page.locator("[role=status]").count() == 1


def test_a_batch_that_ends_is_not_asked_about_any_more(open_as: SignIn) -> None:
    batch = batch_of(2)
    page = open_as(is_operator=True)
    asked: list[str] = []
    page.goto(f"/batches/{batch.pk}")
    for account in batch.accounts.all():
        put(account, S.DONE, lease_until=None)
    with page.expect_response(lambda answer: answer.headers.get("x-live-seconds") == "0"):
        Batch.objects.filter(pk=batch.pk).update(ended_at=timezone.now())
    expect(page.locator("#sentence")).to_have_text("2 of 2 are on the new server.")
    page.on("request", lambda request: asked.append(request.url))
    page.clock.install()
    page.clock.run_for(60_000)
    assert asked == []


def test_rows_are_walked_chosen_and_retried_by_keys(open_as: SignIn) -> None:
    batch = make_batch(3, state=S.FAILED)
    batch.accounts.update(error_code="line.silent", error_side="source", resume_state="staging")
    page = open_as(is_operator=True)
    page.goto(f"/batches/{batch.pk}")
    ids = [row.removeprefix("row-") for row in page.locator("[data-rows] > tr").evaluate_all("r => r.map(x => x.id)")]
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.locator(f"#a{ids[1]}")).to_be_focused()
    page.keyboard.press("x")
    expect(page.locator(f"#c{ids[1]}")).to_be_checked()
    expect(page.locator("[data-count]")).to_have_text("1 chosen")
    page.keyboard.press("k")
    expect(page.locator(f"#a{ids[0]}")).to_be_focused()
    page.keyboard.press("r")
    expect(page.locator(".mf-told")).to_contain_text("is tried again.")
    assert batch.accounts.get(state=S.STAGING).pk == int(ids[0])


def test_all_that_match_are_retried_over_the_page_that_asks(open_as: SignIn) -> None:
    batch = make_batch(105, state=S.FAILED)
    batch.accounts.update(error_code="line.silent", error_side="source", resume_state="staging")
    page = open_as(is_operator=True)
    page.goto(f"/batches/{batch.pk}?state=failed")
    retry = page.locator('.mf-tools button[value="retry"]')
    expect(retry).to_be_disabled()
    page.get_by_label("All 105 that match").check()
    expect(page.locator("[data-count]")).to_have_text("105 chosen")
    retry.click()
    expect(page.locator(".mf-sentence")).to_have_text("Retry 105 accounts?")
    page.get_by_role("button", name="Retry 105").click()
    expect(page.locator(".mf-told")).to_have_text("105 retried.")
    assert batch.accounts.filter(state=S.STAGING).count() == 105


def test_an_account_is_mended_by_a_new_password_on_its_page(open_as: SignIn) -> None:
    account = a_failed_one(batch_of())
    Account.objects.filter(pk=account.pk).update(error_code="sign_in.refused")
    page = open_as(is_operator=True)
    page.goto(f"/accounts/{account.pk}")
    page.get_by_role("button", name="Save and retry").click()
    expect(page.get_by_role("alert")).to_contain_text("Enter a password.")
    page.get_by_label("New password").fill("the right one")
    page.get_by_role("button", name="Save and retry").click()
    expect(page.locator(".mf-told")).to_contain_text("The new password is stored.")
    account.refresh_from_db()
    assert account.state == S.STAGING


def test_an_accounts_page_comes_alive_and_leaves_what_is_typed(open_as: SignIn) -> None:
    account = a_failed_one(batch_of())
    Account.objects.filter(pk=account.pk).update(
        error_code="sign_in.refused", lease_until=timezone.now() + timedelta(minutes=5), state=S.STAGING
    )
    page = open_as(is_operator=True)
    page.goto(f"/accounts/{account.pk}")
    page.locator("#more-password > summary").click()
    page.get_by_label("New password").fill("half typed")
    Account.objects.filter(pk=account.pk).update(messages_done=77, error_code="")
    expect(page.locator("#facts")).to_contain_text("77 of 100")
    expect(page.locator("#changed")).to_contain_text("It has come further")
    expect(page.get_by_label("New password")).to_have_value("half typed")
    expect(page.get_by_label("New password")).to_be_focused()
    expect(page.locator("#more-password")).to_have_attribute("open", "")


def test_both_pages_read_whole_without_javascript(browser: Browser, live_server: LiveServer, open_as: SignIn) -> None:
    batch = batch_of()
    account = a_failed_one(batch)
    signed_in = open_as(is_operator=True)
    state = signed_in.context.storage_state()
    context = browser.new_context(java_script_enabled=False, base_url=live_server.url, storage_state=state)
    page = context.new_page()
    page.goto(f"/batches/{batch.pk}")
    expect(page.locator("[data-rows] > tr")).to_have_count(4)
    expect(page.get_by_role("link", name="Refresh")).to_be_visible()
    page.get_by_role("link", name=account.source_login, exact=True).click()
    expect(page.get_by_role("heading", name="The move, step by step")).to_be_visible()
    page.get_by_role("button", name="Retry", exact=True).click()
    expect(page.locator(".mf-told")).to_contain_text("is tried again.")
    context.close()


def test_the_night_and_the_alarms_are_without_fault_in_every_look(open_as: SignIn) -> None:
    now = timezone.now()
    batch = make_batch(3, state=S.CUTTING_OVER, go_at=now)
    batch.accounts.update(locked_at=now - timedelta(hours=1), step="delta", state_since=now)
    watchdog.look()
    page = open_as(is_operator=True, is_administrator=True)
    look_in_every_way(page, f"/batches/{batch.pk}/night")
    for address in ("/alarms", "/alarms/ways/new?kind=mail", "/"):  # in the last of these looks: narrow and dark
        page.goto(address)
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
