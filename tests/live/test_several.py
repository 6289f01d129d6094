"""One account by several connections at once, between real servers: quick where one alone would wait, and in order."""

from __future__ import annotations

from dataclasses import replace

import pytest

from migrator.limits import Limits
from migrator.stores.imap_source import ImapSource
from migrator.stores.imap_target import ImapTarget
from migrator.transfer.copy import PassResult, run_pass
from migrator.transfer.verify import VerifyLevel
from tests.benchmarks.settings import ASKED
from tests.live.crossing import Crossing, endpoint
from tests.rigs.base import users
from tests.rigs.corpus import fill, lifelike
from tests.rigs.dovecot import Dovecot

SEED = 31
FOLDERS = (("INBOX",), ("Sent",), ("Work",), ("Work", "Deep"), ("Lists",))
ONE_AT_A_TIME = "protocol imap {\n  mail_max_userip_connections = 1\n}\n"


def carried_over(crossing: Crossing, connections: int | None) -> tuple[PassResult, int]:
    """Return what a pass came to, and how many sessions it opened beside its own."""
    limits = replace(Limits(io_seconds=30), connections=connections)
    opened = 0

    def sessions() -> tuple[ImapSource, ImapTarget]:
        nonlocal opened
        opened += 1
        return ImapSource(endpoint(crossing.source), limits), ImapTarget(endpoint(crossing.target), limits)

    source, target = sessions()
    with source, target:
        passed = run_pass(source, target, crossing.ledger, sink=crossing.log, limits=limits, more=sessions)
    return passed, opened - 1


@pytest.mark.parametrize(
    ("extra", "connections", "more"),
    [("", 3, 2), (ASKED.config, None, 3), (ONE_AT_A_TIME, 3, 2)],
    ids=["as many as somebody wants", "a target that asks for each message", "a target that lets in one at a time"],
)
def test_folders_go_by_several_connections_and_keep_their_order(extra: str, connections: int | None, more: int) -> None:
    with Dovecot(users(1)) as old, Dovecot(users(1), extra=extra) as new:
        crossing = Crossing(old.account("u0000"), new.account("u0000"))
        fill(crossing.source, lifelike(SEED, messages=300, folders=FOLDERS, strict=True))
        passed, opened = carried_over(crossing, connections)
        assert (passed.error, passed.is_balanced, opened) == (None, True, more)
        assert crossing.differences() == []
        assert crossing.verify(VerifyLevel.DIGEST).is_clean
        assert carried_over(crossing, connections)[0].appended == 0
