"""mbsync (isync), a common tool of the same trade: the tests let it copy a part, and then finish what it began.

It writes a header of its own, X-TUID, into every message it appends.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.rigs.base import Account, need, temporary_root

_CONFIG = """\
FSync no
IMAPAccount far
Host {far.host}
Port {far.port}
User {far.user}
Pass "{far.password}"
SSLType None
AuthMechs LOGIN

IMAPStore far
Account far
{far_prefix}

IMAPAccount near
Host {near.host}
Port {near.port}
User {near.user}
Pass "{near.password}"
SSLType None
AuthMechs LOGIN

IMAPStore near
Account near
{near_prefix}

Channel all
Far :far:
Near :near:
Patterns {patterns}
Sync Pull New
Create Near
CopyArrivalDate yes
MaxMessages 0
SyncState {state}/
"""


def copy(
    source: Account,
    target: Account,
    folders: Sequence[str],
    *,
    source_prefix: str = "",
    target_prefix: str = "",
) -> None:
    """Copy ``folders`` from ``source`` to ``target``; an empty prefix lets mbsync ask for the namespace."""
    program = need("/usr/bin/mbsync", "mbsync (the package isync)")
    with tempfile.TemporaryDirectory(prefix="mailferry-mbsync-", dir=temporary_root()) as state:
        config = Path(state) / "mbsyncrc"
        patterns = " ".join(f'"{folder}"' for folder in folders)
        config.write_text(
            _CONFIG.format(
                far=source, near=target, patterns=patterns, state=state,
                far_prefix=f'Path "{source_prefix}"' if source_prefix else "",
                near_prefix=f'Path "{target_prefix}"' if target_prefix else "",
            )
        )  # fmt: skip
        argv = [str(program), "-q", "-c", str(config), "all"]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=300)
        if done.returncode:
            raise RuntimeError(f"mbsync ended with {done.returncode}: {done.stderr.strip()}")
