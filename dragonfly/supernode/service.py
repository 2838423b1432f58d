"""The supernode as one service: what is made once, and in which order it starts and ends."""

from __future__ import annotations

import os
import random
from collections.abc import Mapping
from typing import Any

from klein import Klein
from twisted.application.service import MultiService
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

import dragonfly
from dragonfly.config import SupernodeConfig, changed_keys, rate_text
from dragonfly.metrics import SupernodeMetrics
from dragonfly.net.addresses import FetchPolicy
from dragonfly.net.build import build_info
from dragonfly.net.disk import DiskPool
from dragonfly.net.firstbyte import FirstByteFactory
from dragonfly.net.lateness import LatenessSampler
from dragonfly.net.listen import BoundService
from dragonfly.net.origin import OriginClient
from dragonfly.net.origintrusts import OriginTrusts
from dragonfly.net.proxies import Proxies
from dragonfly.net.tasks import TaskSet
from dragonfly.net.throttle import Throttle
from dragonfly.net.tls import load_or_make_certificate
from dragonfly.net.trust import Trust
from dragonfly.signatures import KeyRing
from dragonfly.store.piecestore import PieceStore
from dragonfly.supernode.admission import Admission
from dragonfly.supernode.api import add_all_routes, make_site, map_errors
from dragonfly.supernode.cdn import Cdn
from dragonfly.supernode.fetch import FetchTools
from dragonfly.supernode.gauges import Gauges
from dragonfly.supernode.home import SupernodeHome, audience_secret, choose_home
from dragonfly.supernode.metering import meter_of
from dragonfly.supernode.openings import OpeningProber, Openings
from dragonfly.supernode.reach import DialBack
from dragonfly.supernode.seed import Seed
from dragonfly.supernode.tracker import Tracker

__all__ = ["EXPIRE_EVERY_S", "SupernodeService", "make_supernode"]

EXPIRE_EVERY_S = 5.0
"""How often idle tasks and silent peers are looked for."""


def make_supernode(
    config: SupernodeConfig,
    reactor: Any,
    *,
    rng: random.Random | None = None,
    proxies: Proxies | None = None,
) -> SupernodeService:
    """Compose a supernode; takes the home's lock, touches no port yet.

    :param proxies: what origins are reached through; by default they are reached directly.
    :raises StoreError: the home cannot be used.
    :raises ConfigError: a key or certificate in it is damaged, or one that the configuration
        names for an origin cannot be used.
    """
    root, why = choose_home(config.home_dir)
    home = SupernodeHome(root)
    home.lock()
    try:
        rng = rng or random.Random(os.urandom(16))  # noqa: S311 - chooses neighbours, no secrets
        return SupernodeService(config, reactor, home, why, rng=rng, proxies=proxies or Proxies())
    except BaseException:
        home.unlock()
        raise


class SupernodeService(MultiService):
    """All parts, wired; the attributes are the parts.

    ``ready`` of :attr:`http` and :attr:`pieces` tells when the ports are bound.
    """

    _log = Logger()

    def __init__(
        self,
        config: SupernodeConfig,
        reactor: Any,
        home: SupernodeHome,
        why_home: str,
        *,
        rng: random.Random,
        proxies: Proxies,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.config = config
        self.home = home
        self._reactor = reactor
        self._why_home = why_home
        self._proxies = proxies
        self.metrics = SupernodeMetrics(build_info())
        self.key = home.signing_key()
        self.certificate = load_or_make_certificate(home.root, _names(config))
        self._tasks = TaskSet(self._log)
        self._make_cdn(rng)
        self._make_tracker(rng)
        self._make_ports()
        self._expiry = LoopingCall(self._expire)
        self._expiry.clock = reactor

    # -- composition ------------------------------------------------------------------

    def _make_cdn(self, rng: random.Random) -> None:
        reactor = self._reactor
        self.origin_rate = Throttle(reactor, self.config.origin_rate)
        self.disk = DiskPool(reactor)
        self.store = PieceStore(self.home.store)
        trust = _trusts(self.config)
        self._origins = {
            loopback: OriginClient(
                reactor,
                policy=FetchPolicy(allow_loopback=loopback),
                trust=trust,
                proxies=self._proxies,
            )
            for loopback in (False, True)
        }
        self._openings = Openings(reactor)
        tools = FetchTools(
            reader=self._origins.__getitem__,
            disk=self.disk,
            key=self.key,
            clock=reactor,
            rng=rng,
            metrics=self.metrics,
            rate=self.origin_rate,
            openings=self._openings,
        )
        self.cdn = Cdn(self.store, tools)

    def _make_tracker(self, rng: random.Random) -> None:
        config, reactor = self.config, self._reactor
        probers = {
            loopback: OpeningProber(client, self._openings)
            for loopback, client in self._origins.items()
        }
        self.admission = Admission(
            probers.__getitem__,
            reactor,
            self._tasks,
            secret=audience_secret(self.key),
            failure_s=config.fail_access_interval_s,
        )
        self.tracker = Tracker(
            admission=self.admission,
            cdn=self.cdn,
            key=self.key,
            clock=reactor,
            rng=rng,
            metrics=self.metrics,
            dial_back=DialBack(reactor, self._tasks),
            seed_address=self._seed_address,
            config=config,
        )
        self.seed = Seed(
            cdn=self.cdn,
            key=self.key,
            clock=reactor,
            rng=rng,
            disk=self.disk,
            metrics=self.metrics,
            banned=self.tracker.banned,
            slots=config.up_limit,
        )

    def _make_ports(self) -> None:
        reactor, config = self._reactor, self.config
        self.app = Klein()
        add_all_routes(
            self.app,
            cdn=self.cdn,
            tracker=self.tracker,
            ring=KeyRing([self.key.public]),
            disk=self.disk,
            clock=reactor,
            build=build_info(),
            metrics=self.metrics,
            health=self.health,
            before_metrics=Gauges(self.metrics, self.cdn, self.tracker, self.seed).update,
            connections=lambda: len(first_byte.open),
        )
        map_errors(self.app)
        site = make_site(self.app.resource(), self.metrics, reactor, verbose=config.debug)
        first_byte = FirstByteFactory(
            self.certificate.options(), site, clock=reactor, meter=meter_of(self.metrics, "http")
        )
        self.http = BoundService(reactor, config.port, first_byte, what="HTTP port")
        self.pieces = BoundService(
            reactor, config.download_port, self.seed.factory, what="piece port"
        )
        for part in (
            self.http,
            self.pieces,
            LatenessSampler(reactor, self.metrics.reactor_lateness.observe),
        ):
            part.setServiceParent(self)  # type: ignore[no-untyped-call]

    def _seed_address(self, reached: str) -> tuple[str, int]:
        """Where peers that reached us at ``reached`` find the seed."""
        return self.config.advertise_ip or reached, self.pieces.port

    # -- life -------------------------------------------------------------------------

    def privilegedStartService(self) -> None:
        """Bind the ports."""
        self._open()
        super().privilegedStartService()  # type: ignore[no-untyped-call]

    def startService(self) -> None:
        """Serve; the log says where."""
        self._open()
        super().startService()  # type: ignore[no-untyped-call]
        self.seed.port = self.pieces.port
        self._expiry.start(EXPIRE_EVERY_S, now=False)
        self._tasks.spawn(self._index(), "reading what an earlier run left")
        self._announce()

    async def _index(self) -> None:
        count = await self.cdn.open()
        if count:
            self._log.info("{count} tasks of earlier runs are on disk", count=count)

    def _open(self) -> None:
        """Make the store and the pool ready, once."""
        if not self.disk.running:
            self.store.open()
            self.disk.start()

    def stopService(self) -> Deferred[None]:
        """Stop listening, then the work, then the pool, then close the files.

        The Deferred fires when all is done; cancelling it is not supported.
        """
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        if self._expiry.running:
            self._expiry.stop()
        await super().stopService()  # type: ignore[no-untyped-call]
        self.seed.close()
        await self.cdn.close()
        await self._tasks.cancel_all()
        self._openings.close()
        for origin in self._origins.values():
            await origin.close()
        await self.disk.stop()
        self.cdn.release_files()
        self.store.close()
        self.home.unlock()

    def reconfigure(self, config: SupernodeConfig) -> None:
        """Take over what may change while this runs, which is the cap on reading origins; the
        log says so, and also what else is different and waits for a restart."""
        self.origin_rate.set(config.origin_rate)
        self._log.info("origins are read at: {rate}", rate=rate_text(config.origin_rate))
        free = ("max_bandwidth", "system_bandwidth", "notices")
        waiting = changed_keys(self.config, config, but=free)
        if waiting:
            self._log.warn("not before a restart: {keys}", keys=", ".join(waiting))

    def _expire(self) -> None:
        now = self._reactor.seconds()
        self.tracker.expire(now)

    # -- what is told -----------------------------------------------------------------

    def health(self) -> Mapping[str, object]:
        """What ``/healthy`` shows."""
        return {
            "ok": bool(self.running and self.disk.running),
            "version": dragonfly.__version__,
            "tasks": len(self.cdn.contents()),
            "peers": self.tracker.peer_count,
        }

    def _announce(self) -> None:
        pin = f"sha256:{self.certificate.pin.hex()}"
        for notice in self.config.notices:
            self._log.warn("{notice}", notice=notice)
        self._log.info("home {home} ({why})", home=str(self.home.root), why=self._why_home)
        if self._proxies.all:
            self._log.info("origins are reached: {how}", how=str(self._proxies))
        self._log.info(
            "supernode ready: http={http} pieces={pieces} pin={pin}",
            http=self.http.port,
            pieces=self.pieces.port,
            pin=pin,
        )
        self.home.write_ports(
            {"http": self.http.port, "pieces": self.pieces.port, "pin": pin, "pid": os.getpid()}
        )


def _trusts(config: SupernodeConfig) -> OriginTrusts:
    return OriginTrusts(
        {
            (each.host, each.port): Trust(
                cacerts=each.certs,
                insecure=each.insecure,
                client_cert=each.client_cert,
                client_key=each.client_key,
            )
            for each in config.origin_certs
        }
    )


def _names(config: SupernodeConfig) -> tuple[str, ...]:
    """What a new certificate is made out to."""
    return (config.advertise_ip,) if config.advertise_ip else ()
