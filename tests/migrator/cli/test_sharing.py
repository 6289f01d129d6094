"""``--shared-root``: what goes together, and what is somebody's own mailbox after all."""

from __future__ import annotations

from pathlib import Path

import pytest

URLS = ("imap://a@127.0.0.1:1", "imap://b@127.0.0.1:2")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--shared-root", "Public/"], "Shared folders need both"),
        (["--new-shared-root", "Public/"], "Shared folders need both"),
        (["--shared-root", "user/anna/", "--new-shared-root", "Team/"], "all of one user's mailbox"),
        (["--shared-root", "P/", "--new-shared-root", "T/", "--target-prefix", "x/"], "do not go with it"),
    ],
)
def test_what_makes_no_sense_starts_nothing(mailferry, passwords, words: list[str], sentence: str) -> None:
    ended = mailferry("copy", *URLS, *passwords, *words)
    assert (ended.exit_code, sentence in ended.err) == (2, True), ended.err


def test_only_imap_has_shared_folders(mailferry, passwords, tmp_path: Path) -> None:
    roots = ["--shared-root", "Public/", "--new-shared-root", "Team/"]
    ended = mailferry("copy", "pop3://a@127.0.0.1:1", URLS[1], *passwords, *roots)
    assert (ended.exit_code, "from IMAP to IMAP" in ended.err) == (2, True)
    rows = tmp_path / "list"
    rows.write_text("Name\tPassword\tSharedRoot\tNewSharedRoot\nanna\tpw\tPublic/\tTeam/\n")
    ended = mailferry("move-accounts", rows, "pop3://127.0.0.1:1", "imap://127.0.0.1:2")
    assert (ended.exit_code, "from IMAP to IMAP" in ended.err) == (2, True)
