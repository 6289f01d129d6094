"""A folder at which the server ends the session, such as a colleague's that is locked, keeps nothing else back."""

from __future__ import annotations

import pytest

from migrator.errors import MigratorError, Side
from migrator.limits import Limits
from migrator.mail import FolderPath
from migrator.stores.imap_deadly import Deadly
from migrator.stores.imap_source import ImapSource
from migrator.stores.imap_target import ImapTarget
from migrator.transfer import copy
from migrator.transfer.copy import PassResult, run_pass
from migrator.transfer.memory_ledger import MemoryLedger
from tests.rigs.communigate import CommuniGate
from tests.rigs.scripted import Command, Conversation

LIMITS = Limits(io_seconds=10)
LETTERS = [b"Subject: %d\r\n\r\nbody\r\n" % number for number in range(4)]


class Locking(CommuniGate):
    """Ends the session, as Zimbra does, when one of ``verbs`` is about one of ``locked``."""

    locked: tuple[bytes, ...] = ()
    verbs: tuple[str, ...] = ()
    goodbye = "* BYE mailbox is locked"

    def status(self, talk: Conversation, command: Command) -> None:
        self._end(talk, command)
        super().status(talk, command)

    def examine(self, talk: Conversation, command: Command) -> None:
        self._end(talk, command)
        super().examine(talk, command)

    def _end(self, talk: Conversation, command: Command) -> None:
        if command.verb in self.verbs and any(b'"%s"' % name in command.words for name in self.locked):
            if self.goodbye:
                talk.say(self.goodbye)
            talk.close()


def cross(old: CommuniGate, new: CommuniGate) -> PassResult:
    with (
        ImapSource(old.peer.endpoint(user="anna"), LIMITS) as source,
        ImapTarget(new.peer.endpoint(user="anna"), LIMITS) as target,
    ):
        return run_pass(source, target, MemoryLedger(), limits=LIMITS)


@pytest.mark.req("D-25")
@pytest.mark.parametrize("verbs", [("STATUS", "EXAMINE"), ("EXAMINE",)])
@pytest.mark.parametrize("goodbye", ["* BYE mailbox is locked", ""])
@pytest.mark.parametrize("locked", [(b"Bob",), (b"Bob", b"Carl")])
def test_all_other_folders_are_copied_and_the_locked_ones_are_named(monkeypatch, verbs, goodbye, locked) -> None:
    monkeypatch.setattr(copy, "RECONNECT_SECONDS", (0.0,))
    with Locking("anna") as old, CommuniGate("anna") as new:
        old.locked, old.verbs, old.goodbye = locked, verbs, goodbye
        for number, folder in enumerate(("INBOX", "Bob", "Carl", "Work")):
            old.put("anna", folder, LETTERS[number], subscribed=True)
        result = cross(old, new)
        assert result.error is None
        failed = {folder.source.raw: folder.error.code for folder in result.folders if folder.error}
        assert failed == dict.fromkeys(locked, "folder.ends_session")
        assert not result.is_complete
        kept = {name.encode(): mail for name, mail in old.holds("anna").items() if name.encode() not in locked}
        assert {name.encode(): mail for name, mail in new.holds("anna").items()} == kept
        assert old.peer.connections == 2 + len(locked)


@pytest.mark.parametrize(
    ("deaths", "avoided"),
    [
        ([], set()),
        ([b"a"], set()),  # it may be chance
        ([b"a", b"a"], {b"a"}),
        ([b"a", b"a", b"b"], {b"a", b"b"}),  # the server is known for it
        ([b"INBOX", b"INBOX", b"INBOX"], set()),
    ],
)
def test_a_folder_is_avoided_when_it_is_no_chance(deaths: list[bytes], avoided: set[bytes]) -> None:
    deadly = Deadly()
    for raw in deaths:
        deadly.note(raw, MigratorError("line.lost", side=Side.SOURCE))
    assert {raw for raw in (b"a", b"b", b"INBOX") if FolderPath(raw) in deadly} == avoided
