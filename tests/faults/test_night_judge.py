"""The judge of a night finds what is wrong with one, and nothing where all is well."""

from __future__ import annotations

from tests.faults import night_judge as judge
from tests.faults.night_judge import Count
from tests.rigs.check import Contents, Read, Seen
from tests.rigs.crowd import Filed, Gone, Notes, Posted, SignIn


def contents(**folders: list[str]) -> Contents:
    """Folders with messages of these marks; what begins with a dash is old mail."""
    found = {
        name.encode(): Read(
            [
                Seen(uid, mark, frozenset(), 0.0, mark[1:] if mark.startswith("-") else f"night {mark}")
                for uid, mark in enumerate(marks, 1)
            ]
        )
        for name, marks in folders.items()
    }
    return Contents(b"", b".", found)


def posted(mark: str, verdict: str, *users: str) -> Posted:
    """A message that was handed in."""
    return Posted(mark, "x", 1.0, 2.0, verdict, list(users), "")


def sign_in(user: str, at: float, site: str, verdict: str = "admitted") -> SignIn:
    """A try by IMAP that lasts a tenth of a second."""
    return SignIn(user, "imap", at, at + 0.1, verdict, site, "")


def notes(*sign_ins: SignIn, gone: tuple[Gone, ...] = ()) -> Notes:
    """What these people noted."""
    found = Notes()
    for one in sign_ins:
        found.sign_ins[one.user].append(one)
    for end in gone:
        found.gone[end.user].append(end)
    return found


def test_accepted_mail_must_be_there_once_for_everybody_it_was_for() -> None:
    seen = Notes(posted=[posted("m1", "accepted", "anna", "bert"), posted("m2", "unknown", "anna")])
    wanted = judge.wanted_mail(seen)
    assert wanted["anna"] == {"m1": Count(1, 1), "m2": Count(0, 1)}
    assert not judge.missing("anna", contents(INBOX=["-old", "m1"]), wanted["anna"])
    assert len(judge.missing("anna", contents(INBOX=["m2"]), wanted["anna"])) == 1
    assert len(judge.missing("bert", contents(INBOX=[]), wanted["bert"])) == 1


def test_mail_that_is_doubled_refused_or_somebody_elses_is_found() -> None:
    seen = Notes(posted=[posted("m1", "accepted", "anna"), posted("m2", "refused", "anna")])
    wanted = judge.wanted_mail(seen)["anna"]
    assert not judge.surplus("anna", contents(INBOX=["m1", "-old"]), wanted)
    assert len(judge.surplus("anna", contents(INBOX=["m1", "m1"]), wanted)) == 1
    assert len(judge.surplus("anna", contents(INBOX=["m1", "m2", "m7"]), wanted)) == 2


def test_two_deliveries_are_told_apart_from_two_copies_of_one() -> None:
    wanted = {"m1": Count(1, 1)}
    twice = contents(INBOX=["m1", "m1"])
    assert judge.surplus("anna", twice, wanted, may_redeliver=True)  # both the same to the last octet
    first, second = twice.folders[b"INBOX"].messages
    twice.folders[b"INBOX"].messages = [first, second._replace(digest="another")]
    assert not judge.surplus("anna", twice, wanted, may_redeliver=True)
    assert judge.surplus("anna", twice, wanted)
    assert judge.redelivered(twice, wanted) == 1


def test_copies_in_sent_are_judged_by_what_the_server_said() -> None:
    seen = Notes()
    seen.filed["anna"] += [Filed("anna", "m1", 1.0, True), Filed("anna", "m2", 1.0, False)]
    wanted = judge.wanted_copies(seen)["anna"]
    assert not judge.missing("anna", contents(Sent=["m1"]), wanted, judge.SENT)
    assert len(judge.missing("anna", contents(Sent=["m2"]), wanted, judge.SENT)) == 1


def test_mail_in_a_folder_or_on_a_server_where_it_has_no_business_is_found() -> None:
    assert not judge.elsewhere("anna", contents(INBOX=["m1"], Sent=["m2"], Trash=["-old"]))
    assert judge.elsewhere("anna", contents(INBOX=["m1"], Trash=["m2"]))
    assert judge.astray("anna", contents(INBOX=["m1"]))
    assert not judge.astray("anna", contents(INBOX=["-old"]))


def test_old_mail_comes_first_and_in_its_order() -> None:
    source = contents(INBOX=["-a", "-b", "m1"])
    assert not judge.order("anna", source, contents(INBOX=["-a", "-b", "m1", "m2"]))
    assert judge.order("anna", source, contents(INBOX=["-a", "m2", "-b", "m1"]))
    assert judge.order("anna", source, contents(INBOX=["-a", "-b"]))


def test_people_who_stay_notice_a_refusal_an_end_a_wrong_server_and_slowness() -> None:
    well = notes(sign_in("anna", 1, "old"), sign_in("anna", 2, "old"))
    assert not [*judge.outsiders(well, ["anna"], 5.0)]
    for wrong in (
        notes(sign_in("anna", 1, "", "refused")),
        notes(sign_in("anna", 1, "", "away")),
        notes(sign_in("anna", 1, "new")),
        notes(SignIn("anna", "imap", 1.0, 9.0, "admitted", "old", "")),
        notes(sign_in("anna", 1, "old"), gone=(Gone("anna", 3.0, "old"),)),
    ):
        assert len([*judge.outsiders(wrong, ["anna"], 5.0)]) == 1


def test_what_happens_while_the_directory_itself_is_away_is_nobodys_fault() -> None:
    away = notes(sign_in("anna", 10, "", "away"))
    assert not [*judge.outsiders(away, ["anna"], 5.0, [(9.0, 12.0)])]
    assert [*judge.outsiders(away, ["anna"], 5.0, [(11.0, 12.0)])]


def test_there_is_one_way_to_the_new_server_and_none_back() -> None:
    moved = [sign_in("anna", 1, "old"), sign_in("anna", 2, "", "refused"), sign_in("anna", 4, "new")]
    assert not [*judge.one_way(notes(*moved), "anna")]
    assert [*judge.one_way(notes(*moved, sign_in("anna", 5, "old")), "anna")]
    assert [*judge.one_way(notes(*moved, sign_in("anna", 5, "", "refused")), "anna")]
    assert [*judge.one_way(notes(*moved[:2]), "anna")]


def test_a_lockout_lasts_from_the_end_of_the_session_to_the_first_on_the_new_server() -> None:
    seen = notes(
        sign_in("anna", 1, "old"),
        sign_in("anna", 6, "new"),
        gone=(Gone("anna", 3.0, "old"), Gone("anna", 9.0, "new")),
    )
    lockout = judge.lockout_seconds(seen, "anna")
    assert lockout is not None
    assert abs(lockout - 3.1) < 1e-9
    assert judge.lockout_seconds(notes(sign_in("anna", 6, "new")), "anna") is None
