"""Gmail: one message lies in many folders. Every place has one outcome, and nothing is lost or copied in vain."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from migrator.events import Event, LabelsHidden, LabelsUnseen
from migrator.limits import Limits
from migrator.mail import FolderPath, Outcome
from migrator.stores.imap_source import ImapSource
from migrator.stores.imap_target import ImapTarget
from migrator.stores.manners import Manners
from migrator.testing import MemoryMailbox, MemorySource, MemoryTarget
from migrator.transfer.copy import PassResult, run_pass
from migrator.transfer.folders import FolderRules
from migrator.transfer.ledger import Ledger
from migrator.transfer.memory_ledger import MemoryLedger
from migrator.transfer.plan import CopyPolicy, LabelPolicy
from migrator.transfer.proof import prove
from migrator.transfer.verify import VerifyLevel, verify
from tests.rigs.gmail import ALL_MAIL, Gmail
from tests.rigs.scripted import Command, Conversation

LIMITS = Limits(io_seconds=10, quiet_seconds=0.05)
SENT, TRASH = "[Gmail]/Sent Mail", "[Gmail]/Trash"


def letter(name: str) -> bytes:
    return b"Subject: %b\r\n\r\nbody of %b\r\n" % (name.encode(), name.encode())


def holds(mailbox: MemoryMailbox) -> dict[str, list[bytes]]:
    """Return the folders that hold messages."""
    return {name: [body for body, _, _ in held] for name, held in mailbox.contents().items() if held}


def flags_of(mailbox: MemoryMailbox, folder: str, body: bytes) -> frozenset[str]:
    return next(flags for one, flags, _ in mailbox.contents()[folder] if one == body)


class Log:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def emit(self, event: Event) -> None:
        self.events.append(event)


def cross(
    old: Gmail, new: MemoryMailbox, ledger: Ledger, policy: CopyPolicy | None = None, log: Log | None = None
) -> PassResult:
    policy = policy or CopyPolicy()
    manners = Manners(labels_as_keywords=policy.labels is LabelPolicy.KEYWORDS)
    with (
        ImapSource(old.peer.endpoint(user="anna", manners=manners), LIMITS) as source,
        MemoryTarget(new, limits=LIMITS) as target,
    ):
        result = run_pass(source, target, ledger, policy=policy, limits=LIMITS, sink=log or Log())
        if result.is_balanced:
            assert verify(source, target, ledger, level=VerifyLevel.DIGEST, rules=policy.rules).is_clean
            assert prove(ledger).is_balanced
        return result


def filled(old: Gmail) -> None:
    old.put(letter("inbox"), "INBOX")
    old.put(letter("both"), "INBOX", "Work")
    old.put(letter("starred"), "Work", "[Gmail]/Starred", "[Gmail]/Important", flags=("\\Flagged",))
    old.put(letter("sent"), SENT)
    old.put(letter("archived"))
    old.put(letter("gone"), TRASH)


@pytest.mark.req("D-26", "D-99")
def test_each_folder_has_its_messages_and_the_archive_what_lies_nowhere_else() -> None:
    with Gmail() as old, nullcontext(MemoryMailbox()) as new:
        filled(old)
        ledger = MemoryLedger()
        result = cross(old, new, ledger)
        assert result.is_balanced
        assert holds(new) == {
            "INBOX": [letter("inbox"), letter("both")],
            "Work": [letter("both"), letter("starred")],
            "Sent Mail": [letter("sent")],
            "Trash": [letter("gone")],
            "All Mail": [letter("archived")],
        }
        assert (new["All Mail"].special_use, new["Sent Mail"].special_use) == ("\\Archive", "\\Sent")
        assert result.totals == {Outcome.COPIED: 7, Outcome.BY_LABEL: 4}
        assert result.listed == 11  # every place of every message that is copied from: 2 + 2 + 1 + 1 + 5
        assert {folder.reason for folder in result.left_out} == {"virtual"}
        again = cross(old, new, ledger)
        assert (again.appended, again.is_balanced, again.totals) == (0, True, result.totals)


@pytest.mark.req("D-99")
@pytest.mark.parametrize("policy", [LabelPolicy.FIRST, LabelPolicy.KEYWORDS])
def test_each_message_is_copied_once_where_that_was_chosen(policy: LabelPolicy) -> None:
    with Gmail() as old, nullcontext(MemoryMailbox()) as new:
        filled(old)
        ledger = MemoryLedger()
        result = cross(old, new, ledger, CopyPolicy(labels=policy))
        assert result.is_balanced
        assert holds(new) == {
            "INBOX": [letter("inbox"), letter("both")],
            "Work": [letter("starred")],
            "Sent Mail": [letter("sent")],
            "Trash": [letter("gone")],
            "All Mail": [letter("archived")],
        }
        assert result.totals == {Outcome.COPIED: 6, Outcome.BY_LABEL: 5}
        is_told = policy is LabelPolicy.KEYWORDS
        assert flags_of(new, "INBOX", letter("both")) == ({"Work"} if is_told else set())
        assert flags_of(new, "Work", letter("starred")) == {"\\Flagged", *(["$Important"] if is_told else [])}


def test_a_label_is_a_keyword_without_what_keywords_may_not_hold() -> None:
    with Gmail() as old, nullcontext(MemoryMailbox()) as new:
        old.put(letter("a"), "INBOX", "My Work (old)", "[Gmail]/Important", "Caf&AOk-")
        cross(old, new, MemoryLedger(), CopyPolicy(labels=LabelPolicy.KEYWORDS))
        assert flags_of(new, "INBOX", letter("a")) == {"My_Work__old_", "$Important", "Caf&AOk-"}


@pytest.mark.req("D-99")
def test_what_is_archived_and_labelled_between_passes_is_not_copied_again() -> None:
    with Gmail() as old, nullcontext(MemoryMailbox()) as new:
        filled(old)
        ledger = MemoryLedger()
        cross(old, new, ledger)
        inbox = old.boxes["INBOX"]
        inbox.remove(next(iter(inbox.letters.values())))  # archived by its owner: it was copied from INBOX
        old.put(letter("new"), "Work")
        old.put(letter("later archived"))
        result = cross(old, new, ledger)
        assert (result.appended, result.is_balanced, result.removed) == (2, True, 1)
        assert holds(new)["All Mail"] == [letter("archived"), letter("later archived")]
        assert holds(new)["Work"] == [letter("both"), letter("starred"), letter("new")]
        assert cross(old, new, ledger).appended == 0


class Moving(Gmail):
    """Its owner archives a message after all is listed, and before it is read from the inbox."""

    def uid_fetch(self, talk: Conversation, command: Command) -> None:
        inbox = self.boxes["INBOX"]
        if b"BODY" in command.words and self._open[talk] == "INBOX" and len(inbox.letters) == 2:
            inbox.remove(list(inbox.letters.values())[1])
        super().uid_fetch(talk, command)


@pytest.mark.req("D-39")
@pytest.mark.parametrize("policy", list(LabelPolicy))
def test_a_message_that_its_owner_archives_during_the_copy_is_copied_from_the_archive(policy: LabelPolicy) -> None:
    with Moving() as old, nullcontext(MemoryMailbox()) as new:
        old.put(letter("stays"), "INBOX")
        old.put(letter("moves"), "INBOX")
        result = cross(old, new, MemoryLedger(), CopyPolicy(labels=policy))
        assert result.is_balanced
        assert holds(new) == {"INBOX": [letter("stays")], "All Mail": [letter("moves")]}
        assert result.totals == {Outcome.COPIED: 2, Outcome.BY_LABEL: 1, Outcome.VANISHED: 1}


@pytest.mark.req("D-80")
def test_a_mark_of_deletion_under_one_label_does_not_lose_the_message() -> None:
    class Marked(Gmail):
        def _items(self, name, uid, letter, words):  # type: ignore[no-untyped-def]
            letter.flags = {"\\Deleted"} if name == "INBOX" else set()
            return super()._items(name, uid, letter, words)

    with Marked() as old, nullcontext(MemoryMailbox()) as new:
        old.put(letter("unlabelled"), "INBOX")
        result = cross(old, new, MemoryLedger())
        assert result.is_balanced
        assert holds(new) == {"All Mail": [letter("unlabelled")]}
        assert result.totals == {Outcome.COPIED: 1, Outcome.MARKED_DELETED: 1}


@pytest.mark.req("D-100")
def test_mail_under_a_label_that_is_hidden_is_copied_from_the_archive_and_told() -> None:
    with Gmail() as old, nullcontext(MemoryMailbox()) as new:
        old.put(letter("secret"), hidden=("Secret",))
        old.put(letter("known"), "INBOX", hidden=("Secret",))
        log = Log()
        assert cross(old, new, MemoryLedger(), log=log).is_balanced
        assert holds(new) == {"INBOX": [letter("known")], "All Mail": [letter("secret")]}
        assert LabelsUnseen(label="Secret", messages=1) in log.events
        assert not any(isinstance(event, LabelsHidden) for event in log.events)


@pytest.mark.req("D-100")
def test_a_folder_of_all_mail_that_is_not_shown_is_told() -> None:
    with Gmail(all_mail=False) as old, nullcontext(MemoryMailbox()) as new:
        old.put(letter("a"), "INBOX")
        log = Log()
        assert cross(old, new, MemoryLedger(), log=log).is_balanced
        assert LabelsHidden(messages=0) in log.events


@pytest.mark.req("D-100")
def test_folders_that_end_at_one_of_the_limits_of_the_settings_are_told() -> None:
    with Gmail() as old, nullcontext(MemoryMailbox()) as new:
        for number in range(1000):
            old.put(letter(f"{number}"), "INBOX")
        log = Log()
        assert cross(old, new, MemoryLedger(), log=log).totals == {Outcome.COPIED: 1000, Outcome.BY_LABEL: 1000}
        assert LabelsHidden(messages=1000) in log.events


def test_without_the_folder_of_all_mail_each_folder_is_copied_as_it_is() -> None:
    with Gmail() as old, nullcontext(MemoryMailbox()) as new:
        filled(old)
        log = Log()
        policy = CopyPolicy(rules=FolderRules(skip_roles=frozenset(("\\All",))))
        result = cross(old, new, MemoryLedger(), policy, log)
        assert (result.is_balanced, result.listed) == (True, 6)
        assert not any(isinstance(event, LabelsHidden) for event in log.events)
        assert FolderPath(ALL_MAIL.encode()) in [folder.source for folder in result.left_out]


def into(new: Gmail, old: MemoryMailbox, ledger: Ledger) -> PassResult:
    with (
        MemorySource(old, limits=LIMITS) as source,
        ImapTarget(new.peer.endpoint(user="anna"), LIMITS) as target,
    ):
        result = run_pass(source, target, ledger, limits=LIMITS, sink=Log())
        assert verify(source, target, ledger, level=VerifyLevel.DIGEST).is_clean
        assert prove(ledger).is_balanced
        return result


@pytest.mark.req("D-101")
def test_gmail_as_the_new_server_gets_equal_messages_of_a_folder_once_and_labels_in_place_of_copies() -> None:
    old, ledger = MemoryMailbox(), MemoryLedger()
    for folder in ("INBOX", "Work"):
        for name in ("a", "b", "a"):
            old.deliver(folder, letter(name), ["\\Seen"])
    old.add_folder("Sent", special_use="\\Sent")
    old.deliver("Sent", letter("c"))
    with Gmail() as new:
        result = into(new, old, ledger)
        assert (result.is_balanced, result.totals) == (True, {Outcome.COPIED: 5, Outcome.DUPLICATE: 2})
        assert new.holds() == {
            "INBOX": [letter("a"), letter("b")], "Work": [letter("a"), letter("b")], SENT: [letter("c")]
        }  # fmt: skip
        assert len(new.boxes[ALL_MAIL].letters) == 3
        assert len(new.peer.said("APPEND")) == 5  # nothing is sent only to be merged
        old.deliver("INBOX", letter("a"))
        again = into(new, old, ledger)
        assert (again.appended, again.totals[Outcome.DUPLICATE]) == (0, 3)


@pytest.mark.req("D-101")
def test_what_gmail_takes_for_one_though_it_differs_is_counted_and_not_taken_for_two() -> None:
    old, ledger = MemoryMailbox(), MemoryLedger()
    for route in ("one", "two"):
        old.deliver("INBOX", b"Received: by way %b\r\nMessage-ID: <1@x>\r\n\r\nbody\r\n" % route.encode())
    with Gmail() as new:
        result = into(new, old, ledger)
        assert (result.appended, result.totals) == (1, {Outcome.COPIED: 1, Outcome.DUPLICATE: 1})
        assert into(new, old, ledger).appended == 0


EXCEEDED = "NO [OVERQUOTA] Account exceeded command or bandwidth limits. (Failure)"


class Exhausted(Gmail):
    """Has handed out and taken enough for today after ``most`` bodies; tomorrow it goes on."""

    most = 5

    def uid_fetch(self, talk: Conversation, command: Command) -> None:
        if b"BODY" in command.words and self._open[talk] == "INBOX" and self.most:
            self.most = 0
            inbox, whole = self.boxes["INBOX"], dict(self.boxes["INBOX"].letters)
            inbox.letters = dict(list(whole.items())[:5])
            super().uid_fetch(talk, command._replace(tag=b"*"))
            inbox.letters = whole
            talk.say(f"$ {EXCEEDED}", command)
        else:
            super().uid_fetch(talk, command)

    def append(self, talk: Conversation, command: Command) -> None:
        if self.most == 1:
            self.most = 0
            talk.say(f"$ {EXCEEDED}", command)
        else:
            self.most = max(0, self.most - 1)
            super().append(talk, command)


@pytest.mark.req("C-23")
def test_the_limit_of_a_day_ends_the_pass_for_an_hour_and_nothing_is_fetched_twice() -> None:
    with Exhausted() as old, nullcontext(MemoryMailbox()) as new:
        for number in range(12):
            old.put(letter(f"{number}"), "INBOX")
        ledger = MemoryLedger()
        result = cross(old, new, ledger)
        assert result.error is not None
        assert (result.error.code, result.error.retry_after) == ("server.throttled", 3600)
        copied = result.appended
        assert copied == len(new["INBOX"].messages) == 5
        again = cross(old, new, ledger)
        assert (again.is_balanced, again.appended) == (True, 12 - copied)
        assert [message.body for message in new["INBOX"].messages.values()] == [letter(f"{n}") for n in range(12)]


@pytest.mark.req("C-23")
def test_a_full_day_of_gmail_as_the_new_server_is_no_full_mailbox() -> None:
    old, ledger = MemoryMailbox(), MemoryLedger()
    for number in range(12):
        old.deliver("INBOX", letter(f"{number}"))
    with Exhausted() as new:
        with MemorySource(old, limits=LIMITS) as source, ImapTarget(new.peer.endpoint(), LIMITS) as target:
            error = run_pass(source, target, ledger, limits=LIMITS, sink=Log()).error
        assert error is not None
        assert (error.code, error.retry_after) == ("server.throttled", 3600)
        assert into(new, old, ledger).is_balanced
        assert sorted(new.holds()["INBOX"]) == sorted(letter(f"{n}") for n in range(12))


@pytest.mark.req("C-22", "C-24")
@pytest.mark.parametrize(
    ("words", "code", "seconds"),
    [
        ("NO [ALERT] Lockdown in sector 4 (Failure)", "server.locked_out", 86_400),
        ("NO [ALERT] Too many simultaneous connections. (Failure)", "server.too_many_connections", None),
    ],
)
def test_who_is_locked_out_is_not_tried_again_at_once(words: str, code: str, seconds: int | None) -> None:
    with Gmail() as old, nullcontext(MemoryMailbox()) as new:
        old.peer._answers["LOGIN"] = old.peer._answers["AUTHENTICATE"] = [f"$ {words}"]
        error = cross(old, new, MemoryLedger()).error
        assert error is not None
        assert (error.code, error.retry_after if seconds else None) == (code, seconds)
        assert sum(verb in ("LOGIN", "AUTHENTICATE") for verb in old.peer.verbs()) == 1
