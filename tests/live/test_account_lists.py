"""A mail server's own list of accounts as the directory: Dovecot's files and Cyrus's deny list, on the real servers."""

from __future__ import annotations

import imaplib
import os
import pwd
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from migrator.directories import DIRECTORIES
from migrator.entries import Json, open_connector
from migrator.errors import MigratorError
from migrator.sessions import SESSIONS
from tests.contracts.directory import DirectoryContract
from tests.contracts.entries import ANNA, BERT, CLARA, Place
from tests.contracts.sessions import Club, SessionsContract, settles_at
from tests.rigs.base import HOST
from tests.rigs.cyrus import ADMIN as CYRUS_ADMIN
from tests.rigs.cyrus import ADMIN_PASSWORD as CYRUS_PASSWORD
from tests.rigs.cyrus import Cyrus
from tests.rigs.dovecot import ADMIN, ADMIN_PASSWORD, Dovecot

PASSWORDS = dict.fromkeys(("anna", "bert", "clara"), "pw")
_DENY = "passdb {{\n  driver = passwd-file\n  deny = yes\n  args = username_format=%Ln {file}\n}}\n"


class Denying(Dovecot):
    """A Dovecot that denies whoever is in its file ``denied``."""

    def _config(self) -> str:
        (self.dir / "denied").write_text("clara:\n")
        (self.dir / "denied").chmod(0o644)
        return super()._config().replace("passdb {", _DENY.format(file=self.dir / "denied") + "passdb {", 1)


def refused(port: int, user: str, password: str = "pw") -> str:
    """Sign in once; return the words of a refusal, or nothing."""
    line = imaplib.IMAP4(HOST, port)
    try:
        line.login(user, password)
    except imaplib.IMAP4.error as error:
        return str(error)
    finally:
        line.shutdown()
    return ""


def refusal(call: Callable[[], object]) -> MigratorError:
    with pytest.raises(MigratorError) as caught:
        call()
    return caught.value


# Dovecot


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Dovecot]:
    with Dovecot(PASSWORDS) as server:
        yield server


@pytest.fixture(scope="module")
def denying() -> Iterator[Denying]:
    with Denying(PASSWORDS) as server:
        yield server


def dovecot_options(server: Dovecot, **more: Json) -> dict[str, Json]:
    doveadm: list[Json] = ["doveadm", "-c", str(server.dir / "dovecot.conf")]
    return {"users": str(server.dir / "users"), "doveadm": doveadm, "user": "local", **more}


def dovecot_directory(server: Dovecot, **more: Json) -> Any:
    return open_connector(DIRECTORIES, "dovecot", dovecot_options(server, **more))


def _retimed(path: Path, text: str) -> None:
    """Write as an administrator would, so that Dovecot notices."""
    stamp = int(path.stat().st_mtime) + 1
    path.write_text(text)
    os.utime(path, (stamp, stamp))


class TestPasswdFile(DirectoryContract):
    @pytest.fixture
    def place(self, dovecot: Dovecot) -> Place:
        for name, fields in (("anna", ""), ("bert", "userdb_quota_rule=*:storage=1G"), ("clara", "nologin")):
            dovecot._fields[name] = fields
        _retimed(dovecot.dir / "users", "".join(map(dovecot._row, dovecot.passwords)))

        def meddle(address: str) -> None:
            name = address.partition("@")[0]
            rows = (dovecot.dir / "users").read_text().splitlines()
            changed = [
                f"{row.rpartition(':')[0]}:allow_nets=192.0.2.1" if row.startswith(f"{name}:") else row for row in rows
            ]
            _retimed(dovecot.dir / "users", "".join(f"{row}\n" for row in changed))

        return Place(lambda: dovecot_directory(dovecot), meddle)

    def test_who_is_closed_is_refused_with_the_reason_and_the_administrator_is_not(
        self, dovecot: Dovecot, place: Place
    ) -> None:
        directory = place.open()
        before = directory.find(ANNA)
        directory.replace(ANNA, before, directory.closed(before))
        assert "Mailbox_is_being_moved" in refused(dovecot.imap, "anna")
        assert not refused(dovecot.imap, f"anna*{ADMIN}", ADMIN_PASSWORD)
        assert not refused(dovecot.imap, "bert")
        directory.replace(ANNA, directory.closed(before), before)
        assert not refused(dovecot.imap, "anna")

    def test_a_user_who_is_proxied_elsewhere_is_closed_as_well(self, place: Place) -> None:
        closed = place.open().closed({"extra": "proxy=y host=192.0.2.7 quota=1"})
        assert closed == {"extra": "host=192.0.2.7 quota=1 nologin reason=Mailbox_is_being_moved"}

    def test_a_change_leaves_every_other_octet_of_the_file(self, dovecot: Dovecot, place: Place) -> None:
        path = dovecot.dir / "users"
        text = "# Müller\n" + path.read_text() + "\n#anna:old\nodd line\n"
        _retimed(path, text)
        directory = place.open()
        before = directory.find(BERT)
        directory.replace(BERT, before, directory.closed(before))
        assert path.read_text() != text
        directory.replace(BERT, directory.closed(before), before)
        assert path.read_text() == text


class TestDenyFile(DirectoryContract):
    @pytest.fixture
    def place(self, denying: Denying) -> Place:
        _retimed(denying.dir / "denied", "clara:\n")
        return Place(lambda: dovecot_directory(denying, deny=str(denying.dir / "denied")), lambda address: None)

    def test_the_change_of_somebody_else_is_never_overwritten(self, place: Place) -> None:
        """Denied or not: there is no third thing that somebody else could have made of it."""

    def test_who_is_denied_is_refused_and_the_administrator_is_not(self, denying: Denying, place: Place) -> None:
        directory = place.open()
        before = directory.find(ANNA)
        directory.replace(ANNA, before, directory.closed(before))
        assert refused(denying.imap, "anna")
        assert not refused(denying.imap, f"anna*{ADMIN}", ADMIN_PASSWORD)
        assert not refused(denying.imap, "bert")
        directory.replace(ANNA, directory.closed(before), before)
        assert not refused(denying.imap, "anna")


def test_two_entries_of_one_name_are_ambiguous(dovecot: Dovecot) -> None:
    text = (dovecot.dir / "users").read_text()
    try:
        _retimed(dovecot.dir / "users", text + "ANNA:{PLAIN}pw::::::\n")
        assert refusal(lambda: dovecot_directory(dovecot).find(ANNA)).code == "directory.ambiguous"
    finally:
        _retimed(dovecot.dir / "users", text)


def test_a_dovecot_that_does_not_answer_is_no_success(dovecot: Dovecot) -> None:
    directory = dovecot_directory(dovecot, doveadm=["sh", "-c", "exit 75"])
    before = directory.find(BERT)
    error = refusal(lambda: directory.replace(BERT, before, directory.closed(before)))
    assert error.code == "command.failed"
    dovecot_directory(dovecot).replace(BERT, directory.closed(before), before)


@pytest.mark.parametrize("reason", ["being moved", "a:b"])
def test_a_reason_that_the_file_cannot_hold_is_refused(dovecot: Dovecot, reason: str) -> None:
    assert refusal(lambda: dovecot_directory(dovecot, reason=reason)).code == "connector.invalid"


def test_a_file_that_is_not_there_is_named(dovecot: Dovecot) -> None:
    error = refusal(lambda: dovecot_directory(dovecot, users="/nonexistent/users").find(ANNA))
    assert error.code == "directory.invalid"
    assert "/nonexistent/users" in error.reply


# Cyrus


@pytest.fixture(scope="module")
def cyrus() -> Iterator[Cyrus]:
    with Cyrus(PASSWORDS) as server:
        for name in PASSWORDS:
            assert not refused(server.imap, name)  # the first sign-in makes the mailbox
        yield server


def program(server: Cyrus, name: str) -> list[Json]:
    """The words that run a program of Cyrus as its user."""
    words = ["env", f"LD_LIBRARY_PATH={server._env['LD_LIBRARY_PATH']}", str(server._master.parent / name)]
    if os.geteuid() == 0:
        words = ["setpriv", f"--reuid={pwd.getpwnam(server.user).pw_uid}", "--clear-groups", *words]
    return [*words, "-C", str(server.dir / "imapd.conf")]


def cyrus_directory(server: Cyrus, **more: Json) -> Any:
    options: dict[str, Json] = {"cyr_deny": program(server, "cyr_deny"), "mbpath": program(server, "mbpath"), **more}
    return open_connector(DIRECTORIES, "cyrus", options)


def deny(server: Cyrus, *words: str) -> None:
    subprocess.run([*map(str, program(server, "cyr_deny")), *words], check=True, timeout=30)


def read_for(server: Cyrus, name: str, port: int) -> str:
    """Open the inbox of ``name`` as the administrator who signs in for them."""
    line = imaplib.IMAP4(HOST, port)
    try:
        line.authenticate("PLAIN", lambda _: f"{name}\0{CYRUS_ADMIN}\0{CYRUS_PASSWORD}".encode())
        return line.select("INBOX", readonly=True)[0]
    finally:
        line.shutdown()


class TestCyrusDeny(DirectoryContract):
    @pytest.fixture
    def place(self, cyrus: Cyrus) -> Iterator[Place]:
        deny(cyrus, "-s", "imap,pop3", "clara")
        yield Place(
            lambda: cyrus_directory(cyrus),
            lambda address: deny(cyrus, "-s", "sieve", "-m", "no scripts", address.partition("@")[0]),
        )
        for name in PASSWORDS:
            deny(cyrus, "-a", name)

    def test_who_is_denied_every_service_is_refused_and_so_is_whoever_signs_in_for_them(
        self, cyrus: Cyrus, place: Place
    ) -> None:
        directory = place.open()
        before = directory.find(ANNA)
        directory.replace(ANNA, before, directory.closed(before))
        assert refused(cyrus.imap, "anna")
        assert not refused(cyrus.imap, "bert")
        with pytest.raises(imaplib.IMAP4.abort):
            read_for(cyrus, "anna", cyrus.imap)
        directory.replace(ANNA, directory.closed(before), before)
        assert not refused(cyrus.imap, "anna")

    def test_the_mover_reads_by_a_service_that_is_not_denied(self, cyrus: Cyrus, place: Place) -> None:
        directory = cyrus_directory(cyrus, services="imap,pop3")
        before = directory.find(ANNA)
        directory.replace(ANNA, before, directory.closed(before))
        assert directory.is_disabled(ANNA)
        assert refused(cyrus.imap, "anna")
        assert read_for(cyrus, "anna", cyrus.moving) == "OK"
        directory.replace(ANNA, directory.closed(before), before)

    def test_what_was_denied_before_comes_back_with_its_services_and_words(self, cyrus: Cyrus, place: Place) -> None:
        deny(cyrus, "-s", "sieve", "-m", "no scripts today", "bert")
        directory = place.open()
        before = directory.find(BERT)
        assert before == {"services": "sieve", "message": "no scripts today"}
        directory.replace(BERT, before, directory.closed(before))
        assert directory.is_disabled(BERT)
        directory.replace(BERT, directory.closed(before), before)
        assert place.open().find(BERT) == before


def test_a_cyrus_that_cannot_be_asked_is_no_missing_user(cyrus: Cyrus) -> None:
    assert refusal(lambda: cyrus_directory(cyrus, mbpath=["sh", "-c", "exit 255"]).find(ANNA)).code == "command.failed"


class TestCyrusSessions(SessionsContract):
    @pytest.fixture
    def club(self, cyrus: Cyrus) -> Iterator[Club]:
        lines: list[imaplib.IMAP4] = []
        info: list[Json] = program(cyrus, "cyr_info")

        def sign_in(address: str) -> None:
            lines.append(imaplib.IMAP4(HOST, cyrus.imap))
            lines[-1].login(address.partition("@")[0], "pw")
            lines[-1].select("INBOX")

        def sessions() -> Any:
            return open_connector(SESSIONS, "cyrus", {"cyr_info": info})

        yield Club(sessions, sign_in)
        for line in lines:
            line.shutdown()
        for address in (ANNA, BERT, CLARA):
            assert settles_at(sessions(), address, 0)
