"""Old mail files in three ways on a real server: imported, copied into place, used where they are."""

from __future__ import annotations

import json
import mailbox
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.contracts.store import letter
from tests.live.test_commands import Shell
from tests.live.test_files import oddities, parcel, whole_ones
from tests.rigs import check
from tests.rigs.base import Account, users
from tests.rigs.dovecot import Dovecot
from tests.rigs.mailfiles import write_mbox


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def placed(*words: object) -> dict[str, object]:
    argv = [sys.executable, "-m", "migrator.cli", "place", *map(str, words), "--json"]
    ended = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (row,) = json.loads(ended.stdout)["mailboxes"]
    return row


def hashes(account: Account) -> list[tuple[str, frozenset[str], float]]:
    return [(seen.digest, seen.flags, seen.date) for seen in check.read(account).folders[b"INBOX"].messages]


def inbox_of(server: Dovecot, user: str) -> Path:
    check.read(server.account(user))  # makes the folder of the user
    return server.dir / "mail" / user / "inbox"


@pytest.mark.req("S-10")
def test_imported_copied_into_place_and_used_in_place_are_the_same_messages(shell: Shell, tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.write_bytes(oddities(4711))
    with (
        Dovecot(users(1), layout="mdbox", separator="/") as mdbox,
        Dovecot(users(2), layout="mbox", separator="/") as files,
    ):
        target = mdbox.account("u0000")
        shell.run("copy", f"mbox:{old}", target.url, *shell.passwords("", target.password)[2:])
        copied, stays = inbox_of(files, "u0000"), inbox_of(files, "u0001")
        owner = f"{copied.parent.stat().st_uid}:{copied.parent.stat().st_gid}"
        one = placed(f"mbox:{old}", f"mbox:{copied}", "--owner", owner)
        stays.write_bytes(old.read_bytes())  # where the old server had it
        files.give(stays)
        other = placed(f"mbox:{stays}", "--in-place")
        assert (one["messages"], one["sha256"]) == (other["messages"], other["sha256"])
        imported = hashes(target)
        assert len(imported) == one["messages"]
        assert hashes(files.account("u0000")) == hashes(files.account("u0001")) == imported


@pytest.mark.req("S-3")
def test_who_reads_files_finds_old_and_new_mail_where_the_server_keeps_it(tmp_path: Path) -> None:
    old = tmp_path / "old"
    write_mbox(old, [letter(number) for number in range(20)])
    with Dovecot(users(1), layout="mbox", separator="/") as server:
        inbox = inbox_of(server, "u0000")
        owner = f"{inbox.parent.stat().st_uid}:{inbox.parent.stat().st_gid}"
        placed(f"mbox:{old}", f"mbox:{inbox}", "--owner", owner)
        assert len(check.read(server.account("u0000")).folders[b"INBOX"].messages) == 20
        words = ["/usr/lib/dovecot/dovecot-lda", "-c", server.dir / "dovecot.conf", "-d", "u0000", "-f", "a@b.test"]
        subprocess.run(words, input=parcel(7), check=True, timeout=60)
        reader = mailbox.mbox(inbox, create=False)
        subjects = [message["Subject"] for message in reader]
        assert subjects == [*(f"number {number}" for number in range(20)), "7"]
        assert whole_ones([reader.get_bytes(20)]) == [7]
        reader.close()
        assert len(check.read(server.account("u0000")).folders[b"INBOX"].messages) == 21


def held(shell: Shell, target: Account, file: Path, *more: object, exit_code: int = 0) -> dict:
    words = ["copy", f"mbox:{file}", target.url, *shell.passwords("", target.password)[2:], "--set-aside", "--json"]
    return json.loads(shell.run(*words, *more, exit_code=exit_code))


def test_what_was_held_back_is_imported_and_the_file_emptied_only_when_all_of_it_is_there(
    shell: Shell, tmp_path: Path
) -> None:
    with Dovecot(users(2), layout="mdbox", separator="/") as server:
        target, file = server.account("u0000"), tmp_path / "home" / "held"
        write_mbox(file, [letter(number) for number in range(4)])
        content = file.read_bytes()
        assert held(shell, target, file, "--dry-run")["set_aside"] is None
        assert file.read_bytes() == content
        told = held(shell, target, file)
        assert (told["appended"], told["set_aside"]) == (4, f"{file}.imported")
        assert (file.read_bytes(), Path(told["set_aside"]).read_bytes()) == (b"", content)
        assert held(shell, target, file)["set_aside"] is None  # nothing came since
        write_mbox(file, [letter(9)])
        told = held(shell, target, file)
        assert (told["appended"], told["set_aside"]) == (1, f"{file}.imported-2")
        assert len(check.read(target).folders[b"INBOX"].messages) == 5


def test_a_file_that_may_be_the_new_mailbox_itself_is_never_emptied(shell: Shell) -> None:
    with Dovecot(users(1), layout="mbox", separator="/") as server:
        inbox = inbox_of(server, "u0000")
        write_mbox(inbox, [letter(number) for number in range(4)])
        server.give(inbox)
        told = held(shell, server.account("u0000"), inbox, exit_code=4)
        assert told["error"]["code"] in ("removal.same_mailbox", "removal.unfinished")
        assert len(check.read(server.account("u0000")).folders[b"INBOX"].messages) == 4


def test_old_dates_are_read_in_the_zone_of_the_machine_that_wrote_them(shell: Shell, tmp_path: Path) -> None:
    with Dovecot(users(1), layout="mdbox", separator="/") as server:
        target, file = server.account("u0000"), tmp_path / "old"
        file.write_bytes(b"From a@b Wed Jul 15 12:00:00 2020\nSubject: summer\n\nx\n\n"
                         b"From a@b Wed Jan 15 12:00:00 2020\nSubject: winter\n\nx\n\n")  # fmt: skip
        words = ["copy", f"mbox:{file}", target.url, *shell.passwords("", target.password)[2:]]
        shell.run(*words, "--mbox-zone", "Europe/Berlin")
        hours = [datetime.fromtimestamp(seen.date, UTC).hour for seen in check.read(target).folders[b"INBOX"].messages]
        assert hours == [10, 11]
