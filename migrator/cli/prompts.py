"""Where a password comes from: a prompt on the terminal, or the one line of a file. Never an argument or a variable."""

from __future__ import annotations

import getpass
import stat
import warnings
from pathlib import Path
from typing import Final

from migrator.secret import Secret

PASSWORD_BYTES: Final = 4096
_READABLE_BY_OTHERS: Final = stat.S_IRGRP | stat.S_IROTH


class NoPassword(ValueError):
    """There is no password to use; the text is the sentence for the operator."""


def ask_password(question: str) -> Secret:
    """Ask on the terminal without showing what is typed. Raises ``NoPassword`` where there is none."""
    with warnings.catch_warnings():
        # without a terminal getpass would show what is typed, after a warning: no
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            password = getpass.getpass(question)
        except (getpass.GetPassWarning, EOFError):
            raise NoPassword(
                "There is no terminal to ask for a password. Put it into a file that only you can read, and name the "
                "file: --source-password-file FILE, --target-password-file FILE."
            ) from None
        except UnicodeDecodeError:
            raise NoPassword("What was typed is not text in the character set of this terminal.") from None
    if not password:
        raise NoPassword("The password is empty.")
    return Secret(password)


def read_password(path: Path) -> Secret:
    """Return the one line of ``path`` without its line end; blanks stay. Raises ``NoPassword``, ``OSError``."""
    with path.open("rb") as file:
        content = file.read(PASSWORD_BYTES + 1)
    if len(content) > PASSWORD_BYTES:
        raise NoPassword(f"{path} is too long for a password file: it holds one line, the password.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise NoPassword(f"{path} is not UTF-8 text.") from None
    password = text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text
    if not password:
        raise NoPassword(f"{path} is empty: it must hold one line, the password.")
    if "\n" in password or "\r" in password:
        raise NoPassword(f"{path} holds more than one line: it must hold one line, the password.")
    if "\0" in password:
        raise NoPassword(f"{path} holds a NUL character; if it is UTF-16, save it as UTF-8.")
    return Secret(password)


def is_readable_by_others(path: Path) -> bool:
    """Tell whether other people on this machine may read the file ``path``."""
    mode = path.stat().st_mode
    return stat.S_ISREG(mode) and bool(mode & _READABLE_BY_OTHERS)
