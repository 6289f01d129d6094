"""A program that lets others go first."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_ASK = """
import os
from pathlib import Path
from campaigns.processes import stand_back
stand_back(5, leader=os.getpid())
print(os.getpriority(os.PRIO_PROCESS, 0))
"""


@pytest.mark.parametrize("has_session", [True, False])
def test_it_stands_back_alone_and_its_neighbours_stay_where_they_are(has_session: bool) -> None:
    place = Path("/proc/self/autogroup")
    before = place.read_text() if place.exists() else ""
    command = [sys.executable, "-c", _ASK + ("print(Path('/proc/self/autogroup').read_text())" if before else "")]
    root = Path(__file__).parents[2]
    ran = subprocess.run(
        command, start_new_session=has_session, cwd=root, capture_output=True, text=True, check=True, timeout=60
    )
    niceness, _, group = ran.stdout.partition("\n")
    assert int(niceness) == min(os.getpriority(os.PRIO_PROCESS, 0) + 5, 19)
    assert (place.read_text() if before else "") == before
    if before:
        assert ("nice 5" in group) is has_session
