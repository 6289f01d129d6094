"""What is asked of a Postfix where mail is held in files. Live tests hold mail in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from migrator.entries import open_connector
from migrator.holds import HOLDS
from migrator.holds.base import HeldMail


def test_the_queue_is_looked_at_once_for_all_who_are_counted(tmp_path: Path) -> None:
    row = {"queue_name": "hold", "queue_id": "4F2A1", "arrival_time": 1700000000}
    row["recipients"] = [{"address": "u7@example.test", "delay_reason": ""}]
    (tmp_path / "listing").write_text(json.dumps(row) + "\n")
    program = tmp_path / "through"
    program.write_text(
        f'#!/bin/sh\ncd {tmp_path}\n[ "$1 $2" = "postqueue -j" ] || exit 0\necho x >>listed\ncat listing\n'
    )
    program.chmod(0o755)
    (tmp_path / "homes").mkdir()
    (tmp_path / "held").mkdir()
    (tmp_path / "held" / "u8").mkdir()  # no file that could be read
    options = {name: str(tmp_path / name) for name in ("homes", "held")}
    hold: Any = open_connector(HOLDS, "forward_file", {**options, "postfix": True, "through": [str(program)]})
    people = [f"u{number}@example.test" for number in range(50)]
    counted = hold.held_of(people)
    assert counted.pop("u7@example.test") == HeldMail(0, aside=1)
    assert counted == dict.fromkeys([one for one in people if one[:3] not in ("u7@", "u8@")], HeldMail(0))
    assert (tmp_path / "listed").read_text() == "x\n"
