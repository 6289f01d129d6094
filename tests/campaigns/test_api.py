"""The state of things as JSON: for those who may see it, reading only, and never a secret."""

from __future__ import annotations

import json

import pytest
from django.test import Client
from django.urls import include, path

from campaigns.models import Campaign, User
from campaigns.services import accounts, secrets
from campaigns.states import AccountState
from migrator.errors import MigratorError, Side
from migrator.secret import Secret
from tests.campaigns.factories import claim, make_account, make_batch, make_user, put

S = AccountState
urlpatterns = [path("api/", include("campaigns.api"))]
pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]

ROLES = ("is_operator", "is_helpdesk", "is_manager", "is_administrator")


@pytest.fixture
def client() -> Client:
    client = Client()
    client.force_login(make_user(is_operator=True))
    return client


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def places() -> list[str]:
    account = make_account()
    batch = f"/api/batches/{account.batch_id}"
    return ["/api/campaigns", batch, f"{batch}/accounts", f"/api/accounts/{account.pk}"]


def test_who_is_not_signed_in_gets_nothing_and_no_page() -> None:
    for place in places():
        answer = Client().get(place)
        assert (answer.status_code, answer.json()) == (401, {"error": "sign_in_needed"})


def test_each_role_sees_what_it_may(db: None) -> None:
    found = places()
    seen = {role: [signed_in(make_user(**{role: True})).get(place).status_code for place in found] for role in ROLES}
    assert seen == {
        "is_operator": [200, 200, 200, 200],
        "is_helpdesk": [403, 403, 403, 200],
        "is_manager": [200, 200, 200, 200],
        "is_administrator": [200, 200, 200, 200],
    }
    assert [signed_in(make_user()).get(place).status_code for place in found] == [403] * 4


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_nothing_is_changed_here(client: Client, method: str) -> None:
    for place in places():
        assert getattr(client, method)(place).status_code == 405


def test_what_is_not_there_says_so(client: Client) -> None:
    for place in ("/api/batches/999", "/api/batches/999/accounts", "/api/accounts/999"):
        assert client.get(place).status_code == 404


def test_campaigns_come_with_batches_and_figures(client: Client) -> None:
    batch = make_batch(3)
    put(batch.accounts.all()[0], S.DONE)
    (campaign,) = client.get("/api/campaigns").json()["campaigns"]
    assert (campaign["accounts"], campaign["states"]) == (3, {"new": 2, "done": 1})
    assert campaign["batches"][0]["id"] == batch.pk
    answer = client.get(f"/api/batches/{batch.pk}").json()
    assert (answer["states"], answer["families"]) == ({"new": 2, "done": 1}, {"waiting": 2, "done": 1})
    assert (answer["waits_for"], answer["ended_at"]) == ("go", None)


def test_accounts_of_a_batch_come_in_pages(client: Client) -> None:
    batch = make_batch(5)
    put(batch.accounts.order_by("pk")[1], S.FAILED)
    place = f"/api/batches/{batch.pk}/accounts"
    first = client.get(place, {"limit": 3}).json()
    rest = client.get(place, {"limit": 3, "after": first["next_after"]}).json()
    ids = [account["id"] for account in first["accounts"] + rest["accounts"]]
    assert (ids, rest["next_after"]) == (list(batch.accounts.order_by("pk").values_list("pk", flat=True)), None)
    assert [row["state"] for row in client.get(place, {"state": "failed"}).json()["accounts"]] == ["failed"]


@pytest.mark.parametrize(
    "question", [{"state": "asleep"}, {"after": "-1"}, {"limit": "many"}, {"after": "9" * 30}, {"after": "²"}]
)
def test_a_question_that_is_none_is_refused(client: Client, question: dict[str, str]) -> None:
    assert client.get(f"/api/batches/{make_batch().pk}/accounts", question).status_code == 400


def test_an_account_says_where_it_is_what_is_wrong_and_what_happened(client: Client) -> None:
    account = make_account(S.CHECKING)
    error = MigratorError("sign_in.unknown_user", side=Side.TARGET, reply="NO who is that")
    accounts.settle(claim(account), error, state=S.CHECKING)
    answer = client.get(f"/api/accounts/{account.pk}").json()
    assert (answer["state"], answer["owner"], answer["waits_for"]) == ("failed", "source", "")  # the lease is not back
    assert answer["error"]["sentence"] == "The server knows no mailbox of this name."
    assert (answer["error"]["side"], answer["error"]["reply"]) == ("target", "NO who is that")
    assert [event["name"] for event in answer["events"]] == ["account.state.failed"]


def test_no_answer_holds_a_secret(client: Client) -> None:
    account = make_account()
    secrets.set_account_password(account, Side.SOURCE, Secret("hunter2"), actor=make_user())
    account.refresh_from_db()
    sealed = bytes(account.source_secret).decode()
    for place in ("/api/campaigns", f"/api/batches/{account.batch_id}/accounts", f"/api/accounts/{account.pk}"):
        text = json.dumps(client.get(place).json())
        assert "hunter2" not in text
        assert sealed not in text


def test_a_closed_campaign_can_still_be_read(client: Client) -> None:
    account = make_account(S.DONE)
    Campaign.objects.update(closed_at=account.state_since)
    assert client.get(f"/api/batches/{account.batch_id}").status_code == 200
    assert client.get(f"/api/accounts/{account.pk}").status_code == 200


def test_answers_are_not_kept_by_caches(client: Client) -> None:
    assert "no-store" in client.get("/api/campaigns")["Cache-Control"]
