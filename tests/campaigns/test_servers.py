"""Servers as administrators set them up: what is saved, refused, allowed with it, and never shown."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from campaigns.bridge import vault
from campaigns.models import Account, AllowedAddress, Event, Server, User
from campaigns.selectors import servers as selector
from campaigns.services import addresses, trials
from campaigns.services.refusals import Refused
from campaigns.states import Family
from migrator.preflight.probe import Finding, Look, Outcome
from tests.campaigns.factories import make_campaign, make_user

pytestmark = pytest.mark.django_db
SECRET = "seven wet stones"
FORM = {"name": "Old mail", "host": "mail.example.org", "port": "", "security": "tls", "max_lanes": "8"}
ADMIN = {"admin_login": "root", "admin_secret": SECRET}


def open_as(**roles: bool) -> Client:
    client = Client(headers={"host": "localhost"})
    client.force_login(make_user(**roles))
    return client


@pytest.fixture
def admin() -> Client:
    return open_as(is_administrator=True)


def posted(client: Client, **fields: Any) -> Any:
    return client.post("/servers/new", FORM | fields)


def make(client: Client, **fields: Any) -> Server:
    assert posted(client, **ADMIN, **fields).status_code == 302
    return Server.objects.get()


def events(name: str) -> list[Event]:
    return list(Event.objects.filter(name=name).order_by("pk"))


def test_a_server_is_saved_with_its_usual_port_and_its_address_is_allowed(admin: Client) -> None:
    page = admin.post("/servers/new", FORM | ADMIN, follow=True)
    server = Server.objects.get()
    assert (server.host, server.port, server.security, server.max_lanes) == ("mail.example.org", 993, "tls", 8)
    assert AllowedAddress.objects.get().host == "mail.example.org"
    assert "Old mail is saved." in page.text
    assert "Allowed addresses now include mail.example.org." in page.text
    (event,) = events("server.created")
    assert (event.actor, event.data["called"]) == (User.objects.get(), "Old mail")


def test_the_password_is_sealed_and_stands_in_no_page_and_no_event(admin: Client) -> None:
    server = make(admin)
    secret = vault.unseal(server, "admin_secret")
    assert secret is not None
    assert secret.reveal() == SECRET
    wrong = admin.post(f"/servers/{server.pk}", FORM | ADMIN | {"port": "70000"})
    pages = [admin.get(address) for address in ("/servers", f"/servers/{server.pk}", "/servers/new")]
    assert wrong.status_code == 422
    assert not any(SECRET in page.text for page in [*pages, wrong])
    assert SECRET not in str(list(Event.objects.values()))


def test_an_empty_password_keeps_the_stored_one_and_without_an_administrator_it_goes(admin: Client) -> None:
    server = make(admin)
    shown = FORM | {"port": "993", "admin_login": "root", "admin_secret": ""}
    assert admin.post(f"/servers/{server.pk}", shown | {"max_lanes": "20"}).status_code == 302
    server.refresh_from_db()
    assert vault.unseal(server, "admin_secret").reveal() == SECRET  # type: ignore[union-attr]
    assert events("server.changed")[-1].data["fields"] == ["max_lanes"]
    assert admin.post(f"/servers/{server.pk}", shown | {"admin_login": ""}).status_code == 302
    server.refresh_from_db()
    assert server.admin_secret is None


@pytest.mark.parametrize("change", [{"host": "evil.example.org"}, {"port": "1993"}])
def test_a_stored_password_never_goes_to_another_address(admin: Client, change: dict[str, str]) -> None:
    server = make(admin)
    shown = FORM | {"port": "993", "admin_login": "root"} | change
    page = admin.post(f"/servers/{server.pk}", shown)
    assert page.status_code == 422
    assert "Enter the password again" in page.text
    assert admin.post(f"/servers/{server.pk}", shown | {"admin_secret": "another"}).status_code == 302
    server.refresh_from_db()
    assert vault.unseal(server, "admin_secret").reveal() == "another"  # type: ignore[union-attr]
    assert events("server.changed")[-1].data["was"] == "mail.example.org:993"


def test_a_server_whose_mail_was_copied_keeps_its_host(admin: Client) -> None:
    campaign = make_campaign()
    source = campaign.source
    fields = FORM | {"name": source.name, "port": "143", "security": "plain", "host": "other.example.test"}
    assert admin.post(f"/servers/{source.pk}", fields).status_code == 302
    batch = campaign.batches.create(number=1, name="first")
    Account.objects.create(
        campaign=campaign,
        batch=batch,
        source=source,
        target=campaign.target,
        source_login="a",
        target_login="a",
        ledger_source="imap://a@other.example.test",
    )
    page = admin.post(f"/servers/{source.pk}", fields | {"host": "third.example.test"})
    assert page.status_code == 422
    assert "what was copied is known by it" in page.text
    assert admin.post(f"/servers/{source.pk}", fields | {"port": "144"}).status_code == 302


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"name": " "}, "This field is required."),
        ({"host": "https://mail.example.org"}, "no port and nothing like https://"),
        ({"host": "mail.example.org:993"}, "no port and nothing like https://"),
        ({"host": "-x.example.org"}, "no port and nothing like https://"),
        ({"port": "65536"}, "less than or equal to 65535"),
        ({"max_lanes": "0"}, "greater than or equal to 1"),
        ({"security": "rot13"}, "Select a valid choice"),
        ({"ca_pem": "nonsense"}, "These are no certificates in PEM"),
        ({"admin_login": "root"}, "none is stored"),
        ({"admin_secret": "x"}, "Name the administrator whose password this is."),
    ],
)
def test_bad_input_is_told_at_its_field_and_on_top_and_kept(
    admin: Client, fields: dict[str, str], sentence: str
) -> None:
    page = posted(admin, **{"name": "Kept name"} | fields)
    assert page.status_code == 422
    name = {"admin_login": "admin_secret", "admin_secret": "admin_login"}.get(*[*fields] * 2)
    assert f'href="#id_{name}"' in page.text
    assert f'id="id_{name}_error"' in page.text
    assert page.text.count(sentence) == 2
    assert "aria-invalid" in page.text
    assert name == "name" or 'value="Kept name"' in page.text
    assert not Server.objects.exists()
    assert not AllowedAddress.objects.exists()


def test_a_name_that_is_taken_is_refused_and_nothing_is_half_saved(admin: Client) -> None:
    make(admin)
    page = posted(admin, host="other.example.org")
    assert page.status_code == 422
    assert "There is a server of this name already." in page.text
    assert [row.host for row in AllowedAddress.objects.all()] == ["mail.example.org"]


def test_an_operator_reads_without_a_form_and_changes_nothing(admin: Client) -> None:
    server = make(admin)
    operator = open_as(is_operator=True)
    page = operator.get(f"/servers/{server.pk}")
    assert "An administrator can change these." in page.text
    assert 'name="admin_secret"' not in page.text
    assert operator.post(f"/servers/{server.pk}", FORM | {"max_lanes": "99"}).status_code == 403


# Tests of a connection


def test_a_server_at_an_address_that_is_not_allowed_is_not_even_looked_up(admin: Client) -> None:
    server = make(admin)
    AllowedAddress.objects.all().delete()
    page = admin.post(f"/servers/{server.pk}/test", {"login": "anna"}, follow=True)
    assert "at an address that no administrator has allowed" in page.text
    (event,) = events(trials.SERVER_TESTED)
    assert event.actor_name == User.objects.get(is_administrator=True).username
    assert event.data["account"] == "anna"


def test_a_test_ends_in_its_time_whatever_the_server_does() -> None:
    hold = threading.Event()

    def looks() -> Any:
        yield Finding(Look.REACH, Outcome.GOOD)
        hold.wait(30)
        yield Finding(Look.PRODUCT, Outcome.GOOD)

    found = trials._within(0.2, looks)
    hold.set()
    assert [finding.look for finding in found] == [Look.REACH, Look.TIME]


def test_the_list_says_how_each_stands_in_four_queries(admin: Client, django_assert_num_queries: Any) -> None:
    good, bad, stale = (Server.objects.create(name=name, host="127.0.0.1", port=143) for name in ("a", "b", "c"))
    fine = [{"look": "reach", "outcome": "good"}]
    for row, found in (
        (good, fine),
        (bad, [{"look": "reach", "outcome": "bad", "code": "server.unreachable"}]),
        (stale, fine),
    ):
        Event.objects.create(name=trials.SERVER_TESTED, actor_name="dana", data={"row": row.pk, "found": found})
    Event.objects.create(name="server.changed", actor_name="dana", data={"row": stale.pk})
    Server.objects.filter(pk=bad.pk).update(
        breaker_failures=1, breaker_until=timezone.now() + timedelta(minutes=5), breaker_code="server.unreachable"
    )
    with django_assert_num_queries(4):
        rows = selector.servers()
    assert [row.trial and (row.trial.family, row.trial.is_stale) for row in rows] == [
        (Family.DONE, False),
        (Family.FAILED, False),
        (Family.DONE, True),
    ]
    page = admin.get("/servers").text
    assert "1 of 3 does not work." in page
    assert "Changed since its last test" in page
    assert "Left in peace until" in page


def test_a_server_that_is_left_in_peace_gets_accounts_again_when_somebody_says_so() -> None:
    server = Server.objects.create(name="a", host="127.0.0.1", port=143, breaker_failures=3, breaker_code="line.lost")
    page = open_as(is_operator=True).post(f"/servers/{server.pk}/again", follow=True)
    assert "Accounts are sent to this server again." in page.text
    server.refresh_from_db()
    assert server.breaker_failures == 0
    assert events("server.breaker.closed")[0].actor is not None


# Allowed addresses


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        (" Mail.Example.ORG. ", "mail.example.org"),
        ("192.0.2.7", "192.0.2.7"),
        ("10.1.2.3/16", "10.1.0.0/16"),
        ("2001:DB8::1", "2001:db8::1"),
        ("bücher.example.org", "bücher.example.org"),
    ],
)
def test_an_address_is_allowed_as_it_is_meant(admin: Client, typed: str, stored: str) -> None:
    assert admin.post("/servers/addresses", {"host": typed}).status_code == 302
    assert AllowedAddress.objects.get().host == stored
    assert events("address.allowed")[0].data["host"] == stored


@pytest.mark.parametrize(
    "typed", ["", "a b", "imaps://mail.example.org", "0.0.0.0/0", "mail..example.org", "1.2.3", "x/8"]
)
def test_what_is_no_address_is_refused_and_kept(admin: Client, typed: str) -> None:
    page = admin.post("/servers/addresses", {"host": typed})
    assert page.status_code == 422
    assert f'value="{typed}"' in page.text or not typed
    assert not AllowedAddress.objects.exists()


def test_an_address_goes_unless_something_could_not_be_reached_without_it(admin: Client) -> None:
    Server.objects.create(name="a", host="10.1.2.3", port=143)
    user = User.objects.get()
    network = addresses.allow("10.1.0.0/16", actor=user)
    with pytest.raises(Refused, match=r"address\.in_use"):
        addresses.remove(network.pk, actor=user)
    addresses.allow("10.1.2.3", actor=user)
    assert (
        "10.1.0.0/16 is not allowed any more."
        in admin.post(f"/servers/addresses/{network.pk}/remove", follow=True).text
    )
    assert events("address.removed")[0].actor == user
    page = admin.post(f"/servers/addresses/{AllowedAddress.objects.get().pk}/remove", follow=True)
    assert "Change that first" in page.text
    assert AllowedAddress.objects.count() == 1
