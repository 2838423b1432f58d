"""What the kernel counts, read from its texts. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping

import attrs

__all__ = ["Cpu", "Sent", "parse_cpu", "parse_links", "parse_memory_mib", "parse_qdiscs"]


@attrs.frozen
class Cpu:
    """Ticks of all cores since boot.

    :ivar stolen: what the hypervisor gave to others; it was not there to be used, so it
        counts as busy.
    """

    total: int
    idle: int
    stolen: int

    def busy_since(self, earlier: Cpu) -> float:
        """The share of the machine that was not free since ``earlier``, 0 to 1."""
        total = self.total - earlier.total
        return 1 - (self.idle - earlier.idle) / total if total else 0.0

    def stolen_since(self, earlier: Cpu) -> float:
        """The share of the machine that others had since ``earlier``, 0 to 1."""
        total = self.total - earlier.total
        return (self.stolen - earlier.stolen) / total if total else 0.0


def parse_cpu(text: str) -> Cpu:
    """Read the first line of ``/proc/stat``."""
    numbers = [int(word) for word in text.splitlines()[0].split()[1:9]]
    return Cpu(total=sum(numbers), idle=numbers[3] + numbers[4], stolen=numbers[7])


def parse_memory_mib(text: str) -> float:
    """Read what is available from ``/proc/meminfo``."""
    for line in text.splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) / 1024
    return 0.0


@attrs.frozen
class Sent:
    """What left one end of a link: bytes as on the wire, with the headers of all segments."""

    bytes: int = 0
    dropped: int = 0

    def __sub__(self, earlier: Sent) -> Sent:
        return Sent(self.bytes - earlier.bytes, self.dropped - earlier.dropped)


def parse_qdiscs(text: str) -> Mapping[str, Sent]:
    """Read ``tc -s -j qdisc show``: the root queue of each link that is shaped.

    Interface counters would not do: of a train of segments that travels as one packet they
    count one header.
    """
    return {
        each.get("dev", ""): Sent(each["bytes"], each["drops"])
        for each in json.loads(text)
        if each["kind"] == "tbf" and each.get("root")
    }


def parse_links(text: str) -> Mapping[str, tuple[int, int]]:
    """Read ``ip -s -j link show`` of a bridge: bytes from and to each port."""
    return {
        each["ifname"]: (each["stats64"]["rx"]["bytes"], each["stats64"]["tx"]["bytes"])
        for each in json.loads(text)
        if each.get("stats64") and each.get("master")
    }
