"""Responses as servers write them, taken apart."""

from __future__ import annotations

import random

import pytest

from migrator.mail import FolderPath
from migrator.stores import imap_parse
from migrator.stores.imap_parse import Malformed, values


def test_a_response_comes_apart_into_atoms_strings_lists_and_nothing() -> None:
    response = b'a "b \\"c\\"" {3}\r\nd e NIL (f (g) ()) "NIL" ""'
    assert values(response) == [b"a", b'b "c"', b"d e", None, [b"f", [b"g"], []], b"NIL", b""]


def test_the_section_of_a_body_is_part_of_its_name() -> None:
    response = b"(BODY[HEADER.FIELDS (DATE FROM)]<0> {2}\r\n() UID 7)"
    assert values(response) == [[b"BODY[HEADER.FIELDS (DATE FROM)]<0>", b"()", b"UID", b"7"]]


def test_a_literal_may_hold_anything_even_what_looks_like_the_end() -> None:
    assert values(b"(A {12}\r\n) (\r\n{3}\r\n) B 1)") == [[b"A", b") (\r\n{3}\r\n) ", b"B", b"1"]]


def test_a_list_that_is_not_closed_ends_with_the_response() -> None:
    assert values(b"(UID 7 BODY[] ") == [[b"UID", b"7", b"BODY[]"]]


@pytest.mark.parametrize("response", [b")", b'"open', b"a ) b"])
def test_what_cannot_be_taken_apart_is_said_to_be_malformed(response: bytes) -> None:
    with pytest.raises(Malformed):
        values(response)


def test_hostile_responses_neither_crash_nor_hang() -> None:
    seed = 20240607
    dice = random.Random(seed)
    alphabet = [b"(", b")", b'"', b"\\", b"{3}\r\n", b"{99}\r\n", b"NIL", b" ", b"BODY[", b"]", b"UID", b"7", b"\xff"]
    for _ in range(3000):
        response = b"* LIST (" + b"".join(dice.choices(alphabet, k=dice.randrange(30)))
        imap_parse.listed(response)
        imap_parse.counters(b"* STATUS " + response)
        imap_parse.namespaces(b"* NAMESPACE " + response)
        imap_parse.identity(b"* ID " + response)
        imap_parse.fetched(b"* 1 FETCH " + response)
    values(b"(" * 100_000)
    with pytest.raises(Malformed):
        values(b"BODY[" * 50_000 + b'"')


@pytest.mark.req("D-1")
@pytest.mark.parametrize(
    ("response", "separator"),
    [
        (rb'* LIST () "/" a', "/"),
        (rb'* LIST () "." a', "."),
        (rb'* LIST () "\\" a', "\\"),
        (rb'* LIST () "\" a', "\\"),  # not escaped, as some servers send it
        (b"* LIST () NIL a", None),
        (b'* LIST () "" a', None),
        (b"* LIST () {1}\r\n. a", "."),
        (b'* LIST () "\xec" a', None),  # none that can be: the folder counts all the same
        (b'* LIST () "\x00" a', None),
        (b"* LIST () {1}\r\n\n a", None),
    ],
)
def test_each_folder_has_its_own_separator(response: bytes, separator: str | None) -> None:
    told = imap_parse.listed(response)
    assert told is not None
    assert (told.path.raw, told.path.separator) == (b"a", separator)


@pytest.mark.req("D-4", "D-7", "D-14")
@pytest.mark.parametrize(
    ("name", "raw"),
    [
        (b"INBOX", b"INBOX"),
        (b'"a b"', b"a b"),
        (rb'"a \"b\" \\c"', rb'a "b" \c'),
        (b"{5}\r\na\r\nb", b"a\r\nb"[:5]),
        (b"R&D", b"R&D"),  # no modified UTF-7
        (b'"Entw&APw-rfe"', b"Entw&APw-rfe"),
        ('"Entwürfe"'.encode(), "Entwürfe".encode()),
        (b'"NIL"', b"NIL"),
        (b"NIL", b"NIL"),
        (b"My Folder", b"My Folder"),  # a blank without quotes
        (b"[Gmail]/Trash", b"[Gmail]/Trash"),
        (b'Sent (CHILDINFO ("SUBSCRIBED"))', b"Sent"),
        (b"123", b"123"),
    ],
)
def test_names_keep_their_octets(name: bytes, raw: bytes) -> None:
    told = imap_parse.listed(b'* LIST (\\HasNoChildren) "/" ' + name)
    assert told is not None
    assert told.path.raw == raw


def test_a_role_is_found_among_the_attributes_in_any_case() -> None:
    told = imap_parse.listed(b'* LIST (\\HasNoChildren \\SENT) "/" Gesendet')
    assert told is not None
    assert told.role == "\\Sent"


def test_counters_are_told_one_by_one_and_zero_modseq_means_none() -> None:
    count = imap_parse.counters(b'* STATUS "a b" (UIDVALIDITY 7 MESSAGES 3 HIGHESTMODSEQ 0 X-OTHER (1 2))')
    assert count == (b"a b", 3, None, 7, None)
    assert imap_parse.counters(b"* STATUS {3}\r\nx y (UIDNEXT 4294967295)") == (b"x y", None, 4294967295, None, None)
    assert imap_parse.counters(b"* STATUS nonsense") is None


def test_counters_of_a_name_with_blanks_are_understood_without_quotes() -> None:
    for name in (b"Wichtig &- Gut", b" vorn", b"hinten ", b"a (b)", b"NIL"):
        assert imap_parse.counters(b"* STATUS " + name + b" (MESSAGES 3)") == (name, 3, None, None, None)


def test_namespaces_are_personal_and_others() -> None:
    told = imap_parse.namespaces(b'* NAMESPACE (("INBOX." ".")) (("user." ".")) (("" ".")("shared/" "/" "X" ("Y")))')
    assert told == ([(b"INBOX.", ".")], [(b"user.", "."), (b"", "."), (b"shared/", "/")])
    assert imap_parse.namespaces(b'* NAMESPACE (("" NIL)) NIL NIL') == ([(b"", None)], [])
    assert imap_parse.namespaces(b"* NAMESPACE NIL NIL NIL") == ([], [])
    assert imap_parse.namespaces(b'* NAMESPACE (("" "\xec")) (("x" "::")) NIL') == ([(b"", None)], [(b"x", None)])


def test_capabilities_are_found_wherever_servers_put_them() -> None:
    expected = frozenset(("IMAP4REV1", "ID"))
    assert imap_parse.capabilities("CAPABILITY IMAP4rev1 id") == expected
    assert imap_parse.capabilities("[CAPABILITY IMAP4rev1 id] Logged in") == expected
    assert imap_parse.capabilities("Logged in [CAPABILITY is not here]") is None


def test_what_is_said_while_a_folder_opens() -> None:
    state = imap_parse.opened(
        [
            b"* FLAGS (\\Seen)",
            b"* OK [PERMANENTFLAGS (\\seen $Forwarded odd] \\*)] Limited",
            b"* 5 EXISTS",
            b"* OK [UIDVALIDITY 11] ok",
            b"* OK [UIDNEXT 6] ok",
            b"* OK [HIGHESTMODSEQ 90060115205545359] ok",
            b"* NO [UIDVALIDITY 9] not this one",
        ],
        "[READ-WRITE] done",
    )
    assert (state.messages, state.uidvalidity, state.uidnext) == (5, 11, 6)
    assert state.highestmodseq == 90060115205545359
    assert state.permanent_flags == {"\\Seen", "$Forwarded", "odd]", "\\*"}


@pytest.mark.req("D-33")
def test_a_folder_without_modseqs_tells_none() -> None:
    assert imap_parse.opened([b"* OK [NOMODSEQ] no"]).highestmodseq is None
    assert imap_parse.opened([b"* OK [HIGHESTMODSEQ 0] none"]).highestmodseq is None


@pytest.mark.req("D-76")
def test_recent_is_never_a_flag_and_system_flags_have_one_spelling() -> None:
    assert imap_parse.flags(b"\\Recent \\SEEN \\flagged NonJunk \\recent") == {"\\Seen", "\\Flagged", "NonJunk"}


@pytest.mark.req("D-63")
@pytest.mark.parametrize(
    ("words", "count", "uids"),
    [
        ("[APPENDUID 9 5] ok", 1, [5]),
        ("[APPENDUID 9 5:7] ok", 3, [5, 6, 7]),
        ("[APPENDUID 9 7:5] ok", 3, [5, 6, 7]),  # one range either way round
        ("[APPENDUID 9 5,8:9] ok", 3, [5, 8, 9]),
        ("[APPENDUID 9 9,8,5] ok", 3, None),  # whose is which?
        ("[APPENDUID 9 5:7] ok", 2, None),
        ("[APPENDUID 9 5] ok", 2, None),
        ("[APPENDUID 9 1:4294967295] ok", 2, None),
        ("[APPENDUID 9 0] ok", 1, None),
        ("[APPENDUID 9 ,] ok", 1, None),
    ],
)
def test_appended_uids_are_believed_only_when_they_fit(words: str, count: int, uids: list[int] | None) -> None:
    assert imap_parse.appended(words, count) == (9, uids)


def test_without_appenduid_nothing_is_known() -> None:
    assert imap_parse.appended("Append completed.", 1) == (None, None)


@pytest.mark.req("D-49")
def test_items_of_a_fetch_come_in_any_order_with_unknown_ones_between() -> None:
    response = b'* 3 FETCH (X-GM-LABELS ("\\\\Inbox" "UID 9") BODY[] {3}\r\nabc flags (\\Seen) UID 7)'
    assert imap_parse.fetched(response) == {
        b"X-GM-LABELS": [b"\\Inbox", b"UID 9"],
        b"BODY[]": b"abc",
        b"FLAGS": [b"\\Seen"],
        b"UID": b"7",
    }


def test_a_name_is_kept_for_people_and_for_the_wire() -> None:
    told = imap_parse.listed('* LIST () "/" "Entwürfe/R&D"'.encode())
    assert told is not None
    assert told.path == FolderPath("Entwürfe/R&D".encode())
    assert told.path.segments == ("Entwürfe", "R&D")
