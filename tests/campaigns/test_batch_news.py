"""The news of a batch are shared by all who see the same, and by nobody else."""

from __future__ import annotations

import re

import pytest
from django.db import connection
from django.template.base import Template
from django.template.context import Context
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.safestring import SafeString

from campaigns.models import Account, Batch, User
from campaigns.states import AccountState as S
from tests.campaigns.factories import make_batch, make_user, put

pytestmark = pytest.mark.django_db


class Reader:
    """Somebody with the page of a batch before them."""

    def __init__(self, batch: Batch, user: User, query: str = "") -> None:
        self.client = Client()
        self.client.force_login(user)
        self.batch = batch
        self.open(query)

    def open(self, query: str = "") -> str:
        html = self.client.get(f"/batches/{self.batch.pk}{query}").content.decode()
        self.address = re.findall(r'hx-get="([^"]+)"', html)[0].replace("&amp;", "&")
        self.seen = re.findall(r'"seen": "([0-9a-f]+)"', html)[0]
        return html

    def ask(self) -> str:
        """Ask for news as live.js does; empty when there is none."""
        answer = self.client.get(f"{self.address}&seen={self.seen}")
        assert answer.status_code == (200 if answer.content else 204)
        self.seen = answer["X-Live-Seen"]
        return answer.content.decode()


def somebody(zone: str = "", **roles: bool) -> User:
    user = make_user(**roles)
    User.objects.filter(pk=user.pk).update(time_zone=zone)
    return user


def moving(count: int = 3) -> Batch:
    return make_batch(count, state=S.READY, go_at=timezone.now())


def fail_one(batch: Batch) -> Account:
    account = batch.accounts.order_by("pk")[0]
    put(account, S.FAILED, error_code="target.full", error_side="target", resume_state="staging")
    return account


def test_of_those_who_look_one_has_the_batch_read_and_rendered(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = moving()
    readers = [Reader(batch, somebody(is_operator=True)) for _ in range(3)]
    fail_one(batch)
    rendered: list[str | None] = []
    render = Template.render

    def note(self: Template, context: Context) -> SafeString:
        rendered.append(self.name)
        return render(self, context)

    monkeypatch.setattr(Template, "render", note)
    told, costs, queries = [], [], []
    for reader in readers:
        rendered.clear()
        with CaptureQueriesContext(
            connection,
        ) as asked:
            told.append(reader.ask())
        costs.append(len(rendered))
        queries.append(len(asked))
    assert all("Not moved" in html for html in told)
    assert costs[0] > 0
    assert costs[1:] == [0, 0]
    assert queries[1:] == [2, 2]  # who asks: their session and their login


def test_nothing_new_renders_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Reader(moving(), somebody(is_operator=True))
    reader.ask()
    monkeypatch.setattr(Template, "render", lambda *_: pytest.fail("rendered"))
    assert reader.ask() == ""


def test_whoever_only_reads_gets_no_button_that_an_operator_got() -> None:
    batch = moving()
    operator, manager = Reader(batch, somebody(is_operator=True)), Reader(batch, somebody(is_manager=True))
    fail_one(batch)
    theirs, managers = operator.ask(), manager.ask()
    assert 'name="act"' in theirs
    assert 'name="a"' in theirs
    assert "Not moved" in managers
    for button in ('name="act"', 'name="a"', "btn-primary"):
        assert button not in managers


def test_an_operator_keeps_the_buttons_when_a_manager_asked_first() -> None:
    batch = moving()
    manager, operator = Reader(batch, somebody(is_manager=True)), Reader(batch, somebody(is_operator=True))
    fail_one(batch)
    assert "btn-primary" not in manager.ask()
    assert "btn-primary" in operator.ask()


def test_who_may_not_read_batches_is_refused_though_the_answer_is_there() -> None:
    batch = moving()
    reader = Reader(batch, somebody(is_operator=True))
    reader.ask()
    stranger = Client()
    address = f"{reader.address}&seen={reader.seen}"
    assert stranger.get(address).status_code == 302
    stranger.force_login(somebody(is_helpdesk=True))
    assert stranger.get(address).status_code == 403


def test_a_role_that_was_taken_away_is_gone_with_the_next_answer() -> None:
    batch = moving()
    user = somebody(is_operator=True, is_manager=True)
    reader = Reader(batch, user)
    reader.ask()
    User.objects.filter(pk=user.pk).update(is_operator=False)
    fail_one(batch)
    reader.open()
    reader.seen = reader.seen[:13]  # as if it had seen no part
    assert "btn-primary" not in reader.ask()


def test_everybody_has_their_own_token() -> None:
    batch = moving()
    users = [somebody(is_operator=True) for _ in range(2)]
    readers = [Reader(batch, user) for user in users]
    for reader in readers:
        reader.client.handler.enforce_csrf_checks = True
    fail_one(batch)
    tokens = [re.findall(r'csrfmiddlewaretoken" value="([^"]+)"', reader.ask()) for reader in readers]
    assert all(len(mine) == 2 and all(len(token) == 64 for token in mine) for mine in tokens)
    mine = readers[0]
    act = f"/batches/{batch.pk}/act"
    assert mine.client.post(act, {"act": "pause", "csrfmiddlewaretoken": tokens[1][0]}).status_code == 403
    assert mine.client.post(act, {"act": "pause", "csrfmiddlewaretoken": tokens[0][0]}).status_code == 302


def test_everybody_has_times_in_their_own_zone() -> None:
    batch = make_batch(2, state=S.STAGING)
    Batch.objects.filter(pk=batch.pk).update(started_at=timezone.now().replace(hour=12, minute=7))
    readers = [Reader(batch, somebody(zone, is_operator=True)) for zone in ("Asia/Kolkata", "Asia/Tokyo")]
    for reader in readers:
        reader.seen = reader.seen[:13]
    kolkata, tokyo = (reader.ask() for reader in readers)
    assert "17:37" in kolkata
    assert "21:07" in tokyo


def test_what_somebody_did_is_on_their_page_at_once_and_stays() -> None:
    batch = moving()
    reader, other = (Reader(batch, somebody(is_operator=True)) for _ in range(2))
    fail_one(batch)
    other.ask()  # keeps how the batch stands now
    reader.client.post(f"/batches/{batch.pk}/act", {"act": "pause"})
    assert "Paused: nothing more begins" in reader.open()
    assert reader.ask() == ""
    assert "Paused: nothing more begins" in other.ask()  # answered from the same reading


@pytest.mark.parametrize("seen", ["", "x", "zz" * 40, "0", "f" * 13])
def test_whatever_a_page_claims_to_have_seen_it_gets_what_is(seen: str) -> None:
    batch = moving()
    reader = Reader(batch, somebody(is_operator=True))
    reader.ask()
    account = fail_one(batch)
    reader.seen = seen
    if seen == "0":  # it would do with what is kept
        reader.seen = f"{0:013x}"
        assert 'id="row-' in reader.ask()
    else:
        assert f'id="row-{account.pk}"' in reader.ask()


def test_the_filter_goes_with_the_question() -> None:
    batch = moving()
    account = fail_one(batch)
    reader = Reader(batch, somebody(is_operator=True), "?state=failed&order=size")
    assert reader.address.startswith(f"/batches/{batch.pk}/live?state=failed&order=size&rows={account.pk}")
    reader.seen = reader.seen[:13]
    assert "list.csv?state=failed" in reader.ask()


def test_every_template_of_the_panel_is_compiled_before_the_first_reader() -> None:
    from campaigns.views.warm import warm_up

    assert warm_up() > 50
