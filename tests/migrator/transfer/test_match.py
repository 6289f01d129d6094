from __future__ import annotations

from migrator.mail import NO_FLAGS, FolderPath, Message
from migrator.transfer.digest import digest_whole
from migrator.transfer.match import Candidates, identities, without_marks

MARKED = b"Subject: x\r\nX-TUID: ab/defghijkl\r\n\r\nX-TUID: in the body stays\r\n"
BARE = b"Subject: x\r\n\r\nX-TUID: in the body stays\r\n"


def message(body: bytes, *, pieces: int = 0) -> Message:
    path = FolderPath(b"INBOX")
    if not pieces:
        return Message(path, 1, len(body), whole=body)
    return Message(path, 1, len(body), stream=iter([body[at : at + pieces] for at in range(0, len(body), pieces)]))


def test_equal_messages_are_claimed_one_by_one_in_uid_order() -> None:
    candidates = Candidates()
    for uid in (3, 5):
        candidates.add(uid, (b"same",), NO_FLAGS, 10)
    assert [candidates.take(b"same") for _ in range(3)] == [(3, NO_FLAGS), (5, NO_FLAGS), None]
    assert len(candidates) == 0


def test_a_message_with_two_digests_is_claimed_once() -> None:
    candidates = Candidates()
    candidates.add(4, (b"plain", b"bare"), NO_FLAGS, 10)
    assert candidates.take(b"bare") == (4, NO_FLAGS)
    assert candidates.take(b"plain") is None


def test_what_nobody_claimed_remains() -> None:
    candidates = Candidates()
    candidates.add(9, (b"x", b"y"), NO_FLAGS, 10)
    candidates.add(11, (b"z",), NO_FLAGS, 300)
    assert candidates.holds_big(299)
    candidates.take(b"z")
    assert not candidates.holds_big(299)
    assert list(candidates.remaining()) == [(9, b"x")]


def test_marks_of_other_tools_are_taken_off_the_header_only() -> None:
    assert without_marks(MARKED) == BARE
    assert without_marks(BARE) is BARE


def test_a_marked_message_is_known_by_both_its_forms_whole_or_in_pieces() -> None:
    expected = (digest_whole(MARKED).canonical, digest_whole(BARE).canonical)
    assert identities(message(MARKED)) == expected
    for pieces in (1, 7, 30, 1000):
        assert identities(message(MARKED, pieces=pieces)) == expected
    assert identities(message(BARE)) == identities(message(BARE, pieces=3)) == (digest_whole(BARE).canonical,)
