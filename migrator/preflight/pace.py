"""How long a copy will take: a range, what it was taken from, and what will hold it up. Pure.

The shape of the work is known (so much for an account, a folder, a message, a byte: measured on our own benchmarks);
how many times slower or faster these two servers are is measured: by passes that copied between them, or, where there
were none yet, by the survey itself. It reads, and may write nothing: how fast the new server stores is not known
then, and the range says so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from statistics import median
from typing import Final, NamedTuple

from migrator.preflight.foreseen import AccountSurvey, Sample

# Seconds of one lane between two fast servers: the shape, not the pace.
_ACCOUNT: Final = 0.05
_FOLDER: Final = 0.002
_MESSAGE: Final = 0.0004
_BYTE: Final = 1 / 60_000_000

_FEWEST_PASSES: Final = 3  # of fewer no spread can be told
_DRIFT: Final = 0.25  # servers have other hours: no forecast is surer than this
_TENFOLD: Final = (
    0.5  # more, for each tenfold of the time in which the pace was measured: a burst tells little of hours
)
_WIDE: Final = 0.6  # from fewer passes
# What storing a message costs a new server that nobody has measured: memory and fast disks, or fsync on a slow one.
_STORES_FAST: Final = 1 / 4000
_STORES_SLOWLY: Final = 1 / 120
_STORES_BYTES_SLOWLY: Final = 1 / 8_000_000
_MAKES_FOLDER_SLOWLY: Final = 0.05
_MOST_OF_IT: Final = 0.5


class Basis(StrEnum):
    """What a forecast is taken from."""

    PASSES = "passes"  # mail that was copied between these servers
    PROBE = "probe"  # messages that the survey read; nothing was written


class Bottleneck(StrEnum):
    """What holds the copy up."""

    READING = "reading"  # the old server hands out mail no faster
    STORING = "storing"  # the new server stores mail no faster
    OPENING = "opening"  # signing in and listing: many small mailboxes, or a long way
    ONE_ACCOUNT = "one_account"  # the biggest mailbox takes longer than all others side by side
    DAILY_LIMIT = "daily_limit"  # the old server hands out only so much a day
    UNKNOWN = "unknown"  # the new server could not be measured


class Done(NamedTuple):
    """One pass that copied an account between the two servers."""

    seconds: float
    messages: int
    size_bytes: int
    folders: int = 0


@dataclass(frozen=True, slots=True)
class Forecast:
    """Seconds from the first account to the last."""

    seconds: float
    lowest: float
    highest: float
    basis: Basis
    measured: int  # passes, or messages that were read
    bottleneck: Bottleneck
    account: int | None = None  # which one, where one alone is the bottleneck: its place among the surveys


def forecast(surveys: Sequence[AccountSurvey], lanes: int, passes: Sequence[Done] = ()) -> Forecast | None:
    """Return how long the accounts of ``surveys`` take with ``lanes`` at once; None where nothing was measured.

    Accounts that will stop take a sign-in: they are not copied. ``passes`` must have run with as many lanes, or about.
    """
    moving = [(place, survey) for place, survey in enumerate(surveys) if not survey.stops]
    real = [one for one in passes if one.messages > 0 and one.seconds > 0]
    probed = _probed(survey for _, survey in moving)
    if not moving or not (real or probed.messages):
        return None
    each = [_by_passes(survey, real) if real else _by_probe(survey, probed) for _, survey in moving]
    tried = [replace(survey, messages=0, size_bytes=0, folders=0) for survey in surveys if survey.stops]
    all_of_them = [*each, *(_by_passes(one, real) if real else _by_probe(one, probed) for one in tried)]
    spans = [_side_by_side([one[at] for one in all_of_them], lanes) for at in range(3)]
    likely, lowest, highest = _drifting(spans, real, lanes)
    held_by, account = _bottleneck(moving, [one[0] for one in each], lanes, probed, real)
    limited = _daily_seconds(moving)
    if limited > likely:
        likely, highest, held_by, account = limited, max(highest, limited * (1 + _DRIFT)), Bottleneck.DAILY_LIMIT, None
    basis, measured = (Basis.PASSES, len(real)) if real else (Basis.PROBE, probed.messages)
    return Forecast(likely, lowest, highest, basis, measured, held_by, account)


def work(messages: int, size_bytes: int, folders: int) -> float:
    """Return how long a lane would take between two fast servers."""
    return _ACCOUNT + folders * _FOLDER + messages * _MESSAGE + size_bytes * _BYTE


def _by_passes(survey: AccountSurvey, passes: Sequence[Done]) -> tuple[float, float, float]:
    """Return the likely, lowest and highest seconds of one account: the shape, times how slow the passes were."""
    shape = work(survey.messages, survey.size_bytes, survey.folders)
    slowness = sum(one.seconds for one in passes) / sum(work(*one[1:]) for one in passes)
    return shape * slowness, shape * slowness, shape * slowness


def _drifting(spans: Sequence[float], passes: Sequence[Done], lanes: int) -> tuple[float, float, float]:
    """Widen a range by what other hours may change, and one that comes from passes by how much these differed."""
    likely, lowest, highest = spans
    if not passes:
        return likely, lowest / (1 + _DRIFT), highest * (1 + _DRIFT)
    measured_seconds = sum(one.seconds for one in passes) / lanes
    around = _TENFOLD * math.log10(1 + likely / measured_seconds)
    if len(passes) < _FEWEST_PASSES:
        around += _WIDE
    else:
        each = sorted(one.seconds / work(*one[1:]) for one in passes)
        middle = median(each)
        spread = median(abs(one - middle) for one in each) * 1.4826 / middle  # as a deviation, deaf to outliers
        around += _DRIFT + 2 * spread / math.sqrt(len(passes))
    return likely, likely / (1 + around), likely * (1 + around)


def _probed(surveys: object) -> Sample:
    """Return all samples as one."""
    messages = size_bytes = 0
    seconds = 0.0
    for survey in surveys:  # type: ignore[attr-defined]
        sample = survey.sample
        messages, size_bytes = messages + sample.messages, size_bytes + sample.size_bytes
        seconds += sample.seconds
    return Sample(messages, size_bytes, seconds)


def _by_probe(survey: AccountSurvey, probed: Sample) -> tuple[float, float, float]:
    """Return the same from what the survey measured: opening, and reading; what storing costs is a guess."""
    reads = probed.seconds / probed.messages
    opens = 2 * survey.opening_seconds + survey.folders * _FOLDER
    fast = max(reads / 2, _STORES_FAST) * survey.messages + survey.size_bytes * _BYTE / 2
    slow = max(2 * reads, _STORES_SLOWLY) * survey.messages + survey.size_bytes * _STORES_BYTES_SLOWLY
    slow += survey.folders * _MAKES_FOLDER_SLOWLY
    return opens + math.sqrt(fast * slow), opens / 2 + fast, 2 * opens + slow


def _side_by_side(seconds: Sequence[float], lanes: int) -> float:
    """Return how long it takes when ``lanes`` work at once, in any order: no less than the longest."""
    lanes = max(1, min(lanes, len(seconds)))
    longest = max(seconds)
    return max(longest, (sum(seconds) - longest) / lanes + longest / lanes)


def _bottleneck(
    moving: Sequence[tuple[int, AccountSurvey]],
    seconds: Sequence[float],
    lanes: int,
    probed: Sample,
    passes: Sequence[Done],
) -> tuple[Bottleneck, int | None]:
    """Return what takes most of the time, and which account where that is one alone."""
    longest = max(range(len(seconds)), key=seconds.__getitem__)
    if len(seconds) > lanes > 1 and seconds[longest] > sum(seconds) / lanes:
        return Bottleneck.ONE_ACCOUNT, moving[longest][0]
    if sum(2 * survey.opening_seconds for _, survey in moving) > _MOST_OF_IT * sum(seconds):
        return Bottleneck.OPENING, None
    if not passes or not probed.messages:
        return Bottleneck.UNKNOWN, None
    reading = probed.seconds / probed.messages * sum(survey.messages for _, survey in moving)
    return (Bottleneck.READING if reading > _MOST_OF_IT * sum(seconds) else Bottleneck.STORING), None


def _daily_seconds(moving: Sequence[tuple[int, AccountSurvey]]) -> float:
    """Return how long the account takes that must wait for another day's allowance most often."""
    days = [
        int(str(one.facts["days"])) - 1
        for _, survey in moving
        for one in survey.foreseen
        if one.code == "source.daily_limit"
    ]
    return max(days, default=0) * 86_400.0
