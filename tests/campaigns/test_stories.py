"""Every event that is ever written reads as a sentence of pages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from campaigns.bridge.sink import PREFIX
from campaigns.models import Event, User
from campaigns.selectors import stories
from campaigns.states import AccountState
from migrator import events, journal
from migrator.events import Event as EngineEvent
from migrator.journal import StepKind

ROOT = Path(__file__).parents[2] / "campaigns"
# A dotted name, written as a whole where it is recorded. Codes of refusals and of errors are no events.
_WRITERS = re.compile(r"""(?:record|_tell|_set_paused)\([^"()]*"([a-z_]+(?:\.[a-z_]+)+)\"""")
_NAMED = re.compile(r"""(?:name=|secret, actor, )"([a-z_]+(?:\.[a-z_]+)+)\"""")
_SET = re.compile(r"""_set\(batch, "([a-z_.]+)\"""")


def _written_names() -> set[str]:
    names = set()
    for path in [*ROOT.glob("services/*.py"), *ROOT.glob("bridge/*.py"), *ROOT.glob("demo/*.py")]:
        text = path.read_text()
        for pattern in (_WRITERS, _NAMED, _SET):
            names.update(pattern.findall(text))
    return names


def _engine_names() -> list[str]:
    kinds = [kind for room in (events, journal) for kind in vars(room).values() if isinstance(kind, type)]
    told = [kind.name for kind in kinds if issubclass(kind, EngineEvent) and kind.durable and kind.name != "event"]
    steps = [f"cutover.{kind}.{how}" for kind in StepKind for how in ("begun", "done", "undone", "failed")]
    return [PREFIX + name for name in [*(name for name in told if not name.startswith("step.")), *steps]]


def test_every_event_that_the_panel_writes_has_a_sentence_of_its_own() -> None:
    names = _written_names()
    assert {"batch.go", "account.retried", "account.lease.expired", "campaign.closed"} <= names, "the look is blind"
    assert [name for name in sorted(names) if not stories.is_known(name)] == []


def test_every_event_that_the_engine_tells_has_a_sentence_of_its_own() -> None:
    assert [name for name in _engine_names() if not stories.is_known(name)] == []


def test_every_state_and_owner_has_a_sentence_of_its_own() -> None:
    names = [f"account.state.{state}" for state in AccountState]
    assert all(map(stories.is_known, [*names, *(f"account.owner.{one}" for one in ("source", "target", "unknown"))]))


def test_no_event_fails_to_read_for_want_of_its_facts() -> None:
    for name in [*_written_names(), *_engine_names(), *(f"account.state.{state}" for state in AccountState)]:
        told = stories.story(Event(name=name, actor_name="worker", data={}))
        assert told.endswith((".", ":")), name
        assert "%(" not in told, name
        assert "None" not in told, name


def test_an_event_of_another_version_still_reads() -> None:
    assert stories.story(Event(name="account.label_kept.late", data={})) == "Account label kept late."


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("account.state.failed", {"start": "staging", "reason": "target.full"}, "The new mailbox is full."),
        ("account.state.excluded", {"start": "failed", "reason": "left in May"}, "Reason: left in May"),
        ("account.state.staging", {"start": "failed", "reason": "retry"}, "Tried again: copying ahead goes on."),
        ("account.pass.planned", {"messages": 4120, "folders": 1}, "4,120 messages to copy in 1 folder."),
        ("account.folder.failed", {"folder": "INBOX", "error": {"code": "folder.missing"}}, "The folder Inbox is not"),
        ("account.message.left_behind", {"folder": "Sent", "uid": 4711, "outcome": "too_big"}, "bigger than the new"),
        ("account.cutover.disable.done", {"step": {"kind": "disable", "side": "source"}}, "Lock the old mailbox: done"),
        ("account.cutover.enable.done", {"step": {"kind": "enable", "side": "source"}}, "Open the old mailbox: done"),
        ("account.folder_rule.set", {"folder": "a/b", "action": "rename", "target": "c"}, "a / b is called c on"),
        ("account.password.changed", {"field": "target_secret", "is_there": True}, "New password for the new server."),
        ("account.resolved", {"verdict": "on_target", "reason": "saw it"}, "on the new server. Reason: saw it"),
        ("campaign.list_imported", {"added": 1200, "refused": 3}, "1,200 new, 3 refused."),
    ],
)
def test_an_event_says_what_its_facts_say(name: str, data: dict[str, object], told: str) -> None:
    assert told in stories.story(Event(name=name, data=data))


def test_a_message_that_stays_behind_is_told_without_its_number() -> None:
    told = stories.story(Event(name="account.message.left_behind", data={"folder": "Sent", "uid": 4711}))
    assert "4711" not in told


def test_who_acted_is_a_person_or_mailferry() -> None:
    assert stories.actor(Event(actor_name="stage-1@host")) == "Mailferry"
    assert stories.actor(Event(actor_name="ticker")) == "Mailferry"
    assert stories.actor(Event(actor_name="dana")) == "dana"
    dana = User(username="dana", first_name="Dana", last_name="Whitfield")
    assert stories.actor(Event(actor=dana, actor_name="dana")) == "Dana Whitfield"
