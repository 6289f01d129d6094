"""Steps that a person does are proved by what is seen: doors, queues, mailboxes. On real sockets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from migrator.errors import MigratorError
from migrator.holds.base import HeldMail
from migrator.limits import Limits
from migrator.preflight import ports
from migrator.preflight.by_hand import CHECKS, Grounds, Mailbox
from migrator.preflight.evidence import SENTENCES, Evidence
from migrator.preflight.ports import Port, Service, port_at
from migrator.secret import Secret
from migrator.stores.endpoint import Endpoint
from tests.rigs.base import HOST, free_port
from tests.rigs.greeter import Greeter, Submission

QUICK = Limits(connect_seconds=2, io_seconds=2)
OLD = "220 old.example.test ESMTP Sendmail 8.8.8/8.8.8; Sat, 28 Nov 1998 21:00:01 +0100"
OLD_LATER = "220 old.example.test ESMTP Sendmail 8.8.8/8.8.8; Sun, 29 Nov 1998 03:14:15 +0100"
NEW = "220 new.example.test ESMTP Postfix"


def door(port: int, service: Service = Service.SMTP) -> Port:
    return port_at(service, Endpoint(HOST, 0, "plain", "", Secret("")), HOST, port)


def seen(check: str, **grounds: object) -> list[tuple[str, bool]]:
    found = list(CHECKS[check](Grounds(limits=QUICK, **grounds)))  # type: ignore[arg-type]
    assert all(one.sentence for one in found)
    assert [Evidence.from_json(one.as_json()) for one in found] == found
    return [(one.code, one.is_good) for one in found]


@pytest.fixture
def greeters() -> Iterator[list[Greeter]]:
    with ExitStack() as open_doors:
        yield [open_doors.enter_context(Greeter(words)) for words in (OLD, NEW)]


@pytest.mark.req("S-87")
def test_both_servers_listen_side_by_side_at_ports_of_their_own(greeters: list[Greeter]) -> None:
    old, new = (door(greeter.port) for greeter in greeters)
    assert seen("both_listen", old=[old], new_before=[new]) == [("port.greets", True)] * 2
    gone = door(free_port())
    assert seen("both_listen", old=[old], new_before=[gone]) == [("port.greets", True), ("server.unreachable", False)]
    assert ("port.not_planned", False) in seen("both_listen", old=[old])


@pytest.mark.req("S-88", "S-104")
def test_the_old_server_is_gone_when_its_port_is_closed_or_somebody_else_answers(greeters: list[Greeter]) -> None:
    old = door(greeters[0].port)
    greetings = {old.key: OLD}
    greeters[0].words = OLD_LATER
    assert seen("port_closed", old=[old], greetings=greetings) == [("port.same_greeting", False)]
    assert seen("port_closed", old=[old]) == [("port.still_open", False)]
    greeters[0].words = NEW
    assert seen("port_closed", old=[old], greetings=greetings) == [("port.other_greeting", True)]
    greeters[0].words = ""
    assert seen("port_closed", old=[old], greetings=greetings) == [("line.silent", False)]
    assert seen("port_closed", old=[door(free_port())], greetings=greetings) == [("port.closed", True)]


def test_a_name_that_nobody_knows_is_no_server_that_was_stopped() -> None:
    nowhere = port_at(Service.SMTP, Endpoint(HOST, 0, "plain", "", Secret("")), "old.invalid", 25)
    assert seen("port_closed", old=[nowhere]) == [("port.no_address", False)]


def test_nothing_planned_proves_nothing() -> None:
    assert seen("port_closed") == [("port.not_planned", False)]
    assert ("port.not_planned", False) in seen("ports_open")
    assert seen("dns") == [("dns.not_planned", False)]
    assert seen("no_new_mail") == [("mailbox.none", False)]
    assert seen("queue_empty") == [("queue.not_known", False)]


def test_ports_that_answer_and_let_nobody_in_are_not_enough(greeters: list[Greeter]) -> None:
    found = seen("ports_open", new=[door(greeters[1].port)])
    assert found == [("port.greets", True), ("port.nobody_to_sign_in", False)]


@pytest.mark.req("S-90")
@pytest.mark.parametrize(
    ("password", "mechanisms", "code"),
    [
        ("right", "PLAIN LOGIN", "port.signed_in"),
        ("wrong", "PLAIN LOGIN CRAM-MD5", "sign_in.refused"),
        ("right", "CRAM-MD5", "sign_in.no_method"),
    ],
)
def test_sending_is_proved_by_signing_in_once(password: str, mechanisms: str, code: str) -> None:
    with Submission("anna", "right", mechanisms) as server:
        here = Endpoint(HOST, 0, "plain", "anna", Secret(password))
        found = seen("ports_open", new=[port_at(Service.SUBMISSION, here, HOST, server.port)])
    assert found == [("port.greets", True), (code, code == "port.signed_in")]
    assert server.tried == (0 if code == "sign_in.no_method" else 1)


class Waiting:
    def __init__(self, *answers: int | MigratorError) -> None:
        self.answers = list(answers)

    def count(self) -> HeldMail:
        answer = self.answers.pop(0)
        if isinstance(answer, MigratorError):
            raise answer
        return HeldMail(answer, None)


def test_a_queue_is_watched_until_it_is_empty() -> None:
    queue = Waiting(2, MigratorError("command.failed", reply="postqueue: fatal"), 0)
    assert seen("queue_empty", queue=queue) == [("queue.waits", False)]
    assert seen("queue_empty", queue=queue) == [("command.failed", False)]
    assert seen("queue_empty", queue=queue) == [("queue.empty", True)]


def test_an_old_server_that_came_back_to_the_usual_port_is_told_with_its_queue(greeters: list[Greeter]) -> None:
    old = door(greeters[0].port)
    found = seen("queue_empty", queue=Waiting(0), old=[old], greetings={old.key: OLD})
    assert found == [("queue.empty", True), ("port.same_greeting", False)]


def test_a_mailbox_that_cannot_be_opened_or_was_never_copied_is_not_still() -> None:
    def refuse() -> object:
        raise MigratorError("sign_in.refused")

    boxes = [Mailbox("anna", refuse, {b"INBOX": (1, 2)}), Mailbox("bert", refuse, {})]  # type: ignore[arg-type]
    found = seen("no_new_mail", mailboxes=boxes)
    assert found == [("sign_in.refused", False), ("mailbox.never_copied", False), ("mailbox.still", True)]


def test_what_passes_in_a_greeting_does_not_tell_servers_apart() -> None:
    assert ports.lasting(OLD) == ports.lasting(OLD_LATER) != ports.lasting(NEW)
    pop = "+OK POP3 server ready <1896.697170952@old.example.test>"
    assert ports.lasting(pop) == ports.lasting(pop.replace("1896.697170952", "2001.697170999"))


def test_sentences_are_sentences() -> None:
    assert all(text.endswith(".") for text in SENTENCES.values())
