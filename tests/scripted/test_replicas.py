"""A name with several addresses: behind them are replicas that need not hold the same at the same moment."""

from __future__ import annotations

import itertools
import socket

import pytest

from migrator.errors import MigratorError
from migrator.mail import FolderPath
from migrator.stores import imap_wire
from migrator.stores.base import ScanRequest
from migrator.stores.imap_source import ImapSource
from tests.rigs.listener import QUICK
from tests.rigs.scripted import Answers, Peer, close, then

LISTED = '* LIST () "/" INBOX\n$ OK done'
INBOX = ScanRequest(FolderPath(b"INBOX"))


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> list[Peer]:
    """Peers to be filled in, which the name server gives in another order each time it is asked."""
    peers: list[Peer] = []
    asked = itertools.count()

    def resolve(*_: object) -> list[imap_wire.Address]:
        first = next(asked) % len(peers)
        order = peers[first:] + peers[:first]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", peer.port)) for peer in order]

    monkeypatch.setattr(imap_wire, "resolve", resolve)
    return peers


def answers() -> Answers:
    return {
        "LIST": LISTED,
        "EXAMINE": [then("* BYE Going down.", close), "* 1 EXISTS\n$ OK done"],
        "UID FETCH": '* 1 FETCH (UID 7 FLAGS () RFC822.SIZE 3 INTERNALDATE "05-Mar-1999 10:00:00 +0000")\n$ OK done',
    }


@pytest.mark.req("D-96")
def test_all_sessions_of_a_copy_go_to_the_replica_that_answered_first(turns: list[Peer]) -> None:
    with Peer(answers()) as one, Peer(answers()) as other, ImapSource(one.endpoint(), QUICK) as source:
        turns += [one, other]
        with pytest.raises(MigratorError):
            list(source.scan([INBOX]))
        assert [meta.uid for meta in source.scan([INBOX])] == [7]  # type: ignore[union-attr]
        source.drop()
        source.folders()
        assert (one.connections, other.connections) == (3, 0)


@pytest.mark.req("D-96")
def test_further_sessions_for_one_account_go_to_the_same_replica(turns: list[Peer]) -> None:
    with Peer(answers()) as one, Peer(answers()) as other, ImapSource(one.endpoint(), QUICK) as source:
        turns += [one, other]
        source.folders()
        for _ in range(3):
            with ImapSource(one.endpoint(), QUICK) as beside:
                beside.stay_with(source)
                beside.folders()
        assert (one.connections, other.connections) == (4, 0)


def test_a_replica_that_is_gone_is_left_for_another(turns: list[Peer]) -> None:
    with Peer({"LIST": LISTED}) as other:
        with Peer({"LIST": LISTED}) as one:
            turns += [one, other]
            source = ImapSource(one.endpoint(), QUICK)
            source.folders()
            source.drop()
        source.folders()
        source.folders()
        source.close()
        assert (one.connections, other.connections) == (1, 1)
