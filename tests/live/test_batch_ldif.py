"""The page of what a batch writes into a real OpenLDAP, and its files in the hands of ldapmodify."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from django.test import Client

from campaigns.models import AllowedAddress, Batch, Connector
from campaigns.services import connectors
from campaigns.states import AccountState
from migrator.journal import StepKind
from migrator.recipes import RECIPES
from tests.campaigns.factories import make_batch, make_campaign, make_user, put
from tests.rigs.base import HOST, free_port
from tests.rigs.slapd import PEOPLE, Slapd, group, person, secret

pytestmark = pytest.mark.django_db
STAFF = "staff@example.test"
SWITCH = next(at for at, step in enumerate(RECIPES["plain"].steps) if step.kind is StepKind.SWITCH)
STAFFS = f"cn=staff,{PEOPLE}"


@pytest.fixture(scope="module")
def slapd() -> Iterator[Slapd]:
    with Slapd([group(STAFF, ["x"], mailHost="old.example.test", mailDeliveryOption="members")]) as server:
        yield server


@pytest.fixture
def batch(slapd: Slapd) -> Iterator[Batch]:
    """Thirty people, governed by LDAP; one of them is not there."""
    directory = connector(slapd, "directory", schema="sims")
    route = connector(slapd, "route", schema="sims", source="old.example.test", target="new.example.test")
    campaign = make_campaign(source_directory=directory, target_directory=directory, route=route)
    made = make_batch(30, state=AccountState.READY, campaign=campaign)
    logins = sorted(made.accounts.values_list("source_login", flat=True))
    slapd.add(*(person(login, mailHost="old.example.test", emailPersonStatus="active") for login in logins[1:]))
    yield made
    for login in logins[1:]:
        slapd.remove(f"uid={login},{PEOPLE}")


def connector(slapd: Slapd, room: str, **more: object) -> Connector:
    saved = connectors.save(
        None,
        room=room,
        kind="ldap",
        name=f"our {room}",
        options=slapd.options(**more),
        secret=secret(),
        actor=make_user(is_administrator=True),
    )
    return saved.connector


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(make_user(is_operator=True))
    return client


def page(client: Client, batch: Batch, query: str = "") -> str:
    answer = client.get(f"/batches/{batch.pk}/directory{query}")
    assert answer.status_code == 200
    return " ".join(re.sub(r"<[^>]*>", " ", answer.text).split())


def file(client: Client, batch: Batch, step: int, query: str = "") -> str:
    answer = client.get(f"/batches/{batch.pk}/directory/{step}.ldif{query}")
    assert answer.status_code == 200
    return b"".join(answer.streaming_content).decode("ascii")


def steps(client: Client, batch: Batch) -> dict[str, int]:
    """The steps that have files, by their name."""
    html = client.get(f"/batches/{batch.pk}/directory").text
    found = re.findall(r'directory/(\d+)\.ldif" aria-label="Download for accounts: ([^"]+)"', html)
    return {name: int(number) for number, name in found}


@pytest.mark.req("S-129")
def test_the_page_tells_of_each_account_what_each_step_writes_and_who_cannot_be_told_of(
    operator: Client, batch: Batch, slapd: Slapd
) -> None:
    logins = sorted(batch.accounts.values_list("source_login", flat=True))
    told = page(operator, batch)
    assert "30 accounts are still to be changed there." in told
    assert "Page 1 of 2" in told
    assert told.count("− emailPersonStatus: active") == told.count("+ mailHost: new.example.test") - 1 == 24
    assert f"{logins[0]} The directory knows nobody with this address." in told
    assert f"{STAFF} cn=staff,{PEOPLE} Switch − mailHost: old.example.test + mailHost: new.example.test" in told
    assert page(operator, batch, "?page=2").count("− emailPersonStatus: active") == 5
    assert "emailPersonStatus: inactive" not in slapd.read(f"uid={logins[1]},{PEOPLE}")


@pytest.mark.req("S-102", "S-129")
def test_the_files_do_with_ldapmodify_what_the_page_says_and_undo_it(
    operator: Client, batch: Batch, slapd: Slapd
) -> None:
    logins = sorted(batch.accounts.values_list("source_login", flat=True))[1:]
    before = {login: slapd.read(f"uid={login},{PEOPLE}") for login in (logins[0], logins[-1])}
    by_name = steps(operator, batch)
    assert list(by_name) == ["Lock the old mailbox", "Switch", "Open the new mailbox"]
    lock, switch = by_name["Lock the old mailbox"], by_name["Switch"]
    way = {step: (file(operator, batch, step), file(operator, batch, step, "?back=1")) for step in (lock, switch)}
    for forth, _ in way.values():
        assert "NOT COMPLETE: 29 looked at, 1 not." in forth
        slapd.apply(forth)
    for login in before:
        assert slapd.read(f"uid={login},{PEOPLE}", "mailHost", "emailPersonStatus") == [
            "emailPersonStatus: inactive",
            "mailHost: new.example.test",
        ]
    for _, back in way.values():
        slapd.apply(back)
    assert {login: slapd.read(f"uid={login},{PEOPLE}") for login in before} == before


@pytest.mark.req("S-129")
def test_groups_have_files_of_their_own(operator: Client, batch: Batch, slapd: Slapd) -> None:
    switch, whole = steps(operator, batch)["Switch"], slapd.read(STAFFS)
    forth, back = (file(operator, batch, switch, query) for query in ("?groups=1", "?groups=1&back=1"))
    assert "End: 1 looked at." in forth
    slapd.apply(forth)
    assert "mailHost: new.example.test" in slapd.read(STAFFS)
    slapd.apply(back)
    assert slapd.read(STAFFS) == whole


def test_who_has_moved_is_not_changed_again(operator: Client, batch: Batch) -> None:
    for account in batch.accounts.all():
        put(account, AccountState.DONE)
    assert "nothing more is written for it" in page(operator, batch)
    assert "changetype" not in file(operator, batch, steps(operator, batch)["Switch"])


def test_a_directory_that_is_away_is_told_once_and_a_file_says_that_it_is_not_complete(
    operator: Client, batch: Batch
) -> None:
    uri = f"ldap://{HOST}:{free_port()}"
    for row in Connector.objects.all():
        row.options = row.options | {"uris": [uri]}
        row.save()
    told = page(operator, batch)
    assert told.count("The directory cannot be reached.") == 1
    assert "The directory did not answer for the rest of this page." in told
    text = file(operator, batch, steps(operator, batch)["Switch"])
    assert text.count("The directory cannot be reached.") == 1
    assert "NOT COMPLETE: 0 looked at, 30 not." in text
    AllowedAddress.objects.all().delete()
    assert "changetype" not in file(operator, batch, steps(operator, batch)["Switch"])


def test_a_campaign_without_ldap_says_so_and_has_no_files(operator: Client) -> None:
    plain = make_batch(1)
    assert "changes nothing in LDAP" in page(operator, plain)
    assert operator.get(f"/batches/{plain.pk}/directory/4.ldif").status_code == 404


@pytest.mark.parametrize(
    ("role", "page_status", "file_status"),
    [("is_helpdesk", 403, 403), ("is_manager", 200, 200), ("is_administrator", 200, 403)],
)
def test_who_may_read_and_who_may_take_away(
    client: Client, batch: Batch, role: str, page_status: int, file_status: int
) -> None:
    client.force_login(make_user(**{role: True}))
    answer = client.get(f"/batches/{batch.pk}/directory")
    assert answer.status_code == page_status
    assert (".ldif" in answer.text) is (file_status == 200)
    assert client.get(f"/batches/{batch.pk}/directory/{SWITCH}.ldif").status_code == file_status
