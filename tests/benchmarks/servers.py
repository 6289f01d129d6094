"""The two Dovecots of a benchmark, their relays, and a fresh account on the target for every run."""

from __future__ import annotations

import multiprocessing
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import Final, Self

from tests.benchmarks import ceiling, corpora, wire
from tests.benchmarks.corpora import Corpus
from tests.rigs.base import Account
from tests.rigs.dovecot import Dovecot
from tests.rigs.relay import Relay

PASSWORD: Final = "crossing"
TRIALS: Final = 400  # target accounts; passwd-file is looked at once a second only, so all are there from the start
# as most installations start: quota and ACL plugins cost the servers time that is not the copy's
PLAIN: Final = "mail_plugins =\nprotocol imap {\n  mail_plugins =\n}\n"


class Pair:
    """Source and target, started together; ``with Pair() as pair``."""

    def __init__(self, wanted: list[Corpus]) -> None:
        names = [user for corpus in wanted for user in corpus.users]
        trials = [f"t{number}" for number in range(TRIALS)]
        crowd = [f"t{number}-{user}" for number in range(TRIALS) for user in names if user.startswith("many")]
        self.source = Dovecot(dict.fromkeys(names, PASSWORD), extra=PLAIN)
        self.target = Dovecot(dict.fromkeys(trials + crowd, PASSWORD), extra=PLAIN)
        self._stack = ExitStack()
        self._relays: dict[tuple[int, int], Relay] = {}
        self._trial = 0
        self._filled: set[str] = set()
        self.ready = self.source.dir / "ready"

    def __enter__(self) -> Self:
        with self._stack:  # undone when a start fails
            self._stack.enter_context(self.source)
            self._stack.enter_context(self.target)
            self._stack = self._stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def fill(self, corpus: Corpus) -> None:
        """Write ``corpus`` into the source and let the server build its indexes, as those of a used mailbox are."""
        if corpus.name in self._filled:
            return
        self._filled.add(corpus.name)
        mail = self.source.dir / "mail"
        # each in a process of its own: what it held would count as every peer's peak, see programs.Cost
        apart(corpora.write, corpus, mail)
        self.source.give(mail)
        for user in corpus.users:
            wire.warm(self.source.account(user))
        apart(ceiling.prepare, corpus, mail, self.ready)

    def trial(self, corpus: Corpus) -> list[str]:
        """Return the names of target accounts that nobody has used yet, one for each of the corpus."""
        self._trial += 1
        if corpus.accounts == 1:
            return [f"t{self._trial}"]
        return [f"t{self._trial}-{user}" for user in corpus.users]

    def forget(self, users: list[str]) -> None:
        """Remove what a run has left on the target: memory is finite."""
        for user in users:
            shutil.rmtree(self.target.dir / "mail" / user, ignore_errors=True)

    def accounts(self, corpus: Corpus, users: list[str], rtt_ms: int) -> list[tuple[Account, Account]]:
        """Return source and target of each account, behind relays of ``rtt_ms`` when that is not 0."""
        source = self._port(self.source.imap, rtt_ms)
        target = self._port(self.target.imap, rtt_ms)
        return [
            (self.source.account(own).through(source), self.target.account(its).through(target))
            for own, its in zip(corpus.users, users, strict=True)
        ]

    def clear_counts(self, rtt_ms: int) -> None:
        """Begin a new count of round trips."""
        for relay in self._both(rtt_ms):
            relay.clear()

    def round_trips(self, rtt_ms: int) -> tuple[int, int] | None:
        """Return the round trips to source and target since the count began; None where there is no relay."""
        counted = [relay.counts().round_trips for relay in self._both(rtt_ms)]
        return (counted[0], counted[1]) if counted else None

    def _both(self, rtt_ms: int) -> list[Relay]:
        ports = (self.source.imap, self.target.imap)
        return [self._relays[port, rtt_ms] for port in ports if (port, rtt_ms) in self._relays]

    def _port(self, port: int, rtt_ms: int) -> int:
        if rtt_ms == 0:
            return port
        if (port, rtt_ms) not in self._relays:
            self._relays[port, rtt_ms] = self._stack.enter_context(Relay(port, rtt_ms=rtt_ms))
        return self._relays[port, rtt_ms].port


def apart(work: Callable[..., object], *arguments: object) -> None:
    """Do ``work`` in a process of its own; raise RuntimeError when it fails."""
    child = multiprocessing.get_context("fork").Process(target=work, args=arguments)
    child.start()
    child.join()
    if child.exitcode:
        raise RuntimeError(f"{work.__name__} ended with {child.exitcode}")
