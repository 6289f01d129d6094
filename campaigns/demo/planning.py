"""What an operator would click together, done for the demo: servers, connectors, campaign, list, batches, start, go."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from campaigns.demo import dovecot
from campaigns.demo.directory import directory_options, route_options
from campaigns.demo.people import DOMAIN, FIRM, PROBE, Person, pilot_size
from campaigns.demo.platform import Platform
from campaigns.demo.servers import ADMIN, HOST
from campaigns.models import Campaign, Event, User
from campaigns.services import batches, imports, preflights, setups
from campaigns.services.imports import Cutting
from campaigns.services.rosters import Reading
from migrator.errors import Side

ACTOR: Final = "demo"
ROLES: Final = ("operator", "helpdesk", "manager", "administrator")
CAMPAIGN: Final = f"{FIRM} moves"
_LANES: Final = 2  # accounts at a server at once: few, so that there is something to watch
# The mailbox that is full is looked at once more after half a minute, and then left to people.
_LIMITS: Final = {"max_attempts": 2, "stop_at_failed_percent": 50, "parallel_cutovers": _LANES}
COLUMNS: Final = {
    "display_name": "Real name",
    "phone": "Phone",
    "department": "Department",
    "language": "Language",
}


def make_staff() -> dict[str, str]:
    """Create a login for each role; return their passwords, which stand nowhere else."""
    passwords = {}
    for role in ROLES:
        passwords[role] = secrets.token_urlsafe(9)
        flags = {f"is_{role}": True}
        user = User.objects.create_user(role, f"{role}@{DOMAIN}", passwords[role], **flags)
        Event.objects.create(name="staff.created", actor_name=ACTOR, data={"user": user.username, "role": role})
    return passwords


def plan(platform: Platform, folder: Path) -> Campaign:
    """Make the campaign with its batches, and have its recipe accepted. Raises ``MigratorError`` when it is not."""
    campaign = setups.create(
        _description(platform), actor=ACTOR, read_password=lambda name: platform.admin_password if name else ""
    )
    failures = preflights.accept_recipe(campaign, dict.fromkeys(Side, PROBE), actor=ACTOR)
    if failures:
        raise failures[0].error
    people = platform.cast.people
    pilot = pilot_size(len(people))
    _take_in(campaign, people[:pilot], folder / "pilot.tsv", size=pilot)
    rest = people[pilot:]
    _take_in(campaign, rest, folder / "everybody.tsv", size=-(-len(rest) // 2))
    for batch, name in zip(campaign.batches.order_by("number"), ("Pilot", "Quay side", "Harbour office"), strict=False):
        batches.plan(batch, actor=ACTOR, name=name)
    return campaign


def start(campaign: Campaign) -> None:
    """Start all batches and say go."""
    for batch in campaign.batches.order_by("number"):
        batches.start(batch, actor=ACTOR)
        batches.go(batch, actor=ACTOR)


def _take_in(campaign: Campaign, people: Sequence[Person], file: Path, *, size: int) -> None:
    file.touch(0o600)
    file.write_text(roster(people), encoding="utf-8")
    imports.take_in(campaign, file, Reading(COLUMNS), actor=ACTOR, cutting=Cutting(size=size, limits=_LIMITS))


def roster(people: Sequence[Person]) -> str:
    """Return the list of accounts as a firm keeps it, tabs between its columns."""
    rows = [(one.login, one.listed_password, one.name, one.phone, one.department, one.language) for one in people]
    return "".join("\t".join(row) + "\n" for row in [("Name", "Password", *COLUMNS.values()), *rows])


def _description(platform: Platform) -> dict[str, Any]:
    described: dict[str, Any] = {
        "allowed": [HOST],
        "campaign": {"name": CAMPAIGN, "recipe": "plain"},
        "source": _server("Old mail server", platform.old.port),
        "target": _server("New mail server", platform.new.port),
        "source_directory": {
            "name": "Staff directory",
            "kind": "sql",
            "options": directory_options(platform.directory),
        },
        "target_directory": "Staff directory",
        "route": {"name": "Mail routes", "kind": "sql", "options": route_options(platform.directory)},
    }
    if platform.kind == "dovecot":
        options = {"doveadm": dovecot.doveadm(platform.old.folder), "our_addresses": [HOST]}
        described["source_sessions"] = {"name": "Open sessions", "kind": "dovecot", "options": options}
    return described


def _server(name: str, port: int) -> dict[str, Any]:
    return {
        "name": name,
        "host": HOST,
        "port": port,
        "security": "plain",
        "admin_login": ADMIN,
        "admin_password_file": "the administrator's",  # handed over in memory, see plan()
        "max_lanes": _LANES,
    }
