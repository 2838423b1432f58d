"""dfdaemon as one service: in which order its parts start and end."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress

from twisted.application.service import MultiService, Service
from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.internet.ssl import CertificateOptions
from twisted.logger import Logger

import dragonfly
from dragonfly.config import DaemonConfig, changed_keys, rate_text
from dragonfly.daemon.front.front import FrontFactory
from dragonfly.daemon.gauges import Gauges
from dragonfly.daemon.lifetime.predecessor import Predecessor
from dragonfly.daemon.lifetime.renewal import Renewal
from dragonfly.daemon.log.accesslog import AccessLog
from dragonfly.daemon.log.logfile import LogFile
from dragonfly.daemon.membership import Membership
from dragonfly.daemon.place import Place
from dragonfly.daemon.ports import Ports
from dragonfly.daemon.reception import Reception
from dragonfly.daemon.routing.registries import Registries
from dragonfly.daemon.status import make_status_site
from dragonfly.daemon.tls.authority import Authority
from dragonfly.daemon.turnover import Turnover
from dragonfly.errors import HomeBusy, StoreError
from dragonfly.metrics import DaemonMetrics
from dragonfly.net.build import build_info
from dragonfly.net.deadline import deadline
from dragonfly.net.fanout import OneShot
from dragonfly.net.hangup import Hangup
from dragonfly.net.lateness import LatenessSampler
from dragonfly.peer.equipment import Runtime
from dragonfly.peer.service import PeerService

__all__ = ["CLOSE_S", "HANDED_OVER_S", "NAMES_AT_ONCE", "DaemonService"]

NAMES_AT_ONCE = 64
"""Looking up a name takes a thread of the reactor, and where no name server answers, ten seconds
and more. Clients choose the names: with Twisted's ten threads, a few who ask for what is not
there would hold up all pulls. A thread is made when it is needed."""

HANDED_OVER_S = 12 * 3600.0
"""So long answers may take that were under way when another process took over: the longest pull
of a large image over a slow link."""

CLOSE_S = 2.0
"""So long connections to registries may take to be gone; the process ends then anyway."""

_log = Logger("dragonfly.daemon")


class DaemonService(MultiService):
    """All parts of a dfdaemon, wired; see :func:`dragonfly.daemon.composition.make_daemon`.

    :ivar ports: where it listens.
    :ivar finished: fires when another dfdaemon has taken over, with the number of its process
        if that is known. Whoever runs the service stops it then.
    """

    def __init__(
        self,
        config: DaemonConfig,
        registries: Registries,
        runtime: Runtime,
        *,
        place: Place,
        membership: Membership,
        tls: CertificateOptions | None = None,
        authority: Authority | None = None,
        opened: Mapping[str, socket.socket] | None = None,
        before: Predecessor | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.config = config
        self.registries = registries
        self._runtime = runtime
        self._reactor = runtime.reactor
        self._place = place
        self._membership = membership
        self._before = before
        self._stopping = False
        self.finished: OneShot[int | None] = OneShot()
        self.metrics = DaemonMetrics(build_info())
        self._reception = Reception.of(
            config,
            registries,
            runtime,
            membership,
            authority=authority,
            log=AccessLog(self.metrics),
            ports=self._mirror_numbers,
        )
        self._make_ports(tls, opened or {})
        self._make_parts()

    @property
    def peer(self) -> PeerService:
        """The peer of the home; dfgets use it, too. It may become another one."""
        return self._membership.peer

    def _make_ports(
        self, tls: CertificateOptions | None, opened: Mapping[str, socket.socket]
    ) -> None:
        reactor, reception = self._reactor, self._reception
        clients = self._clients = FrontFactory(
            reception.desk.answer, clock=reactor, opener=reception.tunnels, tls=tls
        )
        gauges = Gauges(self.metrics, clients, reception.tunnels, lambda: self.peer)
        site = make_status_site(
            build=build_info(),
            metrics=self.metrics,
            health=self.health,
            before_metrics=gauges.update,
            clock=reactor,
        )
        self.ports = Ports(
            reactor,
            self.config,
            clients,
            site,
            lambda: self.peer.pieces,
            tls=tls,
            opened=opened,
        )

    def _mirror_numbers(self) -> set[int]:
        return self.ports.mirror_numbers()

    def _make_parts(self) -> None:
        self._turnover = Turnover(
            self,
            self._runtime,
            place=self._place,
            membership=self._membership,
            reception=self._reception,
            ports=self.ports,
            clients=self._clients,
            end=self._replaced,
        )
        self.peer.succession = self._turnover.hand_over
        self._sampler = LatenessSampler(self._reactor, self._was_late)
        self._log_file = LogFile(self.config.log_path, verbose=self.config.verbose)
        # The ports first: one that is taken ends the process before threads run.
        for part in (self._log_file, *self.ports, self._sampler, self.peer):
            part.setServiceParent(self)

    # -- life -------------------------------------------------------------------------------

    def startService(self) -> None:
        """Serve; the log says where.

        :raises ListenError: a port cannot be had.
        :raises StoreError: the home or the store cannot be used.
        """
        self._reactor.suggestThreadPoolSize(NAMES_AT_ONCE)
        super().startService()  # type: ignore[no-untyped-call]
        self._announce()
        before, self._before = self._before, None
        if before is not None:
            with suppress(HomeBusy):  # it is gone: so much the better
                before.serving()
            before.close()

    def stopService(self) -> Deferred[None]:
        """Take no more requests, let answers end for ``drainTime``, stop the peer meanwhile.

        Bounded in time, whatever clients, registries and neighbours do. Cancelling is not
        supported.
        """
        return Deferred.fromCoroutine(self._stop())

    def hurry(self) -> None:
        """When it is stopping as another dfdaemon serves: let answers go on for ``drainTime``
        from now on, and no longer."""
        self._turnover.leaving.hurry(self.config.drain_s)

    async def _stop(self) -> None:
        self._stopping = True
        self._turnover.comeback.stop()
        Service.stopService(self)
        await self.ports.close_mirror()
        handed_over = self.finished.fired
        if handed_over:  # another process answers there, and that it is well
            await self.ports.status.stopService()
        # After a hand-over nobody waits for this process but its own clients.
        await self._turnover.leaving.drain(HANDED_OVER_S if handed_over else self.config.drain_s)
        with suppress(defer.TimeoutError):
            await deadline(self._reception.upstream.close(), CLOSE_S, self._reactor)
        with suppress(defer.TimeoutError):  # those of answers that went on without the peer
            await deadline(self.peer.origins.close(), CLOSE_S, self._reactor)
        await self.ports.status.stopService()
        self._sampler.stopService()
        for part in self:
            if isinstance(part, Hangup | Renewal):
                part.stopService()
        self._log_file.stopService()
        self._membership.close()

    def reconfigure(self, config: DaemonConfig) -> None:
        """Take over what may change while this runs, which is the rate limit; the log says
        so, and also what else is different and waits for a restart."""
        self.peer.limit(config.rate_limit)
        self._reception.swarm.limit(config.rate_limit)
        _log.info("rate limit: {rate}", rate=rate_text(config.rate_limit))
        waiting = changed_keys(self.config, config, but=("rate_limit", "notices"))
        if waiting:
            _log.warn("not before a restart: {keys}", keys=", ".join(waiting))

    # -- what is told -----------------------------------------------------------------------

    def _was_late(self, seconds: float) -> None:
        self.metrics.reactor_lateness.observe(seconds)
        self.peer.lateness.observe(seconds)

    def health(self) -> Mapping[str, object]:
        """What ``/healthy`` shows."""
        return {
            "ok": bool(self.running and self.peer.running and not self._stopping),
            "version": dragonfly.__version__,
            "registry": str(self.registries.mirror),
            "supernodes": [str(node) for node in self.config.nodes],
            "ports": self.ports.numbers(),
            "home": str(self._place.home),
            "tasks": len(self.peer.swarm.transfers),
        }

    # -- another one takes over ---------------------------------------------------------------

    def _replaced(self, pid: int | None) -> None:
        if not self._stopping:
            self.finished.fire(pid)

    def _announce(self) -> None:
        ports = self.ports.numbers()
        for notice in self.config.notices:
            _log.warn("{notice}", notice=notice)
        if not self.config.nodes:
            _log.warn("no supernode is configured: everything comes from the registry")
        _log.info("home {home}", home=str(self._place.home))
        if self._runtime.proxies.all:
            _log.info("registries are reached: {how}", how=str(self._runtime.proxies))
        _log.info(
            "dfdaemon ready: proxy={front} {https}pieces={pieces} status={status}"
            " registry={registry}",
            **{**ports, "https": f"https={ports['https']} " if "https" in ports else ""},
            registry=str(self.registries.mirror),
        )
        try:
            self._place.write_ports({**ports, "pid": os.getpid()})
        except StoreError as error:  # a full disk: pulls go on all the same
            _log.warn("scripts are not told of the ports: {error}", error=str(error))
