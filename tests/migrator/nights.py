"""One account's night in memory: a user who works while they may, a world to interrupt, and a panel that goes on.

After every call to the world the invariants of a night are checked: the user is never admitted on both sides, is never
in a session at the source while the target admits them, and who was switched is never switched back.
"""

from __future__ import annotations

import contextlib
import copy
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from migrator.cutover import CutoverOutcome, CutoverResult, Step, roll_back, run_cutover
from migrator.errors import MigratorError, Patience, Side
from migrator.journal import Journal, Owner, StepKey, StepKind
from migrator.limits import Limits
from migrator.prestage import Small, prestage
from migrator.recipes import RECIPES, OnFailure, Recipe, RecipeStep
from migrator.steps.copying import Mail
from migrator.steps.kit import Access, Kit, Named, steps_of
from migrator.testing import (
    FakeClock,
    FaultKind,
    FaultPlan,
    FaultyLedger,
    Killed,
    MemoryMailbox,
    MemorySource,
    MemoryTarget,
    RecordingSink,
)
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
from migrator.testing.journals import Entries, MemoryJournal
from migrator.transfer.memory_ledger import MemoryLedger
from migrator.transfer.plan import CopyPolicy, Mode
from migrator.transfer.verify import VerifyLevel
from tests.migrator.transfer.scenes import arrivals, body

ANNA = "anna@example.test"
MOMENTS = 21  # of each phase in which Anna may do something
LIMITS = Limits(bundle_messages=2, window_messages=4, overlap=False)
ROW = {"status": "active", "host": "Old.example.test", "delivery": "mailbox, forward", "phone": "1"}
EVERYTHING = Recipe(
    "everything",
    "recipe.everything",
    (
        RecipeStep(StepKind.PUBLISH),
        RecipeStep(StepKind.POPULATE),
        RecipeStep(StepKind.HOLD),
        RecipeStep(StepKind.DISABLE, Side.SOURCE),
        RecipeStep(StepKind.PERSON, check="port_closed"),
        RecipeStep(StepKind.DELTA),
        RecipeStep(StepKind.VERIFY),
        RecipeStep(StepKind.SWITCH),
        RecipeStep(StepKind.ENABLE, Side.TARGET),
        RecipeStep(StepKind.RELEASE),
        RecipeStep(StepKind.PUBLISH),
    ),
    is_staged=True,
)


class Faults(FaultPlan):
    """Breaks calls, each in its own way, over all processes of a night; the user lives between the calls."""

    def __init__(self, kinds: Mapping[int, FaultKind | str] | None = None, act: Callable[[], object] | None = None):
        self._kinds = {number: FaultKind(kind) for number, kind in (kinds or {}).items() if kind}
        super().__init__(tuple(kinds or ()), act=act)
        self.live: Callable[[str], None] = lambda name: None
        self.check: Callable[[], None] = lambda: None

    def run(self, name, effect, side=None):  # type: ignore[no-untyped-def]
        if self._is_dead:
            raise Killed(name)
        self.live(name)
        self._kind = self._kinds.get(len(self.calls))
        try:
            return super().run(name, effect, side)
        finally:
            self.check()

    def revive(self) -> None:
        """Start the next process."""
        self._is_dead = False

    def rest(self) -> None:
        """No process of this night is alive: all that is left of it is the world, and what the panel remembers."""


@dataclass
class Night:
    """The world of one account, and how far its panel takes it to be."""

    recipe: Recipe = RECIPES["plain"]
    is_shared: bool = True  # one entry governs both sides, else each side has its own directory
    has_route: bool = True
    row: Mapping[str, str] = field(default_factory=lambda: ROW)
    source: MemoryMailbox = field(default_factory=MemoryMailbox)
    target: MemoryMailbox = field(default_factory=lambda: MemoryMailbox(separator="."))
    ledger: MemoryLedger = field(default_factory=MemoryLedger)
    entries: Entries = field(default_factory=dict)
    early_entries: Entries = field(default_factory=dict)
    clock: FakeClock = field(default_factory=FakeClock)
    sink: RecordingSink = field(default_factory=RecordingSink)
    sessions: dict[str, int] = field(default_factory=dict)
    accounts: set[str] = field(default_factory=set)
    published: Rows = field(default_factory=dict)
    deadline: float | None = None
    late_at: str = ""  # the call before which the deadline passes
    is_approved: bool = True
    is_stopping: bool = False
    state: str = "arriving"
    decision: str = "cutting_over"  # of a person, where the recipe keeps somebody held: this, or rolling_back
    written: int = 0  # letters the user wrote at the source
    written_at_target: list[bytes] = field(default_factory=list)
    incoming: list[bytes] = field(default_factory=list)  # mail from outside, where the recipe holds it

    def __post_init__(self) -> None:
        self.source_rows: Rows = {ANNA: dict(self.row)}
        self.target_rows = self.source_rows if self.is_shared else {ANNA: {"status": "inactive"}}
        self.queue = Queue(self.source_rows)
        # Without a route mail goes on to the source, also when the night is over.
        self.holds_mail = RecipeStep(StepKind.HOLD) in self.recipe.steps and self.has_route
        self._was_switched = False
        self._phase: object = None
        self._calls = 0  # of this process in this phase
        self._lived: set[int] = set()  # the moments of this phase that are over, whichever process met them
        for number in range(3):
            self.source.deliver("INBOX", body(f"letter {number}"), ["\\Seen"] if number else [])
        self.source.deliver("Archive/1999", body("twice"))
        self.source.deliver("Archive/1999", body("twice"))

    # what is true of the world

    @property
    def home(self) -> Side:
        """Where Anna is when the night is undone: who arrived first has left the source before it."""
        return Side.TARGET if self.recipe.arrive_first and self.early_journal().owner is Owner.TARGET else Side.SOURCE

    def host(self) -> Side:
        return Side.SOURCE if str(self.source_rows[ANNA]["host"]).casefold() == "old.example.test" else Side.TARGET

    def admits(self, side: Side) -> bool:
        """Tell whether Anna can sign in at ``side``."""
        rows = self.source_rows if side is Side.SOURCE else self.target_rows
        is_governed = self.is_shared and self.has_route
        return rows[ANNA]["status"] == "active" and (not is_governed or self.host() is side)

    def live(self, name: str) -> None:
        """Anna does what she can before the call ``name``: sign in, write a letter now and then."""
        if name == self.late_at and self.deadline:
            self.clock.wait(max(0.0, self.deadline - self.clock.now()))
        moment = self._moment()
        if self.sessions.get(ANNA):
            if moment % 6 == 3:
                self.written += 1
                self.source.deliver("INBOX", body(f"written {self.written}"))
            elif moment % 6 == 2:
                inbox = self.source["INBOX"]
                inbox.set_flags(1, inbox.messages[1].flags ^ {"\\Flagged"})
        elif self.admits(Side.SOURCE):
            self.sessions[ANNA] = 1
        if moment == 2 and self.holds_mail:
            self.incoming.append(body(f"from outside {len(self.incoming)}"))
            self.queue.deliver(ANNA, self.incoming[-1], self.host())
        if self.admits(Side.TARGET) and moment == 3 and not self.admits(Side.SOURCE):
            letter = body(f"written at the target {len(self.written_at_target)}")
            self.written_at_target.append(letter)
            self.target.deliver("INBOX", letter)

    def _moment(self) -> int:
        """Return which moment of this phase this is, from 1; 0 when Anna was there before, or has had enough of it.

        A phase begins with each word of the panel or of a journal. So a night that was interrupted and found its way
        back is one that was not, letter by letter: else no two nights would be alike, and all would have to be played.
        """
        phase = self.phase()
        if phase != self._phase:
            self._phase, self._calls = phase, 0
            self._lived.clear()
        self._calls = min(self._calls + 1, MOMENTS + 1)
        if self._calls > MOMENTS or self._calls in self._lived:
            return 0
        self._lived.add(self._calls)
        return self._calls

    def phase(self) -> object:
        """Return how far the panel and the journals take this night to be."""
        rows = (self.early_entries, self.entries)
        return self.state, *(entry.status for entries in rows for entry in entries.values())

    def check(self) -> None:
        """Claim what must hold at every moment."""
        self.bring()
        assert not (self.admits(Side.SOURCE) and self.admits(Side.TARGET)), "both sides are open"
        assert not (self.sessions.get(ANNA) and self.admits(Side.TARGET)), "in a session while the target is open"
        self._was_switched = self._was_switched or self.host() is Side.TARGET
        assert not (self._was_switched and self.host() is Side.SOURCE), "switched back"

    def bring(self) -> None:
        """Put into the mailboxes what arrived."""
        for _, side, letter in self.queue.arrived:
            (self.source if side is Side.SOURCE else self.target).deliver("INBOX", letter)
        self.queue.arrived.clear()

    @property
    def expected(self) -> str:
        """The state in which this night must end, whatever its calls meet."""
        is_held = self.recipe.on_failure is OnFailure.STAY_HELD
        is_back = self.late_at and not (is_held and self.decision == "cutting_over")
        return "rolled_back" if is_back else "done"

    # one run of a worker

    def kit(self, faults: FaultPlan) -> Kit:
        """Return fresh connectors, as a new process has them."""

        def admits(side: Side) -> Callable[[], bool]:
            return lambda: faults.run(f"probe.{side}", lambda: self.admits(side), side)

        mine = Named("one", MemoryDirectory(self.source_rows, faults))
        theirs = mine if self.is_shared else Named("two", MemoryDirectory(self.target_rows, faults, Side.TARGET))
        mail = Mail(
            lambda: MemorySource(self.source, faults, LIMITS),
            lambda: MemoryTarget(self.target, faults, LIMITS),
            FaultyLedger(self.ledger, faults),
            CopyPolicy(Mode.CATCH_UP if self.recipe.arrive_first else Mode.STAGE),
            limits=LIMITS,
        )
        return Kit(
            address=ANNA,
            source=Access(ANNA, mine, MemorySessions(self.sessions, faults), admits(Side.SOURCE)),
            target=Access(ANNA, theirs, None, admits(Side.TARGET)),
            mail=mail,
            verify_level=VerifyLevel.DIGEST,
            route=Named("who", MemoryRoute(self.source_rows, faults)) if self.has_route else None,
            hold=Named("queue", MemoryHold(self.source_rows, self.queue, faults)),
            population=Named("accounts", MemoryPopulation(self.accounts, faults)),
            publication=Named("copy", MemoryPublication(self.source_rows, self.published, faults)),
            is_approved=self._approves,
            clock=self.clock,
            stop=self,
            deadline=self.deadline,
        )

    def is_set(self) -> bool:
        return self.is_stopping

    def _approves(self, key: StepKey, check: str) -> bool:
        assert check == self.recipe.steps[key.position].check
        return self.is_approved

    def journal(self, faults: FaultPlan | None = None) -> MemoryJournal:
        """Return a fresh reader and writer of what this night remembers."""
        return MemoryJournal(self.entries, faults)

    def early_journal(self, faults: FaultPlan | None = None) -> MemoryJournal:
        """Return the journal of what comes before the night."""
        return MemoryJournal(self.early_entries, faults)

    def pen(self, faults: FaultPlan) -> Journal:
        """Return the journal that a worker writes."""
        return self.journal(faults)

    def arrive(self, faults: FaultPlan | None = None) -> CutoverResult:
        """Carry out what comes before the night, in a process of its own."""
        plan = faults or FaultPlan()
        journal = self.early_journal(plan)
        steps = [step for step in steps_of(self.recipe, self.kit(plan), journal) if self.is_early(step)]
        return run_cutover(steps, journal, sink=self.sink, clock=self.clock, stop=self)

    def is_early(self, step: Step) -> bool:
        return step.key.position < self.recipe.early

    def steps(self, plan: FaultPlan, journal: Journal) -> list[Step]:
        """Return the steps of the night itself."""
        return [step for step in steps_of(self.recipe, self.kit(plan), journal) if not self.is_early(step)]

    def carry(self, faults: FaultPlan | None = None) -> CutoverResult:
        """Run the cutover once, in a process of its own."""
        plan = faults or FaultPlan()
        journal = self.pen(plan)
        steps = self.steps(plan, journal)
        return run_cutover(steps, journal, sink=self.sink, clock=self.clock, deadline=self.deadline, stop=self)

    def go_back(self, faults: FaultPlan | None = None) -> CutoverResult:
        """Roll back once, in a process of its own."""
        plan = faults or FaultPlan()
        journal = self.pen(plan)
        return roll_back(self.steps(plan, journal), journal, sink=self.sink, clock=self.clock)

    # the panel

    def run_to_the_end(self, faults: Faults) -> str:
        """Do what a panel does until nothing is left to do; return the state the account ends in."""
        faults.live, faults.check = self.live, self.check
        for _ in range(20):
            self.rest(faults)
            try:
                self._work(faults)
            except Killed:
                faults.revive()
            if self.state in ("done", "rolled_back", "attention", "stopped"):
                return self.state
        raise AssertionError(f"no end: {self.state}")

    def rest(self, faults: Faults) -> None:
        """Let the next process begin from nothing but what is left of those before."""
        self._calls = 0
        faults.rest()

    def run_until_killed(self, faults: Faults) -> None:
        """Work until the process dies of a fault, and no further."""
        faults.live, faults.check = self.live, self.check
        with contextlib.suppress(Killed):
            while self.state not in ("done", "rolled_back"):
                self._work(faults)
            raise AssertionError("no fault was met")

    def _work(self, faults: Faults) -> None:
        match self.state:
            case "arriving":
                if self.recipe.early:
                    self._settle(self.arrive(faults), "arrived")
                if self.state == "arrived" or not self.recipe.early:
                    self.state = "staging" if self.recipe.is_staged else "cutting_over"
            case "held":
                self.deadline, self.state = None, self.decision
            case "staging":
                self._stage(faults)
            case "cutting_over":
                self._settle(self.carry(faults), "done")
            case "rolling_back":
                self._settle(self.go_back(faults), "rolled_back")

    def _stage(self, faults: Faults) -> None:
        mail = self.kit(faults).mail
        assert mail
        with mail.open_source() as source, mail.open_target() as target:
            small = Small(messages=8)
            result = prestage(source, target, mail.ledger, small=small, limits=LIMITS, clock=self.clock)
        if result.is_ready:
            self.state = "cutting_over"

    def _settle(self, result: CutoverResult, success: str) -> None:
        if result.outcome is CutoverOutcome.DONE:
            self.state = success
        elif result.outcome is CutoverOutcome.STOPPED:
            self.state = "stopped"
        elif result.error and result.error.code == "cutover.past_switch":
            self.state = "cutting_over"
        elif result.past_switch or result.outcome is CutoverOutcome.UNKNOWN:
            self.state = "attention" if _is_hopeless(result.error) else self.state
        elif self.state == "cutting_over" and self.recipe.on_failure is OnFailure.STAY_HELD:
            self.state = "held"
        else:
            self.state = "rolling_back"

    def play(self, faults: Faults) -> None:
        """Live this through with ``faults``, and claim that it ended as without them."""
        self.run_to_the_end(faults)
        self.assert_ended(self.expected)
        self.assert_settled()

    # how it must have ended

    def assert_ended(self, state: str) -> None:
        """Claim that everything is as it must be in ``state``."""
        assert self.state == state
        self.check()
        side = Side.TARGET if state == "done" else self.home
        assert [at for at in Side if self.admits(at)] == [side]
        expected = dict(self.row)
        if side is Side.TARGET and self.has_route:
            expected["host"] = "new.example.test"
        if state == "done" and not self.is_shared:
            expected["status"] = "inactive"  # the source stays closed for good
        assert self.source_rows[ANNA] == expected
        assert not self.queue.waiting
        if state == "done":
            self.assert_arrived()
        else:
            arrived = arrivals(self.source, "INBOX") + arrivals(self.target, "INBOX")
            assert not Counter(self.incoming) - arrived
            assert self.accounts == ({ANNA} if self.recipe.made else set())
            assert self.is_shared or self.target_rows[ANNA]["status"] == "inactive"

    def assert_arrived(self) -> None:
        """Claim that each letter is on the target once: those of the source, what came in, what Anna wrote there."""
        self.check()
        source, target = arrivals(self.source, "INBOX"), arrivals(self.target, "INBOX")
        assert sum(letter.startswith(b"Subject: written ") for letter in source) == self.written
        came_late = Counter(self.incoming) - source
        assert target == source + came_late + Counter(self.written_at_target)
        assert arrivals(self.target, "Archive.1999") == arrivals(self.source, "Archive/1999")
        flags = {message.body: message.flags for message in self.source["INBOX"].messages.values()}
        for message in self.target["INBOX"].messages.values():
            assert flags.get(message.body, message.flags) == message.flags

    def assert_settled(self) -> None:
        """Claim that another run of either kind does nothing."""
        world = copy.deepcopy((self.source_rows, self.target_rows, self.target.contents(), self.published))
        entries = dict(self.entries)
        run = self.carry if self.state == "done" else self.go_back
        again = FaultPlan()
        assert run(again).outcome is CutoverOutcome.DONE
        assert set(again.calls) == {"journal.entries"}
        assert (self.source_rows, self.target_rows, self.target.contents(), self.published) == world
        assert self.entries == entries


def _is_hopeless(error: MigratorError | None) -> bool:
    return error is None or error.patience is Patience.NEVER


def plain() -> Night:
    return Night()


def classic() -> Night:
    return Night(recipe=RECIPES["classic"])


def own_directories() -> Night:
    return Night(is_shared=False, has_route=False)


def everything() -> Night:
    return Night(recipe=EVERYTHING, is_shared=False)


def too_late() -> Night:
    """The deadline passes right before SWITCH: all is undone."""
    night = Night(late_at="journal.done.verify")
    night.deadline = night.clock.now() + 1000
    return night


def everything_too_late() -> Night:
    night = Night(recipe=EVERYTHING, is_shared=False, late_at="journal.done.verify")
    night.deadline = night.clock.now() + 1000
    return night


def sims1() -> Night:
    return Night(recipe=RECIPES["sims1"])


def sims2() -> Night:
    return Night(recipe=RECIPES["sims2"])


def sims3() -> Night:
    return Night(recipe=RECIPES["sims3"])


def switching() -> Night:
    return Night(recipe=RECIPES["switching"], has_route=False, is_shared=False)


def secondary() -> Night:
    return Night(recipe=RECIPES["secondary"], is_shared=False)


def _held(recipe: str, decision: str) -> Night:
    """The deadline passes right before the night is through: somebody stays held, and a person decides."""
    night = Night(recipe=RECIPES[recipe], late_at="journal.done.verify", decision=decision)
    night.deadline = night.clock.now() + 1000
    return night


def sims3_goes_on() -> Night:
    return _held("sims3", "cutting_over")


def sims3_let_back() -> Night:
    return _held("sims3", "rolling_back")


def sims2_let_back() -> Night:
    return _held("sims2", "rolling_back")


NIGHTS: dict[str, Callable[[], Night]] = {
    night.__name__: night
    for night in (
        plain,
        classic,
        own_directories,
        everything,
        too_late,
        everything_too_late,
        sims1,
        sims2,
        sims3,
        switching,
        secondary,
        sims3_goes_on,
        sims3_let_back,
        sims2_let_back,
    )
}


def clean_calls(make: Callable[[], Night]) -> list[str]:
    """Return the calls of a night without faults, in order."""
    faults = Faults()
    night = make()
    assert night.run_to_the_end(faults) in ("done", "rolled_back")
    return faults.calls
