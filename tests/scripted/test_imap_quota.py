"""What servers answer to the question for limits."""

from __future__ import annotations

import pytest

from migrator.stores.base import Quota
from migrator.stores.imap_target import ImapTarget
from tests.rigs.listener import QUICK
from tests.rigs.scripted import Peer

ROOT = '* QUOTAROOT "INBOX" "User quota"\n'


@pytest.mark.req("D-74")
@pytest.mark.parametrize(
    ("answer", "quotas"),
    [
        (ROOT + '* QUOTA "User quota" (STORAGE 10 1024)\n$ OK done', [Quota("STORAGE", 10_240, 1_048_576)]),
        (
            ROOT + '* quota "" (MESSAGE 5 100 STORAGE 1 2)\n$ OK done',
            [Quota("MESSAGE", 5, 100), Quota("STORAGE", 1024, 2048)],
        ),
        (ROOT + "* QUOTA a (STORAGE 1 100)\n* QUOTA b (STORAGE 1 9)\n$ OK done", [Quota("STORAGE", 1024, 9216)]),
        ('* QUOTAROOT "INBOX"\n$ OK done', []),
        ("* QUOTA a ()\n* QUOTA b (STORAGE 1)\n* QUOTA c (STORAGE x y)\n* QUOTA (((\n$ OK done", []),
        ("$ NO [NOPERM] not yours", []),
        ("$ BAD what?", []),
    ],
)
def test_the_tightest_limit_of_each_resource_counts(answer: str, quotas: list[Quota]) -> None:
    with Peer({"GETQUOTAROOT": answer}, capabilities="IMAP4rev1 QUOTA") as peer:
        with_quota = ImapTarget(peer.endpoint(), QUICK)
        with with_quota as target:
            assert target.features.has_quota
            assert target.quotas() == quotas
