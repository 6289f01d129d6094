"""Start batches, say go, pause them, look at them, take them back."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Final

from django.core.management.base import CommandError

from campaigns.management.shell import VerbCommand, actor, find_batches, find_campaign, instant, pair, wake
from campaigns.management.telling import batch_facts, cause_sentence, causes_of, figures_sentence, survey_facts
from campaigns.models import Batch
from campaigns.selectors import batch as batch_selector
from campaigns.selectors import night
from campaigns.selectors import survey as survey_selector
from campaigns.services import batches, go_no_go, returns, surveys
from campaigns.services.refusals import SENTENCES, Refused

_TIMES: Final = ("starts_at", "window_begins_at", "window_ends_at")
_WAITS_FOR: Final = {
    "start": "its start",
    "resume": "an end of its pause",
    "go": "somebody to say go",
    "window": "its window",
    "canary": "somebody to look at the first accounts",
    "step": "somebody to say that the next step may begin",
}


class Command(VerbCommand):
    """Batches are numbered within their campaign. Without a number, all of them are meant."""

    help = "Lets batches go their way, and tells how they go."
    VERBS: ClassVar = {
        "status": "Tell how far batches are, what they wait for, and why accounts failed.",
        "survey": "Look, without writing anything, who would fail and why.",
        "found": "Tell what the last survey has found.",
        "plan": "Set start, window, name and limits.",
        "start": "Let the accounts be checked, and copied ahead where the recipe does that.",
        "go": "From now on, within the window, ready accounts are cut over.",
        "withdraw-go": "Begin no more cutovers.",
        "pass-canary": "The first accounts are well: let the others follow.",
        "take-back": "Take those who have moved back to the source: the first few, then all others.",
        "pause": "Begin nothing more; who is being cut over is finished.",
        "resume": "Go on after a pause, accepting what has failed so far.",
    }

    def add_words(self, verb: str, parser: ArgumentParser) -> None:
        parser.add_argument("campaign", metavar="CAMPAIGN")
        parser.add_argument("numbers", metavar="NUMBER", nargs="+" if verb in ("plan", "take-back") else "*", type=int)
        if verb in ("status", "found"):
            parser.add_argument("--json", action="store_true", help="one JSON object")
        if verb == "pause":
            parser.add_argument("--reason", default="")
        if verb == "go":
            help_ = "say go though something that is needed is not well; the reason is kept"
            parser.add_argument("--despite", metavar="REASON", default="", help=help_)
        if verb == "take-back":
            parser.add_argument("--reason", required=True)
            parser.add_argument("--first", metavar="N", type=int, help="only so many; without it, all others")
        if verb == "plan":
            parser.add_argument("--name", default="")
            add_times(parser)

    def status(self, options: dict[str, Any]) -> None:
        views = [batch_selector.view(batch.pk) for batch in self._batches(options)]
        if options["json"]:
            self.tell_json({"batches": [batch_facts(view) for view in views]})
            return
        for view in views:
            self._tell_of(view)

    def _tell_of(self, view: batch_selector.BatchView) -> None:
        waits = f" It waits for {_WAITS_FOR[view.waits_for]}." if view.waits_for else ""
        ended = " It has ended." if view.has_ended else ""
        self.tell(f"Batch {view.batch.number}, {figures_sentence(view.figures)}{waits}{ended}")
        for code, accounts in causes_of(view.batch.pk):
            self.tell(f"  {accounts:,} x {code}: {cause_sentence(code)}")

    def survey(self, options: dict[str, Any]) -> None:
        self._each(options, surveys.ask, "is looked at")

    def found(self, options: dict[str, Any]) -> None:
        found = [(batch, survey_selector.view(batch)) for batch in self._batches(options)]
        if options["json"]:
            self.tell_json({"batches": [survey_facts(batch, page) for batch, page in found]})
            return
        for batch, page in found:
            self._tell_of_survey(batch, page)

    def _tell_of_survey(self, batch: Batch, page: survey_selector.SurveyPage) -> None:
        if page.survey is None:
            self.tell(f"Batch {batch.number}: nobody has looked.")
            return
        state = "looked at so far" if page.is_under_way else "looked at"
        ended = f" It ended early: {page.error}" if page.error else ""
        self.tell(f"Batch {batch.number}: {page.looked_at:,} of {page.accounts:,} {state}.{ended}")
        for section in page.sections:
            for group in section.groups:
                self.tell(f"  {section.heading}: {group.accounts:,} x {group.code}: {group.sentence}")

    def plan(self, options: dict[str, Any]) -> None:
        limits = limits_of(options)
        for batch in self._batches(options):
            times, name = _times(options, batch), options["name"]
            batches.plan(batch, actor=actor(), name=name, timetable=times, modes=None, **limits)
            self.tell(f"Batch {batch.number} is planned.")

    def start(self, options: dict[str, Any]) -> None:
        self._each(options, batches.start, "has been started")

    def go(self, options: dict[str, Any]) -> None:
        self._each(options, partial(self._go, despite=options["despite"].strip()), "goes")

    def _go(self, batch: Batch, *, actor: str, despite: str) -> None:
        """Say go, as the page of the night does; what keeps it is told. Raises ``Refused``."""
        try:
            go_no_go.go(batch, actor=actor, despite=despite)
        except Refused as refusal:
            if refusal.code == "batch.no_go":
                for line in night.needed(batch):
                    self.stderr.write(f"  {line.heading}: {line.told}")
                self.stderr.write("  With --despite and a reason it goes all the same.")
            raise

    def withdraw_go(self, options: dict[str, Any]) -> None:
        self._each(options, batches.withdraw_go, "begins no more cutovers")

    def pass_canary(self, options: dict[str, Any]) -> None:
        self._each(options, batches.pass_canary, "follows its first accounts")

    def take_back(self, options: dict[str, Any]) -> None:
        """Take batches back, each for itself; it is no success where nobody of one goes back."""
        nobody = 0
        for batch in self._batches(options):
            try:
                taken = self._take_back(batch, options)
            except Refused as refusal:
                taken = 0
                self.stderr.write(f"Batch {batch.number}: {refusal.sentence}")
            nobody += not taken
        wake()
        if nobody:
            raise SystemExit(1)

    def _take_back(self, batch: Batch, options: dict[str, Any]) -> int:
        """Return how many accounts are taken back. Raises ``Refused``."""
        asked = returns.take_batch_back(batch, first=options["first"], actor=actor(), reason=options["reason"])
        if asked.accounts:
            self.tell(f"Batch {batch.number}: {asked.accounts:,} accounts are taken back to the source.")
        for code, count in asked.refused.most_common():
            self.stderr.write(f"Batch {batch.number}, {count:,} accounts: {SENTENCES[code]}")
        return asked.accounts

    def pause(self, options: dict[str, Any]) -> None:
        for batch in self._batches(options):
            done = batches.pause(batch, actor=actor(), reason=options["reason"])
            self.tell(f"Batch {batch.number} {'is' if done else 'was'} paused.")

    def resume(self, options: dict[str, Any]) -> None:
        for batch in self._batches(options):
            done = batches.resume(batch, actor=actor())
            self.tell(f"Batch {batch.number} {'goes on' if done else 'was not paused'}.")
        wake()

    def _each(self, options: dict[str, Any], act: Callable[..., None], words: str) -> None:
        """Do it to each batch, for itself: what one refuses does not keep the others back."""
        refused = 0
        for batch in self._batches(options):
            try:
                act(batch, actor=actor())
                self.tell(f"Batch {batch.number} {words}.")
            except Refused as refusal:
                refused += 1
                self.stderr.write(f"Batch {batch.number}: {refusal.sentence}")
        wake()
        if refused:
            raise SystemExit(1)

    def _batches(self, options: dict[str, Any]) -> list[Batch]:
        return find_batches(find_campaign(options["campaign"]), options["numbers"])


def add_times(parser: ArgumentParser) -> None:
    """Add the times and limits that batches have."""
    for name in _TIMES:
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, metavar="TIME", type=instant, help="as 2030-03-01T22:00+01:00")
    known = ", ".join(batches.LIMITS)
    parser.add_argument(
        "--limit", metavar="NAME=NUMBER", type=pair, action="append", default=[], help=f"{known}; may be repeated"
    )


def limits_of(options: dict[str, Any]) -> dict[str, int]:
    """Return the limits that were given. Raises ``CommandError``."""
    for name, number in options["limit"]:
        if name not in batches.LIMITS or not number.isdecimal():
            raise CommandError(f"{name}={number}: a limit is a whole number, and one of {', '.join(batches.LIMITS)}.")
    return {name: int(number) for name, number in options["limit"]}


def _times(options: dict[str, Any], batch: Batch) -> batches.Timetable | None:
    """Return the times that were given, and of the others those of the batch."""
    if not any(options[name] for name in _TIMES):
        return None
    return batches.Timetable(**{name: options[name] or getattr(batch, name) for name in _TIMES})
