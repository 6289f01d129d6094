"""Whom we take for the server: a valid certificate, or exactly the one that somebody looked at and accepted."""

from __future__ import annotations

import hashlib
import re
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from cryptography import x509

from migrator.replies import CertificateChanged, clean

MOST_NAMES: Final = 20  # of one certificate, that are shown
_FINGERPRINT: Final = re.compile(r"[0-9a-f]{64}")


class BadFingerprint(ValueError):
    """A text that is no SHA-256 fingerprint."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a certificate says of itself. Nobody vouches for any of it but the fingerprint."""

    fingerprint: str  # SHA-256 over its DER form, in hexadecimal
    names: tuple[str, ...]
    issuer: str
    begins_at: float  # seconds since the epoch
    ends_at: float


class _PinnedContext(ssl.SSLContext):
    """TLS with whoever shows that one certificate; every line that it wraps is checked before a word is said on it."""

    fingerprint = ""

    def wrap_socket(self, *arguments: Any, **options: Any) -> ssl.SSLSocket:
        """Wrap as usual. Raises ``CertificateChanged`` when another certificate is shown."""
        line = super().wrap_socket(*arguments, **options)
        shown = fingerprint(line.getpeercert(binary_form=True) or b"")
        if shown != self.fingerprint:
            line.close()
            raise CertificateChanged(accepted=readable(self.fingerprint), shown=readable(shown))
        return line


def pinned(accepted: str) -> ssl.SSLContext:
    """Return TLS settings that take exactly the certificate with the fingerprint ``accepted``, valid or not."""
    context = _PinnedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.fingerprint = accepted
    return context


def fingerprint(der: bytes) -> str:
    """Return the SHA-256 of a certificate in DER form, in hexadecimal."""
    return hashlib.sha256(der).hexdigest()


def readable(sha256: str) -> str:
    """Return a fingerprint as people compare it: pairs with colons, in capitals."""
    return ":".join(re.findall("..", sha256.upper()))


def parse_fingerprint(text: str) -> str:
    """Return the fingerprint in ``text``, with or without colons and ``SHA256:``. Raises ``BadFingerprint``."""
    plain = re.sub(r"^sha-?256(?: fingerprint)?[:=]\s*", "", text.strip().casefold())
    found = re.sub(r"[:\s]", "", plain)
    if not _FINGERPRINT.fullmatch(found):
        raise BadFingerprint("A fingerprint is 64 hexadecimal digits (SHA-256), with or without colons.")
    return found


def describe(der: bytes) -> Certificate:
    """Return what the certificate ``der`` says of itself; what cannot be read of it stays empty."""
    shown = fingerprint(der)
    try:
        found = x509.load_der_x509_certificate(der)
        begins, ends = found.not_valid_before_utc.timestamp(), found.not_valid_after_utc.timestamp()
        names = tuple(dict.fromkeys(map(clean, _names(found))))[:MOST_NAMES]
        return Certificate(shown, names, clean(found.issuer.rfc4514_string()), begins, ends)
    except (ValueError, OverflowError):  # what no certificate should hold: others write them, too
        return Certificate(shown, (), "", 0.0, 0.0)


def _names(certificate: x509.Certificate) -> Iterator[str]:
    for attribute in certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME):
        yield str(attribute.value)
    try:
        others = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return
    yield from others.get_values_for_type(x509.DNSName)
    yield from map(str, others.get_values_for_type(x509.IPAddress))
