"""``mailferry survey`` from the outside: what it says, what the shell is told, and that nothing is written."""

from __future__ import annotations

import json

import pytest

from tests.migrator.cli.peers import BODY, bodies, mailbox
from tests.rigs.base import free_port
from tests.rigs.scripted import Peer, raw, then

SENT = raw(b"* 1 FETCH (UID 1 BODY[] {%d}\r\n%b)\r\n" % (len(BODY), BODY))
WRITING = ("APPEND", "CREATE", "SUBSCRIBE", "UID STORE", "STORE", "SETACL", "EXPUNGE", "DELETE", "RENAME")
ROWS = "Name\tPassword\nanna\tpw\nbert\tpw\n"


@pytest.fixture
def source():
    with mailbox(1, UID_FETCH=bodies(then(SENT, "$ OK done"))) as peer:
        yield peer


@pytest.fixture
def target():
    with mailbox() as peer:
        yield peer


@pytest.fixture
def urls(source: Peer, target: Peer) -> list[str]:
    return [f"imap://john@127.0.0.1:{source.port}", f"imap://jim@127.0.0.1:{target.port}"]


@pytest.fixture
def servers(source: Peer, target: Peer) -> list[str]:
    return [f"imap://127.0.0.1:{source.port}", f"imap://127.0.0.1:{target.port}"]


@pytest.fixture
def listed(tmp_path):
    path = tmp_path / "list"
    path.write_text(ROWS)
    path.chmod(0o600)
    return path


def wrote(*peers: Peer) -> list[bytes]:
    return [words for peer in peers for verb in WRITING for words in peer.said(verb)]


def test_one_account_is_looked_at_and_nothing_is_written(mailferry, passwords, urls, source, target) -> None:
    ended = mailferry("survey", *urls, *passwords)
    assert ended.exit_code == 0
    assert "1 message" in ended.out
    assert ended.out.strip().endswith("Nobody is seen to fail.")
    assert wrote(source, target) == []
    assert source.said("SELECT") == []


@pytest.mark.req("S-40")
def test_what_is_not_moved_between_these_servers_is_said(mailferry, passwords, urls) -> None:
    identity = '* ID ("name" "Microsoft.Exchange.Imap4.Imap4Server" "version" "15.1")\n$ OK done'
    listed = '* LIST () "/" INBOX\n* LIST () "/" Calendar\n* LIST () "/" Kontakte\n* LIST () "/" Work\n$ OK done'
    with mailbox(LOGIN="$ OK [CAPABILITY IMAP4rev1 ID] in", ID=identity, LIST=listed) as exchange:
        url = f"imap://john@127.0.0.1:{exchange.port}"
        ended = mailferry("survey", url, urls[1], *passwords, "--json")
    told = {one["code"]: one["sentence"] for one in ended.answer["not_moved"]}
    assert {"calendars", "contacts", "groupware_folders", "categories", "rules"} <= set(told)
    assert "no mail" in told["calendars"]
    (found,) = ended.answer["accounts"][0]["foreseen"]
    assert (found["code"], found["examples"]) == ("folder.groupware", ["Calendar", "Kontakte"])


def test_a_list_is_looked_at_and_who_will_fail_is_named_by_line(mailferry, servers, listed) -> None:
    def refuse_bert(conversation, command):
        conversation.say("$ NO [AUTHENTICATIONFAILED] no" if b"bert" in command.words else "$ OK in", command)

    with mailbox(LOGIN=refuse_bert) as source:
        ended = mailferry("survey", listed, f"imap://127.0.0.1:{source.port}", servers[1])
    assert ended.exit_code == 4
    assert "line 3, bert: [AUTHENTICATIONFAILED] no" in ended.out
    assert "Will not be moved: 1 account" in ended.out
    assert "1 account will fail unless somebody does something." in ended.out


def test_programs_get_codes_figures_and_the_forecast(mailferry, servers, listed, tmp_path) -> None:
    told = {
        "seconds": 4.0,
        "lanes": 4,
        "accounts": [{"seconds": 2.0, "appended": 10, "appended_bytes": 1000, "folders": 1}] * 4,
    }
    (tmp_path / "told").write_text(json.dumps(told))
    ended = mailferry("survey", listed, *servers, "--json", "--measured", tmp_path / "told")
    answer = ended.answer
    assert (answer["exit_code"], answer["messages"], answer["size_bytes"]) == (0, 2, 2 * len(BODY))
    assert [one["line"] for one in answer["accounts"]] == [2, 3]
    assert (answer["forecast"]["basis"], answer["forecast"]["measured"]) == ("passes", 4)
    # one after the other each takes 4 s: 16 lane-seconds of which passes were a half
    assert 2.0 < answer["forecast"]["seconds"] < 8.0
    assert answer["forecast"]["lowest"] < answer["forecast"]["seconds"] < answer["forecast"]["highest"]


def test_a_server_that_is_away_is_met_once_and_nobody_else_is_blamed(mailferry, servers, listed) -> None:
    ended = mailferry("survey", listed, servers[0], f"imap://127.0.0.1:{free_port()}", "--json")
    assert ended.exit_code == 3
    rows = [(one["looked_at"], one["foreseen"][0]["code"]) for one in ended.answer["accounts"]]
    assert rows == [(True, "server.unreachable"), (False, "server.unreachable")]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["imap://a@h"], "takes SOURCE and TARGET, or FILE, SOURCE and TARGET"),
        (["a", "b", "c", "d"], "takes SOURCE and TARGET, or FILE, SOURCE and TARGET"),
        (["imap://a@h", "imap://b@h", "--source-admin", "x"], "--source-admin is for lists"),
        (["imap://a@h", "imap://b@i", "--measured", "/nowhere"], "/nowhere cannot be read"),
    ],
)
def test_wrong_words_are_refused_with_a_sentence(mailferry, passwords, words, sentence) -> None:
    ended = mailferry("survey", *words, *passwords)
    assert (ended.exit_code, sentence in ended.err) == (2, True)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"accounts": [{}]}', '{"accounts": 5}'])
def test_a_file_that_tells_no_copies_is_refused(mailferry, passwords, urls, tmp_path, content) -> None:
    (tmp_path / "told").write_text(content)
    ended = mailferry("survey", *urls, *passwords, "--measured", tmp_path / "told")
    assert (ended.exit_code, "is not what mailferry copy" in ended.err) == (2, True)


def test_what_a_filter_leaves_out_is_not_counted(mailferry, passwords, urls) -> None:
    ended = mailferry("survey", *urls, *passwords, "--since", "2021-01-01", "--json")
    assert ended.answer["messages"] == 0
