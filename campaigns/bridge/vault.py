"""Secrets at rest: sealed before they reach the database, with keys that are never in it.

A sealed value is bound to its place (model, row, field). The binding is part of what is encrypted, so a ciphertext
that somebody copies into another row does not open there: nobody makes the panel send one user's password to a server
of their own choice by moving octets in the database.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db.models import Model

from migrator.errors import MigratorError
from migrator.secret import Secret

_VERSION: Final = b"1"
_END: Final = b"\0"  # of the version and of the place, which hold no NUL

# The columns of sealed values. The journal seals some of what it saves as well (bridge.journal).
SEALED_COLUMNS: Final = (
    ("Account", "source_secret"),
    ("Account", "target_secret"),
    ("Server", "admin_secret"),
    ("Connector", "secret"),
    ("AlarmChannel", "secret"),
    ("ProofKey", "secret"),
)


def place(row: Model, field: str) -> str:
    """Return the place of a field of a stored row. Raises ``ValueError`` for a row that is not stored yet."""
    if row.pk is None:
        raise ValueError("A secret is bound to its row: store the row first.")
    return f"{row._meta.model_name}/{row.pk}/{field}"


class Vault:
    """Seals and opens with ``keys``: the first one seals, all of them open.

    ``file`` is where the keys stand, one a line; None where the environment brings them. What no key opens may have
    been sealed with one that came after this process began, so the file is read once more then.
    """

    def __init__(self, keys: Sequence[str], file: Path | None) -> None:
        self._keys = tuple(keys)
        self.file = file

    def first(self) -> MultiFernet:
        """Return the first key alone. Raises ``MigratorError("secret.no_key")``."""
        self.fernet()
        return _fernet(self._keys[:1])

    def seal(self, text: str, where: str) -> bytes:
        """Return ``text`` as it may be stored at ``where``. Raises ``MigratorError("secret.no_key")``."""
        plain = _END.join((_VERSION, where.encode(), text.encode("utf-8", "surrogateescape")))
        return self.fernet().encrypt(plain)

    def unseal(self, sealed: bytes, where: str) -> str:
        """Return what was sealed for ``where``. Raises ``MigratorError("secret.unreadable")``."""
        version, _, rest = self._open(sealed).partition(_END)
        bound_to, _, text = rest.partition(_END)
        if version != _VERSION or bound_to != where.encode():
            raise MigratorError("secret.unreadable")
        return text.decode("utf-8", "surrogateescape")

    def reseal(self, sealed: bytes) -> bytes:
        """Return the same secret, for the same place, sealed with the first key. Raises ``MigratorError``."""
        return self.fernet().encrypt(self._open(sealed))

    def is_sealed_with_first_key(self, sealed: bytes) -> bool:
        """True when the first key alone opens ``sealed``."""
        return bool(self._keys) and _open(self._keys[:1], sealed) is not None

    def opens(self, sealed: bytes) -> bool:
        """True when any key opens ``sealed``."""
        return bool(self._keys) and _open(self._keys, sealed) is not None

    def add_key(self) -> None:
        """Put a fresh key in front; it seals from now on. Raises ``MigratorError("secret.keys_elsewhere")``."""
        self._write((Fernet.generate_key().decode(), *self._keys))

    def drop_other_keys(self) -> None:
        """Keep only the first key: whatever another one sealed is lost. Raises as ``add_key``."""
        self._write(self._keys[:1])

    def fernet(self) -> MultiFernet:
        """Return the keys themselves, for what is sealed elsewhere. Raises ``MigratorError("secret.no_key")``."""
        if not self._keys:
            self._read_again()
        if not self._keys:
            raise MigratorError("secret.no_key")
        try:
            return _fernet(self._keys)
        except ValueError:  # a line that is no key
            raise MigratorError("secret.no_key") from None

    def _open(self, sealed: bytes) -> bytes:
        self.fernet()
        plain = _open(self._keys, sealed)
        if plain is None:
            self._read_again()
            plain = _open(self._keys, sealed)
        if plain is None:
            raise MigratorError("secret.unreadable")
        return plain

    def _read_again(self) -> None:
        if self.file is not None:
            self._keys = read_keys(self.file) or self._keys

    def _write(self, keys: Sequence[str]) -> None:
        if self.file is None:
            raise MigratorError("secret.keys_elsewhere")
        write_keys(self.file, keys)
        self._keys = tuple(keys)


@cache
def vault() -> Vault:
    """Return the vault of this installation."""
    keys, file = tuple(settings.VAULT_KEYS), settings.VAULT_KEYS_PATH
    return Vault(keys, file if keys in ((), read_keys(file)) else None)


def seal(secret: Secret, row: Model, field: str) -> bytes:
    """Return ``secret`` as it may be stored in that field of that row, and nowhere else. Raises ``MigratorError``."""
    return vault().seal(secret.reveal(), place(row, field))


def unseal(row: Model, field: str) -> Secret | None:
    """Return the secret in a field of a row, None where there is none. Raises ``MigratorError``."""
    sealed = getattr(row, field)
    return None if sealed is None else Secret(vault().unseal(bytes(sealed), place(row, field)))


def fingerprint(sealed: bytes | memoryview) -> str:
    """Return what tells one stored password from another. It says nothing of the password itself."""
    return hashlib.sha256(bytes(sealed)).hexdigest()


def read_keys(file: Path) -> tuple[str, ...]:
    """Return the keys in ``file``, none where there is no such file."""
    return tuple(file.read_text(encoding="ascii").split()) if file.is_file() else ()


def write_keys(file: Path, keys: Sequence[str]) -> None:
    """Write the key file, whole or not at all, for nobody else to read (0600)."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)  # mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as text:
            text.write("".join(f"{key}\n" for key in keys))
            text.flush()
            os.fsync(text.fileno())
        Path(draft).replace(file)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


@cache
def _fernet(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def _open(keys: tuple[str, ...], sealed: bytes) -> bytes | None:
    try:
        return _fernet(keys).decrypt(sealed)
    except InvalidToken:
        return None
