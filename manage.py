#!/usr/bin/env python3
"""The panel's commands: ``manage.py help`` lists them. ``./run`` starts the panel without knowing this file."""

from __future__ import annotations

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line


def main() -> None:
    """Run one command. A wrong setting is one sentence, not a traceback."""
    os.umask(0o077)  # database, queue and backups are nobody else's
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "campaigns.settings")
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
