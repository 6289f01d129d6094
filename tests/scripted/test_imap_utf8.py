"""Servers that could be switched to UTF-8 names (RFC 6855, RFC 9051) are not, on neither side: both spell alike."""

from __future__ import annotations

import pytest

from migrator.mail import Folder, FolderPath, Message, NewFolder
from migrator.stores.imap_source import ImapSource
from migrator.stores.imap_target import ImapTarget
from tests.rigs.listener import QUICK
from tests.rigs.scripted import Answers, Peer

MODERN = "IMAP4rev1 IMAP4rev2 ENABLE UTF8=ACCEPT LITERAL+ UIDPLUS NAMESPACE LIST-EXTENDED"
NAME = b"Gr&APwA3w-e"


@pytest.mark.req("D-5")
def test_a_source_that_could_speak_utf8_is_read_in_the_names_that_all_servers_have() -> None:
    answers: Answers = {
        "LIST": f'* LIST (\\Subscribed) "/" "{NAME.decode()}"\n$ OK done',
        "NAMESPACE": '* NAMESPACE (("" "/")) NIL NIL\n$ OK done',
        "STATUS": "$ OK done",
    }
    with Peer(answers, capabilities=MODERN) as peer, ImapSource(peer.endpoint(), QUICK) as source:
        names = [(folder.path.raw, folder.path.display) for folder in source.folders()]
        assert (NAME, "Grüße") in names
        assert "ENABLE" not in peer.verbs()


@pytest.mark.req("D-5")
def test_a_target_that_could_speak_utf8_gets_the_same_names_and_mail_as_it_is() -> None:
    path = FolderPath.of(("Grüße",), "/")
    body = "Subject: Grüße\r\n\r\nüber alles\r\n".encode()
    answers: Answers = {
        "CREATE": "$ OK done",
        "SELECT": "* 0 EXISTS\n* OK [UIDVALIDITY 7] x\n* OK [UIDNEXT 1] x\n$ OK done",
        "APPEND": "$ OK [APPENDUID 7 1] done",
    }
    with Peer(answers, capabilities=MODERN) as peer, ImapTarget(peer.endpoint(), QUICK) as target:
        (made,) = target.ensure_folders([NewFolder(path, True, False, None)])
        assert isinstance(made, Folder)
        message = Message(FolderPath(b"INBOX"), 1, len(body), target=path, whole=body)
        (receipt,) = target.append([message])
        assert receipt.target_uids == [1]
        assert peer.said("CREATE") == [b'CREATE "%b"' % NAME]
        (append,) = peer.said("APPEND")
        assert append.startswith(b'APPEND "%b" {%d+}\r\n' % (NAME, len(body)))
        assert body in append
        assert "ENABLE" not in peer.verbs()
