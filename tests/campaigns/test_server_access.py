"""How administrators get into mailboxes, and certificates accepted one by one: set up, tried, told, taken back."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.test import Client

from campaigns.bridge.connect import endpoint_of
from campaigns.models import AllowedAddress, Event, Server
from campaigns.services import addresses, certificates, trials
from campaigns.services.refusals import Refused
from migrator.errors import MigratorError
from migrator.secret import Secret
from migrator.stores import trust
from tests.campaigns.factories import make_user
from tests.rigs.base import own_certificate
from tests.rigs.scripted import Peer
from tests.rigs.token_endpoint import TokenEndpoint

pytestmark = pytest.mark.django_db
SECRET = "seven wet stones"
FORM = {"name": "Old mail", "host": "mail.example.org", "port": "993", "security": "tls", "max_lanes": "8"}
ADMIN = {"admin_login": "root", "admin_secret": SECRET}
TENANT = "https://login.microsoftonline.com/tenant/oauth2/v2.0/token"
HERE = {"host": "127.0.0.1", "security": "plain"}


def open_as(**roles: bool) -> Client:
    client = Client(headers={"host": "localhost"})
    client.force_login(make_user(**roles))
    return client


@pytest.fixture
def admin() -> Client:
    return open_as(is_administrator=True)


def make(client: Client, **fields: Any) -> Server:
    page = client.post("/servers/new", FORM | ADMIN | fields)
    assert page.status_code == 302, page.text
    return Server.objects.get()


def test_a_server_set_up_without_a_word_of_it_names_the_person_beside_the_administrator(admin: Client) -> None:
    server = make(admin)
    assert server.admin_access == "authzid"
    assert 'value="authzid" selected' in admin.get(f"/servers/{server.pk}").text


@pytest.mark.parametrize("way", ["{user}*{admin}", "{user}%{admin}", "{domain}\\{admin}\\{name}", "proxyauth"])
def test_a_way_in_that_is_chosen_is_the_endpoints(admin: Client, way: str) -> None:
    server = make(admin, admin_access=way)
    assert server.admin_access == way
    endpoint = endpoint_of(server, "root", Secret("x"), authzid="anna@example.org")
    assert str(endpoint.access) == way
    assert endpoint.tokens is None


def test_another_form_of_name_is_kept_and_shown_again(admin: Client) -> None:
    server = make(admin, admin_access="other", admin_template="{admin}/{name}")
    assert endpoint_of(server, "root", Secret("x"), authzid="anna@b").login == "root/anna"
    page = admin.get(f"/servers/{server.pk}").text
    assert 'value="other" selected' in page
    assert 'value="{admin}/{name}"' in page


@pytest.mark.parametrize("template", ["", "{admin}", "~{user}/", "{user}{host}*{admin}", "authorization"])
def test_a_form_that_names_not_both_is_refused_beside_its_field(admin: Client, template: str) -> None:
    page = admin.post("/servers/new", FORM | ADMIN | {"admin_access": "other", "admin_template": template})
    assert page.status_code == 422
    assert 'id="id_admin_template_error"' in page.text
    assert not Server.objects.exists()


def test_tokens_are_asked_for_at_the_address_that_is_allowed_with_the_server(admin: Client) -> None:
    server = make(admin, admin_access="microsoft", token_endpoint=TENANT)
    hosts = set(AllowedAddress.objects.values_list("host", flat=True))
    assert hosts == {"mail.example.org", "login.microsoftonline.com"}
    assert endpoint_of(server, "app", Secret("x"), authzid="anna").tokens is not None
    assert endpoint_of(server, "anna", Secret("x")).tokens is None
    row = AllowedAddress.objects.get(host="login.microsoftonline.com")
    with pytest.raises(Refused):
        addresses.remove(row.pk, actor=make_user(is_administrator=True))
    row.delete()
    with pytest.raises(MigratorError) as caught:
        endpoint_of(server, "app", Secret("x"), authzid="anna")
    assert caught.value.code == "address.not_allowed"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"token_endpoint": ""}, "token_endpoint"),
        ({"token_endpoint": "http://login.example.org/token"}, "token_endpoint"),
        ({"token_endpoint": "file:///etc/passwd"}, "token_endpoint"),
        ({"token_endpoint": TENANT, "admin_login": "", "admin_secret": ""}, "admin_login"),
    ],
)
def test_tokens_without_an_address_or_a_name_are_refused(admin: Client, fields: dict[str, str], field: str) -> None:
    page = admin.post("/servers/new", FORM | ADMIN | {"admin_access": "microsoft"} | fields)
    assert page.status_code == 422
    assert f'id="id_{field}_error"' in page.text


def test_a_service_account_brings_its_key_and_nothing_shows_it(admin: Client) -> None:
    page = admin.post("/servers/new", FORM | ADMIN | {"admin_access": "google"})
    assert page.status_code == 422
    assert "This is no private key" in page.text
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, *form).decode()
    server = make(admin, admin_access="google", admin_secret=pem.replace("\n", ""))
    assert server.token_endpoint == "https://oauth2.googleapis.com/token"
    page = admin.get(f"/servers/{server.pk}")
    assert "BEGIN PRIVATE" not in page.text + str(list(Event.objects.values()))


def test_a_stored_secret_never_goes_to_another_token_endpoint(admin: Client) -> None:
    server = make(admin)
    shown = FORM | {"admin_login": "root", "admin_access": "microsoft", "token_endpoint": TENANT}
    assert "Enter the password again" in admin.post(f"/servers/{server.pk}", shown).text
    assert admin.post(f"/servers/{server.pk}", shown | {"admin_secret": "new"}).status_code == 302
    moved = shown | {"token_endpoint": "https://evil.example.org/token"}
    assert "Enter the password again" in admin.post(f"/servers/{server.pk}", moved).text
    assert admin.post(f"/servers/{server.pk}", shown | {"host": "outlook.office365.com"}).status_code == 302


def test_the_test_of_a_connection_signs_in_with_a_token(admin: Client) -> None:
    answers = {"LIST": "$ OK done", "LSUB": "$ OK done", "STATUS": "$ OK done"}
    with TokenEndpoint() as endpoint, Peer(answers, capabilities="IMAP4rev1 SASL-IR AUTH=XOAUTH2") as peer:
        endpoint.clients["app"] = SECRET
        server = make(
            admin,
            **HERE,
            port=str(peer.port),
            admin_login="app",
            admin_access="microsoft",
            token_endpoint=endpoint.url,
        )
        page = admin.post(f"/servers/{server.pk}/test", {"login": "anna@example.org"}, follow=True)
        assert "The administrator opens the account&#x27;s mailbox" in page.text
        assert len(endpoint.tokens) == 1
        assert not set(endpoint.tokens) & set(page.text.split('"'))
        endpoint.clients["app"] = "changed"
        Server.objects.filter(pk=server.pk).update(admin_login="other")
        page = admin.post(f"/servers/{server.pk}/test", {"login": "anna@example.org"}, follow=True)
        assert "The permission to open this mailbox has run out, or was never given." in page.text
        assert "unauthorized_client" in page.text


# Certificates


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, str]:
    return context_of(tmp_path_factory.mktemp("tls"))


def context_of(folder: Path) -> tuple[ssl.SSLContext, str]:
    certificate, key = own_certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context, trust.fingerprint(ssl.PEM_cert_to_DER_cert(certificate.read_text()))


@pytest.fixture
def own(shown: tuple[ssl.SSLContext, str], admin: Client) -> Iterator[tuple[Server, str]]:
    """A server with a certificate that nobody vouches for, and its fingerprint."""
    with Peer(tls=shown[0]) as peer:
        yield make(admin, host="127.0.0.1", port=str(peer.port)), shown[1]


def tried(client: Client, server: Server) -> str:
    return str(client.post(f"/servers/{server.pk}/test", {"login": ""}, follow=True).text).replace("<wbr>", "")


@pytest.mark.req("D-97")
def test_a_certificate_that_was_shown_is_accepted_with_date_and_name(admin: Client, own: tuple[Server, str]) -> None:
    server, fingerprint = own
    page = tried(admin, server)
    assert trust.readable(fingerprint) in page
    assert "localhost, 127.0.0.1" in page
    assert "Accept exactly this certificate" in page
    page = admin.post(f"/servers/{server.pk}/certificate", {"fingerprint": fingerprint}, follow=True).text
    server.refresh_from_db()
    assert (server.pinned_sha256, server.pinned_name) == (fingerprint, "localhost, 127.0.0.1")
    (event,) = Event.objects.filter(name="server.certificate.accepted")
    assert (server.pinned_by, event.data["fingerprint"]) == (event.actor_name, trust.readable(fingerprint))
    assert server.pinned_at is not None
    assert "Exception for its certificate" in page
    assert "Accept exactly this certificate" not in page
    assert "with exactly the certificate that was accepted here" in tried(admin, server)
    assert "Exactly one certificate is accepted for Old mail" in admin.get("/log").text


@pytest.mark.req("D-97")
def test_a_certificate_that_changed_is_refused_with_both_fingerprints(
    admin: Client, own: tuple[Server, str], tmp_path: Path
) -> None:
    server, fingerprint = own
    tried(admin, server)
    certificates.accept(server, fingerprint, actor=make_user(is_administrator=True))
    other_context, other = context_of(tmp_path)
    with Peer(tls=other_context) as peer:
        Server.objects.filter(pk=server.pk).update(port=peer.port)
        page = tried(admin, server)
        assert "another certificate than the one that was accepted" in page
        assert page.count(trust.readable(fingerprint)) >= 2
        assert trust.readable(other) in page
        assert set(peer.verbs()) <= {"LOGOUT"}  # the look at the certificate
        assert "Accept exactly this certificate" in page


def test_only_what_the_last_test_showed_is_accepted(admin: Client, own: tuple[Server, str]) -> None:
    server, fingerprint = own
    address = f"/servers/{server.pk}/certificate"
    for text in (fingerprint, "", "0" * 64):
        page = admin.post(address, {"fingerprint": text}, follow=True).text
        assert "The last test did not show this certificate." in page
    tried(admin, server)
    assert admin.post(address, {"fingerprint": "0" * 64}).status_code == 302
    fields = FORM | {"host": "127.0.0.1", "port": str(server.port), "admin_login": "root", "max_lanes": "9"}
    assert admin.post(f"/servers/{server.pk}", fields).status_code == 302
    admin.post(address, {"fingerprint": fingerprint})
    server.refresh_from_db()
    assert server.pinned_sha256 == ""


def test_only_administrators_accept_certificates(admin: Client, own: tuple[Server, str]) -> None:
    server, fingerprint = own
    tried(admin, server)
    operator = open_as(is_operator=True)
    assert "Accept exactly" not in operator.get(f"/servers/{server.pk}").text
    for place in ("certificate", "certificate/drop"):
        assert operator.post(f"/servers/{server.pk}/{place}", {"fingerprint": fingerprint}).status_code == 403
    server.refresh_from_db()
    assert server.pinned_sha256 == ""


def test_an_exception_is_taken_back_and_does_not_go_to_another_address(admin: Client, own: tuple[Server, str]) -> None:
    server, fingerprint = own
    tried(admin, server)
    actor = make_user(is_administrator=True)
    certificates.accept(server, fingerprint, actor=actor)
    assert admin.post(f"/servers/{server.pk}/certificate/drop", follow=True).status_code == 200
    server.refresh_from_db()
    assert (server.pinned_sha256, server.pinned_by, server.pinned_at) == ("", "", None)
    tried(admin, server)
    certificates.accept(server, fingerprint, actor=actor)
    fields = FORM | ADMIN | {"host": "127.0.0.1", "port": "9993"}
    assert admin.post(f"/servers/{server.pk}", fields).status_code == 302
    server.refresh_from_db()
    assert server.pinned_sha256 == ""
    assert Event.objects.filter(name="server.certificate.dropped").count() == 2


def test_a_valid_server_has_no_certificate_to_accept(admin: Client) -> None:
    with Peer() as peer:
        server = make(admin, **HERE, port=str(peer.port))
        trials.try_server(server, "", None, actor=make_user())
        assert certificates.shown(server) is None
