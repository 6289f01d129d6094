"""The key of an installation, with which it signs its manifests, and what others check them by: Ed25519."""

from __future__ import annotations

import base64
import hashlib
import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

PUBLIC_BYTES: Final = 32
_MOST_BYTES: Final = 64 * 1024


class BadKey(ValueError):
    """This is no key that could be used; the text says why."""


class SigningKey:
    """A private key. Its ``seed`` is the secret: 32 octets."""

    def __init__(self, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)

    @classmethod
    def generate(cls) -> SigningKey:
        """Make a new one."""
        return cls(os.urandom(PUBLIC_BYTES))

    @property
    def seed(self) -> bytes:
        """The secret itself, for whoever seals it."""
        return self._key.private_bytes_raw()

    @property
    def public(self) -> bytes:
        """The public key: 32 octets."""
        return self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """Return the signature: 64 octets."""
        return self._key.sign(message)


def is_signed(public: bytes, signature: bytes, message: bytes) -> bool:
    """True when the owner of ``public`` signed ``message``."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def fingerprint(public: bytes) -> str:
    """Return what people compare, over the phone too: SHA-256 of the 32 octets, in groups of four digits."""
    digits = hashlib.sha256(public).hexdigest()
    return " ".join(digits[at : at + 4] for at in range(0, len(digits), 4))


def plain_fingerprint(text: str) -> str | None:
    """Return the 64 digits of a fingerprint as people write it, None when ``text`` is none."""
    digits = "".join(text.split()).replace(":", "").casefold().removeprefix("sha256")
    return digits if len(digits) == 64 and not digits.strip("0123456789abcdef") else None


def to_pem(public: bytes) -> str:
    """Return a public key as other programs read it (PEM, SubjectPublicKeyInfo)."""
    key = Ed25519PublicKey.from_public_bytes(public)
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_bytes(serialization.Encoding.PEM, form).decode("ascii")


def read_public(file: Path) -> bytes:
    """Return the public key in ``file`` (PEM, or base64 of its 32 octets). Raises ``BadKey`` and ``OSError``."""
    with file.open("rb") as opened:
        text = opened.read(_MOST_BYTES)
    if b"-----BEGIN" not in text:
        with suppress(ValueError):
            raw = base64.b64decode(text.strip(), validate=True)
            if len(raw) == PUBLIC_BYTES:
                return raw
        raise BadKey(f"{file} holds no public key.")
    try:
        key = serialization.load_pem_public_key(text)
    except (ValueError, UnsupportedAlgorithm):
        raise BadKey(f"{file} holds no public key that can be read.") from None
    if not isinstance(key, Ed25519PublicKey):
        raise BadKey(f"The key in {file} is of another kind than Ed25519.")
    return key.public_bytes_raw()


def key_beside(ledger: Path) -> Path:
    """Return where the key of whoever works with the ledger file ``ledger`` is kept."""
    return ledger.with_name(f"{ledger.name}.proof-key")


def keep_key(file: Path) -> SigningKey:
    """Return the key in ``file``; make it, for nobody else to read, when there is none.

    Two that make it at the same time get one and the same. Raises ``BadKey`` and ``OSError``.
    """
    if not file.exists():
        _write_new(file, SigningKey.generate())
    if stat.S_IMODE(file.stat().st_mode) & 0o077:
        raise BadKey(
            f"Others on this machine can read the key in {file}, so it proves nothing: remove it, or chmod 600."
        )
    try:
        key = serialization.load_pem_private_key(file.read_bytes(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise BadKey(f"{file} holds no key that can be read.") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise BadKey(f"The key in {file} is of another kind than Ed25519.")
    return SigningKey(key.private_bytes_raw())


def _write_new(file: Path, key: SigningKey) -> None:
    private = Ed25519PrivateKey.from_private_bytes(key.seed).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    descriptor, draft = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(private)
            opened.flush()
            os.fsync(opened.fileno())
        with suppress(FileExistsError):
            os.link(draft, file)  # unlike a rename it never replaces what is there
    finally:
        Path(draft).unlink()
