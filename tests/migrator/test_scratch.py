"""What a pass puts aside comes back as it was, whether it is held or lies in a temporary file."""

from __future__ import annotations

import random
import sqlite3

import pytest

from migrator import scratch
from migrator.errors import MigratorError
from migrator.mail import Outcome
from migrator.scratch import Hashes, Scratch, open_scratch, scratch_of_bytes
from migrator.transfer.ledger import Record


@pytest.fixture
def little_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "MOST_HELD", 7)
    monkeypatch.setattr(scratch, "_PAGE_ROWS", 3)


@pytest.mark.usefixtures("little_room")
@pytest.mark.parametrize("seed", range(5))
def test_a_scratch_is_a_dict_with_ascending_keys(seed: int) -> None:
    chance, kept, plain = random.Random(seed), scratch_of_bytes(), {}
    for _ in range(300):
        key, value = chance.randrange(1, 40), chance.randbytes(3)
        if chance.random() < 0.4:
            assert kept.pop(key, None) == plain.pop(key, None)
        else:
            kept[key] = plain[key] = value
        assert (key in kept, kept.get(key), len(kept)) == (key in plain, plain.get(key), len(plain))
    assert list(kept.items()) == sorted(plain.items())
    assert "1" not in kept


@pytest.mark.usefixtures("little_room")
@pytest.mark.parametrize("many", [5, 50])
def test_a_scratch_may_be_emptied_while_it_is_walked_through(many: int) -> None:
    records: Scratch[Record] = Scratch(Record.pack, Record.unpack)
    for uid in range(1, many + 1):
        records[uid] = Record(uid, 0, 10, None if uid % 2 else -5, Outcome.COPIED, bytes(32), b"x" * 32)
    seen = [records.pop(uid) for uid in records]
    assert [record.uid for record in seen] == list(range(1, many + 1))
    assert (seen[0].internal_date, seen[1].internal_date, seen[0].outcome) == (None, -5, Outcome.COPIED)
    assert not records
    with pytest.raises(KeyError):
        records[1]
    with pytest.raises(KeyError):
        del records[1]


@pytest.mark.usefixtures("little_room")
def test_hashes_are_found_by_position() -> None:
    kept, expected = Hashes(), [bytes([number]) * 32 for number in range(20)]
    for count, digest in enumerate(expected, 1):
        kept.append(digest)
        assert (len(kept), kept[count - 1], kept[0]) == (count, digest, expected[0])
    assert [kept[at] for at in range(20)] == expected


def test_a_temporary_file_that_fails_is_a_matter_of_this_machine() -> None:
    owner = Hashes()
    database = open_scratch(owner, "CREATE TABLE kept (key INTEGER PRIMARY KEY)")
    database.execute("PRAGMA max_page_count = 1")
    with pytest.raises(MigratorError) as raised:
        database.executemany("INSERT INTO kept VALUES (?)", [(number,) for number in range(10_000)])
    assert raised.value.code == "machine.exhausted"
    assert isinstance(raised.value.__cause__, sqlite3.Error)
