from __future__ import annotations

import threading
from collections import deque

import pytest

from migrator.mail import FolderPath, Message
from migrator.transfer.digest import digest_whole
from migrator.transfer.hasher import AHEAD_BYTES, BESIDE_BYTES, Hasher


class Unreadable(bytes):
    """A piece that breaks whoever hashes it, as a machine without memory would."""

    def __contains__(self, _: object) -> bool:
        raise MemoryError


def message(body: bytes) -> Message:
    return Message(FolderPath(b"INBOX"), 1, len(body), whole=body)


def test_small_bodies_are_hashed_on_the_spot_without_a_thread() -> None:
    hasher, before = Hasher(), threading.active_count()
    one = message(b"Subject: x\r\n\r\nsmall\r\n")
    hasher.take(one)
    assert one.digest == digest_whole(b"Subject: x\r\n\r\nsmall\r\n")
    assert threading.active_count() == before


def test_big_bodies_and_streams_have_their_digests_once_they_were_waited_for() -> None:
    hasher = Hasher()
    bodies = [b"Subject: %d\r\n\r\n" % number + b"x\0y\n" * BESIDE_BYTES for number in range(5)]
    held = [message(body) for body in bodies]
    streamed = [message(b"") for _ in bodies]
    for one, other, body in zip(held, streamed, bodies, strict=True):
        hasher.take(one)
        pieces = [body[start : start + 10_007] for start in range(0, len(body), 10_007)]
        assert b"".join(hasher.pass_on(other, pieces)) == body
    hasher.wait([*held, *streamed])
    hasher.close()
    expected = [digest_whole(body) for body in bodies]
    assert [one.digest for one in held] == expected
    assert [one.digest for one in streamed] == expected


@pytest.mark.long
def test_what_waits_to_be_hashed_is_bounded() -> None:
    hasher = Hasher()
    running = hasher.pass_on(message(b""), (bytes(1_000_000) for _ in range(100)))
    for passed, _ in enumerate(running):
        assert hasher._ahead_bytes <= AHEAD_BYTES + 1_000_000, passed
    hasher.close()


@pytest.mark.timeout(20)
def test_a_body_that_cannot_be_hashed_ends_the_waiting_with_its_reason() -> None:
    hasher = Hasher()
    one = message(b"x")
    deque(hasher.pass_on(one, [Unreadable()]), maxlen=0)
    with pytest.raises(MemoryError):
        hasher.wait([one])
    hasher.close()
