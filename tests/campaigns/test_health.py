"""What /healthz and the doctor say when things are well and when they are not."""

from __future__ import annotations

import socket
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import LazySettings, settings
from django.test import Client
from django.utils import timezone

from campaigns.models import Worker
from campaigns.services import beats, doctor

pytestmark = pytest.mark.django_db


@pytest.fixture
def running() -> None:
    beats.beat("stage-1@here", queues="stage", lanes=8)
    beats.beat("cutover-1@here", queues="control,cutover", lanes=4)
    beats.beat(beats.full_name(beats.TICKER), queues=beats.TICKER)


def ask() -> tuple[int, dict[str, bool]]:
    answer = Client(headers={"host": "localhost"}).get("/healthz")
    return answer.status_code, answer.json()["checks"]


def test_all_is_well_when_all_programs_beat(running: None) -> None:
    assert ask() == (200, dict.fromkeys(("web", "database", "broker", "ticker", "workers"), True))


def test_a_program_that_falls_silent_is_noticed(running: None) -> None:
    late = timezone.now() - timedelta(seconds=beats.STALE_SECONDS + 1)
    Worker.objects.filter(queues="ticker").update(beat_at=late)
    status, checks = ask()
    assert (status, checks["ticker"], checks["workers"]) == (503, False, True)
    Worker.objects.filter(name="cutover-1@here").update(beat_at=late)
    assert doctor.look_at_workers().sentence == "No worker takes from the queue control, cutover: start one."


def test_a_program_that_ended_well_leaves_no_row() -> None:
    beats.beat("stage-1@here", queues="stage", lanes=8)
    assert beats.lanes("stage") == 8
    beats.forget("stage-1@here")
    assert beats.lanes("stage") == 0


def test_a_restarted_program_keeps_one_row(running: None) -> None:
    beats.beat("stage-1@here", queues="stage", lanes=2)
    assert beats.lanes("stage") == 2
    Worker.objects.update(pid=1)
    beats.forget("stage-1@here")  # what its predecessor says late
    assert beats.lanes("stage") == 2


def test_a_redis_that_is_away_is_named_without_its_password(settings: LazySettings) -> None:
    settings.REDIS_URL = "redis://:pw-7@127.0.0.1:1/0"
    finding = doctor.look_at_broker()
    assert not finding.is_well
    assert "Redis does not answer" in finding.sentence
    assert "pw-7" not in finding.sentence


def test_others_who_can_read_the_keys_or_the_folder_are_noticed(settings: LazySettings, tmp_path: Path) -> None:
    settings.DATA, settings.SECRET_KEY_PATH = tmp_path, tmp_path / "secret_key"
    settings.SECRET_KEY_PATH.touch(0o644)
    tmp_path.chmod(0o755)
    assert doctor.look_at_folder().sentence == f"Others can read {tmp_path}: chmod 700 it."
    assert doctor.look_at_keys().sentence == f"Others can read {tmp_path}/secret_key: chmod 600 it."
    settings.SECRET_KEY_PATH.chmod(0o600)
    tmp_path.chmod(0o700)
    assert doctor.look_at_folder().is_well
    assert doctor.look_at_keys().is_well


def test_the_doctor_speaks_of_everything(running: None) -> None:
    names = [finding.name for finding in doctor.everything()]
    assert names == ["settings", "folder", "keys", "space", "database", "broker", "ticker", "workers"]
    assert settings.DATA.exists()


def test_programs_that_others_can_write_are_noticed(settings: LazySettings, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    settings.PROGRAMS = tmp_path
    assert "host files" in [finding.name for finding in doctor.everything() if finding.is_well]
    tmp_path.chmod(0o777)
    assert "chmod go-w" in doctor.look_at_host_files().sentence


def test_gates_that_do_not_answer_are_noticed(settings: LazySettings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as line:
        settings.GATES_PORT = line.getsockname()[1]
        assert "gates" in [finding.name for finding in doctor.everything() if finding.is_well]
    assert "The gates do not answer" in doctor.look_at_gates().sentence


def test_a_misspelt_variable_is_noticed(settings: LazySettings) -> None:
    assert doctor.look_at_settings().is_well
    settings.UNKNOWN_VARIABLES = ["MAILFERRY_PROT"]
    assert not doctor.look_at_settings().is_well


def test_a_container_asks_about_itself(running: None) -> None:
    assert doctor.look_at_this_machine().is_well
    Worker.objects.update(host="elsewhere")
    assert not doctor.look_at_this_machine().is_well
