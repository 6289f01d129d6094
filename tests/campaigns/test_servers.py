"""Servers as administrators set them up: what is saved, refused, allowed with it, and never shown."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.test import Client
from django.utils import timezone

from campaigns.bridge import vault
from campaigns.models import Account, AllowedAddress, Batch, Event, Server, User
from campaigns.selectors import servers as selector
from campaigns.services import addresses, campaigns, trials
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

    found = trials.within(0.2, looks)
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


def kind_form(**fields: Any) -> dict[str, Any]:
    return {"name": "Old mail", "max_lanes": "8", **fields}


@pytest.mark.parametrize(
    ("kind", "security", "port"),
    [
        ("pop3", "tls", 995),
        ("pop3", "starttls", 110),
        ("smtp", "tls", 465),
        ("smtp", "plain", 25),
        ("lmtp", "plain", 24),
    ],
)
def test_a_server_of_another_kind_has_its_usual_port(admin: Client, kind: str, security: str, port: int) -> None:
    form = kind_form(host="mail.example.org", port="", security=security)
    assert admin.post(f"/servers/new?kind={kind}", form).status_code == 302
    server = Server.objects.get()
    assert (server.kind, server.port, server.admin_login) == (kind, port, "")
    assert AllowedAddress.objects.get().host == "mail.example.org"


def test_an_administrator_opens_mailboxes_by_pop3_but_not_by_a_way_of_imap(admin: Client) -> None:
    form = kind_form(host="mail.example.org", port="", security="tls", **ADMIN, admin_access="{user}*{admin}")
    assert admin.post("/servers/new?kind=pop3", form).status_code == 302
    assert Server.objects.get().admin_access == "{user}*{admin}"
    refused = admin.post("/servers/new?kind=pop3", form | {"name": "Another", "admin_access": "proxyauth"})
    assert refused.status_code == 422
    assert "admin_access" in refused.context["form"].errors


def test_where_mail_is_only_delivered_nobody_signs_in_and_what_that_changes_is_said(admin: Client) -> None:
    page = admin.get("/servers/new?kind=smtp")
    assert not {"admin_login", "admin_secret", "product"} & set(page.context["form"].fields)
    assert "Each message arrives with the date of today" in page.text
    form = kind_form(host="mail.example.org", port="", security="plain", **ADMIN)
    assert admin.post("/servers/new?kind=smtp", form).status_code == 302
    server = Server.objects.get()
    assert (server.admin_login, server.admin_secret) == ("", None)
    assert "password" not in admin.get(f"/servers/{server.pk}").context["trial"].fields


def test_files_are_offered_only_where_whoever_runs_the_machine_allows_a_folder(
    admin: Client, settings: LazySettings, tmp_path: Path
) -> None:
    assert "?kind=mbox" not in admin.get("/servers/new").text
    settings.MAIL_FOLDERS = (tmp_path,)
    page = admin.get("/servers/new?kind=mbox")
    assert "?kind=maildir" in page.text
    assert [value for value, _ in page.context["form"].fields["folder"].choices] == [str(tmp_path)]
    assert admin.post("/servers/new?kind=mbox", kind_form(folder=str(tmp_path), below="*")).status_code == 302
    server = Server.objects.get()
    assert (server.path, server.host, server.port, server.security) == (f"{tmp_path}/*", "", 0, "plain")
    page = admin.get(f"/servers/{server.pk}")
    assert page.context["form"].initial["below"] == "*"
    assert f"{tmp_path}/*" in page.text
    assert f"{tmp_path}/*" in admin.get("/servers").text


@pytest.mark.parametrize(
    ("folder", "below"), [("/etc", "*"), ("{allowed}", "../../etc/*"), ("{allowed}", "anna"), ("{allowed}", "")]
)
def test_no_path_beyond_the_allowed_folders_can_be_typed(
    admin: Client, settings: LazySettings, tmp_path: Path, folder: str, below: str
) -> None:
    settings.MAIL_FOLDERS = (tmp_path,)
    form = kind_form(folder=folder.format(allowed=tmp_path), below=below)
    assert admin.post("/servers/new?kind=mbox", form).status_code == 422
    assert not Server.objects.exists()


def test_a_row_of_files_opens_nothing_once_its_folder_is_not_allowed_any_more(
    admin: Client, settings: LazySettings, tmp_path: Path
) -> None:
    settings.MAIL_FOLDERS = (tmp_path,)
    admin.post("/servers/new?kind=mbox", kind_form(folder=str(tmp_path), below="*"))
    server = Server.objects.get()
    settings.MAIL_FOLDERS = ()
    assert not selector.server(server).is_allowed
    found = trials.try_server(server, "anna", None, actor=User.objects.get())
    assert [finding.code for finding in found] == ["file.not_allowed"]


def test_what_was_copied_from_files_is_known_by_their_path(
    admin: Client, settings: LazySettings, tmp_path: Path
) -> None:
    settings.MAIL_FOLDERS = (tmp_path,)
    admin.post("/servers/new?kind=maildir", kind_form(folder=str(tmp_path), below="*/Maildir"))
    server = Server.objects.get()
    campaign = make_campaign()
    batch = Batch.objects.create(campaign=campaign, number=1, name="First")
    ids = {"campaign": campaign, "batch": batch, "target": campaign.target, "target_login": "a", "source_login": "a"}
    Account.objects.create(**ids, source=server, ledger_source="maildir:/a")
    moved = admin.post(f"/servers/{server.pk}", kind_form(folder=str(tmp_path), below="*/mail"))
    assert moved.status_code == 422
    assert "Mail of accounts was copied under this name already" in moved.text


def test_a_campaign_reads_only_from_what_can_be_read_and_brings_only_to_what_takes_mail() -> None:
    kinds = ("imap", "pop3", "smtp")
    one, pop, smtp = (Server.objects.create(name=k, kind=k, host=f"{k}.example.org", port=1) for k in kinds)
    form = open_as(is_operator=True).get("/campaigns/new").context["form"]
    assert set(form.fields["source"].queryset) == {one, pop}
    assert set(form.fields["target"].queryset) == {one, smtp}
    with pytest.raises(Refused) as refused:
        campaigns.create("x", source=smtp, target=one, actor="test")
    assert refused.value.code == "campaign.not_read"
    with pytest.raises(Refused) as refused:
        campaigns.create("x", source=one, target=pop, actor="test")
    assert refused.value.code == "campaign.not_written"
