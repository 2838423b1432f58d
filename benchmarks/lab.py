"""Swarms on rate-limited links: hosts are network namespaces, all on this machine.

    python benchmarks/lab.py A --repeat 3 --with ours,torrent,native --out DIR

Needs root, Linux, iproute2, nginx and curl; libtorrent for ``torrent`` and ``super`` (in the
Python that LAB_TORRENT_PYTHON names, /usr/bin/python3 by default). Touches no other network
of the machine, removes what it made, and refuses to report what was measured on a machine
without air to breathe. Ends with 0, or 1 if a host did not get the file, or 3 if refused.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import attrs
from labrig import torrent
from labrig.adapter import Adapter, Lab
from labrig.counters import parse_memory_mib
from labrig.figures import Run
from labrig.measure import Measured, measure
from labrig.native import Native
from labrig.net import CDN, CDN_ADDRESS, ORIGIN, ORIGIN_ADDRESS, QUEUE_S, Link, Net, network
from labrig.origin import check_link, origin
from labrig.ours import Ours
from labrig.process import Process
from labrig.report import Report
from labrig.scenario import SCENARIOS, Host, Scenario
from labrig.torrent import Torrent
from rig import machine, random_file, touch_memory

CPU_MOST = 0.90
"""A machine that is busier than that measures itself."""

PEER_MIB = 75
"""What a peer is reckoned with when memory is checked and touched."""

ADAPTERS: dict[str, Callable[[Lab], Adapter]] = {
    "native": Native,
    "ours": Ours,
    "torrent": lambda lab: Torrent(lab, super_seeding=False),
    "super": lambda lab: Torrent(lab, super_seeding=True),
}


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("scenario", nargs="?", default="small", choices=SCENARIOS)
    add("--with", dest="adapters", default="ours,native", help="of: " + ", ".join(ADAPTERS))
    add("--no-native", action="store_true", help="compute what the origin alone would take")
    add("--hosts", type=int)
    add("--host-rate", dest="host_mbit", type=float, metavar="MBIT", help="each way")
    add("--cdn-rate", dest="cdn_mbit", type=float, metavar="MBIT")
    add("--origin-rate", dest="origin_mbit", type=float, metavar="MBIT")
    add("--size", dest="size_mib", type=float, metavar="MIB")
    add("--cold", action=argparse.BooleanOptionalAction, help="the supernode has nothing yet")
    add("--slow", type=int, metavar="N", help="hosts with a quarter of the rate")
    add("--arrive", dest="arrive_s", type=float, metavar="S", help="hosts come within that time")
    for name in ("killed", "stalled", "lying"):
        add(f"--{name}", type=int, metavar="N", help=f"hosts that are {name}")
    add("--greeted", action="store_true", help="peers have met the supernode before")
    add("--graph-seed", type=int, default=1, help="of the first run; the next have the next")
    add("--repeat", type=int, default=1)
    add("--burst", type=int, metavar="BYTES", help="bucket of each link [10 ms, 16 to 64 KiB]")
    add("--watch", action="store_true", help="note the traffic of all links twice a second")
    add("--out", type=Path, help="directory for result.json, table.rst, curves.svg and logs")
    given = parser.parse_args()
    given.adapters = [name for name in given.adapters.split(",") if name]
    unknown = set(given.adapters) - set(ADAPTERS)
    if unknown:
        parser.error(f"--with: {', '.join(unknown)} is none of {', '.join(ADAPTERS)}")
    return given


def scenario_of(given: argparse.Namespace) -> Scenario:
    """The scenario by name, with what was given otherwise."""
    keys = [field.name for field in attrs.fields(Scenario) if field.name != "name"]
    changes = {key: getattr(given, key) for key in keys if getattr(given, key) is not None}
    return attrs.evolve(SCENARIOS[given.scenario], **changes)


class Session:
    """The network and the origin, and one run after another on them."""

    def __init__(self, given: argparse.Namespace, scenario: Scenario, work: Path) -> None:
        self._given = given
        self._scenario = scenario
        self._work = work
        self._content = work / "www" / "content"
        self._url = f"http://{ORIGIN_ADDRESS}/content"
        self._hosts = scenario.cast(given.graph_seed)
        conditions = {"machine": machine(), "date": time.strftime("%Y-%m-%d %H:%M")}
        self.report = Report(scenario=scenario, conditions=conditions)

    def run(self) -> None:
        """Make the files and the network, check it, do all runs."""
        self._content.parent.mkdir()
        random_file(self._content, self._scenario.size)
        random_file(self._content.with_name("small"), 64 * 1024)
        with (
            network(self._links(), self._given.burst) as net,
            origin(net, self._content.parent, self._work) as nginx,
        ):
            self._check(net)
            for name in self._adapters():
                for number in range(1, self._given.repeat + 1):
                    self._one(net, nginx, name, number)

    def _links(self) -> list[Link]:
        scenario = self._scenario
        servers = [
            Link(ORIGIN, ORIGIN_ADDRESS, scenario.origin_mbit),
            Link(CDN, CDN_ADDRESS, scenario.cdn_mbit),
        ]
        return servers + [Link(host.name, host.address, host.mbit) for host in self._hosts]

    def _check(self, net: Net) -> None:
        scenario, first = self._scenario, self._hosts[0]
        reached = check_link(net, first, self._url, scenario.origin_mbit, scenario.size)
        self.report.conditions["links"] = {
            "one curl reaches": round(reached, 4),
            "burst bytes": net.burst(first.mbit),
            "queue s": QUEUE_S,
            "offloads": "as they are",
        }
        print(f"one curl reaches {reached:.3f} of what its link carries", flush=True)

    def _adapters(self) -> list[str]:
        names = self._given.adapters
        if self._given.no_native:
            seconds = self._scenario.native_s(self._hosts)
            self.report.computed.append(("native, computed", seconds))
            names = [name for name in names if name != "native"]
        return names

    def _one(self, net: Net, nginx: Process, name: str, number: int) -> None:
        """One run of one adapter, told at once."""
        lab = Lab(
            net=net,
            work=self._work / f"{name}{number}",
            scenario=self._scenario,
            hosts=_unharmed(self._hosts) if name == "native" else self._hosts,
            content=self._content,
            url=self._url,
            seed=self._given.graph_seed + number - 1,
            greeted=self._given.greeted,
        )
        lab.work.mkdir()
        adapter = ADAPTERS[name](lab)
        try:
            done = measure(lab, adapter, nginx, name=name, number=number, watch=self._given.watch)
            self.report.conditions[f"{name} settings"] = dict(adapter.settings())
            self._take(done)
        finally:
            self._keep_logs(lab.work)
            shutil.rmtree(lab.work)

    def _take(self, done: Measured) -> None:
        run = done.run
        what = f"{run.adapter} {run.number}"
        if run.machine_cpu > CPU_MOST:
            self.report.refused.append(
                f"{what} is not reported: the machine was {run.machine_cpu:.0%} busy, more than "
                f"{CPU_MOST:.0%}, and would have measured itself. Take lower rates."
            )
            print(self.report.refused[-1], flush=True)
            return
        self.report.runs.append(run)
        self.report.conditions[f"machine before {what}"] = f"{done.before:.0%} busy"
        print(f"{what}: {_brief(run)}; machine {done.before:.0%} busy before", flush=True)

    def _keep_logs(self, work: Path) -> None:
        if self._given.out is None:
            return
        kept = self._given.out / "logs" / work.name
        for log in [*work.glob("*.log"), *work.glob("*/peer.log")]:
            target = kept / (f"{log.parent.name}.log" if log.name == "peer.log" else log.name)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(log, target)


def _unharmed(hosts: list[Host]) -> list[Host]:
    """Nobody is killed while pulling natively."""
    return [host if host.counted else attrs.evolve(host, role="full") for host in hosts]


def _brief(run: Run) -> str:
    done = len(run.finished)
    return (
        f"{run.makespan_s:.2f} s, bound {run.bound_s:.2f}, ratio {run.ratio:.3f}, {done} done, "
        f"{len(run.failed)} not, machine {run.machine_cpu:.0%} (at most {run.busiest:.0%}, "
        f"stolen {run.stolen:.0%}), driver {run.driver_cpu_s:.1f} s"
    )


@contextmanager
def workshop(scenario: Scenario) -> Iterator[Path]:
    """A directory on tmpfs, with memory behind it that has been used before."""
    mib = int(scenario.hosts * (scenario.size_mib + PEER_MIB) + 3 * scenario.size_mib + 300)
    free = parse_memory_mib(Path("/proc/meminfo").read_text())
    if free < mib * 1.1:
        sys.exit(f"this needs {mib} MiB of memory, {free:.0f} are free")
    work = Path(tempfile.mkdtemp(prefix="dragonfly-lab-", dir="/dev/shm"))
    try:
        touch_memory(work, mib)
        yield work
    finally:
        shutil.rmtree(work)


def require(given: argparse.Namespace) -> None:
    """End if this machine cannot do it."""
    if os.geteuid() != 0 or not sys.platform.startswith("linux"):
        sys.exit("the lab needs root on Linux: it makes network namespaces")
    lacking = [name for name in ("ip", "tc", "nsenter", "nginx", "curl") if not shutil.which(name)]
    if lacking:
        sys.exit(f"the lab needs {', '.join(lacking)}")
    if {"torrent", "super"} & set(given.adapters) and torrent.missing():
        sys.exit(torrent.missing())


def main() -> int:
    """Do it all; give the exit code."""
    signal.signal(signal.SIGTERM, _stop)
    given = options()
    require(given)
    scenario = scenario_of(given)
    with workshop(scenario) as work:
        session = Session(given, scenario, work)
        try:
            session.run()
        finally:
            print(session.report.text(), flush=True)
            if given.out is not None:
                session.report.save(given.out)
    if session.report.refused:
        return 3
    return 1 if any(run.failed for run in session.report.runs) else 0


def _stop(number: int, frame: Any) -> NoReturn:  # noqa: ARG001 - signal's form
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
