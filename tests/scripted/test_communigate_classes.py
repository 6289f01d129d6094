"""Classes of folders between two scripted CommuniGate servers, by their command lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from migrator.directories.communigate_classes import CommuniGateClasses, server_beside
from migrator.errors import MigratorError, Side
from migrator.events import ClassesCopied, ClassLeftBehind
from migrator.limits import Limits
from migrator.secret import Secret
from migrator.stores.endpoint import Endpoint
from migrator.testing import RecordingSink
from migrator.transfer.folder_classes import ClassFate, copy_classes
from migrator.transfer.ledger import FolderState
from migrator.transfer.memory_ledger import MemoryLedger
from tests.rigs.communigate_cli import ADMINISTRATOR, PASSWORD, CommuniGateCli
from tests.rigs.text_peer import close, cut

ANNA = "anna"
CALENDAR, CONTACTS = "IPF.Appointment", "IPF.Contact"
# What was copied: the folders' names by IMAP, on both sides.
COPIED = {b"INBOX": b"INBOX", b"Termine": b"Termine", b"Privat/&AOQ-lter": b"Old/Privat/&AOQ-lter", b"Plain": b"Plain"}


class Scene:
    """Two servers, and a ledger that knows which folders were copied."""

    def __init__(self, old: CommuniGateCli, new: CommuniGateCli) -> None:
        self.old, self.new = old, new
        self.sink = RecordingSink()
        self.ledger = MemoryLedger()
        self.knows(COPIED)
        old.accounts[ANNA].classes.update(
            {"INBOX": "", "Termine": CALENDAR, "Privat/älter": CONTACTS, "Privat": "", "Plain": ""}
        )
        new.accounts[ANNA].classes.update({"INBOX": "", "Termine": "", "Old/Privat/älter": "", "Plain": ""})

    def knows(self, pairs: dict[bytes, bytes]) -> None:
        for source, target in pairs.items():
            self.ledger.begin([FolderState(source, target, 1, 1)])

    def store(self, peer: CommuniGateCli, side: Side, user: str = ANNA, **more: Any) -> CommuniGateClasses:
        password = Secret(peer.passwords[user])
        endpoint = Endpoint("127.0.0.1", 1, "tls", user, password, **more)
        limits = replace(Limits(), io_seconds=5)
        return CommuniGateClasses(server_beside(endpoint, "", peer.port, limits, side), side, endpoint.authzid)

    def copy(self, user: str = ANNA, **options: Any) -> dict[str, ClassFate]:
        more = {"authzid": ANNA} if user == ADMINISTRATOR else {}
        with (
            self.store(self.old, Side.SOURCE, user, **more) as source,
            self.store(self.new, Side.TARGET, user, **more) as target,
        ):
            return {one.folder: one.fate for one in copy_classes(source, target, self.ledger, self.sink, **options)}

    def told(self, kind: type) -> list[Any]:
        return [event for event in self.sink.events if isinstance(event, kind)]


@pytest.fixture
def scene() -> Iterator[Scene]:
    with CommuniGateCli(ANNA) as old, CommuniGateCli(ANNA) as new:
        for peer in (old, new):
            peer.passwords[ANNA] = "her word"
        yield Scene(old, new)


@pytest.mark.req("S-67")
def test_classes_go_to_the_folders_that_were_copied_whatever_these_are_called_there(scene: Scene) -> None:
    assert scene.copy() == {"Termine": ClassFate.COPIED, "Privat/älter": ClassFate.COPIED}
    assert scene.new.accounts[ANNA].classes == {
        "INBOX": "",
        "Termine": CALENDAR,
        "Old/Privat/älter": CONTACTS,
        "Plain": "",
    }
    assert scene.told(ClassesCopied) == [ClassesCopied(folders=2, copied=2)]


def test_the_commands_are_those_of_the_guide_byte_for_byte(scene: Scene) -> None:
    def asked(peer: CommuniGateCli) -> list[str]:
        return [line.decode() for line in peer.commands if line.split()[0] not in (b"APOP", b"INLINE", b"QUIT")]

    scene.copy()
    assert asked(scene.old) == ["LISTMAILBOXES *"]
    assert asked(scene.new) == [
        "LISTMAILBOXES *",
        "GETACCOUNTEFFECTIVESETTINGS *",
        'SETMAILBOXCLASS * MAILBOX Termine CLASS "IPF.Appointment"',
        'SETMAILBOXCLASS * MAILBOX "Old/Privat/älter" CLASS "IPF.Contact"',
        "LISTMAILBOXES *",
    ]


def test_what_is_done_is_not_done_again(scene: Scene) -> None:
    scene.copy()
    said = scene.new.verbs().count("SETMAILBOXCLASS")
    assert scene.copy() == {"Termine": ClassFate.THERE, "Privat/älter": ClassFate.THERE}
    assert scene.new.verbs().count("SETMAILBOXCLASS") == said


def test_an_administrator_asks_for_the_mailbox_of_another(scene: Scene) -> None:
    assert scene.copy(ADMINISTRATOR) == {"Termine": ClassFate.COPIED, "Privat/älter": ClassFate.COPIED}
    assert "LISTMAILBOXES anna" in scene.old.said
    assert "LISTMAILBOXES anna" in scene.new.said


def test_a_folder_below_another_mailbox_is_asked_for_there(scene: Scene) -> None:
    scene.ledger = MemoryLedger()
    scene.knows({b"~anna/Termine": b"~anna/Termine"})
    with (
        scene.store(scene.old, Side.SOURCE, ADMINISTRATOR) as old,
        scene.store(scene.new, Side.TARGET, ADMINISTRATOR) as new,
    ):
        copy_classes(old, new, scene.ledger, scene.sink)
    assert scene.new.accounts[ANNA].classes["Termine"] == CALENDAR


def test_another_class_on_the_target_stays_and_is_told(scene: Scene) -> None:
    scene.new.accounts[ANNA].classes["Termine"] = "IPF.Task"
    assert scene.copy()["Termine"] is ClassFate.OTHER_THERE
    assert scene.new.accounts[ANNA].classes["Termine"] == "IPF.Task"
    assert [(one.folder, one.kind, one.there) for one in scene.told(ClassLeftBehind)] == [
        ("Termine", CALENDAR, "IPF.Task")
    ]


def test_a_folder_that_was_not_copied_is_told_and_none_is_made(scene: Scene) -> None:
    scene.old.accounts[ANNA].classes["Aufgaben"] = "IPF.Task"
    assert scene.copy()["Aufgaben"] is ClassFate.NOT_COPIED
    assert "Aufgaben" not in scene.new.accounts[ANNA].classes


def test_no_class_is_set_where_the_server_would_hide_the_folder_from_imap(scene: Scene) -> None:
    scene.new.defaults["IMAPSeesNonMail"] = "NO"
    assert set(scene.copy().values()) == {ClassFate.HIDDEN}
    assert "SETMAILBOXCLASS" not in scene.new.verbs()
    scene.new.accounts[ANNA].settings["IMAPSeesNonMail"] = "YES"
    assert set(scene.copy().values()) == {ClassFate.COPIED}


def test_a_rehearsal_sets_nothing(scene: Scene) -> None:
    assert set(scene.copy(dry_run=True).values()) == {ClassFate.COPIED}
    assert "SETMAILBOXCLASS" not in scene.new.verbs()
    assert scene.told(ClassesCopied) == [ClassesCopied(folders=2, copied=2, is_rehearsal=True)]


def test_leave_is_asked_for_before_each_change(scene: Scene) -> None:
    asked: list[int] = []

    def fence() -> None:
        asked.append(scene.new.verbs().count("SETMAILBOXCLASS"))
        if len(asked) == 2:
            raise MigratorError("directory.busy")

    with pytest.raises(MigratorError, match=r"directory\.busy"):
        scene.copy(before_change=fence)
    assert asked == [0, 1]
    assert scene.new.verbs().count("SETMAILBOXCLASS") == 1


def test_a_refused_class_is_told_with_the_words_of_the_server_and_the_others_go_on(scene: Scene) -> None:
    scene.new._answers["SETMAILBOXCLASS"] = ["501 this class is not allowed", scene.new._command]
    fates = scene.copy()
    assert sorted(fates.values()) == [ClassFate.COPIED, ClassFate.REFUSED]
    (told,) = scene.told(ClassLeftBehind)
    assert (told.error.code, told.error.reply) == ("classes.refused", "501 this class is not allowed")


def test_a_class_that_the_server_takes_and_does_not_keep_is_no_success(scene: Scene) -> None:
    scene.new._answers["SETMAILBOXCLASS"] = ["200 OK"]
    assert set(scene.copy().values()) == {ClassFate.REFUSED}


def test_a_change_whose_answer_is_lost_is_looked_at_and_not_repeated(scene: Scene) -> None:
    def lost(talk: Any, command: bytes) -> None:
        scene.new._setmailboxclass([ANNA, "MAILBOX", "Termine", "CLASS", CALENDAR])
        cut(talk, command)

    scene.new._answers["SETMAILBOXCLASS"] = [lost, scene.new._command]
    assert scene.copy() == {"Termine": ClassFate.THERE, "Privat/älter": ClassFate.COPIED}
    assert [said for said in scene.new.said if said.startswith("SETMAILBOXCLASS * MAILBOX Termine")] == []
    assert scene.new.verbs().count("SETMAILBOXCLASS") == 2


@pytest.mark.parametrize(
    ("break_it", "side", "code"),
    [
        (lambda scene: scene.old.passwords.update(anna="another"), Side.SOURCE, "classes.refused"),
        (
            lambda scene: scene.new._answers.update(LISTMAILBOXES=["500 unknown command"]),
            Side.TARGET,
            "classes.refused",
        ),
        (lambda scene: scene.new._answers.update(LISTMAILBOXES=[close]), Side.TARGET, "classes.unreachable"),
        (lambda scene: scene.new._answers.update(LISTMAILBOXES=["201 (a,b)"]), Side.TARGET, "classes.refused"),
    ],
)
def test_a_side_that_cannot_be_asked_is_named(
    scene: Scene, break_it: Callable[[Scene], None], side: Side, code: str
) -> None:
    stores = scene.store(scene.old, Side.SOURCE), scene.store(scene.new, Side.TARGET)
    break_it(scene)
    with pytest.raises(MigratorError) as caught, stores[0] as source, stores[1] as target:
        copy_classes(source, target, scene.ledger, scene.sink)
    assert (caught.value.code, caught.value.side) == (code, side)
    assert not scene.told(ClassesCopied)


def test_a_server_that_hangs_up_later_is_not_taken_for_one_that_is_not_there(scene: Scene) -> None:
    scene.new._answers["GETACCOUNTEFFECTIVESETTINGS"] = [close]
    with pytest.raises(MigratorError) as caught:
        scene.copy()
    assert (caught.value.code, caught.value.side) == ("classes.lost", Side.TARGET)
    assert "SETMAILBOXCLASS" not in scene.new.verbs()


@pytest.mark.parametrize(
    ("security", "verbs"), [("tls", ["APOP"]), ("starttls", ["APOP"]), ("plain", ["USER", "PASS"])]
)
def test_a_password_crosses_the_line_in_clear_only_where_it_does_so_for_the_mail(
    scene: Scene, security: Any, verbs: list[str]
) -> None:
    endpoint = Endpoint("127.0.0.1", 143, security, ADMINISTRATOR, Secret(PASSWORD))
    server = server_beside(endpoint, "", scene.old.port, Limits(), Side.SOURCE)
    with CommuniGateClasses(server, Side.SOURCE, ANNA) as store:
        assert store.classes(store.owner)["Termine"] == CALENDAR
    assert scene.old.verbs()[: len(verbs)] == verbs


@pytest.mark.parametrize(
    ("endpoint", "code"),
    [
        (Endpoint("h", 1, "tls", "u", Secret("")), "sign_in.no_method"),
        (Endpoint("h", 1, "tls", "u\r\nDELETEACCOUNT x", Secret("p")), "address.bad"),
        (Endpoint("h", 1, "tls", "u", Secret("p\r\nDELETEACCOUNT x")), "address.bad"),
    ],
)
def test_what_cannot_be_said_on_a_line_is_never_sent(endpoint: Endpoint, code: str) -> None:
    with pytest.raises(MigratorError) as caught:
        server_beside(endpoint, "", None, Limits(), Side.TARGET)
    assert (caught.value.code, caught.value.side) == (code, Side.TARGET)
