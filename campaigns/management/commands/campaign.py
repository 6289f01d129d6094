"""Plan a campaign from a file, prove its recipe, pause it, look at it."""

from __future__ import annotations

import json
import tomllib
from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from django.core.management.base import CommandError

from campaigns.management.shell import VerbCommand, actor, find_campaign, wake
from campaigns.management.telling import campaign_facts, figures_sentence
from campaigns.selectors import overview
from campaigns.services import campaigns, preflights, setups
from migrator.errors import Side


def read_description(path: Path) -> Mapping[str, Any]:
    """Return what a TOML or JSON file says. Raises ``CommandError``."""
    try:
        text = path.read_text(encoding="utf-8")
        described = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (tomllib.TOMLDecodeError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise CommandError(f"{path} cannot be read: {error}.") from None
    if not isinstance(described, dict):
        raise CommandError(f"{path} does not describe anything: it must be tables.")
    return described


def read_password(file: str) -> str:
    """Return the password in a file, without its line end."""
    return Path(file).read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")


class Command(VerbCommand):
    """Campaigns are named, as pages name them."""

    help = "Plans campaigns, and tells how they go."
    VERBS: ClassVar = {
        "create": "Create servers, connectors and a campaign as a TOML or JSON file describes them, all or nothing.",
        "accept": "Prove that administrators open disabled mailboxes, so that the recipe may lock users out.",
        "status": "Tell how far campaigns are.",
        "pause": "Begin nothing more; who is being cut over is finished.",
        "resume": "Go on after a pause.",
        "close": "End a campaign: from then on it is only read.",
    }

    def add_words(self, verb: str, parser: ArgumentParser) -> None:
        if verb == "create":
            parser.add_argument("file", metavar="FILE", type=Path)
            return
        parser.add_argument("campaign", metavar="CAMPAIGN", nargs="?" if verb == "status" else None)
        if verb == "status":
            parser.add_argument("--json", action="store_true", help="one JSON object")
        if verb == "pause":
            parser.add_argument("--reason", default="")
        if verb == "accept":
            for side in Side:
                parser.add_argument(f"--{side}", metavar="LOGIN", help=f"of an account that is disabled at the {side}")

    def create(self, options: dict[str, Any]) -> None:
        described = read_description(options["file"])
        try:
            made = setups.create(described, actor=actor(), read_password=read_password)
        except setups.BadSetup as error:
            raise CommandError(f"{options['file']}: {error} Nothing was created.") from None
        self.tell(f"The campaign {made.name} is planned: from {made.source.name} to {made.target.name}.")

    def accept(self, options: dict[str, Any]) -> None:
        campaign = find_campaign(options["campaign"])
        disabled = {side: options[side.value] for side in Side if options[side.value]}
        failures = preflights.accept_recipe(campaign, disabled, actor=actor())
        for failure in failures:
            at = f" (at the {failure.error.side})" if failure.error.side else ""
            self.stderr.write(f"{failure.error.sentence}{at} {failure.error.hint}".strip())
        if failures:
            raise CommandError(f"The recipe {campaign.recipe} is refused: it could lock users out for nothing.")
        self.tell(f"The recipe {campaign.recipe} is accepted.")

    def status(self, options: dict[str, Any]) -> None:
        named = options["campaign"]
        views = [view for view in overview.campaigns() if named in (None, view.campaign.name)]
        if named and not views:
            find_campaign(named)
        if options["json"]:
            self.tell_json({"campaigns": [campaign_facts(view) for view in views]})
            return
        for view in views:
            paused = ", paused" if view.campaign.is_paused else ""
            self.tell(f"{view.campaign.name} ({view.campaign.recipe}{paused}): {figures_sentence(view.figures)}")
            for batch, figures in view.batches:
                self.tell(f"  batch {batch.number}: {figures_sentence(figures)}")

    def pause(self, options: dict[str, Any]) -> None:
        campaign = find_campaign(options["campaign"])
        done = campaigns.pause(campaign.pk, actor=actor(), reason=options["reason"])
        self.tell(f"{campaign.name} is paused." if done else f"{campaign.name} was paused, or is closed.")

    def resume(self, options: dict[str, Any]) -> None:
        campaign = find_campaign(options["campaign"])
        done = campaigns.resume(campaign.pk, actor=actor())
        wake()
        self.tell(f"{campaign.name} goes on." if done else f"{campaign.name} was not paused, or is closed.")

    def close(self, options: dict[str, Any]) -> None:
        campaign = find_campaign(options["campaign"])
        campaigns.close(campaign, actor=actor())
        self.tell(f"{campaign.name} is closed.")
