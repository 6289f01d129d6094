"""What stands at the end for programs: one JSON object with the sums of all outcomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from migrator.cli import classes, pop_readers, scripts
from migrator.cli.accounts import AccountResult, Sums
from migrator.cli.summary import total
from migrator.cli.watch import AccountWatch
from migrator.errors import MigratorError
from migrator.mail import Outcome
from migrator.transfer.removal import RemovalReport
from migrator.transfer.verify import VerifyReport


def copy_object(result: AccountResult, watch: AccountWatch) -> dict[str, Any]:
    """Return the copy of one account for programs."""
    return {
        **account_object(result),
        "left_out_folders": [
            {"folder": folder.source.display, "reason": folder.reason, "messages": folder.messages}
            for folder in result.left_out
        ],
        "renamed_folders": [
            {"folder": folder, "target": name, "reason": reason} for folder, (name, reason) in watch.renamed.items()
        ],
        "lost_flags": [
            {"folder": folder, "flag": flag, "messages": count} for (folder, flag), count in watch.lost_flags.items()
        ],
        "lost_grants": [
            {"folder": event.folder, "who": event.who, "rights": event.rights, "denial": event.is_denial,
             "reply": event.reply} for event in watch.lost_grants
        ],
    }  # fmt: skip


def accounts_object(results: Sequence[AccountResult], exit_code: int, seconds: float) -> dict[str, Any]:
    """Return the copies of many accounts for programs: their sums and each account."""
    return {
        "exit_code": exit_code,
        "seconds": round(seconds, 3),
        "balanced": all(result.is_balanced for result in results),
        **_sums_object(total(results)),
        "accounts": [account_object(result) for result in results],
    }


def account_object(result: AccountResult) -> dict[str, Any]:
    """Return one account for programs. Codes are stable, sentences are not."""
    account = result.account
    return {
        "line": account.line or None,
        "source": account.source,
        "target": account.target,
        "exit_code": int(result.exit_code),
        "started": result.is_started,
        "local_reader": account.reads_files,
        "balanced": result.is_balanced,
        "seconds": round(result.seconds, 3),
        **_sums_object(result.sums),
        "error": _error_object(result.error),
        "folder_errors": [{"folder": folder, **(_error_object(error) or {})} for folder, error in result.folder_errors],
        "left_behind": [row._asdict() | {"outcome": row.outcome.name.lower()} for row in result.left_behind],
        "verify": _report_object(result.report),
        "sieve": scripts.as_object(result.scripts),
        "pop3": pop_readers.as_object(result.pop3),
        "classes": classes.as_object(result.classes),
        "removal": _removal_object(result.removal),
        "set_aside": str(result.set_aside) if result.set_aside else None,
    }


def _sums_object(sums: Sums) -> dict[str, Any]:
    return {
        "folders": sums.folders,
        "messages": sums.listed,
        "removed": sums.removed,
        "removed_by_us": sums.removed_by_us,
        "outcomes": _outcomes_object(sums.outcomes),
        "appended": sums.appended,
        "appended_bytes": sums.appended_bytes,
        "flag_changes": sums.flag_changes,
        "planned": sums.planned,
        "planned_bytes": sums.planned_bytes,
    }


def _outcomes_object(outcomes: Mapping[Outcome, int]) -> dict[str, int]:
    return {outcome.name.lower(): outcomes.get(outcome, 0) for outcome in Outcome}


def _error_object(error: MigratorError | None) -> dict[str, Any] | None:
    if error is None:
        return None
    return {
        "code": error.code,
        "side": error.side,
        "radius": error.radius,
        "patience": error.patience,
        "sentence": error.sentence,
        "next_step": error.hint,
        "reply": error.reply,
    }


def _removal_object(removal: RemovalReport | None) -> dict[str, Any] | None:
    if removal is None:
        return None
    return {
        "removed": removal.removed,
        "kept": {reason.value: count for reason, count in sorted(removal.kept.items())},
        "stopped": removal.is_stopped,
        "error": _error_object(removal.error),
        "folder_errors": [
            {"folder": path.display, **(_error_object(error) or {})} for path, error in removal.folder_errors
        ],
    }


def _report_object(report: VerifyReport | None) -> dict[str, Any] | None:
    if report is None:
        return None
    return {
        "level": report.level,
        "folders": report.folders,
        "checked": report.checked,
        "clean": report.is_clean,
        "differences": [
            {"folder": finding.folder.display, "uid": finding.uid, "difference": finding.difference}
            for finding in report.differences
        ],
    }
