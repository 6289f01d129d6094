"""What real servers do of their own: refuse, fill up, renumber, share, alter. An account ends whole, or says why."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from migrator.errors import MigratorError, Patience
from migrator.events import Event, PassPlanned, Reconnecting, RoomShort
from migrator.limits import Limits
from migrator.mail import Outcome
from migrator.secret import Secret
from migrator.stores.imap_session import Endpoint
from migrator.stores.imap_source import ImapSource
from tests.live.crossing import Crossing
from tests.rigs import check, courier, cyrus, dovecot, pymap
from tests.rigs.base import HOST, Account, Server, users
from tests.rigs.corpus import Box, fill, lifelike
from tests.rigs.dialogue import Dialogue, Refused
from tests.rigs.relay import Relay

SEED = 11
OPTIONS = b'(\\Seen) "01-Feb-2024 10:00:00 +0100"'


@pytest.fixture(scope="module")
def source() -> Iterator[dovecot.Dovecot]:
    with dovecot.Dovecot(users(30), tls=True, shared=True) as server:
        yield server


@pytest.fixture(scope="module")
def target() -> Iterator[dovecot.Dovecot]:
    with dovecot.Dovecot(users(30), layout="mdbox", separator="/") as server:
        yield server


@pytest.fixture(scope="module")
def strict() -> Iterator[cyrus.Cyrus]:
    with cyrus.Cyrus(users(30)) as server:
        yield server


def put(account: Account, bodies: list[bytes], folder: bytes = b"INBOX", options: bytes = OPTIONS) -> None:
    with Dialogue(account) as talk:
        talk.append(folder, [(options, body) for body in bodies])


def letters(count: int, size_bytes: int = 0) -> list[bytes]:
    return [b"Subject: letter %d\r\n\r\n%s\r\n" % (number, b"x" * size_bytes) for number in range(count)]


def count(account: Account, folder: bytes = b"INBOX") -> int:
    return len(check.read(account).folders[folder].messages)


# Sign-in


def signed_in(endpoint: Endpoint) -> int:
    """How many messages the INBOX behind ``endpoint`` has."""
    with ImapSource(endpoint, Limits(connect_seconds=10, io_seconds=20)) as store:
        return sum(folder.messages or 0 for folder in store.folders() if folder.path.is_inbox)


@pytest.mark.parametrize(("security", "port"), [("tls", "imaps"), ("starttls", "imap")])
def test_tls_and_starttls_with_a_known_certificate(source: dovecot.Dovecot, security: str, port: str) -> None:
    put(source.account("u0000"), letters(1))
    endpoint = Endpoint(HOST, getattr(source, port), security, "u0000", Secret("pw"), ca_file=str(source.certificate))
    assert signed_in(endpoint) > 0


@pytest.mark.req("C-18")
@pytest.mark.parametrize(("security", "port"), [("tls", "imaps"), ("starttls", "imap")])
def test_a_certificate_nobody_vouches_for_is_refused(source: dovecot.Dovecot, security: str, port: str) -> None:
    endpoint = Endpoint(HOST, getattr(source, port), security, "u0000", Secret("pw"))
    with pytest.raises(MigratorError) as caught:
        signed_in(endpoint)
    assert caught.value.patience is Patience.NEVER
    assert signed_in(replace(endpoint, verify=False)) >= 0


@pytest.mark.parametrize(
    ("make", "admin"),
    [
        (lambda: dovecot.Dovecot(users(2)), (dovecot.ADMIN, dovecot.ADMIN_PASSWORD)),
        (lambda: cyrus.Cyrus(users(2)), (cyrus.ADMIN, cyrus.ADMIN_PASSWORD)),
        (lambda: pymap.Pymap(users(2)), (pymap.ADMIN, pymap.ADMIN_PASSWORD)),
    ],
    ids=["dovecot", "cyrus", "pymap"],
)
def test_an_administrator_opens_a_users_mailbox(make: Callable[[], Server], admin: tuple[str, str]) -> None:
    with make() as server:
        put(server.account("u0001"), letters(3))
        endpoint = Endpoint(HOST, server.imap, "plain", admin[0], Secret(admin[1]), authzid="u0001")
        assert signed_in(endpoint) == 3


@pytest.mark.req("C-1")
@pytest.mark.parametrize("make", [lambda: dovecot.Dovecot(users(1)), lambda: courier.Courier(users(1))])
def test_a_wrong_password_is_tried_once(make: Callable[[], Server]) -> None:
    with make() as server, Relay(server.imap) as relay:
        with pytest.raises(MigratorError) as caught:
            signed_in(Endpoint(HOST, relay.port, "plain", "u0000", Secret("wrong")))
        assert (caught.value.code, caught.value.patience) == ("sign_in.refused", Patience.NEVER)
        assert relay.counts().connections == 1
        assert relay.counts().turns <= 2


# Namespaces


@pytest.mark.req("D-24")
def test_other_peoples_folders_are_not_copied(source: dovecot.Dovecot, target: dovecot.Dovecot) -> None:
    crossing = Crossing(source.account("u0002"), target.account("u0002"))
    put(crossing.source, letters(2))
    put(source.account("u0003"), letters(5))
    with Dialogue(source.account("u0003")) as talk:
        talk.command(b"SETACL INBOX u0002 lrws")
    with Dialogue(crossing.source) as talk:
        assert any(b"shared." in reply.text for reply in talk.command(b'LIST "" "*"'))
    result = crossing.run()
    assert result.totals == {Outcome.COPIED: 2}
    assert not [name for name in check.read(crossing.target).folders if b"shared" in name or b"u0003" in name]


# Full


@pytest.mark.req("C-32", "D-74")
def test_a_full_mailbox_stops_the_copy_and_room_lets_it_go_on(source: dovecot.Dovecot, target: dovecot.Dovecot) -> None:
    limits = Limits(bundle_messages=5, io_seconds=30)
    crossing = Crossing(source.account("u0004"), target.account("u0004"), limits=limits)
    put(crossing.source, letters(60, 10_000))
    target.set_quota("u0004", "200K")
    wait_for_quota(crossing.target, 200)
    result = crossing.run()
    [short] = [event for event in crossing.log.events if isinstance(event, RoomShort)]
    assert (short.resource, short.free) == ("STORAGE", 200 * 1024)
    assert 660_000 < short.needed < 680_000
    assert result.error is not None
    assert (result.error.code, result.error.patience, result.is_balanced) == ("target.full", Patience.LATER, False)
    assert 0 < count(crossing.target) < 60
    target.set_quota("u0004", "10M")
    wait_for_quota(crossing.target, 10240)
    assert crossing.run().is_balanced
    assert crossing.differences() == []


def wait_for_quota(account: Account, kilobytes: int) -> None:
    """Dovecot looks at its list of users once a second."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        with Dialogue(account) as talk:
            if any(reply.text.endswith(b" %d)" % kilobytes) for reply in talk.command(b"GETQUOTAROOT INBOX")):
                return
    raise AssertionError("Dovecot did not take the new quota")


# Numbering


@pytest.mark.req("D-31")
def test_a_source_folder_that_was_renumbered_is_matched_by_content(
    source: dovecot.Dovecot, target: dovecot.Dovecot
) -> None:
    crossing = Crossing(source.account("u0005"), target.account("u0005"))
    fill(crossing.source, lifelike(SEED, messages=200))
    assert crossing.run().is_balanced
    with Dialogue(crossing.source) as talk:
        talk.command(b"CREATE Neu")
        talk.command(b"SELECT Sent")
        talk.command(b"COPY 1:* Neu")
        talk.command(b"CLOSE")
        talk.command(b"DELETE Sent")
        talk.command(b"RENAME Neu Sent")
    result = crossing.run()
    assert (result.error, result.appended, result.is_balanced) == (None, 0, True)
    assert result.totals[Outcome.ALREADY_THERE] > 20
    assert crossing.differences() == []


@pytest.mark.req("D-31")
def test_a_target_folder_that_was_made_anew_is_filled_anew(source: dovecot.Dovecot, target: dovecot.Dovecot) -> None:
    crossing = Crossing(source.account("u0006"), target.account("u0006"))
    fill(crossing.source, lifelike(SEED, messages=200))
    assert crossing.run().is_balanced
    with Dialogue(crossing.target) as talk:
        talk.command(b"DELETE NIL")
    result = crossing.run()
    assert (result.error, result.is_balanced) == (None, True)
    assert result.appended > 0
    assert crossing.differences() == []


# What servers alter and refuse


@pytest.mark.req("D-60")
def test_bare_line_ends_and_nul_reach_dovecot_in_the_form_it_stores(target: dovecot.Dovecot) -> None:
    bodies = [b"Subject: lf\n\nbare\nlines", b"Subject: nul\r\n\r\na\0b\r\n", b"Subject: cr\r\n\r\none\rtwo\r\n"]
    with pymap.Pymap(users(1)) as server:
        crossing = Crossing(server.account("u0000"), target.account("u0007"))
        put(crossing.source, bodies)
        assert crossing.run().totals == {Outcome.COPIED: 3}
        assert crossing.differences() == []
        assert crossing.run().appended == 0


@pytest.mark.req("D-65", "C-39", "C-40")
def test_what_cyrus_refuses_is_named_and_all_others_arrive_once(strict: cyrus.Cyrus) -> None:
    bad = [b"Subject: nul\r\n\r\na\0b\r\n", b"Subject: lf\n\nbare\nlines\n", b"no header at all\r\n"]
    good = letters(400)
    with pymap.Pymap(users(1)) as server:
        crossing = Crossing(server.account("u0000"), strict.account("u0001"))
        put(crossing.source, [*good[:100], bad[0], *good[100:250], bad[1], bad[2], *good[250:]])
        result = crossing.run()
        assert result.totals == {Outcome.COPIED: 400, Outcome.REFUSED: 3}
        assert result.is_balanced
        arrived = [seen.title for seen in check.read(crossing.target).folders[b"INBOX"].messages]
        assert sorted(arrived) == sorted(f"letter {number}" for number in range(400))
        rows = [(row.outcome, row.reply) for row in crossing.ledger.left_behind()]
        assert [outcome for outcome, _ in rows] == [Outcome.REFUSED] * 3
        assert "NUL" in rows[0][1]
        assert crossing.run().appended == 0


@pytest.mark.req("D-53", "C-41")
def test_an_empty_message_is_named_empty(source: dovecot.Dovecot, target: dovecot.Dovecot) -> None:
    crossing = Crossing(source.account("u0008"), target.account("u0008"))
    put(crossing.source, letters(2))
    maildir = source.maildir("u0008")
    (maildir / "cur" / "1000000000.M1P1.example,S=0:2,S").write_bytes(b"")
    source.give(maildir)
    put(crossing.source, letters(3)[2:])
    result = crossing.run()
    assert result.totals == {Outcome.COPIED: 3, Outcome.EMPTY: 1}
    assert result.is_balanced


def test_copies_arrive_at_courier_one_by_one_and_whole(source: dovecot.Dovecot) -> None:
    """Courier takes no literal without leave, and refuses APPEND to a folder that is open read-only."""
    with courier.Courier(users(1)) as server:
        crossing = Crossing(source.account("u0009"), server.account("u0000"))
        folders = [("INBOX",), ("Sent",), ("Müller & Co",), ("leer",)]
        fill(crossing.source, lifelike(SEED, messages=300, folders=folders))
        assert crossing.run().is_balanced
        assert crossing.differences() == []
        put(crossing.source, letters(3))
        assert crossing.run().appended == 3
        assert crossing.differences() == []


def test_a_date_ahead_of_the_servers_clock_is_copied_once(source: dovecot.Dovecot, target: dovecot.Dovecot) -> None:
    with pymap.Pymap(users(1)) as server:
        crossing = Crossing(server.account("u0000"), target.account("u0010"))
        put(crossing.source, letters(2), options=b'() "01-Jan-2037 10:00:00 +0000"')
        assert crossing.run().totals == {Outcome.COPIED: 2}
        assert crossing.run().appended == 0
        assert crossing.differences(check.Terms(dates=False)) == []


@pytest.mark.req("D-77")
def test_keywords_that_the_target_does_not_keep_are_recorded_as_lost(source: dovecot.Dovecot) -> None:
    with pymap.Pymap(users(1)) as server:
        crossing = Crossing(source.account("u0011"), server.account("u0000"))
        put(crossing.source, letters(2), options=b'(\\Seen $Forwarded) "01-Feb-2024 10:00:00 +0100"')
        assert crossing.run().is_balanced
        lost = [event for event in crossing.log.events if event.name == "flags.lost"]
        assert [(event.folder, event.flag, event.messages) for event in lost] == [("INBOX", "$Forwarded", 2)]
        assert crossing.run().flag_changes == 0


# Lines


@pytest.mark.req("D-89", "C-20")
def test_a_line_that_falls_silent_is_given_up_and_the_copy_goes_on(
    source: dovecot.Dovecot, target: dovecot.Dovecot
) -> None:
    put(source.account("u0016"), letters(300, 4000))
    with Relay(target.imap) as relay:

        class Freezing:
            def __init__(self) -> None:
                self.codes: list[str] = []

            def emit(self, event: Event) -> None:
                if isinstance(event, PassPlanned) and not self.codes:
                    relay.freeze()
                if isinstance(event, Reconnecting):
                    self.codes.append(event.error.code)
                    relay.freeze(False)

        limits = Limits(bundle_messages=20, io_seconds=1)
        crossing = Crossing(source.account("u0016"), target.account("u0016").through(relay.port), limits=limits)
        crossing.log = Freezing()
        result = crossing.run()
        assert (result.error, result.is_balanced) == (None, True)
        assert crossing.log.codes == ["line.silent"]
        assert crossing.differences() == []


# Users at work


@pytest.mark.req("D-39")
def test_messages_that_vanish_while_they_are_read_are_named(source: dovecot.Dovecot, target: dovecot.Dovecot) -> None:
    """The folder is listed through a slow line; before its messages are read, some of them go."""
    put(source.account("u0012"), letters(50))

    class Expunging:
        def __init__(self) -> None:
            self.is_done = False

        def emit(self, event: Event) -> None:
            if isinstance(event, PassPlanned) and not self.is_done:
                self.is_done = True
                with Dialogue(source.account("u0012")) as talk:
                    talk.select(b"INBOX")
                    talk.command(b"STORE 11:20 +FLAGS.SILENT (\\Deleted)")
                    talk.command(b"EXPUNGE")

    crossing = Crossing(source.account("u0012"), target.account("u0012"))
    crossing.log = Expunging()
    result = crossing.run()
    assert result.totals == {Outcome.COPIED: 40, Outcome.VANISHED: 10}
    assert result.is_balanced
    assert crossing.differences() == []
    assert crossing.run().appended == 0


@pytest.mark.req("D-40")
def test_mail_that_arrives_during_a_pass_comes_with_the_next(source: dovecot.Dovecot, target: dovecot.Dovecot) -> None:
    put(source.account("u0013"), letters(5))

    class Delivering:
        def emit(self, event: Event) -> None:
            if isinstance(event, PassPlanned):
                put(source.account("u0013"), letters(6)[5:])

    crossing = Crossing(source.account("u0013"), target.account("u0013"))
    quiet, crossing.log = crossing.log, Delivering()
    assert crossing.run().appended == 5
    crossing.log = quiet
    assert crossing.run().appended == 1
    assert crossing.differences() == []


def test_a_user_refused_by_the_source_leaves_the_target_untouched(
    source: dovecot.Dovecot, target: dovecot.Dovecot
) -> None:
    before = check.read(target.account("u0014"))
    crossing = Crossing(replace(source.account("u0014"), password="wrong"), target.account("u0014"))
    result = crossing.run()
    assert result.error is not None
    assert (result.error.code, result.is_balanced) == ("sign_in.refused", False)
    assert check.changes(before, check.read(target.account("u0014"))) == []
    with pytest.raises(Refused):
        Dialogue(crossing.source)


def test_two_boxes_of_which_one_is_full_of_folders_only(source: dovecot.Dovecot, target: dovecot.Dovecot) -> None:
    crossing = Crossing(source.account("u0015"), target.account("u0015"))
    fill(crossing.source, [Box((f"Ordner {number}", "darin"), [], True) for number in range(300)])
    began = time.monotonic()
    result = crossing.run()
    assert (result.is_balanced, result.totals) == (True, {})
    assert time.monotonic() - began < 20
    assert crossing.differences() == []
