"""Messages get the names by which POP3 programs know them: from IMAP's numbers, and only where the server agrees."""

from __future__ import annotations

import contextlib

import pytest

from migrator.errors import MigratorError
from migrator.events import MessageRepaired
from migrator.mail import Message, Outcome
from migrator.stores.pop3_listing import PopListing
from migrator.testing import FaultPlan, Killed
from migrator.transfer.mending import Workpiece
from migrator.transfer.plan import CopyPolicy
from migrator.transfer.pop_names import is_fit, namer
from migrator.transfer.repairs import named
from tests.migrator.transfer.scenes import Scene, assert_balanced, body, life_like
from tests.migrator.transfer.test_interrupt import KINDS

LETTER = b"Subject: x\r\nX-Uidl: old\r\n\r\nX-UIDL: n\r\n"
POLICY = CopyPolicy(pop_name_of=lambda validity, uid, size: b"name%d" % uid)


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        ([b"0000000500000001", b"0000000a00000001"], [b"0000000500000001", b"0000000a00000001"]),
        ([b"0000000500000001", b"0000000A00000001"], [b"0000000500000001", b"0000000A00000001"]),
        ([b"1.5", b"1.10"], [b"1.5", b"1.10"]),
        ([b"UID5-1", b"UID10-1"], [b"UID5-1", b"UID10-1"]),
        ([b"5", b"10"], [b"5", b"10"]),
        ([b"5", b"11"], [b"5", None]),  # not in the list: it came later, or the names are made in another way
        ([b"2.5", b"2.10"], [None, None]),  # of another UIDVALIDITY
        ([], [None, None]),
    ],
)
def test_names_are_made_of_numbers_as_the_server_makes_them(names: list[bytes], wanted: list[bytes | None]) -> None:
    name_of = namer(PopListing(len(names), dict.fromkeys(names, 1000), ""))
    assert [name_of(1, 5, 1000), name_of(1, 10, 1400)] == wanted


def test_a_number_that_means_a_message_of_another_size_names_nothing() -> None:
    name_of = namer(PopListing(2, {b"1": 100, b"2": 90_000}, "%u"))
    assert (name_of(7, 1, 300), name_of(7, 2, 80_000)) == (b"1", None)


@pytest.mark.parametrize("names", [{b"a" * 32: 1}, {b"1": 1, b"1.1": 1}, None])
def test_names_that_are_not_made_of_numbers_are_refused(names: dict[bytes, int] | None) -> None:
    with pytest.raises(MigratorError, match=r"pop\.names_unknown"):
        namer(PopListing(2, names, "%m"))


def test_the_name_stands_on_top_and_only_where_it_does_not_stand_already() -> None:
    assert b"".join(named(LETTER, b"n") or ()) == b"X-UIDL: n\r\n" + LETTER
    assert named(LETTER, b"old") is None
    assert b"".join(named(b"\r\nbody", b"n") or ()) == b"X-UIDL: n\r\n\r\nbody"
    assert [is_fit(name) for name in (b"a" * 70, b"a" * 71, b"a b", b"", b"a\r\n")] == [
        True,
        False,
        False,
        False,
        False,
    ]


def test_a_big_message_gets_its_name_in_its_file() -> None:
    message = Message(life_like().source["INBOX"].path, 1, len(LETTER), stream=iter([LETTER[:5], LETTER[5:]]))
    piece = Workpiece(message)
    assert piece.name(b"n")
    piece.give_to(message)
    assert message.stream is not None
    assert b"".join(message.stream) == b"X-UIDL: n\r\n" + LETTER
    assert message.size_bytes == len(LETTER) + 11


def bodies(scene: Scene) -> list[bytes]:
    return sorted(message.body for message in scene.target["INBOX"].messages.values())


def wanted(scene: Scene) -> list[bytes]:
    held = scene.source["INBOX"].messages
    return sorted(b"X-UIDL: name%d\r\n" % uid + message.body for uid, message in held.items() if message.body)


def fresh() -> Scene:
    scene = Scene()
    for number in range(4):
        scene.source.deliver("INBOX", body(f"letter {number}"))
    scene.source.deliver("INBOX", body("letter 1"))  # equal, and another message for a program that knows names
    scene.source.deliver("Other", body("other"))
    return scene


def test_only_the_inbox_is_named_and_each_message_says_so() -> None:
    scene = fresh()
    result = scene.copy(policy=POLICY)
    assert_balanced(result, scene)
    assert bodies(scene) == wanted(scene)
    assert [message.body for message in scene.target["Other"].messages.values()] == [body("other")]
    assert result.totals == {Outcome.COPIED: 1, Outcome.REPAIRED: 5}
    assert {event.repairs for event in scene.sink.of(MessageRepaired)} == {"pop-name"}
    assert scene.copy(policy=POLICY).appended == 0


def test_what_was_copied_without_a_name_stays_so() -> None:
    scene = fresh()
    scene.copy()
    before = bodies(scene)
    scene.source.deliver("INBOX", body("late"))
    scene.copy(policy=POLICY)
    assert bodies(scene) == sorted([*before, b"X-UIDL: name6\r\n" + body("late")])


@pytest.mark.parametrize("kind", KINDS)
def test_an_interruption_anywhere_names_every_message_once(kind: str) -> None:
    clean, plan = fresh(), FaultPlan()
    clean.copy(plan, policy=POLICY)
    for place in range(len(plan.calls)):
        scene = fresh()
        with contextlib.suppress(Killed, MigratorError):
            scene.copy(FaultPlan(place, kind), policy=POLICY)
        for _ in range(3):
            if (result := scene.copy(policy=POLICY)).error is None:
                break
        assert_balanced(result, scene)
        assert bodies(scene) == wanted(scene), place


@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_that_is_gone_on_with_without_names_sends_nothing_twice(kind: str) -> None:
    clean = FaultPlan()
    life_like().copy(clean, policy=POLICY)
    for at in range(len(clean.calls)):
        scene = life_like()
        with contextlib.suppress(Killed):
            scene.copy(FaultPlan(at=at, kind=kind), policy=POLICY)
        assert_balanced(scene.copy(), scene)
        assert len(scene.target["INBOX"].messages) == len(scene.source["INBOX"].messages), clean.calls[at]
