"""What an operator may say about folders, between real servers: parts of a mailbox, other places, other people's."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from tests.live.test_commands import Shell
from tests.rigs import cyrus, dovecot
from tests.rigs.base import Account, Server
from tests.rigs.cyrus import Cyrus
from tests.rigs.dialogue import Dialogue
from tests.rigs.dovecot import Dovecot

USERS = dict.fromkeys(("anna", "bert", "carl", "dora", "annabel", *(f"u{number}" for number in range(20))), "pw")
LETTER = b"Subject: hello\r\n\r\nbody\r\n"
TREE = ("abc/mail1", "abc/mail2", "Mail/work", "Mail/work/old", "Spam", "Spam/keep", "tmp1", "tmp2")


@pytest.fixture
def shell(tmp_path) -> Shell:
    return Shell(tmp_path)


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Dovecot, Dovecot]]:
    with Dovecot(USERS, layout="mdbox", separator="/") as source, Dovecot(USERS, separator=".") as target:
        yield source, target


@pytest.fixture(scope="module")
def fresh() -> Iterator[str]:
    return (f"u{number}" for number in range(20))


@pytest.fixture
def pair(servers: tuple[Dovecot, Dovecot], fresh: Iterator[str]) -> tuple[Account, Account]:
    """A user of their own for each test, with a letter in INBOX and in each folder of the tree."""
    user = next(fresh)
    source, target = (server.account(user) for server in servers)
    plant(source, *(name.encode() for name in TREE))
    return source, target


def plant(account: Account, *names: bytes, inbox: bytes = b"INBOX") -> None:
    with Dialogue(account) as talk:
        for name in names:
            talk.command(b"CREATE " + name)
        for name in (inbox, *names):
            talk.append(name, [(b"()", b"X-In: " + name + b"\r\n" + LETTER)])


def holds(account: Account, separator: str = "/") -> dict[str, int]:
    """Return the folders that hold messages, and how many, levels apart by ``/``."""
    found = {}
    with Dialogue(account) as talk:
        for row in talk.listed():
            if row.attributes & {"\\noselect", "\\nonexistent"}:
                continue
            (reply,) = talk.command(b'STATUS "' + row.name + b'" (MESSAGES)')
            if count := int(reply.text.rsplit(b" ", 1)[1].rstrip(b")")):
                found[row.name.decode().replace(separator, "/")] = count
    return found


def subscribed(account: Account) -> set[bytes]:
    with Dialogue(account) as talk:
        return {row.name for row in talk.listed(b"LSUB")}


def copy(shell: Shell, pair: tuple[Account, Account], *words: str) -> dict:
    urls = [account.url for account in pair]
    return json.loads(shell.run("copy", *urls, *shell.passwords("pw", "pw"), *words, "--json"))


@pytest.mark.req("S-54")
def test_only_what_the_pattern_finds_and_the_inbox_are_copied(shell, pair) -> None:
    argv = [sys.executable, "-m", "migrator.cli", "folders", pair[0].url, *shell.passwords("pw", "pw")[:2]]
    told = subprocess.run([*argv, "--list", "Mail/*", "--json"], capture_output=True, check=True).stdout
    seen = json.loads(told)
    assert {(each["folder"], each["messages"]) for each in seen["folders"]} == {
        ("INBOX", 1), ("Mail/work", 1), ("Mail/work/old", 1)
    }  # fmt: skip
    assert copy(shell, pair, "--list", "Mail/*")["balanced"]
    assert holds(pair[1], ".") == {"INBOX": 1, "Mail/work": 1, "Mail/work/old": 1}
    assert copy(shell, pair, "--list", "Mail/*")["appended"] == 0


@pytest.mark.req("S-55")
def test_a_subtree_becomes_the_top_of_the_new_mailbox(shell, pair) -> None:
    assert copy(shell, pair, "--source-prefix", "abc/")["balanced"]
    assert holds(pair[1], ".") == {"mail1": 1, "mail2": 1}


@pytest.mark.req("S-57")
def test_everything_goes_below_the_prefix_of_the_target(shell, pair) -> None:
    assert copy(shell, pair, "--target-prefix", "Old/", "--verify", "digest")["verify"]["clean"]
    assert holds(pair[1], ".") == dict.fromkeys((f"Old/{name}" for name in ("INBOX", *TREE)), 1)
    # the copy without the prefix is another one, and is not taken for done
    assert copy(shell, pair)["appended"] == len(TREE) + 1


@pytest.mark.req("S-59")
def test_folders_are_skipped_by_name_and_pattern_and_the_folders_inside_are_not(shell, pair) -> None:
    words = ["--skip-folder", "Spam", "--skip-folder", "tmp*", "--skip-folder", "abc/mail2"]
    told = copy(shell, pair, *words)
    assert holds(pair[1], ".") == dict.fromkeys(
        ("INBOX", "abc/mail1", "Mail/work", "Mail/work/old", "Spam/keep"), 1
    )  # fmt: skip
    assert {each["folder"] for each in told["left_out_folders"]} == {"Spam", "tmp1", "tmp2", "abc/mail2"}


@pytest.mark.req("S-63")
def test_only_subscribed_folders_are_copied(shell, pair) -> None:
    with Dialogue(pair[0]) as talk:
        for name in (b"abc/mail1", b"tmp2"):
            talk.command(b"SUBSCRIBE " + name)
    assert copy(shell, pair, "--subscribed")["balanced"]
    assert holds(pair[1], ".") == {"INBOX": 1, "abc/mail1": 1, "tmp2": 1}
    assert {b"abc.mail1", b"tmp2"} <= subscribed(pair[1])


@pytest.mark.req("S-62")
def test_the_subscriptions_of_the_target_stay_as_they_were(shell, pair) -> None:
    with Dialogue(pair[0]) as talk:
        for name in TREE:
            talk.command(b"SUBSCRIBE " + name.encode())
    before = subscribed(pair[1])
    assert copy(shell, pair, "--no-subscription")["appended"] == len(TREE) + 1
    assert subscribed(pair[1]) == before
    assert copy(shell, pair)["appended"] == 0
    assert {name.replace("/", ".").encode() for name in TREE} <= subscribed(pair[1])


@pytest.mark.req("S-66")
def test_nobody_is_let_into_the_new_folders(shell, pair) -> None:
    with Dialogue(pair[0]) as talk:
        talk.command(b"SETACL tmp1 anna lr")
    copy(shell, pair, "--no-acl")
    assert "anna" not in access(pair[1], b"tmp1")
    copy(shell, pair)  # lists go with a folder's first pass only
    assert "anna" not in access(pair[1], b"tmp1")


def access(account: Account, folder: bytes) -> list[str]:
    with Dialogue(account) as talk:
        (reply,) = talk.command(b"GETACL " + folder)
    return reply.text.decode().replace('"', "").split()


@pytest.mark.parametrize("words", [["--fetch-rfc822"], ["--by-one"], ["--fetch-rfc822", "--by-one"]])
def test_every_way_to_ask_for_messages_gives_the_same_ones(shell, pair, words) -> None:
    copy(shell, pair, *words)
    assert copy(shell, pair, "--verify", "digest")["verify"]["clean"]
    assert sum(holds(pair[1], ".").values()) == sum(holds(pair[0]).values())


# -- mailboxes of others, opened by an administrator

PLAIN_CYRUS = (lambda: Cyrus(USERS), "user.{user}.", b"INBOX.", ".")
OTHER_CYRUS = (lambda: Cyrus(USERS, alternative=True), "user/{user}/", b"", "/")


def let_in(server: Server, root: str) -> None:
    """Give the administrator the right to read and write: Cyrus lets them see and govern folders only."""
    with Dialogue(Account(server.imap, cyrus.ADMIN, cyrus.ADMIN_PASSWORD)) as talk:
        for name in [row.name for row in talk.listed() if f"{row.name.decode()}{root[-1]}".startswith(root)]:
            talk.command(b'SETACL "' + name + b'" cyrus lrswipkxtea')


@pytest.mark.req("S-56")
@pytest.mark.parametrize(("make", "prefix", "own", "separator"), [PLAIN_CYRUS, OTHER_CYRUS], ids=["dots", "slashes"])
def test_an_administrator_of_cyrus_copies_the_mailbox_of_a_user(
    shell, servers, fresh, make: Callable[[], Server], prefix: str, own: bytes, separator: str
) -> None:
    with make() as source:
        plant(source.account("anna"), own + b"Work", own + b"Work" + separator.encode() + b"Deep")
        plant(source.account("annabel"), own + b"Secret")
        let_in(source, prefix.replace("{user}", "anna"))
        target = servers[1].account(next(fresh))
        words = [f"imap://{cyrus.ADMIN}@127.0.0.1:{source.imap}", target.url]
        words += ["--source-prefix", prefix.replace("{user}", "anna"), "--json"]
        told = json.loads(shell.run("copy", *words, *shell.passwords(cyrus.ADMIN_PASSWORD, "pw")))
        assert (told["appended"], told["balanced"], told["renamed_folders"]) == (3, True, [])
        assert holds(target, ".") == {"INBOX": 1, "Work": 1, "Work/Deep": 1}


@pytest.mark.req("S-58")
@pytest.mark.parametrize(("make", "prefix", "own", "separator"), [PLAIN_CYRUS, OTHER_CYRUS], ids=["dots", "slashes"])
def test_an_administrator_of_cyrus_fills_the_mailboxes_of_a_list(
    shell, servers, make: Callable[[], Server], prefix: str, own: bytes, separator: str
) -> None:
    users = ("bert", "carl")
    with make() as target:
        for user in users:
            holds(target.account(user))  # the first sign-in makes the mailbox
            let_in(target, prefix.replace("{user}", user))
            if not holds(servers[0].account(user)):
                plant(servers[0].account(user), b"abc/mail1", b"Spam")
        words = ["move-accounts", shell.file("list", "Name\tPassword\nbert\tpw\ncarl\tpw\n")]
        words += [f"imap://127.0.0.1:{server.imap}" for server in (servers[0], target)]
        words += ["--target-admin", cyrus.ADMIN, "--target-password-file", shell.file("admin", cyrus.ADMIN_PASSWORD)]
        words += ["--target-prefix", prefix, "--json"]
        told = json.loads(shell.run(*words))
        assert (told["appended"], told["balanced"]) == (6, True)
        for user in users:
            found = {name.removeprefix("INBOX/") for name in holds(target.account(user), separator)}
            assert found == {"INBOX", "abc/mail1", "Spam"}
        assert json.loads(shell.run(*words))["appended"] == 0


@pytest.mark.req("S-58")
def test_a_mailbox_that_is_not_there_is_not_made_by_a_slip_of_the_pen(shell, servers) -> None:
    with Cyrus(USERS) as target:
        words = ["copy", servers[0].account("dora").url, f"imap://{cyrus.ADMIN}@127.0.0.1:{target.imap}"]
        words += ["--target-prefix", "user.nobody."]
        told = shell.run(*words, *shell.passwords("pw", cyrus.ADMIN_PASSWORD), exit_code=4)
        assert "user.nobody." in told
        with Dialogue(Account(target.imap, cyrus.ADMIN, cyrus.ADMIN_PASSWORD)) as talk:
            assert not talk.command(b'LIST "" "user.nobody*"')


@pytest.mark.req("S-56", "S-58")
def test_a_master_user_of_dovecot_reads_and_fills_any_mailbox(shell, servers) -> None:
    source, target = (server.account("dora") for server in servers)
    plant(source, b"Spam")
    urls = [f"imap://dora*{dovecot.ADMIN}@127.0.0.1:{server.imap}" for server in servers]
    told = json.loads(
        shell.run("copy", *urls, *shell.passwords(dovecot.ADMIN_PASSWORD, dovecot.ADMIN_PASSWORD), "--json")
    )
    assert told["appended"] == 2
    assert holds(target, ".") == {"INBOX": 1, "Spam": 1}
