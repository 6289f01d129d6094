"""Metadata from servers that answer in every order, with noise, gaps and lies."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from migrator.errors import MigratorError, Patience
from migrator.mail import FolderPath, MessageMeta
from migrator.stores.base import ScanRequest, Trouble
from migrator.stores.imap_scan import HELD_ROWS
from migrator.stores.imap_source import ImapSource
from tests.rigs.listener import QUICK
from tests.rigs.scripted import Answer, Answers, Command, Conversation, Peer, close, raw, then

DATE = '" 1-Jan-2020 00:00:00 +0000"'
INSTANT = 1577836800
INBOX = FolderPath(b"INBOX")


def row(uid: int, *, number: int = 1, flags: str = "", size: int = 10) -> str:
    return f"* {number} FETCH (UID {uid} FLAGS ({flags}) INTERNALDATE {DATE} RFC822.SIZE {size})"


def scanned(
    fetch: Answer | Sequence[Answer],
    requests: Sequence[ScanRequest] = (ScanRequest(INBOX),),
    *,
    examine: Answer | Sequence[Answer] = "* 9 EXISTS\n* OK [UIDVALIDITY 7] ok\n$ OK [READ-ONLY] done",
    capabilities: str = "IMAP4rev1",
) -> tuple[list[MessageMeta | Trouble], Peer]:
    with (
        Peer({"EXAMINE": examine, "UID FETCH": fetch}, capabilities=capabilities) as peer,
        ImapSource(peer.endpoint(), QUICK) as source,
    ):
        return list(source.scan(requests)), peer


def uids(found: Sequence[MessageMeta | Trouble]) -> list[int]:
    assert all(isinstance(one, MessageMeta) for one in found), found
    return [one.uid for one in found if isinstance(one, MessageMeta)]


def trouble(found: Sequence[MessageMeta | Trouble]) -> Trouble:
    (one,) = (one for one in found if isinstance(one, Trouble))
    return one


@pytest.mark.req("D-30", "D-76")
def test_the_source_is_only_examined_and_a_row_says_everything() -> None:
    found, peer = scanned(row(5, flags="\\Seen \\recent $Label", size=321) + "\n$ OK done")
    assert found == [MessageMeta(INBOX, 5, 321, INSTANT, 0, frozenset(("\\Seen", "$Label")))]
    assert peer.said("EXAMINE") == [b'EXAMINE "INBOX"']
    assert peer.said("UID FETCH") == [b"UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE)"]
    assert "SELECT" not in peer.verbs()


def test_all_folders_are_asked_in_one_send() -> None:
    requests = [ScanRequest(FolderPath(b"f%d" % number)) for number in range(40)]
    found, peer = scanned(f"{row(3)}\n$ OK done", requests)
    assert [one.path for one in found] == [request.path for request in requests]
    assert len(peer.flights) == 3


def test_hundreds_of_folders_are_asked_ahead_within_bounds() -> None:
    requests = [ScanRequest(FolderPath(b"folder %d" % number)) for number in range(700)]
    found, peer = scanned(f"{row(3)}\n$ OK done", requests)
    assert [one.path for one in found] == [request.path for request in requests]
    assert all(len(flight) < 64 * 1024 for flight in peer.flights)


@pytest.mark.req("D-49", "D-83")
@pytest.mark.parametrize(
    "answer",
    [
        f"* 1 FETCH (FLAGS () UID 5 INTERNALDATE {DATE} RFC822.SIZE 10)",  # Cyrus
        f"* 1 FETCH (RFC822.SIZE 10 INTERNALDATE {DATE} FLAGS () UID 5)",
        f"* 1 FETCH (UID 5 MODSEQ (12) FLAGS () INTERNALDATE {DATE} RFC822.SIZE 10)",
        f"* 1 FETCH (UID 5 FLAGS () INTERNALDATE {DATE} RFC822.SIZE 10 X-GM-MSGID 99 X (a (b)))",
        f'* 1 FETCH (X-GM-LABELS ("\\\\Inbox" "UID 77 ") UID 5 FLAGS () INTERNALDATE {DATE} RFC822.SIZE 10)',
        "* 1 FETCH (UID 5 X-NOTE {7}\r\n(UID 6) FLAGS () INTERNALDATE " + DATE + " RFC822.SIZE 10)",
        "* 1 FETCH (UID 5 FLAGS () INTERNALDATE {26}\r\n" + DATE.strip('"') + " RFC822.SIZE 10)",
        f"* 1 fetch (uid 5 flags () internaldate {DATE} rfc822.size 10)",
    ],
)
def test_items_come_in_any_order_with_others_between(answer: str) -> None:
    found, _ = scanned(f"{row(4)}\n{answer}\n{row(6)}\n$ OK done")
    assert uids(found) == [4, 5, 6]
    assert found[1] == MessageMeta(INBOX, 5, 10, INSTANT, 0, frozenset())


@pytest.mark.req("D-83")
@pytest.mark.parametrize("date", ["NIL", '"00-Jan-0000 00:00:00 +0000"', '""', '"01-Jan-2020 00:00:00 +9999"'])
def test_a_date_without_sense_is_none_and_the_message_stays(date: str) -> None:
    found, _ = scanned(f"* 1 FETCH (UID 5 FLAGS () INTERNALDATE {date} RFC822.SIZE 10)\n$ OK done")
    assert found == [MessageMeta(INBOX, 5, 10, None, 0, frozenset())]


@pytest.mark.req("D-37")
def test_the_last_message_below_the_range_is_dropped() -> None:
    found, peer = scanned(f"{row(41)}\n$ OK done", [ScanRequest(INBOX, after_uid=41)])
    assert found == []
    assert peer.said("UID FETCH")[0].startswith(b"UID FETCH 42:* ")


@pytest.mark.req("D-38")
def test_unasked_changes_of_flags_are_no_messages() -> None:
    noise = "* 2 FETCH (FLAGS (\\Seen))\n* 3 FETCH (UID 9 FLAGS (\\Seen))\n* 4 FETCH (FLAGS (\\Seen) MODSEQ (5) UID 10)"
    found, _ = scanned(f"{noise}\n{row(4)}\n{noise}\n{row(6)}\n$ OK done")
    assert uids(found) == [4, 6]


@pytest.mark.req("D-39")
def test_expunges_and_arrivals_while_listing_do_no_harm() -> None:
    noise = (
        "* 3 EXPUNGE\n* 12 EXISTS\n* 0 RECENT\n* VANISHED 7\n* OK here\n* FLAGS (\\Seen)\n+ what\n* NO [X] hm\n* BAD hm"
    )
    found, _ = scanned(f"{noise}\n{row(4)}\n{noise}\n{row(6)}\n{noise}\n$ OK done")
    assert uids(found) == [4, 6]


@pytest.mark.req("D-36")
def test_the_list_is_the_truth_not_the_count() -> None:
    found, _ = scanned(f"{row(4)}\n{row(6)}\n$ OK done", examine="* 700 EXISTS\n$ OK done")
    assert uids(found) == [4, 6]


@pytest.mark.req("D-44")
def test_uids_may_be_large_and_zero_is_refused() -> None:
    answer = "\n".join(row(uid) for uid in (0, 2**31 + 1, 2**32 - 1, 10**25))
    found, _ = scanned(f"{answer}\n$ OK done")
    assert uids(found) == [2**31 + 1, 2**32 - 1]


def test_rows_out_of_order_are_sorted_and_each_uid_counts_once() -> None:
    seed = 5
    wanted = list(range(1, 400))
    shuffled = [*wanted, *wanted[::7]]
    random.Random(seed).shuffle(shuffled)
    found, _ = scanned("\n".join(map(row, shuffled)) + "\n$ OK done")
    assert uids(found) == wanted, seed


def test_a_big_folder_streams_and_one_out_of_order_is_trouble() -> None:
    count = HELD_ROWS + 5000
    rows = b"".join(row(uid).encode() + b"\r\n" for uid in range(1, count + 1))
    found, _ = scanned(then(raw(rows), row(count), "$ OK done"))
    assert len(uids(found)) == count
    found, _ = scanned(then(raw(rows), row(5), "$ OK done"), [ScanRequest(INBOX), ScanRequest(INBOX)])
    assert trouble(found[: count + 1]).error.code == "server.nonsense"


@pytest.mark.parametrize("refusal", ["$ BAD Invalid messageset", "$ NO no matching messages"])
def test_an_empty_folder_may_refuse_the_range(refusal: str) -> None:
    found, _ = scanned(refusal, examine="* 0 EXISTS\n$ OK done")
    assert found == []


def test_a_refused_list_is_trouble_of_that_folder_alone() -> None:
    requests = [ScanRequest(FolderPath(name)) for name in (b"a", b"b", b"c")]
    found, _ = scanned([f"{row(1)}\n$ OK done", f"{row(2)}\n$ NO [SERVERBUG] oops", f"{row(3)}\n$ OK done"], requests)
    assert [one.uid if isinstance(one, MessageMeta) else one.error.code for one in found] == [1, 2, "server.fault", 3]


@pytest.mark.req("C-56")
def test_a_folder_that_does_not_open_gives_no_messages_even_if_the_server_hands_some_out() -> None:
    # A server that keeps the folder before open answers FETCH with that one's messages.
    requests = [ScanRequest(FolderPath(name)) for name in (b"a", b"phantom", b"c")]
    examine = ["* 1 EXISTS\n$ OK", "$ NO [NONEXISTENT] Mailbox doesn't exist: phantom", "* 1 EXISTS\n$ OK"]
    found, _ = scanned(f"{row(1)}\n$ OK done", requests, examine=examine)
    assert [one.path.raw for one in found] == [b"a", b"phantom", b"c"]
    assert trouble(found).error.code == "folder.phantom"


@pytest.mark.req("D-31")
def test_a_renumbered_folder_is_trouble_and_gives_no_messages() -> None:
    requests = [ScanRequest(INBOX, uidvalidity=6), ScanRequest(INBOX, uidvalidity=7)]
    found, _ = scanned(f"{row(1)}\n$ OK done", requests)
    assert isinstance(found[0], Trouble)
    assert (found[0].error.code, found[0].error.patience) == ("folder.changed", Patience.NOW)
    assert uids(found[1:]) == [1]


@pytest.mark.req("D-8")
def test_a_name_with_a_line_end_is_trouble_and_not_sent() -> None:
    found, peer = scanned("$ OK done", [ScanRequest(FolderPath(b"a\r\nx DELETE INBOX")), ScanRequest(INBOX)])
    assert trouble(found).error.code == "folder.bad_name"
    assert peer.said("EXAMINE") == [b'EXAMINE "INBOX"']


def test_a_name_that_must_be_asked_for_waits_for_its_turn() -> None:
    names = [b"a", "é".encode(), b"b", "ü".encode(), "ö".encode(), b"c"]
    found, peer = scanned(f"{row(1)}\n$ OK done", [ScanRequest(FolderPath(name)) for name in names])
    assert [one.path.raw for one in found] == names
    assert peer.said("EXAMINE")[1] == b"EXAMINE {2}\r\n" + "é".encode()


@pytest.mark.req("D-33")
def test_only_what_changed_is_asked_for_where_the_server_counts_changes() -> None:
    requests = [ScanRequest(INBOX, changed_since=12), ScanRequest(INBOX, changed_since=None)]
    _, peer = scanned("$ OK done", requests, capabilities="IMAP4rev1 CONDSTORE")
    assert [words.endswith(b"(CHANGEDSINCE 12)") for words in peer.said("UID FETCH")] == [True, False]


@pytest.mark.req("D-30")
def test_courier_is_asked_to_remember_the_uidvalidity_it_tells() -> None:
    answers: Answers = {"SELECT": "* 1 EXISTS\n$ OK", "UID FETCH": f"{row(1)}\n$ OK"}
    greeting = "* OK [CAPABILITY IMAP4rev1 UIDPLUS] Courier-IMAP ready."
    with Peer(answers, greeting=greeting) as peer, ImapSource(peer.endpoint(), QUICK) as source:
        assert uids(list(source.scan([ScanRequest(INBOX)]))) == [1]
        assert "EXAMINE" not in peer.verbs()


@pytest.mark.req("D-59", "D-89")
def test_rows_before_a_bye_are_kept() -> None:
    rows = "\n".join(row(uid) for uid in range(1, 4))
    bye = then(f"{rows}\n* BYE Server shutting down\n{row(4)}", close)
    with (
        Peer({"EXAMINE": "* 9 EXISTS\n$ OK", "UID FETCH": bye}) as peer,
        ImapSource(peer.endpoint(), QUICK) as source,
    ):
        scan = source.scan([ScanRequest(INBOX)])
        found = [next(scan) for _ in range(4)]
        with pytest.raises(MigratorError) as caught:
            next(scan)
        assert (caught.value.code, caught.value.patience) == ("line.closed", Patience.NOW)
    assert uids(found) == [1, 2, 3, 4]


def test_an_abandoned_scan_does_not_spoil_the_next() -> None:
    answer = "\n".join(row(uid) for uid in range(1, 100)) + "\n$ OK done"
    with (
        Peer({"EXAMINE": "* 99 EXISTS\n$ OK", "UID FETCH": answer}) as peer,
        ImapSource(peer.endpoint(), QUICK) as source,
    ):
        first = source.scan([ScanRequest(INBOX), ScanRequest(INBOX)])
        assert next(first) is not None
        assert uids(list(source.scan([ScanRequest(INBOX)]))) == list(range(1, 100))
        first.close()
        assert uids(list(source.scan([ScanRequest(INBOX)]))) == list(range(1, 100))
        assert peer.connections == 2


def test_answers_in_crumbs_are_read_as_well_as_in_one_piece() -> None:
    octets = (("\r\n".join(row(uid) for uid in range(1, 30))) + "\r\n").encode()

    def crumble(conversation: Conversation, command: Command) -> None:
        for start in range(0, len(octets), 7):
            conversation.send(octets[start : start + 7])
        conversation.say("$ OK done", command)

    found, _ = scanned(crumble)
    assert uids(found) == list(range(1, 30))
