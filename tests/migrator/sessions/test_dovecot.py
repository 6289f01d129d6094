"""What doveadm is asked and how its answers are read, with a doveadm that notes its words."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from migrator.entries import Json, open_connector
from migrator.errors import MigratorError
from migrator.sessions import SESSIONS
from migrator.sessions.dovecot import DovecotSessions

ANNA = "anna@example.test"


class Doveadm:
    """A program that answers what the test says and writes down its words."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.answer("who", "[]")
        self.answer("kick", "")
        program = folder / "doveadm"
        program.write_text(
            f'#!/bin/sh\ncd {folder}\nprintf "%s\\n" "$*" >>words\n[ "$1" = kick ] || set -- who\n'
            'cat "$1.out"\ncat "$1.err" >&2\nexit "$(cat "$1.code")"\n'
        )
        program.chmod(0o755)

    def answer(self, command: str, out: str, err: str = "", code: int = 0) -> None:
        for suffix, text in (("out", out), ("err", err), ("code", str(code))):
            (self.folder / f"{command}.{suffix}").write_text(text)

    def who(self, *sessions: tuple[str, str]) -> None:
        rows = [{"username": user, "service": "imap", "pid": "7", "ip": ip} for user, ip in sessions]
        self.answer("who", json.dumps(rows))

    def words(self) -> list[str]:
        path = self.folder / "words"
        return path.read_text().splitlines() if path.exists() else []

    def sessions(self, **options: Json) -> DovecotSessions:
        return open_connector(SESSIONS, "dovecot", {"doveadm": [str(self.folder / "doveadm")], **options})


@pytest.fixture
def doveadm(tmp_path: Path) -> Doveadm:
    return Doveadm(tmp_path)


def refusal(call: Callable[[], object]) -> MigratorError:
    with pytest.raises(MigratorError) as caught:
        call()
    return caught.value


def test_sessions_are_counted_whatever_the_capitals(doveadm: Doveadm) -> None:
    doveadm.who((ANNA, "10.0.0.9"), ("Anna@Example.test", "10.0.0.9"), ("bnna@example.test", "10.0.0.9"))
    assert doveadm.sessions().open(ANNA) == 2
    assert doveadm.words() == ["-f json who -1 ????@???????.????"]


def test_each_spelling_is_kicked_as_it_was_listed(doveadm: Doveadm) -> None:
    doveadm.who((ANNA, "10.0.0.9"), (ANNA, "10.0.0.8"), ("Anna@Example.test", ""), ("hans@example.test", ""))
    doveadm.sessions().end(ANNA)
    assert sorted(set(doveadm.words()[1:])) == ["kick Anna@Example.test", f"kick {ANNA}"]


def test_our_own_sessions_are_neither_counted_nor_ended(doveadm: Doveadm) -> None:
    doveadm.who((ANNA, "10.0.0.5"), (ANNA, "10.0.0.9"), (ANNA, "2001:DB8::5"))
    sessions = doveadm.sessions(our_addresses=["10.0.0.5", "2001:db8:0::5"])
    assert sessions.open(ANNA) == 1
    sessions.end(ANNA)
    assert doveadm.words()[2:] == [f"kick {ANNA} 10.0.0.9"]


def test_where_dovecot_knows_local_parts_it_is_asked_for_them(doveadm: Doveadm) -> None:
    doveadm.who(("anna", "10.0.0.9"))
    assert doveadm.sessions(user="local").open(ANNA) == 1
    assert doveadm.words() == ["-f json who -1 ????"]


@pytest.mark.parametrize("code", [0, 68])
def test_nobody_left_to_kick_is_success(doveadm: Doveadm, code: int) -> None:
    doveadm.who((ANNA, "10.0.0.9"))
    doveadm.answer("kick", "no users kicked\n", code=code)
    doveadm.sessions().end(ANNA)


@pytest.mark.parametrize(
    "address",
    ["", "-A", "*", "a*", "?nna", "10.0.0.9", "10.0.0.0/8", "::1", "[::1]", "2001:db8::/32", "a\nb", "a\0b"],
)
def test_a_name_that_doveadm_takes_for_more_than_one_user_is_never_spoken(doveadm: Doveadm, address: str) -> None:
    for call in (doveadm.sessions().open, doveadm.sessions().end):
        assert refusal(lambda call=call: call(address)).code == "address.bad"
    assert doveadm.words() == []


def test_a_listed_name_that_is_a_pattern_is_not_kicked(doveadm: Doveadm) -> None:
    doveadm.who(("a*", "10.0.0.9"))
    assert doveadm.sessions().open(ANNA) == 0


def test_a_failure_has_doveadms_words(doveadm: Doveadm) -> None:
    doveadm.answer("who", "", "doveadm(root): Fatal: no socket", 75)
    failure = refusal(lambda: doveadm.sessions().open(ANNA))
    assert (failure.code, failure.reply) == ("command.failed", "doveadm(root): Fatal: no socket")
    doveadm.who((ANNA, "10.0.0.9"))
    doveadm.answer("kick", "", "no", 77)
    assert refusal(lambda: doveadm.sessions().end(ANNA)).params == {"exit_code": 77}


@pytest.mark.parametrize("printed", ["", "username # proto", "{}{}", '[{"user": "x"}]', "5", '["anna"]'])
def test_an_answer_that_is_no_list_is_never_taken_for_nobody(doveadm: Doveadm, printed: str) -> None:
    doveadm.answer("who", printed)
    assert refusal(lambda: doveadm.sessions().open(ANNA)).code == "sessions.unreadable"


@pytest.mark.parametrize(
    "wrong", [{"doveadm": []}, {"doveadm": "a\0"}, {"seconds": 0}, {"our_addresses": ["here"]}, {"user": "x"}, {"x": 1}]
)
def test_options_that_cannot_be_meant_are_refused(wrong: dict[str, Json]) -> None:
    assert refusal(lambda: open_connector(SESSIONS, "dovecot", wrong)).code == "connector.invalid"
