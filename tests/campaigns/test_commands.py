"""The commands for operators, as a shell runs them: what they do, what they say, and how they refuse."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from campaigns import tasks
from campaigns.bridge import vault
from campaigns.management import shell
from campaigns.management.commands import batch as batch_command
from campaigns.models import Account, AllowedAddress, Batch, Campaign, Connector, Event, GoSaid, Server
from campaigns.selectors import stories
from campaigns.services import preflights
from campaigns.services.refusals import SENTENCES
from campaigns.states import AccountState, Owner
from migrator.errors import MigratorError, Side
from migrator.preflight import Failure
from tests.campaigns.factories import event_names, make_server, put

pytestmark = pytest.mark.django_db
S = AccountState

DESCRIPTION = """
allowed = ["old.example.test", "new.example.test", "ldap.example.test"]

[campaign]
name = "the move"
recipe = "plain"
catch_up_days = 3

[source]
name = "old"
host = "old.example.test"
admin_login = "admin"
admin_password_file = "{folder}/admin"
max_lanes = 4

[target]
name = "new"
host = "new.example.test"
port = 1143
security = "plain"

[source_directory]
name = "people"
kind = "ldap"
password_file = "{folder}/directory"
[source_directory.options]
uris = ["ldaps://ldap.example.test"]
bind_dn = "uid=migrator,dc=example,dc=test"
base = "ou=people,dc=example,dc=test"
status = "emailPersonStatus"
"""


class Shell:
    """Runs commands; keeps what the last one said."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.out = self.err = ""

    def run(self, *words: str) -> str:
        out, err = io.StringIO(), io.StringIO()
        try:
            call_command(*words, stdout=out, stderr=err)
        finally:
            self.out, self.err = out.getvalue(), err.getvalue()
        return self.out

    def refused(self, *words: str) -> str:
        """Run a command that is refused; return the sentence."""
        with pytest.raises(CommandError) as refusal:
            self.run(*words)
        return str(refusal.value)

    def json(self, *words: str) -> Any:
        return json.loads(self.run(*words, "--json"))

    def write(self, name: str, text: str) -> str:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    def describe(self, **replaced: str) -> str:
        text = DESCRIPTION.format(folder=self.folder)
        for name, line in replaced.items():
            text = "\n".join(line if row.startswith(f"{name} = ") else row for row in text.splitlines())
        return self.write("move.toml", text)


@pytest.fixture
def operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    monkeypatch.setattr(shell.installation, "require_ready", lambda: None)  # keys come from the environment here
    shell_of = Shell(tmp_path)
    shell_of.write("admin", "of the admin\n")
    shell_of.write("directory", "of the directory\n")
    return shell_of


@pytest.fixture
def batch(operator: Shell) -> Batch:
    """A campaign of four accounts that wait."""
    source, target = make_server(name="old"), make_server(name="new")
    described = {"campaign": {"name": "the move"}, "source": source.name, "target": target.name}
    operator.run("campaign", "create", operator.write("move.json", json.dumps(described)))
    rows = "".join(f"{name}\tpw\n" for name in ("anna", "bert", "carl", "dora"))
    operator.run("import_list", "the move", operator.write("list.tsv", f"Name\tPassword\n{rows}"))
    return Batch.objects.get()


def account(login: str) -> Account:
    return Account.objects.get(source_login=login)


# --- campaign


def test_a_campaign_is_created_from_its_description_with_sealed_passwords(operator: Shell) -> None:
    said = operator.run("campaign", "create", operator.describe())
    assert said == "The campaign the move is planned: from old to new.\n"
    campaign = Campaign.objects.get()
    assert (campaign.recipe, campaign.catch_up_days, campaign.refresh_hours) == ("plain", 3, 24)
    assert (campaign.source.port, campaign.source.security, campaign.source.max_lanes) == (993, "tls", 4)
    assert (campaign.target.port, campaign.target.security) == (1143, "plain")
    secrets = [vault.unseal(campaign.source, "admin_secret"), vault.unseal(campaign.source_directory, "secret")]
    assert [secret.reveal() for secret in secrets if secret] == ["of the admin", "of the directory"]
    assert AllowedAddress.objects.count() == 3
    assert {"server.created", "connector.created", "campaign.created", "address.allowed"} == {*event_names()}
    assert all(name.startswith("shell") for name in Event.objects.values_list("actor_name", flat=True))


def test_a_server_may_be_described_with_the_way_in_of_its_administrator(operator: Shell) -> None:
    described = operator.describe(max_lanes='admin_access = "google"\nproduct = "Gmail"')
    operator.run("campaign", "create", described)
    source = Campaign.objects.get().source
    assert (source.admin_access, source.product) == ("google", "Gmail")
    assert source.token_endpoint == "https://oauth2.googleapis.com/token"
    assert Campaign.objects.get().target.admin_access == "authzid"


def test_a_second_campaign_names_what_is_there(operator: Shell) -> None:
    operator.run("campaign", "create", operator.describe())
    second = {
        "campaign": {"name": "the second", "recipe": "classic"},
        "source": "old",
        "target": "new",
        "source_directory": "people",
        "target_directory": "people",
    }
    operator.run("campaign", "create", operator.write("second.json", json.dumps(second)))
    campaign = Campaign.objects.get(name="the second")
    assert campaign.source_directory == campaign.target_directory == Connector.objects.get()
    assert Server.objects.count() == 2


@pytest.mark.parametrize(
    ("replaced", "sentence"),
    [
        ({"recipe": 'recipe = "magic"'}, "recipe must be one of classic, plain"),
        ({"catch_up_days": "catch_up_days = true"}, "catch_up_days must be a whole number"),
        ({"catch_up_days": "catch_up_days = -1"}, "catch_up_days must not be negative"),
        ({"max_lanes": "max_lane = 4"}, "source: nothing is called max_lane"),
        ({"max_lanes": "max_lanes = 0"}, "max_lanes from 1 to"),
        ({"port": "port = 70000"}, "port must be below 65,536"),
        ({"max_lanes": 'admin_access = "{user}"'}, "source: The name holds {user} and {admin}"),
        ({"max_lanes": 'admin_access = "microsoft"'}, "source: Enter the whole address at which tokens"),
        ({"max_lanes": 'product = "Eudora"'}, "source: That is no product"),
        ({"security": 'security = "ssl"'}, "security must be one of"),
        ({"kind": 'kind = "nis"'}, "there is no kind 'nis'"),
        ({"status": 'statsu = "x"'}, "source_directory: The option status must be"),
        ({"host": 'host = ""'}, "there is no host"),
        ({"name": 'name = " "'}, "there is no name"),
    ],
)
def test_a_description_that_cannot_be_meant_creates_nothing(
    operator: Shell, replaced: dict[str, str], sentence: str
) -> None:
    refusal = operator.refused("campaign", "create", operator.describe(**replaced))
    assert sentence in refusal
    assert refusal.endswith("Nothing was created.")
    assert not Server.objects.exists()
    assert not AllowedAddress.objects.exists()
    assert not Event.objects.exists()


def test_a_server_that_is_there_is_not_altered_by_a_description(operator: Shell) -> None:
    operator.run("campaign", "create", operator.describe())
    refusal = operator.refused("campaign", "create", operator.describe(max_lanes="max_lanes = 9"))
    assert "old is there already with another max_lanes" in refusal
    assert Server.objects.get(name="old").max_lanes == 4


def test_a_name_that_is_taken_and_files_that_are_missing_are_sentences(operator: Shell) -> None:
    operator.run("campaign", "create", operator.describe())
    assert operator.refused("campaign", "create", operator.describe()) == "There is a campaign of this name already."
    assert "No such file" in operator.refused("campaign", "create", str(operator.folder / "nowhere.toml"))
    assert "cannot be read" in operator.refused("campaign", "create", operator.write("bad.toml", "= ="))


def test_a_recipe_is_accepted_or_refused_in_sentences(operator: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    operator.run("campaign", "create", operator.describe())
    asked: list[dict[Side, str]] = []
    found = [Failure("disabled_access", MigratorError("preflight.no_admin", side=Side.TARGET))]

    def prove(campaign: Campaign, disabled: dict[Side, str], *, actor: str) -> list[Failure]:
        asked.append(disabled)
        return found

    monkeypatch.setattr(preflights, "accept_recipe", prove)  # the real one needs servers: tests/live/test_batch.py
    refusal = operator.refused("campaign", "accept", "the move", "--source", "off@x.test", "--target", "away")
    assert refusal == "The recipe plain is refused: it could lock users out for nothing."
    assert "(at the target)" in operator.err
    found.clear()
    assert operator.run("campaign", "accept", "the move", "--source", "off") == "The recipe plain is accepted.\n"
    assert asked == [{Side.SOURCE: "off@x.test", Side.TARGET: "away"}, {Side.SOURCE: "off"}]


def test_campaigns_are_paused_resumed_looked_at_and_closed(operator: Shell, batch: Batch) -> None:
    assert operator.run("campaign", "pause", "the move", "--reason", "lunch") == "the move is paused.\n"
    assert operator.run("campaign", "pause", "the move") == "the move was paused, or is closed.\n"
    assert "the move (plain, paused): 4 accounts: 4 new.\n  batch 1: 4 accounts" in operator.run("campaign", "status")
    operator.run("campaign", "resume", "the move")
    (told,) = operator.json("campaign", "status", "the move")["campaigns"]
    assert (told["is_paused"], told["states"], told["batches"]) == (
        False, {"new": 4}, [{"number": 1, "states": {"new": 4}}],
    )  # fmt: skip
    operator.run("campaign", "close", "the move")
    assert operator.refused("campaign", "close", "the move") == "This campaign is closed."
    assert "There is no campaign 'that'. There is: the move." in operator.refused("campaign", "status", "that")


# --- import_list


def test_a_preview_tells_row_by_row_and_changes_nothing(operator: Shell, batch: Batch) -> None:
    path = operator.write(
        "later.tsv", "Name\tPassword\tHair\nanna\tother\tx\nbert\tpw\tx\nemil\t{SHA}x\tx\nfred\t\tx\n"
    )
    said = operator.run("import_list", "the move", path, "--preview")
    assert "Line 4, added: The password for the source may be a hash (unknown)." in said
    assert "Line 5, refused: There is no password for the source" in said
    assert "Not in this list: carl\nNot in this list: dora\n" in said
    assert "Ignored columns: Hair." in said
    assert "1 added, 1 changed, 1 same, 0 left alone, 1 refused, 1 warned, 2 gone" in said
    facts = operator.json("import_list", "the move", path, "--preview")
    assert [row["fate"] for row in facts["rows"]] == ["changed", "same", "added", "refused"]
    assert facts["rows"][0]["changes"] == ["source_password", "target_password"]
    assert facts["gone"] == ["carl", "dora"]
    assert Account.objects.count() == 4


def test_a_list_with_refused_rows_is_imported_only_without_them(operator: Shell, batch: Batch) -> None:
    path = operator.write("later.tsv", "Name\tPassword\nemil\tpw\nfred\t\n")
    refusal = operator.refused("import_list", "the move", path)
    assert refusal == "Some rows cannot be carried out, so nothing was imported. See --without-refused."
    assert "Line 3, refused" in operator.out
    assert Account.objects.count() == 4
    assert "Batches made: 2." in operator.run("import_list", "the move", path, "--without-refused")
    assert Account.objects.filter(batch__number=2).count() == 1


def test_columns_domains_size_and_times_are_options(operator: Shell, batch: Batch) -> None:
    path = operator.write("later.csv", "Name,Password,Tel\nemil,pw,030 1\nfred,pw,030 2\n")
    operator.run(
        "import_list", "the move", path, "--column", "phone=Tel", "--source-domain", "x.test", "--size", "1",
        "--starts-at", "2030-03-01T22:00+00:00", "--every", "24", "--limit", "canary=1",
    )  # fmt: skip
    assert account("emil@x.test").phone == "030 1"
    second, third = Batch.objects.filter(number__gt=1).order_by("number")
    assert (second.canary, second.starts_at.day, third.starts_at.day) == (1, 1, 2)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--column", "shoe=Tel"], "No account has shoe"),
        (["--column", "phone=Tel"], "does not name the column Tel"),
        (["--column", "phone"], "is not NAME=VALUE"),
        (["--limit", "speed=3"], "a limit is a whole number"),
        (["--starts-at", "tomorrow"], "is no time"),
        (["--size", "0"], "A batch holds at least one account."),
    ],
)
def test_options_that_cannot_be_meant_are_sentences(
    operator: Shell, batch: Batch, words: list[str], sentence: str
) -> None:
    path = operator.write("later.tsv", "Name\tPassword\nemil\tpw\n")
    assert sentence in operator.refused("import_list", "the move", path, *words)
    assert Account.objects.count() == 4


# --- batch


def test_a_batch_is_planned_started_sent_off_and_held_back(operator: Shell, batch: Batch) -> None:
    operator.run(
        "batch", "plan", "the move", "1", "--name", "the first", "--limit", "canary=2",
        "--window-begins-at", "2030-03-01T22:00+00:00", "--window-ends-at", "2030-03-02T04:00+00:00",
    )  # fmt: skip
    operator.run("batch", "plan", "the move", "1", "--starts-at", "2030-03-01T20:00+00:00")
    assert operator.run("batch", "start", "the move", "1") == "Batch 1 has been started.\n"
    assert operator.run("batch", "go", "the move") == "Batch 1 goes.\n"
    batch.refresh_from_db()
    assert (batch.name, batch.canary, batch.window_ends_at.day) == ("the first", 2, 2)
    assert batch.started_at
    assert batch.go_at
    for verb in ("pause", "resume", "withdraw-go", "pass-canary"):
        operator.run("batch", verb, "the move", "1")
    assert [name for name in event_names(batch=batch) if "planned" not in name][2:] == [
        "batch.started", "batch.go", "batch.paused", "batch.resumed", "batch.go_withdrawn", "batch.canary_passed",
    ]  # fmt: skip


def test_nobody_says_go_past_what_is_needed_without_a_reason(operator: Shell, batch: Batch) -> None:
    Campaign.objects.update(recipe="switching")  # a person locks everybody out
    operator.run("batch", "start", "the move")
    with pytest.raises(SystemExit):
        operator.run("batch", "go", "the move")
    assert "  Alarms: Nobody has read a test alarm" in operator.err
    assert "Batch 1: Something that is needed before anybody says go is not well." in operator.err
    batch.refresh_from_db()
    assert batch.go_at is None
    assert operator.run("batch", "go", "the move", "--despite", "the pager is away") == "Batch 1 goes.\n"
    said = Event.objects.get(name="batch.go")
    assert (said.data["despite"], GoSaid.objects.get().findings[0]["is_well"]) == ("the pager is away", False)
    assert stories.story(said).endswith("Something that is needed was not well. Reason: the pager is away")


def test_a_reason_that_nobody_needed_is_not_kept(operator: Shell, batch: Batch) -> None:
    operator.run("batch", "start", "the move")
    assert operator.run("batch", "go", "the move", "--despite", "as every night") == "Batch 1 goes.\n"
    said = Event.objects.get(name="batch.go")
    assert "despite" not in said.data
    assert "was not well" not in stories.story(said)


def test_what_one_batch_refuses_does_not_keep_the_others_back(operator: Shell, batch: Batch) -> None:
    operator.run("import_list", "the move", operator.write("more.tsv", "Name\tPassword\nemil\tpw\n"))
    operator.run("batch", "start", "the move", "1")
    with pytest.raises(SystemExit):
        operator.run("batch", "start", "the move")
    assert (operator.out, operator.err) == (
        "Batch 2 has been started.\n", "Batch 1: This batch has been started already.\n",
    )  # fmt: skip
    assert operator.refused("batch", "start", "the move", "7") == "The campaign the move has no batch 7."


def test_the_status_tells_what_is_waited_for_and_why_accounts_failed(operator: Shell, batch: Batch) -> None:
    assert "It waits for its start." in operator.run("batch", "status", "the move")
    put(account("anna"), S.FAILED, error_code="target.full")
    put(account("bert"), S.DONE, lockout_seconds=2.0)
    put(account("carl"), S.DONE, lockout_seconds=4.0)
    said = operator.run("batch", "status", "the move", "1")
    assert "Batch 1, 4 accounts: 2 done, 1 failed, 1 new." in said
    assert "1 x target.full: " in said
    (told,) = operator.json("batch", "status", "the move")["batches"]
    assert told["states"] == {"done": 2, "failed": 1, "new": 1}
    assert (told["causes"], told["waits_for"]) == ({"target.full": 1}, "start")
    assert told["lockout"] == {"users": 2, "median_seconds": 3.0, "worst_seconds": 4.0}


# --- account


def test_an_account_is_shown_with_its_history_and_without_its_password(operator: Shell, batch: Batch) -> None:
    put(account("anna"), S.FAILED, error_code="sign_in.refused", error_side="source", error_reply="NO go away")
    said = operator.run("account", "show", "the move", "Anna")
    assert said.startswith("anna: failed, owner source, waits for person\n")
    assert "sign_in.refused: " in said
    assert "NO go away" in said
    (told,) = operator.json("account", "show", "the move", "anna")["accounts"]
    assert (told["state"], told["error_code"], told["batch"]) == ("failed", "sign_in.refused", 1)
    assert "secret" not in json.dumps(told)
    assert operator.refused("account", "show", "the move", "zoe") == "The campaign the move has no accounts 'zoe'."


def test_accounts_are_stopped_resumed_excluded_and_taken_in(operator: Shell, batch: Batch) -> None:
    operator.run("account", "stop", "the move", "anna", "bert")
    assert [account(name).is_stopped for name in ("anna", "bert", "carl")] == [True, True, False]
    operator.run("account", "resume", "the move", "anna")
    assert not account("anna").is_stopped
    operator.run("account", "exclude", "the move", "carl", "--reason", "left the company")
    assert account("carl").state == S.EXCLUDED
    operator.run("account", "take-in", "the move", "carl")
    assert account("carl").state == S.NEW
    assert "left the company" in str([*Event.objects.filter(account=account("carl")).values_list("data", flat=True)])


def test_accounts_are_retried_by_name_or_by_cause(operator: Shell, batch: Batch) -> None:
    for name in ("anna", "bert", "carl"):
        put(account(name), S.FAILED, error_code="target.full", resume_state=S.CHECKING)
    operator.run("account", "retry", "the move", "anna")
    assert account("anna").state == S.CHECKING
    said = operator.run("account", "retry", "the move", "--cause", "target.full", "--batch", "1")
    assert said == "2 accounts are tried again.\n"
    assert {account(name).state for name in ("bert", "carl")} == {S.CHECKING}


def test_a_refusal_is_told_and_ends_with_1_and_the_others_are_done(operator: Shell, batch: Batch) -> None:
    put(account("anna"), S.DONE)
    with pytest.raises(SystemExit) as end:
        operator.run("account", "stop", "the move", "anna", "bert")
    assert end.value.code == 1
    assert operator.err == "anna: The user is on the target already, or may be: from here there is only forward.\n"
    assert account("bert").is_stopped


def test_a_held_user_is_let_back_and_a_doubtful_one_is_decided_about(operator: Shell, batch: Batch) -> None:
    put(account("anna"), S.HELD)
    operator.run("account", "roll-back", "the move", "anna")
    assert account("anna").state == S.ROLLING_BACK
    put(account("bert"), S.ATTENTION, owner=Owner.UNKNOWN)
    operator.run("account", "resolve", "the move", "bert", "--verdict", "on_target", "--reason", "seen by hand")
    assert (account("bert").state, account("bert").owner) == (S.DONE, Owner.TARGET)


def test_who_has_moved_is_taken_back_and_a_batch_its_first_few_before_all_others(operator: Shell, batch: Batch) -> None:
    for name in ("anna", "bert", "carl"):
        put(account(name), S.DONE)
    operator.run("account", "take-back", "the move", "anna", "--reason", "asked for it")
    assert account("anna").state == S.ROLLING_BACK
    with pytest.raises(SystemExit):
        operator.run("batch", "take-back", "the move", "1", "--reason", "too slow")
    assert operator.err == f"Batch 1: {SENTENCES['return.first_few']}\n"
    said = operator.run("batch", "take-back", "the move", "1", "--first", "1", "--reason", "too slow")
    assert said == "Batch 1: 1 accounts are taken back to the source.\n"
    assert {name: account(name).state for name in ("bert", "carl")} == {"bert": S.ROLLING_BACK, "carl": S.DONE}


def test_a_way_back_that_is_refused_to_one_batch_keeps_no_other_from_it(
    operator: Shell, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator.run("import_list", "the move", operator.write("more.tsv", "Name\tPassword\nemil\tpw\n"))
    put(account("emil"), S.DONE)
    woken: list[bool] = []
    monkeypatch.setattr(batch_command, "wake", lambda: woken.append(True))
    asking = ("batch", "take-back", "the move", "1", "2", "--first", "1", "--reason", "too slow")
    with pytest.raises(SystemExit) as ended:
        operator.run(*asking)  # nobody of the first has moved
    assert (ended.value.code, woken) == (1, [True])
    assert operator.err == f"Batch 1: {SENTENCES['return.nobody']}\n"
    assert operator.out == "Batch 2: 1 accounts are taken back to the source.\n"
    assert account("emil").state == S.ROLLING_BACK


def test_a_way_back_that_is_refused_to_every_account_is_no_success(operator: Shell, batch: Batch) -> None:
    put(account("anna"), S.DONE, source_removed_at=timezone.now())
    with pytest.raises(SystemExit) as ended:
        operator.run("batch", "take-back", "the move", "1", "--first", "1", "--reason", "too slow")
    assert ended.value.code == 1
    assert operator.err == f"Batch 1, 1 accounts: {SENTENCES['return.retired']}\n"
    assert account("anna").state == S.DONE


def test_what_is_asked_for_wakes_the_clock(
    operator: Shell, batch: Batch, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    woken: list[bool] = []
    monkeypatch.setattr(tasks.wake, "apply_async", lambda: woken.append(True))
    with django_capture_on_commit_callbacks(execute=True):
        operator.run("batch", "start", "the move")
    assert woken == [True]
