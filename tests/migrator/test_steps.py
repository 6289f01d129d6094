"""The steps, one by one: what they wait for, what they restore, what they refuse."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from migrator.cutover import CutoverOutcome, roll_back, run_cutover
from migrator.directories.base import Service
from migrator.entries import Values
from migrator.errors import MigratorError, OutcomeUnknown, Side, Stopped
from migrator.journal import StepKey, StepKind
from migrator.recipes import RECIPES
from migrator.steps.access import DisableStep, EnableStep, JournalledSwitch, SwitchStep
from migrator.steps.copying import DeltaStep, Mail, VerifyStep
from migrator.steps.flow import HoldStep, ReleaseStep
from migrator.steps.kit import Access, Kit, Named, steps_of
from migrator.steps.others import PersonStep, PopulateStep, PublishStep
from migrator.testing import FakeClock, FaultPlan, MemorySource, MemoryTarget
from migrator.testing.connectors import (
    MemoryDirectory,
    MemoryHold,
    MemoryPopulation,
    MemoryPublication,
    MemoryRoute,
    MemorySessions,
    Queue,
    Rows,
)
from migrator.testing.journals import MemoryJournal
from migrator.transfer.verify import VerifyLevel
from tests.migrator.nights import ANNA, EVERYTHING, Faults, Night
from tests.migrator.transfer.scenes import LIMITS, Scene, assert_arrived, body, life_like

DISABLE = StepKey(0, StepKind.DISABLE, "one", "source")
ENABLE = StepKey(4, StepKind.ENABLE, "one", "target")
DELTA = StepKey(1, StepKind.DELTA)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def rows() -> Rows:
    return {ANNA: {"status": "active", "host": "Old.Example.test", "delivery": "mailbox, forward"}}


def error_of(call: Callable[[], object]) -> MigratorError:
    with pytest.raises(MigratorError) as caught:
        call()
    return caught.value


# DISABLE


def test_disable_waits_until_a_sign_in_is_refused(clock: FakeClock, rows: Rows) -> None:
    cached = iter([True, True, True, False])  # the server remembers the last sign-in for a while
    step = DisableStep(DISABLE, MemoryDirectory(rows), ANNA, clock=clock, is_admitted=lambda: next(cached))
    step.apply(step.prepare())
    assert next(cached, "all asked") == "all asked"
    assert rows[ANNA]["status"] == "inactive"


def test_disable_is_not_done_while_the_server_admits_the_user(clock: FakeClock, rows: Rows) -> None:
    step = DisableStep(DISABLE, MemoryDirectory(rows), ANNA, clock=clock, is_admitted=lambda: True)
    saved = step.prepare()
    begun = clock.monotonic()
    assert error_of(lambda: step.apply(saved)).code == "sign_in.still_admitted"
    assert clock.monotonic() - begun < 120
    assert not step.is_done(saved)


@pytest.mark.req("S-117")
def test_disable_ends_every_session_and_the_one_that_was_on_its_way_in(clock: FakeClock, rows: Rows) -> None:
    sessions = {ANNA: 3}

    class Late(MemorySessions):
        """One who was let in as the door closed shows up after the first time that nobody is seen."""

        late = 1

        def open(self, address: str) -> int:
            seen = super().open(address)
            if not seen and self.late:
                self.late -= 1
                sessions[ANNA] = 1
            return seen

    step = DisableStep(DISABLE, MemoryDirectory(rows), ANNA, clock=clock, sessions=Late(sessions))
    saved = step.prepare()
    step.apply(saved)
    assert sessions == {}
    assert step.is_done(saved)
    sessions[ANNA] = 1
    assert not step.is_done(saved)


def test_a_session_that_does_not_end_is_an_error_in_the_end(clock: FakeClock, rows: Rows) -> None:
    class Stubborn(MemorySessions):
        def end(self, address: str) -> None:
            pass

    step = DisableStep(DISABLE, MemoryDirectory(rows), ANNA, clock=clock, sessions=Stubborn({ANNA: 1}))
    saved = step.prepare()
    assert error_of(lambda: step.apply(saved)).code == "sessions.stay_open"


def test_without_a_probe_the_directory_is_taken_at_its_word(clock: FakeClock, rows: Rows) -> None:
    step = DisableStep(DISABLE, MemoryDirectory(rows), ANNA, clock=clock)
    saved = step.prepare()
    assert not step.is_done(saved)
    step.apply(saved)
    assert step.is_done(saved)
    step.undo(saved)
    assert rows[ANNA]["status"] == "active"


def test_who_may_go_on_reading_is_not_disabled(clock: FakeClock, rows: Rows) -> None:
    with pytest.raises(ValueError, match="reading"):
        DisableStep(DISABLE, MemoryDirectory(rows), ANNA, clock=clock, services={Service.SENDING})


def test_whom_the_directory_does_not_know_is_not_begun(clock: FakeClock) -> None:
    step = DisableStep(DISABLE, MemoryDirectory({}), ANNA, clock=clock)
    assert error_of(step.prepare).code == "directory.missing"


@pytest.mark.parametrize("kind", ["access", "switch", "hold"])
def test_what_somebody_else_set_is_neither_done_nor_not_done(kind: str, clock: FakeClock, rows: Rows) -> None:
    queue = Queue(rows)
    step, column = {
        "access": (DisableStep(DISABLE, MemoryDirectory(rows), ANNA, clock=clock), "status"),
        "switch": (SwitchStep(StepKey(3, StepKind.SWITCH, "who"), MemoryRoute(rows), ANNA), "host"),
        "hold": (HoldStep(StepKey(0, StepKind.HOLD, "q"), MemoryHold(rows, queue), ANNA, clock=clock), "delivery"),
    }[kind]
    saved = step.prepare()
    rows[ANNA][column] = "theirs"
    with pytest.raises(OutcomeUnknown):
        step.is_done(saved)
    for change in (step.apply, step.undo):
        assert error_of(lambda change=change: change(saved)).code == "directory.changed"
    assert rows[ANNA][column] == "theirs"


# ENABLE and SWITCH


def enable(rows: Rows, clock: FakeClock, disabled: Values | None, **more: object) -> EnableStep:
    return EnableStep(ENABLE, MemoryDirectory(rows), ANNA, clock=clock, disabled=lambda: disabled, **more)


@pytest.mark.req("S-120")
def test_enable_restores_exactly_what_disable_saved_in_the_same_entry(clock: FakeClock, rows: Rows) -> None:
    disable = DisableStep(DISABLE, MemoryDirectory(rows), ANNA, clock=clock)
    saved = disable.prepare()
    disable.apply(saved)
    step = enable(rows, clock, saved)
    mine = step.prepare()
    assert not step.is_done(mine)
    step.apply(mine)
    assert rows[ANNA]["status"] == "active"
    assert step.is_done(mine)
    step.undo(mine)
    assert rows[ANNA]["status"] == "inactive"


def test_enable_opens_an_entry_of_its_own_and_closes_it_again(clock: FakeClock) -> None:
    rows: Rows = {ANNA: {"status": "made closed"}}
    step = enable(rows, clock, None)
    saved = step.prepare()
    step.apply(saved)
    assert rows[ANNA]["status"] == "active"
    step.undo(saved)
    assert rows[ANNA]["status"] == "made closed"


def test_enable_waits_until_a_sign_in_is_admitted(clock: FakeClock, rows: Rows) -> None:
    rows[ANNA]["status"] = "inactive"
    answers = iter([False, False, True])
    step = enable(rows, clock, None, is_admitted=lambda: next(answers))
    step.apply(step.prepare())
    assert next(answers, "all asked") == "all asked"


def test_enable_is_not_done_while_the_server_refuses_the_user(clock: FakeClock, rows: Rows) -> None:
    rows[ANNA]["status"] = "inactive"
    step = enable(rows, clock, None, is_admitted=lambda: False)
    saved = step.prepare()
    assert error_of(lambda: step.apply(saved)).code == "sign_in.not_admitted"
    assert not step.is_done(saved)


def test_who_was_closed_before_the_night_is_not_expected_to_sign_in(clock: FakeClock, rows: Rows) -> None:
    rows[ANNA]["status"] = "suspended"
    closed = {"before": {"status": "suspended"}, "after": {"status": "suspended"}}
    step = enable(rows, clock, closed, is_admitted=lambda: False)
    saved = step.prepare()
    step.apply(saved)
    assert step.is_done(saved)


@pytest.mark.req("S-102")
def test_switch_saves_the_value_that_was_there_and_restores_it_letter_by_letter(rows: Rows) -> None:
    rows[ANNA]["host"] = "OLD.example.TEST"
    step = SwitchStep(StepKey(3, StepKind.SWITCH, "who"), MemoryRoute(rows), ANNA)
    saved = step.prepare()
    assert saved == {"before": {"host": "OLD.example.TEST"}, "after": {"host": "new.example.test"}}
    step.apply(saved)
    assert step.is_done(saved)
    step.undo(saved)
    assert rows[ANNA]["host"] == "OLD.example.TEST"


# DELTA and VERIFY


def mail(scene: Scene, faults: FaultPlan | None = None) -> Mail:
    return Mail(
        lambda: MemorySource(scene.source, faults, LIMITS),
        lambda: MemoryTarget(scene.target, faults, LIMITS),
        scene.ledger,
        limits=LIMITS,
        sink=scene.sink,
    )


def test_delta_ends_when_a_pass_finds_nothing(clock: FakeClock) -> None:
    scene = life_like()
    letters = iter(["while it ran", "and once more"])

    def write() -> None:
        if (letter := next(letters, None)) is not None:
            scene.source.deliver("INBOX", body(letter))

    calls = FaultPlan()
    DeltaStep(DELTA, mail(scene, calls), clock=clock).apply({})
    first_pass = calls.calls.index("source.folders", calls.calls.index("source.folders") + 1)
    scene, letters = life_like(), iter(["while it ran", "and once more"])
    calls = FaultPlan(at=(first_pass - 1, first_pass + 5), act=write)
    DeltaStep(DELTA, mail(scene, calls), clock=clock).apply({})
    assert calls.calls.count("source.folders") == 4  # the last compares all flags
    assert_arrived(scene)


@pytest.mark.req("D-34")
def test_delta_ends_with_a_look_at_all_flags_where_the_source_counts_changes(clock: FakeClock) -> None:
    scene, calls = life_like(), FaultPlan()
    DeltaStep(DELTA, mail(scene, calls), clock=clock).apply({})
    assert calls.calls.count("source.folders") == 2  # the look is no pass of its own
    scene.source["INBOX"].messages[1].flags = frozenset({"\\Answered"})  # and the count of changes stands still
    DeltaStep(DELTA, mail(scene), clock=clock).apply({})
    assert scene.target["INBOX"].messages[1].flags == {"\\Answered"}


@pytest.mark.long
def test_delta_does_not_go_on_for_ever(clock: FakeClock) -> None:
    scene = life_like()
    numbers = iter(range(100_000))
    busy = FaultPlan(at=range(100_000), act=lambda: scene.source.deliver("INBOX", body(f"no. {next(numbers)}")))
    assert error_of(lambda: DeltaStep(DELTA, mail(scene, busy), clock=clock).apply({})).code == "cutover.restless"


def test_delta_fails_with_the_folder_that_fails(clock: FakeClock) -> None:
    scene = life_like()
    closed = MigratorError("folder.no_permission", side=Side.TARGET)
    scene.target.refuse = lambda message, body: closed if message.path.raw == b"Archive/1999" else None
    error = error_of(lambda: DeltaStep(DELTA, mail(scene), clock=clock).apply({}))
    assert error.code.startswith("folder.")


@pytest.mark.parametrize("how", ["stop", "deadline"])
def test_delta_stops_between_two_bundles_and_goes_on_another_time(how: str, clock: FakeClock) -> None:
    scene = life_like()

    class Stop:
        def is_set(self) -> bool:
            return how == "stop" and bool(scene.target["INBOX"].messages)

    deadline = clock.now() + 100 if how == "deadline" else None
    slow = FaultPlan(at=range(100_000), act=lambda: clock.wait(10))
    with pytest.raises(Stopped):
        DeltaStep(DELTA, mail(scene, slow), clock=clock, stop=Stop(), deadline=deadline).apply({})
    DeltaStep(DELTA, mail(scene), clock=clock).apply({})
    assert_arrived(scene)


def test_a_deadline_that_passes_within_delta_makes_the_night_late() -> None:
    night = Night(recipe=RECIPES["classic"], late_at="target.store")
    night.deadline = night.clock.now() + 100
    faults = Faults()
    faults.live = night.live
    result = night.carry(faults)
    assert (result.outcome, result.step.kind) == (CutoverOutcome.LATE, StepKind.DELTA)
    assert night.go_back().outcome is CutoverOutcome.DONE
    night.state = "rolled_back"
    night.assert_ended("rolled_back")


def test_verify_tells_the_first_difference_and_how_many_there_are(clock: FakeClock) -> None:
    scene = life_like()
    DeltaStep(DELTA, mail(scene), clock=clock).apply({})
    step = VerifyStep(StepKey(2, StepKind.VERIFY), mail(scene), VerifyLevel.DIGEST)
    step.apply({})
    scene.target["INBOX"].expunge(3)
    scene.target["INBOX"].messages[2].body += b"x"
    error = error_of(lambda: step.apply({}))
    assert error.code == "cutover.differs"
    assert error.params["folder"] == "INBOX"
    assert int(error.params["differences"]) >= 2


def test_mail_that_arrives_after_delta_is_copied_and_no_difference(clock: FakeClock) -> None:
    scene = life_like()
    DeltaStep(DELTA, mail(scene), clock=clock).apply({})
    scene.source.deliver("INBOX", body("after the delta"))
    VerifyStep(StepKey(2, StepKind.VERIFY), mail(scene), VerifyLevel.LEDGER).apply({})
    assert_arrived(scene)


def test_mail_that_arrives_after_delta_hides_no_difference(clock: FakeClock) -> None:
    scene = life_like()
    DeltaStep(DELTA, mail(scene), clock=clock).apply({})
    scene.source.deliver("INBOX", body("after the delta"))
    scene.target["INBOX"].expunge(3)
    step = VerifyStep(StepKey(2, StepKind.VERIFY), mail(scene), VerifyLevel.LEDGER)
    assert error_of(lambda: step.apply({})).code == "cutover.differs"


@pytest.mark.long
def test_verify_does_not_copy_for_ever(clock: FakeClock) -> None:
    scene = life_like()
    DeltaStep(DELTA, mail(scene), clock=clock).apply({})
    numbers = iter(range(100_000))
    busy = FaultPlan(at=range(100_000), act=lambda: scene.source.deliver("INBOX", body(f"no. {next(numbers)}")))
    step = VerifyStep(StepKey(2, StepKind.VERIFY), mail(scene, busy), VerifyLevel.LEDGER)
    assert error_of(lambda: step.apply({})).code == "cutover.differs"


# HOLD and RELEASE


def held(rows: Rows, clock: FakeClock) -> tuple[Queue, MemoryHold, HoldStep, Values]:
    queue = Queue(rows)
    hold = MemoryHold(rows, queue)
    step = HoldStep(StepKey(0, StepKind.HOLD, "queue"), hold, ANNA, clock=clock)
    saved = step.prepare()
    step.apply(saved)
    queue.deliver(ANNA, b"held", Side.SOURCE)
    return queue, hold, step, saved


def test_held_mail_flows_to_the_source_when_the_night_is_undone(clock: FakeClock, rows: Rows) -> None:
    queue, _, step, saved = held(rows, clock)
    step.undo(saved)
    assert queue.arrived == [(ANNA, Side.SOURCE, b"held")]
    assert rows[ANNA]["delivery"] == "mailbox, forward"


def test_held_mail_of_who_arrived_first_flows_to_the_target_when_their_night_is_undone(
    clock: FakeClock, rows: Rows
) -> None:
    queue = Queue(rows)
    access = Access(ANNA, Named("one", MemoryDirectory(rows)))
    kit = Kit(address=ANNA, source=access, target=access, hold=Named("queue", MemoryHold(rows, queue)), clock=clock)
    holds = [step for step in steps_of(RECIPES["sims2"], kit, MemoryJournal()) if isinstance(step, HoldStep)]
    for step in holds:
        saved = step.prepare()
        step.apply(saved)
        queue.deliver(ANNA, b"held", Side.SOURCE)
        step.undo(saved)
    assert [side for _, side, _ in queue.arrived] == [Side.SOURCE, Side.TARGET]


def test_mail_that_is_held_again_is_not_on_its_way_to_the_target_any_more(clock: FakeClock, rows: Rows) -> None:
    looks = iter([True])

    class Slow(MemoryHold):
        def is_settled(self, address: str) -> bool:
            return next(looks, False)

    queue, _, _, saved = held(rows, clock)
    step = ReleaseStep(StepKey(5, StepKind.RELEASE, "queue"), Slow(rows, queue), ANNA, clock=clock, held=lambda: saved)
    mine = step.prepare()
    step.apply(mine)
    assert error_of(lambda: step.undo(mine)).code == "hold.not_settled"
    looks = iter([False, False, True])
    step.undo(mine)
    assert rows[ANNA]["delivery"] == "hold"
    assert next(looks, "all asked") == "all asked"


def test_release_restores_what_hold_saved_and_lets_mail_flow_to_the_target(clock: FakeClock, rows: Rows) -> None:
    queue, hold, _, saved = held(rows, clock)
    step = ReleaseStep(StepKey(5, StepKind.RELEASE, "queue"), hold, ANNA, clock=clock, held=lambda: saved)
    mine = step.prepare()
    assert not step.is_done(mine)
    step.apply(mine)
    assert queue.arrived == [(ANNA, Side.TARGET, b"held")]
    assert rows[ANNA]["delivery"] == "mailbox, forward"
    assert step.is_done(mine)


def test_release_is_not_done_while_mail_waits(clock: FakeClock, rows: Rows) -> None:
    class Deaf(MemoryHold):
        def flush(self, address: str, to: Side) -> None:
            pass

    queue, _, _, saved = held(rows, clock)
    hold = Deaf(rows, queue)
    step = ReleaseStep(StepKey(5, StepKind.RELEASE, "queue"), hold, ANNA, clock=clock, held=lambda: saved)
    mine = step.prepare()
    assert error_of(lambda: step.apply(mine)).code == "hold.still_held"
    assert not step.is_done(mine)


def test_release_without_a_hold_lets_flow_what_waits(clock: FakeClock, rows: Rows) -> None:
    queue = Queue(rows)
    queue.waiting[ANNA] = [b"from before"]
    hold = MemoryHold(rows, queue)
    step = ReleaseStep(StepKey(5, StepKind.RELEASE, "queue"), hold, ANNA, clock=clock, held=lambda: None)
    step.apply(step.prepare())
    assert queue.arrived == [(ANNA, Side.TARGET, b"from before")]


# PERSON, POPULATE, PUBLISH


def test_a_person_stops_the_night_until_they_agree() -> None:
    agreed: list[StepKey] = []
    step = PersonStep(StepKey(1, StepKind.PERSON), lambda: bool(agreed))
    with pytest.raises(Stopped):
        step.apply(step.prepare())
    assert not step.is_done({})
    agreed.append(step.key)
    step.apply({})
    assert step.is_done({})


@pytest.mark.parametrize("existed", [True, False])
def test_an_account_that_was_there_before_is_not_removed(existed: bool) -> None:
    accounts = {ANNA} if existed else set()
    step = PopulateStep(StepKey(0, StepKind.POPULATE, "accounts"), MemoryPopulation(accounts), ANNA)
    saved = step.prepare()
    step.apply(saved)
    assert step.is_done(saved)
    assert accounts == {ANNA}
    step.undo(saved)
    assert accounts == ({ANNA} if existed else set())


def test_a_change_is_published_when_the_servers_act_on_it(clock: FakeClock, rows: Rows) -> None:
    published: Rows = {}
    step = PublishStep(StepKey(0, StepKind.PUBLISH, "copy"), MemoryPublication(rows, published), ANNA, clock=clock)
    assert not step.is_done({})
    step.apply(step.prepare())
    assert step.is_done({})
    assert published == rows


def test_a_copy_that_stays_behind_is_an_error_in_the_end(clock: FakeClock, rows: Rows) -> None:
    class Slow(MemoryPublication):
        def publish(self, address: str) -> None:
            pass

    step = PublishStep(StepKey(0, StepKind.PUBLISH, "copy"), Slow(rows, {}), ANNA, clock=clock)
    assert error_of(lambda: step.apply({})).code == "publish.behind"


# kits


def kinds(steps: object) -> list[StepKind]:
    return [step.key.kind for step in steps]  # type: ignore[attr-defined]


def test_a_kit_without_anything_only_writes_down_whose_the_mailbox_is() -> None:
    kit = Kit(address=ANNA, source=Access(ANNA), target=Access(ANNA), clock=FakeClock())
    journal = MemoryJournal()
    (step,) = steps_of(EVERYTHING, kit, journal)
    assert isinstance(step, JournalledSwitch)
    assert run_cutover([step], journal, clock=FakeClock()).outcome is CutoverOutcome.DONE
    assert journal.owner == "target"


def test_a_switch_that_only_is_written_down_leaves_both_ways_open_until_it_is() -> None:
    kit = Kit(address=ANNA, source=Access(ANNA), target=Access(ANNA), clock=FakeClock())
    journal = MemoryJournal()
    steps = steps_of(RECIPES["plain"], kit, journal)
    journal.begin(steps[0].key, steps[0].prepare())
    assert roll_back(steps, journal, clock=FakeClock()).outcome is CutoverOutcome.DONE
    assert journal.owner == "source"


def test_steps_keep_their_places_when_others_are_left_out() -> None:
    kit = Night().kit(Faults())
    bare = replace(kit, route=None, verify_level=None, hold=None)
    steps = steps_of(RECIPES["plain"], bare, MemoryJournal())
    assert [(step.key.position, step.key.kind) for step in steps] == [
        (1, StepKind.DISABLE),
        (2, StepKind.DELTA),
        (4, StepKind.SWITCH),
        (5, StepKind.ENABLE),
    ]
    assert kinds(steps_of(EVERYTHING, kit, MemoryJournal())) == [step.kind for step in EVERYTHING.steps]


def test_two_names_in_one_directory_are_two_entries() -> None:
    rows: Rows = {"old-anna": {"status": "active"}, "new-anna": {"status": "made closed"}}
    night = Night(row={"status": "active", "host": "x", "delivery": "y"}, has_route=False)
    kit = night.kit(Faults())
    named = kit.source.directory._replace(connector=MemoryDirectory(rows))
    kit = replace(
        kit,
        source=Access("old-anna", named),
        target=Access("new-anna", named),
        mail=None,
    )
    journal = MemoryJournal()
    assert run_cutover(steps_of(RECIPES["plain"], kit, journal), journal, clock=FakeClock()).outcome == "done"
    assert rows == {"old-anna": {"status": "inactive"}, "new-anna": {"status": "active"}}


def test_a_step_on_signing_in_names_its_side() -> None:
    with pytest.raises(ValueError, match="side"):
        Night().kit(Faults()).access(None)


@pytest.mark.parametrize("step_of", [HoldStep, ReleaseStep])
def test_a_flow_is_not_done_while_mail_is_on_its_way_by_the_entry_as_it_was(
    clock: FakeClock, rows: Rows, step_of: type[HoldStep | ReleaseStep]
) -> None:
    looks = iter([False, False, True])

    class Slow(MemoryHold):
        def is_settled(self, address: str) -> bool:
            return next(looks, True)

    more = {} if step_of is HoldStep else {"held": lambda: None}
    step = step_of(StepKey(0, StepKind.HOLD, "queue"), Slow(rows, Queue(rows)), ANNA, clock=clock, **more)
    saved = step.prepare()
    step.apply(saved)
    assert next(looks, "all asked") == "all asked"
    assert step.is_done(saved)
    looks = iter([False] * 10_000)
    assert not step.is_done(saved)
    assert error_of(lambda: step.apply(saved)).code == "hold.not_settled"


def test_nothing_is_held_on_a_server_that_would_return_held_mail(clock: FakeClock, rows: Rows) -> None:
    class Short(MemoryHold):
        def trouble(self) -> Iterator[MigratorError]:
            yield MigratorError("hold.short_lived", reply="bounce_queue_lifetime = 1h")

    step = HoldStep(StepKey(0, StepKind.HOLD, "queue"), Short(rows, Queue(rows)), ANNA, clock=clock)
    assert error_of(step.prepare).code == "hold.short_lived"
    assert rows[ANNA]["delivery"] == "mailbox, forward"
