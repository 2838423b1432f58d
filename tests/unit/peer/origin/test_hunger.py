"""When a download starves."""

from __future__ import annotations

from dragonfly.peer.origin.hunger import PROMISE_S, QUIET_S, SLACK_S, Hunger

MIB = 1024 * 1024


def fed(hunger: Hunger, rate: int, begin: float, end: float) -> None:
    """Feed ``rate`` bytes a second in steps of 100 ms."""
    steps = round((end - begin) * 10)
    for step in range(1, steps + 1):
        hunger.fed(rate // 10, begin + step / 10)


def test_silence_is_hunger() -> None:
    """Nothing at all for three seconds, whatever was promised."""
    hunger = Hunger(0.0)
    hunger.fed(MIB, 1.0)
    assert not hunger.starves(MIB, 1.0 + QUIET_S - 0.01)
    assert hunger.starves(MIB, 1.0 + QUIET_S)


def test_a_slow_link_is_no_hunger() -> None:
    """Slow and steady keeps its promise; an hour of it is no reason to burden the origin."""
    hunger = Hunger(0.0)
    left = 36 * MIB
    for second in range(60):
        fed(hunger, 10_000, second, second + 1)
        left -= 10_000
        assert not hunger.starves(left, second + 1.0)


def test_a_swarm_that_dries_up_is() -> None:
    """The end moves away: first fast, then a hundredth of it."""
    hunger = Hunger(0.0)
    fed(hunger, 10 * MIB, 0.0, 5.0)
    left = 100 * MIB
    assert not hunger.starves(left, 5.0)
    fed(hunger, MIB // 10, 5.0, 25.0)
    assert hunger.starves(left, 25.0)


def test_a_slower_rate_that_lasts_is_how_fast_it_is() -> None:
    """As of disks when memory is full: hungry for a while, then used to it."""
    hunger = Hunger(0.0)
    fed(hunger, 30 * MIB, 0.0, 10.0)
    left = 2_000 * MIB
    assert not hunger.starves(left, 10.0)
    hungry = []
    for second in range(10, 60):
        fed(hunger, 10 * MIB, second, second + 1)
        left -= 10 * MIB
        hungry.append(hunger.starves(left, second + 1.0))
    assert hungry[6]
    assert 0 < hungry.count(True) <= 2 * PROMISE_S
    assert not any(hungry[25:])


def test_a_rate_that_falls_on_is_hunger_all_the_time() -> None:
    """The end moves away from whatever was promised."""
    hunger = Hunger(0.0)
    fed(hunger, 32 * MIB, 0.0, 10.0)
    left = 2_000 * MIB
    assert not hunger.starves(left, 10.0)
    hungry = []
    for step in range(1, 8):
        fed(hunger, 32 * MIB >> step, 10.0 * step, 10.0 * (step + 1))
        hungry.append(hunger.starves(left, 10.0 * (step + 1)))
    assert all(hungry)


def test_a_small_slip_is_forgiven() -> None:
    """A finish that moves by less than the slack changes nothing."""
    hunger = Hunger(0.0)
    fed(hunger, MIB, 0.0, 5.0)
    assert not hunger.starves(10 * MIB, 5.0)
    fed(hunger, int(MIB * 0.7), 5.0, 10.0)
    expected = hunger.expected_s(10 * MIB, 10.0)
    assert expected is not None
    assert 10.0 + expected - 15.0 < SLACK_S
    assert not hunger.starves(10 * MIB, 10.0)


def test_nothing_left_is_never_hunger() -> None:
    """A finished download has no appetite."""
    assert not Hunger(0.0).starves(0, 100.0)


def test_the_rate_of_the_first_moments_is_not_too_low() -> None:
    """The smoothing accounts for the time that there was."""
    hunger = Hunger(0.0)
    fed(hunger, MIB, 0.0, 1.0)
    assert 0.8 * MIB < hunger.rate(1.0) < 1.3 * MIB


def test_nobody_can_tell_without_a_rate() -> None:
    """Then there is no expectation."""
    assert Hunger(0.0).expected_s(MIB, 1.0) is None


def test_without_an_end_only_silence_is_hunger() -> None:
    """A reader whose window moves on never comes nearer to an end, however fast it is."""
    hunger = Hunger(0.0)
    for second in range(60):
        fed(hunger, MIB, second, second + 1)
        assert not hunger.starves(None, second + 1.0)
    assert hunger.starves(None, 60.0 + QUIET_S)


def test_a_rest_is_no_hunger() -> None:
    """Who wanted nothing for a while begins anew."""
    hunger = Hunger(0.0)
    fed(hunger, 100 * MIB, 0.0, 5.0)
    hunger.rest(100.0)
    assert not hunger.starves(MIB, 100.0 + QUIET_S - 0.01)
    fed(hunger, MIB, 100.0, 110.0)
    assert not hunger.starves(600 * MIB, 110.0)
    assert hunger.rate(110.0) < 2 * MIB
