"""A Postfix as its own programs tell of it, and are told: postconf, postfix reload, postqueue.

Its queue manager remembers the last address it resolved for 30 seconds, and what is in the active queue was resolved
before (resolve_clnt.c, qmgr(8)). So a changed table is true for all mail only after a reload. A reload has all active
mail resolved anew; lanes and worker processes share reloads, with a pause between two.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

from migrator.command import Answer, Command, run
from migrator.holds.reloads import Reload, noted
from migrator.holds.together import Request, Together, shared
from migrator.options import Options

# Between two reloads Postfix delivers: twice as long as the last one took, which shows how busy it is.
PAUSE_SECONDS: Final = 0.25
MOST_PAUSE_SECONDS: Final = 1.0
SHARE: Final = 2.0


class PostfixHost:
    """One instance of Postfix. Safe to use from several threads. All methods raise ``MigratorError``."""

    def __init__(self, through: Sequence[str] = (), seconds: float = 30.0) -> None:
        self._through = tuple(through)
        self._seconds = seconds
        self.key = self._through
        self._reloads: Together[float, float] = shared(("reload", self.key), lambda: Together(self._reload))

    @classmethod
    def of(cls, options: Options) -> PostfixHost:
        """Read how Postfix's programs are run. Raises ``ValueError`` with a sentence.

        Options: ``through``, the words before each of them: a program that runs what its words name, perhaps on
        another machine or with other rights; none when Postfix is here and may be reloaded. ``seconds`` for each call.
        """
        return cls(options.texts("through", []), options.seconds("seconds", 30))

    def settings(self, *names: str) -> dict[str, str]:
        """Return settings by name, other settings in them resolved."""
        pairs = (line.partition("=") for line in self.run("postconf", "-x", *names).out.splitlines())
        return {name.strip(): value.strip() for name, _, value in pairs}

    def services(self) -> list[str]:
        """Return the names of the services in master.cf that deliver mail."""
        rows = (line.split() for line in self.run("postconf", "-M").out.splitlines())
        return [row[0] for row in rows if len(row) > 1 and row[1] == "unix"]

    def reload(self, since: float) -> float:
        """Return when a reload was over that began after ``since``; one is made if need be. Monotonic seconds."""
        over = self._reloads.ask(since)
        assert over is not None
        return over

    def run(self, program: str, *words: str, lines: Callable[[str], None] | None = None) -> Answer:
        """Run one of Postfix's programs and return its answer, a good one. ``lines``: see :func:`run`."""
        answer = self.ask(program, *words, lines=lines)
        if answer.code != 0:
            raise answer.failure()
        return answer

    def ask(self, program: str, *words: str, lines: Callable[[str], None] | None = None) -> Answer:
        """Run one of Postfix's programs and return its answer, whatever its exit code."""
        return run(Command((*self._through, program), self._seconds), words, lines=lines)

    def _reload(self, requests: Sequence[Request[float, float]]) -> None:
        with noted(self.key) as note:
            last = note.read()
            if not all(last.begun > request.item for request in requests):
                time.sleep(pause(last, time.monotonic()))
                begun = time.monotonic()
                self.run("postfix", "reload")
                last = Reload(begun, time.monotonic())
                note.write(last)
        for request in requests:
            request.serve(last.over)


def pause(last: Reload, now: float) -> float:
    """Return how many seconds after ``now`` the next reload may begin, when ``last`` is the one before."""
    if last == Reload():
        return 0.0
    wanted = min(max(PAUSE_SECONDS, SHARE * (last.over - last.begun)), MOST_PAUSE_SECONDS)
    return min(max(0.0, last.over + wanted - now), wanted)
