"""Rates and durations: how they are written, and how a rate is kept."""

from __future__ import annotations

import re
from collections.abc import Iterable

from dragonfly.errors import ConfigError

__all__ = ["Limits", "TokenBucket", "parse_duration", "parse_rate", "parse_size"]

_SIZE = re.compile(r"(\d+(?:\.\d+)?)(GB?|g|MB?|m|KB?|k|B?)")
_FACTORS = {"": 0, "b": 0, "k": 10, "m": 20, "g": 30}
_SPAN = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_size(text: str, key: str) -> int:
    """Read a size such as ``20M``: ``G GB g M MB m K KB k B``, powers of 1024.

    A bare number is bytes.

    :param key: what the value was given for, to be named in the error.
    :raises ConfigError: it is not a size.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ConfigError(f"{key}: {text!r} is not a size such as 20M, 512K or 1048576")
    size = float(match[1]) * (1 << _FACTORS[match[2][:1].lower()])
    if size == float("inf"):
        raise ConfigError(f"{key}: {text!r} is too large")
    return int(size)


def parse_rate(text: str, key: str) -> int:
    """Read a rate in bytes for each second, written as a size; at least 1.

    :raises ConfigError: it is not a size, or nothing at all.
    """
    rate = parse_size(text, key)
    if rate < 1:
        raise ConfigError(f"{key}: {text!r} is less than one byte for each second")
    return rate


def parse_duration(text: str, key: str) -> float:
    """Read a duration such as ``1m30s`` or ``500ms`` as seconds; a bare number is seconds.

    :raises ConfigError: it is not a duration.
    """
    text = text.strip()
    try:
        seconds = float(text)
    except ValueError:
        parts = _SPAN.findall(text)
        if not parts or "".join(number + unit for number, unit in parts) != text:
            raise ConfigError(
                f"{key}: {text!r} is not a duration such as 90s, 1m30s or 500ms"
            ) from None
        seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    if not 0 <= seconds < float("inf"):
        raise ConfigError(f"{key}: {text!r} is not a duration")
    return seconds


class TokenBucket:
    """Keeps a rate over time, with a burst.

    It lends: :meth:`take` always takes, and says how long to wait before taking again, so
    that a slice larger than the burst passes too.

    :param rate: bytes for each second; None for no limit.
    :param burst: bytes that may pass at once; by default a quarter of a second's worth, at
        least one slice, so that a limit under 1 MiB/s does not stop at every slice.
    """

    def __init__(self, rate: float | None, burst: float | None = None) -> None:
        self.rate = rate
        self.burst = burst if burst is not None else max((rate or 0.0) / 4, 256 * 1024.0)
        self._level = self.burst
        self._at: float | None = None

    def take(self, count: int, now: float) -> float:
        """Take ``count`` bytes at ``now``; give the seconds to wait before the next."""
        if self.rate is None:
            return 0.0
        if self._at is not None:
            now = max(now, self._at)  # a clock that steps back must not pay twice
            self._level = min(self.burst, self._level + (now - self._at) * self.rate)
        self._at = now
        self._level -= count
        return max(0.0, -self._level / self.rate)


class Limits:
    """Several buckets that all apply: one of a download, one of the host."""

    def __init__(self, buckets: Iterable[TokenBucket]) -> None:
        self.buckets = tuple(buckets)

    def take(self, count: int, now: float) -> float:
        """Take from every bucket; give the longest of their waits."""
        return max((bucket.take(count, now) for bucket in self.buckets), default=0.0)
