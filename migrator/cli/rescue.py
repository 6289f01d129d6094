"""``mailferry rescue DIR``: the rescue folder from a shell, when panel and database are gone."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from cryptography.fernet import Fernet, MultiFernet

from migrator.cli.accounts import Exit, exit_of_error
from migrator.cli.doors import BadInput
from migrator.cli.prompts import NoPassword, ask_password, is_readable_by_others
from migrator.cli.stopping import Interrupts
from migrator.cli.terminal import Terminal, counted, printable
from migrator.errors import MigratorError, Patience
from migrator.rescue.folder import RescueFolder
from migrator.rescue.work import Rescued, Way, rescue

KEY_BYTES: Final = 64 * 1024
_WAYS: Final = {
    Way.NONE: "on the source, as nothing was changed or all of it was undone",
    Way.BACK: "back on the source",
    Way.FORWARD: "on the target",
}


class Told(NamedTuple):
    """How a rescue ended: for the shell, for people, for programs."""

    exit_code: Exit
    lines: list[str]
    answer: dict[str, Any]


def run(options: argparse.Namespace, terminal: Terminal) -> Told:
    """Rescue the accounts of a folder. Raises ``BadInput``, and ``MigratorError`` of the folder as a whole."""
    folder = RescueFolder(options.folder, _keys(options.key_file, terminal))
    results: list[Rescued] = []
    with Interrupts() as stop:
        for result in _rescued(folder):
            results.append(result)
            if options.verbose or result.error:
                terminal.say(printable(_line(result)))
            if stop.is_set():
                break
    exit_code = _exit(results, is_stopped=stop.is_set())
    return Told(exit_code, _summary(results), _object(results, exit_code))


def _rescued(folder: RescueFolder) -> Iterator[Rescued]:
    try:
        yield from rescue(folder)
    except MigratorError as error:  # of the folder as a whole: what concerns one account is in its result
        if error.patience is Patience.NEVER:
            raise BadInput(f"{error.sentence} {error.hint}") from None
        raise


def _keys(file: Path | None, terminal: Terminal) -> MultiFernet:
    try:
        text = ask_password("Key of the rescue folder: ").reveal() if file is None else _key_text(file, terminal)
        return MultiFernet([Fernet(key) for key in text.split()])
    except NoPassword:
        raise BadInput("There is no key: name the installation's key file, --key-file FILE.") from None
    except OSError as error:
        raise BadInput(f"The key file cannot be read: {error.strerror}.") from None
    except ValueError:
        raise BadInput("This is not a key: it is 44 characters, one key on each line of the file.") from None


def _key_text(file: Path, terminal: Terminal) -> str:
    with file.open("rb") as opened:
        text = opened.read(KEY_BYTES).decode("ascii")
    if is_readable_by_others(file):
        terminal.say(printable(f"Others on this machine can read {file}: chmod 600 it."))
    return text


def _exit(results: Sequence[Rescued], *, is_stopped: bool) -> Exit:
    if is_stopped:
        return Exit.STOPPED
    return max((exit_of_error(result.error) for result in results if result.error), default=Exit.ALL_THERE)


def _summary(results: Sequence[Rescued]) -> list[str]:
    lines = [
        f"{counted(count, 'account')} {sentence}."
        for way, sentence in _WAYS.items()
        if (count := sum(result.way is way for result in results))
    ]
    unproved = [result for result in results if result.way is Way.UNPROVED]
    if unproved:
        lines.append(f"{counted(len(unproved), 'account')} left as it is, for a person:")
        lines += [printable(f"  {_line(result)}") for result in unproved]
    return lines or ["No account was begun: nothing to do."]


def _line(result: Rescued) -> str:
    who = f"{result.address} ({result.name})" if result.address else result.name
    if result.error is None:
        return f"{who}: {_WAYS[result.way]}."
    reply = f" [{result.error.reply}]" if result.error.reply else ""
    return f"{who}: {result.error.sentence}{reply} {result.error.hint}"


def _object(results: Sequence[Rescued], exit_code: Exit) -> dict[str, Any]:
    return {"exit_code": int(exit_code), "accounts": [_account(result) for result in results]}


def _account(result: Rescued) -> dict[str, Any]:
    return {
        "account": result.name,
        "address": result.address,
        "way": result.way.value,
        "side": result.side.value if result.side else None,
        "error": _error(result.error),
    }


def _error(error: MigratorError | None) -> dict[str, str] | None:
    return {"code": error.code, "sentence": error.sentence, "reply": error.reply} if error else None
