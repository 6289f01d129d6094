"""A source whose folders are labels, in memory: interrupted at every call, and changed by its owner at every call."""

from __future__ import annotations

import contextlib
import random
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import pytest

from migrator.mail import DELETED, Outcome
from migrator.stores.base import Identity, ScanRequest, Trouble
from migrator.testing import FaultPlan, Killed, MemorySource
from migrator.transfer.copy import PassResult
from migrator.transfer.labels import IdSet
from migrator.transfer.plan import CopyPolicy, LabelPolicy
from migrator.transfer.proof import prove
from tests.migrator.transfer.scenes import LIMITS, Scene, arrivals, body
from tests.migrator.transfer.test_interrupt import KINDS

INBOX, WORK, HOME, ALL = "INBOX", "Work", "Home", "All Mail"


class Labelled(MemorySource):
    """Tells what each message is: here the same body is the same message."""

    def identities(self, requests: Sequence[ScanRequest]) -> Iterator[Identity | Trouble]:
        for request in requests:
            yield from self._exchange("identities", lambda request=request: self._identities(request))

    def _identities(self, request: ScanRequest) -> list[Identity]:
        found = self.mailbox.find(request.path)
        return [
            Identity(request.path, message.uid, zlib.crc32(message.body), DELETED in message.flags)
            for message in (found.messages.values() if found else ())
        ]


@dataclass
class Labels(Scene):
    """An account with labels."""

    def copy(self, faults: FaultPlan | None = None, **choices: object) -> PassResult:  # type: ignore[override]
        plan = faults or FaultPlan()
        return super().copy(plan, source=Labelled(self.source, plan, LIMITS), **choices)  # type: ignore[arg-type]

    def put(self, text: str, *labels: str) -> None:
        for label in (*labels, ALL):
            self.source.deliver(label, body(text))

    def take_off(self, text: str, label: str) -> None:
        folder = self.source[label]
        for uid in [uid for uid, message in folder.messages.items() if message.body == body(text)]:
            folder.expunge(uid)


def account(policy: LabelPolicy) -> Labels:
    scene = Labels(policy=CopyPolicy(labels=policy))
    scene.source.features = replace(scene.source.features, has_labels=True)
    scene.source.add_folder(ALL, special_use="\\All")
    for number in range(4):
        scene.put(f"inbox {number}", INBOX)
    scene.put("both", INBOX, WORK)
    scene.put("three", INBOX, WORK, HOME)
    scene.put("labelled", WORK, HOME)
    for number in range(4):
        scene.put(f"archived {number}")
    return scene


def run_to_the_end(scene: Labels) -> PassResult:
    for _ in range(6):
        result = scene.copy()
        if result.is_balanced:
            break
    assert result.is_balanced, [(f.source.display, f.totals, f.listed, f.error) for f in result.folders]
    assert prove(scene.ledger).is_balanced
    return result


def everywhere(scene: Labels) -> Counter[bytes]:
    """Return all messages of the target, over all folders."""
    return sum((arrivals(scene.target, name) for name in (INBOX, WORK, HOME, ALL)), Counter())


def assert_right(scene: Labels, policy: LabelPolicy) -> None:
    """Claim that each message is where the policy puts it, and nowhere twice."""
    places = {name: arrivals(scene.source, name) for name in (INBOX, WORK, HOME)}
    found = {name: arrivals(scene.target, name) for name in (INBOX, WORK, HOME, ALL)}
    if policy is LabelPolicy.FOLDERS:
        assert {name: found[name] for name in places} == places
    else:
        assert set(everywhere(scene).values()) == {1}
        assert found[INBOX] == places[INBOX]
    assert found[ALL] == arrivals(scene.source, ALL) - sum(places.values(), Counter())
    assert set(everywhere(scene)) == set(arrivals(scene.source, ALL))


@pytest.mark.long
@pytest.mark.req("D-62")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("policy", [LabelPolicy.FOLDERS, LabelPolicy.FIRST])
def test_a_copy_interrupted_at_any_call_ends_the_same(policy: LabelPolicy, kind: str) -> None:
    clean = FaultPlan()
    account(policy).copy(clean)
    for at in range(len(clean.calls)):
        scene = account(policy)
        with contextlib.suppress(Killed):
            scene.copy(FaultPlan(at=at, kind=kind))
        result = run_to_the_end(scene)
        assert_right(scene, policy)
        assert Outcome.VANISHED not in result.totals
        assert scene.copy().appended == 0


Move = Callable[[Labels], None]
MOVES: list[Move] = [
    lambda scene: scene.take_off("inbox 1", INBOX),  # archived
    lambda scene: (scene.take_off("both", INBOX), scene.take_off("both", WORK)),  # type: ignore[func-returns-value]
    lambda scene: scene.source.deliver(WORK, body("archived 1")),  # type: ignore[arg-type, return-value]
    lambda scene: (scene.take_off("labelled", WORK), scene.source.deliver(INBOX, body("labelled"))),  # type: ignore
]


@pytest.mark.long
@pytest.mark.req("D-39", "D-108")
@pytest.mark.parametrize("move", MOVES, ids=["archived", "both-off", "labelled", "moved"])
@pytest.mark.parametrize("policy", [LabelPolicy.FOLDERS, LabelPolicy.FIRST])
def test_no_message_is_lost_whose_labels_its_owner_changes_at_any_call(policy: LabelPolicy, move: Move) -> None:
    clean = FaultPlan()
    account(policy).copy(clean)
    for at in range(len(clean.calls)):
        scene = account(policy)
        scene.copy(FaultPlan(at=at, act=lambda scene=scene: move(scene)))
        run_to_the_end(scene)
        assert set(everywhere(scene)) == set(arrivals(scene.source, ALL)), at
        assert scene.copy().appended == 0


def test_a_packed_set_holds_what_a_set_holds() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    packed, plain = IdSet(), set[int]()
    for _ in range(20_000):
        number = dice.choice(
            (dice.randrange(1, 5000), dice.randrange(1, 2**64), 1278455344230334865 + dice.randrange(99))
        )
        assert (number in packed) == (number in plain)
        packed.add(number)
        plain.add(number)
    assert all(number in packed for number in plain)


def test_an_account_that_did_not_change_costs_no_list_of_labels() -> None:
    scene = account(LabelPolicy.FOLDERS)
    run_to_the_end(scene)
    again = FaultPlan()
    scene.copy(again)
    assert not any("identities" in call or "scan" in call for call in again.calls)


@pytest.mark.parametrize("policy", [LabelPolicy.FOLDERS, LabelPolicy.FIRST])
def test_what_was_left_behind_at_one_place_comes_when_it_is_tried_again(policy: LabelPolicy) -> None:
    scene = account(policy)
    unreadable = [
        message
        for folder in scene.source
        for message in folder.messages.values()
        if message.body in (body("three"), body("labelled"), body("archived 1"))
    ]
    for message in unreadable:
        message.is_readable = False
    result = run_to_the_end(scene)
    assert result.totals[Outcome.UNREADABLE] >= 3
    for message in unreadable:
        message.is_readable = True
    assert run_to_the_end(scene).totals == result.totals  # nobody asked for them again
    result = scene.copy(policy=replace(scene.policy, retry_left_behind=True))
    assert result.is_balanced
    assert Outcome.UNREADABLE not in result.totals
    assert_right(scene, policy)


def test_what_was_refused_where_it_lay_comes_by_a_label_that_it_gets_later() -> None:
    scene = account(LabelPolicy.FIRST)
    for folder in scene.source:
        for message in folder.messages.values():
            message.is_readable = message.body != body("labelled")
    run_to_the_end(scene)
    scene.source.deliver(INBOX, body("labelled"))
    run_to_the_end(scene)
    assert_right(scene, LabelPolicy.FIRST)


@pytest.mark.parametrize("name", [INBOX, WORK, HOME, "Archive"])
@pytest.mark.parametrize("policy", [LabelPolicy.FOLDERS, LabelPolicy.FIRST])
def test_a_target_folder_that_was_emptied_and_made_anew_is_filled_again(policy: LabelPolicy, name: str) -> None:
    scene = account(policy)
    run_to_the_end(scene)
    found = scene.target.find(scene.target.path(name)) or scene.target[ALL]
    found.messages.clear()
    found.renumber()
    run_to_the_end(scene)
    assert_right(scene, policy)
