"""The clock of a run: begins downloads, does deeds at their time, waits for who counts."""

from __future__ import annotations

import gc
import selectors
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import attrs

from labrig.counters import Cpu, parse_cpu
from labrig.talk import Talk

__all__ = ["TICK_S", "Clock", "Due", "machine_cpu"]

TICK_S = 0.5
"""How often the machine is looked at."""


def machine_cpu() -> Cpu:
    """What the cores have done so far."""
    return parse_cpu(Path("/proc/stat").read_text())


@attrs.frozen
class Due:
    """Something to be done so many seconds after the start."""

    at_s: float
    act: Callable[[], object]


@attrs.define
class Clock:
    """One run.

    :ivar cpus: the machine at each tick, the start and the end included.
    :ivar seconds: how long the run took.
    """

    cpus: list[Cpu] = attrs.field(factory=list)
    seconds: float = 0.0

    def run(
        self,
        waited: Sequence[Talk],
        others: Sequence[Talk],
        dues: Sequence[Due],
        *,
        limit_s: float,
        on_tick: Callable[[float], object],
    ) -> None:
        """Let time run from 0 until all that are waited for are over, or the limit.

        :param others: are listened to as long as that takes.
        :param dues: beginnings and deeds.
        """
        dues = sorted(dues, key=lambda due: due.at_s)
        at = 0
        gc.collect()
        gc.disable()
        with selectors.DefaultSelector() as selector:
            for talk in (*waited, *others):
                selector.register(talk.fileno(), selectors.EVENT_READ, talk)
            self.cpus.append(machine_cpu())
            start = time.monotonic()
            tick_s = TICK_S
            now = 0.0
            while any(talk.over_s is None for talk in waited) and now < limit_s:
                while at < len(dues) and dues[at].at_s <= now:
                    dues[at].act()
                    at += 1
                if now >= tick_s:
                    tick_s = now + TICK_S
                    self.cpus.append(machine_cpu())
                    on_tick(now)
                until = min(tick_s, dues[at].at_s if at < len(dues) else tick_s)
                ready = selector.select(max(0.0, until - (time.monotonic() - start)))
                now = time.monotonic() - start
                for key, _ in ready:
                    key.data.readable(now)
                    if key.data.over_s is not None:
                        selector.unregister(key.fd)
            self.seconds = now
            self.cpus.append(machine_cpu())
        gc.enable()

    @property
    def busy(self) -> float:
        """How busy the machine was over the run."""
        return self.cpus[-1].busy_since(self.cpus[0])

    @property
    def busiest(self) -> float:
        """How busy it was between two ticks, at most; the last short one does not count."""
        pairs = list(zip(self.cpus, self.cpus[1:], strict=False))
        return max((later.busy_since(earlier) for earlier, later in pairs[:-1] or pairs))

    @property
    def stolen(self) -> float:
        """What the hypervisor gave to others."""
        return self.cpus[-1].stolen_since(self.cpus[0])
