"""The demo's two folders: the panel's own, emptied at each start, and a temporary one for servers and their mail.

Nothing is removed and nobody is ended who does not prove to be the demo's: a folder by a marker in it, a process by its
command line.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from campaigns.services.installation import Unfit, make_private

MARKER: Final = "This folder belongs to the demo of Mailferry, which empties it at each start."
_MARK: Final = "DEMO"
_RECORD: Final = "servers.json"
# What stays: the marker, the lock that the demo holds while it lives (services.installation.hold_alone), and the keys,
# which the settings of this process have read already.
_KEPT: Final = frozenset({_MARK, "running", "keys"})
_PATIENCE_SECONDS: Final = 5.0
_PLENTY_BYTES: Final = 1 << 30  # a demo takes a third of it


def require_ours(folder: Path) -> None:
    """Raise ``Unfit`` unless ``folder`` is the demo's, empty, or not there yet."""
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if names - {"running"} and not _is_marked(folder):
        raise Unfit(f"{folder} is not the demo's: it would be emptied. Name another folder with --folder.")


def begin_anew(folder: Path) -> None:
    """Empty the panel's folder, after ending what an earlier demo left behind. Raises ``Unfit``."""
    require_ours(folder)
    make_private(folder)
    (folder / _MARK).write_text(MARKER + "\n")
    _end_leftovers(folder)
    for path in folder.iterdir():
        if path.name in _KEPT:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def make_servers_folder(folder: Path) -> Path:
    """Make the temporary folder for servers, and record it before anything is in it."""
    made = Path(tempfile.mkdtemp(prefix="mailferry-demo-", dir=_memory())).resolve()
    made.chmod(0o755)
    (made / _MARK).write_text(MARKER + "\n")
    record(folder, made, ())
    return made


def _memory() -> str | None:
    """Return a folder in memory where there is plenty: tens of thousands of small files are slow on many a disk."""
    shared = Path("/dev/shm")
    with contextlib.suppress(OSError, ValueError):
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        disk = os.statvfs(shared)
        if os.access(shared, os.W_OK) and min(free, disk.f_bavail * disk.f_frsize) > _PLENTY_BYTES:
            return str(shared)
    return None


def record(folder: Path, servers: Path, pids: Iterable[int]) -> None:
    """Note which servers run, for the next start to end them when this one is killed."""
    (folder / _RECORD).write_text(json.dumps({"folder": str(servers), "pids": list(pids)}))


def servers_folder(folder: Path) -> Path | None:
    """Return the folder of the servers that were recorded."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        return Path(json.loads((folder / _RECORD).read_text())["folder"])
    return None


def remove_servers(folder: Path) -> None:
    """Remove the folder of the servers, when it is there and the demo's."""
    servers = servers_folder(folder)
    if servers is not None and _is_marked(servers):
        shutil.rmtree(servers, ignore_errors=True)


def _end_leftovers(folder: Path) -> None:
    servers = servers_folder(folder)
    if servers is None:
        return
    with contextlib.suppress(OSError, ValueError, KeyError):
        for pid in json.loads((folder / _RECORD).read_text())["pids"]:
            _end(int(pid), servers)
    remove_servers(folder)


def _end(pid: int, servers: Path) -> None:
    """End a server that names our folder on its command line, and wait for it."""
    end = time.monotonic() + _PATIENCE_SECONDS
    number = signal.SIGTERM
    while str(servers) in _command_line(pid):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
        if time.monotonic() > end:
            number = signal.SIGKILL
        if time.monotonic() > 2 * _PATIENCE_SECONDS + end:
            raise Unfit(f"A server of an earlier demo (process {pid}) cannot be ended.")
        time.sleep(0.1)


def _command_line(pid: int) -> str:
    if Path("/proc/self/cmdline").is_file():
        with contextlib.suppress(OSError):
            return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ")
        return ""
    asked = ["ps", "-ww", "-o", "command=", "-p", str(pid)]
    return subprocess.run(asked, capture_output=True, text=True, timeout=20).stdout


def _is_marked(folder: Path) -> bool:
    with contextlib.suppress(OSError):
        return (folder / _MARK).read_text().strip() == MARKER
    return False
