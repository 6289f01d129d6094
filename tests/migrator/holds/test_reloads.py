"""What is noted of reloads is seen by all our processes, and by nobody after the machine was started again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from migrator.errors import MigratorError
from migrator.holds import reloads
from migrator.holds.reloads import NEVER, Reload, noted

WORDS = ("", "/etc/postfix")


def test_what_one_notes_the_next_reads_and_other_servers_have_their_own(tmp_path: Path) -> None:
    with noted(WORDS, lambda: tmp_path) as note:
        assert note.read() == Reload(NEVER, NEVER)
        note.write(Reload(12345.678, 12346.0))
        note.write(Reload(2.5, 3.0))
    with noted(WORDS, lambda: tmp_path) as note:
        assert note.read() == Reload(2.5, 3.0)
    with noted(("ssh", "mx", "", ""), lambda: tmp_path) as note:
        assert note.read() == Reload(NEVER, NEVER)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"boot": "another", "begun": 1, "over": 2}', '{"begun": 1}'])
def test_what_cannot_be_believed_counts_as_never(tmp_path: Path, text: str) -> None:
    with noted(WORDS, lambda: tmp_path) as note:
        note.write(Reload(1.0, 2.0))
    (file,) = tmp_path.iterdir()
    assert json.loads(file.read_text())["begun"] == 1.0
    file.write_text(text)
    with noted(WORDS, lambda: tmp_path) as note:
        assert note.read() == Reload(NEVER, NEVER)


def test_only_one_process_holds_the_note(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from migrator.holds.reloads import noted\n"
        "with noted(('', '/etc/postfix'), lambda: Path(sys.argv[1])) as note: print(note.read().begun)"
    )
    with noted(WORDS, lambda: tmp_path) as note:
        other = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(1)
        note.write(Reload(4.0, 5.0))
    assert other.communicate(timeout=10)[0] == "4.0\n"


def test_a_folder_that_others_may_write_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reloads.tempfile, "tempdir", str(tmp_path))
    with noted(WORDS) as note:
        note.write(Reload(1.0, 2.0))
    (folder,) = tmp_path.iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o777)
    with pytest.raises(MigratorError), noted(WORDS):
        pass
    folder.rename(tmp_path / "other")
    folder.symlink_to(tmp_path / "other")
    os.chmod(tmp_path / "other", 0o700)  # noqa: PTH101
    with pytest.raises(MigratorError), noted(WORDS):
        pass
