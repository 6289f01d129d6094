"""The MoveAccounts list: the seed's sample, every separator and encoding, a sentence for each thing that is wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from migrator.rosters import tsv
from migrator.rosters.base import BadRoster, Needs, Roster

BOTH = Needs()
SAMPLE = "Name\tLimit\tPassword\njohn\t10K\tj27ss#45\njim\t120K\tdud-ee\ngeorge\t31M\tmia#hj!\n"


@pytest.fixture
def listed(tmp_path: Path):
    def read(content: str | bytes, needs: Needs = BOTH, **layout) -> Roster:
        path = tmp_path / "AccountList"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return tsv.read(path, needs, tsv.Layout(**layout))

    return read


def accounts(roster: Roster) -> list[tuple[str, str | None, str, str | None]]:
    return [
        (
            row.source_user,
            row.source_password and row.source_password.reveal(),
            row.target_user,
            row.target_password and row.target_password.reveal(),
        )
        for row in roster.rows
    ]


def refusal_of(roster: Roster) -> tuple[int, str]:
    assert len(roster.refusals) == 1
    return roster.refusals[0]


@pytest.mark.req("S-70", "S-77", "S-78")
def test_the_sample_of_the_guide_is_read_and_its_limit_ignored(listed) -> None:
    roster = listed(SAMPLE)
    assert accounts(roster) == [
        ("john", "j27ss#45", "john", "j27ss#45"),
        ("jim", "dud-ee", "jim", "dud-ee"),
        ("george", "mia#hj!", "george", "mia#hj!"),
    ]
    assert roster.ignored_columns == ["Limit"]
    assert [row.line for row in roster.rows] == [2, 3, 4]
    assert roster.refusals == []


@pytest.mark.req("S-74")
@pytest.mark.parametrize(
    ("header", "named"),
    [
        ("Name\tLimit", ["Password"]),
        ("Limit\tPassword", ["Name"]),
        ("Limit\tQuota", ["Name", "Password"]),
        ("NameLimitPassword", ["Name", "Password"]),
        ("Name|Password", ["Name", "Password"]),
        ("NewName,NewPassword", ["Name", "Password"]),
    ],
)
def test_a_missing_column_is_named(listed, header, named) -> None:
    with pytest.raises(BadRoster) as refusal:
        listed(f"{header}\na\tb\n")
    sentence = str(refusal.value).partition(".")[0]
    assert [name for name in ("Name", "Password") if f"the column {name}" in sentence] == named


def test_a_list_without_a_line_of_names_does_not_show_its_first_password(listed) -> None:
    with pytest.raises(BadRoster) as refusal:
        listed("john\thunter2\njim\tx\n")
    assert "hunter2" not in str(refusal.value)


@pytest.mark.req("S-75", "S-76")
def test_other_names_and_passwords_serve_the_target_where_they_are_given(listed) -> None:
    roster = listed("NewPassword;Name;NewName;Password\nn1;a;b;p1\n;c;;p2\n")
    assert accounts(roster) == [("a", "p1", "b", "n1"), ("c", "p2", "c", "p2")]


@pytest.mark.parametrize("mark", ["\t", ",", ";"])
def test_the_separator_is_found_in_the_first_line(listed, mark) -> None:
    others = {"\t", ",", ";"} - {mark}
    password = "a b" + "".join(sorted(others - {"\t"}))
    roster = listed(f"Password{mark}Name\n{password}{mark}john\n")
    assert accounts(roster) == [("john", password, "john", password)]


def test_column_names_may_be_written_small_and_padded(listed) -> None:
    assert accounts(listed("name, PASSWORD \na,b\n")) == [("a", "b", "a", "b")]


@pytest.mark.parametrize(
    "password", [" lead", "trail ", "  ", '"quoted"', "'", 'say "hi"', "#!%\\", "ü€\u00a0", "a,b;c"]
)
def test_a_password_between_tabs_is_taken_as_it_stands(listed, password) -> None:
    assert accounts(listed(f"Name\tPassword\njohn\t{password}\n"))[0][1] == password


@pytest.mark.parametrize(
    ("field", "password"),
    [('"a,b"', "a,b"), ('"say ""hi"""', 'say "hi"'), (" lead", " lead"), ('a"b', 'a"b'), ('" "', " "), ("'x'", "'x'")],
)
def test_a_field_between_commas_may_be_quoted(listed, field, password) -> None:
    assert accounts(listed(f"Name,Password\njohn,{field}\n"))[0][1] == password


@pytest.mark.parametrize("field", ['"open', '"closed" too early', '"a"b"'])
def test_a_broken_quote_is_refused_with_its_line(listed, field) -> None:
    line, sentence = refusal_of(listed(f"Name,Password\njohn,{field}\njim,x\n"))
    assert line == 2
    assert "quote" in sentence
    assert field.strip('"') not in sentence


@pytest.mark.parametrize(
    ("row", "count"), [("john", 1), ("john\tpw\tmore", 3), ("john\tpw\t", 3), ("john pw", 1), ("john,pw", 1)]
)
def test_a_row_with_too_many_or_too_few_fields_is_refused(listed, row, count) -> None:
    line, sentence = refusal_of(listed(f"Name\tPassword\na\tb\n{row}\n"))
    assert line == 3
    assert sentence == f"The first line names 2 columns (tab), this line has {count}."


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("\tpw\t\t", "Name is empty"),
        ("  \tpw\t\t", "Name is empty"),
        ("john\t\t\t", "Password is empty"),
        (" john\tpw\t\t", "Name begins or ends with a blank"),
        ("john\tpw\tj \t", "NewName begins or ends with a blank"),
        ("jo\x01hn\tpw\t\t", "Name holds a control character"),
        ("john\tp\rw\t\t", "Password holds a line break"),
        ("john\tp\0w\t\t", "NUL"),
        ("john\tpw\t\tp\0", "NUL"),
    ],
)
def test_a_row_that_is_not_clear_is_refused_with_its_sentence(listed, row, words) -> None:
    line, sentence = refusal_of(listed(f"Name\tPassword\tNewName\tNewPassword\n\n{row}\nok\tok\t\t\n"))
    assert line == 3
    assert words in sentence


def test_blank_lines_and_rows_of_separators_are_skipped_and_still_counted(listed) -> None:
    roster = listed("\nName,Password\n\n  \n,\njohn,pw\n\n")
    assert [row.line for row in roster.rows] == [6]
    assert roster.refusals == []


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_line_ends_of_both_kinds_and_a_missing_last_one_are_taken(listed, end) -> None:
    roster = listed(f"Name\tPassword{end}john\tpw{end}jim\tpw2")
    assert accounts(roster) == [("john", "pw", "john", "pw"), ("jim", "pw2", "jim", "pw2")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_utf_8_and_marked_utf_16_are_read(listed, encoding) -> None:
    mark = "\ufeff" if encoding in ("utf-16-le", "utf-16-be") else ""
    roster = listed(f"{mark}Name\tPassword\r\njürgen\tpäß\u010a\r\n".encode(encoding))
    assert accounts(roster) == [("jürgen", "päß\u010a", "jürgen", "päß\u010a")]


def test_utf_16_without_its_mark_is_refused(listed) -> None:
    with pytest.raises(BadRoster, match="UTF-16 without its mark"):
        listed("Name\tPassword\na\tb\n".encode("utf-16-le"))


def test_broken_utf_16_is_refused_with_its_line(listed) -> None:
    with pytest.raises(BadRoster, match=r"Line 2: .*Save it as UTF-8"):
        listed("\ufeffName\tPassword\na\t".encode("utf-16-le") + b"\x00\xd8\x0a\x00")


def test_a_row_that_is_not_utf_8_is_refused_with_its_line(listed) -> None:
    line, sentence = refusal_of(listed(b"Name\tPassword\na\tb\nj\xfcrgen\tpw\n"))
    assert (line, sentence) == (3, "The line is not UTF-8 text. Save the list as UTF-8.")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (b"Name\tPassword\n", "no account follows"),
        (b"Name\tPassword\rjohn\tpw\r", "CR alone"),
        (b"Name\tPassword\tname\na\tb\tc\n", "Name more than once"),
        (b"N\xe4me\tPassword\n", "not UTF-8"),
        (bytes(1000), "NUL"),
        (b"Name\tPassword\n" + b"x" * 70_000 + b"\n", "Line 2 is longer"),
    ],
)
def test_a_list_that_cannot_be_read_as_a_whole_is_refused(listed, content, words) -> None:
    with pytest.raises(BadRoster, match=words):
        listed(content)


def test_a_list_of_too_many_rows_is_refused(listed, monkeypatch) -> None:
    monkeypatch.setattr(tsv, "ROWS", 3)
    with pytest.raises(BadRoster, match="more than 3 rows"):
        listed("Name\tPassword\n" + "a\tb\n" * 4)


def test_a_line_of_a_gigabyte_is_refused_in_little_memory(tmp_path) -> None:
    path = tmp_path / "huge"
    with path.open("wb") as file:
        file.write(b"Name\tPassword\n")
        file.truncate(2**30)  # sparse: a line of NULs without an end
    limited = (
        "import resource, sys, pathlib; resource.setrlimit(resource.RLIMIT_AS, (300 << 20, 300 << 20))\n"
        "from migrator.rosters import tsv, base\n"
        "try: tsv.read(pathlib.Path(sys.argv[1]), base.Needs())\n"
        "except base.BadRoster as refusal: print(refusal)"
    )
    told = subprocess.run([sys.executable, "-c", limited, path], capture_output=True, text=True, timeout=20)
    assert told.stdout.startswith("Line 2 is longer than 65,536 characters"), told.stderr


def test_an_administrator_on_one_side_needs_the_password_of_the_other_only(listed) -> None:
    assert accounts(listed("Name\tNewPassword\na\tn\n", Needs(False, True))) == [("a", None, "a", "n")]
    assert accounts(listed("Name\tPassword\na\tp\n", Needs(False, True))) == [("a", None, "a", "p")]
    assert accounts(listed("Name\tPassword\na\tp\n", Needs(True, False))) == [("a", "p", "a", None)]
    roster = listed("Name\tPassword\tNewPassword\na\t\tx\n", Needs(False, False))
    assert accounts(roster) == [("a", None, "a", None)]
    assert roster.ignored_columns == ["Password", "NewPassword"]
    assert accounts(listed("Name\na\nb\n", Needs(False, False))) == [("a", None, "a", None), ("b", None, "b", None)]


@pytest.mark.req("D-109")
def test_two_rows_for_one_target_are_both_refused(listed) -> None:
    roster = listed("Name\tPassword\tNewName\na\tx\tBoth\nb\tx\t\nc\tx\tboth\n").checked(same_server=False)
    assert [row.source_user for row in roster.rows] == ["b"]
    assert [line for line, _ in roster.refusals] == [2, 4]
    assert all("Lines 2 and 4 lead to one target mailbox" in sentence for _, sentence in roster.refusals)


def test_many_rows_for_one_target_are_told_in_one_short_sentence(listed) -> None:
    roster = listed("Name\tPassword\n" + "a\tb\n" * 9).checked(same_server=False)
    assert len(roster.refusals) == 9
    assert "Lines 2, 3, 4, 5, 6 and 4 more lead" in roster.refusals[0].sentence


@pytest.mark.req("D-109")
def test_a_row_that_copies_a_mailbox_into_itself_is_refused_on_one_server_only(listed) -> None:
    roster = listed("Name\tPassword\tNewName\na\tx\tA\nb\tx\tc\n")
    assert len(roster.checked(same_server=False).rows) == 2
    line, sentence = refusal_of(roster.checked(same_server=True))
    assert (line, sentence) == (2, "The source and the target are one mailbox, a.")


def test_a_mailbox_that_is_filled_and_copied_on_one_server_is_refused(listed) -> None:
    roster = listed("Name\tPassword\tNewName\na\tx\tb\nb\tx\tc\nd\tx\te\n").checked(same_server=True)
    assert [row.source_user for row in roster.rows] == ["d"]
    assert [line for line, _ in roster.refusals] == [2, 3]
    assert "Lines 2 and 3: b is filled by one row and copied by the other." in roster.refusals[0].sentence


def test_passwords_do_not_print(listed) -> None:
    assert "hunter2" not in repr(listed("Name\tPassword\njohn\thunter2\n"))


def test_columns_that_are_asked_for_are_handed_on_as_they_stand(listed) -> None:
    roster = listed("Name,Tel,Password,Hair\nann, 030 1 ,x,red\n", also=["TEL"])
    assert roster.rows[0].others == {"TEL": " 030 1 "}
    assert roster.ignored_columns == ["Hair"]
    with pytest.raises(BadRoster, match="does not name the column Tel and the column Fax"):
        listed("Name\tPassword\njohn\tx\n", also=["Tel", "Fax"])


def test_other_titles_may_be_given_to_the_four_columns(listed) -> None:
    titles = {"name": "From", "newname": "To", "password": "PIN"}
    roster = listed("To;PIN;From\nb;x;a\n", titles=titles)
    assert accounts(roster) == [("a", "x", "b", "x")]
    with pytest.raises(BadRoster, match="does not name the column To"):
        listed("From\tPIN\na\tx\n", titles=titles)


def test_rows_may_lack_passwords_where_that_is_said(listed) -> None:
    roster = listed("Name\tPassword\tNewPassword\nann\t\tx\nbob\t\t\n", lacks_passwords=True)
    assert accounts(roster) == [("ann", None, "ann", "x"), ("bob", None, "bob", None)]
    assert accounts(listed("Name\nann\n", lacks_passwords=True)) == [("ann", None, "ann", None)]


# --- a list that somebody has looked at


@pytest.mark.parametrize(
    ("content", "separator", "first"),
    [
        ("anna@x.test\nbert@x.test\n", "\t", ["anna@x.test"]),
        ("a;b;c\n1;2;3\n", ";", ["a", "b", "c"]),
        ("a,b\n1,2\n", ",", ["a", "b"]),
        ("a\tb,c;d\n1\t2\n", "\t", ["a", "b,c;d"]),
        ('a,"b;c"\n1,2\n', ",", ["a", "b;c"]),
    ],
)
def test_a_look_tells_where_fields_end(tmp_path: Path, content: str, separator: str, first: list[str]) -> None:
    path = tmp_path / "list"
    path.write_text(content)
    found = tsv.look(path)
    assert (found.separator, found.rows[0]) == (separator, first)


def test_a_look_reads_no_more_than_it_was_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_text("a,b\n" * 50)
    assert len(tsv.look(path, 5).rows) == 5


def test_a_list_of_a_settled_shape_goes_by_its_names_and_reads_only_what_is_asked_for(listed) -> None:
    shape = tsv.Shape(";", ["Name", "Name (2)", "Password"], has_heading=True)
    roster = listed(
        "Name;Name;Password\nanna;aabel;pw\n", titles={"name": "Name (2)"}, lacks_passwords=True, shape=shape
    )
    assert accounts(roster) == [("aabel", None, "aabel", None)]


def test_a_list_without_a_heading_begins_with_an_account(listed) -> None:
    shape = tsv.Shape(",", ["Column 1", "Column 2"], has_heading=False)
    titles = {"name": "Column 1", "password": "Column 2"}
    roster = listed("anna,one\nbert\ncarl,two\n", titles=titles, shape=shape)
    assert accounts(roster) == [("anna", "one", "anna", "one"), ("carl", "two", "carl", "two")]
    assert refusal_of(roster) == (2, "The first line has 2 columns (comma), this line has 1.")


def test_cells_that_were_made_harmless_are_as_they_were(listed) -> None:
    shape = tsv.Shape(",", ["Name", "Password"], is_harmless=True)
    roster = listed(
        "Name,Password\nanna,'=1+1\nbert,'quoted\n", titles={"name": "Name", "password": "Password"}, shape=shape
    )
    assert [row[1] for row in accounts(roster)] == ["=1+1", "'quoted"]
