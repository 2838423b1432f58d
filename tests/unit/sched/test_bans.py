"""Complaints fade, bans too, and one voice is one voice."""

from __future__ import annotations

from dragonfly.sched.bans import ACCUSED_MAX, BAN_LONGEST_S, BAN_S, FADE_S, SOURCES_MAX, Bans

KEY = b"k" * 32


def _complain(bans: Bans, count: int, now: float, *, first: int = 0) -> bool:
    results = [bans.complain(KEY, f"10.0.0.{first + n}", "wrong bytes", now) for n in range(count)]
    return any(results)


def test_three_addresses_ban_and_say_why() -> None:
    """Two may be wrong or in league; with the third the key is out, and the reason is shown."""
    bans = Bans()
    assert not _complain(bans, 2, 100.0)
    assert bans.reason(KEY, 100.0) is None
    assert _complain(bans, 1, 101.0, first=2)
    reason = bans.reason(KEY, 102.0)
    assert reason is not None
    assert "3 addresses" in reason
    assert "wrong bytes" in reason
    [ban] = bans.current(102.0)
    assert (ban.key, ban.since, ban.until) == (KEY, 101.0, 101.0 + BAN_S)


def test_one_address_counts_once() -> None:
    """Whoever has one address cannot have anybody banned, however often it complains."""
    bans = Bans()
    for now in range(50):
        assert bans.complain(KEY, "10.0.0.1", "wrong bytes", float(now)) is None
    assert bans.reason(KEY, 50.0) is None


def test_complaints_fade() -> None:
    """A complaint now and then is bad luck, from however many; three in a minute are not."""
    bans = Bans()
    for n in range(8):
        assert not _complain(bans, 1, n * 2 * FADE_S, first=n)
    now = 14 * FADE_S
    assert bans.reason(KEY, now) is None
    assert _complain(bans, 2, now + 60, first=20)
    assert bans.reason(KEY, now + 60) is not None


def test_a_ban_ends_and_the_next_is_longer() -> None:
    """Who offends again is out for twice as long, up to a limit; after a long good time not."""
    bans = Bans()
    first = bans.ban(KEY, "seen by the supernode", 0.0)
    assert bans.reason(KEY, BAN_S - 1) is not None
    assert bans.reason(KEY, BAN_S) is None
    second = bans.ban(KEY, "again", first.until)
    assert second.until - second.since == 2 * BAN_S
    now = second.until
    for _ in range(20):
        ban = bans.ban(KEY, "and again", now)
        now = ban.until
    assert ban.until - ban.since == BAN_LONGEST_S
    late = bans.ban(KEY, "long after", now + BAN_LONGEST_S + 1)
    assert late.until - late.since == BAN_S


def test_complaints_about_the_banned_change_nothing() -> None:
    """The ban that is on is not extended by those who come late."""
    bans = Bans()
    ban = bans.ban(KEY, "proved", 0.0)
    assert not _complain(bans, 5, 1.0)
    assert bans.current(1.0) == [ban]
    assert bans.current(ban.until) == []


def test_memory_is_bounded() -> None:
    """Inventing accused or complainers costs us no more than a fixed amount."""
    bans = Bans()
    for n in range(ACCUSED_MAX + 10):
        bans.complain(n.to_bytes(32, "big"), "10.0.0.1", "x", 0.0)
    assert len(bans._records) == ACCUSED_MAX
    # Spread so wide in time that they never weigh enough together.
    for n in range(4 * SOURCES_MAX):
        bans.complain(KEY, f"10.0.1.{n}", "x", n * 2 * FADE_S)
    assert len(bans._records[KEY].complaints) <= SOURCES_MAX


def test_reasons_are_fit_to_be_shown() -> None:
    """A reason comes from a stranger: it is cut, and cannot write lines into a log."""
    bans = Bans()
    bans.ban(KEY, "a\nb\x1b[31m" + "x" * 1000, 0.0)
    reason = bans.reason(KEY, 1.0)
    assert reason is not None
    assert reason.startswith("a?b?[31m")
    assert len(reason) == 200
