"""Every host pulls from the origin with curl."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labrig.adapter import Lab
from labrig.process import Process
from labrig.talk import CommandTalk

__all__ = ["Native"]


class Native:
    """One curl for each host, started with the clock."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def start(self) -> None:
        """Nothing to do."""

    def talks(self) -> Mapping[str, CommandTalk]:
        """The commands."""
        lab = self._lab
        return {
            host.name: CommandTalk(
                [
                    *lab.net.inside(host.name),
                    *("curl", "-sf", "-o", str(lab.work / host.name), lab.url),
                ],
                lab.work / host.name,
            )
            for host in lab.hosts
        }

    def processes(self) -> Mapping[str, Process]:
        """None before the clock."""
        return {}

    def settings(self) -> Mapping[str, Any]:
        """None."""
        return {}

    def extra(self, name: str) -> Mapping[str, Any]:
        """Nothing."""
        return {}

    def stop(self) -> None:
        """Nothing to do."""
