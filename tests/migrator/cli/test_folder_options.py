"""Options about folders: other people's mailboxes by ``~user/``, what does not go together, and the preview."""

from __future__ import annotations

import pytest

from tests.migrator.cli.peers import mailbox
from tests.rigs.communigate import POSTMASTER, CommuniGate
from tests.rigs.scripted import Command, Conversation

LETTERS = [b"Subject: %d\r\n\r\nbody\r\n" % number for number in range(9)]


@pytest.fixture
def old():
    with CommuniGate("anna", "bert") as server:
        server.put("anna", "INBOX", *LETTERS[:2])
        server.put("anna", "Work", LETTERS[2], subscribed=True)
        server.put("anna", "Work/old.mbox", LETTERS[3])
        server.put("bert", "INBOX", LETTERS[4])
        server.put(POSTMASTER, "INBOX", LETTERS[5])
        server.put(POSTMASTER, "Logs", LETTERS[6])
        yield server


@pytest.fixture
def new():
    with CommuniGate("anna", "bert", "carl") as server:
        yield server


ANNA = {"INBOX": LETTERS[:2], "Work": [LETTERS[2]], "Work/old-mbox": [LETTERS[3]]}


@pytest.mark.req("S-56", "S-69", "D-11")
def test_the_postmaster_copies_the_mailbox_of_any_account(mailferry, passwords, old, new) -> None:
    ended = mailferry("copy", old.url(POSTMASTER), new.url("anna"), *passwords, "--source-prefix", "~anna/", "--json")
    assert (ended.exit_code, ended.answer["appended"]) == (0, 4)
    assert new.holds("anna") == ANNA
    assert {key for key in new.boxes if key[0] == "anna"} == {("anna", name) for name in ANNA}


@pytest.mark.req("S-58")
def test_the_postmaster_fills_the_mailbox_of_any_account(mailferry, passwords, old, new) -> None:
    words = ["copy", old.url("anna"), new.url(POSTMASTER), *passwords, "--target-prefix", "~anna/"]
    assert mailferry(*words).exit_code == 0
    assert new.holds("anna") == ANNA
    assert new.holds(POSTMASTER) == {}
    # what anna had subscribed to is not what the postmaster wants to see
    assert not any(box.subscribers for box in new.boxes.values())
    # the second run finds it all where it is
    assert mailferry(*words, "--json").answer["appended"] == 0
    assert new.holds("anna") == ANNA


@pytest.mark.req("S-56", "S-58", "S-73")
def test_a_list_is_moved_with_the_postmasters_passwords_alone(mailferry, passwords, old, new, tmp_path) -> None:
    (tmp_path / "list").write_text("Name\tNewName\nanna\t\nbert\tcarl\n")
    servers = [server.url("").replace("imap://@", "imap://") for server in (old, new)]
    admin = ["--source-admin", POSTMASTER, "--target-admin", POSTMASTER, *passwords]
    prefixes = ["--source-prefix", "~{user}/", "--target-prefix", "~{user}/"]
    ended = mailferry("move-accounts", tmp_path / "list", *servers, *admin, *prefixes)
    assert ended.exit_code == 0
    assert new.holds("anna") == ANNA
    assert new.holds("carl") == {"INBOX": [LETTERS[4]]}
    assert new.holds("bert") == new.holds(POSTMASTER) == {}
    assert {words.split()[1] for words in old.peer.said("LOGIN")} == {b'"postmaster"'}


SECOND = ("anna@client1.example", "bert@client1.example")


@pytest.mark.req("S-93")
@pytest.mark.parametrize(
    ("domain", "target_options"),
    [
        ("", ["--target-admin", POSTMASTER, "--target-prefix", "~{user}@client1.example/"]),
        ("client1.example", []),
    ],
    ids=["by the postmaster", "by the address of the domain"],
)
def test_a_list_of_bare_names_goes_into_a_second_domain(
    mailferry, passwords, old, tmp_path, domain: str, target_options: list[str]
) -> None:
    (tmp_path / "list").write_text("Name\tPassword\nanna\tx\nbert\tx\n")
    with CommuniGate("anna", "bert", *SECOND, domain=domain) as new:
        servers = [server.url("").replace("imap://@", "imap://") for server in (old, new)]
        given = passwords[passwords.index("--target-password-file") :] if target_options else []
        ended = mailferry("move-accounts", tmp_path / "list", *servers, *target_options, *given)
        assert ended.exit_code == 0
        assert (new.holds(SECOND[0]), new.holds(SECOND[1])) == (ANNA, {"INBOX": [LETTERS[4]]})
        assert new.holds("anna") == new.holds("bert") == new.holds(POSTMASTER) == {}


def test_an_account_that_is_not_there_is_not_made(mailferry, passwords, old, new) -> None:
    ended = mailferry("copy", old.url("anna"), new.url(POSTMASTER), *passwords, "--target-prefix", "~ana/")
    assert ended.exit_code == 4
    assert "~ana/" in ended.out
    assert new.peer.said("CREATE") == new.peer.said("APPEND") == []


def test_a_wrong_prefix_is_corrected_by_a_right_one(mailferry, passwords, old, new) -> None:
    words = ["copy", old.url("anna"), new.url(POSTMASTER), *passwords, "--target-prefix"]
    assert mailferry(*words, "~bert/").exit_code == 0
    assert mailferry(*words, "~anna/").exit_code == 0
    assert new.holds("anna") == new.holds("bert") == ANNA


def test_two_accounts_behind_one_sign_in_have_ledgers_of_their_own(mailferry, passwords, old, new) -> None:
    for user in ("anna", "bert"):
        prefixes = ["--source-prefix", f"~{user}/", "--target-prefix", f"~{user}/"]
        ended = mailferry("copy", old.url(POSTMASTER), new.url(POSTMASTER), *passwords, *prefixes, "--json")
        assert ended.exit_code == 0
    assert ended.answer["messages"] == 1
    assert new.holds("bert") == {"INBOX": [LETTERS[4]]}


def test_subscriptions_that_nobody_can_see_start_nothing(mailferry, passwords, old, new) -> None:
    prefix = ["--source-prefix", "~anna/"]
    ended = mailferry("copy", old.url(POSTMASTER), new.url("anna"), *passwords, *prefix, "--subscribed")
    assert ended.exit_code == 2
    assert "--subscribed does not go with --source-prefix" in ended.err
    assert old.peer.connections == new.peer.connections == 0


# -- what is found, before anything is copied

HOME = (".procmailrc", "src/main.c", "Mail/Sent", "Mail/work")


def home(conversation: Conversation, command: Command) -> None:
    for name in ("INBOX", *HOME) if b'"*"' in command.words else HOME[2:] if b"Mail" in command.words else ("INBOX",):
        conversation.say(f'* {command.verb} () "/" "{name}"')
    conversation.say("$ OK done", command)


def counted(conversation: Conversation, command: Command) -> None:
    name = command.words.split(b'"')[1]
    conversation.send(b'* STATUS "%s" (MESSAGES 3 UIDNEXT 4 UIDVALIDITY 7)\r\n' % name)
    conversation.say("$ OK done", command)


@pytest.mark.req("S-54", "D-19")
def test_files_are_refused_and_the_preview_shows_them_and_what_another_pattern_finds(mailferry, passwords) -> None:
    with mailbox(LIST=home, LSUB="$ OK", STATUS=counted) as source, mailbox() as target:
        urls = [f"imap://john@127.0.0.1:{peer.port}" for peer in (source, target)]
        refused = mailferry("copy", *urls, *passwords)
        assert refused.exit_code == 4
        assert "files that are not mail" in refused.out
        assert ".procmailrc" in refused.out
        assert target.said("CREATE") == []

        seen = mailferry("folders", urls[0], *passwords[:2])
        assert seen.exit_code == 0
        assert all(name in seen.out for name in HOME)
        assert "5 folders with 15 messages would be copied." in seen.out
        assert "Some are files, not mail (.procmailrc): say by --list where the mail is" in seen.out

        better = mailferry(
            "folders", urls[0], *passwords[:2], "--list", "Mail/*", "--skip-folder", "Mail/work", "--json"
        )
        assert better.answer == {
            "exit_code": 0,
            "files": [],
            "folders": [
                {"folder": "Mail/Sent", "messages": 3, "subscribed": False, "name": "Mail/Sent", "left_out": ""},
                {"folder": "Mail/work", "messages": 3, "subscribed": False, "name": "", "left_out": "skipped"},
                {"folder": "INBOX", "messages": 3, "subscribed": False, "name": "INBOX", "left_out": ""},
            ],
        }
        assert mailferry("copy", *urls, *passwords, "--list", "Mail/*", "--dry-run").exit_code == 0


def test_the_preview_shows_the_names_that_folders_will_have(mailferry, passwords, old) -> None:
    seen = mailferry("folders", old.url(POSTMASTER), *passwords[:2], "--source-prefix", "~anna/")
    lines = [line.split() for line in seen.out.splitlines()]
    assert ["~anna/Work", "1", "Work"] in lines
    assert ["~anna/INBOX", "2", "INBOX"] in lines
    assert "3 folders with 4 messages would be copied." in seen.out
    assert old.peer.said("SELECT") == []
