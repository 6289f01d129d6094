"""The night of a batch: nobody says go past what is needed, and what was foreseen stands beside what came."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from campaigns.models import AccountName, AlarmChannel, Batch, Campaign, Connector, GoSaid, Run
from campaigns.selectors import night as selector
from campaigns.services import alarms, go_no_go, preflights
from campaigns.services.refusals import Refused
from campaigns.states import AccountState
from tests.campaigns.factories import event_names, make_batch, make_user, make_worker, put

pytestmark = pytest.mark.django_db

S = AccountState


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(make_user(is_operator=True))
    return client


def loaded(batch: Batch) -> Batch:
    related = ("campaign__source", "campaign__target", "campaign__source_directory", "campaign__target_directory")
    return Batch.objects.select_related(*related).get(pk=batch.pk)


def locking(count: int = 3, **fields: Any) -> Batch:
    """A batch whose users are locked out while they move, by a method that was proved."""
    batch = make_batch(count, state=S.READY, **fields)
    directory = Connector.objects.create(room="directory", kind="sql", name=f"staff {batch.pk}", options={})
    Campaign.objects.filter(pk=batch.campaign_id).update(source_directory=directory)
    return loaded(batch)


@pytest.fixture
def proved_method(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflights, "is_accepted", lambda campaign: True)


def read_test_alarm() -> None:
    """Somebody reads a test that came by a way which is not being moved."""
    options = {"url": "https://pager.example.test/"}
    channel = AlarmChannel.objects.create(name="pager", kind="webhook", options=options, changed_at=timezone.now())
    sent = alarms.test(channel, actor="anna")
    alarms.acknowledge_test(sent.pk, sent.code, actor="anna")


def codes(batch: Batch) -> dict[str, bool]:
    return {finding.code: finding.is_well for finding in go_no_go.look(loaded(batch)).findings}


def say_go(client: Client, batch: Batch, **fields: str) -> Any:
    return client.post(f"/batches/{batch.pk}/night", {"number": str(batch.accounts.count()), **fields})


# Go or no go


def test_nobody_says_go_where_accounts_are_made_closed_and_nothing_opens_them(
    operator: Client, proved_method: None
) -> None:
    batch = locking()
    read_test_alarm()
    makes = Connector.objects.create(room="population", kind="dovecot", name="makes", options={})
    Campaign.objects.filter(pk=batch.campaign_id).update(population=makes)
    assert "opened" not in codes(batch)  # the classic night makes nobody
    Campaign.objects.update(recipe="secondary")
    assert codes(batch)["opened"] is False
    assert "nothing opens them" in operator.get(f"/batches/{batch.pk}/night").content.decode()
    with pytest.raises(Refused):
        go_no_go.go(loaded(batch), actor="anna")
    opens = Connector.objects.create(room="directory", kind="dovecot", name="opens", options={})
    Campaign.objects.update(target_directory=opens)
    Connector.objects.filter(pk=opens.pk).update(options={"deny": {"list": "denied"}})  # leaves nologin in the line
    assert codes(batch)["opened"] is False
    Connector.objects.filter(pk=opens.pk).update(options={})
    assert codes(batch)["opened"] is True
    go_no_go.go(loaded(batch), actor="anna")


def test_nobody_says_go_before_somebody_has_read_a_test_alarm(operator: Client, proved_method: None) -> None:
    batch = locking()
    page = operator.get(f"/batches/{batch.pk}/night").content.decode()
    assert "Nobody has read a test alarm" in page
    assert "No go." in page
    assert "Say go for" not in page
    answer = say_go(operator, batch)
    assert answer.status_code == 422
    assert "is not well" in answer.content.decode()
    with pytest.raises(Refused):
        go_no_go.go(loaded(batch), actor="anna")
    read_test_alarm()
    assert "Somebody read a test within a day: pager." in operator.get(f"/batches/{batch.pk}/night").content.decode()
    assert say_go(operator, batch).status_code == 302
    batch.refresh_from_db()
    assert batch.go_at is not None
    assert event_names(batch=batch)[-1] == "batch.go"


def test_a_method_that_was_not_proved_keeps_everybody_from_saying_go() -> None:
    batch = locking()
    read_test_alarm()
    assert codes(batch)["method"] is False
    assert not go_no_go.look(batch).may_go


def test_where_nobody_is_locked_out_no_alarm_is_needed(operator: Client) -> None:
    batch = make_batch(2, state=S.READY)
    assert "alarm" not in codes(batch)
    assert say_go(operator, batch).status_code == 302


@pytest.mark.parametrize("recipe", ["sims1", "sims3", "switching"])
def test_who_is_locked_out_by_a_persons_hand_alone_needs_an_alarm_too(recipe: str) -> None:
    batch = make_batch(2, state=S.READY)
    Campaign.objects.filter(pk=batch.campaign_id).update(recipe=recipe)
    assert codes(batch)["alarm"] is False
    assert "cannot sign in" in selector.announcement(loaded(batch), None)
    read_test_alarm()
    assert codes(batch)["alarm"]


def test_where_a_route_switches_an_alarm_is_needed_though_nobody_is_locked_out() -> None:
    batch = make_batch(2, state=S.READY)
    route = Connector.objects.create(room="route", kind="sql", name="front", options={})
    Campaign.objects.filter(pk=batch.campaign_id).update(route=route)
    assert codes(batch)["alarm"] is False
    assert "You can read your mail all the time." in selector.announcement(loaded(batch), None)


@pytest.mark.parametrize("room", ["hold", "route"])
def test_addresses_that_a_hold_or_route_by_address_does_not_know_are_named(room: str) -> None:
    batch = make_batch(3, state=S.READY)
    first, second, _ = batch.accounts.order_by("pk")
    for account, address in ((first, "a.one@example.org"), (first, "first@example.org"), (second, "b@example.org")):
        AccountName.objects.create(account=account, kind="address", value=address)
    AccountName.objects.create(account=second, kind="address", value=second.source_login.casefold())
    assert "addresses" not in codes(batch), "nothing goes by addresses"
    row = Connector.objects.create(room=room, kind="postfix", name="front", options={})
    Campaign.objects.filter(pk=batch.campaign_id).update(**{room: row})
    (line,) = (line for line in selector.view(loaded(batch)).lines if line.code == "addresses")
    assert line.family == "attention"
    assert "have 3 more, such as a.one@example.org, b@example.org, first@example.org." in line.told
    put(first, S.EXCLUDED)
    put(second, S.EXCLUDED)
    assert codes(batch)["addresses"]


def test_the_demo_goes_without_an_alarm(settings: Any, proved_method: None) -> None:
    settings.DEMO = True
    assert codes(locking())["alarm_demo"]


def test_what_a_person_weighs_is_told_and_keeps_nobody_from_saying_go() -> None:
    now = timezone.now()
    batch = make_batch(4, state=S.READY, window_begins_at=now, window_ends_at=now + timedelta(seconds=5))
    first, second, third, _ = batch.accounts.order_by("pk")
    put(first, S.STAGING)
    put(second, S.ATTENTION, owner="unknown", locked_at=now - timedelta(hours=1))
    batch.accounts.filter(pk=third.pk).update(state_since=now - timedelta(days=3))
    Run.objects.create(account=third, kind="stage", lease_epoch=1, outcome="ended", figures={"last_seconds": 9.0})
    batch.campaign.source.breaker_failures = 2
    batch.campaign.source.save()
    found = codes(batch)
    assert found == {
        "ready": False, "fresh": False, "window": False, "servers": False, "programs": False, "undecided": False,
        "overdue": False,
    }  # fmt: skip
    assert go_no_go.look(loaded(batch)).may_go


def flowing(hold: str, route: str = "", **fields: Any) -> Batch:
    batch = make_batch(1, state=S.READY)
    for room, kind in (("hold", hold), ("route", route)):
        if kind:
            fields[room] = Connector.objects.create(room=room, kind=kind, name=f"{room} {batch.pk}")
    Campaign.objects.filter(pk=batch.campaign_id).update(**fields)
    return loaded(batch)


def told(batch: Batch) -> tuple[str, str, str]:
    lines = [line for line in selector.view(batch).lines if line.code.startswith(("flow", "later"))]
    ((code, family, text),) = [(line.code, line.family, line.told) for line in lines]
    return code, family, text


def test_held_mail_that_nothing_leads_to_the_new_server_is_told() -> None:
    assert not [code for code in codes(make_batch(1, state=S.READY)) if code.startswith(("flow", "later"))]
    code, family, text = told(flowing("postfix"))  # late mail is not fetched unless somebody says so
    assert (code, family) == ("flow_away", "attention")
    assert "nobody fetches it from there" in text
    code, family, text = told(flowing("ldap", catch_up_days=7))
    assert (code, family) == ("flow", "attention")
    assert text.endswith("Days for which it is fetched from there: 7.")


@pytest.mark.parametrize("route", ["", "dovecot", "nginx"])
def test_what_a_file_holds_is_brought_and_only_later_mail_is_told_of(route: str) -> None:
    code, family, text = told(flowing("forward_file", route))
    assert (code, family) == ("later_away", "attention")
    assert text.startswith("What is held is brought to the new server")
    assert told(flowing("forward_file", route, catch_up_days=3))[2].endswith("is fetched from there: 3.")


@pytest.mark.parametrize(("route", "leads"), [("dovecot", False), ("nginx", False), ("postfix", True), ("ldap", True)])
def test_a_route_that_leads_sign_ins_leads_no_mail(route: str, leads: bool) -> None:
    _, family, text = told(flowing("postfix", route))
    assert family == ("done" if leads else "attention")
    assert text.startswith("Flows to the new server" if leads else "No route here leads mail to the new server.")


def test_everything_is_well_when_it_is() -> None:
    make_worker("control,stage,cutover")
    make_worker("ticker")
    now = timezone.now()
    batch = make_batch(2, state=S.READY, window_begins_at=now, window_ends_at=now + timedelta(hours=8))
    for account in batch.accounts.all():
        Run.objects.create(account=account, kind="stage", lease_epoch=1, outcome="ended", figures={"last_seconds": 1.5})
    found = codes(batch)
    assert all(found.values()), found
    assert "window" in found


def test_a_window_that_is_over_is_told() -> None:
    now = timezone.now()
    ended = {"window_begins_at": now - timedelta(hours=2), "window_ends_at": now - timedelta(hours=1)}
    assert codes(make_batch(1, state=S.READY, **ended))["window_over"] is False


def test_every_finding_has_its_sentences() -> None:
    for code, (heading, well, not_well) in selector.SENTENCES.items():
        assert str(heading)
        assert str(well) or str(not_well), code


# Forecast beside reality


def test_the_forecast_is_told_before_and_kept_beside_what_came(operator: Client) -> None:
    batch = make_batch(2, state=S.READY)
    for account in batch.accounts.all():
        Run.objects.create(account=account, kind="stage", lease_epoch=1, outcome="ended", figures={"last_seconds": 3.0})
    page = operator.get(f"/batches/{batch.pk}/night").content.decode()
    assert "about <strong>9\N{NO-BREAK SPACE}s</strong>" in page
    assert "Measured by the last copy ahead of 2 accounts" in page
    assert say_go(operator, batch).status_code == 302
    said = GoSaid.objects.get()
    assert (said.forecast["lockout"], said.forecast["accounts"]) == (9.0, 2)
    first = batch.accounts.order_by("pk").first()
    assert first is not None
    run = Run.objects.create(account=first, kind="cutover", lease_epoch=2, outcome="done")
    put(first, S.DONE, lockout_seconds=4.0, state_since=run.started_at + timedelta(seconds=7))
    page = operator.get(f"/batches/{batch.pk}/night").content.decode()
    assert "Forecast beside reality" in page
    assert "4\N{NO-BREAK SPACE}s" in page
    view = selector.view(loaded(batch))
    assert view.reality.seconds == pytest.approx(7.0, abs=0.01)
    assert (view.reality.moved, view.reality.lockout, view.reality.slowest) == (1, 4.0, 4.0)


def test_more_than_fifty_are_typed(operator: Client) -> None:
    batch = make_batch(60, state=S.READY)
    assert say_go(operator, batch, typed="6").status_code == 422
    assert say_go(operator, batch, number="59", typed="60").status_code == 422
    batch.refresh_from_db()
    assert batch.go_at is None
    assert say_go(operator, batch, typed="60").status_code == 302


def test_who_is_locked_out_is_counted_with_the_longest_first(operator: Client) -> None:
    now = timezone.now()
    batch = make_batch(4, state=S.CUTTING_OVER, go_at=now)
    first, second, third, fourth = batch.accounts.order_by("pk")
    batch.accounts.filter(pk=first.pk).update(locked_at=now - timedelta(minutes=2), step="delta")
    batch.accounts.filter(pk=second.pk).update(locked_at=now - timedelta(minutes=40), step="enable", owner="target")
    batch.accounts.filter(pk=third.pk).update(step="switch", owner="unknown")
    batch.accounts.filter(pk=fourth.pk).update(step="hold")
    view = selector.view(loaded(batch))
    assert (view.page.pace.locked_now, view.page.pace.locked_since) == (2, now - timedelta(minutes=40))
    assert (view.now.can_go_back, view.now.only_forward) == (2, 2)
    assert [account.pk for account in view.longest] == [second.pk, first.pk]
    assert view.late == {second.pk}
    page = operator.get(f"/batches/{batch.pk}/night").content.decode()
    assert "<strong>2</strong> users are locked out now" in page
    assert "2 could still be let back, 2 only go forward" in page
    assert "too long" in page


def test_the_night_is_stopped_from_its_page(operator: Client) -> None:
    batch = make_batch(2, state=S.READY, go_at=timezone.now())
    answer = operator.post(f"/batches/{batch.pk}/act", {"act": "withdraw", "back": "night"})
    assert answer["Location"] == f"/batches/{batch.pk}/night"
    batch.refresh_from_db()
    assert batch.go_at is None


def test_the_page_renews_itself_in_parts(operator: Client) -> None:
    batch = make_batch(2, state=S.CUTTING_OVER, go_at=timezone.now())
    page = operator.get(f"/batches/{batch.pk}/night", headers={"HX-Request": "true"})
    assert page["X-Live-Seconds"] == "2"
    assert 'id="night"' in page.content.decode()
    assert "<html" not in page.content.decode()


def test_a_manager_reads_the_night_and_says_no_go(client: Client) -> None:
    client.force_login(make_user(is_manager=True))
    batch = make_batch(2, state=S.READY)
    page = client.get(f"/batches/{batch.pk}/night").content.decode()
    assert "An operator says go." in page
    assert say_go(client, batch).status_code == 403


def test_a_thousand_cost_no_more_queries_than_two(
    operator: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    batch = make_batch(300, state=S.READY)
    batch.accounts.filter(pk__lte=batch.accounts.order_by("pk")[49].pk).update(state=S.CUTTING_OVER, step="delta")
    with django_assert_max_num_queries(40):
        assert operator.get(f"/batches/{batch.pk}/night").status_code == 200
