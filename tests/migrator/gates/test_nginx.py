"""nginx's questions are read as it writes them, and nothing else is; answers are what it reads."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.gates.answers import MOVING, UNKNOWN, UNSURE, Later, Never
from migrator.gates.front import Door
from migrator.gates.nginx import BadQuestion, Question, answer, question

# as nginx 1.22 sent it, but for the password
SEEN = (
    b"GET /auth/front HTTP/1.0\r\nHost: 127.0.0.1\r\nAuth-Method: plain\r\nAuth-User: anna%25@example.test\r\n"
    b"Auth-Pass: Auth-User:%20bert\r\nAuth-Protocol: imap\r\nAuth-Login-Attempt: 1\r\nClient-IP: 127.0.0.2\r\n"
    b"X-Auth-Key: seven wet stones\r\n\r\n"
)


def test_a_question_is_read() -> None:
    assert question(SEEN) == Question("front", b"seven wet stones", "anna%@example.test", "imap", "127.0.0.2", False)
    assert question(SEEN.replace(b"HTTP/1.0", b"HTTP/1.1")).keeps_line
    assert not question(SEEN.replace(b"HTTP/1.0\r\n", b"HTTP/1.1\r\nConnection: Close\r\n")).keeps_line


@pytest.mark.parametrize(
    "user", [b"", b"anna%0d%0aX-Auth-Key: x", b"anna%0A", b"%00", b"%ff", b"anna\xff", b"anna%7f", b"%e2%80%a8"]
)
def test_a_name_with_control_characters_or_without_letters_is_nobodys(user: bytes) -> None:
    assert question(SEEN.replace(b"anna%25@example.test", user)).user is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"GET /auth/front", b"GET /auth/"),
        (b"GET /auth/front", b"GET /auth/../front"),
        (b"GET ", b"POST "),
        (b"HTTP/1.0", b"HTTP/2"),
        (b"Auth-User: ", b"User: "),
        (b"Auth-Protocol: imap", b"Auth-Protocol: ldap"),
        (b"Auth-Method: plain", b"Auth-User: bert"),
        (b"Auth-Method: plain", b"X-Auth-Key: another"),
    ],
)
def test_what_is_no_question_is_refused_whole(old: bytes, new: bytes) -> None:
    assert old in SEEN
    with pytest.raises(BadQuestion):
        question(SEEN.replace(old, new, 1))


@given(st.binary(max_size=300))
def test_octets_of_any_kind_are_a_question_or_none(octets: bytes) -> None:
    for head in (octets, SEEN[:40] + octets + SEEN[40:]):
        with contextlib.suppress(BadQuestion):
            assert question(head).protocol in ("imap", "pop3", "smtp")


def lines(octets: bytes) -> list[str]:
    head, end, rest = octets.decode("ascii").partition("\r\n\r\n")
    assert (end, rest) == ("\r\n\r\n", "")
    return head.split("\r\n")


def test_an_answer_names_the_server_by_number() -> None:
    assert lines(answer(Door("192.0.2.7", 143), "imap")) == [
        "HTTP/1.1 200 OK", "Auth-Status: OK", "Auth-Server: 192.0.2.7", "Auth-Port: 143", "Content-Length: 0",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "protocol", "code"),
    [(MOVING, "imap", ""), (MOVING, "smtp", "454 4.7.0"), (UNKNOWN, "pop3", ""), (UNKNOWN, "smtp", "535 5.7.8")],
)
def test_a_refusal_says_whether_later_can_help(given: Later | Never, protocol: str, code: str) -> None:
    told = lines(answer(given, protocol))
    assert told[1:3] == [f"Auth-Status: {given.words}", "Auth-Wait: 3"]
    assert [line for line in told if line.startswith("Auth-Error-Code")] == [f"Auth-Error-Code: {code}"] * bool(code)


def test_out_of_order_is_told_to_who_asks_by_way_of_another_nginx() -> None:
    assert lines(answer(UNSURE, "imap", is_out_of_order=True))[0] == "HTTP/1.1 503 Service Unavailable"
