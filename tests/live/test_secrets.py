"""No secret and no mail is found where somebody could read it: on disk, in logs, in ps, in the queue, in databases."""

from __future__ import annotations

import base64
import contextlib
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Self

import pytest

from tests.rigs.base import HOST
from tests.rigs.dovecot import ADMIN_PASSWORD
from tests.rigs.panel import Panel, descendants, eventually
from tests.rigs.platform import CAMPAIGN, Platform
from tests.rigs.postgres import Postgres
from tests.rigs.redis import Redis
from tests.rigs.slapd import MIGRATOR_PASSWORD

ACCOUNTS: Final = 6
PASSWORD, WRONG = "Geheim-7f3a9c!", "Falsch-4b1e2d!"
REDIS_PASSWORD, DATABASE_PASSWORD = "redis-5d8e1f", "rows-9c2b7a"
MAIL: Final = (b"@example.net", b"Gr=FC=DFe", "Grüße".encode())  # of senders and subjects of all mail here
GIVEN: Final = {"admin", "directory", "list.tsv"}  # the operator's own files
SHORTEST_ENCODED: Final = 7  # shorter ones stand in any base64 by chance


class Eyes(threading.Thread):
    """Somebody on the same machine: looks at every command line, and into the queue, all the time."""

    def __init__(self, panel: Panel, redis: Redis | None) -> None:
        super().__init__(daemon=True)
        self._panel = panel
        self._redis = redis
        self._ended = threading.Event()
        assert panel.supervisor
        self._programs = {panel.supervisor.pid, *descendants(panel.supervisor.pid)}
        self.lines: set[bytes] = set()
        self.messages: set[bytes] = set()

    def run(self) -> None:
        with self._listening() as spoken:
            while not self._ended.is_set():
                self.lines |= self._command_lines()
                self.messages |= spoken() if spoken else set(_contents(self._panel.folder / "queue"))

    def _command_lines(self) -> set[bytes]:
        """Those of the panel's programs and of what they run, which lasts for a moment."""
        found = set()
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
                if parent in self._programs or int(path.name) in self._programs:
                    found.add((path / "cmdline").read_bytes().replace(b"\0", b" "))
        return found

    @contextlib.contextmanager
    def _listening(self):  # type: ignore[no-untyped-def]
        if self._redis is None:
            yield None
            return
        with socket.create_connection((HOST, self._redis.port)) as line:
            line.sendall(f"AUTH {REDIS_PASSWORD}\r\nMONITOR\r\n".encode())
            line.settimeout(0.01)

            def spoken() -> set[bytes]:
                with contextlib.suppress(TimeoutError):
                    return {line.recv(1 << 20)}
                return set()

            yield spoken

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._ended.set()
        self.join(30)


def _contents(*places: Path, without: frozenset[str] = frozenset()) -> Iterator[bytes]:
    for place in places:
        for path in [place] if place.is_file() else place.rglob("*"):
            with contextlib.suppress(FileNotFoundError):
                if path.is_file() and not without & set(path.relative_to(place).parts):
                    yield path.read_bytes()


def _forms(secret: str) -> set[bytes]:
    """The spellings in which a secret could stand somewhere."""
    raw = secret.encode()
    found = {raw, raw.hex().encode(), raw.hex().upper().encode()}
    if len(raw) >= SHORTEST_ENCODED:
        for shift in range(3):  # wherever it begins within a text that is encoded as a whole
            encoded = base64.b64encode(b"\0" * shift + raw)
            whole = encoded[-(-shift * 8 // 6) :].rstrip(b"=")
            found |= {whole[:-1], whole[:-1].translate(bytes.maketrans(b"+/", b"-_"))}
    return found


class Searched:
    """Everything that was to be seen while a platform moved, by place."""

    def __init__(self, platform: Platform, eyes: Eyes, redis: Redis | None, database: Postgres | None) -> None:
        panel = platform.panel
        self.keys = [one.decode() for one in _contents(panel.folder / "keys")]
        self.places: dict[str, list[bytes]] = {
            "the disk": list(_contents(panel.dir, without=frozenset(GIVEN | {"keys", "log"}))),
            "the log": list(_contents(panel.log)),
            "ps": list(eyes.lines),
            "the queue": list(eyes.messages),
        }
        if redis is not None:
            self.places["the disk of Redis"] = list(_contents(redis.dir))
        if database is not None:
            address = ("-h", HOST, "-p", str(database.port), "-U", "test")
            dump = database.run("pg_dump", *address, "mailferry").stdout.encode()
            self.places["PostgreSQL"] = [dump, *_contents(database.dir / "cluster" / "base")]

    def found(self, words: set[bytes]) -> list[str]:
        return [place for place, texts in self.places.items() if any(word in text for word in words for text in texts)]


@pytest.fixture(scope="module", params=["files", "servers"])
def searched(request: pytest.FixtureRequest) -> Iterator[Searched]:
    with ExitStack() as stack:
        redis = database = None
        variables = {}
        if request.param == "servers":
            redis, database = stack.enter_context(Redis(REDIS_PASSWORD)), stack.enter_context(Postgres())
            url = database.url.replace("test@", f"test:{DATABASE_PASSWORD}@")
            variables = {"REDIS_URL": redis.url, "DATABASE_URL": url}
        platform = Platform(ACCOUNTS, recipe="plain", password=PASSWORD, listed={"u0005": WRONG}, variables=variables)
        stack.enter_context(platform)
        with Eyes(platform.panel, redis) as eyes:
            platform.start()
            eventually(lambda: platform.counts() == {"done": ACCOUNTS - 1, "failed": 1}, platform.panel.words, 180)
            platform.tell("backup", str(platform.panel.dir / "backups"))
            said = platform.tell("batch", "status", CAMPAIGN) + platform.tell(
                "account", "show", CAMPAIGN, platform.world.address("u0005")
            )
            platform.panel.stop()
        found = Searched(platform, eyes, redis, database)
        found.places["what commands say"] = [said.encode()]
        yield found


@pytest.mark.timeout(400)
def test_what_is_looked_for_would_be_found(searched: Searched) -> None:
    rows = "PostgreSQL" if "PostgreSQL" in searched.places else "the disk"
    assert {rows, "what commands say"} <= set(searched.found({b"u0005@example.test"}))
    assert "ps" in searched.found({b"doveadm"})
    assert "the queue" in searched.found({b"campaigns.tasks"} | _forms("campaigns.tasks"))
    assert all(searched.places.values())
    basic = base64.b64encode(b"xy\0admin\0" + PASSWORD.encode())
    assert any(form in basic for form in _forms(PASSWORD))


@pytest.mark.parametrize(
    "secret", [PASSWORD, WRONG, ADMIN_PASSWORD, MIGRATOR_PASSWORD, REDIS_PASSWORD, DATABASE_PASSWORD]
)
def test_no_password_is_found_anywhere(searched: Searched, secret: str) -> None:
    places = searched.found(_forms(secret))
    if secret == REDIS_PASSWORD and places == ["the disk of Redis"]:
        places = []
    assert places == []


def test_no_key_is_found_outside_its_folder(searched: Searched) -> None:
    assert len(searched.keys) == 2
    for key in searched.keys:
        assert searched.found({word.encode() for word in re.split(r"\s+", key) if word}) == []


def test_no_mail_is_found_anywhere(searched: Searched) -> None:
    assert searched.found(set(MAIL)) == []
