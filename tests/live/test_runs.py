"""Whole nights between two Dovecots that obey an OpenLDAP, with the panel's rows; and the same rows on PostgreSQL."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.utils import timezone

from campaigns.bridge import vault
from campaigns.bridge.lease import Keeper, LeaseKind
from campaigns.models import Account, AllowedAddress, Batch, Campaign, Connector, Run, Server
from campaigns.services import batches, campaigns, preflights, runs, scheduling
from migrator.errors import Side
from migrator.secret import Secret
from tests.rigs import check, corpus
from tests.rigs.base import HOST, users
from tests.rigs.dialogue import Dialogue, Refused
from tests.rigs.dovecot import ADMIN, ADMIN_PASSWORD
from tests.rigs.governed import GovernedByLdap
from tests.rigs.panel import eventually
from tests.rigs.postgres import Postgres
from tests.rigs.slapd import PEOPLE, secret

ROOT = Path(__file__).parents[2]
PROBE = "u0000"
WORK = {
    LeaseKind.STAGE: runs.run_stage,
    LeaseKind.CUTOVER: runs.run_cutover,
    LeaseKind.ROLLBACK: runs.run_rollback,
    LeaseKind.CATCH_UP: runs.run_catch_up,
}


@pytest.fixture(scope="module")
def town() -> Iterator[GovernedByLdap]:
    with GovernedByLdap(users(8)) as world:
        for number, user in enumerate(sorted(world.passwords)):
            corpus.fill(world.account("source", user), corpus.lifelike(number, messages=60))
        world.slapd.change(f"uid={PROBE},{PEOPLE}", emailPersonStatus="inactive")
        yield world


def set_up(town: GovernedByLdap, recipe: str) -> Campaign:
    AllowedAddress.objects.create(host="127.0.0.0/8")
    servers = {side.value: make_server(side, town) for side in Side}
    staff = make_connector("directory", "ldap", town.directory_options(), secret())
    return campaigns.create(
        recipe,
        **servers,
        source_directory=staff,
        target_directory=staff,
        route=make_connector("route", "ldap", town.route_options(), secret()),
        source_sessions=make_connector("sessions", "dovecot", town.sessions_options("source"), None),
        recipe=recipe,
        verify_level="digest",
        actor="test",
    )


def make_server(side: Side, town: GovernedByLdap) -> Server:
    port = (town.source if side is Side.SOURCE else town.target).imap
    server = Server.objects.create(name=side.value, host=HOST, port=port, security="plain", admin_login=ADMIN)
    server.admin_secret = vault.seal(Secret(ADMIN_PASSWORD), server, "admin_secret")
    server.save()
    return server


def make_connector(room: str, kind: str, options: object, password: Secret | None) -> Connector:
    row = Connector.objects.create(room=room, kind=kind, name=room, options=options)
    if password:
        row.secret = vault.seal(password, row, "secret")
        row.save()
    return row


def move_in(campaign: Campaign, town: GovernedByLdap, names: list[str]) -> list[Account]:
    logins = [town.address(name) for name in names]
    unsaved = [Account(source_login=login, target_login=login) for login in logins]
    (batch,) = batches.cut(campaign, unsaved, actor="test")
    found = list(Account.objects.filter(batch=batch).order_by("pk"))
    for account, name in zip(found, names, strict=True):
        for field in ("source_secret", "target_secret"):
            setattr(account, field, vault.seal(Secret(town.passwords[name]), account, field))
        account.save()
    batches.start(batch, actor="test")
    Batch.objects.filter(pk=batch.pk).update(go_at=timezone.now())
    return found


def work_to_the_end(seconds: float = 60.0) -> None:
    """One ticker and one lane."""
    keeper, end = Keeper(), time.monotonic() + seconds
    while leases := scheduling.claim_due(1):
        assert time.monotonic() < end, list(Account.objects.values_list("state", "error_code", "error_reply"))
        for claimed in leases:
            lease = scheduling.take_up(claimed.account_id, claimed.epoch, "a lane")
            assert lease is not None
            with keeper.keep(lease):
                WORK[lease.kind](lease)
            scheduling.release(lease)


class Prober(threading.Thread):
    """Signs in as everybody on both sides, again and again, and notes who was let in where."""

    def __init__(self, town: GovernedByLdap, names: list[str]) -> None:
        super().__init__(daemon=True)
        self._town = town
        self._names = names
        self._ended = threading.Event()
        self.seen: dict[str, list[tuple[bool, bool]]] = {name: [] for name in names}

    def run(self) -> None:
        while not self._ended.is_set():
            self.look()
            self._ended.wait(0.05)

    def end(self) -> None:
        """Look once more, and no further."""
        self._ended.set()
        self.join(30)
        self.look()

    def look(self) -> None:
        """Sign in everywhere once."""
        for name in self._names:
            # The target first: whoever crosses in between is seen on neither side, and not on both.
            at_target = self._is_let_in("target", name)
            self.seen[name].append((self._is_let_in("source", name), at_target))

    def _is_let_in(self, side: str, name: str) -> bool:
        try:
            Dialogue(self._town.account(side, name)).close()
        except (Refused, OSError):
            return False
        return True


class Writer(threading.Thread):
    """A user with an open session that keeps writing, until the server ends it."""

    def __init__(self, town: GovernedByLdap, name: str) -> None:
        super().__init__(daemon=True)
        self._dialogue = Dialogue(town.account("source", name))
        self.confirmed = 0

    def run(self) -> None:
        with contextlib.suppress(OSError, Refused, EOFError, AssertionError, ValueError, IndexError):
            while True:
                body = b"Subject: written %d\r\n\r\nin an open session\r\n" % self.confirmed
                self._dialogue.append(b"INBOX", [(b"()", body)])
                self.confirmed += 1
                time.sleep(0.02)
        self._dialogue.close()


@pytest.mark.req("S-102")
@pytest.mark.timeout(180)
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("recipe", "names"), [("plain", ["u0001", "u0002", "u0003"]), ("classic", ["u0004", "u0005"])])
def test_a_night_between_real_servers_admits_each_user_on_one_side_and_loses_nothing(
    town: GovernedByLdap, recipe: str, names: list[str]
) -> None:
    campaign = set_up(town, recipe)
    disabled = dict.fromkeys(Side, town.address(PROBE))
    assert preflights.accept_recipe(campaign, disabled, actor="test") == []
    found = move_in(campaign, town, names)
    writer, prober = Writer(town, names[0]), Prober(town, names)
    writer.start()
    prober.look()
    prober.start()
    begun = time.monotonic()
    work_to_the_end()
    took = time.monotonic() - begun
    prober.end()
    writer.join(20)
    for account, name in zip(found, names, strict=True):
        account.refresh_from_db()
        assert (account.state, account.owner) == ("done", "target"), (account.error_code, account.error_reply)
        assert_seen_on_one_side(prober.seen[name])
        source, target = (check.read(server.admin(name)) for server in (town.source, town.target))
        assert check.compare(source, target, check.Terms(skip_flagged="\\deleted")) == []
        values = town.slapd.read(f"uid={name},{PEOPLE}", "emailPersonStatus", "mailHost")
        assert sorted(values) == ["emailPersonStatus: active", "mailHost: new.example.test"]
    titles = Counter(seen.title for seen in check.read(town.target.admin(names[0])).folders[b"INBOX"].messages)
    assert writer.confirmed > 0
    assert all(titles[f"written {number}"] == 1 for number in range(writer.confirmed)), titles
    lockouts = [account.lockout_seconds or 0.0 for account in found]
    print(f"{recipe}: {len(found)} accounts in {took:.1f} s, locked out {sorted(lockouts)} s, wrote {writer.confirmed}")
    assert list(Run.objects.exclude(outcome__in=("ended", "done")).values()) == []


def assert_seen_on_one_side(seen: list[tuple[bool, bool]]) -> None:
    """Claim: at the source, then nowhere, then at the target, for good."""
    assert (True, True) not in seen
    order = [place for place, before in zip(seen, [None, *seen[:-1]], strict=True) if place != before]
    assert order in ([(True, False), (False, False), (False, True)], [(True, False), (False, True)]), order


@pytest.mark.timeout(180)
@pytest.mark.django_db(transaction=True)
def test_a_wrong_password_reaches_a_real_server_once(town: GovernedByLdap) -> None:
    campaign = set_up(town, "plain")
    preflights.accept_recipe(campaign, dict.fromkeys(Side, town.address(PROBE)), actor="test")
    (account,) = move_in(campaign, town, ["u0006"])
    account.source_secret = vault.seal(Secret("not it"), account, "source_secret")
    account.save()
    work_to_the_end()
    account.refresh_from_db()
    assert (account.state, account.error_code, account.error_side) == ("failed", "sign_in.refused", "source")
    assert "AUTHENTICATIONFAILED" in account.error_reply

    def refused() -> int:
        return len(re.findall(r"auth failed, 1 attempts.*u0006", (town.source.dir / "dovecot.log").read_text()))

    # another program of Dovecot writes the log, in its own time
    eventually(refused, lambda: "no refusal in the log")
    assert refused() == 1


@pytest.mark.timeout(1800)
def test_bridge_and_runs_keep_their_promises_on_postgresql() -> None:
    names = ("vault", "bridge_ledger", "journal", "sink", "runs", "rescue_folder", "preflights")
    files = [f"tests/campaigns/test_{name}.py" for name in names]
    with Postgres() as server:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--create-db", *files],
            cwd=ROOT,
            env={
                **os.environ,
                "MAILFERRY_TEST_DATABASE_URL": server.url,
                "MAILFERRY_TEST_SAMPLE": "3",
                "PYTEST_ADDOPTS": "",
            },
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed, done.stdout
    assert int(passed[1]) > 150
