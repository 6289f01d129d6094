"""Hand messages to a target where nothing can be looked up afterwards: SMTP and LMTP.

What is done everywhere else in doubt, to look, cannot be done. So each message is journaled before it is sent, on the
disk, and one whose answer was lost is of unknown outcome for good: it is named, and a person decides. Messages are
known by content across a source that numbers them anew: what was sent is not sent a second time.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

from migrator.errors import MigratorError, OutcomeUnknown, Side, Stopped
from migrator.events import MessageLeftBehind
from migrator.mail import NO_FLAGS, Digest, Message, Outcome
from migrator.stores.base import ReadRequest, Receipt, SourceStore, TargetStore
from migrator.transfer.folder_pass import FolderPass
from migrator.transfer.ledger import Ledger, Record, Sending, SendingLedger
from migrator.transfer.stream import Group, Stream
from migrator.transfer.terms import PassMemory, Terms

UNKNOWN: Final = bytes(32)
ANY_SIZE: Final = 2**62  # of a message that may be big: big ones are then compared before they are sent
Sent = dict[tuple[bytes, bool], tuple[int, int]]  # digest, and whether the answer was lost -> how many, and how big


class Injection(Stream):
    """Carries the pending messages of all folders over, one by one."""

    def __init__(
        self,
        source: SourceStore,
        target: TargetStore,
        ledger: Ledger,
        folders: Sequence[FolderPass],
        terms: Terms,
        memory: PassMemory,
    ) -> None:
        super().__init__(source, target, ledger, folders, terms, memory)
        if not isinstance(ledger, SendingLedger):
            raise MigratorError("ledger.keeps_no_names")
        self._journal: SendingLedger = ledger
        self._doubtful: dict[bytes, set[int]] = defaultdict(set)  # folder -> candidates whose answer was lost
        self._sending: Sending | None = None
        self._message: Message | None = None  # that is being sent

    def run(self) -> None:
        """See Stream. What was being sent when it ends stays journaled only when nobody knows its end."""
        self._settle_unanswered()
        for folder in self._folders:
            if folder.error is None:
                self._recall_sent(folder)
        try:
            super().run()
        except OutcomeUnknown:
            raise
        except MigratorError as error:
            if not error.code.startswith("ledger."):  # else it may be there, and not recorded
                self._clear()
            raise
        except Stopped:
            self._clear()
            raise

    # What earlier attempts did

    def _settle_unanswered(self) -> None:
        """Give what was being sent when an earlier attempt ended its outcome: nobody knows."""
        intents = [sending for sending in self._journal.sending() if self._is_of_this_numbering(sending)]
        self._memory.unconfirmed.update(sending[:3] for sending in intents)
        digests = {sending[:3]: sending.canonical for sending in intents}
        for key, uidvalidity, uid in sorted(self._memory.unconfirmed):
            folder = self._by_source.get(key)
            if folder is None or folder.error is not None or folder.state.source_uidvalidity != uidvalidity:
                continue
            if uid in folder.unsettled():
                self._leave_unconfirmed(folder, uid, digests.get((key, uidvalidity, uid), UNKNOWN))
        self.commit()
        for sending in intents:
            self._journal.clear_sending(sending)

    def _is_of_this_numbering(self, sending: Sending) -> bool:
        folder = self._by_source.get(sending.folder)
        same = folder is not None and folder.state.source_uidvalidity == sending.source_uidvalidity
        return same and folder is not None and folder.error is None

    def _recall_sent(self, folder: FolderPass) -> None:
        """Let messages be found that were sent under another numbering of the source."""
        before = self._sent_before(folder)
        resends = self._terms.policy.retry_left_behind and not self._memory.unconfirmed
        # What has no digest only a person can tell; what they let be sent again has a record under a later numbering.
        if any(canonical == UNKNOWN for sent in before[-1:] for canonical, _ in sent) and not resends:
            folder.error = MigratorError("folder.renumbered_unsent", side=Side.SOURCE)
            return
        found: Sent = {}
        for sent in before:
            for key, (count, size) in sent.items():
                found[key] = max(found.get(key, (0, 0)), (count, size))
        for (canonical, is_doubtful), (count, size) in sorted(found.items()):
            if canonical != UNKNOWN and not (is_doubtful and resends):
                self._expect(folder, canonical, count, size, is_doubtful=is_doubtful)

    def _expect(self, folder: FolderPass, canonical: bytes, count: int, size: int, *, is_doubtful: bool) -> None:
        for _ in range(count):
            mark = len(folder.candidates) + 1
            folder.candidates.add(mark, (canonical,), NO_FLAGS, size)
            if is_doubtful:
                self._doubtful[folder.key].add(mark)

    def _sent_before(self, folder: FolderPass) -> list[Sent]:
        """Return what was sent under each earlier numbering, the latest last, less what has a record under this one."""
        records: dict[int, dict[int, Record]] = {}
        for leaf in self._ledger.leaves(folder.key):
            earlier = records.pop(leaf.source_uidvalidity, {})
            records[leaf.source_uidvalidity] = earlier | {record.uid: record for record in leaf.records()}
        now = folder.state.source_uidvalidity
        recorded = Counter(record.canonical for record in records.pop(now, {}).values())
        counted = [_counted(rows.values(), recorded) for rows in records.values()]
        intents = [one for one in self._journal.sending() if one.folder == folder.key and one.source_uidvalidity != now]
        last = counted.pop() if counted else {}
        return [*counted, last | {(sending.canonical, True): (1, ANY_SIZE) for sending in intents}]

    # On the way

    def _is_to_send(self, folder: FolderPass, message: Message) -> bool:
        if not super()._is_to_send(folder, message):
            return False
        canonical = UNKNOWN
        if message.whole is not None:
            self._hasher.wait([message])
            assert message.digest is not None
            canonical = message.digest.canonical
        self._message = message
        self._sending = Sending(folder.key, folder.state.source_uidvalidity, message.uid, canonical)
        self._journal.note_sending(self._sending)
        return True

    def _is_found(self, folder: FolderPass, message: Message) -> bool:
        self._hasher.wait([message])
        assert message.digest is not None
        found = folder.candidates.take(message.digest.canonical)
        if found is None:
            return False
        if found[0] in self._doubtful[folder.key]:
            self._leave_unconfirmed(folder, message.uid, message.digest.canonical)
        else:
            folder.settle_sent(message.uid, message.size_bytes, message.digest)
        self.commit()
        for sending in self._journal.sending():
            if sending.folder == folder.key and sending.canonical == message.digest.canonical:
                self._journal.clear_sending(sending)
        return True

    def _note_refusal(self, folder: FolderPass, receipt: Receipt, refused: list[Group]) -> None:
        super()._note_refusal(folder, receipt, refused)
        self._clear()

    def _commit_when_due(self, settled: int) -> None:
        self.commit()
        self._clear()

    def _clear(self) -> None:
        """The end of what was being sent is known."""
        if self._sending is not None:
            self._journal.clear_sending(self._sending)
        self._sending = self._message = None

    def _carry(self, requests: Sequence[ReadRequest], bundle_messages: int | None = None) -> list[Group]:
        try:
            return super()._carry(requests, bundle_messages)
        except OutcomeUnknown:
            self._note_digest()
            raise

    def _note_digest(self) -> None:
        """Keep the digest of what was sent, now that it is known: it is found by that when the source is renumbered."""
        if self._sending is None or self._message is None:
            return
        self._hasher.wait([self._message])
        if self._message.digest is not None:
            self._journal.note_sending(self._sending._replace(canonical=self._message.digest.canonical))

    def _leave_unconfirmed(self, folder: FolderPass, uid: int, canonical: bytes) -> None:
        error = MigratorError("message.unconfirmed", side=Side.TARGET)
        folder.settle_left(uid, Outcome.UNCONFIRMED, error, Digest(UNKNOWN, canonical, 0))
        self._terms.sink.emit(
            MessageLeftBehind(folder=folder.source.path.display, uid=uid, outcome=Outcome.UNCONFIRMED, error=error)
        )


def _counted(records: Iterable[Record], recorded: Counter[bytes]) -> Sent:
    """Count what is on the target, or may be, by content; what ``recorded`` claims already does not count."""
    left = recorded.copy()
    found: Sent = {}
    for record in records:
        is_doubtful = record.outcome is Outcome.UNCONFIRMED
        if record.outcome is None or not (record.outcome.is_on_target or is_doubtful):
            continue
        if left[record.canonical] > 0:
            left[record.canonical] -= 1
            continue
        count, size = found.get((record.canonical, is_doubtful), (0, 0))
        found[record.canonical, is_doubtful] = (count + 1, max(size, record.size_bytes or ANY_SIZE))
    return found
