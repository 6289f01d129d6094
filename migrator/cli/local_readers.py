"""What people must know who read mail as files, and whoever moves them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from migrator.cli.accounts import AccountResult
from migrator.cli.terminal import counted

LOCAL_READERS: Final = """\
These mailboxes are read as files, by programs that no server controls (mutt, mail, Alpine, elm, Emacs, biff and the
like). Two of them at work on one file can destroy mail, when one removes messages. Locks keep them from doing so only
while the server or mailferry works on the file. Whoever can, should read by IMAP."""
SHOWN: Final = 20


def lines(results: Sequence[AccountResult]) -> Iterator[str]:
    """Yield who of a list is marked as a local reader, and the warning; nothing where nobody is."""
    readers = [result.account.source_name for result in results if result.account.reads_files]
    if readers:
        more = f" and {len(readers) - SHOWN:,} more" if len(readers) > SHOWN else ""
        yield ""
        yield f"{counted(len(readers), 'local reader')}: {', '.join(readers[:SHOWN])}{more}."
        yield from LOCAL_READERS.split("\n")
