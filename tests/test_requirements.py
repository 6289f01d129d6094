"""The requirement ledger complains when tests and open entries do not add up, and only then."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import requirements
from tests.requirements import ALL, LedgerError, OpenEntry, Shown

MARKED = """
import pytest

pytestmark = pytest.mark.req("D-3")

@pytest.mark.req("S-1", "C-2")
def test_something(): ...

class StoreContract:
    @pytest.mark.req("S-2")
    @pytest.mark.parametrize("word", [pytest.param("x", marks=pytest.mark.req("D-4"))])
    def test_more(self, word): ...
"""


def everything_but(*names: str) -> list[OpenEntry]:
    return [OpenEntry(tuple(name for name in ALL if name not in names), "not yet built")]


def shown(*names: str) -> Shown:
    return Shown({name: ["test_x.py::test_x"] for name in names})


def read(tmp_path: Path, text: str, name: str = "test_x.py") -> Shown:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return requirements.read_tests(tmp_path)


def test_there_are_as_many_ids_as_requirements() -> None:
    assert len(ALL) == 135 + 109 + 68
    assert (ALL[0], ALL[134], ALL[135], ALL[-1]) == ("S-1", "S-135", "D-1", "C-68")


def test_ids_that_add_up_give_no_complaint() -> None:
    assert requirements.find_complaints(shown("S-50", "C-1"), everything_but("S-50", "C-1")) == []


def test_an_id_with_neither_test_nor_reason_is_named() -> None:
    complaints = requirements.find_complaints(shown(), everything_but("S-50"))
    assert complaints == ["S-50 has no test and no reason in open_requirements.toml: write one of them."]


def test_an_open_id_that_has_a_test_is_named_with_the_test() -> None:
    (complaint,) = requirements.find_complaints(shown("S-50"), everything_but())
    assert complaint.startswith("S-50 has a test (test_x.py::test_x), but is still in open_requirements.toml")


@pytest.mark.parametrize("name", ["S-136", "S-0", "X-1", "s-1", "S-01"])
def test_an_unknown_id_on_a_test_is_named(name: str) -> None:
    complaints = requirements.find_complaints(shown(name), everything_but())
    assert complaints == [f"{name} is not a requirement, but test_x.py::test_x carries it."]


def test_an_unknown_open_id_is_named() -> None:
    complaints = requirements.find_complaints(shown(), [*everything_but(), OpenEntry(("D-110",), "later")])
    assert complaints == ["D-110 is not a requirement, but stands in open_requirements.toml."]


def test_an_id_that_is_open_twice_is_named() -> None:
    complaints = requirements.find_complaints(shown(), [*everything_but(), OpenEntry(("D-1",), "later")])
    assert complaints == ["D-1 stands 2 times in open_requirements.toml."]


def test_an_open_entry_must_say_why() -> None:
    complaints = requirements.find_complaints(shown(), [*everything_but("D-1", "D-2"), OpenEntry(("D-1", "D-2"), " ")])
    assert complaints == ["The open entry of D-1 has no reason."]


def test_ids_are_read_from_tests_classes_modules_and_parameters(tmp_path: Path) -> None:
    found = read(tmp_path, MARKED)
    assert found.complaints == []
    assert found.tests["S-1"] == found.tests["C-2"] == ["test_x.py::test_something"]
    assert found.tests["S-2"] == ["test_x.py::test_more"]
    assert set(found.tests) == {"S-1", "C-2", "S-2", "D-3", "D-4"}


def test_ids_in_files_that_are_never_collected_do_not_count(tmp_path: Path) -> None:
    assert read(tmp_path, MARKED, "benchmarks/test_speed.py").tests == {}


def test_an_id_on_something_that_is_no_test_is_named(tmp_path: Path) -> None:
    found = read(tmp_path, "@pytest.mark.req('S-1')\ndef make_account(): ...\n")
    assert found.complaints == ["test_x.py::make_account carries requirement ids, but is not a test."]


def test_an_id_that_is_not_written_out_is_named(tmp_path: Path) -> None:
    found = read(tmp_path, "@pytest.mark.req(*IDS)\ndef test_x(): ...\n")
    assert found.complaints == ["test_x.py::test_x carries an id that is not written out: *IDS."]


@given(st.sets(st.sampled_from(ALL)))
def test_compact_ids_expand_to_the_same_ids(names: set[str]) -> None:
    spelled = requirements.compact(names)
    assert [name for one in spelled for name in requirements.expand(one)] == sorted(names, key=ALL.index)


@pytest.mark.parametrize("spelling", ["", "S", "S-", "S-1..D-2", "S-1..", "S-1-S-2", "S 1"])
def test_a_range_that_is_none_is_refused(spelling: str) -> None:
    with pytest.raises(LedgerError, match="is neither an id"):
        list(requirements.expand(spelling))


def test_mending_takes_out_what_has_a_test_and_keeps_the_reasons(tmp_path: Path) -> None:
    path = tmp_path / "open.toml"
    entries = [OpenEntry(("S-1", "S-2", "S-3"), 'the "first" reason'), OpenEntry(("C-1",), "done by now")]
    requirements.write_open(requirements.mend(entries, shown("S-2", "C-1")), path)
    assert requirements.read_open(path) == [OpenEntry(("S-1", "S-3"), 'the "first" reason')]


def test_all_ids_survive_being_written_and_read(tmp_path: Path) -> None:
    path = tmp_path / "open.toml"
    entries = [OpenEntry(ALL[::2], "even"), OpenEntry(ALL[1::2], "odd \\ back")]
    requirements.write_open(entries, path)
    assert requirements.read_open(path) == entries


@pytest.mark.parametrize(
    "text", ["[[open]]\nids = ['S-1']\n", "[[open]\n", "open = 3\n", "[[open]]\nids = 7\nreason = ''\n"]
)
def test_an_open_file_of_another_form_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "open.toml"
    path.write_text(text)
    with pytest.raises(LedgerError, match="does not read as"):
        requirements.read_open(path)
