"""What the command line allows to be mended."""

from __future__ import annotations

import pytest

from migrator.cli.options import parse
from migrator.cli.repair_options import with_repairs
from migrator.transfer.plan import CopyPolicy
from migrator.transfer.repairs import LONGEST_LINE, Repair

COPY = ("copy", "imap://a@old", "imap://b@new")


def test_without_a_word_nothing_is_mended() -> None:
    assert with_repairs(CopyPolicy(), parse(COPY)) == CopyPolicy()


def test_repairs_are_allowed_by_name() -> None:
    policy = with_repairs(CopyPolicy(), parse([*COPY, "--repair", "nul", "--repair", "line-ends"]))
    assert policy.repairs == {Repair.NUL, Repair.LINE_ENDS}
    assert (policy.repairs_ahead, policy.longest_line) == (frozenset(), LONGEST_LINE)


def test_long_lines_are_mended_ahead_with_the_length_that_is_said() -> None:
    policy = with_repairs(CopyPolicy(), parse([*COPY, "--fix-long-lines", "500", "--repair-ahead", "read-receipt"]))
    assert policy.repairs_ahead == {Repair.LONG_LINES, Repair.READ_RECEIPT}
    assert (policy.repairs, policy.longest_line) == (frozenset(), 500)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [(("--repair", "everything"), "there is no such repair"), (("--fix-long-lines", "40"), "78 at least")],
)
def test_what_cannot_be_is_refused_with_its_reason(words, sentence, capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        parse([*COPY, *words])
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err
