"""The sources on files keep the contract of sources, each on files of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from migrator.limits import Limits
from migrator.stores.maildir import MaildirSource
from migrator.stores.mbox import MboxSource
from tests.contracts.store import Letter, Name, Peer, SourceStoreContract
from tests.rigs.mailfiles import write_maildir, write_mbox_tree


class TestMboxTree(SourceStoreContract):
    @pytest.fixture
    def peer(self, tmp_path: Path) -> Peer:
        root = tmp_path / "mail"

        def fill(folders: Mapping[Name, Sequence[Letter]]) -> None:
            write_mbox_tree(root, folders)

        def open_store(limits: Limits) -> MboxSource:
            return MboxSource(root, limits)

        return Peer(fill, open_store)


class TestMaildir(SourceStoreContract):
    @pytest.fixture
    def peer(self, tmp_path: Path) -> Peer:
        root = tmp_path / "Maildir"

        def fill(folders: Mapping[Name, Sequence[Letter]]) -> None:
            write_maildir(root, folders)

        def open_store(limits: Limits) -> MaildirSource:
            return MaildirSource(root, limits)

        return Peer(fill, open_store)
