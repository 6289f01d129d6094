"""Servers that are slow only when they are treated badly."""

from __future__ import annotations

import time

from tests.live.crossing import Crossing
from tests.rigs.base import users
from tests.rigs.corpus import fill, lifelike
from tests.rigs.courier import Courier
from tests.rigs.dovecot import Dovecot


def test_courier_is_not_kept_waiting_for_our_acknowledgements() -> None:
    """It holds its ``+`` back until the answer before is acknowledged (Nagle): 40 ms, if our kernel takes its time.

    Without literals that need no leave there is one such wait per message.
    """
    with Dovecot(users(1)) as source, Courier(users(1)) as target:
        crossing = Crossing(source.account("u0000"), target.account("u0000"))
        fill(crossing.source, lifelike(SEED, messages=200, folders=[("INBOX",), ("Sent",), ("leer",), ("Ende",)]))
        began = time.monotonic()
        assert crossing.run().is_balanced
        assert time.monotonic() - began < 200 * 0.020


SEED = 12
