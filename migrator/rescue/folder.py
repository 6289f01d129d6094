"""The format of a rescue folder: ``rescue.json`` for the batch, ``accounts/NAME.json`` for each account.

Every file is replaced as a whole, is on the disk when its writer goes on, and is for its owner's eyes only. Passwords
of connectors, and what was saved of users, are sealed with a key that lies elsewhere.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from cryptography.fernet import InvalidToken, MultiFernet

from migrator.disk import sync
from migrator.entries import Json, Values
from migrator.errors import MigratorError, Side
from migrator.journal import Entry, EntryStatus, Owner, StepKey, StepKind, owner_by
from migrator.recipes import OnFailure, Recipe, RecipeStep, stored
from migrator.secret import Secret

VERSION: Final = 1
_BATCH: Final = "rescue.json"
_ACCOUNTS: Final = "accounts"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class Room(StrEnum):
    """Which registry a connector comes from."""

    DIRECTORY = "directory"
    ROUTE = "route"
    HOLD = "hold"
    POPULATION = "population"
    PUBLICATION = "publication"


@dataclass(frozen=True, slots=True)
class Connection:
    """One connector as it is opened."""

    room: Room
    kind: str
    options: Mapping[str, Json]
    secret: Secret | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """What all accounts of a folder share. ``connections`` by their names in the journal."""

    name: str
    recipe: Recipe
    connections: Mapping[str, Connection]


@dataclass(frozen=True, slots=True)
class Account:
    """One account, and the names of its connectors; "" where it has none. ``run`` counts its cutovers."""

    name: str
    run: str
    address: str
    source_address: str
    target_address: str
    source_directory: str = ""
    target_directory: str = ""
    route: str = ""
    hold: str = ""
    population: str = ""
    publication: str = ""
    is_returning: bool = False  # was being taken back from the target
    recipe: Recipe | None = None  # by which its night began; None: that of the batch
    entries: tuple[Entry, ...] = field(default=())

    @property
    def owner(self) -> Owner:
        """Whose the mailbox is, as far as was written down."""
        return owner_by(self.entries)


class RescueFolder:
    """A rescue folder at ``path``; ``keys`` seal and open the passwords in it."""

    def __init__(self, path: Path, keys: MultiFernet) -> None:
        self.path = path
        self._keys = keys

    def write_batch(self, batch: Batch) -> None:
        """Make the folder, or bring what its accounts share up to date. Raises ``rescue.unwritable``."""
        _make_folder(self.path)
        _make_folder(self.path / _ACCOUNTS)
        _write(self.path / _BATCH, _batch_object(batch, self._keys))

    def batch(self) -> Batch:
        """Return what the accounts share. Raises ``rescue.not_a_folder``, ``rescue.newer``, ``rescue.wrong_key``."""
        try:
            found = _read(self.path / _BATCH)
        except FileNotFoundError:
            raise MigratorError("rescue.not_a_folder") from None
        return _batch(found, self._keys)

    def write_account(self, account: Account) -> None:
        """Put the account as it stands. Raises ``rescue.unwritable``."""
        _write(self._place(account.name), _account_object(account, self._keys))

    def account(self, name: str) -> Account | None:
        """Return one account, None when nothing was written of it. Raises ``rescue.damaged``, ``rescue.wrong_key``."""
        try:
            return _account(_read(self._place(name)), self._keys)
        except FileNotFoundError:
            return None

    def names(self) -> Iterator[str]:
        """Yield the names of all accounts, in order."""
        yield from sorted(path.stem for path in (self.path / _ACCOUNTS).glob("*.json"))

    def _place(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise ValueError("the name of an account in a rescue folder is a short plain word")
        return self.path / _ACCOUNTS / f"{name}.json"


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise MigratorError("rescue.unwritable", reply=str(error.strerror)) from None


def _write(path: Path, content: dict[str, Any]) -> None:
    """Replace ``path`` so that after a power failure either all of it or all of the former one is there."""
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:  # made with 0600
            file.write(json.dumps(content, indent=1).encode())
            file.flush()
            os.fsync(file.fileno())
        Path(file.name).replace(path)
        sync(path.parent)
    except OSError as error:
        raise MigratorError("rescue.unwritable", reply=str(error.strerror)) from None


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
        version = content["version"]
    except (ValueError, KeyError, TypeError):
        raise MigratorError("rescue.damaged", reply=path.name) from None
    if version != VERSION:
        raise MigratorError("rescue.newer", reply=path.name)
    assert isinstance(content, dict)
    return content


def _batch_object(batch: Batch, keys: MultiFernet) -> dict[str, Any]:
    return {
        "version": VERSION,
        "batch": batch.name,
        "recipe": _recipe_object(batch.recipe),
        "connections": {
            name: {
                "room": connection.room.value,
                "kind": connection.kind,
                "options": dict(connection.options),
                "sealed": _sealed(connection.secret.reveal(), keys) if connection.secret else "",
            }
            for name, connection in batch.connections.items()
        },
    }


def _batch(found: dict[str, Any], keys: MultiFernet) -> Batch:
    try:
        return Batch(
            found["batch"],
            _recipe(found["recipe"]),
            {
                name: Connection(Room(one["room"]), one["kind"], one["options"], _secret(one["sealed"], keys))
                for name, one in found["connections"].items()
            },
        )
    except (KeyError, TypeError, ValueError):
        raise MigratorError("rescue.damaged", reply=_BATCH) from None


def _recipe_object(recipe: Recipe) -> dict[str, Any]:
    return {
        "key": recipe.key,
        "name": recipe.name,
        "steps": stored(recipe.steps),
        "is_staged": recipe.is_staged,
        "on_failure": recipe.on_failure.value,
        "arrive_first": recipe.arrive_first,
    }


def _recipe(found: dict[str, Any]) -> Recipe:
    # Folders of before know no checks: RecipeStep has none then.
    steps = tuple(
        RecipeStep(StepKind(kind), Side(side) if side else None, *more) for kind, side, *more in found["steps"]
    )
    return Recipe(
        found["key"],
        found["name"],
        steps,
        found["is_staged"],
        OnFailure(found["on_failure"]),
        found["arrive_first"],
    )


def _secret(sealed: str, keys: MultiFernet) -> Secret | None:
    return Secret(_opened(sealed, keys)) if sealed else None


def _sealed(text: str, keys: MultiFernet) -> str:
    return keys.encrypt(text.encode()).decode()


def _opened(sealed: str, keys: MultiFernet) -> str:
    try:
        return keys.decrypt(sealed.encode()).decode()
    except InvalidToken:
        raise MigratorError("rescue.wrong_key") from None


_FIELDS: Final = (
    "name",
    "run",
    "address",
    "source_address",
    "target_address",
    "source_directory",
    "target_directory",
    "route",
    "hold",
    "population",
    "publication",
)
_LATER: Final = ("population", "publication")  # absent in folders that were written before there were any


def _account_object(account: Account, keys: MultiFernet) -> dict[str, Any]:
    return {
        "version": VERSION,
        **{name: getattr(account, name) for name in _FIELDS},
        "is_returning": account.is_returning,
        "owner": account.owner.value,  # for people; the steps say it
        **({"recipe": _recipe_object(account.recipe)} if account.recipe else {}),
        "steps": [
            {
                **entry.key._asdict(),
                "status": entry.status.value,
                "sealed": _sealed(json.dumps(dict(entry.saved)), keys) if entry.saved else "",
            }
            for entry in account.entries
        ],
    }


def _account(found: dict[str, Any], keys: MultiFernet) -> Account:
    try:
        entries = tuple(_entry(step, keys) for step in found["steps"])
        fields = {name: found.get(name, "") if name in _LATER else found[name] for name in _FIELDS}
        recipe = _recipe(found["recipe"]) if "recipe" in found else None
        return Account(**fields, is_returning=bool(found.get("is_returning")), recipe=recipe, entries=entries)
    except (KeyError, TypeError, ValueError):
        raise MigratorError("rescue.damaged", reply=str(found.get("name", ""))) from None


def _entry(step: dict[str, Any], keys: MultiFernet) -> Entry:
    saved: Values = json.loads(_opened(step["sealed"], keys)) if step["sealed"] else {}
    key = StepKey(int(step["position"]), StepKind(step["kind"]), step["connector"], step["side"])
    return Entry(key, EntryStatus(step["status"]), saved)
