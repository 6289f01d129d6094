"""Steps that a person does: proved by what is seen or recorded with a name and a reason, and nothing in between."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from campaigns.bridge import by_hand
from campaigns.models import (
    Account,
    AllowedAddress,
    Batch,
    Campaign,
    Confirmation,
    Event,
    PlaceBook,
    Run,
    Server,
    User,
)
from campaigns.services import batches, confirmations, go_no_go, place_books
from campaigns.services.place_books import Places
from campaigns.services.refusals import Refused
from campaigns.states import AccountState
from migrator.preflight.by_hand import CHECKS
from migrator.recipes import RECIPES
from tests.campaigns.crossings import give_password, make_admin
from tests.campaigns.factories import event_names, make_batch, make_user
from tests.campaigns.towns import Town
from tests.rigs.base import HOST, free_port
from tests.rigs.greeter import Greeter

pytestmark = pytest.mark.django_db
STEPS = [["person", "", "both_listen"], ["person", "", "port_closed"], ["delta", "", ""], ["person", "", ""]]
SWITCH = ["switch", "", ""]
OLD, NEW = "220 old.example.test ESMTP", "220 new.example.test ESMTP"


@pytest.fixture
def batch() -> Batch:
    batch = make_batch(3)
    Campaign.objects.update(steps=[*STEPS, SWITCH])
    return Batch.objects.select_related("campaign__source", "campaign__target").get(pk=batch.pk)


@pytest.fixture
def operator() -> User:
    return make_user(is_operator=True)


@pytest.fixture
def old() -> Iterator[Greeter]:
    with Greeter(OLD) as greeter:
        yield greeter


@pytest.fixture
def new() -> Iterator[Greeter]:
    with Greeter(NEW) as greeter:
        yield greeter


def plan(batch: Batch, operator: User, **ports: int) -> None:
    AllowedAddress.objects.get_or_create(host=HOST)
    places = {column: f"{HOST}:{port}" for column, port in ports.items()}
    place_books.save(batch.campaign, Places(ports={"smtp": places}), actor=operator)


def is_approved(batch: Batch, position: int, check: str) -> bool:
    return confirmations.is_confirmed(batch.pk, position, check)


@pytest.mark.req("S-88", "S-104")
def test_a_stopped_server_is_confirmed_by_its_closed_port_and_not_before(
    batch: Batch, operator: User, old: Greeter, new: Greeter
) -> None:
    plan(batch, operator, old=old.port, new_before=new.port)
    assert confirmations.look(batch, 0, actor=operator).confirmed_at is not None
    assert PlaceBook.objects.get().greetings == {f"smtp {HOST}:{old.port}": OLD}
    assert confirmations.look(batch, 1, actor=operator).confirmed_at is None
    assert (is_approved(batch, 0, "both_listen"), is_approved(batch, 1, "port_closed")) == (True, False)
    old.words = NEW  # the new server took the old one's place
    assert confirmations.look(batch, 1, actor=operator).confirmed_at is not None
    assert is_approved(batch, 1, "port_closed")
    names = ["batch.by_hand.confirmed", "batch.by_hand.looked", "batch.by_hand.confirmed"]
    rows = Event.objects.filter(name__startswith="batch.by_hand").order_by("pk")
    assert [row.name for row in rows] == names
    assert {row.actor for row in rows} == {operator}


def test_a_step_is_recorded_as_done_by_hand_with_a_name_and_a_reason_alone(batch: Batch, operator: User) -> None:
    for reason in ("", "   ", "x" * 501):
        with pytest.raises(Refused, match=r"by_hand\.reason"):
            confirmations.record_by_hand(batch, 3, reason, actor=operator)
    assert not is_approved(batch, 3, "")
    row = confirmations.record_by_hand(batch, 3, " Told the provider,\nby telephone. ", actor=operator)
    assert (row.reason, row.confirmed_by) == ("Told the provider, by telephone.", operator.get_username())
    assert is_approved(batch, 3, "")
    with pytest.raises(Refused, match=r"by_hand\.confirmed"):
        confirmations.record_by_hand(batch, 3, "again", actor=operator)
    confirmations.withdraw(batch, 3, actor=operator)
    assert not is_approved(batch, 3, "")
    assert event_names(batch=batch)[-2:] == ["batch.by_hand.recorded", "batch.by_hand.withdrawn"]


def test_a_look_that_finds_something_takes_no_word_back(batch: Batch, operator: User, old: Greeter) -> None:
    plan(batch, operator, old=old.port)
    confirmations.record_by_hand(batch, 1, "It runs on for other domains.", actor=operator)
    row = confirmations.look(batch, 1, actor=operator)
    assert (row.reason, row.confirmed_at is not None) == ("It runs on for other domains.", True)
    assert [one["code"] for one in row.evidence] == ["port.still_open"]


def test_steps_that_no_person_does_and_steps_without_a_check_are_refused(batch: Batch, operator: User) -> None:
    for position in (2, 4, 99):
        with pytest.raises(Refused, match=r"by_hand\.no_step"):
            confirmations.look(batch, position, actor=operator)
    with pytest.raises(Refused, match=r"by_hand\.no_check"):
        confirmations.look(batch, 3, actor=operator)
    with pytest.raises(Refused, match=r"by_hand\.not_confirmed"):
        confirmations.withdraw(batch, 3, actor=operator)


def test_what_was_confirmed_for_another_check_confirms_nothing_when_the_recipe_is_edited(
    batch: Batch, operator: User
) -> None:
    confirmations.record_by_hand(batch, 3, "done", actor=operator)
    Campaign.objects.update(steps=[*STEPS[:3], ["person", "", "dns"], SWITCH])
    batch.campaign.refresh_from_db()
    assert not is_approved(batch, 3, "dns")
    assert confirmations.look(batch, 3, actor=operator).confirmed_at is None
    assert Confirmation.objects.get().reason == ""


def test_a_proof_of_an_earlier_night_counts_no_more_once_somebody_says_go_again(batch: Batch, operator: User) -> None:
    confirmations.record_by_hand(batch, 0, "Both run.", actor=operator)
    go_no_go.go(batch, actor=operator, despite="a test")
    assert is_approved(batch, 0, "both_listen"), "who confirms before they say go need not do so twice"
    confirmations.record_by_hand(batch, 1, "Pulled the plug.", actor=operator)
    batch.accounts.filter(pk=batch.accounts.order_by("pk")[0].pk).update(state=AccountState.CUTTING_OVER)
    for account in batch.accounts.all():
        Run.objects.create(account=account, kind="cutover", lease_epoch=1, ended_at=timezone.now())
    batches.withdraw_go(batch, actor=operator)
    go_no_go.go(batch, actor=operator, despite="a test")
    assert is_approved(batch, 1, "port_closed"), "somebody is being moved still"
    batch.accounts.update(state=AccountState.READY)
    batches.withdraw_go(batch, actor=operator)
    confirmations.record_by_hand(batch, 3, "Told the provider of the next night.", actor=operator)
    go_no_go.go(batch, actor=operator, despite="a test")
    found = [is_approved(batch, *step) for step in ((0, "both_listen"), (1, "port_closed"), (3, ""))]
    assert found == [False, False, True]
    assert event_names(batch=batch)[-3:] == ["batch.by_hand.withdrawn", "batch.by_hand.withdrawn", "batch.go"]


def test_who_waits_for_a_person_goes_on_at_once(batch: Batch, operator: User) -> None:
    later = "2999-01-01T00:00Z"
    batch.accounts.update(state=AccountState.CUTTING_OVER, waiting_for="person", not_before=later)
    stopped = batch.accounts.order_by("pk").last()
    batch.accounts.filter(pk=stopped.pk).update(waiting_for="window")
    confirmations.record_by_hand(batch, 3, "done", actor=operator)
    assert batch.accounts.filter(not_before=None).count() == 2


def test_every_check_that_a_shipped_recipe_names_is_there_to_be_made() -> None:
    named = {step.check for recipe in RECIPES.values() for step in recipe.steps if step.check}
    assert named <= CHECKS.keys()


def test_an_address_that_is_allowed_no_more_is_not_knocked_at(batch: Batch, operator: User, old: Greeter) -> None:
    plan(batch, operator, old=old.port)
    AllowedAddress.objects.all().delete()
    row = confirmations.look(batch, 1, actor=operator)
    assert [one["code"] for one in row.evidence] == ["address.not_allowed"]
    assert old.connections == 0


@pytest.mark.parametrize(
    ("wanted", "code", "field"),
    [
        ({"ports": {"imap": {"old": "http://x"}}}, "places.place", "imap_old"),
        ({"ports": {"imap": {"new": "mail example"}}}, "places.place", "imap_new"),
        ({"ports": {"imaps": {"new": "127.0.0.2:993"}}}, "places.not_allowed", "imaps_new"),
        ({"domains": ("example.test\r\nx",)}, "places.name", "domains"),
        ({"mx": ("10 mx.example.test",)}, "places.name", "mx"),
        ({"spf": ("ip4:192.0.2.7 -all",)}, "places.spf", "spf"),
        ({"most_ttl": 0}, "places.ttl", "most_ttl"),
        ({"client_names": tuple(f"n{number}.test" for number in range(101))}, "places.many", "client_names"),
    ],
)
def test_what_is_no_place_is_refused_at_its_field(
    batch: Batch, operator: User, wanted: dict[str, object], code: str, field: str
) -> None:
    with pytest.raises(Refused) as refused:
        place_books.save(batch.campaign, Places(**wanted), actor=operator)  # type: ignore[arg-type]
    assert (refused.value.code, refused.value.field) == (code, field)
    assert not PlaceBook.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_night_waits_at_the_step_and_goes_on_when_it_is_confirmed(operator: User) -> None:
    town = Town(recipe="classic")
    around = ([["disable", "source", ""]], [["delta", "", ""], ["verify", "", ""], SWITCH, ["enable", "target", ""]])
    Campaign.objects.filter(pk=town.campaign.pk).update(steps=[*around[0], ["person", "", "port_closed"], *around[1]])
    town.campaign.refresh_from_db()
    town.accept()
    (anna,) = town.move_in("anna@example.test")

    def waits() -> bool:
        anna.refresh_from_db()
        return anna.waiting_for == "person"

    town.work(until=waits)
    assert (anna.state, anna.owner, town.rows[anna.source_login]["status"]) == ("cutting_over", "source", "inactive")
    batch = Batch.objects.select_related("campaign").get(pk=anna.batch_id)
    confirmations.record_by_hand(batch, 1, "Pulled the plug.", actor=operator)
    town.work()
    town.assert_crossed(anna)


# Pages


@pytest.fixture
def client_of(operator: User) -> Client:
    client = Client(headers={"host": "localhost"})
    client.force_login(operator)
    return client


def test_the_page_leads_through_the_steps_of_the_night(
    batch: Batch, operator: User, client_of: Client, old: Greeter
) -> None:
    url = f"/batches/{batch.pk}/by-hand"
    assert "Next: See both servers answer." in client_of.get(url).text
    plan(batch, operator, old=old.port)
    answer = client_of.post(f"{url}/1/look", follow=True)
    assert "Not yet: see what speaks against it." in answer.text
    assert "Still answers, and nobody noted" in answer.text
    wrong = client_of.post(f"{url}/1/record", {"reason": ""})
    assert (wrong.status_code, "Write down what was done." in wrong.text) == (422, True)
    client_of.post(f"{url}/1/record", {"reason": "<b>pulled the plug</b>"})
    page = client_of.get(url).text
    assert "&lt;b&gt;pulled the plug&lt;/b&gt;" in page
    client_of.post(f"{url}/1/withdraw")
    assert "pulled the plug" not in client_of.get(url).text


def test_the_page_costs_as_many_queries_for_three_people_as_for_none(
    batch: Batch, client_of: Client, django_assert_max_num_queries: object
) -> None:
    with django_assert_max_num_queries(8):  # type: ignore[operator]
        client_of.get(f"/batches/{batch.pk}/by-hand")


def test_a_campaign_without_such_steps_says_so(client_of: Client) -> None:
    batch = make_batch(1)
    assert "has no step that a person does" in client_of.get(f"/batches/{batch.pk}/by-hand").text


@pytest.mark.req("S-87")
def test_the_port_plan_is_typed_on_one_page_and_kept(batch: Batch, client_of: Client) -> None:
    AllowedAddress.objects.create(host=HOST)
    Campaign.objects.all().first()
    url = f"/campaigns/{batch.campaign_id}/places"
    port = free_port()
    form = {"imap_old": f"{HOST}:143", "imap_new_before": f"{HOST}:{port}", "imap_new": HOST, "most_ttl": "300"}
    form |= {"domains": "Example.test.\nexample.org", "mx": "mx.example.test"}
    assert client_of.post(url, form).status_code == 302
    book = PlaceBook.objects.get()
    assert book.ports == {"imap": {"old": f"{HOST}:143", "new_before": f"{HOST}:{port}", "new": f"{HOST}:143"}}
    assert book.domains == ["example.test", "example.org"]
    page = client_of.get(url).text
    assert f'value="{HOST}:{port}"' in page
    wrong = client_of.post(url, form | {"imap_old": "10.9.9.9:143"})
    assert (wrong.status_code, "This address is not allowed." in wrong.text) == (422, True)
    assert f'value="{HOST}:{port}"' in wrong.text, "nothing that was typed is lost"


def test_an_administrator_alone_says_what_only_an_administrator_may(
    batch: Batch, client_of: Client, tmp_path: Path, settings: Any
) -> None:
    settings.PROGRAMS = tmp_path
    tmp_path.chmod(0o755)
    (tmp_path / "queue").write_text("#!/bin/sh\n")
    (tmp_path / "queue").chmod(0o755)
    AllowedAddress.objects.create(host=HOST)
    url = f"/campaigns/{batch.campaign_id}/places"
    form = {"imap_new": f"{HOST}:31143", "most_ttl": "300", "queue_program": "queue"}
    refused = client_of.post(url, form)
    assert (refused.status_code, "Only an administrator says by which program" in refused.text) == (422, True)
    person = make_user(is_administrator=True)
    client = Client(headers={"host": "localhost"})
    client.force_login(person)
    assert f'href="{url}"' in client.get(f"/batches/{batch.pk}/by-hand").text
    assert "Names and ports" in client.get(url).text
    assert client.post(url, form).status_code == 302
    assert PlaceBook.objects.get().queue_program == "queue"
    said = Event.objects.get(name=by_hand.CHANGED)
    assert (said.actor, said.data[by_hand.VOUCHED]) == (person, [f"{HOST}:31143"])


def test_passwords_go_to_the_server_they_are_stored_for_and_to_no_other_allowed_host(
    batch: Batch, operator: User
) -> None:
    campaign = batch.campaign
    make_admin(campaign.target)
    account = batch.accounts.order_by("pk")[0]
    give_password(account, "of the user")
    ours, other = campaign.target.host, "elsewhere.example.test"
    for host in (ours, other):
        AllowedAddress.objects.get_or_create(host=host)
    ports = {"imap": {"new": f"{other}:31337"}, "pop3": {"new": f"{other}:31338"}, "imaps": {"new": ours.upper()}}
    place_books.save(campaign, Places(ports=ports), actor=operator)
    doors = {(port.service, port.endpoint.host.casefold()): port for port in by_hand.grounds(batch, "ports_open").new}
    assert [key for key, port in doors.items() if port.signs_in] == [("imaps", ours)]
    strange = doors["imap", other].endpoint
    assert (strange.username, strange.password.reveal(), strange.authzid) == ("", "", None)
    Account.objects.update(target_secret=None)  # then an administrator signs in
    again = by_hand.grounds(batch, "ports_open").new
    assert [port.service for port in again if port.signs_in] == ["imaps"]


def test_a_password_goes_to_a_free_port_of_the_new_servers_host_only_when_an_administrator_says_so(
    batch: Batch, operator: User
) -> None:
    campaign = batch.campaign
    make_admin(campaign.target)
    host = campaign.target.host
    AllowedAddress.objects.get_or_create(host=host)
    Server.objects.filter(pk=campaign.target_id).update(port=20143, pop3_place=":20110")

    def trusted() -> list[str]:
        loaded = Batch.objects.select_related("campaign__source", "campaign__target").get(pk=batch.pk)
        found = by_hand.grounds(loaded, "ports_open").new
        return [f"{port.endpoint.port}" for port in found if port.endpoint.username]

    give_password(batch.accounts.order_by("pk")[0], "of the user")
    ports = {"imap": ":20143", "imaps": "", "pop3": ":20110", "pop3s": ":31337"}
    plan_ = Places(ports={service: {"new": f"{host}{port}"} for service, port in ports.items()})
    place_books.save(campaign, plan_, actor=operator)
    assert trusted() == ["20143", "993", "20110"]
    place_books.save(campaign, plan_, actor=make_user(is_administrator=True))
    assert trusted() == ["20143", "993", "20110", "31337"]
    place_books.save(campaign, plan_, actor=operator)
    assert trusted() == ["20143", "993", "20110", "31337"], "an operator takes nothing back"
    other = Places(ports={**plan_.ports, "pop3s": {"new": f"{host}:31338"}})
    place_books.save(campaign, other, actor=operator)
    assert trusted() == ["20143", "993", "20110"]
