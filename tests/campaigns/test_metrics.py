"""Figures for monitoring: right, without names of people, and not for everybody."""

from __future__ import annotations

import pytest
from django.conf import LazySettings
from django.test import Client

from campaigns.models import Account, Batch, BatchCount, Campaign, Server
from campaigns.services import beats

pytestmark = pytest.mark.django_db


def ask(**headers: str) -> tuple[int, str]:
    answer = Client(headers={"host": "localhost", **headers}).get("/metrics")
    return answer.status_code, answer.text


def test_the_figures_are_those_of_the_rows() -> None:
    source = Server.objects.create(name="source", host="a.example.org", port=143)
    target = Server.objects.create(name="target", host="b.example.org", port=143)
    campaign = Campaign.objects.create(name='the "move"', source=source, target=target)
    batch = Batch.objects.create(campaign=campaign, number=3)
    BatchCount.objects.create(batch=batch, state="new", accounts=2)
    BatchCount.objects.create(batch=batch, state="done", accounts=0)
    for login in ("anna", "berta"):
        Account.objects.create(
            campaign=campaign,
            batch=batch,
            source=source,
            target=target,
            source_login=login,
            target_login=login,
            messages_done=20,
            bytes_done=5000,
        )
    beats.beat("stage-1@here", queues="stage", lanes=8)
    _, text = ask()
    lines = text.splitlines()
    assert 'mailferry_accounts{batch="3",campaign="the \\"move\\"",state="new"} 2.0' in lines
    assert 'mailferry_messages_done_total{campaign="the \\"move\\""} 40.0' in lines
    assert 'mailferry_bytes_done_total{campaign="the \\"move\\""} 10000.0' in lines
    assert "mailferry_accounts_worked_on 0.0" in lines
    assert 'mailferry_lanes{program="stage-1@here"} 8.0' in lines
    assert "anna" not in text


def test_a_scrape_costs_the_same_however_many_accounts_there_are(django_assert_num_queries: object) -> None:
    with django_assert_num_queries(5):  # type: ignore[operator]
        ask()


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded"])
def test_what_came_through_a_proxy_needs_the_token(settings: LazySettings, header: str) -> None:
    assert ask()[0] == 200
    assert ask(**{header: "192.0.2.1"})[0] == 403
    settings.METRICS_TOKEN = "secret"
    assert ask(**{header: "192.0.2.1", "authorization": "Bearer secret"})[0] == 200
    assert ask(**{header: "192.0.2.1", "authorization": "Bearer secre"})[0] == 403


def test_behind_a_proxy_nobody_is_taken_for_this_machine(settings: LazySettings) -> None:
    settings.TRUSTED_PROXY = ("127.0.0.1/32",)
    assert ask()[0] == 403


def test_a_panel_with_a_public_name_may_have_a_proxy_that_it_does_not_know(settings: LazySettings) -> None:
    settings.URL = "https://move.example.org"
    assert ask()[0] == 403


def test_other_machines_need_the_token() -> None:
    assert Client(headers={"host": "localhost"}).get("/metrics", REMOTE_ADDR="192.0.2.1").status_code == 403
    assert Client(headers={"host": "localhost"}).get("/metrics", REMOTE_ADDR="::1").status_code == 200


def test_no_token_set_means_that_none_is_right(settings: LazySettings) -> None:
    settings.TRUSTED_PROXY = ("127.0.0.1/32",)
    assert ask(authorization="Bearer ")[0] == 403
