"""Folders that are open to others stay so: once, under the names of the target, and never to anybody else."""

from __future__ import annotations

import contextlib

import pytest

from migrator.errors import MigratorError, Side
from migrator.events import GrantLost
from migrator.mail import Grant, Grantee
from migrator.rosters.grantees import GranteeMap
from migrator.testing import FaultPlan, Killed, MemoryMailbox, MemorySource, MemoryTarget
from migrator.transfer.plan import CopyPolicy, Mode
from tests.migrator.transfer.scenes import LIMITS, Scene, assert_arrived, assert_balanced, body, life_like
from tests.migrator.transfer.test_interrupt import KINDS

BERT = Grant(Grantee.USER, "bert", "lrs")
CARL = Grant(Grantee.USER, "carl", "lrswipkxtea")
STAFF = Grant(Grantee.GROUP, "staff", "lr")
ALL = Grant(Grantee.ANYONE, "", "lr")
NOT_CARL = Grant(Grantee.USER, "carl", "r", is_denial=True)
SAME = CopyPolicy(name_of=str)


def shared(**target: object) -> Scene:
    """An account whose INBOX and archive are open to others."""
    scene = life_like()
    scene.source = with_acl(scene.source)
    scene.source["INBOX"].grants = [BERT]
    scene.source["Archive/1999"].grants = [CARL, STAFF]
    scene.target = MemoryMailbox(**{"separator": ".", "acl": True, **target})
    return scene


def with_acl(mailbox: MemoryMailbox) -> MemoryMailbox:
    fresh = MemoryMailbox(acl=True)
    for folder in mailbox:
        for message in folder.messages.values():
            fresh.deliver(
                folder.path.display, message.body, message.flags, internal_date=message.internal_date,
                zone_minutes=message.zone_minutes,
            )  # fmt: skip
    return fresh


def lost(scene: Scene) -> list[tuple[str, str, str]]:
    return [(event.folder, event.who, event.rights) for event in scene.sink.of(GrantLost)]


@pytest.mark.req("S-51")
def test_folders_are_opened_to_whom_they_were_open() -> None:
    scene = shared()
    assert_balanced(scene.copy(policy=SAME), scene)
    assert_arrived(scene)
    assert scene.target["INBOX"].grants == [BERT]
    assert scene.target["Archive.1999"].grants == [CARL, STAFF]
    assert scene.target["Sent"].grants == []
    assert lost(scene) == []


@pytest.mark.req("S-51")
def test_others_have_the_names_of_the_target_and_nobody_gets_what_was_anothers() -> None:
    scene = shared()
    scene.copy(policy=CopyPolicy(name_of={"bert": "bert@new.example"}.get))
    assert scene.target["INBOX"].grants == [BERT._replace(name="bert@new.example")]
    assert scene.target["Archive.1999"].grants == [STAFF]
    assert lost(scene) == [("Archive/1999", "user carl", "lrswipkxtea")]


@pytest.mark.req("S-51")
def test_what_the_target_does_not_set_is_told() -> None:
    scene = shared(strangers=["carl"])
    assert_balanced(scene.copy(policy=SAME), scene)
    assert scene.target["Archive.1999"].grants == [STAFF]
    assert lost(scene) == [("Archive/1999", "user carl", "lrswipkxtea")]
    poor = shared(acl=False)
    assert_balanced(poor.copy(policy=SAME), poor)
    assert sorted(lost(poor)) == [
        ("Archive/1999", "group staff", "lr"),
        ("Archive/1999", "user carl", "lrswipkxtea"),
        ("INBOX", "user bert", "lrs"),
    ]


def test_who_is_kept_out_at_the_source_is_not_let_in_by_a_denial_that_fails() -> None:
    for scene, policy in (
        (shared(strangers=["carl"]), SAME),
        (shared(), CopyPolicy(name_of={"bert": "bert"}.get)),
    ):
        scene.source["INBOX"].grants = [ALL, NOT_CARL, BERT]
        scene.copy(policy=policy)
        assert scene.target["INBOX"].grants == []
        assert len([one for one in lost(scene) if one[0] == "INBOX"]) == 3


def test_a_source_without_access_lists_or_a_copy_without_names_asks_nothing() -> None:
    for scene, policy in ((life_like(), SAME), (shared(), CopyPolicy())):
        plan = FaultPlan()
        scene.copy(plan, policy=policy)
        assert "source.grants" not in plan.calls
        assert lost(scene) == []


def test_a_later_pass_leaves_the_grants_of_the_target_alone_but_opens_new_folders() -> None:
    scene = shared()
    scene.copy(policy=SAME)
    scene.target["INBOX"].grants = []
    scene.source["INBOX"].grants = [BERT, CARL]
    scene.source.deliver("INBOX", body("late"))
    scene.source.deliver("New", body("new"))
    scene.source["New"].grants = [STAFF]
    plan = FaultPlan()
    scene.copy(plan, policy=SAME)
    assert scene.target["INBOX"].grants == []
    assert scene.target["New"].grants == [STAFF]
    plan = FaultPlan()
    scene.copy(plan, policy=SAME)
    assert "source.grants" not in plan.calls


def test_a_catch_up_opens_no_folder_that_people_work_in() -> None:
    scene = shared()
    scene.target.add_folder("Archive.1999")
    scene.copy(policy=CopyPolicy(mode=Mode.CATCH_UP, name_of=str))
    assert scene.target["INBOX"].grants == scene.target["Archive.1999"].grants == []


def test_an_empty_folder_that_is_there_already_is_opened_too() -> None:
    scene = Scene(MemoryMailbox(acl=True), MemoryMailbox(separator=".", acl=True))
    scene.source["INBOX"].grants = [BERT]
    scene.copy(policy=SAME)
    assert scene.target["INBOX"].grants == [BERT]
    plan = FaultPlan()
    scene.copy(plan, policy=SAME)
    assert "source.grants" not in plan.calls


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_grants_are_given_however_the_copy_is_interrupted(kind: str) -> None:
    clean = FaultPlan()
    shared().copy(clean, policy=SAME)
    for at in range(len(clean.calls)):
        scene = shared()
        with contextlib.suppress(Killed):
            scene.copy(FaultPlan(at=at, kind=kind), policy=SAME)
        assert_balanced(scene.copy(policy=SAME), scene)
        assert scene.target["INBOX"].grants == [BERT], at
        assert scene.target["Archive.1999"].grants == [CARL, STAFF], at
        assert lost(scene) == []


class Touchy(MemorySource):
    """A server that hangs up when it is asked for access lists."""

    def grants(self, paths):
        self._exchange("grants", list)
        self.drop()
        raise MigratorError("line.lost", side=Side.SOURCE)


def test_a_source_that_hangs_up_when_asked_loses_no_mail_by_it() -> None:
    scene = shared()
    result = scene.copy(policy=SAME, source=Touchy(scene.source, None, LIMITS))
    assert_balanced(result, scene)
    assert_arrived(scene)
    assert sorted(lost(scene)) == [("Archive/1999", "", ""), ("INBOX", "", ""), ("Sent", "", "")]


@pytest.mark.parametrize("side", [MemorySource, MemoryTarget])
def test_the_stores_in_memory_are_asked_as_the_others_are(side) -> None:
    mailbox = MemoryMailbox(acl=True)
    assert side(mailbox).features.acl is True


def test_an_operators_list_outranks_what_the_accounts_tell_and_renames_groups() -> None:
    scene = shared()
    scene.source["Archive/1999"].grants = [BERT, CARL, STAFF, ALL]
    grantees = GranteeMap({
        (Grantee.USER, "carl"): (Grantee.USER, "c.carlson"), (Grantee.GROUP, "staff"): (Grantee.GROUP, "team"),
        (Grantee.ANYONE, ""): None,
    })  # fmt: skip
    assert_balanced(scene.copy(policy=CopyPolicy(name_of=str, grantees=grantees)), scene)
    assert scene.target["Archive.1999"].grants == [
        BERT, CARL._replace(name="c.carlson"), STAFF._replace(name="team")
    ]  # fmt: skip
    assert lost(scene) == [("Archive/1999", "anyone", "lr")]


def test_two_identifiers_that_become_one_keep_what_both_had() -> None:
    scene = shared()
    scene.source["INBOX"].grants = [BERT, CARL._replace(rights="lp")]
    grantees = GranteeMap({(Grantee.USER, "carl"): (Grantee.USER, "bert")})
    scene.copy(policy=CopyPolicy(name_of=str, grantees=grantees))
    assert scene.target["INBOX"].grants == [BERT._replace(rights="lrsp")]


def test_a_denial_whose_identifier_is_left_out_closes_the_folder() -> None:
    scene = shared()
    scene.source["INBOX"].grants = [ALL, NOT_CARL]
    grantees = GranteeMap({(Grantee.USER, "carl"): None})
    scene.copy(policy=CopyPolicy(name_of=str, grantees=grantees))
    assert scene.target["INBOX"].grants == []
    assert {who for folder, who, _ in lost(scene) if folder == "INBOX"} == {"anyone", "user carl"}
