"""What a real Cyrus refuses is on it after a repair, everything else as it was, and the check of all octets agrees."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest

from migrator.events import MessageRepaired
from migrator.mail import Outcome
from migrator.transfer.plan import CopyPolicy
from migrator.transfer.repairs import Repair
from migrator.transfer.verify import VerifyLevel
from tests.live.crossing import Crossing
from tests.rigs import check, cyrus, pymap
from tests.rigs.base import users
from tests.rigs.dialogue import Dialogue

GOOD = [b"Subject: letter %d\r\n\r\nbody\r\n" % number for number in range(30)]
BAD = {
    "nul": b"Subject: nul\r\n\r\na\0b\r\n",
    "line-ends": b"Subject: lf\n\nbare\nlines\n",
    "mbox-line": b">From me@example.test Mon Jan  1 00:00:00 1999\r\nSubject: mbox\r\n\r\nbody\r\n",
    "separator": b"only a body\r\nof two lines\r\n",
    "header-line": b"Subject: broken\r\nno header line\r\nFrom: a@example.test\r\n\r\nbody\r\n",
    "nul+line-ends": b"Subject: both\n\na\0b\n",
}


@pytest.fixture(scope="module")
def strict() -> Iterator[cyrus.Cyrus]:
    with cyrus.Cyrus(users(4)) as server:
        yield server


@pytest.mark.req("D-54", "D-55", "D-61", "C-39", "C-40")
def test_cyrus_gets_verbatim_what_it_takes_and_mended_what_it_refuses(strict: cyrus.Cyrus) -> None:
    with pymap.Pymap(users(1)) as server:
        crossing = Crossing(server.account("u0000"), strict.account("u0000"))
        with Dialogue(crossing.source) as talk:
            bodies = (*GOOD[:15], *BAD.values(), *GOOD[15:])
            talk.append(b"INBOX", [(b'"01-Feb-2024 10:00:00 +0100"', one) for one in bodies])
        refused = crossing.run()
        assert refused.totals == {Outcome.COPIED: 30, Outcome.REFUSED: len(BAD)}
        repairs = frozenset(Repair) - {Repair.LONG_LINES_SIGNED, Repair.READ_RECEIPT}
        result = crossing.run(CopyPolicy(repairs=repairs, retry_left_behind=True))
        assert result.is_balanced
        assert result.totals == {Outcome.COPIED: 30, Outcome.REPAIRED: len(BAD)}
        told = [event.repairs for event in crossing.log.events if isinstance(event, MessageRepaired)]
        assert told == list(BAD)
        assert [row.code for row in crossing.ledger.left_behind()] == list(BAD)
        assert all(row.reply for row in crossing.ledger.left_behind())
        assert crossing.verify(VerifyLevel.DIGEST).is_clean
        arrived = {seen.digest for seen in check.read(crossing.target).folders[b"INBOX"].messages}
        same = (*GOOD, BAD["nul"], BAD["line-ends"], BAD["nul+line-ends"], BAD["mbox-line"].partition(b"\r\n")[2])
        assert {hashlib.sha256(check.canonical(one)).hexdigest() for one in same} < arrived
        assert len(arrived) == 36
        assert crossing.run().appended == 0
