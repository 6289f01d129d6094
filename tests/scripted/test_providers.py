"""What is peculiar to single servers, played by one that greets as they do."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from migrator.events import DatesNotKept, FolderLeftOut
from migrator.limits import Limits
from migrator.mail import Outcome
from migrator.stores.imap_search import fault_of
from migrator.stores.imap_source import ImapSource
from migrator.testing import MemoryMailbox, MemorySource, MemoryTarget, RecordingSink
from migrator.transfer.copy import PassResult, run_pass
from migrator.transfer.folders import FolderRules
from migrator.transfer.memory_ledger import MemoryLedger
from migrator.transfer.plan import CopyPolicy
from migrator.transfer.proof import prove
from migrator.transfer.verify import VerifyLevel, verify
from tests.rigs.communigate import CommuniGate
from tests.rigs.scripted import Command, Conversation

LIMITS = Limits(io_seconds=10)
PROTON = "Proton Mail Bridge 03.08.01 - gluon session ID 3"
DAVMAIL = "IMAP4rev1 DavMail server ready"
ZIMBRA = "host Zimbra IMAP4rev1 server ready"


def letter(name: str) -> bytes:
    return b"Subject: %b\r\n\r\nbody\r\n" % name.encode()


def cross(old: CommuniGate, new: MemoryMailbox, ledger: MemoryLedger, product: str = "") -> PassResult:
    """Copy as a run of its own does: with new sessions."""
    with (
        ImapSource(old.peer.endpoint(user="anna", product=product), LIMITS) as source,
        MemoryTarget(new, limits=LIMITS) as target,
    ):
        result = run_pass(source, target, ledger, limits=LIMITS)
        assert result.is_balanced
        assert verify(source, target, ledger, level=VerifyLevel.LEDGER).is_clean
        assert prove(ledger).is_balanced
        return result


def greeting_as(words: str, old: CommuniGate) -> None:
    old.peer._greeting = f"* OK [CAPABILITY IMAP4rev1] {words}"


@pytest.mark.req("D-32")
@pytest.mark.parametrize("words", [PROTON, DAVMAIL])
def test_messages_are_known_by_content_where_numbers_do_not_last(words: str) -> None:
    with CommuniGate("anna") as old:
        greeting_as(words, old)
        old.put("anna", "INBOX", *map(letter, "abc"))
        new, ledger = MemoryMailbox(), MemoryLedger()
        assert cross(old, new, ledger).appended == 3
        assert cross(old, new, ledger).appended == 0
        # the same UIDVALIDITY, and other messages under the numbers of before
        old.boxes["anna", "INBOX"].messages = [*map(letter, "dabc")]
        assert cross(old, new, ledger).appended == 1
        held = sorted(message.body for message in new["INBOX"].messages.values())
        assert held == [*map(letter, "abcd")]


def test_an_operator_can_say_so_of_any_server() -> None:
    with CommuniGate("anna") as old:
        old.put("anna", "INBOX", *map(letter, "abc"))
        new, ledger = MemoryMailbox(), MemoryLedger()
        cross(old, new, ledger, "DavMail")
        old.boxes["anna", "INBOX"].messages = [*map(letter, "dabc")]
        assert cross(old, new, ledger, "DavMail").appended == 1
        assert len(new["INBOX"].messages) == 4


class Twofold(CommuniGate):
    """Shows a message whole in other words than in two parts; its sizes are of neither."""

    def uid_fetch(self, talk: Conversation, command: Command) -> None:
        if re.search(rb"BODY\.PEEK\[(HEADER|TEXT)", command.words):
            talk.say("* 1 FETCH (UID 1 BODY[HEADER] {4}\nab\n BODY[TEXT] {2}\nx)\n$ OK done", command)
            return
        super().uid_fetch(talk, command)


@pytest.mark.req("D-48")
def test_a_zimbra_is_asked_for_whole_messages_and_never_for_header_and_text() -> None:
    with Twofold("anna") as old:
        greeting_as(ZIMBRA, old)
        old.put("anna", "INBOX", letter("a"), letter("b"))
        new, ledger = MemoryMailbox(), MemoryLedger()
        assert cross(old, new, ledger).totals == {Outcome.COPIED: 2}
        assert [message.body for message in new["INBOX"].messages.values()] == [letter("a"), letter("b")]
        bodies = [words for words in old.peer.said("UID FETCH") if b"BODY" in words]
        assert all(b"BODY.PEEK[])" in words for words in bodies)
        record = next(record for leaf in ledger.leaves(b"INBOX") for record in leaf.records())
        assert record.size_bytes == len(letter("a"))


class Now(MemoryTarget):
    """Gives every message the time of the copy."""

    def append(self, messages, *, bundle_messages=None):  # type: ignore[no-untyped-def]
        for receipt in super().append(messages, bundle_messages=bundle_messages):
            for message in self.mailbox.find(receipt.target).messages.values():
                message.internal_date = 1_764_000_000
            yield receipt


@pytest.mark.req("D-85")
@pytest.mark.parametrize("is_known", [False, True])
def test_a_target_that_takes_the_time_of_the_copy_is_found_out_by_one_message(is_known: bool) -> None:
    old, new, sink, ledger = MemoryMailbox(), MemoryMailbox(), RecordingSink(), MemoryLedger()
    new.features = replace(new.features, keeps_internal_date=is_known)
    for folder in ("INBOX", "Work"):
        for name in "abc":
            old.deliver(folder, letter(name), internal_date=1_000_000_000)
    for number in range(2):
        with MemorySource(old, limits=LIMITS) as source, Now(new, limits=LIMITS) as target:
            assert run_pass(source, target, ledger, sink=sink, limits=LIMITS).is_balanced
        told = [event for event in sink.events if isinstance(event, DatesNotKept)]
        assert told == ([] if is_known else [DatesNotKept(folder="Work", given=1_000_000_000, kept=1_764_000_000)])
        old.deliver("INBOX", letter(f"later {number}"))


def test_a_target_that_keeps_dates_is_told_nothing_of() -> None:
    old, new, sink = MemoryMailbox(), MemoryMailbox(), RecordingSink()
    new.features = replace(new.features, keeps_internal_date=False)
    old.deliver("INBOX", letter("a"), internal_date=1_000_000_000)
    with MemorySource(old, limits=LIMITS) as source, MemoryTarget(new, limits=LIMITS) as target:
        assert run_pass(source, target, MemoryLedger(), sink=sink, limits=LIMITS).is_balanced
    assert not [event for event in sink.events if isinstance(event, DatesNotKept)]


EXCHANGE = "The Microsoft Exchange IMAP4 service is ready. [TQBB]"


@pytest.mark.req("D-102")
@pytest.mark.parametrize(("words", "is_skipped"), [(EXCHANGE, True), (EXCHANGE, False), ("Courier-IMAP ready", True)])
def test_folders_of_calendars_and_contacts_are_left_out_where_that_was_chosen_and_told(
    words: str, is_skipped: bool
) -> None:
    with CommuniGate("anna") as old:
        greeting_as(words, old)
        for folder in ("INBOX", "Calendar", "Kontakte", "Kontakte/Work", "Old/Calendar", "Notes of mine"):
            old.put("anna", folder, letter(folder))
        new, sink = MemoryMailbox(), RecordingSink()
        policy = CopyPolicy(rules=FolderRules(skip_groupware=is_skipped))
        with (
            ImapSource(old.peer.endpoint(user="anna"), LIMITS) as source,
            MemoryTarget(new, limits=LIMITS) as target,
        ):
            result = run_pass(source, target, MemoryLedger(), policy=policy, sink=sink, limits=LIMITS)
        assert result.is_balanced
        told = [event for event in sink.events if isinstance(event, FolderLeftOut)]
        if is_skipped and words == EXCHANGE:
            assert {(event.folder, event.reason, event.messages) for event in told} == {
                ("Calendar", "groupware", 1), ("Kontakte", "groupware", 1), ("Kontakte/Work", "groupware", 1)
            }  # fmt: skip
            assert {name for name, held in new.contents().items() if held} == {"INBOX", "Old/Calendar", "Notes of mine"}
        else:
            assert (told, result.appended) == ([], 6)


class Searching(CommuniGate):
    """Finds what holds the word that is asked for."""

    hits = staticmethod(lambda body, keys: keys.split()[-1].strip(b'"') in body)

    def __init__(self, *accounts: str) -> None:
        super().__init__(*accounts)
        self.peer._answers["UID SEARCH"] = [self.search]

    def search(self, talk: Conversation, command: Command) -> None:
        keys = command.words.removeprefix(b"UID SEARCH ")
        if keys.startswith(b"NONSENSE"):
            talk.say("$ BAD unknown key", command)
            return
        numbers = [number for number, body in enumerate(self._open[talk].messages, 1) if self.hits(body, keys)]
        talk.say("".join(f"* SEARCH {number}\n" for number in numbers) + "$ OK done", command)


def searched(old: CommuniGate, new: MemoryMailbox, ledger: MemoryLedger, keys: str) -> PassResult:
    with (
        ImapSource(old.peer.endpoint(user="anna"), LIMITS) as source,
        MemoryTarget(new, limits=LIMITS) as target,
    ):
        return run_pass(source, target, ledger, policy=CopyPolicy(search=keys), limits=LIMITS)


def test_only_what_a_search_finds_is_copied_and_the_rest_when_nobody_searches_any_more() -> None:
    with Searching("anna") as old:
        old.put("anna", "INBOX", *map(letter, ("red 1", "blue 2", "red 3")))
        old.put("anna", "Work", letter("blue 4"))
        new, ledger = MemoryMailbox(), MemoryLedger()
        result = searched(old, new, ledger, 'SUBJECT "red"')
        assert (result.is_balanced, result.totals) == (True, {Outcome.COPIED: 2, Outcome.FILTERED: 2})
        assert old.peer.said("UID SEARCH") == [b'UID SEARCH SUBJECT "red"'] * 2
        again = searched(old, new, ledger, 'SUBJECT "red"')
        assert (again.is_balanced, again.appended, again.totals) == (True, 0, result.totals)
        assert sum(1 for leaf in ledger.leaves(b"INBOX") for _ in leaf.records()) == 3
        wider = searched(old, new, ledger, "SUBJECT blue")
        assert (wider.is_balanced, wider.appended, wider.totals) == (True, 2, {Outcome.COPIED: 4})
        whole = searched(old, new, ledger, "")
        assert (whole.is_balanced, whole.appended) == (True, 0)
        assert prove(ledger).is_balanced


def test_nothing_is_copied_where_a_search_is_not_understood_or_not_possible() -> None:
    with Searching("anna") as old:
        old.put("anna", "INBOX", letter("a"))
        new = MemoryMailbox()
        refused = searched(old, new, MemoryLedger(), "NONSENSE 1").error
        assert refused is not None
        assert (refused.code, refused.reply) == ("filter.refused", "unknown key")
        with MemorySource(MemoryMailbox(), limits=LIMITS) as source, MemoryTarget(new, limits=LIMITS) as target:
            error = run_pass(source, target, MemoryLedger(), policy=CopyPolicy(search="ALL"), limits=LIMITS).error
        assert error is not None
        assert error.code == "filter.refused"
        assert not new["INBOX"].messages


@pytest.mark.parametrize("keys", ["", " ", "FROM \u00e4", "ALL\r\nA1 LOGOUT", 'SUBJECT "open', "TEXT {5}", "TEXT {5+}"])
def test_keys_that_would_be_something_else_on_the_wire_are_refused(keys: str) -> None:
    assert fault_of(keys)
    assert not fault_of('OR FROM anna SUBJECT "a \\"quoted\\" word"')
