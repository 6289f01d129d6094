"""``python -m migrator.cli``: the same as the command ``mailferry``."""

from __future__ import annotations

from migrator.cli.commands import main

if __name__ == "__main__":
    raise SystemExit(main())
