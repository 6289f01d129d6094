"""Classes of folders on the command line, in the words of the guide and in ours."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from migrator.cli import classes, objects, side_doors, summary
from migrator.cli.accounts import AccountResult, Exit, Sums, exit_of_beside
from migrator.cli.classes import ClassesEnd
from migrator.cli.options import parse
from migrator.cli.side_doors import Place, Roads, SideDoors
from migrator.cli.terminal import Terminal
from migrator.cli.watch import AccountWatch, sentence_of, verdict
from migrator.errors import MigratorError, Side
from migrator.events import ClassesAbsent, ClassLeftBehind
from migrator.limits import Limits
from migrator.secret import Secret
from migrator.stores.endpoint import Endpoint
from migrator.testing import FakeClock, RecordingSink
from migrator.transfer.folder_classes import ClassFate, ClassResult
from migrator.transfer.memory_ledger import MemoryLedger
from tests.migrator.cli.worlds import world
from tests.rigs.base import free_port
from tests.rigs.communigate import POSTMASTER, CommuniGate
from tests.rigs.communigate_cli import CommuniGateCli

LETTER = b"Subject: hello\r\n\r\nbody\r\n"
CALENDAR = "IPF.Appointment"
REFUSED = ClassResult("Termine", CALENDAR, ClassFate.REFUSED, error=MigratorError("classes.refused", reply="501 no"))


class Pair:
    """Two CommuniGate servers, each with its IMAP and its command line; Anna has a calendar on the old one."""

    def __init__(self, imap: list[CommuniGate], cli: list[CommuniGateCli], folder: Path) -> None:
        self.imap, self.cli = imap, cli
        self._folder = folder
        imap[0].put("anna", "Termine", LETTER)
        cli[0].accounts["anna"].classes.update({"INBOX": "", "Termine": CALENDAR})
        cli[1].accounts["anna"].classes.update({"INBOX": "", "Termine": ""})

    def words(self, user: str) -> list[str]:
        """Servers, names and passwords as the guide has them, and where the command lines are."""
        file = self._folder / "password"
        file.write_text(self.cli[0].passwords[user] + "\n")
        file.chmod(0o600)
        servers = [one.url("x").partition("@")[2] for one in self.imap]
        places = [f"--{side}-classes=:{one.port}" for side, one in zip(("source", "target"), self.cli, strict=True)]
        return [*places, servers[0], user, str(file), servers[1], user, str(file)]


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with CommuniGate("anna") as old, CommuniGate("anna") as new:  # noqa: SIM117
        with CommuniGateCli("anna") as old_line, CommuniGateCli("anna") as new_line:
            for line in (old_line, new_line):
                line.passwords["anna"] = "her word"
            yield Pair([old, new], [old_line, new_line], tmp_path)


@pytest.mark.req("S-67")
def test_the_classic_flag_copies_the_classes_of_folders(mailferry, pair) -> None:
    ended = mailferry("MoveIMAPMail", "--copyMailboxClass", *pair.words("anna"))
    assert ended.exit_code == 0, ended.err
    assert pair.imap[1].holds("anna") == {"Termine": [LETTER]}
    assert pair.cli[1].accounts["anna"].classes == {"INBOX": "", "Termine": CALENDAR}
    assert "1 folder with a class (calendar, contacts), 1 set by this run." in ended.err


@pytest.mark.req("S-67")
def test_the_postmaster_copies_them_for_somebody_else(mailferry, pair) -> None:
    words = ["--source", "~anna/", "--target", "~anna/", *pair.words(POSTMASTER)]
    ended = mailferry("MoveIMAPMail", "--copyMailboxClass", *words)
    assert ended.exit_code == 0, ended.err
    assert pair.cli[1].accounts["anna"].classes["Termine"] == CALENDAR
    assert "LISTMAILBOXES anna" in pair.cli[0].said


def test_without_the_flag_nobody_asks(mailferry, pair) -> None:
    words = pair.words("anna")[2:]
    assert mailferry("MoveIMAPMail", *words).exit_code == 0
    assert pair.cli[0].connections == pair.cli[1].connections == 0


def test_a_refused_class_is_in_the_exit_code_and_for_programs(mailferry, pair) -> None:
    pair.cli[1]._answers["SETMAILBOXCLASS"] = ["501 not this one"]
    ended = mailferry("MoveIMAPMail", "--copyMailboxClass", "--json", *pair.words("anna"))
    assert ended.exit_code == Exit.LEFT_BEHIND
    assert json.loads(ended.out)["classes"]["folders"] == [
        {
            "folder": "Termine",
            "class": CALENDAR,
            "fate": "refused",
            "there": "",
            "code": "classes.refused",
            "reply": "501 not this one",
        }
    ]


def test_the_list_of_many_takes_the_flag_with_imap_alone(mailferry, pair, tmp_path) -> None:
    (tmp_path / "list").write_text("Name\tPassword\nanna\ther word\n")
    places, servers = pair.words("anna")[:2], [pair.words("anna")[2], pair.words("anna")[5]]
    ended = mailferry("MoveAccounts", "--IMAP", tmp_path / "list", *servers, "--copyMailboxClass", *places)
    assert ended.exit_code == 0, ended.err
    assert pair.cli[1].accounts["anna"].classes["Termine"] == CALENDAR
    ended = mailferry("MoveAccounts", tmp_path / "list", *servers, "--copyMailboxClass")
    assert (ended.exit_code, "somebody signs in" in ended.err) == (2, True)


def test_a_side_where_nobody_answers_is_asked_once_for_a_whole_list() -> None:
    here = Place("127.0.0.1", free_port())
    endpoint = Endpoint("127.0.0.1", 1, "plain", "u", Secret("p"))
    doors = SideDoors(Roads(dict.fromkeys(Side, here)), dict.fromkeys(Side, endpoint), Limits())
    sink = RecordingSink()
    ends = [classes.carry(doors, MemoryLedger(), sink, dry_run=False) for _ in range(3)]
    assert [end.absent.code for end in ends if end.absent] == ["classes.unreachable"] * 3
    assert [type(event) for event in sink.events] == [ClassesAbsent]
    assert exit_of_beside(ends[0]) is Exit.ALL_THERE
    named = replace(doors, roads=Roads({side: replace(here, is_named=True) for side in Side}))
    end = classes.carry(named, MemoryLedger(), sink, dry_run=False)
    assert exit_of_beside(end) is Exit.AGAIN
    result = AccountResult(world("john").account, Exit.AGAIN, Sums(), is_balanced=True, classes=end)
    assert verdict(result).startswith("mail done, classes of folders not: The old server: ")


def test_without_being_asked_there_are_no_roads() -> None:
    assert side_doors.roads(parse(["copy", "imap://a@h", "imap://a@i"]), "classes") is None


def test_classes_left_behind_are_told_everywhere() -> None:
    end = ClassesEnd([REFUSED, ClassResult("x", "IPF.Task", ClassFate.NOT_COPIED)])
    assert exit_of_beside(end) is Exit.LEFT_BEHIND
    result = AccountResult(world("john").account, Exit.LEFT_BEHIND, Sums(), is_balanced=True, classes=end)
    assert verdict(result) == "done, 1 class of a folder left behind"
    watch = AccountWatch(Terminal(sys.stderr), FakeClock(), verbose=False)
    told = summary.of_copy(result, watch, verbose=False, is_dry_run=False)
    assert told[-1] == "Done, but classes of folders were left behind, each with its reason."
    assert objects.account_object(result)["classes"]["absent"] is False


@pytest.mark.parametrize("fate", [one for one in ClassFate if one not in (ClassFate.COPIED, ClassFate.THERE)])
def test_each_end_has_its_words(fate: ClassFate) -> None:
    sentence = sentence_of(ClassLeftBehind(folder="Termine", kind=CALENDAR, reason=fate, error=REFUSED.error))
    assert sentence is not None
    assert sentence.startswith(f"Class {CALENDAR} of folder Termine: {classes.FATES[fate]}. ")
    assert sentence.endswith("[501 no]")
