"""Rates, sizes and durations: how they are written, and how a rate is kept."""

from __future__ import annotations

import pytest

from dragonfly.errors import ConfigError
from dragonfly.limits import Limits, TokenBucket, parse_duration, parse_rate, parse_size

SLICE = 256 * 1024


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("17", 17),
        ("17B", 17),
        ("1k", 1 << 10),
        ("1K", 1 << 10),
        ("1KB", 1 << 10),
        ("20M", 20 << 20),
        ("20MB", 20 << 20),
        ("20m", 20 << 20),
        ("3g", 3 << 30),
        ("3G", 3 << 30),
        ("3GB", 3 << 30),
        ("1.5K", 1536),
        (" 5M ", 5 << 20),
    ],
)
def test_sizes(text: str, size: int) -> None:
    """All of v1's units, powers of 1024."""
    assert parse_size(text, "--x") == size


@pytest.mark.parametrize("text", ["", "M", "-1", "1 M", "1T", "1mb", "0x10", "1e3", "nan", "1.M"])
def test_no_sizes(text: str) -> None:
    """The error names the key and quotes the value."""
    with pytest.raises(ConfigError, match=r"--totallimit: '.*' is not a size"):
        parse_size(text, "--totallimit")


def test_absurd_numbers() -> None:
    """More digits than any disk has are an error, not a crash."""
    with pytest.raises(ConfigError, match="too large"):
        parse_size("9" * 400, "--x")
    with pytest.raises(ConfigError, match="is not a duration"):
        parse_duration("9" * 400 + "s", "--x")


def test_rates() -> None:
    """A rate of nothing would stop a transfer for ever."""
    assert parse_rate("2M", "--x") == 2 << 20
    with pytest.raises(ConfigError, match="less than one byte"):
        parse_rate("0", "--x")
    with pytest.raises(ConfigError, match="not a size"):
        parse_rate("fast", "--x")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("2.5", 2.5),
        ("90s", 90.0),
        ("1m30s", 90.0),
        ("500ms", 0.5),
        ("250us", 0.00025),
        ("250µs", 0.00025),
        ("7ns", 7e-9),
        ("1h1m1s", 3661.0),
        (" 3m ", 180.0),
        ("1.5h", 5400.0),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    """Go's spellings, which v1's files have, and bare seconds."""
    assert parse_duration(text, "--x") == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "s", "1x", "1m 30s", "-1", "-1s", "nan", "inf", "1m30", "1s!"]
)
def test_no_durations(text: str) -> None:
    """The error names the key and quotes the value."""
    with pytest.raises(ConfigError, match=r"--alivetime: '.*' is not a duration"):
        parse_duration(text, "--alivetime")


# -- keeping a rate -----------------------------------------------------------------------


def test_no_limit() -> None:
    """Without a rate nobody waits."""
    bucket = TokenBucket(None)
    assert bucket.take(10**12, 0.0) == 0.0
    assert bucket.take(10**12, 0.0) == 0.0


def test_a_burst_passes_and_then_the_rate_counts() -> None:
    """What was saved up passes at once; after it each byte costs its time."""
    bucket = TokenBucket(1000.0, burst=500.0)
    assert bucket.take(500, 10.0) == 0.0
    assert bucket.take(100, 10.0) == pytest.approx(0.1)
    assert bucket.take(100, 10.1) == pytest.approx(0.1)
    assert bucket.take(0, 10.2) == pytest.approx(0.0)


def test_savings_end_at_the_burst() -> None:
    """An idle hour does not allow an hour's bytes at once."""
    bucket = TokenBucket(1000.0, burst=500.0)
    bucket.take(500, 0.0)
    assert bucket.take(600, 3600.0) == pytest.approx(0.1)


def test_more_than_the_burst_is_lent() -> None:
    """A slice larger than the burst passes, and is waited for afterwards."""
    bucket = TokenBucket(1000.0, burst=10.0)
    assert bucket.take(SLICE, 0.0) == pytest.approx((SLICE - 10) / 1000)


def test_a_clock_that_steps_back() -> None:
    """The time between is not counted twice."""
    bucket = TokenBucket(1000.0, burst=500.0)
    bucket.take(500, 100.0)
    assert bucket.take(100, 90.0) == pytest.approx(0.1)
    assert bucket.take(0, 100.0) == pytest.approx(0.1)


@pytest.mark.parametrize(("rate", "burst"), [(1.0, SLICE), (4.0 * SLICE, SLICE), (8e9, 2e9)])
def test_default_burst(rate: float, burst: float) -> None:
    """A quarter of a second, and never less than one slice."""
    assert TokenBucket(rate).burst == burst


def test_all_limits_apply() -> None:
    """Each bucket pays, and the slowest decides."""
    mine, host = TokenBucket(1000.0, burst=0.0), TokenBucket(200.0, burst=0.0)
    assert Limits([mine, host]).take(100, 0.0) == pytest.approx(0.5)
    assert mine.take(0, 0.0) == pytest.approx(0.1)
    assert Limits([]).take(100, 0.0) == 0.0
