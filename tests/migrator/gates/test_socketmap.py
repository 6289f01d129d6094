"""Postfix's questions are cut out of what comes, in whatever pieces; what is no netstring ends the line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.gates.socketmap import BadRequest, asked, found, later, netstring, take


def test_requests_come_in_pieces_and_together() -> None:
    buffer = bytearray(b"14:front anna@x.")
    assert take(buffer) is None
    buffer += b"y,3:a b,1"
    assert [take(buffer), take(buffer), take(buffer)] == [b"front anna@x.y", b"a b", None]
    assert buffer == b"1"


@given(st.lists(st.text(max_size=40), max_size=5), st.integers(1, 7))
def test_what_was_packed_comes_out_again(texts: list[str], step: int) -> None:
    octets, buffer, seen = b"".join(map(netstring, texts)), bytearray(), []
    for start in range(0, len(octets), step):
        buffer += octets[start : start + step]
        while (taken := take(buffer)) is not None:
            seen.append(taken.decode())
    assert (seen, bytes(buffer)) == (texts, b"")


@pytest.mark.parametrize(
    "octets", [b"x", b"3abc,", b"3:abcd", b"99999:", b"-1:", b"03:abc,", b"2049:", b":", b"GET / HTTP/1.0\r\n"]
)
def test_what_is_no_netstring_is_refused_at_once(octets: bytes) -> None:
    with pytest.raises(BadRequest):
        take(bytearray(octets))


@pytest.mark.parametrize("octets", [b"", b"2048", b"3:", b"3:abc"])
def test_what_may_become_one_is_waited_for(octets: bytes) -> None:
    buffer = bytearray(octets)
    assert take(buffer) is None
    assert buffer == octets


def test_a_request_is_a_map_and_a_key() -> None:
    assert asked(b"front anna bert@x.y") == ("front", "anna bert@x.y")
    for wrong in (b"front", b"", b" anna", b"front \xff"):
        with pytest.raises(BadRequest):
            asked(wrong)


def test_answers_are_postfix_s() -> None:
    assert found("lmtp:inet:192.0.2.7:24") == b"25:OK lmtp:inet:192.0.2.7:24,"
    assert found("") == b"9:NOTFOUND ,"
    assert later("no such gate") == b"17:TEMP no such gate,"
