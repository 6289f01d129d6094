"""Folders that are open to others stay so between real servers; seen by the access list, and by signing in as them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from migrator.events import GrantLost
from migrator.transfer.plan import CopyPolicy
from tests.live.crossing import Crossing
from tests.live.test_commands import Shell
from tests.rigs.base import Account, Server, users
from tests.rigs.courier import Courier
from tests.rigs.cyrus import Cyrus
from tests.rigs.dialogue import Dialogue
from tests.rigs.dovecot import Dovecot
from tests.rigs.pymap import Pymap

POLICY = CopyPolicy(name_of=str)
LETTER = b"Subject: to all\r\n\r\nhello\r\n"
OLD_AND_OWN = re.compile("[cdn]")  # RFC 2086's, told beside the newer ones, and Cyrus' own
OWNER = "u0001"


@dataclass(frozen=True)
class Side:
    """A server, where its folders stand, and how it writes a group."""

    make: Callable[[], Server]
    prefix: bytes = b""
    staff: str = ""
    owners: frozenset[str] = field(default=frozenset({OWNER, "owner", "administrators"}))


SIDES = {
    "dovecot": Side(lambda: Dovecot(users(3)), staff="$staff"),
    "shared": Side(lambda: Dovecot(users(3), layout="mdbox", separator="/", shared=True), staff="$staff"),
    "cyrus": Side(lambda: Cyrus(users(3)), b"INBOX.", staff="group:staff"),
    "courier": Side(lambda: Courier(users(3)), b"INBOX."),
}


def access(account: Account, side: Side, folder: bytes) -> dict[str, str]:
    """Return who but the owner may do what, in letters of RFC 4314."""
    with Dialogue(account) as talk:
        (reply,) = talk.command(b"GETACL " + folder)
    _, _, _, *words = reply.text.decode().replace('"', "").split()
    pairs = dict(zip(words[::2], words[1::2], strict=True))
    return {
        who: "".join(sorted(OLD_AND_OWN.sub("", may)))
        for who, may in pairs.items()
        if who.lstrip("-") not in side.owners
    }


def share(account: Account, side: Side) -> None:
    team = side.prefix + b"Team"
    with Dialogue(account) as talk:
        talk.command(b"CREATE " + team)
        talk.command(b"CREATE " + side.prefix + b"Private")
        talk.append(team, [(b"()", LETTER)])
        talk.command(b"SETACL INBOX u0002 lr")
        for words in (b"u0002 lrswi", b"-u0000 r") + ((f"{side.staff} lrs".encode(),) if side.staff else ()):
            talk.command(b"SETACL " + team + b" " + words)


@pytest.mark.req("S-51")
@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("dovecot", "shared"), ("dovecot", "cyrus"), ("cyrus", "dovecot"),
        ("cyrus", "cyrus"), ("courier", "dovecot"), ("dovecot", "courier"),
    ],
)  # fmt: skip
def test_access_lists_cross_with_the_folders(source: str, target: str) -> None:
    here, there = SIDES[source], SIDES[target]
    with here.make() as one, there.make() as other:
        share(one.account(OWNER), here)
        crossing = Crossing(one.account(OWNER), other.account(OWNER))
        result = crossing.run(POLICY)
        assert (result.error, result.is_balanced) == (None, True)
        wanted = {"u0002": "ilrsw", "-u0000": "r"}
        if here.staff and there.staff:
            wanted[there.staff] = "lrs"
        assert access(crossing.target, there, there.prefix + b"Team") == wanted
        assert access(crossing.target, there, there.prefix + b"Private").keys() <= {"u0002"}
        assert access(crossing.target, there, b"INBOX") == {"u0002": "lr"}
        lost = [(event.folder, event.who) for event in crossing.log.events if isinstance(event, GrantLost)]
        assert lost == ([("Team", "group staff")] if here.staff and not there.staff else [])
        before = [access(crossing.source, here, name) for name in (b"INBOX", here.prefix + b"Team")]
        assert before[0] == {"u0002": "lr"}  # the source stays as it was
        again = crossing.run(POLICY)
        assert (again.appended, again.is_balanced) == (0, True)


@pytest.mark.req("S-51")
def test_somebody_else_reads_the_folder_on_the_new_server_as_on_the_old() -> None:
    side = SIDES["shared"]
    with SIDES["cyrus"].make() as one, side.make() as other:
        share(one.account(OWNER), SIDES["cyrus"])
        crossing = Crossing(one.account(OWNER), other.account(OWNER))
        assert crossing.run(POLICY).is_balanced
        with Dialogue(other.account("u0002")) as talk:
            replies = talk.command(b'LIST "" *')
            (shared,) = [reply.text.split(b" ")[-1] for reply in replies if reply.text.rstrip(b'"').endswith(b"Team")]
            talk.select(shared.strip(b'"'))
            assert any(LETTER in reply.literals for reply in talk.command(b"FETCH 1 BODY.PEEK[]"))
        with Dialogue(other.account("u0000")) as talk:
            assert not [reply for reply in talk.command(b'LIST "" *') if b"Private" in reply.text]


@pytest.mark.req("S-51")
def test_what_a_server_without_access_lists_cannot_hold_is_told() -> None:
    with SIDES["dovecot"].make() as one, Pymap(users(3)) as other:
        share(one.account(OWNER), SIDES["dovecot"])
        crossing = Crossing(one.account(OWNER), other.account(OWNER))
        assert crossing.run(POLICY).is_balanced
        lost = [
            (event.folder, event.who, event.is_denial) for event in crossing.log.events if event.name == "grant.lost"
        ]
        assert sorted(lost) == [
            ("INBOX", "user u0002", False),
            ("Team", "group staff", False),
            ("Team", "user u0000", True),
            ("Team", "user u0002", False),
        ]


@pytest.mark.req("S-51")
def test_an_operators_list_of_identifiers_is_followed_by_the_command(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    here, there = SIDES["dovecot"], SIDES["cyrus"]
    with here.make() as one, there.make() as other:
        share(one.account(OWNER), here)
        listed = shell.file("map", "u0002\tu0001x\n$staff\tgroup:users\n")
        words = ["copy", one.account(OWNER).url, other.account(OWNER).url, *shell.passwords("pw", "pw")]
        shell.run(*words, "--acl-map", listed)
        assert access(other.account(OWNER), there, b"INBOX.Team") == {
            "u0001x": "ilrsw", "-u0000": "r", "group:users": "lrs"
        }  # fmt: skip
        wrong = shell.file("wrong", "u0002\tanyone\n")
        shell.run(*words, "--acl-map", wrong, exit_code=2)
        shell.run(*words, "--acl-map", listed, "--no-acl", exit_code=2)
