"""The two Dovecots of a benchmark, their relays, and a fresh account on the target for every run."""

from __future__ import annotations

import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.benchmarks import ceiling, corpora, wire
from tests.benchmarks.corpora import Corpus
from tests.benchmarks.settings import USUAL, Setting
from tests.rigs.base import Account
from tests.rigs.dovecot import Dovecot
from tests.rigs.relay import Counts, Relay

PASSWORD: Final = "crossing"
FOLDER_VARIABLE: Final = "MAILFERRY_TEST_FOLDER"  # tests/rigs/base.py
TRIALS: Final = 400  # target accounts; passwd-file is looked at once a second only, so all are there from the start
CROWDS: Final = 60  # of the corpus many: names are memory, and a child's peak begins at its parent's
# as most installations start: quota and ACL plugins cost the servers time that is not the copy's
PLAIN: Final = "mail_plugins =\nprotocol imap {\n  mail_plugins =\n}\n"


class Pair:
    """Source and target, started together; ``with Pair() as pair``. ``disk`` is where they lie when not in memory."""

    def __init__(self, wanted: list[Corpus], setting: Setting = USUAL, disk: Path = Path("/var/tmp")) -> None:
        self.setting = setting
        names = [user for corpus in wanted for user in corpus.users]
        trials = [f"t{number}" for number in range(TRIALS)]
        crowd = [f"t{number}-{user}" for number in range(CROWDS) for user in names if user.startswith("many")]
        with _folder(disk if setting.on_disk else None):
            self.source = self._server(names)
            self.target = self._server(trials + crowd)
        self._stack = ExitStack()
        self._relays: dict[tuple[int, int], Relay] = {}
        self._trial = 0
        self._filled: set[str] = set()
        self.ready = self.source.dir / "ready"

    def _server(self, users: list[str]) -> Dovecot:
        return Dovecot(dict.fromkeys(users, PASSWORD), extra=PLAIN + self.setting.config, tls=self.setting.tls)

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
        apart(ceiling.prepare, corpus, mail, self.ready, "MULTIAPPEND" not in self.setting.without)

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
        """Return source and target of each account, behind relays where there is a delay or a rate."""
        source, target = (self._port(port, rtt_ms) for port in self._ports)
        return [
            (self.source.account(own).through(source), self.target.account(its).through(target))
            for own, its in zip(corpus.users, users, strict=True)
        ]

    def clear_counts(self, rtt_ms: int) -> None:
        """Begin a new count of round trips."""
        for relay in self._both(rtt_ms):
            relay.clear()

    def counts(self, rtt_ms: int) -> list[Counts]:
        """Return what passed to source and target since the count began; nothing where there is no relay."""
        return [relay.counts() for relay in self._both(rtt_ms)]

    @property
    def certificates(self) -> tuple[Path | None, Path | None]:
        """Return what source and target prove themselves with, where they speak TLS."""
        return self.source.certificate, self.target.certificate

    @property
    def _ports(self) -> list[int]:
        return [server.imaps if self.setting.tls else server.imap for server in (self.source, self.target)]

    def _both(self, rtt_ms: int) -> list[Relay]:
        return [self._relays[port, rtt_ms] for port in self._ports if (port, rtt_ms) in self._relays]

    def _port(self, port: int, rtt_ms: int) -> int:
        rate = self.setting.rate
        if rtt_ms == 0 and not rate:
            return port
        if (port, rtt_ms) not in self._relays:
            self._relays[port, rtt_ms] = self._stack.enter_context(Relay(port, rtt_ms=rtt_ms, rate=rate))
        return self._relays[port, rtt_ms].port


@contextmanager
def _folder(wanted: Path | None) -> Iterator[None]:
    """Let servers that are made meanwhile keep their mail below ``wanted``, not in memory; None changes nothing."""
    kept = os.environ.get(FOLDER_VARIABLE)
    if wanted is not None:
        os.environ[FOLDER_VARIABLE] = str(wanted)
    try:
        yield
    finally:
        if wanted is not None:
            os.environ.pop(FOLDER_VARIABLE)
            os.environ.update({FOLDER_VARIABLE: kept} if kept else {})


def apart(work: Callable[..., object], *arguments: object) -> None:
    """Do ``work`` in a process of its own; raise RuntimeError when it fails."""
    child = multiprocessing.get_context("fork").Process(target=work, args=arguments)
    child.start()
    child.join()
    if child.exitcode:
        raise RuntimeError(f"{work.__name__} ended with {child.exitcode}")
