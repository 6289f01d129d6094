from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from migrator.errors import MigratorError, Radius, Side
from migrator.events import (
    CountsDiffer,
    FlagsLost,
    FlagsRenamed,
    FolderLeftOut,
    MessageAltered,
    MessageLeftBehind,
    OrderMixed,
    PassPlanned,
    Progress,
)
from migrator.mail import Folder, FolderPath, Message, MessageMeta, NewFolder, Outcome
from migrator.stores.base import ReadRequest, ScanRequest, Trouble
from migrator.testing import FakeClock, FaultPlan, MemoryMailbox, MemorySource, MemoryTarget
from migrator.transfer.copy import run_pass
from migrator.transfer.plan import CopyPolicy, MessageFilter, Mode
from tests.migrator.transfer.scenes import (
    LIMITS,
    Scene,
    arrivals,
    assert_arrived,
    assert_balanced,
    assert_same_order,
    body,
    life_like,
)

CATCH_UP = CopyPolicy(mode=Mode.CATCH_UP)


@pytest.mark.req("S-50", "D-60", "D-84", "D-80", "D-53", "C-41", "D-56")
def test_a_first_copy_brings_every_message_with_flags_dates_and_order() -> None:
    scene = life_like()
    result = scene.copy()
    assert_balanced(result, scene)
    assert_arrived(scene)
    assert_same_order(scene)
    assert result.totals == {Outcome.COPIED: 13, Outcome.EMPTY: 1, Outcome.MARKED_DELETED: 1}
    big = next(m for m in scene.target["Archive.1999"].messages.values() if len(m.body) > 4000)
    assert (big.internal_date, big.zone_minutes) == (930_000_000, 120)
    flags = [m.flags for m in scene.target["INBOX"].messages.values()]
    assert flags[1] == {"\\Seen"}
    assert flags[7] == {"\\Flagged", "work"}


@pytest.mark.req("S-50")
def test_a_second_pass_copies_nothing_and_looks_at_no_message() -> None:
    scene = life_like()
    scene.copy()
    before = scene.target.contents()
    plan = FaultPlan()
    result = scene.copy(plan)
    assert_balanced(result, scene)
    assert (result.appended, result.flag_changes) == (0, 0)
    assert scene.target.contents() == before
    assert [call for call in plan.calls if not call.startswith("ledger.")] == [
        "source.connect",
        "source.folders",
        "target.connect",
        "target.folders",
    ]


@pytest.mark.req("D-17", "D-18")
def test_a_mere_name_on_the_target_becomes_a_folder() -> None:
    scene = life_like()
    scene.target.add_folder("Archive.1999", selectable=False)
    result = scene.copy()
    assert_balanced(result, scene)
    assert_arrived(scene)


@pytest.mark.req("D-107")
@pytest.mark.parametrize("our_time", [0.0, 4_000_000_000.0])
def test_clocks_that_differ_change_nothing(our_time: float) -> None:
    scene = life_like()
    scene.clock = FakeClock(our_time)
    scene.source.deliver("INBOX", body("from a server that is ahead"), internal_date=3_000_000_000)
    scene.source.deliver("INBOX", body("from a server that is behind"), internal_date=1)
    scene.copy()
    scene.source.deliver("INBOX", body("late, and older than what was there"), internal_date=2)
    scene.source.deliver("INBOX", body("late, and younger"), internal_date=4_100_000_000)
    result = scene.copy(policy=CATCH_UP)
    assert_balanced(result, scene)
    assert_arrived(scene)
    dates = [message.internal_date for message in scene.target["INBOX"].messages.values()]
    assert dates[-4:] == [3_000_000_000, 1, 2, 4_100_000_000]


@pytest.mark.req("S-47")
def test_progress_adds_up_to_the_plan() -> None:
    scene = life_like()
    scene.copy()
    planned = scene.sink.of(PassPlanned)[0]
    done = scene.sink.of(Progress)
    left = scene.sink.of(MessageLeftBehind)
    assert planned.messages == 15
    assert sum(event.messages for event in done) == 13
    assert [event.outcome for event in left] == [Outcome.EMPTY]  # what the plan leaves behind no server refused


@pytest.mark.req("D-40", "D-108")
def test_later_passes_bring_what_arrived_and_follow_flags() -> None:
    scene = life_like()
    scene.copy()
    scene.source.deliver("INBOX", body("late"))
    scene.source["INBOX"].set_flags(1, frozenset({"\\Seen", "\\Answered"}))
    scene.source.deliver("New/Folder", body("in a new folder"))
    result = scene.copy()
    assert_balanced(result, scene)
    assert (result.appended, result.flag_changes) == (2, 1)
    assert scene.target["INBOX"].messages[1].flags == {"\\Seen", "\\Answered"}
    assert_arrived(scene)


@pytest.mark.req("D-33")
def test_without_condstore_flags_are_compared() -> None:
    scene = life_like()
    scene.source.features = MemoryMailbox(condstore=False).features
    scene.copy()
    scene.source["INBOX"].set_flags(2, frozenset({"\\Draft"}))
    result = scene.copy()
    assert_balanced(result, scene)
    assert (result.appended, result.flag_changes) == (0, 1)
    assert scene.target["INBOX"].messages[2].flags == {"\\Draft"}
    assert scene.copy().flag_changes == 0


def test_a_filter_leaves_messages_behind_that_a_later_pass_without_it_brings() -> None:
    scene = life_like()
    policy = CopyPolicy(wanted=MessageFilter(since=850_000_000, biggest_bytes=4000))
    result = scene.copy(policy=policy)
    assert_balanced(result, scene)
    assert result.totals[Outcome.FILTERED] == 8  # seven old letters, and a big one
    assert scene.copy(policy=policy).appended == 0
    later = scene.copy()
    assert_balanced(later, scene)
    assert (later.appended, later.totals.get(Outcome.FILTERED)) == (8, None)
    assert_arrived(scene)


@pytest.mark.req("D-34")
def test_a_flag_that_condstore_missed_is_found_by_one_comparison_of_all() -> None:
    scene = life_like()
    scene.copy()
    scene.source["INBOX"].messages[1].flags = frozenset({"\\Answered"})  # and no modseq moved
    assert scene.copy().flag_changes == 0
    result = scene.copy(policy=CopyPolicy(compare_all_flags=True))
    assert_balanced(result, scene)
    assert (result.appended, result.flag_changes) == (0, 1)
    assert scene.target["INBOX"].messages[1].flags == {"\\Answered"}
    assert scene.copy(policy=CopyPolicy(compare_all_flags=True)).flag_changes == 0


@pytest.mark.req("D-81")
def test_a_draft_without_a_sender_is_a_message_like_any_other() -> None:
    scene = Scene()
    draft = b"Subject: not finished\r\n\r\nDear\r\n"
    scene.source.deliver("Drafts", draft, ["\\Draft"])
    scene.source.deliver("Drafts", body("was sent"), ["\\Seen"])
    assert_balanced(scene.copy(), scene)
    assert [(m.body, m.flags) for m in scene.target["Drafts"].messages.values()] == [
        (draft, {"\\Draft"}),
        (body("was sent"), {"\\Seen"}),
    ]


def test_removals_at_the_source_keep_the_sum_right() -> None:
    scene = life_like()
    scene.copy()
    scene.source["INBOX"].expunge(3)
    scene.source.deliver("INBOX", body("late"))
    result = scene.copy()
    assert_balanced(result, scene)
    assert result.removed == 1
    assert result.appended == 1
    again = scene.copy()
    assert_balanced(again, scene)
    assert again.appended == 0


@pytest.mark.req("D-82")
def test_a_catch_up_only_adds() -> None:
    scene = life_like()
    scene.copy()
    scene.target["INBOX"].set_flags(2, frozenset({"\\Answered"}))
    scene.target["INBOX"].expunge(1)
    scene.source["INBOX"].set_flags(2, frozenset())
    scene.source.deliver("INBOX", body("late"))
    result = scene.copy(policy=CATCH_UP)
    assert_balanced(result, scene)
    assert result.appended == 1
    assert scene.target["INBOX"].messages[2].flags == {"\\Answered"}
    assert 1 not in scene.target["INBOX"].messages


def test_a_catch_up_does_not_bring_back_a_folder_its_owner_removed() -> None:
    scene = life_like()
    scene.copy()
    scene.target.remove_folder("Archive.1999")
    result = scene.copy(policy=CATCH_UP)
    assert result.appended == 0


def test_mail_that_the_target_holds_already_is_counted_not_doubled() -> None:
    scene = life_like()
    scene.target.deliver("INBOX", body("letter 2"), internal_date=1)
    scene.target.deliver("INBOX", body("the same again"), internal_date=2)
    scene.target.deliver("INBOX", body("new at the target"), internal_date=3)
    result = scene.copy()
    assert_balanced(result, scene)
    assert result.totals[Outcome.ALREADY_THERE] == 2
    assert_arrived(scene, extra=Counter([body("new at the target")]))
    assert scene.copy().appended == 0


def test_copies_with_another_tools_mark_are_recognised() -> None:
    scene = life_like()
    for number in range(4):
        marked = body(f"letter {number}").replace(b"\r\n\r\n", b"\r\nX-TUID: abcdefghijkl\r\n\r\n", 1)
        scene.target.deliver("INBOX", marked, internal_date=5)
    big = body("big", 5000).replace(b"\r\n\r\n", b"\r\nX-TUID: abcdefghijkl\r\n\r\n", 1)
    scene.target.deliver("Archive.1999", big)
    result = scene.copy()
    assert_balanced(result, scene)
    assert result.totals[Outcome.ALREADY_THERE] == 5
    assert len(scene.target["INBOX"].messages) == len(scene.source["INBOX"].messages)
    assert len(scene.target["Archive.1999"].messages) == 2


def test_a_message_that_reached_both_sides_is_recognised_when_it_comes_late() -> None:
    scene = life_like()
    scene.copy()
    scene.target.deliver("INBOX", body("to both"))
    scene.source.deliver("INBOX", body("another"))
    scene.copy()
    scene.source.deliver("INBOX", body("to both"))
    result = scene.copy()
    assert_balanced(result, scene)
    assert result.appended == 0
    assert arrivals(scene.target, "INBOX")[body("to both")] == 1


@pytest.mark.req("D-31")
def test_a_renumbered_source_folder_is_matched_by_content() -> None:
    scene = life_like()
    scene.copy()
    before = scene.target.contents()
    scene.source["INBOX"].renumber()
    result = scene.copy()
    assert_balanced(result, scene)
    assert result.appended == 0
    assert scene.target.contents() == before


@pytest.mark.req("D-31")
def test_a_renumbered_target_folder_is_matched_by_content() -> None:
    scene = life_like()
    scene.copy()
    scene.target["INBOX"].renumber()
    scene.target["Archive.1999"].renumber()
    before = scene.target.contents()
    result = scene.copy()
    assert_balanced(result, scene)
    assert result.appended == 0
    assert scene.target.contents() == before
    scene.source["INBOX"].set_flags(2, frozenset({"\\Draft"}))
    assert scene.copy().flag_changes == 1


def test_a_removed_target_folder_is_filled_again_while_staging() -> None:
    scene = life_like()
    scene.copy()
    scene.target.remove_folder("Archive.1999")
    result = scene.copy()
    assert_balanced(result, scene)
    assert_arrived(scene)


@pytest.mark.req("D-28")
def test_equal_uidvalidity_in_all_folders_confuses_nothing() -> None:
    scene = life_like()
    for folder in scene.source:
        folder.uidvalidity = 7
    assert_balanced(scene.copy(), scene)
    assert_arrived(scene)
    assert scene.copy().appended == 0
    # Where one folder is gone and another is new, the numbering does not tell whether it is the same.
    kept = arrivals(scene.target, "Sent")
    scene.source.remove_folder("Sent")
    scene.source.deliver("New", body("of another matter"))
    scene.source["New"].uidvalidity = 7
    assert_balanced(scene.copy(), scene)
    assert arrivals(scene.target, "Sent") == kept
    assert arrivals(scene.target, "New") == Counter([body("of another matter")])


@pytest.mark.req("D-63", "D-64")
def test_a_target_that_tells_no_uids_is_looked_at_afterwards() -> None:
    scene = life_like()
    scene.target = MemoryMailbox(separator=".", uidplus=False)
    result = scene.copy()
    assert_balanced(result, scene)
    assert_arrived(scene)
    scene.source["INBOX"].set_flags(4, frozenset({"\\Draft"}))
    again = scene.copy()
    assert (again.appended, again.flag_changes) == (0, 1)
    assert scene.target["INBOX"].messages[4].flags == {"\\Draft"}


def test_a_target_that_rewrites_line_ends_is_matched_by_canonical_form() -> None:
    scene = life_like()
    scene.target = MemoryMailbox(separator=".", canonicalise=True)
    scene.source.deliver("INBOX", b"Subject: x\n\nnul \0 and no end")
    scene.copy()
    scene.ledger.__init__()  # type: ignore[misc]  # the ledger is lost, the mail is there
    result = scene.copy()
    assert_balanced(result, scene)
    assert result.appended == 0


def refusal_of(text: bytes, code: str = "message.refused") -> MemoryMailbox:
    def refuse(message: Message, content: bytes) -> MigratorError | None:
        return MigratorError(code, reply="no", side=Side.TARGET) if text in content else None

    return MemoryMailbox(separator=".", refuse=refuse)


@pytest.mark.req("D-65", "C-38", "C-40")
def test_a_refused_bundle_is_halved_down_to_the_one_bad_message() -> None:
    scene = life_like()
    scene.target = refusal_of(b"letter 4")
    result = scene.copy()
    assert result.is_balanced
    assert result.totals[Outcome.REFUSED] == 1
    assert arrivals(scene.target, "INBOX") == arrivals(scene.source, "INBOX") - Counter([body("letter 4")])
    assert [(row.uid, row.code, row.reply) for row in scene.ledger.left_behind() if row.code] == [
        (5, "message.refused", "no")
    ]
    again = scene.copy()
    assert again.is_balanced
    assert again.appended == 0
    scene.target.refuse = None
    retried = scene.copy(policy=CopyPolicy(retry_left_behind=True))
    assert retried.appended == 1
    assert Outcome.REFUSED not in retried.totals
    assert_arrived(scene)


@pytest.mark.req("C-34")
def test_messages_over_the_append_limit_are_left_behind_by_name() -> None:
    scene = life_like()
    scene.target = MemoryMailbox(separator=".", append_limit_bytes=3000)
    result = scene.copy()
    assert result.is_balanced
    assert result.totals[Outcome.TOO_BIG] == 1


@pytest.mark.req("D-45")
def test_the_length_of_the_literal_decides_not_the_size_the_server_tells() -> None:
    scene = life_like()
    scene.target = MemoryMailbox(separator=".", append_limit_bytes=3000)

    class Liar(MemorySource):
        def scan(self, requests):  # type: ignore[no-untyped-def]
            return (
                item if isinstance(item, Trouble) else item._replace(size_bytes=10) for item in super().scan(requests)
            )

    result = scene.copy(source=Liar(scene.source, None, LIMITS))
    assert result.is_balanced
    assert result.totals[Outcome.TOO_BIG] == 1


@pytest.mark.req("C-43")
def test_a_message_refused_for_its_labels_goes_without_them() -> None:
    scene = life_like()

    def refuse(message: Message, content: bytes) -> MigratorError | None:
        return MigratorError("flags.refused", side=Side.TARGET) if "work" in message.flags else None

    scene.target = MemoryMailbox(separator=".", refuse=refuse)
    result = scene.copy()
    assert_balanced(result, scene)
    assert_arrived(scene)
    assert [event.what for event in scene.sink.of(MessageAltered)] == ["flags"] * 3


@pytest.mark.req("C-42", "D-83")
def test_a_message_refused_for_its_date_gets_the_nearest_the_server_takes() -> None:
    scene = life_like()
    scene.source.deliver("INBOX", body("from the sixties"), internal_date=-86400)

    def refuse(message: Message, content: bytes) -> MigratorError | None:
        early = message.internal_date is not None and message.internal_date < 0
        return MigratorError("message.bad_date", side=Side.TARGET) if early else None

    scene.target = MemoryMailbox(separator=".", refuse=refuse)
    result = scene.copy()
    assert_balanced(result, scene)
    assert [m.internal_date for m in scene.target["INBOX"].messages.values()][-1] == 0


@pytest.mark.req("D-77")
def test_labels_the_target_does_not_keep_are_dropped_and_counted() -> None:
    scene = life_like()
    scene.target = MemoryMailbox(separator=".", permanent_flags=frozenset({"\\Seen", "\\Flagged", "\\Deleted"}))
    result = scene.copy()
    assert_balanced(result, scene)
    assert [(event.flag, event.messages) for event in scene.sink.of(FlagsLost)] == [("work", 3)]
    assert scene.copy().flag_changes == 0


@pytest.mark.req("D-78")
def test_broken_flags_get_their_usual_spelling_and_the_rest_of_them_is_dropped_and_both_are_told() -> None:
    scene = Scene()
    scene.target = MemoryMailbox(separator=".")  # any keyword, and the system flags of IMAP
    broken = ["\\FORWARDED", "\\Indexed", "\\ATTACHED", "\\Seen", "NonJunk", "$MDNSent"]
    scene.source.deliver("INBOX", body("one"), broken)
    scene.source.deliver("INBOX", body("two"), ["\\Junk"])
    result = scene.copy()
    assert_balanced(result, scene)
    flags = [set(m.flags) for m in scene.target["INBOX"].messages.values()]
    assert flags == [{"$Forwarded", "\\Seen", "NonJunk", "$MDNSent"}, {"$Junk"}]
    renamed = [(event.flag, event.target, event.messages) for event in scene.sink.of(FlagsRenamed)]
    assert renamed == [("\\FORWARDED", "$Forwarded", 1), ("\\Junk", "$Junk", 1)]
    assert {event.flag for event in scene.sink.of(FlagsLost)} == {"\\Indexed", "\\ATTACHED"}
    assert scene.copy().flag_changes == 0


@pytest.mark.req("D-79")
@pytest.mark.parametrize("uidplus", [True, False])
def test_a_target_that_forgets_the_star_given_with_the_message_is_told_again(uidplus: bool) -> None:
    scene = life_like()
    scene.target = MemoryMailbox(separator=".", uidplus=uidplus)
    scene.target.features = replace(scene.target.features, loses_flagged_on_append=True)

    class Forgetful(MemoryTarget):
        def _keep(self, folder, message, content):  # type: ignore[no-untyped-def]
            return super()._keep(folder, replace(message, flags=message.flags - {"\\Flagged"}), content)

    result = scene.copy(target=Forgetful(scene.target, None, LIMITS))
    assert_balanced(result, scene)
    starred = [m.flags for m in scene.target["INBOX"].messages.values() if "\\Flagged" in m.flags]
    assert starred == [{"\\Flagged", "work"}] * 3
    assert scene.copy().flag_changes == 0


@pytest.mark.req("C-32")
def test_a_full_target_stops_the_account_and_goes_on_when_there_is_room() -> None:
    scene = life_like()
    scene.target = MemoryMailbox(separator=".", quota_bytes=600)
    result = scene.copy()
    assert result.error is not None
    assert result.error.code == "target.full"
    assert not result.is_balanced
    held = scene.target.size_bytes
    assert held > 0
    scene.target.quota_bytes = None
    assert_balanced(scene.copy(), scene)
    assert_arrived(scene)


@pytest.mark.req("D-39", "C-45")
def test_messages_removed_while_being_copied_are_counted_as_vanished() -> None:
    scene = life_like()
    clean = FaultPlan()
    life_like().copy(clean)
    first_read = clean.calls.index("source.read")
    plan = FaultPlan(at=first_read, act=lambda: [scene.source["INBOX"].expunge(uid) for uid in (5, 6)])
    result = scene.copy(plan)
    assert result.is_balanced
    assert result.totals[Outcome.VANISHED] == 2
    again = scene.copy()
    assert_balanced(again, scene)
    assert again.removed == 2


class Choosy(MemoryTarget):
    """A target that refuses dots in names, and tells only when a folder is created."""

    def ensure_folders(self, folders: Sequence[NewFolder]) -> list[Folder | Trouble]:
        wanted = [folder for folder in folders if "." not in folder.path.display]
        done = dict(zip((folder.path.raw for folder in wanted), super().ensure_folders(wanted), strict=True))
        refusal = MigratorError("folder.bad_name", side=Side.TARGET, reply="[CANNOT] Invalid mailbox name")
        return [done.get(folder.path.raw, Trouble(folder.path, refusal)) for folder in folders]


@pytest.mark.req("C-51", "D-13")
def test_a_folder_whose_name_is_refused_gets_one_that_all_servers_take() -> None:
    scene = life_like()
    scene.target = MemoryMailbox(separator="/")
    scene.source.deliver("v1.2", body("release"))
    scene.source.deliver("a!b", body("stays as it is"))
    for _ in range(2):
        result = scene.copy(target=Choosy(scene.target, None, LIMITS))
        assert_balanced(result, scene)
    assert {folder.path.display for folder in scene.target} == {"INBOX", "Archive/1999", "Sent", "v1_2", "a!b"}
    assert len(scene.target["v1_2"].messages) == 1


class Poisonous(MemorySource):
    """A source that dies whenever it hands out one message."""

    poison = 4
    reads = 0

    def read(self, requests: Sequence[ReadRequest]) -> Iterator[Message | Trouble]:
        for item in super().read(requests):
            if isinstance(item, Message) and item.path.is_inbox and item.uid == self.poison:
                type(self).reads += 1
                self.drop()
                raise MigratorError("line.lost", side=Side.SOURCE)
            yield item


@pytest.mark.req("C-46", "D-51")
def test_a_message_that_kills_the_line_is_isolated_and_the_others_arrive() -> None:
    scene = life_like()
    Poisonous.reads = 0
    result = scene.copy(source=Poisonous(scene.source, None, LIMITS))
    assert result.error is None
    assert result.is_balanced
    assert result.totals[Outcome.UNREADABLE] == 1
    assert Poisonous.reads == 3
    assert arrivals(scene.target, "INBOX") == arrivals(scene.source, "INBOX") - Counter([body("letter 3")])


class Withholding(MemorySource):
    """A source that lists a message and never hands it out."""

    def read(self, requests: Sequence[ReadRequest]) -> Iterator[Message | Trouble]:
        for item in super().read(requests):
            if isinstance(item, Trouble) or item.uid != 2 or not item.path.is_inbox:
                yield item


@pytest.mark.req("C-44")
def test_a_message_the_source_does_not_hand_out_is_unreadable_not_forgotten() -> None:
    scene = life_like()
    result = scene.copy(source=Withholding(scene.source, None, LIMITS))
    assert result.is_balanced
    assert result.totals[Outcome.UNREADABLE] == 1


class SilentOnEmpty(MemorySource):
    """A source that answers the request for an empty message with nothing at all."""

    def read(self, requests: Sequence[ReadRequest]) -> Iterator[Message | Trouble]:
        return (item for item in super().read(requests) if isinstance(item, Trouble) or item.size_bytes)


@pytest.mark.req("D-53")
def test_an_empty_message_is_named_empty_even_when_the_source_hands_out_nothing() -> None:
    scene = life_like()
    result = scene.copy(source=SilentOnEmpty(scene.source, None, LIMITS))
    assert_balanced(result, scene)
    assert result.totals[Outcome.EMPTY] == 1


class Repeating(MemorySource):
    """A source that hands out every message twice, and one nobody asked for."""

    def read(self, requests: Sequence[ReadRequest]) -> Iterator[Message | Trouble]:
        for item in super().read(requests):
            yield item
            if isinstance(item, Message) and len(item.whole or b"") < 500:
                content = scene_body(self.mailbox, item)
                yield Message(item.path, item.uid, len(content), whole=content)
                yield Message(item.path, 4_000_000, 5, whole=b"alien")


def scene_body(mailbox: MemoryMailbox, message: Message) -> bytes:
    folder = mailbox.find(message.path)
    assert folder is not None
    return folder.messages[message.uid].body


@pytest.mark.req("D-38")
def test_a_source_that_repeats_itself_doubles_nothing() -> None:
    scene = life_like()
    result = scene.copy(source=Repeating(scene.source, None, LIMITS))
    assert_balanced(result, scene)
    assert_arrived(scene)


@pytest.mark.req("C-19")
def test_a_lost_line_is_taken_up_again() -> None:
    scene = life_like()
    clean = FaultPlan()
    life_like().copy(clean)
    plan = FaultPlan(at={clean.calls.index("target.store") + 3}, kind="lost_answer")
    result = scene.copy(plan)
    assert_balanced(result, scene)
    assert_arrived(scene)
    assert plan.fired


def test_a_line_that_drops_again_and_again_ends_the_pass_with_its_error() -> None:
    scene = life_like()
    plan = FaultPlan(at=range(2, 100_000), kind="line")
    result = scene.copy(plan)
    assert result.error is not None
    assert result.error.code == "line.lost"
    assert not result.is_balanced
    assert scene.clock.waits == [1.0, 5.0, 5.0]


def test_a_dry_run_changes_nothing_and_tells_what_would_move() -> None:
    scene = life_like()
    before = scene.target.contents()
    result = scene.copy(policy=CopyPolicy(dry_run=True))
    assert scene.target.contents() == before
    assert scene.ledger.states() == []
    assert sum(folder.pending for folder in result.folders) == 14
    assert not result.is_complete


def test_what_is_written_down_in_several_parts_adds_up_in_a_dry_run_and_in_a_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    policy = CopyPolicy(wanted=MessageFilter(since=850_000_000, biggest_bytes=4000))
    whole, planned = life_like().copy(policy=policy), life_like().copy(policy=replace(policy, dry_run=True))
    for module in ("copy", "folder_pass"):
        monkeypatch.setattr(f"migrator.transfer.{module}.COMMIT_RECORDS", 2)
    scene = life_like()
    assert scene.copy(policy=replace(policy, dry_run=True)).folders == planned.folders
    assert planned.totals[Outcome.FILTERED] == whole.totals[Outcome.FILTERED] == 8
    result = scene.copy(policy=policy)
    assert_balanced(result, scene)
    assert (result.totals, result.appended) == (whole.totals, whole.appended)
    assert (scene.copy(policy=policy).totals, scene.copy().appended) == (whole.totals, 8)


def test_a_message_that_was_found_is_nobody_elses_place_where_uids_are_not_told() -> None:
    scene = Scene(target=MemoryMailbox(separator=".", uidplus=False))
    for _ in range(3):
        scene.source.deliver("INBOX", body("the same"))
    scene.target.deliver("INBOX", body("the same"))
    result = scene.copy()
    assert_balanced(result, scene)
    assert result.totals == {Outcome.COPIED: 2, Outcome.ALREADY_THERE: 1}
    records = [record for leaf in scene.ledger.leaves(b"INBOX") for record in leaf.records()]
    places = {record.uid: record.target_uid for record in records}
    assert sorted(places.values()) == [1, 2, 3]
    assert scene.copy().appended == 0


class StopAfter:
    """A stop signal that comes true after it was asked a number of times."""

    def __init__(self, times: int) -> None:
        self._left = times

    def is_set(self) -> bool:
        self._left -= 1
        return self._left < 0


@pytest.mark.parametrize("times", range(14))
def test_a_stopped_pass_goes_on_later(times: int) -> None:
    scene = life_like()
    result = run_pass(
        MemorySource(scene.source, None, LIMITS),
        MemoryTarget(scene.target, None, LIMITS),
        scene.ledger,
        limits=LIMITS,
        clock=scene.clock,
        stop=StopAfter(times),
    )
    assert result.is_stopped
    assert not result.is_complete
    assert_balanced(scene.copy(), scene)
    assert_arrived(scene)


@pytest.mark.req("D-36")
def test_a_folder_whose_count_and_list_disagree_is_copied_by_its_list() -> None:
    scene = life_like()
    scene.source["INBOX"].counted = 99
    result = scene.copy()
    assert result.is_balanced
    assert_arrived(scene)
    told = [(event.folder, event.counted, event.listed) for event in scene.sink.of(CountsDiffer)]
    assert told == [("INBOX", 99, 10)]


@pytest.mark.req("D-26")
def test_a_folder_that_is_left_out_is_named_with_its_messages() -> None:
    scene = life_like()
    scene.source.add_folder("All Mail", special_use="\\All")
    scene.source.deliver("All Mail", body("letter 1"))
    result = scene.copy()
    assert result.is_balanced
    assert [(folder.source.display, folder.reason, folder.messages) for folder in result.left_out] == [
        ("All Mail", "virtual", 1)
    ]
    assert [event.folder for event in scene.sink.of(FolderLeftOut)] == ["All Mail"]


@pytest.mark.req("D-8")
def test_a_folder_whose_name_cannot_be_spoken_keeps_the_account_from_being_done() -> None:
    scene = life_like()
    scene.source.add_folder(FolderPath(b"evil\r\na1 DELETE INBOX", "/"))
    result = scene.copy()
    assert result.error is None
    assert not result.is_complete
    assert [folder.error.code for folder in result.folders if folder.error] == ["folder.bad_name"]
    assert len(scene.target["INBOX"].messages) == 10
    assert "evil" not in str(scene.target.contents())


def test_one_folder_that_cannot_be_read_does_not_hold_up_the_others() -> None:
    scene = life_like()
    scene.source["Archive/1999"].uidvalidity = 5

    class Damaged(MemorySource):
        def scan(self, requests):  # type: ignore[no-untyped-def]
            yield from super().scan([r for r in requests if r.path.display != "Archive/1999"])
            for request in requests:
                if request.path.display == "Archive/1999":
                    yield Trouble(request.path, MigratorError("folder.damaged", side=Side.SOURCE))

    result = scene.copy(source=Damaged(scene.source, None, LIMITS))
    assert result.error is None
    assert not result.is_complete
    assert not result.is_balanced
    assert len(scene.target["INBOX"].messages) == 10
    assert_balanced(scene.copy(), scene)


@pytest.mark.req("D-65")
def test_what_a_refused_bundle_holds_goes_late_but_in_the_order_of_the_source() -> None:
    scene = life_like()
    scene.source.deliver("Long", b"")
    for number in range(40):
        scene.source.deliver("Long", body(f"page {number:02}"))
    scene.target = refusal_of(b"page 07")
    scene.copy()
    pages = [m.body.split(b"\r\n")[0][-2:] for m in scene.target["Long"].messages.values()]
    assert sorted(pages) == [b"%02d" % number for number in range(40) if number != 7]
    late = [page for page in pages if page in (b"06", b"08")]
    assert late == [b"06", b"08"]
    assert [page for page in pages if page not in late] == sorted(page for page in pages if page not in late)


def test_a_message_that_the_source_hid_from_an_earlier_pass_is_not_taken_for_copied() -> None:
    scene = life_like()
    inbox = scene.source["INBOX"]
    hidden = inbox.messages.pop(3)
    scene.copy()
    inbox.messages = dict(sorted({**inbox.messages, 3: hidden}.items()))
    result = scene.copy()
    assert_balanced(result, scene)
    assert result.appended == 1
    assert_arrived(scene)
    assert scene.copy().appended == 0


class Hiding(MemorySource):
    """A source whose replicas disagree: it lists a message, and for the rest of the pass does not have it."""

    def read(self, requests: Sequence[ReadRequest]) -> Iterator[Message | Trouble]:
        self.mailbox["INBOX"].messages.pop(2, None)
        return super().read(requests)


def test_a_vanished_message_that_shows_up_again_is_copied() -> None:
    scene = life_like()
    inbox = scene.source["INBOX"]
    hidden = inbox.messages[2]
    first = scene.copy(source=Hiding(scene.source, None, LIMITS))
    assert first.totals[Outcome.VANISHED] == 1
    inbox.messages = dict(sorted({**inbox.messages, 2: hidden}.items()))
    result = scene.copy()
    assert_balanced(result, scene)
    assert Outcome.VANISHED not in result.totals
    assert_arrived(scene)


class Counting(MemorySource):
    """A source that counts changes and refuses to list them."""

    def scan(self, requests: Sequence[ScanRequest]) -> Iterator[MessageMeta | Trouble]:
        if any(request.changed_since for request in requests):
            return iter([Trouble(request.path, MigratorError("unknown", radius=Radius.FOLDER)) for request in requests])
        return super().scan(requests)


@pytest.mark.req("D-33")
def test_where_the_server_refuses_to_list_changes_the_whole_list_is_taken() -> None:
    scene = life_like()
    scene.copy()
    scene.source.deliver("INBOX", body("late"))
    scene.source["INBOX"].set_flags(2, frozenset({"\\Draft"}))
    result = scene.copy(source=Counting(scene.source, None, LIMITS))
    assert_balanced(result, scene)
    assert (result.appended, result.flag_changes) == (1, 1)


class Refusing(MemoryTarget):
    """A target that knows another password."""

    sign_ins = 0

    def _connect(self) -> None:
        self.sign_ins += 1
        raise MigratorError("sign_in.refused", side=Side.TARGET)


@pytest.mark.req("C-1")
def test_a_wrong_password_is_tried_once_even_while_the_other_line_drops() -> None:
    scene = life_like()
    limits = replace(LIMITS, overlap=True)
    source = MemorySource(scene.source, FaultPlan(at=range(100), kind="line"), limits)
    target = Refusing(scene.target, None, limits)
    result = run_pass(source, target, scene.ledger, limits=limits, clock=scene.clock)
    assert result.error is not None
    assert result.error.code == "sign_in.refused"
    assert target.sign_ins == 1


def test_a_suspect_that_the_target_refuses_gets_its_outcome() -> None:
    scene = life_like()
    Flaky.deaths = 2
    scene.target.refuse = lambda message, text: MigratorError("message.refused") if b"letter 3" in text else None
    result = scene.copy(source=Flaky(scene.source, None, LIMITS))
    assert result.totals[Outcome.REFUSED] == 1
    assert_balanced(result, scene)


class Flaky(MemorySource):
    """A source whose line dies a few times at the same message."""

    deaths = 0

    def read(self, requests: Sequence[ReadRequest]) -> Iterator[Message | Trouble]:
        for item in super().read(requests):
            if isinstance(item, Message) and item.path.is_inbox and item.uid == 4 and Flaky.deaths:
                Flaky.deaths -= 1
                raise MigratorError("line.lost", side=Side.SOURCE)
            yield item


def test_who_stops_a_pass_does_not_wait_for_a_lost_line() -> None:
    scene = life_like()
    plan = FaultPlan(at=range(5, 100_000), kind="line")
    source, target = MemorySource(scene.source, plan, LIMITS), MemoryTarget(scene.target, plan, LIMITS)
    result = run_pass(source, target, scene.ledger, limits=LIMITS, clock=scene.clock, stop=StopAfter(0))
    assert result.is_stopped
    assert not result.is_complete
    assert scene.clock.waits == []


@pytest.mark.req("D-46")
def test_what_the_usual_way_does_not_bring_is_asked_for_otherwise_once() -> None:
    scene = life_like()
    mute, dead = 3, 5
    asked: list[int] = []

    class Mute(MemorySource):
        def read(self, requests):  # type: ignore[no-untyped-def]
            for request in requests:
                wanted = [uid for uid in request.uids if uid not in (mute, dead) or request.path.raw != b"INBOX"]
                if request.otherwise:
                    asked.extend(request.uids)
                    wanted = [uid for uid in request.uids if uid != dead]
                yield from super().read([request._replace(uids=wanted)])

        @property
        def features(self):  # type: ignore[no-untyped-def]
            return replace(super().features, reads_otherwise=True)

    result = scene.copy(source=Mute(scene.source, None, LIMITS))
    assert result.is_balanced
    assert result.totals == {Outcome.COPIED: 12, Outcome.EMPTY: 1, Outcome.UNREADABLE: 1, Outcome.MARKED_DELETED: 1}
    assert sorted(asked) == [mute, dead]


def test_mail_that_came_before_the_old_mail_is_told_once_and_stands_before_it() -> None:
    scene = life_like()
    scene.target.deliver("INBOX", body("new already"))
    scene.target.deliver("Sent", body("to you"))  # the same as in the source: not out of order
    scene.copy()
    assert scene.sink.of(OrderMixed) == [OrderMixed(folder="INBOX", messages=1)]
    assert next(iter(scene.target["INBOX"].messages.values())).body == body("new already")
    scene.source.deliver("INBOX", body("late"))
    scene.target.deliver("INBOX", body("another"))
    scene.copy()
    assert len(scene.sink.of(OrderMixed)) == 1


def test_messages_marked_as_deleted_come_when_a_later_pass_is_asked_for_them_also_where_nothing_changed() -> None:
    scene = life_like()
    assert scene.copy().totals[Outcome.MARKED_DELETED] == 1
    result = scene.copy(policy=CopyPolicy(copy_deleted=True))
    assert_balanced(result, scene)
    assert (result.appended, result.totals.get(Outcome.MARKED_DELETED)) == (1, None)
    assert scene.copy(policy=CopyPolicy(copy_deleted=True)).appended == 0
