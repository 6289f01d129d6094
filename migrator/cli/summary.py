"""What stands at the end for people: how a copy ended, in plain sentences and one table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from migrator.cli import local_readers, pop_readers
from migrator.cli.accounts import AccountResult, Exit, Sums
from migrator.cli.terminal import counted, duration, printable, size, table
from migrator.cli.watch import OUTCOMES, AccountWatch, sentence_of_error, sentence_of_grant, title, verdict
from migrator.errors import CATALOGUE, MigratorError, Patience
from migrator.mail import Outcome
from migrator.transfer.removal import Kept, RemovalReport
from migrator.transfer.verify import Difference, VerifyReport

ROWS_SHOWN: Final = 20
DIFFERENCES: Final = {
    Difference.FOLDER_UNKNOWN: "a folder of the old mailbox that no copy has seen",
    Difference.FOLDER_GONE: "a folder that is gone from the new mailbox",
    Difference.UNCOUNTED: "a folder with messages that have no outcome yet",
    Difference.TOO_FEW: "a folder that holds fewer messages than were copied",
    Difference.MISSING: "a message that was copied and is gone",
    Difference.DATE: "a message with another date",
    Difference.FLAGS: "a message with other flags",
    Difference.CONTENT: "a message with other content",
    Difference.CHAIN: "a damaged entry of the ledger",
    Difference.UNREADABLE: "something the server does not hand out",
}
KEPT: Final = {
    Kept.UNPLACED: "the new server does not tell which of its messages is the copy",
    Kept.MENDED: "the copy was mended; the original is in the old mailbox alone",
    Kept.BEFORE_US: "the new mailbox had it already, and nothing proves that the two are not one",
    Kept.MARKED: "marked as deleted by its owner",
    Kept.NOT_THERE: "its copy is not in the new mailbox any more",
    Kept.DIFFERS: "the new mailbox holds another content in its place",
    Kept.CHANGED: "the old server does not give what was copied",
    Kept.STAYED: "the old server did not remove it",
}


def of_copy(result: AccountResult, watch: AccountWatch, *, verbose: bool, is_dry_run: bool) -> list[str]:
    """Return the lines that end the copy of one account."""
    lines: list[str] = []
    if result.sums.folders:
        lines += _plan(result.sums) if is_dry_run else _standing(result.sums, result.is_balanced)
    if watch.renamed:
        lines += ["", "Folders with another name on the new server:"]
        lines += [f"  {folder} -> {name} ({reason})" for folder, (name, reason) in sorted(watch.renamed.items())]
    if watch.lost_flags:
        lines += ["", "Flags that the new server does not keep:"]
        lines += [f"  {folder}: {flag}, on {counted(count, 'message')}"
                  for (folder, flag), count in sorted(watch.lost_flags.items())]  # fmt: skip
    if watch.lost_grants:
        lines += ["", "Folders that are not open to others as they were:"]
        lines += [f"  {sentence_of_grant(event)}" for event in watch.lost_grants]
    lines += _left_behind(result, shown=None if verbose else ROWS_SHOWN)
    lines += _check(result.report, shown=None if verbose else ROWS_SHOWN)
    lines += _removed(result.removal)
    if result.set_aside:
        lines += ["", f"All of it was found there. What the file held is in {result.set_aside} now; the file is empty."]
    lines += _failures(result)
    lines += ["", _last_word(result, is_dry_run=is_dry_run)]
    return [printable(line) for line in lines[not lines[0] :]]


def of_accounts(results: Sequence[AccountResult], *, is_dry_run: bool, seconds: float) -> list[str]:
    """Return the table of all accounts and the lines that end the command."""
    sums = total(results)
    lines = table(_HEAD, [_row(result, is_dry_run) for result in results])
    lines += ["", f"{counted(len(results), 'account')} in {duration(seconds)}:"]
    lines += [f"  {count:>9,}  {words}" for words, count in Counter(map(_kind, results)).most_common()]
    removals = [result.removal for result in results if result.removal]
    lines += ["", *(_plan(sums) if is_dry_run else _standing(sums, all(result.is_balanced for result in results)))]
    lines += _removed(_all_removed(removals)) if removals else []
    lines += pop_readers.lines_of([result.pop3 for result in results])
    lines += local_readers.lines(results)
    failed = [result for result in results if result.error or result.folder_errors]
    lines += _failed_accounts(failed)
    return [printable(line) for line in lines]


def _all_removed(removals: Iterable[RemovalReport]) -> RemovalReport:
    sums = RemovalReport()
    for removal in removals:
        sums.removed += removal.removed
        sums.kept += removal.kept
        sums.folder_errors += removal.folder_errors
        sums.is_stopped |= removal.is_stopped
    return sums


def total(results: Iterable[AccountResult]) -> Sums:
    """Return the sums over all accounts."""
    sums = Sums()
    for result in results:
        sums += result.sums
    return sums


def _plan(sums: Sums) -> Iterator[str]:
    there = f"{counted(sums.listed, 'message')} in {counted(sums.folders, 'folder')} of the old mailbox"
    yield f"Nothing was written. {there}; {sums.planned:,} of them ({size(sums.planned_bytes)}) would be copied."


def _standing(sums: Sums, is_balanced: bool) -> Iterator[str]:
    yield f"{counted(sums.appended, 'message')} ({size(sums.appended_bytes)}) copied by this run" + (
        f", the flags of {sums.flag_changes:,} changed." if sums.flag_changes else "."
    )
    yield ""
    yield f"{counted(sums.listed, 'message')} in {counted(sums.folders, 'folder')} of the old mailbox:"
    for outcome, count in sums.outcomes.items():
        yield f"  {count:>9,}  {OUTCOMES[outcome]}"
    if sums.removed:
        ours = f"; {sums.removed_by_us:,} of them by --delete, each proved before" if sums.removed_by_us else ""
        yield f"  {-sums.removed:>9,}  removed from the old mailbox since{ours}"
    if is_balanced:
        yield "The sums balance: every message has its outcome."
    else:
        known = sum(sums.outcomes.values()) - sums.removed
        yield f"Not done: {counted(max(sums.listed - known, 0), 'message')} without an outcome yet."


def _left_behind(result: AccountResult, *, shown: int | None) -> Iterator[str]:
    rows = result.left_behind[:shown]
    if not rows:
        return
    yield ""
    yield "Messages that are not on the new server:"
    for row in rows:
        reason = CATALOGUE[row.code].sentence if row.code in CATALOGUE else ""
        reply = f" [{row.reply}]" if row.reply else ""
        yield f"  {row.folder}, UID {row.uid}: {OUTCOMES[row.outcome]}. {reason}{reply}".rstrip()
    if result.sums.missed > len(rows):
        yield f"  and {result.sums.missed - len(rows):,} more; --verbose shows them."


def _check(report: VerifyReport | None, *, shown: int | None) -> Iterator[str]:
    if report is None:
        return
    yield ""
    what = f"{counted(report.folders, 'folder')} and {counted(report.checked, 'message')} compared ({report.level})"
    if report.is_clean:
        yield f"Check: {what}, no difference."
        return
    yield f"Check: {what}, {counted(len(report.differences), 'difference')}:"
    for finding in report.differences[:shown]:
        place = f"{finding.folder.display}, UID {finding.uid}" if finding.uid else finding.folder.display
        reason = f": {finding.error.sentence}" if finding.error else ""
        yield f"  {place}: {DIFFERENCES[finding.difference]}{reason}"
    more = len(report.differences) - len(report.differences[:shown])
    if more:
        yield f"  and {more:,} more; --verbose shows them."


def _removed(removal: RemovalReport | None) -> Iterator[str]:
    if removal is None:
        return
    yield ""
    if removal.removed or removal.error is None:
        yield (
            f"{counted(removal.removed, 'message')} removed from the old mailbox: of each, copy and original were read "
            "again just before, and are what the ledger says."
        )
    for reason, count in sorted(removal.kept.items()):
        yield f"  {count:>9,}  stayed there: {KEPT[reason]}"
    for path, error in removal.folder_errors:
        reply = f" [{error.reply}]" if error.reply else ""
        yield f"Folder {path.display}: {sentence_of_error(error)}{reply}"
    if removal.is_stopped:
        yield "Stopped; the same command goes on."


def _failures(result: AccountResult) -> Iterator[str]:
    failures = [("", result.error)] if result.error else []
    if result.scripts is not None and result.scripts.error is not None:
        failures.append(("Sieve scripts. ", result.scripts.error))
    if result.classes is not None and result.classes.error is not None:
        failures.append(("Classes of folders. ", result.classes.error))
    for place, error in [*failures, *((f"Folder {name}. ", error) for name, error in result.folder_errors)]:
        yield ""
        yield f"{place}{sentence_of_error(error)}"
        if error.reply:
            yield f"  The server's words: {error.reply}"
        yield f"  What to do: {_next_step(error)}"


def _next_step(error: MigratorError) -> str:
    # the copy took up the line again by itself, several times, before it gave up
    if error.patience is Patience.NOW:
        return "It was tried again several times, in vain. Look at the server and the network, then repeat the command."
    return error.hint


def _last_word(result: AccountResult, *, is_dry_run: bool) -> str:
    match result.exit_code:
        case Exit.ALL_THERE:
            if is_dry_run:
                return "This was a rehearsal."
            marked = result.sums.outcomes.get(Outcome.MARKED_DELETED)
            return "Done: all there" + (
                " but what is marked as deleted; --copy-deleted takes it too." if marked else "."
            )
        case Exit.LEFT_BEHIND:
            is_class = not (result.sums.missed or (result.scripts and result.scripts.missed))
            what = "messages" if result.sums.missed else ("classes of folders" if is_class else "Sieve scripts")
            if is_dry_run:
                return f"This was a rehearsal. Some {what} would stay behind, each with its reason."
            return f"Done, but {what} were left behind, each with its reason."
        case Exit.STOPPED:
            return "Stopped. The same command goes on where it was."
        case Exit.AGAIN:
            return "Not done. What is copied is safe; the same command goes on where it was."
    return "Not done: a person is needed. What is copied is safe; the same command then goes on where it was."


_HEAD: Final = ("Line", "Source", "Target", "Messages", "Copied now", "On target", "Left behind", "Result")


def _row(result: AccountResult, is_dry_run: bool) -> tuple[str | int, ...]:
    sums = result.sums
    there = sum(count for outcome, count in sums.outcomes.items() if outcome.is_on_target)
    account = result.account
    words = "rehearsed" if is_dry_run and result.exit_code is Exit.ALL_THERE else verdict(result)
    return (account.line, account.source_name, account.target_name, sums.listed, sums.appended, there,
            sums.missed, words)  # fmt: skip


def _kind(result: AccountResult) -> str:
    if not result.is_started:
        return "not started"
    return {
        Exit.ALL_THERE: "all there",
        Exit.LEFT_BEHIND: "done, with messages, scripts or classes left behind",
        Exit.STOPPED: "stopped",
        Exit.AGAIN: "not done, may be tried again",
    }.get(result.exit_code, "not done, a person is needed")


def _failed_accounts(failed: Sequence[AccountResult]) -> Iterator[str]:
    """Yield each kind of failure once, with what to do and the first accounts it met."""
    met: dict[str, list[tuple[AccountResult, MigratorError]]] = {}
    for result in failed:
        error = result.error or result.folder_errors[0][1]
        met.setdefault(sentence_of_error(error), []).append((result, error))
    for sentence, pairs in met.items():
        yield ""
        yield f"{sentence} ({counted(len(pairs), 'account')})"
        yield f"  What to do: {_next_step(pairs[0][1])}"
        for result, error in pairs[:ROWS_SHOWN]:
            yield f"  {title(result.account)}" + (f": {error.reply}" if error.reply else "")
        if len(pairs) > ROWS_SHOWN:
            yield f"  and {len(pairs) - ROWS_SHOWN:,} more"
