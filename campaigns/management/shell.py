"""What the commands for operators share: verbs, who asks, what they name, and how refusals and facts are told."""

from __future__ import annotations

import getpass
import json
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, ClassVar

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from campaigns import tasks
from campaigns.models import Account, Batch, Campaign
from campaigns.services import installation, names
from campaigns.services.refusals import Refused
from migrator.errors import MigratorError
from migrator.rosters.base import mailbox_key


class VerbCommand(BaseCommand):
    """A command with verbs (``batch start``). Each verb is a method of the class, found by its name."""

    requires_system_checks = ()
    VERBS: ClassVar[dict[str, str]]  # verb -> what help says

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        for verb, words in self.VERBS.items():
            self.add_words(verb, verbs.add_parser(verb, help=words, description=words))

    def add_words(self, verb: str, parser: ArgumentParser) -> None:
        """Add the arguments of one verb."""
        raise NotImplementedError

    def handle(self, *args: Any, **options: Any) -> None:
        installation.require_ready()
        with refusals():
            getattr(self, options["verb"].replace("-", "_"))(options)

    def tell(self, sentence: str) -> None:
        """Say something to whoever asked."""
        self.stdout.write(sentence)

    def tell_json(self, facts: Any) -> None:
        """Say something to a program: one JSON object, on one line."""
        self.stdout.write(json.dumps(facts, default=_json))


def _json(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


@contextmanager
def refusals() -> Iterator[None]:
    """Tell what is refused in its sentence, and end with 1."""
    try:
        yield
    except Refused as error:
        raise CommandError(error.sentence) from None
    except MigratorError as error:
        raise CommandError(f"{error.sentence} {error.hint}".strip()) from None
    except OSError as error:
        raise CommandError(f"{error.filename or 'A file'}: {error.strerror}.") from None


def actor() -> str:
    """Return who stands in events for what is done here: whoever may run commands may do everything."""
    try:
        return f"shell: {getpass.getuser()}"
    except (KeyError, OSError):
        return "shell"


def wake() -> None:
    """Let what was just asked for begin at once."""
    tasks.wake_after_commit()


def find_campaign(name: str) -> Campaign:
    """Return the campaign of a name."""
    found = Campaign.objects.filter(name=name).first()
    if found is None:
        known = ", ".join(Campaign.objects.order_by("name").values_list("name", flat=True)[:20])
        raise CommandError(f"There is no campaign {name!r}." + (f" There is: {known}." if known else ""))
    return found


def find_batches(campaign: Campaign, numbers: list[int]) -> list[Batch]:
    """Return batches of a campaign by their numbers; all of them where none is named."""
    rows = Batch.objects.filter(campaign=campaign).select_related("campaign").order_by("number")
    found = {batch.number: batch for batch in rows}
    missing = [number for number in numbers if number not in found]
    if missing:
        raise CommandError(f"The campaign {campaign.name} has no batch {missing[0]}.")
    return [found[number] for number in numbers] or list(found.values())


def find_accounts(campaign: Campaign, logins: list[str]) -> list[Account]:
    """Return accounts of a campaign by their logins at the source, in whatever capitals."""
    return [_find_account(campaign, login) for login in logins]


def _find_account(campaign: Campaign, login: str) -> Account:
    rows = Account.objects.filter(campaign=campaign).select_related("batch", "source", "target")
    named = rows.filter(names__kind=names.LOGIN, names__value=names.normalised(names.LOGIN, login))
    found = [row for row in named if mailbox_key(row.source_login) == mailbox_key(login)]
    if len(found) != 1:
        raise CommandError(f"The campaign {campaign.name} has {len(found) or 'no'} accounts {login!r}.")
    return found[0]


def instant(text: str) -> datetime:
    """Read a point in time as argparse wants it; without a zone it is the installation's."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is no time, as 2030-03-01T22:00+01:00 is") from error
    return at if timezone.is_aware(at) else timezone.make_aware(at)


def pair(text: str) -> tuple[str, str]:
    """Read NAME=VALUE as argparse wants it."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip() or not value.strip():
        raise ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name.strip(), value.strip()
