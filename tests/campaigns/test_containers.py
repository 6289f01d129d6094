"""The container files, judged without an engine: they follow their rules, and fit the programs they start."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import get_commands
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
COMPOSE = ROOT / "docker-compose.yml"
PROGRAMS = ("prepare", "web", "stage", "cutover", "ticker", "gates")


@pytest.fixture(scope="module")
def compose() -> Any:
    return YAML(typ="safe").load(COMPOSE)


def check_compose(path: Path) -> subprocess.CompletedProcess[str]:
    argv = [BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", path]
    return subprocess.run(argv, capture_output=True, text=True)


def test_the_compose_file_follows_the_specification(tmp_path: Path) -> None:
    found = check_compose(COMPOSE)
    assert (found.returncode, found.stderr) == (0, "")
    wrong = tmp_path / "docker-compose.yml"
    wrong.write_text(COMPOSE.read_text().replace("healthcheck:", "healtcheck:"))
    assert check_compose(wrong).returncode == 1


def test_the_dockerfile_follows_its_rules(tmp_path: Path) -> None:
    found = subprocess.run([BIN / "hadolint", ROOT / "Dockerfile"], capture_output=True, text=True)
    assert (found.returncode, found.stdout) == (0, "")
    (tmp_path / "Dockerfile").write_text("FROM python\nRUN cd /app\n")
    assert subprocess.run([BIN / "hadolint", tmp_path / "Dockerfile"], capture_output=True).returncode == 1


def test_every_program_is_a_command_of_ours_and_all_queues_are_served(compose: Any) -> None:
    commands = {name: compose["services"][name]["command"] for name in PROGRAMS}
    assert {command[0] for command in commands.values()} <= get_commands().keys()
    queues = [queue for command in commands.values() if command[0] == "worker" for queue in command[1].split(",")]
    assert sorted(queues) == ["control", "cutover", "stage"]


def test_every_variable_is_one_that_the_settings_read(compose: Any) -> None:
    settings = (ROOT / "campaigns/settings.py").read_text()
    known = set(re.findall(r'"((?:MAILFERRY_|DATABASE_|REDIS_)[A-Z_]+)"', settings))
    used = {name for program in PROGRAMS for name in compose["services"][program]["environment"]}
    assert {name.removesuffix("_FILE") for name in used} <= known
    assert "MAILFERRY_DATA" in known
    assert "MAILFERRY_DATA=/data" in (ROOT / "Dockerfile").read_text()


def test_secrets_come_by_file_and_stand_in_no_variable(compose: Any) -> None:
    for service in compose["services"].values():
        for name, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|KEY|DATABASE_URL", name):
                assert name.endswith("_FILE")
                assert value.removeprefix("/run/secrets/") in service["secrets"]
        assert set(service.get("secrets", [])) <= compose["secrets"].keys()


def test_every_service_that_stays_is_watched_and_comes_back(compose: Any) -> None:
    for name, service in compose["services"].items():
        if name != "prepare":
            assert service["healthcheck"]["test"], name
            assert service["restart"] == "unless-stopped", name


def test_what_must_outlive_a_container_is_in_a_volume(compose: Any) -> None:
    mounted = {volume for service in compose["services"].values() for volume in service["volumes"]}
    given = {"./programs:/programs:ro"}  # the host's, and not ours to write
    assert mounted - given == {"data:/data", "redis:/data", "postgres:/var/lib/postgresql/data"}
    assert given < mounted
    assert {volume.partition(":")[0] for volume in mounted - given} == compose["volumes"].keys()


def test_only_pages_and_gates_are_reached_from_outside_and_only_from_the_host(compose: Any) -> None:
    ports = {name: service["ports"] for name, service in compose["services"].items() if "ports" in service}
    assert list(ports) == ["web", "gates"]
    assert all(port.startswith("127.0.0.1:") for port in [*ports["web"], *ports["gates"]])
    assert compose["services"]["gates"]["profiles"] == ["gates"]  # where somebody wants them
    assert compose["networks"]["inside"]["internal"]


def test_the_image_takes_what_the_programs_need_and_no_more() -> None:
    taken = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert all((ROOT / name).exists() for name in taken)
    assert set(taken) >= {"manage.py", "campaigns", "migrator", "templates", "requirements.txt"}
    assert not set(taken) & {"tests", ".git", ".data", "secrets"}
