"""Interrupt a night twice at every pair of calls, and play only what was not played before.

A night is a row of lives: each process that works on it begins from nothing but what is left of those before. So a
night that was interrupted can be taken up from what is left, and need not be played from its beginning. Nor to its
end: where all that can matter from here on is, byte for byte, what it was in a night that was played on from here, it
ends. That is looked at in two places:

- *at rest*, when no process of the night lives: what counts are the world and what the panel remembers;
- *between two steps*, at the first call after a journal noted one as done or undone: there a process also knows the
  engine, its steps and their connectors, so these are compared too.

Who is killed leaves what is at rest at that moment, so these are not played but taken up. And to lose the answer of a
call that changed nothing is to lose the line: of two such faults one is played. As first faults both are, and compared.
tests/migrator/test_interrupt_pairs.py proves that a flaw which only a pair finds is found, and that a night has
exactly the pairs that are counted when all of them are played.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import sys
import traceback
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from types import CodeType, FrameType, FunctionType
from typing import Any, Final, NamedTuple, NoReturn, TypeVar

from migrator.cutover import _Night
from migrator.errors import Side
from migrator.journal import Entry, EntryStatus, StepKey, StepKind
from migrator.steps.back import _Return
from migrator.testing import FaultKind, FaultPlan, Killed, RecordingSink
from tests.migrator.nights import Faults, Night

T = TypeVar("T")
Fault = tuple[int, FaultKind]

_LINES: Final = (FaultKind.LINE, FaultKind.LOST_ANSWER)
_KILLS: Final = (FaultKind.KILL, FaultKind.KILL_AFTER)
# Where an engine goes from step to step, and in which direction.
_ENGINES: Final[Mapping[CodeType, int]] = {
    _Night.forward.__code__: 1,
    _Night.backward.__code__: -1,
    _Return.run.__code__: -1,
}
# Of a night: what is only told, what never changes, and what is written down in another way.
_NOT_COMPARED: Final = ("sink", "clock", "recipe", "row", "deadline", "_calls", "_phase", "_lived")
_DIGEST_BYTES: Final = 16
_LONG_SECONDS: Final = 100.0  # no night waits so long, so a deadline further away is as good as any


class Tally(NamedTuple):
    """What a walk covered, and with how much work."""

    calls: int  # of the night without faults
    pairs: int
    played: int  # lives; all else is, from some moment on, one of these
    lengths: Mapping[Fault, int]  # how many calls a night makes with one fault


@cache
def _field_names(kind: type) -> tuple[str, ...]:
    """Return the attributes of plain data; nothing for other kinds."""
    if is_dataclass(kind) and "__dict__" not in dir(kind):
        return tuple(one.name for one in fields(kind))
    return getattr(kind, "_fields", ())


def _sorted(value: Any) -> Any:
    """Write sets in order; besides, a quick Pickler loses count of how deep it is in frozen ones."""
    return sorted(value) if isinstance(value, frozenset) else value


class _Pickler(pickle.Pickler):
    """Writes objects down by value. What it has no way to write raises ``TypeError``: nothing is left out."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, protocol=5)
        self.fast = True  # two equal objects are written like one and the same

    def reducer_override(self, obj: Any) -> Any:
        names = _field_names(type(obj))
        if names:
            return tuple, ([type(obj).__qualname__, *[_sorted(getattr(obj, name)) for name in names]],)
        if not isinstance(obj, FunctionType) or "<" not in obj.__qualname__:
            return NotImplemented
        closed = [cell.cell_contents for cell in obj.__closure__ or ()]
        return tuple, ([obj.__module__, obj.__qualname__, obj.__code__.co_firstlineno, obj.__defaults__, closed],)


class _NamingPickler(_Pickler):
    """Writes a name for each object that ``names`` has by its id."""

    def __init__(self, file: io.BytesIO, names: Mapping[int, str]) -> None:
        super().__init__(file)
        self._names = names

    def persistent_id(self, obj: Any) -> str | None:
        return self._names.get(id(obj))


def _written(obj: object, names: Mapping[int, str] | None = None) -> bytes:
    file = io.BytesIO()
    (_NamingPickler(file, names) if names else _Pickler(file)).dump(obj)
    return file.getvalue()


def _digest(*parts: bytes) -> bytes:
    return hashlib.blake2b(b"".join(parts), digest_size=_DIGEST_BYTES).digest()


class _Remaining(dict[StepKey, Entry]):
    """What an engine found in its journal, without what it has used up: a later process would have found more there.

    So that nobody relies on what is gone, an engine that asks for it breaks.
    """

    def __init__(
        self, entries: Mapping[StepKey, Entry], is_over: Callable[[StepKey], bool], keeps: Collection[StepKind]
    ) -> None:
        super().__init__()
        self._gone = set()
        for key, entry in sorted(entries.items()):
            if not is_over(key):
                self[key] = entry
            elif key.kind in keeps:  # what it saved is asked for once more, what became of it is not
                self[key] = Entry(key, EntryStatus.UNDONE, entry.saved)
            else:
                self._gone.add(key)

    def get(self, key: StepKey, default: Any = None) -> Any:
        assert key not in self._gone, f"the engine looks back at {key}"
        return super().get(key, default)

    def values(self) -> NoReturn:
        raise AssertionError("the engine looks back")

    def __reduce__(self) -> Any:
        return list, (list(self.items()),)


class Met(BaseException):
    """From here on all was played before. Nobody may catch it."""


class Rest(NamedTuple):
    """What is left of a night when none of its processes lives; ``kept`` is empty where that is known already."""

    digest: bytes
    kept: bytes


@dataclass
class Life:
    """One life that was played, with the faults of which nobody died."""

    sides: list[bool] = field(default_factory=list)  # of each call: whether a line is involved
    before: dict[int, Rest] = field(default_factory=dict)  # by call: what is left of one who is killed before it
    after: dict[int, Rest] = field(default_factory=dict)  # and after it, where the call was made
    passed: dict[bytes, int] = field(default_factory=dict)  # between steps: at which call
    next: Rest | None = None  # where it was at rest again
    met: bytes | None = None  # from where on it is another life that was played

    def is_like(self, other: Life) -> bool:
        """Tell whether both made the same calls, came by the same places, and ended in the same."""
        ends = [one.next and one.next.digest for one in (self, other)]
        return (self.sides, self.passed, self.met, ends[0]) == (other.sides, other.passed, other.met, ends[1])


class Walk(Faults):
    """Plays one life. ``left`` faults are still to come after ``faults``: for them is noted what each call leaves."""

    def __init__(self, night: Night, faults: Mapping[int, FaultKind], known: dict[bytes, int], left: int) -> None:
        super().__init__(faults)
        self.life = Life()
        self._night = night
        self._known = known
        self._left = left
        self._last = max(faults, default=-1)
        self._names = _names(night, self)
        self._is_between_steps = False
        self._is_begun = False
        self._kept: dict[bytes, int] = {}  # what this life kept already, and for how many faults to come

    def run(self, name: str, effect: Callable[[], T], side: Side | None = None) -> T:
        if self._is_dead:
            raise Killed(name)
        number = len(self.calls)
        if self._is_between_steps:
            self._is_between_steps = False
            self._look_between_steps(number)
        self.life.sides.append(side is not None)
        self.live(name)
        is_noted = self._left > 0 and number > self._last
        if is_noted:
            self.life.before[number] = self._left_by_a_kill()
        self._kind = self._kinds.get(number)
        try:
            answer = FaultPlan.run(self, name, effect, side)
        finally:
            self.check()
        if is_noted:
            self.life.after[number] = self._left_by_a_kill()
        self._is_between_steps = name.startswith(("journal.done.", "journal.undone."))
        return answer

    def rest(self) -> None:
        if self.life.met is None and self._is_begun:
            self.life.next = self._at_rest(self._night, self._left)
        if self._is_begun:
            raise Met
        self._is_begun = True

    def _left_by_a_kill(self) -> Rest:
        night = self._night
        if night.queue.arrived:  # what arrived is in the mailboxes when the process is dead
            night = take_up(keep(night))
            night.bring()
        return self._at_rest(night, self._left - 1)

    def _at_rest(self, night: Night, left: int) -> Rest:
        digest = _digest(b"at rest", _world(night, calls=0))
        if max(self._known.get(digest, -1), self._kept.get(digest, -1)) >= left:
            return Rest(digest, b"")
        self._kept[digest] = left
        return Rest(digest, keep(night))

    def _look_between_steps(self, number: int) -> None:
        frame: FrameType | None = sys._getframe()
        while frame and frame.f_code not in _ENGINES:
            frame = frame.f_back
        if frame is None:
            return
        engine, position = frame.f_locals["self"], frame.f_locals["step"].key.position
        way = _ENGINES[frame.f_code]
        keeps = (StepKind.PUBLISH,) if isinstance(engine, _Return) else ()
        engine._entries = _Remaining(engine._entries, lambda key: (key.position - position) * way < 0, keeps)
        if number <= self._last:
            return  # as in the life without the last fault
        knows = _written((frame.f_code.co_qualname, dict(frame.f_locals)), self._names)
        self._meet(_digest(b"between steps", _world(self._night, self._night._calls), knows), number)

    def _meet(self, digest: bytes, number: int) -> None:
        assert digest not in self.life.passed, "it goes in circles"
        if self._known.get(digest, -1) >= self._left:
            self.life.met = digest
            self._is_dead = True
            raise Killed
        self._known[digest] = self._left
        self.life.passed[digest] = number


def keep(night: Night) -> bytes:
    """Write down all that is left of a night at rest."""
    return pickle.dumps((type(night), {name: value for name, value in night.__dict__.items() if name != "sink"}))


def take_up(kept: bytes) -> Night:
    """Return a night as it was kept."""
    kind, world = pickle.loads(kept)
    night: Night = kind.__new__(kind)
    night.__dict__.update(world, sink=RecordingSink())
    return night


def _world(night: Night, calls: int) -> bytes:
    """Write down all that outlives a process; ``calls`` is how many of them Anna saw in this phase."""
    left = night.deadline and night.deadline - night.clock.now()
    assert not left or left <= 0 or left > _LONG_SECONDS, "a deadline is near"
    world = {name: value for name, value in night.__dict__.items() if name not in _NOT_COMPARED}
    is_old = night.phase() == night._phase  # else the first moment of the next one is still to come
    lived = (calls, sorted(night._lived)) if is_old else ()
    return _written((world, left and left > 0, night.phase(), lived))


def _names(night: Night, walk: Walk) -> dict[int, str]:
    """Return a name for each object that outlives a process: as it is compared with the world, its name will do."""
    named = {
        name: value
        for name, value in night.__dict__.items()
        if name[0] != "_" and not isinstance(value, str | bool | int | float | None)
    }
    named |= {"night": night, "walk": walk}
    return {id(value): name for name, value in named.items()}


class Begin(NamedTuple):
    """Where a life begins: from what, at which call of the whole night, after which faults."""

    rest: Rest
    calls: int = 0
    faults: tuple[Fault, ...] = ()

    def faults_with(self, faults: Mapping[int, FaultKind]) -> tuple[Fault, ...]:
        """Return all faults, by their calls of the whole night, with those of this life."""
        return self.faults + tuple((self.calls + number, kind) for number, kind in faults.items())


class Failed(Exception):
    """A night does not end as it must, after ``faults``."""

    def __init__(self, faults: Sequence[Fault], why: str) -> None:
        super().__init__(f"{[(number, str(kind)) for number, kind in faults]}: {why}")
        self.faults = list(faults)


class _Walker:
    """Plays lives until nothing is left to be played."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: dict[bytes, int] = {}  # with how many faults to come all is played on from a digest
        # What is needed to count, of lives with faults to come:
        self._lives: dict[bytes, Life] = {}  # by the digest of what they begin with
        self._passed: dict[bytes, tuple[Life, int]] = {}  # by a digest between steps, and at which of its calls
        self.singles: dict[Fault, tuple[int, Life] | None] = {}  # the first call of a life; None: as without the fault
        self.kills: dict[Fault, bytes] = {}  # what is left by one fault that kills
        self.played = 0

    def begin(self, begin: Begin, left: int, chain: frozenset[bytes] = frozenset()) -> None:
        """Play on from what is left, with up to ``left`` faults to come, unless that was done.

        First to the end without a fault: what comes then is, for the most part, soon like this. ``chain`` is what was
        passed since the last fault.
        """
        digest = begin.rest.digest
        if self._known.get(digest, -1) >= left:
            return
        self._known[digest] = left
        life = self._play(begin, {}, left)
        if left >= self._most - 1:
            self._lives[digest] = life
        self._follow(begin, {}, life, left, chain | {digest})
        self._branch(begin, {}, life, left)

    def _play(self, begin: Begin, faults: Mapping[int, FaultKind], left: int) -> Life:
        life = self._played(begin, faults, left, self._known)
        if left >= self._most - 1:
            self._passed |= {digest: (life, at) for digest, at in life.passed.items()}
        return life

    def _played(self, begin: Begin, faults: Mapping[int, FaultKind], left: int, known: dict[bytes, int]) -> Life:
        night = take_up(begin.rest.kept)
        plan = Walk(night, faults, known, left)
        self.played += 1
        try:
            night.play(plan)
        except Met:
            pass
        except Exception as error:
            raise Failed(begin.faults_with(faults), traceback.format_exc()) from error
        return plan.life

    def _follow(
        self, begin: Begin, faults: Mapping[int, FaultKind], life: Life, left: int, chain: frozenset[bytes]
    ) -> None:
        """Go on where a life left something."""
        if life.met in chain or (life.next and life.next.digest in chain):
            raise Failed(begin.faults_with(faults), "it goes in circles")
        if life.next:
            then = Begin(life.next, begin.calls + len(life.sides), begin.faults_with(faults))
            self.begin(then, left, chain | life.passed.keys())

    def _branch(self, begin: Begin, faults: Mapping[int, FaultKind], life: Life, left: int) -> None:
        """Break each call after the last that is broken, in each way."""
        if not left:
            return
        for number in range(max(faults, default=-1) + 1, len(life.sides)):
            for kind in _KILLS:
                self._kill(begin, faults, life, number, kind, left)
            if life.sides[number]:
                self._lose_both(begin, faults, life, number, left)
            elif left == self._most:
                self.singles |= {(begin.calls + number, kind): None for kind in _LINES}
        life.before.clear()
        life.after.clear()

    def _kill(
        self, begin: Begin, faults: Mapping[int, FaultKind], life: Life, number: int, kind: FaultKind, left: int
    ) -> None:
        rest = (life.before if kind is FaultKind.KILL else life.after).get(number)
        fault = (begin.calls + number, kind)
        if rest is None:  # the call says no, so nothing comes after it
            if left == self._most:
                self.singles[fault] = None
            return
        if left == self._most:
            self.kills[fault] = rest.digest
        self.begin(Begin(rest, fault[0] + 1, (*begin.faults_with(faults), fault)), left - 1)

    def _lose_both(self, begin: Begin, faults: Mapping[int, FaultKind], life: Life, number: int, left: int) -> None:
        """Lose the line before the effect of a call, and after it.

        To lose the answer of a call that changed nothing is to lose the line. As first faults both are played, and
        must be alike; what may come after them is played once.
        """
        after = life.after.get(number)
        is_reading = after is not None and after.digest == life.before[number].digest
        known = dict(self._known) if left == self._most else self._known
        lost = self._lose(begin, {**faults, number: FaultKind.LINE}, left)
        if not is_reading:
            self._lose(begin, {**faults, number: FaultKind.LOST_ANSWER}, left)
        elif left == self._most:
            fault = {**faults, number: FaultKind.LOST_ANSWER}
            if not self._played(begin, fault, left - 1, known).is_like(lost):
                raise Failed(begin.faults_with(fault), "the call changed nothing, and losing its answer did")
            self.singles[begin.calls + number, FaultKind.LOST_ANSWER] = (begin.calls, lost)

    def _lose(self, begin: Begin, faults: Mapping[int, FaultKind], left: int) -> Life:
        life = self._play(begin, faults, left - 1)
        if left == self._most:
            (number, kind) = next(iter(faults.items()))
            self.singles[begin.calls + number, kind] = (begin.calls, life)
        self._follow(begin, faults, life, left - 1, frozenset(life.passed))
        self._branch(begin, faults, life, left - 1)
        return life

    # how long each night is

    def length(self, digest: bytes) -> int:
        """Return how many calls are made from a digest at rest to the end."""
        return self.length_of(self._lives[digest])

    def length_of(self, life: Life) -> int:
        """Return how many calls are made from the begin of a life to the end of the night."""
        calls = len(life.sides)
        if life.met:
            other, at = self._passed[life.met]
            return calls + self.length_of(other) - at
        return calls + (self.length(life.next.digest) if life.next else 0)


def walk(make: Callable[[], Night], most: int = 2) -> Tally:
    """Interrupt the night that ``make`` returns by every fault and every pair, or, with ``most`` 1, by every fault.

    Returns what that was. Raises ``Failed`` for the first night that does not end as it must.
    """
    night = make()
    root = Rest(_digest(b"at rest", _world(night, calls=0)), keep(night))
    walker = _Walker(most)
    walker.begin(Begin(root), most)
    total = walker.length(root.digest)
    lengths = {fault: fault[0] + 1 + walker.length(digest) for fault, digest in walker.kills.items()}
    for fault, single in walker.singles.items():
        lengths[fault] = total if single is None else single[0] + walker.length_of(single[1])
    assert len(lengths) == total * len(FaultKind), "each call broke in each way"
    pairs = sum((length - number - 1) * len(FaultKind) for (number, _), length in lengths.items())
    return Tally(total, pairs, walker.played, lengths)
