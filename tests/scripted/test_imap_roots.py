"""What is listed when an operator says where the mail is, and what is refused when nobody does and files are shown."""

from __future__ import annotations

import fnmatch
from dataclasses import replace

import pytest

from migrator.errors import MigratorError
from migrator.stores.imap_source import ImapSource
from migrator.stores.imap_target import ImapTarget
from migrator.stores.manners import USUAL, Home, Manners, home_of
from tests.rigs.listener import QUICK
from tests.rigs.scripted import Command, Conversation, Peer

HOME = [
    ".procmailrc",
    ".forward",
    "Mail",
    "Mail/Sent",
    "Mail/work",
    "letters/to-anna.txt",
    "src/main.c",
    "www/index.html",
]
MACHINE = ["/etc/passwd", "/etc/hosts", "Mail/Sent"]


class Tree:
    """A server that shows all its names to LIST, as the pattern says, and subscriptions to LSUB."""

    def __init__(self, names: list[str], *, subscribed: tuple[str, ...] = (), separator: str = "/") -> None:
        self.names, self.subscribed, self.separator = names, subscribed, separator

    def peer(self, capabilities: str = "IMAP4rev1", **answers: str) -> Peer:
        usual = {"LIST": self.list, "LSUB": self.list, "STATUS": self.status}
        return Peer(usual | answers, capabilities=capabilities)

    def list(self, conversation: Conversation, command: Command) -> None:
        words = command.words.decode().split('"')
        pattern = words[1] + words[3]
        names = ["INBOX", *self.names] if command.verb == "LIST" else self.subscribed
        for name in names:
            if fnmatch.fnmatchcase(name, pattern):
                conversation.say(f'* {command.verb} () "{self.separator}" "{name}"')
        conversation.say("$ OK done", command)

    def status(self, conversation: Conversation, command: Command) -> None:
        conversation.send(b"* " + command.words.rpartition(b" (")[0] + b" (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 3)\r\n")
        conversation.say("$ OK done", command)


def listed(tree: Tree, manners: Manners = USUAL, capabilities: str = "IMAP4rev1", **answers: str) -> list[str]:
    with (
        tree.peer(capabilities, **answers) as peer,
        ImapSource(replace(peer.endpoint(), manners=manners), QUICK) as source,
    ):
        return [folder.path.raw.decode() for folder in source.folders()]


@pytest.mark.req("D-19")
@pytest.mark.parametrize(
    ("names", "told"), [(HOME, ".procmailrc"), (MACHINE, "/etc/passwd"), (HOME[2:], "letters/to-anna.txt")]
)
def test_a_server_that_shows_files_is_refused_until_somebody_says_where_the_mail_is(
    names: list[str], told: str
) -> None:
    with pytest.raises(MigratorError) as caught:
        listed(Tree(names))
    assert (caught.value.code, caught.value.radius) == ("folder.not_mail", "account")
    assert told in caught.value.reply
    mail = {"INBOX", *(name for name in names if name.startswith("Mail/"))}
    assert set(listed(Tree(names), Manners(list_pattern="Mail/*"))) == mail
    # "all of it" is an answer too
    assert listed(Tree(names), Manners(list_pattern="*")) == ["INBOX", *names]


@pytest.mark.long
@pytest.mark.req("D-19")
def test_more_folders_than_anybody_has_are_refused_until_somebody_says_that_they_are_mail() -> None:
    names = [f"f{number}" for number in range(5_001)]
    with pytest.raises(MigratorError) as caught:
        listed(Tree(names))
    assert (caught.value.code, caught.value.params) == ("folder.too_many", {"limit": 5_000})
    assert len(listed(Tree(names), Manners(list_pattern="*"))) == 5_002
    assert len(listed(Tree(names[:4_999]))) == 5_000


@pytest.mark.parametrize(
    "names",
    [
        ["offer.pdf", "Archive/report.doc", "Sent"],  # people call folders so
        ["2019.txt", "notes"],
        [".hidden", "a.b.c", "example.org", "news.groups", "v1.2"],
    ],
)
def test_folders_that_only_look_a_little_like_files_are_mail(names: list[str]) -> None:
    assert listed(Tree(names)) == ["INBOX", *names]


def test_a_dot_is_no_suffix_where_it_parts_the_levels() -> None:
    names = ["project.src.main.c", "project.src.util.c", "project.src.a.h", "project.txt"]
    assert listed(Tree(names, separator=".")) == ["INBOX", *names]


@pytest.mark.req("D-19")
def test_a_target_may_hold_what_it_likes() -> None:
    with Tree(HOME).peer() as peer, ImapTarget(peer.endpoint(), QUICK) as target:
        assert len(target.folders()) == len(HOME) + 1


@pytest.mark.parametrize("capabilities", ["IMAP4rev1", "IMAP4rev1 LIST-EXTENDED"])
def test_a_root_is_the_first_parameter_of_list(capabilities: str) -> None:
    tree = Tree(["abc", "abc/mail1", "abc/mail2", "other"], subscribed=("abc/mail1",))
    with (
        tree.peer(capabilities) as peer,
        ImapSource(replace(peer.endpoint(), manners=Manners(list_root="abc/")), QUICK) as source,
    ):
        folders = source.folders()
        assert [folder.path.raw for folder in folders] == [b"abc/mail1", b"abc/mail2"]
        assert all(folder.messages == 1 for folder in folders)
        assert all(words.startswith(b'LIST "abc/" "*"') for words in peer.said("LIST"))


def test_a_root_and_a_pattern_go_together() -> None:
    tree = Tree(["abc/mail1", "abc/x", "mail1"])
    assert listed(tree, Manners(list_root="abc/", list_pattern="mail*")) == ["abc/mail1"]


def test_a_server_with_its_own_idea_of_roots_keeps_its_names() -> None:
    answer = '* LIST () "/" mail1\n* LIST () "/" mail2\n$ OK done'
    assert listed(Tree([]), Manners(list_root="Mail/"), LIST=answer) == ["mail1", "mail2"]


@pytest.mark.parametrize(
    ("root", "separator", "names", "expected"),
    [
        ("~anna/", "/", ["Sent", "~anna/INBOX", "~anna/Sent", "~bert/INBOX"], ["~anna/INBOX", "~anna/Sent"]),
        ("user.anna.", ".", ["user.anna", "user.anna.Sent", "user.annabel", "x"], ["user.anna", "user.anna.Sent"]),
        ("user/anna/", "/", ["user/anna", "user/anna/Sent", "user/annabel"], ["user/anna", "user/anna/Sent"]),
    ],
)
def test_an_administrator_sees_one_users_mailbox_and_nothing_of_their_own_or_others(
    root: str, separator: str, names: list[str], expected: list[str]
) -> None:
    spaces = f'* NAMESPACE (("" "{separator}")) (("~" "{separator}") ("user{separator}" "{separator}")) NIL\n$ OK done'
    tree = Tree(names, separator=separator)
    found = listed(tree, Manners(list_root=root), "IMAP4rev1 NAMESPACE", NAMESPACE=spaces)
    assert sorted(found) == sorted(expected)


@pytest.mark.parametrize("answer", ['* LIST () "/" INBOX\n* LIST () "/" Sent\n$ OK done', "$ OK done"])
def test_a_mailbox_that_the_administrator_does_not_see_is_not_there(answer: str) -> None:
    with Peer({"LIST": answer, "LSUB": "$ OK"}) as peer:
        for store in (ImapSource, ImapTarget):
            endpoint = replace(peer.endpoint(), manners=Manners(list_root="~ana/"))
            with store(endpoint, QUICK) as opened, pytest.raises(MigratorError) as caught:
                opened.folders()
            assert (caught.value.code, caught.value.reply) == ("sign_in.no_mailbox", "~ana/")


@pytest.mark.parametrize(
    ("prefix", "home"),
    [
        ("~anna/", Home("anna", "~anna/INBOX")),
        ("~anna@example.org/", Home("anna@example.org", "~anna@example.org/INBOX")),
        ("user.anna.", Home("anna", "user.anna")),
        ("user/anna.b/", Home("anna.b", "user/anna.b")),
        ("~/Mail/", None),
        ("~anna/Work/", None),
        ("user/anna/Work/", None),
        ("user.anna/", None),
        ("abc/", None),
        ("", None),
    ],
)
def test_some_prefixes_open_the_mailbox_of_another_user(prefix: str, home: Home | None) -> None:
    assert home_of(prefix) == home


def test_patterns_and_roots_travel_as_folder_names_do() -> None:
    with Tree([]).peer() as peer:
        endpoint = replace(peer.endpoint(), manners=Manners(list_root="Entwürfe/", list_pattern='a"b*'))
        with ImapSource(endpoint, QUICK) as source:
            source.folders()
        assert peer.said("LIST") == [b'LIST "Entw&APw-rfe/" "a\\"b*"']
