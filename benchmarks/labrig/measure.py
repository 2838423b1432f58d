"""One run: start, wait for quiet, let the clock run, gather, compare the content."""

from __future__ import annotations

import filecmp
import resource
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import attrs

from labrig.adapter import Adapter, Lab
from labrig.clock import Clock, Due, machine_cpu
from labrig.figures import HostFigures, Run, merged
from labrig.net import CDN, ORIGIN
from labrig.process import Meter, Process
from labrig.scenario import Host
from labrig.talk import CommandTalk, SocketTalk, Talk

__all__ = ["LIMIT", "Measured", "measure"]

LIMIT = 8.0
"""After so many times the bound, and a minute, a run is given up."""

QUIET_S = 2.0
"""How long the machine is watched before the clock starts."""


@attrs.frozen
class Measured:
    """A run, and how busy the machine was before it, with all processes idle."""

    run: Run
    before: float


class _Measurement:
    """The work for one run."""

    def __init__(self, lab: Lab, adapter: Adapter, origin: Process, *, watch: bool) -> None:
        self._lab = lab
        self._adapter = adapter
        self._watch = watch
        self._hosts = {host.name: host for host in lab.hosts}
        self._processes = {**adapter.processes(), ORIGIN: origin}
        self._meter = Meter({name: each.pid for name, each in self._processes.items()})
        self._talks = adapter.talks()
        self._watched: list[dict[str, Any]] = []
        self._clock = Clock()

    def run(self, name: str, number: int, bound_s: float) -> Run:
        """Let it happen; give the figures."""
        lab = self._lab
        counted = [talk for key, talk in self._talks.items() if self._hosts[key].counted]
        others = [talk for key, talk in self._talks.items() if not self._hosts[key].counted]
        before = {key: lab.net.sent(key) for key in (ORIGIN, CDN)}
        dropped = self._dropped()
        self._meter.start()
        driver = resource.getrusage(resource.RUSAGE_SELF)
        self._clock.run(
            counted,
            others,
            self._dues(bound_s),
            limit_s=LIMIT * bound_s + 60,
            on_tick=self._tick,
        )
        used = resource.getrusage(resource.RUSAGE_SELF)
        sent = {key: lab.net.sent(key) - before[key] for key in before}
        self._meter.read_all()
        hosts = [self._figures(host) for host in lab.hosts]
        return Run(
            adapter=name,
            number=number,
            size=lab.scenario.size,
            bound_s=bound_s,
            hosts=hosts,
            origin_bytes=sent[ORIGIN].bytes,
            cdn_bytes=sent[CDN].bytes,
            dropped=self._dropped() - dropped,
            cpu_s=self._groups(self._meter.cpu_s, hosts, sum),
            peak_mib=self._groups(self._meter.peak_mib, hosts, max),
            machine_cpu=self._clock.busy,
            busiest=self._clock.busiest,
            stolen=self._clock.stolen,
            driver_cpu_s=used.ru_utime + used.ru_stime - driver.ru_utime - driver.ru_stime,
            progress=merged([t.progress() for t in self._talks.values()], lab.scenario.size),
            watched=self._watched,
        )

    # -- the clock -------------------------------------------------------------------

    def _dues(self, bound_s: float) -> list[Due]:
        dues = [Due(self._hosts[key].starts_s, talk.begin) for key, talk in self._talks.items()]
        signals = {"killed": signal.SIGKILL, "stalled": signal.SIGSTOP}
        struck = [host for host in self._lab.hosts if host.role in signals]
        return dues + [
            Due(bound_s / 2, partial(self._strike, host, signals[host.role]))
            for host in struck
            if host.name in self._processes
        ]

    def _strike(self, host: Host, number: signal.Signals) -> None:
        self._meter.read(host.name)
        self._processes[host.name].signal(number)

    def _tick(self, now: float) -> None:
        for talk in self._talks.values():
            if isinstance(talk, CommandTalk):
                talk.sample(now)
        if self._watch:
            self._watched.append({"at_s": now, "traffic": self._lab.net.traffic()})

    def _dropped(self) -> int:
        """Packets that did not fit into queues, at both ends of all links."""
        net = self._lab.net
        ends = [*net.received().values(), *(net.sent(link.name) for link in net.links)]
        return sum(end.dropped for end in ends)

    # -- afterwards ------------------------------------------------------------------

    def _figures(self, host: Host) -> HostFigures:
        talk = self._talks[host.name]
        talk.finish()
        error = talk.error or self._differs(talk)
        over_s = None if error or talk.over_s is None else talk.over_s - host.starts_s
        cpu, peak = self._meter.cpu_s.get(host.name, 0.0), self._meter.peak_mib.get(host.name, 0.0)
        if isinstance(talk, CommandTalk):
            cpu, peak = talk.cpu_s, talk.peak_mib
        return HostFigures(
            name=host.name,
            role=host.role,
            counted=host.counted,
            starts_s=host.starts_s,
            seconds=over_s,
            error=error,
            bytes=talk.origins(),
            cpu_s=cpu,
            peak_mib=peak,
            extra=self._extra(host, talk),
        )

    def _differs(self, talk: Talk) -> str:
        path = talk.file()
        try:
            same = path is not None and filecmp.cmp(path, self._lab.content, shallow=False)
        except OSError as error:
            return str(error)
        return "" if same else "WRONG CONTENT"

    def _extra(self, host: Host, talk: Talk) -> Mapping[str, Any]:
        extra: dict[str, Any] = {}
        if host.counted or host.role == "lying":  # the others do not answer
            with suppress(OSError, ValueError):
                extra |= self._adapter.extra(host.name)
        if isinstance(talk, SocketTalk) and talk.notices():
            extra["notices"] = talk.notices()
        return extra

    def _groups(self, by_name: Mapping[str, float], hosts: list[HostFigures], join: Any) -> Any:
        """Join what peers have each; origin and seed stand alone."""
        of_hosts = [h.cpu_s if join is sum else h.peak_mib for h in hosts]
        groups = {"peers": join(of_hosts), "origin": by_name.get(ORIGIN, 0.0)}
        return {**groups, "seed": by_name[CDN]} if CDN in by_name else groups


def measure(
    lab: Lab, adapter: Adapter, origin: Process, *, name: str, number: int, watch: bool
) -> Measured:
    """Make one run of ``adapter``, and end its processes."""
    try:
        adapter.start()
        earlier = machine_cpu()
        time.sleep(QUIET_S)
        before = machine_cpu().busy_since(earlier)
        measurement = _Measurement(lab, adapter, origin, watch=watch)
        bound_s = lab.scenario.bound_s(lab.hosts)
        return Measured(measurement.run(name, number, bound_s), before)
    finally:
        adapter.stop()
