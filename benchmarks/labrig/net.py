"""Hosts as network namespaces on a bridge, each on a link of its own rate.

Each link is shaped at both of its ends: what the host sends where it leaves the host, what
it receives where it leaves the bridge. The bridge has a namespace of its own, so nothing
touches the machine's own network, and nothing leaves it.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs

from labrig.bound import GOODPUT
from labrig.counters import Sent, parse_links, parse_qdiscs

__all__ = ["CDN", "CDN_ADDRESS", "ORIGIN", "ORIGIN_ADDRESS", "QUEUE_S", "Link", "Net", "network"]

ORIGIN, ORIGIN_ADDRESS = "origin", "10.77.0.1"
CDN, CDN_ADDRESS = "cdn", "10.77.0.2"

QUEUE_S = 0.1
"""What a full queue at the end of a link takes to drain."""

BURST_BYTES = 64 * 1024
"""Most that a bucket holds. The kernel's trains of segments are kept as short as the bucket of
the link (``gso_max_size``): a longer one is taken apart before it is shaped, and then each
segment wakes the receiver by itself, which costs twice the CPU time, and a machine that plays
all hosts has too little of that. Network cards join what arrives together, too."""

_HUB = "hub"
_SYSCTLS = {
    "net.ipv4.tcp_congestion_control": "cubic",
    "net.ipv4.tcp_no_metrics_save": "1",  # a run is not to know what the one before learned
    "net.ipv6.conf.all.disable_ipv6": "1",
    "net.ipv6.conf.default.disable_ipv6": "1",
}
_NEIGHBOURS = Path("/proc/sys/net/ipv4/neigh/default")
"""The limits of the table of link addresses, which all namespaces share."""


@attrs.frozen
class Link:
    """A host and its rate each way, in Mb/s on the wire."""

    name: str
    address: str
    mbit: float

    def shape(self, burst: int, queue_s: float = QUEUE_S) -> list[str]:
        """The arguments of ``tc`` for either end."""
        rate = self.mbit * 1e6 / 8
        limit = max(int(rate * queue_s), 2 * 1514)
        return [
            *("tbf", "rate", f"{round(self.mbit * 1e6)}bit"),
            *("burst", str(burst), "limit", str(limit)),
        ]


def burst_of(mbit: float, most: int = BURST_BYTES) -> int:
    """The bucket of a link: half of its queue, so that a train fits in beside another, and at
    most ``most``."""
    return min(most, int(mbit * 1e6 / 8 * QUEUE_S / 2))


class Net:
    """The network; see :func:`network`.

    :param links: origin, CDN and hosts.
    :param burst: bucket of each link in bytes, by default :func:`burst_of` its rate.
    :param queue_s: what a full queue at the end of a link takes to drain.
    """

    def __init__(
        self, links: Sequence[Link], *, burst: int | None = None, queue_s: float = QUEUE_S
    ) -> None:
        self.links = list(links)
        self._burst = burst
        self._queue_s = queue_s
        self._prefix = f"dflab{os.getpid()}-"
        self._made: list[str] = []
        self._limits: dict[Path, str] = {}

    def make(self) -> None:
        """Build it."""
        self._raise_limits()
        self._make_hub()
        for link in self.links:
            self._make_host(link)

    def remove(self) -> None:
        """Take down as much as was built; all processes inside must have ended."""
        for name in reversed(self._made):
            subprocess.run(["ip", "netns", "del", name], check=False)
        self._made.clear()
        for path, before in reversed(self._limits.items()):
            path.write_text(before)
        self._limits.clear()

    # -- use -------------------------------------------------------------------------

    def inside(self, name: str) -> list[str]:
        """What to put before a command so that it runs on that host, as the same process."""
        return ["nsenter", f"--net=/run/netns/{self._prefix}{name}", "--"]

    def burst(self, mbit: float) -> int:
        """The bucket of a link of that rate, in bytes."""
        return self._burst if self._burst is not None else burst_of(mbit)

    def sent(self, name: str) -> Sent:
        """What a host has sent so far."""
        text = _run("tc", "-n", self._prefix + name, "-s", "-j", "qdisc", "show")
        return parse_qdiscs(text)["eth0"]

    def received(self) -> Mapping[str, Sent]:
        """What the bridge has sent to each host so far."""
        return parse_qdiscs(_run("tc", "-n", self._prefix + _HUB, "-s", "-j", "qdisc", "show"))

    def traffic(self) -> Mapping[str, tuple[int, int]]:
        """Bytes that each host has sent and received so far, roughly."""
        return parse_links(_run("ip", "-n", self._prefix + _HUB, "-s", "-j", "link", "show"))

    # -- making ----------------------------------------------------------------------

    def _raise_limits(self) -> None:
        """Let every host know the link addresses of its neighbours: the table is one for all."""
        most = str(max(4096, 64 * len(self.links)))
        for name in ("gc_thresh3", "gc_thresh2", "gc_thresh1"):
            path = _NEIGHBOURS / name
            before = path.read_text().strip()
            if int(before) < int(most):
                self._limits[path] = before
                path.write_text(most)

    def _namespace(self, name: str) -> str:
        full = self._prefix + name
        _run("ip", "netns", "add", full)
        self._made.append(full)
        commands = ";".join(f"sysctl -qw {key}={value}" for key, value in _SYSCTLS.items())
        _run(*self.inside(name), "sh", "-c", commands)
        return full

    def _make_hub(self) -> None:
        hub = self._namespace(_HUB)
        _run("ip", "-n", hub, "link", "add", "br0", "type", "bridge", "mcast_snooping", "0")
        _run("ip", "-n", hub, "link", "set", "br0", "up")

    def _make_host(self, link: Link) -> None:
        hub, host = self._prefix + _HUB, self._namespace(link.name)
        port = ["ip", "-n", hub, "link"]
        _run(*port, "add", link.name, "type", "veth", "peer", "name", "eth0", "netns", host)
        _run(*port, "set", link.name, "master", "br0", "up")
        _run("ip", "-n", host, "addr", "add", f"{link.address}/16", "dev", "eth0")
        for device in ("lo", "eth0"):
            _run("ip", "-n", host, "link", "set", device, "up")
        train = str(int(self.burst(link.mbit) * GOODPUT))
        _run("ip", "-n", host, "link", "set", "eth0", "gso_max_size", train)
        shape = link.shape(self.burst(link.mbit), self._queue_s)
        for space, device in ((host, "eth0"), (hub, link.name)):
            _run("tc", "-n", space, "qdisc", "add", "dev", device, "root", *shape)


@contextmanager
def network(links: Sequence[Link], burst: int | None, queue_s: float = QUEUE_S) -> Iterator[Net]:
    """A network for as long as the context lasts."""
    net = Net(links, burst=burst, queue_s=queue_s)
    try:
        net.make()
        yield net
    finally:
        net.remove()


def _run(*command: str) -> str:
    """Run a command; its output. Ends the lab if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout
