"""Rates and durations: how they are written, and how a rate is kept."""

from __future__ import annotations

import re
from collections.abc import Hashable

from dragonfly.errors import ConfigError

__all__ = ["BURST_S", "CREDIT_S", "SharedRate", "parse_duration", "parse_rate", "parse_size"]

BURST_S = 0.4
"""So many seconds' worth are saved up at most: more than a process waits for its CPU, and 4 %
of what passes in 10 s."""

CREDIT_S = 0.05
"""So many seconds' worth all flows together may have ahead of what they take: a turn of the
reactor takes some milliseconds, in which a flow with one connection would lose its part."""

_ROUNDING = 1.0
"""Who owes less than a byte may go on; the rest stays in the books."""

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


class SharedRate:
    """A rate that flows share: equal parts for those that have use for it, all of it for one.

    A token bucket over fluid fair queueing. What a flow took and the rate has not earned yet is
    its debt; what is earned pays all flows at the same speed, and where there are none it is
    saved, up to a burst. So a flow's part does not depend on how many connections it has, and
    no byte is lost or won by whoever asks late or early. Nothing is saved in the beginning.

    A flow is any hashable; one that owes nothing is paid ahead for a moment, since who reads
    does so a little later than it may, and is forgotten then. Times are those of a monotonic
    clock; one that steps back stands still.

    :param rate: bytes for each second; ``None`` for no limit.
    """

    def __init__(self, rate: float | None = None) -> None:
        self._rate = rate
        self._saved = 0.0
        self._paid = 0.0
        """What each flow was paid since there were last none."""
        self._due: dict[Hashable, float] = {}
        """Where :attr:`_paid` has to be for a flow to owe nothing."""
        self._at: float | None = None

    @property
    def rate(self) -> float | None:
        """Bytes for each second, ``None``: no limit."""
        return self._rate

    def set(self, rate: float | None, now: float) -> None:
        """Keep to ``rate`` from now on; debts stay, and are paid at the new rate."""
        self._advance(now)
        self._rate = rate
        if rate is None:
            self._due.clear()
            self._saved = self._paid = 0.0
        else:
            self._saved = min(self._saved, rate * BURST_S)

    def charge(self, flow: Hashable, count: float, now: float) -> None:
        """``flow`` takes ``count`` bytes, at once; less than none: it gives some back."""
        if self._rate is None:
            return
        self._advance(now)
        owed = self._due.get(flow, self._paid) - self._paid + count
        if owed > 0.0:
            used = min(self._saved, owed)
            self._saved, owed = self._saved - used, owed - used
        self._due[flow] = self._paid + owed

    def wait(self, flow: Hashable, now: float, *, debt: float = 0.0) -> float:
        """Seconds until ``flow`` owes no more than ``debt`` if nobody takes any more; 0.0: it
        does not."""
        if self._rate is None:
            return 0.0
        self._advance(now)
        mine = self._due.get(flow, self._paid) - debt
        if mine - self._paid < _ROUNDING:
            return 0.0
        credit = self._credit
        needed = sum(
            (due if due + credit < mine else mine) - self._paid for due in self._due.values()
        )
        return max(0.0, needed / self._rate)

    @property
    def _credit(self) -> float:
        """Bytes that a flow without debts may have ahead before its part goes to others."""
        return (self._rate or 0.0) * CREDIT_S / max(1, len(self._due))

    def _advance(self, now: float) -> None:
        """Pay all flows with what was earned since the last call, at the same speed."""
        before = now if self._at is None else self._at
        self._at = max(now, before)
        earned = (self._at - before) * (self._rate or 0.0)
        while self._due:
            leaves = min(self._due.values()) + self._credit
            needed = (leaves - self._paid) * len(self._due)
            if needed > earned:
                self._paid += earned / len(self._due)
                return
            earned -= max(0.0, needed)
            self._paid = max(self._paid, leaves)
            earned += self._dismiss()
        self._paid = 0.0
        self._save(earned)

    def _dismiss(self) -> float:
        """Forget the flow that has used nothing for longest; give what it has ahead."""
        flow = min(self._due, key=self._due.__getitem__)
        return self._paid - self._due.pop(flow)

    def _save(self, count: float) -> None:
        self._saved = min((self._rate or 0.0) * BURST_S, self._saved + count)
