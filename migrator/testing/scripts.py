"""Sieve scripts in memory: as a server holds them, with the ways of a real one that matter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from migrator.errors import MigratorError, Side
from migrator.stores.base import Closing
from migrator.stores.scripts import ScriptName
from migrator.testing.faults import FaultPlan


@dataclass
class MemoryScripts(Closing):
    """The ``ScriptStore`` in memory. ``refuses``: what a script must not hold; ``spelled``: other names it gives."""

    held: dict[str, bytes] = field(default_factory=dict)
    active: str = ""
    side: Side = Side.TARGET
    known: frozenset[str] = frozenset(("fileinto",))
    refuses: bytes = b"\x00never"
    spelled: dict[str, str] = field(default_factory=dict)
    faults: FaultPlan = field(default_factory=FaultPlan)
    calls: list[str] = field(default_factory=list)

    @property
    def extensions(self) -> frozenset[str]:
        return self.known

    def scripts(self) -> list[ScriptName]:
        self._called("scripts")
        return [ScriptName(name, name == self.active) for name in sorted(self.held)]

    def read(self, names: Sequence[str]) -> list[bytes | MigratorError]:
        self._called("read")
        return [self.held.get(name, MigratorError("sieve.unreadable", side=self.side)) for name in names]

    def check(self, name: str, script: bytes) -> MigratorError | None:
        self._called("check")
        return self._refusal(script)

    def put(self, name: str, script: bytes) -> MigratorError | None:
        self.calls.append(f"put {name}")

        def effect() -> MigratorError | None:
            if refusal := self._refusal(script):
                return refusal
            self.held[self.spelled.get(name, name)] = script
            return None

        return self.faults.run("scripts.put", effect, self.side)

    def activate(self, name: str) -> MigratorError | None:
        self.calls.append(f"activate {name}")

        def effect() -> MigratorError | None:
            if name and name not in self.held:
                return MigratorError("sieve.not_activated", side=self.side)
            self.active = name
            return None

        return self.faults.run("scripts.activate", effect, self.side)

    def close(self) -> None:
        pass

    def _called(self, name: str) -> None:
        self.faults.run(f"scripts.{name}", lambda: None, self.side)

    def _refusal(self, script: bytes) -> MigratorError | None:
        if self.refuses in script:
            return MigratorError("sieve.refused", side=self.side, reply="line 1: no such thing")
        return None
