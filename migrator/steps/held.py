"""Mail that was held in a file comes to the new mailbox: one more source, copied and compared before it is emptied.

The mailbox is in use by now, so mail is only added to it, and what its owner does with it there is theirs: what came is
written down beside the file, message by message, until the file is empty. Whoever repeats this brings nothing twice,
wherever it was moved meanwhile. Which messages were there before was noted before the first was added, for the one
whose end nobody wrote down any more.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol, cast

from migrator.entries import Json
from migrator.errors import MigratorError, Side
from migrator.holds.base import MailHold
from migrator.journal import EntryStatus, Journal, StepKind
from migrator.limits import Limits
from migrator.mail import Folder, FolderPath, Outcome
from migrator.steps.copying import MOST_PASSES, Mail
from migrator.stores.base import ScanRequest, TargetStore, Trouble, offers
from migrator.stores.mbox import INBOX, MboxSource
from migrator.transfer.copy import run_pass
from migrator.transfer.file_ledger import FileLedger, LedgerFile
from migrator.transfer.folders import FolderRules
from migrator.transfer.ledger import FolderState
from migrator.transfer.numbering import list_source
from migrator.transfer.plan import ALL_MESSAGES, CopyPolicy, LabelPolicy, Mode
from migrator.transfer.verify import Difference, VerifyLevel, verify

MARK: Final = "mark"  # under which name a release saves it
Mark = Mapping[str, Json]
"""Where INBOX of the new mailbox ended before anything was added: ``uidvalidity`` and ``uidnext``; {} for nowhere."""


class KeepingHold(Protocol):
    """A hold that sends nothing: what waits is fetched from it."""

    def kept(self, address: str, limits: Limits) -> MboxSource:
        """Return what waits for ``address`` as a mailbox; its ``set_aside`` empties the file, and keeps a copy."""
        ...

    def memory(self, address: str) -> Path:
        """Return where it is written down what of that was fetched already: a ledger that is nobody else's."""
        ...

    def forget_memory(self, address: str) -> None:
        """Remove that ledger, which nobody has open: what it knew of has left the file."""
        ...


@dataclass(frozen=True, slots=True)
class HeldImport:
    """What waits in ``hold`` for ``address`` goes into the new mailbox of ``mail``."""

    hold: KeepingHold
    address: str
    mail: Mail

    def mark(self) -> Mark:
        """Return where the new mailbox ends now. Reads only."""
        with self.mail.open_target() as target:
            for folder in target.folders():
                if folder.path.raw == INBOX:
                    return {"uidvalidity": folder.uidvalidity, "uidnext": folder.uidnext}
        return {}

    def __call__(self, mark: Mark) -> None:
        """Bring what waits, and empty the file once all of it came. Safe to repeat after any end, with the same mark.

        Raises ``MigratorError``: also hold.not_all_imported, for what the new server does not take, and hold.restless
        when more came each time: all that came before is there by then, and the file keeps all of it.
        """
        with LedgerFile(self.hold.memory(self.address)) as file:
            # Another mark is another release, which must not believe what is known of this one.
            self._import(file.account("held", json.dumps(dict(mark), sort_keys=True)), mark)
        self.hold.forget_memory(self.address)

    def _import(self, ledger: FileLedger, mark: Mark) -> None:
        for _ in range(MOST_PASSES):
            with self.hold.kept(self.address, self.mail.limits) as source, self.mail.open_target() as target:
                folders = list_source(source, ledger)
                if not sum(folder.messages or 0 for folder in folders):
                    return
                if not ledger.states():
                    ledger.begin(_begun(folders, mark, self.mail.policy))
                if not self._bring(source, target, ledger):
                    continue
                try:
                    source.set_aside()
                except MigratorError as error:
                    if error.code != "file.changing":  # more came meanwhile
                        raise
        raise MigratorError("hold.restless")

    def _bring(self, source: MboxSource, target: TargetStore, ledger: FileLedger) -> bool:
        """Bring what is new to the ledger. True when all that was listed last has come, octet for octet."""
        policy = _policy(self.mail.policy)
        result = run_pass(source, target, ledger, policy=policy, limits=self.mail.limits)
        for error in (result.error, *(folder.error for folder in result.folders)):
            if error is not None:
                raise error
        left = _left(source, ledger)
        if left:
            raise MigratorError("hold.not_all_imported", side=Side.TARGET, messages=left)
        report = verify(source, target, ledger, level=VerifyLevel.DIGEST, rules=policy.rules)
        found = [one.difference for one in report.differences if one.difference not in _OF_THEIR_OWNER]
        wrong = len(found) - found.count(Difference.UNCOUNTED)
        if wrong:
            raise MigratorError("hold.not_all_imported", side=Side.TARGET, messages=wrong)
        return result.is_balanced and not found  # else more came meanwhile


def bring_late(name: str, hold: MailHold, journal: Journal, address: str, mail: Mail) -> int:
    """Bring what reached the file of ``hold`` after it was released: a server may have had it on its way for hours.

    Of ``address``, whose move ``journal`` tells, where ``name`` is the hold. Returns how many messages waited. Raises
    as :class:`HeldImport` does.
    """
    if not offers(hold, "kept"):
        return 0
    done = (entry for entry in journal.entries() if entry.status is EntryStatus.DONE and entry.key.connector == name)
    release = next((entry for entry in done if entry.key.kind is StepKind.RELEASE), None)
    late = hold.held(address).messages if release else 0
    if release and late:
        mark = release.saved.get(MARK)
        HeldImport(cast(KeepingHold, hold), address, mail)(mark if isinstance(mark, dict) else {})
    return late


# The end of a message is in the ledger. Whoever works in the mailbox by now may read, move and remove it.
_OF_THEIR_OWNER: Final = (Difference.FLAGS, Difference.MISSING, Difference.TOO_FEW)
_LEFT: Final = (Outcome.TOO_BIG, Outcome.REFUSED, Outcome.UNREADABLE, Outcome.UNCONFIRMED, Outcome.VANISHED)


def _left(source: MboxSource, ledger: FileLedger) -> int:
    """Return how many messages of the file, as it was listed last, did not get to the new server."""
    rows = {row[:3] for row in ledger.left_behind() if row.outcome in _LEFT}
    requests = [ScanRequest(FolderPath(state.source), state.source_uidvalidity) for state in ledger.states()]
    return sum(
        isinstance(item, Trouble) or (item.path.raw, request.uidvalidity, item.uid) in rows
        for request in requests
        if rows
        for item in source.scan([request])
    )


def _policy(usual: CopyPolicy) -> CopyPolicy:
    """Return how held mail is copied: all of it, into INBOX, by adding only."""
    return replace(
        usual,
        mode=Mode.CATCH_UP,
        kin=None,
        name_of=None,
        grantees=None,
        copies_notes=False,
        wanted=ALL_MESSAGES,
        labels=LabelPolicy.FOLDERS,
        newest_days=None,
        search="",
        pop_name_of=None,
        copy_deleted=True,
        retry_left_behind=True,
        rules=FolderRules(add_prefix=usual.rules.add_prefix),
    )


def _begun(folders: Sequence[Folder], mark: Mark, policy: CopyPolicy) -> list[FolderState]:
    """Return the state of a copy that began at ``mark``; of none where INBOX has another name there."""
    validity, following = mark.get("uidvalidity"), mark.get("uidnext")
    if not isinstance(validity, int) or not isinstance(following, int) or policy.rules.add_prefix:
        return []
    numbering = next((folder.uidvalidity for folder in folders), None) or 0
    return [FolderState(INBOX, INBOX, numbering, validity, target_uidnext=following, intent_uidnext=following)]
