"""Account lists: what each row becomes, what is refused, and that nothing is half imported."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from campaigns.bridge import vault
from campaigns.models import Account, AccountName, Batch, Campaign, Event, Server
from campaigns.selectors.imports import preview
from campaigns.services import imports, names
from campaigns.services.batches import Timetable
from campaigns.services.imports import ChangedMeanwhile, Cutting, Imported, NotImported
from campaigns.services.refusals import Refused
from campaigns.services.rosters import Comparison, Fate, NoSuchField, Reading
from campaigns.states import AccountState
from migrator.errors import Side
from migrator.rosters.base import BadRoster
from migrator.secret import Secret
from tests.campaigns.factories import NIGHT, claim, event_names, figures, make_campaign, make_server, put

pytestmark = pytest.mark.django_db
S = AccountState


class Lists:
    """Writes lists for a campaign, and imports them."""

    def __init__(self, folder: Path, campaign: Campaign) -> None:
        self._path = folder / "list.tsv"
        self.campaign = campaign

    def write(self, *lines: str, header: str = "Name\tPassword") -> Path:
        self._path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
        return self._path

    def take_in(self, *lines: str, header: str = "Name\tPassword", reading: Reading | None = None, **more) -> Imported:
        path = self.write(*lines, header=header)
        return imports.take_in(self.campaign, path, reading or Reading(), actor="test", **more)

    def preview(self, *lines: str, header: str = "Name\tPassword", reading: Reading | None = None) -> Comparison:
        return preview(self.campaign, self.write(*lines, header=header), reading or Reading())

    def account(self, login: str) -> Account:
        return Account.objects.get(campaign=self.campaign, source_login=login)


@pytest.fixture
def lists(tmp_path: Path) -> Lists:
    return Lists(tmp_path, make_campaign())


def give_admin(server: Server) -> None:
    server.admin_login = "admin"
    server.admin_secret = vault.seal(Secret("pw"), server, "admin_secret")
    server.save()


def password(account: Account, side: Side) -> str:
    secret = vault.unseal(account, f"{side}_secret")
    assert secret
    return secret.reveal()


def codes(found: Comparison) -> dict[int, list[str]]:
    return {row.line: [remark.code for remark in row.remarks] for row in found.rows if row.remarks}


def fates(found: Comparison) -> list[Fate]:
    return [row.fate for row in found.rows]


# --- a first list


def test_rows_become_accounts_with_sealed_passwords_in_one_batch(lists: Lists) -> None:
    done = lists.take_in("anna\tone\tanna.a\ttwo", "bert\tthree\t\t", header="Name\tPassword\tNewName\tNewPassword")
    (batch,) = done.batches
    assert figures(batch) == {S.NEW: 2}
    anna, bert = lists.account("anna"), lists.account("bert")
    assert (anna.target_login, password(anna, Side.SOURCE), password(anna, Side.TARGET)) == ("anna.a", "one", "two")
    assert (bert.target_login, password(bert, Side.SOURCE), password(bert, Side.TARGET)) == ("bert", "three", "three")
    assert b"one" not in bytes(anna.source_secret or b"")
    assert (anna.source, anna.target, anna.state) == (lists.campaign.source, lists.campaign.target, S.NEW)
    assert event_names(campaign=lists.campaign)[-1] == "campaign.list_imported"


def test_no_password_stands_in_an_event(lists: Lists) -> None:
    lists.take_in("anna\tSecret-9")
    lists.take_in("anna\tSecret-8")
    assert "Secret" not in str([*Event.objects.values_list("data", flat=True)])


def test_personal_columns_are_taken_by_their_titles(lists: Lists) -> None:
    columns = {
        "display_name": "Real Name",
        "phone": "Tel",
        "department": "Dept",
        "language": "Lang",
        "is_vip": "Boss",
        "addresses": "Also",
        "notice_address": "Private",
    }
    done = lists.take_in(
        "anna\tpw\tAnna Öström\t+49 (30) 12-34\tSales\tde\tyes\ta.o@x.test; Anna@X.test\tanna@home.test\tblue",
        header="Name\tPassword\tReal Name\tTel\tDept\tLang\tBoss\tAlso\tPrivate\tHair",
        reading=Reading(columns),
    )
    anna = lists.account("anna")
    assert (anna.display_name, anna.phone, anna.department) == ("Anna Öström", "+49 (30) 12-34", "Sales")
    assert (anna.language, anna.is_vip, anna.notice_address) == ("de", True, "anna@home.test")
    assert done.comparison.ignored_columns == ["Hair"]
    assert {*anna.names.values_list("kind", "value")} == {
        (names.LOGIN, "anna"),
        (names.NAME, "anna öström"),
        (names.PHONE, "49301234"),
        (names.TAIL, "43210394"),
        (names.ADDRESS, "a.o@x.test"),
        (names.ADDRESS, "anna@x.test"),
        *((names.WORD, word) for word in ("anna", "ostrom", "sales")),
        (names.PART, "ao"),
    }


def test_the_columns_of_logins_and_passwords_may_have_other_titles(lists: Lists) -> None:
    columns = {"source_login": "from", "source_password": "pin", "target_login": "to", "target_password": "Code"}
    lists.take_in("anna;one;bert;two", header="From;PIN;To;Code", reading=Reading(columns))
    anna = lists.account("anna")
    assert (anna.target_login, password(anna, Side.SOURCE), password(anna, Side.TARGET)) == ("bert", "one", "two")


def test_a_row_may_name_its_own_servers(lists: Lists) -> None:
    branch, cloud = make_server(name="Branch"), make_server(name="Cloud")
    reading = Reading({"source_server": "From", "target_server": "To"})
    lists.take_in("anna\tpw\tbranch\tCloud", "bert\tpw\t\t", header="Name\tPassword\tFrom\tTo", reading=reading)
    anna, bert = lists.account("anna"), lists.account("bert")
    assert (anna.source, anna.target) == (branch, cloud)
    assert (bert.source, bert.target) == (lists.campaign.source, lists.campaign.target)


def test_a_domain_is_appended_to_logins_that_have_none(lists: Lists) -> None:
    reading = Reading(source_domain="@old.test", target_domain="new.test")
    lists.take_in("anna\tpw", "bert@else.test\tpw", reading=reading)
    assert lists.account("anna@old.test").target_login == "anna@new.test"
    assert lists.account("bert@else.test").target_login == "bert@else.test"


def test_passwords_stay_as_they_stand(lists: Lists) -> None:
    found = lists.take_in('anna\t "quoted, and" blanks ').comparison
    assert password(lists.account("anna"), Side.SOURCE) == ' "quoted, and" blanks '
    assert codes(found) == {2: ["list.blank", "list.blank"]}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{SSHA}DkMTwBl+a/3DQTxCYEApdUtNXGgdUac3", "list.hash"),
        ("$6$rounds=5000$usesomesillystri$" + "a" * 86, "list.hash"),
        ("{NOSUCH}abc", "list.hash_perhaps"),
        ("abcdefghijklm", "list.hash_perhaps"),
    ],
)
def test_a_hash_in_the_column_of_passwords_is_said_and_kept(lists: Lists, text: str, code: str) -> None:
    found = lists.take_in(f"anna\t{text}").comparison
    assert codes(found)[2] == [code, code]
    assert password(lists.account("anna"), Side.SOURCE) == text
    assert text not in found.rows[0].remarks[0].sentence


def test_no_password_is_needed_where_an_administrator_signs_in(lists: Lists) -> None:
    give_admin(lists.campaign.source)
    assert codes(lists.preview("anna", header="Name")) == {2: ["list.no_password"]}
    give_admin(lists.campaign.target)
    lists.take_in("anna", header="Name")
    assert lists.account("anna").source_secret is None


def test_a_long_list_is_cut_into_batches_each_with_its_time(lists: Lists) -> None:
    times = Timetable(starts_at=NIGHT, every=timedelta(days=1))
    cutting = Cutting(2, times, {"canary": 1})
    done = lists.take_in(*(f"u{number}\tpw" for number in range(5)), cutting=cutting)
    assert [batch.accounts.count() for batch in done.batches] == [2, 2, 1]
    assert [batch.starts_at for batch in done.batches] == [NIGHT + timedelta(days=day) for day in range(3)]
    assert {batch.canary for batch in done.batches} == {1}


def test_a_batch_is_of_a_thousand_unless_somebody_says_otherwise(lists: Lists) -> None:
    done = lists.take_in(*(f"u{number}\tpw" for number in range(1001)))
    assert [batch.accounts.count() for batch in done.batches] == [1000, 1]


# --- refusals


def test_a_refused_row_keeps_the_whole_list_out(lists: Lists) -> None:
    with pytest.raises(NotImported) as refused:
        lists.take_in("anna\tpw", "bert\t", "carl\tpw")
    assert codes(refused.value.comparison) == {3: ["list.no_password", "list.no_password"]}
    assert not Account.objects.exists()
    assert not Batch.objects.exists()
    assert not AccountName.objects.exists()


def test_the_others_are_imported_when_somebody_says_so(lists: Lists) -> None:
    done = lists.take_in("anna\tpw", "bert\t", "carl\tpw", without_refused=True)
    assert fates(done.comparison) == [Fate.ADDED, Fate.REFUSED, Fate.ADDED]
    assert {*Account.objects.values_list("source_login", flat=True)} == {"anna", "carl"}


def test_a_row_that_cannot_be_read_is_refused_with_its_line(lists: Lists) -> None:
    found = lists.preview("anna\tpw", "bert\tpw\tmore", "\tpw")
    assert fates(found) == [Fate.ADDED, Fate.REFUSED, Fate.REFUSED]
    assert "this line has 3" in found.rows[1].remarks[0].sentence
    assert "Name is empty" in found.rows[2].remarks[0].sentence


@pytest.mark.parametrize("header", ["Password", "Name\tName\tPassword", ""])
def test_a_list_without_its_columns_is_refused_as_a_whole(lists: Lists, header: str) -> None:
    with pytest.raises(BadRoster):
        lists.preview("anna\tpw", header=header)


def test_a_column_that_is_asked_for_and_not_there_refuses_the_list(lists: Lists) -> None:
    with pytest.raises(BadRoster, match="does not name the column Tel"):
        lists.preview("anna\tpw", reading=Reading({"phone": "Tel"}))
    with pytest.raises(BadRoster, match="does not name the column Code"):
        lists.preview("anna\tpw", reading=Reading({"target_password": "Code"}))
    with pytest.raises(NoSuchField, match="shoe_size"):
        Reading({"shoe_size": "Tel"})


def test_two_rows_for_one_target_mailbox_are_both_refused(lists: Lists) -> None:
    found = lists.preview("anna\tpw\tall", "bert\tpw\tALL", "carl\tpw\tcarl", header="Name\tPassword\tNewName")
    assert codes(found) == {2: ["list.one_target"], 3: ["list.one_target"]}
    assert "Lines 2 and 3" in found.rows[0].remarks[0].sentence


def test_two_rows_for_one_source_mailbox_are_both_refused(lists: Lists) -> None:
    found = lists.preview("anna\tpw\ta", "Anna\tpw\tb", header="Name\tPassword\tNewName")
    assert codes(found) == {2: ["list.one_source"], 3: ["list.one_source"]}


def test_one_login_at_two_target_servers_is_two_mailboxes(lists: Lists) -> None:
    make_server(name="Cloud")
    reading = Reading({"target_server": "To"})
    header = "Name\tPassword\tNewName\tTo"
    found = lists.preview("anna\tpw\tall\tCloud", "bert\tpw\tall\t", header=header, reading=reading)
    assert fates(found) == [Fate.ADDED, Fate.ADDED]


def test_mail_does_not_go_in_a_circle(lists: Lists) -> None:
    source = lists.campaign.source
    Campaign.objects.filter(pk=lists.campaign.pk).update(target=source)
    lists.campaign.refresh_from_db()
    header = "Name\tPassword\tNewName"
    assert codes(lists.preview("anna\tpw\tanna", header=header)) == {2: ["list.one_mailbox"]}
    found = lists.preview("anna\tpw\tbert", "bert\tpw\tcarl", header=header)
    assert codes(found) == {2: ["list.filled"], 3: ["list.filled"]}


def test_servers_behind_other_ports_of_one_host_are_other_servers(lists: Lists) -> None:
    Server.objects.update(host="127.0.0.1")
    Server.objects.filter(pk=lists.campaign.target_id).update(port=2143)
    lists.campaign = Campaign.objects.get(pk=lists.campaign.pk)
    assert fates(lists.preview("anna\tpw")) == [Fate.ADDED]


def test_a_target_mailbox_of_another_campaign_is_refused(lists: Lists, tmp_path: Path) -> None:
    other = make_campaign()
    Campaign.objects.filter(pk=other.pk).update(target=lists.campaign.target)
    lists.take_in("anna\tpw\tall", header="Name\tPassword\tNewName")
    found = Lists(tmp_path, Campaign.objects.get(pk=other.pk)).preview(
        "bert\tpw\tAll", header="Name\tPassword\tNewName"
    )
    assert codes(found) == {2: ["list.target_taken"]}
    assert lists.campaign.name in found.rows[0].remarks[0].sentence


@pytest.mark.parametrize(
    ("field", "text", "code"),
    [
        ("is_vip", "perhaps", "list.not_yes_or_no"),
        ("language", "Deutsch!", "list.no_language"),
        ("notice_address", "at home", "list.no_address"),
        ("addresses", "a@x.test, b", "list.no_address"),
        ("display_name", "Anna\x1b[2J", "list.control"),
        ("display_name", "A" * 256, "list.too_long"),
        ("source_server", "Nowhere", "list.no_server"),
    ],
)
def test_a_field_that_cannot_be_meant_refuses_its_row(lists: Lists, field: str, text: str, code: str) -> None:
    found = lists.preview(f"anna\tpw\t{text}", header="Name\tPassword\tMore", reading=Reading({field: "More"}))
    assert codes(found) == {2: [code]}


def test_a_closed_campaign_takes_no_list(lists: Lists) -> None:
    Campaign.objects.filter(pk=lists.campaign.pk).update(closed_at=NIGHT)
    with pytest.raises(Refused):
        lists.take_in("anna\tpw")
    assert not Account.objects.exists()


# --- a list that comes again


def test_the_same_list_again_changes_nothing(lists: Lists) -> None:
    lists.take_in("anna\tpw", "bert\tpw")
    before = [*Account.objects.order_by("pk").values()]
    done = lists.take_in("Anna\tpw", "bert\tpw")
    assert fates(done.comparison) == [Fate.SAME, Fate.SAME]
    assert not done.batches
    assert [*Account.objects.order_by("pk").values()] == before


def test_a_later_list_shows_what_is_added_changed_and_gone(lists: Lists) -> None:
    lists.take_in("anna\tpw", "bert\tpw", "carl\tpw")
    found = lists.preview("anna\tpw", "bert\tother", "dora\tpw")
    assert fates(found) == [Fate.SAME, Fate.CHANGED, Fate.ADDED]
    assert found.rows[1].changes == ["source_password", "target_password"]
    assert [account.source_login for account in found.gone] == ["carl"]
    assert found.figures == {
        "added": 1, "changed": 1, "same": 1, "left_alone": 0, "refused": 0, "warned": 0, "gone": 1,
    }  # fmt: skip
    assert password(lists.account("bert"), Side.SOURCE) == "pw"  # a preview only looks


def test_changes_are_written_with_their_event_and_what_the_list_does_not_say_stays(lists: Lists) -> None:
    header, reading = "Name\tPassword\tReal\tAlso", Reading({"display_name": "Real", "addresses": "Also"})
    lists.take_in("anna\tpw\tAnna\ta@x.test", header=header, reading=reading)
    lists.take_in("anna\tnew\tAnna B", header="Name\tPassword\tReal", reading=Reading({"display_name": "Real"}))
    anna = lists.account("anna")
    assert (anna.display_name, password(anna, Side.SOURCE)) == ("Anna B", "new")
    assert {*anna.names.values_list("kind", "value")} == {
        (names.LOGIN, "anna"), (names.NAME, "anna b"), (names.ADDRESS, "a@x.test"),
        (names.WORD, "anna"), (names.WORD, "b"), (names.PART, "a"),
    }  # fmt: skip
    event = Event.objects.get(account=anna, name="account.changed")
    assert event.data == {"fields": ["display_name", "source_password", "target_password"]}


def test_other_addresses_are_replaced_by_those_that_the_list_names(lists: Lists) -> None:
    header, reading = "Name\tPassword\tAlso", Reading({"addresses": "Also"})
    lists.take_in("anna\tpw\ta@x.test b@x.test", header=header, reading=reading)
    assert fates(lists.preview("anna\tpw\tB@x.test,A@x.test", header=header, reading=reading)) == [Fate.SAME]
    lists.take_in("anna\tpw\tc@x.test", header=header, reading=reading)
    found = lists.account("anna").names.filter(kind=names.ADDRESS)
    assert [*found.values_list("value", flat=True)] == ["c@x.test"]


@pytest.mark.parametrize(
    "state", [S.NEW, S.CHECKING, S.STAGING, S.READY, S.FAILED, S.EXCLUDED], ids=lambda state: state.value
)
def test_who_waits_is_altered(lists: Lists, state: AccountState) -> None:
    lists.take_in("anna\tpw")
    put(lists.account("anna"), state)
    assert fates(lists.take_in("anna\tother").comparison) == [Fate.CHANGED]
    anna = lists.account("anna")
    assert (password(anna, Side.SOURCE), anna.state) == ("other", state)


@pytest.mark.parametrize(
    "state", [S.CUTTING_OVER, S.ROLLING_BACK, S.HELD, S.ATTENTION, S.DONE], ids=lambda state: state.value
)
def test_who_has_moved_or_is_on_the_way_is_left_alone(lists: Lists, state: AccountState) -> None:
    lists.take_in("anna\tpw")
    put(lists.account("anna"), state)
    before = Account.objects.values().get()
    done = lists.take_in("anna\tother\tmore", header="Name\tPassword\tNewName")
    assert codes(done.comparison) == {2: ["list.moved"]}
    assert fates(done.comparison) == [Fate.LEFT_ALONE]
    assert Account.objects.values().get() == before


def test_another_target_is_taken_only_before_mail_was_copied(lists: Lists) -> None:
    header = "Name\tPassword\tNewName"
    lists.take_in("anna\tpw\ta", header=header)
    lists.take_in("anna\tpw\tb", header=header)
    anna = lists.account("anna")
    assert anna.target_login == "b"
    assert {*anna.names.values_list("value", flat=True)} == {"anna", "b"}
    lease = claim(anna)
    assert codes(lists.preview("anna\tpw\tc", header=header)) == {2: ["list.busy"]}
    Account.objects.filter(pk=anna.pk).update(
        lease_until=None, ledger_target="imap://b@target", lease_epoch=lease.epoch
    )
    assert codes(lists.preview("anna\tpw\tc", header=header)) == {2: ["list.copied"]}
    assert fates(lists.preview("anna\tother\tb", header=header)) == [Fate.CHANGED]


def after_reading(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Let something happen between the reading of a list and its import."""
    compare = imports.rosters.compare

    def compare_then_act(*args: object) -> Comparison:
        found = compare(*args)
        act()
        return found

    monkeypatch.setattr(imports.rosters, "compare", compare_then_act)


def test_an_account_that_begins_to_move_between_reading_and_writing_refuses_the_import(
    lists: Lists, monkeypatch: pytest.MonkeyPatch
) -> None:
    lists.take_in("anna\tpw", "bert\tpw")
    after_reading(monkeypatch, lambda: put(lists.account("anna"), S.CUTTING_OVER))
    with pytest.raises(ChangedMeanwhile):
        lists.take_in("anna\tother", "bert\tother", "carl\tpw")
    assert not Account.objects.filter(source_login="carl").exists()
    assert password(lists.account("bert"), Side.SOURCE) == "pw"


def test_an_account_that_is_claimed_between_reading_and_writing_keeps_its_mailbox(
    lists: Lists, monkeypatch: pytest.MonkeyPatch
) -> None:
    lists.take_in("anna\tpw", "bert\tpw")
    after_reading(monkeypatch, lambda: claim(lists.account("anna")))
    with pytest.raises(ChangedMeanwhile):
        lists.take_in("anna\tpw\tother", header="Name\tPassword\tNewName")
    assert lists.account("anna").target_login == "anna"


def test_a_mailbox_that_somebody_else_took_meanwhile_refuses_the_import(
    lists: Lists, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = lists.write("anna\tpw", "bert\tpw")
    found = preview(lists.campaign, path, Reading())
    lists.take_in("bert\tpw")
    monkeypatch.setattr(imports.rosters, "compare", lambda *args: found)
    with pytest.raises(ChangedMeanwhile):
        imports.take_in(lists.campaign, path, Reading(), actor="test")
    assert not Account.objects.filter(source_login="anna").exists()


def test_a_server_that_an_account_was_given_stays_when_the_list_does_not_speak_of_servers(lists: Lists) -> None:
    branch = make_server(name="Branch")
    lists.take_in("anna\tpw\tBranch", header="Name\tPassword\tFrom", reading=Reading({"source_server": "From"}))
    found = lists.preview("anna\tpw")
    assert fates(found) == [Fate.SAME]
    assert not found.gone
    assert lists.account("anna").source == branch


@pytest.mark.req("S-92")
def test_a_list_of_plain_names_moves_to_a_second_domain_by_appending_it_to_each(lists: Lists) -> None:
    given = ["anna\tpw", "bert\tpw", "carl@old.test\tpw"]
    lists.take_in(*given, reading=Reading(target_domain="second.test"), cutting=Cutting(is_by_domain=True))
    rows = Account.objects.order_by("pk").values_list("source_login", "target_login", "batch__name")
    golden = [
        ("anna", "anna@second.test", "1 second.test"),
        ("bert", "bert@second.test", "1 second.test"),
        ("carl@old.test", "carl@old.test", "2 old.test"),
    ]
    assert list(rows) == golden


def test_batches_by_domain_keep_the_order_of_the_list_and_their_size(lists: Lists) -> None:
    given = [f"u{number}@{'a' if number % 2 else 'b'}.test\tpw" for number in range(7)]
    done = lists.take_in(*given, cutting=Cutting(size=2, is_by_domain=True))
    told = [[one.source_login for one in batch.accounts.order_by("pk")] for batch in done.batches]
    assert told == [
        ["u0@b.test", "u2@b.test"], ["u4@b.test", "u6@b.test"], ["u1@a.test", "u3@a.test"], ["u5@a.test"],
    ]  # fmt: skip
