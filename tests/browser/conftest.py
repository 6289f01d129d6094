"""Chromium before the panel: one browser a file, one fresh context a test, people of every role."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page
from pytest_django.live_server_helper import LiveServer

from campaigns.models import User
from tests.rigs.chromium import WIDE, chromium

PASSWORD = "a pass phrase of some length"

# Each opens the page of one person: one who has those roles.
SignIn = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def open_as(browser: Browser, live_server: LiveServer) -> Iterator[SignIn]:
    """Return a function that signs in a new person with the roles named, and returns their page."""
    contexts = []

    def sign_in(name: str = "dana", viewport: dict[str, int] | None = None, **roles: bool) -> Page:
        User.objects.create_user(name, password=PASSWORD, **roles)
        context = browser.new_context(viewport=viewport or WIDE, base_url=live_server.url, reduced_motion="reduce")
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.goto("/sign-in")
        page.get_by_label("Name").fill(name)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(lambda url: "sign-in" not in url)
        return page

    yield sign_in
    for context in contexts:
        context.close()
