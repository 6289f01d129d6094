"""What the target calls a user of the source, where others than the account itself are meant: in grants, say."""

from __future__ import annotations

from collections.abc import Iterable

from migrator.rosters.base import mailbox_key


class Names:
    """The names of the users that are known to move, and what they tell of the others.

    A user who is not known keeps the name. Where all known users change nothing but their domain, in one way, so does
    everybody else of that domain; none at all is a domain, too.
    """

    def __init__(self, users: Iterable[tuple[str, str]]) -> None:
        """``users``: the names of one user at the source and at the target."""
        pairs = list(users)
        self._known = {mailbox_key(source): target for source, target in pairs}
        self._taken = {mailbox_key(target) for _, target in pairs}
        changes = {_change(source, target) for source, target in pairs}
        self._change = changes.pop() if len(changes) == 1 else None

    def __call__(self, source: str) -> str | None:
        """Return the name at the target; None where it would mean somebody else."""
        known = self._known.get(mailbox_key(source))
        if known is not None:
            return known
        local, domain = _parts(source)
        name = source
        if self._change and domain.casefold() == self._change[0]:
            name = local + self._change[1]
        return None if mailbox_key(name) in self._taken else name


def _parts(name: str) -> tuple[str, str]:
    """Return what stands before the last @, and the domain with its @; empty where there is none."""
    at = name.rfind("@")
    return (name[:at], name[at:]) if at > 0 else (name, "")


def _change(source: str, target: str) -> tuple[str, str] | None:
    """Return the two domains, the first in lower case; None when more differs."""
    (one, old), (other, new) = _parts(source), _parts(target)
    return (old.casefold(), new) if mailbox_key(one) == mailbox_key(other) else None
