"""The commands proof and verify: what they write, tell and refuse, and how they end."""

from __future__ import annotations

import base64
import json
import sqlite3
import stat
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from migrator.transfer.file_ledger import LedgerFile
from migrator.transfer.signing import fingerprint, key_beside, read_public
from tests.migrator.cli.conftest import Ended
from tests.migrator.transfer.scenes import Scene, life_like

SOURCE, TARGET = "imap://anna@old.example:143", "imap://anna@new.example:143"
Command = Callable[..., Ended]


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """The ledger of a finished copy."""
    path = tmp_path / "ledger"
    copy_into(path, life_like())
    return path


def copy_into(path: Path, scene: Scene, source: str = SOURCE, target: str = TARGET) -> None:
    with LedgerFile(path) as file, file.account(source, target) as account:
        scene.ledger = account  # type: ignore[assignment]
        assert scene.copy().is_balanced


def proof(mailferry: Command, ledger: Path, *words: object, exit_code: int = 0) -> Path:
    """Write the manifest of ``ledger`` into a file."""
    ended = mailferry("proof", ledger, *words)
    assert ended.exit_code == exit_code, ended.err
    file = ledger.with_name("manifest")
    file.write_text(ended.out)
    return file


def alter(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


def test_a_finished_copy_is_proved_and_the_proof_holds(mailferry: Command, ledger: Path) -> None:
    ended = mailferry("proof", ledger, "--title", "the move")
    assert ended.exit_code == 0
    public = read_public(ledger.with_name("ledger.proof-key.pub"))
    assert fingerprint(public) in ended.err
    for told in (
        "1 account in 3 folders. 1 balanced",
        "15 messages on the old server",
        "  13 copied\n",
        "  1 left behind:",
    ):
        assert told in ended.err
    file = ledger.with_name("manifest")
    file.write_text(ended.out)
    checked = mailferry("verify", file)
    assert checked.exit_code == 0
    assert fingerprint(public) in checked.out
    assert "Compare the fingerprint" in checked.out
    assert "15 messages on the old server" in checked.out


def test_the_key_is_made_once_for_nobody_else_to_read(mailferry: Command, ledger: Path) -> None:
    proof(mailferry, ledger)
    key = key_beside(ledger)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    before = key.read_bytes()
    proof(mailferry, ledger)
    assert key.read_bytes() == before
    key.chmod(0o644)
    refused = mailferry("proof", ledger)
    assert (refused.exit_code, refused.out) == (2, "")
    assert "Others on this machine can read the key" in refused.err


def test_a_key_is_named_by_fingerprint_or_file_and_another_one_is_refused(mailferry: Command, ledger: Path) -> None:
    file, public = proof(mailferry, ledger), ledger.with_name("ledger.proof-key.pub")
    told = fingerprint(read_public(public))
    for key in (told, told.replace(" ", ""), public):
        ended = mailferry("verify", file, "--public-key", key)
        assert ended.exit_code == 0
        assert "Compare the fingerprint" not in ended.out
    ended = mailferry("verify", file, "--public-key", "0" * 64)
    assert ended.exit_code == 4
    assert "another key than the one you named" in ended.out
    ended = mailferry("verify", file, "--public-key", "abc")
    assert (ended.exit_code, ended.out) == (2, "")
    assert "neither a fingerprint" in ended.err


def test_openssl_agrees_about_the_signature(mailferry: Command, ledger: Path, tmp_path: Path) -> None:
    """What the README says of checking without Mailferry."""
    file = proof(mailferry, ledger)
    lines = file.read_bytes().splitlines(keepends=True)
    seal = json.loads(lines[-1])
    body, text, signature = tmp_path / "body", tmp_path / "text", tmp_path / "signature"
    body.write_bytes(b"".join(lines[:-1]))
    summed = subprocess.run(["sha256sum", body], check=True, capture_output=True, text=True).stdout.split()[0]
    assert summed == seal["sha256"]
    text.write_text(f"mailferry-proof 1 sha256:{summed}\n")
    signature.write_bytes(base64.b64decode(seal["signature"]))
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", ledger.with_name("ledger.proof-key.pub"), "-rawin"]
    subprocess.run([*command, "-in", text, "-sigfile", signature], check=True, capture_output=True)


PLANTS = {
    "UPDATE leaf SET packed = zeroblob(length(packed)) WHERE folder = CAST('INBOX' AS BLOB) AND number = 1":
        "Part 1 of the ledger was changed",
    "DELETE FROM leaf WHERE folder = CAST('INBOX' AS BLOB) AND number = 1": "Part 1 of the ledger is missing",
    "DELETE FROM leaf WHERE folder = CAST('INBOX' AS BLOB) AND number > 0": "The end of the ledger is missing, from",
    "DELETE FROM left_behind": "no row names it",
    "UPDATE state SET source_messages = 11 WHERE source = CAST('INBOX' AS BLOB)": "1 messages of the source have no",
    "UPDATE state SET totals = '{\"1\": 9}' WHERE source = CAST('INBOX' AS BLOB)": "1 more or fewer than the sums",
}  # fmt: skip


@pytest.mark.parametrize("statement", PLANTS)
def test_every_plant_in_a_ledger_is_named_by_both_commands(mailferry: Command, ledger: Path, statement: str) -> None:
    alter(ledger, statement)
    is_damage = "source_messages" not in statement
    file = proof(mailferry, ledger, exit_code=4 if is_damage else 3)
    ended = mailferry("verify", file)
    assert ended.exit_code == 4
    assert PLANTS[statement] in ended.out
    assert f"{TARGET}, folder " in ended.out


def test_a_manifest_that_somebody_changed_does_not_hold(mailferry: Command, ledger: Path) -> None:
    file = proof(mailferry, ledger)
    text = file.read_text()
    file.write_text(text.replace('"made_at":"20', '"made_at":"19'))
    ended = mailferry("verify", file, "--json")
    assert ended.exit_code == 4
    assert (ended.answer["holds"], ended.answer["signed"]) == (False, False)
    assert any("changed after it was signed" in problem for problem in ended.answer["problems"])
    file.write_text(text[: len(text) // 2])
    assert "Line " in mailferry("verify", file).out
    file.write_text("From anna\n")
    ended = mailferry("verify", file)
    assert (ended.exit_code, ended.out) == (2, "")


def test_sums_alone_are_a_small_file_that_still_holds(mailferry: Command, ledger: Path) -> None:
    whole = proof(mailferry, ledger).stat().st_size
    file = proof(mailferry, ledger, "--no-records")
    assert file.stat().st_size < whole
    ended = mailferry("verify", file)
    assert ended.exit_code == 0
    assert "it holds no records" in ended.out
    refused = mailferry("verify", file, "--against", "imap://anna@127.0.0.1:1")
    assert refused.exit_code == 2
    assert "make one with records" in refused.err


def test_an_account_that_is_worked_on_is_named_and_not_in_it(mailferry: Command, ledger: Path) -> None:
    copy_into(ledger, life_like(), target="imap://bert@new.example:143")
    with LedgerFile(ledger) as file, file.account(SOURCE, TARGET):
        written = proof(mailferry, ledger, exit_code=3)
    ended = mailferry("verify", written)
    assert ended.exit_code == 3
    assert f"{TARGET}: The account was being worked on" in ended.out
    assert ended.out.startswith("Manifest, made at 20")
    assert "2 accounts" in ended.out


def test_what_is_not_there_is_not_made(mailferry: Command, tmp_path: Path) -> None:
    ended = mailferry("proof", tmp_path / "none")
    assert (ended.exit_code, ended.out) == (2, "")
    assert "There is no ledger" in ended.err
    assert list(tmp_path.iterdir()) == []
    assert mailferry("verify", tmp_path / "none").exit_code == 2
