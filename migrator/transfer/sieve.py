"""Copy the Sieve scripts of an account, as they are, and make the same one active.

A script goes once, and again when it changed at the source while the target still holds what we put there. What its
owner changed, removed or switched off on the target stays so. Before anything is stored the target is read; before it
is stored, and before it is made active, the intent is noted; after it, the target is read again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from migrator.errors import MigratorError, Patience, Side
from migrator.events import EventSink, ScriptFolderRenamed, ScriptLeftBehind, ScriptRenamed, ScriptsCopied
from migrator.mail import FolderPath
from migrator.stores.scripts import ScriptName, ScriptStore
from migrator.transfer import sieve_text
from migrator.transfer.ledger import Ledger, ScriptLedger, ScriptState

MOST_TRIES: Final = 3
INTENDED, DONE = 1, 2  # ScriptState.activation


class ScriptFate(StrEnum):
    """Where a script ended."""

    COPIED = "copied"  # by this pass; in a dry run: it would be
    THERE = "there"  # the target holds it already
    REFUSED = "refused"
    UNREADABLE = "unreadable"  # the source does not hand it out
    OTHER_THERE = "other_there"  # the target has another of that name, or its owner changed ours
    REMOVED_THERE = "removed_there"  # its owner removed it on the target
    NOT_ACTIVE = "not_active"  # it is there, and not the active one: refused, or another was active before
    SWITCHED_THERE = "switched_there"  # it is there, and was active; its owner switched it off, or another on

    @property
    def is_on_target(self) -> bool:
        """True when the target holds the script as the source has it."""
        return self in (ScriptFate.COPIED, ScriptFate.THERE, ScriptFate.NOT_ACTIVE, ScriptFate.SWITCHED_THERE)


AS_WANTED: Final = (ScriptFate.COPIED, ScriptFate.THERE)


@dataclass(frozen=True, slots=True)
class ScriptResult:
    """One script of the source, and where it ended."""

    name: str
    fate: ScriptFate
    is_active: bool = False  # on the source
    missing: Sequence[str] = ()  # required extensions that the target does not name, of one that is refused
    error: MigratorError | None = None

    @property
    def is_missed(self) -> bool:
        """True when somebody must look: the owner of the target did not decide it."""
        return self.fate not in (*AS_WANTED, ScriptFate.REMOVED_THERE, ScriptFate.SWITCHED_THERE)


def decide(state: ScriptState | None, here: bytes, there: bytes | None) -> ScriptFate:
    """Return what becomes of a script with digest ``here`` where the target holds ``there``: COPIED means store it."""
    if there == here:
        return ScriptFate.THERE
    if there is None:
        return ScriptFate.REMOVED_THERE if state and state.target_digest else ScriptFate.COPIED
    if state is None or there not in (state.target_digest, state.intent):
        return ScriptFate.OTHER_THERE
    is_same = state.source_digest == here and there == state.target_digest  # the target keeps it in a form of its own
    return ScriptFate.THERE if is_same else ScriptFate.COPIED


def renamed_folders(ledger: Ledger) -> dict[str, str]:
    """Return the folders that have another name on the target, as scripts may name them, by their old names."""
    renamed = {}
    for state in ledger.states():
        old, new = FolderPath(state.source), FolderPath(state.target)
        if state.target and old != new:
            renamed[old.display] = new.display
            renamed[state.source.decode("latin-1")] = new.display  # old servers take modified UTF-7 in scripts, too
    return renamed


def copy_scripts(
    source: ScriptStore,
    target: ScriptStore,
    ledger: Ledger,
    sink: EventSink,
    *,
    dry_run: bool = False,
    adds_only: bool = False,
) -> list[ScriptResult]:
    """Copy what the target lacks; return where every script of the source stands. Safe to repeat at any time.

    ``adds_only``: the target is live, so nothing that it holds is replaced or switched, whatever the source says now.
    To be called after the mail: folders are renamed then, and there. Raises ``MigratorError`` where a side cannot be
    asked; what was done until then is in the ledger.
    """
    if not isinstance(ledger, ScriptLedger):
        raise MigratorError("ledger.keeps_no_scripts")
    for left in reversed(range(MOST_TRIES)):
        try:
            return _Copy(source, target, ledger, sink, dry_run, adds_only).run()
        except MigratorError as error:
            if error.patience is not Patience.NOW or not left:
                raise
    raise AssertionError("the last try returns or raises")


@dataclass(eq=False)
class _Copy:
    """One walk over the scripts of an account."""

    source: ScriptStore
    target: ScriptStore
    ledger: ScriptLedger
    sink: EventSink
    dry_run: bool
    adds_only: bool
    states: dict[str, ScriptState] = field(default_factory=dict)
    bodies: dict[str, bytes] = field(default_factory=dict)  # of the source

    def run(self) -> list[ScriptResult]:
        listed = self.source.scripts()
        if not listed:
            return []
        self.states = {_text(state.name): state for state in self.ledger.script_states()}
        results = list(self._placed(listed))
        if not self.dry_run:
            self._confirm(results)
            self._activate(results)
        self._tell(results)
        return results

    def _placed(self, listed: Sequence[ScriptName]) -> Iterator[ScriptResult]:
        """Store what is to be stored, one after the other."""
        there = self._held({self._there(script.name) for script in listed})
        for script, body in zip(listed, self.source.read([script.name for script in listed]), strict=True):
            if isinstance(body, MigratorError):
                yield ScriptResult(script.name, ScriptFate.UNREADABLE, script.is_active, error=body)
                continue
            self.bodies[script.name] = body
            result = ScriptResult(script.name, self._decided(script.name, there), script.is_active)
            yield self._stored(result) if result.fate is ScriptFate.COPIED else result

    def _there(self, name: str) -> str:
        state = self.states.get(name)
        return name if state is None else _text(state.target)

    def _held(self, names: set[str]) -> dict[str, bytes]:
        """Return the digests of those scripts that the target holds; all zeros for one it does not hand out."""
        held = [script.name for script in self.target.scripts() if script.name in names]
        bodies = self.target.read(held)
        return {
            name: bytes(32) if isinstance(body, MigratorError) else _digest(body)
            for name, body in zip(held, bodies, strict=True)
        }

    def _decided(self, name: str, there: Mapping[str, bytes]) -> ScriptFate:
        here, held = _digest(self.bodies[name]), there.get(self._there(name))
        fate = decide(self.states.get(name), here, held)
        if self.adds_only and fate is ScriptFate.COPIED and held is not None:
            return ScriptFate.OTHER_THERE
        if fate is ScriptFate.THERE and held is not None:
            self._note_held(name, self._there(name), held)
        return fate

    def _note_held(self, name: str, target: str, held: bytes) -> None:
        before = self.states.get(name, ScriptState(_octets(name), _octets(target)))
        known = before._replace(
            target=_octets(target), source_digest=_digest(self.bodies[name]), target_digest=held, intent=b""
        )
        if known != before and not self.dry_run:
            self._note(known)

    def _note(self, *states: ScriptState) -> None:
        self.ledger.note_scripts(states)
        self.states.update({_text(state.name): state for state in states})

    def _stored(self, result: ScriptResult) -> ScriptResult:
        name, body = result.name, self.bodies[result.name]
        if self.dry_run:
            refusal = self.target.check(self._there(name), body)
        else:
            state = self.states.get(name, ScriptState(_octets(name), _octets(name)))
            self._note(state._replace(intent=_digest(body)))
            refusal = self.target.put(self._there(name), body)
            if refusal is not None:
                self._note(state)
        if refusal is None:
            return result
        missing = sorted(sieve_text.required(body) - self.target.extensions)
        return replace(result, fate=ScriptFate.REFUSED, missing=missing, error=refusal)

    def _confirm(self, results: list[ScriptResult]) -> None:
        """Read what was stored, and note it as it is there now; Cyrus writes names in a way of its own."""
        copied = [result.name for result in results if result.fate is ScriptFate.COPIED]
        if not copied:
            return
        listed = [script.name for script in self.target.scripts()]
        held = self._held({name for name in listed if name not in self.states} | set(map(self._there, copied)))
        for place, result in enumerate(results):
            if result.fate is not ScriptFate.COPIED:
                continue
            name = self._there(result.name)
            if name not in held:
                digest = _digest(self.bodies[result.name])
                name = next((other for other, body in held.items() if body == digest), "")
            if not name:
                error = MigratorError("sieve.refused", side=Side.TARGET)  # it said that it took it
                results[place] = replace(result, fate=ScriptFate.REFUSED, error=error)
                continue
            self._note_held(result.name, name, held[name])
            if name != result.name:
                self.sink.emit(ScriptRenamed(script=result.name, target=name))

    # The active one, last

    def _activate(self, results: list[ScriptResult]) -> None:
        wanted = next((place for place, result in enumerate(results) if result.is_active), None)
        active = next((script.name for script in self.target.scripts() if script.is_active), None)
        ours = [state for state in self.states.values() if state.activation]
        if wanted is None:
            if not self.adds_only:
                self._deactivate(active, ours)
        elif results[wanted].fate.is_on_target:
            results[wanted] = self._made_active(results[wanted], active, ours)

    def _made_active(self, result: ScriptResult, active: str | None, ours: Sequence[ScriptState]) -> ScriptResult:
        """Make the script active, unless another is that is not by us, or the owner of the target switched ours off."""
        state = self.states[result.name]
        others = [other for other in ours if other.name != state.name]
        if active != _text(state.target):
            was_ours = any(other.activation == DONE for other in ours)
            is_ours = not self.adds_only and any(_text(other.target) == active for other in others)
            if not is_ours and (active is not None or was_ours):
                return replace(result, fate=ScriptFate.SWITCHED_THERE if was_ours else ScriptFate.NOT_ACTIVE)
            state = state._replace(activation=INTENDED)
            self._note(state)
            if refusal := self.target.activate(_text(state.target)):
                return replace(result, fate=ScriptFate.NOT_ACTIVE, error=refusal)
        if state.activation and (others or state.activation == INTENDED):
            self._note(state._replace(activation=DONE), *(other._replace(activation=0) for other in others))
        return result

    def _deactivate(self, active: str | None, ours: Sequence[ScriptState]) -> None:
        """The owner switched all scripts off at the source: so are they on the target, where we switched one on."""
        if active is not None and any(_text(state.target) == active for state in ours):
            self.target.activate("")
            active = None
        if active is None and ours:
            self._note(*(state._replace(activation=0) for state in ours))

    # For people

    def _tell(self, results: Sequence[ScriptResult]) -> None:
        renamed = renamed_folders(self.ledger)
        for result in results:
            if result.fate not in AS_WANTED:
                self.sink.emit(
                    ScriptLeftBehind(
                        script=result.name,
                        reason=result.fate,
                        is_active=result.is_active,
                        missing=", ".join(result.missing),
                        error=result.error,
                    )
                )
            for folder in sieve_text.folders(self.bodies.get(result.name, b"")) if renamed else ():
                if folder in renamed and result.fate.is_on_target:
                    self.sink.emit(ScriptFolderRenamed(script=result.name, folder=folder, target=renamed[folder]))
        active = next((one.name for one in results if one.is_active and one.fate in AS_WANTED), "")
        copied = sum(result.fate is ScriptFate.COPIED for result in results)
        active = "" if self.dry_run else active
        self.sink.emit(ScriptsCopied(scripts=len(results), copied=copied, active=active, is_rehearsal=self.dry_run))


def _digest(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()


def _octets(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
