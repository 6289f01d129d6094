"""What goes beside the mail when the panel moves a batch: Sieve scripts, notes on folders, names for POP3 programs."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from django.test import Client

from campaigns.models import Account, Event, Server
from tests.live.test_kinds import admin, assert_moved, move, set_up
from tests.live.test_metadata import COLOUR, COMMENTS, note, noted
from tests.live.test_pop_readers import REUSE, letter, names
from tests.live.test_pop_readers import fill as fill_inbox
from tests.live.test_sieve import FILING, VACATION, give, held
from tests.rigs.base import HOST, users
from tests.rigs.dovecot import ADMIN, ADMIN_PASSWORD, Dovecot

__all__ = ["admin"]
pytestmark = pytest.mark.django_db(transaction=True)
PEOPLE: Final = users(4)
NEWER: Final = b'require ["vacation", "vacation-seconds"];\nvacation :seconds 60 "away";\n'
OF_ADMIN: Final = {"admin_login": ADMIN, "admin_secret": ADMIN_PASSWORD, "admin_access": "authzid"}
MORE: Final = "sieve_extensions = +vacation-seconds"


def server(admin: Client, name: str, rig: Dovecot, **fields: str) -> Server:
    return set_up(admin, "imap", name=name, port=str(rig.imap), **OF_ADMIN, **fields)


def told(account: Account, page: Client) -> str:
    return page.get(f"/accounts/{account.pk}").content.decode()


def scripted(account: Account) -> list[str]:
    rows = Event.objects.filter(account=account, name__startswith="account.script").order_by("pk")
    return list(rows.values_list("name", flat=True))


def test_scripts_and_notes_go_with_a_batch_and_what_is_left_behind_is_named(admin: Client, tmp_path: Path) -> None:
    with Dovecot(PEOPLE, sieve=True, sieve_settings=MORE) as source, Dovecot(PEOPLE, sieve=True) as target:
        for name in PEOPLE:
            note(source.account(name), b"Work", COMMENTS | COLOUR)
        give(source, "u0000", "Ferien", Ferien=VACATION, filing=FILING)
        give(source, "u0001", "newer", newer=NEWER, filing=FILING)
        give(source, "u0002", "mine", mine=VACATION)
        give(target, "u0002", "mine", mine=FILING)  # its owner was there before
        old = server(admin, "old", source, sieve_place=f":{source.sieve}")
        new = server(admin, "new", target, sieve_place=f"{HOST}:{target.sieve}")
        accounts = move(admin, old, new, ["Name", *PEOPLE], tmp_path, copies_scripts="on", copies_notes="on")
        assert_moved(accounts)
        for name in PEOPLE:
            assert noted(target.account(name), b"Work", [*COMMENTS, *COLOUR]) == COMMENTS | COLOUR
        assert held(target, "u0000") == ({"Ferien": VACATION, "filing": FILING}, "Ferien")
        assert held(target, "u0001") == ({"filing": FILING}, "")
        assert held(target, "u0002") == ({"mine": FILING}, "mine")
        assert held(target, "u0003") == ({}, "")
        first, second, third, fourth = accounts
        assert scripted(first) == ["account.scripts.copied"] * 2  # once it was copied ahead, and in the night
        assert "Active is Ferien, as on the old server." in told(first, admin)
        refused = told(second, admin)
        assert "The Sieve script newer: the new server does not take it." in refused
        assert "It needs what is not offered there: vacation-seconds." in refused
        assert "The Sieve script mine: the new mailbox has another of this name, which stays." in told(third, admin)
        assert "h-scripts" not in told(fourth, admin)  # who has none is told nothing


def test_a_server_without_managesieve_is_told_once_and_keeps_nobody_back(admin: Client, tmp_path: Path) -> None:
    with Dovecot(PEOPLE, sieve=True) as source, Dovecot(PEOPLE) as target:
        give(source, "u0000", "a", a=VACATION)
        old = server(admin, "old", source, sieve_place=f":{source.sieve}")
        new = server(admin, "new", target)
        accounts = move(admin, old, new, ["Name", *PEOPLE], tmp_path, copies_scripts="on")
        assert_moved(accounts)
        assert scripted(accounts[0]) == ["account.scripts.absent"]
        assert "No Sieve scripts are copied. " in told(accounts[0], admin)


def test_scripts_that_an_administrator_said_are_there_and_are_not_are_told_as_failed(
    admin: Client, tmp_path: Path
) -> None:
    with Dovecot(PEOPLE, sieve=True) as source, Dovecot(PEOPLE) as target:
        give(source, "u0000", "a", a=VACATION)
        old = server(admin, "old", source, sieve_place=f":{source.sieve}")
        new = server(admin, "new", target, sieve_place=f":{target.imap}")
        accounts = move(admin, old, new, ["Name", *PEOPLE], tmp_path, copies_scripts="on")
        assert_moved(accounts)
        assert scripted(accounts[0]) == ["account.scripts.failed"] * 2
        assert "The Sieve scripts did not come to their end. " in told(accounts[0], admin)


@pytest.mark.parametrize("keeps", [True, False])
def test_programs_that_read_by_pop3_find_the_names_they_know_where_that_is_asked_for(
    admin: Client, tmp_path: Path, keeps: bool
) -> None:
    with Dovecot(PEOPLE, pop3=True) as source, Dovecot(PEOPLE, pop3=True, extra=REUSE) as target:
        for number, name in enumerate(PEOPLE):
            fill_inbox(source, name, *(letter(each) for each in range(5 + number)), gone=2)
        old = server(admin, "old", source, pop3_place=f":{source.pop3}")
        new = server(admin, "new", target)
        option = {"keeps_pop_names": "on"} if keeps else {"since": "2001-01-01"}
        assert_moved(move(admin, old, new, ["Name", *PEOPLE], tmp_path, **option))
        for name in PEOPLE:
            assert len(names(target, name)) == len(names(source, name))
            assert (names(target, name) == names(source, name)) is keeps
