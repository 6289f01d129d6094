"""Two mailboxes of different people are told apart before the first write, and nobody else is stopped."""

from __future__ import annotations

import random

import pytest

from migrator.mail import Outcome
from migrator.testing import FaultPlan, Killed
from migrator.transfer.kinship import LEAST, Correspondents, are_akin, are_strangers
from migrator.transfer.plan import CopyPolicy
from tests.migrator.transfer.scenes import Scene, assert_arrived, assert_balanced

ASKED = CopyPolicy(kin=frozenset())


def letter(number: int, to: str, sender: str = "", *, more: str = "") -> bytes:
    sender = sender or f"friend{number}@example.org"
    return f"From: A Friend <{sender}>\r\nTo: {to}\r\nSubject: {number}\r\n{more}\r\n{to} {number}\r\n".encode()


def town(source_owner: str, target_owner: str, *, there: int = 12) -> Scene:
    """A full mailbox on each side, each of its owner."""
    scene = Scene()
    for number in range(20):
        scene.source.deliver("INBOX", letter(number, source_owner))
        scene.source.deliver("Sent", letter(number, f"f{number}@example.org", source_owner))
    for number in range(there):
        scene.target.deliver("INBOX", letter(100 + number, target_owner))
    return scene


def test_a_target_that_holds_another_persons_mail_stops_the_account_before_the_first_write() -> None:
    scene = town("john@old.example", "mary@new.example")
    before = scene.target.contents()
    plan = FaultPlan()
    result = scene.copy(plan, policy=ASKED)
    assert result.error is not None
    assert result.error.code == "pair.strangers"
    assert "source: john@old.example in 30 of 30 messages" in result.error.reply
    assert "mary@new.example in 12 of 12 messages" in result.error.reply
    assert scene.target.contents() == before
    assert not [
        call
        for call in plan.calls
        if call.startswith(("target.append", "target.ensure", "ledger.begin", "ledger.commit"))
    ]
    assert scene.copy(policy=ASKED).error is not None, "nor the second time"


def test_who_says_that_it_is_one_person_is_believed() -> None:
    scene = town("john@old.example", "mary@new.example")
    result = scene.copy(policy=CopyPolicy(kin=None))
    assert result.error is None
    assert_balanced(result, scene)
    assert result.totals == {Outcome.COPIED: 40}


@pytest.mark.parametrize(
    ("source_owner", "target_owner", "kin"),
    [
        ("john@old.example", "john@old.example", ()),
        ("john@old.example", "JOHN@new.example", ()),
        ("john+lists@old.example", "john@new.example", ()),
        ("john@old.example", "j.smith@new.example", ("j.smith@old.example",)),
        ("john@old.example", "jsmith@new.example", ("jsmith",)),
    ],
)
def test_one_person_under_two_names_is_not_stopped(source_owner, target_owner, kin) -> None:
    scene = town(source_owner, target_owner)
    result = scene.copy(policy=CopyPolicy(kin=frozenset(kin)))
    assert result.error is None
    assert_arrived_beside(scene, 12)


def test_a_few_messages_of_welcome_prove_nothing() -> None:
    scene = town("john@old.example", "mary@new.example", there=LEAST - 1)
    assert scene.copy(policy=ASKED).error is None


def test_a_mailing_list_that_both_read_makes_no_strangers() -> None:
    scene = Scene()
    for number in range(20):
        scene.source.deliver("INBOX", letter(number, "staff@old.example, john@old.example"))
        scene.target.deliver("INBOX", letter(50 + number, "staff@old.example, jsmith@new.example"))
    assert scene.copy(policy=ASKED).error is None


def test_mail_that_is_there_already_is_the_best_proof() -> None:
    scene = town("john@old.example", "nobody@new.example", there=0)
    for number in range(20):
        scene.target.deliver("INBOX", letter(number, "john@old.example"))
        scene.target.deliver("Archive", letter(200 + number, "renamed@new.example"))
    result = scene.copy(policy=ASKED)
    assert result.error is None
    assert result.totals[Outcome.ALREADY_THERE] == 20


def test_an_empty_target_costs_no_look_at_the_source() -> None:
    asked, unasked = FaultPlan(), FaultPlan()
    town("john@old.example", "", there=0).copy(asked, policy=ASKED)
    town("john@old.example", "", there=0).copy(unasked)
    assert [c for c in asked.calls if c != "ledger.states"] == [c for c in unasked.calls if c != "ledger.states"]


def test_later_passes_do_not_ask_again() -> None:
    scene = town("john@old.example", "", there=0)
    scene.copy(policy=ASKED)
    for number in range(30):
        scene.target.deliver("INBOX", letter(300 + number, "mary@new.example"))
    scene.source.deliver("INBOX", letter(99, "john@old.example"))
    result = scene.copy(policy=ASKED)
    assert result.error is None
    assert result.appended == 1


def test_a_copy_that_was_interrupted_recognises_its_own_work() -> None:
    scene = town("john@old.example", "", there=0)
    calls = FaultPlan()
    town("john@old.example", "", there=0).copy(calls)
    at = next(number for number, call in enumerate(calls.calls) if call.startswith("ledger.commit"))
    with pytest.raises(Killed):
        scene.copy(FaultPlan(at=at, kind="kill"), policy=ASKED)
    result = scene.copy(policy=ASKED)
    assert_balanced(result, scene)
    assert_arrived(scene)


def test_addresses_are_found_in_every_header_that_names_the_owner() -> None:
    named = Correspondents()
    for number in range(LEAST):
        named.note(
            b"Delivered-To: me@a.example\r\nTo: nobody:;\r\nCc: =?x?q?y?= <C@b.example>,\r\n d@c.example"
            b"\r\nX-Evil: x@y.example\r\n\r\nTo: body@z.example\r\n" + str(number).encode()
        )
    assert sorted(named.owners()) == sorted(named.known())
    assert named.known() == {"me@a.example", "c@b.example", "d@c.example"}
    assert named.messages == LEAST


def test_a_mailbox_without_a_plain_owner_stops_nobody() -> None:
    left, right = Correspondents(), Correspondents()
    for number in range(20):
        left.note(letter(number, f"a{number}@x.example"))
        right.note(letter(number, f"b{number}@y.example"))
    assert left.owners() == []
    assert not are_strangers(left, right, ())


@pytest.mark.parametrize(
    ("one", "other", "answer"),
    [("a@x", "A@y", True), ("a+b@x", "a", True), ("a@x", "b@x", False), ("a.b@x", "a@x", False), ("@x", "b", False)],
)
def test_who_is_akin(one, other, answer) -> None:
    assert are_akin(one, [other]) is answer


def test_no_header_however_odd_stops_the_look() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    named = Correspondents()
    for _ in range(300):
        named.note(b"To: " + bytes(chance.choice(b'@<>,;"\\()[] \r\n\t:ab\x00\xff') for _ in range(200)))
    assert named.messages == 300


def assert_arrived_beside(scene: Scene, others: int) -> None:
    count = sum(len(folder.messages) for folder in scene.target)
    assert count == 40 + others
