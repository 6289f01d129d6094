"""The options about ways in: what is taken, and what is refused before anything connects."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.migrator.cli.peers import mailbox
from tests.rigs.scripted import Peer
from tests.rigs.token_endpoint import TokenEndpoint

HERE = "imap://anna@127.0.0.1:1"
URLS = ["copy", HERE, "imap://boss;authzid=bert@127.0.0.1:1"]


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., Path]:
    def write(content: object) -> Path:
        path = tmp_path / "key.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        path.chmod(0o600)
        return path

    return write


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--source-fingerprint", "ab:cd"], "--source-fingerprint: A fingerprint is 64 hexadecimal digits"),
        (["--target-access", "{user}"], "name their beginning: --source-prefix, --target-prefix"),
        (["--target-access", "{user}*{boss}"], "--target-access: The form of access takes"),
        (["--source-access", "{user}*{admin}"], "--source-access is for administrators"),
        (["--source-product", "Eudora"], "There is no product 'Eudora'"),
        (["--source-token-file", "/nowhere/at/all"], "/nowhere/at/all cannot be read"),
    ],
)
def test_options_that_let_nobody_in_are_refused_at_once(mailferry, passwords, options, sentence) -> None:
    ended = mailferry(*URLS, *passwords, *options)
    assert ended.exit_code == 2
    assert sentence in ended.err


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("hunter2", "it holds no JSON"),
        ("[" * 9000, "it holds no JSON"),
        ({}, "names no token_uri"),
        ({"token_uri": "https://login.example.test/token"}, "names no client_id"),
        ({"token_uri": "http://login.example.test/t", "client_id": "a", "client_secret": "hunter2"}, "by https"),
        ({"private_key": "hunter2", "client_email": "a@b"}, "There is no private key"),
    ],
)
def test_a_file_that_earns_no_token_is_refused_without_showing_it(
    mailferry, passwords, file, content, sentence
) -> None:
    ended = mailferry(*URLS, *passwords, "--source-token-file", file(content))
    assert ended.exit_code == 2
    assert sentence in ended.err
    assert "hunter2" not in ended.err + ended.out


def test_tokens_open_mailboxes_by_their_own_names_only(mailferry, passwords, file) -> None:
    fields = {"token_uri": "https://login.example.test/token", "client_id": "a", "client_secret": "b"}
    ended = mailferry(*URLS, *passwords, "--target-token-file", file(fields))
    assert (ended.exit_code, "without an administrator" in ended.err) == (2, True)


def test_a_fingerprint_does_not_go_with_other_trust(mailferry, passwords) -> None:
    ended = mailferry(*URLS, *passwords, "--source-fingerprint", "ab" * 32, "--source-accept-any-certificate")
    assert (ended.exit_code, "not allowed with argument" in ended.err) == (2, True)


def test_an_application_and_an_administrator_get_in_each_in_its_way(mailferry, passwords, file) -> None:
    with TokenEndpoint() as endpoint, mailbox(1) as source, mailbox() as target:
        endpoint.clients["app"] = "secret"
        key = file({"token_uri": endpoint.url, "client_id": "app", "client_secret": "secret"})
        source_url = f"imap://anna@127.0.0.1:{source.port}"
        target_url = f"imap://boss;authzid=bert@127.0.0.1:{target.port}"
        words = ["copy", source_url, target_url, "--source-token-file", key, *passwords[2:], "--dry-run"]
        words += ["--target-access", "{user}*{admin}", "--target-product", "dovecot"]
        ended = mailferry(*words)
        assert "takes no tokens" in ended.err + ended.out  # this source offers no such sign-in
        assert _logins(target) == {"bert*boss"}
        key.chmod(0o644)
        assert "chmod 600" in mailferry(*words).err


def _logins(peer: Peer) -> set[str]:
    names = {words.split(b'"')[1].decode() for words in peer.said("LOGIN")}
    return names | {base64.b64decode(words.split()[2]).split(b"\0")[1].decode() for words in peer.said("AUTHENTICATE")}
