"""Notes on folders (METADATA) between real servers, seen by an outsider."""

from __future__ import annotations

import re

import pytest

from migrator.events import NoteLost
from migrator.transfer.plan import CopyPolicy
from tests.live.crossing import Crossing
from tests.rigs.base import Account, users
from tests.rigs.cyrus import Cyrus
from tests.rigs.dialogue import Dialogue
from tests.rigs.dovecot import Dovecot
from tests.rigs.pymap import Pymap

POLICY = CopyPolicy(copies_notes=True)
MADE = {"dovecot": lambda: Dovecot(users(2)), "cyrus": lambda: Cyrus(users(2)), "pymap": lambda: Pymap(users(2))}
PREFIX = {"dovecot": b"", "cyrus": b"INBOX.", "pymap": b""}
COMMENTS = {b"/private/comment": b'mi"ne\r\nnext', b"/shared/comment": b"ours \xc3\xbc"}
COLOUR = {b"/shared/vendor/acme/colour": b"red"}


def note(account: Account, folder: bytes, notes: dict[bytes, bytes]) -> None:
    with Dialogue(account) as talk:
        talk.command(b"CREATE " + folder)
        talk.append(folder, [(b"()", b"Subject: x\r\n\r\nx\r\n")])
        for entry, value in notes.items():
            talk.command(b"SETMETADATA %s (%s {%d+}\r\n%s)" % (folder, entry, len(value), value))


def noted(account: Account, folder: bytes, entries: list[bytes]) -> dict[bytes, bytes]:
    """Return the values of ``entries``, asked one by one."""
    found = {}
    with Dialogue(account) as talk:
        for entry in entries:
            for reply in talk.command(b"GETMETADATA %s %s" % (folder, entry)):
                plain = re.search(rb'\("?%s"? "?([^"{]*)"?\)' % re.escape(entry), reply.text)
                if reply.literals:
                    found[entry] = reply.literals[0]
                elif plain and plain[1] != b"NIL":
                    found[entry] = plain[1]
    return found


@pytest.mark.parametrize(
    ("source", "target"), [("dovecot", "cyrus"), ("cyrus", "dovecot"), ("dovecot", "dovecot"), ("cyrus", "cyrus")]
)
def test_notes_cross_and_what_the_target_refuses_is_told(source: str, target: str) -> None:
    with MADE[source]() as one, MADE[target]() as other:
        notes = COMMENTS | (COLOUR if source == "dovecot" else {})
        note(one.account("u0000"), PREFIX[source] + b"Work", notes)
        crossing = Crossing(one.account("u0000"), other.account("u0000"))
        assert crossing.run(POLICY).is_balanced
        kept = COMMENTS if target == "cyrus" else notes
        assert noted(other.account("u0000"), PREFIX[target] + b"Work", list(notes)) == kept
        lost = [event for event in crossing.log.events if isinstance(event, NoteLost)]
        wanted = [("Work", "/shared/vendor/acme/colour")] if notes != kept else []
        assert [(event.folder.split("/")[-1], event.entry) for event in lost] == wanted
        assert all("Permission denied" in event.reply for event in lost)
        before = len(crossing.log.events)
        assert crossing.run(POLICY).is_balanced
        assert not [event for event in crossing.log.events[before:] if isinstance(event, NoteLost)]


def test_a_folder_that_is_there_already_gets_its_role_where_the_server_takes_it() -> None:
    with MADE["dovecot"]() as one, MADE["cyrus"]() as other:
        note(other.account("u0000"), b"INBOX.Junk", {})
        with Dialogue(one.account("u0000")) as talk:
            talk.append(b"Junk", [(b"()", b"Subject: y\r\n\r\ny\r\n")])
        assert Crossing(one.account("u0000"), other.account("u0000")).run(POLICY).is_balanced
        assert noted(other.account("u0000"), b"INBOX.Junk", [b"/private/specialuse"]) == {
            b"/private/specialuse": b"\\Junk"
        }


def test_a_server_without_notes_gets_the_mail_and_says_what_it_lacks() -> None:
    with MADE["dovecot"]() as one, MADE["pymap"]() as other:
        note(one.account("u0000"), b"Work", COMMENTS)
        crossing = Crossing(one.account("u0000"), other.account("u0000"))
        assert crossing.run(POLICY).is_balanced
        lost = {(event.folder, event.entry) for event in crossing.log.events if isinstance(event, NoteLost)}
        assert {("Work", "/private/comment"), ("Work", "/shared/comment")} <= lost
