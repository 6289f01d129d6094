"""Shared folders between real servers: moved once, as an entry of their own, never along with a reader's mailbox."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.test_commands import Shell
from tests.rigs import check
from tests.rigs.base import HOST, Account, Server
from tests.rigs.cyrus import ADMIN, ADMIN_PASSWORD, Cyrus
from tests.rigs.dialogue import Dialogue
from tests.rigs.dovecot import Dovecot

USERS = {"anna": "pw", "bert": "pw"}
LETTER = b"Subject: to all %d\r\n\r\nhello\r\n"
PUBLIC = """
namespace public {{
  type = public
  separator = {separator}
  prefix = {name}{separator}
  location = {format}:{folder}
  subscriptions = no
  list = children
}}
"""


class WithPublic(Dovecot):
    """A Dovecot with folders that everybody shares."""

    def __init__(self, name: str, **options: object) -> None:
        super().__init__(USERS, **options)  # type: ignore[arg-type]
        folder = self.dir / "mail" / "public"
        for place in (folder, folder / "mailboxes"):  # where Maildir has it, and mdbox
            place.mkdir(parents=True)
            (place / "dovecot-acl").write_text("anyone lrwstipekxa\n")
        self.give(folder)
        config = self.dir / "dovecot.conf"
        values = {"separator": self.options.separator, "name": name, "format": self.options.layout, "folder": folder}
        config.write_text(config.read_text() + PUBLIC.format(**values))


def cyrus(**options: bool) -> Cyrus:
    return Cyrus(USERS, **options)


def open_to_all(server: Cyrus, *names: bytes) -> None:
    """Make shared folders that everybody may use."""
    with Dialogue(Account(server.imap, ADMIN, ADMIN_PASSWORD)) as talk:
        for name in names:
            talk.command(b'CREATE "' + name + b'"')
            talk.command(b'SETACL "' + name + b'" anyone lrswipkxtea')


def fill(account: Account, *names: bytes) -> None:
    """Put two letters into each of ``names``, which is made where it is not there, and one into INBOX."""
    with Dialogue(account) as talk:
        for number, name in enumerate(names):
            if not any(row.name == name for row in talk.listed()):
                talk.command(b'CREATE "' + name + b'"')
            talk.append(name, [(b"(\\Flagged)", LETTER % (10 * number + one)) for one in range(2)])
        talk.append(b"INBOX", [(b"()", LETTER % 99)])


def held(account: Account) -> dict[str, int]:
    return {name.decode(): len(one.messages) for name, one in check.read(account).folders.items() if one.messages}


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.fixture(scope="module")
def target() -> Iterator[WithPublic]:
    with WithPublic("Team", layout="mdbox", separator="/") as server:
        yield server


def places(source: Server, target: Server) -> tuple[str, str]:
    return f"imap://{HOST}:{source.imap}", f"imap://{HOST}:{target.imap}"


def move(shell: Shell, rows: str, source: Server, target: Server, exit_code: int = 0) -> dict:
    listed = shell.file("list", rows)
    return json.loads(shell.run("move-accounts", listed, *places(source, target), "--json", exit_code=exit_code))


def test_a_list_moves_the_shared_folders_once_and_to_no_reader(shell: Shell) -> None:
    with WithPublic("Public", separator=".") as source, WithPublic("Team", layout="mdbox", separator="/") as target:
        fill(source.account("anna"), b"Public.sales", b"Public.sales.old")
        fill(source.account("bert"), b"Own")
        rows = "Name\tPassword\tSharedRoot\tNewSharedRoot\nanna\tpw\t\t\nbert\tpw\t\t\nanna\tpw\tPublic.\tTeam/\n"
        told = move(shell, rows, source, target)
        assert told["balanced"]
        assert [account["appended"] for account in told["accounts"]] == [1, 3, 4]
        assert told["accounts"][2]["source"] == f"imap://@{HOST}:{source.imap}/Public."
        shared = {"Team/sales": 2, "Team/sales/old": 2}
        assert held(target.account("anna")) == {"INBOX": 1} | shared
        assert held(target.account("bert")) == {"INBOX": 1, "Own": 2} | shared
        # by another reader it is the same entry
        assert move(shell, rows.replace("anna\tpw\tPublic.", "bert\tpw\tPublic."), source, target)["appended"] == 0
        flags = {seen.flags for seen in check.read(target.account("bert")).folders[b"Team/sales"].messages}
        assert flags == {frozenset({"\\flagged"})}


def test_one_root_named_twice_in_a_list_starts_nothing(shell: Shell, target: WithPublic) -> None:
    rows = "Name\tPassword\tSharedRoot\tNewSharedRoot\nanna\tpw\tTeam/\tA/\nbert\tpw\tteam\tB/\n"
    listed = shell.file("list", rows)
    running = shell.start("move-accounts", listed, *places(target, target))
    _, err = running.communicate(timeout=60)
    assert running.returncode == 2
    assert "Lines 2 and 3 name the same shared folders (SharedRoot): they go over once." in err


def test_shared_folders_go_from_cyrus_to_dovecot_and_back(shell: Shell) -> None:
    with cyrus(alternative=True) as source, WithPublic("Team", layout="mdbox", separator="/") as target:
        open_to_all(source, b"sales", b"sales/old")
        fill(source.account("anna"), b"Shared Folders/sales", b"Shared Folders/sales/old")
        words = [source.account("anna").url, target.account("anna").url, *shell.passwords("pw", "pw"), "--json"]
        assert json.loads(shell.run("copy", *words))["appended"] == 1  # her own letter
        roots = ["--shared-root", "Shared Folders/", "--new-shared-root", "Team/"]
        told = json.loads(shell.run("copy", *words, *roots, "--verify", "digest"))
        assert (told["appended"], told["verify"]["clean"]) == (4, True)
        assert held(target.account("bert")) == {"Team/sales": 2, "Team/sales/old": 2}
        with cyrus(alternative=True) as other:
            open_to_all(other, b"firm")
            back = [target.account("bert").url, other.account("bert").url, *shell.passwords("pw", "pw"), "--json"]
            roots = ["--shared-root", "Team/", "--new-shared-root", "Shared Folders/firm/"]
            told = json.loads(shell.run("copy", *back, *roots, "--verify", "digest"))
            assert (told["appended"], told["verify"]["clean"]) == (4, True)
            shared = {"Shared Folders/firm/sales": 2, "Shared Folders/firm/sales/old": 2}
            assert held(other.account("anna")) == shared
            assert json.loads(shell.run("copy", *back, *roots))["appended"] == 0


def test_folders_of_another_user_are_an_entry_of_their_own_too(shell: Shell) -> None:
    with cyrus(alternative=True) as source, WithPublic("Team", layout="mdbox", separator="/") as target:
        fill(source.account("anna"), b"Work")
        with Dialogue(source.account("anna")) as talk:
            talk.command(b"SETACL Work bert lrs")
        words = [source.account("bert").url, target.account("bert").url, *shell.passwords("pw", "pw"), "--json"]
        assert json.loads(shell.run("copy", *words))["appended"] == 0  # what bert reads there is not bert's
        roots = ["--shared-root", "Other Users/anna/", "--new-shared-root", "Team/anna/"]
        assert json.loads(shell.run("copy", *words, *roots))["appended"] == 2
        assert held(target.account("anna")) == {"Team/anna/Work": 2}


def test_a_root_that_nobody_sees_is_an_error_and_makes_nothing(shell: Shell, target: WithPublic) -> None:
    with WithPublic("Public", separator=".") as source:
        words = [source.account("anna").url, target.account("anna").url, *shell.passwords("pw", "pw"), "--json"]
        before = check.read(target.account("anna"))
        told = json.loads(
            shell.run("copy", *words, "--shared-root", "Nowhere.", "--new-shared-root", "Team/", exit_code=4)
        )
        assert told["error"]["code"] == "folder.no_shared_root"
        assert check.changes(before, check.read(target.account("anna"))) == []
