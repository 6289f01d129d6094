"""The rigs themselves: servers start, fill and stop, the relay delays and counts, and the judge sees what is wrong."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest

from tests.rigs import check, mbsync
from tests.rigs.base import Account, Server, free_port, users
from tests.rigs.corpus import COURIER_FOLDERS, CYRUS_FOLDERS, FOLDERS, Box, encode, fill, lifelike
from tests.rigs.courier import Courier
from tests.rigs.cyrus import Cyrus
from tests.rigs.dialogue import Dialogue, Refused
from tests.rigs.dovecot import Dovecot
from tests.rigs.pymap import Pymap
from tests.rigs.relay import Relay

SEED = 20

BODIES = [f"Subject: number {number}\r\n\r\ntext {number}\r\n".encode() for number in range(5)]
OPTIONS = b'(\\Seen) "05-Mar-1999 10:00:00 +0545"'


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Dovecot]:
    with Dovecot(users(30)) as server:
        yield server


def put(account: Account, bodies: list[bytes], options: bytes = OPTIONS) -> None:
    with Dialogue(account) as talk:
        talk.append(b"INBOX", [(options, body) for body in bodies])


@pytest.mark.parametrize(
    ("make", "folders"),
    [
        (lambda: Dovecot(users(2)), FOLDERS),
        (lambda: Dovecot(users(2), layout="mdbox", separator="/"), FOLDERS),
        (lambda: Dovecot(users(2), prefix="INBOX."), FOLDERS),
        (lambda: Cyrus(users(2)), CYRUS_FOLDERS),
        (lambda: Cyrus(users(2), alternative=True), CYRUS_FOLDERS),
        (lambda: Courier(users(2)), COURIER_FOLDERS),
        (lambda: Pymap(users(2)), FOLDERS),
    ],
    ids=["dovecot maildir", "dovecot mdbox", "dovecot INBOX.", "cyrus", "cyrus alternative", "courier", "pymap"],
)
def test_a_server_takes_the_corpus_and_gives_it_back(make, folders) -> None:
    boxes = lifelike(SEED, messages=150, folders=folders, strict=folders is CYRUS_FOLDERS)
    with make() as server:
        fill(server.account("u0001"), boxes)
        contents = check.read(server.account("u0001"))
        assert sum(len(folder.messages) for folder in contents.folders.values()) == 150
        assert not check.compare(contents, check.read(server.account("u0001")))


def test_the_corpus_is_the_same_for_the_same_seed_and_has_no_bare_line_ends() -> None:
    boxes = lifelike(SEED, messages=300)
    assert boxes == lifelike(SEED, messages=300) != lifelike(SEED + 1, messages=300)
    bodies = [mail.body for box in boxes for mail in box.mails]
    assert len(bodies) == 300 > len(set(bodies))
    assert not any(re.search(rb"(?<!\r)\n|\r(?!\n)|\0", body) for body in bodies)


@pytest.mark.parametrize("server_class", [Dovecot, Cyrus, Courier])
def test_a_killed_server_comes_back_with_its_mail(server_class: type[Server]) -> None:
    with server_class(users(1)) as server:
        put(server.account("u0000"), BODIES)
        server.restart()
        assert len(check.read(server.account("u0000")).folders[b"INBOX"].messages) == 5
        server.kill()
        with pytest.raises(ConnectionRefusedError):
            Dialogue(server.account("u0000"))


def test_the_administrator_signs_in_for_a_user(dovecot: Dovecot) -> None:
    put(dovecot.account("u0020"), BODIES[:1])
    assert len(check.read(dovecot.admin("u0020")).folders[b"INBOX"].messages) == 1


def put_until_refused(account: Account) -> None:
    end = time.monotonic() + 10  # Dovecot looks at its list of users once a second
    while time.monotonic() < end:
        put(account, [b"Subject: big\r\n\r\n" + b"x" * 2000])


def test_a_user_over_quota_is_refused(dovecot: Dovecot) -> None:
    dovecot.set_quota("u0021", "1K")
    with pytest.raises(Refused, match="OVERQUOTA"):
        put_until_refused(dovecot.account("u0021"))


def test_two_equal_accounts_have_no_differences(dovecot: Dovecot) -> None:
    boxes = lifelike(SEED, messages=60)
    for user in ("u0000", "u0001"):
        fill(dovecot.account(user), boxes)
    source = check.read(dovecot.account("u0000"))
    assert check.compare(source, check.read(dovecot.account("u0001"))) == []
    assert check.changes(source, check.read(dovecot.account("u0000"))) == []


@pytest.mark.parametrize(
    ("user", "bodies", "options", "sentence"),
    [
        ("u0003", [*BODIES[:2], *BODIES[3:]], OPTIONS, "'number 2' .* is missing"),
        ("u0004", [*BODIES, BODIES[1]], OPTIONS, "'number 1' .* is on the target 2 times, on the source 1"),
        ("u0005", [BODIES[1], BODIES[0], *BODIES[2:]], OPTIONS, "order differs from message 1 on"),
        ("u0006", BODIES, OPTIONS.replace(b"\\Seen", b"\\Answered"), r"\\seen on the source, \\answered on the target"),
        ("u0007", BODIES, OPTIONS.replace(b"Seen", b"Seen $Forwarded"), r"\\seen on the source, \$forwarded"),
        ("u0008", BODIES, OPTIONS.replace(b"10:00:00", b"10:00:01"), "is dated 920607300 on .* 920607301 on"),
        ("u0009", [BODIES[0].replace(b"text", b"Text"), *BODIES[1:]], OPTIONS, "'number 0' .* is missing"),
    ],
)
def test_a_planted_difference_is_seen(dovecot: Dovecot, user: str, bodies, options: bytes, sentence: str) -> None:
    put(dovecot.account("u0002"), BODIES) if not _inbox(dovecot, "u0002") else None
    put(dovecot.account(user), bodies, options)
    found = check.compare(check.read(dovecot.account("u0002")), check.read(dovecot.account(user)))
    assert any(re.search(sentence, line) for line in found), found


def _inbox(dovecot: Dovecot, user: str) -> list[check.Seen]:
    return check.read(dovecot.account(user)).folders[b"INBOX"].messages


def test_a_missing_folder_a_lost_subscription_and_a_stray_folder_are_seen(dovecot: Dovecot) -> None:
    fill(dovecot.account("u0010"), [Box(("A",), [], True), Box(("B",), [], True)])
    fill(dovecot.account("u0011"), [Box(("A",), [], False), Box(("C",), lifelike(SEED, messages=60)[2].mails, False)])
    found = check.compare(check.read(dovecot.account("u0010")), check.read(dovecot.account("u0011")))
    assert "A: it is subscribed on the source, and not on the target." in found
    assert "B: there is no folder B on the target." in found
    assert any("in C, which is no folder of the source" in line for line in found)


def test_the_same_instant_in_another_zone_is_no_difference(dovecot: Dovecot) -> None:
    put(dovecot.account("u0012"), BODIES[:1], b'() "05-Mar-1999 10:00:00 +0545"')
    put(dovecot.account("u0013"), BODIES[:1], b'() "05-Mar-1999 04:15:00 +0000"')
    assert not check.compare(check.read(dovecot.account("u0012")), check.read(dovecot.account("u0013")))


def test_a_source_that_was_read_with_a_heavy_hand_is_seen(dovecot: Dovecot) -> None:
    put(dovecot.account("u0014"), BODIES, b'() "05-Mar-1999 10:00:00 +0545"')
    before = check.read(dovecot.account("u0014"))
    with Dialogue(dovecot.account("u0014")) as talk:
        talk.select(b"INBOX")
        talk.command(b"FETCH 1 BODY[]")
    assert check.changes(before, check.read(dovecot.account("u0014"))) == ["INBOX was changed."]


def test_modified_utf7_is_written_as_the_standard_says() -> None:
    assert encode("~peter/mail/台北/日本語") == b"~peter/mail/&U,BTFw-/&ZeVnLIqe-"  # RFC 3501 §5.1.3
    assert encode("Entwürfe & Pläne") == b"Entw&APw-rfe &- Pl&AOQ-ne"


def test_mbsync_copies_and_marks_what_it_copied(dovecot: Dovecot) -> None:
    put(dovecot.account("u0015"), BODIES)
    mbsync.copy(dovecot.account("u0015"), dovecot.account("u0016"), ["INBOX"])
    source, target = check.read(dovecot.account("u0015")), dovecot.account("u0016")
    assert any("missing" in line for line in check.compare(source, check.read(target)))
    terms = check.Terms(ignored_flags=frozenset({"\\seen"}))
    assert not check.compare(source, check.read(target, without_headers=["X-TUID"]), terms)


def test_the_relay_delays_each_way_and_counts_round_trips(dovecot: Dovecot) -> None:
    signing_in, answering = [], []
    for _ in range(10):  # never less; at best, where others take the processor meanwhile, hardly more
        with Relay(dovecot.imap, rtt_ms=40) as relay:
            started = time.monotonic()
            with Dialogue(dovecot.account("u0017").through(relay.port)) as talk:  # handshake, greeting, two commands
                signed_in = time.monotonic()
                talk.commands([b"NOOP"] * 100)
                answering.append(time.monotonic() - signed_in)
            signing_in.append(signed_in - started)
            counts = relay.counts()
    assert 4 * 0.040 <= min(signing_in) < 6 * 0.040
    assert 0.040 <= min(answering) < 2 * 0.040
    assert (counts.round_trips, counts.connections) == (5, 1)
    assert counts.up_bytes == sum(map(len, (b't1 LOGIN "u0017" "pw"\r\n', b"t2 CAPABILITY\r\n"))) + sum(
        len(b"t%d NOOP\r\n" % number) for number in range(3, 103)
    )


def test_the_relay_lets_no_more_through_than_its_rate(dovecot: Dovecot) -> None:
    body = b"x" * 500_000 + b"\r\n"
    with Relay(dovecot.imap, rate=1_000_000) as relay, Dialogue(dovecot.account("u0022").through(relay.port)) as talk:
        began = time.monotonic()
        talk.append(b"INBOX", [(b"()", body)])
        there = time.monotonic()
        talk.select(b"INBOX")
        [reply] = talk.command(b"FETCH 1 (BODY.PEEK[])")
        back = time.monotonic()
    assert reply.literals == (body,)
    assert min(there - began, back - there) >= 0.5  # half a megabyte, at a megabyte a second


@pytest.mark.parametrize(("reset", "ending"), [(True, ConnectionResetError), (False, Refused)])
def test_the_relay_cuts_at_the_octet(dovecot: Dovecot, reset: bool, ending: type[Exception]) -> None:
    with Relay(dovecot.imap) as relay, Dialogue(dovecot.account("u0018").through(relay.port)) as talk:
        before = relay.counts().up_bytes
        relay.cut_after(1000, reset=reset)
        with pytest.raises(ending):
            talk.append(b"INBOX", [(b"()", b"x" * 5000)])
        assert (relay.counts().up_bytes - before, relay.counts().cuts) == (1000, 1)


def test_a_frozen_relay_is_a_server_that_hangs(dovecot: Dovecot) -> None:
    with Relay(dovecot.imap) as relay, Dialogue(dovecot.account("u0019").through(relay.port), 0.5) as talk:
        relay.freeze()
        with pytest.raises(TimeoutError):
            talk.command(b"NOOP")


def test_the_relay_refuses_when_nobody_listens() -> None:
    with Relay(free_port()) as relay, pytest.raises(ConnectionResetError):
        Dialogue(Account(relay.port, "u0000", "pw"))
