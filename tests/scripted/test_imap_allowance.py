"""What a target folder takes, as servers tell it, and that asking changes nothing."""

from __future__ import annotations

import pytest

from migrator.mail import Folder, FolderPath
from migrator.stores.base import Allowance
from migrator.stores.imap_source import ImapSource
from migrator.stores.imap_target import ImapTarget
from tests.rigs.listener import QUICK
from tests.rigs.scripted import Peer

FLAGS = frozenset({"\\Seen", "\\*"})
OPENED = "* 0 EXISTS\n* OK [PERMANENTFLAGS (\\Seen \\*)] -\n$ OK done"


def asked(peer: Peer, messages: int | None = 0, name: bytes = b"INBOX") -> Allowance:
    with peer, ImapTarget(peer.endpoint(), QUICK) as target:
        assert target.features.tells_allowance
        return target.allowance(Folder(FolderPath(name, "/"), messages=messages))


def test_an_empty_folder_is_selected_for_there_is_no_mark_of_new_mail_to_lose() -> None:
    peer = Peer({"SELECT": OPENED})
    assert asked(peer).permanent_flags == FLAGS
    assert peer.said("EXAMINE") == []


@pytest.mark.parametrize("messages", [1, None])
def test_a_filled_folder_is_only_examined(messages: int | None) -> None:
    peer = Peer({"EXAMINE": OPENED})
    assert asked(peer, messages).permanent_flags == FLAGS
    assert peer.said("SELECT") == []


@pytest.mark.parametrize("told", ["* OK [PERMANENTFLAGS ()] Read-only.\n$ OK done", "$ NO [NOPERM] no", "$ BAD"])
def test_what_is_not_told_is_not_known(told: str) -> None:
    assert asked(Peer({"EXAMINE": told}), 5).permanent_flags is None


@pytest.mark.req("D-68")
@pytest.mark.parametrize(
    ("capability", "answer", "limit"),
    [
        ("APPENDLIMIT=35651584", "$ BAD never asked", 35_651_584),
        ("APPENDLIMIT", "* STATUS INBOX (APPENDLIMIT 5000)\n$ OK done", 5000),
        ("APPENDLIMIT", "* STATUS INBOX (MESSAGES 4 APPENDLIMIT NIL)\n$ OK done", None),
        ("APPENDLIMIT", "* STATUS INBOX (APPENDLIMIT\n* STATUS INBOX ()\n$ NO what?", None),
        ("ID", "$ BAD never asked", None),
    ],
)
def test_the_limit_is_that_of_the_server_or_of_the_folder(capability: str, answer: str, limit: int | None) -> None:
    peer = Peer({"SELECT": OPENED, "STATUS": answer}, capabilities=f"IMAP4rev1 {capability}")
    assert asked(peer).append_limit_bytes == limit


def test_a_name_that_cannot_be_sent_is_not_asked_about() -> None:
    assert asked(Peer({}), name=b"a\rb") == Allowance()


def test_folders_of_others_are_known_from_the_list() -> None:
    spaces = '* NAMESPACE (("" "/")) (("user/" "/")) (("shared/" "/"))\n$ OK done'
    listed = '* LIST () "/" INBOX\n* LIST () "/" user/bert\n* LIST (\\Noselect) "/" shared\n* LIST () "/" shared/all\n'
    peer = Peer({"NAMESPACE": spaces, "LIST": listed + "$ OK done"}, capabilities="IMAP4rev1 NAMESPACE")
    with peer, ImapSource(peer.endpoint(), QUICK) as source:
        source.folders()
        assert [path.display for path in source.folders_of_others()] == ["user/bert", "shared/all"]
