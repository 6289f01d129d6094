"""The numbers of messages of sources that have names instead (POP3, files), as a ledger in the database keeps them.

A row is a run of numbers, packed: a mailbox of 500,000 messages is a hundred rows, not half a million. Runs of one
folder never overlap, so they come out in the order of the numbers without sorting.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice
from typing import Final

from django.db.models import Q

from campaigns.models import MessageNames
from migrator.stores.base import MessageName

NAMES_AT_ONCE: Final = 5000
_HEAD: Final = struct.Struct("<QI")  # number, length of the name
_Place = tuple[bytes, int]  # folder and UIDVALIDITY


def stored(account: int) -> Iterator[MessageName]:
    """Yield what is kept, by folder, numbering and number; flat memory."""
    for folder, digest in _folders(account):
        rows = MessageNames.objects.filter(account=account, folder_sha256=digest).order_by("uidvalidity", "first_uid")
        row = rows.first()
        while row is not None:
            for uid, name in _unpacked(row.packed):
                yield MessageName(folder, row.uidvalidity, uid, name)
            here = Q(uidvalidity=row.uidvalidity, first_uid__gt=row.first_uid)
            row = rows.filter(here | Q(uidvalidity__gt=row.uidvalidity)).first()


def put(account: int, names: Sequence[MessageName]) -> None:
    """Keep ``names``, in the caller's transaction; those of an earlier numbering of their folders go. Flat memory."""
    for folder, uidvalidity in {name.folder: name.uidvalidity for name in names}.items():
        rows = MessageNames.objects.filter(account=account, folder_sha256=_hash(folder))
        rows.filter(uidvalidity__lt=uidvalidity).delete()
    for place, some in groupby(names, key=lambda name: (name.folder, name.uidvalidity)):
        while run := {name.uid: name.name for name in islice(some, NAMES_AT_ONCE)}:
            _put_run(account, place, run)


def _put_run(account: int, place: _Place, run: dict[int, bytes]) -> None:
    rows = MessageNames.objects.filter(account=account, folder_sha256=_hash(place[0]), uidvalidity=place[1])
    rows = rows.filter(last_uid__gte=min(run), first_uid__lte=max(run))
    told_before = {uid: name for row in rows for uid, name in _unpacked(row.packed)}  # as a rule none
    if told_before:
        rows.delete()
    numbers = sorted((told_before | run).items())
    for start in range(0, len(numbers), NAMES_AT_ONCE):
        _insert(account, place, numbers[start : start + NAMES_AT_ONCE])


def _insert(account: int, place: _Place, numbers: Sequence[tuple[int, bytes]]) -> None:
    folder, uidvalidity = place
    MessageNames.objects.create(
        account_id=account,
        folder=folder,
        folder_sha256=_hash(folder),
        uidvalidity=uidvalidity,
        first_uid=numbers[0][0],
        last_uid=numbers[-1][0],
        packed=b"".join(_HEAD.pack(uid, len(name)) + name for uid, name in numbers),
    )


def _folders(account: int) -> list[tuple[bytes, str]]:
    rows: Iterable[tuple[bytes | memoryview, str]] = (
        MessageNames.objects.filter(account=account).values_list("folder", "folder_sha256").distinct()
    )
    return sorted((bytes(folder), digest) for folder, digest in rows)


def _unpacked(packed: bytes | memoryview) -> Iterator[tuple[int, bytes]]:
    octets, at = bytes(packed), 0
    while at < len(octets):
        uid, length = _HEAD.unpack_from(octets, at)
        at += _HEAD.size
        yield uid, octets[at : at + length]
        at += length


def _hash(name: bytes) -> str:
    return hashlib.sha256(name).hexdigest()
