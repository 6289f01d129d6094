"""What goes out as a dotted message comes back as it was, whatever it holds and wherever the pieces are cut."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from migrator.errors import Side
from migrator.stores.lines import TextLine, stuffed

OCTETS = st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b".", b"..", b"a", b"\x00", b"\xff"]), max_size=40)
CUTS = st.lists(st.integers(1, 7), min_size=1, max_size=40)


class Heard(TextLine):
    """A line on which everything has come already, piece by piece."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self.side = Side.SOURCE
        self.secrets = ()
        self._buffer, self._position = b"", 0
        self._coming = list(pieces)

    def receive(self) -> bytes:
        if self._position < len(self._buffer):
            rest, self._buffer, self._position = self._buffer[self._position :], b"", 0
            return rest
        return self._coming.pop(0)


def cut(octets: bytes, sizes: Sequence[int]) -> list[bytes]:
    """Cut ``octets`` into pieces of ``sizes``, again and again."""
    pieces, at, number = [], 0, 0
    while at < len(octets):
        size = sizes[number % len(sizes)]
        pieces.append(octets[at : at + size])
        at, number = at + size, number + 1
    return pieces


def in_pairs(body: bytes) -> bytes:
    """What is left of a message when its line ends are pairs, the last one included."""
    lines = re.sub(rb"\r\n|\r|\n", b"\r\n", body)
    return lines if not lines or lines.endswith(b"\r\n") else lines + b"\r\n"


@given(OCTETS, CUTS, CUTS)
def test_a_message_that_was_stuffed_comes_back_and_the_next_line_is_the_next(parts, out, back) -> None:
    body = b"".join(parts)
    sent = b"".join(stuffed(cut(body, out)))
    line = Heard([*cut(sent + b"+OK next\r\n", back), b""])
    assert b"".join(line.dotted()) == in_pairs(body)
    assert line.line() == b"+OK next"


@given(OCTETS, CUTS)
def test_no_dot_of_a_message_ends_it(parts, sizes) -> None:
    sent = b"".join(stuffed(cut(b"".join(parts), sizes)))
    assert (b"\r\n" + sent).find(b"\r\n.\r\n") == len(sent) - 3
    assert re.search(rb"(?<!\r)\n|\r(?!\n)", sent) is None


@given(OCTETS, CUTS)
def test_octets_between_line_ends_come_as_they_were(parts, sizes) -> None:
    body = b"".join(parts)
    told = (b"\r\n" + body).replace(b"\r\n.", b"\r\n..")[2:]
    end = b".\r\n" if not told or told.endswith(b"\r\n") else b"\r\n.\r\n"
    assert b"".join(Heard(cut(told + end, sizes)).dotted()) == (body if end == b".\r\n" else body + b"\r\n")
