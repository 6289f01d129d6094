"""What a target refuses is mended only when that is allowed, only after the refusal, and with a receipt."""

from __future__ import annotations

import contextlib
import re
import tracemalloc
from dataclasses import replace

import pytest

from migrator.errors import MigratorError, Side
from migrator.events import MessageRepaired
from migrator.mail import Message, Outcome
from migrator.testing import FaultPlan, Killed, MemoryMailbox, MemorySource, MemoryTarget
from migrator.transfer.digest import digest_whole
from migrator.transfer.plan import CopyPolicy
from migrator.transfer.proof import prove
from migrator.transfer.repairs import Repair
from migrator.transfer.verify import VerifyLevel, verify
from tests.migrator.transfer.scenes import LIMITS, Scene, assert_balanced, body, life_like

KINDS = ("kill", "kill_after", "line", "lost_answer")
NUL = b"Subject: nul\r\n\r\na\0b\r\n"
LF = b"Subject: lf\n\nbare\nlines\n"
BAD = b"Subject: x\r\nno header line\r\nFrom: a@example.test\r\n\r\nbody\r\n"
ALL = CopyPolicy(repairs=frozenset(Repair) - {Repair.LONG_LINES_SIGNED})


def refusal(code: str, reply: str) -> MigratorError:
    return MigratorError(code, side=Side.TARGET, reply=reply)


def strict(message: Message, content: bytes) -> MigratorError | None:
    """Refuse what Cyrus refuses, in its words."""
    if b"\0" in content:
        return refusal("message.nul", "Message contains NUL characters")
    if re.search(rb"(?<!\r)\n", content):
        return refusal("message.malformed", "Message contains bare newlines")
    if b"no header line" in content and b"\r\n no header line" not in content:
        return refusal("message.malformed", "Message contains invalid header")
    return None


def scene_of(*bodies: bytes, among: int = 0) -> Scene:
    scene = Scene(target=MemoryMailbox(separator=".", refuse=strict))
    for number in range(among):
        scene.source.deliver("INBOX", body(f"good {number}"))
    for one in bodies:
        scene.source.deliver("INBOX", one)
    for number in range(among):
        scene.source.deliver("INBOX", body(f"more {number}"))
    return scene


def stored(scene: Scene) -> list[bytes]:
    return [message.body for message in scene.target["INBOX"].messages.values()]


@pytest.mark.req("D-61")
def test_what_is_refused_is_mended_and_everything_else_goes_as_it_is() -> None:
    scene = scene_of(NUL, LF, BAD, among=4)
    result = scene.copy(policy=ALL)
    assert_balanced(result, scene)
    assert result.totals == {Outcome.COPIED: 8, Outcome.REPAIRED: 3}
    found = stored(scene)
    assert {NUL.replace(b"\0", b"\x80"), LF.replace(b"\n", b"\r\n"), BAD.replace(b"no header", b" no header")} < set(
        found
    )
    assert sum(b"Subject: good" in one or b"Subject: more" in one for one in found) == 8
    rows = [(row.uid, row.outcome, row.code, row.reply) for row in scene.ledger.left_behind()]
    assert rows == [
        (5, Outcome.REPAIRED, "nul", "Message contains NUL characters"),
        (6, Outcome.REPAIRED, "line-ends", "Message contains bare newlines"),
        (7, Outcome.REPAIRED, "header-line", "Message contains invalid header"),
    ]
    told = [(event.uid, event.repairs) for event in scene.sink.of(MessageRepaired)]
    assert told == [(5, "nul"), (6, "line-ends"), (7, "header-line")]
    assert scene.copy(policy=ALL).appended == 0


def test_without_leave_nothing_is_mended() -> None:
    scene = scene_of(NUL, LF)
    result = scene.copy(policy=CopyPolicy(repairs=frozenset({Repair.SEPARATOR})))
    assert_balanced(result, scene)
    assert result.totals == {Outcome.REFUSED: 2}
    again = scene.copy(policy=replace(ALL, retry_left_behind=True))
    assert_balanced(again, scene)
    assert again.totals == {Outcome.REPAIRED: 2}


def test_a_target_that_takes_it_gets_it_as_it_is() -> None:
    scene = scene_of(NUL, LF, BAD)
    scene.target = MemoryMailbox(separator=".")
    assert scene.copy(policy=ALL).totals == {Outcome.COPIED: 3}
    assert stored(scene) == [NUL, LF, BAD]


def test_two_faults_need_two_repairs_and_the_receipt_names_both() -> None:
    scene = scene_of(b"Subject: both\n\na\0b\n")
    assert scene.copy(policy=ALL).totals == {Outcome.REPAIRED: 1}
    assert stored(scene) == [b"Subject: both\r\n\r\na\x80b\r\n"]
    assert [row.code for row in scene.ledger.left_behind()] == ["nul+line-ends"]


def test_what_no_repair_helps_stays_behind_with_the_last_refusal() -> None:
    scene = scene_of(b"Subject: x\r\n\r\nno header line\r\na\0b\r\n")
    result = scene.copy(policy=ALL)
    assert_balanced(result, scene)
    assert result.totals == {Outcome.REFUSED: 1}
    assert [row.reply for row in scene.ledger.left_behind()] == ["Message contains invalid header"]
    assert stored(scene) == []


def test_the_ledger_keeps_the_digest_of_the_source_and_verify_compares_the_mended_form() -> None:
    scene = scene_of(BAD)
    scene.copy(policy=ALL)
    [record] = [record for leaf in scene.ledger.leaves(b"INBOX") for record in leaf.records()]
    assert record.source == digest_whole(BAD).source
    assert record.canonical == digest_whole(stored(scene)[0]).canonical != digest_whole(BAD).canonical
    assert record.size_bytes == len(BAD)
    source, target = MemorySource(scene.source, None, LIMITS), MemoryTarget(scene.target, None, LIMITS)
    assert verify(source, target, scene.ledger, level=VerifyLevel.DIGEST).is_clean
    assert prove(scene.ledger).is_balanced


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("uidplus", [True, False])
def test_interrupted_at_every_call_a_mended_message_is_there_once(uidplus: bool, kind: str) -> None:
    plan = FaultPlan()
    interrupted(uidplus, plan)
    for at in range(len(plan.calls)):
        scene = interrupted(uidplus, FaultPlan(at=at, kind=kind))
        result = scene.copy(policy=ALL)
        assert_balanced(result, scene)
        assert len(stored(scene)) == 7, at
        # Found again, what had NUL is not told from what the server itself stored so: the canonical form is the same.
        assert result.totals[Outcome.REPAIRED] in (2, 3), at
        assert result.totals[Outcome.COPIED] + result.totals[Outcome.REPAIRED] == 7, at


def interrupted(uidplus: bool, plan: FaultPlan) -> Scene:
    """A copy with two equal messages to mend, and what ``plan`` does to it."""
    scene = scene_of(BAD, NUL, BAD, among=2)
    scene.target.features = replace(scene.target.features, uidplus=uidplus)
    with contextlib.suppress(Killed):
        scene.copy(plan, policy=ALL)
    return scene


@pytest.mark.long
def test_a_big_message_is_mended_in_a_file_and_never_held() -> None:
    scene = scene_of(b"Subject: big\r\n\r\n" + (b"x" * 500 + b"\n") * 60_000)
    scene.target.refuse = lambda message, content: strict(message, content[:1000])

    class Sink(MemoryTarget):
        """Takes bodies piece by piece, and keeps only how long they were."""

        def append(self, messages, *, bundle_messages=None):  # type: ignore[no-untyped-def]
            def watched():  # type: ignore[no-untyped-def]
                for message in messages:
                    assert message.stream is not None
                    first = next(message.stream)
                    length = len(first) + sum(map(len, message.stream))
                    assert length == message.size_bytes
                    message.stream, message.size_bytes = iter((first,)), len(first)
                    yield message

            return super().append(watched(), bundle_messages=bundle_messages)

    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    result = scene.copy(policy=ALL, target=Sink(scene.target, None, LIMITS))
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert result.totals == {Outcome.REPAIRED: 1}
    assert peak < 12 * 1024 * 1024  # of 30: what the hasher may be behind


BIG = b"x" * 10_000 + b"\r\n"


def test_a_big_message_that_no_repair_helps_stays_behind_and_the_next_one_goes() -> None:
    scene = scene_of(b"Subject: x\r\n\r\nno header line\r\na\0b\r\n" + BIG, BAD + BIG, body("last"))
    result = scene.copy(policy=ALL)
    assert_balanced(result, scene)
    assert result.totals == {Outcome.REFUSED: 1, Outcome.REPAIRED: 1, Outcome.COPIED: 1}


def test_a_big_message_that_is_there_mended_or_not_is_not_sent_again() -> None:
    scene = scene_of(BAD + BIG, b"Subject: y\r\n\r\n" + BIG)
    mended = BAD.replace(b"no header", b" no header") + BIG
    scene.target.deliver("INBOX", mended)
    scene.target.deliver("INBOX", b"Subject: y\r\n\r\n" + BIG)
    result = scene.copy(policy=replace(ALL, repairs_ahead=frozenset({Repair.LONG_LINES})))
    assert_balanced(result, scene)
    assert len(stored(scene)) == 3  # mended ahead another way than it was before
    assert result.totals == {Outcome.ALREADY_THERE: 1, Outcome.REPAIRED: 1}
    again = scene_of(BAD + BIG)
    again.target.deliver("INBOX", mended)
    assert again.copy(policy=ALL).totals == {Outcome.ALREADY_THERE: 1}
    assert len(stored(again)) == 1


def test_a_big_message_that_grows_beyond_the_limit_is_too_big() -> None:
    scene = scene_of(BAD + "€".encode() * 3000 + b"\r\n")
    scene.target.features = replace(scene.target.features, append_limit_bytes=15_000)
    policy = CopyPolicy(repairs_ahead=frozenset({Repair.LONG_LINES}))
    assert scene.copy(policy=policy).totals == {Outcome.TOO_BIG: 1}


@pytest.mark.req("C-36")
def test_a_refusal_without_a_reason_is_tried_once_more_then_mended_in_order() -> None:
    tries: list[bytes] = []
    asks = b"Subject: x\r\nDisposition-Notification-To: a@b\r\n\r\n" + b"x" * 3000 + b"\r\n"

    def exchange(message: Message, content: bytes) -> MigratorError | None:
        tries.append(content)
        is_fine = b"\r\nX-Disarmed-Disposition" in content
        return None if is_fine else refusal("message.refused_bare", "Command Argument Error. 11")

    scene = scene_of(asks)
    scene.target.refuse = exchange
    assert scene.copy(policy=ALL).totals == {Outcome.REPAIRED: 1}
    assert tries[:2] == [asks, asks]
    assert b"quoted-printable" in tries[2]
    assert b"X-Disarmed" not in tries[2]
    assert len(tries) == 4
    assert [row.code for row in scene.ledger.left_behind()] == ["long-lines+read-receipt"]


@pytest.mark.req("C-36")
def test_a_refusal_that_was_a_mood_of_the_server_needs_no_repair() -> None:
    moods = [refusal("message.refused_bare", "Command Argument Error. 11")]
    scene = scene_of(body("x"))
    scene.target.refuse = lambda message, content: moods.pop() if moods else None
    assert scene.copy().totals == {Outcome.COPIED: 1}


@pytest.mark.req("D-71", "S-68")
def test_what_is_mended_ahead_needs_no_refusal_and_touches_no_other() -> None:
    asks = b"Subject: x\r\nDisposition-Notification-To: a@b\r\n\r\nbody\r\n"
    wide = b"Subject: x\r\n\r\n" + b"y" * 5000 + b"\r\n"
    policy = CopyPolicy(repairs_ahead=frozenset({Repair.READ_RECEIPT, Repair.LONG_LINES}))
    scene = scene_of(asks, wide, among=2)
    result = scene.copy(policy=policy)
    assert_balanced(result, scene)
    assert result.totals == {Outcome.COPIED: 4, Outcome.REPAIRED: 2}
    assert max(len(line) for one in stored(scene) for line in one.split(b"\r\n")) <= 78
    assert [row.code for row in scene.ledger.left_behind()] == ["read-receipt", "long-lines"]
    assert scene.copy(policy=policy).appended == 0


def test_what_the_target_holds_unmended_is_not_sent_mended() -> None:
    wide = b"Subject: x\r\n\r\n" + b"y" * 5000 + b"\r\n"
    scene = scene_of(wide, among=1)
    scene.target.deliver("INBOX", wide)
    result = scene.copy(policy=CopyPolicy(repairs_ahead=frozenset({Repair.LONG_LINES})))
    assert_balanced(result, scene)
    assert result.totals == {Outcome.COPIED: 2, Outcome.ALREADY_THERE: 1}


@pytest.mark.req("D-68")
@pytest.mark.parametrize("multiappend", [True, False])
def test_the_limit_of_a_silent_server_is_learned_from_its_first_refusal(multiappend: bool) -> None:
    sent: list[int] = []

    def small_only(message: Message, content: bytes) -> MigratorError | None:
        sent.append(len(content))
        return refusal("message.too_big", "[TOOBIG]") if len(content) > 50_000 else None

    scene = life_like()
    scene.target = MemoryMailbox(separator=".", refuse=small_only, multiappend=multiappend)
    for _ in range(5):
        scene.source.deliver("Big", body("big", 60_000))
    for _ in range(5):
        scene.source.deliver("Later", body("big", 60_000))
    scene.source.deliver("Later", body("fits", 40_000))
    result = scene.copy()
    assert_balanced(result, scene)
    assert result.totals[Outcome.TOO_BIG] == 10
    assert result.totals[Outcome.COPIED] == 14


def test_lines_cannot_be_made_shorter_than_encodings_need() -> None:
    with pytest.raises(ValueError, match="78"):
        CopyPolicy(longest_line=40)
