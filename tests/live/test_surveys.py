"""A survey by the panel as an operator starts it: its own workers look at a governed platform, and nothing changes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.rigs import check
from tests.rigs.panel import eventually
from tests.rigs.platform import CAMPAIGN, MESSAGES, Platform
from tests.rigs.slapd import PEOPLE

ACCOUNTS = 12
WRONG, FULL = "u0003", "u0007"


@pytest.mark.timeout(300)
def test_workers_look_at_a_batch_and_say_who_would_fail() -> None:
    with Platform(ACCOUNTS, recipe="plain", listed={WRONG: "wrong"}) as platform:
        platform.world.slapd.change(f"uid={FULL},{PEOPLE}", mailQuota="1")

        def found() -> dict[str, Any]:
            (batch,) = json.loads(platform.tell("batch", "found", CAMPAIGN, "--json"))["batches"]
            return dict(batch)

        assert found()["accounts"] == 0
        platform.tell("batch", "survey", CAMPAIGN)
        eventually(lambda: found()["accounts"] and not found()["is_under_way"], platform.panel.words, 120)
        told = found()
        assert (told["looked_at"], told["error_code"], told["stops"]) == (ACCOUNTS, "", 2)
        stops = {(one["code"], *one["first"]) for one in told["found"] if one["severity"] == "stops"}
        address = platform.world.address
        assert stops == {("sign_in.refused", address(WRONG)), ("target.full", address(FULL))}
        assert told["forecast_seconds"][0] < told["forecast_seconds"][2]
        assert "2 x" not in platform.tell("batch", "found", CAMPAIGN)
        # nothing was written, nobody moved
        assert platform.counts() == {"new": ACCOUNTS}
        for user in platform.users:
            source, target = (check.read(platform.admin(side, user)) for side in ("source", "target"))
            assert sum(len(folder.messages) for folder in source.folders.values()) == MESSAGES
            assert not any(folder.messages for folder in target.folders.values())
