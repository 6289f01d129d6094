"""The panel's own tests once more, on PostgreSQL: the same rows, locks, constraints, backups."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.rigs.panel import ROOT
from tests.rigs.postgres import Postgres

# What touches no row: once is enough.
NO_ROWS = [
    f"--ignore=tests/campaigns/test_{name}.py" for name in "broker containers installation settings supervisor".split()
]


@pytest.mark.timeout(1800)
def test_the_panels_tests_pass_on_postgresql() -> None:
    with Postgres() as database:
        own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        environment = own | {"MAILFERRY_TEST_DATABASE_URL": database.url}
        argv = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "--numprocesses=2",  # this one test comes last of all, when the others leave the machine to it
            "--dist=loadfile",
            "tests/campaigns",
            *NO_ROWS,
        ]
        done = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-5000:]
