"""Steps of a batch that a person does, as their page shows them: what to do, what was seen, who vouched for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext, gettext_lazy

from campaigns.models import Batch, Confirmation
from campaigns.selectors import words
from campaigns.services import confirmations
from migrator.preflight.by_hand import CHECKS
from migrator.preflight.evidence import SENTENCES, Evidence

Words = str | Promise

# What a person does, and how it is told that they did. By the name of the check; "" is a step of their own.
TITLES: Final[dict[str, tuple[Words, Words]]] = {
    "both_listen": (
        gettext_lazy("See both servers answer"),
        gettext_lazy("The new server is up beside the old one, at other ports. Nothing is changed yet."),
    ),
    "port_closed": (
        gettext_lazy("Stop the old server"),
        gettext_lazy(
            "Stop its daemon, change its ports, or take it off the network: nobody may reach it where mail programs "
            "and other servers look for it."
        ),
    ),
    "no_new_mail": (
        gettext_lazy("See that nothing arrives on the old server"),
        gettext_lazy("Old mailboxes are as they were when they were copied last."),
    ),
    "ports_open": (
        gettext_lazy("Give the new server the usual ports"),
        gettext_lazy("Start it where mail programs look for it. Somebody is signed in to see that it works."),
    ),
    "queue_empty": (
        gettext_lazy("Wait until the old server has sent everything"),
        gettext_lazy("Keep it up for some hours, away from the usual ports: mail it could not deliver waits there."),
    ),
    "dns": (
        gettext_lazy("Change the names"),
        gettext_lazy("Who takes mail for your domains, who may send for them, and the names in mail programs."),
    ),
    "": (
        gettext_lazy("A step of your own"),
        gettext_lazy("Do what your plan says here, then record it: nothing here can see whether it was done."),
    ),
}


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that a check saw."""

    family: str
    sentence: str
    place: str
    found: str
    expected: str


@dataclass(frozen=True, slots=True)
class HandStepView:
    """One step."""

    position: int
    title: Words
    lead: Words
    can_look: bool
    is_confirmed: bool
    is_on_word: bool  # on somebody's word, not on what a check saw
    confirmed_by: str
    confirmed_at: datetime | None
    reason: str
    looked_by: str
    looked_at: datetime | None
    lines: tuple[Line, ...]

    @property
    def bad(self) -> int:
        """Lines that speak against it."""
        return sum(line.family == "failed" for line in self.lines)

    @property
    def has_expected(self) -> bool:
        """True when something else was expected than found, or the same."""
        return any(line.expected for line in self.lines)

    @property
    def family(self) -> str:
        """How the step stands."""
        if self.is_confirmed:
            return "done"
        return "attention" if self.lines else "waiting"


@dataclass(frozen=True, slots=True)
class ByHandPage:
    """All such steps of a batch. ``waiting``: people whose move waits for one."""

    steps: tuple[HandStepView, ...]
    waiting: int

    @property
    def open(self) -> int:
        """Steps that nobody has confirmed."""
        return sum(not step.is_confirmed for step in self.steps)

    @property
    def next(self) -> HandStepView | None:
        """The first step that nobody has confirmed."""
        return next((step for step in self.steps if not step.is_confirmed), None)


def view(batch: Batch) -> ByHandPage:
    """Return what the page of a batch shows. Two queries, however many accounts."""
    rows = {row.position: row for row in Confirmation.objects.filter(batch=batch)}
    steps = tuple(_step(step, rows.get(step.position)) for step in confirmations.hand_steps(batch))
    waiting = batch.accounts.filter(waiting_for="person", state="cutting_over").count() if steps else 0
    return ByHandPage(steps, waiting)


def _step(step: confirmations.HandStep, row: Confirmation | None) -> HandStepView:
    if row is not None and row.check_name != step.check:
        row = None
    title, lead = TITLES.get(step.check) or (step.check, "")
    return HandStepView(
        position=step.position,
        title=title,
        lead=lead,
        can_look=step.check in CHECKS,
        is_confirmed=row is not None and row.confirmed_at is not None,
        is_on_word=row is not None and bool(row.reason),
        confirmed_by=row.confirmed_by if row else "",
        confirmed_at=row.confirmed_at if row else None,
        reason=row.reason if row else "",
        looked_by=row.looked_by if row else "",
        looked_at=row.looked_at if row else None,
        lines=tuple(map(line_of, map(Evidence.from_json, row.evidence))) if row else (),
    )


def line_of(seen: Evidence) -> Line:
    """Return one thing that was seen, in words."""
    family = "done" if seen.is_good else "failed"
    sentence = gettext(seen.sentence) if seen.code in SENTENCES else words.cause(seen.code)
    return Line(family, sentence, seen.place, seen.found, seen.expected)
