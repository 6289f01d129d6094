"""Publishing, proved: a replica by syncrepl that is behind, and a Postfix whose table is stale."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from migrator.directories.ldap_publication import LdapPublication
from migrator.entries import Json
from migrator.errors import MigratorError, Side
from migrator.journal import StepKey, StepKind
from migrator.limits import SystemClock
from migrator.routes.ldap import LdapRoute
from migrator.steps.others import PublishStep
from tests.rigs.base import HOST, free_port
from tests.rigs.panel import eventually
from tests.rigs.postbox import Postbox
from tests.rigs.postfix import Postfix
from tests.rigs.relay import Relay
from tests.rigs.slapd import PEOPLE, Slapd, person, secret

ANNA, BERT = "anna@example.test", "bert@example.test"
ANNAS = f"uid=anna,{PEOPLE}"

_opened: list[Any] = []


@pytest.fixture(autouse=True)
def _close() -> Iterator[None]:
    yield
    while _opened:
        _opened.pop().close()


def publication(master: Slapd, *hosts: str, **more: Json) -> LdapPublication:
    options = {**master.options(**more), "hosts": list(hosts)}
    _opened.append(LdapPublication.of(options, secret()))
    return _opened[-1]


def refusal(call: Callable[[], object]) -> MigratorError:
    with pytest.raises(MigratorError) as caught:
        call()
    return caught.value


@pytest.mark.req("S-128")
def test_a_change_on_the_master_is_published_when_each_replica_has_it() -> None:
    with (
        Slapd([person(name, mailHost="old.example.test") for name in (ANNA, BERT)]) as master,
        Relay(master.port) as line,
        Slapd(replica_of=f"ldap://{HOST}:{line.port}") as near,
        Slapd(replica_of=master.uri) as other,
    ):
        copies = publication(master, near.uri, other.uri)
        eventually(lambda: copies.is_published(ANNA) and copies.is_published(BERT), near.last_words)
        route = LdapRoute.of(master.options(source="old.example.test", target="new.example.test"), secret())
        _opened.append(route)
        line.freeze()
        before = route.find(ANNA)
        assert before
        route.replace(ANNA, before, route.routed(before, Side.TARGET))
        eventually(lambda: publication(master, other.uri).is_published(ANNA), other.last_words)
        assert not copies.is_published(ANNA)
        assert copies.is_published(BERT)
        line.freeze(False)
        PublishStep(StepKey(0, StepKind.PUBLISH), copies, ANNA, clock=SystemClock()).apply({})
        assert near.read(ANNAS, "mailHost") == ["mailHost: new.example.test"]
        master.remove(ANNAS)
        eventually(lambda: copies.is_published(ANNA), near.last_words)
        assert not any(copy.holds(ANNAS) for copy in (near, other))


@pytest.fixture
def postfix(tmp_path: Path) -> Iterator[Postfix]:
    """A Postfix whose table of mailboxes was made when only Bert was there."""
    with Postfix(["bert"]) as server:
        yield server


DIRSYNC = """
import subprocess, sys
conf, uri, base = sys.argv[1:4]
found = subprocess.run(["ldapsearch", "-x", "-LLL", "-H", uri, "-b", base, "(mail=*)", "mail"],
                       capture_output=True, text=True, check=True).stdout
names = [line.partition(": ")[2] for line in found.splitlines() if line.startswith("mail: ")]
with open(conf + "/mailboxes", "w") as table:
    table.writelines(f"{name} {name.partition('@')[0]}/\\n" for name in names)
subprocess.run(["postfix", "-c", conf, "reload"], check=True, capture_output=True)
"""


@pytest.mark.req("S-103")
def test_a_stale_table_is_not_published_until_the_full_dirsync_has_run_removals_included(postfix: Postfix) -> None:
    conf = str(postfix.dir / "conf")
    with Slapd([person(name) for name in (ANNA, BERT)]) as master:
        smtp = f"smtp://{HOST}:{postfix.smtp}"
        program = [sys.executable, "-c", DIRSYNC, conf, master.uri, PEOPLE]
        stale, synced = publication(master, smtp), publication(master, smtp, program=program)
        assert not stale.is_published(ANNA)
        assert stale.is_published(BERT)
        stale.publish(ANNA)
        assert not stale.is_published(ANNA)
        step = PublishStep(StepKey(0, StepKind.PUBLISH), synced, ANNA, clock=SystemClock())
        assert not step.is_done({})
        step.apply({})
        assert step.is_done({})
        master.remove(ANNAS)
        assert not step.is_done({})
        step.apply({})
        assert stale.is_published(ANNA)
        assert stale.is_published(BERT)


def test_a_server_that_takes_mail_for_any_name_proves_nothing() -> None:
    with Slapd([person(ANNA)]) as master, Postbox().server() as sink:
        error = refusal(lambda: publication(master, f"smtp://{HOST}:{sink.port}").is_published(ANNA))
        assert error.code == "publish.no_proof"


def test_a_server_that_is_away_is_no_proof_and_no_fault_of_the_new_mail_server() -> None:
    with Slapd([person(ANNA)]) as master:
        error = refusal(lambda: publication(master, f"smtp://{HOST}:{free_port()}").is_published(ANNA))
        assert (error.code, error.side, error.radius) == ("server.unreachable", None, "account")
        gone = f"ldap://{HOST}:{free_port()}"
        assert refusal(lambda: publication(master, gone).is_published(ANNA)).code == "directory.unreachable"


@pytest.mark.parametrize("address", ["anna@example.test>\r\nDATA", "anna@example.test> SIZE=1", "<a@example.test", ""])
def test_an_address_that_could_be_a_command_is_never_sent(postfix: Postfix, address: str) -> None:
    with Slapd([person(ANNA)]) as master:
        asked = publication(master, f"smtp://{HOST}:{postfix.smtp}")
        assert refusal(lambda: asked.is_published(address)).code == "address.bad"


def test_a_person_who_signs_in_by_another_name_is_asked_for_by_their_address(postfix: Postfix) -> None:
    with Slapd([person(BERT)]) as master:
        assert publication(master, f"smtp://{HOST}:{postfix.smtp}", filter="(uid={address})").is_published("bert")


def test_a_program_that_fails_is_told_in_its_words() -> None:
    with Slapd([person(ANNA)]) as master:
        program = [sys.executable, "-c", "import sys; sys.exit('dirsync: no such database')"]
        error = refusal(lambda: publication(master, master.uri, program=program).publish(ANNA))
        assert (error.code, error.reply) == ("command.failed", "dirsync: no such database")
