"""How mail is copied: what is typed is checked, written down, and reaches the engine; accounts may differ."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
from django.test import Client

from campaigns.bridge import copying
from campaigns.bridge.connect import Approach
from campaigns.bridge.copying import CopyOptions
from campaigns.forms.copying import CLASSIC, REPAIRS, ROLES
from campaigns.models import Account, AccountName, Campaign, Event, Server
from campaigns.selectors import copying as selector
from campaigns.selectors import stories
from campaigns.services import campaigns, copy_options, folder_rules, one_run
from campaigns.services.refusals import Refused
from migrator.errors import Side
from migrator.limits import Limits
from migrator.transfer.folders import FolderRules, Renaming
from migrator.transfer.plan import CopyPolicy, DuplicatePolicy, LabelPolicy, Mode
from migrator.transfer.repairs import Repair
from tests.campaigns.crossings import claim, make_account, make_batch, make_campaign, make_server
from tests.campaigns.factories import make_user

pytestmark = pytest.mark.django_db
ALL_SET = CopyOptions(
    list_pattern="Mail/*",
    source_prefix="Mail/",
    target_prefix="Old/{user}/",
    skip_folders=("Spam", "Tmp/*"),
    skip_roles=("junk", "trash"),
    renamings={"Sent Items": "Sent", "Work/Old": "Archive/Work"},
    only_subscribed=True,
    no_subscription=True,
    fetch_rfc822=True,
    by_one=True,
    copies_deleted=True,
    since="2020-01-01",
    before="2024-01-01",
    min_bytes=10,
    max_bytes=5_000_000,
    newest_days=30,
    gmail_labels="first",
    duplicates="once",
    repairs=("nul", "line-ends"),
    repairs_ahead=("mbox-line",),
    long_line_bytes=990,
    no_acl=True,
    identifiers={"berta": "berta.k", "gone": ""},
    copies_notes=True,
    copies_classes=True,
    copies_scripts=True,
    keeps_pop_names=True,
    same_person=True,
    is_slow=True,
)


@pytest.fixture
def account() -> Account:
    return make_account(make_batch(make_campaign()))


@pytest.fixture
def operator() -> Client:
    client = Client(headers={"host": "localhost"})
    client.force_login(make_user(is_operator=True))
    return client


def typed(options: CopyOptions) -> dict[str, Any]:
    """What a browser sends for these options."""
    sent: dict[str, Any] = {name: getattr(options, name) for name in copying.NAMES}
    sent["skip_folders"] = "\r\n".join(options.skip_folders)
    for name in ("identifiers", "renamings"):
        sent[name] = "\r\n".join(f"{old} = {new}" for old, new in (sent[name] or {}).items())
    sent |= {f"repair_{name}": "after" for name in options.repairs}
    sent |= {f"repair_{name}": "ahead" for name in options.repairs_ahead}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in sent.items() if value}


def again(account: Account) -> Account:
    return Account.objects.select_related("campaign", "source", "target").get(pk=account.pk)


def test_no_option_lacks_its_words() -> None:
    assert set(selector.LABELS) == set(copying.NAMES)
    assert {repair.value for repair in REPAIRS} == set(copy_options.REPAIRS)
    assert tuple(ROLES) == copy_options.ROLES
    assert set(CLASSIC) <= set(copying.NAMES)
    differing = [
        one.name for one in fields(CopyOptions) if getattr(ALL_SET, one.name) == getattr(CopyOptions(), one.name)
    ]
    assert differing == ["timeout_seconds"]  # which does not go with is_slow: all the others are tried below


def test_every_option_that_is_typed_is_stored_and_comes_back_on_the_page(operator: Client, account: Account) -> None:
    address = f"/campaigns/{account.campaign_id}/copying"
    page = operator.post(address, typed(ALL_SET), follow=True)
    assert page.status_code == 200, page.context["form"].errors
    campaign = Campaign.objects.get()
    assert copying.of_campaign(campaign) == ALL_SET
    assert campaign.copies_deleted
    assert "copies_deleted" not in campaign.copy_options
    form = page.context["form"]
    assert operator.post(address, {name: form[name].value() or "" for name in form.fields}).status_code == 302
    assert copying.of_campaign(Campaign.objects.get()) == ALL_SET


def test_what_the_campaign_says_reaches_the_engine(account: Account) -> None:
    copy_options.set_for_campaign(account.campaign_id, ALL_SET, actor="test")
    with Approach(again(account)) as approach:
        found, options = approach.endpoint(Side.SOURCE), approach.options
        manners = found.manners
        assert (manners.list_pattern, manners.list_root) == ("Mail/*", "Mail/")
        assert (manners.fetches_rfc822, manners.reads_one_by_one) == (True, True)
        assert approach.endpoint(Side.TARGET).manners.list_root == ""
        assert approach.limits.io_seconds == 3600
        assert approach.identity(Side.TARGET) == "imap://anna@new.example.test/Old/anna/"
        assert approach.identity(Side.SOURCE) == "imap://anna@old.example.test"
        single = FolderRules(skip_exactly=frozenset({"One"}), renamings=(Renaming("Sent Items", "Mine"),))
        rules = copying.rules(approach.account, options, single)
    assert rules == FolderRules(
        strip_prefix="Mail/",
        add_prefix="Old/anna/",
        skip=("Spam", "Tmp/*"),
        skip_exactly=frozenset({"One"}),
        skip_roles=frozenset({"\\Junk", "\\Trash"}),
        renamings=(Renaming("Sent Items", "Mine"), Renaming("Work/Old", "Archive/Work")),
        only_subscribed=True,
        subscribe=False,
    )
    policy = copying.policy(again(account), options, CopyPolicy(kin=frozenset({"anna"})))
    assert (policy.copy_deleted, policy.name_of, policy.kin, policy.newest_days) == (True, None, None, 30)
    assert (policy.labels, policy.duplicates, policy.longest_line) == (LabelPolicy.FIRST, DuplicatePolicy.ONCE, 990)
    assert policy.copies_notes
    assert policy.repairs == {Repair.NUL, Repair.LINE_ENDS}
    assert policy.repairs_ahead == {Repair.MBOX_LINE, Repair.LONG_LINES}
    wanted = policy.wanted
    assert (wanted.since, wanted.before) == (1577836800, 1704067200)
    assert (wanted.smallest_bytes, wanted.biggest_bytes) == (10, 5_000_000)


def test_without_options_the_engine_is_asked_as_ever(account: Account) -> None:
    with Approach(again(account)) as approach:
        assert approach.options == CopyOptions()
        assert approach.limits == Limits()
        assert approach.identity(Side.TARGET) == "imap://anna@new.example.test"
        policy = copying.policy(approach.account, approach.options, CopyPolicy(kin=frozenset({"anna"})))
    assert replace(policy, name_of=None) == CopyPolicy(kin=frozenset({"anna"}))


def test_what_a_kind_of_server_cannot_do_is_not_asked_and_not_told_the_engine(operator: Client) -> None:
    pop = make_server("pop", "pop.example.test", kind="pop3")
    smtp = make_server("smtp", "smtp.example.test", kind="smtp")
    campaign = Campaign.objects.create(name="new mail", source=pop, target=smtp)
    account = make_account(make_batch(campaign))
    page = operator.get(f"/campaigns/{campaign.pk}/copying")
    left = {
        "skip_folders",
        "renamings",
        "skip_roles",
        "copies_deleted",
        "since",
        "before",
        "min_bytes",
        "max_bytes",
        "newest_days",
    }
    assert set(page.context["form"].fields) == left | {"timeout_seconds", "is_slow"}
    copy_options.set_for_campaign(campaign.pk, ALL_SET, actor="test")
    with Approach(again(account)) as approach:
        rules = copying.rules(approach.account, approach.options, FolderRules())
        policy = copying.policy(approach.account, approach.options, CopyPolicy())
        assert (rules.strip_prefix, rules.add_prefix, policy.repairs, policy.repairs_ahead) == ("", "", set(), set())
        assert approach.identity(Side.TARGET) == "smtp://anna@smtp.example.test"
        assert not policy.copies_notes
        assert not copying.copies_classes(approach.account, approach.options)
        assert not copying.copies_scripts(approach.account, approach.options)
        assert not copying.keeps_pop_names(approach.account, approach.options)
    typed_less = {"skip_folders": "Spam"}
    assert operator.post(f"/campaigns/{campaign.pk}/copying", typed_less).status_code == 302
    assert copying.of_campaign(Campaign.objects.get(pk=campaign.pk)).list_pattern == "Mail/*"  # it was not asked


def test_an_account_follows_its_campaign_but_for_its_exceptions(operator: Client, account: Account) -> None:
    other = make_account(account.batch, "berta")
    campaign_id = account.campaign_id
    address = f"/accounts/{account.pk}/copying"
    assert operator.post(address, typed(CopyOptions(since="2020-01-01"))).status_code == 302
    copy_options.set_for_campaign(campaign_id, CopyOptions(since="2010-01-01", skip_folders=("Spam",)), actor="test")
    assert copying.of_account(again(account)) == CopyOptions(since="2020-01-01", skip_folders=("Spam",))
    assert copying.of_account(again(other)) == CopyOptions(since="2010-01-01", skip_folders=("Spam",))
    page = operator.get(f"/campaigns/{campaign_id}/copying")
    assert [(line.login, line.told) for line in page.context["exceptions"]] == [("anna", "arrived since")]
    assert "2020-01-01 (campaign: 2010-01-01)" in operator.get(address).text
    assert operator.post(address, typed(copying.of_campaign(again(account).campaign))).status_code == 302
    assert again(account).copy_options == {}


def test_every_change_is_written_down_with_who_made_it_and_its_version(operator: Client, account: Account) -> None:
    address = f"/campaigns/{account.campaign_id}/copying"
    operator.post(address, typed(CopyOptions(skip_folders=("Spam",))))
    operator.post(address, typed(CopyOptions(skip_folders=("Spam",))))  # nothing changes, nothing is written
    operator.post(address, typed(CopyOptions(skip_folders=("Spam",), copies_deleted=True)))
    events = list(Event.objects.filter(name=copy_options.OF_CAMPAIGN).order_by("pk"))
    assert [(event.data["version"], event.data["fields"]) for event in events] == [
        (1, ["skip_folders"]),
        (2, ["copies_deleted"]),
    ]
    assert (events[0].data["was"], events[0].data["now"]) == ({"skip_folders": []}, {"skip_folders": ["Spam"]})
    assert events[0].actor == events[1].actor is not None
    history = operator.get(address).context["history"]
    assert [version.number for version in history] == [2, 1]
    assert stories.story(events[1]) == "How mail is copied was changed (version 2): messages marked as deleted."


@pytest.mark.parametrize(
    ("changes", "field", "code"),
    [
        ({"source_prefix": "~anna/"}, "source_prefix", "copying.home"),
        ({"target_prefix": "user.{user}."}, "target_prefix", "copying.home"),
        ({"source_prefix": "{user}/"}, "source_prefix", "copying.braces"),
        ({"list_pattern": "a\nb"}, "list_pattern", "copying.text"),
        ({"list_pattern": "x" * 501}, "list_pattern", "copying.text"),
        ({"skip_folders": ("a",) * 201}, "skip_folders", "copying.many"),
        ({"renamings": {"A": "INBOX"}}, "renamings", "folder_rule.inbox"),
        ({"renamings": {"A": "b//c"}}, "renamings", "folder_rule.name"),
        ({"renamings": {"A": "A"}}, "renamings", "folder_rule.same_name"),
        ({"skip_roles": ("inbox",)}, "skip_roles", "copying.unknown"),
        ({"since": "2020-13-01"}, "since", "copying.day"),
        ({"since": "2020-01-02", "before": "2020-01-02"}, "before", "copying.days"),
        ({"min_bytes": 10, "max_bytes": 9}, "max_bytes", "copying.sizes"),
        ({"repairs": ("pop-name",)}, "repairs", "copying.unknown"),
        ({"repairs": ("magic",)}, "repairs", "copying.unknown"),
        ({"long_line_bytes": 1}, "long_line_bytes", "copying.number"),
        ({"newest_days": 0}, "newest_days", "copying.number"),
        ({"timeout_seconds": 5, "is_slow": True}, "timeout_seconds", "copying.two_patiences"),
        ({"identifiers": {"": "x"}}, "identifiers", "copying.text"),
        ({"gmail_labels": "all"}, "gmail_labels", "copying.unknown"),
        ({"duplicates": "all"}, "duplicates", "copying.unknown"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(account: Account, changes: Any, field: str, code: str) -> None:
    with pytest.raises(Refused) as refused:
        copy_options.set_for_campaign(account.campaign_id, CopyOptions(**changes), actor="test")
    assert (refused.value.code, refused.value.field) == (code, field)
    assert Campaign.objects.get().copy_options == {}
    assert not Event.objects.filter(name=copy_options.OF_CAMPAIGN).exists()


@pytest.mark.parametrize("text", ["berta", "= x", "a = b\na = c"])
def test_a_map_of_names_is_refused_line_by_line(operator: Client, account: Account, text: str) -> None:
    page = operator.post(f"/campaigns/{account.campaign_id}/copying", {"identifiers": text})
    assert page.status_code == 422
    assert "Line " in str(page.context["form"].errors["identifiers"])


def test_the_prefix_on_the_new_server_stays_once_mail_was_copied_or_is_just_now(account: Account) -> None:
    claim(account)
    for change in (copy_options.set_for_campaign, copy_options.set_for_account):
        key = account.campaign_id if change is copy_options.set_for_campaign else account.pk
        with pytest.raises(Refused) as refused:
            change(key, CopyOptions(target_prefix="Old/"), actor="test")
        assert refused.value.code == "copying.copied"
    Account.objects.update(lease_until=None, ledger_source="imap://anna@old")
    with pytest.raises(Refused):
        copy_options.set_for_campaign(account.campaign_id, CopyOptions(target_prefix="Old/"), actor="test")
    copy_options.set_for_campaign(account.campaign_id, CopyOptions(skip_folders=("Spam",)), actor="test")  # others may


def test_a_run_goes_on_as_it_began_when_options_change_under_it(account: Account) -> None:
    with Approach(again(account)) as approach:
        copy_options.set_for_campaign(account.campaign_id, CopyOptions(skip_folders=("Spam",)), actor="test")
        assert approach.options == CopyOptions()
    with Approach(again(account)) as approach:
        assert approach.options.skip_folders == ("Spam",)


def test_others_are_called_as_the_map_or_the_list_says_and_rights_go_to_nobody_else() -> None:
    batch = make_batch(make_campaign())
    anna = make_account(batch, "anna@old.example", target_login="anna@new.example")
    berta = make_account(batch, "berta@old.example", target_login="b.k@new.example")
    for one in (anna, berta):
        for login in (one.source_login, one.target_login):
            AccountName.objects.create(account=one, kind="login", value=login)
    called = copying.name_of(again(anna), CopyOptions(identifiers={"Group": "staff", "gone@old.example": ""}))
    assert called("group") == "staff"
    assert called("gone@old.example") is None
    assert called("Berta@old.example") == "b.k@new.example"
    assert called("carla@old.example") == "carla@new.example"  # as for anna, only the domain changes
    assert called("anyone") == "anyone"
    assert called("b.k@old.example") is None  # there it would be berta


def test_a_copy_of_a_campaign_copies_as_it_does(account: Account) -> None:
    copy_options.set_for_campaign(account.campaign_id, ALL_SET, actor="test")
    made = campaigns.copy(Campaign.objects.get(), "another", actor="test")
    assert copying.of_campaign(made) == ALL_SET


@pytest.mark.parametrize("role", ["is_helpdesk", "is_manager", "is_administrator"])
def test_only_who_plans_sees_and_changes_options(account: Account, role: str) -> None:
    client = Client(headers={"host": "localhost"})
    client.force_login(make_user(**{role: True}))
    for address in (f"/campaigns/{account.campaign_id}/copying", f"/accounts/{account.pk}/copying"):
        assert client.get(address).status_code == client.post(address, {}).status_code == 403
    assert Server.objects.count() == 2


def test_rules_are_tried_on_at_most_five_accounts_and_only_by_sending_the_form(
    operator: Client, account: Account
) -> None:
    address = f"/campaigns/{account.campaign_id}/folders"
    page = operator.get(address)
    assert page.context["trees"] is None
    assert page.context["form"]["accounts"].value() == "anna"
    many = operator.post(address, {"look": "1", "accounts": "\n".join("abcdef")})
    assert many.status_code == 422
    assert "Five accounts at once are enough." in many.text
    none = operator.post(address, {"look": "1", "accounts": ""})
    assert (none.status_code, "Name an account." in none.text) == (422, True)
    assert not Event.objects.filter(name="campaign.folders.tried").exists()


def test_rules_that_cannot_be_meant_are_neither_tried_nor_kept(operator: Client, account: Account) -> None:
    address = f"/campaigns/{account.campaign_id}/folders"
    for act in ("look", "save"):
        page = operator.post(address, {act: "1", "accounts": "anna", "renamings": "A = INBOX"})
        assert page.status_code == 422
        assert "renamings" in page.context["form"].errors
    assert Campaign.objects.get().copy_options == {}


def test_rules_about_folders_leave_all_other_options_as_they_are(operator: Client, account: Account) -> None:
    copy_options.set_for_campaign(account.campaign_id, ALL_SET, actor="test")
    assert operator.post(f"/campaigns/{account.campaign_id}/folders", {"save": "1"}).status_code == 302
    kept = replace(
        ALL_SET,
        list_pattern="",
        source_prefix="",
        target_prefix="",
        skip_folders=(),
        skip_roles=(),
        renamings=None,
        only_subscribed=False,
    )
    assert copying.of_campaign(Campaign.objects.get()) == kept


def test_the_page_of_a_campaign_with_a_thousand_accounts_asks_no_more_than_one_with_one(
    operator: Client, account: Account, django_assert_max_num_queries: Any
) -> None:
    for number in range(40):
        make_account(account.batch, f"person {number}", copy_options={"since": "2020-01-01"})
    for page in ("copying", "folders"):
        with django_assert_max_num_queries(12):
            operator.get(f"/campaigns/{account.campaign_id}/{page}")


def test_passes_and_surveys_obey_the_options_the_exceptions_and_the_rules_of_an_account(account: Account) -> None:
    copy_options.set_for_campaign(account.campaign_id, CopyOptions(skip_folders=("Spam",)), actor="test")
    own = CopyOptions(skip_folders=("Spam",), since="2020-01-01")
    copy_options.set_for_account(account.pk, own, actor="test")
    folder_rules.set_rule(account.pk, "One", "skip", actor="test")
    with Approach(again(account)) as approach:
        policy = one_run.policy_of(approach, Mode.STAGE)
    assert policy.wanted.since == 1577836800
    assert policy.rules == replace(policy.rules, skip=("Spam",), skip_exactly=frozenset({"One"}))
    assert policy.kin == {"anna"}


def test_who_saved_in_between_is_not_undone_unasked(operator: Client, account: Account) -> None:
    for page in (f"/campaigns/{account.campaign_id}/copying", f"/campaigns/{account.campaign_id}/folders"):
        Campaign.objects.update(copy_options={})
        seen = operator.get(page).context["seen"]
        copy_options.set_for_campaign(account.campaign_id, CopyOptions(skip_folders=("Spam",)), actor="another")
        sent = {"save": "1", "skip_folders": "Tmp", "gmail_labels": "folders", "duplicates": "keep", "seen": seen}
        wrong = operator.post(page, {**sent, "renamings": "A = A"})
        assert wrong.context["seen"] == seen  # a mistake in the form does not make it look fresh
        refused = operator.post(page, sent)
        assert refused.status_code == 422
        assert "Somebody changed these options after you had opened this page." in refused.text
        assert copying.of_campaign(Campaign.objects.get()).skip_folders == ("Spam",)
        assert operator.post(page, {**sent, "seen": refused.context["seen"]}).status_code == 302
        assert copying.of_campaign(Campaign.objects.get()).skip_folders == ("Tmp",)


def test_an_account_is_not_pinned_to_what_its_campaign_said_before(operator: Client, account: Account) -> None:
    page = f"/accounts/{account.pk}/copying"
    seen = operator.get(page).context["seen"]
    copy_options.set_for_campaign(account.campaign_id, CopyOptions(since="2020-01-01"), actor="another")
    sent = {"skip_folders": "Tmp", "gmail_labels": "folders", "duplicates": "keep", "seen": seen}
    assert operator.post(page, sent).status_code == 422
    assert again(account).copy_options == {}


def test_long_maps_and_many_exceptions_are_told_in_part_and_counted(operator: Client, account: Account) -> None:
    names = {f"old {number}": f"new {number}" for number in range(3000)}
    copy_options.set_for_campaign(account.campaign_id, CopyOptions(identifiers=names), actor="test")
    Account.objects.update(copy_options={"since": "2020-01-01", "of a later release": True})
    for number in range(selector.MOST_ACCOUNTS):
        make_account(account.batch, f"person {number}", copy_options={"since": "2020-01-01"})
    page = operator.get(f"/campaigns/{account.campaign_id}/copying")
    (change,) = page.context["history"][0].changes
    assert change.now.endswith("old 11 = new 11 and 2,988 more")
    assert page.context["more"] == 1
