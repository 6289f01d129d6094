"""Mailboxes that an administrator sees as folders below a root, copied without a word about prefixes."""

from __future__ import annotations

from migrator.limits import Limits
from migrator.secret import Secret
from migrator.stores.endpoint import Endpoint
from migrator.stores.imap_access import Access
from migrator.stores.imap_source import ImapSource
from migrator.stores.imap_target import ImapTarget
from migrator.transfer.copy import PassResult, run_pass
from migrator.transfer.folders import FolderRules
from migrator.transfer.memory_ledger import MemoryLedger
from migrator.transfer.plan import CopyPolicy
from migrator.transfer.verify import VerifyLevel, verify
from tests.rigs.communigate import POSTMASTER, CommuniGate

LETTERS = [b"Subject: %d\r\n\r\nbody\r\n" % number for number in range(3)]
LIMITS = Limits(io_seconds=10)


def endpoint(server: CommuniGate, user: str) -> Endpoint:
    return Endpoint(
        "127.0.0.1", server.peer.port, "plain", POSTMASTER, Secret("pw"), authzid=user, access=Access.of("~{user}/")
    )


def cross(old: CommuniGate, new: CommuniGate, rules: FolderRules, ledger: MemoryLedger) -> PassResult:
    with (
        ImapSource(endpoint(old, "anna"), LIMITS) as source,
        ImapTarget(endpoint(new, "carl"), LIMITS) as target,
    ):
        result = run_pass(source, target, ledger, policy=CopyPolicy(rules=rules), limits=LIMITS)
        assert verify(source, target, ledger, level=VerifyLevel.DIGEST, rules=rules).is_clean
        return result


def test_an_administrator_on_both_sides_copies_what_the_owner_would() -> None:
    with CommuniGate("anna") as old, CommuniGate("carl") as new:
        for number, folder in enumerate(("INBOX", "Work", "Spam")):
            old.put("anna", folder, LETTERS[number], subscribed=True)
        old.boxes[("anna", "Work")].subscribers.add(POSTMASTER)
        ledger, rules = MemoryLedger(), FolderRules(skip=("Spam",))
        assert cross(old, new, rules, ledger).is_balanced
        assert new.holds("carl") == {"INBOX": [LETTERS[0]], "Work": [LETTERS[1]]}
        assert new.holds(POSTMASTER) == {}
        # who subscribes there, subscribes for themselves
        assert not any(box.subscribers for box in new.boxes.values())
        assert cross(old, new, rules, ledger).appended == 0


def test_a_prefix_stands_inside_the_mailbox_of_the_user() -> None:
    with CommuniGate("anna") as old, CommuniGate("carl") as new:
        old.put("anna", "INBOX", LETTERS[0])
        assert cross(old, new, FolderRules(add_prefix="Old/"), MemoryLedger()).is_balanced
        assert new.holds("carl") == {"Old/INBOX": [LETTERS[0]]}
