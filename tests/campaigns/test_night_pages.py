"""The pages of a night ask no question an account, however many people move."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.campaigns import night_scene
from tests.campaigns.factories import make_user

pytestmark = pytest.mark.django_db
PEOPLE = 90  # in each of three batches
MOST_QUERIES = 45
MOST_BYTES = 150_000


def test_no_page_of_the_night_asks_a_question_for_each_account(client: Client) -> None:
    client.force_login(make_user(is_operator=True, is_administrator=True, is_manager=True))
    found = {}
    for address in night_scene.platform(PEOPLE):
        with CaptureQueriesContext(
            connection,
        ) as asked:
            answer = client.get(address)
        assert answer.status_code == 200, address
        found[address] = (len(asked), len(answer.content))
    assert {address: cost for address, cost in found.items() if cost[0] > MOST_QUERIES or cost[1] > MOST_BYTES} == {}
