"""Small accounts in memory to copy between, and the claims every copy must keep."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from migrator.limits import Limits
from migrator.mail import Outcome
from migrator.testing import (
    FakeClock,
    FaultPlan,
    FaultyLedger,
    MemoryMailbox,
    MemorySource,
    MemoryTarget,
    RecordingSink,
)
from migrator.transfer.copy import PassResult, run_pass
from migrator.transfer.digest import canonical_form
from migrator.transfer.memory_ledger import MemoryLedger
from migrator.transfer.plan import CopyPolicy, DuplicatePolicy

LIMITS = Limits(bundle_messages=3, window_messages=6, whole_bytes=2000, overlap=False)


def body(text: str, size_bytes: int = 0) -> bytes:
    """Return a message with ``text`` as subject and in its body, padded to at least ``size_bytes``."""
    head = f"Subject: {text}\r\nFrom: a@example.test\r\n\r\n{text}\r\n".encode()
    return head + b"0123456789 padding\r\n" * ((size_bytes - len(head)) // 20 + 1 if size_bytes > len(head) else 0)


@dataclass
class Scene:
    """Two mailboxes and the ledger between them."""

    source: MemoryMailbox = field(default_factory=MemoryMailbox)
    target: MemoryMailbox = field(default_factory=lambda: MemoryMailbox(separator="."))
    ledger: MemoryLedger = field(default_factory=MemoryLedger)
    sink: RecordingSink = field(default_factory=RecordingSink)
    clock: FakeClock = field(default_factory=FakeClock)
    policy: CopyPolicy = field(default_factory=CopyPolicy)

    def copy(
        self, faults: FaultPlan | None = None, *, policy: CopyPolicy | None = None, **stores: object
    ) -> PassResult:
        """Run one pass in a process of its own: fresh stores, the same ledger."""
        plan = faults or FaultPlan()
        source = stores.get("source") or MemorySource(self.source, plan, LIMITS)
        target = stores.get("target") or MemoryTarget(self.target, plan, LIMITS)
        return run_pass(
            source,
            target,
            FaultyLedger(self.ledger, plan),
            policy=policy or self.policy,
            sink=self.sink,
            limits=LIMITS,
            clock=self.clock,
        )


def life_like() -> Scene:
    """An account with three folders, equal messages, a big one, a marked one, an empty one."""
    scene = Scene()
    for number in range(7):
        scene.source.deliver(
            "INBOX",
            body(f"letter {number}"),
            ["\\Seen"] if number % 2 else [],
            internal_date=800_000_000 + number * 1000,
        )
    for _ in range(3):
        scene.source.deliver("INBOX", body("the same again"), ["\\Flagged", "work"], internal_date=900_000_000)
    scene.source.deliver("Archive/1999", body("big", 5000), internal_date=930_000_000, zone_minutes=120)
    scene.source.deliver("Archive/1999", b"bare\nline\nends", internal_date=930_000_001)
    scene.source.deliver("Archive/1999", body("gone soon"), ["\\Deleted"])
    scene.source.deliver("Sent", body("to you"), ["\\Seen"])
    scene.source.deliver("Sent", b"")
    return scene


def arrivals(mailbox: MemoryMailbox, folder: str) -> Counter[bytes]:
    """Return the messages of one folder as a multiset of canonical forms."""
    found = mailbox.find(mailbox.path(folder))
    return Counter(canonical_form(m.body) for m in found.messages.values()) if found else Counter()


def assert_arrived(scene: Scene, extra: Counter[bytes] | None = None) -> None:
    """Claim that the target holds every message of the source that can be held, each once, flags and dates included."""
    for folder in scene.source:
        name = ".".join(folder.path.segments)
        expected = Counter(
            canonical_form(m.body) for m in folder.messages.values() if m.body and "\\Deleted" not in m.flags
        )
        if scene.policy.duplicates is DuplicatePolicy.ONCE:
            assert set(arrivals(scene.target, name)) == set(expected), name
            continue
        if name == "INBOX" and extra:
            expected += extra
        assert arrivals(scene.target, name) == expected, name


def assert_same_order(scene: Scene) -> None:
    """Claim that the messages of each target folder stand in the order of the source."""
    for folder in scene.source:
        found = scene.target.find(scene.target.path(".".join(folder.path.segments)))
        wanted = [canonical_form(m.body) for m in folder.messages.values() if m.body and "\\Deleted" not in m.flags]
        assert [canonical_form(m.body) for m in (found.messages.values() if found else ())] == wanted


def assert_balanced(result: PassResult, scene: Scene) -> None:
    """Claim that each message of the source has one named outcome and that the sum is right."""
    assert result.error is None
    assert result.is_balanced, [(f.source.display, f.totals, f.removed, f.listed, f.error) for f in result.folders]
    assert result.listed == sum(len(folder.messages) for folder in scene.source)
    assert sum(result.totals.values()) - result.removed == result.listed
    assert Outcome.UNREADABLE not in result.totals
