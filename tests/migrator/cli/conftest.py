"""The command line as a test calls it: in this process, with files of its own and no waiting between two tries."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from migrator.cli import main


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    exit_code: int
    out: str
    err: str

    @property
    def answer(self) -> dict[str, Any]:
        """The JSON object on standard output: nothing else may stand there."""
        return json.loads(self.out)


@pytest.fixture
def mailferry(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch) -> Callable[..., Ended]:
    """Run ``mailferry WORDS``; without waits between two tries, and with a data folder of its own."""
    monkeypatch.setattr("migrator.transfer.copy.RECONNECT_SECONDS", (0.0,))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))

    def run(*words: object) -> Ended:
        try:
            exit_code = main([str(word) for word in words])
        except SystemExit as ended:  # argparse ends the program
            exit_code = ended.code
        return Ended(exit_code, *capsys.readouterr())

    return run


@pytest.fixture
def passwords(tmp_path: Path) -> list[str]:
    """The options that name a password file for each side."""
    file = tmp_path / "password"
    file.write_text("pw\n")
    file.chmod(0o600)
    return ["--source-password-file", str(file), "--target-password-file", str(file)]
