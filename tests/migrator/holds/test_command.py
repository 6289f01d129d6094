"""A hold by an operator's program keeps the contract, and what the program says is not taken for something else."""

from __future__ import annotations

import stat
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from migrator.entries import Json, open_connector
from migrator.errors import MigratorError, Patience, Side
from migrator.holds import HOLDS
from migrator.holds.base import HeldMail
from tests.contracts.entries import ANNA, BERT, CLARA
from tests.contracts.hold import HoldContract, PostOffice

# A post office of folders: state/ADDRESS says held or free, waiting/ADDRESS and SIDE/ADDRESS have a line a message.
PROGRAM = """\
#!/bin/sh
set -eu
cd "$(dirname "$0")"
case $1 in
    check) exit 0 ;;
esac
[ -f "state/$2" ] || exit 67
case $1 in
    look) cat "state/$2" ;;
    hold) echo held >"state/$2" ;;
    free) echo free >"state/$2" ;;
    settled) echo yes ;;
    count) echo "$(wc -l <"waiting/$2")" 1700000000 ;;
    flush) cat "waiting/$2" >>"$3/$2"; : >"waiting/$2" ;;
    *) exit 64 ;;
esac
"""

AT_SENDERS: list[tuple[str, tuple[int, float | None]]] = [("0", (0, None)), ("3 1700000000", (3, 1.7e9))]


def written(folder: Path, text: str) -> Path:
    program = folder / "hold"
    program.write_text(text)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


def hold(program: Path, **more: Json) -> Any:
    return open_connector(HOLDS, "command", {"program": [str(program)], **more})


class TestProgram(HoldContract):
    @pytest.fixture
    def place(self, tmp_path: Path) -> PostOffice:
        for folder in ("state", "waiting", *Side):
            (tmp_path / folder).mkdir()
            for address in (ANNA, BERT, CLARA):
                (tmp_path / folder / address).write_text("free\n" if folder == "state" else "")
        program = written(tmp_path, PROGRAM)

        def deliver(address: str, body: bytes) -> None:
            is_held = (tmp_path / "state" / address).read_text() == "held\n"
            with (tmp_path / ("waiting" if is_held else "source") / address).open("a") as box:
                box.write("a message\n")

        return PostOffice(
            lambda: hold(program),
            lambda address: (tmp_path / "state" / address).write_text("on holiday\n"),
            deliver,
            lambda address, side: len((tmp_path / side / address).read_text().splitlines()),
        )


@pytest.mark.parametrize(
    ("printed", "wanted"),
    [("0", HeldMail(0)), ("0 1700000000", HeldMail(0)), ("3 1700000000", HeldMail(3, 1.7e9)), ("3", HeldMail(3))]
    + [("2 1700000000 aside=3", HeldMail(2, 1.7e9, 3)), ("0 aside=1 senders", HeldMail(0, None, 1, is_at_senders=True))]
    + [(f"{words} senders", HeldMail(*held, is_at_senders=True)) for words, held in AT_SENDERS],
)
def test_what_waits_is_counted_with_its_age_or_without(tmp_path: Path, printed: str, wanted: HeldMail) -> None:
    assert hold(written(tmp_path, f"#!/bin/sh\necho '{printed}'\n")).held(ANNA) == wanted


@pytest.mark.parametrize("printed", ["", "many", "-1", "1 2 3", "1\n2", "none waits", "1 999999999999"])
def test_a_count_that_is_no_number_is_not_taken_for_none(tmp_path: Path, printed: str) -> None:
    program = hold(written(tmp_path, f"#!/bin/sh\nprintf '%s' '{printed}'\n"))
    for look in (program.held, program.is_settled):
        with pytest.raises(MigratorError) as refusal:
            look(ANNA)
        assert (refusal.value.code, refusal.value.reply) == ("hold.unreadable", printed)


def test_a_program_that_fails_is_an_error_with_its_words_and_says_when_trying_later_helps(tmp_path: Path) -> None:
    for code, patience in ((1, Patience.NEVER), (75, Patience.LATER)):
        program = hold(written(tmp_path, f"#!/bin/sh\necho 'queue is locked' >&2\nexit {code}\n"))
        calls = (program.find, program.held, program.is_settled, partial(program.flush, to=Side.TARGET))
        for call in calls:
            with pytest.raises(MigratorError) as refusal:
                call(ANNA)
            error = refusal.value
            assert (error.code, error.reply, error.patience) == ("command.failed", "queue is locked", patience)


def test_each_line_of_a_check_is_one_thing_to_mend(tmp_path: Path) -> None:
    program = hold(written(tmp_path, "#!/bin/sh\necho 'mail is returned after 4 h'\necho 'no router'\n"))
    assert [(one.code, one.reply) for one in program.trouble()] == [
        ("hold.unfit", "mail is returned after 4 h"),
        ("hold.unfit", "no router"),
    ]


@pytest.mark.parametrize(
    "address", ["-x@example.test", "a b@example.test", "a;b@example.test", "$(id)@example.test", "anna"]
)
def test_what_a_program_could_take_for_something_else_is_not_handed_to_it(tmp_path: Path, address: str) -> None:
    program = hold(written(tmp_path, '#!/bin/sh\ntouch "$(dirname "$0")/ran"\n'))
    with pytest.raises(MigratorError) as refusal:
        program.find(address)
    assert refusal.value.code == "address.bad"
    assert not (tmp_path / "ran").exists()
