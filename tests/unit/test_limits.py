"""Rates, sizes and durations: how they are written, and how a rate is kept."""

from __future__ import annotations

import pytest

from dragonfly.errors import ConfigError
from dragonfly.limits import BURST_S, SharedRate, parse_duration, parse_rate, parse_size


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


# -- sharing a rate -----------------------------------------------------------------------


def test_no_limit() -> None:
    """Without a rate nobody waits."""
    shared = SharedRate()
    shared.charge("a", 10**12, 0.0)
    assert shared.wait("a", 0.0) == 0.0


def test_each_byte_costs_its_time() -> None:
    """From the first one on: nothing is saved in the beginning."""
    shared = SharedRate(1000.0)
    assert shared.wait("a", 10.0) == 0.0
    shared.charge("a", 500, 10.0)
    assert shared.wait("a", 10.0) == pytest.approx(0.5)
    assert shared.wait("a", 10.2) == pytest.approx(0.3)
    assert shared.wait("a", 10.5) == pytest.approx(0.0)


def test_savings_end_at_the_burst() -> None:
    """An idle hour does not allow an hour's bytes at once."""
    shared = SharedRate(1000.0)
    shared.charge("a", 0, 0.0)
    shared.charge("a", 1000 * BURST_S + 100, 3600.0)
    assert shared.wait("a", 3600.0) == pytest.approx(0.1)


def test_who_asks_late_loses_nothing() -> None:
    """A timer that was late is made up for."""
    shared = SharedRate(1000.0)
    shared.charge("a", 100, 0.0)
    shared.charge("a", 100, 0.15)
    assert shared.wait("a", 0.15) == pytest.approx(0.05)


def test_flows_share() -> None:
    """However much one of them owes, the other gets its half, and all when it is alone."""
    shared = SharedRate(1000.0)
    shared.charge("greedy", 10_000, 0.0)
    shared.charge("modest", 100, 0.0)
    assert shared.wait("modest", 0.0) == pytest.approx(0.2)
    assert shared.wait("greedy", 0.0) == pytest.approx(10.1)
    assert shared.wait("modest", 0.2) == pytest.approx(0.0)
    assert shared.wait("greedy", 1.2) == pytest.approx(8.9)


def test_savings_are_for_those_without_debts() -> None:
    """Who is in debt pays first, and another's debt is not made larger by that."""
    shared = SharedRate(1000.0)
    shared.charge("a", 300, 0.0)
    shared.charge("b", 100, 0.0)
    assert shared.wait("b", 0.0) == pytest.approx(0.2)
    assert shared.wait("a", 0.3) == pytest.approx(0.1)


def test_what_is_given_back_counts() -> None:
    """Less debt, or savings."""
    shared = SharedRate(1000.0)
    shared.charge("a", 300, 0.0)
    shared.charge("a", -100, 0.0)
    assert shared.wait("a", 0.0) == pytest.approx(0.2)
    shared.charge("a", -300, 0.0)
    assert shared.wait("a", 0.0) == 0.0
    shared.charge("b", 100, 0.0)
    assert shared.wait("b", 0.0) == 0.0


def test_a_clock_that_steps_back() -> None:
    """The time between is not counted twice."""
    shared = SharedRate(1000.0)
    shared.charge("a", 100, 100.0)
    assert shared.wait("a", 90.0) == pytest.approx(0.1)
    assert shared.wait("a", 100.0) == pytest.approx(0.1)


def test_another_rate_from_now_on() -> None:
    """What is owed is paid at the new one; without a limit nothing is owed."""
    shared = SharedRate(1000.0)
    shared.charge("a", 1000, 0.0)
    shared.set(100.0, 0.5)
    assert shared.wait("a", 0.5) == pytest.approx(5.0)
    shared.set(10_000.0, 1.5)
    assert shared.wait("a", 1.5) == pytest.approx(0.04)
    shared.set(None, 1.5)
    assert shared.wait("a", 1.5) == 0.0
    shared.set(1000.0, 2.0)
    assert shared.wait("a", 2.0) == 0.0


def test_a_lower_rate_has_smaller_savings() -> None:
    """What was saved at a high rate is no burst at a low one."""
    shared = SharedRate(1e6)
    shared.charge("a", 0, 0.0)
    shared.set(1000.0, 60.0)
    shared.charge("a", 1000, 60.0)
    assert shared.wait("a", 60.0) == pytest.approx(1.0 - BURST_S)
