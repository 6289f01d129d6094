"""What checks look at: one account, its two sides as they will be opened, and who governs it.

A check changes nothing anywhere. It yields errors instead of raising them, so that both sides are told of at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from migrator.directories.base import Directory
from migrator.errors import MigratorError, Side
from migrator.holds.base import MailHold
from migrator.routes.base import Route
from migrator.secret import Secret
from migrator.stores.base import Store

Opener = Callable[[], Store]


class Scope(StrEnum):
    """When a check is due."""

    SURVEY = "survey"  # once for a campaign, before its recipe is accepted: on an account that is disabled for it
    STAGE = "stage"  # for each account, before it is copied


@dataclass(frozen=True, slots=True)
class Door:
    """One side of an account.

    ``open`` signs in as the copy will do while the user works; ``password`` is the user's own, None where ``open`` is
    an administrator's. ``was_refused``: the server has refused this very password before. A side with a ``directory``
    is *governed*: from DISABLE on, only ``open_as_admin`` opens it. ``address`` is the user's name in the directory.
    """

    side: Side
    open: Opener
    address: str
    password: Secret | None = None
    was_refused: bool = False
    open_as_admin: Opener | None = None
    directory: Directory | None = None
    is_governed: bool = False


@dataclass(frozen=True, slots=True)
class Subject:
    """One account to check. ``address`` is the user's name for the route and the hold."""

    doors: tuple[Door, ...]
    address: str = ""
    route: Route | None = None
    hold: MailHold | None = None


class Check(NamedTuple):
    """One check: ``name`` stands in events, ``find`` yields what is wrong."""

    name: str
    scope: Scope
    find: Callable[[Subject], Iterator[MigratorError]]


class Failure(NamedTuple):
    """What one check found."""

    check: str
    error: MigratorError


def sign_in(opener: Opener, side: Side) -> MigratorError | None:
    """Connect, sign in and sign off; return what went wrong, with its side. One try: passwords are not guessed."""
    try:
        with opener() as store:
            store.features  # noqa: B018  a store connects at its first use
    except MigratorError as error:
        error.side = error.side or side
        return error
    return None
