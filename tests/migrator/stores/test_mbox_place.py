"""An old mbox comes into its place whole or not at all, and nothing that is there is overwritten."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from threading import Event, Thread, current_thread

import pytest

from migrator.errors import MigratorError
from migrator.stores import mbox_lock
from migrator.stores.mbox_index import Signature
from migrator.stores.mbox_place import Owner, _Place, look, place, set_aside
from migrator.testing import FakeClock
from tests.contracts.store import letter
from tests.rigs.mailfiles import write_mbox


@pytest.fixture
def old(tmp_path: Path) -> Path:
    file = tmp_path / "old" / "anna"
    write_mbox(file, [letter(number) for number in range(5)])
    return file


@pytest.fixture
def new(tmp_path: Path) -> Path:
    (tmp_path / "spool").mkdir()
    return tmp_path / "spool" / "anna"


def refusal(old: Path, new: Path, **options: object) -> str:
    before = new.read_bytes() if new.is_file() else None
    with pytest.raises(MigratorError) as caught:
        place(old, new, clock=FakeClock(), **options)  # type: ignore[arg-type]
    assert (new.read_bytes() if new.is_file() else None) == before
    return caught.value.code


def test_a_mailbox_is_placed_octet_for_octet_with_its_owner_and_mode(old: Path, new: Path) -> None:
    placed = place(old, new, owner=Owner(65534, 65534), mode=0o660)
    assert new.read_bytes() == old.read_bytes()
    found = new.stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (65534, 65534, 0o660)
    assert (placed.messages, placed.is_new, placed.is_exposed) == (5, True, False)
    assert os.listdir(new.parent) == ["anna"]  # noqa: PTH208 - with hidden files
    assert os.listdir(old.parent) == ["anna"]  # noqa: PTH208


def test_a_second_time_nothing_is_written_also_where_new_mail_came(old: Path, new: Path) -> None:
    place(old, new)
    with new.open("ab") as file:
        file.write(b"From b@c Wed Dec  2 05:53:22 1992\nSubject: new\n\nnew\n\n")
    held = new.read_bytes()
    assert not place(old, new).is_new
    assert new.read_bytes() == held


def test_an_empty_file_is_filled_and_keeps_its_inode(old: Path, new: Path) -> None:
    new.touch()
    inode = new.stat().st_ino
    assert place(old, new).is_new
    assert (new.stat().st_ino, new.read_bytes()) == (inode, old.read_bytes())


@pytest.mark.parametrize("octets", [1, 100, 500])
def test_what_a_dead_run_began_is_completed(old: Path, new: Path, octets: int) -> None:
    new.write_bytes(old.read_bytes()[:octets])
    (new.parent / ".anna.mailferry").write_bytes(b"half of it")
    assert place(old, new).is_new
    assert new.read_bytes() == old.read_bytes()


def test_a_draft_of_a_dead_run_is_made_anew(old: Path, new: Path) -> None:
    (new.parent / ".anna.mailferry").write_bytes(b"half of it")
    assert place(old, new).is_new
    assert new.read_bytes() == old.read_bytes()
    assert not (new.parent / ".anna.mailferry").exists()


@pytest.mark.parametrize("call", ["write", "fsync", "link", "unlink"])
def test_a_run_that_dies_at_any_step_is_gone_on_with(old: Path, new: Path, call: str) -> None:
    dies = (
        "import os, sys; from pathlib import Path; from migrator.stores import mbox_place as it; "
        f"real = os.{'pwrite' if call == 'write' else call}; "
        f"os.{'pwrite' if call == 'write' else call} = lambda *a, **b: (real(*a, **b) if {call == 'link'} else 0, "
        "os._exit(9)); it.place(Path(sys.argv[1]), Path(sys.argv[2]))"
    )
    ended = subprocess.run([sys.executable, "-c", dies, str(old), str(new)], check=False, timeout=60)
    assert ended.returncode == 9
    (old.parent / "anna.lock").unlink(missing_ok=True)  # goes by itself when it is old
    place(old, new)
    assert new.read_bytes() == old.read_bytes()
    assert os.listdir(new.parent) == ["anna"]  # noqa: PTH208 - with hidden files
    assert new.stat().st_nlink == 1


def test_a_run_beside_another_never_gives_its_half_file_a_name(old: Path, new: Path, monkeypatch) -> None:
    write, seen = _Place._write, []
    is_half, may_end = Event(), Event()
    other = Thread(target=lambda: seen.append(place(old, new).is_new))

    def slowly(self: _Place, there: int, begun: int) -> None:
        if current_thread() is other:
            os.pwrite(there, old.read_bytes()[:99], 0)
            is_half.set()
            assert may_end.wait(30)
        else:
            other.start()
            assert is_half.wait(30)
        write(self, there, begun)

    monkeypatch.setattr(_Place, "_write", slowly)
    monkeypatch.setattr("migrator.stores.mbox_place.locked", lambda *_, **__: nullcontext(mbox_lock.Lock(None)))
    assert place(old, new).is_new
    assert new.read_bytes() == old.read_bytes()
    may_end.set()
    other.join()
    assert seen == [False]
    assert new.read_bytes() == old.read_bytes()
    assert os.listdir(new.parent) == ["anna"]  # noqa: PTH208


def test_other_mail_in_the_place_is_left_alone(old: Path, new: Path) -> None:
    write_mbox(new, [letter(77)])
    assert refusal(old, new) == "place.occupied"


@pytest.mark.req("S-5")
def test_a_link_or_a_file_of_another_in_the_place_is_refused(old: Path, new: Path, tmp_path: Path) -> None:
    secret = tmp_path / "shadow"
    secret.write_bytes(b"")
    new.symlink_to(secret)
    assert refusal(old, new) == "file.escapes"
    new.unlink()
    new.hardlink_to(secret)
    assert refusal(old, new) == "file.escapes"
    new.unlink()
    new.touch()
    os.chown(new, 1234, 1234)
    assert refusal(old, new, owner=Owner(65534, 65534)) == "place.of_another"
    assert secret.read_bytes() == b""
    (new.parent / ".anna.mailferry").symlink_to(secret)
    new.unlink()
    place(old, new)
    assert secret.read_bytes() == b""


def test_a_link_that_leads_out_of_the_old_folder_is_refused(old: Path, new: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(old.read_bytes())
    old.unlink()
    old.symlink_to(tmp_path / "elsewhere")
    assert refusal(old, new) == "file.escapes"


@pytest.mark.parametrize("which", ["old", "new"])
def test_a_locked_mailbox_is_waited_for_and_then_told_to_be_busy(old: Path, new: Path, which: str) -> None:
    new.touch()
    file = old if which == "old" else new
    hold = (
        "import fcntl, sys; f = open(sys.argv[1], 'r+'); fcntl.lockf(f, fcntl.LOCK_EX); print(1, flush=True); input()"
    )
    argv = [sys.executable, "-c", hold, str(file)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "1\n"
        assert refusal(old, new) == "server.mailbox_locked"
        holder.communicate("\n")
    assert place(old, new).is_new


def test_readers_are_kept_out_while_an_empty_file_is_filled(old: Path, new: Path, monkeypatch) -> None:
    new.touch()
    seen = []

    def write(self: object, there: int, begun: int) -> None:
        with new.open("r+b") as file:
            try:
                fcntl.fcntl(file, fcntl.F_OFD_SETLK, mbox_lock._READ_LOCK)
            except BlockingIOError:
                seen.append((new.parent / "anna.lock").exists())

    monkeypatch.setattr("migrator.stores.mbox_place._Place._write", write)
    place(old, new)
    assert seen == [True]


def test_a_mailbox_that_stays_is_only_looked_at(old: Path) -> None:
    before = (old.read_bytes(), old.stat().st_mtime_ns)
    old.chmod(0o644)
    found = look(old)
    assert (found.messages, found.is_new, found.is_exposed) == (5, False, True)
    assert (old.read_bytes(), old.stat().st_mtime_ns) == before


def test_what_is_no_mail_is_not_placed(tmp_path: Path, new: Path) -> None:
    file = tmp_path / "text"
    file.write_text("no mail\n")
    assert refusal(file, new).startswith("file.")


def signature(file: Path) -> Signature:
    return Signature.of(file.stat())


def test_a_file_is_set_aside_and_left_empty_where_it_was(old: Path) -> None:
    held, inode = old.read_bytes(), old.stat().st_ino
    old.chmod(0o640)
    kept = set_aside(old, signature(old))
    assert (kept.name, kept.read_bytes(), kept.stat().st_mode & 0o777) == ("anna.imported", held, 0o600)
    assert (old.read_bytes(), old.stat().st_ino, old.stat().st_mode & 0o777) == (b"", inode, 0o640)
    old.write_bytes(b"more")
    assert set_aside(old, signature(old)).name == "anna.imported-2"
    assert kept.read_bytes() == held


def test_a_file_that_changed_since_it_was_read_is_not_set_aside(old: Path) -> None:
    before = signature(old)
    with old.open("ab") as file:
        file.write(b"From b@c Wed Dec  2 05:53:22 1992\nSubject: new\n\nnew\n\n")
    held = old.read_bytes()
    with pytest.raises(MigratorError) as caught:
        set_aside(old, before)
    assert caught.value.code == "file.changing"
    assert old.read_bytes() == held
    assert os.listdir(old.parent) == ["anna"]  # noqa: PTH208


def test_a_file_whose_copy_cannot_be_kept_is_not_emptied(old: Path, monkeypatch) -> None:
    held = old.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("migrator.stores.mbox_place.os.fsync", full)
    with pytest.raises(MigratorError):
        set_aside(old, signature(old))
    assert old.read_bytes() == held
