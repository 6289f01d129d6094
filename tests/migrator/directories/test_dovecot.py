"""Dovecot's files: what they say counts once Dovecot acts on it. A scripted doveadm; live tests ask a real one."""

from __future__ import annotations

from pathlib import Path

import pytest

from migrator.directories.dovecot import DovecotDirectory

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
