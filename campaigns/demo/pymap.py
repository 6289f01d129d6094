"""The demo's servers where no Dovecot is: pymap, an IMAP server in Python, taught to obey the demo's directory."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from campaigns.demo.servers import Plan, Running

NAME: Final = "pymap"
SHORTCOMINGS: Final = (
    "pymap keeps mail in memory until the demo ends, and knows no keywords of messages, no shared folders and no list "
    "of open sessions."
)
_MODE: Final = 0o600


def prepare(plan: Plan, post: Mapping[str, Any]) -> Running:
    """Write what a server needs to start, and return it. ``post`` says whose mail it holds: count, seed, scale."""
    plan.folder.mkdir(parents=True, exist_ok=True)
    file = plan.folder / "server.json"
    file.touch(_MODE)
    facts = {name: str(value) if isinstance(value, Path) else value for name, value in asdict(plan).items()}
    file.write_text(json.dumps({"plan": facts, "post": dict(post)}))
    argv = [sys.executable, "-m", "campaigns.demo.pymap_server", str(plan.folder)]
    root = str(Path(__file__).parents[2])
    # the greeting otherwise looks up this machine's name at every connection
    return Running(NAME, argv, plan.folder, plan.port, {"FQDN": "localhost", "PYTHONPATH": root})


def read(folder: Path) -> tuple[Plan, dict[str, Any]]:
    """Return what was written for the server in ``folder``."""
    facts = json.loads((folder / "server.json").read_text())
    paths = {name: Path(facts["plan"][name]) for name in ("folder", "directory")}
    return Plan(**{**facts["plan"], **paths}), facts["post"]
