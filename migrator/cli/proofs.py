"""``mailferry proof``: the signed manifest of a ledger on standard output, and in sentences what it says."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from migrator.cli.accounts import MISSED, Exit
from migrator.cli.doors import BadInput
from migrator.cli.terminal import Terminal, counted, printable
from migrator.cli.watch import OUTCOMES
from migrator.errors import MigratorError
from migrator.mail import Outcome
from migrator.transfer.file_ledger import LedgerFile
from migrator.transfer.manifest import Entry, Manifest, Totals
from migrator.transfer.proof import Balance
from migrator.transfer.signing import BadKey, SigningKey, fingerprint, keep_key, key_beside, to_pem

_PUBLIC_SUFFIX: Final = ".pub"


def run(options: argparse.Namespace, terminal: Terminal) -> Exit:
    """Write the manifest of all accounts of a ledger file. Raises ``BadInput``, and ``MigratorError`` of the file."""
    path: Path = options.ledger
    if not path.exists():
        raise BadInput(f"There is no ledger {path}: name the file that was named with --ledger when copying.")
    key = _key(path)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    manifest = Manifest(key, made_at=now, title=options.title, with_records=not options.no_records)
    try:
        with LedgerFile(path) as file:
            for line in manifest.lines(_entries(file)):
                sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the interpreter must not try again at its end
        raise BadInput("Whoever reads the manifest left before its end; it is not whole.") from None
    for text in [*_summary(manifest.totals), *_about_key(path, key)]:
        terminal.say(printable(text))
    return _exit(manifest.totals)


def _key(ledger: Path) -> SigningKey:
    file = key_beside(ledger)
    try:
        is_new = not file.exists()
        key = keep_key(file)
        if is_new:
            file.with_name(file.name + _PUBLIC_SUFFIX).write_text(to_pem(key.public), encoding="ascii")
    except BadKey as refusal:
        raise BadInput(str(refusal)) from None
    except OSError as error:
        raise BadInput(f"The key {file} cannot be read or made: {error.strerror}.") from None
    return key


def _entries(file: LedgerFile) -> Iterator[Entry]:
    """Yield the accounts of a ledger file, each held while its lines are written."""
    for source, target in file.pairs():
        try:
            ledger = file.account(source, target)
        except MigratorError as error:
            if error.code != "ledger.busy":
                raise
            yield Entry(source, target, None)
            continue
        with ledger:
            yield Entry(source, target, ledger)


def _summary(totals: Totals) -> Iterator[str]:
    accounts, folders = counted(totals.accounts, "account"), counted(totals.folders, "folder")
    yield f"{accounts} in {folders}. {totals.balanced:,} balanced: each of their messages has exactly one outcome."
    if totals.at_work:
        yield f"{counted(totals.at_work, 'account')} worked on just now, and not in it."
    if totals.unsound:
        yield f"{counted(totals.unsound, 'account')} whose ledger is damaged; mailferry verify names each place."
    yield from sums(totals.balance)


def sums(balance: Balance) -> Iterator[str]:
    """Yield the sum in words: what the old server had, and where each of it ended."""
    yield f"{counted(balance.listed, 'message')} on the old server, of which:"
    for outcome in Outcome:
        if count := balance.outcomes.get(outcome):
            yield f"  {count:,} {OUTCOMES[outcome]}"
    if balance.removed:
        yield f"  -{balance.removed:,} of these removed from the old server since"
    if balance.missing:
        yield f"  {balance.missing:,} without an outcome"


def _about_key(ledger: Path, key: SigningKey) -> Iterator[str]:
    file = key_beside(ledger)
    yield f"Signed with the key {file}; its public half is {file}{_PUBLIC_SUFFIX}."
    yield f"Its fingerprint: {fingerprint(key.public)}"


def _exit(totals: Totals) -> Exit:
    if totals.unsound:
        return Exit.PERSON
    if totals.balanced < totals.accounts:
        return Exit.AGAIN
    missed = any(totals.balance.outcomes.get(outcome) for outcome in MISSED)
    return Exit.LEFT_BEHIND if missed else Exit.ALL_THERE
