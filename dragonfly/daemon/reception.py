"""What answers the requests of a dfdaemon, put together from a configuration."""

from __future__ import annotations

import socket
from collections.abc import Callable

import attrs

from dragonfly.config import DaemonConfig
from dragonfly.daemon.blobs.blob import Blobs
from dragonfly.daemon.blobs.swarmaccess import SwarmAccess, SwarmSettings
from dragonfly.daemon.desk import Desk
from dragonfly.daemon.log.accesslog import AccessLog
from dragonfly.daemon.membership import Membership
from dragonfly.daemon.routing.dockerhub import HUB_NAMES
from dragonfly.daemon.routing.ownnames import OwnNames
from dragonfly.daemon.routing.registries import Registries
from dragonfly.daemon.routing.router import Router
from dragonfly.daemon.routing.rules import Rule, Rules
from dragonfly.daemon.straight.logindesk import LoginDesk
from dragonfly.daemon.straight.namecheck import NameCheck
from dragonfly.daemon.straight.passthrough import Passthrough
from dragonfly.daemon.tls.authority import Authority
from dragonfly.daemon.tunnels.hijacking import interception_of
from dragonfly.daemon.tunnels.tunnels import Tunnels
from dragonfly.daemon.upstream.upstream import Upstream
from dragonfly.peer.equipment import Runtime

__all__ = ["Reception"]


@attrs.frozen(kw_only=True)
class Reception:
    """The parts that others have to do with.

    ``desk`` answers requests, ``tunnels`` answers CONNECT; ``upstream`` asks registries for
    both, ``swarm`` and ``blobs`` ask the swarm.
    """

    upstream: Upstream
    swarm: SwarmAccess
    blobs: Blobs
    desk: Desk
    tunnels: Tunnels

    @classmethod
    def of(
        cls,
        config: DaemonConfig,
        registries: Registries,
        runtime: Runtime,
        membership: Membership,
        *,
        authority: Authority | None,
        log: AccessLog,
        ports: Callable[[], set[int]],
    ) -> Reception:
        """Put them together.

        :param authority: makes certificates for hosts whose connections are opened.
        :param ports: gives the numbers of the mirror's ports.
        """
        clock, via, limit = runtime.reactor, runtime.proxies.via, membership.peer.total
        upstream = Upstream(clock, proxies=runtime.proxies)
        passthrough = Passthrough(upstream, via=via)
        layers = Passthrough(upstream, via=via, limit=limit)
        router = _router(config, registries)
        swarm = _swarm(config, runtime, membership)
        blobs = Blobs(
            swarm,
            client=membership.client,
            straight_on=NameCheck(layers.answer).answer,
            clock=clock,
            limit=limit,
            via=via,
            boundary=lambda: b"%032x" % runtime.rng.getrandbits(128),
        )
        desk = Desk(
            router,
            logins=LoginDesk(router, upstream, straight_on=passthrough.answer, clock=clock),
            blobs=blobs,
            passthrough=NameCheck(passthrough.answer),
            via=via,
            log=log,
            clock=clock,
        )
        tunnels = Tunnels(
            registries,
            upstream=upstream,
            interception=interception_of(config.hijack, authority, upstream, clock),
            via=via,
            log=log,
            ports=ports,
            clock=clock,
        )
        return cls(upstream=upstream, swarm=swarm, blobs=blobs, desk=desk, tunnels=tunnels)


def _router(config: DaemonConfig, registries: Registries) -> Router:
    rules = Rules(Rule(**attrs.asdict(each)) for each in config.proxies)
    # Names of Docker Hub's repositories have no dots before the first slash.
    hub = registries.mirror.host in HUB_NAMES
    own = OwnNames((*config.host_names, socket.gethostname()))
    return Router(registries, rules, hosts_in_paths=hub, own=own)


def _swarm(config: DaemonConfig, runtime: Runtime, membership: Membership) -> SwarmAccess:
    settings = SwarmSettings(
        nodes=config.nodes, total_limit=config.rate_limit, prefetch=config.prefetch
    )
    return SwarmAccess(
        settings, fetch=membership.fetch, holds=membership.holds, clock=runtime.reactor
    )
