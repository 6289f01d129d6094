"""Staff logins: the first administrator, one-time links, roles, closing, passwords, and their pages."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client
from django.utils import timezone

from campaigns.models import Event, OneTimeLink, User
from campaigns.permissions import Verb, may
from campaigns.selectors import staff as selector
from campaigns.services import staff
from campaigns.services.refusals import Refused
from tests.campaigns.factories import at_once

pytestmark = pytest.mark.django_db
PASSWORD = "wet paint on 3 doors"


def test_the_first_administrator_gets_one_link_and_only_its_hash_is_kept() -> None:
    token = staff.first_link()
    assert token
    user = User.objects.get()
    assert not user.has_usable_password()
    assert may(user, Verb.MANAGE_STAFF)
    assert may(user, Verb.RUN)
    rows = [str(row) for model in (OneTimeLink, Event, User) for row in model.objects.values()]
    assert token not in "".join(rows)


def test_a_link_asked_for_again_voids_the_one_before() -> None:
    first, second = staff.first_link(), staff.first_link()
    with pytest.raises(staff.LinkRefused):
        staff.find_link(first or "")
    assert staff.find_link(second or "").user.username == "admin"


def test_nobody_gets_a_first_link_once_somebody_administers() -> None:
    link = staff.find_link(staff.first_link() or "")
    assert staff.choose_password(link.pk, PASSWORD).check_password(PASSWORD)
    assert staff.first_link() is None


def test_a_link_works_once() -> None:
    link = staff.find_link(staff.first_link() or "")
    staff.choose_password(link.pk, PASSWORD)
    with pytest.raises(staff.LinkRefused):
        staff.choose_password(link.pk, PASSWORD + "!")
    assert User.objects.get().check_password(PASSWORD)
    assert list(Event.objects.values_list("name", flat=True)) == ["staff.link.made", "staff.password.chosen"]


def test_a_link_ends_with_its_day_and_with_its_person() -> None:
    link = staff.find_link(staff.first_link() or "")
    User.objects.update(is_active=False)
    with pytest.raises(staff.LinkRefused):
        staff.whose(link.pk)
    User.objects.update(is_active=True)
    OneTimeLink.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(staff.LinkRefused):
        staff.choose_password(link.pk, PASSWORD)
    assert not User.objects.get().has_usable_password()


@pytest.mark.parametrize("password", ["", "short", "password1234", "1234567890123"])
def test_an_easy_password_is_refused_and_the_link_stays_good(password: str) -> None:
    link = staff.find_link(staff.first_link() or "")
    with pytest.raises(ValidationError):
        staff.choose_password(link.pk, password)
    assert staff.choose_password(link.pk, PASSWORD)


@pytest.mark.django_db(transaction=True)
def test_of_two_who_use_one_link_at_once_one_wins() -> None:
    link = staff.find_link(staff.first_link() or "")
    gate = threading.Barrier(2)
    outcomes: list[str] = []

    def choose(password: str) -> None:
        gate.wait()
        try:
            staff.choose_password(link.pk, password)
            outcomes.append(password)
        except staff.LinkRefused:
            outcomes.append("refused")
        finally:
            connection.close()

    threads = [threading.Thread(target=choose, args=(PASSWORD + end,)) for end in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("refused") == 1
    assert User.objects.get().check_password(next(o for o in outcomes if o != "refused"))


# Logins


def administrator(name: str = "root") -> User:
    return User.objects.create_user(name, password=PASSWORD, is_administrator=True)


def names() -> list[str]:
    return list(Event.objects.order_by("pk").values_list("name", flat=True))


def test_a_login_is_made_with_roles_and_a_link_by_somebody() -> None:
    root = administrator()
    user, token = staff.create(" Dana.W ", "Dana Whitfield", ["is_operator", "is_manager"], actor=root)
    assert (user.username, user.get_full_name(), user.has_usable_password()) == ("dana.w", "Dana Whitfield", False)
    assert (user.is_operator, user.is_manager, user.is_helpdesk, user.is_administrator) == (True, True, False, False)
    assert staff.find_link(token).user == user
    assert {(event.name, event.actor) for event in Event.objects.all()} == {
        ("staff.created", root),
        ("staff.link.made", root),
    }


@pytest.mark.parametrize(
    ("name", "roles", "code"),
    [
        ("", ["is_operator"], "staff.name"),
        ("dana whitfield", ["is_operator"], "staff.name"),
        ("ROOT", ["is_operator"], "staff.name_taken"),
        ("dana", [], "staff.no_role"),
        ("dana", ["is_superuser"], "staff.no_role"),
    ],
)
def test_a_login_that_cannot_be_meant_is_refused(name: str, roles: list[str], code: str) -> None:
    root = administrator()
    with pytest.raises(Refused) as refused:
        staff.create(name, "", roles, actor=root)
    assert refused.value.code == code
    assert not Event.objects.exists()


def test_the_last_administrator_who_can_sign_in_stays_one() -> None:
    root = administrator()
    staff.create("second", "", ["is_administrator"], actor=root)  # has not chosen a password yet
    for act in (
        lambda: staff.change(root.pk, "", ["is_operator"], actor=root),
        lambda: staff.close(root.pk, actor=root),
    ):
        with pytest.raises(Refused, match=r"staff\.last_administrator"):
            act()
    administrator("third")
    staff.change(root.pk, "", ["is_operator"], actor=root)
    assert not User.objects.get(pk=root.pk).is_administrator
    (event,) = Event.objects.filter(name="staff.roles.changed")
    assert event.data == {"user": "root", "roles": ["operator"], "were": ["administrator"]}


@pytest.mark.django_db(transaction=True)
def test_of_two_administrators_who_depose_each_other_at_once_one_stays() -> None:
    first, second = administrator("first"), administrator("second")
    results = at_once(
        lambda: staff.change(second.pk, "", ["is_operator"], actor=first),
        lambda: staff.change(first.pk, "", ["is_operator"], actor=second),
    )
    assert sum(isinstance(result, Refused) for result in results) == 1
    assert User.objects.filter(is_administrator=True).count() == 1


def test_a_closed_login_is_out_at_the_next_page_and_in_again_when_opened() -> None:
    root, dana = administrator(), User.objects.create_user("dana", password=PASSWORD, is_operator=True)
    client = Client(headers={"host": "localhost"})
    client.force_login(dana)
    assert client.get("/profile").status_code == 200
    staff.close(dana.pk, actor=root)
    assert client.get("/profile").status_code == 302
    with pytest.raises(Refused, match=r"staff\.closed"):
        staff.link_for(dana.pk, actor=root)
    staff.open_again(dana.pk, actor=root)
    assert client.get("/profile").status_code == 200
    assert names() == ["staff.closed", "staff.opened"]


def test_a_password_is_changed_by_whoever_knows_the_one_before() -> None:
    root = administrator()
    with pytest.raises(Refused, match=r"staff\.wrong_password"):
        staff.change_password(root, "guess", "another pass phrase 9")
    with pytest.raises(ValidationError):
        staff.change_password(root, PASSWORD, "short")
    staff.change_password(root, PASSWORD, "another pass phrase 9")
    assert User.objects.get().check_password("another pass phrase 9")
    assert names() == ["staff.password.changed"]


# Pages


@pytest.fixture
def panel() -> Iterator[Client]:
    cache.clear()  # what counts tries
    client = Client(headers={"host": "localhost"})
    client.force_login(administrator())
    yield client
    cache.clear()


def test_the_link_is_shown_once_and_stands_in_no_row(panel: Client) -> None:
    page = panel.post("/staff/new", {"username": "dana", "full_name": "Dana", "roles": ["is_operator"]})
    (token,) = re.findall(r"http://localhost:\d+/first/(\S{43})<", page.text)
    assert "no-store" in page.headers["Cache-Control"]
    assert staff.find_link(token).user.username == "dana"
    dana = User.objects.get(username="dana")
    again = panel.get(f"/staff/{dana.pk}")
    assert token not in again.text
    assert "A link is under way" in again.text
    sessions = [str(session.get_decoded()) for session in Session.objects.all()]
    assert token not in str(sessions) + str(list(Event.objects.values())) + str(list(OneTimeLink.objects.values()))
    fresh = panel.post(f"/staff/{dana.pk}/link")
    assert re.search(r"/first/\S{43}<", fresh.text)
    with pytest.raises(staff.LinkRefused):
        staff.find_link(token)


def test_wrong_input_is_told_at_its_field_and_kept(panel: Client) -> None:
    page = panel.post("/staff/new", {"username": "dana w", "full_name": "Dana W", "roles": ["is_helpdesk"]})
    assert page.status_code == 422
    assert page.text.count("letters, digits and @ . + - _ only") == 2
    assert 'value="Dana W"' in page.text
    assert re.search(r'value="is_helpdesk"[^>]*checked', page.text)
    page = panel.post("/staff/new", {"username": "dana"})
    assert page.text.count("Choose at least one role.") == 2


def test_the_only_administrator_is_told_why_they_stay(panel: Client) -> None:
    root = User.objects.get()
    page = panel.post(f"/staff/{root.pk}", {"roles": ["is_operator"]})
    assert (page.status_code, "This is the only administrator" in page.text) == (422, True)
    assert "This is the only administrator" in panel.post(f"/staff/{root.pk}/close", follow=True).text
    assert User.objects.get().is_active


def test_the_list_of_logins_asks_the_database_twice(django_assert_num_queries: Any) -> None:
    for number in range(5):
        staff.create(f"person{number}", "", ["is_operator"], actor=administrator(f"root{number}"))
    with django_assert_num_queries(2):
        rows = selector.logins()
    assert [bool(row.link_until) for row in rows] == [True] * 5 + [False] * 5


def test_ones_own_password_changes_on_the_profile_and_the_session_goes_on(panel: Client) -> None:
    form = {"current": PASSWORD, "password": "another pass phrase 9", "again": "another pass phrase 9"}
    wrong = panel.post("/profile/password", form | {"current": "guess"})
    assert (wrong.status_code, wrong.text.count("That is not your password now.")) == (422, 2)
    differs = panel.post("/profile/password", form | {"again": "x"})
    assert differs.text.count("The two passwords differ.") == 2
    assert panel.post("/profile/password", form | {"password": "short", "again": "short"}).status_code == 422
    assert "another pass phrase 9" not in wrong.text + differs.text
    assert "Your password is changed." in panel.post("/profile/password", form, follow=True).text


def test_guessing_ones_password_has_an_end(panel: Client) -> None:
    form = {"current": "guess", "password": "another pass phrase 9", "again": "another pass phrase 9"}
    pages = [panel.post("/profile/password", form) for _ in range(6)]
    assert "Too many tries." in pages[-1].text
    assert "Too many tries." in panel.post("/profile/password", form | {"current": PASSWORD}).text
