"""``mailferry folders SOURCE``: what the list pattern finds, before anything is copied."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

from migrator.cli import wishes
from migrator.cli.accounts import Exit
from migrator.cli.doors import Door
from migrator.cli.terminal import counted, printable, table
from migrator.cli.watch import LEFT_OUT
from migrator.limits import Limits
from migrator.secret import Secret
from migrator.stores.base import SourceStore
from migrator.stores.imap_files import telltales
from migrator.stores.manners import ALL
from migrator.stores.profiles import GENERIC
from migrator.transfer.folders import FolderRules, map_folders
from migrator.transfer.labels import as_archive, system_prefix


@dataclass(frozen=True, slots=True)
class FoundFolder:
    """One folder that can hold messages. ``name`` is the one it would be copied under, empty when it is left out."""

    folder: str
    messages: int | None
    subscribed: bool
    name: str
    left_out: str = ""  # why, as a code


class Told(NamedTuple):
    """What a preview says: for the shell, for people, for programs."""

    exit_code: Exit
    lines: list[str]
    answer: dict[str, Any]


def run(options: argparse.Namespace, door: Door, password: Secret | None, limits: Limits) -> Told:
    """List one mailbox and say what would become of its folders. Raises ``MigratorError``."""
    # Here files are shown and not refused: to see them is what the command is for.
    shown = replace(door, manners=replace(door.manners, list_pattern=door.manners.list_pattern or ALL))
    user = door.url.mailbox or ""
    with shown.open(user, password, limits)() as source:
        found = found_folders(source, wishes.rules(options, user, user))
    files = telltales(each.folder for each in found)
    return Told(Exit.ALL_THERE, _lines(found, files), _object(found, files))


def found_folders(source: SourceStore, rules: FolderRules) -> list[FoundFolder]:
    """Return the folders of ``source`` with what ``rules`` make of them; as on a target that takes every name."""
    listed = source.folders()
    prefix, separator = source.prefix()
    if source.features.has_labels:
        mapped = as_archive(listed, rules)
        prefix = prefix or system_prefix(mapped)
    else:
        mapped = listed
    mapping = map_folders(
        mapped,
        [],
        source_prefix=prefix,
        source_separator=separator,
        target_prefix="",
        target_separator="/",
        profile=GENERIC,
        rules=rules,
        known={},
    )
    names = {pair.source.path: pair.target.display for pair in mapping.pairs}
    reasons = {folder.path: reason for folder, reason in mapping.left_out}
    return [
        FoundFolder(
            each.path.display, each.messages, each.subscribed, names.get(each.path, ""), reasons.get(each.path, "")
        )
        for each in listed
        if each.selectable
    ]


def _lines(found: Sequence[FoundFolder], files: Sequence[str]) -> list[str]:
    rows = [
        (each.folder, "?" if each.messages is None else f"{each.messages:,}", "yes" if each.subscribed else "",
         f"left out: {LEFT_OUT.get(each.left_out, each.left_out)}" if each.left_out else each.name)
        for each in found
    ]  # fmt: skip
    copied = [each for each in found if not each.left_out]
    messages = sum(each.messages or 0 for each in copied)
    lines = table(("Folder", "Messages", "Subscribed", "Copied as"), rows)
    lines += ["", f"{counted(len(copied), 'folder')} with {counted(messages, 'message')} would be copied."]
    if files:
        lines += [f"Some are files, not mail ({', '.join(files)}): say by --list where the mail is, such as 'Mail/*'."]
    return [printable(line) for line in lines]


def _object(found: Sequence[FoundFolder], files: Sequence[str]) -> dict[str, Any]:
    return {"exit_code": 0, "folders": [asdict(each) for each in found], "files": list(files)}
