"""Letters of rights: what they mean on servers of either standard, and never more."""

from __future__ import annotations

import pytest

from migrator.stores.imap_acl import spelled, standard


@pytest.mark.parametrize(
    ("letters", "meaning"),
    [
        ("lrs", "lrs"),
        ("lrswipkxtecda", "lrswipkxtea"),  # Dovecot, with the old letters beside
        ("lrswipkxtecdan", "lrswipkxtea"),  # Cyrus, with one of its own
        ("acdilrsw", "lrswiktea"),  # RFC 2086
        ("ilrswd", "lrswite"),
        ("lrc", "lrk"),
        ("lrkc", "lrk"),
        ("ted", "te"),
        ("td", "t"),  # the newer letter says what is meant
        ("0123", ""),
        ("", ""),
    ],
)
def test_letters_of_both_standards_mean_the_same(letters, meaning) -> None:
    assert standard(letters) == meaning


@pytest.mark.parametrize(
    ("rights", "sent", "lost"),
    [
        ("lrs", "lrs", ""),
        ("lrswipkxtea", "lrswipacd", "x"),
        ("lrt", "lr", "t"),  # "d" would let them expunge, too
        ("k", "c", ""),
        ("x", "", "x"),
    ],
)
def test_an_old_letter_is_sent_for_all_that_it_covers_or_not_at_all(rights, sent, lost) -> None:
    assert spelled(rights, is_old=True) == (sent, lost)
    assert spelled(rights, is_old=False) == (rights, "")
