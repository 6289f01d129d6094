"""The page of one account through Django's client: what it says to whom, what mends it, and what it refuses."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from campaigns.bridge import vault
from campaigns.models import Account, LedgerFolder, LeftBehindMessage
from campaigns.selectors import account_mail, account_page
from campaigns.selectors.account_page import Mend
from campaigns.services import folder_rules, secrets
from campaigns.services.events import record
from campaigns.states import AccountState as S
from campaigns.states import Owner
from migrator.mail import Outcome
from migrator.secret import Secret
from tests.campaigns import scenes
from tests.campaigns.factories import event_names, make_account, make_server, make_user
from tests.campaigns.test_batch import text_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(make_user(is_operator=True))
    return client


@pytest.fixture
def helpdesk(client: Client) -> Client:
    client.force_login(make_user(is_helpdesk=True))
    return client


def broken(code: str = "sign_in.refused", side: str = "source", state: S = S.FAILED, **fields: Any) -> Account:
    columns = {"error_code": code, "error_side": side, "resume_state": "staging", "error_reply": "NO [X] said no"}
    return make_account(state, **{**columns, **fields})


def html_of(client: Client, account: Account) -> str:
    answer = client.get(f"/accounts/{account.pk}")
    assert answer.status_code == 200
    return answer.content.decode()


def read(client: Client, account: Account) -> str:
    return text_of(html_of(client, account).encode())


def primary(html: str) -> str:
    """The one button that stands out; "" where there is none."""
    found = re.findall(r"<(?:a|button)[^>]*btn-primary[^>]*>(.*?)</(?:a|button)>", html, re.DOTALL)
    assert len(found) <= 1
    return text_of(found[0].encode()) if found else ""


def post(client: Client, account: Account, place: str, **fields: object) -> Any:
    return client.post(f"/accounts/{account.pk}/{place}", fields, follow=True)


def folder(account: Account, name: bytes = b"INBOX", **state: Any) -> LedgerFolder:
    columns = {"source_uidvalidity": 1, "is_complete": True, "removed": 0, "totals": {}, "source_messages": 0, **state}
    target = columns.pop("target", name)
    row = LedgerFolder(account=account, source=name, target=target, source_sha256=name.hex()[:64], state=columns)
    row.tip = b""
    row.save()
    return row


# What it says


@pytest.mark.parametrize("state", list(S))
def test_every_state_has_its_sentence_and_its_owner(operator: Client, state: S) -> None:
    account = make_account(state)
    page = read(operator, account)
    assert "Live on" in page
    assert account_page.view(account).state_words in page
    assert account.source_login in page


def test_an_unknown_owner_is_said_aloud(operator: Client) -> None:
    page = read(operator, broken("directory.lost", "target", S.ATTENTION, owner=Owner.UNKNOWN))
    assert "We do not know which server is live." in page
    assert "Live on not known" in page


def test_the_steps_to_come_and_those_done_stand_in_order(operator: Client) -> None:
    account = make_account(S.DONE, cutover=1)
    scenes.journal(account, kinds=("delta", "verify", "switch"))
    account.journal.filter(kind="switch").update(status="done")
    page = read(operator, account)
    names = ["Check before copying", "Copy ahead", "Copy once more", "Compare both sides", "Switch"]
    places = [page.index(name) for name in names]
    assert places == sorted(places)
    assert "Lock the old mailbox" not in page, "the campaign governs nobody"
    assert "8 s." in page


def test_steps_of_a_campaign_with_directories_lock_and_open(operator: Client) -> None:
    from campaigns.models import Connector

    account = make_account(S.READY)
    directory = Connector.objects.create(room="directory", kind="sql", name="people")
    campaign = account.campaign
    campaign.source_directory = campaign.target_directory = directory
    campaign.save()
    page = read(operator, account)
    assert "Lock the old mailbox" in page
    assert "Open the new mailbox" in page


def test_the_servers_words_are_closed_and_never_a_protocol_word_is_outside(operator: Client) -> None:
    html = html_of(operator, broken())
    assert "NO [X] said no" in html
    outside = re.sub(r"<details.*?</details>", "", html, flags=re.DOTALL)
    assert "NO [X] said no" not in outside
    assert "The name or the password for this mailbox is not accepted." in outside


def test_the_timeline_names_who_did_what(operator: Client) -> None:
    account = make_account(S.STAGING)
    dana = make_user()
    ids = {"campaign_id": account.campaign_id, "batch_id": account.batch_id, "account_id": account.pk}
    record("account.stop_requested", actor=dana, **ids)
    record("account.lease.expired", actor="ticker", **ids)
    page = read(operator, account)
    assert f"Asked to stop. {dana.username}" in page
    assert "another one goes on from the last safe place. Mailferry" in page


def test_a_long_history_is_shown_in_part_with_a_way_to_all(operator: Client) -> None:
    account = make_account(S.STAGING)
    for _ in range(60):
        record("account.retried", actor="dana", account_id=account.pk)
    html = html_of(operator, account)
    assert html.count("Asked to try again") == account_page.EVENTS
    assert "All 60 events" in text_of(html.encode())
    assert operator.get(f"/accounts/{account.pk}?events=all").content.decode().count("Asked to try again") == 60


# Folders, what stays behind, the proof


def test_folders_show_both_sides_and_what_stays_behind() -> None:
    account = make_account(S.DONE)
    inbox = folder(account, totals={"1": 90, "2": 5, "4": 3}, source_messages=98)
    folder(account, b"Sent", totals={"1": 10}, source_messages=9, removed=1)
    LeftBehindMessage.objects.create(folder=inbox, source_uidvalidity=1, uid=7, outcome=4, code="message.too_big")
    mail = account_mail.mail_of(account)
    assert [(row.name, row.old, row.new, row.left) for row in mail.folders] == [
        ("Inbox", 98, 95, 3),
        ("Sent", 9, 10, 0),
    ]
    assert (mail.old, mail.new, mail.recorded, mail.removed, mail.is_balanced) == (107, 105, 108, 1, True)


def test_sums_of_a_folder_that_was_not_finished_do_not_balance() -> None:
    account = make_account(S.STAGING)
    folder(account, totals={"1": 4}, source_messages=None, is_complete=False)
    mail = account_mail.mail_of(account)
    assert mail.old is None
    assert not mail.is_balanced
    folder(account, b"Sent", totals={"1": 4}, source_messages=5)
    assert not account_mail.mail_of(account).is_balanced


def test_sums_do_not_balance_while_a_folder_that_no_ledger_knows_keeps_the_account() -> None:
    account = make_account(S.FAILED)
    state = {"is_complete": True, "source_messages": 5, "totals": {str(int(Outcome.COPIED)): 5}}
    LedgerFolder.objects.create(account=account, source=b"INBOX", target=b"INBOX", state=state)
    assert account_mail.mail_of(account).is_balanced
    account.error_code = "folder.bad_name"
    assert not account_mail.mail_of(account).is_balanced


def test_a_folder_under_another_name_says_which() -> None:
    account = make_account(S.DONE)
    folder(account, b"Projects/2024", target=b"INBOX.Projects.2024", totals={"1": 1}, source_messages=1)
    folder(account, b"A:B", target=b"A-B", totals={"1": 1}, source_messages=1)
    assert {row.name: row.called for row in account_mail.mail_of(account).folders} == {
        "A:B": "A-B",
        "Projects / 2024": "",
    }


def test_messages_left_behind_tell_their_reason_and_are_capped(operator: Client) -> None:
    account = make_account(S.DONE)
    inbox = folder(account, totals={"1": 1, "4": 60}, source_messages=61)
    rows = [
        LeftBehindMessage(folder=inbox, source_uidvalidity=1, uid=uid, outcome=Outcome.TOO_BIG, code="", reply="")
        for uid in range(1, 61)
    ]
    LeftBehindMessage.objects.bulk_create(rows)
    html = html_of(operator, account)
    page = text_of(html.encode())
    assert "60 messages left behind" in page
    assert html.count("It is bigger than the new server allows.") == account_mail.MOST_LEFT
    assert "And 10 more." in page
    outside = re.sub(r"<details.*?</details>", "", html, flags=re.DOTALL)
    assert "number 7 in its folder" in html
    assert "number 7 in its folder" not in outside


def test_the_page_costs_the_same_queries_for_one_folder_and_for_many(
    operator: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    small, large = make_account(S.DONE), make_account(S.DONE)
    folder(small, totals={"1": 1}, source_messages=1)
    for number in range(30):
        folder(large, f"F{number}".encode(), totals={"1": 1}, source_messages=1)
        record("account.retried", actor="dana", account_id=large.pk)
    for account in (small, large):
        with django_assert_num_queries(9):
            operator.get(f"/accounts/{account.pk}")


# What mends it: the one right button


@pytest.mark.parametrize(
    ("code", "state", "mend", "button"),
    [
        ("sign_in.refused", S.FAILED, Mend.PASSWORD, "Save and retry"),
        ("preflight.no_password", S.FAILED, Mend.PASSWORD, "Save and retry"),
        ("target.full", S.FAILED, Mend.ROOM, "Room has been made: retry"),
        ("folder.bad_name", S.FAILED, Mend.FOLDER, "Save and retry"),
        ("line.silent", S.FAILED, Mend.RETRY, "Retry"),
        ("pair.strangers", S.FAILED, Mend.VOUCH, "It is one person: go on"),
        ("cutover.late", S.HELD, Mend.GO_ON, "Go on with the move"),
        ("directory.lost", S.ATTENTION, Mend.DECIDE, "Decide"),
        ("", S.ATTENTION, Mend.DECIDE, "Decide"),
    ],
)
def test_each_cause_has_its_one_right_button(operator: Client, code: str, state: S, mend: Mend, button: str) -> None:
    account = broken(code, state=state)
    problem = account_page.view(account).problem
    assert problem is not None
    assert problem.mend is mend
    assert primary(html_of(operator, account)) == button


def test_room_that_was_made_lets_a_waiting_account_try_at_once(operator: Client) -> None:
    account = broken("target.full", "target", S.STAGING, not_before=timezone.now())
    assert primary(html_of(operator, account)) == "Room has been made: retry"
    assert "is tried again." in text_of(post(operator, account, "act", act="retry").content)
    account.refresh_from_db()
    assert account.not_before is None


def test_the_helpdesk_does_not_vouch_for_a_pair_of_mailboxes(helpdesk: Client) -> None:
    account = broken("pair.strangers", "target", S.FAILED)
    assert b"It is one person" not in helpdesk.get(f"/accounts/{account.pk}").content
    assert post(helpdesk, account, "act", act="vouch").status_code == 403


def test_whoever_is_to_vouch_sees_whose_the_mailboxes_seem_to_be(operator: Client) -> None:
    reply = "source: john@old.test in 30 of 30 messages; target: mary@new.test in 12 of 12 messages"
    said = read(operator, broken("pair.strangers", "target", error_reply=reply))
    assert "Old mailbox john@old.test in 30 of 30 messages" in said
    assert "New mailbox mary@new.test in 12 of 12 messages" in said


def test_who_vouches_for_a_pair_of_mailboxes_is_believed_and_named(operator: Client) -> None:
    account = broken("pair.strangers", "target", S.FAILED)
    assert "both mailboxes belong to one person" in text_of(post(operator, account, "act", act="vouch").content)
    account.refresh_from_db()
    assert (account.is_one_person, account.state) == (True, S.STAGING)
    assert event_names(account=account)[-2:] == ["account.vouched", "account.state.staging"]
    assert "Nobody doubts whose mailboxes these are." in text_of(post(operator, account, "act", act="vouch").content)


def test_a_new_password_is_stored_sealed_and_tried(operator: Client) -> None:
    account = broken()
    answer = post(
        operator,
        account,
        "password",
        **{"password-sides": "source", "password-password": " s3cret ", "then": "retry"},
    )
    assert "The new password is stored." in text_of(answer.content)
    assert b"s3cret" not in answer.content
    account.refresh_from_db()
    assert account.state == S.STAGING
    secret = vault.unseal(account, "source_secret")
    assert secret is not None
    assert secret.reveal() == " s3cret "
    assert event_names(account=account)[-2:] == ["account.password.changed", "account.state.staging"]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"password-sides": "source"}, "Enter a password."),
        ({"password-sides": "nowhere", "password-password": "x"}, "nowhere is not one of the available choices"),
        ({"password-sides": "source", "password-password": "known"}, "stored already"),
    ],
)
def test_a_password_that_is_none_is_refused_where_it_was_typed(
    operator: Client, fields: dict[str, str], told: str
) -> None:
    account = broken()
    account.source_secret = vault.seal(Secret("known"), account, "source_secret")
    account.save()
    answer = post(operator, account, "password", **fields, then="retry")
    assert answer.status_code == 422
    assert told in text_of(answer.content)
    assert b'aria-invalid="true"' in answer.content
    account.refresh_from_db()
    assert account.state == S.FAILED


def test_a_password_that_was_refused_is_not_tried_again(operator: Client) -> None:
    account = broken()
    account.source_secret = vault.seal(Secret("wrong"), account, "source_secret")
    account.refused_secret = secrets.fingerprint(account.source_secret)
    account.save()
    page = text_of(post(operator, account, "act", act="retry").content)
    assert "The server has refused this password." in page


def test_a_folder_rule_names_the_folder_that_failed_and_is_tried(operator: Client) -> None:
    account = broken("folder.bad_name", "target")
    error = {"code": "folder.bad_name", "side": "target"}
    record("account.folder.failed", actor="worker", account_id=account.pk, folder="Odd/\\name", error=error)
    assert 'value="Odd/\\name"' in html_of(operator, account)
    fields = {"rule-folder": "Odd/\\name", "rule-action": "rename", "rule-name": "Odd name", "then": "retry"}
    page = text_of(post(operator, account, "rule", **fields).content)
    assert "The rule is kept" in page
    account.refresh_from_db()
    assert account.folder_rules == {"Odd/\\name": {"action": "rename", "name": "Odd name"}}
    assert account.state == S.STAGING


@pytest.mark.parametrize(
    ("fields", "told", "kept"),
    [
        ({"rule-folder": "", "rule-action": "skip"}, "Name the folder that the rule is for.", ""),
        ({"rule-folder": "Old", "rule-action": "rename", "rule-name": " "}, "Give the folder its name", "Old"),
        ({"rule-folder": "Old", "rule-action": "rename", "rule-name": "inbox"}, "Choose another name.", "Old"),
        ({"rule-folder": "Old", "rule-action": "rename", "rule-name": "Old"}, "That is the name it has.", "Old"),
        ({"rule-folder": "Old", "rule-action": "burn"}, "not one of the available choices", "Old"),
    ],
)
def test_a_rule_that_is_none_is_refused_and_the_input_kept(
    operator: Client, fields: dict[str, str], told: str, kept: str
) -> None:
    account = broken("folder.bad_name", "target")
    answer = post(operator, account, "rule", **fields)
    assert answer.status_code == 422
    assert told in text_of(answer.content)
    if kept:
        assert f'value="{kept}"' in answer.content.decode()


def test_rules_are_listed_and_taken_away(operator: Client) -> None:
    account = make_account(S.READY)
    folder_rules.set_rule(account.pk, "Trash", "skip", actor="dana")
    assert "Trash: left out" in read(operator, account)
    assert "The rule is gone" in text_of(post(operator, account, "rule/clear", folder="Trash").content)
    assert "There is no rule for this folder." in text_of(post(operator, account, "rule/clear", folder="Trash").content)


@pytest.mark.parametrize(
    ("verdict", "state"),
    [("forward", S.CUTTING_OVER), ("back", S.ROLLING_BACK), ("on_source", S.FAILED), ("on_target", S.DONE)],
)
def test_a_decision_is_carried_out_with_its_reason(operator: Client, verdict: str, state: S) -> None:
    account = broken("hold.still_held", "target", S.ATTENTION)
    fields = {"decision-verdict": verdict, "decision-reason": "Looked at the directory."}
    assert "Your decision is kept" in text_of(post(operator, account, "resolve", **fields).content)
    account.refresh_from_db()
    assert account.state == state
    assert "Reason: Looked at the directory." in read(operator, account)


def test_a_decision_without_reason_is_none_and_what_was_chosen_stays(operator: Client) -> None:
    account = broken("directory.lost", "target", S.ATTENTION, owner=Owner.UNKNOWN)
    answer = post(operator, account, "resolve", **{"decision-verdict": "on_target", "decision-reason": "  "})
    assert answer.status_code == 422
    assert "A decision needs its reason." in text_of(answer.content)
    assert re.search(r'value="on_target"[^>]*checked', answer.content.decode())


def test_nobody_is_let_back_while_it_is_not_proved_where_they_are(operator: Client) -> None:
    account = broken("directory.lost", "target", S.ATTENTION, owner=Owner.UNKNOWN)
    assert 'value="back"' not in html_of(operator, account)
    answer = post(operator, account, "resolve", **{"decision-verdict": "back", "decision-reason": "because"})
    assert answer.status_code == 422
    account.refresh_from_db()
    assert account.state == S.ATTENTION


def test_who_is_held_goes_on_or_is_let_back(operator: Client) -> None:
    going, back = broken("cutover.late", "", S.HELD), broken("cutover.late", "", S.HELD)
    post(operator, going, "act", act="retry")
    post(operator, back, "act", act="let_back")
    going.refresh_from_db()
    back.refresh_from_db()
    assert (going.state, back.state) == (S.CUTTING_OVER, S.ROLLING_BACK)


# Other acts


@pytest.mark.parametrize(
    ("act", "state", "columns"),
    [
        ("stop", S.STAGING, {"is_stopped": True}),
        ("leave_out", S.READY, {"state": "excluded"}),
        ("take_in", S.EXCLUDED, {"state": "new"}),
    ],
)
def test_an_act_is_done_and_told(operator: Client, act: str, state: S, columns: dict[str, object]) -> None:
    account = make_account(state)
    page = text_of(post(operator, account, "act", act=act, reason="because").content)
    assert account.source_login in page
    account.refresh_from_db()
    assert {name: getattr(account, name) for name in columns} == columns


def test_a_stopped_account_goes_on(operator: Client) -> None:
    account = make_account(S.STAGING, is_stopped=True)
    assert primary(html_of(operator, account)) == "Let it go on"
    assert "goes on." in text_of(post(operator, account, "act", act="go_on").content)


def test_a_reason_that_is_too_long_is_said_and_nothing_is_done(operator: Client) -> None:
    account = make_account(S.READY)
    page = text_of(post(operator, account, "act", act="leave_out", reason="x" * 501).content)
    assert "Nothing was done. Reason: Ensure this value has at most 500 characters" in page
    account.refresh_from_db()
    assert account.state == S.READY


def test_why_somebody_is_left_out_is_kept(operator: Client) -> None:
    account = make_account(S.READY)
    post(operator, account, "act", act="leave_out", reason="Retires in May.")
    assert "Left out of the move. Reason: Retires in May." in read(operator, account)


@pytest.mark.parametrize(
    ("act", "state", "told"),
    [
        ("leave_out", S.DONE, "can be left out."),
        ("take_in", S.READY, "This account is not left out."),
        ("stop", S.DONE, "The user is on the new server already"),
        ("go_on", S.READY, "This account is not stopped."),
        ("let_back", S.READY, "there is nothing to go back from."),
        ("retry", S.READY, "There is nothing to try again with this account."),
        ("finish", S.ATTENTION, "There is no such action."),
        ("burn", S.READY, "There is no such action."),
    ],
)
def test_what_cannot_be_done_says_why_in_the_words_of_pages(operator: Client, act: str, state: S, told: str) -> None:
    account = make_account(state)
    assert told in text_of(post(operator, account, "act", act=act).content)
    account.refresh_from_db()
    assert account.state == state


def test_an_act_from_a_list_leads_back_to_it_and_nowhere_else(operator: Client) -> None:
    account = broken("line.silent")
    back = f"/batches/{account.batch_id}?state=failed"
    assert operator.post(f"/accounts/{account.pk}/act", {"act": "retry", "back": back})["Location"] == back
    for elsewhere in ("https://evil.example/", "//evil.example/", "/\\evil.example/", "evil", "account", ""):
        answer = operator.post(f"/accounts/{account.pk}/act", {"act": "retry", "back": elsewhere})
        assert answer["Location"] == f"/accounts/{account.pk}"


def test_the_log_is_downloaded_with_everything_and_no_formula(operator: Client) -> None:
    account = make_account(S.READY)
    post(operator, account, "act", act="leave_out", reason="x")
    answer = operator.get(f"/accounts/{account.pk}/log.csv")
    table = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]
    assert "Left out of the move." in table
    assert "account.state.excluded" in table


# Who may


def test_the_helpdesk_looks_up_retries_and_stops_and_nothing_else(helpdesk: Client) -> None:
    account = broken("line.silent")
    page = html_of(helpdesk, account)
    assert primary(page) == "Retry"
    assert "Password, folder rules" not in page
    assert f'href="/batches/{account.batch_id}"' not in page
    assert post(helpdesk, account, "act", act="leave_out").status_code == 403
    assert post(helpdesk, account, "password", **{"password-password": "x"}).status_code == 403
    assert post(helpdesk, account, "rule", **{"rule-folder": "x"}).status_code == 403
    assert post(helpdesk, account, "rule/clear", folder="x").status_code == 403
    assert post(helpdesk, account, "act", act="retry").status_code == 200
    account.refresh_from_db()
    assert account.state == S.STAGING
    assert post(helpdesk, account, "act", act="stop").status_code == 200


@pytest.mark.parametrize(("act", "state"), [("stop", S.CUTTING_OVER), ("retry", S.HELD), ("let_back", S.HELD)])
def test_who_is_in_the_middle_of_a_move_is_not_for_the_helpdesk(helpdesk: Client, act: str, state: S) -> None:
    account = make_account(state)
    assert primary(html_of(helpdesk, account)) == ""
    assert post(helpdesk, account, "act", act=act).status_code == 403
    account.refresh_from_db()
    assert account.state == state
    assert not account.stop_requested


def test_the_helpdesk_decides_nothing(helpdesk: Client) -> None:
    account = broken("directory.lost", "target", S.ATTENTION)
    assert "An operator has to decide this." in read(helpdesk, account)
    fields = {"decision-verdict": "on_target", "decision-reason": "x"}
    assert post(helpdesk, account, "resolve", **fields).status_code == 403


def test_a_manager_reads_and_does_nothing(client: Client) -> None:
    client.force_login(make_user(is_manager=True))
    account = broken("line.silent")
    assert primary(html_of(client, account)) == ""
    assert post(client, account, "act", act="retry").status_code == 403
    assert client.get(f"/accounts/{account.pk}/log.csv").status_code == 200


def test_a_stranger_is_led_to_sign_in_and_a_missing_account_is_404(client: Client, operator: Client) -> None:
    assert operator.get("/accounts/999999").status_code == 404
    client.logout()
    assert client.get(f"/accounts/{make_account().pk}").status_code == 302


def test_an_account_of_a_closed_campaign_is_only_read(operator: Client) -> None:
    account = broken("line.silent")
    account.campaign.closed_at = timezone.now()
    account.campaign.save()
    assert primary(html_of(operator, account)) == ""
    assert post(operator, account, "act", act="retry").status_code == 403


# News


def test_nothing_new_is_204_and_what_changed_comes_alone(operator: Client) -> None:
    account = make_account(S.STAGING, messages_total=10, messages_done=1, error_code="")
    html = html_of(operator, account)
    seen = re.search(r'"seen": "([0-9a-f]+)"', html)
    assert seen is not None
    address = f"/accounts/{account.pk}/live?seen={seen[1]}"
    assert operator.get(address).status_code == 204
    Account.objects.filter(pk=account.pk).update(messages_done=2)
    news = operator.get(address).content.decode()
    assert "2 of 10" in news
    assert 'id="timeline"' not in news
    assert 'id="changed"' not in news


def test_a_new_state_is_announced_and_forms_are_left_alone(operator: Client) -> None:
    account = broken()
    html = html_of(operator, account)
    seen = re.search(r'"seen": "([0-9a-f]+)"', html)
    assert seen is not None
    Account.objects.filter(pk=account.pk).update(state=S.STAGING, error_code="")
    news = operator.get(f"/accounts/{account.pk}/live?seen={seen[1]}").content.decode()
    assert "It has come further since you opened this page." in text_of(news.encode())
    assert "<form" not in news


def test_an_account_that_rests_for_good_asks_for_no_news(operator: Client) -> None:
    assert "data-live=" not in html_of(operator, make_account(S.DONE))
    assert 'data-live="15"' in html_of(operator, make_account(S.READY, target=make_server()))
