"""The two commands between real Dovecots, as an operator runs them: processes of their own, judged by an outsider."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.rigs import check
from tests.rigs.corpus import fill, lifelike
from tests.rigs.dialogue import Dialogue
from tests.rigs.dovecot import ADMIN, ADMIN_PASSWORD, Dovecot

# a colon is beyond the file in which this Dovecot keeps them
HARD = {"john": "jps#dhj", "quoted": 'a"b\\c', "blank": " p w ", "percent": "100%@x/z?", "umlaut": "päßwörd€"}
SAMPLE = "Name\tLimit\tPassword\njohn\t10K\tj27ss#45\njim\t120K\tdud-ee\ngeorge\t31M\tmia#hj!\n"


class Shell:
    """Runs ``mailferry`` with a home of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def file(self, name: str, content: str) -> Path:
        path = self.home / name
        path.write_text(content, encoding="utf-8")
        path.chmod(0o600)
        return path

    def passwords(self, source: str, target: str) -> list[str]:
        files = self.file("source-password", source + "\n"), self.file("target-password", target)
        return ["--source-password-file", str(files[0]), "--target-password-file", str(files[1])]

    def start(self, *words: object) -> subprocess.Popen[str]:
        argv = [sys.executable, "-m", "migrator.cli", *map(str, words), "--ledger", str(self.home / "ledger")]
        return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, *words: object, exit_code: int = 0) -> str:
        running = self.start(*words)
        out, err = running.communicate(timeout=180)
        assert running.returncode == exit_code, out + err
        return out


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def pair(source: Mapping[str, str], target: Mapping[str, str] | None = None) -> Iterator[tuple[Dovecot, Dovecot]]:
    with Dovecot(source, separator=".") as one, Dovecot(target or source, separator="/") as other:
        yield one, other


@pytest.fixture(scope="module")
def hard() -> Iterator[tuple[Dovecot, Dovecot]]:
    yield from pair(HARD)


@pytest.mark.req("S-50", "S-51", "S-52", "D-88")
@pytest.mark.parametrize("user", HARD)
def test_a_mailbox_crosses_whatever_its_password_and_a_second_run_copies_nothing(shell, hard, user) -> None:
    source, target = hard
    fill(source.account(user), lifelike(3, messages=200))
    words = ["copy", source.account(user).url, target.account(user).url, *shell.passwords(HARD[user], HARD[user])]
    first = json.loads(shell.run(*words, "--json", "--verify", "digest", "--copy-deleted"))
    assert (first["appended"], first["messages"], first["balanced"], first["verify"]["clean"]) == (200, 200, True, True)
    assert check.compare(check.read(source.account(user)), check.read(target.account(user)), check.Terms()) == []
    again = json.loads(shell.run(*words, "--json", "--copy-deleted"))
    assert (again["appended"], again["balanced"]) == (0, True)


def test_a_dry_run_leaves_the_target_as_it_is(shell, hard) -> None:
    source, target = hard
    fill(source.account("john"), lifelike(4, messages=50))
    before = check.read(target.account("john"))
    words = ["copy", source.account("john").url, target.account("john").url, *shell.passwords("jps#dhj", "jps#dhj")]
    assert "would be copied" in shell.run(*words, "--dry-run")
    assert check.changes(before, check.read(target.account("john"))) == []
    assert not (shell.home / "ledger").exists()


@pytest.mark.parametrize("form", ["authzid", "separator"])
def test_an_administrator_opens_a_mailbox(shell, hard, form) -> None:
    source, target = hard
    deliver(source, "umlaut", 3)
    name = f"{ADMIN};authzid=umlaut" if form == "authzid" else f"umlaut*{ADMIN}"
    urls = [f"imap://{name}@127.0.0.1:{server.imap}" for server in hard]
    shell.run("copy", *urls, *shell.passwords(ADMIN_PASSWORD, ADMIN_PASSWORD))
    assert messages(target, "umlaut") == messages(source, "umlaut")


@pytest.mark.req("C-18")
@pytest.mark.parametrize("scheme", ["imaps", "imap+starttls"])
def test_a_copy_goes_over_tls_when_the_certificate_is_vouched_for(shell, scheme) -> None:
    with Dovecot({"u1": "pw"}, tls=True) as source, Dovecot({"u1": "pw"}, tls=True) as target:
        deliver(source, "u1", 3)
        ports = [server.imaps if scheme == "imaps" else server.imap for server in (source, target)]
        words = ["copy", *(f"{scheme}://u1@127.0.0.1:{port}" for port in ports), *shell.passwords("pw", "pw")]
        assert "certificate" in shell.run(*words, exit_code=4)
        assert messages(target, "u1") == 0
        shell.run(*words, "--source-ca-file", source.certificate, "--target-accept-any-certificate")
        assert messages(target, "u1") == 3


@pytest.mark.req("S-70", "S-71", "S-73", "S-74", "S-75", "S-76", "S-77", "S-78")
def test_the_list_of_the_guide_moves_its_three_accounts(shell) -> None:
    users = {"john": "j27ss#45", "jim": "dud-ee", "george": "mia#hj!"}
    for source, target in pair(users):
        for number, user in enumerate(users, start=1):
            deliver(source, user, number)
        out = shell.run("move-accounts", shell.file("AccountList", SAMPLE), place(source), place(target))
        assert [messages(target, user) for user in users] == [1, 2, 3]
        assert "3 accounts in" in out


@pytest.mark.timeout(400)
@pytest.mark.req("S-71", "C-1")
def test_twenty_accounts_of_a_list_cross_at_once_and_one_wrong_password_stops_nobody(shell) -> None:
    users = {f"u{number:02d}": f"pw {number}" for number in range(20)}
    renamed = {f"x{user}": f"{password}," for user, password in users.items()}
    rows = [f'{user},"{password}",x{user},"{password},"' for user, password in users.items()]
    rows[7] = "u07,wrong,xu07,wrong"
    listed = shell.file("list", "Name,Password,NewName,NewPassword\n" + "\n".join(rows))
    for source, target in pair(users, renamed):
        for user in users:
            fill(source.account(user), lifelike(5, messages=20))
        out = shell.run("move-accounts", listed, place(source), place(target), "--json", "--copy-deleted", exit_code=4)
        answer = json.loads(out)
        assert [account["exit_code"] for account in answer["accounts"]] == [0] * 7 + [4] + [0] * 12
        assert answer["appended"] == answer["messages"] > 19 * 20
        for user in set(users) - {"u07"}:
            there, here = check.read(source.account(user)), check.read(target.account(f"x{user}"))
            assert check.compare(there, here, check.Terms()) == []
        again = shell.run(
            "move-accounts", listed, place(source), place(target), "--json", "--copy-deleted", exit_code=4
        )
        assert json.loads(again)["appended"] == 0


@pytest.mark.req("S-51")
def test_folders_stay_open_to_others_under_their_new_names_unless_told_not_to(shell) -> None:
    users, renamed = {"anna": "pw", "bert": "pw"}, {"anna.new": "pw", "b.bert": "pw"}
    rows = "".join(f"{old}\tpw\t{new}\n" for old, new in zip(users, renamed, strict=True))
    listed = shell.file("list", f"Name\tPassword\tNewName\n{rows}")
    for source, target in pair(users, renamed):
        with Dialogue(source.account("anna")) as talk:
            for name in (b"bert lrs", b"carl lr"):
                talk.command(b"SETACL INBOX " + name)
        shell.run("move-accounts", listed, place(source), place(target), "--no-acl")
        with Dialogue(target.account("anna.new")) as talk:
            assert b"bert" not in talk.command(b"GETACL INBOX")[0].text
        shell.run("move-accounts", listed, place(source), place(target))  # the folder is known: its owner decides now
        with Dialogue(target.account("anna.new")) as talk:
            assert b"bert" not in talk.command(b"GETACL INBOX")[0].text
    (shell.home / "ledger").unlink()
    for source, target in pair(users, renamed):
        with Dialogue(source.account("anna")) as talk:
            for name in (b"bert lrs", b"carl lr"):
                talk.command(b"SETACL INBOX " + name)
        shell.run("move-accounts", listed, place(source), place(target))
        with Dialogue(target.account("anna.new")) as talk:
            words = talk.command(b"GETACL INBOX")[0].text.split()[3:]
        others = {who: may for who, may in zip(words[::2], words[1::2], strict=True) if who != b"anna.new"}
        assert others == {b"b.bert": b"lrs", b"carl": b"lr"}


def test_a_list_crosses_by_administrators_on_both_sides(shell) -> None:
    users = {f"u{number}": "unknown to us" for number in range(5)}
    for source, target in pair(users):
        for user in users:
            deliver(source, user, 2)
        listed = shell.file("list", "Name\n" + "\n".join(users))
        words = [
            "move-accounts",
            listed,
            place(source),
            place(target),
            "--source-admin",
            ADMIN,
            "--target-admin",
            ADMIN,
        ]
        shell.run(*words, *shell.passwords(ADMIN_PASSWORD, ADMIN_PASSWORD))
        assert [messages(target, user) for user in users] == [2] * 5
        before = log_of(source).count("auth failed")
        shell.run(*words, *shell.passwords("wrong", ADMIN_PASSWORD), exit_code=4)
        assert log_of(source).count("auth failed") - before <= 1


@pytest.mark.parametrize("interrupts", [1, 2])
def test_a_copy_that_is_interrupted_goes_on_and_nothing_is_doubled(shell, interrupts) -> None:
    for source, target in pair({"u1": "pw"}):
        fill(source.account("u1"), lifelike(6, messages=3000))
        words = ["copy", source.account("u1").url, target.account("u1").url, *shell.passwords("pw", "pw")]
        running = shell.start(*words, "--copy-deleted")
        assert running.stderr
        assert "Both mailboxes are listed" in running.stderr.readline()
        for _ in range(interrupts):
            running.send_signal(signal.SIGINT)
        running.communicate(timeout=60)
        assert running.returncode == 130
        shell.run(*words, "--copy-deleted", "--verify", "digest")
        assert check.compare(check.read(source.account("u1")), check.read(target.account("u1")), check.Terms()) == []


def place(server: Dovecot) -> str:
    return f"imap://127.0.0.1:{server.imap}"


def deliver(server: Dovecot, user: str, count: int) -> None:
    with Dialogue(server.account(user)) as talk:
        talk.append(b"INBOX", [(b"()", b"Subject: %d\r\n\r\nbody\r\n" % number) for number in range(count)])


def messages(server: Dovecot, user: str) -> int:
    return sum(len(folder.messages) for folder in check.read(server.account(user)).folders.values())


def log_of(server: Dovecot) -> str:
    return (server.dir / "dovecot.log").read_text(errors="replace")
