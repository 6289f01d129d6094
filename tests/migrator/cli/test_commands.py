"""The commands from the outside: what is refused before anything starts, what stands where, how they are stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from migrator.errors import CATALOGUE
from migrator.transfer.file_ledger import LedgerFile
from tests.migrator.cli.peers import BODY, bodies, mailbox
from tests.rigs.base import free_port
from tests.rigs.scripted import Peer, hang, raw, then

SENT = raw(b"* 1 FETCH (UID 1 BODY[] {%d}\r\n%b)\r\n" % (len(BODY), BODY))
WHOLE = then(SENT, "$ OK done")
SAMPLE = "Name\tLimit\tPassword\njohn\t10K\tj27ss#45\njim\t120K\tdud-ee\ngeorge\t31M\tmia#hj!\n"


@pytest.fixture
def source():
    with mailbox(1, UID_FETCH=bodies(WHOLE)) as peer:
        yield peer


@pytest.fixture
def target():
    with mailbox() as peer:
        yield peer


@pytest.fixture
def urls(source: Peer, target: Peer) -> list[str]:
    return [f"imap://john@127.0.0.1:{source.port}", f"imap://jim@127.0.0.1:{target.port}"]


@pytest.fixture
def servers(source: Peer, target: Peer) -> list[str]:
    return [f"imap://127.0.0.1:{source.port}", f"imap://127.0.0.1:{target.port}"]


@pytest.fixture
def listed(tmp_path: Path):
    def write(content: str | bytes, name: str = "AccountList") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(0o600)
        return path

    return write


@pytest.mark.req("S-50")
def test_a_mailbox_is_copied_and_the_summary_stands_on_standard_output(mailferry, passwords, urls, target) -> None:
    ended = mailferry("copy", *urls, *passwords)
    assert ended.exit_code == 0
    assert ended.out.splitlines() == [
        "1 message (24 bytes) copied by this run.",
        "",
        "1 message in 1 folder of the old mailbox:",
        "          1  copied",
        "The sums balance: every message has its outcome.",
        "",
        "Done: all there.",
    ]
    assert ended.err == "Both mailboxes are listed: 1 message to copy, 24 bytes, in 1 folder.\n"
    assert len(target.said("APPEND")) == 1


def test_with_json_only_the_object_stands_on_standard_output(mailferry, passwords, urls) -> None:
    ended = mailferry("copy", *urls, *passwords, "--json")
    assert ended.exit_code == ended.answer["exit_code"] == 0
    assert ended.answer["messages"] == sum(ended.answer["outcomes"].values()) == 1
    assert ended.answer["outcomes"]["copied"] == 1
    assert ended.answer["balanced"] is True
    assert ended.answer["error"] is None
    assert "Done: all there." in ended.err


@pytest.mark.req("S-47", "S-53")
def test_verbose_tells_every_event(mailferry, passwords, target) -> None:
    with mailbox(1, UID_FETCH=bodies(WHOLE)) as source, mailbox(APPEND="$ NO contains a virus") as refusing:
        words = ["copy", f"imap://a@127.0.0.1:{source.port}", f"imap://b@127.0.0.1:{refusing.port}", *passwords]
        ended = mailferry(*words, "--verbose")
    assert ended.exit_code == 1
    assert "Folder INBOX, UID 1: left behind: refused by the new server." in ended.err
    assert "[contains a virus]" in ended.err


def test_a_dry_run_writes_nothing_anywhere(mailferry, passwords, urls, target, tmp_path) -> None:
    ended = mailferry("copy", *urls, *passwords, "--dry-run")
    assert (ended.exit_code, ended.out.splitlines()[0]) == (
        0,
        "Nothing was written. 1 message in 1 folder of the old mailbox; 1 of them (24 bytes) would be copied.",
    )
    assert not (tmp_path / "xdg").exists()
    assert not {"APPEND", "CREATE", "SUBSCRIBE"} & set(target.verbs())


def test_a_dry_run_after_a_copy_reads_the_ledger_and_leaves_it_alone(mailferry, passwords, urls, tmp_path) -> None:
    ledger = tmp_path / "ledger"
    assert mailferry("copy", *urls, *passwords, "--ledger", ledger).exit_code == 0
    before = ledger.read_bytes()
    ended = mailferry("copy", *urls, *passwords, "--ledger", ledger, "--dry-run", "--json")
    assert ended.answer["planned"] == 0
    assert ended.answer["outcomes"]["copied"] == 1
    assert ledger.read_bytes() == before


def test_the_ledger_lies_beside_the_users_data_unless_named(mailferry, passwords, urls, tmp_path) -> None:
    mailferry("copy", *urls, *passwords)
    assert (tmp_path / "xdg/mailferry/ledger.sqlite3").is_file()
    mailferry("copy", *urls, *passwords, "--ledger", tmp_path / "here")
    assert (tmp_path / "here").is_file()


def test_a_file_that_is_no_ledger_is_refused_with_a_sentence(mailferry, passwords, urls, source, tmp_path) -> None:
    (tmp_path / "notes").write_text("my notes\n" * 500)
    ended = mailferry("copy", *urls, *passwords, "--ledger", tmp_path / "notes")
    assert ended.exit_code in (3, 4)
    assert str(tmp_path / "notes") in ended.err
    assert "Traceback" not in ended.err
    assert (tmp_path / "notes").read_text() == "my notes\n" * 500
    assert source.connections == 0


# -- what is refused before anything starts


def test_a_password_as_an_argument_is_refused_and_not_repeated(mailferry, urls, source) -> None:
    for words in (["--source-password", "hunter2"], ["--source-password=hunter2"], ["hunter2"]):
        ended = mailferry("copy", *urls, *words)
        assert ended.exit_code == 2
        assert "hunter2" not in ended.err
        assert source.connections == 0


def test_a_password_in_a_url_is_refused_and_not_repeated(mailferry, urls) -> None:
    ended = mailferry("copy", "imap://john:hunter2@127.0.0.1", urls[1])
    assert ended.exit_code == 2
    assert "SOURCE: A password does not belong in the URL" in ended.err
    assert "hunter2" not in ended.err


def test_one_and_the_same_mailbox_is_refused(mailferry, passwords) -> None:
    ended = mailferry("copy", "imap://john@H", "imaps://admin;authzid=John@h", *passwords)
    assert ended.exit_code == 2
    assert "one and the same mailbox" in ended.err


@pytest.mark.parametrize("content", [b"", b"a\nb\n", b"\xff\xfe"])
def test_a_bad_password_file_is_refused(mailferry, urls, source, listed, content) -> None:
    ended = mailferry(
        "copy", *urls, "--source-password-file", listed(content), "--target-password-file", listed(b"x", "t")
    )
    assert ended.exit_code == 2
    assert source.connections == 0


def test_a_missing_file_is_named(mailferry, urls, servers, tmp_path) -> None:
    gone = tmp_path / "gone"
    for words in (
        ["copy", *urls, "--source-password-file", gone],
        ["copy", *urls, "--source-ca-file", gone],
        ["move-accounts", gone, *servers],
        ["move-accounts", tmp_path, *servers],
    ):
        ended = mailferry(*words)
        assert ended.exit_code == 2
        assert str(words[-1] if words[0] == "copy" else words[1]) in ended.err


def test_a_password_file_that_others_can_read_is_warned_of(mailferry, urls, listed) -> None:
    mine, theirs = listed("pw", "mine"), listed("pw", "theirs")
    theirs.chmod(0o644)
    ended = mailferry("copy", *urls, "--source-password-file", mine, "--target-password-file", theirs)
    assert ended.exit_code == 0
    assert f"others on this machine can read the passwords in {theirs}" in ended.err
    assert str(mine) not in ended.err


def test_wrong_input_is_told_to_programs_too(mailferry, urls) -> None:
    ended = mailferry("copy", "nowhere", urls[1], "--json")
    assert (ended.exit_code, ended.answer["exit_code"]) == (2, 2)
    assert "how to connect" in ended.answer["error"]["sentence"]


@pytest.mark.parametrize("words", [["--parallel", "0"], ["--parallel", "65"], ["--parallel", "x"], ["--timeout", "-1"]])
def test_numbers_have_their_bounds(mailferry, servers, listed, words) -> None:
    assert mailferry("move-accounts", listed(SAMPLE), *servers, *words).exit_code == 2


def test_the_help_names_every_exit_code(mailferry) -> None:
    for words in (["--help"], ["copy", "--help"], ["move-accounts", "--help"]):
        ended = mailferry(*words)
        assert ended.exit_code == 0
        for code in (0, 1, 2, 3, 4, 130):
            assert f"\n{code:>5}  " in ended.out


# -- lists


@pytest.mark.req("S-70", "S-73", "S-78")
def test_the_sample_of_the_guide_moves_its_accounts(mailferry, servers, source, target, listed) -> None:
    ended = mailferry("move-accounts", listed(SAMPLE), *servers)
    assert ended.exit_code == 0
    assert "Columns of the list that are ignored: Limit." in ended.err
    for peer in (source, target):
        assert sorted(peer.said("LOGIN")) == [
            b'LOGIN "george" "mia#hj!"', b'LOGIN "jim" "dud-ee"', b'LOGIN "john" "j27ss#45"'
        ]  # fmt: skip
    assert [line.split() for line in ended.out.splitlines()[2:5]] == [
        [line, name, name, "1", "1", "1", "0", "all", "there"]
        for line, name in (("2", "john"), ("3", "jim"), ("4", "george"))
    ]


@pytest.mark.req("S-75", "S-76")
def test_other_names_and_passwords_sign_in_at_the_target(mailferry, servers, source, target, listed) -> None:
    path = listed("Name,Password,NewName,NewPassword\na,p,b,q\n")
    assert mailferry("move-accounts", path, *servers).exit_code == 0
    assert source.said("LOGIN") == [b'LOGIN "a" "p"']
    assert target.said("LOGIN") == [b'LOGIN "b" "q"']


@pytest.mark.req("S-73")
def test_the_options_hold_for_every_account_of_a_list(mailferry, servers, target, listed) -> None:
    ended = mailferry("move-accounts", listed(SAMPLE), *servers, "--dry-run", "--json")
    assert ended.exit_code == 0
    assert [account["planned"] for account in ended.answer["accounts"]] == [1, 1, 1]
    assert target.said("APPEND") == []


def test_the_object_of_a_list_holds_its_sums_and_every_account(mailferry, servers, listed) -> None:
    ended = mailferry("move-accounts", listed(SAMPLE), *servers, "--json")
    answer = ended.answer
    assert (answer["messages"], answer["outcomes"]["copied"], answer["appended"]) == (3, 3, 3)
    assert [account["line"] for account in answer["accounts"]] == [2, 3, 4]
    assert (answer["ignored_columns"], answer["refused_rows"], answer["balanced"]) == (["Limit"], [], True)


@pytest.mark.req("D-109")
@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("Name\tQuota\njohn\t1\n", "does not name the column Password"),
        ("Name\tPassword\tNewName\na\tx\tb\nb\tx\tb\n", "Line 2: Lines 2 and 3 lead to one target mailbox, b"),
        ("Name\tPassword\na\tx\nb\ty\0z\n", "Line 3: The line holds a NUL"),
        (b"Name\tPassword\n" + b"x" * 100_000, "Line 2 is longer"),
        ("Name\tPassword\na\tx\n".encode("utf-16-le"), "UTF-16 without its mark"),
        ("Name\tPassword\na\n", "1 row refused, and no other is left"),
        ("Name\tPassword\na\tx\nb\n", "--skip-bad-rows"),
    ],
)
def test_a_bad_list_starts_nothing(mailferry, servers, source, target, listed, content, words) -> None:
    ended = mailferry("move-accounts", listed(content), *servers)
    assert ended.exit_code == 2
    assert words in ended.err
    assert (source.connections, target.connections) == (0, 0)


def test_a_list_in_utf_16_with_its_mark_moves_its_accounts(mailferry, servers, source, listed) -> None:
    assert mailferry("move-accounts", listed(SAMPLE.encode("utf-16")), *servers).exit_code == 0
    assert len(source.said("LOGIN")) == 3


def test_bad_rows_are_left_out_when_asked_for_and_told_to_the_shell(mailferry, servers, source, listed) -> None:
    path = listed("Name\tPassword\nbad\njohn\tpw\n")
    ended = mailferry("move-accounts", path, *servers, "--skip-bad-rows", "--json")
    assert (ended.exit_code, ended.answer["outcomes"]["copied"]) == (2, 1)
    assert [row["line"] for row in ended.answer["refused_rows"]] == [2]
    assert source.said("LOGIN") == [b'LOGIN "john" "pw"']


def test_the_worst_account_is_told_to_the_shell(mailferry, servers, target, listed) -> None:
    refuse = ["$ NO [AUTHENTICATIONFAILED] no", "$ OK in"]
    with mailbox(1, UID_FETCH=bodies(WHOLE), LOGIN=refuse) as source:
        ended = mailferry(
            "move-accounts", listed(SAMPLE), f"imap://127.0.0.1:{source.port}", servers[1], "--parallel", 1
        )
    assert ended.exit_code == 4
    assert "line 2, john: not done: The old server: The name or the password" in ended.err
    assert ended.out.count("all there") == 3  # two rows of the table, and their sum
    assert "The old server: The name or the password for this mailbox is not accepted. (1 account)" in ended.out


def test_a_server_that_is_away_is_tried_once_for_the_whole_list(mailferry, servers, source, listed) -> None:
    rows = "".join(f"u{n}\tpw\n" for n in range(50))
    ended = mailferry("move-accounts", listed(f"Name\tPassword\n{rows}"), servers[0], f"imap://127.0.0.1:{free_port()}")
    assert ended.exit_code == 3
    assert ended.out.count("not started") == 50  # 49 rows of the table, and their sum
    assert source.connections <= 1


@pytest.mark.req("S-52")
def test_an_administrator_opens_the_mailboxes_of_a_list_without_passwords(mailferry, servers, source, listed) -> None:
    words = ["move-accounts", listed("Name\tPassword\njohn\tpw\n"), *servers]
    file = listed("adminpw", "adminpw")
    ended = mailferry(*words, "--source-admin", "root", "--source-password-file", file)
    assert ended.exit_code == 0
    assert source.said("LOGIN") == []
    assert source.verbs().count("AUTHENTICATE") == 1
    assert mailferry(*words, "--source-password-file", file).exit_code == 2


def test_a_name_that_is_no_text_is_refused_with_a_sentence(mailferry, servers, listed) -> None:
    for name in ("a\udcff", "a\n", "a\0"):
        ended = mailferry("move-accounts", listed(SAMPLE), *servers, "--target-admin", name)
        assert (ended.exit_code, "--target-admin" in ended.err) == (2, True)


def test_two_commands_on_one_account_do_not_meet(mailferry, passwords, urls, source, tmp_path) -> None:
    ledger = tmp_path / "ledger"
    with LedgerFile(ledger) as file, file.account(urls[0], urls[1]):
        ended = mailferry("copy", *urls, *passwords, "--ledger", ledger)
    assert ended.exit_code in (3, 4)
    assert CATALOGUE["ledger.busy"].sentence in ended.out
    assert source.connections == 0


# -- Ctrl-C


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_interrupt_stops_safely_and_the_next_run_goes_on(mailferry, passwords, target, number) -> None:
    def interrupt(conversation, command) -> None:
        if b"BODY" in command.words:
            os.kill(os.getpid(), number)
        fetch(conversation, command)

    fetch = bodies(WHOLE)
    before = signal.getsignal(number)  # a shell lets its background jobs ignore SIGINT
    with mailbox(1, UID_FETCH=interrupt) as source:
        words = ["copy", f"imap://a@127.0.0.1:{source.port}", f"imap://b@127.0.0.1:{target.port}", *passwords]
        ended = mailferry(*words)
        assert ended.exit_code == 130
        assert "Stopped. The same command goes on where it was." in ended.out
        assert signal.getsignal(number) is before


def test_the_second_interrupt_ends_at_once(passwords, target, tmp_path) -> None:
    is_waiting = threading.Event()
    with Peer({"LOGIN": then(lambda conversation, command: is_waiting.set(), hang)}) as source:
        running = subprocess.Popen(
            [sys.executable, "-m", "migrator.cli", "copy", f"imap://a@127.0.0.1:{source.port}",
             f"imap://b@127.0.0.1:{target.port}", *passwords, "--ledger", str(tmp_path / "ledger")],
            stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert running.stderr
        assert is_waiting.wait(20)
        running.send_signal(signal.SIGINT)
        assert running.stderr.readline() == "\n"
        assert running.stderr.readline().startswith("Stopping after the messages under way")
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=10)
        assert running.returncode == 130
        assert "Ended at once." in err
        assert out == ""


@pytest.mark.parametrize("words", [("--since", "2021-01-01"), ("--min-size", "5000")])
def test_messages_that_are_not_wanted_stay_behind(mailferry, passwords, urls, target, words) -> None:
    ended = mailferry("copy", *urls, *passwords, *words, "--json")
    assert (ended.exit_code, ended.answer["outcomes"]["filtered"], ended.answer["appended"]) == (0, 1, 0)
    assert target.said("APPEND") == []
