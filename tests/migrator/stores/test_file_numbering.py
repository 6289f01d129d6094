"""Numbers of messages in files: one number never means two messages, and a message never gets two."""

from __future__ import annotations

import random

import pytest

from migrator.stores.file_numbering import (
    Keys,
    Numbering,
    Numberings,
    ServerNumbers,
    begin,
    key_of,
    number_in_order,
    uids_in_order,
)


def keys(letters: str) -> Keys:
    found = Keys()
    for letter in letters:
        found.append(key_of(letter.encode()))
    return found


def named(letters: str, numbering: Numbering) -> dict[int, str]:
    return dict(zip(uids_in_order(keys(letters), numbering), letters, strict=True))


def renumber(letters: str, before: Numbering | None, *, is_lasting: bool = True) -> Numbering:
    return number_in_order(keys(letters), None, before, is_lasting=is_lasting)


def test_what_grew_or_shrank_keeps_its_numbers() -> None:
    first = renumber("abc", None)
    grown = renumber("abcd", first)
    shrunk = renumber("bd", grown)
    back = renumber("abd", shrunk)
    assert {numbering.uidvalidity for numbering in (first, grown, shrunk, back)} == {first.uidvalidity}
    assert named("abd", back) == {1: "a", 2: "b", 4: "d"}


@pytest.mark.parametrize("now", ["bca", "axbc", "bcda"])
def test_what_was_moved_or_put_in_between_is_another_numbering(now: str) -> None:
    first = renumber("abc", None)
    second = renumber(now, first)
    assert second.uidvalidity != first.uidvalidity
    assert "".join(named(now, second).values()) == now


def test_two_equal_messages_are_two() -> None:
    first = renumber("aba", None)
    assert named("aba", first) == {1: "a", 2: "b", 3: "a"}
    assert named("abaa", renumber("abaa", first)) == {1: "a", 2: "b", 3: "a", 4: "a"}


def test_no_number_ever_means_two_messages_whatever_happens_to_the_file() -> None:
    seed = random.randrange(2**32)
    print("seed", seed)
    dice = random.Random(seed)
    for _ in range(60):
        meant: dict[tuple[int, int], str] = {}
        numbered: dict[tuple[int, str], int] = {}
        letters, alphabet = "", iter("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
        numbering: Numbering | None = None
        is_lasting = dice.random() < 0.5
        for _ in range(25):
            letters = _changed(dice, letters, alphabet)
            numbering = renumber(letters, numbering, is_lasting=is_lasting)
            uids = list(named(letters, numbering))
            assert uids == sorted(uids)
            for uid, letter in named(letters, numbering).items():
                assert meant.setdefault((numbering.uidvalidity, uid), letter) == letter
                assert numbered.setdefault((numbering.uidvalidity, letter), uid) == uid


def _changed(dice: random.Random, letters: str, alphabet: object) -> str:
    at = dice.randrange(len(letters) + 1)
    match dice.randrange(4):
        case 0:
            return letters[:at] + letters[at + 1 :]
        case 1:
            return letters[at:] + letters[:at]
        case 2:
            return letters[:at] + next(alphabet, "") + letters[at:]  # type: ignore[call-overload]
    return letters + next(alphabet, "")  # type: ignore[call-overload, no-any-return]


def test_without_memory_the_same_file_has_the_same_numbers_and_another_file_never() -> None:
    first = renumber("abc", None, is_lasting=False)
    again = renumber("abc", None, is_lasting=False)
    assert (again.uidvalidity, again.uids) == (first.uidvalidity, first.uids)
    assert renumber("abcd", None, is_lasting=False).uidvalidity != first.uidvalidity
    grown = renumber("abcd", first, is_lasting=False)
    assert grown.uidvalidity == first.uidvalidity
    assert max(named("abcd", grown)) > 1_000_000_000  # a number that no other run gives


def test_a_servers_numbers_are_taken_when_they_are_whole() -> None:
    whole = ServerNumbers(77, 10, [3, 4, 9])
    numbering = begin(keys("abc"), whole)
    assert (numbering.uidvalidity, numbering.uidnext) == (77, 10)
    assert named("abc", numbering) == {3: "a", 4: "b", 9: "c"}
    grown = renumber("abcd", numbering, is_lasting=False)
    assert grown.uidvalidity != 77  # the server may give the next number to another message


@pytest.mark.parametrize("uids", [[3, 4, 0], [3, 9, 4], [3, 4, 10], [3, 4, 4_000_000_000]])
def test_numbers_that_a_server_cannot_have_given_count_for_nothing(uids: list[int]) -> None:
    numbering = begin(keys("abc"), ServerNumbers(77, 10, uids))
    assert numbering.uidvalidity != 77
    assert list(named("abc", numbering)) == [1, 2, 3]


def test_what_is_kept_is_recalled_by_another_run() -> None:
    first = Numberings()
    first.recall([])
    first.put(b"INBOX", renumber("abc", None))
    first.put(b"Empty", renumber("", None))
    kept = list(first.take_fresh())
    assert list(first.take_fresh()) == []
    second = Numberings()
    second.recall(kept)
    found = second.get(b"INBOX")
    assert found is not None
    assert named("abc", found) == {1: "a", 2: "b", 3: "c"}
    assert list(second.take_fresh()) == []
    second.put(b"INBOX", renumber("abcd", found))
    assert [(name.uid, name.name) for name in second.take_fresh()] == [(4, key_of(b"d"))]
    assert second.get(b"Sent") is None
    empty = second.get(b"Empty")
    assert empty is not None
    assert empty.uidvalidity == renumber("", None).uidvalidity


def test_of_a_numbering_begun_anew_everything_is_kept() -> None:
    numberings = Numberings()
    numberings.recall([])
    first = renumber("abc", None)
    numberings.put(b"INBOX", first)
    numberings.take_fresh()
    second = renumber("cab", first)
    numberings.put(b"INBOX", second)
    assert second.uidvalidity > first.uidvalidity
    fresh = numberings.take_fresh()
    assert [name.uid for name in fresh] == [0, 1, 2, 3]
    assert [name.uid for name in fresh[1:3]] == [1, 2]
