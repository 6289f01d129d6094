"""What the demo plans is what an operator would: a list that the panel reads, and a login for each role."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.contrib.auth import authenticate

from campaigns.demo import planning
from campaigns.demo.people import invent
from campaigns.management.commands.demo import environment
from campaigns.models import User
from campaigns.services import imports
from campaigns.services.rosters import Reading
from tests.campaigns.factories import make_campaign


@pytest.mark.django_db
def test_a_login_for_each_role_has_that_role_alone() -> None:
    passwords = planning.make_staff()
    for role, password in passwords.items():
        user = authenticate(None, username=role, password=password)
        assert isinstance(user, User)
        assert [name for name in planning.ROLES if getattr(user, f"is_{name}")] == [role]


@pytest.mark.django_db
def test_the_list_is_one_that_the_panel_reads_without_a_remark(tmp_path: Path) -> None:
    people = invent(40, 7).people
    (tmp_path / "list.tsv").write_text(planning.roster(people), encoding="utf-8")
    campaign = make_campaign()
    done = imports.take_in(campaign, tmp_path / "list.tsv", Reading(planning.COLUMNS), actor="test")
    assert done.comparison.figures["added"] == 40
    stored = campaign.accounts.get(source_login=people[0].login)
    assert (stored.display_name, stored.phone, stored.department) == (
        people[0].name,
        people[0].phone,
        people[0].department,
    )
    assert not [row for row in done.comparison.rows if row.remarks]


def test_the_demo_is_never_led_into_a_real_installation() -> None:
    real = {
        "DATABASE_URL": "postgresql://mailferry@db/mailferry",
        "REDIS_URL_FILE": "/run/secrets/redis",
        "MAILFERRY_DATA": "/var/lib/mailferry",
        "MAILFERRY_VAULT_KEYS": "k",
        "MAILFERRY_PORT": "8100",
        "PATH": "/usr/bin",
    }
    assert environment(real, Path("/tmp/demo")) == {
        "MAILFERRY_PORT": "8100",
        "PATH": "/usr/bin",
        "MAILFERRY_DEMO": "1",
        "MAILFERRY_DATA": "/tmp/demo",
    }
