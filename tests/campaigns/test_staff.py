"""The first administrator and one-time links."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.utils import timezone

from campaigns.models import Event, OneTimeLink, User
from campaigns.permissions import Verb, may
from campaigns.services import staff

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
