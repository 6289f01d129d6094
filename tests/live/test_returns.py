"""Taking people back between real servers, and removing their mail from the old one: judged from outside, over IMAP."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.conf import settings
from django.utils import timezone

from campaigns.models import Account, Batch, Event, Retirement, Run
from campaigns.services import preflights, retirements, returns
from migrator.errors import Side
from tests.campaigns.factories import make_user
from tests.live.test_runs import PROBE, move_in, set_up, work_to_the_end
from tests.rigs import check, corpus
from tests.rigs.base import users
from tests.rigs.dialogue import Dialogue, Refused
from tests.rigs.governed import GovernedByLdap
from tests.rigs.slapd import PEOPLE

NAMES = ["u0001", "u0002", "u0003", "u0004"]
SINCE = 40  # letters that come to each after the move


@pytest.fixture
def town() -> Iterator[GovernedByLdap]:
    with GovernedByLdap(users(5)) as world:
        for number, user in enumerate(sorted(world.passwords)):
            corpus.fill(world.account("source", user), corpus.lifelike(number, messages=60))
        world.slapd.change(f"uid={PROBE},{PEOPLE}", emailPersonStatus="inactive")
        yield world


@pytest.fixture(autouse=True)
def _own_data_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "DATA", tmp_path_factory.mktemp("data"))


def moved(town: GovernedByLdap) -> list[Account]:
    """Let everybody cross, and get mail on the target since."""
    campaign = set_up(town, "plain")
    assert preflights.accept_recipe(campaign, dict.fromkeys(Side, town.address(PROBE)), actor="test") == []
    found = move_in(campaign, town, NAMES)
    work_to_the_end()
    for account, name in zip(found, NAMES, strict=True):
        account.refresh_from_db()
        assert account.state == "done", (account.error_code, account.error_reply)
        dialogue = Dialogue(town.account("target", name))
        letters = [b"Subject: since %d\r\n\r\ncame to the new server\r\n" % number for number in range(SINCE)]
        dialogue.append(b"INBOX", [(b"()", letter) for letter in letters])
        dialogue.append(b"INBOX", [(b"(\\Seen)", b"Subject: read since\r\n\r\nread\r\n")])
        dialogue.close()
    return found


def lets_in(town: GovernedByLdap, side: str, name: str) -> bool:
    try:
        Dialogue(town.account(side, name)).close()
    except (Refused, OSError):
        return False
    return True


def titles(town: GovernedByLdap, side: str, name: str) -> Counter[str]:
    server = town.source if side == "source" else town.target
    return Counter(seen.title for folder in check.read(server.admin(name)).folders.values() for seen in folder.messages)


def marked_as_deleted(town: GovernedByLdap, name: str) -> int:
    folders = check.read(town.source.admin(name)).folders.values()
    return sum("\\deleted" in seen.flags for folder in folders for seen in folder.messages)


@pytest.mark.timeout(240)
@pytest.mark.django_db(transaction=True)
def test_a_batch_is_taken_back_first_one_then_the_others_with_all_mail_once(town: GovernedByLdap) -> None:
    found = moved(town)
    batch = Batch.objects.select_related("campaign").get()
    before = {name: titles(town, "source", name) for name in NAMES}
    returns.look_at_some(batch, actor="test")
    assert Event.objects.get(name=returns.LOOKED_AT_MANY).data["messages"] == len(NAMES) * (SINCE + 1)
    begun = time.monotonic()
    returns.take_batch_back(batch, first=1, actor="test", reason="a try")
    work_to_the_end()
    assert returns.standing(batch).may_all
    returns.take_batch_back(batch, first=None, actor="test", reason="the others")
    work_to_the_end()
    took = time.monotonic() - begun
    for account, name in zip(found, NAMES, strict=True):
        account.refresh_from_db()
        assert (account.state, account.owner, account.is_stopped) == ("ready", "source", True)
        assert (lets_in(town, "source", name), lets_in(town, "target", name)) == (True, False)
        since = Counter({f"since {number}": 1 for number in range(SINCE)} | {"read since": 1})
        assert titles(town, "source", name) == before[name] + since
        assert not since - titles(town, "target", name)
        values = town.slapd.read(f"uid={name},{PEOPLE}", "emailPersonStatus", "mailHost")
        assert sorted(values) == ["emailPersonStatus: active", "mailHost: old.example.test"]
    lockouts = sorted(round(account.lockout_seconds or 0.0, 2) for account in found)
    print(f"{len(found)} taken back in {took:.1f} s, locked out {lockouts} s")
    figures = Run.objects.filter(kind="rollback", outcome="taken_back").values_list("figures", flat=True)
    assert [one["carried"] for one in figures] == [SINCE + 1] * len(NAMES)


@pytest.mark.req("S-135")
@pytest.mark.timeout(240)
@pytest.mark.django_db(transaction=True)
def test_mail_is_removed_from_the_old_server_but_for_who_is_not_verified(town: GovernedByLdap) -> None:
    found = moved(town)
    batch = Batch.objects.get()
    kept = {name: titles(town, "target", name) for name in NAMES}
    marked = [marked_as_deleted(town, name) for name in NAMES]  # by their owners: that is theirs to finish
    Account.objects.update(state_since=timezone.now() - timedelta(days=30))
    Account.objects.filter(pk=found[0].pk).update(verified_at=None)
    asked = retirements.ask(
        batch, quiet_days=14, quarantine_days=7, actor=make_user(is_operator=True), reason="switched off"
    )
    retirements.approve(asked, actor=make_user(is_manager=True))
    Account.objects.update(not_before=timezone.now())
    work_to_the_end()
    assert all(titles(town, "source", name) for name in NAMES)  # the waiting time is not over
    Retirement.objects.update(begins_at=timezone.now() - timedelta(minutes=1))
    Account.objects.update(not_before=timezone.now())
    work_to_the_end()
    left = [titles(town, "source", name).total() for name in NAMES]
    assert left[0] > 0
    assert left[1:] == marked[1:], list(Event.objects.filter(name="account.source_mail.removed").values("data"))
    assert {name: titles(town, "target", name) for name in NAMES} == kept
