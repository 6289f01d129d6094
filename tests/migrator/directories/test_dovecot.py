"""Dovecot's files: what they say counts once Dovecot acts on it. A scripted doveadm; live tests ask a real one."""

from __future__ import annotations

from pathlib import Path

import pytest

from migrator.directories.dovecot import DovecotDirectory
from migrator.directories.line_file import LineFile
from migrator.errors import MigratorError

ANNA = "anna@example.test"
LINE = f"{ANNA}:{{PLAIN}}secret:1000:1000::/home/anna::"


@pytest.mark.parametrize("files", ["users", "deny"])
def test_nobody_counts_as_refused_before_dovecot_acts_on_its_file(files: str, tmp_path: Path) -> None:
    doveadm, knows = tmp_path / "doveadm", tmp_path / "knows"
    doveadm.write_text(f'#!/bin/sh\n[ "$2" = lookup ] && [ -e {knows} ] && echo "  nologin: "\nexit 0\n')
    doveadm.chmod(0o700)
    users, deny = tmp_path / "users", tmp_path / "deny"
    users.write_text(f"{LINE}{'nologin' if files == 'users' else ''}\n")
    deny.write_text(f"{ANNA}:\n")
    more = {"deny": str(deny)} if files == "deny" else {}
    directory = DovecotDirectory.of({"users": str(users), "doveadm": [str(doveadm)], **more}, None)
    assert not directory.is_disabled(ANNA)
    knows.touch()
    assert directory.is_disabled(ANNA)
    users.write_text(f"{LINE}\n")
    deny.write_text("")
    assert not directory.is_disabled(ANNA)


@pytest.mark.parametrize("fields", ["noauthenticate nologin", "noauthenticate"])
def test_whose_password_can_only_be_tried_is_known_by_a_line_that_dovecot_must_have_read(
    fields: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    doveadm, users = tmp_path / "doveadm", tmp_path / "users"
    doveadm.write_text(
        '#!/bin/sh\n[ "$2" = flush ] && exit 0\n'
        'echo "Configured passdbs do not support credentials lookups" >&2\nexit 75\n'
    )
    doveadm.chmod(0o700)
    users.write_text(f"{ANNA}:{{CRYPT}}!::::::{fields}\n")
    directory = DovecotDirectory.of({"users": str(users), "doveadm": [str(doveadm)]}, None)
    monkeypatch.setattr(LineFile, "age_seconds", lambda _: 1.9)
    assert not directory.is_disabled(ANNA)
    monkeypatch.setattr(LineFile, "age_seconds", lambda _: 2.0)
    assert directory.is_disabled(ANNA) is ("nologin" in fields)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            "nologin",
            "Configured passdbs do not support credentials lookups",
        ),  # then doveadm is asked about another file
        ("noauthenticate nologin", "connect(auth-userdb) failed"),
    ],
)
def test_nothing_is_taken_from_the_file_where_dovecot_does_not_say_that_it_cannot_look(
    fields: str, words: str, tmp_path: Path
) -> None:
    doveadm, users = tmp_path / "doveadm", tmp_path / "users"
    doveadm.write_text(f'#!/bin/sh\n[ "$2" = flush ] && exit 0\necho "{words}" >&2\nexit 75\n')
    doveadm.chmod(0o700)
    users.write_text(f"{ANNA}:{{CRYPT}}!::::::{fields}\n")
    directory = DovecotDirectory.of({"users": str(users), "doveadm": [str(doveadm)]}, None)
    with pytest.raises(MigratorError) as caught:
        directory.is_disabled(ANNA)
    assert words in caught.value.reply
