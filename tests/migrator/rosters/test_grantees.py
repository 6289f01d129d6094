"""A list of old and new identifiers: users stay users, groups groups, and nobody becomes everybody."""

from __future__ import annotations

from pathlib import Path

import pytest

from migrator.mail import Grant, Grantee
from migrator.rosters.base import BadRoster
from migrator.rosters.grantees import GranteeMap, read


def listed(tmp_path: Path, text: str, encoding: str = "utf-8") -> GranteeMap:
    file = tmp_path / "list"
    file.write_text(text, encoding=encoding)
    return read(file)


def new(known: GranteeMap, kind: Grantee, name: str) -> str | None:
    grant = Grant(kind, name, "lr", is_denial=True)
    if not known.knows(grant):
        return "unknown"
    found = known.of(grant)
    assert found is None or (found.rights, found.is_denial) == ("lr", True)
    return None if found is None else found.who


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("mark", ["\t", ",", " ; "])
def test_identifiers_are_read_with_whom_they_mean(tmp_path: Path, encoding: str, mark: str) -> None:
    rows = ["Old|New", "# who went", "anna|a.smith@example.org", "Ünï|x", "gone", "$staff|group:team", "anyone|", ""]
    known = listed(tmp_path, "\n".join(rows).replace("|", mark), encoding)
    assert new(known, Grantee.USER, "Anna") == "user a.smith@example.org"
    assert new(known, Grantee.USER, "ÜNÏ") == "user x"
    assert new(known, Grantee.USER, "gone") is None
    assert new(known, Grantee.GROUP, "staff") == "group team"
    assert new(known, Grantee.ANYONE, "") is None
    assert new(known, Grantee.USER, "staff") == "unknown"
    assert new(known, Grantee.USER, "old") == "unknown"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a\tb\nanna\tanyone\n", "Line 2: a user can only become a user"),
        ("anna\t$staff\n", "Line 1: a user can only become a user"),
        ("authenticated\tanyone\n", "Line 1"),
        ("$staff\tanna\n", "Line 1"),
        ("-anna\tbert\n", "leave the minus sign away"),
        ("a\tb\nA\tc\n", "Line 2: A stands in the list already"),
        ("a\tb\tc\n", "an old identifier and a new one"),
        ("\tb\n", "an old identifier and a new one"),
        ("a\tb\x01\n", "characters that no name has"),
    ],
)
def test_what_could_open_a_folder_to_others_is_refused_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(BadRoster, match=words.replace("$", "\\$")):
        listed(tmp_path, text)


def test_a_list_that_is_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRoster, match="Line 2: it is no text in UTF-8"):
        listed(tmp_path, "a\tb\n\xfc\tc\n", "latin-1")
