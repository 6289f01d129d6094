"""Take a batch that has moved back to the old server, with the mail that came since: one person, a few, all others.

    python -m tests.faults.way_back --accounts 1000
    python -m tests.faults.way_back --accounts 50 --letters 8 --seed 7

Everybody moves as in ``tests.faults.night`` and goes on reading, sending and receiving until the end. Then each of the
batch gets at once what comes to a busy person in two hours, in old folders and in new ones. After the way back the
old server must hold what it held before, what came since and what the crowd was told is accepted: each message exactly
once, INBOX in the order of the new server. Mail is held, for else the last that is under way may stay on the new one.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import Any, Final

from tests.faults import night
from tests.faults import night_judge as judge
from tests.faults.night import Night
from tests.rigs import check
from tests.rigs.base import HOST
from tests.rigs.crowd import TITLE, Notes, SignIn
from tests.rigs.dialogue import Dialogue
from tests.rigs.governed import SOURCE_HOST, TARGET_HOST
from tests.rigs.night import NightPlatform
from tests.rigs.panel import eventually
from tests.rigs.platform import CAMPAIGN

# Where letters go: most come to INBOX, some are filed where there was a folder before, some in one that is new.
_PLACES: Final = (*[b"INBOX"] * 7, b"Sent", b"Projekte.2019", b"Since the move")
_AT_ONCE: Final = 4

Titles = Counter[tuple[bytes, str]]  # folder and title -> messages


class WayBack(Night):
    """A night that is undone for everybody."""

    def _made(self) -> NightPlatform:
        """The platform of any night; here sessions on the new server can be ended, too."""
        platform = super()._made()
        describe = platform.description

        def description() -> dict[str, Any]:
            options = {**platform.world.sessions_options("target"), "our_addresses": [HOST]}
            sessions = {"name": "the new sessions", "kind": "dovecot", "options": options}
            return {**describe(), "target_sessions": sessions}

        platform.description = description  # type: ignore[method-assign]
        return platform

    def _move(self) -> None:
        self.before = self._titles(self.platform.users)
        super()._move()
        self._tell_panels_lockouts()
        hosts = self.platform.hosts()
        stayed = [user for user in self.platform.users if hosts[user] != TARGET_HOST]
        self.report.wrong += [f"{user} did not move at all" for user in stayed]
        begun = time.monotonic()
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            self.letters = dict(zip(self.platform.users, pool.map(self._write_to, self.platform.users), strict=True))
        count = sum(sum(some.values()) for some in self.letters.values())
        self.report.tell(f"{count} letters came to the new server in {time.monotonic() - begun:.1f} s")
        self.turned = time.time()
        self._return()
        time.sleep(3.0)  # people go on a while, as people do

    # The way back

    def _return(self) -> None:
        first = (self.readers or self.platform.users)[0]
        self._take("one person", 1, "account", "take-back", CAMPAIGN, self.platform.world.address(first))
        few = min(self._chosen.first, self._chosen.accounts - 2)
        self._take(f"the first {few}", 1 + few, "batch", "take-back", CAMPAIGN, "1", "--first", str(few))
        self._take("all others", self._chosen.accounts, "batch", "take-back", CAMPAIGN, "1")

    def _take(self, who: str, count: int, *words: str) -> None:
        """Have some taken back, and wait until ``count`` people are home."""
        begun = time.monotonic()
        before = self.platform.counts()["ready"]
        self.platform.tell(*words, "--reason", "the new server is too slow")
        eventually(lambda: self._are_home(count), self._said, self._chosen.seconds)
        seconds = time.monotonic() - begun
        self.report.tell(f"{who} back in {seconds:.1f} s, {(count - before) / seconds:.1f} accounts/s")

    def _are_home(self, count: int) -> bool:
        return self.platform.counts() == Counter(
            {state: number for state, number in (("ready", count), ("done", self._chosen.accounts - count)) if number}
        )

    def _write_to(self, user: str) -> Titles:
        """Give somebody on the new server two hours' worth of mail; return what it is."""
        dice = random.Random(f"{self._chosen.seed} {user}")
        letters: dict[bytes, list[tuple[bytes, bytes]]] = {}
        for number in range(self._chosen.letters):
            folder = dice.choice(_PLACES) if number else b"INBOX"
            letters.setdefault(folder, []).append((dice.choice((b"()", b"(\\Seen)")), _letter(user, number, dice)))
        with Dialogue(self.platform.admin("target", user)) as talk:
            there = {row.name for row in talk.listed()}
            for folder, some in letters.items():
                if folder not in there:
                    talk.command(b'CREATE "%s"' % folder)
                talk.append(folder, some)
        return Counter((folder, _title(body)) for folder, some in letters.items() for _, body in some)

    # Judging

    def _titles(self, users: Sequence[str]) -> dict[str, Titles]:
        """Return what some hold on the old server."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            found = pool.map(lambda user: _own(check.read(self.platform.admin("source", user))), users)
            return dict(zip(users, found, strict=True))

    def _judge_people(self) -> None:
        hosts = self.platform.hosts()
        self.report.wrong += [f"{name} is on {hosts[name]}" for name in hosts if hosts[name] != SOURCE_HOST]
        super()._judge_people()
        for user in self.readers:
            self.report.wrong += there_and_back(self.notes.sign_ins[user], user, self.turned)

    def _tell_lockouts(self, notes: Notes) -> None:
        """Tell how long people were out on the way back; the way there is what other nights are about."""
        self._tell_panels_lockouts()
        seen = [seconds for user in self.readers if (seconds := self._lockout_seconds(user)) is not None]
        if len(seen) < len(self.readers):
            self.report.wrong.append(f"{len(self.readers) - len(seen)} readers were not seen to come back")
        if seen:
            self.report.tell(
                f"  locked out on the way back, as {len(seen)} readers saw it: "
                f"median {median(seen):.2f} s, worst {max(seen):.2f} s"
            )

    def _lockout_seconds(self, user: str) -> float | None:
        """How long a reader was on neither server on the way back."""
        came = returned(self.notes.sign_ins[user], self.turned)
        left = max((one.at for one in self.notes.gone[user] if one.site == "new"), default=None)
        return came - left if came is not None and left is not None else None

    def _judge_mail(self) -> None:
        begun = time.monotonic()
        wanted, copies = judge.wanted_mail(self.notes), judge.wanted_copies(self.notes)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for found in pool.map(lambda user: [*self._wrongs(user, wanted, copies)], self.platform.users):
                self.report.wrong += found
        for user in self.stayers:
            right = check.read(self.platform.admin("source", user))
            self.report.wrong += _of_crowd(user, right, wanted, copies)
            self.report.wrong += judge.astray(user, check.read(self.platform.admin("target", user)))
        self.report.tell(f"  the judge read both sides in {time.monotonic() - begun:.1f} s")

    def _wrongs(self, user: str, wanted: judge.Wanted, copies: judge.Wanted) -> Iterator[str]:
        source, target = (check.read(self.platform.admin(side, user)) for side in ("source", "target"))
        yield from exactly(user, _own(source), self.before[user] + self.letters[user])
        yield from _of_crowd(user, source, wanted, copies)
        yield from judge.elsewhere(user, source)
        yield from judge.order(user, target, source)
        yield from unlike(user, target, source)


def _of_crowd(user: str, right: check.Contents, wanted: judge.Wanted, copies: judge.Wanted) -> Iterator[str]:
    for folder, counts in ((judge.INBOX, wanted), (judge.SENT, copies)):
        yield from judge.missing(user, right, counts.get(user, {}), folder)
        yield from judge.surplus(user, right, counts.get(user, {}), folder)


def exactly(user: str, found: Mapping[tuple[bytes, str], int], wanted: Titles) -> list[str]:
    """Return what is not as often on the old server as it must be."""
    return [
        f"{user}: {name!r} is {found.get((folder, name), 0)} times in {folder!r}, and not {wanted[folder, name]}"
        for folder, name in sorted(set(found) | set(wanted))
        if found.get((folder, name), 0) != wanted[folder, name]
    ]


def unlike(user: str, target: check.Contents, source: check.Contents) -> list[str]:
    """Return in which folders something of the new server is not on the old one, octet for octet."""
    found = []
    for name, there in target.folders.items():
        home = source.folders.get(name)
        here = Counter(one.digest for one in home.messages) if home else Counter[str]()
        if lost := Counter(one.digest for one in there.messages) - here:
            found.append(f"{user}: {lost.total()} messages of {name!r} did not come back as they were")
    return found


def returned(tries: Sequence[SignIn], turned: float) -> float | None:
    """Return when somebody was on the old server first, after they had last been on the new one."""
    last = max((one.ended for one in tries if one.site == "new" and one.verdict == "admitted"), default=None)
    after = (one.ended for one in tries if one.site == "old" and one.verdict == "admitted" and one.ended > turned)
    return min((at for at in after if last is None or at > last), default=None)


def there_and_back(tries: Sequence[SignIn], user: str, turned: float) -> Iterator[str]:
    """Yield what contradicts the one way of ``user`` from the new server back to the old one, after ``turned``."""
    tries = [one for one in tries if one.service == "imap" and one.begun > turned]
    came = min((one.ended for one in tries if one.site == "old" and one.verdict == "admitted"), default=None)
    if came is None:
        yield f"{user}: never led back to the old server"
        return
    yield from judge.strays(tries, user, came, left="new", what="were back")


def _own(contents: check.Contents) -> Titles:
    """Count what is not of the crowd, by folder and title."""
    return Counter(
        (name, one.title)
        for name, folder in contents.folders.items()
        for one in folder.messages
        if not TITLE.search(one.title)
    )


def _letter(user: str, number: int, dice: random.Random) -> bytes:
    lines = [f"line {line} for {user}, and some more words to fill it" for line in range(dice.randint(3, 120))]
    heads = [f"From: someone@elsewhere.test\r\nTo: {user}@example.test", f"Subject: since {number} for {user}", ""]
    return "".join(f"{line}\r\n" for line in [*heads, *lines]).encode()


def _title(letter: bytes) -> str:
    return next(line.removeprefix(b"Subject: ") for line in letter.split(b"\r\n") if b"Subject: " in line).decode()


def read_words(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Return what the words of the shell, or those given, ask for."""
    parser = night.parser_of("tests.faults.way_back")
    parser.add_argument("--letters", type=int, default=20, help="that come to each on the new server")
    parser.add_argument("--first", type=int, default=5, help="who are taken back before all others")
    chosen = parser.parse_args(words)
    chosen.hold = True
    return chosen


if __name__ == "__main__":
    sys.exit(night.run(WayBack, read_words()))
