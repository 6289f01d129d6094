"""Notes on folders as servers tell them, and what is never sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.mail import Note
from migrator.stores import imap_metadata
from migrator.stores.imap_session import Reply

PIECES = st.lists(
    st.sampled_from(
        [b"(", b")", b'"', b"\\", b" ", b"NIL", b"{2}\r\n", b"{9}\r\n", b"/private/comment", b"a", b"\xff"]
    ),
    max_size=30,
)


def noted(response: bytes) -> list[Note]:
    return list(imap_metadata._notes(Reply("OK", "", [response])))


@given(PIECES)
def test_any_response_is_read_or_gives_nothing(pieces: list[bytes]) -> None:
    assert all(isinstance(note.value, bytes) for note in noted(b"* METADATA INBOX " + b"".join(pieces)))


@pytest.mark.parametrize(
    ("response", "notes"),
    [
        (b'* METADATA "a b" ("/shared/comment" "x" /private/comment NIL)', [Note("/shared/comment", b"x")]),
        (b"* METADATA INBOX (/shared/comment {3}\r\na\r\n)", [Note("/shared/comment", b"a\r\n")]),
        (b"* METADATA INBOX /shared/comment", []),
        (b"* LIST () / INBOX", []),
    ],
)
def test_notes_are_read_as_servers_tell_them(response: bytes, notes: list[Note]) -> None:
    assert noted(response) == notes


@pytest.mark.parametrize(
    ("entry", "is_own"),
    [
        ("/shared/vendor/cmu/cyrus-imapd/size", True),
        ("/private/vendor/vendor.dovecot/x", True),
        ("/private/specialuse", True),
        ("/private", True),
        ("/private/comment", False),
        ("/shared/vendor/acme/specialuse", False),
    ],
)
def test_what_a_server_notes_for_itself_is_left_out(entry: str, is_own: bool) -> None:
    assert bool(imap_metadata._OWN.fullmatch(entry)) == is_own


@pytest.mark.parametrize(
    ("entry", "is_entry"),
    [
        ("/private/comment", True),
        ("/SHARED/vendor/acme/a-b_c.d", True),
        ("/private/specialuse", True),
        ('/private/a" "b', False),
        ("/private/a\r\nb LOGOUT", False),
        ("/private/a)", False),
        ("/private/a*", False),
        ("/private/{3}", False),
        ("/private/a b", False),
        ("/private/ü", False),
        ("/other/a", False),
        ("/private/", False),
    ],
)
def test_an_entry_that_would_be_a_command_is_never_sent(entry: str, is_entry: bool) -> None:
    assert bool(imap_metadata._ENTRY.fullmatch(entry)) == is_entry
