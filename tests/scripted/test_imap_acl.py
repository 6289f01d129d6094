"""Access lists: read whatever the server writes, set in the safe order, and never a reason to lose mail."""

from __future__ import annotations

import pytest

from migrator.errors import MigratorError
from migrator.mail import FolderPath, Grant, Grantee, LostGrant, NewFolder
from migrator.stores.base import Trouble
from migrator.stores.imap_source import ImapSource
from migrator.stores.imap_target import ImapTarget
from tests.rigs.listener import QUICK
from tests.rigs.scripted import Answer, Peer, close

TEAM = FolderPath(b"Team", "/")
ODD = FolderPath(b'say "hi"', "/")
BERT = Grant(Grantee.USER, "bert", "lrs")
ALL = Grant(Grantee.ANYONE, "", "lr")
NOT_CARL = Grant(Grantee.USER, "carl", "r", is_denial=True)
FULL = "IMAP4rev1 ACL RIGHTS=kxte"
CYRUS = "* OK Cyrus IMAP 3.6.1 server ready"
DOVECOT = "* OK Dovecot ready."


def read(answer: Answer, *, greeting: str = DOVECOT) -> object:
    with Peer({"GETACL": answer}, greeting=greeting, capabilities=FULL) as peer:
        with ImapSource(peer.endpoint(), QUICK) as source:
            (found,) = source.grants([TEAM])
        return found


def give(*grants: Grant, answer: Answer = "$ OK set", capabilities: str = FULL, greeting: str = DOVECOT):
    """Open Team for ``grants``; return what was lost, and what the server heard."""
    answers = {"SELECT": "* OK [UIDVALIDITY 1] -\n* OK [UIDNEXT 1] -\n$ OK", "SETACL": answer}
    with (
        Peer(answers, greeting=greeting, capabilities=capabilities) as peer,
        ImapTarget(peer.endpoint(), QUICK) as target,
    ):
        (folder,) = target.ensure_folders([NewFolder(TEAM, True, False, None, grants)])
        return list(folder.lost_grants), peer.said("SETACL")


def test_grants_of_others_are_read_and_the_owners_own_are_not() -> None:
    lines = '* ACL Team U1 lrswipkxtecda bert lrs -carl r anyone lr $staff lrk "john doe" lr\n$ OK'
    assert read(lines) == [
        BERT, NOT_CARL, ALL, Grant(Grantee.GROUP, "staff", "lrk"), Grant(Grantee.USER, "john doe", "lr")
    ]  # fmt: skip


def test_groups_are_known_by_the_sign_of_the_product() -> None:
    assert read("* ACL Team group:staff lrs\n$ OK", greeting=CYRUS) == [Grant(Grantee.GROUP, "staff", "lrs")]
    assert read('* ACL "Team" "owner" "acdilrsw" "administrators" "acdilrsw" "bert" "lrs"\n$ OK') == [BERT]


def test_what_cannot_be_read_gives_nothing_and_breaks_nothing() -> None:
    for line in ("* ACL", "* ACL Team", "* ACL Team bert", "* ACL (((", "* ACL Team ) x", "* ACL Team bert NIL"):
        assert read(f"{line}\n$ OK") == []


def test_a_refusal_is_told_and_ends_nothing() -> None:
    with Peer({"GETACL": ["$ NO Permission denied", "* ACL x bert lrs\n$ OK"]}, capabilities=FULL) as peer:
        with ImapSource(peer.endpoint(), QUICK) as source:
            refused, odd, unspeakable = source.grants([TEAM, ODD, FolderPath(b"a\r\nb", "/")])
        assert isinstance(refused, Trouble)
        assert "Permission denied" in refused.error.reply
        assert odd == [BERT]
        assert isinstance(unspeakable, Trouble)
        assert peer.connections == 1


def test_a_server_that_hangs_up_after_a_refusal_has_merely_dropped_the_line() -> None:
    answers: list[Answer] = ["$ NO Permission denied", close]
    with (
        Peer({"GETACL": answers}, capabilities=FULL) as peer,
        ImapSource(peer.endpoint(), QUICK) as source,
        pytest.raises(MigratorError) as caught,
    ):
        source.grants([TEAM, ODD])
    assert caught.value.code == "line.lost"


def test_denials_are_set_before_what_they_take_from() -> None:
    lost, heard = give(ALL, NOT_CARL, BERT)
    assert lost == []
    assert heard == [b'SETACL "Team" "-carl" r', b'SETACL "Team" "anyone" lr', b'SETACL "Team" "bert" lrs']


def test_where_a_denial_is_refused_nobody_is_let_in() -> None:
    lost, heard = give(ALL, NOT_CARL, BERT, answer="$ NO Unknown user")
    assert [one.grant for one in lost] == [NOT_CARL, ALL, BERT]
    assert "Unknown user" in lost[0].reply
    assert heard == [b'SETACL "Team" "-carl" r']


def test_a_server_without_access_lists_is_sent_none() -> None:
    assert give(ALL, BERT, capabilities="IMAP4rev1") == ([LostGrant(ALL), LostGrant(BERT)], [])


def test_an_older_server_is_sent_older_letters() -> None:
    grant = Grant(Grantee.USER, "bert", "lrswipkxtea")
    lost, heard = give(grant, capabilities="IMAP4rev1 ACL")
    assert heard == [b'SETACL "Team" "bert" lrswipacd']
    assert lost == [LostGrant(grant._replace(rights="x"))]


def test_a_name_that_would_mean_somebody_else_is_not_sent() -> None:
    names = ["owner", "anyone", "$staff", "-carl", "#global", "a\r\nb"]
    lost, heard = give(*(Grant(Grantee.USER, name, "lr") for name in names))
    assert (len(lost), heard) == (6, [])
    staff = Grant(Grantee.GROUP, "staff", "lr")
    assert give(staff, greeting=CYRUS)[1] == [b'SETACL "Team" "group:staff" lr']
    assert give(staff, greeting="* OK IMAP ready") == ([LostGrant(staff)], [])
