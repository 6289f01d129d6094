"""What a test of a connection tells of a server's room, where the server is slow or tells little."""

from __future__ import annotations

import pytest

from migrator.limits import Limits
from migrator.preflight.probe import Finding, Look, Outcome, try_server
from migrator.secret import Secret
from migrator.stores import imap_quota
from migrator.stores.endpoint import Endpoint
from tests.rigs.base import HOST
from tests.rigs.scripted import Command, Conversation, Peer, hang

PATIENCE = Limits(connect_seconds=2, io_seconds=0.5)


def counting(sized: str) -> Peer:
    """A server with three folders; ``sized`` is what it does when it is asked how big one is."""

    def status(conversation: Conversation, command: Command) -> None:
        name = command.words.split(b'"')[1] if b'"' in command.words else command.words.split()[1]
        if b"SIZE" not in command.words:
            conversation.say(b"* STATUS %s (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 1)\n$ OK done" % name, command)
        elif sized == "slow":
            hang(conversation, command)
        elif sized == "refused" and name == b"Old":
            conversation.say("$ NO not now", command)
        else:
            conversation.say(b"* STATUS %s (SIZE 1000)\n$ OK done" % name, command)

    folders = "".join(f'* LIST () "/" {name}\n' for name in ("INBOX", "Old", "Sent"))
    quota = '* QUOTAROOT "INBOX" ""\n* QUOTA "" (STORAGE 10 100)\n$ OK done'
    answers = {"LIST": f"{folders}$ OK done", "STATUS": status, "GETQUOTAROOT": quota}
    return Peer(answers, capabilities="IMAP4rev1 ID QUOTA STATUS=SIZE")


def looked(peer: Peer) -> dict[Look, Finding]:
    there = Endpoint(HOST, peer.port, "plain", "anna", Secret("secret"))
    return {one.look: one for one in try_server(there, {Look.USER: there}, PATIENCE)}


def test_a_server_that_counts_for_long_is_described_all_the_same() -> None:
    with counting("slow") as peer:
        found = looked(peer)
    assert all(found[look].outcome is not Outcome.BAD for look in found), found
    assert found[Look.PRODUCT].facts["words"] == "Scripted"
    assert found[Look.ROOM].facts == {"storage_free": 90 * 1024, "storage_limit": 100 * 1024}


@pytest.mark.parametrize(("sized", "held"), [("at once", 3000), ("refused", None)])
def test_what_an_account_holds_is_told_only_when_all_of_it_was_counted(sized: str, held: int | None) -> None:
    with counting(sized) as peer:
        assert looked(peer)[Look.ROOM].facts.get("held_bytes") == held


def test_what_an_account_with_more_folders_than_are_asked_holds_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imap_quota, "_MOST_FOLDERS", 2)
    with counting("at once") as peer:
        assert "held_bytes" not in looked(peer)[Look.ROOM].facts
        assert not any(b"SIZE" in words for words in peer.said("STATUS"))
