"""The pages behind a one-time link."""

from __future__ import annotations

import pytest
from django.test import Client

from campaigns.models import User
from campaigns.services import staff

pytestmark = pytest.mark.django_db
PASSWORD = "wet paint on 3 doors"


@pytest.fixture
def token() -> str:
    return staff.first_link() or ""


@pytest.fixture
def browser() -> Client:
    return Client(headers={"host": "localhost"}, enforce_csrf_checks=True)


def choose(browser: Client, password: str, again: str | None = None) -> object:
    form = {"password": password, "again": password if again is None else again}
    return browser.post("/first", form | {"csrfmiddlewaretoken": browser.cookies["mailferry_csrf"].value})


def test_the_link_leads_to_a_password_and_signs_in(browser: Client, token: str) -> None:
    page = browser.get(f"/first/{token}", follow=True)
    assert page.redirect_chain == [("/first", 302)]
    assert "admin" in page.text
    assert token not in page.text
    assert choose(browser, PASSWORD).url == "/"
    assert "admin" in browser.get("/", follow=True).text
    assert User.objects.get().check_password(PASSWORD)


def test_the_page_says_what_is_wrong_and_takes_a_second_try(browser: Client, token: str) -> None:
    browser.get(f"/first/{token}", follow=True)
    assert "The two passwords differ." in choose(browser, PASSWORD, "other").text
    page = choose(browser, "short")
    assert (page.status_code, "too short" in page.text) == (422, True)
    assert "short" not in [line for line in page.text.splitlines() if "input" in line]
    assert choose(browser, PASSWORD).status_code == 302


def test_a_used_link_says_so(browser: Client, token: str) -> None:
    browser.get(f"/first/{token}", follow=True)
    choose(browser, PASSWORD)
    for address in (f"/first/{token}", "/first", "/first/nothing"):
        page = Client(headers={"host": "localhost"}).get(address)
        assert (page.status_code, "used up" in page.text) == (410, True)


def test_a_form_from_elsewhere_is_refused(browser: Client, token: str) -> None:
    browser.get(f"/first/{token}", follow=True)
    assert browser.post("/first", {"password": PASSWORD, "again": PASSWORD}).status_code == 403
    assert not User.objects.get().has_usable_password()


def test_a_preview_of_the_link_does_not_use_it_up(browser: Client, token: str) -> None:
    for method in (browser.head, browser.get):
        assert method(f"/first/{token}").status_code == 302


def test_the_bare_address_asks_a_stranger_to_sign_in(browser: Client) -> None:
    assert browser.get("/", follow=True).redirect_chain == [("/sign-in?next=/", 302)]
    browser.force_login(User.objects.create(username="manager", is_manager=True))
    assert browser.get("/", follow=True).status_code == 200
