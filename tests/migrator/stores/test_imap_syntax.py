"""Names, strings and sets as they go onto the wire."""

from __future__ import annotations

import random
from bisect import bisect_left, bisect_right
from collections.abc import Iterator

import pytest

from migrator.mail import FolderPath
from migrator.stores.imap_syntax import SET_OCTETS, Unwritable, command, flag_list, is_writable, string, uid_sets


@pytest.mark.req("D-7", "D-14")
@pytest.mark.parametrize(
    ("raw", "with_plus", "without"),
    [
        (b"INBOX", (b'"INBOX"',), (b'"INBOX"',)),
        (b"NIL", (b'"NIL"',), (b'"NIL"',)),
        (b'a "b" \\', (b'{7+}\r\na "b" \\',), (b'"a \\"b\\" \\\\"',)),
        ("é".encode(), (b"{2+}\r\n\xc3\xa9",), (b"{2}\r\n", b"\xc3\xa9")),
        (b"a\tb", (b"{3+}\r\na\tb",), (b"{3}\r\n", b"a\tb")),
    ],
)
def test_a_string_is_quoted_or_a_literal(raw: bytes, with_plus: tuple[bytes, ...], without: tuple[bytes, ...]) -> None:
    assert string(raw, literal_plus=True) == with_plus
    assert string(raw, literal_plus=False) == without


@pytest.mark.req("D-8")
@pytest.mark.parametrize("raw", [b"a\r\nb LOGOUT", b"a\nb", b"a\0b", b"a\rb"])
def test_a_name_with_line_ends_or_nul_never_goes_onto_the_wire(raw: bytes) -> None:
    assert not is_writable(FolderPath(raw))
    for literal_plus in (True, False):
        with pytest.raises(Unwritable):
            string(raw, literal_plus=literal_plus)


def test_a_command_has_a_segment_for_each_leave_it_needs() -> None:
    odd = string("é".encode(), literal_plus=False)
    assert command(b"LOGIN ", odd, b" ", odd) == (b"LOGIN {2}\r\n", b"\xc3\xa9 {2}\r\n", b"\xc3\xa9\r\n")
    assert command(b"SELECT ", string(b"a", literal_plus=False)) == (b'SELECT "a"\r\n',)


def test_a_flag_that_would_break_the_command_is_left_out() -> None:
    flags = frozenset(("\\Seen", "$Label1", "a b", 'c"', "d)", "", "é", "e]", "NonJunk"))
    assert flag_list(flags) == b"($Label1 NonJunk \\Seen)"


@pytest.mark.req("D-42")
def test_sets_are_short_and_mean_exactly_what_was_asked() -> None:
    seed = 11
    dice = random.Random(seed)
    for _ in range(200):
        known = sorted(dice.sample(range(1, 100_000), dice.randrange(1, 3000)))
        uids = sorted(dice.sample(known, dice.randrange(1, len(known) + 1)))
        for neighbours in (known, None):
            asked: list[int] = []
            for octets, start, end in uid_sets(uids, neighbours):
                assert len(octets) <= SET_OCTETS, seed
                meant = list(_meant(octets, known))
                assert meant == uids[start:end], seed
                asked += meant
            assert asked == uids, seed


def _meant(octets: bytes, known: list[int]) -> Iterator[int]:
    for part in octets.decode().split(","):
        first, _, last = part.partition(":")
        yield from known[bisect_left(known, int(first)) : bisect_right(known, int(last or first))]


def test_a_whole_folder_is_one_range_whatever_its_gaps() -> None:
    uids = [1, 5, 9, 4000000000]
    assert list(uid_sets(uids, uids)) == [(b"1:4000000000", 0, 4)]
    assert list(uid_sets([5, 9], uids)) == [(b"5:9", 0, 2)]
    assert list(uid_sets([5, 4000000000], uids)) == [(b"5,4000000000", 0, 2)]
    assert list(uid_sets([7], [7])) == [(b"7", 0, 1)]
    assert list(uid_sets([], [7])) == []
