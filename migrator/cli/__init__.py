"""The engine from a shell: ``mailferry copy`` and ``mailferry move-accounts``. Only words, files and terminals here."""

from __future__ import annotations

from migrator.cli.commands import main

__all__ = ["main"]
