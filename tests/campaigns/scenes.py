"""A platform in the middle of its move, for tests of pages and for looking at them: rows only, no server runs.

The figures are of one kind: what a campaign of universities' size looks like on the night of its third batch.
"""

from __future__ import annotations

import random
from collections import Counter
from datetime import datetime, timedelta

from django.utils import timezone

from campaigns.models import Account, AccountName, Batch, BatchCount, Campaign, Event, JournalEntry, MovedHour
from campaigns.services import batches, campaigns, mail_counts, names
from campaigns.states import AccountState, Owner
from migrator.recipes import RECIPES
from tests.campaigns.factories import make_server

S = AccountState

_FIRST = ("Maria", "Lars", "Chen", "Aisha", "Tomás", "Yuki", "Ingrid", "Kwame", "Olga", "Ravi", "Zoë", "Björn")
_LAST = ("Garcia", "Lindqvist", "Wei", "Abara", "Novák", "Tanaka", "Sørensen", "Osei", "Petrova", "Iyer", "Brandt")
_DEPARTMENTS = ("Physics", "Chemistry", "Library", "Registry", "Law")

# How a batch stands: accounts of each state, in a thousand.
TONIGHT = {S.DONE: 412, S.CUTTING_OVER: 24, S.STAGING: 20, S.ROLLING_BACK: 2, S.READY: 521, S.EXCLUDED: 6}
TONIGHT |= {S.ATTENTION: 2, S.HELD: 1, S.FAILED: 12}
FINISHED = {S.DONE: 986, S.FAILED: 9, S.EXCLUDED: 5}
PLANNED = {S.NEW: 1000}
_CAUSES = {
    S.FAILED: [("sign_in.refused", "source", "NO [AUTHENTICATIONFAILED] Authentication failed.")] * 7
    + [("target.full", "target", "NO [OVERQUOTA] Quota exceeded (mailbox for user is full)")] * 3
    + [("line.silent", "source", "")] * 2,
    S.ATTENTION: [("directory.lost", "target", "")],
    S.HELD: [("cutover.late", "", "")],
    S.ROLLING_BACK: [("cutover.late", "", "")],
}


def platform(accounts: int = 1000, *, seed: int = 7, name: str = "Northfield Mail") -> Campaign:
    """Store a campaign with a finished batch, tonight's and a planned one, each of so many accounts."""
    source = make_server(name=f"{name}: old", host="mail.northfield.example", port=993, admin_login="admin")
    target = make_server(name=f"{name}: new", host="mail.example.net", port=993, admin_login="admin")
    campaign = campaigns.create(name, source=source, target=target, actor="dana")
    now, chance = timezone.now(), random.Random(seed)
    for number, (title, states, day) in enumerate(
        (("Science 2", FINISHED, -1), ("Science 3", TONIGHT, 0), ("Arts 1", PLANNED, 1))
    ):
        batch = _batch(campaign, title, accounts, number, chance)
        begins = now + timedelta(days=day, hours=-2)
        times = {"window_begins_at": begins, "window_ends_at": begins + timedelta(hours=10)}
        if day <= 0:
            times |= {"started_at": begins - timedelta(days=2), "go_at": begins}
        Batch.objects.filter(pk=batch.pk).update(**times, name=title, ended_at=begins if day < 0 else None)
        _stand(batch, states, accounts, chance, begins)
        if day <= 0:
            mail_counts.count(batch.pk, now)
    return campaign


def _batch(campaign: Campaign, title: str, count: int, number: int, chance: random.Random) -> Batch:
    people = []
    for place in range(count):
        first, last = chance.choice(_FIRST), chance.choice(_LAST)
        login = f"{first[0]}.{last}{number}{place}@northfield.example".lower()
        people.append(
            Account(
                source_login=login,
                target_login=login,
                display_name=f"{first} {last}",
                department=chance.choice(_DEPARTMENTS),
                phone=f"2-{number}{place:04}",
            )
        )
    (batch,) = batches.cut(campaign, people, actor="dana", size=count)
    stored = list(batch.accounts.all())
    AccountName.objects.bulk_create(row for account in stored for row in names.rows_of(account, ()))
    return batch


def _stand(batch: Batch, states: dict[AccountState, int], count: int, chance: random.Random, begins: datetime) -> None:
    """Put each account where it stands, with its figures, its cause and its events."""
    rare_first = sorted(states.items(), key=lambda item: item[1])
    wanted = [state for state, per_thousand in rare_first for _ in range(max(1, per_thousand * count // 1000))]
    wanted += [next(iter(states))] * count
    rows, events = list(batch.accounts.all()), []
    for account, state in zip(rows, wanted, strict=False):
        _dress(account, state, chance)
        if begins < timezone.now() - timedelta(hours=10) and state is S.DONE:  # in its own night, not in this one
            account.state_since = begins + timedelta(minutes=chance.randrange(1, 400))
        events.append(_event(account, f"account.state.{state.value}"))
    columns = [
        "messages_pending",
        "outcomes",
        "state",
        "owner",
        "messages_total",
        "messages_done",
        "bytes_total",
        "bytes_done",
        "messages_left",
    ]
    columns += ["error_code", "error_side", "error_reply", "error_at", "state_since", "lockout_seconds", "step"]
    columns += [
        "verified_level",
        "verified_at",
        "lease_until",
        "lease_epoch",
        "lease_kind",
        "progress_at",
        "locked_at",
        "waiting_for",
        "resume_state",
    ]
    Account.objects.bulk_update(rows, columns, batch_size=200)
    Event.objects.bulk_create(events)
    hours = Counter(
        account.state_since.replace(minute=0, second=0, microsecond=0) for account in rows if _is_done(account)
    )
    MovedHour.objects.bulk_create(MovedHour(batch=batch, hour=hour, accounts=hours[hour]) for hour in hours)
    for state in S:
        there = sum(account.state == state for account in rows)
        BatchCount.objects.filter(batch=batch, state=state).update(accounts=there)


def _is_done(account: Account) -> bool:
    return account.state == S.DONE


def _dress(account: Account, state: AccountState, chance: random.Random) -> None:
    now = timezone.now()
    account.state = state
    account.state_since = now - timedelta(minutes=chance.randrange(1, 300))
    account.messages_total = 0 if state is S.NEW else int(chance.lognormvariate(8, 1)) + 1
    account.bytes_total = account.messages_total * chance.randrange(20_000, 90_000)
    share = {S.DONE: 1.0, S.READY: 1.0, S.NEW: 0.0, S.FAILED: chance.random() * 0.9}.get(state, chance.random())
    account.messages_done = int(account.messages_total * share)
    account.bytes_done = int(account.bytes_total * share)
    account.messages_pending = account.messages_total - account.messages_done
    account.outcomes = {"there": account.messages_done, "done": account.messages_done}
    if state is S.DONE:
        left = chance.randrange(3) // 2
        account.messages_left, account.messages_total = left, account.messages_done + left
        account.outcomes |= {"left": left, "already": account.messages_done // 400, "removed": chance.randrange(5)}
    if state is S.DONE:
        account.verified_level, account.verified_at = "ledger", account.state_since
        account.owner, account.lockout_seconds = Owner.TARGET, chance.lognormvariate(3, 0.7)
    if state is not S.NEW:
        account.progress_at = account.state_since
    if state in (S.STAGING, S.CUTTING_OVER, S.ROLLING_BACK):
        account.lease_until, account.lease_epoch = now + timedelta(minutes=1), 1
        account.lease_kind = "cutover" if state is S.CUTTING_OVER else "stage"
        account.progress_at = now
    if state in (S.CUTTING_OVER, S.ROLLING_BACK, S.HELD, S.ATTENTION):
        account.step, account.locked_at = "switch" if state is S.ATTENTION else "delta", account.state_since
    if state is S.ATTENTION:
        account.owner, account.waiting_for = Owner.UNKNOWN, "person"
    if state in _CAUSES:
        account.error_code, account.error_side, account.error_reply = chance.choice(_CAUSES[state])
        account.error_at = account.state_since
        account.resume_state = "staging" if state is S.FAILED else ""


def _event(account: Account, name: str) -> Event:
    ids = {"campaign_id": account.campaign_id, "batch_id": account.batch_id, "account_id": account.pk}
    return Event(name=name, actor_name="worker", at=account.state_since, data={}, **ids)


def journal(account: Account, kinds: tuple[str, ...] = ("disable", "delta", "verify", "switch", "enable")) -> None:
    """Give an account a cutover whose steps are all done."""
    began = account.state_since - timedelta(minutes=2)
    places = {step.kind.value: place for place, step in enumerate(RECIPES[account.campaign.recipe].steps)}
    for number, kind in enumerate(kinds):
        at = began + timedelta(seconds=9 * number)
        JournalEntry.objects.create(
            account=account,
            cutover=1,
            position=places[kind],
            kind=kind,
            status="done",
            begun_at=at,
            ended_at=at + timedelta(seconds=8),
        )
