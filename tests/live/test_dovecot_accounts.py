"""Accounts made in the passwd-file of a real Dovecot: INBOX is a file of the system, the password is the system's."""

from __future__ import annotations

import imaplib
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from passlib.hash import sha512_crypt

from migrator.directories import DIRECTORIES, POPULATIONS
from migrator.entries import Json, open_connector
from migrator.errors import MigratorError
from tests.rigs.base import temporary_root
from tests.rigs.dovecot import ADMIN, ADMIN_PASSWORD, Dovecot

ANNA, BERT, CARL = "anna@example.test", "bert@example.test", "carl@example.test"
OS_WORDS: Final = {"anna": "word of the system", "bert": "another", "carl": "third"}
LETTER: Final = "From: somebody@example.test\nSubject: {}\n\nbody of {}\n"
_SHADOW: Final = """
passdb {{
  driver = passwd-file
  args = scheme=CRYPT username_format=%Ln {}
}}
"""
_PAM: Final = """
passdb {
  driver = pam
  args = dovecot
}
"""
_USERS: Final = "args = scheme=PLAIN username_format=%Ln"


class Place:
    """A Dovecot with one user of its own, a spool of mailbox files, and the system's passdb behind its passwd-file."""

    def __init__(self, server: Dovecot, spool: Path) -> None:
        self.server, self.spool = server, spool
        doveadm = ["/usr/bin/doveadm", "-c", str(server.dir / "dovecot.conf")]
        self.options: dict[str, Json] = {"users": str(server.dir / "users"), "user": "local", "doveadm": doveadm}

    def population(self, **options: Json) -> Any:
        return open_connector(POPULATIONS, "dovecot", self.options | options)

    def directory(self) -> Any:
        return open_connector(DIRECTORIES, "dovecot", self.options)

    def let_in(self, address: str) -> None:
        """Open an account as the step ENABLE does."""
        directory = self.directory()
        found = directory.find(address)
        directory.replace(address, found, directory.opened(found))

    def line(self, name: str) -> str:
        lines = (self.server.dir / "users").read_text().splitlines()
        return next(line for line in lines if line.startswith(f"{name}:"))

    def deliver(self, name: str, subject: str) -> None:
        """Have Dovecot's own delivery agent deliver a message."""
        command = ["/usr/lib/dovecot/dovecot-lda", "-c", str(self.server.dir / "dovecot.conf"), "-d", name]
        done = subprocess.run(command, input=LETTER.format(subject, name), capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr + self.server.last_words()

    def subjects(self, login: str, password: str) -> list[str]:
        """Sign in, and return the subjects in INBOX."""
        with imaplib.IMAP4("127.0.0.1", self.server.imap) as line:
            line.login(login, password)
            line.select("INBOX", readonly=True)
            _, found = line.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
            return [part[1].decode().strip() for part in found if isinstance(part, tuple)]

    def is_let_in(self, login: str, password: str) -> bool:
        """Try to sign in, once."""
        return not self.refusal(login, password)

    def refusal(self, login: str, password: str) -> str:
        """Return what the server says to whom it does not let in."""
        with imaplib.IMAP4("127.0.0.1", self.server.imap) as line:
            try:
                line.login(login, password)
            except imaplib.IMAP4.error as error:
                return str(error)
        return ""


def place(behind: str) -> Iterator[Place]:
    server = Dovecot({"owner": "own word"}, extra=behind)
    spool = server.dir / "spool"
    spool.mkdir()
    server.give(spool)
    config = server.dir / "dovecot.conf"
    # The line of the README: whoever has a password of their own is not let in by that of the system.
    text = config.read_text().replace(f"  {_USERS} ", f"  result_failure = return-fail\n  {_USERS} ")
    assert text.count("return-fail") == 1
    config.write_text(text)
    with server:
        yield Place(server, spool)


@pytest.fixture
def shadowed() -> Iterator[Place]:
    """The passdb behind is a passwd-file in the form of shadow(5)."""
    rows = {name: sha512_crypt.using(rounds=5000).hash(word) for name, word in OS_WORDS.items()}
    with tempfile.TemporaryDirectory(prefix="shadow-", dir=temporary_root()) as folder:
        shadow = Path(folder) / "shadow"
        shadow.write_text("".join(f"{name}:{hashed}:19000:0:99999:7:::\n" for name, hashed in rows.items()))
        Path(folder).chmod(0o755)  # Dovecot reads it as a user of its own
        yield from place(_SHADOW.format(shadow))


@pytest.fixture
def by_pam() -> Iterator[Place]:
    yield from place(_PAM)


@pytest.mark.req("S-6")
def test_dovecot_delivers_into_the_file_of_the_system_and_shows_what_others_deliver_there(shadowed: Place) -> None:
    accounts = shadowed.population(external_inbox=f"{shadowed.spool}/*", external_accounts=[ANNA])
    for address in (ANNA, BERT):
        accounts.create(address)
        shadowed.let_in(address)
    file = shadowed.spool / "anna"
    for name in ("anna", "bert"):
        shadowed.deliver(name, "by Dovecot")
    assert file.read_text().count("Subject: by Dovecot") == 1
    assert sorted(path.name for path in shadowed.spool.iterdir()) == ["anna"]  # bert has his in his home
    with file.open("a") as spool:  # a local program
        spool.write(
            "From somebody@example.test Sat Jan  1 00:00:00 2022\n" + LETTER.format("by another", "anna") + "\n"
        )
    admin = f"anna*{ADMIN}"
    assert shadowed.subjects(admin, ADMIN_PASSWORD) == ["Subject: by Dovecot", "Subject: by another"]
    assert shadowed.subjects(f"bert*{ADMIN}", ADMIN_PASSWORD) == ["Subject: by Dovecot"]
    with imaplib.IMAP4("127.0.0.1", shadowed.server.imap) as line:
        line.login(admin, ADMIN_PASSWORD)
        assert line.create("Work")[0] == "OK"
    assert (shadowed.server.dir / "mail" / "anna" / "mail" / "Work").exists()


@pytest.mark.req("S-12")
def test_chosen_accounts_sign_in_with_the_password_of_the_system_and_others_do_not(shadowed: Place) -> None:
    accounts = shadowed.population(os_password=True, os_accounts=[ANNA])
    for address in (ANNA, BERT):
        accounts.create(address)
        assert accounts.exists(address)
        assert not shadowed.is_let_in(address.partition("@")[0], OS_WORDS[address.partition("@")[0]])  # made closed
        shadowed.let_in(address)
    assert shadowed.is_let_in("anna", OS_WORDS["anna"])
    assert [shadowed.is_let_in("anna", word) for word in ("wrong", "", "!", OS_WORDS["bert"])] == [False] * 4
    assert [shadowed.is_let_in("bert", word) for word in (OS_WORDS["bert"], "", "!", "{CRYPT}!")] == [False] * 4
    assert shadowed.is_let_in("owner", "own word")  # who was there before


def test_an_administrator_is_let_into_an_account_as_soon_as_it_is_made(shadowed: Place) -> None:
    accounts = shadowed.population(os_password=True)
    for address in (ANNA, BERT, CARL):
        accounts.create(address)
        assert shadowed.is_let_in(f"{address.partition('@')[0]}*{ADMIN}", ADMIN_PASSWORD)


def test_the_password_of_the_system_opens_nothing_while_an_account_is_closed(shadowed: Place) -> None:
    shadowed.population(os_password=True).create(ANNA)
    shadowed.let_in(ANNA)
    directory = shadowed.directory()
    found = directory.find(ANNA)
    directory.replace(ANNA, found, directory.closed(found))
    assert directory.is_disabled(ANNA)
    assert not shadowed.is_let_in("anna", OS_WORDS["anna"])
    assert shadowed.is_let_in(f"anna*{ADMIN}", ADMIN_PASSWORD)
    directory.replace(ANNA, directory.closed(found), found)
    assert shadowed.is_let_in("anna", OS_WORDS["anna"])


def test_an_account_whose_password_can_only_be_tried_is_closed_and_opened_all_the_same(by_pam: Place) -> None:
    by_pam.population(os_password=True).create(ANNA)
    directory = by_pam.directory()
    assert directory.is_disabled(ANNA)
    assert by_pam.is_let_in(f"anna*{ADMIN}", ADMIN_PASSWORD)
    by_pam.let_in(ANNA)
    assert not directory.is_disabled(ANNA)
    found = directory.find(ANNA)
    directory.replace(ANNA, found, directory.closed(found))
    assert directory.is_disabled(ANNA)
    assert "Mailbox_is_being_moved" in by_pam.refusal("anna", "whatever")


def test_a_line_that_is_there_stays_and_is_taken_away_only_as_it_was_made(shadowed: Place) -> None:
    accounts = shadowed.population(os_password=True)
    before = shadowed.line("owner")
    accounts.create("owner@example.test")
    accounts.remove("owner@example.test")
    assert shadowed.line("owner") == before
    accounts.create(ANNA)
    accounts.create(ANNA)
    assert shadowed.line("anna") == "anna:{CRYPT}!::::::noauthenticate nologin reason=Mailbox_is_being_moved"
    accounts.remove(ANNA)
    accounts.remove(ANNA)
    assert not accounts.exists(ANNA)
    accounts.create(CARL)
    shadowed.let_in(CARL)
    accounts.remove(CARL)  # somebody let them in since
    assert accounts.exists(CARL)


@pytest.mark.parametrize(
    "address", ["../../etc/passwd@example.test", ".forward@example.test", "a%u@example.test", "a b"]
)
def test_a_name_that_is_no_file_makes_no_account(shadowed: Place, address: str) -> None:
    accounts = shadowed.population(external_inbox=str(shadowed.spool))
    before = (shadowed.server.dir / "users").read_text()
    with pytest.raises(MigratorError, match=r"address\.bad"):
        accounts.create(address)
    assert (shadowed.server.dir / "users").read_text() == before
