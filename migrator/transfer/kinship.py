"""Whose mail is this? A look at both sides before the first write: a wrong row must not mix two people's mail.

Evidence is what a mailbox says of its owner: nearly all of it was sent to one address, or from it. Asked is only on the
first contact with a target that holds mail already. A doubt stops nobody: only a target that plainly belongs to
somebody else does. Contents are not looked at, and of the addresses nothing is kept.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from itertools import islice
from typing import Final

from migrator.errors import MigratorError, Side
from migrator.limits import Limits
from migrator.mail import Message
from migrator.stores.base import ReadRequest, SourceStore
from migrator.transfer.folder_pass import FolderPass
from migrator.transfer.match import identities

SAMPLE: Final = 40  # messages of the source that are read for this
SAMPLE_BYTES: Final = 64 * 1024  # bigger ones are passed over
LEAST: Final = 5  # messages on each side; fewer prove nothing
OWNED: Final = 0.5  # the owner's address is in at least so many of them
KNOWN: Final = 0.2  # an address in so many is no stranger's
_HEADER_END: Final = re.compile(rb"\r?\n\r?\n")
_FOLDED: Final = re.compile(r"\r?\n[ \t]+")
_NAMING: Final = re.compile(
    r"^(?:From|To|Cc|Delivered-To|X-Original-To|Envelope-To):(.*)$", re.IGNORECASE | re.MULTILINE
)
_FROM: Final = re.compile(r"^From:(.*)$", re.IGNORECASE | re.MULTILINE)
_ADDRESS: Final = re.compile(r"[^\s<>()\[\],;:\"@]{1,64}@[^\s<>()\[\],;:\"@]{1,255}")
_MOST_ADDRESSES: Final = 200  # of one message


class Correspondents:
    """The addresses that the messages of one mailbox name, and how many messages name each."""

    def __init__(self) -> None:
        self.messages = 0
        self._named: Counter[str] = Counter()

    def note(self, body: bytes) -> None:
        """Count one message, of which the header is enough."""
        self.messages += 1
        self._named.update(_addresses(body))

    def owners(self) -> list[str]:
        """Return the addresses that most messages name, the most frequent first: the owner's, or a list's they read."""
        if self.messages < LEAST:
            return []
        return [address for address, count in self._named.most_common() if count >= OWNED * self.messages]

    def count(self, address: str) -> int:
        """Return how many messages name ``address``."""
        return self._named[address]

    def known(self) -> frozenset[str]:
        """Return the addresses that are no strangers here."""
        least = max(2, KNOWN * self.messages)
        return frozenset(address for address, count in self._named.items() if count >= least)


def writers(body: bytes) -> set[str]:
    """Return the addresses in the From of a message, of which the header is enough."""
    lines = _FROM.findall(_header(body))
    return {address.casefold() for line in lines for address in islice(_ADDRESS.findall(line), _MOST_ADDRESSES)}


def _header(body: bytes) -> str:
    end = _HEADER_END.search(body, 0, SAMPLE_BYTES)
    return _FOLDED.sub(" ", body[: end.start() if end else SAMPLE_BYTES].decode("latin-1"))


def _addresses(body: bytes) -> set[str]:
    found = (address for line in _NAMING.findall(_header(body)) for address in _ADDRESS.findall(line))
    return {address.casefold() for address in islice(found, _MOST_ADDRESSES)}


def are_akin(one: str, others: Collection[str]) -> bool:
    """True when ``one`` may belong to the person of ``others``: the same address, or the same name at another domain.

    ``others`` may be addresses and plain sign-in names; ``john+news@a`` is ``john``.
    """
    return _person(one) in {_person(other) for other in others}


def _person(address: str) -> str:
    return address.casefold().partition("@")[0].partition("+")[0]


def are_strangers(source: Correspondents, target: Correspondents, kin: Collection[str]) -> bool:
    """True when both mailboxes have a plain owner, and these are different people. ``kin``: names of the source's."""
    left, right = source.owners(), target.owners()
    known = {*source.known(), *kin}
    is_known = any(are_akin(one, known) for one in right) or any(are_akin(one, target.known()) for one in left)
    return bool(left and right) and not is_known


def refuse_strangers(
    source: SourceStore,
    folders: Sequence[FolderPass],
    target_side: Correspondents,
    kin: Collection[str],
    limits: Limits,
) -> None:
    """Raise ``MigratorError("pair.strangers")`` when the target holds another person's mail.

    ``target_side`` is what the target's messages named as they were looked at; the candidates of ``folders`` are these
    messages. Reads at most ``SAMPLE`` small messages of the source, in one send; sets no flag; repeatable.
    """
    if not target_side.owners():
        return
    source_side, shared = Correspondents(), 0
    for folder, message in _newest(source, folders, limits):
        if message.whole is None:
            continue
        source_side.note(message.whole)
        shared += any(folder.candidates.holds(name) for name in identities(message))
    # All staff get some messages in common. Who has many of them is the same person, whatever the addresses say.
    if shared >= max(2, KNOWN * source_side.messages) or not are_strangers(source_side, target_side, kin):
        return
    raise strangers(source_side, target_side)


def strangers(source: Correspondents, target: Correspondents) -> MigratorError:
    """Return the error of two mailboxes of different people, with the evidence of both."""
    words = "; ".join(f"{side}: {_evidence(found)}" for side, found in zip(Side, (source, target), strict=True))
    return MigratorError("pair.strangers", side=Side.TARGET, reply=words)


def _evidence(found: Correspondents) -> str:
    owner = found.owners()[0]
    return f"{owner} in {found.count(owner)} of {found.messages} messages"


def _newest(source: SourceStore, folders: Sequence[FolderPass], limits: Limits) -> Iterable[tuple[FolderPass, Message]]:
    """Read the newest small messages that wait, of INBOX and of the folders whose counterpart is filled."""
    asked = [folder for folder in folders if folder.error is None and len(folder.pending)]
    asked.sort(key=lambda folder: (not folder.source.path.is_inbox, not len(folder.candidates)))
    requests, room, by_path = [], SAMPLE, {}
    most_bytes = min(SAMPLE_BYTES, limits.whole_bytes)
    for folder in asked[:4]:
        pending = folder.pending
        small = (at for at in reversed(range(len(pending))) if pending.size_bytes(at) <= most_bytes)
        uids = [pending.uids[at] for at in islice(small, max(1, room // 2))][::-1] if room > 1 else []
        if uids:
            room -= len(uids)
            by_path[folder.key] = folder
            requests.append(ReadRequest(folder.source.path, uids, folder.state.source_uidvalidity or None))
    for item in source.read(requests) if requests else ():
        if isinstance(item, Message):
            if item.stream is not None:
                for _ in item.stream:
                    pass
            yield by_path[item.path.raw], item
