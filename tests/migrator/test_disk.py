"""A file and a folder are brought to the disk, and no descriptor stays open."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from migrator import disk


def test_a_file_and_the_names_of_its_folder_are_brought_to_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        real(descriptor)

    monkeypatch.setattr(disk.os, "fsync", fsync)
    file = tmp_path / "mail"
    file.write_bytes(b"x")
    before = len([*Path("/proc/self/fd").iterdir()])
    for path in (file, tmp_path, tmp_path):
        disk.sync(path)
    assert synced == [file, tmp_path, tmp_path]
    assert len([*Path("/proc/self/fd").iterdir()]) == before


def test_what_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        disk.sync(tmp_path / "none")
