"""What all tests share: how hypothesis searches."""

from __future__ import annotations

from hypothesis import settings

# No deadline per example: the machine is shared and its speed is not what these tests are about. The blob repeats
# a failure on another machine.
settings.register_profile("mailferry", deadline=None, print_blob=True)
settings.load_profile("mailferry")
