"""From rows to gates: the routes of kind ``nginx``, by the name of their gate."""

from __future__ import annotations

import hmac
import logging
from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

from django.db.models import QuerySet

from campaigns.bridge import host_files, vault
from campaigns.models import Connector
from migrator.errors import MigratorError
from migrator.gates.front import Front
from migrator.options import Options

log = logging.getLogger(__name__)


class Gate(NamedTuple):
    """One gate: the keys by which its front servers are known, and whom it serves."""

    keys: tuple[bytes, ...]
    fronts: tuple[Front, ...]

    def knows(self, key: bytes) -> bool:
        """Tell whether ``key`` is one of ours, in a time that tells nothing of them."""
        return bool(sum([hmac.compare_digest(key, one) for one in self.keys]))

    def front(self, name: str) -> tuple[Front, str] | None:
        """Return the front of somebody and the name of their row; None for who is none of ours."""
        for front in self.fronts:
            key = front.people.key(name)
            if key is not None:
                return front, key
        return None


def read() -> Mapping[str, Gate]:
    """Return all gates. What cannot be used is left out and told. Raises ``DatabaseError``."""
    found: defaultdict[str, list[tuple[bytes, Front]]] = defaultdict(list)
    for row in _rows():
        try:
            key, front = _front(row)
        except (MigratorError, ValueError, TypeError, LookupError, OSError) as error:  # it is of no use to the others
            log.warning("the route %s cannot be used by its gate: %s", row.name, error)
        else:
            found[front.people.gate].append((key, front))
    return {name: Gate(*map(tuple, zip(*pairs, strict=True))) for name, pairs in found.items()}


class Reader:
    """Reads gates again and again, and makes them anew only when their rows have changed."""

    def __init__(self) -> None:
        self._rows: list[object] | None = None
        self._gates: Mapping[str, Gate] = {}

    def read(self) -> Mapping[str, Gate]:
        """Return all gates, as :func:`read` does."""
        rows: list[object] = [*_rows().values_list("pk", "name", "options", "secret")]
        if rows != self._rows:
            self._gates, self._rows = read(), rows
        return self._gates


def _rows() -> QuerySet[Connector]:
    return Connector.objects.filter(room=Connector.Room.ROUTE, kind="nginx").order_by("pk")


def _front(row: Connector) -> tuple[bytes, Front]:
    secret = vault.unseal(row, "secret")
    if secret is None:
        raise ValueError("it has no password")
    others = ("table", "uri")
    options = {name: value for name, value in host_files.resolved(row.options).items() if name not in others}
    return secret.reveal().encode(), Front.of(Options(options))
