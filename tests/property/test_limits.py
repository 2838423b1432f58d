"""A token bucket keeps its rate, whoever takes how much and when."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragonfly.errors import ConfigError
from dragonfly.limits import Limits, TokenBucket, parse_duration, parse_size

rates = st.floats(1.0, 1e9)
amounts = st.integers(0, 1 << 22)


@given(rates, st.floats(0.0, 1e7), st.lists(amounts, max_size=40))
def test_who_waits_keeps_the_rate(rate: float, burst: float, takes: list[int]) -> None:
    """All bytes but the burst and the last take cost their time."""
    bucket = TokenBucket(rate, burst)
    now, total = 0.0, 0
    for count in takes:
        now += bucket.take(count, now)
        total += count
    assert now == pytest.approx(max(0.0, (total - burst) / rate), rel=1e-6, abs=1e-3)


@given(
    rates,
    st.lists(st.tuples(amounts, st.floats(-1.0, 5.0)), max_size=40),
)
def test_no_more_than_rate_and_burst(rate: float, takes: list[tuple[int, float]]) -> None:
    """At any time: what was taken less what is owed fits the burst and the time."""
    bucket = TokenBucket(rate)
    now, latest, total = 0.0, 0.0, 0
    for count, pause in takes:
        now = max(0.0, now + pause)
        latest = max(latest, now)
        total += count
        owed = bucket.take(count, now) * rate
        allowed = bucket.burst + latest * rate
        assert total - owed <= allowed * (1 + 1e-9) + 1.0


@given(st.lists(rates, max_size=4), st.lists(amounts, min_size=1, max_size=20))
def test_the_slowest_decides(each: list[float], takes: list[int]) -> None:
    """Several limits together are as slow as the slowest of them alone."""
    together = Limits(TokenBucket(rate) for rate in each)
    alone = [TokenBucket(rate) for rate in each]
    for count in takes:
        waits = [bucket.take(count, 0.0) for bucket in alone]
        assert together.take(count, 0.0) == max(waits, default=0.0)


@given(
    st.sampled_from([parse_size, parse_duration]),
    st.text(max_size=20) | st.from_regex(r"[0-9.]*[a-zµ0-9]{0,3}", fullmatch=True),
)
def test_any_text(parse: Callable[[str, str], float], text: str) -> None:
    """A size or a duration, or an error that names the key."""
    try:
        value = parse(text, "--key")
    except ConfigError as error:
        shown = str(error)
    else:
        shown = "--key"
        assert 0 <= value < float("inf")
    assert "--key" in shown
