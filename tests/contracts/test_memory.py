"""The stores in memory keep the contract, whatever manners their server has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from migrator.limits import Limits
from migrator.testing import MemoryMailbox, MemorySource, MemoryTarget
from tests.contracts.store import Letter, Name, Peer, SourceStoreContract, TargetStoreContract


def peer_on(mailbox: MemoryMailbox, store: type[MemorySource] | type[MemoryTarget]) -> Peer:
    def fill(folders: Mapping[Name, Sequence[Letter]]) -> None:
        for name, letters in folders.items():
            path = mailbox.prefix * (name != ("INBOX",)) + (mailbox.separator or "").join(name)
            mailbox.add_folder(path)
            for one in letters:
                mailbox.deliver(
                    path, one.body, one.flags, internal_date=one.internal_date, zone_minutes=one.zone_minutes
                )

    def open_store(limits: Limits) -> MemorySource | MemoryTarget:
        return store(mailbox, limits=limits)

    return Peer(fill, open_store)


class TestMemorySource(SourceStoreContract):
    @pytest.fixture
    def peer(self) -> Peer:
        return peer_on(MemoryMailbox(), MemorySource)


class TestMemoryTarget(TargetStoreContract):
    @pytest.fixture
    def peer(self) -> Peer:
        return peer_on(MemoryMailbox(), MemoryTarget)


class TestPoorMemoryTarget(TargetStoreContract):
    """A server without extensions, everything below INBOX, and no keywords."""

    @pytest.fixture
    def peer(self) -> Peer:
        flags = frozenset({"\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft"})
        mailbox = MemoryMailbox(
            separator=".",
            prefix="INBOX.",
            condstore=False,
            uidplus=False,
            special_use=False,
            multiappend=False,
            permanent_flags=flags,
        )
        return peer_on(mailbox, MemoryTarget)
