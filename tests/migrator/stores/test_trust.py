"""Certificates that somebody looked at and accepted: read, written down, and compared."""

from __future__ import annotations

import hashlib
import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest

from migrator.stores import trust
from migrator.stores.trust import BadFingerprint
from tests.rigs.base import own_certificate

HEX = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    "text",
    [HEX, HEX.upper(), trust.readable(HEX), f"SHA256:{HEX}", f" sha256 Fingerprint={trust.readable(HEX)}\n"],
)
def test_a_fingerprint_is_taken_as_programs_print_it(text: str) -> None:
    assert trust.parse_fingerprint(text) == HEX


@pytest.mark.parametrize("text", ["", HEX[:-1], HEX + "0", HEX[:-1] + "g", "SHA1:" + HEX[:40]])
def test_what_is_no_fingerprint_is_refused(text: str) -> None:
    with pytest.raises(BadFingerprint, match="64 hexadecimal digits"):
        trust.parse_fingerprint(text)


def test_people_read_pairs() -> None:
    assert trust.readable(HEX).startswith("01:23:45:67:89:AB")
    assert len(trust.readable(HEX)) == 95


def test_a_certificate_says_who_it_is_for_and_how_long(tmp_path: Path) -> None:
    certificate, _ = own_certificate(tmp_path)
    der = ssl.PEM_cert_to_DER_cert(certificate.read_text())
    found = trust.describe(der)
    assert found.fingerprint == hashlib.sha256(der).hexdigest()
    assert "localhost" in found.names
    assert "127.0.0.1" in found.names
    assert len(set(found.names)) == len(found.names)
    assert found.begins_at <= datetime.now(UTC).timestamp() < found.ends_at
    assert "localhost" in found.issuer


def test_what_cannot_be_read_keeps_its_fingerprint() -> None:
    found = trust.describe(b"\x30\x03\x02\x01")
    assert (found.names, found.issuer, found.ends_at) == ((), "", 0.0)
    assert found.fingerprint == hashlib.sha256(b"\x30\x03\x02\x01").hexdigest()
