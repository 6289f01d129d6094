"""Mail is removed from real servers only where its copy is proved, also when the command is killed at any moment."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from typing import Final

import pytest

from tests.live.test_commands import Shell
from tests.rigs import check
from tests.rigs.base import HOST, Account, Server
from tests.rigs.corpus import CYRUS_FOLDERS, Box, fill, lifelike
from tests.rigs.cyrus import Cyrus
from tests.rigs.dialogue import Dialogue
from tests.rigs.dovecot import Dovecot

MESSAGES: Final = 240
KILLS: Final = int(os.environ.get("MAILFERRY_TEST_KILLS", "3"))  # more by hand
YES: Final = ("--delete", "--yes-delete-at-source")


def _dovecot() -> list[Box]:
    return lifelike(5, messages=MESSAGES)


def _cyrus() -> list[Box]:
    folders = [path for path in CYRUS_FOLDERS if path[0] != "INBOX" or len(path) == 1]
    return lifelike(5, messages=MESSAGES, folders=folders, strict=True)


def _inbox() -> list[Box]:
    return [Box(("INBOX",), _cyrus()[0].mails, True)]


PLACES: Final[dict[str, tuple[Callable[[], Server], Callable[[], list[Box]], str]]] = {
    "dovecot": (lambda: Dovecot({"john": "p w#"}), _dovecot, "imap"),
    "cyrus": (lambda: Cyrus({"john": "p w#"}), _cyrus, "imap"),
    "pop3": (lambda: Dovecot({"john": "p w#"}, pop3=True), _inbox, "pop3"),
    "pop3 of cyrus": (lambda: Cyrus({"john": "p w#"}), _inbox, "pop3"),
}


def digests(*accounts: Account) -> Counter[str]:
    """Return what is held anywhere, each content as often as the account that has it most often."""
    held: Counter[str] = Counter()
    for account in accounts:
        held |= Counter(seen.digest for folder in check.read(account).folders.values() for seen in folder.messages)
    return held


def url_of(server: Server, scheme: str) -> str:
    return server.account("john").url if scheme == "imap" else f"pop3://john@{HOST}:{server.pop3}"


def plainly(shell: Shell, *words: object) -> str:
    """Run a command that names its ledger itself, or none; return what it wrote."""
    argv = [sys.executable, "-m", "migrator.cli", *map(str, words)]
    ended = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def intended(shell: Shell) -> int:
    """Return of how many messages the ledger does not know whether they are gone."""
    with closing(sqlite3.connect(shell.home / "ledger")) as connection:
        (count,) = connection.execute("SELECT count(*) FROM removal WHERE removed_at IS NULL").fetchone()
        return int(count)


def begins_to_remove(shell: Shell, running: subprocess.Popen[str]) -> bool:
    """Wait until a removal is journaled; False when the command ended before."""
    while running.poll() is None:
        if intended(shell):
            return True
        time.sleep(0.001)
    return False


@pytest.fixture
def shell(tmp_path) -> Shell:
    return Shell(tmp_path)


@pytest.mark.req("S-48", "S-61")
@pytest.mark.parametrize("place", PLACES)
def test_what_is_proved_goes_from_real_servers_and_kills_in_between_lose_nothing(shell: Shell, place: str) -> None:
    make, boxes, scheme = PLACES[place]
    seed = random.randrange(1 << 31)
    print(f"seed {seed}")
    dice = random.Random(seed)
    with make() as source, Dovecot({"john": "pw"}, layout="mdbox", separator="/") as target:
        here, there = source.account("john"), target.account("john")
        fill(here, boxes())
        before, everything = check.read(here), digests(here)
        marked = sum("\\deleted" in seen.flags for folder in before.folders.values() for seen in folder.messages)
        marked *= scheme == "imap"  # by POP3 nobody knows
        words = ["copy", url_of(source, scheme), there.url, *shell.passwords("p w#", "pw"), "--json"]
        shell.run(*words)
        in_the_middle = 0
        for _ in range(KILLS):
            running = shell.start(*words, *YES)
            if not begins_to_remove(shell, running):
                break
            time.sleep(dice.uniform(0, 0.03))
            running.kill()
            running.communicate()
            in_the_middle += bool(intended(shell))
            assert digests(here, there) == everything
        running.communicate()
        print(f"{in_the_middle} kills while mail was being removed")
        ended = json.loads(shell.run(*words, *YES))
        assert (ended["balanced"], ended["removal"]["error"], ended["removal"]["folder_errors"]) == (True, None, [])
        left = check.read(here)
        assert sum(len(folder.messages) for folder in left.folders.values()) == marked
        assert all("\\deleted" in seen.flags for folder in left.folders.values() for seen in folder.messages)
        terms = check.Terms(skip_flagged="\\deleted" if marked else None, dates=scheme == "imap")
        if scheme == "imap":
            assert check.compare(before, check.read(there), terms) == []
        assert digests(here, there) == everything
        again = json.loads(shell.run(*words, "--verify", "digest"))
        assert (again["appended"], again["balanced"], again["verify"]["clean"]) == (0, True, True)
        manifest = shell.home / "manifest"
        manifest.write_text(plainly(shell, "proof", shell.home / "ledger"), encoding="ascii")
        plainly(shell, "verify", manifest)


def test_what_others_marked_as_deleted_is_not_taken_along(shell: Shell) -> None:
    with Dovecot({"john": "p w#"}) as source, Dovecot({"john": "pw"}, separator="/") as target:
        fill(source.account("john"), [Box(("INBOX",), _cyrus()[0].mails[:5], True)])
        words = ["copy", source.account("john").url, target.account("john").url, *shell.passwords("p w#", "pw")]
        shell.run(*words)
        with Dialogue(source.account("john")) as talk:
            talk.select(b"INBOX")
            talk.command(b"UID STORE 2,4 +FLAGS (\\Deleted)")
        ended = json.loads(shell.run(*words, *YES, "--json"))
        assert ended["removal"]["removed"] == 3
        assert ended["removal"]["kept"] == {"marked": 2}
        left = check.read(source.account("john")).folders[b"INBOX"].messages
        assert [seen.uid for seen in left] == [2, 4]
        assert all("\\deleted" in seen.flags for seen in left)


def test_a_list_of_accounts_is_emptied_and_a_mailbox_that_is_a_target_is_not(shell: Shell) -> None:
    users = {"anna": "a", "bert": "b"}
    with Dovecot(users) as source, Dovecot(users, layout="mdbox", separator="/") as target:
        for user in users:
            fill(source.account(user), [Box(("INBOX",), _cyrus()[0].mails[:7], True)])
        listed = shell.file("list", "Name\tPassword\nanna\ta\nbert\tb\n")
        places = f"imap://{HOST}:{source.imap}", f"imap://{HOST}:{target.imap}"
        told = json.loads(shell.run("move-accounts", listed, *places, *YES, "--json"))
        assert [account["removal"]["removed"] for account in told["accounts"]] == [7, 7]
        assert all(not check.read(source.account(user)).folders[b"INBOX"].messages for user in users)
        back = json.loads(
            shell.run("copy", target.account("anna").url, source.account("anna").url, *shell.passwords("a", "a"),
                      *YES, "--json", exit_code=4)
        )  # fmt: skip
        assert back["removal"]["error"]["code"] == "removal.live_target"
        assert len(check.read(target.account("anna")).folders[b"INBOX"].messages) == 7
