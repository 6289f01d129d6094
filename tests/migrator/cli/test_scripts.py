"""Sieve on the command line: where it is looked for, and what the shell is told of its end."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

import pytest

from migrator.cli import objects, scripts, side_doors, summary
from migrator.cli.accounts import AccountResult, Exit, Sums, exit_of_beside
from migrator.cli.commands import main
from migrator.cli.options import parse
from migrator.cli.scripts import ScriptsEnd
from migrator.cli.side_doors import Place, Roads, SideDoors
from migrator.cli.terminal import Terminal
from migrator.cli.watch import AccountWatch, verdict
from migrator.errors import MigratorError, Side
from migrator.events import ScriptsAbsent
from migrator.limits import Limits
from migrator.secret import Secret
from migrator.stores.endpoint import Endpoint
from migrator.stores.sieve import endpoint_beside
from migrator.testing import FakeClock, RecordingSink
from migrator.transfer.memory_ledger import MemoryLedger
from migrator.transfer.sieve import ScriptFate, ScriptResult
from tests.migrator.cli.worlds import world
from tests.rigs.base import free_port
from tests.rigs.text_peer import TextPeer

URLS = ["imap://a@h", "imap://a@i"]
REFUSED = ScriptResult("x", ScriptFate.REFUSED, True, ["ext"], MigratorError("sieve.refused", reply="no"))


def options(*words: str) -> argparse.Namespace:
    return parse(["copy", *URLS, *words])


@pytest.mark.parametrize(
    ("words", "places"),
    [
        (["--sieve"], (Place(), Place())),
        (["--source-sieve", "h:2000"], (Place("h", 2000, True), Place())),
        (["--target-sieve", ":2000"], (Place(), Place("", 2000, True))),
        (["--target-sieve", "[::1]:2000"], (Place(), Place("::1", 2000, True))),
        (["--target-sieve", "mail.example"], (Place(), Place("mail.example", None, True))),
    ],
)
def test_where_scripts_are_is_found_or_named(words: list[str], places: tuple[Place, Place]) -> None:
    roads = side_doors.roads(options(*words), "sieve")
    assert roads is not None
    assert tuple(roads.places[side] for side in Side) == places


def test_without_being_asked_nobody_looks_for_scripts() -> None:
    assert side_doors.roads(options(), "sieve") is None


@pytest.mark.parametrize("text", ["", "a b", "h:0", "h:70000", "h:x", "u@h", "sieve://h"])
def test_what_is_no_place_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        options("--source-sieve", text)
    assert "HOST:PORT" in capsys.readouterr().err


@pytest.mark.parametrize(("security", "there"), [("plain", "plain"), ("starttls", "starttls"), ("tls", "starttls")])
def test_scripts_are_as_well_protected_as_the_mail(security: str, there: str) -> None:
    mail = Endpoint("h", 993, security, "u", Secret("p"), authzid="v", fingerprint="f")  # type: ignore[arg-type]
    place = endpoint_beside(mail)
    assert place == replace(mail, port=4190, security=there)  # type: ignore[arg-type]
    assert endpoint_beside(mail, "other", 1).host == "other"


def test_a_side_where_nobody_answers_is_asked_once_for_a_whole_list() -> None:
    here = Place("127.0.0.1", free_port())
    roads = Roads({Side.SOURCE: here, Side.TARGET: here})
    endpoint = Endpoint("127.0.0.1", 1, "plain", "u", Secret("p"))
    doors = SideDoors(roads, dict.fromkeys(Side, endpoint), Limits())
    sink = RecordingSink()
    ends = [scripts.carry(doors, MemoryLedger(), sink, dry_run=False) for _ in range(3)]
    assert [end.absent.code for end in ends if end.absent] == ["server.unreachable"] * 3
    assert [type(event) for event in sink.events] == [ScriptsAbsent]
    assert exit_of_beside(ends[0]) is Exit.ALL_THERE
    named = SideDoors(Roads({side: replace(here, is_named=True) for side in Side}), doors.endpoints, Limits())
    end = scripts.carry(named, MemoryLedger(), sink, dry_run=False)
    assert end.error is not None
    assert exit_of_beside(end) is Exit.AGAIN


def test_a_refused_sign_in_to_scripts_needs_a_person_and_the_mail_is_done() -> None:
    greeting = '"SIEVE" ""\n"SASL" "PLAIN"\nOK'
    with TextPeer({"AUTHENTICATE": 'NO "Authentication failed"'}, greeting=greeting) as peer:
        place = Place("127.0.0.1", peer.port)
        endpoint = Endpoint("127.0.0.1", 1, "plain", "u", Secret("p"))
        doors = SideDoors(Roads(dict.fromkeys(Side, place)), dict.fromkeys(Side, endpoint), Limits())
        end = scripts.carry(doors, MemoryLedger(), RecordingSink(), dry_run=False)
    assert end.error is not None
    assert (end.error.code, exit_of_beside(end)) == ("sign_in.refused", Exit.PERSON)
    result = AccountResult(world("john").account, Exit.PERSON, Sums(), is_balanced=True, scripts=end)
    assert verdict(result).startswith("mail done, Sieve scripts not: The old server: ")


def test_scripts_left_behind_are_in_the_exit_code_the_table_and_the_object() -> None:
    end = ScriptsEnd([REFUSED, ScriptResult("y", ScriptFate.REMOVED_THERE)])
    assert exit_of_beside(end) is Exit.LEFT_BEHIND
    result = AccountResult(world("john").account, Exit.LEFT_BEHIND, Sums(), is_balanced=True, scripts=end)
    assert verdict(result) == "done, 1 Sieve script left behind"
    told = summary.of_copy(result, AccountWatch(Terminal(sys.stderr), FakeClock(), verbose=False), verbose=False,
                           is_dry_run=True)  # fmt: skip
    assert told[-1] == "This was a rehearsal. Some Sieve scripts would stay behind, each with its reason."
    assert "mail done" not in "\n".join(summary.of_accounts([result], is_dry_run=False, seconds=1))
    assert objects.account_object(result)["sieve"]["scripts"][0] == {
        "script": "x", "fate": "refused", "active": True, "missing": ["ext"], "code": "sieve.refused", "reply": "no"
    }  # fmt: skip


def test_scripts_need_two_mailboxes_at_which_somebody_signs_in(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["copy", "mbox:/nowhere/x", "lmtp://a@127.0.0.1:1", "--sieve"]) == 2
    assert "--sieve is for two mailboxes at which somebody signs in." in capsys.readouterr().err
