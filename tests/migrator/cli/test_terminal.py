"""What a person sees: the bar, the lines above it, numbers in plain words, and no stranger's control characters."""

from __future__ import annotations

import io

import pytest

from migrator.cli.terminal import Amount, Meter, Terminal, bar_line, describe, duration, printable, size, table


class HandClock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.time = 100.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    def wait(self, seconds: float) -> None:
        self.time += seconds


def meter_after(clock: HandClock, seconds: int, per_second: Amount, total: Amount) -> Meter:
    meter = Meter(clock)
    meter.total = total
    for second in range(1, seconds + 1):
        clock.wait(1)
        meter.reach(Amount(per_second.messages * second, per_second.size_bytes * second))
    return meter


def test_rate_and_time_left_follow_from_what_is_done() -> None:
    meter = meter_after(HandClock(), 10, Amount(100, 1_000_000), Amount(4000, 40_000_000))
    assert meter.rate() == Amount(100, 1_000_000)
    assert meter.seconds_left() == pytest.approx(30, abs=0.5)
    assert meter.share() == pytest.approx(0.25)
    assert describe(meter) == "1,000 of 4,000 messages, 10.0 MB of 40.0 MB, 100/s, 1.0 MB/s, 30 s left"


def test_the_rate_is_that_of_the_last_seconds() -> None:
    clock = HandClock()
    meter = meter_after(clock, 100, Amount(100, 0), Amount(100_000, 0))
    for _ in range(60):
        clock.wait(1)
        meter.reach(Amount(meter.done.messages + 10, 0))
    assert meter.rate().messages == 10


def test_without_any_progress_no_time_left_is_invented() -> None:
    meter = Meter(HandClock())
    meter.total = Amount(10, 100)
    assert meter.seconds_left() is None
    assert "left" not in describe(meter)
    assert meter.share() == 0


def test_more_than_the_total_is_never_more_than_all() -> None:
    meter = meter_after(HandClock(), 2, Amount(10, 10), Amount(5, 5))
    assert meter.share() == 1.0
    assert meter.seconds_left() == 0


def test_the_bar_fits_the_terminal() -> None:
    for columns in range(2, 200):
        assert len(bar_line(0.5, "1,000 of 2,000 messages", columns)) < columns
    assert bar_line(0.5, "half", 40) == " 50% [=============             ] half"
    assert bar_line(0.5, "half", 16) == " 50%  half"


def test_a_line_goes_above_the_bar_and_the_bar_comes_back() -> None:
    clock, stream = HandClock(), io.StringIO()
    terminal = Terminal(stream, clock=clock, bar=True)
    clock.wait(1)
    terminal.progress(0.5, "half")
    bar = stream.getvalue().removeprefix("\r\x1b[K")
    terminal.say("a line")
    terminal.clear()
    assert stream.getvalue() == f"\r\x1b[K{bar}\r\x1b[Ka line\n\r\x1b[K{bar}\r\x1b[K"


def test_without_a_terminal_there_is_a_plain_line_every_few_seconds() -> None:
    clock, stream = HandClock(), io.StringIO()
    terminal = Terminal(stream, clock=clock)
    for step in range(161):
        terminal.progress(step / 160, f"at {step}")
        clock.wait(0.125)
    terminal.clear()
    lines = stream.getvalue().splitlines()
    assert lines == [" 25%  at 40", " 50%  at 80", " 75%  at 120", "100%  at 160"]
    assert "\x1b" not in stream.getvalue()


def test_a_stream_that_is_gone_does_not_stop_the_copy() -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    Terminal(Gone()).say("hello")


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (45_230_000, "45.2 MB"), (999_600, "1.0 MB"),
     (210_000_000, "210 MB"), (3_200_000_000_000, "3200 GB")],
)  # fmt: skip
def test_bytes_are_told_in_plain_units(number, text) -> None:
    assert size(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (9.9, "9.9 s"),
        (9.96, "10 s"),
        (99, "99 s"),
        (100, "2 min"),
        (720, "12 min"),
        (11100, "3 h 5 min"),
    ],
)
def test_times_are_told_in_plain_units(seconds, text) -> None:
    assert duration(seconds) == text


def test_strange_text_cannot_steer_the_terminal() -> None:
    shown = printable("a\x1b[2Jb\r\nc\x9b\u202eü\ud800")
    assert shown == "a\\x1b[2Jb\\r\\nc\\x9b\\u202eü\\ud800"


def test_a_table_is_aligned_with_its_numbers_to_the_right() -> None:
    assert table(["Name", "Copied"], [["a", 1000], ["bcdef", 7]]) == [
        "Name   Copied",
        "-----  ------",
        "a       1,000",
        "bcdef       7",
    ]
    assert table(["Name"], []) == ["Name", "----"]
