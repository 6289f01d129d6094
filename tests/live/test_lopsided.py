"""While one server takes its time over a big message, the other ends its session: the copy goes on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.live.crossing import Crossing
from tests.rigs.base import users
from tests.rigs.dialogue import Dialogue
from tests.rigs.dovecot import Dovecot
from tests.rigs.relay import Relay

BIG_BYTES = 24 * 1024 * 1024
WELL_UNDER_WAY = 6 * 1024 * 1024


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Dovecot, Dovecot]]:
    with Dovecot(users(2)) as source, Dovecot(users(2), layout="mdbox", separator="/") as target:
        yield source, target


def fill(source: Dovecot, user: str) -> None:
    line = b"n" * 76 + b"\r\n"
    bodies = [
        b"Subject: %d\r\n\r\n" % number + line * (size // len(line)) for number, size in enumerate((99, BIG_BYTES, 99))
    ]
    with Dialogue(source.account(user)) as talk:
        talk.append(b"INBOX", [(b'() "05-Mar-1999 10:00:00 +0000"', body) for body in bodies])


@pytest.mark.timeout(120)
@pytest.mark.req("D-90")
@pytest.mark.parametrize("is_source_slow", [True, False])
def test_a_side_that_times_out_during_a_big_message_is_taken_up_again(
    servers: tuple[Dovecot, Dovecot], is_source_slow: bool
) -> None:
    source, target = servers
    user = f"u{is_source_slow:04d}"
    fill(source, user)
    with Relay(source.imap) as near, Relay(target.imap) as far, ThreadPoolExecutor(1) as beside:
        slow, lost = (near, far) if is_source_slow else (far, near)
        crossing = Crossing(source.account(user).through(near.port), target.account(user).through(far.port))
        running = beside.submit(crossing.run)
        while far.counts().up_bytes < WELL_UNDER_WAY and not running.done():
            time.sleep(0.001)
        slow.freeze()
        lost.cut(reset=False)
        assert not running.done()
        slow.freeze(False)
        result = running.result()
        assert (result.error, sum(result.totals.values()), result.is_balanced) == (None, 3, True)
        assert lost.counts().connections > 1
        assert crossing.differences() == []
        assert crossing.run().appended == 0
