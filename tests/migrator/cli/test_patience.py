"""Slow servers: how long one may be silent before it is taken for gone, and who says so."""

from __future__ import annotations

import threading

import pytest

from migrator.cli import commands
from migrator.cli.options import parse
from tests.migrator.cli.peers import mailbox
from tests.rigs.scripted import Act, Command, Conversation, then

SILENCE_SECONDS = 1.6


def silent_before(answer: Act) -> Act:
    """Return a slow server's answer. The silence is what is shown here; nothing is waited for by it."""

    def act(conversation: Conversation, command: Command) -> None:
        threading.Event().wait(SILENCE_SECONDS)
        answer(conversation, command)

    return act


@pytest.mark.long
@pytest.mark.req("S-49", "S-60")
@pytest.mark.parametrize(
    ("words", "exit_code"), [(["--timeout", "1"], 3), (["--timeout", "10"], 0), (["--slow-server"], 0), ([], 0)]
)
def test_a_silent_server_is_waited_for_as_long_as_was_said(mailferry, passwords, words, exit_code) -> None:
    listed = silent_before(then('* LIST () "/" INBOX\n$ OK done'))
    with mailbox(LIST=listed) as source, mailbox() as target:
        urls = [f"imap://a@127.0.0.1:{source.port}", f"imap://b@127.0.0.1:{target.port}"]
        ended = mailferry("copy", *urls, *passwords, *words)
    assert ended.exit_code == exit_code
    assert ("The old server" in ended.out) is (exit_code == 3)


@pytest.mark.req("S-49", "S-60")
@pytest.mark.parametrize(
    ("words", "connect", "silence"),
    [([], 20, 120), (["--slow-server"], 120, 3600), (["--timeout", "5"], 5, 5), (["--timeout", "300"], 20, 300)],
)
def test_patience_is_a_matter_of_choice(words, connect, silence) -> None:
    limits = commands.limits_of(parse(["copy", "imap://a@h", "imap://b@h", *words]))
    assert (limits.connect_seconds, limits.io_seconds) == (connect, silence)
