"""What one run gave, and the figures that follow from it. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs

from labrig.bound import GOODPUT

__all__ = ["HostFigures", "Run", "copies", "merged", "percentile", "steps"]

GIB = 1 << 30


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least ``share`` of them do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def copies(wire_bytes: int, size: int) -> float:
    """Wire bytes as copies of the content: 1.0 if it was sent once, in full segments."""
    return wire_bytes * GOODPUT / size


def steps(values: Sequence[float]) -> list[tuple[float, float]]:
    """The share of hosts that are done, as points of a staircase, for so many that finish."""
    ordered = sorted(values)
    return [(value, (at + 1) / len(ordered)) for at, value in enumerate(ordered)]


def merged(
    progresses: Iterable[Sequence[tuple[float, int]]], size: int, step_s: float = 0.25
) -> list[tuple[float, float]]:
    """What all hosts have together, as a share of all copies, each ``step_s``.

    :param progresses: of each host: (seconds, bytes so far).
    """
    each = [sorted(progress) for progress in progresses]
    end = max((progress[-1][0] for progress in each if progress), default=0.0)
    points, at = [], [0] * len(each)
    for step in range(math.ceil(end / step_s) + 1):
        now = min(step * step_s, end)
        for number, progress in enumerate(each):
            while at[number] < len(progress) and progress[at[number]][0] <= now:
                at[number] += 1
        here = sum(
            min(progress[seen - 1][1], size)
            for progress, seen in zip(each, at, strict=True)
            if seen
        )
        points.append((now, here / (size * len(each))))
    return points


@attrs.frozen(kw_only=True)
class HostFigures:
    """One host in one run.

    :ivar role: ``full``, ``slow``, ``killed``, ``stalled`` or ``lying``.
    :ivar counted: whether the run waited for it.
    :ivar seconds: from its own start until it had everything, ``None`` if it never had.
    :ivar bytes: where its bytes came from, as it says.
    :ivar extra: what else its program tells.
    """

    name: str
    role: str
    counted: bool
    starts_s: float
    seconds: float | None
    error: str = ""
    bytes: Mapping[str, int] = attrs.field(factory=dict)
    cpu_s: float = 0.0
    peak_mib: float = 0.0
    extra: Mapping[str, Any] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class Run:
    """One run of one adapter.

    :ivar bound_s: the fluid bound of the scenario.
    :ivar origin_bytes: sent by the origin, on the wire; ``cdn_bytes`` likewise.
    :ivar cpu_s: seconds of all processes that move content, by group.
    :ivar machine_cpu: share of the machine that was busy, 0 to 1.
    :ivar busiest: the same in the busiest half second.
    :ivar progress: (seconds, share of all bytes that are there).
    """

    adapter: str
    number: int
    size: int
    bound_s: float
    hosts: Sequence[HostFigures]
    origin_bytes: int
    cdn_bytes: int
    dropped: int
    cpu_s: Mapping[str, float]
    peak_mib: Mapping[str, float]
    machine_cpu: float
    busiest: float
    stolen: float
    driver_cpu_s: float
    progress: Sequence[tuple[float, float]] = ()
    watched: Sequence[Mapping[str, Any]] = ()

    @property
    def finished(self) -> list[float]:
        """Seconds of the hosts that count and are done."""
        return [each.seconds for each in self.hosts if each.counted and each.seconds is not None]

    @property
    def failed(self) -> list[HostFigures]:
        """Hosts that count and are not done."""
        return [each for each in self.hosts if each.counted and each.seconds is None]

    @property
    def makespan_s(self) -> float:
        """When the last host that counts was done, from the first start."""
        ends = [
            each.starts_s + each.seconds
            for each in self.hosts
            if each.counted and each.seconds is not None
        ]
        return max(ends, default=math.nan)

    @property
    def ratio(self) -> float:
        """The makespan in terms of the bound."""
        return self.makespan_s / self.bound_s

    @property
    def delivered_gib(self) -> float:
        """What the finished hosts received together."""
        return max(len(self.finished), 1) * self.size / GIB

    @property
    def cpu_per_gib(self) -> float:
        """CPU seconds of all processes for each GiB delivered."""
        return sum(self.cpu_s.values()) / self.delivered_gib

    def last(self, role: str) -> float | None:
        """When the last host of a role was done, from its own start."""
        found = [each.seconds for each in self.hosts if each.role == role and each.seconds]
        return max(found, default=None)

    def summary(self) -> dict[str, Any]:
        """The figures of the table, for JSON."""
        done = self.finished
        return {
            "makespan_s": self.makespan_s,
            "ratio": self.ratio,
            "p50_s": percentile(done, 0.5) if done else None,
            "p99_s": percentile(done, 0.99) if done else None,
            "origin_copies": copies(self.origin_bytes, self.size),
            "cdn_copies": copies(self.cdn_bytes, self.size),
            "cpu_s_per_gib": self.cpu_per_gib,
            "unfinished": [each.name for each in self.failed],
        }
