"""The same services on PostgreSQL, where transactions really run side by side: the same tests, the same results."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rigs.postgres import Postgres

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


@pytest.mark.req("C-64")
@pytest.mark.timeout(300)
def test_services_keep_their_promises_on_postgresql(postgres: Postgres) -> None:
    names = ("transitions", "scheduling", "accounts", "batches", "campaigns", "selectors")
    files = [f"tests/campaigns/test_{name}.py" for name in names] + ["tests/live/goes_side_by_side.py"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--create-db", *files],
        cwd=ROOT,
        env={**os.environ, "MAILFERRY_TEST_DATABASE_URL": postgres.url, "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed, done.stdout
    assert int(passed[1]) > 300
