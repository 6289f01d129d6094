"""A whole batch from one real platform to another, moved by the panel, with users who never stop signing in."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rigs import prober
from tests.rigs.governed import SOURCE_HOST, TARGET_HOST
from tests.rigs.panel import eventually
from tests.rigs.platform import CAMPAIGN, Platform
from tests.rigs.prober import Prober

ACCOUNTS = 20
WATCHED, WRITERS = 8, 3
STAYS = "u9999"  # has a mailbox and is in no list


class Moved:
    """A platform that was moved, and what its users saw of that."""

    def __init__(self, platform: Platform, prober: Prober) -> None:
        self.platform = platform
        self.tries = prober.tries()
        self.written = prober.written()
        self.nights = platform.nights(platform.users[:WATCHED])


@pytest.fixture(scope="module", params=["classic", "plain"])
def moved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moved]:
    output: Path = tmp_path_factory.mktemp("prober") / "tries"
    with Platform(ACCOUNTS, recipe=request.param, others=[STAYS]) as platform:
        watched = platform.users[:WATCHED]
        doors = [(side, platform.door(side, user), user) for user in [*watched, STAYS] for side in ("source", "target")]
        writers = [(platform.door("source", user), user) for user in watched[:WRITERS]]
        with Prober(output, doors, writers) as prober:
            eventually(lambda: len(prober.tries()) > WATCHED and len(prober.written()) == WRITERS, platform.panel.words)
            platform.start()
            platform.wait(180)
            ended = time.time()
            eventually(lambda: _have_seen(prober, watched, ended), platform.panel.words)
        yield Moved(platform, prober)


def _have_seen(prober: Prober, watched: list[str], moment: float) -> bool:
    tries = prober.tries()
    return all(sum(one.begun > moment for one in tries[user]) > 4 for user in watched)


@pytest.mark.timeout(400)
def test_each_user_is_refused_from_disable_on_and_admitted_from_enable_on_and_never_on_both(moved: Moved) -> None:
    wrong = [line for user, night in moved.nights.items() for line in prober.judge(user, moved.tries[user], night)]
    assert not wrong, "\n".join(wrong)
    for user, night in moved.nights.items():
        assert None not in night
        verdicts = {(one.side, one.verdict) for one in moved.tries[user]}
        assert {("source", "admitted"), ("source", "refused"), ("target", "admitted")} <= verdicts


@pytest.mark.req("S-117")
def test_who_is_in_no_batch_notices_nothing(moved: Moved) -> None:
    assert {one.verdict for one in moved.tries[STAYS] if one.side == "source"} == {"admitted"}
    assert {one.verdict for one in moved.tries[STAYS] if one.side == "target"} == {"refused"}


def test_an_independent_judge_finds_all_mail_once_on_the_target(moved: Moved) -> None:
    wrong = [*moved.platform.differences(moved.platform.users)]
    assert not wrong, "\n".join(wrong[:20])


def test_who_kept_writing_in_an_open_session_lost_nothing(moved: Moved) -> None:
    assert all(sum(one.is_certain for one in wrote) >= 3 for wrote in moved.written.values())
    assert not [*moved.platform.lost(moved.written)]


@pytest.mark.req("S-102", "S-120")
def test_the_directory_names_the_target_for_each_and_nobody_is_left_disabled(moved: Moved) -> None:
    hosts = moved.platform.hosts()
    assert hosts.pop(STAYS) == SOURCE_HOST
    assert hosts == dict.fromkeys(moved.platform.users, TARGET_HOST)
    assert not moved.platform.disabled()


def test_the_panel_tells_how_it_went(moved: Moved) -> None:
    (batch,) = moved.platform.status()
    assert batch["states"] == {"done": ACCOUNTS}
    assert batch["causes"] == {}
    assert batch["lockout"]["users"] == ACCOUNTS
    seen = [prober.lockout_seconds(moved.tries[user]) for user in moved.nights]
    assert 0 < batch["lockout"]["median_seconds"] <= batch["lockout"]["worst_seconds"] < 120
    assert all(seconds is not None and seconds > 0 for seconds in seen)
    assert f"Batch 1, {ACCOUNTS} accounts: {ACCOUNTS} done." in moved.platform.tell("batch", "status", CAMPAIGN)
