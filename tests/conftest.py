"""What all tests share: how hypothesis searches."""

from __future__ import annotations

import os

from hypothesis import settings

# No deadline per example: the machine is shared and its speed is not what these tests are about. The blob repeats
# a failure on another machine.
settings.register_profile("mailferry", deadline=None, print_blob=True)
settings.register_profile("fast", deadline=None, print_blob=True, max_examples=20)  # of `./test fast`
settings.load_profile(os.environ.get("MAILFERRY_TEST_PROFILE", "mailferry"))
