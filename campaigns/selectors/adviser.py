"""Which method to take, by three questions: how many people, how long they may be without mail, how much may be set up.

A table, and the reasons in words. Nothing is decided here: it is advice, and says what would change it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy

Words = str | Promise

FEW: Final = 300  # people whose mail is copied in a night, where nothing was measured
NIGHT_SECONDS: Final = 6 * 3600


class Downtime(StrEnum):
    """How long somebody may be without mail, and whether mail to them may come back to its senders."""

    NIGHT = "night"
    HOURS = "hours"
    SECONDS = "seconds"


class Effort(StrEnum):
    """What may be set up for the move."""

    NONE = "none"  # two servers and a list
    LOCKS = "locks"  # a directory that locks people, and something that holds mail
    PROXY = "proxy"  # and a server in front that leads each person to the right one


DOWNTIMES: Final[dict[Downtime, Words]] = {
    Downtime.NIGHT: gettext_lazy("A night, and mail may come back to its senders"),
    Downtime.HOURS: gettext_lazy("Some hours each, and no mail may come back"),
    Downtime.SECONDS: gettext_lazy("Seconds, at most minutes"),
}
EFFORTS: Final[dict[Effort, Words]] = {
    Effort.NONE: gettext_lazy("Nothing but the two servers and a list"),
    Effort.LOCKS: gettext_lazy("A directory that locks people, and a hold for new mail"),
    Effort.PROXY: gettext_lazy("These, and a server in front that leads everybody to the right one"),
}


@dataclass(frozen=True, slots=True)
class Advice:
    """A method (key of methods.METHODS, or of recipes with words in notices), and why."""

    method: str
    reasons: tuple[Words, ...]
    otherwise: str = ""  # what to take when one of the answers is less strict
    needs: tuple[Words, ...] = ()


_T: Final = {
    # how long, what may be set up: (few people, many people)
    (Downtime.NIGHT, Effort.NONE): ("sims1", "plain"),
    (Downtime.NIGHT, Effort.LOCKS): ("sims1", "sims2"),
    (Downtime.NIGHT, Effort.PROXY): ("sims1", "sims3"),
    (Downtime.HOURS, Effort.NONE): ("plain", "plain"),
    (Downtime.HOURS, Effort.LOCKS): ("sims2", "sims2"),
    (Downtime.HOURS, Effort.PROXY): ("sims3", "sims3"),
    (Downtime.SECONDS, Effort.NONE): ("plain", "plain"),
    (Downtime.SECONDS, Effort.LOCKS): ("ahead", "ahead"),
    (Downtime.SECONDS, Effort.PROXY): ("ahead", "ahead"),
}
_OTHERWISE: Final = {"sims1": "sims2", "sims2": "ahead", "sims3": "ahead", "plain": "ahead", "ahead": "sims3"}
_WHY: Final[dict[str, Words]] = {
    "sims1": gettext_lazy("It is the least to set up: stop, copy, start."),
    "sims2": gettext_lazy("Nothing comes back to its senders: new mail is kept while a batch is copied."),
    "sims3": gettext_lazy("Nobody changes a mail program, and people can send while their mail is copied."),
    "plain": gettext_lazy("It needs nothing but two servers and a list, and nobody is ever locked out."),
    "ahead": gettext_lazy("Mail is copied while people work, so that only the last changes wait for the switch."),
}
_NEEDS: Final[dict[str, tuple[Words, ...]]] = {
    "sims1": (gettext_lazy("Somebody who stops the old server and starts the new one."),),
    "sims2": (
        gettext_lazy("A directory in which people are locked, for reading and for sending."),
        gettext_lazy("A hold for new mail: a queue in front of both servers, or files beside the old mailboxes."),
    ),
    "sims3": (
        gettext_lazy("A directory in which people are locked for reading alone."),
        gettext_lazy("A hold for new mail."),
        gettext_lazy("A route: the server in front, which keeps the old name."),
    ),
    "plain": (gettext_lazy("That people are told when to change over."),),
    "ahead": (gettext_lazy("A directory in which people are locked for the last moments."),),
}


def advise(people: int, downtime: Downtime, effort: Effort, *, seconds: float | None = None) -> Advice:
    """Return the method to take for ``people`` accounts. ``seconds``: how long one copy of all of them takes, measured.

    Total: every combination has an answer.
    """
    is_short = seconds <= NIGHT_SECONDS if seconds is not None else people <= FEW
    method = _T[downtime, effort][0 if is_short else 1]
    reasons = [_WHY[method], _size_reason(is_short, seconds is not None), *_reasons(method, downtime, effort)]
    return Advice(method, tuple(reasons), _OTHERWISE[method], _NEEDS[method])


def _size_reason(is_short: bool, is_measured: bool) -> Words:
    if is_short and is_measured:
        return gettext_lazy("All their mail is copied in one night, as the check before copying measured.")
    if is_short:
        return gettext_lazy("So few people are moved in one night.")
    if is_measured:
        return gettext_lazy("Their mail takes longer than a night, as the check before copying measured: in batches.")
    return gettext_lazy("So many people are not moved in one night: in batches of about 1,000.")


def _reasons(method: str, downtime: Downtime, effort: Effort) -> list[Words]:
    found: list[Words] = []
    if method == "plain" and downtime is not Downtime.NIGHT:
        found.append(
            gettext_lazy("Without a directory or a hold nobody is locked out and no mail is held: late mail follows.")
        )
    if method == "sims1":
        found.append(gettext_lazy("You accept that mail may come back to its senders while no server is up."))
    if method == "ahead" and effort is Effort.PROXY:
        found.append(gettext_lazy("With a hold and a route nobody notices more than a short refusal to sign in."))
    return found
