"""Made-up mail is as a mail program expects it, and the same for the same seed."""

from __future__ import annotations

import email
import email.policy
import re
from collections import Counter

import pytest

from campaigns.demo.mail import REFUSED_FOLDER, Folder, Post
from campaigns.demo.people import invent

CAST = invent(30, 7)
POST = Post(CAST.people, 7)


@pytest.fixture(scope="module")
def everything() -> list[Folder]:
    return [folder for person in CAST.people for folder in POST.mailbox(person)]


def test_the_same_seed_makes_the_same_mail() -> None:
    again = Post(invent(30, 7).people, 7)
    assert list(again.mailbox(CAST.people[3])) == list(POST.mailbox(CAST.people[3]))
    assert list(Post(CAST.people, 8).mailbox(CAST.people[3])) != list(POST.mailbox(CAST.people[3]))


def test_each_message_is_whole_and_dated_as_its_server_says(everything: list[Folder]) -> None:
    letters = [letter for folder in everything for letter in folder.letters]
    for letter in letters[::7]:
        assert re.search(rb"(?<!\r)\n|\r(?!\n)|\0", letter.body) is None
        message = email.message_from_bytes(letter.body, policy=email.policy.default)
        assert not any(part.defects for part in message.walk())
        assert message["Date"].datetime == letter.date
        assert message["Subject"]
        assert message["From"].addresses[0].domain.endswith(".example")
        assert message["To"].addresses[0].domain.endswith(".example")
    assert len({letter.body for letter in letters}) == len(letters)


def test_mailboxes_differ_in_size_and_hold_what_mailboxes_hold(everything: list[Folder]) -> None:
    counts = Counter(len(list(POST.mailbox(person))) for person in CAST.people)
    sizes = [sum(len(folder.letters) for folder in POST.mailbox(person)) for person in CAST.people]
    letters = [letter for folder in everything for letter in folder.letters]
    assert len(counts) > 2
    assert max(sizes) > 5 * min(sizes)
    assert {flag for letter in letters for flag in letter.flags} == {"\\Seen", "\\Answered", "\\Flagged", "\\Draft"}
    assert len({letter.date.year for letter in letters}) > 10
    assert any(letter.keywords for letter in letters)
    assert any(b"filename*=" in letter.body for letter in letters)
    assert any(not "".join(folder.path).isascii() for folder in everything)
    assert any(not folder.letters for folder in everything)


def test_a_folder_that_is_asked_for_is_there_with_mail() -> None:
    (found,) = [folder for folder in POST.mailbox(CAST.oddly_named, REFUSED_FOLDER) if folder.path == REFUSED_FOLDER]
    assert found.letters


def test_a_smaller_scale_makes_less_mail() -> None:
    small = Post(CAST.people, 7, 0.25)
    assert sum(len(each.letters) for each in small.mailbox(CAST.people[0])) < sum(
        len(each.letters) for each in POST.mailbox(CAST.people[0])
    )
