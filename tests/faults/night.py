"""Cut a batch over while everybody goes on reading, sending and receiving; then judge everything from outside.

    python -m tests.faults.night --accounts 1000
    python -m tests.faults.night --hold --accounts 100 --front nginx --seed 7

Postfix and a Dovecot proxy, or nginx, are the one address that people know; behind them two Dovecots under one
OpenLDAP, and the panel as an operator starts it. Readers hold sessions open, pollers come by POP3, senders use SMTP
AUTH, strangers send to one, to several and to lists. Some people are outside the batch and must notice nothing.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from tests.faults import night_judge as judge
from tests.faults.batch_campaign import Report
from tests.rigs import base, check
from tests.rigs.crowd import Crowd, Notes, Plan
from tests.rigs.governed import SOURCE_HOST, TARGET_HOST
from tests.rigs.night import NightPlatform
from tests.rigs.night_nginx import NginxPlatform
from tests.rigs.panel import eventually
from tests.rigs.platform import CAMPAIGN, MESSAGES

SHOWN = 40
_SLOW_SECONDS = 10.0  # a sign-in that takes longer is noticed by people outside the batch


class Night:
    """One batch cut over under a living population. :meth:`go` returns the report."""

    def __init__(self, chosen: argparse.Namespace) -> None:
        self._chosen = chosen
        self.report = Report()
        self.stayers = [f"s{number:03d}" for number in range(chosen.outside)]
        self.may_redeliver = False  # servers are killed amid deliveries
        self.redelivered = 0
        self.forgiven: list[judge.Period] = []  # when something was away that people outside the batch need, too

    def go(self) -> Report:
        """Do it all."""
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=base.temporary_root())))
            begun = time.monotonic()
            self.platform = stack.enter_context(self._made())
            self.report.tell(f"{self._chosen.accounts} accounts of {MESSAGES} messages in {_since(begun)}")
            crowd = Crowd(folder / "seen", self._plan())
            with crowd:
                self._move()
            self.notes = crowd.notes()
            self._judge()
        return self.report

    # The night

    def _made(self) -> NightPlatform:
        users = list(base.users(self._chosen.accounts))
        everybody = [*users, *self.stayers]
        dice = random.Random(self._chosen.seed)
        dice.shuffle(everybody)
        size = max(2, min(10, len(everybody) // 6))
        self.lists = {f"list{number}": everybody[number * size : (number + 1) * size] for number in range(5)}
        kind = NginxPlatform if self._chosen.front == "nginx" else NightPlatform
        return kind(
            self._chosen.accounts,
            recipe=self._chosen.recipe,
            seed=self._chosen.seed,
            others=self.stayers,
            lists=self.lists,
            is_held=self._chosen.hold,
            limits={"parallel_cutovers": self._chosen.parallel, "stop_at_failed_percent": 100},
            variables={"MAILFERRY_LANES": str(max(8, self._chosen.parallel))},
        )

    def _plan(self) -> Plan:
        users = self.platform.users
        self.readers = _spread(users, self._chosen.readers)
        self.pollers = _spread(users[1:], self._chosen.pollers)
        half = len(self.stayers) // 2
        world = self.platform.world
        return Plan(
            imap=world.front.imap,
            pop3=world.front.pop3,
            smtp=world.postfix.smtp,
            submission=world.submission,
            password=self.platform.password,
            readers=[*self.readers, *self.stayers[:half]],
            pollers=[*self.pollers, *self.stayers[half:]],
            senders=[*self.readers, *self.stayers],
            recipients=[*users, *self.stayers],
            lists=self.lists,
            mails_per_second=self._chosen.mails,
            sent_per_second=self._chosen.mails / 5,
            seed=self._chosen.seed,
        )

    def _move(self) -> None:
        begun = time.monotonic()
        self.platform.tell("batch", "start", CAMPAIGN)
        self._wait("ready", 0.0)
        self.report.tell(f"copied ahead in {_since(begun)}")
        begun = time.monotonic()
        self.platform.tell("batch", "go", CAMPAIGN, "--despite", "a rig has no alarm that leaves")
        self._wait("done", 0.5)
        seconds = time.monotonic() - begun
        self.report.tell(f"cut over in {seconds:.1f} s, {self._chosen.accounts / seconds:.1f} accounts/s")
        steps = (f"{name} {median(took):.2f} ({took[-1]:.2f})" for name, took in self.platform.steps())
        self.report.tell(f"  seconds of each step, median (worst): {', '.join(steps)}")
        self._tell_forecast(seconds)
        time.sleep(3.0)  # people go on a while, as people do

    def _tell_forecast(self, seconds: float) -> None:
        """Put what the panel foresaw at go beside what came."""
        foreseen, came = self.platform.foreseen(), self.platform.lockouts()
        if not foreseen or not came:
            self.report.wrong.append(f"nothing was foreseen, or nobody locked out: {foreseen}, {len(came)}")
            return
        low, high, at_once = foreseen["low"], foreseen["high"], foreseen["at_once"]
        measured = f"{foreseen['measured']} {foreseen['basis']}"
        self.report.tell(
            f"  foreseen by {measured}, {at_once} at once: {foreseen['seconds']:.0f} s ({low:.0f} to {high:.0f}), "
            f"locked out {foreseen['lockout']:.2f} s, the slowest tenth {foreseen['lockout_worst']:.2f} s"
        )
        if not low <= seconds <= high:
            self.report.wrong.append(f"it took {seconds:.0f} s, and between {low:.0f} and {high:.0f} s were foreseen")
        tenth = came[math.ceil(len(came) * 0.9) - 1]
        self.report.tell(
            f"  as it came: {seconds:.0f} s, locked out {median(came):.2f} s, the slowest tenth {tenth:.2f} s"
        )

    def _wait(self, state: str, share: float) -> None:
        """Wait until all accounts are in ``state``; ``share`` of the night is over before."""
        platform, count = self.platform, self._chosen.accounts

        def is_over() -> bool:
            counts = platform.counts()
            self.befall(share + counts[state] / count / 2)
            return self.is_over(counts, state)

        eventually(is_over, self._said, self._chosen.seconds)

    def _said(self) -> str:
        """What the panel says of the batch, and what it printed."""
        return f"{self.platform.tell('batch', 'status', CAMPAIGN)}{self.platform.panel.words()[-3000:]}"

    def befall(self, share: float) -> None:
        """Let happen what befalls the platform when ``share`` of the night is over: nothing, on a calm one."""

    def is_over(self, counts: Counter[str], state: str) -> bool:
        """True when nothing more happens before ``state`` counts as reached."""
        return counts == {state: self._chosen.accounts}

    # Judging

    def _judge(self) -> None:
        self._tell_posting()
        self._judge_people()
        postfix = self.platform.world.postfix
        eventually(lambda: not postfix.waiting(), lambda: f"the queue does not end: {postfix.waiting()[:5]}", 120)
        ends = postfix.ends()
        self.report.tell(f"  deliveries as Postfix has them: {ends}")
        for verdict in ("bounced", "expired"):
            if ends.get(verdict):
                self.report.wrong.append(f"{ends[verdict]} deliveries {verdict}")
        self._judge_mail()

    def _tell_posting(self) -> None:
        verdicts = Counter(one.verdict for one in self.notes.posted)
        copies = sum(len(one.users) for one in self.notes.posted if one.verdict == "accepted")
        seconds = max(one.ended for one in self.notes.posted) - min(one.begun for one in self.notes.posted)
        self.report.tell(
            f"  mail handed in: {dict(verdicts)} in {seconds:.0f} s, {copies} copies to deliver, "
            f"{sum(map(len, self.notes.filed.values()))} filed in Sent"
        )
        for one in self.notes.posted:
            is_strangers = one.mark.startswith("s") and one.verdict != "accepted"
            if is_strangers and not judge.is_within(self.forgiven, one.begun, one.ended):
                self.report.wrong.append(f"a stranger's mail was {one.verdict} at {one.begun:.3f}: {one.words}")

    def _judge_people(self) -> None:
        notes = self.notes
        hosts = self.platform.hosts()
        self.moved = {user for user in self.platform.users if hosts[user] == TARGET_HOST}
        self.report.wrong += [
            f"{name}, who stays, is on {hosts[name]}" for name in self.stayers if hosts[name] != SOURCE_HOST
        ]
        for user in self.moved.intersection(self.readers):
            self.report.wrong += judge.one_way(notes, user)
        self.report.wrong += judge.outsiders(notes, self.stayers, _SLOW_SECONDS, self.forgiven)
        self.report.wrong += [f"{user} is left disabled" for user in self.platform.disabled()]
        self._tell_lockouts(notes)

    def _tell_panels_lockouts(self) -> None:
        (batch,) = self.platform.status()
        said = batch["lockout"]
        self.report.tell(
            f"  locked out, as the panel has it: {said['users']} users, median {said['median_seconds']:.2f} s, "
            f"worst {said['worst_seconds']:.2f} s; it ends with {batch['states']}"
        )

    def _tell_lockouts(self, notes: Notes) -> None:
        self._tell_panels_lockouts()
        seen = [seconds for user in self.readers if (seconds := judge.lockout_seconds(notes, user)) is not None]
        if seen:
            self.report.tell(
                f"  locked out, as {len(seen)} readers saw it: median {median(seen):.2f} s, worst {max(seen):.2f} s"
            )
        tries = [one for name in self.stayers for one in notes.sign_ins[name]]
        slowest = max((one.ended - one.begun for one in tries), default=0.0)
        self.report.tell(
            f"  outside the batch: {len(self.stayers)} people, {len(tries)} sign-ins, slowest {slowest:.2f} s"
        )
        if delays := self.platform.world.postfix.delays(self.stayers):
            self.report.tell(
                f"  their mail: {len(delays)} deliveries after {median(delays):.2f} s, worst {delays[-1]:.2f} s"
            )

    def _judge_mail(self) -> None:
        begun = time.monotonic()
        wanted, copies = judge.wanted_mail(self.notes), judge.wanted_copies(self.notes)
        self._wait_for_late_mail(wanted, copies)
        with ThreadPoolExecutor(4) as pool:
            for found in pool.map(lambda user: [*self._wrongs(user, wanted, copies)], self.moved):
                self.report.wrong += found
        for user in [*self.stayers, *(user for user in self.platform.users if user not in self.moved)]:
            right = check.read(self.platform.admin("source", user))
            self.report.wrong += _both(user, right, wanted, copies, judge.missing)
            self.report.wrong += _both(user, right, wanted, copies, self._surplus)
        for user in self.stayers:
            self.report.wrong += judge.astray(user, check.read(self.platform.admin("target", user)))
        if self.may_redeliver:
            self.report.tell(f"  delivered twice, as servers were killed amid deliveries: {self.redelivered}")
        self.report.tell(f"  the judge read both sides in {_since(begun)}")

    def _surplus(
        self, user: str, contents: check.Contents, wanted: dict[str, judge.Count], *folder: bytes
    ) -> list[str]:
        self.redelivered += 0 if folder else judge.redelivered(contents, wanted)
        return judge.surplus(user, contents, wanted, *folder, may_redeliver=self.may_redeliver)

    def _wait_for_late_mail(self, wanted: judge.Wanted, copies: judge.Wanted) -> None:
        """Wait until what came to the old server too late was fetched; where new mail was held, none may be late."""
        begun = time.monotonic()
        late = self._lacking(sorted(self.moved), wanted, copies)
        self.report.tell(f"  late mail at the end of the night: {sum(map(len, late.values()))} copies")
        end = time.monotonic() + (0 if self._chosen.hold else self._chosen.late_seconds)
        while late and time.monotonic() < end:
            time.sleep(2.0)
            late = self._lacking(list(late), wanted, copies)
        if not late and time.monotonic() - begun > 2.0:
            self.report.tell(f"  it had all come after {_since(begun)}")

    def _lacking(self, users: Sequence[str], wanted: judge.Wanted, copies: judge.Wanted) -> dict[str, list[str]]:
        def lacks(user: str) -> list[str]:
            return _both(user, check.read(self.platform.admin("target", user)), wanted, copies, judge.missing)

        with ThreadPoolExecutor(4) as pool:
            return {user: found for user, found in zip(users, pool.map(lacks, users), strict=True) if found}

    def _wrongs(self, user: str, wanted: judge.Wanted, copies: judge.Wanted) -> Iterator[str]:
        """Compare both sides of somebody who moved."""
        source, target = (check.read(self.platform.admin(side, user)) for side in ("source", "target"))
        # who fetches by POP3 has read it
        ignored = frozenset({"\\seen"}) if user in self.pollers else frozenset[str]()
        terms = check.Terms(skip_flagged="\\deleted", target_may_hold_more=True, ignored_flags=ignored)
        for line in check.compare(source, target, terms):
            yield f"{user}: {line}"
        yield from _both(user, target, wanted, copies, judge.missing)
        yield from _both(user, target, wanted, copies, self._surplus)
        yield from judge.elsewhere(user, target)
        if self._chosen.hold:
            yield from judge.order(user, source, target)


def _both(
    user: str,
    contents: check.Contents,
    wanted: judge.Wanted,
    copies: judge.Wanted,
    find: Callable[..., list[str]],
) -> list[str]:
    return [
        *find(user, contents, wanted.get(user, {})),
        *find(user, contents, copies.get(user, {}), judge.SENT),
    ]


def _spread(users: Sequence[str], count: int) -> list[str]:
    """Return so many users, from the whole batch."""
    return list(users[:: max(1, len(users) // count)][:count]) if count else []


def _since(begun: float) -> str:
    return f"{time.monotonic() - begun:.1f} s"


def parser_of(program: str) -> argparse.ArgumentParser:
    """Return what reads the words of the shell for any kind of night."""
    parser = argparse.ArgumentParser(prog=f"python -m {program}")
    parser.add_argument("--accounts", type=int, default=1000)
    parser.add_argument("--recipe", default="plain")
    parser.set_defaults(front="dovecot")
    parser.add_argument("--hold", action="store_true", help="new mail waits while its owner crosses")
    parser.add_argument("--outside", type=int, default=20, help="people who stay")
    parser.add_argument("--readers", type=int, default=100, help="of the batch, who hold a session open")
    parser.add_argument("--pollers", type=int, default=30, help="of the batch, who come by POP3")
    parser.add_argument("--mails", type=float, default=5.0, help="a second, from outside")
    parser.add_argument("--parallel", type=int, default=8, help="cutovers at once")
    parser.add_argument("--disk", metavar="DIR", help="where servers keep their mail, instead of in memory")
    parser.add_argument("--seconds", type=int, default=1800, help="that each half may take")
    parser.add_argument("--late-seconds", type=int, default=240, help="that late mail may take")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    return parser


def read_words(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Return what the words of the shell, or those given, ask for."""
    parser = parser_of("tests.faults.night")
    parser.add_argument("--front", choices=("dovecot", "nginx"), default="dovecot", help="that people sign in at")
    return parser.parse_args(words)


def run(kind: type[Night], chosen: argparse.Namespace) -> int:
    """Run a night of ``kind`` from the shell; return the code it ends with."""
    if chosen.disk:
        os.environ["MAILFERRY_TEST_FOLDER"] = chosen.disk
    print(f"seed {chosen.seed}: {' '.join(sys.argv[1:])}", flush=True)
    report = kind(chosen).go()
    print("\n".join(report.wrong[:SHOWN]))
    print(f"{len(report.wrong)} things wrong" if report.wrong else "nothing lost, nothing doubled, nobody forgotten")
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(run(Night, read_words()))
