"""CommuniGate's data syntax: read and written, byte for byte as its guide says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.directories.communigate_data import DEPTH, Datum, read, texts, written

_TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)))
_DATA = st.recursive(
    _TEXTS | st.binary() | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS, inner, max_size=4),
    max_leaves=12,
)


@given(_DATA)
def test_what_is_written_is_read_back(datum: Datum) -> None:
    line = written(datum)
    assert "\n" not in line
    assert "\r" not in line
    if datum == "#NULL#":
        return
    assert read(line) == datum


@pytest.mark.parametrize(
    ("datum", "line"),
    [
        ({"Password": "\x02AslUzT1JkPsocc"}, r'{Password="\002AslUzT1JkPsocc";}'),
        (["abc", "d e", [], {}], '(abc,"d e",(),{})'),
        ({"a": {"b": ["x;y", "="]}}, '{a={b=("x;y","=");};}'),
        ("", '""'),
        ("\x0c", r'"\012"'),  # decimal: octal would be \014
        ("\x7f", r'"\127"'),
        ('say "\\"\r\n\t', r'"say \"\\\"\r\n\t"'),
        ("anna@example.test", '"anna@example.test"'),
        (b"\x1d\xca\x87\x7c\x72", "[HcqHfHI=]"),
        (None, "#NULL#"),
    ],
)
def test_the_golden_lines_of_the_guide(datum: Datum, line: str) -> None:
    assert written(datum) == line
    assert read(line) == datum


@pytest.mark.parametrize(
    ("line", "datum"),
    [
        (r'"line\eline"', "line\nline"),
        ('"in two " "halves"', "in two halves"),
        ("#50", "#50"),
        ("#T22-10-2009_15:24:45", "#T22-10-2009_15:24:45"),
        ("#I[10.0.44.55]:25", "#I[10.0.44.55]:25"),
        ("#(unknown)", "unknown"),
        (" ( a , b ) ", ["a", "b"]),
        ("{ a = b ; }", {"a": "b"}),
        ("(mail.example.com,client1.com)", ["mail.example.com", "client1.com"]),
        ("[HcqH\nfHI=]", b"\x1d\xca\x87\x7c\x72"),
    ],
)
def test_what_servers_write_and_we_do_not_is_read_as_well(line: str, datum: Datum) -> None:
    assert read(line) == datum


@pytest.mark.parametrize(
    "line", ["", "(", "(a", "{a=b}", "{a b;}", '"open', r'"\9"', r'"\12"', "[###]", "a b", ")", "(" * (DEPTH + 1)]
)
def test_what_says_nothing_is_refused_with_its_place(line: str) -> None:
    with pytest.raises(ValueError, match="at character"):
        read(line)


@given(st.text())
def test_any_answer_is_read_or_refused(line: str) -> None:
    try:
        read(line)
    except ValueError as refusal:
        assert "The answer" in str(refusal)  # noqa: PT017


def test_a_zero_byte_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="zero byte"):
        written({"a": ["\0"]})


def test_one_text_needs_no_array_around_it() -> None:
    assert texts("All") == ["All"]
    assert texts(["27", "Mail", {}]) == ["27", "Mail"]
