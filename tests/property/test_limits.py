"""A rate that is shared is kept, whoever takes how much and when."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragonfly.errors import ConfigError
from dragonfly.limits import SharedRate, parse_duration, parse_size

rates = st.floats(1.0, 1e9)
amounts = st.integers(0, 1 << 22)


@given(rates, st.lists(amounts, max_size=40))
def test_who_waits_keeps_the_rate(rate: float, takes: list[int]) -> None:
    """Every byte costs its time, to the end of the last wait."""
    shared = SharedRate(rate)
    now, total = 0.0, 0
    for count in takes:
        shared.charge("a", count, now)
        now += shared.wait("a", now)
        total += count
    assert now == pytest.approx(total / rate, rel=1e-6, abs=(len(takes) + 1) / rate)


@given(
    rates,
    st.lists(
        st.tuples(st.sampled_from("abc"), amounts, st.floats(-1.0, 5.0)), min_size=1, max_size=40
    ),
)
def test_no_more_than_rate_and_burst(rate: float, takes: list[tuple[str, int, float]]) -> None:
    """At any time, whoever takes: what was taken less what is owed was earned."""
    shared = SharedRate(rate)
    now, latest, total = 0.0, 0.0, 0
    shared.charge("a", 0, now)
    for flow, count, pause in takes:
        now = max(0.0, now + pause)
        latest = max(latest, now)
        shared.charge(flow, count, now)
        total += count
        owed = max(shared.wait(each, now) for each in "abc") * rate
        assert total - owed <= latest * rate * (1 + 1e-9) + 3.0


@given(rates, st.integers(2, 5), st.integers(1, 8), st.integers(50, 200))
def test_parts_do_not_depend_on_how_much_is_taken_at_once(
    rate: float, flows: int, greed: int, rounds: int
) -> None:
    """Whoever has use for it gets the same, to about one take."""
    shared = SharedRate(rate)
    sizes = [1000 * (greed if flow == 0 else 1) for flow in range(flows)]
    taken = [0] * flows
    now = 0.0
    for _ in range(rounds):
        for flow in range(flows):
            while not shared.wait(flow, now):
                shared.charge(flow, sizes[flow], now)
                taken[flow] += sizes[flow]
        now += min(shared.wait(flow, now) for flow in range(flows))
    assert max(taken) - min(taken) <= 2 * max(sizes)


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
