"""What an operator must know before mail is delivered instead of stored: by SMTP and LMTP much is not as it was."""

from __future__ import annotations

import argparse
from typing import Final

from migrator.cli.doors import BadInput, Door
from migrator.cli.terminal import Terminal
from migrator.stores import Address
from migrator.stores.smtp import MARKER
from migrator.transfer.plan import DuplicatePolicy

_SMTP: Final = f"""\
The mail is sent anew, by SMTP. What that changes:
- The new server takes each message for new mail: spam filters, rules, forwarding and vacation replies of the recipient
  act on it. Switch them off first, or strangers get answers to mail of years ago, and loops begin.
- Each message arrives with the date of today and one more Received line; flags and folders are not kept.
- Each message gets one line above its header, for rules to tell it by: {MARKER.decode().strip()}.
- What cannot be delivered later goes back to those who sent it (Return-Path), or to nobody."""
_LMTP: Final = """\
The mail is delivered anew, by LMTP. What that changes:
- The new server takes each message for new mail: its rules (Sieve), forwarding and vacation replies act on it. Switch
  them off first.
- Each message arrives with the date of today and one more Received line; flags and folders are not kept."""
_BOTH: Final = """\
- Nothing can be looked up there: what was delivered is not compared, and what others delivered is not recognised.
- A message whose answer is lost is named, and not sent again before you say so: --retry-left-behind."""


def say_before(target: Door, options: argparse.Namespace, terminal: Terminal) -> None:
    """Say what delivering changes, before anything is. Raises ``BadInput`` for wishes that it cannot fulfil."""
    if target.url.store.address is not Address.RECIPIENT:
        return
    if options.verify:
        raise BadInput(f"--verify: what is delivered by {target.url.store.label} cannot be read there and compared.")
    for option in ("repair", "repair_ahead", "fix_long_lines"):
        if getattr(options, option):
            words = f"--{option.replace('_', '-')}: mail that is delivered by {target.url.store.label} goes as it is"
            raise BadInput(f"{words}; repairs are for mail that is stored.")
    if options.duplicates == DuplicatePolicy.ONCE:
        raise BadInput("--duplicates once: what was delivered cannot be found again; each message is sent.")
    if options.newest_first:
        raise BadInput("--newest-first: mail is delivered in its own order, or the newest would be the lowest there.")
    for line in f"{_SMTP if target.url.kind == 'smtp' else _LMTP}\n{_BOTH}".split("\n"):
        terminal.say(line)
