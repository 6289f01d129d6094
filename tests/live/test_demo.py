"""The demo as its watchers see it: it starts, its mail moves, four accounts say what keeps them, and are mended.

Driven by its own command in a folder and on a port of its own; people sign in with what it prints.
"""

from __future__ import annotations

import http.cookiejar
import json
import re
import signal
import sqlite3
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from campaigns.demo import dovecot, folder
from campaigns.management.commands.demo import environment
from tests.rigs.demo import Demo
from tests.rigs.panel import descendants, eventually, is_alive

pytestmark = pytest.mark.timeout(400)  # a fifth of it where nothing else runs
COUNT = 8
_MEND = """
import json, os
from campaigns.models import Account, User
from campaigns.services import accounts, folder_rules, passwords
from campaigns.services.refusals import Refused
from migrator.errors import Side
from migrator.secret import Secret
facts = json.loads(os.environ["FACTS"])
operator = User.objects.get(username="operator")
rows = {row.source_login: row for row in Account.objects.all()}
for login, password in facts["passwords"].items():
    passwords.replace(rows[login].pk, list(Side), Secret(password), actor=operator)
folder_rules.set_rule(rows[facts["renamed"]].pk, "Orders/new", "rename", actor=operator, name="Orders/New ones")
for login in facts["troubled"]:
    try:
        accounts.retry(rows[login].pk, actor=operator)
    except Refused:
        if login != facts["full"]:  # which goes on by itself once there is room, perhaps by now
            raise
"""


class Browser:
    """Keeps cookies, and sends the token of the form it saw last."""

    def __init__(self, port: int) -> None:
        self._root = f"http://localhost:{port}"
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._opener = urllib.request.build_opener(cookies)

    def get(self, path: str) -> str:
        with self._opener.open(self._root + path, timeout=30) as answer:
            return str(answer.read().decode())

    def post(self, page: str, path: str, **fields: str) -> str:
        """Send the form that is on ``page`` to ``path``."""
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', self.get(page))
        assert token is not None
        form = urllib.parse.urlencode({"csrfmiddlewaretoken": token[1], **fields}).encode()
        headers = {"Referer": self._root + page}
        with self._opener.open(urllib.request.Request(self._root + path, form, headers), timeout=30) as answer:
            return str(answer.geturl())


@contextmanager
def demo_of(kind: str) -> Iterator[Demo]:
    with Demo(kind, COUNT) as demo:
        yield demo


def mend(demo: Demo, **facts: Any) -> None:
    """Do what an operator does on the pages of the four."""
    own = {**environment(demo.environment, demo.folder), "FACTS": json.dumps(facts)}
    argv = demo.manage("shell", "-c", _MEND)
    ran = subprocess.run(argv, env=own, cwd=demo.dir, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr


def servers_of(demo: Demo) -> Path:
    found = folder.servers_folder(demo.folder)
    assert found is not None
    assert found.is_dir()
    return found


@pytest.mark.parametrize("kind", ["dovecot", "pymap"])
def test_the_demo_moves_its_people_and_the_four_are_mended(kind: str) -> None:
    with demo_of(kind) as demo:
        assert Path(dovecot.doveadm(Path())[0]).is_file()
        explained = {("failed", "sign_in.refused"): 2, ("failed", "folder.bad_name"): 1}
        crossed = {("done", ""): COUNT - 4}

        def is_over() -> bool:
            states = demo.states()
            full = sum(count for (_, code), count in states.items() if code == "target.full")
            return full == 1 and all(states[key] == count for key, count in {**explained, **crossed}.items())

        eventually(is_over, lambda: f"{demo.states()}\n{demo.words()[-3000:]}", 150)
        browser = Browser(demo.port)
        (password,) = demo.printed(r"^    operator +(\S+)$")
        browser.post("/sign-in", "/sign-in", login="operator", password=password)
        (full,) = demo.printed(r"<(\S+)>: make room")
        with closing(sqlite3.connect(demo.folder / "mailferry.sqlite3", timeout=10)) as file:
            number = file.execute("SELECT id FROM campaigns_account WHERE source_login = ?", (full,)).fetchone()[0]
        browser.post("/profile", f"/demo/room/{number}", next="/profile")
        (renamed,) = demo.printed(r"<(\S+)>: a rule for the folder Orders/new")
        right = dict(demo.printed(r"<(\S+)>: the right password is (\S+)"))
        mend(demo, passwords=right, renamed=renamed, full=full, troubled=[*right, renamed, full])
        eventually(lambda: demo.states() == {("done", ""): COUNT}, lambda: f"{demo.states()}", 100)
        assert all(total == done > 0 and not left for *_, total, done, left in demo.accounts().values())
        servers = servers_of(demo)
        assert demo.supervisor is not None
        below = descendants(demo.supervisor.pid)
        assert sum(str(servers) in line for line in below.values()) >= 2
        assert demo.stop(signal.SIGINT, 100) == 0
        assert not [line for pid, line in below.items() if is_alive(pid)]
        assert not servers.exists()


def test_a_demo_that_is_killed_leaves_no_server_behind_and_the_next_one_begins_anew() -> None:
    with demo_of("dovecot") as demo:
        servers, first = servers_of(demo), demo.printed(r"^    operator +(\S+)$")
        assert demo.supervisor is not None
        below = descendants(demo.supervisor.pid)
        demo.supervisor.kill()
        demo.supervisor.wait()
        eventually(lambda: not any(map(is_alive, below)), lambda: f"{[below[pid] for pid in below if is_alive(pid)]}")
        assert servers.is_dir()
        demo.start()
        assert not servers.exists()
        assert demo.printed(r"^    operator +(\S+)$")[-1:] != first
        assert len(demo.accounts()) == COUNT
        assert demo.stop(seconds=100) == 0
