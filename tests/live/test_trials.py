"""Test connection on the pages of set-up, against a real server: each look with its result, and nothing of a secret."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.test import Client

from campaigns.models import Event, Server
from tests.campaigns.factories import make_user
from tests.rigs.base import HOST, free_port
from tests.rigs.dovecot import ADMIN, ADMIN_PASSWORD, Dovecot

pytestmark = pytest.mark.django_db
OF_ANNA = "of anna, 5 stones"


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Dovecot]:
    with Dovecot({"anna": OF_ANNA}, tls=True) as running:
        yield running


@pytest.fixture
def admin() -> Client:
    client = Client(headers={"host": "localhost"})
    client.force_login(make_user(is_administrator=True))
    return client


def save(admin: Client, dovecot: Dovecot, **fields: str) -> Server:
    assert dovecot.certificate
    form = {"name": "Old", "host": HOST, "port": str(dovecot.imaps), "security": "tls", "max_lanes": "8"}
    form |= {"ca_pem": dovecot.certificate.read_text(), "admin_login": ADMIN, "admin_secret": ADMIN_PASSWORD}
    assert admin.post("/servers/new", form | fields).status_code == 302
    return Server.objects.get()


def tried(admin: Client, server: Server, **fields: str) -> dict[str, tuple[str, str]]:
    """Test the connection; return how each look went and its sentence, as the page tells them."""
    page = admin.post(f"/servers/{server.pk}/test", fields, follow=True)
    assert page.status_code == 200
    assert ADMIN_PASSWORD not in page.text
    assert OF_ANNA not in page.text + str(list(Event.objects.values()))
    return {line.label: (line.family.value, line.sentence) for line in page.context["server"].trial.lines}


def test_every_look_is_told_and_an_administrator_and_the_account_are_proved(admin: Client, dovecot: Dovecot) -> None:
    found = tried(admin, save(admin, dovecot), login="anna", password=OF_ANNA)
    assert {label: family for label, (family, _) in found.items() if label != "Encrypted"} == dict.fromkeys(
        ("Reachable", "Administrator's access", "Sign-in", "Product", "Abilities", "Limits", "Room"), "done"
    )
    family, sentence = found["Encrypted"]
    assert family == "attention"  # the certificate of tests ends within the month
    assert sentence.startswith("TLSv1.3; the certificate by localhost ends soon, on ")
    assert found["Product"][1] == "Dovecot: its manners are known."
    assert "opens the account's mailbox: 5 folders" in found["Administrator's access"][1]
    assert "signs in itself: 5 folders" in found["Sign-in"][1]
    assert "20 errors in a row" in found["Limits"][1]
    assert found["Room"][1].startswith("10.7 GB of 10.7 GB are free in this mailbox.")


def test_without_an_account_only_the_server_is_looked_at(admin: Client, dovecot: Dovecot) -> None:
    found = tried(admin, save(admin, dovecot))
    assert found["Reachable"] == ("done", "It answers.")
    assert found["Administrator's access"] == ("waiting", "Not looked at: no account was named to try it with.")


def test_what_is_wrong_is_told_where_it_is(admin: Client, dovecot: Dovecot) -> None:
    server = save(admin, dovecot, admin_secret="wrong")
    found = tried(admin, server, login="anna", password="wrong, too")
    assert (found["Administrator's access"][0], found["Sign-in"][0]) == ("failed", "failed")
    assert (found["Reachable"][0], found["Encrypted"][0]) == ("done", "attention")
    Server.objects.update(ca_pem="")
    assert tried(admin, server)["Encrypted"] == ("failed", "The server's security certificate is not valid.")
    Server.objects.update(accepts_any_certificate=True)
    assert "any certificate is accepted" in tried(admin, server)["Encrypted"][1]
    Server.objects.update(port=dovecot.imap, security="plain")
    assert tried(admin, server)["Encrypted"][1].startswith("Nothing is encrypted")
    Server.objects.update(security="starttls", accepts_any_certificate=False, ca_pem=server.ca_pem)
    assert "the certificate by localhost ends soon" in tried(admin, server)["Encrypted"][1]
    Server.objects.update(port=free_port())
    assert tried(admin, server) == {"Reachable": ("failed", "The server cannot be reached.")}
