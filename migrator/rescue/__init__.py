"""The rescue folder: what must be known to put every account of a batch back on its feet when all else is lost.

It lies outside the database and is kept current at every step. ``folder`` is its format, ``journals`` how a night
writes it, ``work`` what ``mailferry rescue`` does with it, without panel, database or queue.
"""

from __future__ import annotations
