"""Recipes are believed when they are proved; rows connect only to where administrators allow, by whoever may."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from campaigns.bridge.connect import Approach, hosts_of, require_allowed
from campaigns.models import Account, AllowedAddress, Campaign, Connector, Event, Server
from campaigns.services import preflights
from migrator.errors import MigratorError, Side
from migrator.preflight import Failure
from tests.campaigns.crossings import give_password, make_admin
from tests.campaigns.towns import PROBE, Town

pytestmark = pytest.mark.django_db
ANNA = "anna@example.test"
BOTH = dict.fromkeys(Side, PROBE)


def told(failures: list[Failure]) -> list[tuple[str, object]]:
    return [(failure.error.code, failure.error.side) for failure in failures]


def accept(town: Town, disabled: dict[Side, str]) -> list[tuple[str, object]]:
    return told(preflights.accept_recipe(town.campaign, disabled, actor="anna", world=town.world))


def test_a_recipe_is_accepted_when_an_administrator_opens_somebody_disabled_on_both_sides() -> None:
    town = Town()
    assert not preflights.is_accepted(town.campaign)
    assert accept(town, BOTH) == []
    assert preflights.is_accepted(town.campaign)
    assert (town.source.tries, town.target.tries) == (["admin"], ["admin"])
    event = Event.objects.get(name=preflights.ACCEPTED)
    assert (event.actor_name, event.campaign, event.data["recipe"]) == ("anna", town.campaign, "plain")


def test_a_recipe_is_refused_where_the_administrator_is_refused() -> None:
    town = Town()
    accept(town, BOTH)
    make_admin(town.campaign.source, password="changed since")
    assert accept(town, BOTH) == [("sign_in.admin_refused", Side.SOURCE)]
    assert not preflights.is_accepted(town.campaign)
    assert Event.objects.get(name=preflights.REFUSED).data["failures"] == [["source", "sign_in.admin_refused"]]


def test_nothing_is_proved_by_somebody_who_is_not_disabled_or_not_known() -> None:
    town = Town()
    town.rows[ANNA] = {"status": "active", "host": "old.example.test"}
    assert accept(town, dict.fromkeys(Side, ANNA)) == [("preflight.not_disabled", side) for side in Side]
    assert [code for code, _ in accept(town, {**BOTH, Side.TARGET: "nobody@example.test"})] == ["directory.missing"]
    assert not preflights.is_accepted(town.campaign)


def test_every_governed_side_must_be_proved() -> None:
    town = Town()
    assert accept(town, {Side.SOURCE: PROBE}) == [("preflight.not_proved", Side.TARGET)]
    assert not preflights.is_accepted(town.campaign)


def test_a_governed_side_without_an_administrator_is_refused() -> None:
    town = Town(has_admin=False)
    assert accept(town, BOTH) == [("preflight.no_admin", side) for side in Side]


def test_a_campaign_that_nobody_governs_needs_no_proof() -> None:
    town = Town(is_governed=False)
    assert preflights.is_accepted(town.campaign)
    assert accept(town, {}) == []


@pytest.mark.parametrize("change", ["recipe", "administrator", "connector", "server"])
def test_a_proof_ends_with_what_it_was_made_of(change: str) -> None:
    town = Town()
    accept(town, BOTH)
    match change:
        case "recipe":
            Campaign.objects.update(recipe="classic")
        case "administrator":
            Server.objects.filter(name="source").update(admin_login="root")
        case "connector":
            Connector.objects.filter(name="staff").update(options={"rows": "elsewhere"})
        case "server":
            Server.objects.filter(name="target").update(port=993)
    assert not preflights.is_accepted(Campaign.objects.get())


def test_nothing_is_changed_anywhere_by_a_check() -> None:
    town = Town()
    accept(town, BOTH)
    (account,) = town.move_in(ANNA)
    before = repr((town.rows, town.source.mailboxes[ANNA].contents(), town.target.mailboxes[ANNA].contents()))
    with Approach(Account.objects.get(pk=account.pk), town.world) as approach:
        assert preflights.check_account(approach) == []
    assert repr((town.rows, town.source.mailboxes[ANNA].contents(), town.target.mailboxes[ANNA].contents())) == before
    assert (town.source.tries, town.target.tries) == (["admin", ANNA, "admin"], ["admin", "admin"])


def test_an_account_without_a_proof_is_not_even_signed_in() -> None:
    town = Town()
    (account,) = town.move_in(ANNA)
    with Approach(Account.objects.get(pk=account.pk), town.world) as approach, pytest.raises(MigratorError) as caught:
        preflights.check_account(approach)
    assert caught.value.code == "preflight.not_proved"
    assert town.source.tries == []


# How rows connect


def approach_to(town: Town, **fields: Any) -> Approach:
    (account,) = town.move_in(ANNA)
    Account.objects.filter(pk=account.pk).update(**fields)
    return Approach(Account.objects.select_related("campaign").get(pk=account.pk), town.world)


def test_who_opens_a_mailbox_follows_from_who_is_let_in() -> None:
    approach = approach_to(Town())
    openers = {
        (side, is_admitted): approach.endpoint(side, is_admitted=is_admitted).username
        for side in Side
        for is_admitted in (True, False)
    }
    assert openers == {
        (Side.SOURCE, True): ANNA,
        (Side.SOURCE, False): "admin",
        (Side.TARGET, True): ANNA,
        (Side.TARGET, False): "admin",
    }
    night = approach.endpoint(Side.SOURCE)
    assert (night.authzid, night.password.reveal()) == (ANNA, "of the admin")
    assert approach.endpoint(Side.SOURCE, is_admitted=True).authzid is None


def test_where_nobody_governs_the_password_opens_and_an_administrator_where_there_is_none() -> None:
    town = Town(is_governed=False)
    assert approach_to(town).endpoint(Side.SOURCE).username == ANNA
    Account.objects.update(source_secret=None)
    with Approach(Account.objects.get(), town.world) as approach:
        assert approach.endpoint(Side.SOURCE).authzid == ANNA


def test_a_mailbox_that_nobody_can_open_is_told() -> None:
    approach = approach_to(Town(is_governed=False, has_admin=False), source_secret=None)
    with pytest.raises(MigratorError) as caught:
        approach.endpoint(Side.SOURCE)
    assert (caught.value.code, caught.value.side) == ("preflight.no_password", Side.SOURCE)


def test_trusted_authorities_reach_the_connection_as_a_private_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "DATA", tmp_path)
    town = Town(is_governed=False)
    Server.objects.update(ca_pem="a certificate", accepts_any_certificate=False)
    approach = approach_to(town)
    files = {approach.endpoint(side).ca_file for side in Side}
    (file,) = map(Path, filter(None, files))
    assert file.read_text() == "a certificate"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert approach.endpoint(Side.SOURCE).verify


@pytest.mark.parametrize(
    ("host", "is_allowed"),
    [
        ("mail.example.test", True),
        ("MAIL.example.test", True),
        ("mail.example.test.evil.test", False),
        ("10.1.2.3", True),
        ("10.2.0.1", False),
        ("169.254.169.254", False),
        ("localhost", False),
        ("::1", True),
        ("10.1.2.3.evil.test", False),
        ("", False),
        ("a name/8", False),
    ],
)
def test_nothing_is_reached_that_no_administrator_has_allowed(host: str, is_allowed: bool) -> None:
    for allowed in ("mail.example.test", "10.1.0.0/16", "::1", "nonsense/99"):
        AllowedAddress.objects.create(host=allowed)
    if is_allowed:
        require_allowed(host)
    else:
        with pytest.raises(MigratorError, match=r"address\.not_allowed"):
            require_allowed(host)


def test_a_connector_is_asked_for_every_host_it_names() -> None:
    options = {
        "uris": ["ldap://a.example.test:389", "ldaps://[2001:db8::1]"],
        "host": "b.example.test",
        "base": "dc=ldap://no",
    }
    assert list(hosts_of(options)) == ["b.example.test", "a.example.test", "2001:db8::1"]


def test_a_connector_at_an_address_that_is_not_allowed_is_not_opened() -> None:
    town = Town()
    Connector.objects.filter(name="staff").update(options={"rows": "town", "host": "10.0.0.1"})
    approach = approach_to(town)
    with pytest.raises(MigratorError, match=r"address\.not_allowed"):
        approach.directory(Side.SOURCE)


def test_the_ledger_calls_a_mailbox_the_same_through_every_door() -> None:
    town = Town(is_governed=False)
    approach = approach_to(town)
    before = approach.identity(Side.SOURCE)
    Server.objects.update(port=993, security="tls", host="OLD.example.test")
    give_password(approach.account, "another")
    again = Approach(Account.objects.get(), town.world)
    assert again.identity(Side.SOURCE) == before == "imap://anna%40example.test@old.example.test"
