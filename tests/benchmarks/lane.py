"""The engine's side of a benchmark: copies the accounts that an order names and prints what it took as one JSON object.

A process of its own, so that memory and CPU are the engine's alone. Without the start of Python, which a tool that
moves many accounts pays once: the time counts from the first connection to the last record in the ledger.
"""

from __future__ import annotations

import cProfile
import gc
import json
import pstats
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from migrator.events import Silence
from migrator.limits import Limits, NeverStop
from migrator.secret import Secret
from migrator.stores.imap_session import Endpoint
from migrator.stores.imap_source import ImapSource
from migrator.stores.imap_target import ImapTarget
from migrator.transfer.copy import run_pass
from migrator.transfer.file_ledger import LedgerFile
from migrator.transfer.plan import CopyPolicy

SHOWN = 45


def main(order: Path) -> None:
    """Carry out the order."""
    wanted = json.loads(order.read_text())
    profile = cProfile.Profile() if wanted["profile"] else None
    gc.collect()
    idle = status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark begins anew, proc(5)
    begun = time.monotonic()
    if profile is not None:
        profile.runcall(_copy_all, wanted)
    else:
        _copy_all(wanted)
    seconds = time.monotonic() - begun
    if profile is not None:
        pstats.Stats(profile).sort_stats("tottime").print_stats(SHOWN)
    peak = status("VmHWM")
    print(json.dumps({"seconds": seconds, "peak_bytes": peak, "over_idle_bytes": peak - idle}))


def _copy_all(wanted: dict) -> None:
    with LedgerFile(Path(wanted["ledger"])) as ledger:
        if wanted["lanes"] == 1:  # in this thread: a profile sees only its own
            for pair in wanted["pairs"]:
                _copy(ledger, wanted["connections"], *pair)
            return
        with ThreadPoolExecutor(wanted["lanes"]) as pool:
            for done in [pool.submit(_copy, ledger, wanted["connections"], *pair) for pair in wanted["pairs"]]:
                done.result()


def _copy(ledger: LedgerFile, connections: int | None, source: dict, target: dict) -> None:
    limits = Limits(connections=connections)

    def sessions() -> tuple[ImapSource, ImapTarget]:
        return ImapSource(_endpoint(source), limits), ImapTarget(_endpoint(target), limits)

    reader, writer = sessions()
    with reader, writer:
        book = ledger.account(source["user"], target["user"])
        result = run_pass(
            reader, writer, book,
            policy=CopyPolicy(), sink=Silence(), limits=limits, stop=NeverStop(), more=sessions,
        )  # fmt: skip
    if result.error is not None or not result.is_balanced:
        raise RuntimeError(f"{source['user']}: {result.error} {result.totals} of {result.listed}")


def _endpoint(account: dict) -> Endpoint:
    return Endpoint(account["host"], account["port"], account["security"], account["user"], Secret(account["password"]),
                    ca_file=account["certificate"])  # fmt: skip


def status(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"no {name} in /proc/self/status")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
