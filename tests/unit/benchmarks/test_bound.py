"""The fluid bound."""

from __future__ import annotations

import pytest
from labrig.bound import GOODPUT, Taker, bytes_per_s, fluid_bound, native_bound

F = 1000


def test_goodput_is_payload_without_headers() -> None:
    """A link's rate is given as tc counts it: with the headers of each segment."""
    assert bytes_per_s(8) == pytest.approx(1e6 * GOODPUT)


def test_a_slow_seed_bounds() -> None:
    """Every byte must leave the seed once."""
    assert fluid_bound(F, 10, [Taker(100)] * 4) == pytest.approx(100)


def test_slow_takers_bound() -> None:
    """Nobody takes faster than its own link, however fast the others are."""
    assert fluid_bound(F, 1000, [Taker(1000), Taker(10)]) == pytest.approx(100)


def test_all_upload_together_bounds() -> None:
    """Four copies at 100 from the seed and 4 x 100 from takers, each of whom takes 1000."""
    takers = [Taker(100)] * 4
    assert fluid_bound(F, 100, takers) == pytest.approx(max(F / 100, 4 * F / 500))


def test_many_takers_need_no_longer_than_the_sum_allows() -> None:
    """The largest of the three terms counts, not their sum."""
    takers = [Taker(1.0), *[Taker(100.0)] * 9]
    assert fluid_bound(F, 50.0, takers) == pytest.approx(1000)  # the slow one, alone
    assert fluid_bound(F, 1.0, [Taker(2.0)] * 2) == pytest.approx(1000)  # the seed, once


def test_a_cold_seed_is_as_slow_as_the_origin() -> None:
    """It cannot send what it has not received."""
    assert fluid_bound(F, 100, [Taker(100)], origin_rate=5) == pytest.approx(200)
    assert fluid_bound(F, 100, [Taker(100)], origin_rate=500) == pytest.approx(10)


def test_who_comes_late_starts_late() -> None:
    """Its own link carries nothing before."""
    assert fluid_bound(F, 100, [Taker(100), Taker(100, 30.0)]) == pytest.approx(40)


def test_uploads_count_from_arrival_on() -> None:
    """2000 bytes: 10 each second for 50 s, then 10 + 10."""
    takers = [Taker(10, 50.0), Taker(1e9, 50.0)]
    together = fluid_bound(F, 10, [Taker(1e9, 50.0), Taker(1e9, 50.0)])
    assert together == pytest.approx(100)  # the seed alone needs that for one copy
    assert fluid_bound(F, 10, takers) == pytest.approx(150)


def test_all_can_be_sent_before_the_last_comes() -> None:
    """Then only its own link bounds."""
    assert fluid_bound(F, 1000, [Taker(1000), Taker(1000, 500.0)]) == pytest.approx(501)


def test_native_shares_the_origin() -> None:
    """All copies leave one link, or each arrives on its own."""
    assert native_bound(F, 100, [Taker(100)] * 4) == pytest.approx(40)
    assert native_bound(F, 100, [Taker(10)]) == pytest.approx(100)
