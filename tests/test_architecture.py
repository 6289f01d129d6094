"""The rules of the house that no linter knows: what the engine loads, where words stand, what must not be in a file."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ENGINE = ROOT / "migrator"
MODULES = sorted(ENGINE.rglob("*.py"))
TEST_FILES = sorted((ROOT / "tests").rglob("*.py"))

# In one fresh interpreter, each module is imported in a child of its own, forked before anything of ours was loaded.
# What the engine stands on is loaded once for all of them: it takes most of the time.
IMPORT_EACH = """
import argparse, dataclasses, json, os, sqlite3, sys
import cryptography.exceptions, imapclient, ldap3, passlib.context, passlib.handlers.argon2
for module in sys.argv[1:]:
    reader, writer = os.pipe()
    if os.fork() == 0:
        try:
            __import__(module)
            answer = sorted({name.partition(".")[0] for name in sys.modules})
        except BaseException as error:
            answer = repr(error)
        os.write(writer, json.dumps([module, answer]).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        print(answer.read())
    os.wait()
"""


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def tracked_files() -> Iterator[Path]:
    """Yield the files of the checkout that are not made by a tool (those stand in hidden folders, as .venv does)."""
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if name == ".ci" or not name.startswith((".", "__pycache__"))]
        folders[:] = [name for name in folders if not name.endswith(".egg-info")]
        yield from (Path(folder, name) for name in names)


def lines_of(path: Path) -> Iterator[tuple[int, str]]:
    yield from enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)


def locked(name: str) -> dict[str, str]:
    """Return what the lock ``name`` holds: package -> version."""
    return dict(re.findall(r"(?m)^([\w.-]+)==(\S+)", (ROOT / name).read_text()))


def named(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[~<>=!; ]", requirement)[0] for requirement in requirements}


@pytest.fixture(scope="module")
def loaded() -> dict[str, list[str] | str]:
    """What is loaded after the import of each engine module alone, or the error of that import."""
    # compiled files, wherever the caller wants none: without them each child compiles the whole engine again
    compiled = {"PYTHONDONTWRITEBYTECODE": ""}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", IMPORT_EACH, *map(module_name, MODULES)],
        cwd=ROOT,
        env=os.environ | compiled,
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(json.loads(line) for line in done.stdout.splitlines())


@pytest.mark.long
@pytest.mark.parametrize("module", [module_name(path) for path in MODULES])
def test_an_engine_module_loads_alone_and_nothing_of_the_panel(loaded: dict[str, list[str]], module: str) -> None:
    assert "migrator" in loaded[module]
    assert not {"campaigns", "django", "celery", "redis", "kombu"} & set(loaded[module])


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_an_engine_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), f"{path} has no docstring"


def test_every_package_has_a_readme() -> None:
    packages = [path.parent for path in ROOT.glob("*/__init__.py") if path.parent.name != "tests"]
    assert ENGINE in packages
    assert [package.name for package in packages if not (package / "README.md").is_file()] == []


@pytest.mark.parametrize("path", TEST_FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_test_is_skipped(path: Path) -> None:
    words = {"skip", "skipif", "skipTest", "xfail", "importorskip", "SkipTest"}
    text = path.read_text(encoding="utf-8")
    nodes = ast.walk(ast.parse(text)) if any(f".{word}" in text for word in words) else iter(())
    assert [node.lineno for node in nodes if isinstance(node, ast.Attribute) and node.attr in words] == []


def test_no_test_stands_where_none_is_collected() -> None:
    assert list((ROOT / "tests/rigs").rglob("test_*.py")) == []


def find_lines(pattern: str) -> list[str]:
    """Return the places of the lines, in all files but this one, that hold ``pattern``."""
    files = (path for path in tracked_files() if path != Path(__file__))
    return [f"{path.relative_to(ROOT)}:{n}" for path in files for n, line in lines_of(path) if re.search(pattern, line)]


@pytest.mark.parametrize("place", [ROOT, Path.home(), Path("/root")], ids=["checkout", "home", "root"])
def test_no_file_holds_a_place_of_one_machine(place: Path) -> None:
    assert find_lines(rf"(?<![\w.$}}-]){re.escape(str(place))}/\w") == []


def test_no_file_names_a_package_index() -> None:
    assert (
        find_lines(r"--(extra-)?index-url|--find-links|https?://[^\s\"']*/simple\b|pythonhosted\.org|npmjs\.org") == []
    )


def test_both_locks_hold_what_pyproject_names_in_the_same_versions() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    base, dev = locked("requirements.txt"), locked("requirements-dev.txt")
    assert named(project["project"]["dependencies"]) <= base.keys()
    assert named(project["dependency-groups"]["dev"]) <= dev.keys()
    assert base.items() <= dev.items()


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_package_in_a_lock_has_its_hashes(name: str) -> None:
    entries = re.split(r"(?m)^(?=\S)", (ROOT / name).read_text())[1:]
    assert len(entries) == len(locked(name)) > 10
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []
