"""The IMAP stores keep their contract with every real server; each test has an account of its own."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from migrator.limits import Limits
from migrator.stores.imap_source import ImapSource
from migrator.stores.imap_target import ImapTarget
from tests.contracts.store import Letter, Name, Peer, SourceStoreContract, TargetStoreContract
from tests.live.crossing import endpoint
from tests.rigs.base import Account, Server, users
from tests.rigs.corpus import Box, Mail, fill
from tests.rigs.courier import Courier
from tests.rigs.cyrus import Cyrus
from tests.rigs.dovecot import Dovecot
from tests.rigs.pymap import Pymap

USERS = 60


def peer_on(account: Account, store: type[ImapSource] | type[ImapTarget]) -> Peer:
    """An account on a real server, filled over IMAP without the engine."""

    def put(folders: Mapping[Name, Sequence[Letter]]) -> None:
        fill(account, [Box(name, [_mail(one) for one in letters], True) for name, letters in folders.items()])

    def open_store(limits: Limits) -> Any:
        return store(endpoint(account), limits)

    return Peer(put, open_store)


def _mail(letter: Letter) -> Mail:
    zone = timezone(timedelta(minutes=letter.zone_minutes))
    date = datetime.fromtimestamp(letter.internal_date, UTC).astimezone(zone)
    return Mail(letter.body, tuple(letter.flags), date)


class OnRealServer:
    """A server for the class, a fresh account for each test."""

    kind: type[ImapSource] | type[ImapTarget]

    @staticmethod
    def make() -> Server:
        raise NotImplementedError("a subclass names its server")

    @pytest.fixture(scope="class")
    @classmethod
    def accounts(cls) -> Iterator[Iterator[Account]]:
        with cls.make() as server:
            yield (server.account(f"u{number:04d}") for number in itertools.count())

    @pytest.fixture
    def peer(self, accounts: Iterator[Account]) -> Peer:
        return peer_on(next(accounts), self.kind)


class OnMaildir(OnRealServer):
    @staticmethod
    def make() -> Server:
        return Dovecot(users(USERS))


class OnMdbox(OnRealServer):
    @staticmethod
    def make() -> Server:
        return Dovecot(users(USERS), layout="mdbox", separator="/")


class OnPrefix(OnRealServer):
    @staticmethod
    def make() -> Server:
        return Dovecot(users(USERS), prefix="INBOX.")


class OnCyrus(OnRealServer):
    @staticmethod
    def make() -> Server:
        return Cyrus(users(USERS))


class OnCourier(OnRealServer):
    @staticmethod
    def make() -> Server:
        return Courier(users(USERS))


class OnPymap(OnRealServer):
    @staticmethod
    def make() -> Server:
        return Pymap(users(USERS))


class TestSourceOnMaildir(OnMaildir, SourceStoreContract):
    kind = ImapSource


class TestSourceOnMdbox(OnMdbox, SourceStoreContract):
    kind = ImapSource


class TestSourceOnCyrus(OnCyrus, SourceStoreContract):
    kind = ImapSource


class TestSourceOnCourier(OnCourier, SourceStoreContract):
    kind = ImapSource


class TestSourceOnPymap(OnPymap, SourceStoreContract):
    kind = ImapSource


class TestTargetOnMaildir(OnMaildir, TargetStoreContract):
    kind = ImapTarget


class TestTargetOnMdbox(OnMdbox, TargetStoreContract):
    kind = ImapTarget


class TestTargetOnPrefix(OnPrefix, TargetStoreContract):
    kind = ImapTarget


class TestTargetOnCyrus(OnCyrus, TargetStoreContract):
    kind = ImapTarget


class TestTargetOnCourier(OnCourier, TargetStoreContract):
    kind = ImapTarget


class TestTargetOnPymap(OnPymap, TargetStoreContract):
    kind = ImapTarget
