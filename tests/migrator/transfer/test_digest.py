from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.transfer.digest import RunningDigest, canonical_form, digest_whole

BODIES = st.lists(st.sampled_from([b"a", b"b", b"\r", b"\n", b"\r\n", b"\0"]), min_size=1).map(b"".join)


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
        (b"a\0b\r\n", b"a\x80b\r\n"),
        (b"no end", b"no end\r\n"),
        (b"fine\r\n", b"fine\r\n"),
    ],
)
@pytest.mark.req("D-61", "D-67")
def test_what_servers_do_to_line_ends_and_nul_is_what_the_canonical_form_does(body: bytes, form: bytes) -> None:
    assert canonical_form(body) == form


def test_a_canonical_message_has_one_hash() -> None:
    digest = digest_whole(b"Subject: x\r\n\r\nbody\r\n")
    assert digest.source == digest.canonical
