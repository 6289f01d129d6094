"""What programs that read by POP3 will make of the new mailbox: they fetch what has a name they do not know. Pure.

Whether anybody reads by POP3 no mailbox tells. What is found here is what such a program would do.
"""

from __future__ import annotations

from migrator.events import PopReaders
from migrator.stores.pop3_listing import PopListing, is_same_size


def compare(source: PopListing, target: PopListing) -> PopReaders:
    """Return what becomes of the messages of ``target`` for a program that has fetched all of ``source``."""
    known, there = source.size_by_name or {}, target.size_by_name or {}
    kept = mixed = 0
    for name, size in there.items():
        if name in known:
            is_same = is_same_size(size, known[name])
            kept, mixed = kept + is_same, mixed + (not is_same)
    return PopReaders(
        messages=target.messages,
        kept=kept,
        again=target.messages - kept - mixed if source.messages else 0,
        mixed=mixed,
        form=source.form,
        target_form=target.form,
    )
