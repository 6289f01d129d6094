"""The dashboard: its figures add up, come from counters, and are told whatever is missing."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime, timedelta

import pytest
from django.test import Client
from django.utils import timezone

from campaigns.models import Account, Batch, BatchMail, MovedHour
from campaigns.selectors import burnup, causes, dashboard, forecast, nights
from campaigns.selectors.figures import Figures
from campaigns.selectors.forecast import Forecast, Hour, Plan
from campaigns.selectors.nights import Part
from campaigns.services import accounts, mail_counts
from campaigns.states import AccountState, Family, Owner
from tests.campaigns import scenes
from tests.campaigns.factories import make_account, make_batch, make_campaign, make_user, put

S = AccountState
NOW = datetime(2026, 11, 18, 22, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def night(days: float, accounts: int = 1000, left: int = 0) -> Plan:
    """A batch whose window of ten hours begins so many days from tonight at 20:00."""
    begins = NOW.replace(hour=20, minute=0) + days * DAY
    return Plan(accounts, left, begins, begins + 10 * HOUR)


# Forecast


def test_with_windows_the_last_of_those_that_are_left_is_the_end() -> None:
    told = forecast.forecast([night(-1), night(0, left=600), night(1, left=1000)], [], NOW)
    assert (told.nights, told.ends_at, told.is_as_planned, told.has_range) == (2, night(1).ends_at, True, False)


def test_what_past_nights_did_not_manage_makes_further_nights_and_a_range() -> None:
    plans = [night(-2, left=0), night(-1, left=900), night(0, left=1000)]
    told = forecast.forecast(plans, [], NOW)
    assert told.planned_end == night(0).ends_at
    assert not told.is_as_planned
    assert told.has_range
    assert told.earliest is not None
    assert told.latest is not None
    assert told.ends_at is not None
    assert told.earliest <= told.ends_at <= told.latest


def test_stragglers_of_past_nights_do_not_move_the_end() -> None:
    told = forecast.forecast([night(-1, left=1), night(0, left=1000)], [], NOW)
    assert told.is_as_planned


def test_without_windows_the_pace_decides() -> None:
    plans = [Plan(1000, 600, None, None)]
    hours = [Hour(NOW.replace(minute=0) - n * HOUR, count) for n, count in ((0, 50), (1, 100), (2, 200))]
    told = forecast.forecast(plans, hours, NOW)
    assert forecast.per_hour(hours, NOW) == 100
    assert (told.nights, told.ends_at) == (0, NOW + 6 * HOUR)
    assert (told.earliest, told.latest) == (NOW + 3 * HOUR, NOW + 6 * HOUR)


def test_the_pace_of_the_first_hour_counts_from_the_start_and_not_from_the_full_hour() -> None:
    plans, begun_at = [Plan(1000, 940, None, None)], NOW - HOUR / 4
    hours = [Hour(NOW.replace(minute=0), 40), Hour(NOW.replace(minute=0) - HOUR, 20)]
    assert forecast.per_hour(hours, NOW, begun_at) == 240
    told = forecast.forecast(plans, hours, NOW, begun_at)
    assert told.ends_at == told.latest == NOW + HOUR * 940 / 240
    assert forecast.per_hour(hours, NOW, NOW) == 60 * 30  # a start of this moment divides by no less than two minutes
    assert forecast.per_hour(hours, NOW, NOW - 2 * HOUR) == forecast.per_hour(hours, NOW)


def test_nothing_is_promised_before_anybody_moved_or_when_nobody_is_left() -> None:
    assert forecast.forecast([Plan(10, 10, None, None)], [], NOW).ends_at is None
    assert forecast.forecast([], [], NOW).ends_at is None
    assert forecast.forecast([night(-1)], [], NOW) == Forecast(0, None, None, None, night(-1).ends_at)
    # those that missed their window wait for another, and move at no pace
    assert forecast.forecast([night(-3, left=10)], [], NOW).ends_at is None


# Curve


def test_the_curve_draws_what_there_is() -> None:
    plans = [night(-1), night(0, left=600), night(1, left=1000)]
    hours = [Hour(NOW - DAY, 1000), Hour(NOW - HOUR, 400)]
    drawn = burnup.chart(plans, hours, forecast.forecast(plans, hours, NOW), 1400, NOW)
    assert drawn is not None
    assert [band.is_now for band in drawn.bands] == [False, True, False]
    assert drawn.rows[0].text == "0"
    assert drawn.rows[-1].text == "3,000"
    assert drawn.planned.count("L") == 5
    for path in (drawn.planned, drawn.real, drawn.expected):
        assert path.startswith("M")
        places = [tuple(map(float, point.split())) for point in path[1:].split("L")]
        assert places == sorted(places, key=lambda place: place[0])  # time goes to the right
        assert all(52 <= x <= 676 and 22 <= y <= 256 for x, y in places)
    assert drawn.real.endswith(f"{drawn.now_x} {drawn.now_y}")
    assert drawn.spread == ""


def test_the_curve_has_a_range_when_nights_went_unlike() -> None:
    plans = [night(-2), night(-1, left=500), night(0, left=1000)]
    drawn = burnup.chart(plans, [], forecast.forecast(plans, [], NOW), 1500, NOW)
    assert drawn is not None
    assert drawn.spread.endswith("z")


@pytest.mark.parametrize(
    ("plans", "hours"),
    [([], []), ([Plan(0, 0, None, None)], []), ([Plan(5, 5, None, None)], []), ([night(0, accounts=0)], [])],
)
def test_without_accounts_or_anything_that_happens_there_is_no_curve(plans: list[Plan], hours: list[Hour]) -> None:
    assert burnup.chart(plans, hours, forecast.forecast(plans, hours, NOW), 0, NOW) is None


@pytest.mark.parametrize("total", [1, 2, 3, 7, 10, 99, 100, 18_400, 1_000_000])
def test_the_rows_of_the_curve_are_round_and_end_at_the_total(total: int) -> None:
    plans = [night(0, accounts=total, left=total)]
    drawn = burnup.chart(plans, [], forecast.forecast(plans, [], NOW), 0, NOW)
    assert drawn is not None
    assert drawn.rows[-1].text == f"{total:,}"
    assert 2 <= len(drawn.rows) <= 5
    assert len({row.text for row in drawn.rows}) == len(drawn.rows)


# Nights


def test_batches_stand_in_the_week_and_on_the_day_on_which_their_window_begins() -> None:
    monday = datetime(2026, 11, 16, 20, tzinfo=UTC)
    begins = (monday, monday + 2 * DAY, monday + 7 * DAY, monday + 7 * DAY, None)
    parts = [
        Part(Batch(pk=number, name=f"{number}", window_begins_at=at), Figures.of([("done", 3)]))
        for number, at in enumerate(begins)
    ]
    shown = nights.calendar(parts, date(2026, 11, 18))
    assert shown.weekdays == ("Monday", "Wednesday")
    cells = [[[part.batch.pk for part in cell.parts] for cell in week.nights] for week in shown.weeks]
    assert cells == [[[0], [1]], [[2, 3], []]]
    assert [cell.is_tonight for cell in shown.weeks[0].nights] == [False, True]
    assert [part.batch.pk for part in shown.others] == [4]
    assert nights.calendar(parts[4:], date(2026, 11, 18)).is_empty


@pytest.mark.parametrize(
    ("states", "family", "accounts"),
    [
        ({}, Family.WAITING, 0),
        ({"done": 1, "ready": 9}, Family.DONE, 1),
        ({"ready": 9, "staging": 3}, Family.READY, 9),
        ({"new": 5, "failed": 1}, Family.WAITING, 5),
    ],
)
def test_a_batch_says_first_how_many_are_done_else_where_most_are(
    states: dict[str, int], family: Family, accounts: int
) -> None:
    part = Part(Batch(name="x"), Figures.of(states.items()))
    assert (part.family, part.accounts) == (family, accounts)


# Page


@pytest.mark.django_db
def test_the_figures_of_the_page_add_up(client: Client, django_assert_max_num_queries: object) -> None:
    campaign = scenes.platform(60)
    board = dashboard.view(campaign)
    assert board.figures.accounts == 180
    assert sum(hour.accounts for hour in MovedHour.objects.all()) == board.done
    assert board.balance.total == sum(box.messages for box in board.balance.boxes)
    rows = Account.objects.filter(campaign=campaign, progress_at__isnull=False)
    seen = sum(
        account.outcomes["there"]
        + account.messages_pending
        + sum(account.outcomes.get(name, 0) for name in ("removed", "flagged", "empty", "left"))
        for account in rows
    )
    assert board.balance.total == seen
    assert board.balance.accounts == rows.count()
    assert board.uncounted == 60
    known = sorted(seconds for seconds in rows.values_list("lockout_seconds", flat=True) if seconds is not None)
    assert board.lockout.median == known[(len(known) - 1) // 2]
    assert board.lockout.longest == known[-1]
    client.force_login(make_user(is_manager=True))
    client.get(f"/campaigns/{campaign.pk}")
    with django_assert_max_num_queries(10):  # type: ignore[operator]
        page = client.get(f"/campaigns/{campaign.pk}").content.decode()
    title = page.partition("<title>")[2].partition("</title>")[0].strip()
    assert title.startswith(f"{board.undecided} need a decision")
    assert 'class="real"' in page


@pytest.mark.django_db
def test_an_empty_campaign_and_one_without_windows_have_a_page(client: Client) -> None:
    client.force_login(make_user(is_manager=True))
    campaign = make_campaign()
    assert "No account is on the list yet." in client.get(f"/campaigns/{campaign.pk}").content.decode()
    make_batch(3, state=S.STAGING, campaign=campaign)
    page = client.get(f"/campaigns/{campaign.pk}").content.decode()
    assert "told once the first have moved" in page
    assert "<strong>0</strong> of 3 accounts" in page
    assert client.get("/campaigns/999999").status_code == 404


@pytest.mark.django_db
def test_a_campaign_that_is_over_says_so(client: Client) -> None:
    campaign = make_campaign()
    batch = make_batch(2, state=S.DONE, campaign=campaign)
    client.force_login(make_user(is_manager=True))
    over = "nothing more happens without a person"
    assert over not in client.get(f"/campaigns/{campaign.pk}").content.decode()
    put(batch.accounts.all()[0], S.FAILED)
    assert over in client.get(f"/campaigns/{campaign.pk}").content.decode()


@pytest.mark.django_db
def test_the_page_renews_itself_by_a_part(client: Client) -> None:
    campaign = make_campaign()
    client.force_login(make_user(is_manager=True))
    part = client.get(f"/campaigns/{campaign.pk}", headers={"HX-Request": "true"})
    assert part.content.decode().lstrip().startswith('<div id="board"')
    assert part["X-Live-At"]


@pytest.mark.django_db
def test_the_figures_are_exported_one_row_a_batch(client: Client) -> None:
    campaign = scenes.platform(20)
    Batch.objects.filter(campaign=campaign).update(name="=SUM(A1)")
    client.force_login(make_user(is_manager=True))
    answer = client.get(f"/campaigns/{campaign.pk}/dashboard.csv")
    rows = list(csv.reader(io.StringIO(b"".join(answer.streaming_content).decode())))  # type: ignore[attr-defined]
    assert tuple(rows[0]) == dashboard.HEADER
    assert [row[1] for row in rows[1:]] == ["'=SUM(A1)"] * 3
    assert [int(row[4]) for row in rows[1:]] == [20] * 3
    client.force_login(make_user(is_helpdesk=True))
    assert client.get(f"/campaigns/{campaign.pk}/dashboard.csv").status_code == 403
    assert client.get(f"/campaigns/{campaign.pk}").status_code == 403


@pytest.mark.django_db
def test_causes_are_counted_over_all_batches_the_most_frequent_first() -> None:
    campaign = make_campaign()
    first, second = (make_batch(4, state=S.FAILED, campaign=campaign) for _ in range(2))
    first.accounts.update(error_code="line.silent", error_side="source", error_at=timezone.now())
    second.accounts.update(error_code="target.full", error_side="target", error_at=timezone.now())
    Account.objects.filter(pk=second.accounts.order_by("pk").values("pk")[:1]).update(
        error_code="line.silent", error_side="source"
    )
    moved = make_batch(9, state=S.DONE, campaign=campaign)
    moved.accounts.update(error_code="line.lost")
    found = causes.of_campaign(campaign)
    assert [(one.code, one.accounts, one.batches, one.batch_id) for one in found] == [
        ("line.silent", 5, 2, first.pk), ("target.full", 3, 1, second.pk),
    ]  # fmt: skip
    assert found[0].sentence == "The old server stopped answering."


@pytest.mark.django_db
def test_the_hours_follow_every_way_to_and_from_done() -> None:
    account = make_account(S.CUTTING_OVER, owner=Owner.TARGET)
    accounts.transition(account.pk, expect=S.CUTTING_OVER, to=S.DONE, lease=None, actor="test")
    assert [hour.accounts for hour in MovedHour.objects.all()] == [1]
    accounts.transition(account.pk, expect=S.DONE, to=S.ROLLING_BACK, lease=None, actor="test")
    assert sum(hour.accounts for hour in MovedHour.objects.all()) == 0
    assert not BatchMail.objects.exists()


@pytest.mark.django_db
def test_the_rate_is_that_of_batches_counted_lately() -> None:
    batch = make_batch(1, state=S.STAGING)
    now = timezone.now()
    batch.accounts.update(progress_at=now, bytes_done=1000, bytes_total=5000)
    mail_counts.count(batch.pk, now)
    batch.accounts.update(bytes_done=3000)
    mail_counts.count(batch.pk, now + timedelta(seconds=10))
    assert dashboard.view(batch.campaign, now + timedelta(seconds=12)).bytes_per_second == 200
    assert dashboard.view(batch.campaign, now + timedelta(minutes=5)).bytes_per_second == 0
