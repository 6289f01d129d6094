"""Plant twelve failures in a batch, survey it, move it, and compare what was foreseen with what came.

    python -m tests.faults.surveyed_batch --accounts 1000

Two Dovecots, filled as a platform is, and the command line. In order: survey of everybody, which may write nothing; a
copy of the first twenty; survey of the others with the pace of these; the move of the others. Every planted failure
must be foreseen with its code and side, nobody else may be, and the time that the move takes must lie in the range of
the forecast.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.rigs import base
from tests.rigs.base import users
from tests.rigs.corpus import fill
from tests.rigs.dovecot import Dovecot
from tests.rigs.platform import fill_all
from tests.rigs.stranger import letters_of

ROOT: Final = Path(__file__).resolve().parents[2]
PASSWORD: Final = "pw"
LIMIT: Final = 600_000  # of one message, at the target
CANARIES: Final = 20
SHOWN: Final = 40

Happening = tuple[str, str]  # code, side


class Plant(NamedTuple):
    """One failure: what is done to a user, and what it must be called, before and after."""

    name: str
    happens: Happening
    do: Callable[[Batch, str], None]


@dataclass(eq=False)
class Batch:
    """Two servers with a planted batch, and what is seen of it."""

    source: Dovecot
    target: Dovecot
    folder: Path
    names: Sequence[str]
    lanes: int
    rows: dict[str, tuple[str, str]] = field(default_factory=dict)  # passwords of the list
    planted: dict[str, Plant] = field(default_factory=dict)
    figures: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def tell(self, line: str) -> None:
        """Note a figure and show it at once: runs are long."""
        self.figures.append(line)
        print(line, flush=True)

    def plant(self, dice: random.Random) -> None:
        """Let each failure befall a user of its own, none of those who are copied first."""
        self.rows = dict.fromkeys(self.names, (PASSWORD, PASSWORD))
        for user, plant in zip(dice.sample(self.names[CANARIES:], len(PLANTS)), PLANTS, strict=True):
            self.planted[user] = plant
            plant.do(self, user)
        for server in (self.source, self.target):
            server.give(server.dir / "mail")
        for closed in self.folder.glob("closed-*"):
            Path(closed.read_text()).chmod(0)

    def judge_survey(self, told: Mapping[str, Any]) -> None:
        """Compare what a survey foresees with what was planted: every one, and nobody else."""
        for user, account in zip(self.names, told["accounts"], strict=True):
            grave = {(one["code"], one["side"]) for one in account["foreseen"] if one["severity"] in ("stops", "loses")}
            plant = self.planted.get(user)
            expected = {plant.happens} if plant else set()
            if grave != expected:
                self.wrong.append(f"{user} ({plant.name if plant else 'nothing planted'}): foreseen {grave}")

    def judge_move(self, told: Sequence[Mapping[str, Any]]) -> None:
        """Compare what befell the accounts with what was planted."""
        met = 0
        for user, account in zip(self.names, told, strict=True):
            seen, plant = set(happenings(account)), self.planted.get(user)
            expected = {plant.happens} if plant else set()
            met += bool(plant) and seen == expected
            if seen != expected:
                self.wrong.append(f"{user} ({plant.name if plant else 'nothing planted'}): it came to {seen}")
        self.tell(f"{met} of {len(self.planted)} planted failures came as they were foreseen")

    def judge_time(self, what: str, forecast: Mapping[str, Any], seconds: float) -> None:
        """Compare a forecast with what the clock said."""
        lowest, highest = forecast["lowest"], forecast["highest"]
        self.tell(
            f"forecast from {what} ({forecast['measured']} measured): {forecast['seconds']:.1f} s, "
            f"{lowest:.1f} to {highest:.1f} s; held up by {forecast['bottleneck']}; it took {seconds:.1f} s"
        )
        if not lowest <= seconds <= highest:
            self.wrong.append(f"the forecast from {what} does not hold")

    # The command line

    def run(self, command: str, names: Sequence[str], *words: str) -> dict[str, Any]:
        """Give a command over some users; return what it told."""
        listed = self.folder / f"list-{len(names)}.tsv"
        listed.touch(0o600)
        rows = [f"{name}\t{self.rows[name][0]}\t{name}\t{self.rows[name][1]}" for name in names]
        listed.write_text("\n".join(["Name\tPassword\tNewName\tNewPassword", *rows]) + "\n")
        urls = [f"imap://{base.HOST}:{server.imap}" for server in (self.source, self.target)]
        more = ["--json", "--parallel", str(self.lanes), "--ledger", str(self.folder / "ledger"), *words]
        ran = subprocess.run(
            [sys.executable, "-m", "migrator.cli", command, str(listed), *urls, *more],
            capture_output=True, text=True, cwd=ROOT, env=dict(os.environ, HOME=str(self.folder)),
        )  # fmt: skip
        if not ran.stdout:
            raise RuntimeError(f"{command} ended with {ran.returncode}: {ran.stderr[-3000:]}")
        told: dict[str, Any] = json.loads(ran.stdout)
        return told

    def mail(self) -> set[str]:
        """Return every file of a message, with its flags, on both sides, and of subscriptions at the source.

        The target subscribes everybody to a folder of sent mail by itself, at the first sign-in.
        """
        return {
            f"{server.imap} {Path(folder).relative_to(server.dir)} {name}"
            for server in (self.source, self.target)
            for folder, _, names in os.walk(server.dir / "mail")
            for name in names
            if not name.startswith(("dovecot", "maildir")) and (server is self.source or name != "subscriptions")
        }


def happenings(account: Mapping[str, Any]) -> Iterator[Happening]:
    """Yield what befell an account, by the object of move-accounts."""
    if error := account["error"]:
        yield error["code"], error["side"]
    for error in account["folder_errors"]:
        yield error["code"], error["side"]
    if account["outcomes"]["too_big"]:
        yield "message.too_big", "target"
    for row in account["left_behind"]:
        if row["outcome"] not in ("too_big", "marked_deleted"):
            yield row["code"], "target"


# What is planted


def _wrong_password(batch: Batch, user: str) -> None:
    batch.rows[user] = ("wrong", PASSWORD)


def _wrong_new_password(batch: Batch, user: str) -> None:
    batch.rows[user] = (PASSWORD, "wrong")


def _unknown(batch: Batch, user: str) -> None:
    batch.source.set_users({name: word for name, word in batch.source.passwords.items() if name != user})


def _missing(batch: Batch, user: str) -> None:
    batch.target.set_users({name: word for name, word in batch.target.passwords.items() if name != user})


def _disabled(batch: Batch, user: str) -> None:
    _with_fields(batch.source, user, "nologin reason=This_account_is_disabled")


def _disabled_there(batch: Batch, user: str) -> None:
    _with_fields(batch.target, user, "nologin reason=This_account_is_disabled")


def _with_fields(server: Dovecot, user: str, fields: str) -> None:
    server.set_fields(user, fields)
    server.set_users(server.passwords)


def _little_room(batch: Batch, user: str) -> None:
    batch.target.set_quota(user, "50K")


def _few_messages(batch: Batch, user: str) -> None:
    batch.target.set_quota(user, "10G:messages=5")


def _strangers_mail(batch: Batch, user: str) -> None:
    fill(batch.target.account(user), letters_of("gregory@elsewhere.example", 12))


def _too_big(batch: Batch, user: str) -> None:
    fill(batch.source.account(user), letters_of(f"{user}@example.org", 1, size=LIMIT + 1000))


def _closed(batch: Batch, user: str) -> None:
    (batch.source.maildir(user) / ".Projekte.2019" / "dovecot-acl").write_text("owner l\n")


def _unreadable(batch: Batch, user: str) -> None:
    """A folder that came back from a backup with other rights; its rights go when all files have their owner."""
    (batch.folder / f"closed-{user}").write_text(str(batch.source.maildir(user) / ".Sent" / "cur"))


PLANTS: Final = (
    Plant("a wrong password", ("sign_in.refused", "source"), _wrong_password),
    Plant("nobody of that name on the old server", ("sign_in.refused", "source"), _unknown),
    Plant("disabled on the old server", ("server.needs_person", "source"), _disabled),
    Plant("a wrong password for the new server", ("sign_in.refused", "target"), _wrong_new_password),
    Plant("nobody of that name on the new server", ("sign_in.refused", "target"), _missing),
    Plant("disabled on the new server", ("server.needs_person", "target"), _disabled_there),
    Plant("too little room", ("target.full", "target"), _little_room),
    Plant("room for too few messages", ("target.full", "target"), _few_messages),
    Plant("somebody else's mail on the new server", ("pair.strangers", "target"), _strangers_mail),
    Plant("a message that is too big", ("message.too_big", "target"), _too_big),
    Plant("a folder that its owner may not open", ("folder.no_permission", "source"), _closed),
    Plant("a folder that the old server cannot read", ("server.fault", "source"), _unreadable),
)


def move(accounts: int, seed: int, lanes: int, canaries: int = CANARIES) -> Batch:
    """Plant, survey, move and judge; return what was seen."""
    names = list(users(accounts))
    limit = f"protocol imap {{\n  imap_capability = +APPENDLIMIT={LIMIT}\n}}\n"
    limit += f"plugin {{\n  quota_max_mail_size = {LIMIT}\n}}\n"
    with ExitStack() as stack:
        everybody = dict.fromkeys(names, PASSWORD)
        source = stack.enter_context(Dovecot(everybody))
        target = stack.enter_context(Dovecot(everybody, separator="/", extra=limit))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=base.temporary_root())))
        begun = time.monotonic()
        fill_all(source, names, seed)
        batch = Batch(source, target, folder, names, lanes)
        batch.plant(random.Random(seed))
        batch.tell(f"{accounts} accounts filled and {len(batch.planted)} failures planted in {_since(begun)}")
        _survey_and_move(batch, canaries)
    return batch


def _survey_and_move(batch: Batch, canaries: int) -> None:
    before, begun = batch.mail(), time.monotonic()
    told = batch.run("survey", batch.names)
    seconds = time.monotonic() - begun
    pace = f"{len(batch.names) / seconds:.1f} accounts/s, {told['messages']} messages"
    batch.tell(f"survey of all: {seconds:.1f} s, {pace}")
    if changed := batch.mail() ^ before:
        batch.wrong.append(f"the survey changed {len(changed)} files: {sorted(changed)[:4]}")
    batch.judge_survey(told)
    first, rest = batch.names[:canaries], batch.names[canaries:]
    copied = batch.run("move-accounts", first)
    (batch.folder / "copied.json").write_text(json.dumps(copied))
    foretold = batch.run("survey", rest, "--measured", str(batch.folder / "copied.json"))["forecast"]
    begun = time.monotonic()
    moved = batch.run("move-accounts", rest)
    seconds = time.monotonic() - begun
    batch.judge_time("copies", foretold, moved["seconds"])
    batch.judge_time("reading alone", told["forecast"], moved["seconds"] + copied["seconds"])
    batch.tell(f"  {moved['appended']} messages moved, {moved['appended'] / seconds:.0f} messages/s")
    batch.judge_move([*copied["accounts"], *moved["accounts"]])


def _since(begun: float) -> str:
    return f"{time.monotonic() - begun:.1f} s"


def main() -> int:
    """Survey and move a batch from the shell."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.surveyed_batch")
    parser.add_argument("--accounts", type=int, default=1000)
    parser.add_argument("--lanes", type=int, default=6)
    parser.add_argument("--disk", metavar="DIR", help="where servers keep their mail, instead of in memory")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    chosen = parser.parse_args()
    if chosen.disk:
        os.environ["MAILFERRY_TEST_FOLDER"] = chosen.disk
    print(f"seed {chosen.seed}: {' '.join(sys.argv[1:])}", flush=True)
    batch = move(chosen.accounts, chosen.seed, chosen.lanes)
    print("\n".join(batch.wrong[:SHOWN]))
    print(f"{len(batch.wrong)} things wrong")
    return 1 if batch.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
