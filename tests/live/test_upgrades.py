"""An installation of an earlier version is brought to this one, on both databases, with what it holds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rigs.panel import ROOT
from tests.rigs.postgres import Postgres

# What the panel wrote at the time: through the models as they were.
FILL = """
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone
apps = MigrationExecutor(connection).loader.project_state([("campaigns", {schema!r})]).apps
model = lambda name: apps.get_model("campaigns", name)
now = timezone.now()
user = model("User").objects.create(username="anna", password="!")
one, other = (model("Server").objects.create(name=name, host=name, port=993) for name in ("old", "new"))
campaign = model("Campaign").objects.create(name="Town", source=one, target=other, recipe="classic")
batch = model("Batch").objects.create(campaign=campaign, number=1, name="First", started_at=now)
for number in range(600):
    account = model("Account").objects.create(
        campaign=campaign, batch=batch, source=one, target=other, source_login=f"user.{{number}}@old.example",
        target_login=f"u{{number}}@new.example", display_name="Jürgen Müller" if number == 7 else f"Person {{number}}",
        department="Straßenbau", phone="+49 89 1234567", state="done" if number < 100 else "new",
        owner="target" if number < 100 else "source", cutover=1 if number < 100 else 0,
    )
    model("AccountName").objects.create(account=account, kind="login", value=account.source_login)
    if number < 100:
        model("Event").objects.create(
            at=now, name="account.state.done", account=account, batch=batch, campaign=campaign, data={{}}
        )
model("JournalEntry").objects.create(
    account=account, cutover=1, position=0, kind="disable", side="source", status="done", begun_at=now
)
model("Event").objects.create(at=now, name="batch.started", actor=user, actor_name="anna", campaign=campaign,
                              batch=batch, data={{"accounts": 600}})
"""
# What this version makes of it.
READ = """
import json
from django.db.models import Count
from campaigns.models import Account, AccountName, Batch, Event, MovedHour, User
found = Account.objects.get(display_name="Jürgen Müller")
print(json.dumps({
    "accounts": dict(Account.objects.values_list("state").annotate(Count("pk")).order_by()),
    "rules": found.folder_rules, "outcomes": found.outcomes, "vouched": found.is_one_person,
    "words": sorted(AccountName.objects.filter(account=found, kind="word").values_list("value", flat=True)),
    "hours": sum(MovedHour.objects.values_list("accounts", flat=True)),
    "events": Event.objects.count(), "by": Event.objects.get(name="batch.started").actor.username,
    "nights": [list(row) for row in Account.objects.values_list("night_recipe", "night_steps").annotate(Count("pk"))
               .order_by("night_recipe")],
    "batch": Batch.objects.get().name, "staff": list(User.objects.values_list("username", flat=True)),
}))
"""


# By which the nights of the first versions went, whatever the recipes are since.
FORMER_STEPS = [
    ["disable", "source", ""], ["delta", "", ""], ["verify", "", ""], ["switch", "", ""], ["enable", "target", ""],
]  # fmt: skip


class Installation:
    """A folder and a database, and the programs of the panel on them."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("MAILFERRY")}
        self._environment |= {"MAILFERRY_DATA": str(folder), "DATABASE_URL": database_url}
        self._environment["DJANGO_SETTINGS_MODULE"] = "campaigns.settings"

    def manage(self, *words: str) -> str:
        """Run one command of manage.py; return what it printed."""
        argv = [sys.executable, "manage.py", *words]
        done = subprocess.run(argv, cwd=ROOT, env=self._environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(params=["sqlite", "postgresql"])
def installation(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Installation]:
    if request.param == "sqlite":
        yield Installation(tmp_path, f"sqlite:///{tmp_path / 'panel.sqlite3'}")
        return
    with Postgres() as database:
        yield Installation(tmp_path, database.url)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("schema", ["0001_first", "0005_account_pace"])
def test_an_earlier_installation_keeps_all_it_holds(installation: Installation, schema: str) -> None:
    installation.manage("migrate", "--verbosity=0", "campaigns", schema)
    installation.manage("shell", "--no-imports", "--command", FILL.format(schema=schema))
    installation.manage("migrate", "--verbosity=0")
    assert json.loads(installation.manage("shell", "--no-imports", "--command", READ)) == {
        "accounts": {"done": 100, "new": 500},
        "rules": {},
        "outcomes": {},
        "vouched": False,
        "words": ["jurgen", "muller", "strassenbau", "u7", "user", "user7"] if schema == "0001_first" else [],
        "hours": 100,
        "events": 101,
        "by": "anna",
        "nights": [["", [], 500], ["classic", FORMER_STEPS, 100]],
        "batch": "First",
        "staff": ["anna"],
    }
    installation.manage("makemigrations", "--check", "--dry-run")
    installation.manage("check")
