#!/usr/bin/env python3
"""Holds mail for single users in an Exim 4: the program of a hold by command (migrator.holds.command), for its host.

It runs by itself, as root, on the machine that Exim is on, and needs nothing of Mailferry. Exim asks the file ``HELD``
by a router of its own, which the README of the engine shows; an address in it is deferred after aliases are resolved,
so that its mail waits in the queue and all others get theirs, also of the same message.

Whom a message waits for is read from the queue (``exim -bpa``) and, where it is to a list or an alias, from where that
leads now (``exim -bt``). A frozen message was put aside by a person or a filter: it is counted as that, and left alone.
"""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

EXIM = "/usr/sbin/exim4"
HELD = Path("/var/lib/mailferry/exim/held")
DOMAINS = ("example.org",)  # ours: addresses of others are no aliases of the people who move

MARK = "mailferry@invalid"  # always in the file, so that it can be asked whether Exim reads it
WORDS = "Mailbox is being moved"
LEAST_DAYS = 5
TRIES = 3
BASE_62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class Message(NamedTuple):
    """A message in the queue: whom it has still to reach and whom it has reached, as far as Exim has written it."""

    id: str
    is_frozen: bool
    open: set[str]
    done: set[str]

    @property
    def arrived(self) -> int:
        """Since when it waits: the first six characters of its name (Exim's specification, 3.4)."""
        seconds = 0
        for character in self.id[:6]:
            seconds = seconds * 62 + BASE_62.index(character)
        return seconds


def exim(*words: str) -> subprocess.CompletedProcess[str]:
    """Run Exim; what it prints is read whatever its exit code."""
    return subprocess.run([EXIM, *words], capture_output=True, text=True, errors="replace", check=False)


def plain(address: str) -> str:
    """Return an address in small letters and without its extension."""
    local, _, domain = address.lower().rpartition("@")
    return f"{local.partition('+')[0] or local}@{domain}"


def queue() -> list[Message]:
    """Return all messages, the oldest first."""
    found: list[Message] = []
    listing = exim("-bpa")
    if listing.returncode != 0:
        sys.exit(listing.stderr.strip() or "exim -bpa failed")
    for line in listing.stdout.splitlines():
        if head := re.match(r"\s*-?\d+[mhd]\s+\S+\s+(\w{6}-\w+-\w+)\s+<.*>(.*)", line):
            found.append(Message(head[1], "frozen" in head[2], set(), set()))
        elif found and (one := re.match(r"\s+(?:(\+?D) +)?(\S+@\S+)$", line)):  # a D of its own: not that of Dora@
            (found[-1].done if one[1] else found[-1].open).add(plain(one[2]))
    return sorted(found, key=lambda message: (message.arrived, message.id))


def waiting(address: str) -> list[Message]:
    """Return the messages that have still to reach ``address``, by their own name or by one that leads there now."""
    messages = [one for one in queue() if address in one.open or address not in one.done]
    names = {name for one in messages for name in one.open if name.rpartition("@")[2] in DOMAINS}
    # An address that is held leads nowhere now: with a thousand of them in the queue nobody asks about each.
    wanted = {address, *leading(names - {address} - entries().keys(), address)}
    return [one for one in messages if one.open & wanted]


def leading(names: set[str], address: str) -> set[str]:
    """Return those of ``names`` of which mail comes to ``address`` now: lists and aliases, also by way of others."""
    found: set[str] = set()
    is_here = False
    if not names:
        return found
    asked = exim("-bt", "--", *sorted(names))  # senders chose these names, and one may look like an option
    if not asked.stdout.strip():
        sys.exit(asked.stderr.strip() or "exim -bt failed")
    for line in asked.stdout.splitlines():
        if parent := re.match(r"\s+<-- (\S+)", line):
            found |= {plain(parent[1])} if is_here else set()
        elif line[:1].strip():  # begins with an address, and what becomes of it
            is_here = plain(line.split()[0]) == address
    return found & names


def locked(message: Message) -> bool:
    """Tell whether a delivery of the message is going on: Exim locks its body meanwhile (proc(5), /proc/locks)."""
    spool = Path(exim("-bP", "spool_directory").stdout.partition("=")[2].strip())
    bodies = [*spool.glob(f"input/{message.id}-D"), *spool.glob(f"input/?/{message.id}-D")]
    inodes = {str(body.stat().st_ino) for body in bodies if body.exists()}
    return any(line.split()[-3].rpartition(":")[2] in inodes for line in Path("/proc/locks").read_text().splitlines())


def entries() -> dict[str, str]:
    """Return what the file says of each address."""
    lines = HELD.read_text().splitlines() if HELD.exists() else []
    rows = dict(line.partition(": ")[::2] for line in lines if not line.startswith("#"))
    return {MARK: "held", **rows}


def write(address: str, value: str | None) -> None:
    """Have the file say ``value`` of an address, or nothing: whole, on the disk, and in place of the one before."""
    with HELD.with_suffix(".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        rows = entries()
        rows.pop(address, None)
        if value is not None:
            rows[address] = value
        draft = HELD.with_suffix(".new")
        with draft.open("w") as file:
            file.write("# Written by Mailferry's program, which replaces this file.\n")
            file.writelines(f"{name}: {what}\n" for name, what in sorted(rows.items()))
            file.flush()
            os.fsync(file.fileno())
        draft.chmod(0o644)
        draft.replace(HELD)
        folder = os.open(HELD.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)


def look(address: str) -> None:
    """Print held, free, or what somebody else wrote; leave with 67 when Exim knows nobody of that name."""
    value = entries().get(address)
    if value is None and exim("-bt", "--", address).returncode == 2:  # undeliverable; 1 would be: not now
        sys.exit(67)
    print(value or "free")


def settled(address: str) -> None:
    """Print whether no delivery is at work that may have read the file before it was changed."""
    print("no" if any(locked(one) for one in waiting(address)) else "yes")


def count(address: str) -> None:
    """Print how many messages wait, since when the oldest does, and how many others are frozen."""
    found = waiting(address)
    flowing = [one for one in found if not one.is_frozen]
    print(len(flowing), flowing[0].arrived if flowing else 0, f"aside={len(found) - len(flowing)}")


def flush(address: str) -> None:
    """Have what waits tried now, one by one, the oldest first. One at which a delivery works is tried again."""
    for number in range(TRIES):
        time.sleep(number)
        names = [one.id for one in waiting(address) if not one.is_frozen]
        if not names:
            return
        # In a session of its own: who ends this program for want of time must not end a delivery whose message the
        # next server has taken, and Exim has not yet noted that.
        subprocess.run([EXIM, "-M", *names], stdout=subprocess.DEVNULL, start_new_session=True, check=False)


def check() -> None:
    """Print what would have held mail returned to senders, announced to them, or not held at all."""
    write(MARK, "held")
    if WORDS not in (asked := exim("-bt", MARK)).stdout:
        print(
            f"The router that asks {HELD} is not there or not the first: {asked.stdout.strip() or asked.stderr.strip()}"
        )
    days = [int(n) * {"d": 1, "w": 7}[unit] for n, unit in re.findall(r"[FGH],(\d+)([dw])", exim("-brt", MARK).stdout)]
    if max(days, default=0) < LEAST_DAYS:
        print(f"The first retry rule must be for lsearch;{HELD} and go on for {LEAST_DAYS} days at least.")
    if warning := exim("-bP", "delay_warning").stdout.partition("=")[2].strip():
        print(f"Senders are told of a delay: delay_warning = {warning}")


def main(verb: str, address: str = "", side: str = "") -> None:
    """Do what ``verb`` says."""
    address = address.lower()
    if address and address != plain(address) and verb in ("look", "hold"):
        sys.exit(f"{address}: what is behind the + is an extension here; only {plain(address)} can be held.")
    verbs = {"look": look, "settled": settled, "count": count, "flush": flush}
    if verb == "check":
        check()
    elif verb in ("hold", "free"):
        write(address, "held" if verb == "hold" else None)
    elif verb in verbs:
        verbs[verb](address)
    else:
        sys.exit(f"no such verb: {verb} {side}")


if __name__ == "__main__":
    main(*sys.argv[1:4])
