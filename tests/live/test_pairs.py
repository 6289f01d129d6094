"""An account of life-like messages crosses between real servers, and the independent judge finds it whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import pytest

from migrator.mail import Outcome
from migrator.transfer.verify import VerifyLevel
from tests.live.crossing import Crossing
from tests.rigs import check
from tests.rigs.base import Server, users
from tests.rigs.corpus import COURIER_FOLDERS, CYRUS_FOLDERS, FOLDERS, fill, lifelike
from tests.rigs.courier import Courier
from tests.rigs.cyrus import Cyrus
from tests.rigs.dovecot import Dovecot
from tests.rigs.pymap import Pymap
from tests.rigs.relay import Relay

SEED = 1995

DOTTED = (*FOLDERS[:-1], ("v1.2 Notizen",), FOLDERS[-1])


class Pair(NamedTuple):
    """Two servers, the folders of the account, and the names that cannot stay, from source to target."""

    source: Callable[[], Server]
    target: Callable[[], Server]
    folders: Sequence[tuple[str, ...]]
    renamed: Mapping[bytes, bytes] = MappingProxyType({})
    round_trips: int = 5  # of a pass over an unchanged account
    messages: int = 2000


def maildir() -> Server:
    return Dovecot(users(2))


def mdbox() -> Server:
    return Dovecot(users(2), layout="mdbox", separator="/")


def cyrus() -> Server:
    return Cyrus(users(2))


PLAIN = tuple(path for path in CYRUS_FOLDERS if path[0] != "INBOX" or len(path) == 1)
BASIC = tuple(path for path in PLAIN if path in COURIER_FOLDERS)
# A folder INBOX below the prefix is another one than INBOX; Courier and pymap do not count changes
INNER_INBOX = {b"INBOX.INBOX.INBOX-Ablage": b"INBOX (2)/INBOX-Ablage"}
PAIRS = {
    "dovecot-dovecot": Pair(maildir, mdbox, FOLDERS),
    "dovecot-prefix": Pair(
        mdbox,
        lambda: Dovecot(users(2), prefix="INBOX."),
        DOTTED,
        {b"v1.2 Notizen": b"INBOX.v1_2 Notizen", b"INBOX/INBOX-Ablage": b"INBOX.INBOX-Ablage"},
    ),
    "dovecot-cyrus": Pair(
        maildir,
        cyrus,
        FOLDERS,
        {
            b'Wer "das" liest': b"INBOX.Wer _das_ liest",
            b"back\\slash": b"INBOX.back_slash",
            b"100% sicher": b"INBOX.100_ sicher",
            b"INBOX.INBOX-Ablage": b"INBOX.INBOX-Ablage",
        },
    ),
    "cyrus-dovecot": Pair(cyrus, mdbox, CYRUS_FOLDERS, INNER_INBOX),
    "courier-dovecot": Pair(lambda: Courier(users(2)), mdbox, COURIER_FOLDERS, INNER_INBOX, round_trips=8),
    "pymap-dovecot": Pair(lambda: Pymap(users(2)), maildir, FOLDERS, round_trips=8),
    "prefix-cyrus alternative": Pair(
        lambda: Dovecot(users(2), prefix="INBOX."), lambda: Cyrus(users(2), alternative=True), PLAIN, messages=300
    ),
    "cyrus alternative-courier": Pair(
        lambda: Cyrus(users(2), alternative=True), lambda: Courier(users(2)), BASIC, round_trips=8, messages=300
    ),
    "courier-cyrus": Pair(lambda: Courier(users(2)), cyrus, BASIC, round_trips=8, messages=300),
}


class Crossed(NamedTuple):
    """A crossing, and what the judge must know of it."""

    crossing: Crossing
    terms: check.Terms
    round_trips: int
    messages: int


@pytest.fixture(scope="module", params=PAIRS)
def crossed(request: pytest.FixtureRequest) -> Iterator[Crossed]:
    """Two servers and a filled source. The first test below makes the copy, the others look at what came of it."""
    pair = PAIRS[request.param]
    with pair.source() as source, pair.target() as target:
        print(f"{request.param}, seed {SEED}")
        boxes = lifelike(SEED, messages=pair.messages, folders=pair.folders, strict="cyrus" in request.param)
        fill(source.account("u0001"), boxes)
        crossing = Crossing(source.account("u0001"), target.account("u0001"))
        terms = check.Terms(folders=pair.renamed, skip_flagged="\\deleted")
        yield Crossed(crossing, terms, pair.round_trips, pair.messages)


@pytest.mark.req("S-50", "D-1", "D-7", "D-12", "D-14", "D-17", "D-30", "D-56", "D-76", "D-80")
def test_an_account_crosses_whole_and_the_source_stays_as_it_was(crossed: Crossed) -> None:
    crossing = crossed.crossing
    before = check.read(crossing.source)
    result = crossing.run()
    assert result.error is None, result.error
    assert [(folder, folder.error) for folder in result.folders if folder.error] == []
    assert result.is_balanced
    deleted = sum("\\deleted" in seen.flags for folder in before.folders.values() for seen in folder.messages)
    assert deleted
    assert result.totals == {Outcome.COPIED: crossed.messages - deleted, Outcome.MARKED_DELETED: deleted}
    assert crossing.differences(crossed.terms) == []
    assert check.changes(before, check.read(crossing.source)) == []


def test_a_second_pass_copies_nothing_and_changes_nothing(crossed: Crossed) -> None:
    crossing = crossed.crossing
    before = check.read(crossing.target)
    result = crossing.run()
    assert (result.error, result.appended, result.flag_changes, result.is_balanced) == (None, 0, 0, True)
    assert check.changes(before, check.read(crossing.target)) == []


@pytest.mark.parametrize("level", VerifyLevel)
def test_verify_agrees_at_every_level(crossed: Crossed, level: VerifyLevel) -> None:
    crossing = crossed.crossing
    report = crossing.verify(level)
    assert report.is_clean, report.differences[:10]
    assert report.checked >= crossed.messages * 0.98 or level is VerifyLevel.COUNTS


def test_an_unchanged_account_takes_the_promised_round_trips(crossed: Crossed) -> None:
    crossing = crossed.crossing
    with Relay(crossing.source.port, rtt_ms=10) as near, Relay(crossing.target.port, rtt_ms=10) as far:
        source, target = crossing.source.through(near.port), crossing.target.through(far.port)
        result = Crossing(source, target, crossing.ledger).run()
        assert (result.error, result.appended) == (None, 0)
        counts = near.counts(), far.counts()
        print(counts)
        assert [side.connections for side in counts] == [1, 1]
        assert max(side.round_trips for side in counts) <= crossed.round_trips, counts
