"""Classes of folders go from one CommuniGate Pro to another: which one is the calendar, which holds contacts.

A class is set only on a folder that was copied and has none on the target; what the target has of its own stays. Both
sides are read before, and the target again afterwards: whoever repeats this after any end sets what is still missing.
To be called after the mail and its comparison. A server may hide such folders from IMAP; there no class is set, for
the next pass would not find the folder any more.

Source: CommuniGate Pro's guide, MoveIMAPMail --copyMailboxClass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, NamedTuple, Protocol

from migrator.errors import MigratorError, Patience, Side
from migrator.events import ClassesCopied, ClassLeftBehind, EventSink
from migrator.mail import FolderPath
from migrator.transfer.ledger import Ledger

MOST_TRIES: Final = 3
_TILDE: Final = "~"


class ClassStore(Protocol):
    """The folders of accounts, and their classes. ``owner`` is the account whose folders have no other's name."""

    owner: str

    def classes(self, owner: str) -> Mapping[str, str]:
        """Return every folder of ``owner`` that holds messages, levels parted by ``/``; empty for no class.

        Reads only. Raises ``MigratorError``.
        """
        ...

    def hides_classes(self, owner: str) -> bool:
        """Tell whether folders with a class are hidden from the IMAP programs of ``owner``. Raises ``MigratorError``.

        Reads only.
        """
        ...

    def set_class(self, owner: str, folder: str, kind: str) -> MigratorError | None:
        """Set the class of one folder; return the refusal. Idempotent.

        Raises ``MigratorError`` (``classes.lost``, patience *now*) when it may have happened or not: look.
        """
        ...


class ClassFate(StrEnum):
    """Where the class of a folder ended."""

    COPIED = "copied"  # by this pass; in a dry run: it would be
    THERE = "there"
    OTHER_THERE = "other_there"  # the target's folder has another class, which stays
    NOT_COPIED = "not_copied"  # the folder itself was not: left out, or not shown by IMAP
    HIDDEN = "hidden"  # the target would hide the folder from IMAP
    REFUSED = "refused"

    @property
    def is_missed(self) -> bool:
        """True when somebody must look."""
        return self in (ClassFate.HIDDEN, ClassFate.REFUSED)


class Place(NamedTuple):
    """A folder as CommuniGate names it."""

    owner: str
    folder: str


@dataclass(frozen=True, slots=True)
class ClassResult:
    """One folder of the source that has a class, and where that ended."""

    folder: str
    kind: str
    fate: ClassFate
    there: str = ""  # the class that the target has instead
    error: MigratorError | None = None


def copy_classes(
    source: ClassStore,
    target: ClassStore,
    ledger: Ledger,
    sink: EventSink,
    *,
    dry_run: bool = False,
    before_change: Callable[[], None] = lambda: None,
) -> list[ClassResult]:
    """Set the classes that folders of the target lack; return where each class of the source stands.

    ``before_change`` is called before each change, and may raise. Safe to repeat at any time. Raises ``MigratorError``
    where a side cannot be asked; what was set until then is found the next time.
    """
    for left in reversed(range(MOST_TRIES)):
        try:
            results = _Copy(source, target, ledger, dry_run, before_change).run()
        except MigratorError as error:
            if error.patience is not Patience.NOW or not left:
                raise
        else:
            _tell(results, sink, dry_run=dry_run)
            return results
    raise AssertionError("the last try returns or raises")


@dataclass(eq=False)
class _Copy:
    """One walk over the classes of an account."""

    source: ClassStore
    target: ClassStore
    ledger: Ledger
    dry_run: bool
    before_change: Callable[[], None]

    def run(self) -> list[ClassResult]:
        known = {
            _place(state.source, self.source.owner): _place(state.target, self.target.owner)
            for state in self.ledger.states()
            if state.target
        }
        owners = {place.owner for place in known} or {self.source.owner}
        wanted = {place: kind for place, kind in _classes(self.source, owners).items() if kind}
        if not wanted:
            return []
        there = _classes(self.target, {known[place].owner for place in wanted if place in known})
        results = {place: self._decided(place, kind, known.get(place), there) for place, kind in wanted.items()}
        due = {place: known[place] for place, one in results.items() if one.fate is ClassFate.COPIED and place in known}
        if due and not self.dry_run:
            results |= self._set({place: results[place] for place in due}, due)
        return list(results.values())

    def _decided(self, place: Place, kind: str, to: Place | None, there: Mapping[Place, str]) -> ClassResult:
        held = None if to is None else there.get(to)
        if held is None:  # in a rehearsal the folder is not there yet
            fate = ClassFate.COPIED if self.dry_run else ClassFate.NOT_COPIED
        elif held == kind:
            fate = ClassFate.THERE
        else:
            fate = ClassFate.OTHER_THERE if held else ClassFate.COPIED
        return ClassResult(place.folder, kind, fate, (held or "") if fate is ClassFate.OTHER_THERE else "")

    def _set(
        self, results: Mapping[Place, ClassResult], due: Mapping[Place, Place]
    ) -> Iterable[tuple[Place, ClassResult]]:
        hidden = {owner for owner in {to.owner for to in due.values()} if self.target.hides_classes(owner)}
        done = dict(self._each(results, due, hidden))
        there = _classes(self.target, {to.owner for to in due.values()} - hidden)
        for place, result in done.items():
            if result.fate is ClassFate.COPIED and there.get(due[place]) != result.kind:
                error = MigratorError("classes.refused", side=Side.TARGET)  # it said that it took it
                done[place] = replace(result, fate=ClassFate.REFUSED, error=error)
        return done.items()

    def _each(
        self, results: Mapping[Place, ClassResult], due: Mapping[Place, Place], hidden: set[str]
    ) -> Iterator[tuple[Place, ClassResult]]:
        for place, to in due.items():
            result = results[place]
            if to.owner in hidden:
                yield place, replace(result, fate=ClassFate.HIDDEN)
                continue
            self.before_change()
            error = self.target.set_class(to.owner, to.folder, result.kind)
            yield place, result if error is None else replace(result, fate=ClassFate.REFUSED, error=error)


def _classes(store: ClassStore, owners: Iterable[str]) -> dict[Place, str]:
    return {Place(owner, folder): kind for owner in sorted(owners) for folder, kind in store.classes(owner).items()}


def _place(raw: bytes, owner: str) -> Place:
    """Return the folder that IMAP calls ``raw``: an administrator sees another's below ``~anna/``."""
    name = "/".join(FolderPath(raw, "/").segments)
    if name.startswith(_TILDE) and "/" in name:
        owner, _, name = name.removeprefix(_TILDE).partition("/")
    return Place(owner, "INBOX" if name.upper() == "INBOX" else name)


def _tell(results: Sequence[ClassResult], sink: EventSink, *, dry_run: bool) -> None:
    for result in results:
        if result.fate not in (ClassFate.COPIED, ClassFate.THERE):
            sink.emit(
                ClassLeftBehind(
                    folder=result.folder, kind=result.kind, reason=result.fate, there=result.there, error=result.error
                )
            )
    if results:
        copied = sum(result.fate is ClassFate.COPIED for result in results)
        sink.emit(ClassesCopied(folders=len(results), copied=copied, is_rehearsal=dry_run))
