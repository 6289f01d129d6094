"""After the night: what the rows say of all, and what a sign-in as the user shows of some."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.test import Client
from django.utils import timezone

from campaigns.bridge import host_files
from campaigns.models import Account, Batch, BatchHeld, Campaign, Confirmation, Connector, Event, PlaceBook, Server
from campaigns.services import acceptance, to_oneself, trials
from campaigns.states import AccountState
from migrator.holds.base import HeldMail
from tests.campaigns.factories import event_names, make_batch, make_user, put
from tests.campaigns.towns import Town

S = AccountState


@pytest.fixture
def town(transactional_db: None) -> Town:
    """A town whose night is over: two users have moved."""
    town = Town()
    town.accept()
    town.move_in("anna", "bert")
    town.work()
    assert {account.state for account in Account.objects.all()} == {S.DONE}
    return town


def batch() -> Batch:
    return Batch.objects.select_related("campaign__source", "campaign__target").get()


def well() -> dict[str, bool | None]:
    return {check.code: check.is_well for check in acceptance.checks(batch())}


def test_users_who_moved_get_in_and_see_all_their_mail(town: Town) -> None:
    assert well() == {"moved": True, "compared": True, "locked": True, "signed_in": None, "arrives": None}
    tried = acceptance.try_batch(batch(), actor="anna", world=town.world)
    assert [(one.error, one.messages) for one in tried] == [(None, one.account.messages_done) for one in tried]
    assert min(one.messages for one in tried) >= 5
    assert town.target.tries[-2:] == [one.account.target_login for one in tried]
    assert well()["signed_in"] is True
    assert event_names(name=acceptance.PASSED) == [acceptance.PASSED] * 2


@pytest.mark.django_db
def test_who_is_left_at_an_old_server_that_a_person_stopped_is_locked_out() -> None:
    make_batch(3, state=S.READY)
    put(Account.objects.order_by("pk")[0], S.DONE, verified_at=timezone.now())
    Campaign.objects.update(recipe="sims3")
    assert well()["locked"] is True
    Confirmation.objects.create(batch=batch(), position=3, check_name="port_closed", confirmed_at=timezone.now())
    (check,) = (check for check in acceptance.checks(batch()) if check.code == "locked")
    assert (check.is_well, check.facts) == (False, {"accounts": 2})


def test_mail_that_is_not_there_is_found(town: Town) -> None:
    Account.objects.filter(target_login="anna").update(messages_done=5000)
    tried = acceptance.try_batch(batch(), actor="anna", world=town.world)
    codes = {one.account.target_login: one.error.code if one.error else "" for one in tried}
    assert codes == {"anna": "acceptance.mail_missing", "bert": ""}
    (check,) = (check for check in acceptance.checks(batch()) if check.code == "signed_in")
    assert (check.is_well, check.facts) == (False, {"tried": 2, "failed": 1})


def test_a_password_that_is_refused_is_told_and_not_tried_again(town: Town) -> None:
    town.target.passwords["anna"] = "another"
    acceptance.try_batch(batch(), actor="anna", world=town.world)
    failed = Event.objects.get(name=acceptance.FAILED)
    assert failed.data["code"] == "sign_in.refused"
    tries = len(town.target.tries)
    account = Account.objects.get(target_login="anna")
    assert account.refused_secret
    assert [one.target_login for one in acceptance.candidates(batch())] == ["bert"]
    assert len(town.target.tries) == tries


def test_an_administrator_who_gets_in_proves_nothing(town: Town) -> None:
    Account.objects.update(target_secret=None)
    assert acceptance.try_batch(batch(), actor="anna", world=town.world) == []
    assert well()["signed_in"] is None


@pytest.mark.django_db
def test_what_the_rows_say_is_told() -> None:
    now = timezone.now()
    unfinished = make_batch(3, state=S.DONE, go_at=now, ended_at=now)
    first, second, _ = unfinished.accounts.order_by("pk")
    put(first, S.FAILED)
    put(second, S.ATTENTION, owner="unknown", locked_at=now)
    hold = Connector.objects.create(room="hold", kind="memory", name="hold", options={})
    Campaign.objects.update(hold=hold)
    BatchHeld.objects.create(batch=unfinished, counted_at=now, messages=2, accounts=1)
    assert well() == {
        "moved": False,
        "compared": False,
        "locked": False,
        "held": False,
        "signed_in": None,
        "arrives": None,
    }
    BatchHeld.objects.update(unknown=1)
    assert well()["held"] is None


@pytest.mark.django_db
def test_what_was_seen_of_the_queue_before_the_night_was_over_counts_for_nothing(client: Client) -> None:
    moved = make_batch(1, state=S.DONE, go_at=timezone.now() - timedelta(hours=1))
    PlaceBook.objects.create(campaign=moved.campaign, queue_program="see")
    seen = {"name": acceptance.QUEUE_SEEN, "campaign": moved.campaign, "batch": moved}
    Event.objects.create(**seen, data={"messages": 0})
    Batch.objects.update(ended_at=timezone.now())
    assert well()["queue"] is None
    Event.objects.create(**seen, data={"messages": 0})
    assert well()["queue"] is True
    Event.objects.create(**seen, data={"code": "connector.failed"})
    assert well()["queue"] is None


@pytest.mark.django_db
def test_the_queue_is_looked_at_where_nobody_can_be_signed_in_as(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = timezone.now()
    moved = make_batch(1, state=S.DONE, go_at=now - timedelta(hours=1), ended_at=now)
    PlaceBook.objects.create(campaign=moved.campaign, queue_program="see")
    queue = SimpleNamespace(count=lambda: HeldMail(0))
    monkeypatch.setattr(acceptance, "queue_of", lambda *_: queue)
    client.force_login(make_user(is_operator=True))
    page = client.get(f"/batches/{moved.pk}/night").content.decode()
    assert "Look at the old queue" in page
    assert "Not known: nobody has looked since the night" in page
    told = client.post(f"/batches/{moved.pk}/night/try", follow=True).content.decode()
    assert "Looked at the queue of the old server." in told
    assert "Nothing waits to be sent on the old server." in told
    assert "no password is known" not in told


@pytest.mark.django_db
def test_a_program_that_hangs_keeps_nobody_waiting_and_the_queue_is_not_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert acceptance.QUEUE_SECONDS < trials.MOST_SECONDS
    program = tmp_path / "see"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    moved = make_batch(1, state=S.DONE, go_at=timezone.now() - timedelta(hours=1))
    PlaceBook.objects.create(campaign=moved.campaign, queue_program="see")
    monkeypatch.setattr(host_files, "resolved", lambda _: {"through": [str(program)]})
    monkeypatch.setattr(acceptance, "QUEUE_SECONDS", 0.2)
    begun = time.monotonic()
    error = acceptance.look_at_queue(moved, actor="anna")
    assert error is not None
    assert time.monotonic() - begun < 10
    assert well()["queue"] is None


@pytest.mark.django_db
@pytest.mark.parametrize("kind", ["imap", "lmtp"])
def test_a_try_that_sent_nothing_is_not_told_as_a_message_that_was_sent(client: Client, kind: str) -> None:
    now = timezone.now()
    moved = make_batch(1, state=S.DONE, go_at=now - timedelta(hours=1), ended_at=now)
    Server.objects.update(kind=kind)
    data = {"row": moved.campaign.target_id, "account": "probe@example.test", "is_well": False}
    Event.objects.create(name=to_oneself.ENDED, data=data)
    client.force_login(make_user(is_operator=True, is_administrator=True))
    page = client.get(f"/batches/{moved.pk}/night").content.decode()
    has_line = kind == "imap"
    assert ("probe@example.test was to send a message to itself" in page) is has_line
    assert ("#to-oneself" in page) is has_line  # elsewhere its page has no such place
    assert "sent a message to itself" not in page


@pytest.mark.django_db
def test_the_page_asks_once_the_night_is_over(client: Client) -> None:
    now = timezone.now()
    moved = make_batch(1, state=S.DONE, go_at=now - timedelta(hours=1))
    client.force_login(make_user(is_operator=True))
    assert "Is all as it should be?" not in client.get(f"/batches/{moved.pk}/night").content.decode()
    Batch.objects.update(ended_at=now)
    page = client.get(f"/batches/{moved.pk}/night").content.decode()
    assert "Is all as it should be?" in page
    assert "Nobody has tried yet." in page
    assert "Sign in as a few users" not in page
    told = client.post(f"/batches/{moved.pk}/night/try", follow=True).content.decode()
    assert "no password is known" in told
