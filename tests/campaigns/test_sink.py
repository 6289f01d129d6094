"""What the engine tells becomes rows and counters, few writes, and stops whoever lost the lease."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from campaigns.bridge.lease import Lease, LeaseLost
from campaigns.bridge.sink import BEAT_SECONDS, MOST_WAITING, OrmSink
from campaigns.models import Account, Event
from migrator.errors import MigratorError, Side
from migrator.events import (
    CountsDiffer,
    FlagsLost,
    FolderFailed,
    FolderLeftOut,
    FolderRenamed,
    MessageLeftBehind,
    PassPlanned,
    Progress,
    Reconnecting,
)
from migrator.journal import StepBegun, StepDone, StepFailed, StepKey, StepKind
from migrator.mail import Outcome
from migrator.testing import FakeClock
from tests.campaigns.crossings import claim, make_account, make_batch, make_campaign

PLANNED = PassPlanned(folders=2, messages=10, size_bytes=1000, flag_changes=0)
SWITCH = StepKey(3, StepKind.SWITCH, "routes")


@pytest.fixture
def account(transactional_db: None) -> Account:
    return make_account(make_batch(make_campaign()))


@pytest.fixture
def lease(account: Account) -> Lease:
    return claim(account)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def sink(lease: Lease, account: Account, clock: FakeClock) -> OrmSink:
    return OrmSink(lease, account, 7, clock)


def names() -> list[str]:
    return list(Event.objects.order_by("pk").values_list("name", flat=True))


def counters(account: Account) -> tuple[int, int, int, int]:
    account.refresh_from_db()
    return account.messages_total, account.messages_done, account.bytes_total, account.bytes_done


def test_a_durable_event_is_a_row_at_once_with_its_place_and_its_teller(sink: OrmSink, account: Account) -> None:
    sink.emit(Reconnecting(error=MigratorError("line.lost", side=Side.TARGET, reply="BYE secret words"), attempt=1))
    event = Event.objects.get()
    assert (event.account, event.batch, event.campaign) == (account, account.batch, account.campaign)
    assert (event.name, event.actor_name) == ("account.pass.reconnecting", "a test")
    assert event.data == {"error": {"code": "line.lost", "side": "target"}, "attempt": 1, "run": 7}


def test_steps_are_named_after_what_they_do(sink: OrmSink) -> None:
    sink.emit(StepBegun(step=SWITCH))
    sink.emit(StepFailed(step=SWITCH, error=MigratorError("directory.busy")))
    sink.emit(StepDone(step=SWITCH))
    assert names() == [f"account.cutover.switch.{end}" for end in ("begun", "failed", "done")]
    assert Event.objects.earliest("pk").data["step"] == {
        "position": 3,
        "kind": "switch",
        "connector": "routes",
        "side": "",
    }


def test_progress_is_written_at_most_once_a_beat(
    sink: OrmSink, account: Account, clock: FakeClock, django_assert_num_queries: Callable[..., object]
) -> None:
    sink.emit(PLANNED)
    with django_assert_num_queries(0):
        for _ in range(9):
            sink.emit(Progress(messages=1, size_bytes=100))
    assert counters(account) == (10, 0, 1000, 0)
    clock.wait(BEAT_SECONDS)
    with django_assert_num_queries(3):  # one UPDATE in its transaction
        sink.emit(Progress(messages=1, size_bytes=100))
    assert counters(account) == (10, 10, 1000, 1000)
    with django_assert_num_queries(0):
        sink.flush()


def test_a_later_pass_adds_to_what_is_there(lease: Lease, account: Account, sink: OrmSink) -> None:
    sink.emit(PLANNED)
    sink.emit(Progress(messages=10, size_bytes=1000))
    sink.flush()
    account.refresh_from_db()
    second = OrmSink(lease, account)
    second.emit(PassPlanned(folders=1, messages=2, size_bytes=50, flag_changes=0))
    second.emit(Progress(messages=1, size_bytes=20))
    second.flush()
    assert counters(account) == (12, 11, 1050, 1020)


def test_messages_that_are_compared_are_not_counted_as_copied(sink: OrmSink, account: Account) -> None:
    sink.emit(StepBegun(step=StepKey(2, StepKind.VERIFY)))
    sink.emit(Progress(messages=5, size_bytes=5))
    sink.flush()
    assert counters(account) == (0, 0, 0, 0)


def test_the_pace_is_measured_from_beat_to_beat_and_the_newest_counts_half(
    sink: OrmSink, account: Account, clock: FakeClock
) -> None:
    for messages, pace in ((100, 50.0), (20, 30.0), (0, 15.0)):
        clock.wait(BEAT_SECONDS)
        sink.emit(Progress(messages=messages, size_bytes=1))
        account.refresh_from_db()
        assert account.messages_per_second == pytest.approx(pace)


def test_messages_left_behind_wait_for_the_beat_and_are_all_there(sink: OrmSink) -> None:
    for uid in range(MOST_WAITING + 5):
        error = MigratorError("message.refused", reply="because of its subject")
        sink.emit(MessageLeftBehind(folder="Entwürfe", uid=uid, outcome=Outcome.REFUSED, error=error))
        assert len(names()) == (0 if uid < MOST_WAITING - 1 else MOST_WAITING)
    sink.flush()
    assert len(names()) == MOST_WAITING + 5
    assert "subject" not in repr(list(Event.objects.values_list("data", flat=True)))
    assert Event.objects.earliest("pk").data["outcome"] == "refused"


def test_what_every_pass_finds_anew_is_told_once(lease: Lease, account: Account) -> None:
    repeated = [
        FolderRenamed(folder="a.b", target="a-b", reason="separator"),
        FolderLeftOut(folder="All", reason="virtual", messages=None),
        CountsDiffer(folder="INBOX", counted=3, listed=2),
        FlagsLost(folder="INBOX", flag="$Forwarded", messages=2),
    ]
    for number in range(3):
        sink = OrmSink(lease, account, number)
        for event in [*repeated, *repeated]:
            sink.emit(event)
    assert len(names()) == 4
    sink.emit(CountsDiffer(folder="INBOX", counted=4, listed=2))
    assert len(names()) == 5


def test_a_pass_that_finds_nothing_to_do_leaves_no_row(sink: OrmSink, account: Account) -> None:
    sink.emit(PassPlanned(folders=9, messages=0, size_bytes=0, flag_changes=0))
    assert names() == []
    sink.emit(PassPlanned(folders=9, messages=0, size_bytes=0, flag_changes=1))
    assert names() == ["account.pass.planned"]


def test_names_that_databases_refuse_are_told_all_the_same(sink: OrmSink) -> None:
    sink.emit(FolderFailed(folder="a\0b\udce4", error=MigratorError("folder.damaged")))
    assert Event.objects.get().data["folder"] == "a\ufffdb?"


@pytest.mark.parametrize(
    "event", [PLANNED, Progress(messages=1, size_bytes=1), StepDone(step=SWITCH)], ids=lambda event: event.name
)
def test_whoever_lost_the_lease_is_stopped_by_telling_and_writes_nothing(
    sink: OrmSink, account: Account, clock: FakeClock, event: object
) -> None:
    claim(account)
    clock.wait(BEAT_SECONDS)
    with pytest.raises(LeaseLost):
        sink.emit(event)
    assert names() == []
    assert counters(account) == (0, 0, 0, 0)


def test_only_messages_that_a_rule_leaves_out_are_skipped_and_each_pass_counts_anew(sink: OrmSink) -> None:
    assert sink.skipped_messages(5) == 5
    for _ in range(2):
        sink.emit(PLANNED)
        sink.emit(FolderLeftOut(folder="Spam", reason="skipped", messages=3))
        sink.emit(FolderLeftOut(folder="Junk", reason="skipped", messages=None))
        sink.emit(FolderLeftOut(folder="All Mail", reason="virtual", messages=100))
        assert sink.skipped_messages(5) == 3
    sink.emit(PLANNED)
    assert sink.skipped_messages(5) == 0
