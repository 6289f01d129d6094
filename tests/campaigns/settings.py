"""The panel's own settings, in a folder of their own that goes when the tests end.

SQLite in a file, as in production: its locks are part of what is tested. ``MAILFERRY_TEST_DATABASE_URL`` runs the
same tests on another database.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from cryptography.fernet import Fernet

_root = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
_folder = Path(tempfile.mkdtemp(prefix="mailferry-panel-", dir=_root))
atexit.register(shutil.rmtree, _folder, ignore_errors=True)

for _name in [name for name in os.environ if name.startswith("MAILFERRY_") and not name.startswith("MAILFERRY_TEST_")]:
    del os.environ[_name]
os.environ["MAILFERRY_DATA"] = str(_folder)
os.environ["MAILFERRY_SECRET_KEY"] = "for tests only"
os.environ["MAILFERRY_VAULT_KEYS"] = Fernet.generate_key().decode()
os.environ["DATABASE_URL"] = os.environ.get("MAILFERRY_TEST_DATABASE_URL", "")
os.environ["REDIS_URL"] = ""

from campaigns.settings import *  # noqa: E402, F403
from campaigns.settings import DATABASES  # noqa: E402

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # Argon2 takes its time by design
if "sqlite3" in DATABASES["default"]["ENGINE"]:
    DATABASES["default"]["TEST"] = {"NAME": _folder / "test.sqlite3"}
