"""The panel's own tests once more, on PostgreSQL: the same rows, locks, constraints, backups."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.rigs.panel import ROOT
from tests.rigs.postgres import Postgres

# What touches no row, and what asks of rows nothing that the others do not ask: once is enough.
_ONCE = """
    broker containers installation settings supervisor processes celery permissions states hostile_input copy_options
    csv_cells stories answers connectors vault commands staff servers server_access places health metrics roles
    first_link folder_trials beside passwords batch_plan_pages
"""
ONCE = [f"--ignore=tests/campaigns/test_{name}.py" for name in _ONCE.split()] + ["--ignore=tests/campaigns/demo"]


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
            *ONCE,
        ]
        done = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-5000:]
