"""Passwords: one line of a file, or a prompt on a real terminal that does not show what is typed."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from migrator.cli.prompts import NoPassword, is_readable_by_others, read_password

ASK = "from migrator.cli.prompts import ask_password; print('got', ask_password('Password of john: ').reveal()[::-1])"


@pytest.mark.parametrize(
    ("content", "password"),
    [
        (b"secret", "secret"),
        (b"secret\n", "secret"),
        (b"secret\r\n", "secret"),
        (b" a b \n", " a b "),
        ("pä\u00a0ß\n".encode(), "pä\u00a0ß"),
        (b"\xef\xbb\xbfsecret\n", "secret"),
        (b"jps#dhj\t\n", "jps#dhj\t"),
    ],
)
def test_the_line_of_a_password_file_is_taken_without_its_line_end(tmp_path, content, password) -> None:
    path = tmp_path / "password"
    path.write_bytes(content)
    assert read_password(path).reveal() == password


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"secret\n\n", "more than one line"),
        (b"secret\nother\n", "more than one line"),
        (b"secret\r", "more than one line"),
        (b"s\xfccret\n", "not UTF-8"),
        ("secret".encode("utf-16-le"), "NUL"),
        (b"x" * 5000, "too long"),
    ],
)
def test_a_file_that_is_no_password_file_is_refused_without_repeating_it(tmp_path, content, words) -> None:
    path = tmp_path / "password"
    path.write_bytes(content)
    with pytest.raises(NoPassword, match=words) as refusal:
        read_password(path)
    assert "secret" not in str(refusal.value)


def test_a_file_without_end_is_not_read_to_its_end() -> None:
    with pytest.raises(NoPassword, match="too long"):
        read_password(Path("/dev/zero"))


@pytest.mark.parametrize(("mode", "open_to_others"), [(0o600, False), (0o400, False), (0o640, True), (0o604, True)])
def test_a_file_that_others_can_read_is_known(tmp_path, mode, open_to_others) -> None:
    path = tmp_path / "password"
    path.touch()
    path.chmod(mode)
    assert is_readable_by_others(path) is open_to_others


def test_a_prompt_on_a_terminal_does_not_show_the_password() -> None:
    own, terminal = pty.openpty()
    take_terminal = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    asking = subprocess.Popen(
        [sys.executable, "-c", take_terminal + ASK],
        stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True,
    )  # fmt: skip
    os.close(terminal)
    shown = b""
    while b"john: " not in shown:
        shown += os.read(own, 1024)
    os.write(own, b"hunter2\n")
    shown += read_to_the_end(own)
    os.close(own)
    assert asking.wait() == 0
    assert b"got 2retnuh" in shown
    assert b"hunter2" not in shown


def read_to_the_end(terminal: int) -> bytes:
    shown = b""
    try:
        while piece := os.read(terminal, 1024):
            shown += piece
    except OSError:  # Linux: EIO when the other side has closed
        pass
    return shown


def test_without_a_terminal_nothing_is_read_and_a_sentence_says_what_to_do() -> None:
    told = subprocess.run(
        [sys.executable, "-c", ASK], input="hunter2\n", capture_output=True, text=True, start_new_session=True
    )
    assert "There is no terminal to ask for a password" in told.stderr
    assert "got" not in told.stdout
