"""A survey of one account: what it foresees, and that it leaves both mailboxes as they were."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from migrator.errors import MigratorError, Side
from migrator.mail import FolderPath
from migrator.preflight.foreseen import AccountSurvey, Severity
from migrator.preflight.kin_sample import KinSample
from migrator.preflight.survey import survey_account
from migrator.testing import FaultPlan, MemoryMailbox, MemorySource, MemoryTarget
from migrator.testing.mailboxes import ANY_FLAG
from migrator.transfer.folders import FolderRules
from migrator.transfer.plan import CopyPolicy, MessageFilter

ANNA, BERT = "anna@old.example", "bert@new.example"


def letter(to: str, number: int, size: int = 0) -> bytes:
    return f"From: someone{number}@far.example\r\nTo: {to}\r\nSubject: {number}\r\n\r\n{'x' * size}\r\n".encode()


def survey(source: MemoryMailbox, target: MemoryMailbox, policy: CopyPolicy | None = None, **more) -> AccountSurvey:
    before = source.contents(), target.contents()
    found = survey_account(
        lambda: MemorySource(source, more.get("source_faults")),
        lambda: MemoryTarget(target, more.get("target_faults")),
        policy=policy or CopyPolicy(kin=frozenset(("anna",))),
    )
    assert (source.contents(), target.contents()) == before
    return found


def codes(found: AccountSurvey, severity: Severity | None = None) -> dict[str, int]:
    return {one.code: one.count for one in found.foreseen if severity in (None, one.severity)}


@pytest.fixture
def old() -> MemoryMailbox:
    mailbox = MemoryMailbox()
    for number in range(10):
        mailbox.deliver("INBOX", letter(ANNA, number), ("\\Seen",))
    mailbox.deliver("Work", letter(ANNA, 99, 5000))
    return mailbox


def test_an_account_that_has_nothing_odd_is_counted_and_nothing_is_foreseen(old) -> None:
    found = survey(old, MemoryMailbox())
    assert (found.folders, found.messages, found.size_bytes) == (2, 11, old.size_bytes)
    assert found.biggest_bytes > 5000
    assert (found.foreseen, found.worst, found.stops) == ((), None, False)
    assert found.sample.messages == 11


@pytest.mark.parametrize("side", list(Side))
def test_who_is_not_let_in_is_told_with_the_words_of_that_server(old, side) -> None:
    def refuse(name, effect, at=None):
        if name == f"{side}.connect":
            raise MigratorError("sign_in.refused", side=side, reply="[AUTHENTICATIONFAILED] no")
        return effect()

    faults = FaultPlan()
    faults.run = refuse
    found = survey(old, MemoryMailbox(), source_faults=faults, target_faults=faults)
    (one,) = found.foreseen
    assert (one.code, one.side, one.severity) == ("sign_in.refused", side, Severity.STOPS)
    assert one.reply == "[AUTHENTICATIONFAILED] no"
    assert not one.passes_by_itself


def test_both_sides_are_told_of_at_once(old) -> None:
    def refuse(name, effect, at=None):
        if name.endswith(".connect"):
            raise MigratorError("sign_in.refused")
        return effect()

    faults = FaultPlan()
    faults.run = refuse
    found = survey(old, MemoryMailbox(), source_faults=faults, target_faults=faults)
    assert {one.side for one in found.foreseen} == set(Side)


def test_a_line_that_drops_once_is_taken_up_again(old) -> None:
    drops = ["source.scan"]

    def drop(name, effect, at=None):
        if name in drops:
            drops.remove(name)
            raise MigratorError("line.lost", side=Side.SOURCE)
        return effect()

    faults = FaultPlan()
    faults.run = drop
    found = survey(old, MemoryMailbox(), source_faults=faults)
    assert (found.foreseen, found.messages) == ((), 11)


def test_messages_over_the_limit_of_the_target_are_counted_with_the_biggest(old) -> None:
    found = survey(old, MemoryMailbox(append_limit_bytes=2000))
    (one,) = found.foreseen
    assert (one.code, one.severity, one.count, one.examples) == ("message.too_big", Severity.LOSES, 1, ("Work",))
    assert (one.facts["limit"], one.facts["biggest"]) == (2000, found.biggest_bytes)
    assert found.messages == 10


def test_flags_that_the_target_refuses_are_named_with_their_number(old) -> None:
    old.deliver("Work", letter(ANNA, 7), ("$Important", "\\Seen"))
    found = survey(old, MemoryMailbox(permanent_flags=ANY_FLAG - {"\\*"}))
    (one,) = found.foreseen
    assert (one.code, one.severity, one.examples) == ("flags.lost", Severity.LOSES, ("$Important (1)",))


@pytest.mark.parametrize(
    ("quota", "code", "severity"),
    [(1000, "target.full", Severity.STOPS), (6200, "target.nearly_full", Severity.NOTES)],
)
def test_room_that_will_not_do_is_told_with_needed_and_free(old, quota, code, severity) -> None:
    assert 5700 < old.size_bytes < 6200
    (one,) = survey(old, MemoryMailbox(quota_bytes=quota)).foreseen
    assert (one.code, one.severity) == (code, severity)
    assert (one.facts["needed"], one.facts["free"]) == (old.size_bytes, quota)


def test_what_is_there_already_may_be_a_part_of_what_comes(old) -> None:
    target = MemoryMailbox(quota_bytes=old.size_bytes + 10)
    for body, flags, date in old.contents()["INBOX"]:
        target.deliver("INBOX", body, flags, internal_date=date)
    assert codes(survey(old, target)) == {"target.nearly_full": 0, "target.holds_mail": 10}


def test_a_target_that_holds_another_persons_mail_stops_the_account(old) -> None:
    target = MemoryMailbox()
    for number in range(10):
        target.deliver("INBOX", letter(BERT, 100 + number))
    found = survey(old, target)
    assert codes(found, Severity.STOPS) == {"pair.strangers": 0}
    assert "anna@old.example in" in found.foreseen[0].reply
    assert survey(old, target, CopyPolicy(kin=None)).stops is False


def test_an_earlier_copy_is_no_strangers_mail(old) -> None:
    target = MemoryMailbox()
    for body, flags, date in old.contents()["INBOX"]:
        target.deliver("INBOX", body, flags, internal_date=date)
    assert codes(survey(old, target, CopyPolicy(kin=frozenset()))) == {"target.holds_mail": 10}


def test_folders_that_get_other_names_are_told_with_their_reason() -> None:
    old = MemoryMailbox(separator=".")
    old.deliver("Offers 2019/20", letter(ANNA, 1))
    found = survey(old, MemoryMailbox(separator="/"))
    (one,) = found.foreseen
    assert (one.code, one.severity, one.facts["reason"]) == ("folder.renamed", Severity.CHANGES, "separator")
    assert one.examples == ("Offers 2019/20 -> Offers 2019_20",)


def test_a_folder_that_no_program_can_name_stops_the_account(old) -> None:
    old.deliver("x", letter(ANNA, 1))
    old["x"].path = FolderPath(b"bad\rname", "/")
    assert codes(survey(old, MemoryMailbox()), Severity.STOPS) == {"folder.bad_name": 1}


def test_a_folder_that_does_not_open_stops_the_account(old) -> None:
    class Closed(MemorySource):
        def _try_open(self, path, uidvalidity):
            from migrator.stores.base import Trouble

            if path.display == "Work":
                return Trouble(path, MigratorError("folder.no_permission", side=Side.SOURCE))
            return super()._try_open(path, uidvalidity)

    found = survey_account(lambda: Closed(old), lambda: MemoryTarget(MemoryMailbox()), policy=CopyPolicy())
    (one,) = found.foreseen
    assert (one.code, one.severity, one.examples) == ("folder.no_permission", Severity.STOPS, ("Work",))


def test_what_rules_leave_out_is_a_note_and_not_counted(old) -> None:
    rules = CopyPolicy(rules=FolderRules(skip=("Work",)), wanted=MessageFilter(biggest_bytes=4000))
    found = survey(old, MemoryMailbox(), rules)
    assert codes(found, Severity.NOTES) == {"folder.left_out": 1}
    assert found.messages == 10


def test_messages_marked_as_deleted_are_counted_apart(old) -> None:
    old.deliver("INBOX", letter(ANNA, 5), ("\\Deleted",))
    assert codes(survey(old, MemoryMailbox()), Severity.NOTES) == {"message.marked_deleted": 1}
    assert survey(old, MemoryMailbox(), CopyPolicy(copy_deleted=True)).messages == 12


@pytest.mark.req("D-75")
@pytest.mark.parametrize(
    ("keywords", "code", "severity"),
    [(26, None, None), (27, "flags.many", Severity.NOTES), (129, "flags.too_many", Severity.LOSES)],
)
def test_distinct_keywords_are_counted_against_what_is_kept(old, monkeypatch, keywords, code, severity) -> None:
    for number in range(keywords):
        old.deliver("Work", letter(ANNA, number), (f"Label{number}",))
        if number:
            old.deliver("Work", letter(ANNA, number), (f"Label{number}",))
    allowed = MemoryTarget.allowance
    monkeypatch.setattr(
        MemoryTarget, "allowance", lambda self, at: allowed(self, at)._replace(most_keywords=128, kept_keywords=26)
    )
    found = survey(old, MemoryMailbox())
    if code is None:
        assert not found.foreseen
        return
    (one,) = found.foreseen
    assert (one.code, one.severity, one.count, one.facts["folder"]) == (code, severity, keywords, "Work")
    assert one.examples[0] == "Label0 (1)"  # the one that is missed least stands first


def test_a_role_that_is_only_guessed_by_a_name_is_put_before_a_person(old) -> None:
    old.deliver("Gesendete Elemente", letter(ANNA, 1))
    target = MemoryMailbox()
    target.add_folder("Sent", special_use="\\Sent")
    (one,) = survey(old, target).foreseen
    assert (one.code, one.severity) == ("folder.role_guessed", Severity.NOTES)
    assert one.examples == ("Gesendete Elemente -> Sent",)
    old["Gesendete Elemente"].special_use = "\\Sent"  # told: nothing is guessed
    assert codes(survey(old, target)) == {"folder.renamed": 1}


@pytest.mark.req("D-22")
@pytest.mark.parametrize(
    ("writer", "messages", "is_doubtful"),
    [(ANNA, 12, False), ("Anna <anna+x@else.example>", 12, False), (BERT, 12, True), (BERT, 2, False)],
)
def test_who_wrote_what_is_taken_for_sent_mail_is_looked_at_and_a_doubt_is_told(
    old, writer, messages, is_doubtful
) -> None:
    for number in range(messages):
        old.deliver(
            "Gesendete Elemente", letter(BERT, number).replace(b"someone%d@far.example" % number, writer.encode())
        )
    old.deliver("Gesendete Elemente", letter(ANNA, 77, 500_000))  # too big to be looked at
    target = MemoryMailbox()
    target.add_folder("Sent", special_use="\\Sent")
    found = {one.code: one for one in survey(old, target).foreseen}
    assert "folder.role_guessed" in found
    assert ("folder.role_doubtful" in found) is is_doubtful
    if is_doubtful:
        doubt = found["folder.role_doubtful"]
        assert (doubt.severity, doubt.examples, doubt.facts) == (
            Severity.CHANGES,
            ("Gesendete Elemente",),
            {"by_owner": 0, "read": 10},
        )
    old["Gesendete Elemente"].special_use = "\\Sent"  # told: nothing is guessed
    assert "folder.role_doubtful" not in codes(survey(old, target))


@pytest.mark.parametrize("names", [("Work", "Bin", "Sent"), ("Kunden", "Archiv", "Papierkorb"), ("A", "B", "C")])
def test_most_of_what_is_looked_at_is_out_of_the_inbox_and_then_out_of_the_biggest_folders(
    old, monkeypatch, names
) -> None:
    sampled = []
    read = KinSample.read_source

    def note(self, source, newest):
        sampled.extend(path.display for path in newest)
        return read(self, source, newest)

    monkeypatch.setattr(KinSample, "read_source", note)
    for count, name in enumerate(names):
        for number in range(40 - 10 * count):
            old.deliver(name, letter(ANNA, number))
    survey(old, MemoryMailbox())
    assert sampled == ["INBOX", *names]


def test_a_list_shorter_than_the_count_is_told(old) -> None:
    old["Work"].counted = 5
    (one,) = survey(old, MemoryMailbox()).foreseen
    assert (one.code, one.facts) == ("folder.counts_differ", {"counted": 5, "listed": 1})


def test_a_mailbox_bigger_than_the_allowance_of_a_day_says_how_many_days(old) -> None:
    old.features = replace(old.features, product="Gmail")
    old["Work"].messages[1].told_bytes = 6_000_000_000
    (one,) = survey(old, MemoryMailbox()).foreseen
    assert (one.code, one.facts["days"]) == ("source.daily_limit", 3)


def test_the_gravest_finding_stands_first(old) -> None:
    old.deliver("INBOX", letter(ANNA, 5), ("\\Deleted", "$Odd"))
    old.deliver("INBOX", letter(ANNA, 6), ("$Odd",))
    found = survey(old, MemoryMailbox(quota_bytes=10, permanent_flags=ANY_FLAG - {"\\*"}, append_limit_bytes=4000))
    assert [one.severity for one in found.foreseen] == [
        Severity.STOPS, Severity.LOSES, Severity.LOSES, Severity.NOTES
    ]  # fmt: skip


def test_a_survey_survives_being_stored(old) -> None:
    found = survey(old, MemoryMailbox(quota_bytes=10, append_limit_bytes=4000))
    assert AccountSurvey.from_json(json.loads(json.dumps(found.as_json()))) == found
