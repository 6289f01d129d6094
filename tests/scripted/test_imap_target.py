"""Making folders and setting flags on the target."""

from __future__ import annotations

import pytest

from migrator.errors import MigratorError, Patience
from migrator.mail import Folder, FolderPath, NewFolder
from migrator.stores.base import Trouble
from migrator.stores.imap_target import ImapTarget
from tests.rigs.listener import QUICK
from tests.rigs.scripted import Answer, Answers, Command, Conversation, Peer, close

WORK = FolderPath(b"Work", "/")
SENT = FolderPath(b"Sent", "/")
OPENED = (
    "* FLAGS (\\Seen \\Deleted)\n* OK [PERMANENTFLAGS (\\Seen \\Deleted $Label \\*)] ok\n* 3 EXISTS\n"
    "* OK [UIDVALIDITY 7] ok\n* OK [UIDNEXT 9] ok\n* OK [HIGHESTMODSEQ 5] ok\n$ OK [READ-WRITE] done"
)


def ensure(
    answers: Answers, folders: list[NewFolder], capabilities: str = "IMAP4rev1"
) -> tuple[list[Folder | Trouble], Peer]:
    usual: dict[str, Answer] = {"CREATE": "$ OK done", "SUBSCRIBE": "$ OK done", "SELECT": OPENED}
    with Peer(usual | dict(answers), capabilities=capabilities) as peer, ImapTarget(peer.endpoint(), QUICK) as target:
        return target.ensure_folders(folders), peer


def test_folders_are_made_subscribed_and_opened_in_one_send() -> None:
    wanted = [NewFolder(WORK, True, True, None), NewFolder(SENT, False, False, None)]
    found, peer = ensure({}, wanted)
    assert [one.path for one in found] == [WORK, SENT]
    first = found[0]
    assert isinstance(first, Folder)
    assert (first.uidvalidity, first.uidnext, first.messages, first.highestmodseq) == (7, 9, 3, 5)
    assert first.permanent_flags == {"\\Seen", "\\Deleted", "$Label", "\\*"}
    assert [command.words for command in peer.commands[1:5]] == [
        b'CREATE "Work"',
        b'SUBSCRIBE "Work"',
        b'SELECT "Work"',
        b'SELECT "Sent"',
    ]
    # sign-in, everything at once, farewell
    assert len(peer.flights) == 3


def test_a_server_that_opens_a_folder_without_telling_uidnext_is_asked_for_it() -> None:
    answers: Answers = {
        "SELECT": "* 3 EXISTS\n* OK [UIDVALIDITY 7] ok\n$ OK done",
        "STATUS": ["* STATUS Work (UIDNEXT 12)\n$ OK done", "* STATUS Sent (UIDNEXT 5)\n$ OK done"],
    }
    found, peer = ensure(answers, [NewFolder(WORK, True, True, None), NewFolder(SENT, False, False, None)])
    assert [one.uidnext for one in found if isinstance(one, Folder)] == [12, 5]
    assert len(peer.flights) == 4


def test_hundreds_of_folders_take_few_sends() -> None:
    found, peer = ensure({}, [NewFolder(FolderPath(b"folder %d" % number), True, True, None) for number in range(400)])
    assert len(found) == 400
    assert all(isinstance(one, Folder) for one in found)
    assert len(peer.commands) > 1200
    assert len(peer.flights) < 600


@pytest.mark.req("C-53")
@pytest.mark.parametrize(
    "refusal", ["$ NO [ALREADYEXISTS] Mailbox exists", "$ NO Mailbox already exists", "$ NO whatever"]
)
def test_a_folder_that_is_there_already_is_a_success(refusal: str) -> None:
    (found,), _ = ensure({"CREATE": refusal}, [NewFolder(WORK, True, True, None)])
    assert isinstance(found, Folder)
    assert found.uidvalidity == 7


@pytest.mark.req("C-51")
@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        ("$ NO [CANNOT] Invalid mailbox name: Name must not have '/' characters", "folder.bad_name"),
        ("$ NO [ALREADYEXISTS] but hidden", "folder.phantom"),
    ],
)
def test_a_folder_that_cannot_be_made_is_trouble_with_the_reason_and_the_others_go_on(refusal: str, code: str) -> None:
    answers: Answers = {"CREATE": [refusal, "$ OK done"], "SELECT": ["$ NO [NONEXISTENT] no such mailbox", OPENED]}
    (first, second), _ = ensure(answers, [NewFolder(WORK, True, True, None), NewFolder(SENT, True, True, None)])
    assert isinstance(first, Trouble)
    assert (first.path, first.error.code) == (WORK, code)
    assert isinstance(second, Folder)


@pytest.mark.req("C-50")
def test_a_prefix_that_does_not_fit_ends_everything_for_it_spoils_every_folder() -> None:
    words = "Client tried to access nonexistent namespace. (Mailbox name should probably be prefixed with: INBOX.)"
    with pytest.raises(MigratorError) as caught:
        ensure({"CREATE": f"$ NO {words}", "SELECT": f"$ NO {words}"}, [NewFolder(WORK, True, True, None)])
    assert (caught.value.code, caught.value.reply) == ("folder.prefix", words)


def test_a_role_is_given_only_where_the_server_can() -> None:
    wanted = [NewFolder(SENT, True, False, "\\Sent")]
    _, peer = ensure({}, wanted)
    assert peer.said("CREATE") == [b'CREATE "Sent"']
    _, peer = ensure({}, wanted, "IMAP4rev1 CREATE-SPECIAL-USE")
    assert peer.said("CREATE") == [b'CREATE "Sent" (USE (\\Sent))']


@pytest.mark.req("D-21", "C-59")
def test_a_role_that_is_taken_is_left_off() -> None:
    answers: Answers = {
        "CREATE": ["$ NO [USEATTR] SPECIAL-USE flag conflict", "$ OK done"],
        "SELECT": ["$ NO [NONEXISTENT] no", OPENED],
    }
    (found,), peer = ensure(answers, [NewFolder(SENT, True, True, "\\Sent")], "IMAP4rev1 CREATE-SPECIAL-USE")
    assert isinstance(found, Folder)
    assert found.special_use is None
    assert peer.said("CREATE") == [b'CREATE "Sent" (USE (\\Sent))', b'CREATE "Sent"']


@pytest.mark.req("D-8")
def test_a_name_with_a_line_end_is_not_sent() -> None:
    bad = FolderPath(b"a\r\nx DELETE INBOX")
    (first, second), peer = ensure({}, [NewFolder(bad, True, True, None), NewFolder(WORK, True, False, None)])
    assert isinstance(first, Trouble)
    assert first.error.code == "folder.bad_name"
    assert isinstance(second, Folder)
    assert not any(b"DELETE" in flight for flight in peer.flights)


@pytest.mark.req("D-7", "D-14")
@pytest.mark.parametrize("capabilities", ["IMAP4rev1", "IMAP4rev1 LITERAL+"])
def test_odd_names_are_made_as_they_are(capabilities: str) -> None:
    names = [b'a "b" \\c', b"NIL", "Entwürfe".encode()]
    found, peer = ensure({}, [NewFolder(FolderPath(name), True, True, None) for name in names], capabilities)
    assert all(isinstance(one, Folder) for one in found)
    quoted, nil, literal = peer.said("CREATE")
    assert quoted in (b'CREATE "a \\"b\\" \\\\c"', b'CREATE {8+}\r\na "b" \\c')
    assert nil == b'CREATE "NIL"'
    assert literal.endswith("}\r\nEntwürfe".encode())


@pytest.mark.req("D-77")
def test_a_folder_that_does_not_tell_its_flags_is_not_guessed_at() -> None:
    (found,), _ = ensure({"SELECT": "* 0 EXISTS\n$ OK [READ-WRITE] done"}, [NewFolder(WORK, False, False, None)])
    assert isinstance(found, Folder)
    assert found.permanent_flags is None
    (found,), _ = ensure(
        {"SELECT": "* OK [PERMANENTFLAGS (\\Seen)] few\n$ OK done"}, [NewFolder(WORK, False, False, None)]
    )
    assert isinstance(found, Folder)
    assert found.permanent_flags == {"\\Seen"}


def test_no_folders_need_no_connection() -> None:
    _, peer = ensure({}, [])
    assert peer.connections == 0


def test_a_line_that_breaks_meanwhile_is_lost() -> None:
    with pytest.raises(MigratorError) as caught:
        ensure({"SUBSCRIBE": close}, [NewFolder(WORK, True, True, None)])
    assert (caught.value.code, caught.value.patience) == ("line.lost", Patience.NOW)


# Flags

SEEN = frozenset(("\\Seen",))
BOTH = frozenset(("\\Seen", "$Label"))


def test_flags_are_set_in_groups() -> None:
    changes = {WORK: {5: SEEN, 3: BOTH, 4: SEEN, 9: frozenset()}, SENT: {1: SEEN}}
    answers: Answers = {"EXAMINE": "$ OK", "SELECT": "$ OK", "UID STORE": "$ OK"}
    with Peer(answers) as peer, ImapTarget(peer.endpoint(), QUICK) as target:
        assert target.set_flags(changes) == []
        assert peer.said("UID STORE") == [
            b"UID STORE 3 FLAGS.SILENT ($Label \\Seen)",
            b"UID STORE 4:5 FLAGS.SILENT (\\Seen)",
            b"UID STORE 9 FLAGS.SILENT ()",
            b"UID STORE 1 FLAGS.SILENT (\\Seen)",
        ]


@pytest.mark.req("D-42")
def test_many_messages_are_named_in_short_commands() -> None:
    changes = {WORK: dict.fromkeys(range(1, 20000, 3), SEEN)}
    with (
        Peer({"EXAMINE": "$ OK", "SELECT": "$ OK", "UID STORE": "$ OK"}) as peer,
        ImapTarget(peer.endpoint(), QUICK) as target,
    ):
        assert target.set_flags(changes) == []
        assert max(map(len, peer.said("UID STORE"))) < 1050
        assert sum(words.count(b",") + 1 for words in peer.said("UID STORE")) == len(changes[WORK])


def test_flags_never_go_to_another_folder_when_one_does_not_open() -> None:
    # A server that keeps the folder before open when SELECT fails would set them there.
    def open_one(conversation: Conversation, command: Command) -> None:
        conversation.say("$ NO [NONEXISTENT] gone" if b"Work" in command.words else "$ OK", command)

    answers: Answers = {"EXAMINE": open_one, "SELECT": open_one, "UID STORE": "$ OK"}
    with Peer(answers) as peer, ImapTarget(peer.endpoint(), QUICK) as target:
        (trouble,) = target.set_flags({SENT: {1: SEEN}, WORK: {2: SEEN}})
        assert (trouble.path, trouble.error.code) == (WORK, "folder.phantom")
        assert peer.said("UID STORE") == [b"UID STORE 1 FLAGS.SILENT (\\Seen)"]


@pytest.mark.req("C-43")
def test_flags_that_are_refused_are_trouble_with_the_words_of_the_server() -> None:
    answers: Answers = {"EXAMINE": "$ OK", "SELECT": "$ OK", "UID STORE": ["$ NO Invalid system flag \\Odd", "$ OK"]}
    with Peer(answers) as peer, ImapTarget(peer.endpoint(), QUICK) as target:
        (trouble,) = target.set_flags({WORK: {2: SEEN}, SENT: {1: SEEN}})
    assert (trouble.path, trouble.error.code) == (WORK, "flags.refused")


def test_no_changes_need_no_connection() -> None:
    with Peer() as peer, ImapTarget(peer.endpoint(), QUICK) as target:
        assert target.set_flags({WORK: {}}) == []
        assert peer.connections == 0


def test_what_is_known_of_exchange_is_told_to_whoever_copies() -> None:
    greeting = "* OK The Microsoft Exchange IMAP4 service is ready."
    with Peer({}, greeting=greeting) as peer, ImapTarget(peer.endpoint(), QUICK) as target:
        assert target.features.loses_flagged_on_append
