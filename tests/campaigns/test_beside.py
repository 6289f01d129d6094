"""Where Sieve scripts and POP3 are beside a server's mail: an administrator's word, checked."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from campaigns.bridge import beside
from campaigns.bridge.connect import Approach
from campaigns.bridge.lease import LeaseLost
from campaigns.models import Account, AllowedAddress, Server
from campaigns.selectors import servers as selector
from campaigns.services import addresses, server_kinds
from campaigns.services.refusals import Refused
from migrator.errors import MigratorError, Side
from migrator.limits import Limits
from migrator.secret import Secret
from migrator.stores.beside import Place
from migrator.stores.endpoint import Endpoint
from migrator.stores.sieve import SieveScripts
from tests.campaigns.crossings import make_account, make_batch, make_campaign
from tests.campaigns.factories import make_user

pytestmark = pytest.mark.django_db
FORM = {
    "name": "Old mail",
    "host": "mail.example.org",
    "port": "993",
    "security": "tls",
    "max_lanes": "8",
    "admin_login": "root",
    "admin_secret": "s3cret",
}


@pytest.fixture
def admin() -> Client:
    client = Client(headers={"host": "localhost"})
    client.force_login(make_user(is_administrator=True))
    return client


def make(client: Client, **fields: str) -> Server:
    page = client.post("/servers/new", FORM | fields)
    assert page.status_code == 302, page.context["form"].errors
    return Server.objects.get()


def test_the_places_are_kept_and_their_hosts_are_allowed_as_long_as_they_stand_there(admin: Client) -> None:
    server = make(admin, sieve_place=" sieve.example.org:2000", pop3_place=":1110")
    assert (server.sieve_place, server.pop3_place) == ("sieve.example.org:2000", ":1110")
    assert beside.place(server, "sieve_place") == Place("sieve.example.org", 2000, is_named=True)
    assert beside.place(server, "pop3_place") == Place("", 1110, is_named=True)
    assert {row.host for row in AllowedAddress.objects.all()} == {"mail.example.org", "sieve.example.org"}
    assert [row.uses for row in selector.addresses()] == [("Old mail",)] * 2
    row = AllowedAddress.objects.get(host="sieve.example.org")
    with pytest.raises(Refused, match="in_use"):
        addresses.remove(row.pk, actor=make_user())
    shown = admin.get(f"/servers/{server.pk}").context["form"]
    assert shown["sieve_place"].value() == "sieve.example.org:2000"


@pytest.mark.parametrize("typed", ["a b", "host:0", "host:70000", "imap://host", "me@host", "-x:1", "host:4190/x", ":"])
def test_what_is_no_place_is_refused_at_its_field(admin: Client, typed: str) -> None:
    page = admin.post("/servers/new", FORM | {"sieve_place": typed})
    assert page.status_code == 422
    assert "sieve.example.org:4190" in page.context["form"].errors["sieve_place"][0]
    assert not Server.objects.exists()


def test_a_stored_password_never_goes_to_another_place(admin: Client) -> None:
    server = make(admin)
    moved = FORM | {"admin_secret": "", "sieve_place": "evil.example.org:4190"}
    page = admin.post(f"/servers/{server.pk}", moved)
    assert "Enter the password again" in page.text
    server.refresh_from_db()
    assert server.sieve_place == ""
    assert admin.post(f"/servers/{server.pk}", moved | {"admin_secret": "s3cret"}).status_code == 302


def test_only_an_administrator_says_where_they_are(admin: Client) -> None:
    server = make(admin)
    client = Client(headers={"host": "localhost"})
    client.force_login(make_user(is_operator=True))
    assert client.post(f"/servers/{server.pk}", FORM | {"sieve_place": ":4190"}).status_code == 403


@pytest.mark.parametrize(("kind", "asked"), [("imap", 2), ("pop3", 1), ("smtp", 0), ("lmtp", 0)])
def test_a_server_is_asked_only_for_what_its_kind_can_have(admin: Client, kind: str, asked: int) -> None:
    fields = admin.get(f"/servers/new?kind={kind}").context["form"].fields
    assert len([name for name in beside.COLUMNS if name in fields]) == asked


def test_a_description_that_says_nothing_of_places_says_nothing_against_those_that_are_there() -> None:
    described = {"kind": "imap", "path": "", "host": "mail.example.org", "port": 993, "security": "tls"}
    assert not set(beside.COLUMNS) & set(server_kinds.fitted(described))
    assert server_kinds.fitted(described | {"sieve_place": " :2000 "})["sieve_place"] == ":2000"


def approach_to(**places: Any) -> Approach:
    account = make_account(make_batch(make_campaign()))
    Server.objects.filter(pk=account.target_id).update(**places)
    return Approach(Account.objects.select_related("campaign", "source", "target").get(pk=account.pk))


def test_nobody_signs_in_at_a_place_whose_host_is_not_allowed() -> None:
    approach = approach_to(sieve_place="elsewhere.example.test:4190")
    with approach, pytest.raises(MigratorError, match=r"address\.not_allowed"):
        beside.scripts(approach, Side.TARGET, Limits(), is_admitted=True)


def test_whoever_lost_the_lease_stores_and_switches_no_script() -> None:
    def lost() -> None:
        raise LeaseLost

    store = SieveScripts(Endpoint("127.0.0.1", 1, "plain", "u", Secret("pw")), Limits(), Side.TARGET)  # never opened
    for change in (lambda it: it.put("a", b"keep;"), lambda it: it.activate("")):
        with pytest.raises(LeaseLost):
            change(beside.FencedScripts(store, lost))


def test_in_the_night_no_answer_is_waited_for_as_long_as_by_day() -> None:
    hurried = beside.in_a_hurry(Limits(), 20)
    assert (hurried.io_seconds, hurried.connect_seconds) == (20, min(20, Limits().connect_seconds))
    assert beside.in_a_hurry(hurried, 60) == hurried
