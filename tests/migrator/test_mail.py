"""Folder names survive their way to the wire and back; INBOX is INBOX however it is spelled."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.mail import FolderPath, Outcome

SEPARATORS = ("/", ".", "\\", "^", "_", None)


def segments_without(separator: str | None) -> st.SearchStrategy[str]:
    """Any letters a name can have, those that modified UTF-7 encodes among them; not the separator."""
    refused = separator or ""
    return st.text(st.characters(exclude_characters=refused, exclude_categories=("Cs",)), min_size=1, max_size=12)


@st.composite
def names(draw: st.DrawFn) -> tuple[tuple[str, ...], str | None]:
    separator = draw(st.sampled_from(SEPARATORS))
    depth = draw(st.integers(1, 4)) if separator else 1
    return tuple(draw(segments_without(separator)) for _ in range(depth)), separator


@pytest.mark.req("D-1", "D-4")
@given(names())
def test_a_name_survives_encoding_and_decoding(name: tuple[tuple[str, ...], str | None]) -> None:
    segments, separator = name
    path = FolderPath.of(segments, separator)
    assert path.raw.isascii()
    assert path.segments == segments


@given(st.binary(max_size=40), st.sampled_from(SEPARATORS))
def test_any_bytes_a_server_sends_have_a_name_for_people(raw: bytes, separator: str | None) -> None:
    path = FolderPath(raw, separator)
    assert all(isinstance(segment, str) for segment in path.segments)
    assert path.raw == raw
    FolderPath.of(path.segments, separator)


@pytest.mark.req("D-4")
@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"Entw&APw-rfe", "Entwürfe"),
        (b"&2D3eAA-", "\N{GRINNING FACE}"),
        (b"a &- b", "a & b"),
        ("Entwürfe".encode(), "Entwürfe"),  # raw UTF-8
        (b"Entw\xfcrfe", "Entwürfe"),  # raw Latin-1
        (b"Tom & Jerry", "Tom & Jerry"),  # an ampersand that nobody escaped
        (b"&AGE-", "&AGE-"),  # letters that must not be encoded (RFC 3501 §5.1.3): kept as they are
        (b"&2D0-", "&2D0-"),  # half a character
        (b"a&AC8-b", "a&AC8-b"),  # a separator in disguise stays one level
        (b"", ""),
    ],
)
def test_a_name_is_shown_as_its_owner_meant_it(raw: bytes, shown: str) -> None:
    assert FolderPath(raw, "/").segments == (shown,)


@pytest.mark.req("D-1")
def test_the_separator_is_that_of_the_folder() -> None:
    assert FolderPath(b"a/b.c", "/").segments == ("a", "b.c")
    assert FolderPath(b"a/b.c", ".").segments == ("a/b", "c")
    assert FolderPath(b"a/b.c", None).segments == ("a/b.c",)
    assert FolderPath(b"a.b", ".").display == "a/b"


@pytest.mark.req("D-9")
@pytest.mark.parametrize("raw", [b"INBOX", b"Inbox", b"inbox"])
def test_inbox_is_inbox_in_any_case(raw: bytes) -> None:
    assert FolderPath(raw, "/").is_inbox


@pytest.mark.parametrize("raw", [b"INBOX/a", b"INBOX2", b"", b"a/INBOX"])
def test_nothing_else_is_inbox(raw: bytes) -> None:
    assert not FolderPath(raw, "/").is_inbox


def test_the_raw_name_is_the_identity() -> None:
    assert FolderPath(b"a", "/") == FolderPath(b"a", ".")
    assert FolderPath(b"&-") != FolderPath(b"&")


@pytest.mark.parametrize("outcome", Outcome)
def test_only_copied_mended_and_found_messages_are_on_the_target(outcome: Outcome) -> None:
    assert outcome.is_on_target == (outcome.name in {"COPIED", "ALREADY_THERE", "REPAIRED"})
