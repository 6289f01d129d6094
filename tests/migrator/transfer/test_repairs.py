"""Each repair mends its own fault, once, and what a message decodes to stays the same where that is claimed."""

from __future__ import annotations

import base64
import email
import email.header
import email.utils
import mmap
import re
import tempfile
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.errors import MigratorError, Side
from migrator.transfer.digest import canonical_form
from migrator.transfer.repairs import Repair, repaired, repairs_for

N = 100
CLEAN = b"From: a@example.test\r\nSubject: a b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nbody\r\n\r\nmore\r\n"


def mend(repair: Repair, body: bytes, longest: int = N) -> bytes:
    pieces = repaired(repair, body, longest)
    return body if pieces is None else b"".join(pieces)


# Header and body of all sorts: broken lines, raw octets, every line end, nothing at all.
_ends = st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r"])
_lines = st.one_of(
    st.sampled_from([
        b"From: M\xc3\xbcller Hans <a@b>",
        b"Subject: gr\xfc\xdfe an alle",
        b'To: "J\xc3\xb6rg, K\xc3\xb6ln" <x@example.test>, Gr\xc3\xbc\xc3\x9f Gott <y@z>',
        b'Content-Type: text/plain; name="\xc3\xbc b.txt"; charset=utf-8',
        b"Disposition-Notification-To: boss@example.test",
        b">From someone Mon Jan  1 00:00:00 1999",
        b"From someone Mon Jan  1 00:00:00 1999",
        b" continued",
        b"no header at all",
        b"",
        b"X-Long: " + b"word " * 60,
        b"wide \xe2\x82\xac" * 40,
        b"nul \0 here",
    ]),
    st.binary(max_size=300).map(lambda octets: re.sub(rb"[\r\n]", b"", octets)),
)  # fmt: skip
MESSAGES = st.lists(st.tuples(_lines, _ends), max_size=12).map(lambda rows: b"".join(line + end for line, end in rows))


@pytest.mark.parametrize("repair", list(Repair))
def test_a_clean_message_is_left_alone(repair: Repair) -> None:
    assert repaired(repair, CLEAN, N) is None
    assert repaired(repair, b"", N) is None


@pytest.mark.parametrize("repair", list(Repair))
@given(body=MESSAGES)
def test_what_is_mended_has_the_fault_no_more(repair: Repair, body: bytes) -> None:
    pieces = repaired(repair, body, N)
    once = body if pieces is None else b"".join(pieces)
    assert (pieces is None) == (once == body)
    if repair is not Repair.MBOX_LINE:  # of two such lines only the very first is looked at
        assert repaired(repair, once, N) is None


@pytest.mark.parametrize("repair", list(Repair))
@given(body=MESSAGES)
def test_a_mapped_file_is_mended_as_octets_in_memory(repair: Repair, body: bytes) -> None:
    if not body:
        return
    with tempfile.TemporaryFile() as file:
        file.write(body)
        file.flush()
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            pieces = repaired(repair, mapped, N)
            found = None if pieces is None else b"".join(pieces)
    assert (found if found is not None else body) == mend(repair, body)


@given(body=MESSAGES)
def test_nul_and_line_ends_are_mended_to_what_servers_store_anyway(body: bytes) -> None:
    for repair in (Repair.NUL, Repair.LINE_ENDS):
        form = mend(repair, body)
        assert canonical_form(form) == canonical_form(body)
    assert b"\0" not in mend(Repair.NUL, body)
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n", mend(Repair.LINE_ENDS, body))


@pytest.mark.parametrize("size", [65_535, 65_536, 131_071])
def test_a_line_end_between_two_pieces_is_one_line_end(size: int) -> None:
    body = b"x" * size + b"\r\nbare\n"
    assert mend(Repair.LINE_ENDS, body) == b"x" * size + b"\r\nbare\r\n"


@given(body=MESSAGES)
def test_only_the_very_first_line_can_be_an_mbox_line(body: bytes) -> None:
    line = b"From a@example.test Mon Jan  1 00:00:00 1999\r\n"
    assert mend(Repair.MBOX_LINE, line + body) == body
    assert mend(Repair.MBOX_LINE, b">" + line + body) == body
    assert mend(Repair.MBOX_LINE, b"Subject: x\r\n" + line + body) == b"Subject: x\r\n" + line + body


@pytest.mark.parametrize(
    ("body", "mended"),
    [
        (b"Subject: x\r\n", b"Subject: x\r\n\r\n"),
        (b"Subject: x", b"Subject: x\r\n\r\n"),
        (b"only a body\r\nmore\r\n", b"\r\nonly a body\r\nmore\r\n"),
        (b"Subject: x\r\nHello,\r\nnote: a\r\n\r\nbye\r\n", b"Subject: x\r\n\r\nHello,\r\nnote: a\r\n\r\nbye\r\n"),
        (b"\r\nno header\r\n", b"\r\nno header\r\n"),
        # The header goes on: that is another fault.
        (b"Subject: x\r\nbroken\r\nFrom: a@b\r\n\r\nbye\r\n", b"Subject: x\r\nbroken\r\nFrom: a@b\r\n\r\nbye\r\n"),
    ],
)  # fmt: skip
def test_the_missing_blank_line_is_put_where_the_header_ends(body: bytes, mended: bytes) -> None:
    assert mend(Repair.SEPARATOR, body) == mended


def test_a_broken_header_line_continues_the_one_before() -> None:
    body = b"Subject: x\r\nbroken line\r\nFrom: a@b\r\n\r\nbroken line\r\nFrom: no header\r\n"
    mended = mend(Repair.HEADER_LINE, body)
    assert mended == b"Subject: x\r\n broken line\r\nFrom: a@b\r\n\r\nbroken line\r\nFrom: no header\r\n"


# 8-bit headers


def shown(field: bytes) -> str:
    """What a reader shows of a field."""
    message = email.message_from_bytes(field)
    return str(email.header.make_header(email.header.decode_header(next(iter(message.values())))))


@given(st.lists(st.text("aé€𝄞ß ü=?", min_size=1, max_size=90).map(str.split), min_size=1, max_size=3))
def test_a_raw_subject_is_shown_as_it_was(texts: list[list[str]]) -> None:
    text = " ".join(word for words in texts for word in words)
    if not text or text.isascii() or "=?" in text:
        return
    mended = mend(Repair.HEADER_8BIT, b"Subject: " + text.encode() + b"\r\n\r\nbody\r\n")
    assert mended.isascii()
    assert all(len(word) <= 75 for word in re.findall(rb"=\?utf-8\?B\?\S*", mended))
    assert shown(mended) == text


def test_a_raw_name_is_encoded_and_the_address_stays() -> None:
    body = 'From: Jürgen Müller <j@example.test>, "Groß, Köln" <g@example.test>\r\n\r\nbody\r\n'.encode()
    mended = email.message_from_bytes(mend(Repair.HEADER_8BIT, body))
    pairs = email.utils.getaddresses([re.sub(r"\r\n ", " ", mended["From"])])
    assert [address for _, address in pairs] == ["j@example.test", "g@example.test"]
    names = [str(email.header.make_header(email.header.decode_header(name))) for name, _ in pairs]
    assert names == ["Jürgen Müller", "Groß, Köln"]


def test_a_raw_file_name_is_encoded_as_a_parameter() -> None:
    body = 'Content-Disposition: attachment; filename="übung 1.pdf"; size=7\r\n\r\nbody\r\n'.encode()
    assert email.message_from_bytes(mend(Repair.HEADER_8BIT, body)).get_filename() == "übung 1.pdf"


def test_octets_that_are_no_utf_8_are_kept_and_called_unknown() -> None:
    mended = mend(Repair.HEADER_8BIT, b"Subject: Gr\xfc\xdfe =?utf-8?Q?=C3=BC?= \xe4\r\n\r\nbody\r\n")
    assert email.header.decode_header(email.message_from_bytes(mended)["Subject"]) == [
        (b"Gr\xfc\xdfe ", "unknown-8bit"),
        (b"\xc3\xbc", "utf-8"),
        (b" \xe4", "unknown-8bit"),
    ]


# Long lines


def leaves(body: bytes) -> Iterator[tuple[str, bytes]]:
    for part in email.message_from_bytes(body).walk():
        if not part.is_multipart():
            yield part.get_content_type(), part.get_payload(decode=True)


def longest_line(body: bytes) -> int:
    return max(map(len, re.split(rb"\r\n|\r|\n", body)))


LONG_TEXTS = st.lists(st.text("a é€𝄞=.\t", max_size=400), max_size=6).map("\r\n".join)


@pytest.mark.req("S-68", "D-72")
@given(text=LONG_TEXTS, longest=st.sampled_from([78, 998]))
def test_a_text_with_long_lines_is_encoded_and_decodes_to_the_same(text: str, longest: int) -> None:
    octets = (text + "\r\n" + "€" * 400 + "\r\n").encode()
    body = b"Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + octets
    mended = mend(Repair.LONG_LINES, body, longest)
    assert [payload for _, payload in leaves(mended)] == [octets]
    assert longest_line(mended) <= 78
    message = email.message_from_bytes(mended)
    assert (message["Content-Transfer-Encoding"], message["MIME-Version"]) == ("quoted-printable", "1.0")
    for line in mended.partition(b"\r\n\r\n")[2].split(b"\r\n"):  # each line by itself is whole characters
        re.sub(rb"=([0-9A-F]{2})", lambda code: bytes((int(code[1], 16),)), line.removesuffix(b"=")).decode()


def multipart(kind: str, *parts: bytes) -> bytes:
    inside = b"".join(b"--B\r\n" + part + b"\r\n" for part in parts)
    return b"Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/%s; boundary=B\r\n\r\n" % kind.encode() + (
        b"preamble\r\n" + inside + b"--B--\r\nepilogue\r\n"
    )


@pytest.mark.req("S-68", "D-72")
@given(data=st.binary(min_size=300, max_size=2000), name=st.sampled_from(["mixed", "alternative"]))
def test_only_the_parts_to_blame_change_and_all_decode_to_the_same(data: bytes, name: str) -> None:
    wide = b"Content-Type: text/html\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + b"wide \xe2\x82\xac" * 40
    short = b"Content-Type: text/plain\r\n\r\nshort\r\n"
    endless = b"Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.b64encode(data)
    quoted = b"Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" + b"=C3=BC a==" * 60
    raw = b"Content-Type: application/x-data\r\nContent-Transfer-Encoding: binary\r\n\r\n" + b"d\xff" * 200
    inner = b"Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\n" + b"y" * 300
    body = multipart(name, wide, short, endless, quoted, raw, inner)
    mended = mend(Repair.LONG_LINES, body)
    assert longest_line(mended) <= N
    assert list(leaves(mended)) == list(leaves(body))
    assert short in mended


@pytest.mark.req("S-68", "D-72")
def test_a_signed_part_is_changed_only_when_that_is_said() -> None:
    signed = multipart(
        "signed", b"Content-Type: text/plain\r\n\r\n" + b"z" * 300, b"Content-Type: application/x\r\n\r\ns"
    )
    assert repaired(Repair.LONG_LINES, signed, N) is None
    mended = mend(Repair.LONG_LINES_SIGNED, signed)
    assert longest_line(mended) <= N
    assert list(leaves(mended)) == list(leaves(signed))


def test_a_long_header_line_is_folded_and_unfolds_to_itself() -> None:
    body = b"Subject: x\r\nReferences: " + b"<one@example.test> " * 50 + b"\r\n\r\nbody\r\n"
    mended = mend(Repair.LONG_LINES, body)
    assert longest_line(mended) <= N
    assert mended.replace(b"\r\n ", b" ") == body


def test_a_text_of_one_endless_line_passes_in_pieces() -> None:
    body = b"Subject: x\r\n\r\n" + "€".encode() * 1_000_000
    pieces = list(repaired(Repair.LONG_LINES, body, N) or ())
    assert max(map(len, pieces)) < 200_000
    assert [payload for _, payload in leaves(b"".join(pieces))] == ["€".encode() * 1_000_000]


@pytest.mark.req("D-71")
def test_a_request_for_a_receipt_is_disarmed_and_nothing_else() -> None:
    body = b"disposition-notification-to: a@b\r\nSubject: x\r\n\r\nDisposition-Notification-To: quoted\r\n"
    mended = mend(Repair.READ_RECEIPT, body)
    assert mended == b"X-Disarmed-" + body


# Which repair answers which refusal


@pytest.mark.parametrize(
    ("code", "words", "first"),
    [
        ("message.nul", "Message contains NUL characters", Repair.NUL),
        ("message.malformed", "Message contains bare newlines", Repair.LINE_ENDS),
        ("message.malformed", "Message has no header/body separator", Repair.SEPARATOR),
        ("message.malformed", "Message contains non-ASCII characters in headers", Repair.HEADER_8BIT),
        ("message.malformed", "Message contains invalid header", Repair.MBOX_LINE),
        ("message.malformed", "Invalid Arguments: Unable to parse message", Repair.MBOX_LINE),
        ("message.refused_bare", "Command Argument Error. 11", Repair.LONG_LINES),
        ("message.refused", "Line too long", Repair.LONG_LINES),
        ("message.refused", "No.", None),
        ("message.virus", "contains a virus", None),
    ],
)
def test_a_refusal_leads_to_the_repairs_it_speaks_of(code: str, words: str, first: Repair | None) -> None:
    error = MigratorError(code, side=Side.TARGET, reply=words)
    assert next(iter(repairs_for(error, frozenset(Repair))), None) is first
    assert not repairs_for(error, frozenset())
