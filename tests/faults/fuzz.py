"""Give every reader of foreign words whatever hypothesis can think of, and see that none crashes or believes a lie.

    python -m tests.faults.fuzz --examples 20000 --seed 7 [--only mbox]

Each subject is a strategy and a property. What is drawn are pieces of the language in question among random octets, or
something whole that was changed in places. A few examples of each run in ``./test``.
"""

from __future__ import annotations

import argparse
import copy
import io
import json
import random
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from migrator.errors import CATALOGUE, MigratorError, Side
from migrator.mail import FolderPath
from migrator.replies import REPLY_CHARACTERS, classify
from migrator.rosters import tsv
from migrator.rosters.base import BadRoster, Needs
from migrator.stores import imap_parse, imap_syntax, maildir_names, mbox_scan, mbox_syntax, pop3_replies, smtp_replies
from migrator.stores.header_dates import arrival
from migrator.stores.imap_dates import DateReader, DateWriter
from migrator.stores.lines import stuffed
from migrator.transfer.manifest_check import NoManifest, check
from migrator.transfer.repairs import Repair, repaired
from tests.migrator.transfer.scenes import life_like
from tests.migrator.transfer.test_manifest import sealed, things, written


class Subject(NamedTuple):
    """What is fuzzed: what to draw, and what must hold of it."""

    drawn: SearchStrategy[Any]
    holds: Callable[[Any], None]


def search(subject: Subject, examples: int, seed_value: int) -> None:
    """Look for a counter-example; it is raised as the property raised it."""
    checks = settings(
        max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck), print_blob=True
    )
    checks(seed(seed_value)(given(subject.drawn)(subject.holds)))()


def _mixed(*pieces: bytes, most: int = 30) -> SearchStrategy[bytes]:
    numbers = st.sampled_from((b"0", b"1", b"-1", b"4294967296", b"18446744073709551616", b"9" * 400, b"9" * 5000))
    one = st.one_of(st.sampled_from(pieces), numbers, st.binary(max_size=12))
    return st.lists(one, max_size=most).map(b"".join)


def _words(*pieces: bytes) -> SearchStrategy[str]:
    return _mixed(*pieces).map(lambda octets: octets.decode("utf-8", "replace"))


# -- IMAP -----------------------------------------------------------------------------------------------------------

_IMAP = _mixed(
    b"* ", b"LIST ", b"STATUS ", b"NAMESPACE ", b"ID ", b"1 FETCH ", b"(", b")", b'"', b"\\", b"\\Seen", b" ", b"NIL",
    b"{3}\r\n", b"{0}\r\n", b"~{2+}\r\n", b"{18446744073709551616}\r\n", b"BODY[]", b"BODY[HEADER.FIELDS (", b"UID ",
    b"FLAGS (", b"[", b"]", b"INBOX", b"MESSAGES ", b"UIDNEXT ", b"\r\n", b"\r", b"\0", b'"/"', b"OK [PERMANENTFLAGS (",
    b"EXISTS", b"&AOk-", b"&", b"INTERNALDATE ",
)  # fmt: skip


def _imap_response(octets: bytes) -> None:
    """Nothing is raised but ``Malformed``, whatever a response is taken for."""
    for head in (b"", b"* LIST (", b"* STATUS ", b"* NAMESPACE ", b"* ID ", b"* 1 FETCH ", b"* OK ["):
        response = head + octets
        listed = imap_parse.listed(response)
        if listed is not None:
            _folder_name(listed.path.raw)
        imap_parse.counters(response)
        imap_parse.namespaces(response)
        imap_parse.identity(response)
        items = imap_parse.fetched(response)
        for value in (items or {}).values():
            imap_parse.number(value)
        imap_parse.opened([response], response.decode("utf-8", "replace"))
        words = imap_parse.text(response)
        imap_parse.capabilities(words)
        imap_parse.without_code(words)
        with suppress(imap_parse.Malformed):
            imap_parse.values(response)
    imap_parse.flags(octets)


_ITEMS = st.dictionaries(
    st.sampled_from((b"UID", b"FLAGS", b"INTERNALDATE", b"RFC822.SIZE", b"BODY[]", b"X-GM-MSGID", b"BODY[TEXT]<0>")),
    st.one_of(st.none(), st.binary(max_size=60), st.lists(st.from_regex(rb"\A[A-Za-z$0-9]{1,8}\Z"), max_size=4)),
)


def _imap_items(items: dict[bytes, Any]) -> None:
    """What a server says of a message comes apart into what it said, in any order, whatever the octets hold."""
    told = b" ".join(key + b" " + _said(value) for key, value in items.items())
    found = imap_parse.fetched(b"* 7 FETCH (" + told + b")")
    assert found == items, (told, found)


def _said(value: Any) -> bytes:
    if value is None:
        return b"NIL"
    if isinstance(value, list):
        return b"(" + b" ".join(b"{%d}\r\n%s" % (len(one), one) for one in value) + b")"
    if not re.search(rb'["\\\r\n\0\x80-\xff]', value):
        return b'"' + value + b'"'
    return b"{%d}\r\n%s" % (len(value), value)


def _appended(drawn: tuple[str, int]) -> None:
    """UIDs are believed only when they are written as UIDs, ascend, and are as many as were appended."""
    words, count = drawn
    _, uids = imap_parse.appended(words, count)
    if uids is None:
        return
    written = re.search(r"\[APPENDUID \d+ ([\d:,]+)\]", words, re.IGNORECASE)
    assert written is not None
    assert re.fullmatch(r"\d+(:\d+)?(,\d+(:\d+)?)*", written[1]), words
    meant: list[int] = []
    for part in written[1].split(","):
        first, _, last = part.partition(":")
        meant += range(min(int(first), int(last or first)), max(int(first), int(last or first)) + 1)
    assert uids == meant == sorted(set(meant)), (words, uids)
    assert len(uids) == count
    assert uids[0] > 0


_APPENDED = st.tuples(
    st.lists(st.sampled_from(("1", "4", "9", "12", ":", ",", "18446744073709551616", "0")), max_size=7).map(
        lambda parts: f"[APPENDUID 7 {''.join(parts)}] Done"
    ),
    st.integers(1, 9),
)

_NAME = _mixed(
    b"/", b".", b"INBOX", b'"', b"\\", b"\r\n", b"\0", b"&", b"&AOk-", b"a1 LOGOUT", b"{5}", b"{5+}\r\n", most=8
)


def _folder_name(raw: bytes) -> None:
    """A name goes onto the wire so that a server reads that name and nothing else, or it does not go at all."""
    path = FolderPath(raw, "/")
    path.display.encode("utf-8", "surrogateescape")
    for literal_plus in (False, True):
        try:
            string = imap_syntax.string(raw, literal_plus=literal_plus)
        except imap_syntax.Unwritable:
            assert not imap_syntax.is_writable(path)
            continue
        octets = b"".join(imap_syntax.command(b"CREATE ", string))
        name, rest = _read_string(octets.removeprefix(b"CREATE "))
        assert (name, rest) == (raw, b"\r\n"), octets


def _read_string(octets: bytes) -> tuple[bytes, bytes]:
    """Read a string as a server does, to the letter of RFC 3501 §9."""
    literal = re.match(rb"\{(\d+)\+?\}\r\n", octets)
    if literal:
        end = literal.end() + int(literal[1])
        return octets[literal.end() : end], octets[end:]
    quoted = re.match(rb'"((?:[^"\\\r\n]|\\["\\])*)"', octets)
    assert quoted is not None, octets
    return re.sub(rb"\\(.)", rb"\1", quoted[1]), octets[quoted.end() :]


_DATE = st.one_of(
    st.from_regex(rb"\A[ \d]\d-[A-Z][a-z]{2}-\d{4} \d\d:\d\d:\d\d [-+]\d{4}\Z"),
    _mixed(b"17-Jul-1996", b" ", b"02:44:25", b" -0700", b"+9999", b"00-Jan-0000", b" GMT", most=6),
)
_READER, _WRITER = DateReader(), DateWriter()  # they remember days and zones


def _date(written: bytes) -> None:
    """What is read as a date is written so that it means the same, and read alike twice."""
    instant, zone = _READER.read(written)
    assert (instant, zone) == _READER.read(written) == DateReader().read(written)
    if instant is None:
        return
    again = _WRITER.write(instant, zone)
    if again is not None:
        assert DateReader().read(again.strip(b'"'))[0] == instant, (written, again)


# -- what is refused ------------------------------------------------------------------------------------------------

_REPLY = _words(
    b"[OVERQUOTA] ", b"[TRYCREATE]", b"[ALERT] ", b"[THROTTLED]", b"[SYS/TEMP]", b"[", b"]", b"5.2.2 ", b"4.7.28 ",
    b"Suggested Backoff Time: ", b" milliseconds", b"try again in ", b" hours", b"quota exceeded", b"too big", b"\r\n",
    b"\x1b[2J", b"\0", b"virus", b"password", b"already exists", b"too many connections", b"\xe2\x80\xae",
)  # fmt: skip
_VERBS = ("GREETING", "LOGIN", "AUTHENTICATE", "LIST", "SELECT", "EXAMINE", "UID FETCH", "APPEND", "CREATE", "STORE")
_REFUSED = st.tuples(
    _REPLY,
    st.sampled_from(("NO", "BAD", "BYE", "OK", "PREAUTH", "HTTP/1.1")),
    st.sampled_from(_VERBS),
    st.sampled_from(Side),
    st.booleans(),
)


def _refusal(drawn: tuple[str, str, str, Side, bool]) -> None:
    """Every refusal is an error of the catalogue with one printable line of the server's words, and never success."""
    words, status, verb, side, flag = drawn
    found = [
        classify(status, words, side=side, command=verb, tls=flag, as_admin=flag),
        pop3_replies.refusal(words, "PASS" if flag else "RETR", side=side, tls=flag, as_admin=flag),
        *(smtp_replies.refusal(code, words, stage) for code in (421, 452, 550, 554, 599) for stage in ("RCPT", "BODY")),
    ]
    for error in found:
        assert error.code in CATALOGUE
        assert error.reply.isprintable()
        assert len(error.reply) <= REPLY_CHARACTERS
        assert error.retry_after is None or 0 <= error.retry_after <= 86_400


def _stuffing(pieces: list[bytes]) -> None:
    """A receiver of SMTP finds the end of a message where we end it, and the message before it."""
    sent = b"".join(stuffed(pieces))
    body = re.sub(rb"\r\n|\r|\n", b"\r\n", b"".join(pieces))
    assert re.search(rb"(?<!\r)\n|\r(?!\n)", sent) is None
    assert (b"\r\n" + sent).find(b"\r\n.\r\n") == len(sent) - 3, sent
    received = re.sub(rb"(?m)^\.", b"", sent[:-3])
    assert received in (body, body + b"\r\n"), (received, body)


_MAIL = _mixed(
    b"Subject: x\r\n", b"Received: by x; Sat, 3 Jan 1996 01:05:34 +0000\r\n", b"Date: 3 Jan 96 01:05 (\r\n",
    b"From x\n", b"\r\n\r\n", b"\r\n", b"\n", b"\r", b"\0", b" folded\r\n", b"no field\r\n", b"\xe4\xf6\r\n",
    b"--b\r\n",
    b"--b--\r\n",
    b'Content-Type: multipart/signed; boundary="b"\r\n', b"Content-Type: multipart/mixed; boundary=b\r\n", b"x" * 120,
    b"Content-Transfer-Encoding: base64\r\n", b"Content-Transfer-Encoding: quoted-printable\r\n", b"=3D" * 40,
    b"Content-Type: message/rfc822\r\n", b"Disposition-Notification-To: a@b\r\n", b"=?utf-8?q?x?=",
    b"Content-Type: text/html\r\n",
    b'Content-Type: x/y; name="\xe4"\r\n', b": \r\n",
)  # fmt: skip
_NOW = 1_900_000_000.0


def _mending(body: bytes) -> None:
    """Every repair of every message ends, does what it is named for, and finds nothing more to do afterwards."""
    for repair in Repair:
        if repair is Repair.POP_NAME:
            continue  # mends nothing
        pieces = repaired(repair, body, 100)
        if pieces is None:
            continue
        mended = b"".join(pieces)
        assert mended != body, repair
        assert len(mended) <= 8 * len(body) + 1000, repair
        if repair is Repair.NUL:
            assert b"\0" not in mended
        if repair is Repair.LINE_ENDS:
            assert re.search(rb"(?<!\r)\n|\r(?!\n)", mended) is None
        if repair in (Repair.NUL, Repair.LINE_ENDS, Repair.READ_RECEIPT):
            assert repaired(repair, mended, 100) is None, repair
    dated = arrival(body, _NOW)
    assert dated.seconds is None or 0 <= dated.seconds <= _NOW + 86_400


# -- files ----------------------------------------------------------------------------------------------------------

_SEPARATOR = b"From anna@example.org Sat Jan  3 01:05:34 1996\n"
_MBOX = _mixed(
    _SEPARATOR, b"\n", b"\n\n", b"\r\n", b"From ", b">From x\n", b"Subject: a\n", b"Status: RO\n", b"X-UID: 7\n",
    b"Content-Length: ", b"Content-Length: 5\n", b"X-IMAPbase: 1 9 a b\n", b"X-Keywords: a\n", b" folded\n",
    b"Received: by x; Sat, 3 Jan 1996 01:05:34 +0000\n", b"From MAILER-DAEMON Sat Jan  3 01:05:34 1996\n", b"\0",
    b"\1\1\1\1\n",
)  # fmt: skip


def _read_mbox(content: bytes) -> list[mbox_scan.Piece]:
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.flush()
        return list(mbox_scan.messages(mbox_scan.Window(file.fileno(), len(content))))


def _mbox(content: bytes) -> None:
    """Between two messages stands a separator and nothing of them; every octet is in one place."""
    try:
        pieces = _read_mbox(content)
    except MigratorError as error:
        if error.code != "file.not_mail":
            raise
        return
    before = 0
    is_mmdf = re.match(rb"\x01{4}\r?(\n|\Z)", content) is not None
    form = rb"(\x01{4}\r?(\n|\Z))+(From [^\n]*(\n|\Z))?" if is_mmdf else rb"[\r\n]*From [^\n]*(\n|\Z)"
    for piece in pieces:
        assert before <= piece.start <= piece.end <= len(content)
        between = content[before : piece.start]
        assert re.fullmatch(form, between), between
        assert content.startswith(piece.header, piece.start)
        mbox_syntax.date_of(piece.header)
        assert len(mbox_syntax.without_state(piece.header)) <= len(piece.header) + 1
        before = piece.end
    rest = content[before:]
    assert rest.strip(b"\r\n") == b"" or not pieces or (is_mmdf and re.fullmatch(form, rest))


_LETTER = st.lists(
    st.sampled_from((b"text\n", b"\n", b">From here\n", b"From here on it\n", b".\n", b"Subject: x\n", b"\xff\0\n")),
    max_size=8,
).map(lambda lines: b"Subject: s\nStatus: O\n\n" + b"".join(lines))


def _mbox_letters(letters: list[bytes]) -> None:
    """What was put into an mbox comes out of it, message by message."""
    content = b"".join(_SEPARATOR + letter + b"\n" for letter in letters)
    found = [content[piece.start : piece.end] for piece in _read_mbox(content)]
    assert found == letters


_FILE_NAME = _mixed(
    b":2,", b":", b",", b"S", b"FRS", b"abz", b"1700000000.", b",S=12", b"\xff", b"1 2 3\n", b"3 V1 N2 G3\n",
    b"7 :name", b"0 NonJunk\n", b"V\t2\n\n", b"a\tb\n", b"\n", b" ", most=10,
)  # fmt: skip


def _maildir(octets: bytes) -> None:
    """No file name, and none of the small files of a Maildir, is too odd to be read."""
    keywords = maildir_names.keywords(octets)
    assert all(imap_syntax.flag_list(frozenset({name})) == b"(%s)" % name.encode() for name in keywords.values())
    flags = maildir_names.flags_of(maildir_names.letters_of(octets), keywords)
    assert "" not in flags
    assert maildir_names.base_of(maildir_names.base_of(octets) + b":2,FS") == maildir_names.base_of(octets)
    known = maildir_names.uid_list(octets)
    assert known is None or all(uid >= 0 for uid in known.uids.values())
    assert b"" not in maildir_names.subscriptions(octets, separator=b".") or b"\t" in octets or b"\n" in octets
    maildir_names.arrival(octets)


_LIST = _mixed(
    b"Name", b"Password", b"NewName", b"\t", b",", b";", b'"', b"\n", b"\r\n", b"\r", b"\xef\xbb\xbf", b"\xff\xfe",
    b"\0", b"anna", b"Name\tPassword\nanna\tpw\n",
)  # fmt: skip


def _roster(content: bytes) -> None:
    """Every line of a list is an account, is refused by its number, or is empty; a list is else refused as a whole."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "list"
        for head in (b"", b"Name\tPassword\tNewName\n", b"Name;Password\r\n"):
            path.write_bytes(head + content)
            try:
                tsv.look(path)
                found = tsv.read(path, Needs())
            except BadRoster:
                continue
            lines = [entry.line for entry in (*found.rows, *found.refusals)]
            assert len(set(lines)) == len(lines)
            assert max(lines) <= sum(1 for _ in tsv.numbered_lines(path))
            for row in found.rows:
                assert row.source_user
                assert not set("\r\n\0") & set(row.source_user + row.target_user)


# -- the proof ------------------------------------------------------------------------------------------------------


@cache
def _manifest() -> bytes:
    scene = life_like()
    scene.copy()
    return written(scene.ledger)


_EDITS = st.lists(
    st.tuples(
        st.floats(0, 1), st.integers(0, 40), st.one_of(st.binary(max_size=8), st.sampled_from((b"\n", b'"', b"{}")))
    ),
    min_size=1,
    max_size=4,
)


def _edited_manifest(edits: list[tuple[float, int, bytes]]) -> None:
    """A manifest that was changed in places does not hold."""
    whole = _manifest()
    text = whole
    for place, gone, put in edits:
        at = int(place * len(text))
        text = text[:at] + put + text[at + gone :]
    with suppress(NoManifest):
        assert text == whole or not check(io.BytesIO(text)).holds


_ANYTHING: SearchStrategy[Any] = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=6), st.just([]), st.just({}),
    st.lists(st.integers(), max_size=3), st.sampled_from(("folder", "leaf", "records", "end", "%00", "00" * 32)),
)  # fmt: skip
_FORGERIES = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), _ANYTHING), min_size=1, max_size=3)


def _forged_manifest(forgeries: list[tuple[float, float, Any]]) -> None:
    """Whatever somebody made up and signed is checked to its end, or refused in a sentence."""
    lines: list[dict[str, Any]] = copy.deepcopy(things(_manifest()))
    for place, which, value in forgeries:
        line = lines[int(place * (len(lines) - 1))]
        key = sorted(line)[int(which * (len(line) - 1))]
        line[key] = value
    try:
        json.dumps(lines, allow_nan=False)
    except ValueError:
        return  # no JSON
    try:
        found = check(io.BytesIO(sealed(lines)))
    except NoManifest:
        return
    assert found.holds or found.problems or not found.is_signed


SUBJECTS = {
    "imap-response": Subject(_IMAP, _imap_response),
    "imap-items": Subject(_ITEMS, _imap_items),
    "imap-appenduid": Subject(_APPENDED, _appended),
    "imap-date": Subject(_DATE, _date),
    "folder-name": Subject(_NAME, _folder_name),
    "refusals": Subject(_REFUSED, _refusal),
    "smtp-stuffing": Subject(st.lists(_mixed(b".", b"\r\n", b"\r", b"\n", b".\r\n", b"\n.\n", most=6)), _stuffing),
    "mending": Subject(_MAIL, _mending),
    "mbox": Subject(_MBOX, _mbox),
    "mbox-letters": Subject(st.lists(_LETTER, min_size=1, max_size=5), _mbox_letters),
    "maildir": Subject(_FILE_NAME, _maildir),
    "roster": Subject(_LIST, _roster),
    "manifest-edited": Subject(_EDITS, _edited_manifest),
    "manifest-forged": Subject(_FORGERIES, _forged_manifest),
}


def _run(names: Iterable[str], examples: int, seed_value: int) -> int:
    failed = 0
    for name in names:
        begun = time.monotonic()
        try:
            search(SUBJECTS[name], examples, seed_value)
            verdict = "nothing found"
        except Exception as found:  # noqa: BLE001 - whatever it is, it is what is looked for
            failed += 1
            verdict = f"{type(found).__name__}: {str(found)[:600]}\n" + "\n".join(getattr(found, "__notes__", ()))[:900]
        print(f"{name}: {examples} examples, {time.monotonic() - begun:.1f} s: {verdict}", flush=True)
    return failed


def main() -> int:
    """Run it from the shell."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.fuzz")
    parser.add_argument("--examples", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    parser.add_argument("--only", choices=SUBJECTS)
    chosen = parser.parse_args()
    print(f"seed {chosen.seed}", flush=True)
    return 1 if _run([chosen.only] if chosen.only else SUBJECTS, chosen.examples, chosen.seed) else 0


if __name__ == "__main__":
    sys.exit(main())
