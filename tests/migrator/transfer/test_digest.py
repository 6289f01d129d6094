from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.transfer.digest import RunningDigest, canonical_form, digest_whole

BODIES = st.lists(st.sampled_from([b"a", b"b", b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"\0", b"\xe9"]), min_size=1).map(
    b"".join
)


@given(BODIES, st.lists(st.integers(1, 4)))
def test_pieces_of_any_length_hash_like_the_whole(body: bytes, lengths: list[int]) -> None:
    running, start = RunningDigest(), 0
    for length in lengths:
        running.update(body[start : start + length])
        start += length
    running.update(body[start:])
    form = canonical_form(body)
    expected = (hashlib.sha256(body).digest(), hashlib.sha256(form).digest(), len(form))
    assert running.finish() == digest_whole(body) == expected


@given(BODIES)
def test_the_canonical_form_of_a_canonical_form_is_itself(body: bytes) -> None:
    form = canonical_form(body)
    assert canonical_form(form) == form
    assert form.count(b"\n") == form.count(b"\r") == form.count(b"\r\n")
    assert b"\0" not in form


@pytest.mark.parametrize(
    ("body", "form"),
    [
        (b"a\nb\n", b"a\r\nb\r\n"),
        (b"a\rb", b"a\r\nb\r\n"),
        (b"h\r\n\r\na\0b\r\n", b"h\r\n\r\na\x80b\r\n"),
        (b"no end", b"no end\r\n"),
        (b"fine\r\n", b"fine\r\n"),
        (b"Subject: \xe9\r\n\r\n\xe9\r\n", b"Subject: X\r\n\r\n\xe9\r\n"),
        (b"Subject: \xe9\n\n\xe9\n", b"Subject: X\r\n\r\n\xe9\r\n"),
        (b"a\0b\r\n", b"aXb\r\n"),
    ],
)
@pytest.mark.req("D-67")
def test_what_servers_do_to_mail_is_what_the_canonical_form_does(body: bytes, form: bytes) -> None:
    assert canonical_form(body) == form


def test_a_canonical_message_has_one_hash() -> None:
    digest = digest_whole(b"Subject: x\r\n\r\nbody\r\n")
    assert digest.source == digest.canonical


@given(st.binary(max_size=40), st.binary(max_size=40), st.integers(1, 9))
def test_8_bit_octets_of_the_header_do_not_tell_messages_apart(head: bytes, rest: bytes, length: int) -> None:
    body = head.replace(b"\r\n\r\n", b"") + b"\r\n\r\n" + rest
    running = RunningDigest()
    for start in range(0, len(body), length):
        running.update(body[start : start + length])
    assert running.finish() == digest_whole(body)
    end = canonical_form(body).find(b"\r\n\r\n")
    assert canonical_form(body)[:end].isascii()
