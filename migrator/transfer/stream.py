"""Stream bodies from the source into the target, and give every message that does not arrive its outcome.

The main run reads all folders in one go. What was refused or not delivered gets second chances in ever smaller groups,
until a single message is left that is to blame.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from migrator.errors import MigratorError, Patience, Radius, Side
from migrator.events import MessageAltered, MessageLeftBehind, MessageRepaired, Progress, RecentCopied
from migrator.mail import Message, Outcome
from migrator.stores.base import ReadRequest, Receipt, ScanRequest, SourceStore, TargetStore, Trouble
from migrator.transfer.dates import Sample
from migrator.transfer.equals import StoredOnce
from migrator.transfer.folder_pass import FolderPass
from migrator.transfer.hasher import Hasher
from migrator.transfer.ledger import Ledger
from migrator.transfer.mending import Course, Mended, Workpiece, begin_course
from migrator.transfer.per_message import FlagChange
from migrator.transfer.plan import DuplicatePolicy, Mode
from migrator.transfer.pop_names import is_fit
from migrator.transfer.repairs import Repair
from migrator.transfer.terms import PassMemory, Place, Terms
from migrator.transfer.windows import Waiting, newest_first

COMMIT_SECONDS: Final = 2.0
OUTCOME_BY_CODE: Final = {"message.too_big": Outcome.TOO_BIG, "message.empty": Outcome.EMPTY}
# Refusals that end when something beside the body is given up: what is altered, by code.
ALTERATION_BY_CODE: Final = {"flags.refused": "flags", "message.bad_date": "date"}


class Group(NamedTuple):
    """Messages of one folder that get another chance together."""

    folder: FolderPass
    uids: Sequence[int]
    bundle_messages: int | None
    error: MigratorError | None


class Stream:
    """Carries the pending messages of all folders over."""

    def __init__(
        self,
        source: SourceStore,
        target: TargetStore,
        ledger: Ledger,
        folders: Sequence[FolderPass],
        terms: Terms,
        memory: PassMemory,
    ) -> None:
        self._source, self._target, self._ledger = source, target, ledger
        self._folders = folders
        self._by_source = {folder.key: folder for folder in folders}
        for folder in folders:
            folder.loses_flagged = target.features.loses_flagged_on_append
        self._by_target = {folder.target_path.raw: folder for folder in folders}
        self._terms, self._memory = terms, memory
        told, learned = target.features.append_limit_bytes, memory.learned_limit_bytes
        self._limit = min((limit for limit in (told, learned) if limit is not None), default=None)
        self._ahead = [repair for repair in Repair if repair in terms.policy.repairs_ahead]
        self._last_commit = terms.clock.monotonic()
        self._uncommitted = 0
        self._fatal: MigratorError | None = None
        self._first: ReadRequest | None = None  # of what is being read
        self._taken: Message | None = None  # the last message that came
        self._hasher = Hasher()
        merges = target.features.merges_equal
        self._once = StoredOnce(ledger) if merges or terms.policy.duplicates is DuplicatePolicy.ONCE else None
        for folder in folders if merges else ():
            folder.merged = {target_uid for _, target_uid in folder.knowledge.placed()} if folder.knowledge else set()
        self.sample: Sample | None = None  # of what was stored last
        self._alone: Place | None = None  # the suspect that is being read

    @property
    def is_stopping(self) -> bool:
        """True when nothing more may be fed."""
        return self._fatal is not None or self._terms.stop.is_set()

    def run(self) -> None:
        """Carry over everything pending; returns early, all confirmed work committed, when the caller stops it.

        Raises what ended it: the line, the target's space. Confirmed messages are committed in any case.
        """
        try:
            self._settle_decided()
            self._settle_poison()
            self._digest_big_ones()
            self._digest_big_twins()
            waiting = {folder.key: self._trustworthy(folder) for folder in self._folders if folder.error is None}
            refused = self._carry_all([(f, waiting[f.key]) for f in self._folders if waiting.get(f.key)])
            self._second_chances(refused, waiting)
            self._read_suspects()
        except MigratorError as error:
            self._note_death(error)
            raise
        finally:
            self.commit()
            self._hasher.close()
        if self._fatal is not None:
            raise self._fatal

    def commit(self) -> None:
        """Write everything settled since the last commit, in one transaction."""
        leaves, rows, resolved, states = [], [], [], []
        for folder in self._folders:
            if folder.has_uncommitted:
                more_leaves, more_rows, more_resolved = folder.drain()
                leaves += more_leaves
                rows += more_rows
                resolved += more_resolved
                states.append(folder.state)
        if states:
            self._ledger.commit(leaves=leaves, states=states, left_behind=rows, resolved=resolved)
        self._last_commit = self._terms.clock.monotonic()
        self._uncommitted = 0

    def _settle_decided(self) -> None:
        for folder in self._folders:
            while folder.error is None and folder.undecided:
                self.commit()
                folder.settle_decided()

    def _trustworthy(self, folder: FolderPass) -> Sequence[int]:
        suspects = {uid for key, uid in self._memory.suspects.copy() if key == folder.key}  # other lanes add to it
        waiting = folder.unsettled()
        return array("Q", (uid for uid in waiting if uid not in suspects)) if suspects else waiting

    def _request(self, folder: FolderPass, uids: Sequence[int]) -> ReadRequest:
        otherwise = len(uids) == 1 and uids[0] in folder.asked_otherwise
        return ReadRequest(
            folder.source.path,
            uids,
            folder.state.source_uidvalidity or None,
            folder.listed.packed if folder.listed is not None else None,
            otherwise=otherwise,
        )

    # -- from the source ------------------------------------------------------------------------------------------

    def _feed(self, requests: Sequence[ReadRequest]) -> Iterator[Message]:
        self._first, self._taken = requests[0], None
        stop = self._terms.stop
        for item in self._source.read(requests):
            if self._fatal is not None or stop.is_set():
                return
            folder = self._by_source[item.path.raw]
            if isinstance(item, Trouble):
                self._note_trouble(folder, item.error)
                continue
            self._taken = item
            if folder.error is None and self._is_to_send(folder, item):
                yield item
            elif item.stream is not None:
                deque(item.stream, maxlen=0)  # take it off the line unread
        self._first = self._taken = None

    def _note_trouble(self, folder: FolderPass, error: MigratorError) -> None:
        if error.radius is not Radius.MESSAGE:
            folder.error = error

    def _is_to_send(self, folder: FolderPass, message: Message) -> bool:
        """Prepare a message for the target; False when it is settled without being sent."""
        uid = message.uid
        at = folder.feed(uid)
        if at is None:
            return False
        if message.size_bytes == 0:
            self._leave(folder, uid, Outcome.EMPTY)
            return False
        course = folder.courses.get(uid) if folder.courses else None
        if course is None and self._is_too_big(folder, message):
            return False
        if course is not None or self._ahead or self._names(folder):
            if not self._mend(folder, message, course):
                return False
        elif self._is_there(folder, message):
            return False
        folder.address(message, at)
        if folder.altered:
            _alter(message, folder.altered.get(uid, ()))
        return True

    def _is_there(self, folder: FolderPass, message: Message) -> bool:
        """Hash a message, or see to it that it is hashed on its way; True when the target holds it already."""
        if message.whole is not None:
            self._hasher.take(message)
            if len(folder.candidates) and self._is_found(folder, message):
                return True
        if self._once is not None and self._is_twin(folder, message, self._once):
            return True
        if message.whole is None:
            message.stream = self._hasher.pass_on(message, message.stream or ())
        return False

    def _is_twin(self, folder: FolderPass, message: Message, once: StoredOnce) -> bool:
        digest = once.known.get((folder.key, message.uid))
        if message.whole is not None:
            self._hasher.wait([message])
            digest = message.digest
        return digest is not None and once.is_twin(folder, message.uid, digest)

    def _is_too_big(self, folder: FolderPass, message: Message) -> bool:
        """Leave a message behind that is bigger than the target takes; True when it is."""
        if self._limit is None or message.size_bytes <= self._limit:
            return False
        self._leave(folder, message.uid, Outcome.TOO_BIG)
        return True

    def _mend(self, folder: FolderPass, message: Message, course: Course | None) -> bool:
        """Mend a message as far as its course goes; False when it is settled without being sent."""
        piece = Workpiece(message)
        if course is None and self._was_there(folder, message, piece):
            return False
        is_next = self._apply(folder, message, piece, course)
        if course is not None and not is_next and not course.is_again:
            piece.take_back(message)
            self._leave(folder, message.uid, Outcome.REFUSED, course.error)
            return False
        if course is not None:
            course.is_again = False
        if self._is_too_big(folder, message) or (len(folder.candidates) and self._is_found(folder, message)):
            piece.take_back(message)
            return False
        return True

    def _was_there(self, folder: FolderPass, message: Message, piece: Workpiece) -> bool:
        """Match a message as the source has it, before it is mended ahead."""
        message.digest = piece.original
        if len(folder.candidates) and self._is_found(folder, message):
            piece.take_back(message)
            return True
        return False

    def _apply(self, folder: FolderPass, message: Message, piece: Workpiece, course: Course | None) -> bool:
        """Mend what is mended ahead, do again what was done before, and one repair more; True when that was found."""
        longest = self._terms.policy.longest_line
        before = [*(course.done if course else ()), *self._ahead]
        repairs = [repair for repair in dict.fromkeys(before) if piece.mend(repair, longest)]
        is_next = course is not None and course.mend(piece, longest)
        if course is not None and is_next:
            repairs.append(course.done[-1])
        if self._put_pop_name(folder, message, piece):
            repairs.append(Repair.POP_NAME)
        piece.give_to(message)
        if repairs:
            folder.mended[message.uid] = Mended(tuple(repairs), piece.size_bytes, course.error if course else None)
        return is_next

    def _names(self, folder: FolderPass) -> bool:
        """True when the messages of ``folder`` get the names by which POP3 programs know them."""
        return self._terms.policy.pop_name_of is not None and folder.source.path.is_inbox

    def _put_pop_name(self, folder: FolderPass, message: Message, piece: Workpiece) -> bool:
        """Put the name by which POP3 programs know a message into it; False where it has none, or has it already."""
        name_of = self._terms.policy.pop_name_of
        if name_of is None or not self._names(folder):
            return False
        name = name_of(folder.state.source_uidvalidity, message.uid, piece.size_bytes)
        return name is not None and is_fit(name) and piece.name(name)

    def _is_found(self, folder: FolderPass, message: Message) -> bool:
        self._hasher.wait([message])
        assert message.digest is not None
        found = folder.candidates.take(message.digest.canonical)
        if found is None:
            return False
        target_uid, present = found
        if self._terms.policy.mode is Mode.STAGE and folder.knows_flags:
            wanted = folder.pending.flags(folder.position(message.uid))
            if wanted != present:
                folder.flag_changes[target_uid] = FlagChange(wanted, present)
        folder.settle_found(message.uid, target_uid, message.size_bytes, message.digest)
        if self._once is not None:
            self._once.note_stored(folder, [message])
        self._commit_when_due(1)
        return True

    def _digest_big_twins(self) -> None:
        """Read messages ahead that are too big to be held whole and may be equal, where equal ones are stored once."""
        once, above = self._once, self._terms.limits.whole_bytes
        sound = [folder for folder in self._folders if folder.error is None] if once else []
        suspects = [(folder, uids) for folder in sound if once and (uids := once.suspects(folder, above // 2))]
        for item in self._source.read([self._request(*one) for one in suspects]) if suspects else ():
            if self.is_stopping:
                return
            if isinstance(item, Trouble):
                continue
            if item.stream is not None:
                deque(self._hasher.pass_on(item, item.stream), maxlen=0)
                self._hasher.wait([item])
                if once is not None and item.digest is not None:
                    once.known[item.path.raw, item.uid] = item.digest

    def _digest_big_ones(self) -> None:
        """Match messages too big to be held whole, before they are sent: they are read once more for it."""
        above = self._terms.limits.whole_bytes
        requests = []
        for folder in self._folders:
            if folder.error is None and len(folder.candidates) and folder.candidates.holds_big(above // 2):
                big = [
                    uid for uid in folder.unsettled() if folder.pending.size_bytes(folder.position(uid)) > above // 2
                ]
                if big:
                    requests.append(self._request(folder, big))
        for item in self._source.read(requests) if requests else ():
            if self.is_stopping:
                return
            if isinstance(item, Trouble):
                continue
            folder = self._by_source[item.path.raw]
            if item.whole is not None:
                self._hasher.take(item)
            else:
                deque(self._hasher.pass_on(item, item.stream or ()), maxlen=0)
            if item.size_bytes:
                self._is_found(folder, item)

    # -- to the target --------------------------------------------------------------------------------------------

    def _carry_all(self, waiting: Waiting) -> list[Group]:
        """Read everything into the target, all at once or recent mail first; return the bundles it refused."""
        days, refused = self._terms.policy.newest_days, list[Group]()
        for number, window in enumerate([waiting] if days is None else newest_first(waiting, days)):
            refused += self._carry([self._request(folder, uids) for folder, uids in window])
            if self.is_stopping:
                break
            if days is not None and number == 0:
                self.commit()
                self._terms.sink.emit(RecentCopied(days=days, messages=sum(len(uids) for _, uids in window)))
        return refused

    def _carry(self, requests: Sequence[ReadRequest], bundle_messages: int | None = None) -> list[Group]:
        """Read ``requests`` into the target; return the bundles it refused."""
        refused: list[Group] = []
        if not requests:
            return refused
        for receipt in self._target.append(self._feed(requests), bundle_messages=bundle_messages):
            folder = self._by_target[receipt.target.raw]
            if receipt.error is not None:
                self._note_refusal(folder, receipt, refused)
                continue
            self._hasher.wait(receipt.messages)
            folder.settle_appended(receipt.messages, receipt.target_uids)
            if self._once is not None:
                self._once.note_stored(folder, receipt.messages)
            if receipt.target_uids and (date := receipt.messages[-1].internal_date) is not None:
                self.sample = Sample(folder, receipt.target_uids[-1], date)
            if folder.mended:
                self._tell_mended(folder, receipt.messages)
            self._terms.sink.emit(
                Progress(messages=len(receipt.messages), size_bytes=sum(m.size_bytes for m in receipt.messages))
            )
            self._commit_when_due(len(receipt.messages))
        if self._once is not None:
            self._once.settle(self._folders)
        return refused

    def _note_refusal(self, folder: FolderPass, receipt: Receipt, refused: list[Group]) -> None:
        error = receipt.error
        assert error is not None
        if error.radius is Radius.MESSAGE:
            uids = [message.uid for message in receipt.messages]
            folder.unfeed(uids)
            if error.code == "message.too_big" and len(uids) == 1:
                self._learn_limit(receipt.messages[0].size_bytes)
            refused.append(Group(folder, uids, max(1, len(uids) // 2), error))
        elif error.radius is Radius.FOLDER and error.patience is not Patience.NOW:
            folder.error = error
        else:
            self._fatal = self._fatal or error

    def _learn_limit(self, refused_bytes: int) -> None:
        """Send nothing of this size again: a server without APPENDLIMIT tells by refusing."""
        limit = refused_bytes - 1
        if self._limit is None or limit < self._limit:
            self._limit = self._memory.learned_limit_bytes = limit

    def _commit_when_due(self, settled: int) -> None:
        self._uncommitted += settled
        late = self._terms.clock.monotonic() - self._last_commit >= COMMIT_SECONDS
        if late or self._uncommitted >= self._terms.limits.bundle_messages:
            self.commit()

    # -- second chances -------------------------------------------------------------------------------------------

    def _second_chances(self, refused: list[Group], waiting: dict[bytes, Sequence[int]]) -> None:
        groups = deque(refused)
        blamed = {(group.folder.key, uid) for group in refused for uid in group.uids}
        for folder in self._folders:
            if not folder.has_work:
                continue
            missing = [
                uid
                for uid in waiting.get(folder.key, ())
                if (folder.key, uid) not in blamed and not folder.is_settled(uid)
            ]
            if missing and folder.error is None and not self.is_stopping:
                still_there = self._leave_vanished(folder, missing)
                if still_there:
                    groups.append(Group(folder, still_there, None, None))
        while groups and not self.is_stopping:
            self._chance(groups.popleft(), groups)

    def _chance(self, group: Group, groups: deque[Group]) -> None:
        folder = group.folder
        uid, error = group.uids[0], group.error
        if len(group.uids) == 1 and error is not None and not self._may_go_again(folder, uid, error):
            self._leave(folder, uid, OUTCOME_BY_CODE.get(error.code, Outcome.REFUSED), error)
            return
        refused = self._carry([self._request(folder, group.uids)], group.bundle_messages)
        blamed = {uid for again in refused for uid in again.uids}
        groups.extendleft(reversed(refused))  # depth first: what goes late goes in the order of the source
        missing = [uid for uid in group.uids if uid not in blamed and not folder.is_settled(uid)]
        if not missing or self.is_stopping or folder.error is not None:
            return
        if len(group.uids) == 1:
            if not self._may_ask_otherwise(folder, uid):
                self._leave_unreadable(folder, missing)
            else:
                groups.appendleft(group)
            return
        middle = (len(missing) + 1) // 2
        halves = [half for half in (missing[:middle], missing[middle:]) if half]
        groups.extendleft(Group(folder, half, group.bundle_messages, group.error) for half in reversed(halves))

    def _may_go_again(self, folder: FolderPass, uid: int, error: MigratorError) -> bool:
        return self._may_alter(folder, uid, error) or self._may_mend(folder, uid, error)

    def _may_mend(self, folder: FolderPass, uid: int, error: MigratorError) -> bool:
        """Say whether a message that was refused alone may go again: as it is, or after one repair more."""
        allowed = self._terms.policy.repairs
        course = folder.courses.get(uid)
        if course is not None:
            return course.take_refusal(error, allowed)
        course = begin_course(error, allowed)
        if course is None:
            return False
        folder.courses[uid] = course
        return True

    def _tell_mended(self, folder: FolderPass, messages: Sequence[Message]) -> None:
        for message in messages:
            mended = folder.mended.get(message.uid)
            if mended is not None:
                self._terms.sink.emit(
                    MessageRepaired(
                        folder=folder.source.path.display,
                        uid=message.uid,
                        repairs=mended.names,
                        error=mended.refusal,
                    )
                )

    def _may_alter(self, folder: FolderPass, uid: int, error: MigratorError) -> bool:
        """Give up something beside the body, once, when that is what the server refuses."""
        what = ALTERATION_BY_CODE.get(error.code)
        done = folder.altered.setdefault(uid, set())
        if what is None or what in done:
            return False
        done.add(what)
        self._terms.sink.emit(MessageAltered(folder=folder.source.path.display, uid=uid, what=what))
        return True

    def _leave_vanished(self, folder: FolderPass, missing: Sequence[int]) -> list[int]:
        """Settle what the source no longer lists; return what it still does."""
        request = ScanRequest(folder.source.path, folder.state.source_uidvalidity or None, missing[0] - 1)
        wanted = set(missing)
        for item in self._source.scan([request]):
            if isinstance(item, Trouble):
                folder.error = item.error
                return []
            wanted.discard(item.uid)
        for uid in sorted(wanted):
            self._leave(folder, uid, Outcome.VANISHED)
        return [uid for uid in missing if uid not in wanted]

    def _may_ask_otherwise(self, folder: FolderPass, uid: int) -> bool:
        """Say whether a message that was not handed out is to be asked for in other ways, once."""
        is_new = uid not in folder.asked_otherwise and folder.pending.size_bytes(folder.position(uid)) > 0
        if is_new and self._source.features.reads_otherwise:
            folder.asked_otherwise.add(uid)
            return True
        return False

    def _leave_unreadable(self, folder: FolderPass, missing: Sequence[int]) -> None:
        for uid in self._leave_vanished(folder, missing):
            if folder.pending.size_bytes(folder.position(uid)) == 0:
                self._leave(folder, uid, Outcome.EMPTY)  # nothing there to hand out
            else:
                self._leave(folder, uid, Outcome.UNREADABLE, MigratorError("message.unreadable", side=Side.SOURCE))

    def _read_suspects(self) -> None:
        """Read the messages at which the line died before, each alone."""
        for key, uid in sorted(self._memory.suspects - self._memory.poison):
            folder = self._by_source.get(key)
            if folder is None or folder.error is not None or self.is_stopping or uid not in folder.unsettled():
                continue
            self._alone = (key, uid)
            groups = deque((Group(folder, [uid], 1, None),))
            while groups and not self.is_stopping:
                self._chance(groups.popleft(), groups)
            self._alone = None

    def _settle_poison(self) -> None:
        for key, uid in self._memory.poison.copy():
            folder = self._by_source.get(key)
            if folder is not None and uid in folder.unsettled():
                self._leave(folder, uid, Outcome.UNREADABLE, MigratorError("message.unreadable", side=Side.SOURCE))

    def _note_death(self, error: MigratorError) -> None:
        """Remember which message the source's line died at; the first death of one means nothing."""
        if error.side is not Side.SOURCE or error.patience is not Patience.NOW:
            return
        place = self._alone or self._reading()
        if place is not None:
            self._memory.note_death(place, alone=self._alone is not None)

    def _reading(self) -> Place | None:
        """Return whose body was on the line, or was to come next."""
        taken = self._taken
        if taken is None:
            return (self._first.path.raw, self._first.uids[0]) if self._first else None
        if taken.stream is not None:
            return taken.path.raw, taken.uid
        following = self._by_source[taken.path.raw].next_after(taken.uid)
        return (taken.path.raw, following) if following is not None else None

    def _leave(self, folder: FolderPass, uid: int, outcome: Outcome, error: MigratorError | None = None) -> None:
        folder.settle_left(uid, outcome, error)
        self._terms.sink.emit(
            MessageLeftBehind(folder=folder.source.path.display, uid=uid, outcome=outcome, error=error)
        )


def _alter(message: Message, what: Sequence[str] | set[str]) -> None:
    if "flags" in what:
        message.flags = frozenset(flag for flag in message.flags if flag.startswith("\\"))
    if "date" in what:
        early = message.internal_date is not None and message.internal_date < 0
        # Some servers refuse dates before 1970: the nearest they take says more than the date of the copy.
        message.internal_date, message.zone_minutes = (0, 0) if early else (None, 0)
