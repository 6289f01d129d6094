"""*Switching Servers* of the guide, through the panel: a new server takes the ports of the old one on the same host.

The old Dovecot answers at the port that mail programs know, and at another that only administrators use; the new one
stands beside it until it gets that port. A Postfix of the old server has mail that it could not send yet.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from campaigns.bridge import vault
from campaigns.bridge.lease import LeaseKind
from campaigns.models import Account, AllowedAddress, Batch, Confirmation, Server, User
from campaigns.services import acceptance, batches, campaigns, confirmations, place_books, runs
from campaigns.services.place_books import Places
from campaigns.services.refusals import Refused
from campaigns.states import AccountState
from migrator.recipes import RECIPES
from migrator.secret import Secret
from tests.campaigns.crossings import claim, give_password
from tests.campaigns.factories import make_user
from tests.rigs import check
from tests.rigs.base import HOST, free_port
from tests.rigs.base import Account as Door
from tests.rigs.dialogue import Dialogue
from tests.rigs.dovecot import ADMIN, ADMIN_PASSWORD, Dovecot
from tests.rigs.panel import eventually
from tests.rigs.postbox import Postbox
from tests.rigs.postfix import Exchanger

pytestmark = pytest.mark.django_db
USERS = {"anna": "of anna, 5 stones", "bert": "of bert, 7 stones"}
_PUBLIC = "service imap-login {{\n  inet_listener public {{\n    address = 127.0.0.1\n    port = {port}\n  }}\n}}\n"


@dataclass
class Host:
    """One host with both servers, and the port that mail programs know."""

    old: Dovecot
    new: Dovecot
    queue: Exchanger
    public: int

    def door(self, user: str) -> Door:
        return Door(self.public, user, USERS[user])

    def take(self, server: Dovecot) -> None:
        """Give a server the port that programs know."""
        self._change(server, lambda text: text + _PUBLIC.format(port=self.public))

    def give_up(self, server: Dovecot) -> None:
        """Take it away again."""
        self._change(server, lambda text: text.replace(_PUBLIC.format(port=self.public), ""))

    def _change(self, server: Dovecot, change: Any) -> None:
        file = server.dir / "dovecot.conf"
        file.write_text(change(file.read_text()))
        server.doveadm("reload")


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with ExitStack() as running:
        old = running.enter_context(Dovecot(USERS, extra="login_greeting = Old stones\n"))
        new = running.enter_context(Dovecot(USERS, extra="login_greeting = New stones\n"))
        box = running.enter_context(Postbox(is_local=True).server())
        queue = Exchanger(f"lmtp:inet:{HOST}:{box.port}")
        main = queue.dir / "conf" / "main.cf"
        main.write_text(main.read_text().replace("defer_transports = parked", "defer_transports = lmtp"))
        queue.cool(main)
        found = Host(old, new, running.enter_context(queue), free_port())
        found.take(old)
        eventually(lambda: _greets(found, "Old stones"), old.last_words)
        for user in USERS:
            deliver(found.old, user, "before")
        yield found


def _greets(host: Host, words: str) -> bool:
    try:
        with socket.create_connection((HOST, host.public), timeout=5) as line:
            return words.encode() in line.recv(512)
    except OSError:
        return False


def deliver(server: Dovecot, user: str, title: str) -> None:
    line = Dialogue(server.admin(user))
    line.append(b"INBOX", [(b"()", f"Subject: {title}\r\n\r\n{title}\r\n".encode())])
    line.close()


def titles(door: Door) -> list[str]:
    return [seen.title for seen in check.read(door).folders[b"INBOX"].messages]


@pytest.fixture
def batch(host: Host) -> Batch:
    AllowedAddress.objects.create(host=HOST)
    rows = [row_of(name, server) for name, server in (("old", host.old), ("new", host.new))]
    campaign = campaigns.create("the move", source=rows[0], target=rows[1], actor="test", recipe="switching")
    people = [Account(source_login=user, target_login=user) for user in USERS]
    (batch,) = batches.cut(campaign, people, actor="test")
    for account in batch.accounts.all():
        give_password(account, USERS[account.source_login])
    return Batch.objects.select_related("campaign__source", "campaign__target").get(pk=batch.pk)


def row_of(name: str, server: Dovecot) -> Server:
    row = Server.objects.create(name=name, host=HOST, port=server.imap, security="plain", admin_login=ADMIN)
    row.admin_secret = vault.seal(Secret(ADMIN_PASSWORD), row, "admin_secret")
    row.save()
    return row


def cut_over(batch: Batch, state: AccountState, waits: str = "person") -> None:
    """Let a worker go as far as it comes with everybody."""
    for account in batch.accounts.order_by("pk"):
        before = AccountState.READY if account.state == "ready" else AccountState.CUTTING_OVER
        assert account.state == before
        runs.run_cutover(claim(account, LeaseKind.CUTOVER, AccountState.CUTTING_OVER))
        account.refresh_from_db()
        assert (account.state, account.waiting_for, account.error_code) == (state, waits, "")


def codes(row: Confirmation) -> list[str]:
    return [one["code"] for one in row.evidence]


@pytest.mark.req("S-87", "S-88", "S-89", "S-90")
def test_the_new_server_takes_the_ports_of_the_old_one_and_mail_that_came_meanwhile_is_there(
    host: Host, batch: Batch
) -> None:
    person = make_user(is_administrator=True)
    plan = {"imap": {"old": f"{HOST}:{host.public}", "new_before": f"{HOST}:{host.new.imap}"}}
    plan["imap"]["new"] = plan["imap"]["old"]
    place_books.save(batch.campaign, Places(ports=plan), actor=person)
    both, closed, quiet, opened = (
        position for position, step in enumerate(RECIPES["switching"].steps) if step.kind == "person"
    )
    for account in batch.accounts.all():
        runs.run_stage(claim(account, LeaseKind.STAGE, AccountState.STAGING))
    cut_over(batch, AccountState.CUTTING_OVER)
    assert codes(confirmations.look(batch, both, actor=person)) == ["port.greets", "port.greets"]
    # still with the old server's words at its port, nobody goes on
    assert codes(confirmations.look(batch, closed, actor=person)) == ["port.same_greeting"]
    cut_over(batch, AccountState.CUTTING_OVER)
    deliver(host.old, "anna", "late")
    host.give_up(host.old)
    eventually(lambda: not _greets(host, ""), host.old.last_words)
    assert confirmations.look(batch, closed, actor=person).confirmed_at is not None
    cut_over(batch, AccountState.CUTTING_OVER)
    assert titles(host.new.account("anna")) == ["before", "late"]
    assert codes(confirmations.look(batch, quiet, actor=person)) == ["mailbox.still"]
    cut_over(batch, AccountState.CUTTING_OVER)
    assert confirmations.look(batch, opened, actor=person).confirmed_at is None
    host.take(host.new)
    eventually(lambda: _greets(host, "New stones"), host.new.last_words)
    assert codes(confirmations.look(batch, opened, actor=person)) == ["port.greets", "port.signed_in"]
    cut_over(batch, AccountState.DONE, "")
    assert [titles(host.door(user)) for user in USERS] == [["before", "late"], ["before"]]


@pytest.mark.req("S-91")
def test_the_old_servers_queue_is_watched_until_it_is_empty(
    host: Host, batch: Batch, tmp_path: Path, settings: Any
) -> None:
    settings.PROGRAMS = tmp_path / "programs"
    settings.PROGRAMS.mkdir(mode=0o755)
    program = settings.PROGRAMS / "old-postfix"
    program.write_text((host.queue.dir / "through").read_text())
    program.chmod(0o755)
    person = make_user(is_administrator=True)
    assert [one.code for one in confirmations.look_at(batch, "queue_empty")] == ["queue.not_known"]
    place_books.save(batch.campaign, Places(queue_program="old-postfix"), actor=person)
    for number in range(2):
        host.queue.send([f"x{number}@example.test"], b"Subject: delayed\r\n\r\nx\r\n")
    waits = confirmations.look_at(batch, "queue_empty")
    assert [(one.code, one.is_good, one.found) for one in waits] == [("queue.waits", False, "2")]
    assert accepted(batch, person) == (False, {"messages": 2})
    host.queue.run("postconf", "-e", "defer_transports =")
    host.queue.run("postfix", "reload")
    host.queue.run("postqueue", "-f")
    eventually(host.queue.is_queue_empty, host.queue.last_words)
    assert [(one.code, one.is_good) for one in confirmations.look_at(batch, "queue_empty")] == [("queue.empty", True)]
    assert accepted(batch, person) == (True, {"messages": 0})
    batch.campaign.steps = [["delta", "", ""], ["switch", "", ""], ["person", "", "queue_empty"]]
    batch.campaign.save()
    assert confirmations.look(batch, 2, actor=person).confirmed_at is not None
    program.unlink()
    (gone,) = confirmations.look_at(batch, "queue_empty")
    assert (gone.code, gone.is_good) == ("connector.invalid", False)
    assert accepted(batch, person)[0] is None


def accepted(batch: Batch, person: User) -> tuple[bool | None, dict[str, Any]]:
    """Look at the old server's queue after the night; return what the page then tells."""
    acceptance.look_at_queue(batch, actor=person)
    (found,) = (check for check in acceptance.checks(batch) if check.code == "queue")
    return found.is_well, found.facts


def test_only_an_administrator_says_by_which_program_the_queue_is_seen(
    batch: Batch, tmp_path: Path, settings: Any
) -> None:
    settings.PROGRAMS = tmp_path
    tmp_path.chmod(0o755)
    (tmp_path / "end").write_text("#!/bin/sh\n")
    (tmp_path / "end").chmod(0o755)
    operator, administrator = make_user(is_operator=True), make_user(is_administrator=True)
    for actor, name in ((operator, "end"), (administrator, "shell")):
        with pytest.raises(Refused, match=re.escape("places.queue")):
            place_books.save(batch.campaign, Places(queue_program=name), actor=actor)
    place_books.save(batch.campaign, Places(queue_program="end"), actor=administrator)
    place_books.save(batch.campaign, Places(queue_program="end", most_ttl=60), actor=operator)
