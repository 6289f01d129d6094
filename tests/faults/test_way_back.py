"""What judges the way back of a batch says what is wrong, and nothing where all is well."""

from __future__ import annotations

from collections import Counter

from tests.faults.way_back import exactly, returned, there_and_back, unlike
from tests.rigs.check import Contents, Read, Seen
from tests.rigs.crowd import SignIn

ANNA = "anna"
TURNED = 100.0


def tried(begun: float, site: str, verdict: str = "admitted") -> SignIn:
    return SignIn(ANNA, "imap", begun, begun + 0.1, verdict, site, "")


def holding(**folders: list[str]) -> Contents:
    found = {
        name.encode(): Read([Seen(uid, digest, frozenset(), 0.0, digest) for uid, digest in enumerate(digests, 1)])
        for name, digests in folders.items()
    }
    return Contents(b"", b".", found)


def test_a_message_that_is_lost_or_doubled_is_named() -> None:
    wanted = Counter({(b"INBOX", "old"): 1, (b"INBOX", "since"): 1, (b"Sent", "twin"): 2})
    assert exactly(ANNA, wanted, wanted) == []
    lost = Counter({(b"INBOX", "old"): 1, (b"Sent", "twin"): 2})
    assert exactly(ANNA, lost, wanted) == ["anna: 'since' is 0 times in b'INBOX', and not 1"]
    doubled = wanted + Counter({(b"Sent", "twin"): 1})
    assert exactly(ANNA, doubled, wanted) == ["anna: 'twin' is 3 times in b'Sent', and not 2"]
    strange = wanted + Counter({(b"Trash", "since"): 1})
    assert exactly(ANNA, strange, wanted) == ["anna: 'since' is 1 times in b'Trash', and not 0"]


def test_what_came_back_altered_or_not_at_all_is_counted_by_folder() -> None:
    target = holding(INBOX=["a", "b", "b"], New=["c"])
    assert unlike(ANNA, target, holding(INBOX=["a", "b", "b", "more"], New=["c"])) == []
    assert unlike(ANNA, target, holding(INBOX=["a", "b"])) == [
        "anna: 1 messages of b'INBOX' did not come back as they were",
        "anna: 1 messages of b'New' did not come back as they were",
    ]


def test_who_came_back_is_on_the_old_server_from_then_on() -> None:
    way = [tried(50, "old"), tried(90, "new"), tried(120, "", "refused"), tried(121, "old"), tried(130, "old")]
    assert [*there_and_back(way, ANNA, TURNED)] == []
    assert returned(way, TURNED) == 121.1
    assert [*there_and_back([*way, tried(131, "", "refused")], ANNA, TURNED)]
    assert [*there_and_back([*way, tried(131, "new")], ANNA, TURNED)]
    assert [*there_and_back(way[:3], ANNA, TURNED)] == ["anna: never led back to the old server"]
    assert returned(way[:3], TURNED) is None
