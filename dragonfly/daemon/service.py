"""dfdaemon as one service: what is made once, and in which order it starts and ends."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import attrs
from twisted.application.service import MultiService, Service
from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.internet.ssl import CertificateOptions
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory

import dragonfly
from dragonfly.config import DaemonConfig, changed_keys, rate_text
from dragonfly.daemon.blobs.blob import Blobs
from dragonfly.daemon.blobs.swarmaccess import SwarmAccess, SwarmSettings
from dragonfly.daemon.blobs.transferring import Transferring
from dragonfly.daemon.desk import Desk
from dragonfly.daemon.front.front import FrontFactory
from dragonfly.daemon.gauges import Gauges
from dragonfly.daemon.lifetime.handover import HandOver
from dragonfly.daemon.lifetime.leaving import Leaving
from dragonfly.daemon.lifetime.predecessor import Predecessor
from dragonfly.daemon.lifetime.takeover import DAEMON_ROLE, take_home
from dragonfly.daemon.log.accesslog import AccessLog
from dragonfly.daemon.log.logfile import LogFile
from dragonfly.daemon.place import Place
from dragonfly.daemon.routing.knownregistries import known_registries
from dragonfly.daemon.routing.registries import Registries
from dragonfly.daemon.routing.registry import Registry, parse_registry
from dragonfly.daemon.routing.router import Router
from dragonfly.daemon.routing.rules import Rule, Rules
from dragonfly.daemon.status import make_status_site
from dragonfly.daemon.straight.logindesk import LoginDesk
from dragonfly.daemon.straight.namecheck import NameCheck
from dragonfly.daemon.straight.passthrough import Passthrough
from dragonfly.daemon.tls.authority import Authority
from dragonfly.daemon.tls.pem import server_options
from dragonfly.daemon.tunnels.hijacking import authority_of, interception_of
from dragonfly.daemon.tunnels.tunnels import Tunnels
from dragonfly.daemon.upstream.upstream import Upstream
from dragonfly.errors import ConfigError, HomeBusy, StoreError
from dragonfly.metrics import DaemonMetrics
from dragonfly.net.build import build_info
from dragonfly.net.deadline import deadline
from dragonfly.net.fanout import OneShot
from dragonfly.net.hangup import Hangup
from dragonfly.net.lateness import LatenessSampler
from dragonfly.net.listen import BoundService
from dragonfly.net.origin import OriginClient
from dragonfly.net.proxies import Proxies
from dragonfly.net.trust import Trust
from dragonfly.peer.equipment import Runtime
from dragonfly.peer.request import FetchRequest
from dragonfly.peer.service import PeerService, PeerSettings, make_peer
from dragonfly.task.identity import Name

__all__ = [
    "CLOSE_S",
    "KEEP_S",
    "NAMES_AT_ONCE",
    "SHARE_S",
    "SOCKETS",
    "DaemonService",
    "make_daemon",
]

KEEP_S = 7 * 24 * 3600.0
"""Layers are pulled again when a host is set up anew or an image updated, which is days
later; where the disk is short of space they leave earlier."""

SHARE_S = 3600.0
"""A task costs an announce now and then. Who pulls later than that gets the blob from the
supernode, or from a host that pulled it lately."""

NAMES_AT_ONCE = 64
"""Looking up a name takes a thread of the reactor, and where no name server answers, ten seconds
and more. Clients choose the names: with Twisted's ten threads, a few who ask for what is not
there would hold up all pulls. A thread is made when it is needed."""

HANDED_OVER_S = 12 * 3600.0
"""So long answers may take that were under way when another process took over: the longest pull
of a large image over a slow link."""

CLOSE_S = 2.0
"""So long connections to registries may take to be gone; the process ends then anyway."""

SOCKETS = ("dfdaemon", "dfdaemon-https", "dfdaemon-status", "dfdaemon-peer")
"""Names of the sockets that are listened on, as they are handed in from outside."""

_log = Logger("dragonfly.daemon")


def make_daemon(
    config: DaemonConfig,
    reactor: Any,
    *,
    rng: random.Random | None = None,
    proxies: Proxies | None = None,
    opened: Mapping[str, socket.socket] | None = None,
    takeover: bool = False,
) -> DaemonService:
    """Compose a dfdaemon; takes the home's lock, touches no port yet.

    A background peer of dfget that has the home is asked to leave, which may block for some
    seconds: this is called before the reactor runs.

    :param proxies: what registries are reached through; by default they are reached directly.
    :param opened: sockets that are listened on already, by their names in :data:`SOCKETS`:
        instead of those ports.
    :param takeover: take the place of the dfdaemon that has the home, if there is one; until
        the new one has started it goes on serving.
    :raises ConfigError: the registry or a proxy is this dfdaemon, or a file that the
        configuration names cannot be used.
    :raises HomeBusy: another dfdaemon has the home, or it was not given up.
    :raises HomeUnusable: the home cannot be used; the text says why.
    """
    opened = opened or {}
    registry = parse_registry(config.registry.remote)
    proxies = proxies or Proxies()
    _refuse_loop(config, registry, proxies)
    tls = _tls(config)
    place = Place(config)
    rng = rng or random.Random()  # noqa: S311 - it schedules
    # Of this process alone: two dfdaemons in a row are no loop.
    proxies = attrs.evolve(proxies, via=b"dfdaemon-%016x" % rng.getrandbits(64))
    runtime = Runtime(reactor=reactor, rng=rng, log=Logger("dragonfly.peer"), proxies=proxies)
    settings = _peer_settings(config, place)
    authority = authority_of(config.hijack, reactor)
    before = Predecessor.met(place.home) if takeover else None
    if before is not None:
        opened = {**before.sockets, **opened}
    pieces = opened.get("dfdaemon-peer")
    try:
        registries = known_registries(config, place.home)
        runtime = attrs.evolve(runtime, trust_at=registries.trust_at)
        make = partial(make_peer, settings, runtime)
        peer = _peer(place, lambda: make(opened=pieces), before)
    except BaseException:
        if before is not None:
            before.close()
        raise
    return DaemonService(
        config,
        registries,
        runtime,
        place=place,
        peer=peer,
        make=make,
        tls=tls,
        authority=authority,
        opened=opened,
        before=before,
    )


def _peer(place: Place, make: Callable[[], PeerService], before: Predecessor | None) -> PeerService:
    """The peer, once its directories are ours; a predecessor gives them up when it is asked."""

    def ours() -> PeerService:
        place.lock()
        try:
            return take_home(make, place.home, say=_say) if before is None else make()
        except BaseException:
            place.unlock()
            raise

    if before is None:
        return ours()
    return take_home(ours, place.home, say=_say, before=before)


def _refuse_loop(config: DaemonConfig, registry: Registry, proxies: Proxies) -> None:
    """The mistakes that are easily made; others are found when a request comes around."""
    if _is_here(config, registry.host, registry.port):
        raise ConfigError(f"registry {registry} is this dfdaemon itself: name the real one")
    for proxy in proxies.all:
        if _is_here(config, proxy.host, proxy.port):
            raise ConfigError(f"the environment's proxy {proxy} is this dfdaemon itself")


def _is_here(config: DaemonConfig, host: str, port: int) -> bool:
    here = ("localhost", "127.0.0.1", "::1", config.host_ip)
    return bool(config.port) and port == config.port and host in here


def _tls(config: DaemonConfig) -> CertificateOptions | None:
    if config.certpem is None or config.keypem is None:
        return None
    return server_options(config.certpem, config.keypem)


def _peer_settings(config: DaemonConfig, place: Place) -> PeerSettings:
    return PeerSettings(
        home=place.home,
        port=config.peer_port,
        address=config.peer_ip or "",
        expire_s=KEEP_S,
        share_s=SHARE_S,
        keep_free=True,
        store=place.store,
        total_limit=config.rate_limit,
        role=DAEMON_ROLE,
    )


def _say(text: str) -> None:
    _log.info("{text}", text=text)


class DaemonService(MultiService):
    """All parts of a dfdaemon, wired; use :func:`make_daemon`.

    :ivar front: the port of the mirror.
    :ivar https: the port where it speaks TLS only; ``None`` without a certificate.
    :ivar status: the port of ``/metrics`` and ``/healthy``.
    :ivar peer: the peer of the home; dfgets use it, too.
    :ivar finished: fires with the reason when another dfdaemon has taken over. Whoever runs
        the service stops it then.
    """

    def __init__(
        self,
        config: DaemonConfig,
        registries: Registries,
        runtime: Runtime,
        *,
        place: Place,
        peer: PeerService,
        make: Callable[..., PeerService],
        tls: CertificateOptions | None = None,
        authority: Authority | None = None,
        opened: Mapping[str, socket.socket] | None = None,
        before: Predecessor | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.config = config
        self.registries = registries
        self.peer = peer
        self._runtime = runtime
        self._reactor = runtime.reactor
        self._place = place
        self._before = before
        self._make_peer = make
        self._kept: socket.socket | None = None
        self._stopping = False
        self.finished: OneShot[str] = OneShot()
        self.metrics = DaemonMetrics(build_info())
        self._log = AccessLog(self.metrics)
        self._make_desk()
        self._make_tunnels(authority)
        self._make_ports(tls, opened or {})

    # -- composition ------------------------------------------------------------------------

    def _make_desk(self) -> None:
        config, reactor, peer = self.config, self._reactor, self.peer
        via = self._runtime.proxies.via
        self._upstream = Upstream(reactor, proxies=self._runtime.proxies)
        passthrough = Passthrough(self._upstream, via=via)
        layers = Passthrough(self._upstream, via=via, limit=peer.total)
        settings = SwarmSettings(
            nodes=config.nodes, total_limit=config.rate_limit, prefetch=config.prefetch
        )
        self._swarm = SwarmAccess(
            settings,
            fetch=self._fetch,
            holds=self._holds,
            clock=reactor,
        )
        self._blobs = blobs = Blobs(
            self._swarm,
            client=self._client,
            straight_on=NameCheck(layers.answer).answer,
            clock=reactor,
            limit=peer.total,
            via=via,
            boundary=lambda: b"%032x" % self._runtime.rng.getrandbits(128),
        )
        router = self._router()
        logins = LoginDesk(router, self._upstream, straight_on=passthrough.answer, clock=reactor)
        self._desk = Desk(
            router,
            logins=logins,
            blobs=blobs,
            passthrough=NameCheck(passthrough.answer),
            via=via,
            log=self._log,
            clock=reactor,
        )

    # The peer may become another one, see _join.

    def _fetch(self, request: FetchRequest) -> Transferring:
        return self.peer.fetch(request)

    def _client(self, trust: Trust, loopback: bool) -> OriginClient:
        return self.peer.origins.get(trust, loopback)

    def _holds(self, name: Name) -> bool:
        return self.peer.holds(name)

    def _router(self) -> Router:
        rules = Rules(Rule(**attrs.asdict(each)) for each in self.config.proxies)
        # Names of Docker Hub's repositories have no dots before the first slash.
        hub = self.registries.mirror.host.endswith(".docker.io")
        return Router(self.registries, rules, hosts_in_paths=hub)

    def _make_tunnels(self, authority: Authority | None) -> None:
        config, reactor = self.config, self._reactor
        self._tunnels = Tunnels(
            self.registries,
            upstream=self._upstream,
            interception=interception_of(config.hijack, authority, self._upstream, reactor),
            via=self._runtime.proxies.via,
            log=self._log,
            ports=self._front_ports,
            clock=reactor,
        )

    def _make_ports(
        self, tls: CertificateOptions | None, opened: Mapping[str, socket.socket]
    ) -> None:
        config, reactor = self.config, self._reactor
        clients = self._clients = FrontFactory(
            self._desk.answer, clock=reactor, opener=self._tunnels, tls=tls
        )
        self._leaving = Leaving(clients, self._part, clock=reactor)
        self._hand_over = HandOver(self._sockets, self._make_room, self._come_back, self._replaced)
        self.peer.succession = self._hand_over
        site = make_status_site(
            build=build_info(),
            metrics=self.metrics,
            health=self.health,
            before_metrics=Gauges(self.metrics, clients, self._tunnels, lambda: self.peer).update,
            clock=reactor,
        )
        self.front = BoundService(
            reactor,
            config.port,
            clients,
            interface=config.host_ip,
            what="mirror's port",
            opened=opened.get("dfdaemon"),
        )
        self.https = self._https(tls, opened.get("dfdaemon-https"))
        self.status = BoundService(
            reactor,
            config.status_port,
            site,
            interface=config.status_ip or config.host_ip,
            what="status port",
            opened=opened.get("dfdaemon-status"),
        )
        self._sampler = LatenessSampler(reactor, self._was_late)
        self._log_file = LogFile(config.log_path, verbose=config.verbose)
        # The ports first: one that is taken ends the process before threads run.
        https = () if self.https is None else (self.https,)
        for part in (self._log_file, self.front, *https, self.status, self._sampler, self.peer):
            part.setServiceParent(self)

    def _https(
        self, tls: CertificateOptions | None, opened: socket.socket | None
    ) -> BoundService | None:
        if tls is None:
            if opened is not None:
                _log.warn("a socket for TLS is handed in, and there is no certificate")
                opened.close()
            return None
        return BoundService(
            self._reactor,
            self.config.https_port,
            TLSMemoryBIOFactory(tls, False, self._clients, self._reactor),
            interface=self.config.host_ip,
            what="mirror's TLS port",
            opened=opened,
        )

    def _front_ports(self) -> set[int]:
        return {self.front.port, *([] if self.https is None else [self.https.port])}

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

    async def _stop(self) -> None:
        self._stopping = True
        Service.stopService(self)
        await self.front.stopService()
        if self.https is not None:
            await self.https.stopService()
        handed_over = self.finished.fired
        if handed_over:  # another process answers there, and that it is well
            await self.status.stopService()
        # After a hand-over nobody waits for this process but its own clients.
        await self._leaving.drain(HANDED_OVER_S if handed_over else self.config.drain_s)
        with suppress(defer.TimeoutError):
            await deadline(self._upstream.close(), CLOSE_S, self._reactor)
        with suppress(defer.TimeoutError):  # those of answers that went on without the peer
            await deadline(self.peer.origins.close(), CLOSE_S, self._reactor)
        await self.status.stopService()
        self._sampler.stopService()
        for part in self:
            if isinstance(part, Hangup):
                part.stopService()
        self._log_file.stopService()
        if self._kept is not None:
            self._kept.close()

    async def _part(self) -> None:
        """Leave the swarm, and give up the home."""
        await self._blobs.leave_swarm()
        await self.peer.stopService()
        self._place.unlock()

    def reconfigure(self, config: DaemonConfig) -> None:
        """Take over what may change while this runs, which is the rate limit; the log says
        so, and also what else is different and waits for a restart."""
        self.peer.limit(config.rate_limit)
        self._swarm.limit(config.rate_limit)
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
            "ports": self._ports(),
            "home": str(self._place.home),
            "tasks": len(self.peer.swarm.transfers),
        }

    def _make_room(self) -> Deferred[None]:
        """Leave the swarm; the piece port stays open for whoever comes."""
        self._kept = self.peer.pieces.duplicate()
        return self._leaving.part()

    def _come_back(self) -> Deferred[None]:
        """Join the swarm again: nobody came. Fails where somebody else has the home."""
        return Deferred.fromCoroutine(self._join())

    async def _join(self) -> None:
        await self._leaving.part()
        self._place.lock()
        try:
            peer = self._make_peer(opened=self._kept, total=self.peer.total)
        except BaseException:
            self._place.unlock()
            raise
        self._kept = None
        self.services.remove(self.peer)
        self.peer = peer
        self.peer.succession = self._hand_over
        self.peer.setServiceParent(self)  # type: ignore[no-untyped-call]
        self._leaving.stay()
        self._swarm.join()

    def _replaced(self) -> None:
        if not self._stopping:
            self.finished.fire("another dfdaemon serves here")

    def _sockets(self) -> dict[str, int]:
        ports = (self.front, self.https, self.status, self.peer.pieces)
        found = {}
        for name, port in zip(SOCKETS, ports, strict=True):
            if port is not None and port.descriptor is not None:
                found[name] = port.descriptor
        return found

    def _ports(self) -> dict[str, int]:
        ports = {
            "front": self.front.port,
            "pieces": self.peer.pieces.port,
            "status": self.status.port,
        }
        return ports if self.https is None else {**ports, "https": self.https.port}

    def _https_text(self) -> str:
        return "" if self.https is None else f"https={self.https.port} "

    def _announce(self) -> None:
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
            **{**self._ports(), "https": self._https_text()},
            registry=str(self.registries.mirror),
        )
        try:
            self._place.write_ports({**self._ports(), "pid": os.getpid()})
        except StoreError as error:  # a full disk: pulls go on all the same
            _log.warn("scripts are not told of the ports: {error}", error=str(error))
