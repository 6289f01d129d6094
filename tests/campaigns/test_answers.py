"""What helpdesk is given to say: total over all that can be, and without a word of a protocol."""

from __future__ import annotations

import itertools
import re
from dataclasses import fields

import pytest

from campaigns.selectors import answers, person
from campaigns.selectors.answers import Act, Cause, Facts, Situation
from campaigns.states import AccountState, Owner
from migrator.errors import CATALOGUE

S = AccountState

CASES = list(itertools.product(S, Owner, Cause, (False, True)))
ARRIVALS = [(*case, arrives) for case in CASES for arrives in (False, True)]
NOTHING = Facts()
LEAST = Facts(since="today at 21:12", locked="today at 21:10")
ALL = Facts(**{field.name: f"<{field.name}>" for field in fields(Facts)})
PROTOCOL_IN_CAUSE = re.compile(r"\b(IMAP|POP3?|SMTP|TLS|STARTTLS|UID|LDAP|NUL)\b")
PROTOCOL = re.compile(r"\b(IMAP|POP|SMTP|TLS|UID|LDAP|source|target|cutover|recipe|batch)\b", re.IGNORECASE)


@pytest.mark.parametrize("facts", [LEAST, ALL], ids=["few facts", "all facts"])
def test_every_account_has_an_answer_in_plain_words(facts: Facts) -> None:
    for state, owner, cause, is_locked, arrives in ARRIVALS:
        what = answers.situation(state, owner, cause, is_locked=is_locked, arrives_first=arrives)
        answer = answers.answer(what, facts)
        assert answer.sentence, (state, owner, cause, is_locked, arrives)
        assert answer.notices
        assert answer.say
        assert answer.not_promised
        text = " ".join((answer.sentence, *answer.notices, *answer.say, *answer.not_promised))
        assert not PROTOCOL.search(re.sub("<[a-z]+>", "", text))
        assert "{" not in text


def test_every_situation_occurs() -> None:
    met = {
        answers.situation(state, owner, cause, is_locked=locked, arrives_first=arrives)
        for state, owner, cause, locked, arrives in ARRIVALS
    }
    assert met == set(Situation)


@pytest.mark.parametrize(
    ("state", "owner", "cause", "is_locked", "situation"),
    [
        (S.NEW, Owner.SOURCE, Cause.NONE, False, Situation.PLANNED),
        (S.STAGING, Owner.SOURCE, Cause.ROOM, False, Situation.COPYING),
        (S.READY, Owner.SOURCE, Cause.NONE, False, Situation.COPIED),
        (S.CUTTING_OVER, Owner.SOURCE, Cause.NONE, False, Situation.MOVING),
        (S.CUTTING_OVER, Owner.SOURCE, Cause.NONE, True, Situation.LOCKED),
        (S.CUTTING_OVER, Owner.UNKNOWN, Cause.NONE, True, Situation.UNKNOWN),
        (S.CUTTING_OVER, Owner.TARGET, Cause.NONE, True, Situation.ARRIVING),
        (S.ROLLING_BACK, Owner.SOURCE, Cause.OTHER, True, Situation.RETURNING),
        (S.ROLLING_BACK, Owner.TARGET, Cause.NONE, False, Situation.TAKEN_BACK),
        (S.DONE, Owner.TARGET, Cause.NONE, False, Situation.MOVED),
        (S.HELD, Owner.SOURCE, Cause.OTHER, True, Situation.HELD),
        (S.ATTENTION, Owner.UNKNOWN, Cause.OTHER, True, Situation.UNKNOWN),
        (S.ATTENTION, Owner.SOURCE, Cause.OTHER, True, Situation.UNDECIDED),
        (S.FAILED, Owner.SOURCE, Cause.PASSWORD, False, Situation.NEEDS_PASSWORD),
        (S.FAILED, Owner.SOURCE, Cause.ROOM, False, Situation.NEEDS_ROOM),
        (S.FAILED, Owner.SOURCE, Cause.OTHER, False, Situation.NOT_MOVED),
        (S.EXCLUDED, Owner.SOURCE, Cause.NONE, False, Situation.LEFT_OUT),
    ],
)
def test_a_state_means_this_to_its_user(
    state: AccountState, owner: Owner, cause: Cause, is_locked: bool, situation: Situation
) -> None:
    assert answers.situation(state, owner, cause, is_locked=is_locked) is situation


@pytest.mark.req("S-115")
def test_who_arrived_before_their_old_mail_is_told_to_have_new_mail_only() -> None:
    for state in (S.CHECKING, S.STAGING, S.READY, S.FAILED, S.EXCLUDED):
        what = answers.situation(state, Owner.TARGET, Cause.NONE, is_locked=False, arrives_first=True)
        assert answers.answer(what, LEAST).sentence.startswith("New mail only")
    coming = answers.situation(S.CUTTING_OVER, Owner.TARGET, Cause.NONE, is_locked=True, arrives_first=True)
    assert coming is Situation.OLD_MAIL_COMES
    moved = answers.situation(S.DONE, Owner.TARGET, Cause.NONE, is_locked=False, arrives_first=True)
    assert moved is Situation.MOVED


def test_a_line_is_left_out_when_what_it_names_is_not_known() -> None:
    few = answers.answer(Situation.MOVED, LEAST)
    assert few.sentence == "The mailbox has been on the new server since today at 21:12."
    complete = answers.answer(Situation.MOVED, Facts(since="x", complete="7,263", settings="."))
    assert "All 7,263 messages are there." in complete.sentence
    assert any("I can read you the new ones" in line for line in complete.say)
    left = answers.answer(Situation.MOVED, Facts(since="x", left="3"))
    assert "3 messages stayed behind" in left.sentence
    assert "All" not in left.sentence


def test_nothing_but_telling_is_offered_while_the_move_is_under_way() -> None:
    for state, owner, cause, is_stopped in CASES:
        offered = answers.acts(state, owner, cause, is_stopped=is_stopped, is_paused=True, is_told=False)
        assert offered[-1] is Act.TELL
        under_way = state in (S.CUTTING_OVER, S.ROLLING_BACK, S.HELD, S.ATTENTION) or owner is Owner.UNKNOWN
        assert (offered == (Act.TELL,)) >= under_way, (state, owner, cause, is_stopped)


@pytest.mark.parametrize(
    ("state", "cause", "is_stopped", "is_paused", "offered"),
    [
        (S.NEW, Cause.NONE, False, False, {Act.STOP}),
        (S.STAGING, Cause.ROOM, False, True, {Act.RETRY, Act.STOP}),
        (S.STAGING, Cause.NONE, True, False, {Act.RESUME}),
        (S.FAILED, Cause.PASSWORD, False, False, {Act.PASSWORD, Act.RETRY}),
        (S.FAILED, Cause.OTHER, False, False, {Act.RETRY}),
        (S.DONE, Cause.NONE, False, True, set()),
        (S.EXCLUDED, Cause.NONE, False, False, set()),
    ],
)
def test_the_safe_acts_of_a_state(
    state: AccountState, cause: Cause, is_stopped: bool, is_paused: bool, offered: set[Act]
) -> None:
    owner = Owner.TARGET if state is S.DONE else Owner.SOURCE
    acts = answers.acts(state, owner, cause, is_stopped=is_stopped, is_paused=is_paused, is_told=True)
    assert set(acts) == offered


@pytest.mark.parametrize(
    ("code", "side", "cause"),
    [
        ("", "", Cause.NONE),
        ("sign_in.refused", "source", Cause.PASSWORD),
        ("sign_in.refused", "target", Cause.OTHER),
        ("target.full", "target", Cause.ROOM),
        ("line.silent", "source", Cause.OTHER),
        ("of.a.later.version", "", Cause.OTHER),
    ],
)
def test_an_error_means_this_to_its_user(code: str, side: str, cause: Cause) -> None:
    assert person.cause_of(code, side) is cause


def test_no_cause_with_a_word_of_a_protocol_is_read_out() -> None:
    for code, side in itertools.product([*CATALOGUE, "of.a.later.version"], ["source", "target", ""]):
        assert not PROTOCOL_IN_CAUSE.search(person.plain_cause(code, side)), code
    assert person.plain_cause("line.silent", "source") == "The old server stopped answering."


@pytest.mark.parametrize(
    ("address", "read_out"),
    [
        ("m.garcia@northfield.example", "M as in Mike, dot, G A R C I A, at sign, northfield, dot, example"),
        ("a-b_c+1@x", "A as in Alfa, hyphen, B as in Bravo, underscore, C as in Charlie, plus sign, 1, at sign, x"),
        ("s123", "S 1 2 3"),
        ("", ""),
    ],
)
def test_an_address_is_spelled_as_on_the_telephone(address: str, read_out: str) -> None:
    pieces = [f"{one.said} as in {one.like}" if one.like else one.said for one in answers.spelled(address)]
    assert ", ".join(pieces) == read_out
