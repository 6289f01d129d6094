"""Accounts made on a CommuniGate Pro, against a scripted server that does as its guide says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from migrator.directories import POPULATIONS
from migrator.entries import Json, open_connector
from migrator.errors import MigratorError
from migrator.secret import Secret
from tests.rigs.communigate_cli import PASSWORD, CommuniGateCli
from tests.rigs.text_peer import cut

ANNA = "anna@example.test"


@pytest.fixture
def peer() -> Iterator[CommuniGateCli]:
    with CommuniGateCli("bert@example.test") as peer:
        yield peer


@pytest.fixture
def opened() -> Iterator[Any]:
    made: list[Any] = []

    def open_(peer: CommuniGateCli, **options: Json) -> Any:
        given: dict[str, Json] = {"host": "127.0.0.1", "port": peer.port, "answer_seconds": 5, **options}
        made.append(open_connector(POPULATIONS, "communigate", given, Secret(PASSWORD)))
        return made[-1]

    yield open_
    for one in made:
        one.close()


def test_an_account_is_made_closed_and_found_from_then_on(peer: CommuniGateCli, opened: Any) -> None:
    population = opened(peer)
    assert not population.exists(ANNA)
    population.create(ANNA)
    assert population.exists(ANNA)
    assert peer.accounts[ANNA].settings == {"AccessModes": ["27", "Mail"]}
    assert peer.accounts[ANNA].made_with == ("MultiMailbox",)
    assert 'CREATEACCOUNT "anna@example.test" MultiMailbox {AccessModes=(27,Mail);}' in peer.said


@pytest.mark.req("S-6")
def test_an_account_is_made_with_an_external_inbox_where_that_was_chosen(peer: CommuniGateCli, opened: Any) -> None:
    opened(peer, external_inbox=True, account_type="TextMailbox").create(ANNA)
    assert peer.accounts[ANNA].made_with == ("TextMailbox", "LEGACY")


@pytest.mark.req("S-12")
def test_an_account_is_made_with_the_password_of_the_operating_system(peer: CommuniGateCli, opened: Any) -> None:
    opened(peer, os_password=True).create(ANNA)
    assert peer.accounts[ANNA].settings["UseSysPassword"] == "YES"
    assert peer.accounts[ANNA].settings["OSUserName"] == "*"


@pytest.mark.req("S-6", "S-12")
def test_chosen_accounts_alone_are_made_so(peer: CommuniGateCli, opened: Any) -> None:
    chosen = {"external_accounts": [ANNA.upper()], "os_accounts": ["otto@example.test"]}
    population = opened(peer, external_inbox=True, os_password=True, **chosen)
    for address in (ANNA, "otto@example.test"):
        population.create(address)
    anna, otto = peer.accounts[ANNA], peer.accounts["otto@example.test"]
    assert (anna.made_with, "UseSysPassword" in anna.settings) == (("MultiMailbox", "LEGACY"), False)
    assert (otto.made_with, otto.settings["UseSysPassword"]) == (("MultiMailbox",), "YES")
    with pytest.raises(MigratorError, match="not switched on"):
        opened(peer, os_accounts=[ANNA])


def test_making_an_account_that_is_there_leaves_it_as_it_is(peer: CommuniGateCli, opened: Any) -> None:
    population = opened(peer)
    peer.accounts[ANNA] = peer.accounts["bert@example.test"]
    before = dict(peer.accounts[ANNA].settings)
    population.create(ANNA)
    assert peer.accounts[ANNA].settings == before


def test_what_was_made_is_never_deleted(peer: CommuniGateCli, opened: Any) -> None:
    population = opened(peer)
    population.create(ANNA)
    population.remove(ANNA)
    assert population.exists(ANNA)
    assert not any(said.startswith("DELETE") for said in peer.said)


def test_a_lost_answer_is_told_as_lost_and_looked_at_before_anything_is_repeated(
    peer: CommuniGateCli, opened: Any
) -> None:
    peer._answers["CREATEACCOUNT"] = [cut]
    population = opened(peer)
    with pytest.raises(MigratorError) as lost:
        population.create(ANNA)
    assert lost.value.code == "directory.lost"
    assert not population.exists(ANNA)


@pytest.mark.parametrize("address", ["", "anna\r\nDELETEACCOUNT bert", " anna", "@example.test"])
def test_an_unspeakable_address_is_refused_before_it_is_sent(peer: CommuniGateCli, opened: Any, address: str) -> None:
    population = opened(peer)
    for call in (population.exists, population.create, population.remove):
        with pytest.raises(MigratorError) as refusal:
            call(address)
        assert refusal.value.code == "address.bad"
    assert peer.said == []
