"""Who reads by POP3 before and after, on real servers: what is foretold is what a program finds that keeps names."""

from __future__ import annotations

import json
import poplib
from pathlib import Path

import pytest

from tests.live.test_commands import Shell
from tests.rigs.base import HOST, users
from tests.rigs.cyrus import Cyrus
from tests.rigs.dialogue import Dialogue
from tests.rigs.dovecot import Dovecot

FORM = "protocol pop3 {\n  pop3_uidl_format = %u\n}\n"
REUSE = "protocol pop3 {\n  pop3_reuse_xuidl = yes\n}\n"
USERS = users(3)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def fill(server: Dovecot | Cyrus, user: str, *letters: bytes, gone: int = 0) -> None:
    with Dialogue(server.account(user)) as talk:
        talk.append(b"INBOX", [(b"()", letter) for letter in letters])
        if gone:
            talk.select(b"INBOX")
            talk.command(b"STORE 1:%d +FLAGS (\\Deleted)" % gone)
            talk.command(b"EXPUNGE")


def letter(number: int, octets: int = 100, name: str = "") -> bytes:
    head = f"X-UIDL: {name}\r\n" if name else ""
    return f"{head}Subject: {number}\r\n\r\n".encode() + b"x" * octets + b"\r\n"


def names(server: Dovecot | Cyrus, user: str) -> set[bytes]:
    """The names by which a program knows the messages it has."""
    line = poplib.POP3(HOST, server.pop3, timeout=20)
    line.user(user)
    line.pass_("pw")
    found = {row.split(b" ", 1)[1] for row in line.uidl()[1]}
    line.close()
    return found


def readers(source: Dovecot | Cyrus, target: Dovecot, user: str, shell: Shell) -> dict[str, object]:
    places = ["--source-pop3", f":{source.pop3}", "--target-pop3", f":{target.pop3}"]
    urls = [source.account(user).url, target.account(user).url]
    done = json.loads(shell.run("copy", *urls, *shell.passwords("pw", "pw"), *places, "--json"))
    found: dict[str, object] = done["pop3"]["readers"]
    assert found["again"] == len(names(target, user) - names(source, user))
    return found


def test_mail_that_gets_other_names_is_foretold_to_be_fetched_again(shell: Shell) -> None:
    with Cyrus(USERS) as source, Dovecot(USERS, pop3=True) as target:
        fill(source, "u0000", *map(letter, range(5)))
        found = readers(source, target, "u0000", shell)
        assert (found["messages"], found["kept"], found["again"], found["mixed"]) == (5, 0, 5, 0)
        assert (found["form"], found["target_form"]) == ("%v.%u", "%08Xu%08Xv")


def test_mail_that_keeps_its_names_is_fetched_by_nobody(shell: Shell) -> None:
    with Dovecot(USERS, pop3=True, extra=REUSE) as source, Dovecot(USERS, pop3=True, extra=REUSE) as target:
        fill(source, "u0000", *(letter(number, name=f"name{number}") for number in range(5)))
        found = readers(source, target, "u0000", shell)
        assert (found["kept"], found["again"], found["mixed"]) == (5, 0, 0)


def test_a_name_that_means_another_message_on_the_new_server_is_found(shell: Shell) -> None:
    with Dovecot(USERS, pop3=True, extra=FORM) as source, Dovecot(USERS, pop3=True, extra=FORM) as target:
        fill(source, "u0000", *(letter(number, 5000 * number) for number in range(1, 7)), gone=2)
        found = readers(source, target, "u0000", shell)
        # 3..6 are 1..4 now: 1 and 2 are fetched again, 3 and 4 are 5 and 6 of before
        assert (found["messages"], found["kept"], found["again"], found["mixed"]) == (4, 0, 2, 2)


def test_a_list_of_accounts_says_how_many_users_fetch_mail_again(shell: Shell) -> None:
    with Dovecot(USERS, pop3=True, layout="mdbox") as source, Dovecot(USERS, pop3=True) as target:
        for user in ("u0000", "u0001"):
            fill(source, user, *map(letter, range(3)))
        listed = shell.file("list", "Name\tPassword\n" + "".join(f"{user}\tpw\n" for user in USERS))
        urls = [f"imap://{HOST}:{source.imap}", f"imap://{HOST}:{target.imap}"]
        places = ["--source-pop3", f":{source.pop3}", "--target-pop3", f":{target.pop3}"]
        told = shell.run("move-accounts", listed, *urls, *places)
        assert "Of 3 accounts asked by POP3, programs that read so will fetch mail again in 2: 6 messages." in told


def test_mail_that_is_read_by_pop_is_asked_at_the_same_place_again(shell: Shell) -> None:
    with Dovecot(USERS, pop3=True) as source, Dovecot(USERS, pop3=True, layout="mdbox") as target:
        fill(source, "u0000", *map(letter, range(3)))
        urls = [f"pop3://u0000@{HOST}:{source.pop3}", target.account("u0000").url]
        words = ["copy", *urls, *shell.passwords("pw", "pw"), "--target-pop3", f":{target.pop3}", "--json"]
        assert json.loads(shell.run(*words))["pop3"]["readers"]["again"] == 3


@pytest.mark.parametrize("kind", ["imap", "cyrus", "pop3"])
def test_names_are_kept_where_the_target_takes_them_from_the_messages(kind: str, shell: Shell) -> None:
    with (
        Cyrus(USERS) if kind == "cyrus" else Dovecot(USERS, pop3=True) as source,
        Dovecot(USERS, pop3=True, layout="mdbox", extra=REUSE) as target,
    ):
        fill(source, "u0000", *(letter(number, 400 * number) for number in range(1, 7)), gone=2)
        fill(source, "u0000", letter(7, 300_000), letter(8, name="another"), letter(9).replace(b"Subject", b"\r\nx"))
        url = f"pop3://u0000@{HOST}:{source.pop3}" if kind == "pop3" else source.account("u0000").url
        places = ["--source-pop3", f":{source.pop3}", "--target-pop3", f":{target.pop3}", "--keep-uidl"]
        words = ["copy", url, target.account("u0000").url, *shell.passwords("pw", "pw"), *places, "--json"]
        first = json.loads(shell.run(*words, "--verify", "digest"))
        assert (first["balanced"], first["verify"]["clean"], first["outcomes"]["repaired"]) == (True, True, 7)
        assert first["pop3"]["readers"]["again"] == 0
        assert names(target, "u0000") == names(source, "u0000")
        fill(source, "u0000", letter(10))
        again = json.loads(shell.run(*words))
        assert (again["appended"], again["pop3"]["readers"]["kept"], again["pop3"]["readers"]["again"]) == (1, 8, 0)
        (shell.home / "ledger").unlink()
        without = json.loads(shell.run(*words, "--same-person"))
        assert (without["appended"], without["balanced"]) == (0, True)
        assert names(target, "u0000") == names(source, "u0000")
