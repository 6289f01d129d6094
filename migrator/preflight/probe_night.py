"""Trying what holds mail, makes accounts, and publishes changes. As probe.py does: nothing is changed anywhere."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.directories.base import Population, Publication
from migrator.errors import MigratorError
from migrator.holds.base import MailHold
from migrator.preflight.probe import Finding, Look, Outcome, bad, connector_error, let_in


def try_hold(hold: MailHold, address: str) -> Iterator[Finding]:
    """Yield whether a hold answers, is fit to hold mail, knows ``address``, and how much waits for it."""
    try:
        values = hold.find(address)
        waiting = hold.held(address) if values is not None else None
        is_held = values is not None and hold.holding(values) == values
        troubles = list(hold.trouble())
    except MigratorError as error:
        yield from connector_error(error)
        return
    yield from let_in()
    yield from (bad(Look.LIMITS, trouble) for trouble in troubles)
    if values is None or waiting is None:
        yield Finding(Look.FOUND, Outcome.BAD, "directory.missing")
        return
    facts = {"values": {**values, "messages": waiting.messages}}
    yield Finding(
        Look.FOUND, Outcome.WARNING if is_held else Outcome.GOOD, "held" if is_held else "not_held", facts=facts
    )


def try_population(population: Population, address: str) -> Iterator[Finding]:
    """Yield whether accounts can be looked at, and whether that of ``address`` is there. None is made."""
    try:
        is_there = population.exists(address)
    except MigratorError as error:
        yield from connector_error(error)
        return
    yield from let_in()
    yield Finding(Look.FOUND, Outcome.GOOD, "account_there" if is_there else "account_absent")


def try_publication(publication: Publication, address: str) -> Iterator[Finding]:
    """Yield whether servers can be asked, and whether they act on the entry of ``address``. Nothing is published."""
    try:
        is_published = publication.is_published(address)
    except MigratorError as error:
        yield from connector_error(error)
        return
    yield from let_in()
    outcome = Outcome.GOOD if is_published else Outcome.WARNING
    yield Finding(Look.FOUND, outcome, "published" if is_published else "publish.behind")
