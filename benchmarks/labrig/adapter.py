"""What the lab asks of each way to distribute a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import attrs

from labrig.net import Net
from labrig.process import Process
from labrig.scenario import Host, Scenario
from labrig.talk import Talk

__all__ = ["STARTS_AT_ONCE", "Adapter", "Lab", "start_all"]

STARTS_AT_ONCE = 4
"""Processes that start beside each other: more would not be ready earlier."""


@attrs.frozen(kw_only=True)
class Lab:
    """What all adapters of one run work with.

    :ivar work: a directory of this run, on tmpfs.
    :ivar content: the original, as file, and ``url``, where the origin has it.
    :ivar seed: of the run's draws.
    :ivar greeted: peers have met the supernode before the clock.
    :ivar probed: our processes write down how they are doing inside.
    """

    net: Net
    work: Path
    scenario: Scenario
    hosts: Sequence[Host]
    content: Path
    url: str
    seed: int
    greeted: bool = False
    probed: bool = False


class Adapter(Protocol):
    """One way to distribute a file, for one run."""

    def start(self) -> None:
        """Do all that comes before the clock."""

    def talks(self) -> Mapping[str, Talk]:
        """The downloads, one for each host, not begun."""

    def processes(self) -> Mapping[str, Process]:
        """What moves content, by host."""

    def settings(self) -> Mapping[str, Any]:
        """What was set, for the report."""

    def extra(self, name: str) -> Mapping[str, Any]:
        """What a host's program tells after the run."""

    def stop(self) -> None:
        """End everything."""


def start_all(starts: Sequence[Any]) -> list[Process]:
    """Start processes, a few at once, and wait until all are ready.

    :param starts: callables, each of which starts one.
    """
    started: list[Process] = []
    for start in starts:
        if len(started) >= STARTS_AT_ONCE:
            started[-STARTS_AT_ONCE].wait_ready()
        started.append(start())
    for process in started[-STARTS_AT_ONCE:]:
        process.wait_ready()
    return started
