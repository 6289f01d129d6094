"""Which messages the command line asks for."""

from __future__ import annotations

import pytest

from migrator.cli.filter_options import skipped_roles, wanted
from migrator.cli.options import parse
from migrator.cli.wishes import manners
from migrator.errors import Side
from migrator.transfer.plan import ALL_MESSAGES, LabelPolicy, MessageFilter

COPY = ("copy", "imap://a@old", "imap://b@new")


def test_without_a_word_all_messages_are_wanted() -> None:
    assert wanted(parse(COPY)) is ALL_MESSAGES
    assert skipped_roles(parse(COPY)) == frozenset()


def test_days_are_those_of_utc_and_sizes_are_bytes() -> None:
    said = ("--since", "2001-09-09", "--before", "2001-09-10", "--min-size", "1", "--max-size", "5000")
    assert wanted(parse([*COPY, *said])) == MessageFilter(999_993_600, 1_000_080_000, 1, 5000)


def test_roles_are_spelled_as_servers_do() -> None:
    assert skipped_roles(parse([*COPY, "--skip-role", "trash", "--skip-role", "junk"])) == {"\\Trash", "\\Junk"}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--since", "31.12.2024"), "must be a day, as 2024-12-31"),
        (("--max-size", "5M"), "must be a number of bytes"),
        (("--search", 'SUBJECT "a'), "quotation mark closed"),
        (("--newest-first", "0"), "must be a number of days"),
        (("--skip-role", "spam"), "invalid choice"),
    ],
)
def test_what_cannot_be_is_refused_with_its_reason(words, sentence, capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        parse([*COPY, *words])
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err


def test_labels_are_folders_unless_somebody_chooses_otherwise() -> None:
    assert parse(COPY).gmail_labels == LabelPolicy.FOLDERS
    chosen = parse([*COPY, "--gmail-labels", "keywords"])
    assert (chosen.gmail_labels, manners(chosen, Side.SOURCE).labels_as_keywords) == (LabelPolicy.KEYWORDS, True)
    assert not manners(parse([*COPY, "--gmail-labels", "first"]), Side.SOURCE).labels_as_keywords


def test_recent_mail_is_that_of_thirty_days_unless_they_are_counted() -> None:
    assert parse(COPY).newest_first is None
    assert parse([*COPY, "--newest-first"]).newest_first == 30
    assert parse([*COPY, "--newest-first", "7"]).newest_first == 7
