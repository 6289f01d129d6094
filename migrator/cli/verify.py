"""``mailferry verify``: is a manifest what was signed, do its sums hold, and is the mail still there."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

from migrator.cli import doors
from migrator.cli.accounts import Exit, exit_of_error
from migrator.cli.doors import BadInput
from migrator.cli.proofs import sums
from migrator.cli.terminal import Terminal, counted, printable
from migrator.cli.watch import sentence_of_error
from migrator.errors import MigratorError, Side
from migrator.limits import Limits
from migrator.transfer import manifest_check, recheck
from migrator.transfer.manifest_check import Checked, Folder, NoManifest
from migrator.transfer.recheck import Recheck
from migrator.transfer.signing import BadKey, fingerprint, plain_fingerprint, read_public
from migrator.transfer.verify import VerifyLevel

SHOWN: Final = 100  # problems and differences; JSON has more


class Told(NamedTuple):
    """How a verify ended: for the shell, for people, for programs."""

    exit_code: Exit
    lines: list[str]
    answer: dict[str, Any]


class _Against(NamedTuple):
    """One account read again."""

    target: str
    report: Recheck | None
    error: MigratorError | None


def run(options: argparse.Namespace, terminal: Terminal, limits: Limits) -> Told:
    """Check a manifest, and the target when it is named. Raises ``BadInput``."""
    expected = _expected_key(options.public_key)
    try:
        with options.manifest.open("rb") as file:
            checked = manifest_check.check(file)
    except NoManifest as refusal:
        raise BadInput(f"{options.manifest}: {refusal}") from None
    except OSError as error:
        raise BadInput(f"{options.manifest} cannot be read: {error.strerror}.") from None
    if expected and expected != _digits(checked.key):
        checked.problems.insert(0, "It was signed with another key than the one you named.")
    looked = []
    if options.target and checked.holds:
        looked = list(_look_again(options, terminal, checked, limits))
    return _told(options, checked, looked, is_key_known=bool(expected))


def _digits(public: bytes) -> str:
    return fingerprint(public).replace(" ", "")


def _expected_key(text: str | None) -> str | None:
    """Return the digits of the fingerprint that is asked for, by itself or by its key."""
    if text is None:
        return None
    digits = plain_fingerprint(text)
    if digits:
        return digits
    try:
        return _digits(read_public(Path(text)))
    except BadKey as refusal:
        raise BadInput(str(refusal)) from None
    except OSError as error:
        raise BadInput(
            f"--public-key is neither a fingerprint (64 digits) nor a file that can be read: {error.strerror}."
        ) from None


# The target again


def _look_again(
    options: argparse.Namespace, terminal: Terminal, checked: Checked, limits: Limits
) -> Iterator[_Against]:
    level = VerifyLevel(options.level)
    if not checked.has_records:
        raise BadInput("This manifest holds sums alone, so single messages cannot be compared: make one with records.")
    door, password = doors.one(options, Side.TARGET, terminal, is_server=bool(options.target_admin))
    found = 0
    with options.manifest.open("rb") as file:
        for _, target, folders in manifest_check.accounts(file):
            user = _user_of(target) if options.target_admin else door.url.mailbox or ""
            if not options.target_admin and target != door.url.identity_of(user) and user != _user_of(target):
                continue
            found += 1
            terminal.say(printable(f"Reading {target} again."))
            yield _account(door.open(user, password, limits), target, folders, level)
    if not found:
        raise BadInput(f"The manifest knows no account {door.url.mailbox}: name the user as the manifest does.")


def _user_of(identity: str) -> str:
    """Return whose mailbox a ledger's name of it means: ``imap://john%40a@host:143``; a path means itself."""
    names = identity.partition("://")[2].rpartition("@")[0]
    return unquote(names) if names else identity


def _account(open_store: Callable[[], Any], target: str, folders: Iterator[Folder], level: VerifyLevel) -> _Against:
    try:
        with open_store() as store:
            pairs = ((folder.state, folder.leaves) for folder in folders)
            return _Against(target, recheck.recheck(store, pairs, level=level), None)
    except MigratorError as error:
        return _Against(target, None, error)


# What is told


def _told(options: argparse.Namespace, checked: Checked, looked: list[_Against], *, is_key_known: bool) -> Told:
    exit_code = max([_exit(checked), *(_exit_of(one, strict=options.strict) for one in looked)])
    lines = [*_about(checked, is_key_known=is_key_known), *_listed(checked)]
    for one in looked:
        lines += _against_lines(one)
    return Told(exit_code, [printable(text) for text in lines], _object(checked, looked, exit_code))


def _exit(checked: Checked) -> Exit:
    if not checked.holds:
        return Exit.PERSON
    return Exit.AGAIN if checked.open else Exit.ALL_THERE


def _exit_of(one: _Against, *, strict: bool) -> Exit:
    if one.error:
        return exit_of_error(one.error)
    is_well = one.report is None or one.report.is_clean or (one.report.is_faithful and not strict)
    return Exit.ALL_THERE if is_well else Exit.PERSON


def _about(checked: Checked, *, is_key_known: bool) -> Iterator[str]:
    title = f" of {checked.title}" if checked.title else ""
    yield f"Manifest{title}, made at {checked.made_at}: {counted(checked.totals.accounts, 'account')}."
    if checked.is_signed:
        yield f"It is as it was signed. Fingerprint of the key: {fingerprint(checked.key)}"
        if not is_key_known:
            yield "Compare the fingerprint with the one you were given another way, or name it: --public-key."
    if checked.holds:
        chains = "the chains of records, all sums" if checked.has_records else "all sums (it holds no records)"
        yield f"Checked: signature, {chains}. {checked.totals.balanced:,} accounts balance."
        if checked.verified:
            yield f"{counted(checked.verified, 'account')} compared with the new server before the move."
        yield from sums(checked.totals.balance)


def _listed(checked: Checked) -> Iterator[str]:
    for told, head in ((checked.problems, "It does not hold:"), (checked.open, "Not finished:")):
        if told:
            yield head
            yield from (f"  {text}" for text in told[:SHOWN])
            if len(told) > SHOWN:
                yield f"  and {len(told) - SHOWN:,} more"


def _against_lines(one: _Against) -> Iterator[str]:
    if one.report is None:
        yield f"{one.target}: {sentence_of_error(one.error) if one.error else 'not looked at'}"
        return
    report = one.report
    read = f", {report.read:,} read to the last byte" if report.level is VerifyLevel.DIGEST else ""
    yield f"{one.target}: {report.found:,} of {counted(report.expected, 'copied message')} there{read}."
    if report.is_faithful and not report.is_clean:
        yield "  What differs, people may have done since:"
    for difference in report.differences[:SHOWN]:
        yield f"  {difference.folder.display}: {difference.sentence}"
    told = min(SHOWN, len(report.differences))
    if sum(report.counts.values()) > told:
        yield "  all in all: " + ", ".join(f"{count:,} {change.value}" for change, count in report.counts.items())


def _object(checked: Checked, looked: list[_Against], exit_code: Exit) -> dict[str, Any]:
    return {
        "exit_code": int(exit_code),
        "holds": checked.holds,
        "signed": checked.is_signed,
        "fingerprint": _digits(checked.key),
        "accounts": checked.totals.accounts,
        "balanced": checked.totals.balanced,
        "problems": checked.problems,
        "open": checked.open,
        "against": [_against_object(one) for one in looked],
    }


def _against_object(one: _Against) -> dict[str, Any]:
    report = one.report
    return {
        "target": one.target,
        "error": one.error.code if one.error else None,
        "expected": report.expected if report else None,
        "found": report.found if report else None,
        "read": report.read if report else None,
        "changes": {change.value: count for change, count in report.counts.items()} if report else {},
        "differences": [
            {"folder": one.folder.display, "uid": one.uid, "change": one.change.value}
            for one in (report.differences if report else ())
        ],
    }
