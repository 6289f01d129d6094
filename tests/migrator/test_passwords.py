"""Hashes are told from passwords by label and shape, verified, and left alone where nothing sure can be said."""

from __future__ import annotations

import base64
import hashlib
import os
import pickle
import time

import passlib.hash
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.passwords import Hash, Scheme, Verdict, recognise
from migrator.secret import Secret

RIGHT = Secret("Secret9")
NETSCAPE = "{NS-MTA-MD5}17313614d3a2424aff5f85881eb93b3b0123456789abcdef0123456789abcdef"
SHA512_CRYPT = "$6$saltsalt$x.t29LszcJatNa90/nhgLaZAjKJHMe6p/1M5hVsztlU3nmHerkB81jkePrkKuwcqIq4BANY/GULZigN6Z/IrP/"
YESCRYPT = "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7"
# all of the password Secret9, none made by the code under test
KNOWN = [
    ("{SHA}P2MJH17yGB/rOA1pmAM8w0rdhXA=", Scheme.SHA),
    ("{sha}P2MJH17yGB/rOA1pmAM8w0rdhXA=", Scheme.SHA),
    ("{SHA}P2MJH17yGB/rOA1pmAM8w0rdhXA", Scheme.SHA),
    ("{SHA.hex}3f63091f5ef2181feb380d6998033cc34add8570", Scheme.SHA),
    ("{SSHA}DlQjXwMk8n1F/USIPkwrVIwQwmZzYWx0", Scheme.SSHA),
    ("{MD5}BJovDNoOCUA5G4UuwcJsSA==", Scheme.MD5),
    ("{PLAIN-MD5}049a2f0cda0e0940391b852ec1c26c48", Scheme.MD5),
    ("AsTm7upztsDGA", Scheme.DES),
    ("{crypt}AsTm7upztsDGA", Scheme.DES),
    ("$1$VlPrB$WvnQNQc9hMozzPQ63bolM/", Scheme.MD5_CRYPT),
    ("{MD5}$1$VlPrB$WvnQNQc9hMozzPQ63bolM/", Scheme.MD5_CRYPT),
    (SHA512_CRYPT, Scheme.SHA512_CRYPT),
    ("{crypt}" + SHA512_CRYPT, Scheme.SHA512_CRYPT),
    ("{SHA512-CRYPT}" + SHA512_CRYPT, Scheme.SHA512_CRYPT),
    ("\x02" + SHA512_CRYPT, Scheme.SHA512_CRYPT),
    (NETSCAPE, Scheme.NS_MTA_MD5),
    (NETSCAPE.replace("17313614d3a2424a", "17313614D3A2424A"), Scheme.NS_MTA_MD5),
    ("{NT}759c7fcba852475deb1efa73f0a3e69c", Scheme.NT),
    ("{LANMAN}281bf2e39d5d9891aad3b435b51404ee", Scheme.LANMAN),
    ("{CLEARTEXT}Secret9", Scheme.CLEAR),
]
MADE = [
    (Scheme.BSDI, passlib.hash.bsdi_crypt.using(rounds=101)),
    (Scheme.APR1, passlib.hash.apr_md5_crypt),
    (Scheme.SUN_MD5, passlib.hash.sun_md5_crypt.using(rounds=10)),
    (Scheme.SHA1_CRYPT, passlib.hash.sha1_crypt.using(rounds=100)),
    (Scheme.SHA256_CRYPT, passlib.hash.ldap_sha256_crypt.using(rounds=1000)),
    (Scheme.SHA512_CRYPT, passlib.hash.sha512_crypt.using(rounds=1000)),
    (Scheme.BCRYPT, passlib.hash.ldap_bcrypt.using(rounds=4)),
    (Scheme.BCRYPT, passlib.hash.bcrypt.using(rounds=4, ident="2y")),
    (Scheme.ARGON2, passlib.hash.argon2.using(rounds=1, memory_cost=64)),
    (Scheme.PBKDF2_SHA1, passlib.hash.ldap_pbkdf2_sha1.using(rounds=10)),
    (Scheme.PBKDF2_SHA256, passlib.hash.ldap_pbkdf2_sha256.using(rounds=10)),
    (Scheme.PBKDF2_SHA512, passlib.hash.ldap_pbkdf2_sha512.using(rounds=10)),
    (Scheme.SMD5, passlib.hash.ldap_salted_md5),
    (Scheme.SSHA, passlib.hash.ldap_salted_sha1),
    (Scheme.SSHA256, passlib.hash.ldap_salted_sha256),
    (Scheme.SSHA512, passlib.hash.ldap_salted_sha512.using(salt_size=16)),
]


def found(text: str) -> Hash:
    it = recognise(text)
    assert it is not None, text
    return it


@pytest.mark.parametrize(("text", "scheme"), KNOWN)
def test_a_known_hash_is_recognised_and_verified(text: str, scheme: Scheme) -> None:
    it = found(text)
    assert it.scheme is scheme
    assert it.verify(RIGHT) is Verdict.RIGHT
    assert it.verify(Secret("Secret8")) is Verdict.WRONG
    assert it.verify(Secret("")) is Verdict.WRONG


@pytest.mark.parametrize(("scheme", "maker"), MADE, ids=[maker.name for _, maker in MADE])
def test_a_hash_made_by_passlib_is_recognised_and_verified(scheme: Scheme, maker: type) -> None:
    for password in ("Secret9", 'p"w \\%d ü', "x"):
        it = found(maker.hash(password))
        assert it.scheme is scheme
        assert it.verify(Secret(password)) is Verdict.RIGHT
        assert it.verify(Secret(password + "!")) is Verdict.WRONG


@pytest.mark.parametrize("maker", [passlib.hash.ldap_md5, passlib.hash.ldap_sha1, passlib.hash.ldap_salted_sha512])
def test_a_label_in_lower_case_is_the_same_label(maker: type) -> None:
    label, _, body = maker.hash("Secret9").partition("}")
    assert found(f"{label.lower()}}}{body}").verify(RIGHT) is Verdict.RIGHT


@pytest.mark.parametrize("octets", [1, 3, 8, 16, 17, 32])
def test_a_salt_may_have_any_length(octets: int) -> None:
    salt = os.urandom(octets)
    digest = hashlib.sha512(b"Secret9" + salt).digest() + salt
    assert found("{SSHA512}" + base64.b64encode(digest).decode()).verify(RIGHT) is Verdict.RIGHT


def test_one_label_three_shapes() -> None:
    md5 = passlib.hash.hex_md5.hash("Secret9")
    texts = ["{MD5}BJovDNoOCUA5G4UuwcJsSA==", "{MD5}$1$VlPrB$WvnQNQc9hMozzPQ63bolM/", "{MD5}" + md5]
    assert [found(text).scheme for text in texts] == [Scheme.MD5, Scheme.MD5_CRYPT, Scheme.MD5]
    assert {found(text).verify(RIGHT) for text in texts} == {Verdict.RIGHT}


@pytest.mark.parametrize(
    ("text", "scheme"),
    [
        (YESCRYPT, Scheme.YESCRYPT),
        ("{CRYPT}" + YESCRYPT, Scheme.YESCRYPT),
        ("$gy$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o", Scheme.YESCRYPT),
        ("{SASL}joe@realm", Scheme.ELSEWHERE),
        ("{CRAM-MD5}b0b1b2", Scheme.BOUND),
        ("{SCRAM-SHA-256}4096,abc,def,ghi", Scheme.BOUND),
        ("{PBKDF2}$1$salt$5000$00ff", Scheme.BOUND),
        ("{SHA}hello", Scheme.UNKNOWN),
        ("{SSHA}P2MJH17yGB/rOA1pmAM8w0rdhXA=", Scheme.UNKNOWN),
        ("{MD5}\N{SNOWMAN}", Scheme.UNKNOWN),
        ("{FUTURE}abc", Scheme.UNKNOWN),
        ("{CRYPT}", Scheme.UNKNOWN),
        ("$argon2id$v=19$m=1,t=1,p=1$aa$bb", Scheme.ARGON2),
        ("$2x$04$" + "." * 53, Scheme.BCRYPT),
    ],
)
def test_what_cannot_be_verified_is_said_to_be_so(text: str, scheme: Scheme) -> None:
    assert found(text).scheme is scheme
    assert found(text).verify(RIGHT) is Verdict.CANNOT_SAY


@pytest.mark.parametrize(
    "text", ["", "Secret9", "summer 2024!", "{", "{}", "{not closed", "$6$", "$1$x", "p\N{SNOWMAN}"]
)
def test_a_password_in_clear_is_no_hash(text: str) -> None:
    assert recognise(text) is None


@pytest.mark.parametrize(
    "text", ["AsTm7upztsDGA", "Charlottesbg1", "_7C/.Mskl0fXtiN1rQxU", "x", "NP", "!", "{SHA}hello"]
)
def test_what_a_person_could_have_typed_is_not_certain(text: str) -> None:
    assert not found(text).is_certain


@pytest.mark.parametrize("text", ["{CRYPT}AsTm7upztsDGA", "\x02AsTm7upztsDGA", SHA512_CRYPT, YESCRYPT, "{CRYPT}*"])
def test_what_nobody_types_is_certain(text: str) -> None:
    assert found(text).is_certain


@pytest.mark.parametrize("text", ["!" + SHA512_CRYPT, "!!", "*", "*LK*", "{CRYPT}!", "{CRYPT}*"])
def test_no_password_opens_a_locked_account(text: str) -> None:
    assert found(text).scheme is Scheme.LOCKED
    assert found(text).verify(RIGHT) is Verdict.WRONG


@pytest.mark.parametrize(
    "text",
    [
        "$6$rounds=999999999$saltsalt$" + "." * 86,
        "$2b$31$" + "." * 53,
        "$argon2id$v=19$m=4194304,t=3,p=4$19obw1hLiZGS0lqLsfbeuw$mIvKah34U8rB1NWyokaG1A2Pg7WvCk9UCzGdwh8DPHg",
        "{PBKDF2-SHA256}2000000000$V8oZQ6jVmnOOsfbe./9fqw$q6N48i.zG..0fWXsCqcNcyFpJ5vae6MZenS5Xtbxvac",
    ],
)
def test_a_hash_made_to_take_an_hour_is_left_alone(text: str) -> None:
    begun = time.monotonic()
    assert found(text).verify(RIGHT) is Verdict.CANNOT_SAY
    assert time.monotonic() - begun < 5


def test_a_hash_never_prints_itself() -> None:
    it = found(SHA512_CRYPT)
    assert "x.t29" not in f"{it!r} {it}"
    with pytest.raises(TypeError):
        pickle.dumps(it)


@given(st.text(), st.text())
def test_no_text_is_too_odd(text: str, password: str) -> None:
    for one in (text, "{SHA}" + text, "{crypt}" + text, "$2b$04$" + text, "\x02" + text):
        it = recognise(one)
        if it:
            assert it.verify(Secret(password)) in Verdict
