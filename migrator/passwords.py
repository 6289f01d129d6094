"""Password hashes as lists, directories and passwd files hold them: recognise their kind, and verify a password.

The label in front (``{SSHA}``) and the shape behind it decide together, since products share labels for different
things. What no person would type is *certain* to be a hash; thirteen letters may be DES crypt(3), or a password.
Nothing is changed: the text stays what it was. passlib verifies; only plain digests are computed here, because it
knows neither all of them nor long salts.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import logging
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from passlib import exc
from passlib import hash as handlers

from migrator.secret import Secret

# with bcrypt 4.1 and later, passlib 1.7.4 logs a traceback about a version it cannot read, and then works
logging.getLogger("passlib.handlers.bcrypt").setLevel(logging.ERROR)


class Scheme(StrEnum):
    """The kinds of stored passwords."""

    CLEAR = "clear"  # labelled as clear text
    DES = "des"
    BSDI = "bsdi"
    MD5_CRYPT = "md5-crypt"
    APR1 = "apr1"
    SUN_MD5 = "sun-md5"
    SHA1_CRYPT = "sha1-crypt"
    SHA256_CRYPT = "sha256-crypt"
    SHA512_CRYPT = "sha512-crypt"
    BCRYPT = "bcrypt"
    YESCRYPT = "yescrypt"  # with its relatives scrypt and gost-yescrypt; nothing here can verify them
    ARGON2 = "argon2"
    PBKDF2_SHA1 = "pbkdf2-sha1"
    PBKDF2_SHA256 = "pbkdf2-sha256"
    PBKDF2_SHA512 = "pbkdf2-sha512"
    MD5 = "md5"
    SMD5 = "smd5"
    SHA = "sha"
    SSHA = "ssha"
    SHA256 = "sha256"
    SSHA256 = "ssha256"
    SHA512 = "sha512"
    SSHA512 = "ssha512"
    NS_MTA_MD5 = "ns-mta-md5"
    NT = "nt"
    LANMAN = "lanman"
    BOUND = "bound"  # made for one mechanism and realm (CRAM-MD5, SCRAM): of no use elsewhere
    ELSEWHERE = "elsewhere"  # another service is asked ({SASL})
    LOCKED = "locked"  # no password opens it
    UNKNOWN = "unknown"  # a label or shape that is not known here


class Verdict(StrEnum):
    """Whether a password is the one of a hash."""

    RIGHT = "right"
    WRONG = "wrong"
    CANNOT_SAY = "cannot_say"


@dataclass(frozen=True, slots=True)
class Hash:
    """A recognised hash. ``is_certain`` is False where the text may as well be somebody's password in clear."""

    scheme: Scheme
    is_certain: bool
    _body: Secret  # without its label, as the verifier wants it

    def verify(self, password: Secret) -> Verdict:
        """Say whether ``password`` is the one. A hash made to take minutes or gigabytes is left alone (CANNOT_SAY)."""
        try:
            is_right = _is_right(self.scheme, self._body.reveal(), password.reveal())
            return Verdict.RIGHT if is_right else Verdict.WRONG
        except (_CannotSay, ValueError, TypeError, exc.MissingBackendError, exc.PasslibSecurityError):
            return Verdict.CANNOT_SAY


class _CannotSay(Exception):
    pass


_CRYPT: Final = "[./0-9A-Za-z]"
_SHAPES: Final[tuple[tuple[Scheme, str], ...]] = (
    (Scheme.MD5_CRYPT, rf"\$1\$[^$]{{0,8}}\${_CRYPT}{{22}}"),
    (Scheme.APR1, rf"\$apr1\$[^$]{{0,8}}\${_CRYPT}{{22}}"),
    (Scheme.BCRYPT, rf"\$2[abxy]?\$\d\d\${_CRYPT}{{53}}"),
    (Scheme.SHA256_CRYPT, rf"\$5\$(rounds=\d+\$)?[^$]*\${_CRYPT}{{43}}"),
    (Scheme.SHA512_CRYPT, rf"\$6\$(rounds=\d+\$)?[^$]*\${_CRYPT}{{86}}"),
    (Scheme.SHA1_CRYPT, rf"\$sha1\$\d+\$[^$]*\${_CRYPT}{{28}}"),
    (Scheme.SUN_MD5, rf"\$md5[$,].*\${_CRYPT}{{22}}"),
    (Scheme.YESCRYPT, r"\$(y|gy|7)\$.+"),
    (Scheme.ARGON2, r"\$argon2(id|i|d)\$.+"),
)
_UNCERTAIN_SHAPES: Final = (
    (Scheme.DES, rf"{_CRYPT}{{13}}"),
    (Scheme.BSDI, rf"_{_CRYPT}{{19}}"),
    # shadow(5), Solaris shadow(4): locked, without password, or kept in another file
    (Scheme.LOCKED, r"!!?|\*|\*LK\*|\*NP\*|NP|x"),
)
# label -> what it may hold; Dovecot, OpenLDAP and Netscape agree on most. Capitals do not matter in labels.
_CRYPT_LABELS: Final = frozenset(
    "CRYPT DES-CRYPT MD5-CRYPT SHA256-CRYPT SHA512-CRYPT BLF-CRYPT BCRYPT ARGON2 ARGON2I ARGON2ID MD5".split()
)
_BOUND_LABELS: Final = frozenset("CRAM-MD5 HMAC-MD5 DIGEST-MD5 SCRAM-SHA-1 SCRAM-SHA-256 RPA SKEY OTP APOP".split())
_PLAIN_LABELS: Final[dict[str, Scheme]] = {
    "CLEAR": Scheme.CLEAR,
    "CLEARTEXT": Scheme.CLEAR,
    "PLAIN": Scheme.CLEAR,
    "SASL": Scheme.ELSEWHERE,
    "KERBEROS": Scheme.ELSEWHERE,
}
_DIGEST_LABELS: Final[dict[str, Scheme]] = {
    "MD5": Scheme.MD5,
    "LDAP-MD5": Scheme.MD5,
    "PLAIN-MD5": Scheme.MD5,
    "SMD5": Scheme.SMD5,
    "SHA": Scheme.SHA,
    "SHA1": Scheme.SHA,
    "SSHA": Scheme.SSHA,
    "SHA256": Scheme.SHA256,
    "SSHA256": Scheme.SSHA256,
    "SHA512": Scheme.SHA512,
    "SSHA512": Scheme.SSHA512,
}
_DIGESTS: Final[dict[Scheme, tuple[str, int, bool]]] = {  # algorithm, octets, salted
    Scheme.MD5: ("md5", 16, False),
    Scheme.SMD5: ("md5", 16, True),
    Scheme.SHA: ("sha1", 20, False),
    Scheme.SSHA: ("sha1", 20, True),
    Scheme.SHA256: ("sha256", 32, False),
    Scheme.SSHA256: ("sha256", 32, True),
    Scheme.SHA512: ("sha512", 64, False),
    Scheme.SSHA512: ("sha512", 64, True),
}
_HEX_LABELS: Final[dict[str, tuple[Scheme, int]]] = {
    "NT": (Scheme.NT, 32),
    "LANMAN": (Scheme.LANMAN, 32),
    "LM": (Scheme.LANMAN, 32),
    "NS-MTA-MD5": (Scheme.NS_MTA_MD5, 64),
}
_PBKDF2_LABELS: Final[dict[str, tuple[Scheme, str]]] = {  # OpenLDAP's labels, and passlib's own for the same body
    "PBKDF2": (Scheme.PBKDF2_SHA1, "$pbkdf2$"),
    "PBKDF2-SHA1": (Scheme.PBKDF2_SHA1, "$pbkdf2$"),
    "PBKDF2-SHA256": (Scheme.PBKDF2_SHA256, "$pbkdf2-sha256$"),
    "PBKDF2-SHA512": (Scheme.PBKDF2_SHA512, "$pbkdf2-sha512$"),
}
_VERIFIERS: Final[dict[Scheme, Any]] = {
    Scheme.DES: handlers.des_crypt,
    Scheme.BSDI: handlers.bsdi_crypt,
    Scheme.MD5_CRYPT: handlers.md5_crypt,
    Scheme.APR1: handlers.apr_md5_crypt,
    Scheme.SUN_MD5: handlers.sun_md5_crypt,
    Scheme.SHA1_CRYPT: handlers.sha1_crypt,
    Scheme.SHA256_CRYPT: handlers.sha256_crypt,
    Scheme.SHA512_CRYPT: handlers.sha512_crypt,
    Scheme.BCRYPT: handlers.bcrypt,
    Scheme.ARGON2: handlers.argon2,
    Scheme.NT: handlers.nthash,
    Scheme.LANMAN: handlers.lmhash,
    Scheme.PBKDF2_SHA1: handlers.pbkdf2_sha1,
    Scheme.PBKDF2_SHA256: handlers.pbkdf2_sha256,
    Scheme.PBKDF2_SHA512: handlers.pbkdf2_sha512,
}
# A list comes from outside: one line in it must not keep a worker busy for an hour.
_MOST_ROUNDS: Final[dict[Scheme, int]] = {
    Scheme.BCRYPT: 15,  # a power of two
    Scheme.ARGON2: 64,
    Scheme.BSDI: 100_000,
    Scheme.SUN_MD5: 100_000,
}
_MOST_ROUNDS_OTHERWISE: Final = 2_000_000
_MOST_MEMORY_KIB: Final = 1024 * 1024


def recognise(text: str) -> Hash | None:
    """Return what kind of hash ``text`` is, or None when it is clear text as far as anybody can tell.

    Never raises. A label that is not known, or with something else behind it, is UNKNOWN and not certain.
    """
    if text.startswith("\x02"):  # CommuniGate's mark of an encrypted password (U-crpt)
        found = recognise(text[1:])
        return Hash(found.scheme, True, found._body) if found else None
    labelled = re.fullmatch(r"\{([\w.-]{1,32})\}(.*)", text, re.DOTALL)
    if labelled:
        return _labelled(labelled[1].upper(), labelled[2])
    return _shaped(text, is_labelled=False)


def _labelled(label: str, body: str) -> Hash:
    name, _, encoding = label.partition(".")  # Dovecot: {SHA256.HEX}, {SHA.b64}
    scheme = _PLAIN_LABELS.get(name) or (Scheme.BOUND if name in _BOUND_LABELS else None)
    if scheme:
        return Hash(scheme, True, Secret(body))
    found = _digest(name, encoding, body) or _hex(name, body) or _pbkdf2(name, body)
    if not found and name in _CRYPT_LABELS:
        found = _shaped(body, is_labelled=True)
    return found or Hash(Scheme.UNKNOWN, False, Secret(body))


def _shaped(body: str, *, is_labelled: bool) -> Hash | None:
    for scheme, shape in _SHAPES:
        if re.fullmatch(shape, body):
            return Hash(scheme, True, Secret(body))
    for scheme, shape in _UNCERTAIN_SHAPES:
        if re.fullmatch(shape, body):
            return Hash(scheme, is_labelled, Secret(body))
    behind = _shaped(body[1:], is_labelled=False) if body.startswith(("!", "*")) else None
    # usermod -L puts a mark before the hash
    return Hash(Scheme.LOCKED, True, Secret(body)) if behind and behind.is_certain else None


def _digest(name: str, encoding: str, body: str) -> Hash | None:
    scheme = _DIGEST_LABELS.get(name)
    if scheme is None:
        return None
    _, octets, is_salted = _DIGESTS[scheme]
    found = _decoded(body, octets, encoding)
    fits = len(found) > octets if is_salted else len(found) == octets
    return Hash(scheme, True, Secret(found.hex())) if fits else None


def _decoded(body: str, octets: int, encoding: str) -> bytes:
    """Return the octets of ``body``: hexadecimal where it is labelled so, or as long as hexadecimal digits are."""
    is_hex = encoding == "HEX" or (not encoding and len(body) == 2 * octets and re.fullmatch("[0-9A-Fa-f]+", body))
    try:
        # many an exporter loses the = at the end
        return bytes.fromhex(body) if is_hex else base64.b64decode(body + "=" * (-len(body) % 4), validate=True)
    except (ValueError, binascii.Error):
        return b""


def _hex(name: str, body: str) -> Hash | None:
    scheme, digits = _HEX_LABELS.get(name, (Scheme.UNKNOWN, 0))
    if digits and re.fullmatch(f"[0-9A-Fa-f]{{{digits}}}", body):
        return Hash(scheme, True, Secret(body))
    return None


def _pbkdf2(name: str, body: str) -> Hash | None:
    if name == "PBKDF2" and body.startswith("$1$"):  # Dovecot's own form: $1$salt$rounds$hex
        return Hash(Scheme.BOUND, True, Secret(body))
    scheme, label = _PBKDF2_LABELS.get(name, (Scheme.UNKNOWN, ""))
    return Hash(scheme, True, Secret(label + body)) if label else None


def _is_right(scheme: Scheme, body: str, password: str) -> bool:
    if scheme is Scheme.CLEAR:
        return hmac.compare_digest(body.encode(), password.encode())
    if scheme is Scheme.LOCKED:
        return False
    if scheme is Scheme.NS_MTA_MD5:
        return _is_right_for_netscape(body, password.encode())
    if scheme in _DIGESTS:
        return _is_right_for_digest(scheme, bytes.fromhex(body), password.encode())
    return _is_right_for_passlib(scheme, body, password)


def _is_right_for_digest(scheme: Scheme, stored: bytes, password: bytes) -> bool:
    algorithm, octets, _ = _DIGESTS[scheme]
    made = hashlib.new(algorithm, password + stored[octets:], usedforsecurity=False).digest()
    return hmac.compare_digest(made, stored[:octets])


def _is_right_for_netscape(body: str, password: bytes) -> bool:
    # the digest stands before its salt, and the salt is the last 32 digits themselves, as text
    digest, salt = body[:32].lower(), body[32:].encode()
    made = hashlib.md5(salt + b"\x59" + password + b"\xf7" + salt, usedforsecurity=False).hexdigest()
    return hmac.compare_digest(made, digest)


def _is_right_for_passlib(scheme: Scheme, body: str, password: str) -> bool:
    verifier = _VERIFIERS.get(scheme)
    if verifier is None:
        raise _CannotSay
    parsed = verifier.from_string(body)
    too_long = getattr(parsed, "rounds", 0) > _MOST_ROUNDS.get(scheme, _MOST_ROUNDS_OTHERWISE)
    if too_long or getattr(parsed, "memory_cost", 0) > _MOST_MEMORY_KIB:
        raise _CannotSay
    return bool(verifier.verify(password, body))
