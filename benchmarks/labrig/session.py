"""The network and the origin, and one run after another on them."""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import attrs
from rig import machine, random_file

from labrig.adapter import Adapter, Lab
from labrig.figures import Run
from labrig.measure import Measured, measure
from labrig.native import Native
from labrig.net import CDN, CDN_ADDRESS, ORIGIN, ORIGIN_ADDRESS, Link, Net, network
from labrig.origin import check_link, origin
from labrig.ours import Ours
from labrig.process import Process
from labrig.report import Report
from labrig.scenario import Host, Scenario
from labrig.torrent import Torrent

__all__ = ["ADAPTERS", "CPU_MOST", "Session"]

CPU_MOST = 0.90
"""A machine that is busier than that measures itself."""

ADAPTERS: dict[str, Callable[[Lab], Adapter]] = {
    "native": Native,
    "ours": Ours,
    "torrent": lambda lab: Torrent(lab, super_seeding=False),
    "super": lambda lab: Torrent(lab, super_seeding=True),
}


class Session:
    """All runs of one command.

    :param given: the command line.
    :param work: an empty directory on tmpfs.
    """

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
            network(self._links(), self._given.burst, self._given.queue / 1000) as net,
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
        first = self._hosts[0]
        reached = check_link(net, first, self._scenario.origin_mbit, self._content.parent)
        self.report.conditions["links"] = {
            "one curl reaches": round(reached, 4),
            "burst bytes": net.burst(first.mbit),
            "queue s": self._given.queue / 1000,
            "offloads": "as they are, trains no longer than the bucket",
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
            probed=self._given.probe,
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
                f"{CPU_MOST:.0%}, and would have measured itself ({_own(run)}). Take lower rates."
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


def _own(run: Run) -> str:
    """How much of that was our own doing."""
    seconds = sum(run.cpu_s.values())
    return f"{seconds:.1f} CPU s by the hosts' processes, {run.cpu_per_gib:.1f} for each GiB"


def _brief(run: Run) -> str:
    done = len(run.finished)
    return (
        f"{run.makespan_s:.2f} s, bound {run.bound_s:.2f}, ratio {run.ratio:.3f}, {done} done, "
        f"{len(run.failed)} not, machine {run.machine_cpu:.0%} (at most {run.busiest:.0%}, "
        f"stolen {run.stolen:.0%}), driver {run.driver_cpu_s:.1f} s"
    )
