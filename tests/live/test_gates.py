"""nginx and Postfix in front of two Dovecots, asking a gate: switched, refused, the gate away, and back."""

from __future__ import annotations

import contextlib
import imaplib
import os
import poplib
import signal
import smtplib
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from campaigns.bridge import vault
from campaigns.bridge.connect import Approach
from campaigns.gates.desk import Desk
from campaigns.gates.fronts import Gate
from campaigns.models import Account, AllowedAddress, Connector
from migrator.directories.base import Service
from migrator.directories.gate import GateDirectory
from migrator.errors import Side
from migrator.gates import export
from migrator.gates.front import Front
from migrator.gates.table import Table
from migrator.options import Options
from migrator.preflight.front_door import lands_at
from migrator.routes.nginx import NginxRoute
from migrator.secret import Secret
from migrator.sessions.dovecot import DovecotSessions
from tests.campaigns.factories import make_batch, make_campaign, make_server
from tests.campaigns.test_gates import Served
from tests.contracts.sessions import settles_at
from tests.rigs.base import HOST, free_port
from tests.rigs.dialogue import Dialogue
from tests.rigs.dovecot import Dovecot
from tests.rigs.nginxmail import NginxMail
from tests.rigs.panel import Panel, eventually
from tests.rigs.postfix import Postfix

PEOPLE = dict.fromkeys(("anna", "bert", "clara"), "pw")
KEY = "seven wet stones"
ANNA = "anna@example.test"
SOURCE, TARGET = "old.example.test", "new.example.test"


class World(NamedTuple):
    """In each INBOX at the old server is one message, at the new one are two. ``smtp`` asks the old one who sends."""

    old: Dovecot
    new: Dovecot
    smtp: Postfix
    nginx: NginxMail
    table: Path
    options: dict[str, Any]
    served: Served

    def route(self) -> NginxRoute:
        return NginxRoute.of(self.options, Secret(KEY))

    def directory(self) -> GateDirectory:
        names = ("table", "domains")
        return GateDirectory.of({name: self.options[name] for name in names}, None)

    def front(self) -> Front:
        return Front.of(Options({name: value for name, value in self.options.items() if name != "table"}))

    def switch(self, address: str, to: Side) -> None:
        route = self.route()
        before = route.find(address)
        assert before is not None
        route.replace(address, before, route.routed(before, to))
        route.close()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with contextlib.ExitStack() as stack:
        sasl = free_port()
        asked = f"service auth {{\n  inet_listener {{\n    address = 127.0.0.1\n    port = {sasl}\n  }}\n}}\n"
        old = stack.enter_context(Dovecot(PEOPLE, pop3=True, extra=asked))
        new = stack.enter_context(Dovecot(PEOPLE, pop3=True))
        smtp = stack.enter_context(_submission(sasl))
        table = tmp_path_factory.mktemp("gates") / "routes.sqlite"
        options: dict[str, Any] = {
            "table": str(table),
            "domains": ["example.test"],
            "source": [SOURCE],
            "target": [TARGET],
            "source_doors": [f"imap {HOST}:{old.imap}", f"pop3 {HOST}:{old.pop3}", f"smtp {HOST}:{smtp.smtp}"],
            "target_doors": [f"imap {HOST}:{new.imap}", f"pop3 {HOST}:{new.pop3}", f"smtp {HOST}:{smtp.smtp}"],
            "target_nexthop": "lmtp:inet:192.0.2.7:24",
        }
        front = Front.of(Options({name: value for name, value in options.items() if name != "table"}))
        served = stack.enter_context(Served(Desk(Table(table)), lambda: {"front": Gate((KEY.encode(),), (front,))}))
        for server, count in ((old, 1), (new, 2)):
            second = int(time.time())
            while int(time.time()) == second:  # Dovecot numbers folders by the second in which they were made
                time.sleep(0.01)
            for user in PEOPLE:
                with Dialogue(server.account(user)) as talk:
                    talk.append(b"INBOX", [(b'() "05-Mar-1999 10:00:00 +0000"', b"Subject: x\r\n\r\nx\r\n")] * count)
        nginx = stack.enter_context(NginxMail(f"{HOST}:{served.http}/auth/front", KEY))
        yield World(old, new, smtp, nginx, table, options, served)


def _submission(sasl: int) -> Postfix:
    """A Postfix that lets in who is known to a Dovecot, and nobody else."""
    server = Postfix(list(PEOPLE))
    with (server.dir / "conf/main.cf").open("a") as main:
        main.write(
            "mynetworks =\nsmtpd_sasl_auth_enable = yes\nsmtpd_sasl_type = dovecot\n"
            f"smtpd_sasl_path = inet:{HOST}:{sasl}\nsmtpd_sasl_security_options = noanonymous\n"
            "smtpd_relay_restrictions = permit_sasl_authenticated, reject\n"
            "smtpd_recipient_restrictions = permit_sasl_authenticated, reject\n"
        )
    os.utime(server.dir / "conf/main.cf", (time.time() - 10,) * 2)
    return server


@pytest.fixture(autouse=True)
def _as_before(request: pytest.FixtureRequest) -> None:
    if "world" in request.fixturenames:
        table = Table(request.getfixturevalue("world").table)
        for user in PEOPLE:
            table.change("front", f"{user}@example.test", lambda row: row._replace(backend=None, refused=()))
        table.close()


@contextlib.contextmanager
def at(port: int) -> Iterator[imaplib.IMAP4]:
    line = imaplib.IMAP4(HOST, port)
    try:
        yield line
    finally:
        line.shutdown()


def seen(world: World, user: str, password: str = "pw") -> int:
    """How many messages a program sees that knows nothing but the address of the front."""
    with at(world.nginx.imap) as line:
        line.login(user, password)
        return int(line.select("INBOX")[1][0] or b"")


def seen_by_pop(world: World, user: str) -> int:
    with contextlib.closing(poplib.POP3(HOST, world.nginx.pop3)) as line:
        line.user(user)
        line.pass_("pw")
        return line.stat()[0]


def send(world: World, user: str, password: str = "pw") -> None:
    with smtplib.SMTP(HOST, world.nginx.smtp) as line:
        line.login(user, password)
        line.sendmail(f"{user}@example.test", ["clara@example.test"], f"Subject: from {user}\r\n\r\nx\r\n")


@pytest.mark.req("S-125", "S-127")
def test_programs_keep_the_name_they_know_and_come_to_the_other_server(world: World) -> None:
    assert [seen(world, user) for user in ("anna", "bert")] == [1, 1]
    with Dialogue(_front_account(world, "anna")) as open_before:
        world.switch(ANNA, Side.TARGET)
        assert [seen(world, user) for user in ("anna", "Anna@EXAMPLE.test", "bert")] == [2, 2, 1]
        assert [seen_by_pop(world, user) for user in ("anna", "bert")] == [2, 1]
        assert open_before.command(b"NOOP") is not None  # nginx cannot end it: the old server does
        sessions = DovecotSessions.of(
            {"doveadm": ["doveadm", "-c", str(world.old.dir / "dovecot.conf")], "user": "local"}, None
        )
        sessions.end(ANNA)
        assert settles_at(sessions, ANNA, 0)
    world.switch(ANNA, Side.SOURCE)
    assert seen(world, "anna") == 1


def _front_account(world: World, user: str) -> Any:
    return world.old.account(user).through(world.nginx.imap)


@pytest.mark.req("S-123")
def test_who_may_not_read_can_still_send(world: World) -> None:
    directory = world.directory()
    before = directory.find(ANNA)
    assert before is not None
    directory.replace(ANNA, before, directory.closed(before, {Service.READING}))
    with pytest.raises(imaplib.IMAP4.error, match="being moved"):
        seen(world, "anna")
    with pytest.raises(poplib.error_proto, match="being moved"):
        seen_by_pop(world, "anna")
    count = len(world.smtp.delivered("clara", 0))
    send(world, "anna")
    assert len(world.smtp.delivered("clara", count + 1)) == count + 1
    reading = directory.find(ANNA)
    assert reading is not None
    directory.replace(ANNA, reading, directory.closed(reading))
    with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
        send(world, "anna")
    assert refused.value.smtp_code == 454
    assert seen(world, "bert") == 1
    closed = directory.find(ANNA)
    assert closed is not None
    directory.replace(ANNA, closed, before)
    assert seen(world, "anna") == 1
    directory.close()


def test_the_server_behind_checks_every_password(world: World) -> None:
    with pytest.raises(imaplib.IMAP4.error):
        seen(world, "anna", "wrong")
    with pytest.raises(smtplib.SMTPException):  # nginx hangs up after the refusal
        send(world, "anna", "wrong")
    send(world, "anna")


@pytest.mark.parametrize("name", ["anna\r\nbert", "anna\0", "anna%0d%0aAuth-Status: OK", "nobody@elsewhere.test"])
def test_names_that_are_none_go_nowhere(world: World, name: str) -> None:
    with at(world.nginx.imap) as line, pytest.raises(imaplib.IMAP4.error):
        line.authenticate("PLAIN", lambda _: f"\0{name}\0pw".encode())
    assert seen(world, "anna") == 1


def test_another_nginx_without_the_key_is_told_nothing(world: World) -> None:
    with (
        NginxMail(f"{HOST}:{world.served.http}/auth/front", "another key") as other,
        at(other.imap) as line,
        pytest.raises(imaplib.IMAP4.error),
    ):
        line.login("anna", "pw")


def test_while_the_gate_is_away_nginx_goes_by_its_own_routes(world: World) -> None:
    """Users in no batch and users who were moved sign in; who is being moved is told to come later."""
    world.switch(ANNA, Side.TARGET)
    directory = world.directory()
    before = directory.find("clara@example.test")
    assert before is not None
    directory.replace("clara@example.test", before, directory.closed(before, {Service.READING}))
    directory.close()
    table = Table(world.table)
    routes = export.nginx([world.front()], table.rows("front"))
    table.close()
    with (
        NginxMail(f"{HOST}:{world.served.http}/auth/front", KEY) as nginx,
        Served(Desk(Table(world.table)), lambda: {"front": Gate((KEY.encode(),), (world.front(),))}) as gate,
    ):
        behind = world._replace(nginx=nginx)
        (nginx.dir / "routes.conf").write_text(routes)
        place = {"listen": f"{HOST}:{nginx.fallback}", "routes": str(nginx.dir / "routes.conf")}
        nginx.guard(export.nginx_servers("front", f"{HOST}:{gate.http}", **place))
        world.switch("bert@example.test", Side.TARGET)
        assert [seen(behind, user) for user in ("anna", "bert")] == [2, 2]  # the live answer is newer than the file
        gate.stop()
        assert [seen(behind, user) for user in ("anna", "bert", "ANNA@example.test")] == [2, 1, 2]
        assert seen_by_pop(behind, "anna") == 2
        with pytest.raises(imaplib.IMAP4.error, match="not available just now"):
            seen(behind, "clara")
        send(behind, "clara")


def test_postfix_asks_where_mail_goes(world: World, tmp_path: Path) -> None:
    world.switch(ANNA, Side.TARGET)

    def asked(address: str) -> str:
        words = ["postmap", "-c", str(world.smtp.dir / "conf"), "-q", address]
        return subprocess.run(
            [*words, f"socketmap:inet:{HOST}:{world.served.postfix}:front"], capture_output=True, text=True, timeout=30
        ).stdout.strip()

    assert [asked(f"{user}@example.test") for user in ("anna", "bert")] == ["lmtp:inet:192.0.2.7:24", ""]


# The program


SETUP = """
from campaigns.models import User
from campaigns.services import connectors
from migrator.secret import Secret
options = {"table": {"ours": "gates/routes.sqlite"}, "domains": ["example.test"], "source": ["old.example.test"],
    "target": ["new.example.test"], "source_doors": ["imap 192.0.2.1:143"], "target_doors": ["imap 192.0.2.2:143"],
    "target_nexthop": "lmtp:inet:192.0.2.2:24"}
connectors.save(None, room="route", kind="nginx", name="nginx", options=options, secret=Secret("seven wet stones"),
    actor=User.objects.create(username="setup"))
"""


def ask(port: int, key: str = KEY) -> str:
    headers = {"Auth-User": "anna", "Auth-Protocol": "imap", "X-Auth-Key": key, "Client-IP": HOST}
    try:
        with urllib.request.urlopen(
            urllib.request.Request(f"http://{HOST}:{port}/auth/front", headers=headers), timeout=20
        ) as answer:
            return str(answer.headers.get("Auth-Server", answer.headers.get("Auth-Status")))
    except urllib.error.HTTPError as error:
        return str(error.code)
    except OSError:
        return "away"


@pytest.fixture(scope="module")
def panel() -> Iterator[tuple[Panel, int]]:
    port, postfix = free_port(), free_port()
    with Panel(MAILFERRY_GATES_PORT=str(port), MAILFERRY_SOCKETMAP_PORT=str(postfix)) as panel:
        done = panel.run("shell", "-c", SETUP)
        assert done.returncode == 0, done.stderr
        eventually(lambda: ask(port) == "192.0.2.1", panel.words)
        yield panel, port


def test_the_gates_are_a_program_of_their_own_that_pages_do_not_take_with_them(panel: tuple[Panel, int]) -> None:
    running, port = panel
    before = running.programs()
    os.kill(before["web"], signal.SIGKILL)
    assert ask(port) == "192.0.2.1"
    eventually(lambda: running.programs().get("web", before["web"]) != before["web"], running.words)
    assert running.programs()["gates"] == before["gates"]
    running.wait_until_well()


def test_gates_that_were_killed_refuse_nobody(panel: tuple[Panel, int]) -> None:
    running, port = panel
    before = running.programs()["gates"]
    os.kill(before, signal.SIGKILL)
    answers = {ask(port) for _ in range(20)}
    assert "away" not in answers
    eventually(lambda: ask(port) == "192.0.2.1", running.words)
    assert running.programs()["gates"] != before


def test_a_wrong_key_is_refused_and_no_password_is_ever_logged(panel: tuple[Panel, int]) -> None:
    running, port = panel
    assert ask(port, "wrong") == "403"
    eventually(lambda: "showed no valid key" in running.words(), running.words)
    assert KEY not in running.words()


# What the panel sees through the front door


@pytest.fixture
def anna(world: World, db: None) -> Account:
    AllowedAddress.objects.create(host=HOST)
    servers = [
        make_server(host=HOST, port=server.imap, security="plain", admin_login="admin")
        for server in (world.old, world.new)
    ]
    for server in servers:
        server.admin_secret = vault.seal(Secret("adminpw"), server, "admin_secret")
        server.save()
    options = {**world.options, "uri": f"imap://{HOST}:{world.nginx.imap}"}
    route = Connector.objects.create(room="route", kind="nginx", name="nginx", options=options)
    route.secret = vault.seal(Secret(KEY), route, "secret")
    route.save()
    names = {name: world.options[name] for name in ("table", "domains")}
    gate = Connector.objects.create(room="directory", kind="gate", name="gate", options=names)
    campaign = make_campaign(
        source=servers[0], target=servers[1], route=route, source_directory=gate, target_directory=gate
    )
    account = make_batch(campaign=campaign).accounts.get()
    account.source_login = account.target_login = "anna"
    for side in Side:
        setattr(account, f"{side}_secret", vault.seal(Secret("pw"), account, f"{side}_secret"))
    account.save()
    return Account.objects.get(pk=account.pk)


def admitted(account: Account) -> list[bool]:
    with Approach(account) as approach:
        return [approach.admits(side) for side in Side]


def test_a_user_is_tried_where_they_come_in_and_where_they_land_is_proved(world: World, anna: Account) -> None:
    assert admitted(anna) == [True, False]  # it is the old server that they come to
    directory = world.directory()
    before = directory.find(ANNA)
    assert before is not None
    directory.replace(ANNA, before, directory.closed(before))
    assert admitted(anna) == [False, False]  # though the old server's own door is open to them
    with Dialogue(world.old.account("anna")):
        pass
    world.switch(ANNA, Side.TARGET)
    assert admitted(anna) == [False, False]
    directory.replace(ANNA, directory.closed(before), before)
    directory.close()
    assert admitted(anna) == [True, True]
    with Approach(anna) as approach:
        door = approach.front(Side.TARGET)
        assert door is not None
        assert lands_at(door, approach.source, approach.target) is Side.TARGET
