"""The three examples of the SIMS appendix, step by step as it writes them, on real servers: from /var/mail elsewhere.

What a person does at night (stop the old daemon, start the new server) is done by a person here, too: a step waits for
it, and a look at the ports proves it.
"""

from __future__ import annotations

import smtplib
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, cast

import pytest

from migrator.cutover import CutoverOutcome, run_cutover
from migrator.directories import DIRECTORIES
from migrator.entries import Json, Kind, open_connector
from migrator.events import Event
from migrator.holds import HOLDS
from migrator.journal import StepDone, StepKey, StepKind
from migrator.recipes import RECIPES, Recipe
from migrator.routes import ROUTES
from migrator.sessions import SESSIONS
from migrator.steps.copying import Mail
from migrator.steps.kit import Access, Kit, Named, steps_of
from migrator.stores.imap_target import ImapTarget
from migrator.stores.mbox import MboxSource
from migrator.testing.journals import MemoryJournal
from migrator.transfer.memory_ledger import MemoryLedger
from migrator.transfer.verify import VerifyLevel
from tests.live.crossing import endpoint
from tests.rigs import check
from tests.rigs.base import HOST, Account, users
from tests.rigs.dialogue import Dialogue, Refused
from tests.rigs.forwards import Forwards
from tests.rigs.governed import TARGET_HOST
from tests.rigs.night import SENDS_ONLY
from tests.rigs.panel import eventually
from tests.rigs.sims import EVERYBODY, HUB, MAIL, OF_GROUPS, ForwardingWorld, SimsWorld
from tests.rigs.slapd import PEOPLE, secret

ANNA, STAYS = "u0000", "u0001"
OLD = [f"old {number}" for number in range(MAIL)]


@pytest.fixture
def site() -> Iterator[SimsWorld]:
    with SimsWorld(users(2), options=["mailbox", "autoreply"]) as world:
        yield world


@dataclass
class Move:
    """One user's move by one recipe.

    ``person`` does what a step of that check asks for, and says whether it is so; ``seen`` is told of each step that is
    done, ``hold`` is the kind of hold. The user may be the group of all: its entry is held and routed, too.
    """

    site: SimsWorld
    recipe: Recipe
    hold: str = ""
    person: Callable[[str], bool] = lambda check: True
    seen: Callable[[StepKey], None] = lambda key: None
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    ledger: MemoryLedger = field(default_factory=MemoryLedger)
    user: str = ANNA

    def go(self, steps: int | None = None) -> CutoverOutcome:
        """Carry out the recipe, or its first ``steps``."""
        with ExitStack() as opened:
            found = steps_of(self.recipe, self._kit(opened), self.journal)
            wanted = [step for step in found if steps is None or step.key.position < steps]
            result = run_cutover(wanted, self.journal, sink=self)
        assert result.error is None, result
        return result.outcome

    def emit(self, event: Event) -> None:
        """Be told of what happens."""
        if isinstance(event, StepDone):
            self.seen(event.step)

    def _kit(self, opened: ExitStack) -> Kit:
        site, address = self.site, self.site.address(self.user)
        if self.user == EVERYBODY:
            return Kit(
                address=address,
                source=Access(address),
                target=Access(address),
                route=self._connector(opened, ROUTES, "ldap", site.route_options()),
                hold=self._connector(opened, HOLDS, "ldap", site.channel_options()),
                is_approved=lambda key, check: self.person(check),
            )

        connector = partial(self._connector, opened)
        directory = connector(DIRECTORIES, "ldap", site.slapd.options(schema="sims", reading_value=SENDS_ONLY))
        sessions = connector(SESSIONS, "dovecot", {**site.sessions_options("source"), "our_addresses": [HOST]})
        holds = {
            "ldap": site.channel_options,
            "postfix": lambda: {**site.postfix.hold_options(), "manner": "choked"},
            "forward_file": lambda: cast(ForwardingWorld, site).forwards.options(),
        }
        return Kit(
            address=address,
            source=Access(address, directory, sessions.connector),
            target=Access(address, directory),
            mail=Mail(
                open_source=lambda: MboxSource(site.spool / self.user),
                open_target=lambda: ImapTarget(endpoint(site.target.admin(self.user))),
                ledger=self.ledger,
            ),
            verify_level=VerifyLevel.DIGEST,
            route=connector(ROUTES, "ldap", site.route_options()),
            hold=connector(HOLDS, self.hold, holds[self.hold]()) if self.hold else None,
            services=self.recipe.refuses,
            is_approved=lambda key, check: self.person(check),
        )

    def _connector(
        self, opened: ExitStack, registry: Mapping[str, Kind], kind: str, options: Mapping[str, Json]
    ) -> Named[Any]:
        found = open_connector(registry, kind, options, secret() if kind == "ldap" else None)
        return Named(kind, opened.enter_context(closing(found)))


# Example 1


@pytest.mark.req("S-94", "S-104", "S-107")
def test_the_simplest_example_waits_for_the_old_daemon_to_be_killed_and_brings_all_mail_over(site: SimsWorld) -> None:
    site.send(ANNA, "before the night")
    eventually(lambda: "before the night" in titles(site.source.admin(ANNA)), site.postfix.last_words)
    move = Move(site, RECIPES["sims1"], person=lambda check: not is_listening(site.source.imap))
    assert move.go() is CutoverOutcome.STOPPED  # nobody has killed it yet
    assert titles(site.target.admin(ANNA)) == []

    def person(check: str) -> bool:
        if check == "port_closed":
            for server in (site.postfix, site.source):
                server.stop()
            return not is_listening(site.source.imap) and not is_listening(site.postfix.smtp)
        site.postfix.start()
        return is_listening(site.target.imap) and is_listening(site.postfix.smtp)

    move.person = person
    assert move.go() is CutoverOutcome.DONE
    assert titles(site.target.account(ANNA)) == [*OLD, "before the night"]
    assert [date.year for date in dates(site.target.account(ANNA))][:MAIL] == [1998] * MAIL
    assert site.slapd.read(f"uid={ANNA},{PEOPLE}", "mailHost") == [f"mailHost: {TARGET_HOST}"]
    site.send(ANNA, "the first one")
    eventually(lambda: "the first one" in titles(site.target.account(ANNA)), site.postfix.last_words)


# Example 2


@pytest.mark.req("S-109", "S-115", "S-121", "S-122")
def test_with_a_choke_people_get_new_mail_first_and_their_old_mail_while_senders_wait(site: SimsWorld) -> None:
    waiting: list[str] = []
    move = Move(site, RECIPES["sims2"], "postfix")
    assert move.go(move.recipe.early) is CutoverOutcome.DONE
    assert titles(site.target.account(ANNA)) == []  # new mail only
    assert not is_admitted(site.source.account(ANNA))
    site.send(ANNA, "new mail")
    eventually(lambda: titles(site.target.account(ANNA)) == ["new mail"], site.postfix.last_words)

    def seen(step: StepKey) -> None:
        if step.kind is StepKind.DISABLE:
            assert not is_admitted(site.target.account(ANNA))
            assert is_admitted(site.source.account(STAYS))
            with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
                site.send(ANNA, "waits at its sender")
            ((code, _),) = refused.value.recipients.values()
            assert code == 450
            site.send(STAYS, "for somebody else")
            waiting.append("waits at its sender")

    move.seen = seen
    assert move.go() is CutoverOutcome.DONE
    for title in waiting:
        site.send(ANNA, title)  # as senders do: again
    wanted = ["new mail", *OLD, "waits at its sender"]
    eventually(lambda: titles(site.target.account(ANNA)) == wanted, lambda: titles(site.target.admin(ANNA)))
    eventually(lambda: "for somebody else" in titles(site.source.account(STAYS)), site.postfix.last_words)
    assert not {"bounced", "expired"} & set(site.postfix.ends())


@pytest.mark.req("S-97", "S-109", "S-113", "S-121")
def test_with_a_forward_file_new_mail_waits_there_and_comes_behind_the_old_without_a_bounce() -> None:
    with ForwardingWorld(users(2)) as site:
        forward = site.forwards.homes / ANNA / ".forward"
        Forwards.write(forward, f"{ANNA}@{HUB}\n")
        move = Move(site, RECIPES["sims2"], "forward_file")
        assert move.go(move.recipe.early) is CutoverOutcome.DONE
        site.send(ANNA, "new mail")
        eventually(lambda: titles(site.target.account(ANNA)) == ["new mail"], site.postfix.last_words)

        def seen(step: StepKey) -> None:
            if step.kind is StepKind.DISABLE:
                assert not is_admitted(site.target.account(ANNA))
                site.send(ANNA, "waits in a file")
                site.send(STAYS, "for somebody else")
                eventually(lambda: "for somebody else" in titles(site.source.account(STAYS)), site.postfix.last_words)
                held = site.forwards.held / ANNA
                eventually(lambda: b"waits in a file" in held.read_bytes(), site.postfix.last_words)

        move.seen = seen
        assert move.go() is CutoverOutcome.DONE
        assert titles(site.target.account(ANNA)) == ["new mail", *OLD, "waits in a file"]
        assert forward.read_text() == f"{ANNA}@{HUB}\n"
        assert (site.forwards.held / ANNA).read_bytes() == b""
        assert not {"bounced", "expired"} & set(site.postfix.ends())


# Example 3


@pytest.mark.req("S-123", "S-124", "S-125", "S-129", "S-130", "S-131", "S-133")
def test_behind_a_proxy_people_may_send_while_their_mail_is_held_and_keep_their_server_name(site: SimsWorld) -> None:
    door = Account(site.front.imap, ANNA, site.passwords[ANNA])
    assert titles(door) == OLD

    def seen(step: StepKey) -> None:
        if step.kind is StepKind.DISABLE:
            assert not is_admitted(door)
            site.submit(ANNA, STAYS, "sent meanwhile")
            site.send(ANNA, "held")
            site.send(EVERYBODY, "to a list")

    def person(check: str) -> bool:
        eventually(lambda: len(site.postfix.waiting()) == 2, site.postfix.last_words)  # held ones; the others went on
        site.source.stop()
        return not is_listening(site.source.imap)

    group, entry = Move(site, RECIPES["sims3"], user=EVERYBODY), f"cn={EVERYBODY},{PEOPLE}"
    assert group.go(2) is CutoverOutcome.DONE
    assert site.slapd.read(entry, "mailDeliveryOption") == ["mailDeliveryOption: hold"]
    move = Move(site, RECIPES["sims3"], "ldap", person, seen)
    assert move.go() is CutoverOutcome.DONE
    assert group.go() is CutoverOutcome.DONE
    assert site.slapd.read(entry, "mailDeliveryOption", "mailHost") == [
        *(f"mailDeliveryOption: {value}" for value in OF_GROUPS), f"mailHost: {TARGET_HOST}",
    ]  # fmt: skip
    eventually(lambda: len(titles(door)) == MAIL + 2, lambda: titles(door))
    assert titles(door)[:MAIL] == OLD
    assert sorted(titles(door)[MAIL:]) == ["held", "to a list"]
    found = site.slapd.read(f"uid={ANNA},{PEOPLE}", "mailDeliveryOption", "mailHost", "emailPersonStatus")
    assert found == [
        "emailPersonStatus: active",
        "mailDeliveryOption: autoreply",
        "mailDeliveryOption: mailbox",
        f"mailHost: {TARGET_HOST}",
    ]
    assert not {"bounced", "expired"} & set(site.postfix.ends())


# What is seen from outside


def titles(account: Account) -> list[str]:
    """The subjects in INBOX, in their order."""
    return [seen.title for seen in check.read(account).folders[b"INBOX"].messages]


def dates(account: Account) -> list[datetime]:
    """The internal dates in INBOX, in their order."""
    return [datetime.fromtimestamp(seen.date, UTC) for seen in check.read(account).folders[b"INBOX"].messages]


def is_admitted(account: Account) -> bool:
    """Tell whether somebody may sign in."""
    try:
        Dialogue(account).close()
    except (Refused, OSError):
        return False
    return True


def is_listening(port: int) -> bool:
    """Tell whether anybody takes connections there."""
    try:
        socket.create_connection((HOST, port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True
