"""The commands as CommuniGate Pro's guide spells them; only a password is never an argument."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from migrator.cli.classic import translate
from migrator.cli.options import parse
from tests.migrator.cli.peers import BODY, bodies, mailbox
from tests.rigs.communigate import POSTMASTER, CommuniGate
from tests.rigs.maildrop import Maildrop
from tests.rigs.postbox import Postbox
from tests.rigs.scripted import Peer, raw, then

SENT = then(raw(b"* 1 FETCH (UID 1 BODY[] {%d}\r\n%b)\r\n" % (len(BODY), BODY)), "$ OK done")
LETTER = b"Subject: hello\r\n\r\nbody\r\n"
SAMPLE = "Name\tLimit\tPassword\njohn\t10K\tj27ss#45\njim\t120K\tdud-ee\ngeorge\t31M\tmia#hj!\n"


@pytest.fixture
def source():
    with mailbox(1, UID_FETCH=bodies(SENT)) as peer:
        yield peer


@pytest.fixture
def target():
    with mailbox() as peer:
        yield peer


@pytest.fixture
def secret(tmp_path: Path):
    def write(name: str, password: str) -> str:
        path = tmp_path / name
        path.write_text(password + "\n")
        path.chmod(0o600)
        return str(path)

    return write


def place(peer: Peer) -> str:
    return f"127.0.0.1:{peer.port}"


def test_the_sample_of_the_guide_copies_a_mailbox(mailferry, source, target, secret) -> None:
    old, new = secret("old", "jps#dhj"), secret("new", "dummy")
    ended = mailferry("MoveIMAPMail", "--list", "Mail/*", place(source), "john", old, place(target), "johnNew", new)
    assert ended.exit_code == 0
    assert source.said("LOGIN") == [b'LOGIN "john" "jps#dhj"']
    assert target.said("LOGIN") == [b'LOGIN "johnNew" "dummy"']
    assert source.said("LIST")[0] == b'LIST "" "Mail/*"'
    assert len(target.said("APPEND")) == 1


@pytest.mark.parametrize("at", [2, 5])
@pytest.mark.parametrize("password", ["jps#dhj", "hunter2", "x" * 5000, "a\nb", "/"])
def test_a_password_in_its_old_place_is_refused_and_not_repeated(
    mailferry, source, target, secret, at: int, password: str
) -> None:
    words = [place(source), "john", secret("old", "pw"), place(target), "john", secret("new", "pw")]
    words[at] = password
    ended = mailferry("MoveIMAPMail", *words)
    assert ended.exit_code == 2
    assert f"In the place of the {'old' if at == 2 else 'new'} password stands no name of a file" in ended.err
    assert len(password) < 2 or password not in ended.err + ended.out
    assert source.connections == target.connections == 0


def test_a_dash_in_the_place_of_a_password_asks_for_it(mailferry, source, target, secret, monkeypatch) -> None:
    asked = []

    def answer(question: str) -> str:
        asked.append(question)
        return "typed"

    monkeypatch.setattr("getpass.getpass", answer)
    assert mailferry("MoveIMAPMail", place(source), "a", "-", place(target), "b", secret("new", "pw")).exit_code == 0
    assert source.said("LOGIN") == [b'LOGIN "a" "typed"']
    assert len(asked) == 1


def test_names_and_passwords_may_hold_what_means_something_in_a_url(mailferry, source, target, secret) -> None:
    words = [place(source), "j:o/h?n%@example.org", secret("old", "p:w@/%"), place(target), "ü", secret("new", "pw")]
    assert mailferry("MoveIMAPMail", *words).exit_code == 0
    assert source.said("LOGIN") == [b'LOGIN "j:o/h?n%@example.org" "p:w@/%"']


@pytest.mark.parametrize(
    ("classic", "plain"),
    [
        (["--verbose"], ["--verbose"]),
        (["--list", "Mail/*"], ["--list", "Mail/*"]),
        (["--source", "abc/"], ["--source-prefix", "abc/"]),
        (["--target", "Old/"], ["--target-prefix", "Old/"]),
        (["--skipMailbox", "a", "--skipMailbox", "b c"], ["--skip-folder", "a", "--skip-folder", "b c"]),
        (["--notimeout"], ["--slow-server"]),
        (["--nosubscription"], ["--no-subscription"]),
        (["--subscribed"], ["--subscribed"]),
        (["--fetchRFC822"], ["--fetch-rfc822"]),
        (["--byOne"], ["--by-one"]),
        (["--noACL"], ["--no-acl"]),
        (["--copyMailboxClass"], ["--classes", "--metadata"]),
        (["--fixLongLines", "998"], ["--fix-long-lines", "998"]),
        (["--dry-run", "--json", "--verify", "digest"], ["--dry-run", "--json", "--verify", "digest"]),
    ],
)
def test_every_flag_of_the_guide_is_one_of_ours(secret, classic: list[str], plain: list[str]) -> None:
    old, new = secret("old", "pw"), secret("new", "pw")
    files = ["--source-password-file", old, "--target-password-file", new]
    said = translate(parse(["MoveIMAPMail", *classic, "old:144", "a", old, "imaps://[::1]:994", "b", new]))
    meant = parse(["copy", "imap://a@old:144", "imaps://b@[::1]:994", *files, *plain])
    assert _shared(said, meant) == vars(meant)


def _shared(options: argparse.Namespace, with_: argparse.Namespace) -> dict[str, object]:
    return {name: value for name, value in vars(options).items() if name in vars(with_)}


@pytest.mark.parametrize(("flag", "sentence"), [("--delete", "says so twice: --yes-delete-at-source")])
def test_what_is_not_offered_so_is_refused_with_its_reason(mailferry, source, target, secret, flag, sentence) -> None:
    words = [place(source), "a", secret("old", "pw"), place(target), "b", secret("new", "pw")]
    ended = mailferry("MoveIMAPMail", flag, *words)
    assert (ended.exit_code, sentence in ended.err) == (2, True)
    assert source.connections == 0


def test_the_postmaster_copies_as_the_guide_says(mailferry, secret) -> None:
    with CommuniGate("anna") as old, CommuniGate("anna") as new:
        old.put("anna", "Work", LETTER)
        servers = [server.url("x").partition("@")[2] for server in (old, new)]
        words = [servers[0], POSTMASTER, secret("old", "pw"), servers[1], POSTMASTER, secret("new", "pw")]
        ended = mailferry("MoveIMAPMail", "--source", "~anna/", "--target", "~anna/", *words)
        assert ended.exit_code == 0
        assert new.holds("anna") == {"Work": [LETTER]}


@pytest.mark.req("S-72")
def test_the_accounts_of_a_list_are_moved_by_imap_with_the_flags_of_one(mailferry, source, target, tmp_path) -> None:
    (tmp_path / "AccountList").write_text(SAMPLE)
    words = ["--IMAP", tmp_path / "AccountList", place(source), place(target), "--byOne", "--list", "Mail/*"]
    ended = mailferry("MoveAccounts", *words)
    assert ended.exit_code == 0
    assert sorted(source.said("LOGIN")) == [
        b'LOGIN "george" "mia#hj!"', b'LOGIN "jim" "dud-ee"', b'LOGIN "john" "j27ss#45"'
    ]  # fmt: skip
    assert source.said("LIST").count(b'LIST "" "Mail/*"') == 3
    assert len(target.said("APPEND")) == 3


MAIL = [(b"n%d" % number, b"Subject: %d\r\n\r\nbody\r\n" % number) for number in range(1, 4)]


def test_the_sample_of_the_guide_sends_the_mail_of_a_pop_account(mailferry, secret) -> None:
    box = Postbox()
    with Maildrop(MAIL).server() as old, box.server() as new:
        words = [f"127.0.0.1:{old.port}", "john", secret("old", "jps#dhj"), f"127.0.0.1:{new.port}", "john"]
        ended = mailferry("MovePOPMail", "--verbose", *words)
        assert ended.exit_code == 0, ended.err
        signed_in = [line for line in old.commands if line.startswith((b"USER", b"PASS"))]
        assert signed_in[:2] == [b"USER john", b"PASS jps#dhj"]
        assert not [line for line in old.commands if line.startswith(b"DELE")]
    assert [to for _, to, _ in box.mail] == [b"RCPT TO:<john>"] * 3
    assert all(got.endswith(body) for (_, _, got), (_, body) in zip(box.mail, MAIL, strict=True))


@pytest.mark.parametrize("flag", ["--list", "--source", "--byOne", "--noACL"])
def test_the_pop_mover_has_no_flags_for_folders(mailferry, secret, flag) -> None:
    words = ["127.0.0.1", "john", secret("old", "pw"), "127.0.0.1", "john", flag]
    assert mailferry("MovePOPMail", *words).exit_code == 2


@pytest.mark.req("S-71", "S-72")
@pytest.mark.parametrize("way", [[], ["--POP"]])
def test_a_list_is_moved_from_pop_to_smtp_unless_imap_is_said(mailferry, tmp_path, way: list[str]) -> None:
    (tmp_path / "list").write_text("Name\tPassword\tNewName\njohn\tp1\t\njim\tp2\tjames@new.test\n")
    box = Postbox()
    with Maildrop(MAIL).server() as old, box.server() as new:
        servers = [f"127.0.0.1:{peer.port}" for peer in (old, new)]
        # one after the other: the postbox takes an envelope for that of whoever spoke last
        words = [tmp_path / "list", *servers, "--verbose", "--notimeout", "--parallel", "1"]
        ended = mailferry("MoveAccounts", *way, *words)
        assert ended.exit_code == 0, ended.err
    recipients = [to for _, to, _ in box.mail]
    assert (recipients.count(b"RCPT TO:<john>"), recipients.count(b"RCPT TO:<james@new.test>")) == (3, 3)


def test_flags_for_folders_do_not_go_with_a_list_for_pop(mailferry, tmp_path) -> None:
    (tmp_path / "list").write_text("Name\tPassword\njohn\tp1\n")
    ended = mailferry("MoveAccounts", tmp_path / "list", "127.0.0.1:1", "127.0.0.1:2", "--list", "Mail/*")
    assert (ended.exit_code, "--list is for an IMAP source" in ended.err) == (2, True)
