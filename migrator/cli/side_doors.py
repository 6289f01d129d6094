"""Other services of a mailbox, beside the one its mail goes through: where they are, on the command line.

They are looked for on the mailbox's own host, at the usual port, unless an operator names a place.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field

from migrator.errors import MigratorError, Side
from migrator.limits import Limits
from migrator.stores.beside import Place, place_of
from migrator.stores.endpoint import Endpoint


@dataclass(slots=True, eq=False)
class Roads:
    """The places of one command, and on which side nobody answered: nobody is asked there again."""

    places: Mapping[Side, Place]
    absent: dict[Side, MigratorError] = field(default_factory=dict)

    def is_nobody(self, error: MigratorError, codes: tuple[str, ...]) -> bool:
        """True when ``error`` says, by one of ``codes``, that there is no such service where it was looked for."""
        return error.side is not None and error.code in codes and not self.places[error.side].is_named


@dataclass(frozen=True, slots=True, eq=False)
class SideDoors:
    """How the service is reached on both sides for one account: the way into the mailbox, and the places."""

    roads: Roads
    endpoints: Mapping[Side, Endpoint]
    limits: Limits


def add(group: argparse._ArgumentGroup, service: str, words: str) -> None:
    """Add ``--source-SERVICE`` and ``--target-SERVICE`` to a group of options; ``words`` go on with "... is there"."""
    for side in Side:
        group.add_argument(
            f"--{side}-{service}", metavar="HOST:PORT", type=place, help=words.format(side=side, service=service)
        )


def roads(options: argparse.Namespace, service: str) -> Roads | None:
    """Return where ``service`` is; None where nobody asked for it."""
    named = {side: found for side in Side if (found := getattr(options, f"{side}_{service}", None)) is not None}
    is_meant = service == "pop3" and getattr(options, "keep_uidl", False)
    if not named and not is_meant and not getattr(options, service, False):
        return None
    return Roads({side: named.get(side, Place()) for side in Side})


def place(text: str) -> Place:
    """Return the place that ``text`` names; for argparse."""
    try:
        return place_of(text)
    except ValueError:
        raise argparse.ArgumentTypeError("must be HOST, HOST:PORT or :PORT") from None
