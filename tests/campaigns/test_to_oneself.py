"""A message that an account for tests sends to itself: what is kept of a try, and what is not shown of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest
from django.test import Client, RequestFactory
from django.views.debug import SafeExceptionReporterFilter

from campaigns.models import Account, Event, Server, User
from campaigns.services import addresses, to_oneself
from campaigns.services.refusals import Refused
from campaigns.views import servers
from migrator.preflight.probe import Finding, Look, Outcome
from migrator.preflight.to_oneself import Probe
from migrator.secret import Secret
from tests.campaigns.factories import make_batch, make_campaign, make_user

pytestmark = pytest.mark.django_db
ARRIVED = [
    Finding(Look.USER, Outcome.GOOD, "messages"),
    Finding(Look.SUBMISSION, Outcome.GOOD, "sent"),
    Finding(Look.ARRIVAL, Outcome.GOOD, "arrived", facts={"folder": "INBOX"}),
    Finding(Look.REMOVAL, Outcome.GOOD, "gone"),
]
IN_JUNK = Finding(Look.ARRIVAL, Outcome.WARNING, "arrived", facts={"folder": "Junk"})
KEPT = Finding(Look.STORED, Outcome.GOOD, "kept")


@pytest.fixture
def server() -> Server:
    target = make_campaign().target
    Server.objects.filter(pk=target.pk).update(kind="imap")
    addresses.allow(target.host, actor="test")
    return Server.objects.get(pk=target.pk)


@pytest.fixture
def probes(monkeypatch: pytest.MonkeyPatch) -> tuple[list[Probe], list[Finding]]:
    """Return whom the service tries, and what it is told then."""
    seen: list[Probe] = []
    found: list[Finding] = []

    def try_to_oneself(probe: Probe) -> Iterator[Finding]:
        seen.append(probe)
        yield from found

    monkeypatch.setattr(to_oneself, "try_to_oneself", try_to_oneself)
    return seen, found


def tried(server: Server) -> dict[str, Any]:
    """Try the account for tests; return what is kept of it."""
    wish = to_oneself.Wish("probe", Secret("secret"), "probe@example.test")
    to_oneself.try_server(server, wish, actor=User.objects.first() or make_user(is_administrator=True))
    return Event.objects.filter(name=to_oneself.ENDED).latest("pk").data


@pytest.mark.parametrize(("service", "port"), [("submission", 587), ("submissions", 465), ("smtp", 25)])
@pytest.mark.parametrize("host", ["mail.example.test", "2001:db8::7"])
def test_where_no_place_is_named_mail_is_handed_in_at_the_server_itself(
    server: Server, client: Client, probes: tuple[list[Probe], list[Finding]], service: str, port: int, host: str
) -> None:
    addresses.allow(host, actor="test")
    Server.objects.update(host=host)
    client.force_login(make_user(is_administrator=True))
    fields = {"own-login": "probe", "own-password": "secret", "own-service": service, "own-place": ""}
    assert client.post(f"/servers/{server.pk}/to-oneself", fields).status_code == 302
    (door,) = (probe.door for probe in probes[0])
    assert (door.endpoint.host, door.endpoint.port) == (host, port)


@pytest.mark.parametrize(
    ("last", "is_sought"),
    [
        (KEPT, False),
        (Finding(Look.STORED, Outcome.WARNING, "rewritten"), False),
        (Finding(Look.STORED, Outcome.BAD, "probe.filed_elsewhere"), True),  # perhaps it is on its way
        (Finding(Look.STORED, Outcome.BAD, "line.lost"), True),  # perhaps the server stores it now
        (Finding(Look.TIME, Outcome.BAD, "line.silent"), True),
    ],
    ids=["kept", "rewritten", "filed", "lost", "time"],
)
def test_what_was_stored_and_not_seen_to_go_is_looked_for_by_the_next_try(
    server: Server, probes: tuple[list[Probe], list[Finding]], last: Finding, is_sought: bool
) -> None:
    seen, found = probes
    found += [*ARRIVED, last]
    tried(server)
    tried(server)
    assert list(seen[1].earlier) == ([seen[0].token] if is_sought else [])


@pytest.mark.parametrize(
    ("login", "listed", "is_somebodys"),
    [
        ("anna", "anna@example.test", True),
        ("Anna@example.test", "anna", True),
        ("anna", "ANNA", True),
        ("ann", "anna@example.test", False),
        ("anna@example.test", "anna@other.test", False),
        ("probe", "anna", False),
    ],
)
@pytest.mark.parametrize("side", ["source", "target"])
def test_who_is_on_a_list_is_somebody_with_a_domain_and_without(
    server: Server, probes: tuple[list[Probe], list[Finding]], side: str, login: str, listed: str, is_somebodys: bool
) -> None:
    batch = make_batch(1)
    rows = {f"{side}_id": server.pk, f"{side}_login": listed}
    Account.objects.filter(batch=batch).update(**rows)
    wish = to_oneself.Wish(login, Secret("secret"), "elsewhere@example.test")
    with pytest.raises(Refused, match=r"probe\.somebodys") if is_somebodys else nullcontext():
        to_oneself.try_server(server, wish, actor=make_user(is_administrator=True))
    assert (not probes[0]) is is_somebodys


@pytest.mark.parametrize(
    ("found", "is_well"),
    [
        ([*ARRIVED, KEPT], True),
        ([*ARRIVED[:2], IN_JUNK, ARRIVED[3], KEPT], False),
        ([*ARRIVED, Finding(Look.STORED, Outcome.BAD, "probe.filed_elsewhere")], False),
        (ARRIVED[:2], False),
        ([], False),
    ],
    ids=["in INBOX", "in Junk", "filed", "sent", "nothing"],
)
def test_all_is_well_only_when_the_message_was_seen_in_inbox(
    server: Server, probes: tuple[list[Probe], list[Finding]], found: list[Finding], is_well: bool
) -> None:
    probes[1].extend(found)
    assert tried(server)["is_well"] is is_well


def test_no_report_of_an_error_shows_the_password_of_the_account(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(*_: Any, **__: Any) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(to_oneself, "try_server", break_down)
    fields = {"own-login": "probe", "own-password": "five-stones", "own-service": "smtp"}
    request = RequestFactory().post("/", fields)
    request.user = make_user(is_administrator=True)
    with pytest.raises(RuntimeError):
        servers.server_to_oneself(request, server.pk)
    shown = SafeExceptionReporterFilter().get_post_parameters(request)
    assert shown["own-login"] == "probe"
    assert "five-stones" not in str(shown)


@pytest.mark.parametrize("words", ["1.8 TB\tfree", "1.8 TB \u202efree"])
def test_what_was_seen_of_disks_is_refused_beside_its_field(server: Server, client: Client, words: str) -> None:
    client.force_login(make_user(is_administrator=True))
    page = client.post(f"/servers/{server.pk}/room", {"words": words})
    assert (page.status_code, "Say what you saw" in page.content.decode()) == (422, True)
    assert not Event.objects.filter(name=to_oneself.ROOM_SEEN).exists()
