"""Connectors and mailboxes that ask for leave before each outward change: whoever lost the lease may make none.

Reading goes through as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Self, cast

from migrator.entries import Values
from migrator.errors import MigratorError, Side
from migrator.mail import DELETED, Flags, Folder, FolderPath, Message, NewFolder
from migrator.stores.base import Receipt, Trouble


class _Fenced:
    """Asks for leave before each change: a lane that lay still too long must not wake up changing things."""

    def __init__(self, fenced: Any, check: Callable[[], None]) -> None:
        self._fenced = fenced
        self._check = check

    def __getattr__(self, name: str) -> Any:
        return getattr(self._fenced, name)


class FencedConnector(_Fenced):
    """A directory, route, hold or the like. ``late``: addresses changed while the lease may have gone."""

    def __init__(self, fenced: Any, check: Callable[[], None], late: list[str]) -> None:
        super().__init__(fenced, check)
        self._late = late

    def replace(self, address: str, expected: Values, wanted: Values) -> None:
        self._change(address, lambda: self._fenced.replace(address, expected, wanted))

    def create(self, address: str) -> None:
        self._change(address, lambda: self._fenced.create(address))

    def remove(self, address: str) -> None:
        self._change(address, lambda: self._fenced.remove(address))

    def _change(self, address: str, change: Callable[[], None]) -> None:
        self._check()
        self._late.append(address)
        try:
            change()
        finally:
            self._check()  # no directory knows of leases: what lay on the way for too long can only be told
            self._late.remove(address)

    def flush(self, address: str, to: Side) -> None:
        self._check()
        self._fenced.flush(address, to)

    def publish(self, address: str) -> None:
        self._check()
        self._fenced.publish(address)

    def end(self, address: str) -> None:
        self._check()
        self._fenced.end(address)


class _FencedMailbox(_Fenced):
    def __enter__(self) -> Self:
        self._fenced.__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._fenced.__exit__(*exception)


class FencedSource(_FencedMailbox):
    """Removes nothing for whoever lost the right to: the user may have been taken back to this very mailbox."""

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._fenced, name)
        return self._checked(found) if name in ("mark", "remove_marked") else found

    def _checked(self, change: Callable[..., None]) -> Callable[..., None]:
        def checked(*words: Any) -> None:
            self._check()
            change(*words)

        return checked


class FencedStore(_FencedMailbox):
    """A mailbox that is written to. From the moment ``is_live`` it takes no mark by which a message would go."""

    def __init__(self, fenced: Any, check: Callable[[], None], is_live: Callable[[], bool] = lambda: False) -> None:
        super().__init__(fenced, check)
        self._is_live = is_live

    def ensure_folders(self, folders: Sequence[NewFolder]) -> list[Folder | Trouble]:
        self._check()
        answers: list[Folder | Trouble] = self._fenced.ensure_folders(folders)
        return answers

    def append(self, messages: Iterable[Message], *, bundle_messages: int | None = None) -> Iterator[Receipt]:
        return cast(Iterator[Receipt], self._fenced.append(self._checked(messages), bundle_messages=bundle_messages))

    def set_flags(self, changes: Mapping[FolderPath, Mapping[int, Flags]]) -> list[Trouble]:
        self._check()
        # A store has no other means to remove a message at the target than this mark.
        if self._is_live() and any(DELETED in flags for of_folder in changes.values() for flags in of_folder.values()):
            raise MigratorError("target.live", side=Side.TARGET)
        troubles: list[Trouble] = self._fenced.set_flags(changes)
        return troubles

    def _checked(self, messages: Iterable[Message]) -> Iterator[Message]:
        """Pass messages on. At the end, too, leave is asked: it is then that an open bundle is closed and stored."""
        for message in messages:
            self._check()
            yield message
        self._check()
