"""All mail of an account crosses between real servers, and the signed proof says of it what an outsider counts.

The outsider speaks IMAP by itself: per folder it counts the messages of both sides, their octets and their hashes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from migrator.transfer.file_ledger import LedgerFile
from migrator.transfer.manifest_check import accounts
from tests.live.crossing import Crossing
from tests.rigs import check
from tests.rigs.base import Account, Server, users
from tests.rigs.corpus import COURIER_FOLDERS, CYRUS_FOLDERS, FOLDERS, fill, lifelike
from tests.rigs.courier import Courier
from tests.rigs.cyrus import Cyrus
from tests.rigs.dialogue import Dialogue
from tests.rigs.dovecot import Dovecot

MESSAGES = 600
SEED = 2112


class Pair(NamedTuple):
    """Two servers, and the folders of the account."""

    source: Callable[[], Server]
    target: Callable[[], Server]
    folders: Sequence[tuple[str, ...]]


PAIRS = {
    "dovecot-dovecot": Pair(
        lambda: Dovecot(users(2)), lambda: Dovecot(users(2), layout="mdbox", separator="/"), FOLDERS
    ),
    "cyrus-dovecot": Pair(lambda: Cyrus(users(2)), lambda: Dovecot(users(2)), CYRUS_FOLDERS),
    "courier-cyrus": Pair(lambda: Courier(users(2)), lambda: Cyrus(users(2)), COURIER_FOLDERS),
}


class Counted(NamedTuple):
    """One folder as the outsider finds it."""

    messages: int
    kept: int  # without those marked as deleted
    size_bytes: int  # of the kept ones
    hashes: Counter[str]  # of the kept ones, in canonical form


def count(account: Account) -> dict[bytes, Counted]:
    """Count an account, folder by folder."""
    with Dialogue(account) as talk:
        found = {}
        for row in talk.listed():
            if not row.attributes.isdisjoint({"\\noselect", "\\nonexistent"}):
                continue
            talk.select(row.name)
            replies = [one for one in talk.command(b"UID FETCH 1:* (UID FLAGS BODY.PEEK[])") if one.literals]
            kept = [one.literals[0] for one in replies if b"\\deleted" not in one.text.lower()]
            found[row.name] = Counted(len(replies), len(kept), sum(map(len, kept)), Counter(map(_hash, kept)))
        return found


def _hash(body: bytes) -> str:
    head, gap, rest = body.partition(b"\r\n\r\n")  # Cyrus stores 8-bit octets of a header as X
    return hashlib.sha256(check.canonical(re.sub(rb"[\x80-\xff]", b"X", head) + gap + rest)).hexdigest()


class Crossed(NamedTuple):
    """An account that has crossed, and what is written about it."""

    source: Account
    target: Account
    ledger: Path
    manifest: Path


@pytest.fixture(scope="module", params=PAIRS)
def crossed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crossed]:
    pair, folder = PAIRS[request.param], tmp_path_factory.mktemp("proof")
    with pair.source() as one, pair.target() as two:
        print(f"{request.param}, seed {SEED}")
        source, target = one.account("u0001"), two.account("u0001")
        fill(source, lifelike(SEED, messages=MESSAGES, folders=pair.folders, strict="cyrus" in request.param))
        path = folder / "ledger"
        names = (f"imap://{account.user}@{account.host}:{account.port}" for account in (source, target))
        with LedgerFile(path) as file, file.account(*names) as ledger:
            assert Crossing(source, target, ledger).run().is_balanced
        manifest = folder / "manifest"
        written = mailferry("proof", path)
        assert written.returncode == 0, written.stderr
        manifest.write_text(written.stdout)
        yield Crossed(source, target, path, manifest)


def mailferry(*words: object) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "migrator.cli", *map(str, words)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=180, check=False)


def verify(crossed: Crossed, *words: str, exit_code: int = 0) -> dict:
    password = crossed.ledger.with_name("password")
    password.write_text(crossed.target.password + "\n")
    password.chmod(0o600)
    url = f"imap://{crossed.target.user}@{crossed.target.host}:{crossed.target.port}"
    against = ("--against", url, "--target-password-file", password, "--json")
    ended = mailferry("verify", crossed.manifest, *against, *words)
    assert ended.returncode == exit_code, ended.stdout + ended.stderr
    return json.loads(ended.stdout)


@pytest.mark.req("S-2")
def test_the_proof_says_of_every_folder_what_an_outsider_counts_on_both_sides(crossed: Crossed) -> None:
    source, target = count(crossed.source), count(crossed.target)
    assert sum(folder.messages for folder in source.values()) == MESSAGES
    proved = proved_folders(crossed.manifest)
    assert {name for name, folder in source.items() if folder.messages} == {
        name for name, folder in proved.items() if folder["listed"]
    }
    for name, folder in proved.items():
        old, new = source[name], target[folder["target"]]
        outcomes = folder["outcomes"]
        assert folder["listed"] == old.messages == sum(outcomes.values())
        assert outcomes.get("copied", 0) == old.kept == new.messages
        assert folder["bytes"] == old.size_bytes
        assert folder["hashes"] == old.hashes == new.hashes
        assert folder["balanced"]


def proved_folders(manifest: Path) -> dict[bytes, dict]:
    """What the manifest says of each folder: its lines, and the hashes in its records."""
    lines = [json.loads(line) for line in manifest.read_text().splitlines()]
    begins = [one for one in lines if one["kind"] == "folder"]
    ends = [one for one in lines if one["kind"] == "folder-end"]
    with manifest.open("rb") as file:
        hashes = [
            (folder.state, Counter(r.canonical.hex() for leaf in folder.leaves for r in leaf.records() if r.target_uid))
            for *_, folders in accounts(file)
            for folder in folders
        ]
    return {
        state.source: {**begin, **end, "hashes": found, "target": state.target}
        for begin, end, (state, found) in zip(begins, ends, hashes, strict=True)
    }


@pytest.mark.req("S-2")
@pytest.mark.parametrize("level", ["counts", "ledger", "digest"])
def test_the_target_read_again_holds_all_that_was_copied(crossed: Crossed, level: str) -> None:
    kept = sum(folder.kept for folder in count(crossed.source).values())
    (report,) = verify(crossed, "--level", level)["against"]
    assert (report["expected"], report["found"], report["changes"]) == (kept, kept, {})
    assert report["read"] == (kept if level == "digest" else 0)


def test_what_people_do_afterwards_is_named_and_a_lie_of_the_records_is_a_fault(crossed: Crossed) -> None:
    with Dialogue(crossed.target) as talk:
        talk.select(b"INBOX")
        talk.command(rb"UID STORE 1 +FLAGS (\Deleted)")
        talk.command(b"EXPUNGE")
    (report,) = verify(crossed, "--level", "digest")["against"]
    assert report["changes"] == {"gone": 1}
    assert report["differences"] == [{"folder": "INBOX", "uid": 1, "change": "gone"}]
    verify(crossed, "--strict", exit_code=4)
    text = crossed.manifest.read_text()
    packed = next(one for one in map(json.loads, text.splitlines()) if one["kind"] == "records")["packed"]
    raw = bytearray(base64.b64decode(packed))
    raw[-1] ^= 1
    crossed.manifest.write_text(text.replace(packed, base64.b64encode(raw).decode()))
    ended = mailferry("verify", crossed.manifest)
    crossed.manifest.write_text(text)
    assert ended.returncode == 4
    assert "was changed" in ended.stdout
