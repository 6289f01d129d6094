"""Look at single accounts, and stop, retry, exclude, roll or take them back."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any, ClassVar

from campaigns.management.shell import VerbCommand, actor, find_accounts, find_batches, find_campaign, wake
from campaigns.management.telling import account_facts, cause_sentence
from campaigns.models import Account
from campaigns.selectors import account as account_selector
from campaigns.services import accounts, returns
from campaigns.services.refusals import SENTENCES, Refused


class Command(VerbCommand):
    """Accounts are named by their campaign and their login at the source."""

    help = "Shows accounts, and does with them what people ask."
    VERBS: ClassVar = {
        "show": "Tell where accounts are, what they wait for, and what happened to them.",
        "stop": "Let accounts rest as soon as they reach a place to go on from; during a cutover they go back first.",
        "resume": "Let stopped accounts go on.",
        "retry": "Try again: the named accounts, or with --cause all that failed or wait for one cause.",
        "exclude": "Leave accounts out of the move.",
        "take-in": "Take excluded accounts into the move again.",
        "roll-back": "Let users back to the source, before the switch.",
        "take-back": "Take users who have moved back to the source, with the mail that came since.",
        "resolve": "Decide about an account of which it is not known how far it came.",
    }

    def add_words(self, verb: str, parser: ArgumentParser) -> None:
        parser.add_argument("campaign", metavar="CAMPAIGN")
        parser.add_argument("logins", metavar="LOGIN", nargs="*" if verb == "retry" else "+")
        if verb == "show":
            parser.add_argument("--json", action="store_true", help="one JSON object")
        if verb == "retry":
            parser.add_argument("--cause", metavar="CODE", default="", help="a code, as `batch status` tells it")
            parser.add_argument("--batch", metavar="NUMBER", type=int, help="with --cause: in this batch only")
        if verb in ("exclude", "take-in", "roll-back"):
            parser.add_argument("--reason", default="")
        if verb == "take-back":
            parser.add_argument("--reason", required=True)
        if verb == "resolve":
            parser.add_argument("--verdict", required=True, choices=[verdict.value for verdict in accounts.Verdict])
            parser.add_argument("--reason", required=True)

    def show(self, options: dict[str, Any]) -> None:
        views = [account_selector.view(account.pk) for account in self._accounts(options)]
        if options["json"]:
            self.tell_json({"accounts": [account_facts(view) for view in views]})
            return
        for view in views:
            self._tell_of(view)

    def _tell_of(self, view: account_selector.AccountView) -> None:
        account = view.account
        waits = f", waits for {view.waits_for}" if view.waits_for else ""
        step = f" ({account.step})" if account.step else ""
        self.tell(f"{account.source_login}: {account.state}{step}, owner {account.owner}{waits}")
        left = f", {account.messages_left:,} left behind" if account.messages_left else ""
        self.tell(f"  {account.messages_done:,} of {account.messages_total:,} messages{left}")
        if account.error_code:
            self.tell(f"  {account.error_code}: {cause_sentence(account.error_code)} {account.error_reply}".rstrip())
        for event in reversed(view.events[:20]):
            self.tell(f"  {event.at:%Y-%m-%d %H:%M:%S} {event.name} ({event.actor_name})")

    def stop(self, options: dict[str, Any]) -> None:
        self._each(options, accounts.request_stop, "is stopped as soon as it can be")

    def resume(self, options: dict[str, Any]) -> None:
        self._each(options, accounts.resume, "goes on")

    def retry(self, options: dict[str, Any]) -> None:
        if not options["cause"]:
            return self._each(options, accounts.retry, "is tried again")
        campaign = find_campaign(options["campaign"])
        batch = find_batches(campaign, [options["batch"]])[0].pk if options["batch"] is not None else None
        done = accounts.retry_cause(campaign.pk, options["cause"], actor=actor(), batch_id=batch)
        self.tell(f"{done.accounts:,} accounts are tried again.")
        for code, count in done.refused.most_common():
            self.stderr.write(f"{count:,} accounts: {SENTENCES[code]}")
        return wake()

    def exclude(self, options: dict[str, Any]) -> None:
        self._each(options, accounts.exclude, "is left out", reason=options["reason"])

    def take_in(self, options: dict[str, Any]) -> None:
        self._each(options, accounts.take_in, "takes part again", reason=options["reason"])

    def roll_back(self, options: dict[str, Any]) -> None:
        self._each(options, accounts.roll_back, "goes back to the source", reason=options["reason"])

    def take_back(self, options: dict[str, Any]) -> None:
        self._each(options, returns.take_back, "is taken back to the source", reason=options["reason"])

    def resolve(self, options: dict[str, Any]) -> None:
        verdict = accounts.Verdict(options["verdict"])
        self._each(
            options, accounts.resolve, f"is resolved: {verdict.value}", verdict=verdict, reason=options["reason"]
        )

    def _each(self, options: dict[str, Any], act: Callable[..., None], words: str, **more: Any) -> None:
        """Do it to each account, for itself: what one refuses does not keep the others back."""
        refused = 0
        for account in self._accounts(options):
            try:
                act(account.pk, actor=actor(), **more)
                self.tell(f"{account.source_login} {words}.")
            except Refused as refusal:
                refused += 1
                self.stderr.write(f"{account.source_login}: {refusal.sentence}")
        wake()
        if refused:
            raise SystemExit(1)

    def _accounts(self, options: dict[str, Any]) -> list[Account]:
        return find_accounts(find_campaign(options["campaign"]), options["logins"])
