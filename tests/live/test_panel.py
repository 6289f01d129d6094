"""The panel as an operator starts and ends it, and what happens when its programs are killed under it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.rigs.base import HOST, own_certificate
from tests.rigs.panel import ROOT, Panel, descendants, eventually, is_alive
from tests.rigs.postgres import Postgres
from tests.rigs.redis import Redis

PROGRAMS = {"web", "worker stage", "worker control,cutover", "ticker"}


@pytest.fixture(scope="module")
def panel() -> Iterator[Panel]:
    with Panel() as panel:
        yield panel


def copy_of_the_checkout(place: Path) -> Path:
    """Copy what is or would be committed, and nothing that a tool has made."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    for name in listed.stdout.decode().split("\0"):
        if name and (ROOT / name).is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, place / name)
    return place


@pytest.mark.timeout(600)
def test_one_command_brings_it_up_from_nothing(tmp_path: Path) -> None:
    checkout = copy_of_the_checkout(tmp_path / "mailferry")
    panel = Panel([str(checkout / "run")], patience_seconds=400)  # it installs all packages first
    del panel.environment["MAILFERRY_DATA"]
    with panel:
        assert f"Mailferry is at http://localhost:{panel.port}" in panel.words()
        assert len(re.findall(r"http://localhost:\d+/first/\S{43}\n", panel.words())) == 1
        assert panel.programs().keys() == PROGRAMS
        assert (checkout / ".data").stat().st_mode & 0o777 == 0o700
        assert panel.stop() == 0


def test_each_program_that_is_killed_comes_back(panel: Panel) -> None:
    before = panel.programs()
    assert before.keys() == PROGRAMS
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: panel.programs().keys() == PROGRAMS, panel.words)
    assert not set(panel.programs().values()) & set(before.values())
    panel.wait_until_well()
    eventually(lambda: not any(is_alive(pid) for pid in before.values()), panel.words)


def test_a_worker_that_hangs_is_started_again(panel: Panel) -> None:
    hanging = panel.programs()["worker stage"]
    os.kill(hanging, signal.SIGSTOP)
    eventually(lambda: not is_alive(hanging), panel.words)
    eventually(lambda: "worker stage" in panel.programs(), panel.words)
    panel.wait_until_well()


def test_a_second_start_on_the_same_folder_is_refused_in_a_sentence(panel: Panel) -> None:
    assert panel.supervisor
    refused = panel.run("up")
    assert refused.returncode == 1
    assert f"already running on {panel.folder} (process {panel.supervisor.pid})." in refused.stderr
    panel.wait_until_well()


def test_a_taken_port_is_a_sentence(panel: Panel, tmp_path: Path) -> None:
    second = Panel(MAILFERRY_PORT=str(panel.port), MAILFERRY_DATA=str(tmp_path / "second"))
    refused = second.run("up")
    assert refused.returncode == 1
    assert f"Port {panel.port} on {HOST} is taken by another program." in refused.stderr
    assert f"MAILFERRY_PORT={panel.port + 1} ./run" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert [path.name for path in (tmp_path / "second").iterdir()] == ["running"]  # nothing half made
    shutil.rmtree(second.dir)


def test_a_queue_folder_that_is_wiped_is_made_again(panel: Panel) -> None:
    shutil.rmtree(panel.folder / "queue")
    assert panel.run("doctor", "broker", "ticker", "workers").returncode == 0
    panel.wait_until_well()


def test_mail_goes_before_pages(panel: Panel) -> None:
    programs = panel.programs()
    (pages,) = descendants(programs["web"])
    niceness = {pid: os.getpriority(os.PRIO_PROCESS, pid) for pid in (pages, programs["worker stage"])}
    assert niceness[pages] > niceness[programs["worker stage"]]
    if (group := Path(f"/proc/{pages}/autogroup")).exists():
        assert "nice 5" in group.read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_ends_cleanly_and_starts_again_quickly(number: signal.Signals) -> None:
    with Panel() as panel:
        assert panel.supervisor
        below = descendants(panel.supervisor.pid)
        assert len(below) >= len(PROGRAMS)
        assert panel.stop(number) == 0
        assert not any(is_alive(pid) for pid in below)
        assert panel.words().endswith("Mailferry has ended.\n")
        assert not (panel.folder / "queue/stage").exists() or not any((panel.folder / "queue/stage").iterdir())
        begun = time.monotonic()
        panel.start()
        assert time.monotonic() - begun < 20
        assert panel.stop() == 0


def test_programs_end_with_a_supervisor_that_is_killed() -> None:
    with Panel() as panel:
        assert panel.supervisor
        below = descendants(panel.supervisor.pid)
        panel.supervisor.kill()
        panel.supervisor.wait(10)
        eventually(lambda: not any(is_alive(pid) for pid in below), panel.words)
        panel.start()
        assert panel.stop() == 0


def test_other_machines_are_served_by_tls_alone(tmp_path: Path) -> None:
    certificate, key = own_certificate(tmp_path)
    refused = Panel(MAILFERRY_BIND="0.0.0.0")
    assert "MAILFERRY_BIND is 0.0.0.0, which other machines reach" in refused.run("up").stderr
    shutil.rmtree(refused.dir)
    named = {"MAILFERRY_TLS_CERTIFICATE": str(certificate), "MAILFERRY_TLS_KEY": str(key)}
    panel = Panel(MAILFERRY_BIND="0.0.0.0", **named)
    panel.scheme = "https"
    panel.tls.load_verify_locations(certificate)
    with panel:
        assert f"Mailferry is at https://localhost:{panel.port}" in panel.words()
        assert panel.stop() == 0


def test_postgresql_and_redis_take_two_variables_and_may_restart() -> None:
    with ExitStack() as stack:
        database, redis = stack.enter_context(Postgres()), stack.enter_context(Redis("pw-7"))
        panel = stack.enter_context(Panel(DATABASE_URL=database.url, REDIS_URL=redis.url))
        assert panel.programs().keys() == PROGRAMS
        before = panel.programs()
        redis.restart()
        database.restart()
        panel.wait_until_well()
        assert panel.programs() == before
        assert not (panel.folder / "queue").exists()
        assert not (panel.folder / "mailferry.sqlite3").exists()
        assert panel.run("doctor").returncode == 0
        assert "pw-7" not in panel.words()
        assert panel.stop() == 0
