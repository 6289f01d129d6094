"""Does a target keep the dates that messages come with? Some take the time of the copy instead, and say nothing."""

from __future__ import annotations

from typing import Final, NamedTuple

from migrator.events import DatesNotKept, EventSink
from migrator.stores.base import ScanRequest, TargetStore, Trouble
from migrator.transfer.folder_pass import FolderPass

ROUNDING_SECONDS: Final = 60  # more than that is another date


class Sample(NamedTuple):
    """A message that was stored just now, and its date."""

    folder: FolderPass
    target_uid: int
    date: int


def probe(target: TargetStore, sample: Sample, sink: EventSink) -> None:
    """Look at one message that was stored; tell when its date is another one than it came with. One round trip.

    Raises ``MigratorError`` of radius account or wider.
    """
    folder = sample.folder
    request = ScanRequest(folder.target_path, folder.state.target_uidvalidity or None, sample.target_uid - 1)
    for item in target.scan([request]):
        if isinstance(item, Trouble) or item.uid != sample.target_uid:
            continue
        if item.internal_date is None or abs(item.internal_date - sample.date) > ROUNDING_SECONDS:
            sink.emit(DatesNotKept(folder=folder.source.path.display, given=sample.date, kept=item.internal_date))
